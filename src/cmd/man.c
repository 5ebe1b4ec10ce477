/* man.c: the manual pages, in man(7)'s macros, see docs_write_man in cmd.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "config/convert.h"
#include "config/schema.h"
#include "reason/reason.h"

#define MAN_PATH_MAX 4096

/* Writes text that roff shows as it is: `words in backquotes` bold, hyphens that can be copied. */
static void put_text(const char *text, FILE *stream) {
    bool bold = false;
    bool line_start = true;
    for (; *text; text++) {
        switch (*text) {
        case '`':
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", stream);
            break;
        case '\\':
            fputs("\\e", stream);
            break;
        case '-':
            fputs("\\-", stream);
            break;
        case '\n':
            fputs("\n.PP\n", stream);
            break;
        case '.':
        case '\'':
            fprintf(stream, "%s%c", line_start ? "\\&" : "", *text);
            break;
        default:
            fputc(*text, stream);
            break;
        }
        line_start = *text == '\n';
    }
}

static void put_bold_line(const char *text, FILE *stream) {
    fputs("\\fB", stream);
    put_text(text, stream);
    fputs("\\fR\n", stream);
}

static void put_line(const char *text, FILE *stream) {
    put_text(text, stream);
    fputc('\n', stream);
}

/* An indented paragraph under a bold tag. */
static void put_item(const char *tag, const char *text, FILE *stream) {
    fputs(".TP\n", stream);
    put_bold_line(tag, stream);
    put_line(text, stream);
}

/* An example: its lines as they are. */
static void put_example(const char *text, FILE *stream) {
    fputs(".PP\n.nf\n", stream);
    while (*text) {
        size_t len = strcspn(text, "\n");
        char line[256];
        snprintf(line, sizeof(line), "%.*s", (int)len, text);
        put_line(line, stream);
        text += len + (text[len] == '\n');
    }
    fputs(".fi\n", stream);
}

/* "REPRISE-RUN" 1 */
static void put_title(const char *name, int section, const char *summary, FILE *stream) {
    fputs(".\\\" Made by `reprise docs man`: do not edit.\n.TH \"", stream);
    for (const char *at = name; *at; at++) {
        fputc(toupper((unsigned char)*at), stream);
    }
    fprintf(stream, "\" %d \"\" \"Reprise " REPRISE_VERSION "\" \"Reprise\"\n.SH NAME\n", section);
    put_text(name, stream);
    fputs(" \\- ", stream);
    put_line(summary, stream);
}

static void write_program(FILE *stream) {
    put_title("reprise", 1, "a TLS terminator that lets no client do the same handshake twice",
              stream);
    fputs(".SH SYNOPSIS\n\\fBreprise\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n.SH COMMANDS\n",
          stream);
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        if (!cmd->for_packagers) {
            put_item(cmd->name, cmd->summary, stream);
        }
    }
    fputs(".SH SEE ALSO\n", stream);
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        if (!cmd->for_packagers) {
            fprintf(stream, ".BR reprise\\-%s (1),\n", cmd->name);
        }
    }
    fputs(".BR reprise.conf (5),\n.BR reprise\\-reasons (7)\n", stream);
}

static void write_command(const struct cmd *cmd, FILE *stream) {
    char name[64];
    snprintf(name, sizeof(name), "reprise-%s", cmd->name);
    put_title(name, 1, cmd->summary, stream);
    fprintf(stream, ".SH SYNOPSIS\n\\fBreprise %s\\fR ", cmd->name);
    put_line(cmd->synopsis, stream);
    fputs(".SH DESCRIPTION\n", stream);
    put_line(cmd->description, stream);
    for (const struct cmd_text *command = cmd->commands; command && command->left; command++) {
        put_item(command->left, command->right, stream);
    }
    if (cmd->options->left) {
        fputs(".SH OPTIONS\n", stream);
    }
    for (const struct cmd_text *option = cmd->options; option->left; option++) {
        put_item(option->left, option->right, stream);
    }
    fputs(".SH EXIT STATUS\n", stream);
    put_item("0", "It was done.", stream);
    fputs(".TP\n\\fB1\\fR\nIt failed: ", stream);
    put_text(cmd->failure, stream);
    fputs(".\n", stream);
    put_item("2", "It was called in a wrong way.", stream);
    fputs(".SH EXAMPLES\n", stream);
    for (const struct cmd_text *example = cmd->examples; example->left; example++) {
        put_item(example->left, example->right, stream);
    }
    fputs(".SH SEE ALSO\n.BR reprise (1),\n.BR reprise.conf (5)\n", stream);
}

static void write_directive(const struct directive *directive, FILE *stream) {
    char expected[DIRECTIVE_EXPECTED_MAX];
    put_item(directive->name, directive->text, stream);
    if (directive->shape == SHAPE_GROUP || directive->shape == SHAPE_TABLE) {
        return;
    }
    fprintf(stream, "Takes %s", directive->shape == SHAPE_LIST ? "a list of " : "");
    put_text(directive_expected(directive, expected, sizeof(expected)), stream);
    if (directive->fallback == schema_required) {
        fputs("; required.\n", stream);
    } else if (directive->fallback) {
        fputs("; default: ", stream);
        put_text(directive->fallback, stream);
        fputs(".\n", stream);
    } else {
        fputs("; not set by default.\n", stream);
    }
}

static void write_configuration(FILE *stream) {
    put_title("reprise.conf", 5, "the configuration file of reprise", stream);
    fputs(".SH DESCRIPTION\n", stream);
    put_line(
        "The file is YAML. A duration is a number with `ms`, `s`, `m`, `h` or `d` behind it, or "
        "a bare number of seconds. File names are relative to the folder of the file. "
        "`reprise check` tells what is wrong with a file, and with `--print` what is in force.",
        stream);
    for (unsigned id = 0; id < SECTION_COUNT; id++) {
        const struct section *section = schema_section((enum section_id)id);
        fputs(".SH \"", stream);
        put_text(id == SECTION_MAIN ? "TOP OF THE FILE" : section->name, stream);
        fputs("\"\n", stream);
        put_line(section->text, stream);
        for (size_t i = 0; i < section->directive_count; i++) {
            write_directive(&section->directives[i], stream);
        }
    }
    fputs(".SH EXAMPLE\n", stream);
    put_example(docs_example, stream);
    fputs(".SH SEE ALSO\n.BR reprise\\-run (1),\n.BR reprise\\-check (1),\n"
          ".BR reprise\\-reasons (7)\n",
          stream);
}

static void write_reasons(FILE *stream) {
    put_title("reprise-reasons", 7, "why a session did not resume", stream);
    fputs(".SH DESCRIPTION\n", stream);
    put_line("The log's line of each connection that did not resume carries one of these words as "
             "its `reason`; the same words label the counters.",
             stream);
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        put_item(reason_word(reason), reason_meaning(reason), stream);
        fputs(".br\n", stream);
        put_line(reason_advice(reason), stream);
    }
    fputs(".SH SEE ALSO\n.BR reprise\\-run (1),\n.BR reprise.conf (5)\n", stream);
}

struct page {
    const char *name;
    int section;
    void (*write)(FILE *stream); /* null: cmd's */
    const struct cmd *cmd;
};

static int page_write(const char *folder, const struct page *page) {
    char path[MAN_PATH_MAX] = "";
    int n = snprintf(path, sizeof(path), "%s/%s.%d", folder, page->name, page->section);
    FILE *stream = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "we") : NULL;
    if (!stream) {
        fprintf(stderr, "reprise docs: cannot write %s: %s\n", path, strerror(errno));
        return CMD_FAILED;
    }
    if (page->write) {
        page->write(stream);
    } else {
        write_command(page->cmd, stream);
    }
    bool bad = ferror(stream) != 0;
    if (fclose(stream) != 0 || bad) {
        fprintf(stderr, "reprise docs: cannot write %s\n", path);
        return CMD_FAILED;
    }
    return CMD_OK;
}

int docs_write_man(const char *folder) {
    static const struct page pages[] = {
        { "reprise", 1, write_program, NULL },
        { "reprise.conf", 5, write_configuration, NULL },
        { "reprise-reasons", 7, write_reasons, NULL },
    };
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) {
        fprintf(stderr, "reprise docs: cannot make %s: %s\n", folder, strerror(errno));
        return CMD_FAILED;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (page_write(folder, &pages[i]) != CMD_OK) {
            return CMD_FAILED;
        }
    }
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        char name[64];
        snprintf(name, sizeof(name), "reprise-%s", cmd->name);
        struct page page = { name, 1, NULL, cmd };
        if (!cmd->for_packagers && page_write(folder, &page) != CMD_OK) {
            return CMD_FAILED;
        }
    }
    return CMD_OK;
}
