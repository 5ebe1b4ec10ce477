/* stage.h: the processes that the lab plays with, and the folder they live in: a backend
 * (`reprise demonstration`) and, for one scene after another, a terminator (`reprise run`),
 * both this same program.
 *
 * Children are ended by their process ID, end with the lab however it ends, and have a process
 * group of their own, so that ^C is the lab's to act on.
 */
#ifndef REPRISE_LAB_STAGE_H
#define REPRISE_LAB_STAGE_H

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/types.h>

#include "lab/act.h"
#include "lab/net.h"

#define STAGE_PATH_MAX 512
#define STAGE_LINE_MAX 2048
#define STAGE_WORKERS 2

struct stage {
    struct lab_net net;
    char folder[STAGE_PATH_MAX];
    pid_t backend;
    pid_t terminator;
    struct sockaddr_in backend_address;
    struct sockaddr_in recorded; /* the address whose connections are recorded */
    struct sockaddr_in measured; /* the one for those that are only measured */
    FILE *log;                   /* owned; the terminator's, as far as it was read */
    pid_t workers[STAGE_WORKERS];
};

/* Makes the folder and the certificate, and starts the backend. Returns 0, or -1 with err set.
 * To be closed in both cases. */
int stage_open(struct stage *stage, enum lab_topology topology, struct err *err);

/* Starts a terminator as the scene wants it, and waits until it serves. Returns 0 or -1. To be
 * stopped in both cases. */
int stage_start(struct stage *stage, const struct lab_scene *scene, struct err *err);
void stage_stop(struct stage *stage);

/* Ends all processes and removes the folder. */
void stage_close(struct stage *stage);

/* `reprise ctl WORDS`: `out` takes what it prints. Returns 0, or -1 with err set. */
int stage_ctl(struct stage *stage, const char *words, char *out, size_t cap, struct err *err);

/* Waits for the log's line of the connection from this address. Returns 0, or -1 with err set. */
int stage_line(struct stage *stage, const struct sockaddr_in *client,
               char line[static STAGE_LINE_MAX], struct err *err);

/* The CPU time that the terminator's workers have taken. */
uint64_t stage_cpu_ns(const struct stage *stage);

/* The path of a file in the folder. */
void stage_path(const struct stage *stage, const char *name, char out[static STAGE_PATH_MAX]);

#endif
