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

/* FNV-1a; the names come from our own tables. */
static uint64_t hash_text(uint64_t hash, const char *text) {
    do {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    } while (*text++);
    return hash;
}

uint64_t counters_layout(void) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (unsigned c = 0; c < COUNT_COUNT; c++) {
        hash = hash_text(hash, counter_names[c]);
    }
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        hash = hash_text(hash, reason_word((enum reason)r));
    }
    return hash;
}
