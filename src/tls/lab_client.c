/* lab_client.c: see lab_client.h. */
#include "tls/lab_client.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>

#define KEY_LEN 16
#define SALT_LEN 4
#define EXPLICIT_LEN 8 /* RFC 5288 3: the record's part of the nonce */
#define NONCE_LEN (SALT_LEN + EXPLICIT_LEN)
#define TAG_LEN 16
#define KEY_BLOCK_LEN (2 * KEY_LEN + 2 * SALT_LEN)
#define VERIFY_DATA_LEN 12
#define HEADER_LEN 4
#define RECORD_TYPE_HANDSHAKE 22
#define SUITE_ECDHE_ECDSA_AES_128_GCM 0xc02b
#define SUITE_ECDHE_RSA_AES_128_GCM 0xc02f

static void keys_tell(const SSL *ssl, const char *line) {
    const struct tls_lab_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    keys->on_line(keys->context, line);
}

void tls_lab_tell_keys(SSL_CTX *ctx, const struct tls_lab_keys *keys) {
    union {
        const struct tls_lab_keys *in;
        void *out;
    } unconst = { keys };
    SSL_CTX_set_app_data(ctx, unconst.out);
    SSL_CTX_set_keylog_callback(ctx, keys_tell);
}

void tls_lab_keep_session(SSL_SESSION *session, uint32_t lifetime_s) {
    SSL_SESSION_set_timeout(session, lifetime_s);
}

static void write_extensions(struct writer *w, const SSL *ssl, enum tls_lab_renegotiation kind) {
    static const uint8_t always[] = {
        0x00, 0x0a, 0, 4, 0, 2, 0x00, 0x1d,       /* supported_groups: x25519 */
        0x00, 0x0b, 0, 2, 1, 0,                   /* ec_point_formats */
        0x00, 0x0d, 0, 6, 0, 4, 4,    3,    8, 4, /* signature_algorithms */
        0x00, 0x17, 0, 0,                         /* extended_master_secret */
    };
    writer_put(w, always, sizeof(always));
    if (kind == TLS_LAB_SECURE) {
        uint8_t verify_data[VERIFY_DATA_LEN];
        if (SSL_get_finished(ssl, verify_data, sizeof(verify_data)) != sizeof(verify_data)) {
            w->failed = true;
        }
        writer_u16(w, 0xff01);
        writer_u16(w, VERIFY_DATA_LEN + 1);
        writer_u8(w, VERIFY_DATA_LEN);
        writer_put(w, verify_data, sizeof(verify_data));
    }
}

/* A ClientHello with its message header. Returns the length, or 0. */
static size_t write_hello(const SSL *ssl, enum tls_lab_renegotiation kind,
                          uint8_t out[static TLS_LAB_HELLO_MAX]) {
    uint8_t extensions[TLS_LAB_HELLO_MAX / 2];
    uint8_t random[32];
    struct writer e = writer_of(extensions, sizeof(extensions));
    struct writer w = writer_of(out, TLS_LAB_HELLO_MAX);
    write_extensions(&e, ssl, kind);
    RAND_bytes(random, sizeof(random));
    writer_u32(&w, 0); /* the header, once the length is known */
    writer_u16(&w, TLS1_2_VERSION);
    writer_put(&w, random, sizeof(random));
    writer_u8(&w, 0); /* session ID */
    writer_u16(&w, 4);
    writer_u16(&w, SUITE_ECDHE_ECDSA_AES_128_GCM);
    writer_u16(&w, SUITE_ECDHE_RSA_AES_128_GCM);
    writer_u16(&w, 0x0100); /* one compression method: null */
    writer_u16(&w, (uint16_t)(e.at - extensions));
    writer_put(&w, extensions, (size_t)(e.at - extensions));
    if (w.failed || e.failed) {
        return 0;
    }
    size_t len = (size_t)(w.at - out);
    w = writer_of(out, HEADER_LEN);
    writer_u32(&w, (uint32_t)SSL3_MT_CLIENT_HELLO << 24 | (uint32_t)(len - HEADER_LEN));
    return len;
}

/* Writes `len` bytes as a record: its header, the explicit nonce, ciphertext, tag. */
static void seal_record(const SSL *ssl, const uint8_t keys[static KEY_BLOCK_LEN],
                        struct bytes plain, struct writer *out) {
    uint8_t nonce[NONCE_LEN];
    uint8_t ad[13];
    uint8_t sealed[TLS_LAB_HELLO_MAX + TAG_LEN];
    size_t sealed_len = 0;
    uint64_t sequence = SSL_get_write_sequence(ssl);
    struct writer n = writer_of(nonce, sizeof(nonce));
    writer_put(&n, keys + (size_t)2 * KEY_LEN, SALT_LEN); /* the client's: RFC 5246 6.3 */
    writer_u64(&n, sequence);
    struct writer a = writer_of(ad, sizeof(ad)); /* RFC 5246 6.2.3.3 */
    writer_u64(&a, sequence);
    writer_u8(&a, RECORD_TYPE_HANDSHAKE);
    writer_u16(&a, TLS1_2_VERSION);
    writer_u16(&a, (uint16_t)plain.len);
    EVP_AEAD_CTX *aead = EVP_AEAD_CTX_new(EVP_aead_aes_128_gcm(), keys, KEY_LEN, TAG_LEN);
    if (!aead || !EVP_AEAD_CTX_seal(aead, sealed, &sealed_len, sizeof(sealed), nonce, sizeof(nonce),
                                    plain.data, plain.len, ad, sizeof(ad))) {
        out->failed = true;
    }
    EVP_AEAD_CTX_free(aead);
    writer_u8(out, RECORD_TYPE_HANDSHAKE);
    writer_u16(out, TLS1_2_VERSION);
    writer_u16(out, (uint16_t)(EXPLICIT_LEN + sealed_len));
    writer_u64(out, sequence);
    writer_put(out, sealed, sealed_len);
}

int tls_lab_renegotiate(const struct tls_client_conn *conn, struct tls_client *client,
                        enum tls_lab_renegotiation kind, struct err *err) {
    uint8_t keys[KEY_BLOCK_LEN];
    uint8_t hello[TLS_LAB_HELLO_MAX];
    struct tls_io *io = &client->io;
    if (SSL_version(conn->ssl) != TLS1_2_VERSION ||
        SSL_get_key_block_len(conn->ssl) != KEY_BLOCK_LEN ||
        !SSL_generate_key_block(conn->ssl, keys, sizeof(keys))) {
        ERR_clear_error();
        return err_set(err, "only TLS 1.2 connections with AES-128-GCM are renegotiated here");
    }
    size_t len = write_hello(conn->ssl, kind, hello);
    struct writer out = writer_of(io->out + io->out_len, io->out_cap - io->out_len);
    seal_record(conn->ssl, keys, (struct bytes){ hello, len }, &out);
    OPENSSL_cleanse(keys, sizeof(keys));
    if (len == 0 || out.failed) {
        ERR_clear_error();
        return err_set(err, "the request to renegotiate could not be made");
    }
    io->out_len = (size_t)(out.at - io->out);
    return 0;
}
