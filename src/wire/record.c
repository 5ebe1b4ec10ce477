/* record.c: one TLS record's header, read byte by byte as far as it has come,
 * so that what is no TLS is known from its first byte. */
#include "wire/record.h"

#include <stdbool.h>

#include "wire/limits.h"

#define VERSION_MAJOR 3

enum record_status record_read(struct bytes in, size_t fragment_max, struct record *out) {
    *out = (struct record){ 0 };
    if (in.len >= 1) {
        out->type = in.data[0];
        if (out->type < RECORD_CHANGE_CIPHER_SPEC || out->type > RECORD_HEARTBEAT) {
            return RECORD_BAD_TYPE;
        }
    }
    if (in.len >= 2 && in.data[1] != VERSION_MAJOR) {
        return RECORD_BAD_VERSION;
    }
    if (in.len < WIRE_RECORD_HEADER) {
        return RECORD_NEED_MORE;
    }

    struct cursor c = cursor_of(in);
    (void)cursor_u8(&c);
    out->version = cursor_u16(&c);
    out->fragment_len = cursor_u16(&c);
    if (out->fragment_len > fragment_max ||
        (out->fragment_len == 0 && out->type != RECORD_APPLICATION_DATA)) {
        return RECORD_BAD_LENGTH;
    }
    if (cursor_left(&c) < out->fragment_len) {
        out->fragment = cursor_take(&c, cursor_left(&c));
        return RECORD_NEED_MORE;
    }
    out->fragment = cursor_take(&c, out->fragment_len);
    return RECORD_COMPLETE;
}
