/* server_hello.h: a server's answer as a view into the caller's bytes: ServerHello and
 * HelloRetryRequest of SSL 3.0 to TLS 1.3, the drafts of TLS 1.3 from 18 on, and DTLS.
 * No I/O, no allocation. For reading what others said: what breaks a rule without making
 * the message unreadable is passed over.
 */
#ifndef REPRISE_WIRE_SERVER_HELLO_H
#define REPRISE_WIRE_SERVER_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct server_hello {
    bool is_retry;           /* RFC 8446 4.1.4 */
    uint16_t legacy_version; /* */
    uint16_t version;        /* the negotiated one, as sent: 0x0304, a draft's 0x7f1c, 0xfefd... */
    struct bytes random;     /* empty in a HelloRetryRequest of the drafts before 22 */
    struct bytes session_id; /* empty in the drafts before 22 */
    uint16_t cipher_suite;
    struct bytes extensions;
    bool has_session_ticket; /* RFC 5077 3.2: a NewSessionTicket will follow */
    bool has_psk;            /* RFC 8446 4.2.11 */
    uint16_t psk_selected;
    bool has_ems;                /* RFC 7627 */
    bool has_encrypt_then_mac;   /* RFC 7366 */
    bool has_renegotiation_info; /* RFC 5746 */
    struct bytes renegotiation_info;
    bool has_key_share;
    uint16_t group; /* with has_key_share; 0 when it can't be read */
    struct bytes alpn;
};

/* Parses the body of a ServerHello (handshake type 2). Returns 0, or -1 when it is too short
 * for what it says. */
int server_hello_parse(struct bytes body, struct server_hello *out);

/* The body of handshake type 6, HelloRetryRequest in the drafts before 22. */
int server_hello_parse_retry(struct bytes body, struct server_hello *out);

/* True for TLS 1.3, its drafts, and the experiments that browsers made with it. */
bool version_is_tls13(uint16_t version);

/* The draft's number in 0x7fNN, or 0. */
unsigned version_draft(uint16_t version);

#endif
