/* why.c: see why.h. One rule a function; the table at the end says which there are. */
#include "capture/why.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "wire/iana.h"
#include "wire/server_hello.h"

#define ALERT_HANDSHAKE_FAILURE 40
#define ALERT_DECRYPT_ERROR 51
#define NAME_TEXT_MAX 24

/* What the rules look at, and where findings go. */
struct question {
    const struct stream *stream;
    const struct handshake *handshake;
    const struct judgement *judgement;
    const struct offer *offer;
    const struct answer *answer;
    const struct origin *origin; /* of what was offered; null when not known */
    const char *what;            /* "the ticket" */
    struct finding *out;
    unsigned count;
};

const char *why_certainty_word(enum certainty certainty) {
    static const char *const words[] = { "certain", "likely", "possible" };
    return words[certainty];
}

__attribute__((format(printf, 4, 5))) static struct finding *add(struct question *q,
                                                                 enum reason reason,
                                                                 enum certainty certainty,
                                                                 const char *fmt, ...) {
    static struct finding none;
    if (q->count == WHY_MAX) {
        return &none;
    }
    struct finding *finding = &q->out[q->count++];
    *finding = (struct finding){ .reason = reason, .certainty = certainty };
    va_list args;
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof(finding->text), fmt, args);
    va_end(args);
    return finding;
}

static void add_frame(struct finding *finding, uint64_t frame) {
    for (unsigned i = 0; i < WHY_FRAMES_MAX && frame != 0; i++) {
        if (finding->frames[i] == frame) {
            return;
        }
        if (finding->frames[i] == 0) {
            finding->frames[i] = frame;
            return;
        }
    }
}

/* The frames of issuing and of offering. */
static void add_both(struct question *q, struct finding *finding) {
    if (q->origin) {
        add_frame(finding, q->origin->place.frame);
    }
    add_frame(finding, q->offer->place.frame);
}

static const char *version_name(uint16_t version, char out[static NAME_TEXT_MAX]) {
    const char *name = iana_find(NAME_VERSION, version);
    if (version_draft(version)) {
        snprintf(out, NAME_TEXT_MAX, "TLS 1.3 draft %u", version_draft(version) & 0xff);
    } else {
        snprintf(out, NAME_TEXT_MAX, "0x%04x", version);
    }
    return name ? name : out;
}

static const char *suite_name(uint16_t suite, char out[static NAME_TEXT_MAX]) {
    const char *name = iana_find(NAME_CIPHER_SUITE, suite);
    snprintf(out, NAME_TEXT_MAX, "0x%04x", suite);
    return name ? name : out;
}

/* RFC 8446 B.4: only one of the suites of TLS 1.3 hashes with SHA-384. */
static bool suite_is_sha384(uint16_t suite) {
    return suite == 0x1302;
}

/* True when the session has an extended master secret, and the hello surely does not offer it. */
static bool gives_up_ems(const struct question *q) {
    return q->origin && q->origin->hello_known && q->origin->has_ems && q->offer->whole &&
           !q->offer->has_ems && q->judgement->offered != BY_PSK;
}

static void rule_alert(struct question *q) {
    const struct stream *stream = q->stream;
    unsigned alert = stream->alert & 0xff;
    if (q->answer->seen || stream->alert_direction == stream->client) {
        return;
    }
    struct finding *finding;
    if (q->judgement->offered == BY_PSK && alert == ALERT_DECRYPT_ERROR) {
        finding = add(q, REASON_BINDER_FAILED, LIKELY,
                      "the server answered the PSK with decrypt_error: its binder does not verify");
        add_frame(finding, q->offer->place.frame);
    } else if (gives_up_ems(q) && alert == ALERT_HANDSHAKE_FAILURE) {
        finding =
            add(q, REASON_EMS_MISMATCH, LIKELY,
                "the session was made with extended_master_secret, now it is not offered, and "
                "the server answered with handshake_failure (RFC 7627 5.3)");
        add_both(q, finding);
    } else {
        return;
    }
    add_frame(finding, stream->alert_frame);
}

/* Of several PSKs only the first is traced: what speaks against it leaves the others. */
static enum certainty of_the_traced(const struct question *q, enum certainty certainty) {
    return q->judgement->offered == BY_PSK && q->offer->psk_count > 1 ? POSSIBLE : certainty;
}

static void rule_protocol(struct question *q) {
    char made[NAME_TEXT_MAX];
    char now[NAME_TEXT_MAX];
    bool tls13 = version_is_tls13(q->answer->version);
    if (!q->answer->seen) {
        return;
    }
    bool psk = q->judgement->offered == BY_PSK;
    if (psk != tls13) {
        struct finding *finding = add(
            q, REASON_PROTOCOL_MISMATCH, CERTAIN, "%s is of %s and the server chose %s", q->what,
            psk ? "TLS 1.3" : "TLS 1.2 or earlier", version_name(q->answer->version, now));
        add_both(q, finding);
        add_frame(finding, q->answer->place.frame);
    } else if (q->origin && q->origin->hello_known && q->origin->version != q->answer->version) {
        struct finding *finding =
            add(q, REASON_PROTOCOL_MISMATCH, of_the_traced(q, CERTAIN),
                "%s was made under %s, now it is %s", q->what,
                version_name(q->origin->version, made), version_name(q->answer->version, now));
        add_both(q, finding);
        add_frame(finding, q->answer->place.frame);
    }
}

static void rule_cipher(struct question *q) {
    char made[NAME_TEXT_MAX];
    char now[NAME_TEXT_MAX];
    if (!q->origin || !q->origin->hello_known || !q->answer->seen ||
        q->origin->version != q->answer->version) {
        return;
    }
    uint16_t was = q->origin->cipher_suite;
    uint16_t is = q->answer->cipher_suite;
    struct finding *finding = NULL;
    if (version_is_tls13(q->answer->version)) {
        if (suite_is_sha384(was) != suite_is_sha384(is)) {
            /* a server that can't open the ticket does not look at its hash */
            finding = add(q, REASON_CIPHER_MISMATCH, of_the_traced(q, LIKELY),
                          "%s is bound to the hash of %s, and %s has another (RFC 8446 4.6.1)",
                          q->what, suite_name(was, made), suite_name(is, now));
        }
    } else if (!q->offer->origin_cipher_offered) {
        finding =
            add(q, REASON_CIPHER_MISMATCH, CERTAIN,
                "the session's cipher suite %s is not offered any more", suite_name(was, made));
    } else if (was != is) {
        finding = add(q, REASON_CIPHER_MISMATCH, POSSIBLE,
                      "the session's cipher suite was %s, now the server chose %s",
                      suite_name(was, made), suite_name(is, now));
    }
    if (finding) {
        add_both(q, finding);
        add_frame(finding, q->answer->place.frame);
    }
}

/* RFC 7627 5.3. */
static void rule_ems(struct question *q) {
    if (!q->origin || !q->origin->hello_known || q->judgement->offered == BY_PSK ||
        version_is_tls13(q->answer->version)) {
        return;
    }
    if (gives_up_ems(q)) {
        add_both(q, add(q, REASON_EMS_MISMATCH, POSSIBLE,
                        "the session was made with extended_master_secret, now it is not offered: "
                        "a server that found it would end the handshake, unless it is lenient"));
    } else if (!q->origin->has_ems && q->offer->has_ems) {
        add_both(q, add(q, REASON_EMS_MISMATCH, CERTAIN,
                        "the session was made without extended_master_secret, now it is offered"));
    }
}

static void rule_retry(struct question *q) {
    const struct handshake *handshake = q->handshake;
    if (!handshake->retry || q->judgement->offered != BY_PSK) {
        return;
    }
    struct finding *finding;
    if (handshake->second.seen && handshake->second.whole && handshake->second.psk_count == 0) {
        finding = add(q, REASON_HELLO_RETRY, CERTAIN,
                      "after the HelloRetryRequest the client offers no PSK any more");
    } else {
        finding = add(q, REASON_HELLO_RETRY, POSSIBLE,
                      "the server asked for a second hello with HelloRetryRequest");
    }
    add_frame(finding, handshake->retry_place.frame);
    add_frame(finding, handshake->second.place.frame);
}

static void rule_psk_mode(struct question *q) {
    if (q->judgement->offered != BY_PSK || q->offer->psk_dhe_ke || !q->offer->whole) {
        return;
    }
    add_frame(add(q, REASON_PSK_MODE_NOT_OFFERED, q->offer->has_psk_modes ? LIKELY : CERTAIN,
                  q->offer->has_psk_modes
                      ? "the client offers psk_ke only, which most servers refuse"
                      : "the client offers a PSK without psk_key_exchange_modes"),
              q->offer->place.frame);
}

/* Seconds between issuing and offering; false when the clock went back. */
static bool age_s(const struct question *q, double *age) {
    if (!q->origin || q->offer->place.time_ns < q->origin->place.time_ns) {
        return false;
    }
    *age = (double)(q->offer->place.time_ns - q->origin->place.time_ns) / (double)NS_PER_S;
    return true;
}

static void rule_expired(struct question *q) {
    double age = 0;
    if (!age_s(q, &age)) {
        return;
    }
    if (q->origin->has_lifetime && age > (double)q->origin->lifetime_s) {
        /* RFC 8446 4.6.1 forbids to use it longer; in RFC 5077 3.3 it is a hint */
        add_both(q,
                 add(q, REASON_EXPIRED,
                     of_the_traced(q, q->judgement->offered == BY_PSK ? CERTAIN : LIKELY),
                     "%s was issued %.0f seconds earlier (stream %u) with a lifetime of %u seconds",
                     q->what, age, q->origin->stream, q->origin->lifetime_s));
    } else if (!q->origin->has_lifetime && age > 60) {
        add_both(
            q, add(q, REASON_EXPIRED, POSSIBLE,
                   "%s was issued %.0f seconds earlier (stream %u); how long it lives is not said",
                   q->what, age, q->origin->stream));
    }
}

/* The key under which the server seals tickets now: a ticket of this very handshake tells,
 * else the last one that it issued before. */
static struct ticket_key server_key(const struct handshake *handshake) {
    struct ticket_key key = handshake->key_before;
    if (handshake->ticket_issued.len >= TOKEN_KEY_NAME_LEN) {
        bool same =
            key.known && memcmp(key.name, handshake->ticket_issued.head, TOKEN_KEY_NAME_LEN) == 0;
        key.alike = key.alike || same || handshake->tickets_alike;
        key.tickets++;
        key.known = true;
        key.frame = handshake->ticket_frame;
        memcpy(key.name, handshake->ticket_issued.head, TOKEN_KEY_NAME_LEN);
    }
    return key;
}

static const struct token *offered_ticket(const struct question *q) {
    return q->judgement->offered == BY_PSK ? &q->offer->psks[0] : &q->offer->ticket;
}

static void rule_key_name(struct question *q) {
    const struct token *ticket = offered_ticket(q);
    struct ticket_key key = server_key(q->handshake);
    if (q->judgement->offered == BY_SESSION_ID || !key.known || ticket->len < 32 ||
        memcmp(key.name, ticket->head, TOKEN_KEY_NAME_LEN) == 0) {
        return;
    }
    /* The layout holds where several tickets begin alike, and is only assumed where there is one. */
    bool held = key.alike;
    if (!held && key.tickets >= 2) {
        return; /* each begins differently: no key name there */
    }
    char offered[2 * TOKEN_KEY_NAME_LEN + 1];
    char present[2 * TOKEN_KEY_NAME_LEN + 1];
    hex_text(ticket->head, TOKEN_KEY_NAME_LEN, offered);
    hex_text(key.name, TOKEN_KEY_NAME_LEN, present);
    struct finding *finding =
        add(q, REASON_UNKNOWN_TICKET_KEY, held ? of_the_traced(q, LIKELY) : POSSIBLE,
            "its key name is %s and the server's present one is %s: the key was rotated, or is "
            "not shared (assumed: the ticket begins with a key name of 16 bytes, RFC 5077 4%s)",
            offered, present, held ? ", as this server's tickets do" : "");
    add_both(q, finding);
    add_frame(finding, key.frame);
}

static void address_text_of(const uint8_t *address, uint8_t len,
                            char out[static INET6_ADDRSTRLEN]) {
    out[0] = '\0';
    (void)inet_ntop(len == 4 ? AF_INET : AF_INET6, address, out, INET6_ADDRSTRLEN);
}

static void rule_address(struct question *q) {
    struct stream_server server = stream_server(q->stream);
    if (!q->origin || (q->origin->address_len == server.address_len &&
                       memcmp(q->origin->server, server.address, PACKET_ADDRESS_LEN) == 0 &&
                       q->origin->server_port == server.port)) {
        return;
    }
    char issuer[INET6_ADDRSTRLEN];
    char here[INET6_ADDRSTRLEN];
    address_text_of(q->origin->server, q->origin->address_len, issuer);
    address_text_of(server.address, server.address_len, here);
    add_both(q,
             add(q, REASON_OTHER_ADDRESS, of_the_traced(q, LIKELY),
                 "%s was issued by %s port %u and is offered to %s port %u: they may share neither "
                 "cache nor ticket keys",
                 q->what, issuer, q->origin->server_port, here, server.port));
}

static void rule_name(struct question *q) {
    if (!q->origin || !q->origin->name_known || !q->offer->whole ||
        q->origin->name_hash == q->offer->name_hash) {
        return;
    }
    add_both(q, add(q, REASON_OTHER_SERVER_NAME, of_the_traced(q, LIKELY),
                    "%s was issued for server name '%s' and is offered for '%s'", q->what,
                    q->origin->name_hash ? q->origin->name : "(none)",
                    q->offer->has_name ? q->offer->name : "(none)"));
}

/* What the server's hello says of what it keeps. */
static void rule_server_off(struct question *q) {
    const struct answer *answer = q->answer;
    if (!answer->seen || !answer->whole || version_is_tls13(answer->version)) {
        return;
    }
    if (q->judgement->offered == BY_TICKET && !answer->has_ticket_extension) {
        add_frame(add(q, REASON_TICKETS_OFF, LIKELY,
                      "the server's hello has no session_ticket extension: it issues no tickets%s",
                      answer->session_id.len > 0 ? ", and falls back to a session ID" : ""),
                  answer->place.frame);
    }
    if (q->judgement->offered == BY_SESSION_ID && answer->session_id.len == 0) {
        add_frame(add(q, REASON_CACHE_OFF, LIKELY,
                      "the server's hello has no session ID: it keeps no sessions%s",
                      answer->has_ticket_extension ? ", and issues tickets" : ""),
                  answer->place.frame);
    }
}

static void rule_unseen(struct question *q) {
    if (q->origin) {
        return;
    }
    for (unsigned i = 0; i < q->count; i++) {
        if (q->out[i].reason == REASON_UNKNOWN_TICKET_KEY) {
            return; /* the key's name says more */
        }
    }
    bool id = q->judgement->offered == BY_SESSION_ID;
    add_frame(add(q, id ? REASON_UNKNOWN_SESSION_ID : REASON_UNKNOWN_TICKET_KEY, POSSIBLE,
                  q->judgement->offered == BY_PSK
                      ? "where %s was issued is not seen: before the capture began, elsewhere, or "
                        "encrypted (a key log would show it); it may be expired, evicted or unknown"
                      : "the capture does not show where %s was issued: before it began, or "
                        "elsewhere; it may be expired, evicted or unknown",
                  q->what),
              q->offer->place.frame);
}

static void rule_external(struct question *q) {
    const struct token *psk = &q->offer->psks[0];
    if (q->judgement->offered == BY_PSK && !q->origin && psk->len > 0 && psk->len < 32) {
        add_frame(
            add(q, REASON_EXTERNAL_PSK, POSSIBLE,
                "the identity has %u bytes, too few for a ticket: the PSK may be external, or a "
                "handle into a cache",
                psk->len),
            q->offer->place.frame);
    }
}

static void rule_seen_but(struct question *q) {
    if (!q->origin || q->count > 0) {
        return;
    }
    bool id = q->judgement->offered == BY_SESSION_ID;
    add_both(q,
             add(q, id ? REASON_UNKNOWN_SESSION_ID : REASON_UNKNOWN_TICKET_KEY, POSSIBLE,
                 "%s was issued in stream %u and nothing on the wire speaks against it: %s",
                 q->what, q->origin->stream,
                 id ? "the server no longer has it (evicted, restarted, or another host behind the "
                      "address)"
                    : "the server no longer opens it (key retired, restarted, or another host "
                      "behind the address), or its policy changed"));
}

static void (*const rules[])(struct question *) = {
    rule_alert,      rule_protocol, rule_cipher,   rule_ems,      rule_retry,
    rule_psk_mode,   rule_expired,  rule_key_name, rule_address,  rule_name,
    rule_server_off, rule_external, rule_unseen,   rule_seen_but,
};

static bool is_refused(enum verdict verdict) {
    return verdict == VERDICT_REFUSED_SESSION_ID || verdict == VERDICT_REFUSED_TICKET ||
           verdict == VERDICT_REFUSED_PSK;
}

/* The surest first, in the order of the rules otherwise. */
static void sort(struct finding *findings, unsigned count) {
    for (unsigned i = 1; i < count; i++) {
        struct finding moved = findings[i];
        unsigned at = i;
        for (; at > 0 && findings[at - 1].certainty > moved.certainty; at--) {
            findings[at] = findings[at - 1];
        }
        findings[at] = moved;
    }
}

unsigned why_of(const struct stream *stream, const struct handshake *handshake,
                const struct judgement *judgement, struct finding out[static WHY_MAX]) {
    struct question q = {
        .stream = stream,
        .handshake = handshake,
        .judgement = judgement,
        .offer = &handshake->offer,
        .answer = &handshake->answer,
        .what = judgement->offered == BY_SESSION_ID ? "the session ID"
                : judgement->offered == BY_PSK
                    ? handshake->offer.psk_count > 1 ? "the first PSK" : "the PSK"
                    : "the ticket",
        .out = out,
    };
    const struct origin *origin = judgement->offered == BY_SESSION_ID
                                      ? &handshake->offer.session_id_origin
                                  : judgement->offered == BY_PSK ? &handshake->offer.psk_origin
                                                                 : &handshake->offer.ticket_origin;
    q.origin = origin->stream != STREAM_NONE ? origin : NULL;
    if (is_refused(judgement->verdict)) {
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
            rules[i](&q);
        }
    } else {
        rule_alert(&q);
    }
    sort(out, q.count);
    return q.count;
}
