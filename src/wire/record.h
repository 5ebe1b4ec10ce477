/* record.h: the TLS record layer's framing (RFC 8446 5.1, RFC 5246 6.2.1) as
 * views into the caller's bytes: five bytes of header, then the fragment.
 * No I/O, no allocation; what is in an encrypted fragment is not looked at.
 *
 * Threat: the bytes come from anyone, a few at a time: each byte of the header
 * is judged as soon as it is there.
 */
#ifndef REPRISE_WIRE_RECORD_H
#define REPRISE_WIRE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* ContentType (RFC 8446 5.1, RFC 6520). */
enum record_type {
    RECORD_CHANGE_CIPHER_SPEC = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_APPLICATION_DATA = 23,
    RECORD_HEARTBEAT = 24,
};

enum record_status {
    RECORD_COMPLETE,    /* the whole record is there */
    RECORD_NEED_MORE,   /* nothing wrong so far */
    RECORD_BAD_TYPE,    /* not a content type of TLS: other bytes than a record's */
    RECORD_BAD_VERSION, /* not 3.x, which is all that RFC 8446 5.1 lets us look at */
    RECORD_BAD_LENGTH,  /* empty where that is not allowed, or too long: record_overflow */
};

struct record {
    uint8_t type;          /* enum record_type; 0 while its byte is not there */
    uint16_t version;      /* as sent; RFC 8446 5.1: to be ignored; 0 until the header is whole */
    size_t fragment_len;   /* what the header says; 0 until the header is whole */
    struct bytes fragment; /* borrowed; with RECORD_NEED_MORE the part that is there */
};

/* Reads the record at the start of `in`. A fragment may have up to `fragment_max`
 * bytes: WIRE_RECORD_PLAIN_MAX, or WIRE_RECORD_CIPHER_MAX where records may be
 * encrypted. Refuses an empty fragment but of application data (RFC 8446 5.1:
 * no other type may be). The record's length in all, once complete, is
 * WIRE_RECORD_HEADER + fragment_len. `out` is zeroed first. Any process. */
enum record_status record_read(struct bytes in, size_t fragment_max, struct record *out);

#endif
