/* handover.h: the words that the master of a running service and that of the program
 * which is to take its place exchange over a Unix socketpair, and the descriptors that
 * go with them. What is said when: handover.def; who says it: upgrade.h, takeover.h.
 *
 * An item is one packet (SOCK_SEQPACKET), numbers in network order:
 *
 *   kind u8 | name, with its length u16 | first u64 | second u64
 *   | address, with its length u8 | bound, with its length u8
 *
 * Both ends run as the same user; still every length and every number of descriptors is
 * checked: the other end is another version of this program, or no such program at all.
 */
#ifndef REPRISE_PROXY_HANDOVER_H
#define REPRISE_PROXY_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* The environment variable with the number of the new program's end. */
#define HANDOVER_VARIABLE "REPRISE_HANDOVER"

/* Of handover.def's meaning and of the packet; what this program says, and knows. */
#define HANDOVER_VERSION 1
#define HANDOVER_VERSION_OLDEST 1

#define HANDOVER_FDS_MAX 64 /* of one item; the kernel takes 253 */
#define HANDOVER_BYTES_MAX 2048

enum handover_kind {
#define HANDOVER(id, word, min, max) HANDOVER_##id,
#include "proxy/handover.def"
#undef HANDOVER
    HANDOVER_KINDS
};

/* What is not told is empty or zero. */
struct handover_item {
    enum handover_kind kind;
    struct bytes name;
    uint64_t first, second;
    struct bytes address, bound; /* of struct sockaddr */
    size_t fd_count;
    int fds[HANDOVER_FDS_MAX]; /* borrowed when sent; owned by who received them */
};

/* Writes an item's packet. Returns its length, or 0 when it does not fit into cap. */
size_t handover_encode(const struct handover_item *item, uint8_t *buf, size_t cap);

/* Reads a packet that came with fd_count descriptors; the item's views point into it.
 * Refuses an unknown kind, a length that does not fit, bytes that follow, and a number
 * of descriptors other than the kind's. Its fds are left alone. */
int handover_decode(struct bytes packet, size_t fd_count, struct handover_item *item);

/* Sends an item; the descriptors stay open here. Waits as long as the socket's own
 * time-out (SO_SNDTIMEO) says. */
int handover_send(int fd, const struct handover_item *item, struct err *err);

/* Receives an item into the caller's storage, whose `buf` its views point into; waits as
 * SO_RCVTIMEO says. Returns 1; 0 when the other end is closed; or -1 with err set and
 * no descriptor left open. */
struct handover_packet {
    struct handover_item item;
    uint8_t buf[HANDOVER_BYTES_MAX];
};
int handover_receive(int fd, struct handover_packet *packet, struct err *err);

/* Closes the descriptors that came with an item. */
void handover_close_fds(struct handover_item *item);

#endif
