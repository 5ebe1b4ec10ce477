/* fuzz_capture.c: packets of any bytes, one after the other, through the whole engine, with few
 * streams allowed; and the same bytes as a pcapng file. A packet is two bytes of length, one of
 * flags, and its bytes; IPv4 without a link layer, so that TCP is near. */
#include <assert.h>
#include <stdio.h>

#include "capture/inspect.h"
#include "capture/pcapng.h"
#include "capture/verdict.h"
#include "fuzz.h"

#define LINK_RAW 101
#define STREAMS_MAX 8

static void on_stream(void *context, const struct stream *stream) {
    unsigned *streams = context;
    (*streams)++;
    assert(stream->event_count <= STREAM_EVENTS_MAX);
    struct judgement judgement = verdict_of_stream(stream);
    assert(judgement.verdict < VERDICT_COUNT);
}

static void read_packets(const uint8_t *data, size_t len) {
    unsigned streams = 0;
    const struct inspect_options options = {
        .streams_max = STREAMS_MAX,
        .on_stream = on_stream,
        .context = &streams,
    };
    struct inspect *inspect = inspect_new(&options);
    assert(inspect);
    struct cursor c = cursor_of((struct bytes){ data, len });
    uint64_t time_ns = 0;
    while (cursor_left(&c) > 3) {
        size_t want = cursor_u16(&c);
        uint8_t flags = cursor_u8(&c);
        size_t left = cursor_left(&c);
        struct bytes packet = cursor_take(&c, want < left ? want : left);
        time_ns += (uint64_t)flags << 28;
        inspect_packet(inspect, LINK_RAW, packet, packet.len + (flags & 1 ? 40 : 0), time_ns);
    }
    inspect_finish(inspect);
    struct inspect_counts counts = inspect_counts(inspect);
    assert(streams <= counts.tcp_streams + counts.udp_streams);
    inspect_free(inspect);
}

static void read_file(uint8_t *data, size_t len) {
    FILE *file = len > 0 ? fmemopen(data, len, "r") : NULL;
    if (!file) {
        return;
    }
    struct pcapng *pcapng = pcapng_new(file);
    assert(pcapng);
    struct source_packet packet;
    struct err err = { 0 };
    enum source_status status;
    do {
        status = pcapng_next(pcapng, &packet, &err);
        assert(status != SOURCE_PACKET || packet.data.len <= SOURCE_PACKET_MAX + 65536);
    } while (status == SOURCE_PACKET || status == SOURCE_SECRETS);
    assert((status == SOURCE_ERROR) == err.set);
    pcapng_free(pcapng);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    read_packets(data, len);
    read_file((uint8_t *)(uintptr_t)data, len);
    return 0;
}
