/* inspect.h: packets in, streams out: the engine of `reprise inspect`.
 *
 * It decodes packets, counts TCP streams as Wireshark does, puts their bytes in order, reads
 * TLS in them, and hands each stream to the caller once: when it is closed or idle for long,
 * when there are too many, or at the end. No I/O; the caller brings packets from wherever.
 *
 * Threat: a capture decides nothing about memory. Streams that are open are at most
 * `streams_max`; of closed ones a small entry is kept, so that late packets still belong to
 * them and numbers stay right, at most INSPECT_CLOSED_MAX of them.
 */
#ifndef REPRISE_CAPTURE_INSPECT_H
#define REPRISE_CAPTURE_INSPECT_H

#include "capture/stream.h"

#define INSPECT_STREAMS_MAX 65536
#define INSPECT_CLOSED_MAX 262144
#define INSPECT_IDLE_S 900      /* without a packet, by the engine's clock */
#define INSPECT_LINGER_S 30     /* after both ends have closed */
#define INSPECT_STEP_NS 1000000 /* what one packet of a file moves that clock at most */

struct inspect;
struct keylog;

struct inspect_options {
    unsigned streams_max;        /* 0: INSPECT_STREAMS_MAX */
    const struct keylog *keylog; /* borrowed; may be null */
    /* The engine's clock goes on with the packets' times, at most so far a packet. 0: as far as
     * they say, which an interface's may. In a file one time that is odd, or a second clock,
     * would end every stream. */
    uint64_t step_ns;
    uint64_t linger_s; /* before a stream that both ends closed is judged; 0: INSPECT_LINGER_S */
    /* Called once a stream, with all its facts; borrowed for the call. */
    void (*on_stream)(void *context, const struct stream *stream);
    void *context;
};

struct inspect_counts {
    uint64_t packets;
    uint64_t bytes;
    uint64_t tcp_packets;
    uint64_t tcp_streams;
    uint64_t udp_streams;
    uint64_t unknown_link; /* packets of a link type that is not known */
};

/* Null when there is no memory. */
struct inspect *inspect_new(const struct inspect_options *options);

/* One packet, as it was captured: `wire_len` bytes long, `data` of them there. */
void inspect_packet(struct inspect *inspect, int link_type, struct bytes data, size_t wire_len,
                    uint64_t time_ns);

/* Time passes, and no packet comes. */
void inspect_tick(struct inspect *inspect, uint64_t time_ns);

/* One packet that is not to be looked at, but has a frame number. */
void inspect_skip(struct inspect *inspect);

/* Hands out the streams that are left. */
void inspect_finish(struct inspect *inspect);

struct inspect_counts inspect_counts(const struct inspect *inspect);

/* Hands nothing out. */
void inspect_free(struct inspect *inspect);

#endif
