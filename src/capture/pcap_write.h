/* pcap_write.h: writes capture files (pcap, times in nanoseconds), and TCP connections into them
 * of which only the sockets' bytes are known: what a program can record of its own
 * connections without any privilege.
 *
 * A connection written so has what one on the wire has: handshake, segments of at most
 * PCAP_WRITE_SEGMENT bytes with an acknowledgement each, FINs; addresses, sequence numbers,
 * checksums and times are right. Losses and repetitions, which sockets hide, are not in it.
 */
#ifndef REPRISE_CAPTURE_PCAP_WRITE_H
#define REPRISE_CAPTURE_PCAP_WRITE_H

#include "base/err.h"
#include "capture/packet.h"

#define PCAP_WRITE_SEGMENT 1448
#define PCAP_WRITE_ETHERNET 1 /* LINKTYPE_ETHERNET */

struct pcap_writer;

/* Makes the file, or empties it. Null with err set. */
struct pcap_writer *pcap_writer_open(const char *path, int link_type, struct err *err);

/* Adds a frame, of which `wire_len` bytes were on the wire. A failure is told by close. */
void pcap_writer_put(struct pcap_writer *writer, struct bytes frame, size_t wire_len,
                     uint64_t time_ns);

/* Ends the file and frees the writer, which may be null. Returns 0, or -1 with err set when not
 * all could be written. */
int pcap_writer_close(struct pcap_writer *writer, struct err *err);

/* A TCP connection that is being written; direction 0 is that of ends.src, the client. */
struct tcp_writer {
    struct pcap_writer *out; /* borrowed */
    struct packet_ends ends; /* IPv4 */
    uint32_t next[2];        /* the sequence number of the next byte */
    uint16_t identification[2];
    uint64_t last_ns;
};

/* Writes the three packets that open it: SYN as it was asked for at begin_ns, the others as it
 * was open at open_ns. isn: the sides' initial sequence numbers. */
void tcp_writer_open(struct tcp_writer *tcp, const uint32_t isn[static 2], uint64_t begin_ns,
                     uint64_t open_ns);

/* Bytes that one side sent, and the other side's acknowledgements. A time before that of the
 * packet written last is taken to be that. */
void tcp_writer_data(struct tcp_writer *tcp, unsigned direction, struct bytes data,
                     uint64_t time_ns);

/* One side has ended, and the other side acknowledges it. */
void tcp_writer_end(struct tcp_writer *tcp, unsigned direction, uint64_t time_ns);

#endif
