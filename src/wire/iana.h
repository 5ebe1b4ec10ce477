/* iana.h: what TLS's numbers are called: versions, record and handshake types,
 * alerts, extensions, groups, cipher suites. One table, wire/iana.def, which
 * follows IANA's registries. */
#ifndef REPRISE_WIRE_IANA_H
#define REPRISE_WIRE_IANA_H

#include <stdint.h>

/* In the order of iana.def. */
enum name_kind {
    NAME_VERSION,
    NAME_RECORD,
    NAME_HANDSHAKE,
    NAME_ALERT,
    NAME_EXTENSION,
    NAME_GROUP,
    NAME_CIPHER_SUITE,
};

/* Returns the name of a code point, "GREASE" for one that clients put in at random
 * (RFC 8701), or null when it has none. Static text. Any process. */
const char *iana_find(enum name_kind kind, uint16_t code);

#endif
