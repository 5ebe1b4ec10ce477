/* limits.h: every bound on what the network may send, by name. */
#ifndef REPRISE_WIRE_LIMITS_H
#define REPRISE_WIRE_LIMITS_H

/* RFC 8446 5.1, 5.2; RFC 5246 6.2. */
#define WIRE_RECORD_HEADER 5
#define WIRE_RECORD_PLAIN_MAX 16384
#define WIRE_RECORD_CIPHER_MAX (WIRE_RECORD_PLAIN_MAX + 2048)
#define WIRE_HANDSHAKE_HEADER 4

#define WIRE_SESSION_ID_MAX 32 /* RFC 5246 7.4.1.2 */
#define WIRE_RANDOM_LEN 32

/* A ClientHello's handshake message with its header: the longest there can be,
 * with every vector at its bound. Browsers with post-quantum key shares stay
 * below 2 KB; what is longer than any can be is refused from its header. */
#define WIRE_HELLO_MAX                                                                             \
    (WIRE_HANDSHAKE_HEADER + 2 + WIRE_RANDOM_LEN + 1 + WIRE_SESSION_ID_MAX + 2 + 65534 + 1 + 255 + \
     2 + 65535)
/* One up to here is what AWS-LC takes without being asked to. */
#define WIRE_HELLO_USUAL (WIRE_HANDSHAKE_HEADER + 16384)
/* Each record costs five bytes more of memory and a step of each scan: a hello of
 * a kilobyte may come a byte a record, the longest in fragments of 65 bytes. */
#define WIRE_HELLO_RECORDS_MAX 2048
#define WIRE_HELLO_STREAM_MAX (WIRE_HELLO_MAX + WIRE_HELLO_RECORDS_MAX * WIRE_RECORD_HEADER)

#define WIRE_SERVER_NAME_MAX 255 /* RFC 6066 3, RFC 1035 2.3.4 */
#define WIRE_PSK_IDENTITIES_MAX 64

#endif
