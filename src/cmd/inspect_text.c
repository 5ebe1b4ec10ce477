/* inspect_text.c: a stream as text: verdict, reasons, and the ladder of its messages. */
#include <string.h>

#include "capture/describe.h"
#include "cmd/inspect.h"

#define COLUMN 46 /* of the server's column, from the client's */
#define RESET "\033[0m"

void inspected_filter(const struct stream *stream, char *out, size_t cap) {
    snprintf(out, cap, "%s.stream eq %u", stream->transport == STREAM_TCP ? "tcp" : "udp",
             stream->number);
}

void inspected_ends(const struct stream *stream, char *client, char *server, size_t cap) {
    struct stream_server end = stream_server(stream);
    bool reverse = end.address == stream->ends.src;
    describe_address(reverse ? stream->ends.dst : stream->ends.src, stream->ends.address_len,
                     reverse ? stream->ends.dst_port : stream->ends.src_port, client, cap);
    describe_address(end.address, end.address_len, end.port, server, cap);
}

/* Resumed is green, refused yellow, unknown magenta. */
static const char *verdict_color(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_RESUMED_SESSION_ID:
    case VERDICT_RESUMED_TICKET:
    case VERDICT_RESUMED_PSK:
        return "\033[1;32m";
    case VERDICT_REFUSED_SESSION_ID:
    case VERDICT_REFUSED_TICKET:
    case VERDICT_REFUSED_PSK:
        return "\033[1;33m";
    case VERDICT_CANNOT_TELL:
        return "\033[1;35m";
    default:
        return "\033[1m";
    }
}

static void print_frames(const uint64_t *frames, unsigned max, FILE *out) {
    const char *before = frames[0] ? (max > 1 && frames[1] ? " [frames" : " [frame") : "";
    fputs(before, out);
    for (unsigned i = 0; i < max && frames[i]; i++) {
        fprintf(out, " %llu", (unsigned long long)frames[i]);
    }
    fputs(frames[0] ? "]" : "", out);
}

static void print_arrow(bool to_server, size_t used, FILE *out) {
    size_t len = used + 4 < COLUMN ? COLUMN - used - 2 : 2;
    fputs(to_server ? " " : "<", out);
    for (size_t i = 1; i < len; i++) {
        fputc('-', out);
    }
    fputs(to_server ? ">" : " ", out);
}

static void print_row(const struct stream *stream, const struct event *event,
                      const struct style *style, FILE *out) {
    char text[DESCRIBE_TEXT_MAX];
    describe_event(event, text, sizeof(text));
    bool from_client = event_is_from_client(stream, event);
    fprintf(out, "  %11.6f %7llu  ", describe_since_s(stream, event),
            (unsigned long long)event->place.frame);
    const char *color =
        event->kind == EVENT_HANDSHAKE ? (from_client ? "\033[36m" : "\033[34m") : "";
    const char *on = style->color ? color : "";
    const char *off = style->color && color[0] ? RESET : "";
    if (from_client) {
        fprintf(out, "%s%s%s", on, text, off);
        print_arrow(true, strlen(text), out);
        fputc('\n', out);
    } else {
        print_arrow(false, 12, out);
        fprintf(out, "%s%s%s\n", on, text, off);
    }
    describe_line lines[DESCRIBE_LINES_MAX];
    unsigned count = describe_fields(stream, event, lines);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%*s%s%s%s\n", from_client ? 26 : 26 + COLUMN - 12, "",
                style->color ? "\033[2m" : "", lines[i], style->color ? RESET : "");
    }
}

static void print_ladder(const struct stream *stream, const struct style *style, FILE *out) {
    if (stream->event_count == 0) {
        return;
    }
    fprintf(out, "  %11s %7s  %-*s%s\n", "time", "frame", COLUMN - 12, "client", "server");
    for (unsigned i = 0; i < stream->event_count; i++) {
        print_row(stream, &stream->events[i], style, out);
    }
    if (stream->events_dropped > 0) {
        fprintf(out, "  %11s %7s  (and %llu more)\n", "", "",
                (unsigned long long)stream->events_dropped);
    }
}

static void print_head(const struct inspected *inspected, const struct style *style, FILE *out) {
    const struct stream *stream = inspected->stream;
    char client[DESCRIBE_ADDRESS_MAX];
    char server[DESCRIBE_ADDRESS_MAX];
    char filter[40];
    char version[40] = "";
    inspected_ends(stream, client, server, sizeof(client));
    inspected_filter(stream, filter, sizeof(filter));
    const struct handshake *first = stream->handshake_count > 0 ? stream->handshakes : NULL;
    if (first && first->answer.seen) {
        describe_version(first->answer.version, version, sizeof(version));
    } else if (stream->transport == STREAM_QUIC) {
        snprintf(version, sizeof(version), "QUIC");
    }
    bool named = first && first->offer.has_name;
    fprintf(out, "%sstream %u%s  %s -> %s%s%s%s%s  (%s)\n", style->color ? "\033[1m" : "",
            stream->number, style->color ? RESET : "", client, server, named ? "  " : "",
            named ? first->offer.name : "", version[0] ? "  " : "", version, filter);
}

static void print_verdict(const struct inspected *inspected, const struct judgement *judgement,
                          const char *before, const struct style *style, FILE *out) {
    char text[2 * DESCRIBE_TEXT_MAX];
    describe_verdict(inspected->stream, judgement, text, sizeof(text));
    fprintf(out, "  %s%s%s%s", before, style->color ? verdict_color(judgement->verdict) : "", text,
            style->color ? RESET : "");
    print_frames(judgement->frames, 3, out);
    fputc('\n', out);
}

static void print_findings(const struct inspected *inspected, FILE *out) {
    for (unsigned i = 0; i < inspected->finding_count; i++) {
        const struct finding *finding = &inspected->findings[i];
        fprintf(out, "  why: %s (%s): %s", reason_word(finding->reason),
                why_certainty_word(finding->certainty), finding->text);
        print_frames(finding->frames, WHY_FRAMES_MAX, out);
        fputc('\n', out);
    }
}

/* An alert is the server's whole answer to a hello that was to renegotiate. */
static bool was_refused(const struct stream *stream, const struct handshake *handshake) {
    return handshake->offer.seen && !handshake->answer.seen && stream->alert != 0 &&
           stream->alert_direction != stream->client &&
           stream->alert_frame >= handshake->offer.place.frame;
}

void inspect_print_text(const struct inspected *inspected, const struct style *style, FILE *out) {
    const struct stream *stream = inspected->stream;
    print_head(inspected, style, out);
    print_verdict(inspected, &inspected->judgement, "", style, out);
    print_findings(inspected, out);
    describe_line notes[DESCRIBE_NOTES_MAX];
    unsigned count = describe_notes(stream, &inspected->judgement, notes);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "  note: %s\n", notes[i]);
    }
    for (unsigned i = 1; i < stream->handshake_count; i++) {
        if (was_refused(stream, &stream->handshakes[i])) {
            fprintf(out, "  then: renegotiation asked for, and refused [frames %llu %llu]\n",
                    (unsigned long long)stream->handshakes[i].offer.place.frame,
                    (unsigned long long)stream->alert_frame);
            continue;
        }
        struct judgement next = verdict_of(stream, &stream->handshakes[i]);
        print_verdict(inspected, &next, "then: ", style, out);
    }
    if (!style->brief) {
        print_ladder(stream, style, out);
        fputc('\n', out);
    }
}

size_t inspect_utf8_len(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    size_t len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool longer = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool none = (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90);
    return longer || none ? 0 : len;
}

void inspect_print_name(const char *name, FILE *out) {
    while (*name) {
        const unsigned char *at = (const unsigned char *)name;
        size_t len = inspect_utf8_len(name);
        bool control = at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
        if (len > 0 && !control) {
            fwrite(name, 1, len, out);
            name += len;
        } else {
            fprintf(out, "\\x%02x", *at);
            name++;
        }
    }
}
