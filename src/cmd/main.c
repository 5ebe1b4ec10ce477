/* main.c: finds the subcommand that is asked for, and answers for the program as a whole. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "config/suggest.h"

#define CALLED_AS_MAX 64

static void print_help(FILE *stream) {
    fputs("usage: reprise COMMAND [ARGUMENT...]\n\n"
          "Reprise terminates TLS and lets no client do the same handshake twice.\n\n"
          "commands:\n",
          stream);
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        if (!cmd->for_packagers) {
            fprintf(stream, "  %-8s %s\n", cmd->name, cmd->summary);
        }
    }
    fputs("\n'reprise help COMMAND' tells more of each; 'reprise --version' what this is.\n",
          stream);
}

static int unknown_command(const char *name) {
    struct suggest suggest = suggest_start(name);
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        suggest_offer(&suggest, cmd->name);
    }
    fprintf(stderr, "reprise: there is no command '%s'", name);
    if (suggest.nearest) {
        fprintf(stderr, ", did you mean '%s'?", suggest.nearest);
    }
    fputs("\nTry 'reprise help'.\n", stderr);
    return CMD_WRONG_USAGE;
}

static int help(int argc, char **argv) {
    if (argc < 2) {
        print_help(stdout);
        return CMD_OK;
    }
    const struct cmd *cmd = cmd_find(argv[1]);
    if (!cmd) {
        return unknown_command(argv[1]);
    }
    cmd_print_help(cmd, stdout);
    return CMD_OK;
}

static bool is_one_of(const char *arg, const char *letter, const char *word) {
    return strcmp(arg, letter) == 0 || strcmp(arg, word) == 0;
}

/* --help anywhere before the end of the options is all that counts. */
static bool asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_one_of(argv[i], "-h", "--help")) {
            return true;
        }
    }
    return false;
}

static int run_command(int argc, char **argv) {
    const struct cmd *cmd = cmd_find(argv[0]);
    if (!cmd) {
        return unknown_command(argv[0]);
    }
    if (asks_for_help(argc, argv)) {
        cmd_print_help(cmd, stdout);
        return CMD_OK;
    }
    char called_as[CALLED_AS_MAX];
    snprintf(called_as, sizeof(called_as), "reprise %s", cmd->name);
    argv[0] = called_as;
    optind = 0; /* the GNU way to start anew */
    return cmd->run(argc, argv);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return CMD_WRONG_USAGE;
    }
    if (is_one_of(argv[1], "-V", "--version")) {
        puts("Reprise " REPRISE_VERSION ", with AWS-LC " REPRISE_AWS_LC_VERSION);
        return CMD_OK;
    }
    if (is_one_of(argv[1], "-h", "--help") || strcmp(argv[1], "help") == 0) {
        return help(argc - 1, argv + 1);
    }
    if (argv[1][0] == '-') {
        fprintf(stderr, "reprise: there is no option '%s'\nTry 'reprise help'.\n", argv[1]);
        return CMD_WRONG_USAGE;
    }
    return run_command(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    int status = dispatch(argc, argv);
    /* A full disk behind standard output is a failure too. */
    if (fflush(stdout) != 0 && status == CMD_OK) {
        perror("reprise: standard output");
        return CMD_FAILED;
    }
    return status;
}
