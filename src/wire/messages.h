/* messages.h: the smaller handshake messages that matter to resumption, and SSL 2.0's hellos,
 * as views into the caller's bytes. No I/O, no allocation.
 */
#ifndef REPRISE_WIRE_MESSAGES_H
#define REPRISE_WIRE_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* HandshakeType (IANA), as far as others than a parser need to know them. */
enum handshake_type {
    HANDSHAKE_HELLO_REQUEST = 0,
    HANDSHAKE_CLIENT_HELLO = 1,
    HANDSHAKE_SERVER_HELLO = 2,
    HANDSHAKE_HELLO_VERIFY_REQUEST = 3,
    HANDSHAKE_NEW_SESSION_TICKET = 4,
    HANDSHAKE_END_OF_EARLY_DATA = 5,
    HANDSHAKE_HELLO_RETRY_REQUEST = 6,
    HANDSHAKE_ENCRYPTED_EXTENSIONS = 8,
    HANDSHAKE_CERTIFICATE = 11,
    HANDSHAKE_SERVER_KEY_EXCHANGE = 12,
    HANDSHAKE_CERTIFICATE_REQUEST = 13,
    HANDSHAKE_SERVER_HELLO_DONE = 14,
    HANDSHAKE_CERTIFICATE_VERIFY = 15,
    HANDSHAKE_CLIENT_KEY_EXCHANGE = 16,
    HANDSHAKE_FINISHED = 20,
    HANDSHAKE_CERTIFICATE_STATUS = 22,
    HANDSHAKE_KEY_UPDATE = 24,
    HANDSHAKE_NEXT_PROTOCOL = 67,
};

/* NewSessionTicket: RFC 5077 3.3, or RFC 8446 4.6.1 with what only TLS 1.3 has. */
struct new_session_ticket {
    uint32_t lifetime_s;
    uint32_t age_add; /* TLS 1.3 */
    struct bytes nonce;
    struct bytes ticket;
    bool has_early_data; /* TLS 1.3 */
    uint32_t max_early_data;
};

/* Parses the body. Returns 0, or -1 when it is malformed. */
int new_session_ticket_parse(struct bytes body, bool tls13, struct new_session_ticket *out);

/* EncryptedExtensions, RFC 8446 4.3.1. */
struct encrypted_extensions {
    bool has_early_data; /* the server takes it: RFC 8446 4.2.10 */
    struct bytes alpn;
};

int encrypted_extensions_parse(struct bytes body, struct encrypted_extensions *out);

/* SSL 2.0's CLIENT-HELLO (RFC 6101 E.1), which old clients of later versions send too.
 * `message` begins with the two bytes of the record's length and holds the whole record. */
struct ssl2_hello {
    uint16_t version; /* the highest one that the client speaks */
    struct bytes cipher_specs;
    struct bytes session_id; /* empty or 16 bytes */
    struct bytes challenge;
};

#define SSL2_SERVER_HELLO 4  /* its message type; a client's hello is 1, as in TLS */
#define SSL2_HELLO_HEADER 11 /* bytes that tell whether it is one */

/* True when the first SSL2_HELLO_HEADER bytes are those of a CLIENT-HELLO; *len is then the
 * record's length with its own two bytes. */
bool ssl2_hello_starts(const uint8_t header[static SSL2_HELLO_HEADER], size_t *len);

/* Returns 0, or -1 when it is malformed. */
int ssl2_hello_parse(struct bytes message, struct ssl2_hello *out);

/* SSL 2.0's SERVER-HELLO (RFC 6101 does not have it; the SSL 2.0 draft's 2.6.1): the record's
 * header again included. *hit: the session ID was found. Returns 0, or -1. */
int ssl2_server_hello_parse(struct bytes message, bool *hit);

/* Steps through the identities of a ClientHello's pre_shared_key: `list` is its
 * OfferedPsks.identities. Returns false behind the last one. */
bool psk_identity_next(struct cursor *list, struct bytes *identity, uint32_t *obfuscated_age_ms);

#endif
