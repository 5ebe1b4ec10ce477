/* record.h: the session record: what is sealed into a ticket and into the cache.
 *
 * One layout serves all: a ticket's plaintext (TLS 1.2 and 1.3), a cache entry,
 * a TLS 1.3 handle's entry. Big-endian:
 *
 *   u8  version     u8  kind        u16 protocol   u16 cipher   u16 flags
 *   u64 first_ms    (the lineage's full handshake)
 *   u64 issued_ms   (this record)
 *   u32 lifetime_s  (as told to the client)
 *   u64 client_chain_expiry_s  (0: no client certificate)
 *   policy fingerprint: POLICY_PARTS x POLICY_PRINT_LEN
 *   server name: 16 bytes of SHA-256 over the lower-case name; zero when none
 *   vec8  ALPN protocol
 *   vec16 the TLS library's session
 *
 * Threat: after a key has leaked an attacker writes these bytes: decoding is
 * bounded and refuses what it does not know.
 */
#ifndef REPRISE_RESUME_RECORD_H
#define REPRISE_RESUME_RECORD_H

#include <stdint.h>

#include "base/bytes.h"
#include "resume/policy.h"

#define RECORD_VERSION 1
#define RECORD_NAME_LEN 16
/* All but the session itself: what encoding adds at the most. */
#define RECORD_OVERHEAD_MAX (8 + 8 + 8 + 4 + 8 + POLICY_PARTS * POLICY_PRINT_LEN + 16 + 1 + 255 + 2)
/* A longer session is not kept: it is issued no ticket and no ID. A ticket comes
 * back in a ClientHello, which has a bound of its own (WIRE_HELLO_MAX) and other
 * things to say: 4 kB are left for them. */
#define RECORD_SESSION_MAX 12000

/* How a session resumes; also what a record was made for. */
enum resume_by {
    RESUME_BY_NONE,
    RESUME_BY_SESSION_ID,   /* TLS 1.2, the cache */
    RESUME_BY_TICKET,       /* TLS 1.2, RFC 5077 */
    RESUME_BY_PSK,          /* TLS 1.3, a sealed ticket */
    RESUME_BY_PSK_STATEFUL, /* TLS 1.3, a ticket that is a handle into the cache */
};

/* "none", "session-id", "ticket", "psk", "psk-stateful". */
const char *resume_by_word(enum resume_by by);

#define RECORD_FLAG_EMS 0x0001u         /* extended master secret, TLS 1.2 */
#define RECORD_FLAG_CLIENT_CERT 0x0002u /* the client showed a certificate */
#define RECORD_FLAG_TOO_LARGE 0x0004u   /* there is no session: it was too large to be kept */

struct record {
    enum resume_by kind;
    uint16_t protocol; /* POLICY_TLS12 or POLICY_TLS13 */
    uint16_t cipher;
    uint16_t flags; /* RECORD_FLAG_* */
    uint64_t first_ms;
    uint64_t issued_ms;
    uint32_t lifetime_s;
    uint64_t client_chain_expiry_s;
    struct policy_print policy;
    uint8_t server_name[RECORD_NAME_LEN];
    struct bytes alpn;    /* borrowed */
    struct bytes session; /* borrowed: the library's bytes, a secret */
};

/* Hashes a lower-case server name for a record; the empty name gives zeros. */
void record_hash_name(struct bytes name, uint8_t out[static RECORD_NAME_LEN]);

/* Encodes into buf. Returns the length, or 0 when it does not fit. */
size_t record_encode(const struct record *record, uint8_t *buf, size_t cap);

enum record_status { RECORD_OK, RECORD_OTHER_VERSION, RECORD_BROKEN };

/* Decodes; the record borrows from `in`. */
enum record_status record_decode(struct bytes in, struct record *record);

#endif
