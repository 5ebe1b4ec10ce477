/* conn.h: one client connection, from accept to its line in the log.
 *
 *   HELLO      bytes are gathered until a ClientHello is whole; no TLS object yet
 *   HANDSHAKE  the library shakes hands; the decision to resume is already made
 *   OPEN       a backend is being connected or is connected; bytes are relayed
 *
 * Bytes move through the worker's buffers; a connection owns memory only for
 * what a slow peer did not take, and is not read from the other side meanwhile:
 * that bounds it. All functions run in the worker that accepted the connection.
 */
#ifndef REPRISE_PROXY_CONN_H
#define REPRISE_PROXY_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "proxy/pool.h"
#include "proxy/worker.h"
#include "tls/conn.h"

enum conn_state { CONN_HELLO, CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSED };

/* Why a connection ended: the log's field `close`. */
enum conn_close {
#define CONN_CLOSE(id, word) CLOSE_##id,
#include "proxy/close.def"
#undef CONN_CLOSE
    CLOSE_COUNT
};

/* An IPv4 or IPv6 address in less room than a sockaddr_storage. */
union conn_address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* Bytes that wait for a peer; owned memory, given back when it is empty. */
struct backlog {
    uint8_t *data;
    uint32_t at; /* the first byte not yet sent */
    uint32_t end;
    uint32_t cap;
};

/* One of the two sockets of a connection. */
struct conn_side {
    struct loop_io io;
    bool readable; /* the kernel may have more for us */
    bool blocked;  /* it took less than it was given: wait for EPOLLOUT */
    bool hangup;   /* the kernel said that the peer is through: read to the end */
    bool eof;      /* nothing more will come from the peer */
    bool shut;     /* we have told the peer that nothing more will come */
    bool fin;      /* of a client: and have ended the TCP stream, too */
    struct backlog out;
};

struct conn {
    struct conn *next; /* the worker's list */
    struct conn **link;
    struct worker *worker;
    const struct accepter *accepter; /* borrowed; where it came in */
    enum conn_state state;
    struct conn_side client;
    struct conn_side backend;
    struct loop_timer timer;
    struct loop_task task; /* to go on next turn, or to be freed */
    struct tls_conn tls;
    struct backlog hello; /* while a ClientHello is incomplete */
    size_t member;        /* of the pool; POOL_NONE before one is picked */
    uint32_t tries;       /* backends tried */
    uint64_t tried;       /* those tried, for pool_pick */
    size_t early_missing; /* bytes of a dropped record that have yet to come */
    bool truncated;       /* the client ended without close_notify */
    bool backend_lost;    /* the backend's socket broke */
    bool connecting;
    bool connected;
    union conn_address address; /* the client's */
    uint64_t id;
    uint64_t accepted_ns;
    uint64_t handshake_ns; /* how long it took; 0: not over */
    uint64_t connect_start_ns;
    uint64_t connect_ns;
    uint64_t bytes_in;
    uint64_t bytes_out;
    const char *error; /* static text, or null */
};

/* Takes over an accepted socket. On failure the socket is closed. */
void conn_accept(struct accepter *accepter, int fd, const union conn_address *address);

/* Ends a connection now: logs it, closes both sockets, frees it at the turn's end. */
void conn_close(struct conn *conn, enum conn_close why);

/* The same with a close_notify first, when the handshake is over and the client has
 * taken all that was for it: for ends that are ours. */
void conn_end(struct conn *conn, enum conn_close why);

/* For report.c. */
const char *conn_close_word(enum conn_close why);

#endif
