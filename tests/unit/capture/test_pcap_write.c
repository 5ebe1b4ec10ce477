/* test_pcap_write.c: capture/pcap_write.c: what is written is read back by the engine's own reader
 * and packet decoder. */
#include "capture/pcap_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/source.h"
#include "unit.h"

#define SECOND 1000000000ull
#define START (1700000000ull * SECOND)

static char path[] = "/tmp/reprise-test-pcap-XXXXXX";

static int setup(void **state) {
    (void)state;
    strcpy(path + sizeof(path) - 7, "XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static struct tcp_writer tcp_of(struct pcap_writer *out) {
    struct tcp_writer tcp = { .out = out };
    const uint8_t client[4] = { 10, 199, 3, 135 };
    const uint8_t server[4] = { 10, 199, 3, 145 };
    tcp.ends.address_len = 4;
    memcpy(tcp.ends.src, client, sizeof(client));
    memcpy(tcp.ends.dst, server, sizeof(server));
    tcp.ends.src_port = 40000;
    tcp.ends.dst_port = 443;
    return tcp;
}

/* Folds the ones' complement sum of bytes that begin at an even place. */
static uint16_t folded(uint32_t sum, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static struct source *source;
static uint64_t time_ns;

/* The next packet; its checksums are right. */
static struct packet next(void) {
    struct source_packet raw = { 0 };
    struct packet packet;
    assert_int_equal(source_next(source, &raw, NULL), SOURCE_PACKET);
    assert_int_equal(raw.data.len, raw.wire_len);
    const uint8_t *ip = raw.data.data + 14;
    size_t tcp_len = raw.data.len - 34;
    assert_int_equal(folded(0, ip, 20), 0xffff);
    uint32_t pseudo = folded(0, ip + 12, 8);
    assert_int_equal(folded(pseudo + 6 + (uint32_t)tcp_len, ip + 20, tcp_len), 0xffff);
    time_ns = raw.time_ns;
    packet_decode(raw.link_type, raw.data, raw.wire_len, &packet);
    assert_int_equal(packet.kind, PACKET_TCP);
    return packet;
}

static void assert_packet(bool from_client, unsigned flags, uint32_t seq, uint32_t ack,
                          size_t len) {
    struct packet packet = next();
    assert_int_equal(packet.ends.src_port, from_client ? 40000 : 443);
    assert_int_equal(packet.tcp_flags, flags);
    assert_int_equal(packet.seq, seq);
    assert_int_equal(packet.ack, ack);
    assert_int_equal(packet.payload_len, len);
}

static void a_connection(void **state) {
    (void)state;
    uint8_t data[3000];
    const uint32_t isn[2] = { 1000, 0xffffffff }; /* the server's wraps around */
    memset(data, 'x', sizeof(data));
    struct pcap_writer *out = pcap_writer_open(path, PCAP_WRITE_ETHERNET, NULL);
    assert_non_null(out);
    struct tcp_writer tcp = tcp_of(out);
    tcp_writer_open(&tcp, isn, START, START + 5);
    tcp_writer_data(&tcp, 0, bytes_of("odd"), START + 10);
    tcp_writer_data(&tcp, 1, (struct bytes){ data, sizeof(data) }, START + 20);
    tcp_writer_end(&tcp, 1, START + 30);
    tcp_writer_end(&tcp, 0, START + 25); /* the clock was set back */
    assert_int_equal(pcap_writer_close(out, NULL), 0);

    source = source_open_file(path, NULL);
    assert_non_null(source);
    assert_packet(true, TCP_SYN, 1000, 0, 0);
    assert_true(time_ns == START);
    assert_packet(false, TCP_SYN | TCP_ACK, 0xffffffff, 1001, 0);
    assert_packet(true, TCP_ACK, 1001, 0, 0);
    assert_true(time_ns == START + 5);
    assert_packet(true, TCP_PSH | TCP_ACK, 1001, 0, 3);
    assert_packet(false, TCP_ACK, 0, 1004, 0);
    assert_packet(false, TCP_PSH | TCP_ACK, 0, 1004, PCAP_WRITE_SEGMENT);
    assert_packet(true, TCP_ACK, 1004, PCAP_WRITE_SEGMENT, 0);
    assert_packet(false, TCP_PSH | TCP_ACK, PCAP_WRITE_SEGMENT, 1004, PCAP_WRITE_SEGMENT);
    assert_packet(true, TCP_ACK, 1004, 2 * PCAP_WRITE_SEGMENT, 0);
    assert_packet(false, TCP_PSH | TCP_ACK, 2 * PCAP_WRITE_SEGMENT, 1004, 104);
    assert_packet(true, TCP_ACK, 1004, 3000, 0);
    assert_packet(false, TCP_FIN | TCP_ACK, 3000, 1004, 0);
    assert_packet(true, TCP_ACK, 1004, 3001, 0);
    assert_packet(true, TCP_FIN | TCP_ACK, 1004, 3001, 0);
    assert_true(time_ns == START + 30);
    assert_packet(false, TCP_ACK, 3001, 1005, 0);
    struct source_packet end;
    assert_int_equal(source_next(source, &end, NULL), SOURCE_END);
    source_close(source);
}

static void nothing_to_say(void **state) {
    (void)state;
    struct pcap_writer *out = pcap_writer_open(path, PCAP_WRITE_ETHERNET, NULL);
    struct tcp_writer tcp = tcp_of(out);
    tcp_writer_data(&tcp, 0, (struct bytes){ 0 }, START);
    assert_int_equal(pcap_writer_close(out, NULL), 0);
    source = source_open_file(path, NULL);
    struct source_packet end;
    assert_int_equal(source_next(source, &end, NULL), SOURCE_END);
    source_close(source);
}

static void failures(void **state) {
    (void)state;
    struct err err = { 0 };
    assert_null(pcap_writer_open("/nowhere/at/all", PCAP_WRITE_ETHERNET, &err));
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    err_clear(&err);
    struct pcap_writer *out = pcap_writer_open("/dev/full", PCAP_WRITE_ETHERNET, &err);
    if (out) {
        assert_int_equal(pcap_writer_close(out, &err), -1);
        assert_true(err.set);
    }
    assert_int_equal(pcap_writer_close(NULL, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_to_say, setup, teardown),
        cmocka_unit_test(failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
