/* tunnel.c: GRE, and the tunnels that travel over UDP, see layer.h. */
#include "capture/layer.h"

/* UDP ports (IANA), and Linux's own for VXLAN. */
enum {
    PORT_L2TP = 1701,
    PORT_GTP_U = 2152,
    PORT_GTP_PRIME = 3386,
    PORT_TEREDO = 3544,
    PORT_LISP = 4341,
    PORT_VXLAN = 4789,
    PORT_VXLAN_GPE = 4790,
    PORT_GENEVE = 6081,
    PORT_MPLS = 6635,
    PORT_VXLAN_LINUX = 8472,
};

enum {
    ETHERTYPE_TRANSPARENT_BRIDGING = 0x6558,
    ETHERTYPE_ERSPAN_I_II = 0x88be,
    ETHERTYPE_ERSPAN_III = 0x22eb,
    ETHERTYPE_PPP = 0x880b,
    ETHERTYPE_WCCP = 0x883e,
};

static void layer_end(struct layer *layer) {
    layer->kind = LAYER_END;
}

/* An EtherType that may stand for a whole Ethernet frame. */
static void tunnel_next_type(struct layer *layer, uint16_t type) {
    if (type == ETHERTYPE_TRANSPARENT_BRIDGING) {
        layer_next(layer, LAYER_ETHERNET, 0);
    } else {
        layer_next(layer, LAYER_ETHERTYPE, type);
    }
}

/* ERSPAN types II (8 bytes, with a sequence number in GRE), I (none) and III. */
static void tunnel_erspan(struct layer *layer, uint16_t type, bool has_sequence) {
    size_t header = 0;
    if (type == ETHERTYPE_ERSPAN_III) {
        header = layer->data.len >= 12 && (layer->data.data[11] & 1) ? 20 : 12;
    } else if (has_sequence) {
        header = 8;
    }
    if (layer_skip(layer, header)) {
        layer_next(layer, LAYER_ETHERNET, 0);
    }
}

/* RFC 2784, RFC 2890; version 1 is PPTP's (RFC 2637). */
void tunnel_gre(struct layer *layer) {
    if (layer->data.len < 4) {
        layer_end(layer);
        return;
    }
    uint16_t flags = layer_u16(layer, 0);
    uint16_t type = layer_u16(layer, 2);
    bool has_routing = (flags & 0x4000) != 0;
    bool has_sequence = (flags & 0x1000) != 0;
    bool has_ack = (flags & 7) == 1 && (flags & 0x0080) != 0;
    size_t len = 4 + ((flags & 0xc000) ? 4u : 0u) + ((flags & 0x2000) ? 4u : 0u) +
                 (has_sequence ? 4u : 0u) + (has_ack ? 4u : 0u);
    if (has_routing || !layer_skip(layer, len)) {
        layer_end(layer);
        return;
    }
    switch (type) {
    case ETHERTYPE_PPP:
        layer_next(layer, LAYER_PPP, 0);
        break;
    case ETHERTYPE_ERSPAN_I_II:
    case ETHERTYPE_ERSPAN_III:
        tunnel_erspan(layer, type, has_sequence);
        break;
    case ETHERTYPE_WCCP: /* version 2 puts a redirect header before the packet */
        if (layer->data.len > 4 && layer->data.data[0] >> 4 != 4) {
            (void)layer_skip(layer, 4);
        }
        layer_next(layer, LAYER_IP, 0);
        break;
    default:
        tunnel_next_type(layer, type);
        break;
    }
}

/* GTP-U, 3GPP TS 29.281 5.1: a T-PDU behind a header with optional parts. */
static void tunnel_gtp(struct layer *layer) {
    if (layer->data.len < 8) {
        layer_end(layer);
        return;
    }
    uint8_t flags = layer->data.data[0];
    uint8_t message = layer->data.data[1];
    if (flags >> 5 == 0) { /* version 0 */
        if (message == 255 && layer_skip(layer, 20)) {
            layer_next(layer, LAYER_IP, 0);
        } else {
            layer_end(layer);
        }
        return;
    }
    if (flags >> 5 != 1 || message != 255) {
        layer_end(layer);
        return;
    }
    (void)layer_skip(layer, 8);
    bool extended = (flags & 4) != 0;
    if ((flags & 7) != 0) {
        uint8_t next = layer->data.len >= 4 ? layer->data.data[3] : 0;
        bool good = layer_skip(layer, 4);
        for (unsigned i = 0; good && extended && next != 0 && i < PACKET_LAYERS_MAX; i++) {
            size_t len = layer->data.len > 0 ? (size_t)layer->data.data[0] * 4 : 0;
            good = len >= 4 && layer->data.len >= len;
            next = good ? layer->data.data[len - 1] : 0;
            good = good && layer_skip(layer, len);
        }
        if (!good) {
            layer_end(layer);
            return;
        }
    }
    bool is_ip =
        layer->data.len > 0 && (layer->data.data[0] >> 4 == 4 || layer->data.data[0] >> 4 == 6);
    layer_next(layer, is_ip ? LAYER_IP : LAYER_PPP, 0);
}

/* RFC 8926 3.4. */
static void tunnel_geneve(struct layer *layer) {
    if (layer->data.len < 8 || layer->data.data[0] >> 6 != 0) {
        layer_end(layer);
        return;
    }
    size_t options = (size_t)(layer->data.data[0] & 0x3f) * 4;
    uint16_t type = layer_u16(layer, 2);
    if (layer_skip(layer, 8 + options)) {
        tunnel_next_type(layer, type);
    }
}

/* RFC 7348 5. */
static void tunnel_vxlan(struct layer *layer) {
    if (layer->data.len < 8 || !(layer->data.data[0] & 0x08)) {
        layer_end(layer);
        return;
    }
    (void)layer_skip(layer, 8);
    layer_next(layer, LAYER_ETHERNET, 0);
}

/* Generic Protocol Extension for VXLAN: the last byte of the first word tells what follows. */
static void tunnel_vxlan_gpe(struct layer *layer) {
    if (layer->data.len < 8) {
        layer_end(layer);
        return;
    }
    uint8_t next = layer->data.data[3];
    (void)layer_skip(layer, 8);
    layer_next(layer,
               next == 3                ? LAYER_ETHERNET
               : next == 1 || next == 2 ? LAYER_IP
                                        : LAYER_END,
               0);
}

/* RFC 4380 5.1.1: authentication and origin may stand before the IPv6 packet. */
static void tunnel_teredo(struct layer *layer) {
    if (layer->data.len >= 4 && layer_u16(layer, 0) == 1) {
        (void)layer_skip(layer, 13u + layer->data.data[2] + layer->data.data[3]);
    }
    if (layer->kind != LAYER_END && layer->data.len >= 2 && layer_u16(layer, 0) == 0) {
        (void)layer_skip(layer, 8);
    }
    if (layer->kind != LAYER_END) {
        layer_next(layer, LAYER_IPV6, 0);
    }
}

/* RFC 2661 3.1: data messages carry PPP. */
static void tunnel_l2tp(struct layer *layer) {
    if (layer->data.len < 6) {
        layer_end(layer);
        return;
    }
    uint16_t flags = layer_u16(layer, 0);
    bool has_offset = (flags & 0x0200) != 0;
    size_t len = 6 + ((flags & 0x4000) ? 2u : 0u) + ((flags & 0x0800) ? 4u : 0u);
    if ((flags & 0x8000) || (flags & 15) != 2 || !layer_skip(layer, len)) {
        layer_end(layer);
        return;
    }
    if (has_offset) {
        size_t offset = layer->data.len >= 2 ? layer_u16(layer, 0) : 0;
        if (!layer_skip(layer, 2 + offset)) {
            return;
        }
    }
    layer_next(layer, LAYER_PPP, 0);
}

bool tunnel_is_port(uint16_t port) {
    switch (port) {
    case PORT_L2TP:
    case PORT_GTP_U:
    case PORT_GTP_PRIME:
    case PORT_TEREDO:
    case PORT_LISP:
    case PORT_VXLAN:
    case PORT_VXLAN_GPE:
    case PORT_GENEVE:
    case PORT_MPLS:
    case PORT_VXLAN_LINUX:
        return true;
    default:
        return false;
    }
}

void tunnel_udp(struct layer *layer) {
    switch (layer->type) {
    case PORT_L2TP:
        tunnel_l2tp(layer);
        break;
    case PORT_GTP_U:
    case PORT_GTP_PRIME:
        tunnel_gtp(layer);
        break;
    case PORT_TEREDO:
        tunnel_teredo(layer);
        break;
    case PORT_LISP:
        if (layer_skip(layer, 8)) {
            layer_next(layer, LAYER_IP, 0);
        }
        break;
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
        tunnel_vxlan(layer);
        break;
    case PORT_VXLAN_GPE:
        tunnel_vxlan_gpe(layer);
        break;
    case PORT_GENEVE:
        tunnel_geneve(layer);
        break;
    case PORT_MPLS:
        layer_next(layer, LAYER_MPLS, 0);
        break;
    default:
        layer_end(layer);
        break;
    }
}
