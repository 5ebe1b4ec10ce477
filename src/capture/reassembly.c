/* reassembly.c: see reassembly.h. */
#include "capture/reassembly.h"

#include <stdlib.h>
#include <string.h>

struct segment {
    struct segment *next;
    uint32_t seq;
    uint32_t len;      /* bytes in data */
    uint32_t wire_len; /* */
    struct place place;
    uint8_t data[];
};

/* RFC 1982: how far b lies before a, negative when behind. */
static int32_t seq_diff(uint32_t a, uint32_t b) {
    return (int32_t)(a - b);
}

void reassembly_syn(struct reassembly *r, uint32_t seq) {
    if (r->passed > 0 || (r->started && r->saw_syn && r->next == seq + 1)) {
        return;
    }
    if (r->started && r->saw_syn) {
        r->has_other = true;
        r->other = seq + 1;
        return;
    }
    r->started = true;
    r->saw_syn = true;
    r->next = seq + 1;
}

/* The second SYN was the right one. */
static void choose_other(struct reassembly *r, uint32_t seq) {
    if (r->has_other && r->passed == 0 && seq == r->other) {
        r->next = seq;
        r->has_other = false;
        reassembly_fini(r); /* what waits belongs to the first */
    }
}

static void pass_lost(struct reassembly *r, uint32_t len, const struct place *place,
                      const struct reassembly_sink *sink) {
    r->next += len;
    r->passed += len;
    r->lost += len;
    sink->lost(sink->context, len, place);
}

/* Hands on the part of a segment that is new. Its start is not behind r->next. */
static void pass_segment(struct reassembly *r, const struct reassembly_in *in,
                         const struct reassembly_sink *sink) {
    uint32_t old = r->next - in->seq;
    if (old >= in->wire_len) {
        return;
    }
    if (old < in->data.len) {
        struct bytes fresh = { in->data.data + old, in->data.len - old };
        r->next += (uint32_t)fresh.len;
        r->passed += fresh.len;
        sink->data(sink->context, fresh, &in->place);
    }
    uint32_t missing = in->seq + (uint32_t)in->wire_len - r->next;
    if (missing > 0) {
        pass_lost(r, missing, &in->place, sink);
    }
}

static void queue_pop(struct reassembly *r, const struct reassembly_sink *sink) {
    struct segment *segment = r->queue;
    r->queue = segment->next;
    r->queued_bytes -= segment->len;
    r->segments--;
    const struct reassembly_in in = {
        .seq = segment->seq,
        .data = { segment->data, segment->len },
        .wire_len = segment->wire_len,
        .place = segment->place,
    };
    pass_segment(r, &in, sink);
    free(segment);
}

/* Hands on what is in order now. */
static void queue_drain(struct reassembly *r, const struct reassembly_sink *sink) {
    while (r->queue && seq_diff(r->queue->seq, r->next) <= 0) {
        queue_pop(r, sink);
        r->patience = 0;
    }
}

/* Gives the first hole up. */
static void queue_skip_hole(struct reassembly *r, const struct reassembly_sink *sink) {
    int32_t hole = seq_diff(r->queue->seq, r->next);
    if (hole > 0) {
        pass_lost(r, (uint32_t)hole, &r->queue->place, sink);
    }
    queue_drain(r, sink);
}

static void queue_add(struct reassembly *r, const struct reassembly_in *in,
                      const struct reassembly_sink *sink) {
    struct segment **at = &r->queue;
    while (*at && seq_diff((*at)->seq, in->seq) < 0) {
        at = &(*at)->next;
    }
    if (*at && (*at)->seq == in->seq && (*at)->wire_len >= in->wire_len) {
        return; /* sent again */
    }
    size_t len = in->data.len < in->wire_len ? in->data.len : in->wire_len;
    struct segment *segment = malloc(sizeof(*segment) + len);
    if (!segment) {
        return; /* a hole then */
    }
    segment->next = *at;
    segment->seq = in->seq;
    segment->len = (uint32_t)len;
    segment->wire_len = (uint32_t)in->wire_len;
    segment->place = in->place;
    memcpy(segment->data, in->data.data, len);
    *at = segment;
    r->queued_bytes += (uint32_t)len;
    r->segments++;
    while (r->queue &&
           (r->queued_bytes > REASSEMBLY_QUEUE_MAX || r->segments > REASSEMBLY_SEGMENTS_MAX)) {
        queue_skip_hole(r, sink);
    }
}

void reassembly_add(struct reassembly *r, const struct reassembly_in *in,
                    const struct reassembly_sink *sink) {
    if (in->wire_len == 0 || in->wire_len > UINT16_MAX * 4u) {
        return;
    }
    if (!r->started) {
        r->started = true;
        r->next = in->seq;
    }
    choose_other(r, in->seq);
    int32_t ahead = seq_diff(in->seq, r->next);
    if (ahead > 0) {
        queue_add(r, in, sink);
        return;
    }
    pass_segment(r, in, sink);
    if (r->queue) {
        queue_drain(r, sink);
    }
}

void reassembly_acked(struct reassembly *r, uint32_t ack, const struct reassembly_sink *sink) {
    choose_other(r, ack);
    if (!r->queue || seq_diff(ack, r->queue->seq) < 0) {
        return;
    }
    if (++r->patience >= REASSEMBLY_PATIENCE) {
        r->patience = 0;
        queue_skip_hole(r, sink);
    }
}

void reassembly_flush(struct reassembly *r, const struct reassembly_sink *sink) {
    while (r->queue) {
        queue_skip_hole(r, sink);
    }
}

void reassembly_fini(struct reassembly *r) {
    while (r->queue) {
        struct segment *segment = r->queue;
        r->queue = segment->next;
        free(segment);
    }
    r->queued_bytes = 0;
    r->segments = 0;
}
