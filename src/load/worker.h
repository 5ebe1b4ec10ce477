/* worker.h: one process of a load: its loop, its connections, when each begins.
 *
 * Closed loop: a number of connections, each begun anew when it is over. Open loop: each
 * begins when its time has come, however many are open. Idle: they are opened and held.
 *
 * Before the load, sessions are made (phase PRIME); the parent then starts it (RUN) and ends
 * it (STOP: what is open is finished, nothing begins).
 */
#ifndef REPRISE_LOAD_WORKER_H
#define REPRISE_LOAD_WORKER_H

#include <stdatomic.h>

#include "load/conn.h"
#include "load/options.h"
#include "load/row.h"
#include "load/sessions.h"
#include "net/loop.h"
#include "tls/client.h"

enum load_phase { LOAD_PRIME, LOAD_RUN, LOAD_STOP };

/* Shared between the parent and one worker. */
struct load_control {
    _Atomic int phase;      /* the parent's: enum load_phase */
    _Atomic unsigned allow; /* the parent's: --idle: how many may be open */
    _Atomic bool ready;     /* the worker's: it has its sessions */
    _Atomic bool ended;     /* the worker's: its row is final */
};

struct load_worker {
    const struct load_options *options; /* borrowed */
    struct load_row *row;               /* shared */
    struct load_control *control;       /* shared */
    unsigned number;                    /* 0 .. options->workers - 1 */
    struct loop loop;
    struct tls_client tls;
    SSL_CTX *ctx[LOAD_KINDS];    /* owned; null: not of this load */
    struct load_sessions *pools; /* owned; kind, target and name: load_pool_of */
    unsigned *prime_tries;       /* owned; as pools */
    size_t pool_count;
    size_t prime_at; /* the pool that is being primed */

    struct load_conn *conns; /* owned */
    size_t conn_count;
    struct load_conn *free_conns;
    size_t open; /* conns that are not free */
    size_t holding;

    enum load_phase phase;
    uint64_t left;   /* connections that may begin yet */
    uint64_t begun;  /* in the open loop: arrivals */
    uint64_t turn;   /* counts connections: whose turn targets, names and sources are */
    uint64_t random; /* state of the generator */
    uint64_t start_ns;
    uint64_t cpu_start_ns;
    struct loop_io wake;    /* an eventfd: the parent changed control */
    struct loop_io arrival; /* a timerfd; -1: closed loop */

    uint8_t *in;    /* owned: what is received */
    uint8_t *plain; /* owned: decrypted */
};

#define LOAD_BUFFER_BYTES (64u * 1024)

/* The child's whole life: `wake_fd` is its end of what the parent wakes it with. Returns an
 * exit status. Errors are told on standard error. */
int load_worker_run(const struct load_options *options, unsigned number, int wake_fd,
                    struct load_row *row, struct load_control *control);

/* For conn.c. */
struct load_sessions *load_pool_of(struct load_worker *worker, enum load_kind kind, size_t target,
                                   size_t name);

/* What happened to a connection, for the one that begins the next. */
void load_worker_ended(struct load_conn *conn, bool good);
void load_worker_held(struct load_conn *conn);

#endif
