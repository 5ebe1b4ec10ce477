/* defrag.h: puts IP datagrams together from their fragments (RFC 791 3.2, RFC 8200 4.5).
 *
 * A table of DEFRAG_TABLE datagrams under way; the oldest makes room. The first bytes that came
 * for a place stay (RFC 5722 refuses overlaps; reading them costs less than losing a stream).
 *
 * Threat: fragments cost whoever writes them nothing. Memory is at most
 * DEFRAG_TABLE * DEFRAG_DATAGRAM_MAX, and is taken as data comes.
 */
#ifndef REPRISE_CAPTURE_DEFRAG_H
#define REPRISE_CAPTURE_DEFRAG_H

#include "capture/packet.h"

#define DEFRAG_TABLE 64
#define DEFRAG_DATAGRAM_MAX 65535

struct defrag;

/* Returns null when there is no memory. */
struct defrag *defrag_new(void);
void defrag_free(struct defrag *defrag);

/* Adds a packet of kind PACKET_FRAGMENT. When it completes its datagram, *whole is the payload
 * (borrowed until the next call) and the result is true. A fragment that was not captured whole
 * is not used. */
bool defrag_add(struct defrag *defrag, const struct packet *packet, struct bytes *whole);

#endif
