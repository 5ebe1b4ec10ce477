/* row.c: see row.h. */
#include "load/row.h"

#include <string.h>

static const struct {
    const char *word;
    const char *meaning;
} failures[LOAD_FAILURES] = {
#define FAILURE(id, word, meaning) [LOAD_FAILURE_##id] = { word, meaning },
#include "load/failure.def"
#undef FAILURE
};

const char *load_failure_word(enum load_failure failure) {
    return failures[failure].word;
}

const char *load_failure_meaning(enum load_failure failure) {
    return failures[failure].meaning;
}

static uint64_t sum(const uint64_t *values, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += values[i];
    }
    return total;
}

static void add(uint64_t *into, const uint64_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        into[i] += from[i];
    }
}

uint64_t load_row_done(const struct load_row *row) {
    return sum(&row->done[0][0], (size_t)LOAD_KINDS * LOAD_CLASSES);
}

uint64_t load_row_failed(const struct load_row *row) {
    return sum(row->failed, LOAD_FAILURES);
}

uint64_t load_row_aborted(const struct load_row *row) {
    return sum(row->aborted, LOAD_ABORTS);
}

uint64_t load_row_resumed(const struct load_row *row) {
    uint64_t total = 0;
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        total += row->done[kind][LOAD_CLASS_RESUMED];
    }
    return total;
}

void load_row_merge(struct load_row *into, const struct load_row *from) {
    into->started += from->started;
    add(&into->done[0][0], &from->done[0][0], (size_t)LOAD_KINDS * LOAD_CLASSES);
    add(into->aborted, from->aborted, LOAD_ABORTS);
    add(into->failed, from->failed, LOAD_FAILURES);
    add(into->alerts, from->alerts, LOAD_ALERTS);
    into->primed += from->primed;
    into->held += from->held;
    into->bytes_sent += from->bytes_sent;
    into->bytes_received += from->bytes_received;
    into->cpu_ns += from->cpu_ns;
    if (from->elapsed_ns > into->elapsed_ns) {
        into->elapsed_ns = from->elapsed_ns;
    }
    if (!*into->error) {
        memcpy(into->error, from->error, sizeof(into->error));
    }
    for (int i = 0; i < LOAD_CLASSES; i++) {
        histogram_merge(&into->handshake_us[i], &from->handshake_us[i]);
        histogram_merge(&into->answer_us[i], &from->answer_us[i]);
    }
}
