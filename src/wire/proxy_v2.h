/* proxy_v2.h: the PROXY protocol, version 2: what the terminator tells a backend
 * about the client's connection, and how the demonstration backend reads it.
 * Source: HAProxy's proxy-protocol.txt, 2.2. No I/O, no allocation. */
#ifndef REPRISE_WIRE_PROXY_V2_H
#define REPRISE_WIRE_PROXY_V2_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"

#define PROXY_V2_HEADER 16 /* signature, version and command, family, length */
#define PROXY_V2_MAX 2048  /* the longest header that we write or read, in all */

/* TLVs: the standard ones, and ours from the range for applications (0xE0..0xEF). */
enum proxy_v2_tlv {
    PP2_TYPE_ALPN = 0x01,
    PP2_TYPE_AUTHORITY = 0x02,
    PP2_TYPE_CRC32C = 0x03,
    PP2_TYPE_NOOP = 0x04,
    PP2_TYPE_UNIQUE_ID = 0x05,
    PP2_TYPE_SSL = 0x20,
    PP2_SUBTYPE_SSL_VERSION = 0x21,
    PP2_SUBTYPE_SSL_CN = 0x22,
    PP2_SUBTYPE_SSL_CIPHER = 0x23,
    PP2_SUBTYPE_SSL_SIG_ALG = 0x24,
    PP2_SUBTYPE_SSL_KEY_ALG = 0x25,
    PP2_TYPE_REPRISE_HANDSHAKE = 0xE0,  /* "new" or "resumed" */
    PP2_TYPE_REPRISE_RESUMED_BY = 0xE1, /* "session-id", "ticket", "psk", "psk-stateful" */
    PP2_TYPE_REPRISE_REASON = 0xE2,     /* a word of reason/reason.def */
    PP2_TYPE_REPRISE_SESSION_ID = 0xE3, /* lower-case hexadecimal */
    PP2_TYPE_REPRISE_TICKET_KEY = 0xE4, /* the key's name, lower-case hexadecimal */
    PP2_TYPE_REPRISE_PROFILE = 0xE5,    /* the client-ssl-profile's name */
};

/* Bits of PP2_TYPE_SSL's client field. */
#define PP2_CLIENT_SSL 0x01
#define PP2_CLIENT_CERT_CONN 0x02 /* a certificate was shown over this connection */
#define PP2_CLIENT_CERT_SESS 0x04 /* one was shown at least once over the TLS session */

/* What to tell. Texts are borrowed and may be empty (data null): then left out. */
struct proxy_v2 {
    const struct sockaddr *client; /* borrowed; AF_INET or AF_INET6, both of one family, */
    const struct sockaddr *local;  /* or anything else: written as UNSPEC. IPv4-mapped is IPv4 */
    bool tls;                      /* write PP2_TYPE_SSL and what belongs to it */
    uint8_t tls_client;            /* PP2_CLIENT_* */
    uint32_t tls_verify; /* 0: a client certificate was shown and is good, or none was asked */
    struct bytes alpn;
    struct bytes authority;   /* the SNI */
    struct bytes tls_version; /* "TLSv1.3" */
    struct bytes tls_cipher;  /* the OpenSSL name */
    struct bytes tls_cn;      /* the client certificate's common name */
    struct bytes tls_sig_alg; /* of the server's certificate, "SHA256" */
    struct bytes tls_key_alg; /* "RSA2048", "EC256" */
    struct bytes handshake;
    struct bytes resumed_by;
    struct bytes reason;
    struct bytes session_id;
    struct bytes ticket_key;
    struct bytes profile;
};

/* Writes a header with the PROXY command into buf. Returns its length, or 0 when
 * it does not fit into cap. Any process. */
size_t proxy_v2_write(const struct proxy_v2 *pp, uint8_t *buf, size_t cap);

/* What proxy_v2_read found. Views point into the buffer. */
struct proxy_v2_view {
    bool local; /* the LOCAL command: no client, a health check for example; the rest is empty */
    uint8_t family; /* 0x11 TCP over IPv4, 0x21 TCP over IPv6; all others are 0x00, unspecified */
    struct sockaddr_storage client;
    struct sockaddr_storage server;
    struct bytes tlvs; /* all of them, for proxy_v2_find */
};

/* Reads a header at the start of `in`. Returns its length, 0 when more bytes are
 * needed, or -1 when it is none or is malformed or longer than PROXY_V2_MAX. */
int proxy_v2_read(struct bytes in, struct proxy_v2_view *out);

/* Finds a TLV. For a PP2_SUBTYPE_SSL_* pass the PP2_TYPE_SSL value's sub-TLVs:
 * its value without the first five bytes. Returns false when it is not there. */
bool proxy_v2_find(struct bytes tlvs, uint8_t type, struct bytes *value);

#endif
