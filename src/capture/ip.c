/* ip.c: IPv4, IPv6 with its extension headers, TCP and UDP, see layer.h. */
#include <string.h>

#include "capture/layer.h"

/* IP protocol numbers (IANA). */
enum {
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_ICMP = 1,
    PROTOCOL_IPV4 = 4,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_IPV6 = 41,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_GRE = 47,
    PROTOCOL_AH = 51,
    PROTOCOL_ICMPV6 = 58,
    PROTOCOL_DESTINATION = 60,
    PROTOCOL_ETHERIP = 97,
    PROTOCOL_MOBILITY = 135,
    PROTOCOL_UDPLITE = 136,
    PROTOCOL_MPLS = 137,
    PROTOCOL_HIP = 139,
    PROTOCOL_SHIM6 = 140,
};

enum {
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    FRAGMENT_HEADER = 8,
    ICMP_HEADER = 8,
    UDP_HEADER = 8,
    TCP_HEADER = 20,
    TCP_NEEDED = 16, /* up to the window: what a cut-off packet must still hold */
};

void ip_any(struct layer *layer, struct packet *packet) {
    if (layer->data.len == 0) {
        layer->kind = LAYER_END;
    } else if (layer->data.data[0] >> 4 == 6) {
        ip_v6(layer, packet);
    } else {
        ip_v4(layer, packet);
    }
}

/* What is behind the datagram in the frame, padding and trailers, does not belong to it. */
static void ip_cut(struct layer *layer, size_t len) {
    if (layer->data.len > len) {
        layer->data.len = len;
    }
    layer->wire_len = len;
}

static void ip_fragment(struct layer *layer, struct packet *packet) {
    packet->kind = PACKET_FRAGMENT;
    packet->payload = layer->data;
    packet->payload_len = layer->wire_len;
    layer->kind = LAYER_END;
}

/* RFC 791 3.1. */
void ip_v4(struct layer *layer, struct packet *packet) {
    if (layer->data.len < IPV4_HEADER || layer->data.data[0] >> 4 != 4) {
        layer->kind = LAYER_END;
        return;
    }
    const uint8_t *header = layer->data.data;
    size_t header_len = (size_t)(header[0] & 15) * 4;
    size_t total_len = layer_u16(layer, 2);
    uint32_t fragment = layer_u16(layer, 6);
    if (total_len == 0) { /* segmentation left to the network card: the frame's length counts */
        total_len = layer->wire_len;
    }
    if (header_len < IPV4_HEADER || total_len < header_len) {
        layer->kind = LAYER_END;
        return;
    }
    struct packet_ends *ends = &packet->ends;
    memset(ends, 0, sizeof(*ends));
    memcpy(ends->src, header + 12, 4);
    memcpy(ends->dst, header + 16, 4);
    ends->address_len = 4;
    packet->fragment = (struct packet_fragment){
        .id = layer_u16(layer, 4),
        .offset = (fragment & 0x1fff) * 8,
        .more = (fragment & 0x2000) != 0,
        .protocol = header[9],
    };
    ip_cut(layer, total_len);
    if (!layer_skip(layer, header_len)) {
        return;
    }
    if ((packet->fragment.more || packet->fragment.offset > 0) && !layer->in_icmp) {
        ip_fragment(layer, packet);
        return;
    }
    layer_next(layer, LAYER_PROTOCOL, packet->fragment.protocol);
}

/* RFC 8200 3. */
void ip_v6(struct layer *layer, struct packet *packet) {
    if (layer->data.len < IPV6_HEADER || layer->data.data[0] >> 4 != 6) {
        layer->kind = LAYER_END;
        return;
    }
    size_t payload_len = layer_u16(layer, 4);
    uint8_t next = layer->data.data[6];
    struct packet_ends *ends = &packet->ends;
    memcpy(ends->src, layer->data.data + 8, PACKET_ADDRESS_LEN);
    memcpy(ends->dst, layer->data.data + 24, PACKET_ADDRESS_LEN);
    ends->src_port = 0;
    ends->dst_port = 0;
    ends->address_len = PACKET_ADDRESS_LEN;
    (void)layer_skip(layer, IPV6_HEADER);
    if (payload_len > 0) { /* 0: a jumbogram, or segmentation left to the network card */
        ip_cut(layer, payload_len);
    }
    layer_next(layer, LAYER_PROTOCOL, next);
}

/* RFC 8200 4.5; "atomic" fragments (RFC 6946) are whole. */
static void ip_v6_fragment(struct layer *layer, struct packet *packet) {
    if (layer->data.len < FRAGMENT_HEADER) {
        layer->kind = LAYER_END;
        return;
    }
    uint32_t offset = layer_u16(layer, 2);
    packet->fragment = (struct packet_fragment){
        .id = layer_u32(layer, 4),
        .offset = offset & 0xfff8,
        .more = (offset & 1) != 0,
        .protocol = layer->data.data[0],
    };
    (void)layer_skip(layer, FRAGMENT_HEADER);
    if ((packet->fragment.more || packet->fragment.offset > 0) && !layer->in_icmp) {
        ip_fragment(layer, packet);
        return;
    }
    layer_next(layer, LAYER_PROTOCOL, packet->fragment.protocol);
}

/* A header of (length + 1) units with the next protocol first. */
static void ip_extension(struct layer *layer, size_t unit, size_t more) {
    if (layer->data.len < 2) {
        layer->kind = LAYER_END;
        return;
    }
    uint8_t next = layer->data.data[0];
    if (layer_skip(layer, (layer->data.data[1] + more) * unit)) {
        layer_next(layer, LAYER_PROTOCOL, next);
    }
}

/* An error quotes the packet that it is about (RFC 792, RFC 4443 3). */
static void ip_icmp(struct layer *layer, bool is_error) {
    if (!is_error || layer->in_icmp || !layer_skip(layer, ICMP_HEADER)) {
        layer->kind = LAYER_END;
        return;
    }
    layer->in_icmp = true;
    layer_next(layer, LAYER_IP, 0);
}

static void ip_icmp_v4(struct layer *layer) {
    uint8_t type = layer->data.len > 0 ? layer->data.data[0] : 0;
    /* unreachable, source quench, redirect, time exceeded, parameter problem */
    ip_icmp(layer, type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

static void ip_icmp_v6(struct layer *layer) {
    ip_icmp(layer, layer->data.len > 0 && layer->data.data[0] >= 1 && layer->data.data[0] <= 4);
}

static void ip_tcp(struct layer *layer, struct packet *packet) {
    if (layer->data.len < TCP_NEEDED) {
        layer->kind = LAYER_END;
        return;
    }
    packet->kind = PACKET_TCP;
    packet->quoted = layer->in_icmp;
    packet->ends.src_port = layer_u16(layer, 0);
    packet->ends.dst_port = layer_u16(layer, 2);
    packet->seq = layer_u32(layer, 4);
    layer->kind = LAYER_END;
    if (layer->in_icmp) {
        packet->ack = 0;
        packet->tcp_flags = 0;
        return;
    }
    packet->ack = layer_u32(layer, 8);
    packet->tcp_flags = layer->data.data[13];
    size_t header_len = (size_t)(layer->data.data[12] >> 4) * 4;
    if (header_len >= TCP_HEADER && header_len <= layer->wire_len) {
        size_t there = header_len < layer->data.len ? header_len : layer->data.len;
        packet->payload = (struct bytes){ layer->data.data + there, layer->data.len - there };
        packet->payload_len = layer->wire_len - header_len;
    }
}

static void ip_udp(struct layer *layer, struct packet *packet) {
    if (layer->data.len < UDP_HEADER) {
        layer->kind = LAYER_END;
        return;
    }
    struct packet_ends *ends = &packet->ends;
    ends->src_port = layer_u16(layer, 0);
    ends->dst_port = layer_u16(layer, 2);
    size_t len = layer_u16(layer, 4);
    if (len >= UDP_HEADER) {
        ip_cut(layer, len < layer->wire_len ? len : layer->wire_len);
    }
    (void)layer_skip(layer, UDP_HEADER);
    packet->kind = PACKET_UDP;
    packet->quoted = layer->in_icmp;
    packet->payload = layer->data;
    packet->payload_len = layer->wire_len;
    bool dst = tunnel_is_port(ends->dst_port);
    if (layer->in_icmp || (!dst && !tunnel_is_port(ends->src_port))) {
        layer->kind = LAYER_END;
        return;
    }
    if (packet->tunnel_count < PACKET_TUNNELS_MAX) {
        packet->tunnels[packet->tunnel_count++] = *ends;
    }
    packet->kind = PACKET_OTHER; /* what is within tells */
    layer_next(layer, LAYER_UDP_PAYLOAD, dst ? ends->dst_port : ends->src_port);
}

/* RFC 3378: two bytes of version before an Ethernet frame. */
static void ip_etherip(struct layer *layer) {
    if (layer_skip(layer, 2)) {
        layer_next(layer, LAYER_ETHERNET, 0);
    }
}

void ip_protocol(struct layer *layer, struct packet *packet) {
    switch (layer->type) {
    case PROTOCOL_TCP:
        ip_tcp(layer, packet);
        break;
    case PROTOCOL_UDP:
    case PROTOCOL_UDPLITE:
        ip_udp(layer, packet);
        break;
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_DESTINATION:
    case PROTOCOL_MOBILITY:
    case PROTOCOL_HIP:
    case PROTOCOL_SHIM6:
        ip_extension(layer, 8, 1);
        break;
    case PROTOCOL_AH: /* RFC 4302 2.2 */
        ip_extension(layer, 4, 2);
        break;
    case PROTOCOL_FRAGMENT:
        ip_v6_fragment(layer, packet);
        break;
    case PROTOCOL_IPV4:
    case PROTOCOL_IPV6:
        layer_next(layer, LAYER_IP, 0);
        break;
    case PROTOCOL_GRE:
        layer_next(layer, LAYER_GRE, 0);
        break;
    case PROTOCOL_ETHERIP:
        ip_etherip(layer);
        break;
    case PROTOCOL_MPLS:
        layer_next(layer, LAYER_MPLS, 0);
        break;
    case PROTOCOL_ICMP:
        ip_icmp_v4(layer);
        break;
    case PROTOCOL_ICMPV6:
        ip_icmp_v6(layer);
        break;
    default:
        layer->kind = LAYER_END;
        break;
    }
}
