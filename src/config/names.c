/* names.c: see names.h. */
#include "config/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int names_init(struct names *names, size_t cap) {
    *names = (struct names){ .cap = cap };
    names->entries = calloc(cap ? cap : 1, sizeof(*names->entries));
    return names->entries ? 0 : -1;
}

void names_fini(struct names *names) {
    free(names->entries);
    *names = (struct names){ 0 };
}

void names_add(struct names *names, const char *name, unsigned line, size_t position) {
    assert(names->count < names->cap);
    names->entries[names->count++] = (struct names_entry){ name, line, position };
}

/* In the file's order where names are equal, so that the second is the one to report. */
static int names_compare(const void *a, const void *b) {
    const struct names_entry *one = a;
    const struct names_entry *other = b;
    int order = strcmp(one->name, other->name);
    if (order != 0) {
        return order;
    }
    if (one->line != other->line) {
        return one->line < other->line ? -1 : 1;
    }
    return one->position < other->position ? -1 : one->position > other->position;
}

const struct names_entry *names_sort(struct names *names, const struct names_entry **first) {
    qsort(names->entries, names->count, sizeof(*names->entries), names_compare);
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names->entries[i - 1].name, names->entries[i].name) == 0) {
            *first = &names->entries[i - 1];
            return &names->entries[i];
        }
    }
    return NULL;
}

const struct names_entry *names_find(const struct names *names, const char *name) {
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, names->entries[middle].name);
        if (order == 0) {
            return &names->entries[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
