/* record.c: see record.h for the layout. */
#include "resume/record.h"

#include "base/crypto.h"

const char *resume_by_word(enum resume_by by) {
    static const char *const words[] = {
        [RESUME_BY_NONE] = "none",
        [RESUME_BY_SESSION_ID] = "session-id",
        [RESUME_BY_TICKET] = "ticket",
        [RESUME_BY_PSK] = "psk",
        [RESUME_BY_PSK_STATEFUL] = "psk-stateful",
    };
    return words[by];
}

void record_hash_name(struct bytes name, uint8_t out[static RECORD_NAME_LEN]) {
    if (name.len == 0) {
        memset(out, 0, RECORD_NAME_LEN);
        return;
    }
    uint8_t hash[CRYPTO_HASH_LEN];
    crypto_hash(name, hash);
    memcpy(out, hash, RECORD_NAME_LEN);
}

size_t record_encode(const struct record *record, uint8_t *buf, size_t cap) {
    struct writer w = writer_of(buf, cap);
    if (record->alpn.len > UINT8_MAX || record->session.len > RECORD_SESSION_MAX) {
        return 0;
    }
    writer_u8(&w, RECORD_VERSION);
    writer_u8(&w, (uint8_t)record->kind);
    writer_u16(&w, record->protocol);
    writer_u16(&w, record->cipher);
    writer_u16(&w, record->flags);
    writer_u64(&w, record->first_ms);
    writer_u64(&w, record->issued_ms);
    writer_u32(&w, record->lifetime_s);
    writer_u64(&w, record->client_chain_expiry_s);
    writer_put(&w, &record->policy, sizeof(record->policy));
    writer_put(&w, record->server_name, sizeof(record->server_name));
    writer_u8(&w, (uint8_t)record->alpn.len);
    writer_put(&w, record->alpn.data, record->alpn.len);
    writer_u16(&w, (uint16_t)record->session.len);
    writer_put(&w, record->session.data, record->session.len);
    return w.failed ? 0 : (size_t)(w.at - buf);
}

static void take_into(struct cursor *c, void *out, size_t len) {
    struct bytes b = cursor_take(c, len);
    if (b.data) {
        memcpy(out, b.data, len);
    }
}

enum record_status record_decode(struct bytes in, struct record *record) {
    struct cursor c = cursor_of(in);
    *record = (struct record){ 0 };
    uint8_t version = cursor_u8(&c);
    if (!c.failed && version != RECORD_VERSION) {
        return RECORD_OTHER_VERSION;
    }
    uint8_t kind = cursor_u8(&c);
    record->protocol = cursor_u16(&c);
    record->cipher = cursor_u16(&c);
    record->flags = cursor_u16(&c);
    record->first_ms = cursor_u64(&c);
    record->issued_ms = cursor_u64(&c);
    record->lifetime_s = cursor_u32(&c);
    record->client_chain_expiry_s = cursor_u64(&c);
    take_into(&c, &record->policy, sizeof(record->policy));
    take_into(&c, record->server_name, sizeof(record->server_name));
    record->alpn = cursor_vec8(&c);
    record->session = cursor_vec16(&c);
    if (!cursor_done(&c) || kind <= RESUME_BY_NONE || kind > RESUME_BY_PSK_STATEFUL ||
        (record->session.len == 0) != ((record->flags & RECORD_FLAG_TOO_LARGE) != 0)) {
        return RECORD_BROKEN;
    }
    record->kind = (enum resume_by)kind;
    return RECORD_OK;
}
