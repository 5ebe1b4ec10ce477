/* value.c: value_read, see convert.h: one function a type of directive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/convert.h"
#include "config/limits.h"
#include "config/scalar.h"
#include "config/suggest.h"

#define MS_PER_SECOND 1000u

static void *field_of(const struct directive *directive, void *object) {
    return (char *)object + directive->offset;
}

/* The nodes of a list's entries, in step with value.at; 0 for defaults. */
static uint32_t first_node(const struct convert *convert, const struct value *value) {
    return value->node ? convert->outline->nodes[value->node].first_child : 0;
}

static uint32_t next_node(const struct convert *convert, uint32_t node) {
    return node ? convert->outline->nodes[node].next : 0;
}

static unsigned line_of(const struct convert *convert, uint32_t node) {
    return convert->outline->nodes[node].line;
}

/* "cache-size: 'many' is not a number, expected 0..4194304 sessions" */
static int value_wrong(const struct convert *convert, const struct directive *directive,
                       uint32_t node, const char *text, const char *what) {
    char shown[SCALAR_SHOWN_MAX];
    char expected[DIRECTIVE_EXPECTED_MAX];
    return convert_error(convert, node, "%s: '%s' %s, expected %s", directive->name,
                         scalar_shown(text, shown, sizeof(shown)), what,
                         directive_expected(directive, expected, sizeof(expected)));
}

/* The same for words, with the one that may have been meant. */
static int value_unknown_word(const struct convert *convert, const struct directive *directive,
                              uint32_t node, const char *text) {
    struct suggest suggest = suggest_start(text);
    for (const struct config_word *word = directive->words; word->word; word++) {
        suggest_offer(&suggest, word->word);
    }
    if (!suggest.nearest) {
        return value_wrong(convert, directive, node, text, "is not known");
    }
    char shown[SCALAR_SHOWN_MAX];
    return convert_error(convert, node, "%s: '%s' is not known, did you mean '%s'?",
                         directive->name, scalar_shown(text, shown, sizeof(shown)),
                         suggest.nearest);
}

static const struct config_word *find_word(const struct directive *directive, const char *text) {
    for (const struct config_word *word = directive->words; word && word->word; word++) {
        if (strcmp(word->word, text) == 0) {
            return word;
        }
    }
    return NULL;
}

static int copy_text(const struct convert *convert, const char *text, char **field) {
    *field = strdup(text);
    if (!*field) {
        convert_no_memory(convert);
        return -1;
    }
    return 0;
}

static int read_switch(struct convert *convert, const struct directive *directive,
                       const struct value *value, void *object) {
    bool *field = field_of(directive, object);
    if (scalar_switch(value->at[0], field) != 0) {
        return value_wrong(convert, directive, value->node, value->at[0], "is not a switch");
    }
    return 0;
}

static int read_number(struct convert *convert, const struct directive *directive,
                       const struct value *value, void *object) {
    uint32_t *field = field_of(directive, object);
    const struct config_word *word = find_word(directive, value->at[0]);
    uint64_t number;
    if (word) {
        *field = word->value;
        return 0;
    }
    if (scalar_number(value->at[0], &number) != 0) {
        return value_wrong(convert, directive, value->node, value->at[0], "is not a number");
    }
    if (number < directive->min || number > directive->max) {
        return value_wrong(convert, directive, value->node, value->at[0], "is out of bounds");
    }
    *field = (uint32_t)number;
    return 0;
}

static int read_duration(struct convert *convert, const struct directive *directive,
                         const struct value *value, void *object) {
    uint32_t *field = field_of(directive, object);
    uint64_t unit_ms = directive->type == TYPE_SECONDS ? MS_PER_SECOND : 1;
    const struct config_word *word = find_word(directive, value->at[0]);
    uint64_t ms;
    if (word) {
        *field = word->value;
        return 0;
    }
    if (scalar_duration_ms(value->at[0], &ms) != 0) {
        return value_wrong(convert, directive, value->node, value->at[0], "is not a duration");
    }
    if (ms % unit_ms != 0) {
        return value_wrong(convert, directive, value->node, value->at[0],
                           "is not a whole number of seconds");
    }
    if (ms / unit_ms < directive->min || ms / unit_ms > directive->max) {
        return value_wrong(convert, directive, value->node, value->at[0], "is out of bounds");
    }
    *field = (uint32_t)(ms / unit_ms);
    return 0;
}

static int read_word(struct convert *convert, const struct directive *directive,
                     const struct value *value, void *object) {
    unsigned *field = field_of(directive, object);
    const struct config_word *word = find_word(directive, value->at[0]);
    if (!word) {
        return value_unknown_word(convert, directive, value->node, value->at[0]);
    }
    *field = word->value;
    return 0;
}

static int read_name(struct convert *convert, const struct directive *directive,
                     const struct value *value, void *object) {
    if (!scalar_is_name(value->at[0])) {
        return value_wrong(convert, directive, value->node, value->at[0], "is not a name");
    }
    if (strlen(value->at[0]) > directive->max) {
        return value_wrong(convert, directive, value->node, value->at[0], "is too long");
    }
    return copy_text(convert, value->at[0], field_of(directive, object));
}

static int read_text(struct convert *convert, const struct directive *directive,
                     const struct value *value, void *object) {
    if (strlen(value->at[0]) > directive->max) {
        return value_wrong(convert, directive, value->node, value->at[0], "is too long");
    }
    return copy_text(convert, value->at[0], field_of(directive, object));
}

/* Relative to the folder of the configuration file, wherever the service was started. */
static int copy_path(const struct convert *convert, const char *path, char **field) {
    const char *slash = strrchr(convert->name, '/');
    if (path[0] == '/' || !slash) {
        return copy_text(convert, path, field);
    }
    int folder = (int)(slash - convert->name);
    if (asprintf(field, "%.*s/%s", folder, convert->name, path) < 0) {
        *field = NULL;
        convert_no_memory(convert);
        return -1;
    }
    return 0;
}

static int read_file(struct convert *convert, const struct directive *directive,
                     const struct value *value, void *object) {
    char **field = field_of(directive, object);
    return find_word(directive, value->at[0]) ? 0 : copy_path(convert, value->at[0], field);
}

static int read_socket(struct convert *convert, const struct directive *directive,
                       const struct value *value, void *object) {
    char **field = field_of(directive, object);
    const struct config_word *word = find_word(directive, value->at[0]);
    if (!word) {
        if (copy_path(convert, value->at[0], field) != 0) {
            return -1;
        }
        return strlen(*field) <= CONFIG_SOCKET_PATH_MAX
                   ? 0
                   : value_wrong(convert, directive, value->node, *field, "is too long");
    }
    char path[CONFIG_SOCKET_PATH_MAX + 1];
    if (word->value == SOCKET_AUTO && config_default_control_socket(path, sizeof(path)) == 0) {
        return copy_text(convert, path, field);
    }
    return 0;
}

/* Makes room for the entries of a list; they count from the first one on that is filled in. */
static int strings_init(const struct convert *convert, struct config_strings *strings, size_t cap) {
    strings->at = calloc(cap ? cap : 1, sizeof(*strings->at));
    return strings->at ? 0 : convert_no_memory(convert);
}

/* Refuses an entry that stands twice in a list. */
static int entries_unique(const struct convert *convert, const struct directive *directive,
                          const struct value *value, char *const *at) {
    struct names names;
    if (names_init(&names, value->count) != 0) {
        return convert_no_memory(convert);
    }
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        names_add(&names, at[i], line_of(convert, node), i);
        node = next_node(convert, node);
    }
    int rc = convert_unique(convert, &names, directive->name);
    names_fini(&names);
    return rc;
}

static int read_server_names(struct convert *convert, const struct directive *directive,
                             const struct value *value, void *object) {
    struct config_strings *field = field_of(directive, object);
    if (strings_init(convert, field, value->count) != 0) {
        return -1;
    }
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        char name[CONFIG_HOST_NAME_MAX + 1];
        const char *wrong = scalar_server_name(value->at[i], name, sizeof(name));
        if (wrong) {
            return value_wrong(convert, directive, node, value->at[i], wrong);
        }
        if (copy_text(convert, name, &field->at[i]) != 0) {
            return -1;
        }
        field->count++;
        node = next_node(convert, node);
    }
    return entries_unique(convert, directive, value, field->at);
}

static int read_texts(struct convert *convert, const struct directive *directive,
                      const struct value *value, void *object) {
    struct config_strings *field = field_of(directive, object);
    if (strings_init(convert, field, value->count) != 0) {
        return -1;
    }
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        if (strlen(value->at[i]) > CONFIG_ALPN_NAME_MAX) {
            return value_wrong(convert, directive, node, value->at[i], "is too long");
        }
        if (copy_text(convert, value->at[i], &field->at[i]) != 0) {
            return -1;
        }
        field->count++;
        node = next_node(convert, node);
    }
    return entries_unique(convert, directive, value, field->at);
}

static int read_files(struct convert *convert, const struct directive *directive,
                      const struct value *value, void *object) {
    struct config_strings *field = field_of(directive, object);
    if (strings_init(convert, field, value->count) != 0) {
        return -1;
    }
    for (size_t i = 0; i < value->count; i++) {
        if (copy_path(convert, value->at[i], &field->at[i]) != 0) {
            return -1;
        }
        field->count++;
    }
    return entries_unique(convert, directive, value, field->at);
}

/* Holds the entries of a list against the directive's words, each at most once. `bits`
 * takes their values. */
static int read_words(const struct convert *convert, const struct directive *directive,
                      const struct value *value, unsigned *bits) {
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        const struct config_word *word = find_word(directive, value->at[i]);
        if (!word) {
            return value_unknown_word(convert, directive, node, value->at[i]);
        }
        *bits |= word->value;
        node = next_node(convert, node);
    }
    return entries_unique(convert, directive, value, value->at);
}

static int read_protocols(struct convert *convert, const struct directive *directive,
                          const struct value *value, void *object) {
    unsigned *field = field_of(directive, object);
    return read_words(convert, directive, value, field);
}

static int read_key_groups(struct convert *convert, const struct directive *directive,
                           const struct value *value, void *object) {
    char **field = field_of(directive, object);
    unsigned unused = 0;
    if (read_words(convert, directive, value, &unused) != 0) {
        return -1;
    }
    size_t len = 1;
    for (size_t i = 0; i < value->count; i++) {
        len += strlen(value->at[i]) + 1;
    }
    char *joined = calloc(1, len);
    if (!joined) {
        return convert_no_memory(convert);
    }
    *field = joined;
    for (size_t i = 0; i < value->count; i++) {
        joined = stpcpy(joined, i == 0 ? "" : ":");
        joined = stpcpy(joined, value->at[i]);
    }
    return 0;
}

static int read_address(const struct convert *convert, const struct directive *directive,
                        uint32_t node, const char *text, struct config_address *address) {
    if (scalar_address(text, &address->addr, &address->addr_len) != 0) {
        return value_wrong(convert, directive, node, text, "is not a numeric address with a port");
    }
    return copy_text(convert, text, &address->text);
}

static int read_listen(struct convert *convert, const struct directive *directive,
                       const struct value *value, void *object) {
    struct config_vserver *vserver = object;
    vserver->listen = calloc(value->count, sizeof(*vserver->listen));
    if (!vserver->listen) {
        return convert_no_memory(convert);
    }
    vserver->listen_count = value->count;
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        if (read_address(convert, directive, node, value->at[i], &vserver->listen[i]) != 0) {
            return -1;
        }
        node = next_node(convert, node);
    }
    return 0;
}

static int read_members(struct convert *convert, const struct directive *directive,
                        const struct value *value, void *object) {
    struct config_pool *pool = object;
    pool->members = calloc(value->count ? value->count : 1, sizeof(*pool->members));
    if (!pool->members) {
        return convert_no_memory(convert);
    }
    pool->member_count = value->count;
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        struct config_member *member = &pool->members[i];
        member->line = line_of(convert, node);
        if (read_address(convert, directive, node, value->at[i], &member->address) != 0) {
            return -1;
        }
        if (scalar_port(&member->address.addr) == 0) {
            return value_wrong(convert, directive, node, value->at[i], "has port 0");
        }
        node = next_node(convert, node);
    }
    return 0;
}

/* A name that a virtual server refers to. */
static const struct names_entry *find_referred(const struct convert *convert,
                                               const struct names *names, const char *what,
                                               uint32_t node, const char *text) {
    const struct names_entry *found = names_find(names, text);
    if (found) {
        return found;
    }
    struct suggest suggest = suggest_start(text);
    for (size_t i = 0; i < names->count; i++) {
        suggest_offer(&suggest, names->entries[i].name);
    }
    char shown[SCALAR_SHOWN_MAX];
    scalar_shown(text, shown, sizeof(shown));
    if (suggest.nearest) {
        convert_error(convert, node, "there is no %s '%s', did you mean '%s'?", what, shown,
                      suggest.nearest);
    } else {
        convert_error(convert, node, "there is no %s '%s', expected the name of one in %ss", what,
                      shown, what);
    }
    return NULL;
}

static int read_profiles(struct convert *convert, const struct directive *directive,
                         const struct value *value, void *object) {
    struct config_vserver *vserver = object;
    vserver->profiles = calloc(value->count, sizeof(const struct config_profile *));
    if (!vserver->profiles) {
        return convert_no_memory(convert);
    }
    uint32_t node = first_node(convert, value);
    for (size_t i = 0; i < value->count; i++) {
        const struct names_entry *found =
            find_referred(convert, &convert->profiles, "client-ssl-profile", node, value->at[i]);
        if (!found) {
            return -1;
        }
        vserver->profiles[vserver->profile_count++] = &convert->config->profiles[found->position];
        node = next_node(convert, node);
    }
    return entries_unique(convert, directive, value, value->at);
}

static int read_pool_name(struct convert *convert, const struct directive *directive,
                          const struct value *value, void *object) {
    struct config_vserver *vserver = object;
    const struct names_entry *found =
        find_referred(convert, &convert->pools, directive->name, value->node, value->at[0]);
    if (!found) {
        return -1;
    }
    vserver->pool = &convert->config->pools[found->position];
    return 0;
}

int value_read(struct convert *convert, const struct directive *directive,
               const struct value *value, void *object) {
    static int (*const readers[TYPE_COUNT])(struct convert *, const struct directive *,
                                            const struct value *, void *) = {
        [TYPE_SWITCH] = read_switch,       [TYPE_NUMBER] = read_number,
        [TYPE_SECONDS] = read_duration,    [TYPE_MILLISECONDS] = read_duration,
        [TYPE_WORD] = read_word,           [TYPE_NAME] = read_name,
        [TYPE_TEXT] = read_text,           [TYPE_FILE] = read_file,
        [TYPE_SOCKET] = read_socket,       [TYPE_SERVER_NAMES] = read_server_names,
        [TYPE_TEXTS] = read_texts,         [TYPE_FILES] = read_files,
        [TYPE_PROTOCOLS] = read_protocols, [TYPE_KEY_GROUPS] = read_key_groups,
        [TYPE_LISTEN] = read_listen,       [TYPE_MEMBERS] = read_members,
        [TYPE_PROFILES] = read_profiles,   [TYPE_POOL_NAME] = read_pool_name,
    };
    return readers[directive->type](convert, directive, value, object);
}
