/* hello.h: a TLS ClientHello as a view into the caller's bytes.
 *
 * No I/O, no allocation: every `struct bytes` points into the buffer that was
 * parsed, which must outlive the view. The parser accepts what the RFCs allow
 * and refuses the rest; it decides nothing about resumption.
 *
 * Threat: the bytes come from anyone. Each bound is named in wire/limits.h.
 */
#ifndef REPRISE_WIRE_HELLO_H
#define REPRISE_WIRE_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* What hello_scan made of the bytes received so far. */
enum hello_status {
    HELLO_COMPLETE,  /* a whole ClientHello is there, and well-formed */
    HELLO_NEED_MORE, /* nothing wrong so far; more bytes are needed */
    HELLO_NOT_TLS,   /* the first bytes are no TLS handshake record */
    HELLO_MALFORMED, /* TLS, but breaks a rule of the RFC */
    HELLO_TOO_LARGE, /* longer than WIRE_HELLO_MAX, or in more than WIRE_HELLO_RECORDS_MAX records */
};

/* A ClientHello (RFC 5246 7.4.1.2, RFC 8446 4.1.2) with the extensions that
 * matter for choosing a policy and for resumption. `has_*` tells an absent
 * extension from an empty one. All views are borrowed from the parsed buffer. */
struct hello {
    size_t message_len; /* of the handshake message, with its header */
    uint16_t legacy_version;
    struct bytes random;        /* 32 bytes */
    struct bytes session_id;    /* 0..32 bytes */
    struct bytes cipher_suites; /* u16 each, at least one */
    struct bytes extensions;    /* the whole block, without its length; may be empty */

    bool has_server_name;
    struct bytes server_name; /* RFC 6066 3: the host_name entry, as sent; 1..255 bytes, no NUL */

    bool has_supported_versions;
    struct bytes supported_versions; /* RFC 8446 4.2.1: u16 each */

    bool has_session_ticket;
    struct bytes session_ticket; /* RFC 5077 3.2; empty when the client only says it can */

    bool has_psk;              /* RFC 8446 4.2.11 */
    struct bytes psk_identity; /* the first identity */
    uint32_t psk_obfuscated_age_ms;
    unsigned psk_identities; /* how many were offered */
    struct bytes psk_list;   /* OfferedPsks.identities: see psk_identity_next */
    struct bytes psk_binder; /* the first binder */

    bool has_psk_modes; /* RFC 8446 4.2.9 */
    bool psk_ke;        /* mode 0 offered */
    bool psk_dhe_ke;    /* mode 1 offered */

    bool has_alpn;
    struct bytes alpn; /* RFC 7301: the ProtocolNameList's contents: vec8 each */

    bool has_ems;                    /* RFC 7627 */
    bool has_early_data;             /* RFC 8446 4.2.10 */
    bool has_renegotiation_info;     /* RFC 5746 3.4 */
    struct bytes renegotiation_info; /* its renegotiated_connection: empty in a first hello */
    bool offers_scsv;                /* TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746 3.3 */

    bool has_ticket_request;     /* RFC 9149: how many tickets the client would like */
    bool has_bad_ticket_request; /* malformed; means nothing in TLS 1.2 */
    uint8_t tickets_new;
    uint8_t tickets_resumed;

    bool has_groups;
    struct bytes groups; /* RFC 8446 4.2.7: u16 each */

    bool has_empty_point_formats; /* RFC 8422 5.1.2; means nothing in TLS 1.3 */

    bool has_key_share;            /* RFC 8446 4.2.8 */
    bool has_signature_algorithms; /* RFC 8446 4.2.3 */
};

/* Parses the body of a ClientHello message (without the four-byte handshake
 * header). Returns 0, or -1 when it is malformed: *alert (may be null) then is
 * the TLS alert description that fits (decode_error 50, illegal_parameter 47,
 * unrecognized_name 112...). `out` is zeroed first. Any process. */
int hello_parse(struct bytes body, struct hello *out, uint8_t *alert);

/* The same for reading what others said to each other: goes over extensions that break a rule,
 * and takes what a cut-off message still holds. Returns -1 when not even the cipher suites are
 * there; *whole tells whether hello_parse would have taken it. */
int hello_read(struct bytes body, struct hello *out, bool *whole);

/* Looks for a ClientHello at the start of a client's byte stream: one or more
 * handshake records whose fragments are joined. When the message lies in one
 * record (all but never otherwise) the views point into `stream`; else the
 * fragments are copied to `scratch`, which must then outlive the view.
 *
 * stream       all bytes received so far on the connection
 * scratch      the caller's storage for joined fragments, WIRE_HELLO_MAX bytes
 * out          filled when HELLO_COMPLETE is returned
 * record_len   (may be null) with HELLO_COMPLETE: bytes of `stream` up to the end of the
 *              record that holds the hello's last byte
 * alert        (may be null) with HELLO_MALFORMED: the alert description to send
 */
enum hello_status hello_scan(struct bytes stream, uint8_t *scratch, struct hello *out,
                             size_t *record_len, uint8_t *alert);

/* What follows a hello whose early data is refused (RFC 8446 4.2.10): takes the
 * records of application data out of the records in `data`. Returns how many bytes
 * are left. The last record may be there in part: *missing then is what of it has
 * yet to come and is to be dropped as well, else 0. Stops at what is no record. */
size_t hello_drop_early_data(uint8_t *data, size_t len, size_t *missing);

/* True when the hello offers TLS `version` (0x0303, 0x0304): in supported_versions
 * when that extension is there, else by legacy_version (RFC 8446 4.2.1). A hello of
 * SSL 3.0 or older offers none (RFC 8446 D.5). */
bool hello_offers_version(const struct hello *hello, uint16_t version);

/* True when the hello has all the extensions that one of TLS 1.3 must have (RFC
 * 8446 9.2); without them the answer is missing_extension. */
bool hello_is_complete13(const struct hello *hello);

/* True when `suite` is among the cipher suites. */
bool hello_offers_cipher(const struct hello *hello, uint16_t suite);

/* Walks a list of u16 code points (ciphers, groups, versions). */
bool hello_list_has_u16(struct bytes list, uint16_t value);

/* True when the ALPN list holds `protocol`. */
bool hello_offers_alpn(const struct hello *hello, struct bytes protocol);

#endif
