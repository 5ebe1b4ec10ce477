/* convert.c: see convert.h. */
#include "config/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/scalar.h"

#define FALLBACK_ENTRIES_MAX 8
#define FALLBACK_TEXT_MAX 512

static int convert_section(struct convert *convert, enum section_id id, uint32_t node,
                           const void *raw, void *object);

int convert_error(const struct convert *convert, uint32_t node, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(convert->err, "%s:%u: %s", convert->name, convert->outline->nodes[node].line,
                   text);
}

int convert_no_memory(const struct convert *convert) {
    return err_set(convert->err, "%s:1: out of memory", convert->name);
}

int convert_unique(const struct convert *convert, struct names *names, const char *what) {
    const struct names_entry *first;
    const struct names_entry *second = names_sort(names, &first);
    if (!second) {
        return 0;
    }
    char shown[SCALAR_SHOWN_MAX];
    return err_set(convert->err,
                   "%s:%u: %s '%s' stands twice, expected once; the first is on line %u",
                   convert->name, second->line, what,
                   scalar_shown(second->name, shown, sizeof(shown)), first->line);
}

/* Reads a default as if it stood in the file. */
static int convert_fallback(struct convert *convert, const struct directive *directive,
                            void *object) {
    char text[FALLBACK_TEXT_MAX];
    char *entries[FALLBACK_ENTRIES_MAX];
    struct value value = { .at = entries };
    snprintf(text, sizeof(text), "%s", directive->fallback);
    if (directive->shape == SHAPE_SCALAR) {
        entries[value.count++] = text;
    } else {
        char *rest = text;
        for (char *entry; value.count < FALLBACK_ENTRIES_MAX && (entry = strsep(&rest, " "));) {
            entries[value.count++] = entry;
        }
    }
    return value_read(convert, directive, &value, object);
}

static int convert_count(const struct convert *convert, const struct directive *directive,
                         uint32_t node, size_t count) {
    if (count >= directive->min && count <= directive->max) {
        return 0;
    }
    return convert_error(convert, node, "'%s' has %zu entries, expected %llu..%llu %s",
                         directive->name, count, (unsigned long long)directive->min,
                         (unsigned long long)directive->max, directive->unit);
}

/* Allocates the array that a table's sections go to and hangs it into `object`. Null
 * without memory. */
static char *convert_table_alloc(enum section_id opened, size_t count, void *object) {
    char *array = calloc(count, schema_section(opened)->object_size);
    if (!array) {
        return NULL;
    }
    void *base = array;
    if (opened == SECTION_CERTIFICATE) {
        struct config_profile *profile = object;
        profile->certificates = base;
        profile->certificate_count = count;
        return array;
    }
    struct config *config = object;
    if (opened == SECTION_PROFILE) {
        config->profiles = base;
        config->profile_count = count;
    } else if (opened == SECTION_POOL) {
        config->pools = base;
        config->pool_count = count;
    } else {
        config->vservers = base;
        config->vserver_count = count;
    }
    return array;
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the schema */
static int convert_table(struct convert *convert, const struct directive *directive, uint32_t node,
                         const void *raw, void *object) {
    struct raw_sections rows = schema_sections(directive, raw);
    if (convert_count(convert, directive, node, rows.count) != 0) {
        return -1;
    }
    size_t size = schema_section(directive->opens)->object_size;
    char *array = convert_table_alloc(directive->opens, rows.count, object);
    if (!array) {
        return convert_no_memory(convert);
    }
    if (relate_begin(convert, directive->opens) != 0) {
        return -1;
    }
    uint32_t entry = convert->outline->nodes[node].first_child;
    for (size_t i = 0; i < rows.count; i++) {
        if (convert_section(convert, directive->opens, entry, rows.base + i * rows.size,
                            array + i * size) != 0) {
            return -1;
        }
        entry = convert->outline->nodes[entry].next;
    }
    return relate_end(convert, directive->opens);
}

static int convert_directive(struct convert *convert, const struct directive *directive,
                             uint32_t section_node, const void *raw, void *object) {
    uint32_t node = raw ? outline_child(convert->outline, section_node, directive->name) : 0;
    if (directive->shape == SHAPE_GROUP) {
        /* An absent group still has its defaults to fill in. */
        struct raw_sections group = schema_sections(directive, raw);
        return convert_section(convert, directive->opens, node, group.base, object);
    }
    if (node == 0 && directive->fallback == schema_required) {
        return convert_error(convert, section_node, "'%s' is missing in %s", directive->name,
                             schema_section(directive->section)->name);
    }
    if (node == 0) {
        return directive->fallback ? convert_fallback(convert, directive, object) : 0;
    }
    if (directive->shape == SHAPE_TABLE) {
        return convert_table(convert, directive, node, raw, object);
    }
    struct raw_texts texts = schema_texts(directive, raw);
    if (directive->shape == SHAPE_LIST &&
        convert_count(convert, directive, node, texts.count) != 0) {
        return -1;
    }
    struct value value = { .at = texts.at, .count = texts.count, .node = node };
    return value_read(convert, directive, &value, object);
}

/* raw is null for an absent group. Node 0 is the whole file, and of an absent group. */
static int convert_section(struct convert *convert, enum section_id id, uint32_t node,
                           const void *raw, void *object) {
    const struct section *section = schema_section(id);
    for (size_t i = 0; i < section->directive_count; i++) {
        const struct directive *directive = &section->directives[i];
        if (convert_directive(convert, directive, node, raw, object) != 0) {
            return -1;
        }
    }
    return relate_section(convert, id, node, object);
}

/* NOLINTEND(misc-no-recursion) */

int convert_main(struct config *config, const struct outline *outline, const char *name,
                 const void *raw, struct err *err) {
    struct convert convert = { .name = name, .outline = outline, .config = config, .err = err };
    int rc = convert_section(&convert, SECTION_MAIN, 0, raw, config);
    names_fini(&convert.profiles);
    names_fini(&convert.pools);
    free(convert.profile_nodes);
    return rc;
}
