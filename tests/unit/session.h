/* session.h: a session and a hello that may resume it, for tests that then change one thing.
 */
#ifndef REPRISE_UNIT_SESSION_H
#define REPRISE_UNIT_SESSION_H

#include "base/clock.h"
#include "resume/decide.h"
#include "unit.h"

#define NOW_MS 1700000000400u /* not at a full second: ages are counted in seconds */
#define CACHE_TIMEOUT_S 3600u
#define TICKET_TIMEOUT_S 7200u
#define MAX_LINEAGE_S 86400u
#define CIPHER_TLS12 0xc02b
#define CIPHER_TLS13 0x1301

/* Nothing in it may be moved: its parts point to each other. */
struct session {
    char *names[2];
    char *alpn[2];
    struct config_profile profile;
    struct policy_material material;
    struct policy policy;
    struct hello hello;
    struct record record;
    struct resume_query query;
};

static inline char *text_of(const char *text) {
    return (char *)(uintptr_t)text; /* the configuration's texts are never written to */
}

static inline void session_init_profile(struct session *s) {
    *s = (struct session){ 0 };
    s->names[0] = text_of("www.example.com");
    s->names[1] = text_of("*.example.com");
    s->alpn[0] = text_of("h2");
    s->alpn[1] = text_of("http/1.1");
    s->profile = (struct config_profile){
        .name = text_of("web"),
        .server_names = { s->names, 2 },
        .protocols = CONFIG_TLS12 | CONFIG_TLS13,
        .ciphers = text_of("ECDHE-ECDSA-AES128-GCM-SHA256"),
        .groups = text_of("X25519"),
        .alpn = { s->alpn, 2 },
        .client_auth = CLIENT_AUTH_REQUIRE,
        .client_ca_file = text_of("ca.pem"),
        .client_crl_file = text_of("crl.pem"),
        .session_cache = true,
        .cache_size = 1000,
        .cache_timeout_s = CACHE_TIMEOUT_S,
        .session_tickets = true,
        .ticket_timeout_s = TICKET_TIMEOUT_S,
        .max_lineage_s = MAX_LINEAGE_S,
        .handshake_timeout_ms = 10000,
        .idle_timeout_ms = 300000,
    };
    s->material = (struct policy_material){
        .certificates = bytes_of("the leaf certificates"),
        .client_ca = bytes_of("the certificate authorities"),
        .client_crl = bytes_of("the revoked"),
    };
    policy_init(&s->policy, &s->profile, &s->material);
}

/* A session made a minute ago, the second of its lineage, and a hello that offers it. */
static inline void session_init(struct session *s, enum resume_by by) {
    static const uint8_t ciphers[] = { 0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 0xc0, 0x2f };
    static const uint8_t versions[] = { 0x03, 0x04, 0x03, 0x03 };
    static const uint8_t alpn[] = "\x08http/1.1\x02h2";
    bool tls13 = by == RESUME_BY_PSK || by == RESUME_BY_PSK_STATEFUL;
    session_init_profile(s);
    s->hello = (struct hello){
        .legacy_version = 0x0303,
        .cipher_suites = { ciphers, sizeof(ciphers) },
        .has_server_name = true,
        .server_name = bytes_of("www.example.com"),
        .has_supported_versions = true,
        .supported_versions = { versions, sizeof(versions) },
        .has_session_ticket = true,
        .has_alpn = true,
        .alpn = { alpn, sizeof(alpn) - 1 },
        .has_ems = true,
    };
    if (tls13) {
        s->hello.has_psk = true;
        s->hello.has_psk_modes = true;
        s->hello.psk_dhe_ke = true;
    }
    s->record = (struct record){
        .kind = by,
        .protocol = tls13 ? POLICY_TLS13 : POLICY_TLS12,
        .cipher = tls13 ? CIPHER_TLS13 : CIPHER_TLS12,
        .flags = (uint16_t)(RECORD_FLAG_CLIENT_CERT | (tls13 ? 0 : RECORD_FLAG_EMS)),
        .first_ms = NOW_MS - 120000,
        .issued_ms = NOW_MS - 60000,
        .lifetime_s = TICKET_TIMEOUT_S,
        .client_chain_expiry_s = NOW_MS / MS_PER_S + 3600,
        .policy = s->policy.print,
        .alpn = bytes_of("h2"),
        .session = bytes_of("the library's bytes"),
    };
    record_hash_name(bytes_of("www.example.com"), s->record.server_name);
    s->query = (struct resume_query){
        .hello = &s->hello,
        .policy = &s->policy,
        .protocol = s->record.protocol,
        .server_name = s->hello.server_name,
        .alpn = bytes_of("h2"),
        .by = by,
        .now_ms = NOW_MS,
    };
}

#endif
