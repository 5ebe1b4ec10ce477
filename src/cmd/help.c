/* help.c: what commands say of themselves and of being called wrongly, see cmd.h. */
#include <stdarg.h>
#include <string.h>

#include "cmd/cmd.h"

#define HELP_COLUMNS 80
#define HELP_INDENT 2
#define HELP_COLUMN_MAX 22 /* where the right column begins at the latest */

/* Writes text in lines that fit, each with `indent` spaces before it but the first, which stands
 * at column `at`. Line breaks of the text end paragraphs. */
static void print_wrapped(const char *text, size_t indent, size_t at, FILE *stream) {
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (at > indent && at + 1 + word > HELP_COLUMNS) {
            fputc('\n', stream);
            at = 0;
        } else if (at > indent) {
            fputc(' ', stream);
            at++;
        }
        if (at < indent) {
            fprintf(stream, "%*s", (int)(indent - at), "");
            at = indent;
        }
        fwrite(text, 1, word, stream);
        at += word;
        text += word;
        if (*text == '\n') {
            fputs("\n\n", stream);
            at = 0;
        }
        text += *text != '\0';
    }
    fputc('\n', stream);
}

static void print_rows(const char *title, const struct cmd_text *rows, FILE *stream) {
    if (!rows || !rows->left) {
        return;
    }
    fprintf(stream, "\n%s:\n", title);
    for (; rows->left; rows++) {
        size_t at = HELP_INDENT + strlen(rows->left);
        fprintf(stream, "%*s%s", HELP_INDENT, "", rows->left);
        if (at + 2 > HELP_COLUMN_MAX) {
            fputc('\n', stream);
            at = 0;
        }
        print_wrapped(rows->right, HELP_COLUMN_MAX, at, stream);
    }
}

void cmd_print_help(const struct cmd *cmd, FILE *stream) {
    fprintf(stream, "usage: reprise %s %s\n\n", cmd->name, cmd->synopsis);
    print_wrapped(cmd->description, 0, 0, stream);
    print_rows("commands", cmd->commands, stream);
    print_rows("options", cmd->options, stream);
    print_rows("examples", cmd->examples, stream);
    fprintf(stream, "\nexit status: 0 done; 1 %s; 2 wrong usage\n", cmd->failure);
}

int cmd_wrong_option(const char *name) {
    fprintf(stderr, "Try 'reprise %s --help'.\n", name);
    return CMD_WRONG_USAGE;
}

int cmd_wrong_usage(const char *name, const char *fmt, ...) {
    va_list args;
    fprintf(stderr, "reprise %s: ", name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return cmd_wrong_option(name);
}
