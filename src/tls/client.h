/* client.h: the client's side of TLS, for `reprise bench`.
 *
 * As on the server's side the library sees buffers and no descriptor (tls/io.h). One
 * process has one `struct tls_client`; connections are made from contexts, one for each way
 * of connecting. Sessions that a server issues are handed to the caller as they come.
 *
 * Order of calls for a connection: tls_client_start, tls_client_handshake until it is done,
 * then read, write, close_notify, and tls_client_end.
 */
#ifndef REPRISE_TLS_CLIENT_H
#define REPRISE_TLS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "tls/io.h"

/* How a context connects. Texts are borrowed until tls_client_context returns. */
struct tls_client_way {
    uint16_t version_min; /* 0x0303 or 0x0304 */
    uint16_t version_max;
    bool no_tickets;     /* TLS 1.2: asks for none, so that sessions have an ID */
    const char *groups;  /* "X25519:P-256"; null: the library's */
    const char *ciphers; /* names with ':' between, of either version; null: the library's */
    struct bytes alpn;   /* RFC 7301 3.1: each protocol with its length before it; may be empty */
    const char *ca_file; /* verify certificates against it; null: take any */
};

struct tls_client {
    struct tls_io io;
    struct tls_bio bio;
};

/* How a handshake or a connection broke. */
enum tls_client_fault {
    TLS_FAULT_NONE,
    TLS_FAULT_ALERT,       /* the server sent a fatal alert: tls_client_conn.alert */
    TLS_FAULT_CERTIFICATE, /* its certificate did not verify */
    TLS_FAULT_PROTOCOL,    /* what it sent is no TLS, or not what may follow */
};

struct tls_client_conn {
    SSL *ssl; /* owned; null: not started */
    /* Called with each session that the server issues. Returns whether it takes the
     * reference, which is then to be given to tls_client_session_free. */
    bool (*on_session)(struct tls_client_conn *conn, SSL_SESSION *session);
    enum tls_client_fault fault;
    uint8_t alert;
    const char *error; /* static text, or null */
};

/* Makes a context (owned; SSL_CTX_free). Null with `err` set when a name of a group, a
 * cipher or the file is not understood. */
SSL_CTX *tls_client_context(const struct tls_client_way *way, struct err *err);
void tls_client_context_free(SSL_CTX *ctx);

/* Prepares a process whose io is set. Returns 0 or -1 without memory. */
int tls_client_init(struct tls_client *client);
void tls_client_fini(struct tls_client *client);

/* Makes a connection; on_session is set before. `name` is the server's (null: none is
 * sent), `session` (null: none) is offered. Returns 0, or -1 without memory. */
int tls_client_start(struct tls_client_conn *conn, const struct tls_client *client, SSL_CTX *ctx,
                     const char *name, SSL_SESSION *session);

/* Goes on with the handshake: TLS_DONE once, TLS_AGAIN or TLS_FAILED. */
enum tls_status tls_client_handshake(struct tls_client_conn *conn);

/* Decrypts up to cap bytes. TLS_DONE with *len > 0, TLS_AGAIN, TLS_EOF or TLS_FAILED. */
enum tls_status tls_client_read(struct tls_client_conn *conn, uint8_t *buf, size_t cap,
                                size_t *len);

/* Encrypts all of `data` into io.out, which must have room for tls_sealed_max of it. */
enum tls_status tls_client_write(struct tls_client_conn *conn, struct bytes data);

/* Puts close_notify into io.out. */
void tls_client_close_notify(struct tls_client_conn *conn);

/* Frees the library's object. A connection that was not started may be given. */
void tls_client_end(struct tls_client_conn *conn);

/* After the handshake. */
bool tls_client_resumed(const struct tls_client_conn *conn);
uint16_t tls_client_version(const struct tls_client_conn *conn);

/* A session has a ticket, or has not and goes by its ID; false for TLS 1.3 that is not
 * resumable as well. */
bool tls_client_session_has_ticket(const SSL_SESSION *session);
bool tls_client_session_usable(const SSL_SESSION *session);
uint16_t tls_client_session_version(const SSL_SESSION *session);
/* One reference more, which is returned; one less. */
SSL_SESSION *tls_client_session_ref(SSL_SESSION *session);
void tls_client_session_free(SSL_SESSION *session);

#endif
