/* conn.h: one TLS connection: a ClientHello in, a verdict carried out, then bytes.
 *
 * The library never sees a descriptor: see tls/io.h. A worker has one `struct
 * tls_io`, which the connection being worked on has to itself.
 *
 * Order of calls: tls_conn_start once a whole ClientHello is there, then
 * tls_conn_handshake until it is done, then read, write, close_notify, and
 * tls_conn_free. All in one worker.
 */
#ifndef REPRISE_TLS_CONN_H
#define REPRISE_TLS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "resume/resume.h"
#include "tls/context.h"
#include "tls/io.h"

#define TLS_NAME_MAX 255

/* A session that must not be resumed, in a cache whose lock was not to be had. */
struct tls_forgotten {
    struct cache *cache; /* borrowed */
    enum cache_mark mark;
    uint8_t id[CACHE_ID_LEN];
};

#define TLS_FORGOTTEN_MAX 64

/* A worker's own; every connection points to it. */
struct tls_worker {
    struct resume resume;
    struct tls_io io;
    struct tls_bio bio; /* over io; shared by the worker's connections */
    int keylog_fd;      /* borrowed; -1: none */
    uint64_t now_ms;    /* since 1970; set by the loop before any call */
    struct tls_forgotten forgotten[TLS_FORGOTTEN_MAX]; /* to be tried again */
    unsigned forgotten_count;
};

/* Prepares a worker whose resume and io are set. Returns 0 or -1 without memory. */
int tls_worker_init(struct tls_worker *worker);
void tls_worker_fini(struct tls_worker *worker);

/* Takes those sessions away that tls_conn_forget_session could not. To be called now and
 * then. */
void tls_worker_forget(struct tls_worker *worker);

/* What broke a connection, for the log and for what must follow. */
enum tls_failure {
    TLS_FAILURE_NONE,
    TLS_FAILURE_ERROR,         /* a fatal alert was sent or received, or a broken record */
    TLS_FAILURE_RENEGOTIATION, /* the client asked to renegotiate: refused (R20) */
    TLS_FAILURE_BINDER,        /* a PSK binder did not verify */
};

struct tls_conn {
    SSL *ssl;                          /* owned */
    struct tls_worker *worker;         /* borrowed */
    const struct tls_profile *profile; /* borrowed */
    struct cache *cache;               /* borrowed; null when the profile's box is off */
    bool tickets;                      /* the box of tickets, as it stood at the start */
    char *server_name;                 /* owned; lower case; null when the hello has none */
    struct bytes alpn;                 /* borrowed from the configuration */
    struct resume_verdict
        verdict;           /* its session bytes are good until the handshake's first call ends */
    enum resume_by issued; /* what this handshake gave the client */
    struct sealer_key issued_key;
    uint64_t client_chain_expiry_s; /* of what was verified here; 0: no client certificate */
    uint8_t id[CACHE_ID_LEN];       /* of the cache entry issued or resumed */
    bool has_id;
    bool unpatched; /* a TLS 1.2 client that does not know RFC 5746 */
    bool decided;   /* the verdict is set */
    bool resumed;
    bool done;            /* the handshake is over */
    bool not_kept;        /* a session was to be issued and was too large, or no key was there */
    bool issue_none;      /* the client asked for no TLS 1.3 ticket (RFC 9149) */
    bool skip_early;      /* it sends early data, which is refused (RFC 8446 4.2.10) */
    uint8_t last_message; /* the type of the handshake message read last */
    enum tls_failure failure;
    const char *refusal; /* static text: why refuse_message sent an alert; or null */
    const char *error;   /* static text, or null */
};

/* What tls_conn_start needs to know of a hello. */
struct tls_start {
    const struct tls_profile *profile;
    struct resume_stores stores;
    const struct hello *hello;
    struct bytes server_name; /* lower case; empty when there is none */
};

/* Decides what the hello may resume and makes the connection for it. Returns
 * TLS_DONE; or TLS_FAILED with *alert set to what to tell the client when there
 * is nothing to shake hands about (no common version, no common ALPN protocol,
 * RFC 7627's abort, an unpatched client under require-strict). The caller's
 * `conn` storage is filled in both cases and is to be freed. */
enum tls_status tls_conn_start(struct tls_conn *conn, struct tls_worker *worker,
                               const struct tls_start *start, uint8_t *alert);

/* Goes on with the handshake: TLS_DONE once it is over (resumed, issued and so on
 * are then final), TLS_AGAIN or TLS_FAILED. Tickets of TLS 1.3 are in `out` when
 * it is done. */
enum tls_status tls_conn_handshake(struct tls_conn *conn);

/* Whether TLS 1.3 is spoken; the handshake is over. */
bool tls_conn_is_tls13(const struct tls_conn *conn);

/* Decrypts up to cap bytes. TLS_DONE with *len > 0, TLS_AGAIN, TLS_EOF or TLS_FAILED. */
enum tls_status tls_conn_read(struct tls_conn *conn, uint8_t *buf, size_t cap, size_t *len);

/* Encrypts all of `data` into `out`, which must have room for tls_sealed_max
 * of it. TLS_DONE or TLS_FAILED. */
enum tls_status tls_conn_write(struct tls_conn *conn, struct bytes data);

/* Puts close_notify into `out`. Reading goes on (half-close). */
void tls_conn_close_notify(struct tls_conn *conn);

/* The session of this connection must not be resumed by ID any more (RFC 5246
 * 7.2.2 after a fatal alert: R18; strict-resume after an unclean end). `mark` is
 * what a later offer is told. Where the cache's lock is not to be had it is left to
 * tls_worker_forget, for TLS_FORGOTTEN_MAX sessions at most. */
void tls_conn_forget_session(const struct tls_conn *conn, enum cache_mark mark);

void tls_conn_free(struct tls_conn *conn);

/* Names for the log and the backend; static texts, or null before they are known. */
const char *tls_conn_version(const struct tls_conn *conn);
const char *tls_conn_cipher(const struct tls_conn *conn);
const char *tls_conn_group(const struct tls_conn *conn);

/* The server certificate of this connection's session; null where that can't be
 * told (TLS 1.3 with several). Borrowed from the profile. */
const struct tls_certificate *tls_conn_certificate(const struct tls_conn *conn);

/* The client certificate's state. common_name (cap bytes) is emptied without one. */
struct tls_client_cert {
    bool shown;      /* over this connection */
    bool in_session; /* over the session, perhaps an earlier connection */
    uint32_t verify; /* 0: good, or none asked; else the library's X509_V_ERR_* */
};
struct tls_client_cert tls_conn_client_cert(const struct tls_conn *conn, char *common_name,
                                            size_t cap);

/* For context.c: sets the callbacks of a context. */
void tls_conn_set_callbacks(SSL_CTX *ctx);

#endif
