/* tls.c: see tls.h. A direction is in one of the states of enum side_state:
 *
 *   START    the first bytes decide: TLS records, an SSL 2.0 hello, or something else
 *   SEARCH   something else: STARTTLS, a proxy's CONNECT. A hello is looked for
 *   RECORDS  records
 *   RESYNC   bytes are missing: a record is looked for where a segment begins
 *   SSL2     within an SSL 2.0 record
 *   IGNORE   no TLS to be expected
 */
#include "capture/tls.h"

#include <stdlib.h>

#include "capture/decrypt.h"
#include "capture/handshake.h"
#include "wire/record.h"

#define SEARCH_MAX (1024 * 1024) /* bytes in which a hello is looked for */
#define HELLO_PATTERN 11         /* bytes that tell a hello from anything else */
#define MESSAGE_FIRST 512
#define ALERT_FATAL 2
#define RECORD_MAX (WIRE_RECORD_CIPHER_MAX)
#define HANDSHAKE_MAX 0x40000 /* a longer message is none */

/* What one step works on. */
struct step {
    const struct tls_reader *reader;
    struct stream *stream;
    struct side *side;
    uint8_t direction;
    struct place place;
    const uint8_t *segment; /* where its bytes begin */
};

static struct event step_event(const struct step *step, enum event_kind kind, uint64_t len) {
    return (struct event){
        .kind = kind,
        .direction = step->direction,
        .count = 1,
        .len = len,
        .place = step->place,
    };
}

static void add_event(const struct step *step, enum event_kind kind, uint64_t len) {
    struct event event = step_event(step, kind, len);
    (void)stream_add_event(step->stream, &event);
}

/* --- handshake messages --- */

static bool type_is_known(uint8_t type) {
    return type <= 25 || type == HANDSHAKE_NEXT_PROTOCOL || type == 203 || type == 254;
}

/* Only these are read; of others the length is enough. */
static bool type_is_read(uint8_t type) {
    return type == HANDSHAKE_CLIENT_HELLO || type == HANDSHAKE_SERVER_HELLO ||
           type == HANDSHAKE_NEW_SESSION_TICKET || type == HANDSHAKE_HELLO_RETRY_REQUEST ||
           type == HANDSHAKE_ENCRYPTED_EXTENSIONS;
}

/* Both hellos in one direction: these are a download's bytes, say, and no handshake. */
static bool hello_is_misplaced(const struct step *step, uint8_t type) {
    const struct handshake *handshake = stream_handshake(step->stream);
    bool from_client = step->stream->client == step->direction;
    return handshake &&
           ((type == HANDSHAKE_SERVER_HELLO && handshake->offer.seen && from_client) ||
            (type == HANDSHAKE_CLIENT_HELLO && handshake->answer.seen && !from_client));
}

static void message_deliver(const struct step *step, struct bytes body, bool whole,
                            bool decrypted) {
    struct side *side = step->side;
    if (hello_is_misplaced(step, side->message_head[0])) {
        side->message_head_len = 0;
        return;
    }
    const struct message message = {
        .direction = step->direction,
        .type = side->message_head[0],
        .whole = whole,
        .decrypted = decrypted,
        .len = side->message_len,
        .body = body,
        .place = step->place,
    };
    handshake_message(step->stream, step->reader->issued, &message);
    if (message.type == HANDSHAKE_CLIENT_HELLO || message.type == HANDSHAKE_SERVER_HELLO) {
        step->stream->is_tls = true;
        step->stream->sides[0].tentative = false;
        step->stream->sides[1].tentative = false;
    }
    decrypt_note(step->stream, step->reader->keylog, &message);
    side->message_head_len = 0;
    side->message_have = 0;
    side->message_kept = 0;
}

static void message_keep(struct side *side, struct bytes data) {
    uint32_t want = side->message_kept + (uint32_t)data.len;
    want = want > STREAM_MESSAGE_MAX ? STREAM_MESSAGE_MAX : want;
    if (want > side->message_cap) {
        uint32_t cap = side->message_cap ? side->message_cap : MESSAGE_FIRST;
        while (cap < want) {
            cap *= 2;
        }
        uint8_t *grown = realloc(side->message, cap);
        if (!grown) {
            return;
        }
        side->message = grown;
        side->message_cap = cap;
    }
    if (data.data && want > side->message_kept) {
        memcpy(side->message + side->message_kept, data.data, want - side->message_kept);
        side->message_kept = want;
    }
}

/* The header is whole. False: it is none, so that the record is encrypted after all. */
static bool message_begin(const struct step *step, bool decrypted) {
    struct side *side = step->side;
    const uint8_t *head = side->message_head;
    side->message_len = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    side->message_have = 0;
    side->message_kept = 0;
    if (!type_is_known(head[0]) || side->message_len > HANDSHAKE_MAX) {
        side->message_head_len = 0;
        return false;
    }
    const struct message message = {
        .direction = step->direction,
        .type = head[0],
        .len = side->message_len,
        .decrypted = decrypted,
        .place = step->place,
    };
    handshake_began(step->stream, step->reader->issued, &message);
    return true;
}

/* Bytes of handshake records, wherever they are cut. False: these are no messages. */
static bool message_bytes(const struct step *step, struct bytes data, bool decrypted) {
    struct side *side = step->side;
    struct cursor c = cursor_of(data);
    while (cursor_left(&c) > 0 || (side->message_head_len == WIRE_HANDSHAKE_HEADER &&
                                   side->message_have == side->message_len)) {
        if (side->message_head_len < WIRE_HANDSHAKE_HEADER) {
            side->message_head[side->message_head_len++] = cursor_u8(&c);
            if (side->message_head_len == WIRE_HANDSHAKE_HEADER &&
                !message_begin(step, decrypted)) {
                return false;
            }
            continue;
        }
        size_t want = side->message_len - side->message_have;
        size_t left = cursor_left(&c);
        struct bytes part = cursor_take(&c, want < left ? want : left);
        bool whole = part.len == want;
        if (whole && side->message_kept == 0 && side->message_have == 0) {
            message_deliver(step, part, true, decrypted);
            continue;
        }
        side->message_have += (uint32_t)part.len;
        if (type_is_read(side->message_head[0])) {
            message_keep(side, part);
        }
        if (whole) {
            bool all =
                side->message_kept == side->message_len || !type_is_read(side->message_head[0]);
            message_deliver(step, (struct bytes){ side->message, side->message_kept }, all,
                            decrypted);
        }
    }
    return true;
}

/* The rest of a message will not come. */
static void message_cut(const struct step *step) {
    struct side *side = step->side;
    if (side->message_head_len == WIRE_HANDSHAKE_HEADER) {
        message_deliver(step, (struct bytes){ side->message, side->message_kept }, false, false);
    }
    side->message_head_len = 0;
}

/* --- records --- */

static void on_alert(const struct step *step, struct bytes body, bool decrypted) {
    struct stream *stream = step->stream;
    if (body.len != 2 || body.data[0] == 0 || body.data[0] > ALERT_FATAL) {
        add_event(step, EVENT_ENCRYPTED_ALERT, body.len);
        return;
    }
    struct event event = step_event(step, EVENT_ALERT, body.len);
    event.code = (uint16_t)(body.data[0] << 8 | body.data[1]);
    event.decrypted = decrypted;
    (void)stream_add_event(stream, &event);
    if (body.data[0] == ALERT_FATAL && stream->alert == 0) {
        stream->alert = event.code;
        stream->alert_direction = step->direction;
        stream->alert_frame = step->place.frame;
    }
}

static void on_ccs(const struct step *step) {
    struct side *side = step->side;
    add_event(step, EVENT_CCS, side->record_len);
    handshake_ccs(step->stream, step->direction, &step->place);
    side->ccs++;
    side->encrypted_handshakes = 0;
    if (!handshake_is_tls13(step->stream)) {
        side->encrypted = true;
    }
    decrypt_ccs(step->stream, step->direction);
}

/* What a decrypted record held. */
static void on_plaintext(const struct step *step, uint8_t type, struct bytes data) {
    struct event event = step_event(step, EVENT_DATA, data.len);
    switch (type) {
    case RECORD_HANDSHAKE:
        (void)message_bytes(step, data, true);
        break;
    case RECORD_ALERT:
        on_alert(step, data, true);
        break;
    case RECORD_APPLICATION_DATA:
        event.decrypted = true;
        (void)stream_add_event(step->stream, &event);
        break;
    default:
        break;
    }
}

static void on_encrypted_handshake(const struct step *step) {
    struct side *side = step->side;
    add_event(step, EVENT_ENCRYPTED_HANDSHAKE, side->record_len);
    /* One follows ChangeCipherSpec: Finished. More belong to a renegotiation. */
    bool from_client = step->stream->client == step->direction;
    const struct handshake *handshake = stream_handshake(step->stream);
    uint32_t expected = 1 + (handshake && from_client ? handshake->answer.client_messages : 0);
    if (++side->encrypted_handshakes > expected && side->ccs > 0) {
        side->extra_handshakes++;
    }
}

static void record_drop(struct side *side) {
    free(side->record);
    side->record = NULL;
    side->record_have = 0;
    side->record_cap = 0;
}

/* A record that can't be read in clear has ended. */
static void on_encrypted(const struct step *step) {
    struct side *side = step->side;
    struct stream *stream = step->stream;
    bool tls13 = handshake_is_tls13(stream);
    switch (side->record_type) {
    case RECORD_HANDSHAKE:
        on_encrypted_handshake(step);
        break;
    case RECORD_ALERT:
        add_event(step, EVENT_ENCRYPTED_ALERT, side->record_len);
        break;
    default:
        add_event(step, tls13 ? EVENT_ENCRYPTED : EVENT_DATA, side->record_len);
        break;
    }
}

static void note_early_data(const struct step *step) {
    struct stream *stream = step->stream;
    const struct handshake *handshake = stream_handshake(stream);
    if (handshake && stream->client == step->direction && handshake->offer.has_early_data &&
        !handshake->answer.seen && !handshake->retry) {
        stream->early_data_seen = true;
    }
}

static void record_end(const struct step *step) {
    struct side *side = step->side;
    side->records++;
    side->head_len = 0;
    step->stream->is_tls = true;
    uint8_t type = side->record_type;
    if (type == RECORD_APPLICATION_DATA) {
        note_early_data(step);
    }
    if (type == RECORD_CHANGE_CIPHER_SPEC) {
        on_ccs(step);
        return;
    }
    if (side->record_encrypted) {
        struct bytes plain;
        uint8_t inner = 0;
        if (side->record && side->record_have == side->record_len &&
            decrypt_record(step->stream, step->direction, side->record, &inner, &plain)) {
            on_plaintext(step, inner, plain);
        } else {
            on_encrypted(step);
        }
        record_drop(side);
        return;
    }
    if (type == RECORD_HEARTBEAT) {
        add_event(step, EVENT_HEARTBEAT, side->record_len);
    } else if (type == RECORD_ALERT) {
        on_alert(step, (struct bytes){ side->alert, sizeof(side->alert) }, false);
    }
}

/* Keeps what comes of a record that is to be decrypted, or of SSL 2.0. What a header announces
 * takes no memory before it comes. */
static void record_keep(struct side *side, struct bytes data) {
    uint32_t want = side->record_have + (uint32_t)data.len;
    if (!data.data || data.len == 0 || want > RECORD_MAX) {
        return;
    }
    if (!side->record || want > side->record_cap) {
        uint32_t cap = want > 2 * side->record_cap ? want : 2 * side->record_cap;
        uint8_t *grown = realloc(side->record, cap);
        if (!grown) {
            return;
        }
        side->record = grown;
        side->record_cap = cap;
    }
    memcpy(side->record + side->record_have, data.data, data.len);
    side->record_have = want;
}

/* A hello in clear where encrypted messages are expected: the second one after a
 * HelloRetryRequest that was not captured, or a new handshake after a failed one. */
static bool looks_like_hello(const struct side *side, struct bytes data) {
    if (data.len < WIRE_HANDSHAKE_HEADER ||
        (data.data[0] != HANDSHAKE_CLIENT_HELLO && data.data[0] != HANDSHAKE_SERVER_HELLO)) {
        return false;
    }
    uint32_t len = (uint32_t)data.data[1] << 16 | (uint32_t)data.data[2] << 8 | data.data[3];
    return len + WIRE_HANDSHAKE_HEADER == side->record_len && len > WIRE_RANDOM_LEN;
}

/* Decides, at the first byte of a record, how it is read. */
static void record_begin(const struct step *step, struct bytes data) {
    struct side *side = step->side;
    side->record_have = 0;
    switch (side->record_type) {
    case RECORD_HANDSHAKE:
        side->record_encrypted = side->encrypted && !looks_like_hello(side, data);
        break;
    case RECORD_ALERT:
        side->record_encrypted = side->record_len != 2;
        break;
    case RECORD_CHANGE_CIPHER_SPEC:
    case RECORD_HEARTBEAT:
        side->record_encrypted = false;
        break;
    default:
        side->record_encrypted = true;
        break;
    }
}

static void record_bytes(const struct step *step, struct bytes data) {
    struct side *side = step->side;
    if (side->record_left == side->record_len) {
        record_begin(step, data);
    }
    if (side->record_encrypted) {
        if (step->stream->decrypt && decrypt_wants(step->stream, step->direction)) {
            record_keep(side, data);
        }
        return;
    }
    if (side->record_type == RECORD_ALERT) { /* of two bytes: see record_begin */
        for (size_t i = 0; i < data.len; i++) {
            side->alert[sizeof(side->alert) - side->record_left + i] = data.data[i];
        }
    } else if (side->record_type == RECORD_HANDSHAKE && !message_bytes(step, data, false)) {
        /* No message begins here: its ChangeCipherSpec was lost, or it is no TLS. */
        side->record_encrypted = true;
        side->encrypted = side->encrypted || side->message_lost;
        handshake_lost(step->stream, step->direction);
    }
}

static bool header_is_good(const uint8_t header[static WIRE_RECORD_HEADER]) {
    uint16_t len = (uint16_t)(header[3] << 8 | header[4]);
    bool empty = len == 0 && header[0] != RECORD_APPLICATION_DATA;
    return header[0] >= RECORD_CHANGE_CIPHER_SPEC && header[0] <= RECORD_HEARTBEAT &&
           header[1] == 3 && (header[2] <= 4 || header[2] == 0x7f) && len <= RECORD_MAX && !empty;
}

static void records_refuse(const struct step *step) {
    struct side *side = step->side;
    side->head_len = 0;
    side->record_left = 0;
    message_cut(step);
    if (side->tentative) {
        step->stream->is_tls = false; /* what looked like records was chance */
        side->state = SIDE_SEARCH;
        return;
    }
    side->state = SIDE_RESYNC;
    handshake_lost(step->stream, step->direction);
    add_event(step, EVENT_NOT_TLS, 0);
}

/* One more byte of a record's header. */
static void header_byte(const struct step *step, uint8_t byte) {
    struct side *side = step->side;
    side->head[side->head_len++] = byte;
    if (side->head_len < WIRE_RECORD_HEADER) {
        return;
    }
    if (!header_is_good(side->head)) {
        records_refuse(step);
        return;
    }
    side->record_type = side->head[0];
    side->record_version = (uint16_t)(side->head[1] << 8 | side->head[2]);
    side->record_len = (uint32_t)(side->head[3] << 8 | side->head[4]);
    side->record_left = side->record_len;
    if (side->record_left == 0) {
        side->record_encrypted = true;
        record_end(step);
    }
}

static void records_data(const struct step *step, struct cursor *c) {
    struct side *side = step->side;
    while (side->state == SIDE_RECORDS && cursor_left(c) > 0) {
        if (side->record_left == 0) {
            header_byte(step, cursor_u8(c));
            continue;
        }
        size_t left = cursor_left(c);
        size_t want = side->record_left;
        struct bytes part = cursor_take(c, want < left ? want : left);
        record_bytes(step, part);
        side->record_left -= (uint32_t)part.len;
        if (side->record_left == 0) {
            record_end(step);
        }
    }
}

static void enter_records(const struct step *step, bool tentative) {
    struct side *side = step->side;
    side->state = SIDE_RECORDS;
    side->tentative = tentative;
    side->head_len = 0;
    side->record_left = 0;
    side->message_head_len = 0;
}

/* --- where TLS begins --- */

/* A hello's first HELLO_PATTERN bytes: record, message and version agree. */
static bool is_hello_pattern(const uint8_t *at) {
    uint32_t record_len = (uint32_t)(at[3] << 8 | at[4]);
    uint32_t message_len = (uint32_t)at[6] << 16 | (uint32_t)at[7] << 8 | at[8];
    bool type = at[5] == HANDSHAKE_CLIENT_HELLO || at[5] == HANDSHAKE_SERVER_HELLO;
    bool version = (at[9] == 3 && at[10] <= 4) || at[9] == 0x7f;
    return header_is_good(at) && at[0] == RECORD_HANDSHAKE && type && version &&
           message_len > WIRE_RANDOM_LEN && message_len < STREAM_MESSAGE_MAX &&
           record_len >= WIRE_HANDSHAKE_HEADER && record_len <= WIRE_RECORD_PLAIN_MAX;
}

/* Within a segment, behind other bytes (PROXY, TDS), a hello is the TCP client's, or answers one: a
 * capture that is downloaded holds hellos as well. */
static bool hello_fits(const struct step *step, const uint8_t *at) {
    const struct stream *stream = step->stream;
    bool from_client = at[5] == HANDSHAKE_CLIENT_HELLO;
    return at == step->segment || (from_client ? stream_client(stream) == step->direction
                                               : stream->client == 1 - step->direction);
}

/* Where a hello begins in the data; data.len when it does not. A beginning that is cut off at the
 * end counts as one when `maybe` is set to its place. */
static size_t find_hello(const struct step *step, struct bytes data, size_t *maybe) {
    *maybe = data.len;
    size_t at = 0;
    while (at < data.len) {
        const uint8_t *found = memchr(data.data + at, RECORD_HANDSHAKE, data.len - at);
        if (!found) {
            break;
        }
        at = (size_t)(found - data.data);
        size_t left = data.len - at;
        if (left >= HELLO_PATTERN && is_hello_pattern(found) && hello_fits(step, found)) {
            return at;
        }
        if (left < HELLO_PATTERN && (left < 2 || found[1] == 3)) {
            *maybe = at;
            return data.len;
        }
        at++;
    }
    return data.len;
}

static void note_plain(const struct step *step, size_t len) {
    if (len > 0) {
        step->side->plain_len += len;
        add_event(step, EVENT_PLAIN, len);
    }
}

static void search_data(const struct step *step, struct cursor *c) {
    struct side *side = step->side;
    struct bytes data = { c->at, cursor_left(c) };
    size_t maybe = data.len;
    size_t at = find_hello(step, data, &maybe);
    bool other_is_tls = step->stream->sides[1 - step->direction].state == SIDE_RECORDS;
    if (at == data.len && other_is_tls && data.len >= WIRE_RECORD_HEADER &&
        header_is_good(data.data)) {
        at = 0; /* an alert instead of the hello */
    }
    size_t plain = at < data.len ? at : maybe;
    note_plain(step, plain);
    (void)cursor_take(c, plain);
    if (at < data.len) {
        enter_records(step, false);
        return;
    }
    side->head_len = 0;
    if (maybe < data.len) {
        side->state = SIDE_START; /* the next bytes decide */
        while (cursor_left(c) > 0) {
            side->head[side->head_len++] = cursor_u8(c);
        }
    } else if (side->plain_len > SEARCH_MAX) {
        side->state = SIDE_IGNORE;
    }
}

/* True when records begin at the start of the data, as far as it shows. */
static bool looks_like_records(struct bytes data) {
    struct cursor c = cursor_of(data);
    unsigned records = 0;
    while (cursor_left(&c) >= WIRE_RECORD_HEADER) {
        const uint8_t *header = c.at;
        (void)cursor_take(&c, WIRE_RECORD_HEADER);
        if (!header_is_good(header) || header[2] > 4) {
            return false;
        }
        size_t len = (size_t)(header[3] << 8 | header[4]);
        size_t left = cursor_left(&c);
        (void)cursor_take(&c, len < left ? len : left);
        records++;
    }
    return records > 0 && (cursor_left(&c) == 0 || c.at[0] <= RECORD_HEARTBEAT);
}

static void resync_data(const struct step *step, struct cursor *c) {
    struct side *side = step->side;
    struct bytes data = { c->at, cursor_left(c) };
    if (looks_like_records(data)) {
        bool tentative = !step->stream->is_tls || side->tentative;
        enter_records(step, tentative);
        side->message_lost = true;
        return;
    }
    size_t maybe = data.len;
    size_t at = find_hello(step, data, &maybe);
    if (step->stream->is_tls) {
        (void)cursor_take(c, at);
    } else {
        note_plain(step, at);
        (void)cursor_take(c, at);
    }
    if (at < data.len) {
        enter_records(step, false);
    } else if (!step->stream->is_tls && side->plain_len > SEARCH_MAX) {
        side->state = SIDE_IGNORE;
    }
}

/* The same for what may be SSL 2.0: a client's hello, or the server's answer to one. */
static enum side_state start_decide_ssl2(const struct side *side, size_t *ssl2_len) {
    const uint8_t *head = side->head;
    unsigned n = side->head_len;
    bool client = n < 3 || head[2] == HANDSHAKE_CLIENT_HELLO;
    if (n >= 3 && !client && head[2] != SSL2_SERVER_HELLO) {
        return SIDE_SEARCH;
    }
    if (n < SSL2_HELLO_HEADER) {
        return SIDE_START;
    }
    if (client) {
        return ssl2_hello_starts(head, ssl2_len) ? SIDE_SSL2 : SIDE_SEARCH;
    }
    *ssl2_len = ((size_t)(head[0] & 0x7f) << 8 | head[1]) + 2;
    bool version = head[5] == 0 && head[6] == 2;
    return version && head[3] <= 1 && *ssl2_len > SSL2_HELLO_HEADER && *ssl2_len <= RECORD_MAX
               ? SIDE_SSL2
               : SIDE_SEARCH;
}

/* Decides on the first bytes, which are in side->head. Returns the new state, or SIDE_START. */
static enum side_state start_decide(const struct step *step, size_t *ssl2_len) {
    const struct side *side = step->side;
    const uint8_t *head = side->head;
    unsigned n = side->head_len;
    if (head[0] & 0x80) {
        return start_decide_ssl2(side, ssl2_len);
    }
    if (head[0] < RECORD_CHANGE_CIPHER_SPEC || head[0] > RECORD_HEARTBEAT ||
        (n >= 2 && head[1] != 3)) {
        return SIDE_SEARCH;
    }
    if (n < WIRE_RECORD_HEADER) {
        return SIDE_START;
    }
    if (!header_is_good(head)) {
        return SIDE_SEARCH;
    }
    if (head[0] != RECORD_HANDSHAKE) {
        return SIDE_RECORDS;
    }
    bool searching = side->plain_len > 0; /* for a hello, no less */
    if (n < (searching ? HELLO_PATTERN : WIRE_RECORD_HEADER + 1)) {
        return SIDE_START;
    }
    bool refused = searching && (!is_hello_pattern(head) || !hello_fits(step, head));
    return refused ? SIDE_SEARCH : SIDE_RECORDS;
}

/* No TLS begins at the first of these bytes; behind it, it may. */
static void start_refuse(const struct step *step, struct bytes head) {
    struct cursor rest = cursor_of(head);
    note_plain(step, 1);
    (void)cursor_u8(&rest);
    step->side->state = SIDE_SEARCH;
    search_data(step, &rest);
    if (step->side->state == SIDE_RECORDS) {
        records_data(step, &rest);
    }
}

static void start_data(const struct step *step, struct cursor *c) {
    struct side *side = step->side;
    size_t ssl2_len = 0;
    enum side_state state = SIDE_START;
    while (state == SIDE_START && side->head_len < SSL2_HELLO_HEADER && cursor_left(c) > 0) {
        side->head[side->head_len++] = cursor_u8(c);
        state = start_decide(step, &ssl2_len);
    }
    if (state == SIDE_START) {
        return;
    }
    uint8_t head[SSL2_HELLO_HEADER];
    size_t head_len = side->head_len;
    memcpy(head, side->head, head_len);
    side->head_len = 0;
    if (state == SIDE_RECORDS) {
        enter_records(step, true);
        struct cursor first = cursor_of((struct bytes){ head, head_len });
        records_data(step, &first);
    } else if (state == SIDE_SSL2) {
        side->state = SIDE_SSL2;
        side->record_len = (uint32_t)ssl2_len;
        side->record_have = 0;
        record_keep(side, (struct bytes){ head, head_len });
    } else if (!step->stream->saw_syn && side->plain_len == 0) {
        side->state = SIDE_RESYNC;
        note_plain(step, head_len);
    } else {
        start_refuse(step, (struct bytes){ head, head_len });
    }
}

static void ssl2_data(const struct step *step, struct cursor *c) {
    struct side *side = step->side;
    size_t want = side->record_len - side->record_have;
    size_t left = cursor_left(c);
    record_keep(side, cursor_take(c, want < left ? want : left));
    if (!side->record || side->record_have < side->record_len) {
        return;
    }
    const struct message message = {
        .direction = step->direction,
        .type = side->record[2],
        .whole = true,
        .len = side->record_len,
        .body = { side->record, side->record_have },
        .place = step->place,
    };
    step->stream->is_tls = true;
    handshake_ssl2(step->stream, step->reader->issued, &message);
    record_drop(side);
    enter_records(step, false);
    if (message.type == SSL2_SERVER_HELLO) { /* what follows is SSL 2.0's, and not read */
        side->state = SIDE_IGNORE;
        step->stream->sides[1 - step->direction].state = SIDE_IGNORE;
    }
}

/* --- from outside --- */

static void side_data(const struct step *step, struct cursor *c) {
    switch (step->side->state) {
    case SIDE_START:
        start_data(step, c);
        break;
    case SIDE_SEARCH:
        search_data(step, c);
        break;
    case SIDE_RECORDS:
        records_data(step, c);
        break;
    case SIDE_RESYNC:
        resync_data(step, c);
        break;
    case SIDE_SSL2:
        ssl2_data(step, c);
        break;
    case SIDE_IGNORE:
        (void)cursor_take(c, cursor_left(c));
        break;
    }
}

void tls_data(const struct tls_reader *reader, struct stream *stream, uint8_t direction,
              struct bytes data, const struct place *place) {
    const struct step step = {
        .reader = reader,
        .stream = stream,
        .side = &stream->sides[direction],
        .direction = direction,
        .place = *place,
        .segment = data.data,
    };
    struct cursor c = cursor_of(data);
    while (cursor_left(&c) > 0) {
        side_data(&step, &c);
    }
}

void tls_lost(const struct tls_reader *reader, struct stream *stream, uint8_t direction,
              uint64_t len, const struct place *place) {
    struct side *side = &stream->sides[direction];
    const struct step step = {
        .reader = reader,
        .stream = stream,
        .side = side,
        .direction = direction,
        .place = *place,
    };
    stream->lost[direction] += len;
    if (side->state == SIDE_IGNORE) {
        return;
    }
    if (side->state == SIDE_SEARCH) {
        side->plain_len += len;
        return;
    }
    handshake_lost(stream, direction);
    add_event(&step, EVENT_LOST, len);
    if (side->state != SIDE_RECORDS) {
        side->head_len = 0;
        side->state = SIDE_RESYNC;
        return;
    }
    bool within = side->record_left > 0 && len <= side->record_left;
    if (!side->record_encrypted || side->record_left == 0) {
        message_cut(&step);
        side->message_lost = true;
    }
    if (!within) {
        side->head_len = 0;
        side->record_left = 0;
        side->state = SIDE_RESYNC;
        return;
    }
    side->record_encrypted = true; /* what is left of it is not read */
    side->record_left -= (uint32_t)len;
    side->record_have = 0;
    if (side->record_left == 0) {
        record_end(&step);
    }
}

void tls_end(const struct tls_reader *reader, struct stream *stream, const struct place *place) {
    for (uint8_t direction = 0; direction < 2; direction++) {
        const struct step step = {
            .reader = reader,
            .stream = stream,
            .side = &stream->sides[direction],
            .direction = direction,
            .place = *place,
        };
        message_cut(&step);
    }
}
