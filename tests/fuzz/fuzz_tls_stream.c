/* fuzz_tls_stream.c: two directions of any bytes, in any segments, some of them lost: reading
 * them ends, keeps its bounds, and comes to a verdict that can be described. The input is steps:
 * a byte of flags (direction, what to do), a byte of length, so many bytes. */
#include <assert.h>
#include <stdlib.h>

#include "capture/decrypt.h"
#include "capture/describe.h"
#include "capture/keylog.h"
#include "capture/tls.h"
#include "capture/why.h"
#include "fuzz.h"

static void check(const struct stream *stream) {
    assert(stream->event_count <= STREAM_EVENTS_MAX);
    assert(stream->handshake_count <= STREAM_HANDSHAKES_MAX);
    struct judgement judgement = verdict_of_stream(stream);
    assert(judgement.verdict != VERDICT_CANNOT_TELL || judgement.missing != 0);
    char text[512];
    describe_verdict(stream, &judgement, text, sizeof(text));
    describe_line notes[DESCRIBE_NOTES_MAX];
    assert(describe_notes(stream, &judgement, notes) <= DESCRIBE_NOTES_MAX);
    for (unsigned i = 0; i < stream->event_count; i++) {
        describe_line lines[DESCRIBE_LINES_MAX];
        describe_event(&stream->events[i], text, sizeof(text));
        assert(describe_fields(stream, &stream->events[i], lines) <= DESCRIBE_LINES_MAX);
    }
    for (unsigned i = 0; i < stream->handshake_count; i++) {
        struct finding findings[WHY_MAX];
        judgement = verdict_of(stream, &stream->handshakes[i]);
        assert(why_of(stream, &stream->handshakes[i], &judgement, findings) <= WHY_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct issued *issued = issued_new();
    struct keylog *keylog = keylog_new();
    assert(issued && keylog);
    /* the secrets of a client whose random is all zero */
    static const char log[] =
        "CLIENT_RANDOM 0000000000000000000000000000000000000000000000000000000000000000 00\n"
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET "
        "0000000000000000000000000000000000000000000000000000000000000000 00\n";
    assert(keylog_read(keylog, (struct bytes){ (const uint8_t *)log, sizeof(log) - 1 }) == 0);
    struct tls_reader reader = { issued, keylog };
    struct stream stream = { .client = -1, .saw_syn = true };
    struct place place = { 1, 1 };
    struct cursor c = cursor_of((struct bytes){ data, len });
    while (cursor_left(&c) >= 2) {
        uint8_t flags = cursor_u8(&c);
        size_t want = (size_t)cursor_u8(&c) * (flags & 4 ? 16 : 1);
        size_t left = cursor_left(&c);
        place.frame++;
        if (flags & 2) {
            tls_lost(&reader, &stream, flags & 1, want + 1, &place);
        } else {
            struct bytes part = cursor_take(&c, want < left ? want : left);
            tls_data(&reader, &stream, flags & 1, part, &place);
        }
    }
    tls_end(&reader, &stream, &place);
    check(&stream);
    decrypt_fini(&stream);
    stream_fini(&stream);
    keylog_free(keylog);
    issued_free(issued);
    return 0;
}
