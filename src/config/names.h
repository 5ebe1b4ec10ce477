/* names.h: a sorted index of names and where they stand, to find one and to refuse
 * one that stands twice. */
#ifndef REPRISE_CONFIG_NAMES_H
#define REPRISE_CONFIG_NAMES_H

#include <stddef.h>

#include "base/err.h"

struct names_entry {
    const char *name; /* borrowed: outlives the index */
    unsigned line;
    size_t position; /* the caller's */
};

struct names {
    struct names_entry *entries; /* owned */
    size_t count;
    size_t cap;
};

/* Returns 0, or -1 without memory. */
int names_init(struct names *names, size_t cap);
void names_fini(struct names *names);

/* Adds one; not more than `cap` in all. */
void names_add(struct names *names, const char *name, unsigned line, size_t position);

/* Sorts; names_find works from then on. Returns null, or the second of two entries of one
 * name, with `first` set to the first. */
const struct names_entry *names_sort(struct names *names, const struct names_entry **first);

/* Null when there is none. */
const struct names_entry *names_find(const struct names *names, const char *name);

#endif
