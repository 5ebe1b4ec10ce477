/* layer.h: the steps of packet.h: each takes one header off and says what comes next.
 *
 * A step gets a struct layer and changes it: `data` and `wire_len` then begin behind its
 * header, `kind` and `type` tell what is there. LAYER_END ends the walk. What is too short
 * or unknown ends it too.
 */
#ifndef REPRISE_CAPTURE_LAYER_H
#define REPRISE_CAPTURE_LAYER_H

#include "capture/packet.h"

enum layer_kind {
    LAYER_END,
    LAYER_LINK,     /* type: the link type */
    LAYER_ETHERNET, /* */
    LAYER_ETHERTYPE,
    LAYER_PPP,      /* with or without address and control */
    LAYER_PPP_TYPE, /* type: the protocol */
    LAYER_LLC,
    LAYER_WIFI, /* IEEE 802.11 */
    LAYER_MPLS,
    LAYER_IP, /* the version is in the first nibble */
    LAYER_IPV4,
    LAYER_IPV6,
    LAYER_PROTOCOL, /* type: the IP protocol */
    LAYER_GRE,
    LAYER_UDP_PAYLOAD, /* type: which tunnel's port */
    LAYER_KINDS
};

struct layer {
    enum layer_kind kind;
    uint32_t type;
    struct bytes data;
    size_t wire_len;
    bool in_icmp;
};

/* Takes `len` bytes off the front. Returns false, and ends the walk, when there are fewer. */
static inline bool layer_skip(struct layer *layer, size_t len) {
    if (layer->data.len < len) {
        layer->kind = LAYER_END;
        return false;
    }
    layer->data.data += len;
    layer->data.len -= len;
    layer->wire_len -= len < layer->wire_len ? len : layer->wire_len;
    return true;
}

static inline void layer_next(struct layer *layer, enum layer_kind kind, uint32_t type) {
    layer->kind = kind;
    layer->type = type;
}

/* Big-endian numbers at an offset that the caller has checked. */
static inline uint16_t layer_u16(const struct layer *layer, size_t at) {
    return (uint16_t)(layer->data.data[at] << 8 | layer->data.data[at + 1]);
}

static inline uint32_t layer_u32(const struct layer *layer, size_t at) {
    return (uint32_t)layer_u16(layer, at) << 16 | layer_u16(layer, at + 2);
}

/* capture/link.c */
void link_step(struct layer *layer);      /* LAYER_LINK */
void link_ethernet(struct layer *layer);  /* LAYER_ETHERNET */
void link_ethertype(struct layer *layer); /* LAYER_ETHERTYPE */
void link_ppp(struct layer *layer);       /* LAYER_PPP */
void link_ppp_type(struct layer *layer);  /* LAYER_PPP_TYPE */
void link_llc(struct layer *layer);       /* LAYER_LLC */
void link_wifi(struct layer *layer);      /* LAYER_WIFI */
void link_mpls(struct layer *layer);      /* LAYER_MPLS */
bool link_is_known(uint32_t type);

/* capture/ip.c: these fill addresses, ports and payload of the packet as well. */
void ip_any(struct layer *layer, struct packet *packet);      /* LAYER_IP */
void ip_v4(struct layer *layer, struct packet *packet);       /* LAYER_IPV4 */
void ip_v6(struct layer *layer, struct packet *packet);       /* LAYER_IPV6 */
void ip_protocol(struct layer *layer, struct packet *packet); /* LAYER_PROTOCOL */

/* capture/tunnel.c */
void tunnel_gre(struct layer *layer); /* LAYER_GRE */
void tunnel_udp(struct layer *layer); /* LAYER_UDP_PAYLOAD */
/* True when the port is one of a tunnel that tunnel_udp knows. */
bool tunnel_is_port(uint16_t port);

#endif
