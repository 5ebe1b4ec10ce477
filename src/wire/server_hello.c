/* server_hello.c: see server_hello.h. */
#include "wire/server_hello.h"

#include "wire/limits.h"

/* ExtensionType (IANA); 40 was key_share in the drafts before 23. */
enum {
    EXT_ALPN = 16,
    EXT_ENCRYPT_THEN_MAC = 22,
    EXT_EXTENDED_MASTER_SECRET = 23,
    EXT_SESSION_TICKET = 35,
    EXT_KEY_SHARE_DRAFT = 40,
    EXT_PRE_SHARED_KEY = 41,
    EXT_SUPPORTED_VERSIONS = 43,
    EXT_KEY_SHARE = 51,
    EXT_RENEGOTIATION_INFO = 0xff01,
};

#define DRAFT_WITH_SESSION_ID 22 /* from it on a ServerHello looks like TLS 1.2's */

/* RFC 8446 4.1.3: SHA-256 of "HelloRetryRequest". */
static const uint8_t retry_random[WIRE_RANDOM_LEN] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

unsigned version_draft(uint16_t version) {
    return version >> 8 == 0x7f ? version & 0xff : 0;
}

bool version_is_tls13(uint16_t version) {
    /* 0x7eNN: browsers' trials of what became draft 22; 0xfbNN: another library's drafts */
    return version == 0x0304 || version_draft(version) > 0 || version >> 8 == 0x7e ||
           version >> 8 == 0xfb || version == 0xfefc;
}

static void read_extension(uint16_t type, struct bytes value, struct server_hello *out) {
    struct cursor c = cursor_of(value);
    switch (type) {
    case EXT_ALPN: {
        struct cursor list = cursor_of(cursor_vec16(&c));
        out->alpn = cursor_vec8(&list);
        break;
    }
    case EXT_ENCRYPT_THEN_MAC:
        out->has_encrypt_then_mac = true;
        break;
    case EXT_EXTENDED_MASTER_SECRET:
        out->has_ems = true;
        break;
    case EXT_SESSION_TICKET:
        out->has_session_ticket = true;
        break;
    case EXT_KEY_SHARE_DRAFT:
    case EXT_KEY_SHARE:
        out->has_key_share = true;
        out->group = cursor_u16(&c);
        break;
    case EXT_PRE_SHARED_KEY:
        out->psk_selected = cursor_u16(&c);
        out->has_psk = !c.failed;
        break;
    case EXT_SUPPORTED_VERSIONS: {
        uint16_t version = cursor_u16(&c);
        out->version = c.failed ? out->version : version;
        break;
    }
    case EXT_RENEGOTIATION_INFO:
        out->has_renegotiation_info = true;
        out->renegotiation_info = cursor_vec8(&c);
        break;
    default:
        break;
    }
}

static void read_extensions(struct bytes block, struct server_hello *out) {
    struct cursor c = cursor_of(block);
    while (cursor_left(&c) > 0) {
        uint16_t type = cursor_u16(&c);
        struct bytes value = cursor_vec16(&c);
        if (!c.failed) {
            read_extension(type, value, out);
        }
    }
}

int server_hello_parse(struct bytes body, struct server_hello *out) {
    *out = (struct server_hello){ 0 };
    struct cursor c = cursor_of(body);
    out->legacy_version = cursor_u16(&c);
    out->version = out->legacy_version;
    out->random = cursor_take(&c, WIRE_RANDOM_LEN);
    unsigned draft = version_draft(out->legacy_version);
    bool old_draft = draft > 0 && draft < DRAFT_WITH_SESSION_ID;
    if (!old_draft) {
        out->session_id = cursor_vec8(&c);
    }
    out->cipher_suite = cursor_u16(&c);
    if (!old_draft) {
        (void)cursor_u8(&c); /* compression */
    }
    if (c.failed || out->session_id.len > WIRE_SESSION_ID_MAX) {
        return -1;
    }
    if (cursor_left(&c) > 0) {
        out->extensions = cursor_vec16(&c);
        read_extensions(out->extensions, out);
    }
    out->is_retry = memcmp(out->random.data, retry_random, WIRE_RANDOM_LEN) == 0;
    return 0;
}

int server_hello_parse_retry(struct bytes body, struct server_hello *out) {
    *out = (struct server_hello){ .is_retry = true };
    struct cursor c = cursor_of(body);
    out->legacy_version = cursor_u16(&c);
    out->version = out->legacy_version;
    if (version_draft(out->version) >= 19) { /* draft 18 had no cipher suite here */
        out->cipher_suite = cursor_u16(&c);
    }
    out->extensions = cursor_vec16(&c);
    if (c.failed) {
        return -1;
    }
    read_extensions(out->extensions, out);
    return 0;
}
