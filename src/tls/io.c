/* io.c: see io.h. */
#include "tls/io.h"

#include <string.h>

#define RECORD_PLAIN_MAX 16384
#define RECORD_EXTRA_MAX 64    /* header, nonce, tag, inner type of one record */
#define PENDING_EXTRA_MAX 8192 /* tickets, alerts, key updates that go out first */

static int io_read(BIO *bio, char *out, int len) {
    struct tls_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (io->in.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = io->in.len < (size_t)len ? io->in.len : (size_t)len;
    memcpy(out, io->in.data, n);
    io->in.data += n;
    io->in.len -= n;
    return (int)n;
}

static int io_write(BIO *bio, const char *data, int len) {
    struct tls_io *io = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t room = io->out_cap - io->out_len;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t n = room < (size_t)len ? room : (size_t)len;
    memcpy(io->out + io->out_len, data, n);
    io->out_len += n;
    return (int)n;
}

static long io_ctrl(BIO *bio, int command, long num, void *ptr) {
    (void)bio;
    (void)num;
    (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

int tls_bio_open(struct tls_bio *bio, struct tls_io *io) {
    *bio = (struct tls_bio){ 0 };
    bio->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "reprise");
    if (!bio->method || !BIO_meth_set_read(bio->method, io_read) ||
        !BIO_meth_set_write(bio->method, io_write) || !BIO_meth_set_ctrl(bio->method, io_ctrl)) {
        tls_bio_close(bio);
        return -1;
    }
    bio->bio = BIO_new(bio->method);
    if (!bio->bio) {
        tls_bio_close(bio);
        return -1;
    }
    BIO_set_data(bio->bio, io);
    BIO_set_init(bio->bio, 1);
    return 0;
}

void tls_bio_attach(const struct tls_bio *bio, SSL *ssl) {
    BIO_up_ref(bio->bio);
    SSL_set_bio(ssl, bio->bio, bio->bio);
}

void tls_bio_close(struct tls_bio *bio) {
    BIO_free(bio->bio);
    BIO_meth_free(bio->method);
    *bio = (struct tls_bio){ 0 };
}

size_t tls_sealed_max(size_t len) {
    return len + (len / RECORD_PLAIN_MAX + 1) * RECORD_EXTRA_MAX + PENDING_EXTRA_MAX;
}
