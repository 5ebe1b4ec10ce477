/* print.c: config_print, see config.h: the effective values, by the table of directives. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/convert.h"
#include "config/limits.h"
#include "config/scalar.h"

#define INDENT 2

static const void *field_of(const struct directive *directive, const void *object) {
    return (const char *)object + directive->offset;
}

/* In quotes where YAML could take it for something else than text. */
static void print_text(const char *text, FILE *stream) {
    if (scalar_is_name(text) || text[0] == '/') {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', stream);
        }
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static const char *word_of(const struct directive *directive, unsigned value) {
    const struct config_word *word = directive->words;
    while (word->word && word->value != value) {
        word++;
    }
    return word->word ? word->word : "?";
}

static void print_scalar(const struct directive *directive, const void *object, FILE *stream) {
    const void *field = field_of(directive, object);
    uint32_t number = 0;
    char text[SCALAR_DURATION_MAX];
    switch (directive->type) {
    case TYPE_SWITCH:
        fputs(*(const bool *)field ? "on" : "off", stream);
        break;
    case TYPE_NUMBER:
        number = *(const uint32_t *)field;
        if (directive->words && number < directive->min) { /* as a number it would be refused */
            fputs(word_of(directive, number), stream);
        } else {
            fprintf(stream, "%u", number);
        }
        break;
    case TYPE_SECONDS:
    case TYPE_MILLISECONDS:
        number = *(const uint32_t *)field;
        fputs(scalar_print_duration(number * (directive->type == TYPE_SECONDS ? 1000ull : 1), text,
                                    sizeof(text)),
              stream);
        break;
    case TYPE_WORD:
        fputs(word_of(directive, *(const unsigned *)field), stream);
        break;
    case TYPE_SOCKET:
        print_text(*(char *const *)field ? *(char *const *)field : "none", stream);
        break;
    case TYPE_POOL_NAME:
        print_text((*(const struct config_pool *const *)field)->name, stream);
        break;
    default:
        print_text(*(char *const *)field ? *(char *const *)field : directive->words->word, stream);
        break;
    }
}

/* The texts of a list, however its field keeps them. */
static size_t list_count(const struct directive *directive, const void *object) {
    switch (directive->type) {
    case TYPE_LISTEN:
        return ((const struct config_vserver *)object)->listen_count;
    case TYPE_PROFILES:
        return ((const struct config_vserver *)object)->profile_count;
    case TYPE_MEMBERS:
        return ((const struct config_pool *)object)->member_count;
    default:
        return ((const struct config_strings *)field_of(directive, object))->count;
    }
}

static const char *list_text(const struct directive *directive, const void *object, size_t i) {
    switch (directive->type) {
    case TYPE_LISTEN:
        return ((const struct config_vserver *)object)->listen[i].text;
    case TYPE_PROFILES:
        return ((const struct config_vserver *)object)->profiles[i]->name;
    case TYPE_MEMBERS:
        return ((const struct config_pool *)object)->members[i].address.text;
    default:
        return ((const struct config_strings *)field_of(directive, object))->at[i];
    }
}

static void print_protocols(const struct directive *directive, unsigned bits, FILE *stream) {
    const char *separator = "";
    for (const struct config_word *word = directive->words; word->word; word++) {
        if (bits & word->value) {
            fprintf(stream, "%s%s", separator, word->word);
            separator = ", ";
        }
    }
}

static void print_key_groups(const char *joined, FILE *stream) {
    for (; *joined; joined++) {
        if (*joined == ':') {
            fputs(", ", stream);
        } else {
            fputc(*joined, stream);
        }
    }
}

static void print_list(const struct directive *directive, const void *object, FILE *stream) {
    fputc('[', stream);
    if (directive->type == TYPE_PROTOCOLS) {
        print_protocols(directive, *(const unsigned *)field_of(directive, object), stream);
    } else if (directive->type == TYPE_KEY_GROUPS) {
        print_key_groups(*(char *const *)field_of(directive, object), stream);
    } else {
        for (size_t i = 0; i < list_count(directive, object); i++) {
            fputs(i == 0 ? "" : ", ", stream);
            print_text(list_text(directive, object, i), stream);
        }
    }
    fputc(']', stream);
}

/* Absent, and nothing stands for it: no line. */
static bool is_absent(const struct directive *directive, const void *object) {
    return directive->shape == SHAPE_SCALAR && !directive->words &&
           (directive->type == TYPE_TEXT || directive->type == TYPE_FILE) &&
           !*(char *const *)field_of(directive, object);
}

/* The structures of a table, one after the other. */
static const char *table_of(enum section_id opened, const void *object, size_t *count) {
    const struct config *config = object;
    const struct config_profile *profile = object;
    switch (opened) {
    case SECTION_CERTIFICATE:
        *count = profile->certificate_count;
        return (const char *)profile->certificates;
    case SECTION_PROFILE:
        *count = config->profile_count;
        return (const char *)config->profiles;
    case SECTION_POOL:
        *count = config->pool_count;
        return (const char *)config->pools;
    default:
        *count = config->vserver_count;
        return (const char *)config->vservers;
    }
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the schema */
static void print_section(enum section_id id, const void *object, int indent, FILE *stream);

static void print_table(const struct directive *directive, const void *object, int indent,
                        FILE *stream) {
    size_t count;
    const char *base = table_of(directive->opens, object, &count);
    size_t size = schema_section(directive->opens)->object_size;
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%*s- ", indent + INDENT, "");
        print_section(directive->opens, base + i * size, indent + 2 * INDENT, stream);
    }
}

/* The first line's indent is the caller's, who may have put a dash there. */
static void print_section(enum section_id id, const void *object, int indent, FILE *stream) {
    const struct section *section = schema_section(id);
    int pad = 0;
    for (size_t i = 0; i < section->directive_count; i++) {
        const struct directive *directive = &section->directives[i];
        if (is_absent(directive, object)) {
            continue;
        }
        fprintf(stream, "%*s%s:", pad, "", directive->name);
        pad = indent;
        switch (directive->shape) {
        case SHAPE_GROUP:
            fprintf(stream, "\n%*s", indent + INDENT, "");
            print_section(directive->opens, object, indent + INDENT, stream);
            break;
        case SHAPE_TABLE:
            fputc('\n', stream);
            print_table(directive, object, indent, stream);
            break;
        case SHAPE_LIST:
            fputc(' ', stream);
            print_list(directive, object, stream);
            fputc('\n', stream);
            break;
        case SHAPE_SCALAR:
        default:
            fputc(' ', stream);
            print_scalar(directive, object, stream);
            fputc('\n', stream);
            break;
        }
    }
}
/* NOLINTEND(misc-no-recursion) */

int config_print(const struct config *config, FILE *stream) {
    print_section(SECTION_MAIN, config, 0, stream);
    return fflush(stream) == 0 && !ferror(stream) ? 0 : -1;
}
