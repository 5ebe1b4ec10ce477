/* outline.h: what stands on which line of a configuration file.
 *
 * libcyaml gives values without their lines, and takes a key twice. So libyaml's events
 * are read once before it, into a tree of keys, kinds and lines. It holds the bounds of
 * config/limits.h, and refuses what this file has no use for: more than one document, aliases,
 * tags, and control characters in values. Node 0 is the whole file.
 */
#ifndef REPRISE_CONFIG_OUTLINE_H
#define REPRISE_CONFIG_OUTLINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/schema.h"

enum outline_kind {
    OUTLINE_NOTHING, /* `key:` with no value, or an empty text */
    OUTLINE_TEXT,
    OUTLINE_LIST,
    OUTLINE_SECTION,
};

struct outline_node {
    char *key; /* owned; null for the entries of lists */
    enum outline_kind kind;
    unsigned line; /* from 1; the key's, where there is one */
    uint32_t first_child;
    uint32_t last_child;
    uint32_t next; /* the next child of the same parent; 0: none */
};

struct outline {
    struct outline_node *nodes; /* owned */
    uint32_t count;
    uint32_t cap;
};

/* Reads the text's outline; `name` stands for the file in errors. Returns 0, or
 * -1 with `err` set to `file:line: ...`; outline_fini is due in both cases. */
int outline_init(struct outline *outline, const char *name, const char *text, size_t len,
                 struct err *err);
void outline_fini(struct outline *outline);

/* Holds the outline against the schema: every key known and there once, every value of the
 * directive's shape. Returns 0 or -1 with `err` set. */
int outline_check(const struct outline *outline, const char *name, struct err *err);

/* The child of that key, or 0. */
uint32_t outline_child(const struct outline *outline, uint32_t node, const char *key);

/* The child of that position, or 0. */
uint32_t outline_entry(const struct outline *outline, uint32_t node, size_t position);

#endif
