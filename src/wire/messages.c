/* messages.c: see messages.h. */
#include "wire/messages.h"

enum {
    EXT_ALPN = 16,
    EXT_EARLY_DATA = 42,
    EXT_TICKET_EARLY_DATA_DRAFT = 46,
    SSL2_CLIENT_HELLO = 1,
    SSL2_SESSION_ID_LEN = 16,
};

int new_session_ticket_parse(struct bytes body, bool tls13, struct new_session_ticket *out) {
    *out = (struct new_session_ticket){ 0 };
    struct cursor c = cursor_of(body);
    out->lifetime_s = cursor_u32(&c);
    if (!tls13) {
        out->ticket = cursor_vec16(&c);
        return c.failed ? -1 : 0;
    }
    out->age_add = cursor_u32(&c);
    out->nonce = cursor_vec8(&c);
    out->ticket = cursor_vec16(&c);
    struct cursor extensions = cursor_of(cursor_vec16(&c));
    while (cursor_left(&extensions) > 0) {
        uint16_t type = cursor_u16(&extensions);
        struct cursor value = cursor_of(cursor_vec16(&extensions));
        if (type == EXT_EARLY_DATA || type == EXT_TICKET_EARLY_DATA_DRAFT) {
            out->has_early_data = true;
            out->max_early_data = cursor_u32(&value);
        }
    }
    return c.failed ? -1 : 0;
}

int encrypted_extensions_parse(struct bytes body, struct encrypted_extensions *out) {
    *out = (struct encrypted_extensions){ 0 };
    struct cursor c = cursor_of(body);
    struct cursor extensions = cursor_of(cursor_vec16(&c));
    while (cursor_left(&extensions) > 0) {
        uint16_t type = cursor_u16(&extensions);
        struct cursor value = cursor_of(cursor_vec16(&extensions));
        if (type == EXT_EARLY_DATA) {
            out->has_early_data = true;
        } else if (type == EXT_ALPN) {
            struct cursor list = cursor_of(cursor_vec16(&value));
            out->alpn = cursor_vec8(&list);
        }
    }
    return c.failed ? -1 : 0;
}

bool ssl2_hello_starts(const uint8_t header[static SSL2_HELLO_HEADER], size_t *len) {
    struct cursor c = cursor_of((struct bytes){ header, SSL2_HELLO_HEADER });
    uint16_t record = cursor_u16(&c);
    uint8_t type = cursor_u8(&c);
    uint16_t version = cursor_u16(&c);
    uint16_t specs = cursor_u16(&c);
    uint16_t session_id = cursor_u16(&c);
    uint16_t challenge = cursor_u16(&c);
    *len = (record & 0x7fffu) + 2u;
    return (record & 0x8000) && type == SSL2_CLIENT_HELLO &&
           (version == 0x0002 || (version >= 0x0300 && version <= 0x0303)) && specs > 0 &&
           specs % 3 == 0 && (session_id == 0 || session_id == SSL2_SESSION_ID_LEN) &&
           challenge >= 8 && challenge <= 32 &&
           *len == (size_t)SSL2_HELLO_HEADER + specs + session_id + challenge;
}

int ssl2_hello_parse(struct bytes message, struct ssl2_hello *out) {
    *out = (struct ssl2_hello){ 0 };
    struct cursor c = cursor_of(message);
    (void)cursor_take(&c, 3);
    out->version = cursor_u16(&c);
    uint16_t specs = cursor_u16(&c);
    uint16_t session_id = cursor_u16(&c);
    uint16_t challenge = cursor_u16(&c);
    out->cipher_specs = cursor_take(&c, specs);
    out->session_id = cursor_take(&c, session_id);
    out->challenge = cursor_take(&c, challenge);
    return c.failed ? -1 : 0;
}

int ssl2_server_hello_parse(struct bytes message, bool *hit) {
    struct cursor c = cursor_of(message);
    uint8_t first = cursor_u8(&c);
    (void)cursor_take(&c, first & 0x80 ? 1 : 2); /* the longer header has a padding byte */
    uint8_t type = cursor_u8(&c);
    *hit = cursor_u8(&c) != 0;
    (void)cursor_u8(&c);
    uint16_t version = cursor_u16(&c);
    return c.failed || type != SSL2_SERVER_HELLO || version != 0x0002 ? -1 : 0;
}

bool psk_identity_next(struct cursor *list, struct bytes *identity, uint32_t *obfuscated_age_ms) {
    if (cursor_left(list) == 0) {
        return false;
    }
    *identity = cursor_vec16(list);
    *obfuscated_age_ms = cursor_u32(list);
    return !list->failed;
}
