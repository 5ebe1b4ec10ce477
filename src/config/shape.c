/* shape.c: outline_check, see outline.h: a file's keys and shapes against the schema. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/outline.h"
#include "config/scalar.h"
#include "config/suggest.h"

struct shape {
    const struct outline *outline;
    const char *name;
    struct err *err;
};

/* Goes as deep as the schema does, not the file. */
static int shape_section(const struct shape *shape, uint32_t node, enum section_id id);

static int shape_error(const struct shape *shape, uint32_t node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int shape_error(const struct shape *shape, uint32_t node, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(shape->err, "%s:%u: %s", shape->name, shape->outline->nodes[node].line, text);
}

/* Writes the names of all directives of a section: "format, file or rate". */
static void list_directives(const struct section *section, char *buf, size_t cap) {
    size_t used = 0;
    for (size_t i = 0; i < section->directive_count; i++) {
        const char *separator = i == 0 ? "" : i + 1 == section->directive_count ? " or " : ", ";
        int n = snprintf(buf + used, cap - used, "%s%s", separator, section->directives[i].name);
        if (n < 0 || (size_t)n >= cap - used) {
            return;
        }
        used += (size_t)n;
    }
}

static int shape_unknown(const struct shape *shape, uint32_t node, enum section_id id) {
    const struct section *section = schema_section(id);
    const char *key = shape->outline->nodes[node].key;
    char shown[SCALAR_SHOWN_MAX];
    scalar_shown(key, shown, sizeof(shown));
    struct suggest suggest = suggest_start(key);
    for (size_t i = 0; i < section->directive_count; i++) {
        suggest_offer(&suggest, section->directives[i].name);
    }
    if (suggest.nearest) {
        return shape_error(shape, node, "unknown directive '%s' in %s, did you mean '%s'?", shown,
                           section->name, suggest.nearest);
    }
    char known[768] = "";
    list_directives(section, known, sizeof(known));
    return shape_error(shape, node, "unknown directive '%s' in %s, expected %s", shown,
                       section->name, known);
}

/* A directive stands once in its section. */
static int shape_once(const struct shape *shape, uint32_t section, uint32_t node) {
    const struct outline_node *nodes = shape->outline->nodes;
    uint32_t first = outline_child(shape->outline, section, nodes[node].key);
    if (first == node) {
        return 0;
    }
    return shape_error(shape, node, "'%s' stands twice, expected once; the first is on line %u",
                       nodes[node].key, nodes[first].line);
}

static int shape_wrong(const struct shape *shape, uint32_t node,
                       const struct directive *directive) {
    static const char *const expected[] = {
        [SHAPE_SCALAR] = "one value",
        [SHAPE_LIST] = "a list, such as [a, b]",
        [SHAPE_GROUP] = "a section with directives of its own",
        [SHAPE_TABLE] = "a list of sections, each with '- ' before its first directive",
    };
    static const char *const found[] = {
        [OUTLINE_NOTHING] = "has no value",
        [OUTLINE_TEXT] = "is one value",
        [OUTLINE_LIST] = "is a list",
        [OUTLINE_SECTION] = "is a section",
    };
    return shape_error(shape, node, "'%s' %s, expected %s", directive->name,
                       found[shape->outline->nodes[node].kind], expected[directive->shape]);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the schema */
static int shape_entries(const struct shape *shape, uint32_t list,
                         const struct directive *directive) {
    const struct outline_node *nodes = shape->outline->nodes;
    for (uint32_t entry = nodes[list].first_child; entry != 0; entry = nodes[entry].next) {
        enum outline_kind kind = nodes[entry].kind;
        if (directive->shape == SHAPE_LIST && kind != OUTLINE_TEXT) {
            return shape_error(shape, entry,
                               "an entry of '%s' is not one value, expected plain text (in quotes "
                               "where it begins with '[' or '*')",
                               directive->name);
        }
        if (directive->shape == SHAPE_TABLE && kind != OUTLINE_SECTION) {
            return shape_error(shape, entry,
                               "an entry of '%s' is not a section, expected directives",
                               directive->name);
        }
        if (directive->shape == SHAPE_TABLE && shape_section(shape, entry, directive->opens) != 0) {
            return -1;
        }
    }
    return 0;
}

static int shape_directive(const struct shape *shape, uint32_t node,
                           const struct directive *directive) {
    static const enum outline_kind wanted[] = {
        [SHAPE_SCALAR] = OUTLINE_TEXT,
        [SHAPE_LIST] = OUTLINE_LIST,
        [SHAPE_GROUP] = OUTLINE_SECTION,
        [SHAPE_TABLE] = OUTLINE_LIST,
    };
    if (shape->outline->nodes[node].kind != wanted[directive->shape]) {
        return shape_wrong(shape, node, directive);
    }
    switch (directive->shape) {
    case SHAPE_GROUP:
        return shape_section(shape, node, directive->opens);
    case SHAPE_LIST:
    case SHAPE_TABLE:
        return shape_entries(shape, node, directive);
    case SHAPE_SCALAR:
    default:
        return 0;
    }
}

static int shape_section(const struct shape *shape, uint32_t node, enum section_id id) {
    const struct outline_node *nodes = shape->outline->nodes;
    for (uint32_t at = nodes[node].first_child; at != 0; at = nodes[at].next) {
        const struct directive *directive = schema_find(schema_section(id), nodes[at].key);
        if (!directive) {
            return shape_unknown(shape, at, id);
        }
        if (shape_once(shape, node, at) != 0 || shape_directive(shape, at, directive) != 0) {
            return -1;
        }
    }
    return 0;
}

/* NOLINTEND(misc-no-recursion) */

int outline_check(const struct outline *outline, const char *name, struct err *err) {
    struct shape shape = { .outline = outline, .name = name, .err = err };
    if (outline->nodes[0].kind != OUTLINE_SECTION) {
        return shape_error(&shape, 0, "the file is not made of directives, expected 'name: value'");
    }
    return shape_section(&shape, 0, SECTION_MAIN);
}
