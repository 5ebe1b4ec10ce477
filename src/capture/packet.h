/* packet.h: one captured packet, from its link layer to TCP's or UDP's payload.
 *
 * Layers are stepped over one by one in a loop (capture/layer.h), so that nothing a
 * packet holds deepens the stack: link headers, tags, labels, tunnels, IP in IP. The
 * innermost TCP or UDP header is what counts. No I/O, no allocation: the result is
 * a view into the packet.
 *
 * Threat: every byte, and both lengths, come from whoever wrote the packets.
 */
#ifndef REPRISE_CAPTURE_PACKET_H
#define REPRISE_CAPTURE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define PACKET_LAYERS_MAX 32 /* headers within one packet */
#define PACKET_TUNNELS_MAX 4 /* UDP headers around the innermost one */
#define PACKET_ADDRESS_LEN 16

/* TCP's flags (RFC 9293 3.1). */
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

enum packet_kind {
    PACKET_OTHER,    /* neither TCP nor UDP, or cut off before their ports */
    PACKET_TCP,      /* */
    PACKET_UDP,      /* */
    PACKET_FRAGMENT, /* a part of an IP datagram: see capture/defrag.h */
};

/* Who sends to whom. IPv4 addresses fill the first four bytes, the rest is zero. */
struct packet_ends {
    uint8_t src[PACKET_ADDRESS_LEN];
    uint8_t dst[PACKET_ADDRESS_LEN];
    uint16_t src_port;
    uint16_t dst_port;
    uint8_t address_len; /* 4, 16, or 0 where there is no IP */
};

/* Of an IP fragment: what joins it to its fellows (RFC 791 3.2, RFC 8200 4.5). */
struct packet_fragment {
    uint32_t id;
    uint32_t offset; /* bytes */
    bool more;
    uint8_t protocol;
};

struct packet {
    enum packet_kind kind;
    struct packet_ends ends;
    uint8_t tcp_flags;
    bool quoted; /* within an ICMP error: it counts as a stream, and carries nothing */
    uint32_t seq;
    uint32_t ack;
    struct bytes payload; /* borrowed from the packet; as far as it was captured */
    size_t payload_len;   /* as long as it was on the wire */
    struct packet_fragment fragment;
    struct packet_ends tunnels[PACKET_TUNNELS_MAX]; /* UDP headers on the way, outermost first */
    unsigned tunnel_count;
};

/* Decodes a packet of libpcap's link type `link_type` (a LINKTYPE_ number), of which `data`
 * was captured and which was `wire_len` bytes long. Fills all of `out`; what can't be
 * decoded is PACKET_OTHER. */
void packet_decode(int link_type, struct bytes data, size_t wire_len, struct packet *out);

/* Goes on where a datagram was put together: `out` as the last fragment's packet_decode left
 * it, `data` the whole payload of the IP protocol out->fragment.protocol. */
void packet_decode_joined(struct bytes data, struct packet *out);

/* True when packet_decode knows the link type. */
bool packet_knows_link(int link_type);

#endif
