/* client.c: see client.h. */
#include "tls/client.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#define CIPHERS_MAX 2048

static struct tls_client_conn *conn_of(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}

static int session_new(SSL *ssl, SSL_SESSION *session) {
    struct tls_client_conn *conn = conn_of(ssl);
    return conn->on_session && conn->on_session(conn, session);
}

/* The application data of a context that verifies: without certificates parsed the library
 * takes no name to compare with. */
static const char ca_mark[] = "verifies";

static bool verifies_names(const SSL_CTX *ctx) {
    return SSL_CTX_get_app_data(ctx) == ca_mark;
}

/* A load tool that pays for verifying is slower than what it measures. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the library's form */
static enum ssl_verify_result_t verify_nothing(SSL *ssl, uint8_t *alert) {
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

/* TLS 1.3's ciphers have a list of their own in the library; their names tell them. */
static int set_ciphers(SSL_CTX *ctx, const char *names, struct err *err) {
    char lists[2][CIPHERS_MAX] = { "", "" };
    char copy[CIPHERS_MAX];
    char *rest = copy;
    if (strlen(names) >= sizeof(copy)) {
        return err_set(err, "the list of ciphers is too long");
    }
    strcpy(copy, names); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy): it fits */
    for (char *name; (name = strsep(&rest, ":"));) {
        bool tls13 = strncmp(name, "TLS_AES_", 8) == 0 || strncmp(name, "TLS_CHACHA20_", 13) == 0;
        char *list = lists[tls13];
        if (*list) {
            strcat(list, ":"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy): as above */
        }
        strcat(list, name); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy): as above */
    }
    if ((*lists[0] && !SSL_CTX_set_strict_cipher_list(ctx, lists[0])) ||
        (*lists[1] && !SSL_CTX_set_ciphersuites(ctx, lists[1]))) {
        return err_set(err, "'%s': a cipher in it is not known", names);
    }
    return 0;
}

static int set_names(SSL_CTX *ctx, const struct tls_client_way *way, struct err *err) {
    if (way->groups && !SSL_CTX_set1_groups_list(ctx, way->groups)) {
        return err_set(err, "'%s': a group in it is not known", way->groups);
    }
    if (way->ciphers && set_ciphers(ctx, way->ciphers, err) != 0) {
        return -1;
    }
    if (way->ca_file && !SSL_CTX_load_verify_locations(ctx, way->ca_file, NULL)) {
        return err_set(err, "cannot read certificates from '%s'", way->ca_file);
    }
    if (way->alpn.len > 0 && SSL_CTX_set_alpn_protos(ctx, way->alpn.data, way->alpn.len) != 0) {
        return err_set(err, "the list of protocols is not understood");
    }
    return 0;
}

SSL_CTX *tls_client_context(const struct tls_client_way *way, struct err *err) {
    /* Without verification certificates need not be parsed. */
    SSL_CTX *ctx = SSL_CTX_new(way->ca_file ? TLS_method() : TLS_with_buffers_method());
    if (!ctx || !SSL_CTX_set_min_proto_version(ctx, way->version_min) ||
        !SSL_CTX_set_max_proto_version(ctx, way->version_max)) {
        err_set(err, "cannot make a TLS context");
        goto fail;
    }
    if (set_names(ctx, way, err) != 0) {
        goto fail;
    }
    if (way->ca_file) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_app_data(ctx, (void *)ca_mark);
    } else {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, verify_nothing);
    }
    if (way->no_tickets) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, session_new);
    ERR_clear_error();
    return ctx;
fail:
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}

void tls_client_context_free(SSL_CTX *ctx) {
    SSL_CTX_free(ctx);
}

int tls_client_init(struct tls_client *client) {
    return tls_bio_open(&client->bio, &client->io);
}

void tls_client_fini(struct tls_client *client) {
    tls_bio_close(&client->bio);
}

int tls_client_start(struct tls_client_conn *conn, const struct tls_client *client, SSL_CTX *ctx,
                     const char *name, SSL_SESSION *session) {
    conn->fault = TLS_FAULT_NONE;
    conn->alert = 0;
    conn->error = NULL;
    conn->ssl = SSL_new(ctx);
    if (!conn->ssl) {
        return -1;
    }
    SSL_set_app_data(conn->ssl, conn);
    tls_bio_attach(&client->bio, conn->ssl);
    SSL_set_connect_state(conn->ssl);
    SSL_set_shed_handshake_config(conn->ssl, 1);
    if ((name && !SSL_set_tlsext_host_name(conn->ssl, name)) ||
        (session && !SSL_set_session(conn->ssl, session)) ||
        (name && verifies_names(ctx) && !SSL_set1_host(conn->ssl, name))) {
        ERR_clear_error();
        tls_client_end(conn);
        return -1;
    }
    return 0;
}

/* Empties the error queue into fault, alert and error. */
static enum tls_status conn_fail(struct tls_client_conn *conn) {
    uint32_t code = ERR_get_error();
    int number = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    conn->fault = TLS_FAULT_PROTOCOL;
    if (number > SSL_AD_REASON_OFFSET && number < SSL_AD_REASON_OFFSET + 256) {
        conn->fault = TLS_FAULT_ALERT;
        conn->alert = (uint8_t)(number - SSL_AD_REASON_OFFSET);
    } else if (number == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        conn->fault = TLS_FAULT_CERTIFICATE;
    }
    conn->error = reason ? reason : "connection broken";
    ERR_clear_error();
    return TLS_FAILED;
}

static enum tls_status conn_result(struct tls_client_conn *conn, int rc) {
    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    default:
        return conn_fail(conn);
    }
}

enum tls_status tls_client_handshake(struct tls_client_conn *conn) {
    int rc = SSL_do_handshake(conn->ssl);
    if (rc == 1) {
        return TLS_DONE;
    }
    enum tls_status status = conn_result(conn, rc);
    return status == TLS_EOF ? conn_fail(conn) : status;
}

enum tls_status tls_client_read(struct tls_client_conn *conn, uint8_t *buf, size_t cap,
                                size_t *len) {
    int n = SSL_read(conn->ssl, buf, cap < INT32_MAX ? (int)cap : INT32_MAX);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? TLS_DONE : conn_result(conn, n);
}

enum tls_status tls_client_write(struct tls_client_conn *conn, struct bytes data) {
    while (data.len > 0) {
        int n = SSL_write(conn->ssl, data.data, data.len < INT32_MAX ? (int)data.len : INT32_MAX);
        if (n <= 0) {
            return conn_fail(conn);
        }
        data.data += n;
        data.len -= (size_t)n;
    }
    return TLS_DONE;
}

void tls_client_close_notify(struct tls_client_conn *conn) {
    SSL_shutdown(conn->ssl);
    ERR_clear_error();
}

void tls_client_end(struct tls_client_conn *conn) {
    SSL_free(conn->ssl);
    conn->ssl = NULL;
}

bool tls_client_resumed(const struct tls_client_conn *conn) {
    return SSL_session_reused(conn->ssl) == 1;
}

uint16_t tls_client_version(const struct tls_client_conn *conn) {
    return (uint16_t)SSL_version(conn->ssl);
}

bool tls_client_session_has_ticket(const SSL_SESSION *session) {
    return SSL_SESSION_has_ticket(session) == 1;
}

bool tls_client_session_usable(const SSL_SESSION *session) {
    return SSL_SESSION_is_resumable(session) == 1;
}

uint16_t tls_client_session_version(const SSL_SESSION *session) {
    return SSL_SESSION_get_protocol_version(session);
}

SSL_SESSION *tls_client_session_ref(SSL_SESSION *session) {
    SSL_SESSION_up_ref(session);
    return session;
}

void tls_client_session_free(SSL_SESSION *session) {
    SSL_SESSION_free(session);
}
