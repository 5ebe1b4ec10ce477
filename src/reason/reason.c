/* reason.c: see reason.h. */
#include "reason/reason.h"

#include <assert.h>

struct reason_row {
    const char *word;
    const char *meaning;
    const char *advice;
};

static const struct reason_row reasons[REASON_COUNT] = {
#define REASON(id, word, meaning, advice) [REASON_##id] = { word, meaning, advice },
#include "reason/reason.def"
#undef REASON
};

static const struct reason_row *reason_row(enum reason reason) {
    assert((unsigned)reason < REASON_COUNT);
    return &reasons[reason];
}

const char *reason_word(enum reason reason) {
    return reason_row(reason)->word;
}

const char *reason_meaning(enum reason reason) {
    return reason_row(reason)->meaning;
}

const char *reason_advice(enum reason reason) {
    return reason_row(reason)->advice;
}
