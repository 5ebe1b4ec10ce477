/* conn.h: one connection of a load, from connect to close, and its place for the next.
 *
 * One receive a readiness, one send a flight: the ClientHello is sent right after connect,
 * and on loopback goes out with it.
 */
#ifndef REPRISE_LOAD_CONN_H
#define REPRISE_LOAD_CONN_H

#include "load/options.h"
#include "load/row.h"
#include "net/loop.h"
#include "tls/client.h"

struct load_worker;

enum load_state {
    LOAD_STATE_FREE,
    LOAD_STATE_HANDSHAKE, /* connecting included */
    LOAD_STATE_ASK,       /* sends and receives */
    LOAD_STATE_HELD,      /* --idle */
    LOAD_STATE_CLOSE,     /* close_notify is sent; the server's end is awaited */
};

#define LOAD_STATUS_LINE 12 /* "HTTP/1.1 200" */

struct load_conn {
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task ended; /* reports its end, when the turn's handlers are done */
    struct tls_client_conn tls;
    struct load_worker *worker; /* borrowed */
    struct load_conn *next_free;
    struct load_plan plan;
    enum load_state state;
    bool connected;
    bool prime;      /* this one only makes a session */
    bool prime_only; /* and the plan does not follow it */
    bool good;       /* how it ended */
    bool pause;      /* it failed at once: the next one waits */
    bool issued;     /* the server has issued a session of the plan's kind */
    bool peer_ended; /* the server has closed its direction */
    uint8_t *unsent; /* owned; what the socket did not take */
    size_t unsent_at;
    size_t unsent_end;
    SSL_SESSION *session; /* owned reference: offered */
    size_t target;
    size_t name;
    uint64_t start_ns; /* intended */
    uint64_t sent;     /* of payload */
    uint64_t received;
    char status[LOAD_STATUS_LINE]; /* the first bytes of an HTTP answer */
};

/* Begins a connection in a free place, with its intended start. When a session is to be
 * resumed and there is none, one is made first. Failures are counted, and reported by
 * load_worker_ended, never before this returns. */
void load_conn_begin(struct load_conn *conn, struct load_plan plan, uint64_t start_ns);

/* Makes a session for `pool` of the plan's kind only. */
void load_conn_prime(struct load_conn *conn, enum load_kind kind, size_t target, size_t name);

/* Ends one that is held. */
void load_conn_release(struct load_conn *conn);

#endif
