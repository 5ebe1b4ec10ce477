/* inspect_json.c: a stream as JSON. The schema is in docs/INSPECT.md; its version is
 * INSPECT_JSON_VERSION, and changes when a member changes its meaning or goes. */
#include "base/clock.h"
#include "base/hex.h"
#include "capture/describe.h"
#include "cmd/inspect.h"

void inspect_print_json_text(const char *text, FILE *out) {
    fputc('"', out);
    while (*text) {
        unsigned char c = (unsigned char)*text;
        size_t len = inspect_utf8_len(text);
        if (len == 0) {
            fputs("\\ufffd", out); /* a file's name may be any bytes */
        } else if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(out, "\\u%04x", c);
        } else {
            fwrite(text, 1, len, out);
        }
        text += len > 0 ? len : 1;
    }
    fputc('"', out);
}

static void put_text(const char *name, const char *text, FILE *out) {
    fprintf(out, ",\"%s\":", name);
    inspect_print_json_text(text, out);
}

static void put_number(const char *name, uint64_t value, FILE *out) {
    fprintf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void put_bool(const char *name, bool value, FILE *out) {
    fprintf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

/* Seconds since 1970. */
static void put_time(uint64_t time_ns, FILE *out) {
    fprintf(out, ",\"time\":%llu.%09llu", (unsigned long long)(time_ns / NS_PER_S),
            (unsigned long long)(time_ns % NS_PER_S));
}

static void put_frames(const uint64_t *frames, unsigned max, FILE *out) {
    fputs(",\"frames\":[", out);
    for (unsigned i = 0; i < max && frames[i]; i++) {
        fprintf(out, "%s%llu", i ? "," : "", (unsigned long long)frames[i]);
    }
    fputc(']', out);
}

static void put_end(const char *name, const uint8_t *address, uint8_t len, uint16_t port,
                    FILE *out) {
    char text[DESCRIBE_ADDRESS_MAX];
    describe_address(address, len, port, text, sizeof(text));
    put_text(name, text, out);
}

static void put_origin(const struct origin *origin, const struct place *now, FILE *out) {
    if (origin->stream == STREAM_NONE) {
        return;
    }
    fprintf(out, ",\"issued\":{\"stream\":%u,\"frame\":%llu", origin->stream,
            (unsigned long long)origin->place.frame);
    if (now->time_ns >= origin->place.time_ns) {
        fprintf(out, ",\"age_s\":%.3f",
                (double)(now->time_ns - origin->place.time_ns) / (double)NS_PER_S);
    }
    if (origin->has_lifetime) {
        put_number("lifetime_s", origin->lifetime_s, out);
    }
    put_end("server", origin->server, origin->address_len, origin->server_port, out);
    if (origin->name_hash) {
        put_text("server_name", origin->name, out);
    }
    fputc('}', out);
}

/* A session ID whole, a ticket by its length and key name. */
static void put_token(const char *name, const struct token *token, bool is_ticket, FILE *out) {
    char hex[2 * sizeof(token->head) + 1];
    fprintf(out, ",\"%s\":{\"length\":%u", name, token->len);
    if (token->len > 0) {
        bool named = is_ticket && token->len >= 2 * TOKEN_KEY_NAME_LEN;
        size_t len = token->len < sizeof(token->head) ? token->len : sizeof(token->head);
        hex_text(token->head, named ? TOKEN_KEY_NAME_LEN : len, hex);
        put_text(named ? "key_name" : "bytes", hex, out);
    }
}

static void put_offer(const char *name, const struct offer *offer, FILE *out) {
    char version[40];
    if (!offer->seen) {
        return;
    }
    describe_version(offer->max_version, version, sizeof(version));
    fprintf(out, ",\"%s\":{\"frame\":%llu", name, (unsigned long long)offer->place.frame);
    put_bool("whole", offer->whole, out);
    put_text("max_version", version, out);
    if (offer->has_name) {
        put_text("server_name", offer->name, out);
    }
    if (offer->alpn[0]) {
        put_text("alpn", offer->alpn, out);
    }
    put_token("session_id", &offer->session_id, false, out);
    put_origin(&offer->session_id_origin, &offer->place, out);
    fputc('}', out);
    if (offer->has_ticket_extension) {
        put_token("ticket", &offer->ticket, true, out);
        put_origin(&offer->ticket_origin, &offer->place, out);
        fputc('}', out);
    }
    if (offer->psk_count > 0) {
        put_token("psk", &offer->psks[0], true, out);
        put_number("offered", offer->psk_count, out);
        put_origin(&offer->psk_origin, &offer->place, out);
        fputc('}', out);
    }
    put_bool("extended_master_secret", offer->has_ems, out);
    put_bool("early_data", offer->has_early_data, out);
    fputc('}', out);
}

static void put_answer(const struct answer *answer, FILE *out) {
    char text[96];
    if (!answer->seen) {
        return;
    }
    fprintf(out, ",\"server_hello\":{\"frame\":%llu", (unsigned long long)answer->place.frame);
    put_bool("whole", answer->whole, out);
    describe_version(answer->version, text, sizeof(text));
    put_text("version", text, out);
    describe_suite(answer->cipher_suite, text, sizeof(text));
    put_text("cipher_suite", text, out);
    put_token("session_id", &answer->session_id, false, out);
    fputc('}', out);
    put_bool("session_ticket", answer->has_ticket_extension, out);
    if (answer->has_psk) {
        put_number("psk_selected", answer->psk_selected, out);
    }
    put_bool("extended_master_secret", answer->has_ems, out);
    if (answer->read_extensions) {
        put_bool("early_data", answer->accepts_early_data, out);
    }
    fputc('}', out);
}

static void put_judgement(const struct judgement *judgement, FILE *out) {
    static const char *const shapes[] = { "unknown", "full", "abbreviated" };
    fputs("\"verdict\":", out);
    inspect_print_json_text(verdict_word(judgement->verdict), out);
    put_text("offered", judgement->offer_unknown ? "unknown" : verdict_by_word(judgement->offered),
             out);
    put_text("resumed_by", verdict_by_word(judgement->by), out);
    put_text("handshake", shapes[judgement->shape], out);
    fputs(",\"missing\":[", out);
    unsigned at = 0;
    const char *between = "";
    for (const char *word; (word = verdict_missing_word(judgement->missing, &at)) != NULL;) {
        fputs(between, out);
        inspect_print_json_text(word, out);
        between = ",";
    }
    fputc(']', out);
    put_bool("compatibility_session_id", judgement->compatibility_id, out);
    put_bool("external_psk_possible", judgement->external_possible, out);
    put_frames(judgement->frames, 3, out);
}

static void put_findings(const struct finding *findings, unsigned count, FILE *out) {
    fputs(",\"why\":[", out);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%s{\"reason\":", i ? "," : "");
        inspect_print_json_text(reason_word(findings[i].reason), out);
        put_text("certainty", why_certainty_word(findings[i].certainty), out);
        put_text("text", findings[i].text, out);
        put_frames(findings[i].frames, WHY_FRAMES_MAX, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_handshake(const struct stream *stream, const struct handshake *handshake,
                          FILE *out) {
    struct judgement judgement = verdict_of(stream, handshake);
    struct finding findings[WHY_MAX];
    unsigned count = why_of(stream, handshake, &judgement, findings);
    fputc('{', out);
    put_judgement(&judgement, out);
    put_findings(findings, count, out);
    put_offer("client_hello", &handshake->offer, out);
    put_offer("second_client_hello", &handshake->second, out);
    put_answer(&handshake->answer, out);
    put_bool("hello_retry_request", handshake->retry, out);
    put_bool("decrypted", handshake->decrypted, out);
    put_number("tickets_issued", handshake->tickets_issued, out);
    if (handshake->tickets_issued > 0) {
        put_token("ticket_issued", &handshake->ticket_issued, true, out);
        put_number("lifetime_s", handshake->ticket_lifetime_s, out);
        put_number("frame", handshake->ticket_frame, out);
        fputc('}', out);
    }
    fputc('}', out);
}

static void put_message(const struct stream *stream, const struct event *event, FILE *out) {
    char text[DESCRIBE_TEXT_MAX];
    describe_event(event, text, sizeof(text));
    bool from_client = event_is_from_client(stream, event);
    fprintf(out, "{\"frame\":%llu", (unsigned long long)event->place.frame);
    put_time(event->place.time_ns, out);
    put_text("from", from_client ? "client" : "server", out);
    put_text("message", text, out);
    put_number("length", event->len, out);
    put_number("records", event->count, out);
    put_bool("decrypted", event->decrypted, out);
    fputs(",\"fields\":[", out);
    describe_line lines[DESCRIBE_LINES_MAX];
    unsigned count = describe_fields(stream, event, lines);
    for (unsigned i = 0; i < count; i++) {
        fputs(i ? "," : "", out);
        inspect_print_json_text(lines[i], out);
    }
    fputs("]}", out);
}

static void put_stream(const struct stream *stream, FILE *out) {
    static const char *const transports[] = { "tcp", "dtls", "quic" };
    char client[DESCRIBE_ADDRESS_MAX];
    char server[DESCRIBE_ADDRESS_MAX];
    char text[96];
    inspected_ends(stream, client, server, sizeof(client));
    inspected_filter(stream, text, sizeof(text));
    fprintf(out, "\"stream\":%u", stream->number);
    put_text("transport", transports[stream->transport], out);
    put_text("filter", text, out);
    put_text("client", client, out);
    put_text("server", server, out);
    put_number("first_frame", stream->first.frame, out);
    put_number("last_frame", stream->last.frame, out);
    put_time(stream->first.time_ns, out);
    put_number("packets", stream->packets, out);
    put_bool("tls", stream->is_tls, out);
    const struct handshake *first = stream->handshake_count > 0 ? stream->handshakes : NULL;
    if (first && first->answer.seen) {
        describe_version(first->answer.version, text, sizeof(text));
        put_text("version", text, out);
        describe_suite(first->answer.cipher_suite, text, sizeof(text));
        put_text("cipher_suite", text, out);
    }
    if (first && first->offer.has_name) {
        put_text("server_name", first->offer.name, out);
    }
    fprintf(out, ",\"early_data\":{\"offered\":%s,\"sent\":%s}",
            first && first->offer.has_early_data ? "true" : "false",
            stream->early_data_seen ? "true" : "false");
    put_number("renegotiations", stream_renegotiations(stream), out);
    put_bool("renegotiation_asked", stream_renegotiation_asked(stream), out);
    put_number("bytes_lost", stream->lost[0] + stream->lost[1], out);
}

void inspect_print_json(const struct inspected *inspected, FILE *out) {
    const struct stream *stream = inspected->stream;
    fputc('{', out);
    put_stream(stream, out);
    fputc(',', out);
    put_judgement(&inspected->judgement, out);
    put_findings(inspected->findings, inspected->finding_count, out);
    describe_line notes[DESCRIBE_NOTES_MAX];
    unsigned count = describe_notes(stream, &inspected->judgement, notes);
    fputs(",\"notes\":[", out);
    for (unsigned i = 0; i < count; i++) {
        fputs(i ? "," : "", out);
        inspect_print_json_text(notes[i], out);
    }
    fputs("],\"handshakes\":[", out);
    for (unsigned i = 0; i < stream->handshake_count; i++) {
        fputs(i ? "," : "", out);
        put_handshake(stream, &stream->handshakes[i], out);
    }
    fputs("],\"messages\":[", out);
    for (unsigned i = 0; i < stream->event_count; i++) {
        fputs(i ? "," : "", out);
        put_message(stream, &stream->events[i], out);
    }
    fputs("]}", out);
}
