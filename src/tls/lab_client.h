/* lab_client.h: what `reprise lab` asks of a client beyond tls/client.h: the secrets of its
 * connections, sessions offered past their time, and a request to renegotiate, which the
 * library's client never makes.
 */
#ifndef REPRISE_TLS_LAB_CLIENT_H
#define REPRISE_TLS_LAB_CLIENT_H

#include "tls/client.h"

/* Where key-log lines go (SSLKEYLOGFILE's format, without the line's end). */
struct tls_lab_keys {
    void (*on_line)(void *context, const char *line);
    void *context;
};

/* Has the secrets of all connections of the context told. `keys` is borrowed and outlives it. */
void tls_lab_tell_keys(SSL_CTX *ctx, const struct tls_lab_keys *keys);

/* Lets the client offer the session for so long, whatever lifetime the server told. */
void tls_lab_keep_session(SSL_SESSION *session, uint32_t lifetime_s);

enum tls_lab_renegotiation {
    TLS_LAB_LEGACY, /* without RFC 5746's extension: what it was before 2010 */
    TLS_LAB_SECURE, /* renegotiation_info has the client's verify_data (RFC 5746 3.5) */
};

#define TLS_LAB_HELLO_MAX 512

/* Puts into io.out a ClientHello for a second handshake on the connection (TLS 1.2 with
 * AES-128-GCM, the first one done), sealed under its keys as RFC 5246 7.4.1.2 has it. Nothing
 * may be written afterwards. Returns 0, or -1 with err set. */
int tls_lab_renegotiate(const struct tls_client_conn *conn, struct tls_client *client,
                        enum tls_lab_renegotiation kind, struct err *err);

#endif
