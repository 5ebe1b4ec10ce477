/* tls.h: TLS in the two byte streams of a connection: finds where it begins, steps over the
 * records, puts handshake messages together wherever they are split, and counts the rest.
 *
 * Application data is stepped over by its record's length: neither copied nor looked at, unless
 * a key log has the connection's secrets.
 *
 * Threat: bytes that only look like TLS, and TLS with holes in it. What is kept is bounded by
 * STREAM_MESSAGE_MAX a direction and the bounds of stream.h.
 */
#ifndef REPRISE_CAPTURE_TLS_H
#define REPRISE_CAPTURE_TLS_H

#include "capture/issued.h"
#include "capture/stream.h"

struct keylog;

struct tls_reader {
    struct issued *issued;       /* borrowed */
    const struct keylog *keylog; /* borrowed; may be null */
};

/* The next bytes of a direction, in order. */
void tls_data(const struct tls_reader *reader, struct stream *stream, uint8_t direction,
              struct bytes data, const struct place *place);

/* `len` bytes of a direction are missing. */
void tls_lost(const struct tls_reader *reader, struct stream *stream, uint8_t direction,
              uint64_t len, const struct place *place);

/* Nothing more comes: what was cut off is read as far as it goes. */
void tls_end(const struct tls_reader *reader, struct stream *stream, const struct place *place);

#endif
