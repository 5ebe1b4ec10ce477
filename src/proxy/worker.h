/* worker.h: one worker process: an event loop, its listeners, its connections. */
#ifndef REPRISE_PROXY_WORKER_H
#define REPRISE_PROXY_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "proxy/generation.h"
#include "tls/conn.h"

/* Bytes received at once: a few records, or what a socket holds. */
#define WORKER_RECEIVE_BYTES 65536
/* Plaintext of one receive, with a record that the library held in part. */
#define WORKER_PLAIN_BYTES (WORKER_RECEIVE_BYTES + 17408)

struct pool;
struct conn;

/* One listening socket in the loop. */
struct accepter {
    struct loop_io io;
    struct worker *worker;
    const struct listener *listener;
    const struct sni_table *sni;
    struct pool *pool;
    struct cache *caches[RESUME_OTHERS_MAX]; /* of the virtual server's profiles */
    size_t cache_count;
};

struct worker {
    struct loop loop;
    struct tls_worker tls;
    const struct generation *gen; /* borrowed from the master's memory, by fork */
    const struct shared *shared;
    struct counters *counters; /* this worker's row */
    unsigned index;
    bool draining;
    struct accepter *accepters; /* owned */
    size_t accepter_count;
    struct pool *pools; /* owned; by the configuration's pools */
    uint32_t connections;
    uint32_t max_connections;
    bool accepting;
    uint64_t next_id;         /* numbers connections in this process */
    struct conn *conns;       /* all of them, a doubly linked list */
    size_t large_hello_bytes; /* held for incomplete hellos longer than most */
    unsigned lingering;       /* sockets of linger.c */
    uint8_t *receive;         /* owned: WORKER_RECEIVE_BYTES */
    uint8_t *plain;           /* owned: WORKER_PLAIN_BYTES */
    struct loop_io signals;
    struct loop_timer housekeeping;
    struct loop_timer drain_end;
};

struct worker_start {
    const struct generation *gen;
    const struct shared *shared;
    unsigned index;
    int ready_fd; /* written one byte to when the worker could accept */
    int go_fd;    /* it accepts when this has come to its end; -1: at once */
    int keylog_fd;
};

/* Runs a worker until it has drained; the process's exit status. Called in the
 * child, after the fork and after privileges were dropped. */
int worker_run(const struct worker_start *start);

/* For conn.c: a connection came or went. */
void worker_conn_added(struct worker *worker);
void worker_conn_gone(struct worker *worker);

#endif
