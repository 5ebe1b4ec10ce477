/* options.h: what a load is to be: read from the command line, the same for all workers. */
#ifndef REPRISE_LOAD_OPTIONS_H
#define REPRISE_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"

/* What a connection resumes by; LOAD_PLAIN is TCP without TLS, to measure what TLS adds.
 * Rows of a table in options.c. */
enum load_kind { LOAD_FULL, LOAD_ID, LOAD_TICKET, LOAD_PSK, LOAD_PLAIN, LOAD_KINDS };

/* Whether a kind has sessions at all. */
bool load_kind_resumes(enum load_kind kind);

/* Where a connection is ended on purpose. */
enum load_abort { LOAD_ABORT_NONE, LOAD_ABORT_HELLO, LOAD_ABORT_HANDSHAKE, LOAD_ABORTS };

/* What is sent and awaited after the handshake. */
enum load_ask { LOAD_ASK_HTTP, LOAD_ASK_PAYLOAD, LOAD_ASK_NOTHING };

/* How a connection that is done ends: close_notify and wait for the server's end (which then
 * keeps the port in TIME_WAIT, not we); close_notify and close; close_notify and a reset. */
enum load_close { LOAD_CLOSE_WAIT, LOAD_CLOSE_FIN, LOAD_CLOSE_RESET };

#define LOAD_TARGETS_MAX 64
#define LOAD_SOURCES_MAX 256
#define LOAD_WORKERS_MAX 64

struct load_address {
    struct sockaddr_storage addr;
    socklen_t len;
};

struct load_options {
    struct load_address targets[LOAD_TARGETS_MAX];
    size_t target_count;
    struct load_address sources[LOAD_SOURCES_MAX]; /* local addresses, taken in turn */
    size_t source_count;
    char **names;      /* owned: server names, taken in turn */
    size_t name_count; /* 0: no name is sent */

    bool kinds[LOAD_KINDS];          /* one of them is drawn for each connection */
    double resume;                   /* the share of LOAD_ID to LOAD_PSK that resumes, 0 to 1 */
    double abort_share[LOAD_ABORTS]; /* of all connections; sum at most 1 */

    unsigned connections; /* closed loop: open at a time; idle: being made at a time */
    double rate;          /* open loop: arrivals a second, all workers; 0: closed loop */
    unsigned max_open;    /* open loop: the most that may be open at a time */
    unsigned idle;        /* hold this many; 0: not so */
    uint64_t duration_ms; /* 0: no end but the count's */
    uint64_t count;       /* connections; 0: no end but the duration's */
    unsigned timeout_ms;  /* of one connection */
    unsigned workers;

    uint16_t tls; /* of LOAD_FULL: 0x0303 or 0x0304; 0: both are offered */
    const char *groups;
    const char *ciphers;
    struct bytes alpn; /* owned; as RFC 7301 has it on the wire */
    const char *ca_file;

    enum load_ask ask;
    const char *path;    /* LOAD_ASK_HTTP */
    uint64_t send_bytes; /* LOAD_ASK_PAYLOAD */
    uint64_t expect_bytes;
    bool echo; /* what comes back is what was sent, and compared */
    enum load_close close;

    unsigned sessions;        /* kept by each worker for each kind, name and target */
    uint64_t session_life_ms; /* older ones are not offered any more */
    bool across;              /* a session is offered to whichever target's turn it is */

    int server_pid; /* whose tree's CPU and memory is measured; 0: none */
};

/* The defaults. The object is to be freed with load_options_free. */
void load_options_init(struct load_options *options);
void load_options_free(struct load_options *options);
/* Of these, the server names only. */
void load_free_names(struct load_options *options);

/* Readers of one option's text each. Return 0, or -1 with `err` set. The text must outlive
 * the options. */
int load_read_kinds(struct load_options *options, const char *text, struct err *err);
/* "hello", "handshake", each perhaps with ":SHARE" (of all connections; 1 without). */
int load_read_abort(struct load_options *options, const char *text, struct err *err);
/* "100": an echo of 100 bytes; "100:4k": 100 bytes there, 4096 of any kind back. */
int load_read_payload(struct load_options *options, const char *text, struct err *err);
/* "h2,http/1.1" */
int load_read_alpn(struct load_options *options, const char *text, struct err *err);
int load_read_names(struct load_options *options, const char *text, struct err *err);
int load_read_close(struct load_options *options, const char *text, struct err *err);
/* "127.0.0.2,127.0.0.3" or "127.0.0.2-127.0.0.9"; numeric addresses. */
int load_read_sources(struct load_options *options, const char *text, struct err *err);
/* HOST:PORT; every name is looked up now, and its first address is taken. */
int load_read_target(struct load_options *options, const char *text, struct err *err);
/* A share, 0 to 1. */
int load_read_share(const char *text, double *share, struct err *err);
/* Bytes: a number with k, M or G behind it (powers of 1024), or with nothing. */
int load_read_bytes(const char *text, uint64_t *bytes, struct err *err);

/* What does not go together. Returns 0, or -1 with `err` set. */
int load_options_check(const struct load_options *options, struct err *err);

/* The word of a kind or of an abort: "full", "id", ...; "hello", "handshake". */
const char *load_kind_word(enum load_kind kind);
const char *load_abort_word(enum load_abort abort);
/* "TLS 1.2 by ticket" */
const char *load_kind_text(enum load_kind kind);

/* What one connection is to be. */
struct load_plan {
    enum load_kind kind;
    bool resume; /* offers a session and must be resumed */
    enum load_abort abort;
};

/* Draws a plan. `random` are 64 random bits, a new draw each time. */
struct load_plan load_draw(const struct load_options *options, uint64_t random);

#endif
