/* counters.c: see counters.h. */
#include "stats/counters.h"

static const char *const counter_names[COUNT_COUNT] = {
#define COUNTER(id, name, text) [COUNT_##id] = name,
#include "stats/counter.def"
#undef COUNTER
};

const char *counter_name(enum counter counter) {
    return counter_names[counter];
}
