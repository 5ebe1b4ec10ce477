/* pcap_write.c: see pcap_write.h. Frames are Ethernet with addresses of zero, as those of
 * Linux's loopback interface are. */
#include "capture/pcap_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define PCAP_MAGIC_NANOSECONDS 0xa1b23c4du
#define PCAP_SNAP_LEN 262144u
#define ETHERNET_LEN 14
#define IPV4_LEN 20
#define TCP_LEN 20
#define HEADERS_LEN (ETHERNET_LEN + IPV4_LEN + TCP_LEN)
#define IPV4_ADDRESS_LEN 4
#define ETHERTYPE_IPV4 0x0800
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_TTL 64
#define IPPROTO_NUMBER_TCP 6
#define TCP_WINDOW 65535

struct pcap_writer {
    FILE *file; /* owned */
    bool failed;
};

static void put(struct pcap_writer *writer, const void *data, size_t len) {
    if (len > 0 && fwrite(data, 1, len, writer->file) != len) {
        writer->failed = true;
    }
}

struct pcap_writer *pcap_writer_open(const char *path, int link_type, struct err *err) {
    /* In this machine's byte order, as the format has it. */
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, snap_len, link_type;
    } head = { PCAP_MAGIC_NANOSECONDS, 2, 4, 0, 0, PCAP_SNAP_LEN, (uint32_t)link_type };
    struct pcap_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        err_set(err, "no memory");
        return NULL;
    }
    writer->file = fopen(path, "we");
    if (!writer->file) {
        err_set_errno(err, errno, "cannot write '%s'", path);
        free(writer);
        return NULL;
    }
    put(writer, &head, sizeof(head));
    return writer;
}

void pcap_writer_put(struct pcap_writer *writer, struct bytes frame, size_t wire_len,
                     uint64_t time_ns) {
    const uint32_t head[4] = { (uint32_t)(time_ns / NS_PER_S), (uint32_t)(time_ns % NS_PER_S),
                               (uint32_t)frame.len, (uint32_t)wire_len };
    put(writer, head, sizeof(head));
    put(writer, frame.data, frame.len);
}

int pcap_writer_close(struct pcap_writer *writer, struct err *err) {
    if (!writer) {
        return 0;
    }
    bool failed = writer->failed;
    failed = fclose(writer->file) != 0 || failed;
    free(writer);
    return failed ? err_set(err, "the capture could not be written whole") : 0;
}

/* --- TCP --- */

/* The sum of RFC 1071, before it is folded. */
static uint32_t sum(uint32_t before, const uint8_t *data, size_t len) {
    for (size_t i = 0; i + 1 < len; i += 2) {
        before += (uint32_t)(data[i] << 8 | data[i + 1]);
    }
    return len % 2 ? before + ((uint32_t)data[len - 1] << 8) : before;
}

static void put_checksum(uint8_t *at, uint32_t total) {
    while (total >> 16) {
        total = (total & 0xffff) + (total >> 16);
    }
    at[0] = (uint8_t)(~total >> 8);
    at[1] = (uint8_t)~total;
}

static void write_ipv4(struct writer *w, const struct packet_ends *ends, size_t payload,
                       uint16_t identification) {
    uint8_t *begin = w->at;
    writer_u16(w, 0x4500);
    writer_u16(w, (uint16_t)(IPV4_LEN + payload));
    writer_u16(w, identification);
    writer_u16(w, IPV4_DONT_FRAGMENT);
    writer_u8(w, IPV4_TTL);
    writer_u8(w, IPPROTO_NUMBER_TCP);
    writer_u16(w, 0);
    writer_put(w, ends->src, IPV4_ADDRESS_LEN);
    writer_put(w, ends->dst, IPV4_ADDRESS_LEN);
    put_checksum(begin + 10, sum(0, begin, IPV4_LEN));
}

static void write_tcp(struct writer *w, const struct packet_ends *ends, const uint32_t numbers[2],
                      uint8_t flags, struct bytes data) {
    uint8_t *begin = w->at;
    writer_u16(w, ends->src_port);
    writer_u16(w, ends->dst_port);
    writer_u32(w, numbers[0]);
    writer_u32(w, numbers[1]);
    writer_u8(w, TCP_LEN / 4 << 4);
    writer_u8(w, flags);
    writer_u16(w, TCP_WINDOW);
    writer_u32(w, 0); /* checksum, urgent pointer */
    writer_put(w, data.data, data.len);
    uint32_t total = IPPROTO_NUMBER_TCP + TCP_LEN + (uint32_t)data.len;
    total = sum(total, ends->src, IPV4_ADDRESS_LEN);
    total = sum(total, ends->dst, IPV4_ADDRESS_LEN);
    put_checksum(begin + 16, sum(total, begin, TCP_LEN + data.len));
}

/* One packet of a side, at the numbers that are next. */
static void tcp_packet(struct tcp_writer *tcp, unsigned direction, uint8_t flags, struct bytes data,
                       uint64_t time_ns) {
    static const uint8_t no_addresses[12];
    uint8_t frame[HEADERS_LEN + PCAP_WRITE_SEGMENT];
    struct writer w = writer_of(frame, sizeof(frame));
    struct packet_ends ends = tcp->ends;
    if (direction == 1) {
        memcpy(ends.src, tcp->ends.dst, sizeof(ends.src));
        memcpy(ends.dst, tcp->ends.src, sizeof(ends.dst));
        ends.src_port = tcp->ends.dst_port;
        ends.dst_port = tcp->ends.src_port;
    }
    const uint32_t numbers[2] = { tcp->next[direction],
                                  flags & TCP_ACK ? tcp->next[1 - direction] : 0 };
    tcp->last_ns = time_ns > tcp->last_ns ? time_ns : tcp->last_ns;
    writer_put(&w, no_addresses, sizeof(no_addresses));
    writer_u16(&w, ETHERTYPE_IPV4);
    write_ipv4(&w, &ends, TCP_LEN + data.len, ++tcp->identification[direction]);
    write_tcp(&w, &ends, numbers, flags, data);
    size_t len = (size_t)(w.at - frame);
    pcap_writer_put(tcp->out, (struct bytes){ frame, len }, len, tcp->last_ns);
    tcp->next[direction] += (uint32_t)data.len + (flags & (TCP_SYN | TCP_FIN) ? 1 : 0);
}

static const struct bytes no_data;

void tcp_writer_open(struct tcp_writer *tcp, const uint32_t isn[static 2], uint64_t begin_ns,
                     uint64_t open_ns) {
    tcp->next[0] = isn[0];
    tcp->next[1] = isn[1];
    tcp_packet(tcp, 0, TCP_SYN, no_data, begin_ns);
    tcp_packet(tcp, 1, TCP_SYN | TCP_ACK, no_data, open_ns);
    tcp_packet(tcp, 0, TCP_ACK, no_data, open_ns);
}

void tcp_writer_data(struct tcp_writer *tcp, unsigned direction, struct bytes data,
                     uint64_t time_ns) {
    for (size_t at = 0; at < data.len; at += PCAP_WRITE_SEGMENT) {
        size_t left = data.len - at;
        size_t len = left < PCAP_WRITE_SEGMENT ? left : PCAP_WRITE_SEGMENT;
        tcp_packet(tcp, direction, TCP_PSH | TCP_ACK, (struct bytes){ data.data + at, len },
                   time_ns);
        tcp_packet(tcp, 1 - direction, TCP_ACK, no_data, time_ns);
    }
}

void tcp_writer_end(struct tcp_writer *tcp, unsigned direction, uint64_t time_ns) {
    tcp_packet(tcp, direction, TCP_FIN | TCP_ACK, no_data, time_ns);
    tcp_packet(tcp, 1 - direction, TCP_ACK, no_data, time_ns);
}
