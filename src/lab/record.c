/* record.c: see record.h. */
#include "lab/record.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "capture/pcap_write.h"
#include "capture/source.h"
#include "lab/wait.h"

#define FINISH_S 5    /* how long packets may take from the kernel */
#define IDLE_ENOUGH 3 /* looks without a packet: it keeps them for one or two (source.c) */
#define BOTH_ENDED 3  /* bits */

struct recorder {
    enum lab_record kind;
    struct pcap_writer *out; /* owned */
    struct source *source;   /* owned; null: from the sockets */
    struct sockaddr_in server;
    struct tcp_writer tcp; /* of the connection under way */
};

uint64_t lab_wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Null when the system refuses. */
static struct source *listen_on(const char *interface, const struct sockaddr_in *server,
                                struct err *err) {
    char filter[80];
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &server->sin_addr, address, sizeof(address));
    snprintf(filter, sizeof(filter), "host %s and tcp port %u", address, ntohs(server->sin_port));
    struct source *source = source_open_live(interface, err);
    if (source && source_set_filter(source, filter, err) != 0) {
        source_close(source);
        source = NULL;
    }
    return source;
}

struct recorder *recorder_open(const char *path, enum lab_record kind, const char *interface,
                               const struct sockaddr_in *server, struct err *err) {
    struct err refused = { 0 };
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder) {
        err_set(err, "no memory");
        return NULL;
    }
    recorder->server = *server;
    recorder->kind = LAB_RECORD_SOCKETS;
    if (kind != LAB_RECORD_SOCKETS) {
        recorder->source = listen_on(interface, server, &refused);
        recorder->kind = recorder->source ? LAB_RECORD_CAPTURE : LAB_RECORD_SOCKETS;
    }
    if (kind == LAB_RECORD_CAPTURE && !recorder->source) {
        err_set(err, "cannot capture on %s", refused.text);
        free(recorder);
        return NULL;
    }
    recorder->out = pcap_writer_open(path, PCAP_WRITE_ETHERNET, err);
    if (!recorder->out) {
        source_close(recorder->source);
        free(recorder);
        return NULL;
    }
    return recorder;
}

enum lab_record recorder_kind(const struct recorder *recorder) {
    return recorder->kind;
}

static bool takes_sockets(const struct recorder *recorder) {
    return recorder && recorder->kind == LAB_RECORD_SOCKETS;
}

void recorder_connect(struct recorder *recorder, const struct sockaddr_in *client,
                      uint64_t begin_ns) {
    uint32_t isn[2];
    if (!takes_sockets(recorder)) {
        return;
    }
    struct tcp_writer *tcp = &recorder->tcp;
    *tcp = (struct tcp_writer){ .out = recorder->out };
    tcp->ends.address_len = sizeof(client->sin_addr);
    memcpy(tcp->ends.src, &client->sin_addr, sizeof(client->sin_addr));
    memcpy(tcp->ends.dst, &recorder->server.sin_addr, sizeof(client->sin_addr));
    tcp->ends.src_port = ntohs(client->sin_port);
    tcp->ends.dst_port = ntohs(recorder->server.sin_port);
    crypto_random(isn, sizeof(isn));
    tcp_writer_open(tcp, isn, begin_ns, lab_wall_ns());
}

void recorder_bytes(struct recorder *recorder, bool from_client, struct bytes data) {
    if (takes_sockets(recorder)) {
        tcp_writer_data(&recorder->tcp, from_client ? 0 : 1, data, lab_wall_ns());
    }
}

void recorder_end(struct recorder *recorder, bool from_client) {
    if (takes_sockets(recorder)) {
        tcp_writer_end(&recorder->tcp, from_client ? 0 : 1, lab_wall_ns());
    }
}

/* Notes of a packet of the client's connection which sides have ended, in bits. */
static unsigned ends_of(const struct source_packet *raw, const struct sockaddr_in *client) {
    struct packet packet;
    packet_decode(raw->link_type, raw->data, raw->wire_len, &packet);
    uint16_t port = ntohs(client->sin_port);
    bool from_client = packet.ends.src_port == port;
    if (packet.kind != PACKET_TCP || (!from_client && packet.ends.dst_port != port)) {
        return 0;
    }
    if (packet.tcp_flags & TCP_RST) {
        return BOTH_ENDED;
    }
    return packet.tcp_flags & TCP_FIN ? (from_client ? 1 : 2) : 0;
}

int recorder_finish(struct recorder *recorder, const struct sockaddr_in *client, struct err *err) {
    uint64_t deadline_ns = lab_deadline(FINISH_S);
    unsigned ended = 0;
    unsigned idle = 0;
    if (!recorder || !recorder->source) {
        return 0;
    }
    /* Once both have ended the last acknowledgement may still be on its way. */
    while (ended != BOTH_ENDED || idle < IDLE_ENOUGH) {
        struct source_packet packet = { 0 };
        enum source_status status = source_next(recorder->source, &packet, err);
        if (status != SOURCE_PACKET && status != SOURCE_IDLE) {
            return err_set(err, "the capture broke off");
        }
        if (status == SOURCE_PACKET) {
            pcap_writer_put(recorder->out, packet.data, packet.wire_len, packet.time_ns);
            ended |= ends_of(&packet, client);
        }
        idle = status == SOURCE_IDLE ? idle + 1 : 0;
        if (lab_interrupted() || clock_mono_ns() > deadline_ns) {
            return err_set(err, "the capture did not see the connection's end");
        }
    }
    return 0;
}

int recorder_close(struct recorder *recorder, struct err *err) {
    if (!recorder) {
        return 0;
    }
    source_close(recorder->source);
    int rc = pcap_writer_close(recorder->out, err);
    free(recorder);
    return rc;
}

const char *lab_record_word(enum lab_record kind) {
    return kind == LAB_RECORD_CAPTURE ? "capture" : "sockets";
}
