/* inspect.c: see inspect.h. */
#include "capture/inspect.h"

#include <stdlib.h>

#include "base/clock.h"
#include "capture/defrag.h"
#include "capture/dtls.h"
#include "capture/flow.h"
#include "capture/tls.h"

struct inspect {
    struct inspect_options options;
    struct inspect_counts counts;
    struct flow_table flows;
    struct issued *issued; /* owned */
    struct defrag *defrag; /* owned */
    struct tls_reader reader;
    struct place now;
    bool clock_runs;   /* a time was seen */
    uint64_t clock_ns; /* the sum of the packets' steps: see struct inspect_options */
};

/* What a packet is worked on with. */
struct work {
    struct inspect *inspect;
    struct flow *flow;
    uint8_t direction;
    const struct packet *packet;
};

struct inspect *inspect_new(const struct inspect_options *options) {
    struct inspect *inspect = calloc(1, sizeof(*inspect));
    if (!inspect) {
        return NULL;
    }
    inspect->options = *options;
    if (inspect->options.streams_max == 0) {
        inspect->options.streams_max = INSPECT_STREAMS_MAX;
    }
    if (inspect->options.linger_s == 0) {
        inspect->options.linger_s = INSPECT_LINGER_S;
    }
    inspect->issued = issued_new();
    inspect->defrag = defrag_new();
    inspect->reader = (struct tls_reader){ inspect->issued, options->keylog };
    if (!inspect->issued || !inspect->defrag || flow_table_init(&inspect->flows) != 0) {
        inspect_free(inspect);
        return NULL;
    }
    return inspect;
}

void inspect_free(struct inspect *inspect) {
    if (inspect) {
        flow_table_fini(&inspect->flows);
        issued_free(inspect->issued);
        defrag_free(inspect->defrag);
        free(inspect);
    }
}

struct inspect_counts inspect_counts(const struct inspect *inspect) {
    return inspect->counts;
}

/* --- a stream's bytes, from reassembly to TLS --- */

struct sink_context {
    struct inspect *inspect;
    struct stream *stream;
    uint8_t direction;
};

static void sink_data(void *context, struct bytes data, const struct place *place) {
    const struct sink_context *sink = context;
    tls_data(&sink->inspect->reader, sink->stream, sink->direction, data, place);
}

static void sink_lost(void *context, uint64_t len, const struct place *place) {
    const struct sink_context *sink = context;
    tls_lost(&sink->inspect->reader, sink->stream, sink->direction, len, place);
}

static struct reassembly_sink sink_of(struct sink_context *context) {
    return (struct reassembly_sink){ context, sink_data, sink_lost };
}

/* --- the end of a stream --- */

/* Reads what waits behind holes. */
static void live_flush(struct inspect *inspect, struct live *live) {
    for (uint8_t direction = 0; direction < 2; direction++) {
        struct sink_context context = { inspect, &live->stream, direction };
        struct reassembly_sink sink = sink_of(&context);
        reassembly_flush(&live->directions[direction], &sink);
    }
}

/* Reads what is left, and hands the stream out. */
static void live_report(struct inspect *inspect, struct live *live) {
    live_flush(inspect, live);
    tls_end(&inspect->reader, &live->stream, &live->stream.last);
    inspect->options.on_stream(inspect->options.context, &live->stream);
}

static void flow_finish(struct inspect *inspect, struct flow *flow) {
    live_report(inspect, flow->live);
    flow_rest(&inspect->flows, flow);
}

/* A packet came, or it is time. */
static void clock_advance(struct inspect *inspect, uint64_t time_ns) {
    uint64_t last_ns = inspect->now.time_ns;
    uint64_t step_ns = time_ns > last_ns && inspect->clock_runs ? time_ns - last_ns : 0;
    uint64_t max_ns = inspect->options.step_ns;
    inspect->clock_ns += max_ns > 0 && step_ns > max_ns ? max_ns : step_ns;
    inspect->clock_runs = true;
    inspect->now.time_ns = time_ns;
}

static void live_touch(struct inspect *inspect, struct live *live) {
    live->stream.last = inspect->now;
    live->touched_ns = inspect->clock_ns;
}

/* Finishes those of a list that have been idle for so long. */
static void list_tidy(struct inspect *inspect, const struct flow_list *list, uint64_t limit_s) {
    while (list->first && inspect->clock_ns - list->first->live->touched_ns > limit_s * NS_PER_S) {
        flow_finish(inspect, list->first);
    }
}

static void flows_tidy(struct inspect *inspect) {
    struct flow_table *flows = &inspect->flows;
    list_tidy(inspect, &flows->closing, inspect->options.linger_s);
    list_tidy(inspect, &flows->live, INSPECT_IDLE_S);
    while (flows->live.count + flows->closing.count > inspect->options.streams_max) {
        flow_finish(inspect, flows->closing.first ? flows->closing.first : flows->live.first);
    }
    while (flows->other.count > INSPECT_CLOSED_MAX) {
        flow_remove(flows, flows->other.first);
    }
}

void inspect_finish(struct inspect *inspect) {
    struct flow_table *flows = &inspect->flows;
    while (flows->closing.first || flows->live.first) {
        flow_finish(inspect, flows->closing.first ? flows->closing.first : flows->live.first);
    }
}

/* --- TCP --- */

static struct flow *flow_start(struct inspect *inspect, const struct packet *packet, bool is_udp) {
    uint64_t *count = is_udp ? &inspect->counts.udp_streams : &inspect->counts.tcp_streams;
    struct flow *flow = flow_add(&inspect->flows, &packet->ends, is_udp, (uint32_t)*count);
    if (flow) {
        (*count)++;
    }
    return flow;
}

static struct live *live_start(struct inspect *inspect, struct flow *flow,
                               enum stream_transport transport) {
    struct live *live = flow_wake(&inspect->flows, flow);
    if (live) {
        struct stream *stream = &live->stream;
        stream->transport = transport;
        stream->number = flow->number;
        stream->ends = flow->ends;
        stream->first = inspect->now;
        stream->client = -1;
    }
    return live;
}

/* Wireshark's rule for a new stream on known ports: a SYN with another sequence number than
 * the direction's first. */
static bool syn_is_new(const struct flow *flow, uint8_t direction, const struct packet *packet) {
    if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN) {
        return false;
    }
    return flow->base_set[direction] && packet->seq != flow->base[direction];
}

static void flow_note_base(struct flow *flow, uint8_t direction, const struct packet *packet) {
    if (!flow->base_set[direction]) {
        flow->base_set[direction] = true;
        flow->base[direction] = packet->tcp_flags & TCP_SYN ? packet->seq : packet->seq - 1;
    }
    if (!flow->base_set[1 - direction] && (packet->tcp_flags & TCP_ACK)) {
        flow->base_set[1 - direction] = true;
        flow->base[1 - direction] = packet->ack - 1;
    }
}

static void tcp_note_flags(struct live *live, uint8_t direction, const struct packet *packet) {
    struct stream *stream = &live->stream;
    if (packet->tcp_flags & TCP_RST) {
        stream->saw_reset = true;
    }
    if (packet->tcp_flags & TCP_FIN) {
        stream->fin[direction] = true;
        live->fin_end[direction] = packet->seq + (uint32_t)packet->payload_len + 1;
    }
    uint8_t other = (uint8_t)(1 - direction);
    if ((packet->tcp_flags & TCP_ACK) && stream->fin[other] &&
        packet->ack == live->fin_end[other]) {
        live->fin_acked[other] = true;
    }
    live->closed = stream->saw_reset || (stream->fin[0] && stream->fin[1]);
}

static void tcp_syn(struct live *live, uint8_t direction, const struct packet *packet) {
    if (packet->tcp_flags & TCP_SYN) {
        live->stream.saw_syn = true;
        reassembly_syn(&live->directions[direction], packet->seq);
    }
}

static void tcp_ack(const struct work *work, struct live *live) {
    const struct packet *packet = work->packet;
    uint8_t other = (uint8_t)(1 - work->direction);
    struct reassembly *r = &live->directions[other];
    if (!(packet->tcp_flags & TCP_ACK) || (packet->tcp_flags & (TCP_SYN | TCP_RST))) {
        return;
    }
    if (!r->started && live->directions[work->direction].saw_syn) {
        r->started = true; /* the SYN-ACK was not captured */
        r->next = packet->ack;
        return;
    }
    if (r->queue || r->has_other) {
        struct sink_context context = { work->inspect, &live->stream, other };
        struct reassembly_sink sink = sink_of(&context);
        reassembly_acked(r, packet->ack, &sink);
    }
}

static void tcp_live(const struct work *work) {
    struct inspect *inspect = work->inspect;
    struct live *live = work->flow->live;
    const struct packet *packet = work->packet;
    uint8_t direction = work->direction;
    live_touch(inspect, live);
    live->stream.packets++;
    tcp_syn(live, direction, packet);
    tcp_ack(work, live);
    if (packet->payload_len > 0 && !(packet->tcp_flags & TCP_RST)) {
        struct sink_context context = { inspect, &live->stream, direction };
        struct reassembly_sink sink = sink_of(&context);
        const struct reassembly_in in = {
            .seq = packet->seq + ((packet->tcp_flags & TCP_SYN) ? 1 : 0),
            .data = packet->payload,
            .wire_len = packet->payload_len,
            .place = inspect->now,
        };
        live->stream.bytes[direction] += packet->payload_len;
        reassembly_add(&live->directions[direction], &in, &sink);
    }
    tcp_note_flags(live, direction, packet);
    if (live->fin_acked[0] && live->fin_acked[1]) {
        live_flush(inspect, live); /* nothing will be sent again */
    }
    flow_touch(&inspect->flows, work->flow);
}

static void on_tcp(struct inspect *inspect, const struct packet *packet) {
    struct work work = { .inspect = inspect, .packet = packet };
    inspect->counts.tcp_packets++;
    work.flow = flow_find(&inspect->flows, &packet->ends, false, &work.direction);
    if (work.flow && !packet->quoted && syn_is_new(work.flow, work.direction, packet)) {
        if (work.flow->live) {
            live_report(inspect, work.flow->live);
        }
        flow_remove(&inspect->flows, work.flow);
        work.flow = NULL;
    }
    if (!work.flow) {
        work.direction = 0;
        work.flow = flow_start(inspect, packet, false);
        if (!work.flow || !live_start(inspect, work.flow, STREAM_TCP)) {
            return;
        }
        live_touch(inspect, work.flow->live);
    }
    if (packet->quoted) {
        return;
    }
    flow_note_base(work.flow, work.direction, packet);
    if (work.flow->live) {
        tcp_live(&work);
    }
}

/* --- UDP --- */

static void on_udp(struct inspect *inspect, const struct packet *packet) {
    uint8_t direction = 0;
    struct flow *flow = flow_find(&inspect->flows, &packet->ends, true, &direction);
    if (!flow) {
        direction = 0;
        flow = flow_start(inspect, packet, true);
    }
    if (!flow || packet->quoted) {
        return;
    }
    enum stream_transport transport;
    if (!flow->live && !flow->reported && dtls_starts(packet->payload, &transport)) {
        (void)live_start(inspect, flow, transport);
    }
    if (flow->live) {
        flow_touch(&inspect->flows, flow);
        live_touch(inspect, flow->live);
        flow->live->stream.packets++;
        flow->live->stream.bytes[direction] += packet->payload_len;
        flow->live->stream.lost[direction] += packet->payload_len - packet->payload.len;
        dtls_data(flow->live, inspect->issued, direction, packet->payload, &inspect->now);
    }
}

static void on_tunnels(struct inspect *inspect, const struct packet *packet) {
    for (unsigned i = 0; i < packet->tunnel_count; i++) {
        uint8_t direction = 0;
        const struct packet outer = { .ends = packet->tunnels[i] };
        if (!flow_find(&inspect->flows, &outer.ends, true, &direction)) {
            (void)flow_start(inspect, &outer, true);
        }
    }
}

void inspect_tick(struct inspect *inspect, uint64_t time_ns) {
    clock_advance(inspect, time_ns);
    flows_tidy(inspect);
}

void inspect_skip(struct inspect *inspect) {
    inspect->counts.packets++;
}

void inspect_packet(struct inspect *inspect, int link_type, struct bytes data, size_t wire_len,
                    uint64_t time_ns) {
    struct packet packet;
    inspect->counts.packets++;
    inspect->counts.bytes += data.len;
    inspect->now.frame = inspect->counts.packets;
    clock_advance(inspect, time_ns);
    packet_decode(link_type, data, wire_len, &packet);
    struct bytes whole;
    if (packet.kind == PACKET_FRAGMENT && defrag_add(inspect->defrag, &packet, &whole)) {
        packet_decode_joined(whole, &packet);
    }
    if (packet.tunnel_count > 0) {
        on_tunnels(inspect, &packet);
    }
    if (packet.kind == PACKET_TCP) {
        on_tcp(inspect, &packet);
    } else if (packet.kind == PACKET_UDP) {
        on_udp(inspect, &packet);
    } else if (packet.kind == PACKET_OTHER && !packet_knows_link(link_type)) {
        inspect->counts.unknown_link++;
    }
    flows_tidy(inspect);
}
