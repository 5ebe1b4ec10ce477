/* stream.c: see stream.h. */
#include "capture/stream.h"

#include <stdlib.h>

#include "base/crypto.h"

void stream_fini(struct stream *stream) {
    for (unsigned i = 0; i < 2; i++) {
        free(stream->sides[i].message);
        stream->sides[i].message = NULL;
        free(stream->sides[i].record);
        stream->sides[i].record = NULL;
    }
    free(stream->handshakes);
    stream->handshakes = NULL;
    free(stream->events);
    stream->events = NULL;
}

struct handshake *stream_handshake(const struct stream *stream) {
    return stream->handshake_count > 0 ? &stream->handshakes[stream->handshake_count - 1] : NULL;
}

/* Makes room for one more element. Returns the array, or null with the old one kept. */
static void *array_grow(void *array, unsigned count, unsigned *cap, unsigned max, size_t size) {
    if (count < *cap) {
        return array;
    }
    unsigned more = *cap ? *cap * 2 : 1;
    more = more > max ? max : more;
    void *grown = count < more ? realloc(array, more * size) : NULL;
    if (grown) {
        *cap = more;
    }
    return grown;
}

struct handshake *stream_add_handshake(struct stream *stream) {
    void *array = array_grow(stream->handshakes, stream->handshake_count, &stream->handshake_cap,
                             STREAM_HANDSHAKES_MAX, sizeof(struct handshake));
    if (!array) {
        return NULL;
    }
    stream->handshakes = array;
    struct handshake *handshake = &stream->handshakes[stream->handshake_count++];
    memset(handshake, 0, sizeof(*handshake));
    handshake->offer.session_id_origin.stream = STREAM_NONE;
    handshake->offer.ticket_origin.stream = STREAM_NONE;
    handshake->offer.psk_origin.stream = STREAM_NONE;
    handshake->second = handshake->offer;
    return handshake;
}

/* Rows of these kinds are one row as long as nothing comes between. */
static bool event_merges(const struct event *last, const struct event *event) {
    bool plain = event->kind == EVENT_DATA || event->kind == EVENT_PLAIN ||
                 event->kind == EVENT_LOST || event->kind == EVENT_NOT_TLS ||
                 event->kind == EVENT_ENCRYPTED;
    return plain && last->kind == event->kind && last->direction == event->direction &&
           last->decrypted == event->decrypted;
}

struct event *stream_add_event(struct stream *stream, const struct event *event) {
    if (stream->event_count > 0) {
        struct event *last = &stream->events[stream->event_count - 1];
        if (event_merges(last, event)) {
            last->count += event->count;
            last->len += event->len;
            return last;
        }
    }
    void *array = array_grow(stream->events, stream->event_count, &stream->event_cap,
                             STREAM_EVENTS_MAX, sizeof(struct event));
    if (!array) {
        stream->events_dropped++;
        return NULL;
    }
    stream->events = array;
    struct event *added = &stream->events[stream->event_count++];
    *added = *event;
    added->handshake = (uint16_t)(stream->handshake_count > 0 ? stream->handshake_count - 1 : 0);
    return added;
}

bool event_is_from_client(const struct stream *stream, const struct event *event) {
    return event->direction == (stream->client < 0 ? 0 : stream->client);
}

unsigned stream_renegotiations(const struct stream *stream) {
    uint32_t a = stream->sides[0].ccs;
    uint32_t b = stream->sides[1].ccs;
    uint32_t both = a < b ? a : b;
    bool one_sided = stream->bytes[0] == 0 || stream->bytes[1] == 0;
    if (one_sided) {
        both = a > b ? a : b;
    }
    const struct handshake *first = stream->handshake_count > 0 ? stream->handshakes : NULL;
    bool tls13 = first && (first->retry || (first->answer.seen && first->answer.version >= 0x0304 &&
                                            first->answer.version < 0xf000));
    /* without a ServerHello a second one may be TLS 1.3's, which means nothing */
    bool known = first && first->answer.seen && !tls13;
    return known && both > 1 ? both - 1 : 0;
}

bool stream_renegotiation_asked(const struct stream *stream) {
    return stream_renegotiations(stream) == 0 &&
           (stream->sides[0].extra_handshakes > 0 || stream->sides[1].extra_handshakes > 0);
}

uint8_t stream_client(const struct stream *stream) {
    if (stream->client < 0 && !stream->saw_syn) {
        return stream->ends.src_port < stream->ends.dst_port;
    }
    return stream->client == 1;
}

struct stream_server stream_server(const struct stream *stream) {
    bool reverse = stream_client(stream) == 1;
    return (struct stream_server){
        .address = reverse ? stream->ends.src : stream->ends.dst,
        .address_len = stream->ends.address_len,
        .port = reverse ? stream->ends.src_port : stream->ends.dst_port,
    };
}

struct token token_of(struct bytes bytes) {
    struct token token = { .len = (uint32_t)bytes.len };
    if (bytes.len > 0) {
        uint8_t hash[CRYPTO_HASH_LEN];
        crypto_hash(bytes, hash);
        memcpy(token.hash, hash, sizeof(token.hash));
        memcpy(token.head, bytes.data,
               bytes.len < sizeof(token.head) ? bytes.len : sizeof(token.head));
    }
    return token;
}

bool token_equal(const struct token *a, const struct token *b) {
    return a->len == b->len && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}
