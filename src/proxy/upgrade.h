/* upgrade.h: the running service's side of an upgrade: starts the program anew and hands
 * over to it (handover.h). Whatever goes wrong before the go ends the new one alone, and
 * the service stays as it is. Master only.
 *
 *   upgrade_start     spawns; the new program says hello
 *   upgrade_converse  gives it everything; it starts its workers and says ready
 *   upgrade_go        from here on the new one is the service; or else
 *   upgrade_cancel    ends it
 */
#ifndef REPRISE_PROXY_UPGRADE_H
#define REPRISE_PROXY_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "proxy/generation.h"

struct upgrade {
    pid_t pid;   /* of the new program; 0: no upgrade is under way */
    int channel; /* owned; -1: none */
    bool ended;  /* the new program has, with: */
    int status;  /* as of waitpid; set by who reaps */
};

/* What is handed over. Borrowed. */
struct upgrade_gift {
    const struct generation *gen;
    const struct shared *shared;
    const char *control_path; /* null: there is no control socket */
    int control_fd;
};

/* What goes on meanwhile: called whenever `fd` is readable and now and then. Returns
 * false to give up. It may set the upgrade's `ended` and `status`. */
struct upgrade_meanwhile {
    bool (*run)(void *arg);
    void *arg;
    int fd;
};

/* Writes the path that this program was started from, absolute and with its symbolic
 * links, so that what is put there later is what an upgrade starts. At the start. */
int upgrade_find_program(char *path, size_t cap, struct err *err);

/* Spawns argv[0] with these arguments, our environment, standard streams and one end of
 * a socketpair. */
int upgrade_start(struct upgrade *u, char *const *argv, struct err *err);

/* Waits for the hello, gives, and waits until the new program is ready. */
int upgrade_converse(struct upgrade *u, const struct upgrade_gift *gift,
                     const struct upgrade_meanwhile *meanwhile, struct err *err);

/* Says go. On -1 the new program has not become the service. */
int upgrade_go(struct upgrade *u, struct err *err);

/* Ends the new program and waits for its end, unless it has ended. */
void upgrade_cancel(struct upgrade *u);

/* Closes the channel: tells the new program, after the go, that no old worker accepts. */
void upgrade_end(struct upgrade *u);

#endif
