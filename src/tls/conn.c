/* conn.c: see conn.h. The callbacks carry out the verdict that tls_conn_start
 * reached; none of them decides anything. */
#include "tls/conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "wire/limits.h"

#define TLS12_VERIFY_DATA_LEN 12 /* RFC 5246 7.4.9 */

/* The process's worker, for the one callback that is given no connection. */
static const struct tls_worker *the_worker;

static struct tls_conn *conn_of(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}

int tls_worker_init(struct tls_worker *worker) {
    if (tls_bio_open(&worker->bio, &worker->io) != 0) {
        return -1;
    }
    the_worker = worker;
    return 0;
}

void tls_worker_fini(struct tls_worker *worker) {
    tls_bio_close(&worker->bio);
    the_worker = NULL;
}

/* --- making records ------------------------------------------------------ */

/* When the first certificate of a chain expires. */
static uint64_t chain_expiry_s(const STACK_OF(X509) * chain) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = 0;
        if (!ASN1_TIME_to_posix(X509_get0_notAfter(sk_X509_value(chain, i)), &end) || end <= 0) {
            end = 1; /* a time that can't be told is over */
        }
        first = end < first ? end : first;
    }
    return (uint64_t)first;
}

/* Verifies the client's certificate as the library would, and notes when that would fail:
 * the authority, which clients do not send, expires as well (R7). */
static int verify_client(X509_STORE_CTX *store, void *arg) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    (void)arg;
    int rc = X509_verify_cert(store);
    if (rc == 1) {
        conn_of(ssl)->client_chain_expiry_s = chain_expiry_s(X509_STORE_CTX_get0_chain(store));
    }
    return rc;
}

static struct bytes conn_server_name(const struct tls_conn *conn) {
    const char *name = conn->server_name;
    return (struct bytes){ (const uint8_t *)name, name ? strlen(name) : 0 };
}

static struct resume_made conn_made(const struct tls_conn *conn, enum resume_by kind,
                                    struct bytes session) {
    const SSL_CIPHER *cipher = SSL_get_pending_cipher(conn->ssl);
    if (!cipher) {
        cipher = SSL_get_current_cipher(conn->ssl);
    }
    bool resumed = SSL_session_reused(conn->ssl) == 1;
    return (struct resume_made){
        .policy = &conn->profile->policy,
        .kind = kind,
        .protocol = (uint16_t)SSL_version(conn->ssl),
        .cipher = cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0,
        .ems = SSL_version(conn->ssl) == TLS1_2_VERSION && SSL_get_extms_support(conn->ssl),
        .server_name = conn_server_name(conn),
        .alpn = conn->alpn,
        .session = session,
        .now_ms = conn->worker->now_ms,
        .client_chain_expiry_s = resumed ? 0 : conn->client_chain_expiry_s,
        .resumed = resumed ? &conn->verdict : NULL,
    };
}

static size_t ticket_max_overhead(SSL *ssl) {
    (void)ssl;
    return resume_ticket_max(0);
}

/* A TLS 1.3 ticket that is a handle: the session goes into the cache (design:
 * the library itself has no stateful TLS 1.3). */
static int handle_issue(struct tls_conn *conn, struct bytes session, uint8_t *out,
                        size_t *out_len) {
    struct resume_made made = conn_made(conn, RESUME_BY_PSK_STATEFUL, session);
    crypto_random(out, CACHE_ID_LEN);
    /* When it can't be kept the handle just finds nothing: the library has no way
     * to send no ticket once it has asked for one. */
    if (resume_store(&conn->worker->resume, conn->cache, out, &made) == 0) {
        memcpy(conn->id, out, CACHE_ID_LEN);
        conn->has_id = true;
        conn->issued = RESUME_BY_PSK_STATEFUL;
    } else {
        conn->not_kept = true;
    }
    *out_len = CACHE_ID_LEN;
    return 1;
}

static int ticket_seal(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out_len,
                       const uint8_t *in, size_t in_len) {
    struct tls_conn *conn = conn_of(ssl);
    struct bytes session = { in, in_len };
    if (max_out_len < resume_ticket_max(in_len)) {
        return 0;
    }
    bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    if (tls13 && !conn->tickets) {
        return handle_issue(conn, session, out, out_len);
    }
    struct resume_made made = conn_made(conn, tls13 ? RESUME_BY_PSK : RESUME_BY_TICKET, session);
    bool kept = false;
    size_t len = resume_make_ticket(&conn->worker->resume, &made, out, &conn->issued_key, &kept);
    if (kept) {
        conn->issued = made.kind;
    } else {
        conn->not_kept = true;
    }
    if (!kept && !tls13) {
        len = 0; /* RFC 5077 3.3: an empty ticket is none */
    } else if (len == 0) {
        /* No key: random bytes, which no key opens. TLS 1.3 has no empty ticket. */
        len = CACHE_ID_LEN + 1;
        crypto_random(out, len);
    }
    *out_len = len;
    return 1;
}

static enum ssl_ticket_aead_result_t ticket_open(SSL *ssl, uint8_t *out, size_t *out_len,
                                                 size_t max_out_len, const uint8_t *in,
                                                 size_t in_len) {
    struct tls_conn *conn = conn_of(ssl);
    struct bytes session = conn->verdict.session;
    (void)in;
    (void)in_len;
    if (conn->verdict.action != RESUME_ACTION_RESUME ||
        conn->verdict.offered == RESUME_BY_SESSION_ID) {
        return ssl_ticket_aead_ignore_ticket;
    }
    /* A handle is shorter than the session that it stands for: the library's
     * buffer has the ticket's size. hints_give_session is used then. */
    if (session.len > max_out_len) {
        return ssl_ticket_aead_ignore_ticket;
    }
    memcpy(out, session.data, session.len);
    *out_len = session.len;
    return ssl_ticket_aead_success;
}

static const SSL_TICKET_AEAD_METHOD ticket_method = {
    .max_overhead = ticket_max_overhead,
    .seal = ticket_seal,
    .open = ticket_open,
};

static SSL_SESSION *session_get(SSL *ssl, const uint8_t *id, int id_len, int *copy) {
    struct tls_conn *conn = conn_of(ssl);
    (void)id;
    (void)id_len;
    *copy = 0; /* the reference becomes the library's */
    if (conn->verdict.action != RESUME_ACTION_RESUME ||
        conn->verdict.offered != RESUME_BY_SESSION_ID) {
        return NULL;
    }
    SSL_SESSION *session = SSL_SESSION_from_bytes(conn->verdict.session.data,
                                                  conn->verdict.session.len, SSL_get_SSL_CTX(ssl));
    if (session) {
        SSL_SESSION_set_timeout(session, conn->verdict.lifetime_s);
    }
    return session;
}

/* Called when a TLS 1.2 handshake that issued an ID is over. */
static int session_new(SSL *ssl, SSL_SESSION *session) {
    struct tls_conn *conn = conn_of(ssl);
    unsigned id_len = 0;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    uint8_t *data = NULL;
    size_t len = 0;
    if (!conn->cache || id_len != CACHE_ID_LEN || SSL_session_reused(ssl) ||
        !SSL_SESSION_to_bytes_for_ticket(session, &data, &len)) {
        return 0;
    }
    struct resume_made made = conn_made(conn, RESUME_BY_SESSION_ID, (struct bytes){ data, len });
    if (resume_store(&conn->worker->resume, conn->cache, id, &made) == 0) {
        memcpy(conn->id, id, CACHE_ID_LEN);
        conn->has_id = true;
        conn->issued = RESUME_BY_SESSION_ID;
    } else {
        conn->not_kept = true;
    }
    crypto_wipe(data, len);
    OPENSSL_free(data);
    return 0; /* no reference is kept */
}

static int alpn_select(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg) {
    const struct tls_conn *conn = conn_of(ssl);
    (void)in;
    (void)in_len;
    (void)arg;
    if (conn->alpn.len == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = conn->alpn.data;
    *out_len = (uint8_t)conn->alpn.len;
    return SSL_TLSEXT_ERR_OK;
}

/* The library's clock is the one that the decision was made by. AWS-LC passes no
 * SSL here. */
static void current_time(const SSL *ssl, struct timeval *out) {
    uint64_t now_ms = the_worker ? the_worker->now_ms : clock_wall_ms();
    (void)ssl;
    out->tv_sec = (time_t)(now_ms / MS_PER_S);
    out->tv_usec = (suseconds_t)(now_ms % MS_PER_S * 1000);
}

/* One line in one write, so that lines of several workers do not mix. */
static void keylog_line(const SSL *ssl, const char *line) {
    struct iovec parts[2] = { { (void *)(uintptr_t)line, strlen(line) },
                              { (void *)(uintptr_t) "\n", 1 } };
    if (writev(conn_of(ssl)->worker->keylog_fd, parts, 2) < 0) {
        return; /* a debugging aid: the connection goes on */
    }
}

/* The alert for a client's message that the library refuses with another one than
 * the RFC says; 0 for all others. *why is set with it. */
static uint8_t message_alert(const SSL *ssl, struct bytes message, const char **why) {
    struct cursor c = cursor_of(message);
    uint8_t type = cursor_u8(&c);
    struct bytes body = cursor_vec24(&c);
    bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    if (type == SSL3_MT_FINISHED && SSL_in_init(ssl)) {
        const SSL_CIPHER *cipher = SSL_get_pending_cipher(ssl);
        size_t len = tls13 && cipher ? EVP_MD_size(SSL_CIPHER_get_handshake_digest(cipher))
                                     : TLS12_VERIFY_DATA_LEN;
        *why = "Finished of a wrong length";
        return body.len != len ? SSL_AD_DECODE_ERROR : 0; /* the library: decrypt_error */
    }
    if (type == SSL3_MT_KEY_UPDATE && tls13 && body.len == 1) { /* RFC 8446 4.6.3 */
        *why = "KeyUpdate of an unknown kind";
        return body.data[0] > 1 ? SSL_AD_ILLEGAL_PARAMETER : 0; /* the library: decode_error */
    }
    return 0;
}

/* The same for a record's header. After the handshakes of TLS 1.3 all records are
 * application data to the eye (RFC 8446 5); of others the library says that they
 * do not decrypt. */
static uint8_t record_alert(const SSL *ssl, const uint8_t *header, const char **why) {
    if (header[0] == SSL3_RT_APPLICATION_DATA || SSL_in_init(ssl) ||
        SSL_version(ssl) != TLS1_3_VERSION) {
        return 0;
    }
    *why = "record in the clear";
    return SSL_AD_UNEXPECTED_MESSAGE;
}

/* Called with each header and message before the library looks at them. The alert
 * that is sent here is the only one: the library refuses them in any case. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are the library's */
static void refuse_message(int is_write, int version, int type, const void *data, size_t len,
                           SSL *ssl, void *arg) {
    struct tls_conn *conn = conn_of(ssl);
    const char *why = NULL;
    uint8_t alert = 0;
    (void)version;
    (void)arg;
    if (!is_write && type == SSL3_RT_HEADER) {
        alert = record_alert(ssl, data, &why);
    } else if (!is_write && type == SSL3_RT_HANDSHAKE) {
        conn->last_message = len > 0 ? *(const uint8_t *)data : 0;
        alert = message_alert(ssl, (struct bytes){ data, len }, &why);
    }
    if (alert != 0) {
        conn->refusal = why;
        SSL_send_fatal_alert(ssl, alert);
        ERR_clear_error();
    }
}

/* The library takes messages of more than 16 KB only where it awaits a client's
 * certificates. So for a hello that is longer it is told so, until it has read it. */
static void allow_long_hello(struct tls_conn *conn, const struct hello *hello) {
    if (hello->message_len > WIRE_HELLO_USUAL) {
        SSL_set_max_cert_list(conn->ssl, WIRE_HELLO_MAX);
        SSL_set_verify(conn->ssl, SSL_VERIFY_PEER, NULL);
    }
}

/* Extensions that the library reads and this server does not do. It must pass over
 * what it does not do (RFC 8446 4.1.2), but the library refuses malformed ones, and
 * QUIC's in any form. */
static bool is_foreign_extension(uint16_t type) {
    return type == TLSEXT_TYPE_cert_compression || type == TLSEXT_TYPE_delegated_credential ||
           type == TLSEXT_TYPE_quic_transport_parameters || type == TLSEXT_TYPE_next_proto_neg;
}

/* Has the library read the extensions from a copy in which foreign ones have a type
 * that nobody knows. The handshake's hash is of the message itself. The view is the
 * library's own variable, const to callbacks only, and it reads on from there; did
 * it not, it would refuse as before. */
static void hide_foreign_extensions(const SSL_CLIENT_HELLO *hello) {
    static uint8_t copy[UINT16_MAX];
    bool found = false;
    struct cursor c = cursor_of((struct bytes){ hello->extensions, hello->extensions_len });
    while (cursor_left(&c) > 0) {
        size_t at = (size_t)(c.at - hello->extensions);
        if (is_foreign_extension(cursor_u16(&c))) {
            if (!found) {
                memcpy(copy, hello->extensions, hello->extensions_len);
            }
            found = true;
            copy[at] = copy[at + 1] = UINT8_MAX;
        }
        (void)cursor_vec16(&c);
    }
    if (found) {
        ((SSL_CLIENT_HELLO *)(uintptr_t)hello)->extensions = copy;
    }
}

/* Called when a hello has been read, before anything is done about it. */
static enum ssl_select_cert_result_t library_hello(const SSL_CLIENT_HELLO *hello) {
    const SSL_CTX *ctx = SSL_get_SSL_CTX(hello->ssl);
    hide_foreign_extensions(hello);
    SSL_set_max_cert_list(hello->ssl, SSL_CTX_get_max_cert_list(ctx));
    SSL_set_verify(hello->ssl, SSL_CTX_get_verify_mode(ctx), NULL);
    return ssl_select_cert_success;
}

void tls_conn_set_callbacks(SSL_CTX *ctx) {
    SSL_CTX_set_select_certificate_cb(ctx, library_hello);
    SSL_CTX_set_cert_verify_callback(ctx, verify_client, NULL);
    SSL_CTX_set_msg_callback(ctx, refuse_message);
    SSL_CTX_set_ticket_aead_method(ctx, &ticket_method);
    SSL_CTX_sess_set_get_cb(ctx, session_get);
    SSL_CTX_sess_set_new_cb(ctx, session_new);
    SSL_CTX_set_alpn_select_cb(ctx, alpn_select, NULL);
    SSL_CTX_set_current_time_cb(ctx, current_time);
}

/* --- starting ------------------------------------------------------------ */

/* How many TLS 1.3 tickets to issue: what the client asks for (RFC 9149) up to
 * our bound, else our own number. 0: none. */
static unsigned tickets_wanted(const struct tls_conn *conn, const struct hello *hello) {
    bool resumes = conn->verdict.action == RESUME_ACTION_RESUME;
    unsigned wanted = resumes ? TLS_TICKETS_RESUMED : TLS_TICKETS_NEW;
    if (hello->has_ticket_request) {
        wanted = resumes ? hello->tickets_resumed : hello->tickets_new;
    }
    /* A handle takes a place in the cache, and one is remembered. */
    unsigned most = conn->tickets ? TLS_TICKETS_MAX : 1;
    return wanted < most ? wanted : most;
}

/* Whether the library is to see tickets at all in this handshake. */
static bool tickets_on(const struct tls_conn *conn, uint16_t protocol, unsigned wanted) {
    struct sealer *sealer = conn->worker->resume.sealer;
    bool accepting = conn->verdict.action == RESUME_ACTION_RESUME &&
                     conn->verdict.offered != RESUME_BY_SESSION_ID;
    if (protocol == POLICY_TLS13) {
        bool issuing = conn->tickets ? sealer_ready(sealer) : conn->cache != NULL;
        return accepting || (issuing && wanted > 0);
    }
    return conn->tickets && sealer_ready(sealer);
}

/* Hands the opened session to the library as "handshake hints": the way that it
 * has for a session opened elsewhere. It is the only one that can ask for a TLS
 * 1.2 ticket to be renewed, and the only one that takes a session longer than
 * its ticket.  HandshakeHints ::= SEQUENCE { decryptedPSKHint [3],
 * decryptedTicketHint [8], renewTicketHint [9] NULL, ... all OPTIONAL } */
static int hints_give_session(struct tls_conn *conn) {
    const struct resume_verdict *v = &conn->verdict;
    unsigned tag = v->offered == RESUME_BY_TICKET ? 8 : 3;
    CBB cbb;
    CBB seq;
    CBB child;
    uint8_t *der = NULL;
    size_t len = 0;
    int ok = CBB_init(&cbb, v->session.len + 32) && CBB_add_asn1(&cbb, &seq, CBS_ASN1_SEQUENCE) &&
             CBB_add_asn1(&seq, &child, CBS_ASN1_CONTEXT_SPECIFIC | tag) &&
             CBB_add_bytes(&child, v->session.data, v->session.len) &&
             (!v->renew || CBB_add_asn1(&seq, &child, CBS_ASN1_CONTEXT_SPECIFIC | 9)) &&
             CBB_finish(&cbb, &der, &len) && SSL_set_handshake_hints(conn->ssl, der, len);
    if (der) {
        crypto_wipe(der, len);
        OPENSSL_free(der);
    } else {
        CBB_cleanup(&cbb);
    }
    return ok ? 0 : -1;
}

/* What the library takes from the context when it makes the new session, which is
 * in its first call: by this connection's boxes and what is left of its lineage.
 * The context is this process's own since the fork. */
static void ctx_prepare(const struct tls_conn *conn, SSL_CTX *ctx) {
    const struct resume_verdict *v = &conn->verdict;
    uint32_t lifetime_s =
        resume_lifetime_s(&conn->profile->policy, !conn->tickets,
                          v->action == RESUME_ACTION_RESUME ? v : NULL, conn->worker->now_ms);
    SSL_CTX_set_session_cache_mode(
        ctx, conn->cache ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    SSL_CTX_set_keylog_callback(ctx, conn->worker->keylog_fd >= 0 ? keylog_line : NULL);
    SSL_CTX_set_timeout(ctx, lifetime_s);
    SSL_CTX_set_session_psk_dhe_timeout(ctx, lifetime_s);
}

static enum tls_status conn_make_ssl(struct tls_conn *conn, const struct hello *hello,
                                     uint16_t protocol) {
    unsigned wanted = tickets_wanted(conn, hello);
    SSL_CTX *ctx = conn->profile->ctx[wanted > 0 ? wanted - 1 : 0];
    ctx_prepare(conn, ctx);
    conn->ssl = SSL_new(ctx);
    if (!conn->ssl) {
        return TLS_FAILED;
    }
    SSL_set_app_data(conn->ssl, conn);
    tls_bio_attach(&conn->worker->bio, conn->ssl);
    SSL_set_accept_state(conn->ssl);
    SSL_set_shed_handshake_config(conn->ssl, 1);
    allow_long_hello(conn, hello);
    if (!tickets_on(conn, protocol, wanted)) {
        SSL_set_options(conn->ssl, SSL_OP_NO_TICKET);
    }
    conn->issue_none = protocol == POLICY_TLS13 && wanted == 0;
    conn->skip_early = protocol == POLICY_TLS13 && hello->has_early_data;
    const struct resume_verdict *v = &conn->verdict;
    bool handle = v->offered == RESUME_BY_PSK_STATEFUL;
    if (v->action == RESUME_ACTION_RESUME && (v->renew || handle) &&
        hints_give_session(conn) != 0) {
        return TLS_FAILED;
    }
    return TLS_DONE;
}

/* RFC 5746 3.6 asks nothing of a client without the extension; require-strict does. */
static bool is_unpatched(const struct hello *hello, uint16_t protocol) {
    return protocol == POLICY_TLS12 && !hello->has_renegotiation_info && !hello->offers_scsv;
}

static enum tls_status start_refuse(struct tls_conn *conn, uint8_t *alert, uint8_t code,
                                    const char *why) {
    *alert = code;
    conn->failure = TLS_FAILURE_ERROR;
    conn->error = why;
    return TLS_FAILED;
}

/* The alert for a hello that is not fit for the version that would be spoken (0: none
 * would), or 0. */
static uint8_t hello_alert(const struct policy *policy, const struct hello *hello,
                           uint16_t protocol, const char **why) {
    if (protocol == 0) {
        *why = "no common protocol version";
        /* RFC 7507 3 leaves the choice; a client that fell back is told that it should not. */
        return hello_offers_cipher(hello, SSL3_CK_FALLBACK_SCSV & 0xffff)
                   ? SSL_AD_INAPPROPRIATE_FALLBACK
                   : SSL_AD_PROTOCOL_VERSION;
    }
    if (protocol == POLICY_TLS13 && !hello_is_complete13(hello)) {
        *why = "missing extension";
        return SSL_AD_MISSING_EXTENSION;
    }
    if (protocol == POLICY_TLS13 && hello->has_bad_ticket_request) {
        *why = "malformed ticket request";
        return SSL_AD_DECODE_ERROR;
    }
    if (protocol == POLICY_TLS12 && hello->has_empty_point_formats) { /* RFC 8422 5.1.2 */
        *why = "empty list of point formats";
        return SSL_AD_DECODE_ERROR;
    }
    if (policy->profile->secure_renegotiation == SECURE_RENEG_REQUIRE_STRICT &&
        is_unpatched(hello, protocol)) {
        *why = "client without secure renegotiation";
        return SSL_AD_HANDSHAKE_FAILURE;
    }
    return 0;
}

/* The name as a C string, or null for the empty one or without memory. */
static char *copy_name(struct bytes name) {
    char *copy = name.len > 0 ? malloc(name.len + 1) : NULL;
    if (copy) {
        memcpy(copy, name.data, name.len);
        copy[name.len] = '\0';
    }
    return copy;
}

/* What is settled before the session is looked at: version and application protocol. */
static enum tls_status start_negotiate(struct tls_conn *conn, const struct hello *hello,
                                       uint16_t *protocol, uint8_t *alert) {
    const struct policy *policy = &conn->profile->policy;
    const char *why = NULL;
    bool alpn_refused = false;
    *protocol = policy_select_version(policy, hello);
    conn->unpatched = is_unpatched(hello, *protocol);
    uint8_t code = hello_alert(policy, hello, *protocol, &why);
    if (code != 0) {
        return start_refuse(conn, alert, code, why);
    }
    conn->alpn = policy_select_alpn(policy, hello, &alpn_refused);
    return alpn_refused ? start_refuse(conn, alert, SSL_AD_NO_APPLICATION_PROTOCOL,
                                       "no common application protocol")
                        : TLS_DONE;
}

/* A session of the cache goes by its ID, which a later fatal alert takes away. */
static void conn_note_id(struct tls_conn *conn, const struct hello *hello) {
    const uint8_t *id = conn->verdict.offered == RESUME_BY_SESSION_ID     ? hello->session_id.data
                        : conn->verdict.offered == RESUME_BY_PSK_STATEFUL ? hello->psk_identity.data
                                                                          : NULL;
    if (id && conn->verdict.action == RESUME_ACTION_RESUME) {
        memcpy(conn->id, id, CACHE_ID_LEN);
        conn->has_id = true;
    }
}

static enum tls_status start_decide(struct tls_conn *conn, const struct tls_start *start,
                                    uint16_t protocol, uint8_t *alert) {
    struct resume_query query = {
        .hello = start->hello,
        .policy = &conn->profile->policy,
        .protocol = protocol,
        .server_name = conn_server_name(conn),
        .alpn = conn->alpn,
        .now_ms = conn->worker->now_ms,
    };
    resume_look_up(&conn->worker->resume, &start->stores, &query, &conn->verdict);
    conn->decided = true;
    if (conn->verdict.action == RESUME_ACTION_ABORT) {
        return start_refuse(conn, alert, SSL_AD_HANDSHAKE_FAILURE,
                            "session with extended master secret offered without it");
    }
    conn_note_id(conn, start->hello);
    if (conn_make_ssl(conn, start->hello, protocol) != TLS_DONE) {
        resume_forget(&conn->worker->resume, &conn->verdict);
        return start_refuse(conn, alert, SSL_AD_INTERNAL_ERROR, "out of memory");
    }
    return TLS_DONE;
}

enum tls_status tls_conn_start(struct tls_conn *conn, struct tls_worker *worker,
                               const struct tls_start *start, uint8_t *alert) {
    bool keeps = policy_keeps_sessions(&start->profile->policy);
    uint16_t protocol;
    *conn = (struct tls_conn){ .worker = worker,
                               .profile = start->profile,
                               .cache = keeps ? start->stores.own : NULL,
                               .tickets = keeps && start->stores.tickets };
    conn->server_name = copy_name(start->server_name);
    if (start->server_name.len > 0 && !conn->server_name) {
        return start_refuse(conn, alert, SSL_AD_INTERNAL_ERROR, "out of memory");
    }
    return start_negotiate(conn, start->hello, &protocol, alert) == TLS_DONE
               ? start_decide(conn, start, protocol, alert)
               : TLS_FAILED;
}

/* --- running ------------------------------------------------------------- */

/* Empties the error queue into failure and error. */
static enum tls_status conn_fail(struct tls_conn *conn) {
    uint32_t code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    int number = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    conn->failure = TLS_FAILURE_ERROR;
    if (number == SSL_R_NO_RENEGOTIATION) {
        conn->failure = TLS_FAILURE_RENEGOTIATION;
    } else if (number == SSL_R_DIGEST_CHECK_FAILED && !conn->refusal &&
               conn->last_message == SSL3_MT_CLIENT_HELLO) { /* not that of a Finished */
        conn->failure = TLS_FAILURE_BINDER;
        conn->verdict.reason = REASON_BINDER_FAILED;
    }
    conn->error = conn->refusal ? conn->refusal : reason ? reason : "connection broken";
    ERR_clear_error();
    return TLS_FAILED;
}

static enum tls_status conn_result(struct tls_conn *conn, int rc) {
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

/* Policy allowed it; the library resumes only with the cipher that it would choose
 * anew (R16), TLS 1.3 only with that one's hash (R24). */
static enum reason reason_declined(uint16_t session_cipher, uint16_t cipher) {
    bool tls13 = resume_share_hash(session_cipher, session_cipher);
    if (tls13 && !resume_share_hash(session_cipher, cipher)) {
        return REASON_HASH_MISMATCH;
    }
    return tls13 || session_cipher == cipher ? REASON_LIBRARY_DECLINED : REASON_CIPHER_MISMATCH;
}

enum tls_status tls_conn_handshake(struct tls_conn *conn) {
    ERR_clear_error();
    int rc = SSL_do_handshake(conn->ssl);
    /* The library has its copy by now; after a HelloRetryRequest it opens nothing again. */
    if (conn->verdict.session.data) {
        resume_forget(&conn->worker->resume, &conn->verdict);
    }
    if (rc != 1) {
        enum tls_status status = conn_result(conn, rc);
        if (status == TLS_AGAIN && conn->issue_none) {
            /* The offered ticket has been seen; none is to be issued. */
            SSL_set_options(conn->ssl, SSL_OP_NO_TICKET);
        }
        return status == TLS_EOF ? conn_fail(conn) : status;
    }
    conn->done = true;
    conn->resumed = SSL_session_reused(conn->ssl) == 1;
    if (!conn->resumed && conn->verdict.action == RESUME_ACTION_RESUME) {
        const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
        conn->verdict.action = RESUME_ACTION_FULL;
        conn->verdict.reason =
            reason_declined(conn->verdict.cipher, cipher ? SSL_CIPHER_get_protocol_id(cipher) : 0);
    }
    /* TLS 1.3 tickets wait within the library for the next write. */
    SSL_write(conn->ssl, "", 0);
    return TLS_DONE;
}

bool tls_conn_is_tls13(const struct tls_conn *conn) {
    return SSL_version(conn->ssl) == TLS1_3_VERSION;
}

enum tls_status tls_conn_read(struct tls_conn *conn, uint8_t *buf, size_t cap, size_t *len) {
    int n = SSL_read(conn->ssl, buf, cap < INT32_MAX ? (int)cap : INT32_MAX);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? TLS_DONE : conn_result(conn, n);
}

enum tls_status tls_conn_write(struct tls_conn *conn, struct bytes data) {
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

void tls_conn_close_notify(struct tls_conn *conn) {
    SSL_shutdown(conn->ssl);
    ERR_clear_error();
}

void tls_conn_forget_session(const struct tls_conn *conn, enum cache_mark mark) {
    struct tls_worker *worker = conn->worker;
    if (conn->has_id && conn->cache && cache_kill(conn->cache, conn->id, mark) == CACHE_BUSY &&
        worker->forgotten_count < TLS_FORGOTTEN_MAX) {
        struct tls_forgotten *f = &worker->forgotten[worker->forgotten_count++];
        *f = (struct tls_forgotten){ .cache = conn->cache, .mark = mark };
        memcpy(f->id, conn->id, sizeof(f->id));
    }
}

void tls_worker_forget(struct tls_worker *worker) {
    unsigned left = 0;
    for (unsigned i = 0; i < worker->forgotten_count; i++) {
        const struct tls_forgotten *f = &worker->forgotten[i];
        if (cache_kill(f->cache, f->id, f->mark) == CACHE_BUSY) {
            worker->forgotten[left++] = *f;
        }
    }
    worker->forgotten_count = left;
}

void tls_conn_free(struct tls_conn *conn) {
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    free(conn->server_name);
    conn->server_name = NULL;
}

/* --- telling ------------------------------------------------------------- */

const char *tls_conn_version(const struct tls_conn *conn) {
    return conn->ssl ? SSL_get_version(conn->ssl) : NULL;
}

const char *tls_conn_cipher(const struct tls_conn *conn) {
    const SSL_CIPHER *cipher = conn->ssl ? SSL_get_current_cipher(conn->ssl) : NULL;
    return cipher ? SSL_CIPHER_get_name(cipher) : NULL;
}

const char *tls_conn_group(const struct tls_conn *conn) {
    uint16_t group = conn->ssl ? SSL_get_group_id(conn->ssl) : 0;
    return group != 0 ? SSL_get_group_name(group) : NULL;
}

const struct tls_certificate *tls_conn_certificate(const struct tls_conn *conn) {
    const struct config_profile *p = conn->profile->config;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
    if (p->certificate_count == 1) {
        return &conn->profile->certificates[0];
    }
    int auth = cipher ? SSL_CIPHER_get_auth_nid(cipher) : NID_undef;
    int wanted = auth == NID_auth_rsa     ? EVP_PKEY_RSA
                 : auth == NID_auth_ecdsa ? EVP_PKEY_EC
                                          : EVP_PKEY_NONE;
    for (size_t i = 0; wanted != EVP_PKEY_NONE && i < p->certificate_count; i++) {
        if (conn->profile->certificates[i].key_type == wanted) {
            return &conn->profile->certificates[i];
        }
    }
    return NULL;
}

struct tls_client_cert tls_conn_client_cert(const struct tls_conn *conn, char *common_name,
                                            size_t cap) {
    struct tls_client_cert out = { 0 };
    common_name[0] = '\0';
    if (conn->profile->config->client_auth == CLIENT_AUTH_NONE) {
        return out;
    }
    X509 *cert = SSL_get_peer_certificate(conn->ssl);
    if (cert) {
        out.in_session = true;
        out.shown = !conn->resumed;
        out.verify = (uint32_t)SSL_get_verify_result(conn->ssl);
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, common_name,
                                  (int)cap);
        X509_free(cert);
    }
    return out;
}
