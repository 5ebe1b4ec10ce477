/* outline.c: see outline.h. */
#include "config/outline.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/limits.h"
#include "config/scalar.h"

/* The way from the file to what is being read. */
struct builder {
    struct outline *outline;
    const char *name;
    struct err *err;
    uint32_t open[CONFIG_DEPTH_MAX];
    size_t depth;
    char *key; /* owned; read, and its value not yet */
    unsigned key_line;
    bool has_root;
};

static unsigned line_of(const yaml_event_t *event) {
    return (unsigned)event->start_mark.line + 1;
}

static int builder_error(const struct builder *b, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int builder_error(const struct builder *b, unsigned line, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(b->err, "%s:%u: %s", b->name, line, text);
}

static int outline_grow(struct outline *outline) {
    uint32_t cap = outline->cap ? outline->cap * 2 : 64;
    struct outline_node *nodes = realloc(outline->nodes, cap * sizeof(*nodes));
    if (!nodes) {
        return -1;
    }
    outline->nodes = nodes;
    outline->cap = cap;
    return 0;
}

/* Adds a node below what is open, and gives it the pending key. */
static int builder_add(struct builder *b, enum outline_kind kind, unsigned line) {
    struct outline *outline = b->outline;
    if (outline->count >= CONFIG_NODES_MAX) {
        return builder_error(b, line, "the file holds too much, expected at most %u values",
                             CONFIG_NODES_MAX);
    }
    if (outline->count == outline->cap && outline_grow(outline) != 0) {
        return builder_error(b, line, "out of memory");
    }
    uint32_t added = outline->count++;
    outline->nodes[added] =
        (struct outline_node){ .key = b->key, .kind = kind, .line = b->key ? b->key_line : line };
    b->key = NULL;
    if (b->depth == 0) {
        return 0;
    }
    struct outline_node *parent = &outline->nodes[b->open[b->depth - 1]];
    if (parent->last_child != 0) {
        outline->nodes[parent->last_child].next = added;
    } else {
        parent->first_child = added;
    }
    parent->last_child = added;
    return 0;
}

static int builder_open(struct builder *b, enum outline_kind kind, unsigned line) {
    if (b->depth == CONFIG_DEPTH_MAX) {
        return builder_error(
            b, line,
            "sections and lists stand too deep in one another, expected at most %u "
            "levels",
            CONFIG_DEPTH_MAX);
    }
    if (builder_add(b, kind, line) != 0) {
        return -1;
    }
    b->open[b->depth++] = b->outline->count - 1;
    return 0;
}

/* True where the next text is a key. */
static bool builder_wants_key(const struct builder *b) {
    return b->depth > 0 && !b->key &&
           b->outline->nodes[b->open[b->depth - 1]].kind == OUTLINE_SECTION;
}

static int builder_text(struct builder *b, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len > CONFIG_SCALAR_MAX) {
        return builder_error(b, line_of(event), "a value is too long, expected at most %u bytes",
                             CONFIG_SCALAR_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return builder_error(b, line_of(event),
                                 "a value has a control character or a line break in it, expected "
                                 "one line of text");
        }
    }
    if (builder_wants_key(b)) {
        b->key = strdup(text);
        b->key_line = line_of(event);
        return b->key ? 0 : builder_error(b, line_of(event), "out of memory");
    }
    return builder_add(b, len > 0 ? OUTLINE_TEXT : OUTLINE_NOTHING, line_of(event));
}

static bool has_tag(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static int builder_take(struct builder *b, const yaml_event_t *event) {
    unsigned line = line_of(event);
    if (has_tag(event)) {
        return builder_error(b, line, "a tag (!...), which has no meaning here");
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->has_root) {
            return builder_error(b, line, "a second document begins, expected one");
        }
        b->has_root = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return builder_error(b, line, "an alias (*...), which is not supported; write it out");
    case YAML_SCALAR_EVENT:
        return builder_text(b, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (builder_wants_key(b)) {
            return builder_error(b, line,
                                 "a list or section where a directive's name was expected");
        }
        return builder_open(
            b, event->type == YAML_MAPPING_START_EVENT ? OUTLINE_SECTION : OUTLINE_LIST, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    default:
        return 0;
    }
}

/* What people meet who write `[::1]:443` or `*.example.com` without quotes. */
static bool wants_quotes(const char *context) {
    return strncmp(context, "while parsing a flow", 20) == 0 ||
           strncmp(context, "while scanning an a", 19) == 0;
}

static int builder_yaml_error(const struct builder *b, const yaml_parser_t *parser) {
    unsigned line = (unsigned)parser->problem_mark.line + 1;
    const char *context = parser->context ? parser->context : "";
    if (!parser->problem) {
        return builder_error(b, line, "out of memory");
    }
    return builder_error(
        b, line, "not valid YAML: %s%s%s%s", parser->problem, *context ? " " : "", context,
        wants_quotes(context) ? " (a value that begins with '[', '{', '*' or '&' needs quotes)"
                              : "");
}

static int builder_run(struct builder *b, yaml_parser_t *parser) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return builder_yaml_error(b, parser);
        }
        bool end = event.type == YAML_STREAM_END_EVENT;
        int rc = builder_take(b, &event);
        yaml_event_delete(&event);
        if (rc != 0 || end) {
            return rc;
        }
    }
}

int outline_init(struct outline *outline, const char *name, const char *text, size_t len,
                 struct err *err) {
    *outline = (struct outline){ 0 };
    if (len > CONFIG_FILE_MAX) {
        return err_set(err, "%s:1: the file is too large, expected at most %u bytes", name,
                       CONFIG_FILE_MAX);
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return err_set(err, "%s:1: out of memory", name);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    struct builder b = { .outline = outline, .name = name, .err = err };
    int rc = builder_run(&b, &parser);
    free(b.key);
    yaml_parser_delete(&parser);
    if (rc == 0 && (outline->count == 0 || outline->nodes[0].kind == OUTLINE_NOTHING)) {
        return err_set(err,
                       "%s:1: the file is empty, expected at least client-ssl-profiles, "
                       "pools and virtual-servers",
                       name);
    }
    return rc;
}

void outline_fini(struct outline *outline) {
    for (uint32_t i = 0; i < outline->count; i++) {
        free(outline->nodes[i].key);
    }
    free(outline->nodes);
    *outline = (struct outline){ 0 };
}

uint32_t outline_child(const struct outline *outline, uint32_t node, const char *key) {
    uint32_t child = outline->nodes[node].first_child;
    while (child != 0 && strcmp(outline->nodes[child].key, key) != 0) {
        child = outline->nodes[child].next;
    }
    return child;
}

uint32_t outline_entry(const struct outline *outline, uint32_t node, size_t position) {
    uint32_t child = outline->nodes[node].first_child;
    for (; child != 0 && position > 0; position--) {
        child = outline->nodes[child].next;
    }
    return child;
}
