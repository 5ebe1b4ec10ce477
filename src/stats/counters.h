/* counters.h: the service's counters, in shared memory: a row a worker, written
 * by it alone, read by whoever tells. Names and texts come from counter.def, and
 * a counter a refusal reason from reason/reason.def. */
#ifndef REPRISE_STATS_COUNTERS_H
#define REPRISE_STATS_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "reason/reason.h"

enum counter {
#define COUNTER(id, name, text) COUNT_##id,
#include "stats/counter.def"
#undef COUNTER
    COUNT_COUNT
};

/* A row fills whole cache lines, so that workers do not contend. */
struct counters {
    _Alignas(64) _Atomic uint64_t value[COUNT_COUNT];
    _Atomic uint64_t refused[REASON_COUNT];
};

const char *counter_name(enum counter counter);

/* Changes with the counters and reasons that there are, and their order: two programs
 * that have the same number can count into the same memory. */
uint64_t counters_layout(void);

static inline void counter_add(struct counters *row, enum counter counter, uint64_t n) {
    /* One writer at a time but for the moments of a reload: a lost add would be
     * seen, so it is atomic. */
    atomic_fetch_add_explicit(&row->value[counter], n, memory_order_relaxed);
}

static inline void counter_refused(struct counters *row, enum reason reason) {
    atomic_fetch_add_explicit(&row->refused[reason], 1, memory_order_relaxed);
}

#endif
