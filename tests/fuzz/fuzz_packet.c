/* fuzz_packet.c: a packet of any link type and any bytes decodes to a view within itself; and
 * fragments never join to what is not there. The first byte chooses the link type. */
#include <assert.h>

#include "capture/defrag.h"
#include "fuzz.h"

static const int link_types[] = {
    1, 113, 276, 101, 0, 9, 50, 51, 104, 105, 107, 127, 192, 239, 117
};

static void check_view(struct bytes view, struct bytes within) {
    assert(view.len == 0 ||
           (view.data >= within.data && view.data + view.len <= within.data + within.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (len < 1) {
        return 0;
    }
    struct bytes frame = { data + 1, len - 1 };
    int link_type = link_types[data[0] % (sizeof(link_types) / sizeof(link_types[0]))];
    struct packet packet;
    packet_decode(link_type, frame, frame.len, &packet);
    check_view(packet.payload, frame);
    assert(packet.payload.len <= packet.payload_len || packet.kind == PACKET_OTHER);
    assert(packet.tunnel_count <= PACKET_TUNNELS_MAX);
    if (packet.kind != PACKET_FRAGMENT) {
        return 0;
    }
    struct defrag *defrag = defrag_new();
    assert(defrag);
    struct bytes whole;
    packet.fragment.offset = data[0] % 2 ? packet.fragment.offset : 0;
    if (defrag_add(defrag, &packet, &whole)) {
        assert(whole.len <= DEFRAG_DATAGRAM_MAX);
        packet_decode_joined(whole, &packet);
    }
    defrag_free(defrag);
    return 0;
}
