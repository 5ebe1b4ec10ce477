/* describe.c: see describe.h. */
#include "capture/describe.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "wire/iana.h"
#include "wire/server_hello.h"

void describe_version(uint16_t version, char *out, size_t cap) {
    static const struct {
        uint16_t version;
        const char *name;
    } others[] = {
        { 0x0002, "SSLv2" },
        { 0xfeff, "DTLSv1" },
        { 0xfefd, "DTLSv1.2" },
        { 0xfefc, "DTLSv1.3" },
        { 0x0100, "DTLSv0.9" },
        { 0x7e01, "TLSv1.3 experiment 0x7e01" },
        { 0x7e02, "TLSv1.3 experiment 0x7e02" },
    };
    const char *name = iana_find(NAME_VERSION, version);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !name; i++) {
        name = others[i].version == version ? others[i].name : NULL;
    }
    if (name) {
        snprintf(out, cap, "%s", name);
    } else if (version_draft(version) > 0) {
        snprintf(out, cap, "TLSv1.3 draft %u", version_draft(version));
    } else {
        snprintf(out, cap, "0x%04x", version);
    }
}

void describe_suite(uint16_t suite, char *out, size_t cap) {
    const char *name = iana_find(NAME_CIPHER_SUITE, suite);
    if (name) {
        snprintf(out, cap, "%s", name);
    } else {
        snprintf(out, cap, "0x%04x", suite);
    }
}

void describe_address(const uint8_t *address, uint8_t len, uint16_t port, char *out, size_t cap) {
    char text[INET6_ADDRSTRLEN] = "?";
    (void)inet_ntop(len == 4 ? AF_INET : AF_INET6, address, text, sizeof(text));
    snprintf(out, cap, len == 4 ? "%s:%u" : "[%s]:%u", text, port);
}

/* --- rows --- */

/* "client_key_exchange" as "Client Key Exchange". */
static void title_case(const char *name, char *out, size_t cap) {
    bool start = true;
    size_t at = 0;
    for (; name[at] && at + 1 < cap; at++) {
        char c = name[at] == '_' ? ' ' : name[at];
        out[at] = start && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        start = c == ' ';
    }
    out[at] = '\0';
}

static void event_count(const struct event *event, const char *what, char *out, size_t cap) {
    if (event->count > 1) {
        snprintf(out, cap, "%s (%u records, %llu bytes)", what, event->count,
                 (unsigned long long)event->len);
    } else {
        snprintf(out, cap, "%s (%llu)", what, (unsigned long long)event->len);
    }
}

static void event_handshake(const struct event *event, char *out, size_t cap) {
    const char *name = iana_find(NAME_HANDSHAKE, event->code);
    char text[DESCRIBE_ADDRESS_MAX];
    if (event->is_ssl2) {
        snprintf(text, sizeof(text), "SSLv2 %s",
                 event->code == SSL2_SERVER_HELLO ? "Server Hello" : "Client Hello");
    } else if (name) {
        title_case(name, text, sizeof(text));
    } else {
        snprintf(text, sizeof(text), "handshake type %u", event->code);
    }
    event_count(event, text, out, cap);
}

static void event_alert(const struct event *event, char *out, size_t cap) {
    const char *name = iana_find(NAME_ALERT, event->code & 0xff);
    snprintf(out, cap, "Alert: %s, %s", event->code >> 8 == 2 ? "fatal" : "warning",
             name ? name : "unknown");
}

double describe_since_s(const struct stream *stream, const struct event *event) {
    uint64_t from_ns = stream->first.time_ns;
    uint64_t at_ns = event->place.time_ns;
    return at_ns > from_ns ? (double)(at_ns - from_ns) / (double)NS_PER_S : 0;
}

void describe_event(const struct event *event, char *out, size_t cap) {
    switch (event->kind) {
    case EVENT_HANDSHAKE:
        event_handshake(event, out, cap);
        break;
    case EVENT_CCS:
        snprintf(out, cap, "Change Cipher Spec");
        break;
    case EVENT_ALERT:
        event_alert(event, out, cap);
        break;
    case EVENT_ENCRYPTED_ALERT:
        event_count(event, "Encrypted Alert", out, cap);
        break;
    case EVENT_ENCRYPTED_HANDSHAKE:
        event_count(event, "Encrypted Handshake Message", out, cap);
        break;
    case EVENT_ENCRYPTED:
        event_count(event, "Encrypted: handshake or data", out, cap);
        break;
    case EVENT_DATA:
        event_count(event, "Application Data", out, cap);
        break;
    case EVENT_PLAIN:
        event_count(event, "in clear, before TLS", out, cap);
        break;
    case EVENT_LOST:
        event_count(event, "(not captured)", out, cap);
        break;
    case EVENT_HEARTBEAT:
        event_count(event, "Heartbeat", out, cap);
        break;
    case EVENT_NOT_TLS:
        snprintf(out, cap, "(no TLS record here)");
        break;
    }
}

/* --- what a message holds --- */

struct lines {
    describe_line *at;
    unsigned count;
    unsigned max;
};

__attribute__((format(printf, 2, 3))) static void line(struct lines *lines, const char *fmt, ...) {
    if (lines->count < lines->max) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(lines->at[lines->count++], DESCRIBE_TEXT_MAX, fmt, args);
        va_end(args);
    }
}

/* ", issued in stream 3 (frame 12), 20.1 seconds before" */
static void origin_text(const struct origin *origin, const struct place *now, char *out,
                        size_t cap) {
    if (origin->stream == STREAM_NONE) {
        snprintf(out, cap, ", not seen issued");
        return;
    }
    double age = now->time_ns > origin->place.time_ns
                     ? (double)(now->time_ns - origin->place.time_ns) / (double)NS_PER_S
                     : 0;
    snprintf(out, cap, ", issued in stream %u (frame %llu) %.1f seconds before", origin->stream,
             (unsigned long long)origin->place.frame, age);
}

static void token_text(const struct token *token, bool is_ticket, char *out, size_t cap) {
    char hex[2 * sizeof(token->head) + 1];
    size_t len = token->len < sizeof(token->head) ? token->len : sizeof(token->head);
    if (is_ticket && token->len >= 2 * TOKEN_KEY_NAME_LEN) {
        hex_text(token->head, TOKEN_KEY_NAME_LEN, hex);
        snprintf(out, cap, "%u bytes, key name %s", token->len, hex);
    } else {
        hex_text(token->head, len, hex);
        snprintf(out, cap, "%s (%u bytes)", hex, token->len);
    }
}

static void session_id_line(struct lines *lines, const struct offer *offer) {
    char token[160];
    char origin[96];
    token_text(&offer->session_id, false, token, sizeof(token));
    origin_text(&offer->session_id_origin, &offer->place, origin, sizeof(origin));
    bool traced = offer->session_id_origin.stream != STREAM_NONE;
    if (offer->session_id.len == 0) {
        line(lines, "Session ID: empty");
    } else if (offer->ticket.len > 0) {
        line(lines, "Session ID: %s, to recognise that the ticket was taken%s", token,
             traced ? origin : "");
    } else if (offer->offers_tls13 && !traced) {
        line(lines, "Session ID: %s, TLS 1.3's compatibility field", token);
    } else {
        line(lines, "Session ID: %s%s", token, origin);
    }
}

static void psk_line(struct lines *lines, const struct offer *offer) {
    char token[160];
    char origin[96];
    token_text(&offer->psks[0], true, token, sizeof(token));
    origin_text(&offer->psk_origin, &offer->place, origin, sizeof(origin));
    line(lines, "PSK: %u offered, the first %s%s", offer->psk_count, token, origin);
}

static void offer_lines(struct lines *lines, const struct offer *offer) {
    char token[160];
    char origin[96];
    char version[40];
    describe_version(offer->max_version, version, sizeof(version));
    line(lines, "%s%s%s%s%s", version, offer->is_ssl2 ? " in an SSLv2 hello" : " at most",
         offer->has_name ? ", server name " : "", offer->has_name ? offer->name : "",
         offer->has_ech ? " (with ECH: the outer one)" : "");
    session_id_line(lines, offer);
    if (offer->ticket.len > 0) {
        token_text(&offer->ticket, true, token, sizeof(token));
        origin_text(&offer->ticket_origin, &offer->place, origin, sizeof(origin));
        line(lines, "SessionTicket extension: %s%s", token, origin);
    } else if (offer->has_ticket_extension) {
        line(lines, "SessionTicket extension: empty (the client can)");
    }
    if (offer->psk_count > 0) {
        psk_line(lines, offer);
    }
    if (offer->has_early_data) {
        line(lines, "early data offered");
    }
    if (!offer->whole) {
        line(lines, "the message was not captured whole");
    }
}

/* RFC 5746 3.5, of a hello that asks to renegotiate. */
static void renegotiation_line(struct lines *lines, const struct stream *stream,
                               const struct event *event) {
    const struct offer *offer = &stream->handshakes[event->handshake].offer;
    if (event->handshake == 0) {
        return;
    }
    if (offer->has_renegotiation_info) {
        line(lines, "renegotiation_info: %u bytes of verify_data (secure renegotiation)",
             offer->renegotiation_info_len);
    } else {
        line(lines, "renegotiation_info: none (legacy renegotiation)");
    }
}

static void answer_lines(struct lines *lines, const struct handshake *handshake) {
    const struct answer *answer = &handshake->answer;
    const struct offer *offer = &handshake->offer;
    char version[40];
    char suite[80];
    char token[160];
    describe_version(answer->version, version, sizeof(version));
    describe_suite(answer->cipher_suite, suite, sizeof(suite));
    if (answer->is_ssl2) {
        line(lines, "SSLv2, session ID %s", answer->ssl2_hit ? "found" : "not found");
        return;
    }
    line(lines, "%s, %s", version, suite);
    bool same = offer->seen && token_equal(&answer->session_id, &offer->session_id);
    token_text(&answer->session_id, false, token, sizeof(token));
    if (answer->session_id.len == 0) {
        line(lines, "Session ID: empty");
    } else if (same) {
        line(lines, "Session ID: the client's");
    } else {
        bool was_empty = offer->seen && offer->session_id.len == 0;
        line(lines, "Session ID: %s%s", token,
             was_empty     ? ", new"
             : offer->seen ? ", another than the client's"
                           : "");
    }
    if (answer->has_ticket_extension) {
        line(lines, "SessionTicket extension: empty (a New Session Ticket will follow)");
    }
    if (answer->has_psk) {
        line(lines, "PSK: number %u was chosen", answer->psk_selected);
    } else if (version_is_tls13(answer->version) && offer->psk_count > 0) {
        line(lines, "PSK: none was chosen");
    }
}

static void ticket_lines(struct lines *lines, const struct event *event) {
    char token[160];
    if (event->ticket.len > 0) {
        token_text(&event->ticket, true, token, sizeof(token));
        line(lines, "ticket of %s, lifetime %u seconds", token, event->lifetime_s);
    } else {
        line(lines, "lifetime %u seconds, no ticket", event->lifetime_s);
    }
}

unsigned describe_fields(const struct stream *stream, const struct event *event,
                         describe_line out[static DESCRIBE_LINES_MAX]) {
    struct lines lines = { out, 0, DESCRIBE_LINES_MAX };
    if (event->kind != EVENT_HANDSHAKE || event->handshake >= stream->handshake_count) {
        return 0;
    }
    const struct handshake *handshake = &stream->handshakes[event->handshake];
    uint64_t frame = event->place.frame;
    switch (event->code) {
    case HANDSHAKE_CLIENT_HELLO:
        if (handshake->second.seen && handshake->second.place.frame == frame) {
            offer_lines(&lines, &handshake->second);
        } else if (handshake->offer.seen && handshake->offer.place.frame == frame) {
            offer_lines(&lines, &handshake->offer);
            renegotiation_line(&lines, stream, event);
        }
        break;
    case HANDSHAKE_SERVER_HELLO:
    case HANDSHAKE_HELLO_RETRY_REQUEST:
        if (handshake->retry && handshake->retry_place.frame == frame) {
            line(&lines, "Hello Retry Request: another Client Hello, please");
        } else if (handshake->answer.seen && handshake->answer.place.frame == frame) {
            answer_lines(&lines, handshake);
        }
        break;
    case HANDSHAKE_NEW_SESSION_TICKET: /* SSLv2's Server Hello has the same number */
        if (event->is_ssl2) {
            answer_lines(&lines, handshake);
        } else {
            ticket_lines(&lines, event);
        }
        break;
    default:
        break;
    }
    return lines.count;
}

/* --- the verdict --- */

static const char *missing_text(unsigned bit) {
    static const char *const texts[] = {
        "the Client Hello was not captured",
        "the Server Hello was not captured",
        "what follows the Server Hello was not captured",
        "the end of the Client Hello was not captured",
        "the end of the Server Hello was not captured",
        "the handshake is abbreviated, and nothing that the client offered explains it",
    };
    return texts[bit];
}

void describe_verdict(const struct stream *stream, const struct judgement *judgement, char *out,
                      size_t cap) {
    if (judgement->verdict != VERDICT_CANNOT_TELL) {
        bool unknown = judgement->verdict == VERDICT_NEW && judgement->offer_unknown;
        bool tls13 = judgement->verdict == VERDICT_RESUMED_PSK;
        snprintf(out, cap, "%s%s",
                 unknown
                     ? "full handshake: a new session (what the client offered was not captured)"
                     : verdict_text(judgement->verdict),
                 judgement->shape == SHAPE_ABBREVIATED && !tls13 ? ", abbreviated handshake" : "");
        return;
    }
    int n = snprintf(out, cap, "CANNOT TELL: ");
    const char *between = "";
    for (unsigned bit = 0; bit < 6 && n >= 0 && (size_t)n < cap; bit++) {
        if (judgement->missing & (1u << bit)) {
            n += snprintf(out + n, cap - (size_t)n, "%s%s", between, missing_text(bit));
            between = ", ";
        }
    }
    if (n >= 0 && (size_t)n < cap && stream->transport == STREAM_QUIC) {
        snprintf(out, cap, "CANNOT TELL: QUIC is recognised, and not read");
    } else if (n >= 0 && (size_t)n < cap && judgement->shape != SHAPE_UNKNOWN) {
        snprintf(out + n, cap - (size_t)n, "; what is there looks like %s handshake",
                 judgement->shape == SHAPE_FULL
                     ? "a full"
                     : "an abbreviated (by session ID or by ticket: a session was resumed)");
    }
}

static void notes_offer(struct lines *lines, const struct stream *stream,
                        const struct judgement *judgement) {
    const struct handshake *first = stream->handshake_count > 0 ? stream->handshakes : NULL;
    if (judgement->compatibility_id && judgement->offered != BY_TICKET) {
        line(lines, "the 32-byte session ID is TLS 1.3's compatibility field, not an offer");
    }
    if (judgement->external_possible) {
        line(lines, "the PSK's identity is short: it may be an external PSK, and no session");
    }
    if (judgement->by_either) {
        line(lines, "the session ID was issued by a server as well: it may have been that");
    }
    if (first && first->offer.has_early_data) {
        line(lines, "early data offered%s%s", stream->early_data_seen ? " and sent" : "",
             !first->answer.read_extensions     ? ""
             : first->answer.accepts_early_data ? ", and accepted"
                                                : ", and refused");
    }
    if (first && first->offer.has_ech) {
        line(lines, "Encrypted Client Hello (or its GREASE): the inner hello is not seen");
    }
    if (first && first->retry) {
        line(lines, "Hello Retry Request in frame %llu",
             (unsigned long long)first->retry_place.frame);
    }
}

static void notes_stream(struct lines *lines, const struct stream *stream) {
    unsigned renegotiations = stream_renegotiations(stream);
    if (renegotiations > 0) {
        line(lines, "renegotiation: %u more handshake%s on the same connection", renegotiations,
             renegotiations == 1 ? "" : "s");
    } else if (stream_renegotiation_asked(stream)) {
        line(lines, "encrypted handshake messages after the handshake: a renegotiation was asked "
                    "for, and not completed");
    }
    if (stream->alert != 0) {
        const char *name = iana_find(NAME_ALERT, stream->alert & 0xff);
        bool from_client = stream->client == stream->alert_direction;
        line(lines, "the %s ended it with the alert %s (frame %llu)",
             from_client ? "client" : "server", name ? name : "unknown",
             (unsigned long long)stream->alert_frame);
    }
    unsigned long long lost = stream->lost[0];
    lost += stream->lost[1];
    if (lost > 0) {
        line(lines, "%llu bytes were not captured", lost);
    }
    if (stream->is_tls && stream->transport == STREAM_TCP &&
        (stream->bytes[0] == 0 || stream->bytes[1] == 0)) {
        line(lines, "only one direction was captured");
    }
    if (stream->is_tls && !stream->saw_syn && stream->transport == STREAM_TCP) {
        line(lines, "the connection's start was not captured");
    }
    unsigned long long plain = stream->sides[0].plain_len;
    plain += stream->sides[1].plain_len;
    if (plain > 0 && stream->is_tls) {
        line(lines, "TLS began after %llu bytes in clear (STARTTLS, or a proxy)", plain);
    }
}

unsigned describe_notes(const struct stream *stream, const struct judgement *judgement,
                        describe_line out[static DESCRIBE_NOTES_MAX]) {
    struct lines lines = { out, 0, DESCRIBE_NOTES_MAX };
    notes_offer(&lines, stream, judgement);
    notes_stream(&lines, stream);
    return lines.count;
}
