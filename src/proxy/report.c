/* report.c: see report.h. */
#include "proxy/report.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "net/address.h"
#include "reason/reason.h"
#include "wire/proxy_v2.h"

#define COMMON_NAME_MAX 256

/* The local address: the listener's, unless it takes any; then the socket knows. */
static void local_address(const struct conn *conn, union conn_address *out) {
    const struct sockaddr_storage *bound = &conn->accepter->listener->bound;
    bool any = bound->ss_family == AF_INET
                   ? ((const struct sockaddr_in *)bound)->sin_addr.s_addr == INADDR_ANY
                   : IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)bound)->sin6_addr);
    memcpy(out, bound, sizeof(*out));
    socklen_t len = sizeof(*out);
    if (any && conn->client.io.fd >= 0) {
        getsockname(conn->client.io.fd, &out->sa, &len);
    }
}

static const char *handshake_word(const struct tls_conn *tls) {
    return !tls->done ? "failed" : tls->resumed ? "resumed" : "new";
}

/* Offered, but not resumed: why. Null when nothing was decided, or it resumed. */
static const char *reason_text(const struct tls_conn *tls) {
    return tls->decided && !(tls->done && tls->resumed) && tls->verdict.reason != REASON_RESUMED
               ? reason_word(tls->verdict.reason)
               : NULL;
}

/* The key's name that matters: of the ticket that was offered, else of the one issued. */
static struct bytes ticket_key(const struct tls_conn *tls) {
    if (tls->verdict.has_key) {
        return (struct bytes){ tls->verdict.key.name, sizeof(tls->verdict.key.name) };
    }
    if (tls->issued == RESUME_BY_TICKET || tls->issued == RESUME_BY_PSK) {
        return (struct bytes){ tls->issued_key.name, sizeof(tls->issued_key.name) };
    }
    return (struct bytes){ 0 };
}

/* TLS 1.2's session ID, which goes over the wire in clear. A TLS 1.3 handle is the
 * client's ticket: it is not told. */
static struct bytes session_id(const struct tls_conn *tls) {
    bool tell = tls->has_id && (tls->verdict.offered == RESUME_BY_SESSION_ID ||
                                tls->issued == RESUME_BY_SESSION_ID);
    return (struct bytes){ tls->id, tell ? sizeof(tls->id) : 0 };
}

static void log_tls(struct log_line *line, const struct conn *conn) {
    const struct tls_conn *tls = &conn->tls;
    log_text(line, "profile", tls->profile ? tls->profile->config->name : NULL);
    log_text(line, "sni", tls->server_name);
    if (tls->done) {
        log_text(line, "protocol", tls_conn_version(tls));
        log_text(line, "cipher", tls_conn_cipher(tls));
        log_text(line, "group", tls_conn_group(tls));
        log_bytes(line, "alpn", tls->alpn);
    }
    log_text(line, "handshake", handshake_word(tls));
    if (!tls->decided) {
        return;
    }
    log_text(line, "offered", resume_by_word(tls->verdict.offered));
    log_text(line, "by", tls->done && tls->resumed ? resume_by_word(tls->verdict.offered) : NULL);
    log_text(line, "reason", reason_text(tls));
    if (tls->verdict.reason == REASON_POLICY_CHANGED) {
        log_text(line, "policy-part", policy_part_word(tls->verdict.part));
    }
    log_text(line, "issued", tls->done ? resume_by_word(tls->issued) : NULL);
    log_hex(line, "session-id", session_id(tls));
    log_hex(line, "ticket-key", ticket_key(tls));
    if (tls->done && tls->profile->config->client_auth != CLIENT_AUTH_NONE) {
        char name[COMMON_NAME_MAX];
        struct tls_client_cert cert = tls_conn_client_cert(tls, name, sizeof(name));
        log_text(line, "client-certificate",
                 !cert.in_session   ? "none"
                 : cert.verify == 0 ? "valid"
                                    : "invalid");
        log_text(line, "client-name", name[0] != '\0' ? name : NULL);
    }
}

void report_log(const struct conn *conn, enum conn_close why) {
    struct log_line line;
    char text[ADDRESS_TEXT_MAX];
    union conn_address local;
    uint64_t now_ns = clock_mono_ns();
    if (!log_may_write(now_ns)) {
        return;
    }
    log_start(&line, "connection");
    log_u64(&line, "worker", conn->worker->index);
    log_u64(&line, "connection", conn->id);
    address_text(&conn->address.sa, text);
    log_text(&line, "client", text);
    local_address(conn, &local);
    address_text(&local.sa, text);
    log_text(&line, "local", text);
    log_text(&line, "virtual-server", conn->accepter->listener->vserver->name);
    log_tls(&line, conn);
    if (conn->connected && conn->member != POOL_NONE) {
        log_text(&line, "backend", conn->accepter->pool->members[conn->member].address.text);
        log_ms(&line, "connect-ms", conn->connect_ns);
    }
    log_u64(&line, "bytes-in", conn->bytes_in);
    log_u64(&line, "bytes-out", conn->bytes_out);
    if (conn->tls.done) {
        log_ms(&line, "handshake-ms", conn->handshake_ns);
    }
    log_ms(&line, "duration-ms", now_ns - conn->accepted_ns);
    log_text(&line, "close", conn_close_word(why));
    log_text(&line, "error", conn->error);
    log_write(&line);
}

void report_count(const struct conn *conn) {
    static const enum counter by[] = {
        [RESUME_BY_NONE] = COUNT_HANDSHAKES_NEW,
        [RESUME_BY_SESSION_ID] = COUNT_RESUMED_SESSION_ID,
        [RESUME_BY_TICKET] = COUNT_RESUMED_TICKET,
        [RESUME_BY_PSK] = COUNT_RESUMED_PSK,
        [RESUME_BY_PSK_STATEFUL] = COUNT_RESUMED_PSK_STATEFUL,
    };
    const struct tls_conn *tls = &conn->tls;
    counter_add(conn->worker->counters, by[tls->resumed ? tls->verdict.offered : RESUME_BY_NONE],
                1);
    counter_add(conn->worker->counters, COUNT_SESSIONS_NOT_KEPT, tls->not_kept);
    if (!tls->resumed) {
        counter_refused(conn->worker->counters, tls->verdict.reason);
    }
}

static struct bytes text_bytes(const char *text) {
    return (struct bytes){ (const uint8_t *)text, text ? strlen(text) : 0 };
}

static struct bytes hex_bytes(struct bytes in, char *out) {
    size_t len = hex_write(in, out);
    return (struct bytes){ (const uint8_t *)out, len };
}

size_t report_proxy_header(const struct conn *conn, uint8_t *buf, size_t cap) {
    const struct tls_conn *tls = &conn->tls;
    union conn_address local;
    char name[COMMON_NAME_MAX];
    char id_hex[2 * CACHE_ID_LEN];
    char key_hex[2 * KEYRING_NAME_LEN];
    struct tls_client_cert cert = tls_conn_client_cert(tls, name, sizeof(name));
    const struct tls_certificate *own = tls_conn_certificate(tls);
    local_address(conn, &local);
    struct proxy_v2 pp = {
        .client = &conn->address.sa,
        .local = &local.sa,
        .tls = true,
        .tls_client = (uint8_t)(PP2_CLIENT_SSL | (cert.shown ? PP2_CLIENT_CERT_CONN : 0) |
                                (cert.in_session ? PP2_CLIENT_CERT_SESS : 0)),
        .tls_verify = cert.verify,
        .alpn = tls->alpn,
        .authority = text_bytes(tls->server_name),
        .tls_version = text_bytes(tls_conn_version(tls)),
        .tls_cipher = text_bytes(tls_conn_cipher(tls)),
        .tls_cn = text_bytes(name),
        .tls_sig_alg = text_bytes(own ? own->sig_alg : NULL),
        .tls_key_alg = text_bytes(own ? own->key_alg : NULL),
        .handshake = text_bytes(handshake_word(tls)),
        .resumed_by = text_bytes(tls->resumed ? resume_by_word(tls->verdict.offered) : NULL),
        .reason = text_bytes(reason_text(tls)),
        .session_id = hex_bytes(session_id(tls), id_hex),
        .ticket_key = hex_bytes(ticket_key(tls), key_hex),
        .profile = text_bytes(tls->profile->config->name),
    };
    return proxy_v2_write(&pp, buf, cap);
}
