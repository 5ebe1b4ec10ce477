/* hello_bytes.c: see hello_bytes.h. */
#include "wire/hello_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct bytes given_or(struct bytes given, struct bytes otherwise) {
    return given.data ? given : otherwise;
}

size_t hello_make_body(const struct hello_parts *parts, uint8_t *buf, size_t cap) {
    struct bytes suites = given_or(parts->suites, BYTES("\x13\x01\xc0\x2b"));
    struct bytes compression = given_or(parts->compression, BYTES("\0"));
    struct writer w = writer_of(buf, cap);
    writer_u16(&w, 0x0303);
    for (uint8_t i = 0; i < 32; i++) {
        writer_u8(&w, (uint8_t)(0xa0 + i));
    }
    writer_u8(&w, (uint8_t)parts->session_id.len);
    writer_put(&w, parts->session_id.data, parts->session_id.len);
    writer_u16(&w, (uint16_t)suites.len);
    writer_put(&w, suites.data, suites.len);
    writer_u8(&w, (uint8_t)compression.len);
    writer_put(&w, compression.data, compression.len);
    if (!parts->without_extensions) {
        writer_u16(&w, (uint16_t)parts->extensions.len);
        writer_put(&w, parts->extensions.data, parts->extensions.len);
    }
    assert_false(w.failed);
    return (size_t)(w.at - buf);
}

void hello_put_extension(struct writer *w, uint16_t type, struct bytes value) {
    writer_u16(w, type);
    writer_u16(w, (uint16_t)value.len);
    writer_put(w, value.data, value.len);
    assert_false(w->failed);
}

size_t hello_make_records(struct bytes messages, size_t fragment_len, uint8_t *buf, size_t cap) {
    struct writer w = writer_of(buf, cap);
    struct cursor c = cursor_of(messages);
    while (cursor_left(&c) > 0) {
        size_t len = cursor_left(&c) < fragment_len ? cursor_left(&c) : fragment_len;
        writer_u8(&w, 22);
        writer_u16(&w, 0x0301);
        writer_u16(&w, (uint16_t)len);
        writer_put(&w, cursor_take(&c, len).data, len);
    }
    assert_false(w.failed);
    return (size_t)(w.at - buf);
}

size_t hello_make_stream(struct bytes body, size_t fragment_len, uint8_t *buf, size_t cap) {
    uint8_t *message = malloc(body.len + 4);
    assert_non_null(message);
    struct writer w = writer_of(message, body.len + 4);
    writer_u8(&w, 1);
    writer_u8(&w, (uint8_t)(body.len >> 16));
    writer_u16(&w, (uint16_t)body.len);
    writer_put(&w, body.data, body.len);
    size_t len =
        hello_make_records((struct bytes){ message, body.len + 4 }, fragment_len, buf, cap);
    free(message);
    return len;
}
