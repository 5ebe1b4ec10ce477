/* why.h: why was what the client offered refused? From a handshake's facts and what the capture
 * showed before; pure functions.
 *
 * Each finding has a reason out of the one table (reason/reason.def), how sure it is, a
 * sentence with the figures, and the frames that show it. The surest come first.
 *
 *   certain   a rule of the protocol forbids this resumption, or a message says so
 *   likely    the wire shows a difference that servers refuse for
 *   possible  it would explain the refusal, and nothing contradicts it
 */
#ifndef REPRISE_CAPTURE_WHY_H
#define REPRISE_CAPTURE_WHY_H

#include "capture/verdict.h"
#include "reason/reason.h"

#define WHY_MAX 10
#define WHY_TEXT_MAX 320
#define WHY_FRAMES_MAX 4

enum certainty { CERTAIN, LIKELY, POSSIBLE };

struct finding {
    enum reason reason;
    enum certainty certainty;
    char text[WHY_TEXT_MAX];
    uint64_t frames[WHY_FRAMES_MAX]; /* 0 ends them */
};

/* Fills `out` with what explains the judgement of a refused handshake; of others with what is
 * worth knowing of the offer. Returns how many there are. */
unsigned why_of(const struct stream *stream, const struct handshake *handshake,
                const struct judgement *judgement, struct finding out[static WHY_MAX]);

/* "certain", "likely", "possible". */
const char *why_certainty_word(enum certainty certainty);

#endif
