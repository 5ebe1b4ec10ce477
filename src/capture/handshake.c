/* handshake.c: see handshake.h. */
#include "capture/handshake.h"

#include "base/crypto.h"
#include "wire/hello.h"
#include "wire/server_hello.h"

#define EXT_ENCRYPTED_CLIENT_HELLO 0xfe0d
#define EXT_NEXT_PROTOCOL 13172 /* draft-agl-tls-nextprotoneg */
#define EXT_CHANNEL_ID 30032    /* draft-balfanz-tls-channelid */
#define SSL2_VERSION 0x0002

static void copy_text(char *out, size_t cap, struct bytes text) {
    size_t len = text.len < cap - 1 ? text.len : cap - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.data[i];
        out[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    out[len] = '\0';
}

/* In lower case: names are equal whatever their case (RFC 4343). */
static void copy_name(char *out, size_t cap, struct bytes name) {
    copy_text(out, cap, name);
    for (char *c = out; *c; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
}

/* Equal names have equal hashes; no name is 0. */
static uint64_t name_hash(struct bytes name) {
    char text[WIRE_SERVER_NAME_MAX + 1];
    copy_name(text, sizeof(text), name);
    uint8_t hash[CRYPTO_HASH_LEN];
    crypto_hash((struct bytes){ (const uint8_t *)text, strlen(text) }, hash);
    uint64_t value;
    memcpy(&value, hash, sizeof(value));
    return value | 1;
}

static bool is_grease(uint16_t value) {
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void offer_versions(struct offer *offer, const struct hello *hello) {
    offer->max_version = hello->legacy_version;
    if (!hello->has_supported_versions) {
        return;
    }
    uint16_t highest = 0;
    for (size_t i = 0; i + 1 < hello->supported_versions.len; i += 2) {
        const uint8_t *at = hello->supported_versions.data + i;
        uint16_t version = (uint16_t)(at[0] << 8 | at[1]);
        if (is_grease(version)) {
            continue;
        }
        bool tls13 = version_is_tls13(version);
        offer->offers_tls13 = offer->offers_tls13 || tls13;
        if (highest == 0 || tls13 > version_is_tls13(highest) ||
            (tls13 == version_is_tls13(highest) && version > highest && highest != 0x0304)) {
            highest = version;
        }
    }
    offer->max_version = highest ? highest : offer->max_version;
}

static void offer_psks(struct offer *offer, const struct hello *hello) {
    struct cursor list = cursor_of(hello->psk_list);
    struct bytes identity;
    uint32_t age_ms = 0;
    while (psk_identity_next(&list, &identity, &age_ms)) {
        if (offer->psk_count < STREAM_PSKS_MAX) {
            offer->psks[offer->psk_count] = token_of(identity);
        }
        if (offer->psk_count++ == 0) {
            offer->psk_age_ms = age_ms;
        }
    }
    if (hello->has_psk && offer->psk_count == 0) { /* cut off within: it was offered */
        offer->psk_count = 1;
        offer->whole = false;
    }
}

static bool extensions_have(struct bytes block, uint16_t wanted) {
    struct cursor c = cursor_of(block);
    while (cursor_left(&c) > 0) {
        uint16_t type = cursor_u16(&c);
        (void)cursor_vec16(&c);
        if (type == wanted) {
            return true;
        }
    }
    return false;
}

static void offer_read(struct offer *offer, const struct hello *hello) {
    offer->legacy_version = hello->legacy_version;
    offer_versions(offer, hello);
    struct bytes id = hello->session_id;
    offer->session_id = token_of(id);
    offer->has_ticket_extension = hello->has_session_ticket;
    offer->ticket = token_of(hello->session_ticket);
    offer_psks(offer, hello);
    offer->has_psk_modes = hello->has_psk_modes;
    offer->psk_dhe_ke = hello->psk_dhe_ke;
    offer->has_early_data = hello->has_early_data;
    offer->has_ems = hello->has_ems;
    offer->has_renegotiation_info = hello->has_renegotiation_info;
    offer->renegotiation_info_len = (uint8_t)hello->renegotiation_info.len;
    offer->has_ech = extensions_have(hello->extensions, EXT_ENCRYPTED_CLIENT_HELLO);
    if (hello->has_server_name) {
        offer->has_name = true;
        offer->name_hash = name_hash(hello->server_name);
        copy_name(offer->name, sizeof(offer->name), hello->server_name);
    }
    struct cursor alpn = cursor_of(hello->alpn);
    copy_text(offer->alpn, sizeof(offer->alpn), cursor_vec8(&alpn));
}

static void offer_trace(struct offer *offer, const struct hello *hello,
                        const struct issued *issued) {
    issued_find(issued, &offer->session_id, TOKEN_SESSION_ID, &offer->session_id_origin);
    issued_find(issued, &offer->ticket, TOKEN_TICKET, &offer->ticket_origin);
    issued_find(issued, &offer->psks[0], TOKEN_PSK, &offer->psk_origin);
    const struct origin *origin = offer->ticket_origin.stream != STREAM_NONE
                                      ? &offer->ticket_origin
                                      : &offer->session_id_origin;
    offer->origin_cipher_offered =
        origin->stream != STREAM_NONE && hello_offers_cipher(hello, origin->cipher_suite);
}

/* True when the answer lies ahead of its hello, as captures of several queues have it. */
static bool lacks_its_hello(const struct stream *stream, uint8_t direction) {
    const struct handshake *first = stream->handshakes;
    return stream->handshake_count == 1 && !first->offer.seen && first->answer.seen &&
           stream->client == direction && !(first->seen & SEEN_BEHIND_CLIENT_HELLO) &&
           !first->lost[direction];
}

/* The handshake that a hello belongs to: the one under way, or a new one. */
static struct handshake *handshake_for_hello(struct stream *stream, uint8_t direction,
                                             bool *is_second) {
    struct handshake *handshake = stream_handshake(stream);
    *is_second = handshake && handshake->retry && !handshake->answer.seen;
    if (handshake && (*is_second || lacks_its_hello(stream, direction) ||
                      (!handshake->answer.seen && !handshake->offer.whole))) {
        return handshake;
    }
    if (handshake && !handshake->answer.seen) {
        return NULL; /* the same again: the first one counts */
    }
    return stream_add_handshake(stream);
}

static void on_client_hello(struct stream *stream, struct issued *issued,
                            const struct message *message) {
    struct hello hello;
    bool whole = false;
    if (hello_read(message->body, &hello, &whole) != 0) {
        return;
    }
    bool is_second = false;
    struct handshake *handshake = handshake_for_hello(stream, message->direction, &is_second);
    if (!handshake) {
        return;
    }
    stream->client = message->direction;
    struct offer *offer = is_second ? &handshake->second : &handshake->offer;
    memset(offer, 0, sizeof(*offer));
    offer->seen = true;
    offer->whole = message->whole; /* what breaks a rule was read nevertheless */
    offer->place = message->place;
    handshake->decrypted = message->decrypted;
    offer_read(offer, &hello);
    offer_trace(offer, &hello, issued);
    struct stream_server server = stream_server(stream);
    handshake->key_before = issued_ticket_key(issued, &server);
}

/* What a token's origin is when this stream's server issues it now. */
static struct origin origin_here(const struct stream *stream, const struct handshake *handshake,
                                 enum token_kind kind, const struct place *place) {
    struct stream_server server = stream_server(stream);
    const struct answer *answer = &handshake->answer;
    struct origin origin = {
        .stream = stream->number,
        .kind = kind,
        .place = *place,
        .server_port = server.port,
        .address_len = server.address_len,
        .hello_known = answer->seen && answer->whole,
        .version = answer->version,
        .cipher_suite = answer->cipher_suite,
        .has_ems = answer->has_ems,
        .name_known = handshake->offer.seen && handshake->offer.whole,
        .name_hash = handshake->offer.name_hash,
    };
    memcpy(origin.server, server.address, PACKET_ADDRESS_LEN);
    memcpy(origin.name, handshake->offer.name, sizeof(origin.name));
    return origin;
}

/* A full handshake: the ID in the server's hello is one that it keeps. */
static void note_full(struct stream *stream, struct issued *issued, struct handshake *handshake,
                      const struct place *place) {
    if (handshake->full_frame != 0) {
        return;
    }
    handshake->full_frame = place->frame;
    const struct answer *answer = &handshake->answer;
    bool echoed = handshake->offer.seen && answer->session_id.len > 0 &&
                  token_equal(&answer->session_id, &handshake->offer.session_id);
    if (answer->seen && !version_is_tls13(answer->version) && !echoed) {
        struct origin origin = origin_here(stream, handshake, TOKEN_SESSION_ID, &answer->place);
        issued_add(issued, &answer->session_id, &origin);
    }
}

static void on_server_hello(struct stream *stream, struct issued *issued,
                            const struct message *message) {
    struct server_hello hello;
    int result = message->type == HANDSHAKE_SERVER_HELLO
                     ? server_hello_parse(message->body, &hello)
                     : server_hello_parse_retry(message->body, &hello);
    if (result != 0) {
        return;
    }
    struct handshake *handshake = stream_handshake(stream);
    if (!handshake || handshake->answer.seen) {
        handshake = stream_add_handshake(stream);
    }
    if (!handshake) {
        return;
    }
    (void)issued;
    stream->client = 1 - message->direction;
    handshake->decrypted = message->decrypted;
    if (hello.is_retry) {
        handshake->retry = true;
        handshake->retry_place = message->place;
        return;
    }
    handshake->answer = (struct answer){
        .seen = true,
        .whole = message->whole,
        .place = message->place,
        .version = hello.version,
        .cipher_suite = hello.cipher_suite,
        .group = hello.group,
        .session_id = token_of(hello.session_id),
        .has_ticket_extension = hello.has_session_ticket,
        .has_psk = hello.has_psk,
        .psk_selected = hello.psk_selected,
        .has_ems = hello.has_ems,
        .client_messages = (uint8_t)(extensions_have(hello.extensions, EXT_NEXT_PROTOCOL) +
                                     extensions_have(hello.extensions, EXT_CHANNEL_ID)),
    };
    copy_text(handshake->answer.alpn, sizeof(handshake->answer.alpn), hello.alpn);
}

static void on_new_ticket(struct stream *stream, struct issued *issued,
                          const struct message *message, struct event *event) {
    struct handshake *handshake = stream_handshake(stream);
    struct new_session_ticket ticket;
    bool tls13 = handshake_is_tls13(stream);
    if (!handshake || new_session_ticket_parse(message->body, tls13, &ticket) != 0) {
        return;
    }
    struct token token = token_of(ticket.ticket);
    handshake->seen |= SEEN_NEW_TICKET;
    handshake->tickets_alike =
        handshake->tickets_alike ||
        (handshake->tickets_issued > 0 &&
         memcmp(handshake->ticket_issued.head, token.head, TOKEN_KEY_NAME_LEN) == 0);
    handshake->tickets_issued++;
    handshake->ticket_issued = token;
    handshake->ticket_lifetime_s = ticket.lifetime_s;
    handshake->ticket_frame = message->place.frame;
    event->lifetime_s = ticket.lifetime_s;
    event->ticket = token;
    struct origin origin =
        origin_here(stream, handshake, tls13 ? TOKEN_PSK : TOKEN_TICKET, &message->place);
    origin.has_lifetime = tls13 || ticket.lifetime_s > 0; /* RFC 5077 3.3: 0 tells nothing */
    origin.lifetime_s = ticket.lifetime_s;
    origin.age_add = ticket.age_add;
    issued_add(issued, &token, &origin);
    struct stream_server server = stream_server(stream);
    issued_note_ticket(issued, &server, &token, message->place.frame);
}

static void on_encrypted_extensions(struct stream *stream, const struct message *message) {
    struct encrypted_extensions extensions;
    struct handshake *handshake = stream_handshake(stream);
    if (handshake && encrypted_extensions_parse(message->body, &extensions) == 0) {
        handshake->answer.read_extensions = true;
        handshake->answer.accepts_early_data = extensions.has_early_data;
        copy_text(handshake->answer.alpn, sizeof(handshake->answer.alpn), extensions.alpn);
    }
}

/* What the header alone says of the handshake. */
static unsigned seen_of(uint8_t type, bool from_client) {
    switch (type) {
    case HANDSHAKE_CERTIFICATE:
        return from_client ? SEEN_CLIENT_CERTIFICATE : SEEN_SERVER_CERTIFICATE;
    case HANDSHAKE_SERVER_KEY_EXCHANGE:
        return SEEN_SERVER_KEY_EXCHANGE;
    case HANDSHAKE_SERVER_HELLO_DONE:
        return SEEN_SERVER_HELLO_DONE;
    case HANDSHAKE_CERTIFICATE_REQUEST:
        return SEEN_CERTIFICATE_REQUEST;
    case HANDSHAKE_CLIENT_KEY_EXCHANGE:
        return SEEN_CLIENT_KEY_EXCHANGE;
    case HANDSHAKE_FINISHED:
        return from_client ? SEEN_CLIENT_FINISHED : SEEN_SERVER_FINISHED;
    default:
        return 0;
    }
}

void handshake_began(struct stream *stream, struct issued *issued, const struct message *message) {
    bool client_type = message->type == HANDSHAKE_CLIENT_KEY_EXCHANGE;
    bool server_type = message->type == HANDSHAKE_SERVER_KEY_EXCHANGE ||
                       message->type == HANDSHAKE_SERVER_HELLO_DONE ||
                       message->type == HANDSHAKE_CERTIFICATE_REQUEST;
    if (stream->client < 0 && (client_type || server_type)) {
        stream->client = client_type ? message->direction : 1 - message->direction;
    }
    unsigned seen = seen_of(message->type, stream->client == message->direction);
    if (seen == 0) {
        return;
    }
    struct handshake *handshake = stream_handshake(stream);
    if (!handshake) {
        handshake = stream_add_handshake(stream); /* its hellos were not captured */
    }
    if (!handshake) {
        return;
    }
    handshake->seen |= seen;
    if ((seen & SEEN_OF_FULL) && !version_is_tls13(handshake->answer.version)) {
        note_full(stream, issued, handshake, &message->place);
    }
}

void handshake_message(struct stream *stream, struct issued *issued,
                       const struct message *message) {
    struct event event = {
        .kind = EVENT_HANDSHAKE,
        .direction = message->direction,
        .decrypted = message->decrypted,
        .code = message->type,
        .count = 1,
        .len = message->len,
        .place = message->place,
    };
    switch (message->type) {
    case HANDSHAKE_CLIENT_HELLO:
        on_client_hello(stream, issued, message);
        break;
    case HANDSHAKE_SERVER_HELLO:
    case HANDSHAKE_HELLO_RETRY_REQUEST:
        on_server_hello(stream, issued, message);
        break;
    case HANDSHAKE_NEW_SESSION_TICKET:
        on_new_ticket(stream, issued, message, &event);
        break;
    case HANDSHAKE_ENCRYPTED_EXTENSIONS:
        on_encrypted_extensions(stream, message);
        break;
    default:
        break;
    }
    (void)stream_add_event(stream, &event);
}

static void on_ssl2_client(struct stream *stream, struct issued *issued,
                           const struct message *message) {
    struct ssl2_hello hello;
    bool is_second = false;
    if (ssl2_hello_parse(message->body, &hello) != 0) {
        return;
    }
    struct handshake *handshake = handshake_for_hello(stream, message->direction, &is_second);
    if (!handshake) {
        return;
    }
    stream->client = message->direction;
    struct offer *offer = &handshake->offer;
    offer->seen = true;
    offer->whole = message->whole;
    offer->is_ssl2 = true;
    offer->place = message->place;
    offer->legacy_version = hello.version;
    offer->max_version = hello.version;
    offer->session_id = token_of(hello.session_id);
    issued_find(issued, &offer->session_id, TOKEN_SESSION_ID, &offer->session_id_origin);
    const struct origin *origin = &offer->session_id_origin;
    struct cursor specs = cursor_of(hello.cipher_specs);
    while (origin->stream != STREAM_NONE && cursor_left(&specs) > 0) {
        bool is_tls = cursor_u8(&specs) == 0; /* RFC 5246 E.2: 0, then the cipher suite */
        if (cursor_u16(&specs) == origin->cipher_suite && is_tls) {
            offer->origin_cipher_offered = true;
        }
    }
}

static void on_ssl2_server(struct stream *stream, const struct message *message) {
    bool hit = false;
    struct handshake *handshake = stream_handshake(stream);
    if (!handshake || ssl2_server_hello_parse(message->body, &hit) != 0) {
        return;
    }
    handshake->answer = (struct answer){
        .seen = true,
        .whole = true,
        .is_ssl2 = true,
        .ssl2_hit = hit,
        .version = SSL2_VERSION,
        .place = message->place,
    };
}

void handshake_ssl2(struct stream *stream, struct issued *issued, const struct message *message) {
    if (message->type == HANDSHAKE_CLIENT_HELLO) {
        on_ssl2_client(stream, issued, message);
    } else {
        on_ssl2_server(stream, message);
    }
    (void)stream_add_event(stream, &(struct event){
                                       .kind = EVENT_HANDSHAKE,
                                       .direction = message->direction,
                                       .is_ssl2 = true,
                                       .code = message->type,
                                       .count = 1,
                                       .len = message->len,
                                       .place = message->place,
                                   });
}

void handshake_ccs(struct stream *stream, uint8_t direction, const struct place *place) {
    struct handshake *handshake = stream_handshake(stream);
    if (!handshake) {
        return;
    }
    if (stream->client < 0) {
        return;
    }
    bool from_client = stream->client == direction;
    handshake->seen |= from_client ? SEEN_CLIENT_CCS : SEEN_SERVER_CCS;
    handshake->early_ccs = handshake->early_ccs || (from_client && !handshake->answer.seen);
    if (handshake->finished_frame == 0) {
        handshake->finished_frame = place->frame;
    }
}

void handshake_lost(struct stream *stream, uint8_t direction) {
    struct handshake *handshake = stream_handshake(stream);
    if (handshake) {
        unsigned end = stream->client == direction ? SEEN_CLIENT_CCS : SEEN_SERVER_CCS;
        if (!(handshake->seen & end)) {
            handshake->lost[direction] = true;
        }
    }
}

bool handshake_is_tls13(const struct stream *stream) {
    const struct handshake *handshake = stream_handshake(stream);
    return handshake && (handshake->retry ||
                         (handshake->answer.seen && version_is_tls13(handshake->answer.version)));
}

bool handshake_is_over(const struct handshake *handshake) {
    unsigned both = SEEN_CLIENT_CCS | SEEN_SERVER_CCS;
    return (handshake->seen & both) == both;
}
