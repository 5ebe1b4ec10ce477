/* reassembly.h: one direction of a TCP connection put in order (RFC 9293 3.4).
 *
 * What comes in order is handed on as a view, without a copy. What comes early waits in a
 * bounded queue. A hole is given up, and told with its size, when the queue is full, when the
 * receiver has acknowledged what is behind it and nothing filled it for a while, or at the end.
 * Of bytes that come twice the first count. Sequence numbers may wrap around.
 *
 * Threat: segments cost whoever writes them nothing. A direction queues at most
 * REASSEMBLY_QUEUE_MAX bytes in REASSEMBLY_SEGMENTS_MAX segments.
 */
#ifndef REPRISE_CAPTURE_REASSEMBLY_H
#define REPRISE_CAPTURE_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define REASSEMBLY_QUEUE_MAX (256 * 1024)
#define REASSEMBLY_SEGMENTS_MAX 256
#define REASSEMBLY_PATIENCE 12 /* packets after a hole was acknowledged */

/* Where bytes come from. */
struct place {
    uint64_t frame; /* counted from 1, as Wireshark does */
    uint64_t time_ns;
};

/* Who takes the bytes. */
struct reassembly_sink {
    void *context;
    void (*data)(void *context, struct bytes data, const struct place *place);
    void (*lost)(void *context, uint64_t len, const struct place *place);
};

struct segment;

/* Zeroed, it is one that has seen nothing. */
struct reassembly {
    bool started;
    bool saw_syn;
    bool has_other; /* a second SYN came: the stream may begin at `other` instead */
    uint8_t patience;
    uint16_t segments;
    uint32_t next; /* the sequence number that is waited for */
    uint32_t other;
    uint32_t queued_bytes;
    uint64_t passed;       /* bytes handed on or told lost */
    uint64_t lost;         /* of these, lost */
    struct segment *queue; /* owned, in order */
};

/* A segment as it comes: `data` was captured of the `wire_len` bytes at `seq`. */
struct reassembly_in {
    uint32_t seq;
    struct bytes data;
    size_t wire_len;
    struct place place;
};

/* SYN with its own sequence number. Of two that differ, before any data, the one counts that
 * data or the peer's acknowledgement agree with. */
void reassembly_syn(struct reassembly *r, uint32_t seq);

/* Data, in any order. Without SYN the first data that comes is the start. */
void reassembly_add(struct reassembly *r, const struct reassembly_in *in,
                    const struct reassembly_sink *sink);

/* The peer acknowledges what is before `ack`. */
void reassembly_acked(struct reassembly *r, uint32_t ack, const struct reassembly_sink *sink);

/* Hands on what waits, holes told. */
void reassembly_flush(struct reassembly *r, const struct reassembly_sink *sink);

/* Frees the queue. */
void reassembly_fini(struct reassembly *r);

#endif
