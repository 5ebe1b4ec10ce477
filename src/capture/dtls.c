/* dtls.c: see dtls.h. Messages that came already are told by their sequence numbers; fragments are
 * joined in their order. What is missing between a hello and its side's ChangeCipherSpec shows in
 * the numbers of the records (RFC 6347 4.1), which are never used twice in an epoch. */
#include "capture/dtls.h"

#include <stdlib.h>

#include "capture/handshake.h"
#include "wire/record.h"

#define DTLS_RECORD_HEADER 13
#define DTLS_MESSAGE_HEADER 12
#define DTLS_DATAGRAM_MESSAGES 64
#define DTLS_RECORDS_MAX 64 /* bits of struct dtls_side */

struct reading {
    struct live *live;
    struct issued *issued;
    uint8_t direction;
    uint64_t record; /* its number */
    struct place place;
};

static bool version_is_dtls(uint16_t version) {
    return version == 0xfeff || version == 0xfefd || version == 0xfefc || version == 0x0100;
}

/* RFC 9000 17.2, RFC 9369: a long header of a version that is known. */
static bool starts_quic(struct bytes datagram) {
    struct cursor c = cursor_of(datagram);
    uint8_t first = cursor_u8(&c);
    uint32_t version = cursor_u32(&c);
    uint8_t id_len = cursor_u8(&c);
    bool known = version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000 ||
                 version >> 8 == 0xfaceb0;
    return !c.failed && (first & 0xc0) == 0xc0 && known && id_len <= 20 && datagram.len >= 1000;
}

bool dtls_starts(struct bytes datagram, enum stream_transport *transport) {
    struct cursor c = cursor_of(datagram);
    uint8_t type = cursor_u8(&c);
    uint16_t version = cursor_u16(&c);
    (void)cursor_take(&c, 8);
    uint16_t len = cursor_u16(&c);
    if (!c.failed && type >= RECORD_CHANGE_CIPHER_SPEC && type <= RECORD_HANDSHAKE &&
        version_is_dtls(version) && len > 0 && len <= cursor_left(&c)) {
        *transport = STREAM_DTLS;
        return true;
    }
    *transport = STREAM_QUIC;
    return starts_quic(datagram);
}

/* A ClientHello without its cookie is one of TLS. Returns its length, or 0. */
static size_t strip_cookie(struct bytes body, uint8_t *out) {
    struct cursor c = cursor_of(body);
    struct bytes before = cursor_take(&c, 2 + WIRE_RANDOM_LEN);
    struct bytes id = cursor_vec8(&c);
    (void)cursor_vec8(&c);
    if (c.failed) {
        return 0;
    }
    size_t left = cursor_left(&c);
    struct bytes rest = cursor_take(&c, left);
    struct writer w = writer_of(out, body.len);
    writer_put(&w, before.data, before.len);
    writer_u8(&w, (uint8_t)id.len);
    writer_put(&w, id.data, id.len);
    writer_put(&w, rest.data, rest.len);
    return w.failed ? 0 : (size_t)(w.at - out);
}

/* --- records that are missing --- */

static void records_begin(const struct reading *reading) {
    struct dtls_side *side = &reading->live->dtls[reading->direction];
    side->has_hello = true;
    side->hello = reading->record;
    side->seen = 1;
}

static void records_note(const struct reading *reading) {
    struct dtls_side *side = &reading->live->dtls[reading->direction];
    uint64_t at = reading->record - side->hello;
    if (side->has_hello && at < DTLS_RECORDS_MAX) {
        side->seen |= UINT64_C(1) << at;
    }
}

/* True when each record from the hello to this one was captured, and captured whole. */
static bool records_are_whole(const struct reading *reading) {
    const struct dtls_side *side = &reading->live->dtls[reading->direction];
    uint64_t count = reading->record - side->hello;
    uint64_t all = (UINT64_C(1) << count % DTLS_RECORDS_MAX) - 1;
    return side->has_hello && count < DTLS_RECORDS_MAX && (side->seen & all) == all;
}

/* --- handshake messages --- */

/* A client that begins anew on the same ports, with message 0 and another random: the first
 * association is over. */
static void note_client_hello(const struct reading *reading, struct bytes body, uint16_t sequence) {
    struct live *live = reading->live;
    struct dtls_side *side = &live->dtls[reading->direction];
    struct cursor c = cursor_of(body);
    (void)cursor_u16(&c);
    struct bytes random = cursor_take(&c, WIRE_RANDOM_LEN);
    if (c.failed) {
        return;
    }
    bool over = live->stream.sides[0].ccs + live->stream.sides[1].ccs > 0;
    if (over && sequence == 0 && memcmp(random.data, side->random, random.len) != 0) {
        memset(live->dtls, 0, sizeof(live->dtls));
        (void)stream_add_handshake(&live->stream);
    }
    memcpy(side->random, random.data, random.len);
}

static void message_deliver(const struct reading *reading, uint8_t type, struct bytes body) {
    if (type == HANDSHAKE_CLIENT_HELLO || type == HANDSHAKE_SERVER_HELLO) {
        records_begin(reading);
    }
    struct message message = {
        .direction = reading->direction,
        .type = type,
        .whole = true,
        .len = (uint32_t)body.len,
        .body = body,
        .place = reading->place,
    };
    uint8_t *stripped = NULL;
    if (type == HANDSHAKE_CLIENT_HELLO && body.len > 0) {
        stripped = malloc(body.len);
        message.body = (struct bytes){ stripped, stripped ? strip_cookie(body, stripped) : 0 };
    }
    handshake_message(&reading->live->stream, reading->issued, &message);
    free(stripped);
}

/* Keeps a fragment that follows what is there already. Returns true when all is there. */
static bool fragment_keep(struct side *side, uint32_t offset, struct bytes fragment, uint32_t len) {
    if (len > STREAM_MESSAGE_MAX || offset + fragment.len > len || len == 0) {
        return false;
    }
    if (offset == 0) {
        side->message_kept = 0;
    }
    if (offset != side->message_kept) {
        return false;
    }
    if (side->message_cap < len) {
        uint8_t *grown = realloc(side->message, len);
        if (!grown) {
            return false;
        }
        side->message = grown;
        side->message_cap = len;
    }
    memcpy(side->message + offset, fragment.data, fragment.len);
    side->message_kept += (uint32_t)fragment.len;
    return side->message_kept == len;
}

static void message_began(const struct reading *reading, uint8_t type, uint32_t len) {
    const struct message message = {
        .direction = reading->direction,
        .type = type,
        .len = len,
        .place = reading->place,
    };
    handshake_began(&reading->live->stream, reading->issued, &message);
}

static void read_message(const struct reading *reading, struct cursor *c) {
    struct side *side = &reading->live->stream.sides[reading->direction];
    uint16_t *next = &reading->live->dtls[reading->direction].next;
    uint8_t type = cursor_u8(c);
    uint32_t len = cursor_u24(c);
    uint16_t sequence = cursor_u16(c);
    uint32_t offset = cursor_u24(c);
    struct bytes fragment = cursor_vec24(c);
    if (c->failed) {
        handshake_lost(&reading->live->stream, reading->direction);
        return;
    }
    if (type == HANDSHAKE_CLIENT_HELLO && offset == 0) {
        note_client_hello(reading, fragment, sequence);
    }
    if (sequence < *next) {
        return;
    }
    message_began(reading, type, len); /* a fragment says that much */
    if (offset == 0 && fragment.len == len) {
        *next = (uint16_t)(sequence + 1);
        message_deliver(reading, type, fragment);
    } else if (fragment_keep(side, offset, fragment, len)) {
        *next = (uint16_t)(sequence + 1);
        message_deliver(reading, type, (struct bytes){ side->message, len });
        side->message_kept = 0;
    }
}

static void read_alert(const struct reading *reading, struct bytes body) {
    (void)stream_add_event(&reading->live->stream,
                           &(struct event){
                               .kind = EVENT_ALERT,
                               .direction = reading->direction,
                               .code = (uint16_t)(body.data[0] << 8 | body.data[1]),
                               .count = 1,
                               .len = body.len,
                               .place = reading->place,
                           });
}

static void read_record(const struct reading *reading, uint8_t type, uint16_t epoch,
                        struct bytes body) {
    struct stream *stream = &reading->live->stream;
    struct event event = {
        .direction = reading->direction,
        .count = 1,
        .len = body.len,
        .place = reading->place,
    };
    struct side *side = &stream->sides[reading->direction];
    stream->is_tls = true;
    side->records++;
    if (epoch == 0) {
        records_note(reading);
    }
    if (type == RECORD_CHANGE_CIPHER_SPEC) {
        event.kind = EVENT_CCS;
        (void)stream_add_event(stream, &event);
        side->ccs += side->ccs == 0;
        if (!records_are_whole(reading)) {
            handshake_lost(stream, reading->direction);
        }
        handshake_ccs(stream, reading->direction, &reading->place);
    } else if (epoch > 0) {
        event.kind = type == RECORD_HANDSHAKE ? EVENT_ENCRYPTED_HANDSHAKE : EVENT_DATA;
        event.kind = type == RECORD_ALERT ? EVENT_ENCRYPTED_ALERT : event.kind;
        (void)stream_add_event(stream, &event);
    } else if (type == RECORD_HANDSHAKE) {
        struct cursor c = cursor_of(body);
        for (unsigned i = 0; cursor_left(&c) >= DTLS_MESSAGE_HEADER && i < DTLS_DATAGRAM_MESSAGES;
             i++) {
            read_message(reading, &c);
        }
    } else if (type == RECORD_ALERT && body.len == 2) {
        read_alert(reading, body);
    }
}

void dtls_data(struct live *live, struct issued *issued, uint8_t direction, struct bytes datagram,
               const struct place *place) {
    struct reading reading = {
        .live = live,
        .issued = issued,
        .direction = direction,
        .place = *place,
    };
    if (live->stream.transport == STREAM_QUIC) {
        live->stream.is_tls = true;
        return;
    }
    struct cursor c = cursor_of(datagram);
    while (cursor_left(&c) >= DTLS_RECORD_HEADER) {
        uint8_t type = cursor_u8(&c);
        uint16_t version = cursor_u16(&c);
        uint16_t epoch = cursor_u16(&c);
        reading.record = (uint64_t)cursor_u16(&c) << 32;
        reading.record |= cursor_u32(&c);
        struct bytes body = cursor_vec16(&c);
        if (c.failed || !version_is_dtls(version)) {
            return;
        }
        read_record(&reading, type, epoch, body);
    }
}
