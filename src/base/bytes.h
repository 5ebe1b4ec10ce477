/* bytes.h: a borrowed run of bytes, and a cursor that reads it without ever
 * passing its end.
 *
 * Everything that comes from the network is read through `struct cursor`. The
 * first read that does not fit sets `failed`, and every later read then gives
 * zero or an empty run: a parser reads all it wants and tests once.
 */
#ifndef REPRISE_BASE_BYTES_H
#define REPRISE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed: whoever holds the memory that `data` points into must outlive it. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_of(struct bytes b) {
    return (struct cursor){ .at = b.data, .end = b.data ? b.data + b.len : b.data };
}

static inline size_t cursor_left(const struct cursor *c) {
    return c->failed ? 0 : (size_t)(c->end - c->at);
}

/* Takes the next `len` bytes as a view; fails when fewer are left. */
static inline struct bytes cursor_take(struct cursor *c, size_t len) {
    if (cursor_left(c) < len || c->failed) {
        c->failed = true;
        return (struct bytes){ 0 };
    }
    struct bytes b = { c->at, len };
    if (len > 0) {
        c->at += len;
    }
    return b;
}

/* Big-endian (network order) numbers. */
static inline uint8_t cursor_u8(struct cursor *c) {
    struct bytes b = cursor_take(c, 1);
    return b.data ? b.data[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c) {
    struct bytes b = cursor_take(c, 2);
    return b.data ? (uint16_t)(b.data[0] << 8 | b.data[1]) : 0;
}

static inline uint32_t cursor_u24(struct cursor *c) {
    struct bytes b = cursor_take(c, 3);
    return b.data ? (uint32_t)b.data[0] << 16 | (uint32_t)b.data[1] << 8 | b.data[2] : 0;
}

static inline uint32_t cursor_u32(struct cursor *c) {
    uint32_t hi = cursor_u16(c);
    return hi << 16 | cursor_u16(c);
}

static inline uint64_t cursor_u64(struct cursor *c) {
    uint64_t hi = cursor_u32(c);
    return hi << 32 | cursor_u32(c);
}

/* A vector with a length before it of one, two or three bytes (RFC 8446 3.4). */
static inline struct bytes cursor_vec8(struct cursor *c) {
    return cursor_take(c, cursor_u8(c));
}

static inline struct bytes cursor_vec16(struct cursor *c) {
    return cursor_take(c, cursor_u16(c));
}

static inline struct bytes cursor_vec24(struct cursor *c) {
    return cursor_take(c, cursor_u24(c));
}

/* True when every byte was read and nothing failed. */
static inline bool cursor_done(const struct cursor *c) {
    return !c->failed && c->at == c->end;
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A writer into the caller's storage with the same sticky error: what does not
 * fit sets `failed` and is not written. */
struct writer {
    uint8_t *at;
    uint8_t *end;
    bool failed;
};

static inline struct writer writer_of(uint8_t *buf, size_t cap) {
    return (struct writer){ .at = buf, .end = buf + cap };
}

static inline void writer_put(struct writer *w, const void *data, size_t len) {
    if (w->failed || (size_t)(w->end - w->at) < len) {
        w->failed = true;
        return;
    }
    if (len > 0) {
        memcpy(w->at, data, len);
        w->at += len;
    }
}

static inline void writer_u8(struct writer *w, uint8_t v) {
    writer_put(w, &v, 1);
}

static inline void writer_u16(struct writer *w, uint16_t v) {
    uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    writer_put(w, b, sizeof(b));
}

static inline void writer_u32(struct writer *w, uint32_t v) {
    writer_u16(w, (uint16_t)(v >> 16));
    writer_u16(w, (uint16_t)v);
}

static inline void writer_u64(struct writer *w, uint64_t v) {
    writer_u32(w, (uint32_t)(v >> 32));
    writer_u32(w, (uint32_t)v);
}

#endif
