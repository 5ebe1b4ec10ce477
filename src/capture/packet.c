/* packet.c: the loop over a packet's layers, see packet.h. */
#include "capture/packet.h"

#include "capture/layer.h"

static void layer_step(struct layer *layer, struct packet *packet) {
    switch (layer->kind) {
    case LAYER_LINK:
        link_step(layer);
        break;
    case LAYER_ETHERNET:
        link_ethernet(layer);
        break;
    case LAYER_ETHERTYPE:
        link_ethertype(layer);
        break;
    case LAYER_PPP:
        link_ppp(layer);
        break;
    case LAYER_PPP_TYPE:
        link_ppp_type(layer);
        break;
    case LAYER_LLC:
        link_llc(layer);
        break;
    case LAYER_WIFI:
        link_wifi(layer);
        break;
    case LAYER_MPLS:
        link_mpls(layer);
        break;
    case LAYER_IP:
        ip_any(layer, packet);
        break;
    case LAYER_IPV4:
        ip_v4(layer, packet);
        break;
    case LAYER_IPV6:
        ip_v6(layer, packet);
        break;
    case LAYER_PROTOCOL:
        ip_protocol(layer, packet);
        break;
    case LAYER_GRE:
        tunnel_gre(layer);
        break;
    case LAYER_UDP_PAYLOAD:
        tunnel_udp(layer);
        break;
    case LAYER_END:
    case LAYER_KINDS:
        layer->kind = LAYER_END;
        break;
    }
}

static void layers_walk(struct layer layer, struct packet *packet) {
    for (unsigned i = 0; i < PACKET_LAYERS_MAX && layer.kind != LAYER_END; i++) {
        layer_step(&layer, packet);
    }
}

void packet_decode(int link_type, struct bytes data, size_t wire_len, struct packet *out) {
    out->kind = PACKET_OTHER;
    out->ends.address_len = 0;
    out->quoted = false;
    out->payload = (struct bytes){ 0 };
    out->payload_len = 0;
    out->tunnel_count = 0;
    layers_walk(
        (struct layer){
            .kind = LAYER_LINK,
            .type = (uint32_t)link_type,
            .data = data,
            .wire_len = wire_len > data.len ? wire_len : data.len,
        },
        out);
}

void packet_decode_joined(struct bytes data, struct packet *out) {
    out->kind = PACKET_OTHER;
    layers_walk(
        (struct layer){
            .kind = LAYER_PROTOCOL,
            .type = out->fragment.protocol,
            .data = data,
            .wire_len = data.len,
        },
        out);
}

bool packet_knows_link(int link_type) {
    return link_is_known((uint32_t)link_type);
}
