/* source.h: where packets come from: capture files (pcap by libpcap, pcapng by
 * capture/pcapng.c), either of them gzipped, from a file or a pipe; or an interface.
 *
 * pcapng has a reader of its own because libpcap refuses files whose interfaces differ in
 * link type or snap length, which are common, and hides the secrets that they may hold.
 *
 * Threat: files come from anyone: lengths are bounded by SOURCE_PACKET_MAX.
 */
#ifndef REPRISE_CAPTURE_SOURCE_H
#define REPRISE_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define SOURCE_PACKET_MAX (16 * 1024 * 1024)

struct source;

struct source_packet {
    int link_type;
    struct bytes data; /* borrowed until the next call */
    size_t wire_len;
    uint64_t time_ns;
};

enum source_status {
    SOURCE_PACKET,  /* *packet is filled */
    SOURCE_SKIPPED, /* what has a frame number, and is no packet or one that the filter refuses */
    SOURCE_SECRETS, /* a TLS key log is embedded: packet->data is its text */
    SOURCE_IDLE,    /* live: nothing came for a while */
    SOURCE_END,     /* */
    SOURCE_ERROR,   /* what was read before is good; err says what is not */
};

/* Opens a file; "-" is standard input. Null with err set. */
struct source *source_open_file(const char *path, struct err *err);

/* Listens on an interface. */
struct source *source_open_live(const char *interface, struct err *err);

/* Only packets that the expression (pcap-filter(7)) takes are handed out; frame numbers of a
 * file still count the others. Returns 0 or -1. */
int source_set_filter(struct source *source, const char *expression, struct err *err);

/* The next packet, or what else comes. */
enum source_status source_next(struct source *source, struct source_packet *packet,
                               struct err *err);

/* The user wants an end. Returns true when the source is a pipe: whoever writes it may end as well,
 * so what comes shortly is still read, until source_next says that it ends. */
bool source_interrupt(struct source *source);

/* Bytes of the file that were read, and all it has; 0 where that is not known. */
uint64_t source_position(const struct source *source, uint64_t *size);

void source_close(struct source *source);

#endif
