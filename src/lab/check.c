/* check.c: see check.h. One function a fact, under the name that fact.def gives it. */
#include "lab/check.h"

#include <stdio.h>

#include "capture/describe.h"

#define HANDLE_LEN 32
#define SESSION_IN_TICKET_MIN 100
#define ALERT_FATAL 2
#define ALERT_NO_RENEGOTIATION 100
#define VERIFY_DATA_LEN 12

typedef bool fact_function(const struct stream *stream, const struct handshake *handshake);

static bool fact_id_empty(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.whole && handshake->offer.session_id.len == 0;
}

static bool fact_id_sent(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.session_id.len > 0;
}

static bool fact_id_known(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.session_id.len > 0 &&
           handshake->offer.session_id_origin.stream != STREAM_NONE;
}

static bool id_is_same(const struct handshake *handshake) {
    return handshake->offer.session_id.len > 0 &&
           token_equal(&handshake->offer.session_id, &handshake->answer.session_id);
}

static bool fact_server_id_new(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.seen && handshake->answer.session_id.len > 0 && !id_is_same(handshake);
}

static bool fact_server_id_same(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.seen && id_is_same(handshake);
}

static bool fact_server_id_other(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.seen && handshake->offer.session_id.len > 0 && !id_is_same(handshake);
}

static bool fact_server_id_empty(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.seen && handshake->answer.session_id.len == 0;
}

static bool fact_certificate(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return (handshake->seen & SEEN_SERVER_CERTIFICATE) != 0;
}

static bool fact_no_certificate(const struct stream *stream, const struct handshake *handshake) {
    return (handshake->seen & SEEN_OF_FULL) == 0 && stream->lost[0] + stream->lost[1] == 0;
}

static bool fact_ticket_signalled(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.has_ticket_extension && handshake->offer.ticket.len == 0;
}

static bool fact_ticket_confirmed(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.has_ticket_extension;
}

static bool fact_ticket_not_confirmed(const struct stream *stream,
                                      const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.whole && !handshake->answer.has_ticket_extension;
}

static bool fact_ticket_issued(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->tickets_issued > 0;
}

static bool fact_ticket_none(const struct stream *stream, const struct handshake *handshake) {
    return handshake->tickets_issued == 0 && stream->lost[0] + stream->lost[1] == 0;
}

static bool fact_ticket_sent(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.ticket.len > 0;
}

/* Where the PSK or the ticket was issued. */
static const struct origin *offered_origin(const struct handshake *handshake) {
    const struct offer *offer = &handshake->offer;
    return offer->psk_count > 0 ? &offer->psk_origin : &offer->ticket_origin;
}

static bool fact_ticket_known(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.seen && offered_origin(handshake)->stream != STREAM_NONE;
}

static bool fact_psk_none(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.whole && handshake->offer.psk_count == 0;
}

static bool fact_psk_sent(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.psk_count > 0;
}

static bool fact_psk_chosen(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.has_psk;
}

static bool fact_psk_not_chosen(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->answer.whole && !handshake->answer.has_psk;
}

static bool fact_tickets_long(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->ticket_issued.len > SESSION_IN_TICKET_MIN;
}

static bool fact_tickets_handle(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->ticket_issued.len == HANDLE_LEN;
}

static bool fact_tickets_two(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->tickets_issued == 2;
}

static bool fact_key_name_other(const struct stream *stream, const struct handshake *handshake) {
    (void)stream;
    return handshake->offer.ticket.len > 0 && handshake->tickets_issued > 0 &&
           memcmp(handshake->offer.ticket.head, handshake->ticket_issued.head,
                  TOKEN_KEY_NAME_LEN) != 0;
}

static bool fact_name_other(const struct stream *stream, const struct handshake *handshake) {
    const struct origin *origin = offered_origin(handshake);
    (void)stream;
    return origin->stream != STREAM_NONE && origin->name_known &&
           origin->name_hash != handshake->offer.name_hash;
}

static bool fact_expired(const struct stream *stream, const struct handshake *handshake) {
    const struct origin *origin = offered_origin(handshake);
    uint64_t now_ns = handshake->offer.place.time_ns;
    (void)stream;
    return origin->stream != STREAM_NONE && origin->has_lifetime &&
           now_ns > origin->place.time_ns &&
           now_ns - origin->place.time_ns > (uint64_t)origin->lifetime_s * 1000000000u;
}

/* The handshake that a renegotiation began; null when there is none. */
static const struct handshake *second_handshake(const struct stream *stream) {
    const struct handshake *second = stream->handshake_count == 2 ? &stream->handshakes[1] : NULL;
    return second && second->offer.seen && second->decrypted ? second : NULL;
}

static bool fact_second_hello(const struct stream *stream, const struct handshake *handshake) {
    (void)handshake;
    return second_handshake(stream) != NULL;
}

static bool fact_no_second_answer(const struct stream *stream, const struct handshake *handshake) {
    const struct handshake *second = second_handshake(stream);
    (void)handshake;
    return second && !second->answer.seen && stream->lost[0] + stream->lost[1] == 0;
}

static bool fact_no_second_offer(const struct stream *stream, const struct handshake *handshake) {
    const struct handshake *second = second_handshake(stream);
    (void)handshake;
    return second && second->offer.whole && second->offer.session_id.len == 0 &&
           !second->offer.has_ticket_extension;
}

static bool fact_legacy(const struct stream *stream, const struct handshake *handshake) {
    const struct handshake *second = second_handshake(stream);
    (void)handshake;
    return second && second->offer.whole && !second->offer.has_renegotiation_info;
}

static bool fact_secure(const struct stream *stream, const struct handshake *handshake) {
    const struct handshake *second = second_handshake(stream);
    (void)handshake;
    return second && second->offer.renegotiation_info_len == VERIFY_DATA_LEN;
}

static bool fact_no_renegotiation(const struct stream *stream, const struct handshake *handshake) {
    (void)handshake;
    return stream->alert == (ALERT_FATAL << 8 | ALERT_NO_RENEGOTIATION) &&
           stream->alert_direction == 1 - stream->client;
}

/* --- checks --- */

struct checks {
    struct lab_check *out;
    unsigned count;
};

static struct lab_check *add(struct checks *checks, enum lab_witness witness, const char *word,
                             bool good) {
    struct lab_check *check = &checks->out[checks->count];
    checks->count += checks->count < LAB_CHECKS_MAX - 1;
    *check = (struct lab_check){ .witness = witness, .good = good };
    snprintf(check->word, sizeof(check->word), "%s", word);
    return check;
}

static void check_verdict(struct checks *checks, const struct lab_act *act,
                          const struct lab_seen *seen) {
    bool good = seen->judgement.verdict == act->verdict;
    struct lab_check *check = add(checks, LAB_PACKETS, "verdict", good);
    snprintf(check->text, sizeof(check->text), "the verdict is %s", verdict_word(act->verdict));
    if (!good) {
        snprintf(check->found, sizeof(check->found), "%s", verdict_word(seen->judgement.verdict));
    }
}

static void check_why(struct checks *checks, const struct lab_act *act,
                      const struct lab_seen *seen) {
    if (act->why == REASON_RESUMED) {
        return;
    }
    bool good = false;
    const char *certainty = "";
    for (unsigned i = 0; i < seen->finding_count && !good; i++) {
        good = seen->findings[i].reason == act->why;
        certainty = why_certainty_word(seen->findings[i].certainty);
    }
    struct lab_check *check = add(checks, LAB_PACKETS, "why", good);
    snprintf(check->text, sizeof(check->text), "why, as far as the wire shows: %s%s%s%s",
             reason_word(act->why), good ? " (" : "", good ? certainty : "", good ? ")" : "");
    if (!good) {
        snprintf(check->found, sizeof(check->found), "%s",
                 seen->finding_count > 0 ? reason_word(seen->findings[0].reason) : "nothing");
    }
}

static void check_facts(struct checks *checks, const struct lab_act *act,
                        const struct lab_seen *seen) {
    static fact_function *const functions[] = {
#define FACT(id, word, text) fact_##id,
#include "lab/fact.def"
#undef FACT
    };
    const struct stream *stream = seen->stream;
    bool handshake = stream->handshake_count > 0;
    for (unsigned i = 0; i < FACT_COUNT; i++) {
        if (act->facts >> i & 1) {
            bool good = handshake && functions[i](stream, &stream->handshakes[0]);
            struct lab_check *check = add(checks, LAB_PACKETS, lab_fact_word(i), good);
            snprintf(check->text, sizeof(check->text), "%s", lab_fact_text(i));
        }
    }
}

static void check_field(struct checks *checks, const char *line, const char *name,
                        const char *expected) {
    char value[sizeof(((struct lab_check *)NULL)->found)];
    if (!expected) {
        return;
    }
    lab_log_field(line, name, value, sizeof(value));
    bool good = strcmp(value, expected) == 0;
    struct lab_check *check = add(checks, LAB_LOG, name, good);
    snprintf(check->text, sizeof(check->text), expected[0] ? "%s=%s" : "no field %s", name,
             expected);
    if (!good) {
        snprintf(check->found, sizeof(check->found), "%s", value[0] ? value : "nothing");
    }
}

unsigned lab_check(const struct lab_act *act, const struct lab_seen *seen,
                   struct lab_check out[static LAB_CHECKS_MAX]) {
    struct checks checks = { .out = out };
    if (seen->stream) {
        check_verdict(&checks, act, seen);
        check_why(&checks, act, seen);
        check_facts(&checks, act, seen);
    } else {
        struct lab_check *check = add(&checks, LAB_PACKETS, "capture", false);
        snprintf(check->text, sizeof(check->text), "the capture has the connection");
    }
    if (seen->log_line) {
        const struct lab_expected_log *log = &act->log;
        check_field(&checks, seen->log_line, "handshake", log->handshake);
        check_field(&checks, seen->log_line, "offered", log->offered);
        check_field(&checks, seen->log_line, "by", log->by);
        check_field(&checks, seen->log_line, "reason", log->reason);
        check_field(&checks, seen->log_line, "issued", log->issued);
        check_field(&checks, seen->log_line, "close", log->close);
    } else {
        struct lab_check *check = add(&checks, LAB_LOG, "line", false);
        snprintf(check->text, sizeof(check->text), "the log has the connection's line");
    }
    return checks.count;
}

bool lab_checks_good(const struct lab_check *checks, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (!checks[i].good) {
            return false;
        }
    }
    return count > 0;
}

const char *lab_witness_word(enum lab_witness witness) {
    return witness == LAB_PACKETS ? "packets" : "log";
}

const char *lab_log_field(const char *line, const char *name, char *out, size_t cap) {
    size_t len = strlen(name);
    out[0] = '\0';
    for (const char *at = line; at && *at;) {
        bool found = strncmp(at, name, len) == 0 && at[len] == '=';
        const char *value = at + strcspn(at, "= ");
        bool quoted = value[0] == '=' && value[1] == '"';
        value += (value[0] == '=') + quoted;
        size_t size = strcspn(value, quoted ? "\"\n" : " \n");
        if (found) {
            snprintf(out, cap, "%.*s", (int)size, value);
            return out;
        }
        at = value + size;
        at += strspn(at, "\" \n");
    }
    return out;
}
