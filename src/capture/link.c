/* link.c: link layers, tags, labels and PPP, see layer.h. Link types are those of
 * https://www.tcpdump.org/linktypes.html, where each header is described. */
#include "capture/layer.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_QINQ_OLD_1 = 0x9100,
    ETHERTYPE_QINQ_OLD_2 = 0x9200,
    ETHERTYPE_QINQ_OLD_3 = 0x9300,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_MULTICAST = 0x8848,
    ETHERTYPE_PPPOE_SESSION = 0x8864,
    ETHERTYPE_CISCO_METADATA = 0x8909,
    ETHERTYPE_VNTAG = 0x8926,
    ETHERTYPE_PBB = 0x88e7,
    ETHERTYPE_TRANSPARENT_BRIDGING = 0x6558,
    ETHERTYPE_MIN = 0x0600, /* below, it is a length, and LLC follows */
};

/* Address families that BSD systems and Linux put before a packet on loopback. */
enum {
    FAMILY_INET = 2,
    FAMILY_INET6_LINUX = 10,
    FAMILY_INET6_NETBSD = 24,
    FAMILY_INET6_FREEBSD = 28,
    FAMILY_INET6_DARWIN = 30,
};

/* What follows a header of fixed length. */
enum follow {
    FOLLOW_IP,
    FOLLOW_ETHERTYPE_AT, /* an EtherType at `at` */
    FOLLOW_ETHERNET,
    FOLLOW_PPP,
    FOLLOW_LLC,
    FOLLOW_WIFI,
    FOLLOW_MPLS,
    FOLLOW_FAMILY,     /* an address family of four bytes, in either byte order */
    FOLLOW_LENGTH_LE,  /* `at` has the header's length, little-endian, before Wi-Fi */
    FOLLOW_LENGTH_BE,  /* the same, big-endian */
    FOLLOW_PACKET_PPI, /* */
    FOLLOW_PFLOG,      /* the first byte is the header's length, padded to four; a family at 1 */
    FOLLOW_CHDLC,
    FOLLOW_NFLOG,
    FOLLOW_FRAME_RELAY,
};

static const struct link_row {
    uint16_t type;
    uint8_t header_len;
    uint8_t at;
    enum follow follow;
} link_rows[] = {
    { 0, 4, 0, FOLLOW_FAMILY },           /* NULL */
    { 1, 0, 0, FOLLOW_ETHERNET },         /* ETHERNET */
    { 6, 14, 0, FOLLOW_LLC },             /* IEEE802_5 */
    { 9, 0, 0, FOLLOW_PPP },              /* PPP */
    { 10, 13, 0, FOLLOW_LLC },            /* FDDI */
    { 12, 0, 0, FOLLOW_IP },              /* DLT_RAW on most systems */
    { 14, 0, 0, FOLLOW_IP },              /* DLT_RAW on OpenBSD */
    { 50, 0, 0, FOLLOW_PPP },             /* PPP_HDLC */
    { 51, 6, 0, FOLLOW_PPP },             /* PPP_ETHER */
    { 100, 0, 0, FOLLOW_LLC },            /* ATM_RFC1483 */
    { 101, 0, 0, FOLLOW_IP },             /* RAW */
    { 104, 4, 2, FOLLOW_CHDLC },          /* C_HDLC */
    { 105, 0, 0, FOLLOW_WIFI },           /* IEEE802_11 */
    { 107, 0, 0, FOLLOW_FRAME_RELAY },    /* FRELAY */
    { 108, 4, 0, FOLLOW_FAMILY },         /* LOOP */
    { 109, 12, 0, FOLLOW_IP },            /* ENC */
    { 113, 16, 14, FOLLOW_ETHERTYPE_AT }, /* LINUX_SLL */
    { 117, 0, 0, FOLLOW_PFLOG },          /* PFLOG */
    { 119, 144, 0, FOLLOW_WIFI },         /* IEEE802_11_PRISM */
    { 123, 4, 2, FOLLOW_ETHERTYPE_AT },   /* SUNATM with LLC left out */
    { 127, 0, 2, FOLLOW_LENGTH_LE },      /* IEEE802_11_RADIOTAP */
    { 163, 0, 6, FOLLOW_LENGTH_BE },      /* IEEE802_11_AVS */
    { 166, 0, 0, FOLLOW_PPP },            /* PPP_PPPD: direction, then the control byte */
    { 192, 0, 2, FOLLOW_PACKET_PPI },     /* PPI */
    { 219, 0, 0, FOLLOW_MPLS },           /* MPLS */
    { 226, 24, 0, FOLLOW_IP },            /* IPNET */
    { 228, 0, 0, FOLLOW_IP },             /* IPV4 */
    { 229, 0, 0, FOLLOW_IP },             /* IPV6 */
    { 239, 0, 0, FOLLOW_NFLOG },          /* NFLOG */
    { 240, 4, 0, FOLLOW_ETHERNET },       /* NETANALYZER */
    { 241, 12, 0, FOLLOW_ETHERNET },      /* NETANALYZER_TRANSPARENT, with preamble */
    { 276, 20, 0, FOLLOW_ETHERTYPE_AT },  /* LINUX_SLL2 */
};

static const struct link_row *link_find(uint32_t type) {
    for (size_t i = 0; i < sizeof(link_rows) / sizeof(link_rows[0]); i++) {
        if (link_rows[i].type == type) {
            return &link_rows[i];
        }
    }
    return NULL;
}

bool link_is_known(uint32_t type) {
    return link_find(type) != NULL;
}

static void link_family(struct layer *layer, uint32_t family) {
    if (family > 0xffff) { /* in the other byte order */
        family = __builtin_bswap32(family);
    }
    switch (family) {
    case FAMILY_INET:
    case FAMILY_INET6_LINUX:
    case FAMILY_INET6_NETBSD:
    case FAMILY_INET6_FREEBSD:
    case FAMILY_INET6_DARWIN:
        layer_next(layer, LAYER_IP, 0);
        break;
    default: /* some write an EtherType there */
        layer_next(layer, family >= ETHERTYPE_MIN ? LAYER_ETHERTYPE : LAYER_END, family);
        break;
    }
}

/* A header whose length stands within it. */
static void link_variable(struct layer *layer, size_t at, bool little) {
    if (layer->data.len < at + 2) {
        layer->kind = LAYER_END;
        return;
    }
    uint16_t len = layer_u16(layer, at);
    if (layer_skip(layer, little ? __builtin_bswap16(len) : len)) {
        layer_next(layer, LAYER_WIFI, 0);
    }
}

/* Per-Packet Information: the inner link type stands behind the length. */
static void link_ppi(struct layer *layer) {
    if (layer->data.len < 8) {
        layer->kind = LAYER_END;
        return;
    }
    const uint8_t *at = layer->data.data;
    size_t len = (size_t)at[2] | (size_t)at[3] << 8;
    uint32_t type =
        (uint32_t)at[4] | (uint32_t)at[5] << 8 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 24;
    if (len >= 8 && layer_skip(layer, len)) {
        layer_next(layer, LAYER_LINK, type);
    } else {
        layer->kind = LAYER_END;
    }
}

static void link_pflog(struct layer *layer) {
    size_t len = layer->data.len > 0 ? (layer->data.data[0] + 3u) & ~3u : 0;
    if (len >= 4 && layer_skip(layer, len)) {
        layer_next(layer, LAYER_IP, 0);
    } else {
        layer->kind = LAYER_END;
    }
}

/* Cisco HDLC names Ethernet's types, or, with 0x8f in front, ISO's. */
static void link_chdlc(struct layer *layer, uint16_t type) {
    layer_next(layer, LAYER_ETHERTYPE, type);
}

/* Netfilter's log: type-length-value pieces, in the host's byte order; the payload is type 9. */
static void link_nflog(struct layer *layer) {
    bool good = layer_skip(layer, 4);
    for (unsigned i = 0; good && i < PACKET_LAYERS_MAX && layer->data.len >= 4; i++) {
        size_t len = (size_t)layer->data.data[0] | (size_t)layer->data.data[1] << 8;
        unsigned type = layer->data.data[2];
        if (type == 9) {
            (void)layer_skip(layer, 4);
            layer_next(layer, LAYER_IP, 0);
            return;
        }
        good = len >= 4 && layer_skip(layer, (len + 3) & ~(size_t)3);
    }
    layer->kind = LAYER_END;
}

/* RFC 2427: two address bytes, then a control byte and a network-layer ID, or Cisco's type. */
static void link_frame_relay(struct layer *layer) {
    if (layer->data.len < 4) {
        layer->kind = LAYER_END;
        return;
    }
    const uint8_t *at = layer->data.data;
    if (at[2] == 3 && at[3] == 0xcc) {
        (void)layer_skip(layer, 4);
        layer_next(layer, LAYER_IP, 0);
    } else if (at[2] == 3) {
        (void)layer_skip(layer, at[3] == 0 ? 4 : 3);
        layer_next(layer, LAYER_LLC, 0);
    } else {
        uint16_t type = layer_u16(layer, 2);
        (void)layer_skip(layer, 4);
        layer_next(layer, LAYER_ETHERTYPE, type);
    }
}

static void link_follow(struct layer *layer, const struct link_row *row, uint32_t value) {
    switch (row->follow) {
    case FOLLOW_IP:
        layer_next(layer, LAYER_IP, 0);
        break;
    case FOLLOW_ETHERTYPE_AT:
        layer_next(layer, LAYER_ETHERTYPE, value);
        break;
    case FOLLOW_ETHERNET:
        layer_next(layer, LAYER_ETHERNET, 0);
        break;
    case FOLLOW_PPP:
        layer_next(layer, LAYER_PPP, 0);
        break;
    case FOLLOW_LLC:
        layer_next(layer, LAYER_LLC, 0);
        break;
    case FOLLOW_WIFI:
        layer_next(layer, LAYER_WIFI, 0);
        break;
    case FOLLOW_MPLS:
        layer_next(layer, LAYER_MPLS, 0);
        break;
    case FOLLOW_FAMILY:
        link_family(layer, value);
        break;
    case FOLLOW_LENGTH_LE:
    case FOLLOW_LENGTH_BE:
        link_variable(layer, row->at, row->follow == FOLLOW_LENGTH_LE);
        break;
    case FOLLOW_PACKET_PPI:
        link_ppi(layer);
        break;
    case FOLLOW_PFLOG:
        link_pflog(layer);
        break;
    case FOLLOW_CHDLC:
        link_chdlc(layer, (uint16_t)value);
        break;
    case FOLLOW_NFLOG:
        link_nflog(layer);
        break;
    case FOLLOW_FRAME_RELAY:
        link_frame_relay(layer);
        break;
    }
}

void link_step(struct layer *layer) {
    const struct link_row *row = link_find(layer->type);
    if (!row || layer->data.len < row->header_len) {
        layer->kind = LAYER_END;
        return;
    }
    uint32_t value = 0;
    if (row->follow == FOLLOW_FAMILY) {
        value = layer_u32(layer, 0);
    } else if (row->follow == FOLLOW_ETHERTYPE_AT || row->follow == FOLLOW_CHDLC) {
        value = layer_u16(layer, row->at);
    }
    (void)layer_skip(layer, row->header_len);
    link_follow(layer, row, value);
}

void link_ethernet(struct layer *layer) {
    if (layer->data.len < 14) {
        layer->kind = LAYER_END;
        return;
    }
    uint16_t type = layer_u16(layer, 12);
    (void)layer_skip(layer, 14);
    if (type >= ETHERTYPE_MIN) {
        layer_next(layer, LAYER_ETHERTYPE, type);
    } else {
        layer_next(layer, LAYER_LLC, 0);
    }
}

/* A tag of `len` bytes whose last two are the type of what follows. */
static void link_tag(struct layer *layer, size_t len) {
    if (layer->data.len < len) {
        layer->kind = LAYER_END;
        return;
    }
    uint16_t type = layer_u16(layer, len - 2);
    (void)layer_skip(layer, len);
    if (type >= ETHERTYPE_MIN) {
        layer_next(layer, LAYER_ETHERTYPE, type);
    } else {
        layer_next(layer, LAYER_LLC, 0);
    }
}

static void link_skip_to(struct layer *layer, size_t len, enum layer_kind kind) {
    if (layer_skip(layer, len)) {
        layer_next(layer, kind, 0);
    }
}

void link_ethertype(struct layer *layer) {
    switch (layer->type) {
    case ETHERTYPE_IPV4:
        layer_next(layer, LAYER_IPV4, 0);
        break;
    case ETHERTYPE_IPV6:
        layer_next(layer, LAYER_IPV6, 0);
        break;
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_QINQ_OLD_1:
    case ETHERTYPE_QINQ_OLD_2:
    case ETHERTYPE_QINQ_OLD_3:
        link_tag(layer, 4);
        break;
    case ETHERTYPE_VNTAG:
        link_tag(layer, 6);
        break;
    case ETHERTYPE_CISCO_METADATA:
        link_tag(layer, 8);
        break;
    case ETHERTYPE_PBB:
        link_skip_to(layer, 4, LAYER_ETHERNET);
        break;
    case ETHERTYPE_TRANSPARENT_BRIDGING:
        layer_next(layer, LAYER_ETHERNET, 0);
        break;
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_MULTICAST:
        layer_next(layer, LAYER_MPLS, 0);
        break;
    case ETHERTYPE_PPPOE_SESSION: /* RFC 2516 4 */
        link_skip_to(layer, 6, LAYER_PPP);
        break;
    default:
        layer->kind = LAYER_END;
        break;
    }
}

/* RFC 1661, RFC 1662: address and control may be left out, and the protocol may be one byte. */
void link_ppp(struct layer *layer) {
    if (layer->data.len >= 2 && layer->data.data[1] == 3 &&
        (layer->data.data[0] == 0xff || layer->data.data[0] <= 1)) {
        (void)layer_skip(layer, 2);
    }
    if (layer->data.len < 2) {
        layer->kind = LAYER_END;
        return;
    }
    bool is_short = (layer->data.data[0] & 1) != 0;
    uint32_t type = is_short ? layer->data.data[0] : layer_u16(layer, 0);
    (void)layer_skip(layer, is_short ? 1 : 2);
    layer_next(layer, LAYER_PPP_TYPE, type);
}

void link_ppp_type(struct layer *layer) {
    switch (layer->type) {
    case 0x0021:
        layer_next(layer, LAYER_IPV4, 0);
        break;
    case 0x0057:
        layer_next(layer, LAYER_IPV6, 0);
        break;
    case 0x0281:
    case 0x0283:
        layer_next(layer, LAYER_MPLS, 0);
        break;
    default:
        layer->kind = LAYER_END;
        break;
    }
}

/* IEEE 802.2 with SNAP, or IP's own service access point. */
void link_llc(struct layer *layer) {
    if (layer->data.len < 3) {
        layer->kind = LAYER_END;
        return;
    }
    const uint8_t *at = layer->data.data;
    if (at[0] == 0xaa && at[1] == 0xaa && layer->data.len >= 8) {
        uint16_t type = layer_u16(layer, 6);
        (void)layer_skip(layer, 8);
        layer_next(layer, LAYER_ETHERTYPE, type);
    } else if (at[0] == 6 && at[1] == 6) {
        link_skip_to(layer, 3, LAYER_IP);
    } else {
        layer->kind = LAYER_END;
    }
}

/* IEEE 802.11: data frames that are not encrypted. */
void link_wifi(struct layer *layer) {
    if (layer->data.len < 24) {
        layer->kind = LAYER_END;
        return;
    }
    uint8_t control = layer->data.data[0];
    uint8_t flags = layer->data.data[1];
    bool is_data = (control & 0x0c) == 0x08 && (control & 0x40) == 0;
    bool is_protected = (flags & 0x40) != 0;
    bool is_qos = (control & 0x80) != 0;
    size_t len = 24 + ((flags & 3) == 3 ? 6u : 0u) + (is_qos ? 2u : 0u) +
                 (is_qos && (flags & 0x80) ? 4u : 0u);
    if (!is_data || is_protected) {
        layer->kind = LAYER_END;
        return;
    }
    link_skip_to(layer, len, LAYER_LLC);
}

/* RFC 3032: labels up to the bottom of the stack; what follows is IP by its first nibble, or
 * an Ethernet frame, with or without a control word (RFC 4385). */
void link_mpls(struct layer *layer) {
    bool bottom = false;
    while (!bottom && layer->data.len >= 4) {
        bottom = (layer->data.data[2] & 1) != 0;
        (void)layer_skip(layer, 4);
    }
    if (!bottom || layer->data.len == 0) {
        layer->kind = LAYER_END;
        return;
    }
    switch (layer->data.data[0] >> 4) {
    case 4:
    case 6:
        layer_next(layer, LAYER_IP, 0);
        break;
    case 0:
        link_skip_to(layer, layer->data.len >= 4 && layer->data.data[1] == 0 ? 4 : 0,
                     LAYER_ETHERNET);
        break;
    default:
        layer_next(layer, LAYER_ETHERNET, 0);
        break;
    }
}
