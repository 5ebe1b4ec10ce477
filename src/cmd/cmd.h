/* cmd.h: the subcommands of `reprise`, one file each.
 *
 * One table (table.c) tells their names, their help, and with it the manual pages. main.c finds the
 * one that is asked for, and answers --help for all of them.
 */
#ifndef REPRISE_CMD_CMD_H
#define REPRISE_CMD_CMD_H

#include <stdbool.h>
#include <stdio.h>

/* What a command returns, and the program with it. */
#define CMD_OK 0
#define CMD_FAILED 1
#define CMD_WRONG_USAGE 2

/* A row of help: an option and its text, or an example and what it does. Lists end
 * with a null `left`. */
struct cmd_text {
    const char *left;
    const char *right;
};

struct cmd {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;  /* one line, without a full stop */
    const char *synopsis; /* what follows the name */
    const char *description;
    const struct cmd_text *commands; /* of its own; null: none */
    const struct cmd_text *options;
    const struct cmd_text *examples;
    const char *failure; /* what status 1 means */
    bool for_packagers;  /* not in the short help */
};

/* Ends with a null name. */
extern const struct cmd cmd_table[];

/* Null when there is none of that name. */
const struct cmd *cmd_find(const char *name);

/* Writes the help of one command. */
void cmd_print_help(const struct cmd *cmd, FILE *stream);

/* Writes "reprise NAME: TEXT" and where to read more to standard error. Returns CMD_WRONG_USAGE. */
int cmd_wrong_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same where getopt has said already what is wrong. */
int cmd_wrong_option(const char *name);

/* The subcommands. argv[0] is "reprise NAME", so that getopt's own messages begin with
 * it; getopt starts anew. Each returns one of CMD_*. */
int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_docs(int argc, char **argv);
int cmd_demonstration(int argc, char **argv);

/* Pieces of `reprise docs`: docs/CONFIGURATION.md, and the manual pages into `folder`.
 * Return CMD_OK or CMD_FAILED, having said why. */
int docs_write_configuration(FILE *stream);
int docs_write_man(const char *folder);

/* A complete configuration, for both. */
extern const char docs_example[];

#endif
