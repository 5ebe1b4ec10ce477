/* io.h: the library's end of a connection: buffers of the caller, and no descriptor.
 *
 * A process has one `struct tls_io`: the bytes just received are read from `in`, and what
 * the library wants to send gathers in `out`. Both belong to the connection being worked
 * on, and the caller empties them before it turns to the next. So a connection costs one
 * receive for each readiness and one send for each flight.
 */
#ifndef REPRISE_TLS_IO_H
#define REPRISE_TLS_IO_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/bytes.h"

struct tls_io {
    struct bytes in; /* borrowed: received, not yet taken by the library */
    uint8_t *out;    /* borrowed storage of out_cap bytes */
    size_t out_len;
    size_t out_cap;
};

enum tls_status {
    TLS_DONE,   /* did what was asked */
    TLS_AGAIN,  /* needs more input, or room in `out` */
    TLS_EOF,    /* the peer sent close_notify */
    TLS_FAILED, /* the connection's `error` tells why */
};

/* What all connections of a process share. */
struct tls_bio {
    BIO *bio;           /* owned */
    BIO_METHOD *method; /* owned */
};

/* Prepares it over `io`, which is borrowed and must outlive it. Returns 0, or -1 without memory. */
int tls_bio_open(struct tls_bio *bio, struct tls_io *io);

/* Gives a connection of the library these buffers. */
void tls_bio_attach(const struct tls_bio *bio, SSL *ssl);

void tls_bio_close(struct tls_bio *bio);

/* The most that `len` bytes of plaintext become on the wire, with what else may
 * go out before them. */
size_t tls_sealed_max(size_t len);

#endif
