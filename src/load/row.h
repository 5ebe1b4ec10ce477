/* row.h: what one worker has counted. It lies in memory shared with the parent, which adds
 * the rows up. Zero bytes are an empty one. */
#ifndef REPRISE_LOAD_ROW_H
#define REPRISE_LOAD_ROW_H

#include <stdint.h>

#include "base/histogram.h"
#include "load/options.h"

enum load_failure {
#define FAILURE(id, word, meaning) LOAD_FAILURE_##id,
#include "load/failure.def"
#undef FAILURE
    LOAD_FAILURES
};

const char *load_failure_word(enum load_failure failure);
const char *load_failure_meaning(enum load_failure failure);

#define LOAD_ALERTS 256
#define LOAD_ERROR_MAX 128

/* Latencies apart for connections that did a full handshake and for those that resumed. */
enum load_class { LOAD_CLASS_FULL, LOAD_CLASS_RESUMED, LOAD_CLASSES };

struct load_row {
    uint64_t started;
    uint64_t done[LOAD_KINDS][LOAD_CLASSES]; /* with the right answer, by kind and by what it was */
    uint64_t aborted[LOAD_ABORTS];           /* on purpose */
    uint64_t failed[LOAD_FAILURES];
    uint64_t alerts[LOAD_ALERTS]; /* the LOAD_FAILURE_ALERT among them, by number */
    uint64_t primed;              /* full handshakes to have a session; not among done */
    uint64_t held;                /* --idle: open now */
    uint64_t bytes_sent;          /* of payload */
    uint64_t bytes_received;
    uint64_t cpu_ns; /* of the worker, from the start to its end */
    uint64_t elapsed_ns;
    char error[LOAD_ERROR_MAX]; /* what the library or the system said of the last failure */
    struct histogram handshake_us[LOAD_CLASSES]; /* from the intended start */
    struct histogram answer_us[LOAD_CLASSES];    /* from the intended start to the last byte */
};

uint64_t load_row_done(const struct load_row *row);
uint64_t load_row_failed(const struct load_row *row);
uint64_t load_row_aborted(const struct load_row *row);
uint64_t load_row_resumed(const struct load_row *row);

/* Adds all of `from`; of elapsed_ns the larger, of error the first that is there. */
void load_row_merge(struct load_row *into, const struct load_row *from);

#endif
