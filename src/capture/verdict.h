/* verdict.h: was a session resumed, by what? From a handshake's facts; pure functions.
 *
 * Never a guess: where the facts don't decide, the verdict is VERDICT_CANNOT_TELL, and
 * `missing` says what would.
 */
#ifndef REPRISE_CAPTURE_VERDICT_H
#define REPRISE_CAPTURE_VERDICT_H

#include "capture/stream.h"

enum verdict {
#define VERDICT(id, word, text) VERDICT_##id,
#include "capture/verdict.def"
#undef VERDICT
    VERDICT_COUNT
};

enum resumed_by { BY_NOTHING, BY_SESSION_ID, BY_TICKET, BY_PSK };

/* What the capture would have to show. */
enum {
    MISSING_CLIENT_HELLO = 1 << 0,
    MISSING_SERVER_HELLO = 1 << 1,
    MISSING_AFTER_SERVER_HELLO = 1 << 2, /* what tells a full from an abbreviated handshake */
    MISSING_REST_OF_CLIENT_HELLO = 1 << 3,
    MISSING_REST_OF_SERVER_HELLO = 1 << 4,
    MISSING_OFFER = 1 << 5, /* an abbreviated handshake that no offer explains */
};

/* What the messages look like, whoever offered what. */
enum shape { SHAPE_UNKNOWN, SHAPE_FULL, SHAPE_ABBREVIATED };

struct judgement {
    enum verdict verdict;
    enum resumed_by offered; /* what the client offered, the strongest */
    enum resumed_by by;      /* what it was resumed by */
    enum shape shape;
    unsigned missing;       /* MISSING_* */
    bool offer_unknown;     /* the client's hello was not seen, or not enough of it */
    bool compatibility_id;  /* the session ID is RFC 8446's compatibility field: no offer */
    bool external_possible; /* the PSK's identity is short: it may not come from a ticket */
    bool by_either;         /* session ID and ticket were both known to the capture */
    uint64_t frames[3];     /* that show it; 0 ends them */
};

/* Judges one handshake. */
struct judgement verdict_of(const struct stream *stream, const struct handshake *handshake);

/* Judges the stream by its first handshake; a stream without one can't be told. */
struct judgement verdict_of_stream(const struct stream *stream);

const char *verdict_word(enum verdict verdict);
const char *verdict_text(enum verdict verdict);
/* "session-id", "ticket", "psk", "none". */
const char *verdict_by_word(enum resumed_by by);
/* The words for the bits of `missing`, one after the other: starts with *at 0; null ends. */
const char *verdict_missing_word(unsigned missing, unsigned *at);

#endif
