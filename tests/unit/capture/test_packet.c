/* test_packet.c: capture/packet.c with link.c, ip.c, tunnel.c and defrag.c: one TCP segment
 * behind each kind of header, and every truncation of it. */
#include "capture/packet.h"

#include <stdlib.h>

#include "capture/defrag.h"
#include "unit.h"

#define LITERAL(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }

/* 10.0.0.1:4660 to 10.0.0.2:443, sequence number 7, "data". */
#define TCP "\x12\x34\x01\xbb\0\0\0\7\0\0\0\0\x50\x18\0\0\0\0\0\0data"
#define IPV4 "\x45\0\0\x2c\0\1\0\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2" TCP
#define IPV6                                                                                       \
    "\x60\0\0\0\0\x20\0\x40\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0" \
    "\0\2\6\0\1\4\0\0\0\0" TCP
#define MACS "\2\0\0\0\0\1\2\0\0\0\0\2"
#define UDP(port, len) "\x45\0\1\0\0\1\0\0\x40\x11\0\0\xc0\0\2\1\xc0\0\2\2\4\xd2" port len "\0\0"

static const struct {
    const char *name;
    int link_type;
    struct bytes frame;
} frames[] = {
    { "ethernet", 1, LITERAL(MACS "\x08\0" IPV4) },
    { "trailer", 1, LITERAL(MACS "\x08\0" IPV4 "big-ip's own bytes") },
    { "vlan", 1, LITERAL(MACS "\x81\0\0\5\x08\0" IPV4) },
    { "qinq", 1, LITERAL(MACS "\x88\xa8\0\7\x81\0\0\5\x08\0" IPV4) },
    { "pppoe", 1, LITERAL(MACS "\x88\x64\x11\0\0\1\0\x2e\0\x21" IPV4) },
    { "mpls", 1, LITERAL(MACS "\x88\x47\0\0\x10\x40\0\0\x21\x40" IPV4) },
    { "snap", 1, LITERAL(MACS "\0\x34\xaa\xaa\3\0\0\0\x08\0" IPV4) },
    { "sll", 113, LITERAL("\0\0\0\1\0\6\0\0\0\0\0\0\0\0\x08\0" IPV4) },
    { "sll2", 276, LITERAL("\x08\0\0\0\0\0\0\2\0\1\0\6\0\0\0\0\0\0\0\0" IPV4) },
    { "raw", 101, LITERAL(IPV4) },
    { "null", 0, LITERAL("\2\0\0\0" IPV4) },
    { "null, other order", 0, LITERAL("\0\0\0\2" IPV4) },
    { "loop", 108, LITERAL("\0\0\0\2" IPV4) },
    { "ppp", 9, LITERAL("\xff\3\0\x21" IPV4) },
    { "hdlc", 104, LITERAL("\x0f\0\x08\0" IPV4) },
    { "gre", 101, LITERAL("\x45\0\0\x44\0\1\0\0\x40\x2f\0\0\xc0\0\2\1\xc0\0\2\2\0\0\x08\0" IPV4) },
    { "ip in ip", 101, LITERAL("\x45\0\0\x40\0\1\0\0\x40\4\0\0\xc0\0\2\1\xc0\0\2\2" IPV4) },
    { "gtp", 101, LITERAL(UDP("\x08\x68", "\0\xec") "\x30\xff\0\x2c\0\0\0\1" IPV4) },
    { "geneve", 101, LITERAL(UDP("\x17\xc1", "\0\xec") "\0\0\x08\0\0\0\0\0" IPV4) },
    { "vxlan", 101, LITERAL(UDP("\x12\xb5", "\0\xec") "\x08\0\0\0\0\0\1\0" MACS "\x08\0" IPV4) },
    { "options", 1, LITERAL(MACS "\x86\xdd" IPV6) },
};

static void assert_is_the_segment(const struct packet *packet) {
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_int_equal(packet->ends.src_port, 4660);
    assert_int_equal(packet->ends.dst_port, 443);
    assert_int_equal(packet->seq, 7);
    assert_int_equal(packet->tcp_flags, TCP_PSH | TCP_ACK);
}

static void a_segment_behind_each_header(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(frames); i++) {
        struct packet packet;
        packet_decode(frames[i].link_type, frames[i].frame, frames[i].frame.len, &packet);
        if (packet.kind != PACKET_TCP) {
            fail_msg("%s", frames[i].name);
        }
        assert_true(packet_knows_link(frames[i].link_type));
        if (packet.ends.address_len == 4) {
            assert_is_the_segment(&packet);
            assert_int_equal(packet.payload_len, 4);
            assert_memory_equal(packet.payload.data, "data", 4);
        }
    }
}

static void no_truncation_is_read_past(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(frames); i++) {
        struct bytes whole = frames[i].frame;
        for (size_t len = 0; len < whole.len; len++) {
            uint8_t *heap = malloc(len ? len : 1);
            assert_non_null(heap);
            memcpy(heap, whole.data, len);
            struct packet packet;
            packet_decode(frames[i].link_type, (struct bytes){ heap, len }, whole.len, &packet);
            assert_true(packet.payload.len <= len);
            if (packet.kind == PACKET_TCP) {
                assert_int_equal(packet.payload_len, 4); /* the wire's length stays known */
            }
            free(heap);
        }
    }
}

static void nothing_nests_without_end(void **state) {
    (void)state;
    uint8_t nested[20 * 200]; /* IP in IP, as deep as it goes */
    for (size_t i = 0; i < 200; i++) {
        uint8_t *header = nested + i * 20;
        memset(header, 0, 20);
        size_t len = sizeof(nested) - i * 20;
        header[0] = 0x45;
        header[2] = (uint8_t)(len >> 8);
        header[3] = (uint8_t)len;
        header[9] = 4;
    }
    struct packet packet;
    packet_decode(101, (struct bytes){ nested, sizeof(nested) }, sizeof(nested), &packet);
    assert_int_equal(packet.kind, PACKET_OTHER);
}

static void fragment(uint8_t *out, size_t offset, bool more, const char *data, size_t len) {
    static const uint8_t header[] = "\x45\0\0\0\0\x09\0\0\x40\6\0\0\x0a\0\0\1\x0a\0\0\2";
    memcpy(out, header, 20);
    out[3] = (uint8_t)(20 + len);
    out[6] = more ? 0x20 : 0;
    out[7] = (uint8_t)(offset / 8);
    memcpy(out + 20, data, len);
}

static void fragments_in_any_order(void **state) {
    (void)state;
    static const char segment[] = TCP;
    static const unsigned orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 2, 0, 1 } };
    for (size_t i = 0; i < LENGTH(orders); i++) {
        struct defrag *defrag = defrag_new();
        assert_non_null(defrag);
        for (unsigned n = 0; n < 3; n++) {
            unsigned part = orders[i][n];
            uint8_t frame[60];
            fragment(frame, part * 8u, part < 2, segment + part * 8u, 8);
            struct packet packet;
            struct bytes whole;
            packet_decode(101, (struct bytes){ frame, 28 }, 28, &packet);
            assert_int_equal(packet.kind, PACKET_FRAGMENT);
            assert_int_equal(defrag_add(defrag, &packet, &whole), n == 2);
            if (n == 2) {
                packet_decode_joined(whole, &packet);
                assert_is_the_segment(&packet);
                assert_memory_equal(packet.payload.data, "data", 4);
            }
        }
        defrag_free(defrag);
    }
}

static void fragments_of_many_datagrams_are_bounded(void **state) {
    (void)state;
    struct defrag *defrag = defrag_new();
    assert_non_null(defrag);
    for (unsigned n = 0; n < 10 * DEFRAG_TABLE; n++) {
        uint8_t frame[60];
        fragment(frame, 0, true, "12345678", 8);
        frame[4] = (uint8_t)(n >> 8);
        frame[5] = (uint8_t)n;
        struct packet packet;
        struct bytes whole;
        packet_decode(101, (struct bytes){ frame, 28 }, 28, &packet);
        assert_false(defrag_add(defrag, &packet, &whole));
    }
    defrag_free(defrag);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_behind_each_header),
        cmocka_unit_test(no_truncation_is_read_past),
        cmocka_unit_test(nothing_nests_without_end),
        cmocka_unit_test(fragments_in_any_order),
        cmocka_unit_test(fragments_of_many_datagrams_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
