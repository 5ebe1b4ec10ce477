/* schema.h: the table of directives (directive.def) as data, and the door to libcyaml.
 *
 * libcyaml turns the file's bytes into raw structures, made from the same rows,
 * that hold every value as text; convert.c gives the texts their meaning. Folder-private
 * but for the commands that print the manual.
 */
#ifndef REPRISE_CONFIG_SCHEMA_H
#define REPRISE_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum section_id {
#define SECTION_OF(id, ...) SECTION_##id,
#include "config/directive.def"
    SECTION_COUNT
};

enum directive_shape {
    SHAPE_SCALAR,
    SHAPE_LIST,  /* of scalars */
    SHAPE_GROUP, /* one section below */
    SHAPE_TABLE, /* a list of sections */
};

/* What the words of a control socket's directive stand for. */
#define SOCKET_AUTO 0u
#define SOCKET_NONE 1u

/* How a value is read, and what its field in config.h is. */
enum directive_type {
    TYPE_SWITCH,       /* bool */
    TYPE_NUMBER,       /* uint32_t */
    TYPE_SECONDS,      /* uint32_t, a duration */
    TYPE_MILLISECONDS, /* uint32_t, a duration */
    TYPE_WORD,         /* an enum */
    TYPE_NAME,         /* char *: letters, digits, dot, hyphen, underscore */
    TYPE_TEXT,         /* char * */
    TYPE_FILE,         /* char *: relative to the file's folder; a word gives null */
    TYPE_SOCKET,       /* char *: as a file */
    TYPE_SERVER_NAMES, /* struct config_strings */
    TYPE_TEXTS,        /* struct config_strings */
    TYPE_FILES,        /* struct config_strings: each as TYPE_FILE */
    TYPE_PROTOCOLS,    /* unsigned, bits */
    TYPE_KEY_GROUPS,   /* char *, joined with colons */
    TYPE_LISTEN,       /* struct config_address * */
    TYPE_MEMBERS,      /* struct config_member * */
    TYPE_PROFILES,     /* const struct config_profile **, by their names */
    TYPE_POOL_NAME,    /* const struct config_pool *, by its name */
    TYPE_SECTION,
    TYPE_COUNT
};

/* A word that stands for a value; lists end with a null word. */
struct config_word {
    const char *word;
    unsigned value;
};

struct directive {
    enum section_id section; /* where it stands */
    enum section_id opens;   /* of SHAPE_GROUP and SHAPE_TABLE: the section below */
    enum directive_shape shape;
    enum directive_type type;
    const char *name;
    const char *fallback; /* the default, as it would be written; null: none; or schema_required */
    uint64_t min;
    uint64_t max;
    const char *unit;                /* may be null */
    const struct config_word *words; /* may be null */
    const char *bigip;               /* may be null */
    const char *text;
    size_t offset;     /* of the field in the section's object */
    size_t raw_offset; /* of the text, list or section in the raw structure */
    size_t raw_count_offset;
};

struct section {
    const char *name;
    const char *text;
    size_t object_size; /* of the structure of config.h */
    size_t raw_size;
    const struct directive *directives;
    size_t directive_count;
};

/* What `fallback` points to when there is no default and the directive must stand. */
extern const char schema_required[];

/* Never null. */
const struct section *schema_section(enum section_id id);

/* The directive of that name in the section, or null. */
const struct directive *schema_find(const struct section *section, const char *name);

/* Loads text through libcyaml; returns the raw structure of the main section, to
 * be freed with schema_free, or null with `err` set. The text's outline must have
 * been checked (outline.h): what is left to refuse here is lack of memory. */
void *schema_load(const char *text, size_t len, struct err *err);
void schema_free(void *raw);

/* What the raw structure `raw` of the directive's section holds: the entries of a list, or
 * the one text of a scalar. Absent: no entries. Borrowed. */
struct raw_texts {
    char *const *at;
    size_t count;
};
struct raw_texts schema_texts(const struct directive *directive, const void *raw);

/* The same for groups and tables: the raw structures of the section below, one
 * after the other. */
struct raw_sections {
    const char *base;
    size_t count;
    size_t size; /* bytes of each */
};
struct raw_sections schema_sections(const struct directive *directive, const void *raw);

#endif
