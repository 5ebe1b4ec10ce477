/* convert.h: from raw texts to struct config, by the table of directives.
 *
 * convert.c walks the sections, finds each directive's text or its default and has
 * it read by its type; value.c reads the types; relate.c checks, once a section is
 * complete, what its values have to do with each other. Folder-private, but for the
 * manual's use of directive_expected.
 */
#ifndef REPRISE_CONFIG_CONVERT_H
#define REPRISE_CONFIG_CONVERT_H

#include "base/err.h"
#include "config/config.h"
#include "config/names.h"
#include "config/outline.h"
#include "config/schema.h"

struct convert {
    const char *name; /* of the file; borrowed */
    const struct outline *outline;
    struct config *config;
    struct names profiles; /* complete once the profiles are read */
    struct names pools;
    uint32_t *profile_nodes; /* owned; in the profiles' order */
    struct err *err;
};

/* What stands for one directive: the entries of a list, or one text. */
struct value {
    char *const *at; /* borrowed */
    size_t count;
    uint32_t node; /* 0: it is the default that stands */
};

/* Fills config from the raw structure of the main section. Returns 0, or -1 with `err`
 * set; config is to be freed in both cases. */
int convert_main(struct config *config, const struct outline *outline, const char *name,
                 const void *raw, struct err *err);

/* Reads a value into the directive's field of `object`. */
int value_read(struct convert *convert, const struct directive *directive,
               const struct value *value, void *object);

/* Checks a section of which all directives are read; `object` is its structure. */
int relate_section(struct convert *convert, enum section_id id, uint32_t node, void *object);

/* Before and after all sections of a table. */
int relate_begin(struct convert *convert, enum section_id id);
int relate_end(struct convert *convert, enum section_id id);

/* Writes what the directive takes, for error texts and the manual: "on or off",
 * "0..4194304 sessions". Returns buf. */
const char *directive_expected(const struct directive *directive, char *buf, size_t cap);

#define DIRECTIVE_EXPECTED_MAX 512

/* `file:line: ...`, the line being the node's. Returns -1. */
int convert_error(const struct convert *convert, uint32_t node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int convert_no_memory(const struct convert *convert);

/* Sorts the names and reports one that stands twice: "... pool name 'a' stands twice". */
int convert_unique(const struct convert *convert, struct names *names, const char *what);

#endif
