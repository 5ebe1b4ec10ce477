/* hello.c: reads a ClientHello in one pass, without allocating, and finds it in
 * a byte stream. Extensions that mean nothing to us are stepped over; those that
 * do are read to their last byte.
 *
 * Threat: this is the first code that a stranger's bytes reach, on every
 * connection. Each loop is bounded by wire/limits.h or by the message's length,
 * and scanning again when a byte more has come costs a few record headers.
 */
#include "wire/hello.h"

#include "wire/limits.h"
#include "wire/record.h"

/* AlertDescription (RFC 8446 6). 0 is close_notify, which no refusal is. */
enum {
    ALERT_NONE = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_DECODE_ERROR = 50,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_UNRECOGNIZED_NAME = 112,
};

/* ExtensionType (IANA). */
enum {
    EXT_SERVER_NAME = 0,
    EXT_SUPPORTED_GROUPS = 10,
    EXT_EC_POINT_FORMATS = 11,
    EXT_SIGNATURE_ALGORITHMS = 13,
    EXT_ALPN = 16,
    EXT_EXTENDED_MASTER_SECRET = 23,
    EXT_SESSION_TICKET = 35,
    EXT_PRE_SHARED_KEY = 41,
    EXT_EARLY_DATA = 42,
    EXT_SUPPORTED_VERSIONS = 43,
    EXT_PSK_KEY_EXCHANGE_MODES = 45,
    EXT_KEY_SHARE = 51,
    EXT_TICKET_REQUEST = 58,
    EXT_RENEGOTIATION_INFO = 0xff01,
};

enum {
    HANDSHAKE_CLIENT_HELLO = 1,
    NAME_TYPE_HOST_NAME = 0,
    PSK_KE = 0,
    PSK_DHE_KE = 1,
    PSK_BINDER_MIN = 32, /* RFC 8446 4.2.11 */
};

#define VERSION_SSL30 0x0300
#define VERSION_TLS12 0x0303
#define SUITE_EMPTY_RENEGOTIATION_INFO_SCSV 0x00ff

#define EXTENSIONS_FEW 16

/* The extension types seen so far. A hello may have 16,383 of them, and to look for a
 * repeated one must cost the same for each: a bit for each type. Nearly all hellos have
 * a few, most of them below 64, for which 8 KB need not be cleared. */
struct extension_set {
    uint64_t low; /* a bit for each type below 64 */
    unsigned few_count;
    uint16_t few[EXTENSIONS_FEW]; /* the others, while they are few */
    bool many;                    /* they are in `seen`, which is good from then on */
    uint64_t seen[65536 / 64];
};

static bool bit_set(uint64_t *words, uint16_t type) {
    uint64_t bit = UINT64_C(1) << type % 64;
    bool fresh = (words[type / 64] & bit) == 0;
    words[type / 64] |= bit;
    return fresh;
}

static void extension_set_grow(struct extension_set *set) {
    memset(set->seen, 0, sizeof(set->seen));
    for (unsigned i = 0; i < set->few_count; i++) {
        bit_set(set->seen, set->few[i]);
    }
    set->many = true;
}

/* Returns false for a type that is there already. */
static bool extension_set_add(struct extension_set *set, uint16_t type) {
    if (type < 64) {
        return bit_set(&set->low, type);
    }
    if (!set->many && set->few_count == EXTENSIONS_FEW) {
        extension_set_grow(set);
    }
    if (set->many) {
        return bit_set(set->seen, type);
    }
    for (unsigned i = 0; i < set->few_count; i++) {
        if (set->few[i] == type) {
            return false;
        }
    }
    set->few[set->few_count++] = type;
    return true;
}

/* Each parse_* reads one extension's value and returns ALERT_NONE, or the alert
 * that refuses it. What it leaves unread, and a cursor that failed, are a
 * decode_error that parse_extension finds. */

static uint8_t skip_value(struct cursor *c) {
    (void)cursor_take(c, cursor_left(c));
    return ALERT_NONE;
}

/* RFC 6066 3: ASCII. Control characters are in no name, and would be in our log. */
static bool is_host_name(struct bytes name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] > '~') {
            return false;
        }
    }
    return true;
}

/* RFC 6066 3. host_name is the only type that was ever defined, so that more
 * than one entry repeats it. */
static uint8_t parse_server_name(struct cursor *c, struct hello *out) {
    struct cursor list = cursor_of(cursor_vec16(c));
    uint8_t type = cursor_u8(&list);
    struct bytes name = cursor_vec16(&list);
    if (list.failed || type != NAME_TYPE_HOST_NAME || name.len == 0) {
        return ALERT_DECODE_ERROR;
    }
    if (!cursor_done(&list) || !is_host_name(name)) {
        return ALERT_ILLEGAL_PARAMETER;
    }
    if (name.len > WIRE_SERVER_NAME_MAX) { /* well-formed, but nobody's */
        return ALERT_UNRECOGNIZED_NAME;
    }
    out->has_server_name = true;
    out->server_name = name;
    return ALERT_NONE;
}

static bool is_u16_list(struct bytes list) {
    return list.len > 0 && list.len % 2 == 0;
}

static uint8_t parse_supported_versions(struct cursor *c, struct hello *out) {
    out->has_supported_versions = true;
    out->supported_versions = cursor_vec8(c);
    return is_u16_list(out->supported_versions) ? ALERT_NONE : ALERT_DECODE_ERROR;
}

static uint8_t parse_supported_groups(struct cursor *c, struct hello *out) {
    out->has_groups = true;
    out->groups = cursor_vec16(c);
    return is_u16_list(out->groups) ? ALERT_NONE : ALERT_DECODE_ERROR;
}

/* RFC 7301 3.1: no name may be empty. */
static uint8_t parse_alpn(struct cursor *c, struct hello *out) {
    out->has_alpn = true;
    out->alpn = cursor_vec16(c);
    if (out->alpn.len == 0) {
        return ALERT_DECODE_ERROR;
    }
    struct cursor list = cursor_of(out->alpn);
    while (!cursor_done(&list)) {
        if (cursor_vec8(&list).len == 0) {
            return ALERT_DECODE_ERROR;
        }
    }
    return ALERT_NONE;
}

static uint8_t parse_psk_modes(struct cursor *c, struct hello *out) {
    struct bytes modes = cursor_vec8(c);
    if (modes.len == 0) {
        return ALERT_DECODE_ERROR;
    }
    out->has_psk_modes = true;
    out->psk_ke = memchr(modes.data, PSK_KE, modes.len) != NULL;
    out->psk_dhe_ke = memchr(modes.data, PSK_DHE_KE, modes.len) != NULL;
    return ALERT_NONE;
}

/* OfferedPsks.identities. */
static uint8_t parse_psk_identities(struct bytes list, struct hello *out) {
    struct cursor c = cursor_of(list);
    do {
        struct bytes identity = cursor_vec16(&c);
        uint32_t age_ms = cursor_u32(&c);
        if (c.failed || identity.len == 0 || out->psk_identities == WIRE_PSK_IDENTITIES_MAX) {
            return ALERT_DECODE_ERROR;
        }
        if (out->psk_identities++ == 0) {
            out->psk_identity = identity;
            out->psk_obfuscated_age_ms = age_ms;
        }
    } while (!cursor_done(&c));
    return ALERT_NONE;
}

/* RFC 8446 4.2.11. Each identity has its binder. */
static uint8_t parse_pre_shared_key(struct cursor *c, struct hello *out) {
    struct bytes identities = cursor_vec16(c);
    struct bytes binders = cursor_vec16(c);
    if (c->failed) {
        return ALERT_DECODE_ERROR;
    }
    out->has_psk = true;
    out->psk_list = identities;
    uint8_t alert = parse_psk_identities(identities, out);
    if (alert != ALERT_NONE) {
        return alert;
    }

    unsigned count = 0;
    struct cursor list = cursor_of(binders);
    do {
        struct bytes binder = cursor_vec8(&list);
        if (binder.len < PSK_BINDER_MIN) {
            return ALERT_DECODE_ERROR;
        }
        if (count++ == 0) {
            out->psk_binder = binder;
        }
    } while (!cursor_done(&list));
    return count == out->psk_identities ? ALERT_NONE : ALERT_ILLEGAL_PARAMETER;
}

/* RFC 9149 3. */
static uint8_t parse_ticket_request(struct cursor *c, struct hello *out) {
    out->has_bad_ticket_request = cursor_left(c) != 2;
    if (out->has_bad_ticket_request) {
        return skip_value(c);
    }
    out->has_ticket_request = true;
    out->tickets_new = cursor_u8(c);
    out->tickets_resumed = cursor_u8(c);
    return ALERT_NONE;
}

static uint8_t parse_known_extension(uint16_t type, struct cursor *c, struct hello *out) {
    switch (type) {
    case EXT_SERVER_NAME:
        return parse_server_name(c, out);
    case EXT_SUPPORTED_GROUPS:
        return parse_supported_groups(c, out);
    case EXT_EC_POINT_FORMATS: /* the library's to read, but for an empty list */
        out->has_empty_point_formats = cursor_left(c) > 0 && c->at[0] == 0;
        return skip_value(c);
    case EXT_SIGNATURE_ALGORITHMS: /* the library's to read, as the next */
        out->has_signature_algorithms = true;
        return skip_value(c);
    case EXT_KEY_SHARE:
        out->has_key_share = true;
        return skip_value(c);
    case EXT_ALPN:
        return parse_alpn(c, out);
    case EXT_EXTENDED_MASTER_SECRET:
        out->has_ems = true;
        return ALERT_NONE;
    case EXT_SESSION_TICKET:
        out->has_session_ticket = true;
        out->session_ticket = cursor_take(c, cursor_left(c));
        return ALERT_NONE;
    case EXT_PRE_SHARED_KEY:
        return parse_pre_shared_key(c, out);
    case EXT_EARLY_DATA:
        out->has_early_data = true;
        return ALERT_NONE;
    case EXT_SUPPORTED_VERSIONS:
        return parse_supported_versions(c, out);
    case EXT_PSK_KEY_EXCHANGE_MODES:
        return parse_psk_modes(c, out);
    case EXT_TICKET_REQUEST:
        return parse_ticket_request(c, out);
    case EXT_RENEGOTIATION_INFO:
        out->has_renegotiation_info = true;
        out->renegotiation_info = cursor_vec8(c);
        return ALERT_NONE;
    default:
        return skip_value(c);
    }
}

static uint8_t parse_extension(uint16_t type, struct bytes value, struct hello *out) {
    struct cursor c = cursor_of(value);
    uint8_t alert = parse_known_extension(type, &c, out);
    if (alert != ALERT_NONE) {
        return alert;
    }
    return cursor_done(&c) ? ALERT_NONE : ALERT_DECODE_ERROR;
}

static uint8_t parse_extensions(struct bytes block, struct hello *out) {
    struct extension_set set;
    set.low = 0;
    set.few_count = 0;
    set.many = false;
    struct cursor c = cursor_of(block);
    while (!cursor_done(&c)) {
        uint16_t type = cursor_u16(&c);
        struct bytes value = cursor_vec16(&c);
        if (c.failed) {
            return ALERT_DECODE_ERROR;
        }
        if (out->has_psk) { /* RFC 8446 4.2.11: it must be the last */
            return ALERT_ILLEGAL_PARAMETER;
        }
        if (!extension_set_add(&set, type)) { /* RFC 8446 4.2 */
            return ALERT_ILLEGAL_PARAMETER;
        }
        uint8_t alert = parse_extension(type, value, out);
        if (alert != ALERT_NONE) {
            return alert;
        }
    }
    return ALERT_NONE;
}

static uint8_t parse_body(struct bytes body, struct hello *out) {
    struct cursor c = cursor_of(body);
    out->legacy_version = cursor_u16(&c);
    out->random = cursor_take(&c, WIRE_RANDOM_LEN);
    out->session_id = cursor_vec8(&c);
    out->cipher_suites = cursor_vec16(&c);
    struct bytes compression_methods = cursor_vec8(&c);
    /* RFC 5246 7.4.1.2: a hello may end without extensions */
    if (!cursor_done(&c)) {
        out->extensions = cursor_vec16(&c);
    }
    /* What can't be decoded comes before what says the wrong thing. */
    if (!cursor_done(&c) || out->session_id.len > WIRE_SESSION_ID_MAX ||
        !is_u16_list(out->cipher_suites) || compression_methods.len == 0) {
        return ALERT_DECODE_ERROR;
    }
    if (!memchr(compression_methods.data, 0, compression_methods.len)) {
        return ALERT_ILLEGAL_PARAMETER;
    }
    out->offers_scsv = hello_list_has_u16(out->cipher_suites, SUITE_EMPTY_RENEGOTIATION_INFO_SCSV);
    return parse_extensions(out->extensions, out);
}

int hello_parse(struct bytes body, struct hello *out, uint8_t *alert) {
    *out = (struct hello){ .message_len = WIRE_HANDSHAKE_HEADER + body.len };
    uint8_t refusal = parse_body(body, out);
    if (refusal == ALERT_NONE) {
        return 0;
    }
    if (alert) {
        *alert = refusal;
    }
    return -1;
}

/* As much of the extensions as is there, each by itself. */
static void read_extensions(struct cursor *c, struct hello *out) {
    while (cursor_left(c) > 0) {
        uint16_t type = cursor_u16(c);
        struct bytes value = cursor_vec16(c);
        if (!c->failed) {
            (void)parse_extension(type, value, out);
        }
    }
}

int hello_read(struct bytes body, struct hello *out, bool *whole) {
    uint8_t alert = ALERT_NONE;
    *whole = hello_parse(body, out, &alert) == 0;
    if (*whole) {
        return 0;
    }
    *out = (struct hello){ 0 };
    struct cursor c = cursor_of(body);
    out->legacy_version = cursor_u16(&c);
    out->random = cursor_take(&c, WIRE_RANDOM_LEN);
    out->session_id = cursor_vec8(&c);
    out->cipher_suites = cursor_vec16(&c);
    if (c.failed) {
        return -1;
    }
    (void)cursor_vec8(&c);
    (void)cursor_u16(&c);
    read_extensions(&c, out);
    return 0;
}

/* How far the walk over the records of a stream has come. */
struct scan {
    struct bytes stream;
    size_t stream_at;      /* where the next record begins */
    unsigned records;      /* whole ones */
    struct bytes fragment; /* the last whole one's */
    size_t joined;         /* bytes of handshake messages in whole records */
    size_t header_len;     /* how much of `header` is there */
    uint8_t header[WIRE_HANDSHAKE_HEADER];
};

static size_t scan_message_len(const struct scan *scan) {
    struct cursor c = cursor_of((struct bytes){ scan->header, sizeof(scan->header) });
    (void)cursor_u8(&c);
    return WIRE_HANDSHAKE_HEADER + cursor_u24(&c);
}

/* The message's header may be spread over records. HELLO_COMPLETE: a ClientHello
 * so far, and its length is known. */
static enum hello_status scan_header(struct scan *scan, struct bytes fragment, uint8_t *alert) {
    for (size_t i = 0; i < fragment.len && scan->header_len < sizeof(scan->header); i++) {
        scan->header[scan->header_len++] = fragment.data[i];
    }
    if (scan->header_len > 0 && scan->header[0] != HANDSHAKE_CLIENT_HELLO) {
        *alert = ALERT_UNEXPECTED_MESSAGE;
        return HELLO_MALFORMED;
    }
    if (scan->header_len < sizeof(scan->header)) {
        return HELLO_NEED_MORE;
    }
    return scan_message_len(scan) > WIRE_HELLO_MAX ? HELLO_TOO_LARGE : HELLO_COMPLETE;
}

/* What a record makes of the scan when it is no sound handshake record. A first
 * record that is none means that the client speaks something else. */
static enum hello_status scan_refuse(const struct scan *scan, enum record_status status,
                                     const struct record *record, uint8_t *alert) {
    if (status == RECORD_BAD_LENGTH && record->type == RECORD_HANDSHAKE) {
        /* RFC 8446 5.1, 5.4 */
        *alert = record->fragment_len == 0 ? ALERT_UNEXPECTED_MESSAGE : ALERT_RECORD_OVERFLOW;
        return HELLO_MALFORMED;
    }
    if (scan->records == 0) {
        return HELLO_NOT_TLS;
    }
    *alert = status == RECORD_BAD_VERSION ? ALERT_PROTOCOL_VERSION : ALERT_UNEXPECTED_MESSAGE;
    return HELLO_MALFORMED;
}

/* Steps over one record. HELLO_COMPLETE: the message's last byte is in it;
 * HELLO_NEED_MORE with the record counted: go on with the next. */
static enum hello_status scan_record(struct scan *scan, uint8_t *alert) {
    if (scan->records == WIRE_HELLO_RECORDS_MAX) {
        return HELLO_TOO_LARGE;
    }
    struct cursor rest = cursor_of(scan->stream);
    (void)cursor_take(&rest, scan->stream_at);
    if (cursor_left(&rest) == 0) {
        return HELLO_NEED_MORE;
    }
    struct record record;
    enum record_status status =
        record_read(cursor_take(&rest, cursor_left(&rest)), WIRE_RECORD_PLAIN_MAX, &record);
    if (record.type != RECORD_HANDSHAKE ||
        (status != RECORD_COMPLETE && status != RECORD_NEED_MORE)) {
        return scan_refuse(scan, status, &record, alert);
    }

    enum hello_status header = scan_header(scan, record.fragment, alert);
    if (header != HELLO_COMPLETE && header != HELLO_NEED_MORE) {
        return header;
    }
    /* Only other messages behind the hello in its last record can bring us here:
     * whoever waits for that record must not need more room than promised. */
    size_t record_len = WIRE_RECORD_HEADER + record.fragment_len;
    if (scan->stream_at + record_len > WIRE_HELLO_STREAM_MAX) {
        return HELLO_TOO_LARGE;
    }
    if (status == RECORD_NEED_MORE) {
        return HELLO_NEED_MORE;
    }

    scan->stream_at += record_len;
    scan->records++;
    scan->fragment = record.fragment;
    scan->joined += record.fragment_len;
    return header == HELLO_COMPLETE && scan->joined >= scan_message_len(scan) ? HELLO_COMPLETE
                                                                              : HELLO_NEED_MORE;
}

/* Copies the fragments of the records that the scan went over, each of which it
 * found whole and all of which but the last lie within the message. */
static struct bytes scan_join(const struct scan *scan, uint8_t *scratch, size_t message_len) {
    struct cursor c = cursor_of((struct bytes){ scan->stream.data, scan->stream_at });
    struct writer w = writer_of(scratch, message_len);
    for (unsigned i = 0; i < scan->records; i++) {
        (void)cursor_take(&c, WIRE_RECORD_HEADER - 2);
        struct bytes fragment = cursor_vec16(&c);
        size_t left = (size_t)(w.end - w.at);
        writer_put(&w, fragment.data, fragment.len < left ? fragment.len : left);
    }
    return (struct bytes){ scratch, message_len };
}

enum hello_status hello_scan(struct bytes stream, uint8_t *scratch, struct hello *out,
                             size_t *record_len, uint8_t *alert) {
    uint8_t refusal = ALERT_NONE;
    struct scan scan = { .stream = stream };
    enum hello_status status;
    unsigned records;
    do {
        records = scan.records;
        status = scan_record(&scan, &refusal);
    } while (status == HELLO_NEED_MORE && scan.records > records);

    if (status == HELLO_COMPLETE) {
        size_t message_len = scan_message_len(&scan);
        struct bytes body = scan.records == 1 ? (struct bytes){ scan.fragment.data, message_len }
                                              : scan_join(&scan, scratch, message_len);
        body.data += WIRE_HANDSHAKE_HEADER;
        body.len -= WIRE_HANDSHAKE_HEADER;
        if (hello_parse(body, out, &refusal) != 0) {
            status = HELLO_MALFORMED;
        } else if (record_len) {
            *record_len = scan.stream_at;
        }
    }
    if (status == HELLO_MALFORMED && alert) {
        *alert = refusal;
    }
    return status;
}

size_t hello_drop_early_data(uint8_t *data, size_t len, size_t *missing) {
    size_t at = 0;
    size_t kept = 0;
    *missing = 0;
    while (len - at >= WIRE_RECORD_HEADER) {
        struct record record;
        enum record_status status =
            record_read((struct bytes){ data + at, len - at }, WIRE_RECORD_CIPHER_MAX, &record);
        if (status != RECORD_COMPLETE && status != RECORD_NEED_MORE) {
            break;
        }
        size_t whole = WIRE_RECORD_HEADER + record.fragment_len;
        size_t there = whole < len - at ? whole : len - at;
        if (record.type == RECORD_APPLICATION_DATA) {
            *missing = whole - there;
        } else {
            memmove(data + kept, data + at, there);
            kept += there;
        }
        at += there;
    }
    memmove(data + kept, data + at, len - at);
    return kept + len - at;
}

bool hello_offers_version(const struct hello *hello, uint16_t version) {
    if (hello->legacy_version <= VERSION_SSL30) { /* RFC 8446 D.5, whatever else it says */
        return false;
    }
    if (hello->has_supported_versions) {
        return hello_list_has_u16(hello->supported_versions, version);
    }
    /* RFC 8446 4.2.1: without the extension TLS 1.2 at most, whatever it says */
    return version <= VERSION_TLS12 && version <= hello->legacy_version;
}

bool hello_is_complete13(const struct hello *hello) {
    return hello->has_groups == hello->has_key_share &&
           (hello->has_psk || (hello->has_groups && hello->has_signature_algorithms));
}

bool hello_offers_cipher(const struct hello *hello, uint16_t suite) {
    return hello_list_has_u16(hello->cipher_suites, suite);
}

bool hello_list_has_u16(struct bytes list, uint16_t value) {
    for (size_t i = 0; i + 1 < list.len; i += 2) {
        if ((uint16_t)(list.data[i] << 8 | list.data[i + 1]) == value) {
            return true;
        }
    }
    return false;
}

bool hello_offers_alpn(const struct hello *hello, struct bytes protocol) {
    struct cursor c = cursor_of(hello->alpn);
    while (cursor_left(&c) > 0) {
        if (bytes_equal(cursor_vec8(&c), protocol)) {
            return !c.failed;
        }
    }
    return false;
}
