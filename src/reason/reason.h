/* reason.h: why a session did not resume: one table of words (reason.def), from
 * which the log's field, the metrics' label, the tools' output and the manual come. */
#ifndef REPRISE_REASON_REASON_H
#define REPRISE_REASON_REASON_H

enum reason {
#define REASON(id, word, meaning, advice) REASON_##id,
#include "reason/reason.def"
#undef REASON
    REASON_COUNT
};

/* The word, in lower case with hyphens: "unknown-ticket-key". Never null. */
const char *reason_word(enum reason reason);

/* One line for an operator: what happened. */
const char *reason_meaning(enum reason reason);

/* One line for an operator: what to do about it. */
const char *reason_advice(enum reason reason);

#endif
