/* verdict.c: see verdict.h. */
#include "capture/verdict.h"

#include "wire/server_hello.h"

#define PSK_IDENTITY_SHORT 32 /* tickets hold more: a key name, a nonce, a session, a tag */

static const struct {
    const char *word;
    const char *text;
} verdicts[VERDICT_COUNT] = {
#define VERDICT(id, word, text) [VERDICT_##id] = { word, text },
#include "capture/verdict.def"
#undef VERDICT
};

const char *verdict_word(enum verdict verdict) {
    return verdicts[verdict].word;
}

const char *verdict_text(enum verdict verdict) {
    return verdicts[verdict].text;
}

const char *verdict_by_word(enum resumed_by by) {
    static const char *const words[] = { "none", "session-id", "ticket", "psk" };
    return words[by];
}

const char *verdict_missing_word(unsigned missing, unsigned *at) {
    static const char *const words[] = {
        "client-hello",         "server-hello",         "after-server-hello",
        "rest-of-client-hello", "rest-of-server-hello", "offer",
    };
    while (*at < sizeof(words) / sizeof(words[0])) {
        unsigned bit = (*at)++;
        if (missing & (1u << bit)) {
            return words[bit];
        }
    }
    return NULL;
}

/* True when the session ID is sent only to look like TLS 1.2 (RFC 8446 D.4), or to recognise
 * that the server took the ticket (RFC 5077 3.4). */
static bool is_compatibility_id(const struct offer *offer) {
    return offer->offers_tls13 && offer->session_id.len == WIRE_SESSION_ID_MAX &&
           offer->session_id_origin.stream == STREAM_NONE;
}

static enum resumed_by offered(const struct offer *offer) {
    if (offer->psk_count > 0) {
        return BY_PSK;
    }
    if (offer->ticket.len > 0) {
        return BY_TICKET;
    }
    if (offer->session_id.len > 0 && !is_compatibility_id(offer)) {
        return BY_SESSION_ID;
    }
    return BY_NOTHING;
}

static enum verdict refused(enum resumed_by offer) {
    switch (offer) {
    case BY_PSK:
        return VERDICT_REFUSED_PSK;
    case BY_TICKET:
        return VERDICT_REFUSED_TICKET;
    case BY_SESSION_ID:
        return VERDICT_REFUSED_SESSION_ID;
    case BY_NOTHING:
        break;
    }
    return VERDICT_NEW;
}

static bool echoes(const struct handshake *handshake) {
    return handshake->answer.session_id.len > 0 &&
           token_equal(&handshake->answer.session_id, &handshake->offer.session_id);
}

/* Full or abbreviated, by the messages in clear of TLS 1.2 and earlier. A full handshake has
 * Certificate, ServerHelloDone and ClientKeyExchange; an abbreviated one goes from ServerHello
 * to ChangeCipherSpec, at most with a NewSessionTicket between. */
static enum shape shape_of(const struct stream *stream, const struct handshake *handshake) {
    if (handshake->seen & SEEN_OF_FULL) {
        return SHAPE_FULL;
    }
    int client = stream->client;
    if (client < 0) {
        return SHAPE_UNKNOWN;
    }
    bool server_whole = handshake->answer.seen && !handshake->lost[1 - client];
    if (server_whole && (handshake->seen & SEEN_SERVER_CCS)) {
        return SHAPE_ABBREVIATED;
    }
    bool client_whole = handshake->offer.seen && !handshake->lost[client];
    /* a client that offers TLS 1.3 may send a ChangeCipherSpec that means nothing */
    bool may_be_tls13 = handshake->offer.offers_tls13 &&
                        (handshake->answer.seen ? handshake->early_ccs
                                                : stream->sides[client].encrypted_handshakes == 0);
    if (client_whole && (handshake->seen & SEEN_CLIENT_CCS) && !may_be_tls13) {
        return SHAPE_ABBREVIATED;
    }
    return SHAPE_UNKNOWN;
}

/* True when something stronger than what was read may be behind the end of a cut-off hello. */
static bool offer_is_open(const struct offer *offer, const struct judgement *out) {
    return offer->seen && !offer->whole && !offer->is_ssl2 && out->offered <= BY_SESSION_ID;
}

static void judge_tls13(const struct handshake *handshake, struct judgement *out) {
    if (handshake->answer.has_psk) {
        out->verdict = VERDICT_RESUMED_PSK;
        out->by = BY_PSK;
        out->shape = SHAPE_ABBREVIATED;
        uint16_t selected = handshake->answer.psk_selected;
        const struct offer *offer = handshake->second.seen ? &handshake->second : &handshake->offer;
        out->external_possible = offer->seen && selected < STREAM_PSKS_MAX &&
                                 offer->psks[selected].len > 0 &&
                                 offer->psks[selected].len < PSK_IDENTITY_SHORT &&
                                 offer->psk_origin.stream == STREAM_NONE;
        return;
    }
    out->shape = SHAPE_FULL;
    /* pre_shared_key is the last extension (RFC 8446 4.2.11) */
    if (handshake->offer.seen && !handshake->offer.whole && out->offered != BY_PSK) {
        out->verdict = VERDICT_CANNOT_TELL;
        out->missing = MISSING_REST_OF_CLIENT_HELLO;
        return;
    }
    out->verdict = refused(out->offered);
}

/* A server that takes the ticket sends the client's session ID back (RFC 5077 3.4). */
static bool may_take_ticket(const struct handshake *handshake) {
    bool other_id = handshake->offer.session_id.len > 0 && handshake->answer.session_id.len > 0 &&
                    !echoes(handshake);
    return handshake->offer.ticket.len > 0 && !other_id;
}

/* By what an abbreviated handshake resumed. */
static void judge_abbreviated(const struct handshake *handshake, struct judgement *out) {
    const struct offer *offer = &handshake->offer;
    out->verdict = VERDICT_CANNOT_TELL;
    if (!offer->seen) {
        out->missing = MISSING_CLIENT_HELLO;
    } else if (may_take_ticket(handshake)) {
        out->verdict = VERDICT_RESUMED_TICKET;
        out->by = BY_TICKET;
        out->by_either = echoes(handshake) && offer->session_id_origin.stream != STREAM_NONE;
    } else if (!offer->whole) {
        out->missing = MISSING_REST_OF_CLIENT_HELLO;
    } else if (echoes(handshake)) {
        out->verdict = VERDICT_RESUMED_SESSION_ID;
        out->by = BY_SESSION_ID;
        out->offered = BY_SESSION_ID;
        out->compatibility_id = false;
    } else {
        out->missing = MISSING_OFFER;
    }
}

static void judge_tls12(const struct stream *stream, const struct handshake *handshake,
                        struct judgement *out) {
    out->shape = shape_of(stream, handshake);
    switch (out->shape) {
    case SHAPE_FULL:
        if (offer_is_open(&handshake->offer, out)) {
            out->verdict = VERDICT_CANNOT_TELL;
            out->missing = MISSING_REST_OF_CLIENT_HELLO;
        } else {
            out->verdict = refused(out->offered);
        }
        break;
    case SHAPE_ABBREVIATED:
        judge_abbreviated(handshake, out);
        break;
    case SHAPE_UNKNOWN:
        out->verdict = VERDICT_CANNOT_TELL;
        out->missing = MISSING_AFTER_SERVER_HELLO;
        break;
    }
}

static void judge_ssl2(const struct handshake *handshake, struct judgement *out) {
    out->shape = handshake->answer.ssl2_hit ? SHAPE_ABBREVIATED : SHAPE_FULL;
    out->verdict = handshake->answer.ssl2_hit ? VERDICT_RESUMED_SESSION_ID : refused(out->offered);
    out->by = handshake->answer.ssl2_hit ? BY_SESSION_ID : BY_NOTHING;
}

static void add_frame(struct judgement *out, uint64_t frame) {
    for (unsigned i = 0; i < 3 && frame != 0; i++) {
        if (out->frames[i] == frame || out->frames[i] == 0) {
            out->frames[i] = frame;
            return;
        }
    }
}

static void judge_frames(const struct handshake *handshake, struct judgement *out) {
    add_frame(out, handshake->offer.place.frame);
    add_frame(out, handshake->answer.place.frame);
    if (out->shape == SHAPE_FULL) {
        add_frame(out, handshake->full_frame);
    } else if (out->shape == SHAPE_ABBREVIATED && out->by != BY_PSK) {
        add_frame(out, handshake->finished_frame);
    }
}

struct judgement verdict_of(const struct stream *stream, const struct handshake *handshake) {
    struct judgement out = { .verdict = VERDICT_CANNOT_TELL };
    out.offer_unknown = true;
    const struct answer *answer = &handshake->answer;
    if (handshake->offer.seen) {
        out.offered = offered(&handshake->offer);
        if (answer->seen && !version_is_tls13(answer->version) && handshake->offer.ticket.len > 0) {
            out.offered = BY_TICKET; /* beside it a PSK was for TLS 1.3 */
        }
        out.offer_unknown = offer_is_open(&handshake->offer, &out);
        out.offered = out.offer_unknown ? BY_NOTHING : out.offered;
        out.compatibility_id =
            handshake->offer.session_id.len > 0 && is_compatibility_id(&handshake->offer);
    }
    if (!handshake->answer.seen) {
        out.missing = MISSING_SERVER_HELLO | (handshake->offer.seen ? 0u : MISSING_CLIENT_HELLO);
        out.shape = handshake->retry ? SHAPE_UNKNOWN : shape_of(stream, handshake);
    } else if (handshake->answer.is_ssl2) {
        judge_ssl2(handshake, &out);
    } else if (!handshake->answer.whole && !handshake->answer.has_psk &&
               !(handshake->seen & SEEN_OF_FULL)) {
        out.missing = MISSING_REST_OF_SERVER_HELLO;
    } else if (version_is_tls13(handshake->answer.version)) {
        judge_tls13(handshake, &out);
    } else {
        judge_tls12(stream, handshake, &out);
    }
    judge_frames(handshake, &out);
    return out;
}

struct judgement verdict_of_stream(const struct stream *stream) {
    if (stream->handshake_count > 0) {
        return verdict_of(stream, &stream->handshakes[0]);
    }
    return (struct judgement){
        .verdict = stream->is_tls ? VERDICT_CANNOT_TELL : VERDICT_NOT_TLS,
        .missing = stream->is_tls ? MISSING_CLIENT_HELLO | MISSING_SERVER_HELLO : 0,
        .offer_unknown = true,
    };
}
