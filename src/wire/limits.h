/* limits.h: every bound on what the network may send, by name. */
#ifndef REPRISE_WIRE_LIMITS_H
#define REPRISE_WIRE_LIMITS_H

/* RFC 8446 5.1, 5.2; RFC 5246 6.2. */
#define WIRE_RECORD_HEADER 5
#define WIRE_RECORD_PLAIN_MAX 16384
#define WIRE_RECORD_CIPHER_MAX (WIRE_RECORD_PLAIN_MAX + 2048)
#define WIRE_HANDSHAKE_HEADER 4

/* A ClientHello's handshake message with its header: AWS-LC's own bound, which
 * is also what browsers with post-quantum key shares and long tickets stay far below. */
#define WIRE_HELLO_MAX 16384
/* The bytes of stream that may be needed to hold one: a fragment of one byte a
 * record would be an attack on our memory, so a hello may come in this many records. */
#define WIRE_HELLO_RECORDS_MAX 64
#define WIRE_HELLO_STREAM_MAX (WIRE_HELLO_MAX + WIRE_HELLO_RECORDS_MAX * WIRE_RECORD_HEADER)

#define WIRE_EXTENSIONS_MAX 128 /* extensions in one hello */
#define WIRE_SESSION_ID_MAX 32  /* RFC 5246 7.4.1.2 */
#define WIRE_RANDOM_LEN 32
#define WIRE_SERVER_NAME_MAX 255 /* RFC 6066 3, RFC 1035 2.3.4 */
#define WIRE_PSK_IDENTITIES_MAX 64

#endif
