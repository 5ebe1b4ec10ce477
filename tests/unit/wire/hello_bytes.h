/* hello_bytes.h: makes ClientHellos, right and wrong ones, for the tests. */
#ifndef REPRISE_UNIT_WIRE_HELLO_BYTES_H
#define REPRISE_UNIT_WIRE_HELLO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* The bytes of a string literal, without its NUL: for a table, and as a value. */
#define BYTES_INIT(literal) \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }
#define BYTES(literal) ((struct bytes)BYTES_INIT(literal))

/* What is left null takes a sound value: no session ID, two suites, null compression. */
struct hello_parts {
    struct bytes session_id;
    struct bytes suites;
    struct bytes compression;
    struct bytes extensions;
    bool without_extensions; /* no block at all, not even its length */
};

/* Writes a body of a ClientHello, returns its length. */
size_t hello_make_body(const struct hello_parts *parts, uint8_t *buf, size_t cap);

/* Writes one extension. */
void hello_put_extension(struct writer *w, uint16_t type, struct bytes value);

/* Writes a body as a handshake message in records of `fragment_len` bytes at most;
 * returns the length. */
size_t hello_make_stream(struct bytes body, size_t fragment_len, uint8_t *buf, size_t cap);

/* Writes any handshake bytes in records; returns the length. */
size_t hello_make_records(struct bytes messages, size_t fragment_len, uint8_t *buf, size_t cap);

#endif
