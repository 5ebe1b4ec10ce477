/* relate.c: relate_section and relate_table, see convert.h: what the values of a
 * section, and of the sections that it refers to, have to do with each other. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/convert.h"
#include "config/limits.h"
#include "config/scalar.h"

#define MS_PER_SECOND 1000ull

/* Addresses in the form that all their spellings share, to find one that stands twice. */
struct address_book {
    struct names names;
    char (*texts)[SCALAR_ADDRESS_MAX]; /* owned; names borrows from it */
};

static int address_book_init(struct address_book *book, size_t cap) {
    book->texts = calloc(cap ? cap : 1, sizeof(*book->texts));
    if (!book->texts) {
        return -1;
    }
    if (names_init(&book->names, cap) != 0) {
        free(book->texts);
        return -1;
    }
    return 0;
}

static void address_book_fini(struct address_book *book) {
    names_fini(&book->names);
    free(book->texts);
}

static void address_book_add(struct address_book *book, const struct config_address *address,
                             unsigned line) {
    size_t position = book->names.count;
    scalar_print_address(&address->addr, book->texts[position], sizeof(*book->texts));
    names_add(&book->names, book->texts[position], line, position);
}

static int relate_profile(struct convert *convert, uint32_t node, void *object) {
    struct config_profile *profile = object;
    profile->line = convert->outline->nodes[node].line;
    convert->profile_nodes[profile - convert->config->profiles] = node;
    if (profile->server_names.count == 0 && !profile->is_default) {
        return convert_error(convert, node,
                             "client-ssl-profile '%s' serves nobody, expected server-names or "
                             "'default: on'",
                             profile->name);
    }
    if (profile->client_auth != CLIENT_AUTH_NONE && !profile->client_ca_file) {
        return convert_error(convert, outline_child(convert->outline, node, "client-certificate"),
                             "client-certificate without client-ca, expected the authorities to "
                             "verify against");
    }
    /* Whoever names authorities means clients to be verified: serving all would be a hole. */
    if (profile->client_auth == CLIENT_AUTH_NONE && profile->client_ca_file) {
        return convert_error(convert, outline_child(convert->outline, node, "client-ca"),
                             "client-ca without client-certificate, expected 'client-certificate: "
                             "request' or 'require'");
    }
    if (profile->client_crl_file && !profile->client_ca_file) {
        return convert_error(convert, outline_child(convert->outline, node, "client-crl"),
                             "client-crl without client-ca, expected the authorities that made "
                             "the lists");
    }
    profile->session_cache = profile->session_cache && profile->cache_size > 0;
    return 0;
}

static int relate_certificate(struct convert *convert, uint32_t node, void *object) {
    struct config_certificate *certificate = object;
    certificate->line = convert->outline->nodes[node].line;
    return 0;
}

static int relate_pool(struct convert *convert, uint32_t node, void *object) {
    struct config_pool *pool = object;
    pool->line = convert->outline->nodes[node].line;
    if (pool->demonstration && pool->member_count > 0) {
        return convert_error(convert, outline_child(convert->outline, node, "demonstration"),
                             "pool '%s' has both members and 'demonstration: on', expected one of "
                             "them",
                             pool->name);
    }
    if (!pool->demonstration && pool->member_count == 0) {
        return convert_error(convert, node,
                             "pool '%s' has no members, expected members or 'demonstration: on'",
                             pool->name);
    }
    struct address_book book;
    if (address_book_init(&book, pool->member_count) != 0) {
        return convert_no_memory(convert);
    }
    for (size_t i = 0; i < pool->member_count; i++) {
        address_book_add(&book, &pool->members[i].address, pool->members[i].line);
    }
    int rc = convert_unique(convert, &book.names, "member");
    address_book_fini(&book);
    return rc;
}

static int relate_defaults(const struct convert *convert, uint32_t node,
                           struct config_vserver *vserver) {
    for (size_t i = 0; i < vserver->profile_count; i++) {
        const struct config_profile *profile = vserver->profiles[i];
        if (profile->is_default && vserver->default_profile) {
            return convert_error(convert, outline_child(convert->outline, node, "profiles"),
                                 "virtual server '%s' has two default profiles, '%s' (line %u) and "
                                 "'%s' (line %u), expected at most one",
                                 vserver->name, vserver->default_profile->name,
                                 vserver->default_profile->line, profile->name, profile->line);
        }
        if (profile->is_default) {
            vserver->default_profile = profile;
        }
    }
    return 0;
}

static void add_server_names(const struct convert *convert, struct names *names,
                             const struct config_profile *profile) {
    const struct outline *outline = convert->outline;
    uint32_t node = convert->profile_nodes[profile - convert->config->profiles];
    uint32_t list = outline_child(outline, node, "server-names");
    uint32_t entry = outline_entry(outline, list, 0);
    for (size_t i = 0; i < profile->server_names.count; i++) {
        names_add(names, profile->server_names.at[i], outline->nodes[entry].line, names->count);
        entry = outline->nodes[entry].next;
    }
}

/* Which profile takes a name must not hang on the order of the profiles (R10). */
static int relate_server_names(const struct convert *convert,
                               const struct config_vserver *vserver) {
    size_t count = 0;
    for (size_t i = 0; i < vserver->profile_count; i++) {
        count += vserver->profiles[i]->server_names.count;
    }
    struct names names;
    if (names_init(&names, count) != 0) {
        return convert_no_memory(convert);
    }
    for (size_t i = 0; i < vserver->profile_count; i++) {
        add_server_names(convert, &names, vserver->profiles[i]);
    }
    int rc = convert_unique(convert, &names, "server name");
    names_fini(&names);
    return rc;
}

static int relate_vserver(struct convert *convert, uint32_t node, void *object) {
    struct config_vserver *vserver = object;
    vserver->line = convert->outline->nodes[node].line;
    return relate_defaults(convert, node, vserver) == 0 ? relate_server_names(convert, vserver)
                                                        : -1;
}

static size_t count_listens(const struct config *config) {
    size_t count = 0;
    for (size_t i = 0; i < config->vserver_count; i++) {
        count += config->vservers[i].listen_count;
    }
    return count;
}

/* Port 0 may stand any number of times: each gets a port of its own. */
static int relate_listens(const struct convert *convert) {
    const struct outline *outline = convert->outline;
    const struct config *config = convert->config;
    struct address_book book;
    if (address_book_init(&book, count_listens(config)) != 0) {
        return convert_no_memory(convert);
    }
    uint32_t node = outline_entry(outline, outline_child(outline, 0, "virtual-servers"), 0);
    for (size_t i = 0; i < config->vserver_count; i++) {
        uint32_t entry = outline_entry(outline, outline_child(outline, node, "listen"), 0);
        for (size_t j = 0; j < config->vservers[i].listen_count; j++) {
            const struct config_address *address = &config->vservers[i].listen[j];
            if (scalar_port(&address->addr) != 0) {
                address_book_add(&book, address, outline->nodes[entry].line);
            }
            entry = outline->nodes[entry].next;
        }
        node = outline->nodes[node].next;
    }
    int rc = convert_unique(convert, &book.names, "listen address");
    address_book_fini(&book);
    return rc;
}

/* The cores that this process may run on, which in a container is fewer than there are. */
static uint32_t count_cores(void) {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
        return (uint32_t)CPU_COUNT(&cores);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

/* Where the directive of ticket-keys stands; that of the group, or of the file, without one. */
static uint32_t ticket_keys_node(const struct convert *convert, const char *name) {
    uint32_t group = outline_child(convert->outline, 0, "ticket-keys");
    uint32_t node = group ? outline_child(convert->outline, group, name) : 0;
    return node ? node : group;
}

static const struct config_profile *longest_tickets(const struct config *config, bool in_use) {
    const struct config_profile *longest = NULL;
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct config_profile *profile = &config->profiles[i];
        if ((!in_use || profile->session_tickets) &&
            (!longest || profile->ticket_timeout_s > longest->ticket_timeout_s)) {
            longest = profile;
        }
    }
    return longest;
}

/* R36: no ticket outlives its key, and no key lives for more than a week. A key waits for as
 * long as the one before it seals. */
static int relate_ticket_keys(const struct convert *convert) {
    struct config *config = convert->config;
    char decrypt[SCALAR_DURATION_MAX];
    char other[SCALAR_DURATION_MAX];
    uint32_t files = ticket_keys_node(convert, "files");
    config->ticket_key_files_line = convert->outline->nodes[files].line;
    if (config->ticket_key_format == TICKET_KEYS_HAPROXY && config->ticket_key_files.count != 1) {
        return convert_error(convert, files,
                             "ticket-keys: %zu files with 'format: haproxy', expected one",
                             config->ticket_key_files.count);
    }
    uint32_t state = ticket_keys_node(convert, "state-file");
    config->ticket_key_state_line = convert->outline->nodes[state].line;
    if (!config->ticket_key_state_file != !config->ticket_key_state_key) {
        return convert_error(
            convert,
            ticket_keys_node(convert, config->ticket_key_state_file ? "state-file" : "state-key"),
            "ticket-keys: state-file or state-key without the other, expected "
            "both");
    }
    if (config->ticket_key_state_file && config->ticket_key_files.count > 0) {
        return convert_error(convert, state,
                             "ticket-keys: both files and state-file, expected one of them: files "
                             "keep their keys");
    }
    if (config->ticket_key_decrypt_s == 0) {
        config->ticket_key_decrypt_s = longest_tickets(config, false)->ticket_timeout_s;
    }
    scalar_print_duration(config->ticket_key_decrypt_s * MS_PER_SECOND, decrypt, sizeof(decrypt));
    const struct config_profile *longest = longest_tickets(config, true);
    if (longest && config->ticket_key_decrypt_s < longest->ticket_timeout_s) {
        scalar_print_duration(longest->ticket_timeout_s * MS_PER_SECOND, other, sizeof(other));
        return convert_error(convert, ticket_keys_node(convert, "decrypt-for"),
                             "decrypt-for: '%s' is shorter than the ticket-timeout of "
                             "client-ssl-profile '%s' (line %u), expected at least %s or auto",
                             decrypt, longest->name, longest->line, other);
    }
    uint64_t life_s = 2ull * config->ticket_key_encrypt_s + config->ticket_key_decrypt_s;
    if (life_s > CONFIG_TICKET_KEY_LIFE_MAX_S) {
        scalar_print_duration(life_s * MS_PER_SECOND, other, sizeof(other));
        return convert_error(convert, ticket_keys_node(convert, "encrypt-for"),
                             "ticket-keys: a key would live for %s (twice encrypt-for, and "
                             "decrypt-for, which is %s), expected at most 7d",
                             other, decrypt);
    }
    return 0;
}

static int relate_main(struct convert *convert, uint32_t node, void *object) {
    struct config *config = object;
    (void)node;
    if (config->workers == 0) {
        config->workers = count_cores();
    }
    return relate_ticket_keys(convert) == 0 ? relate_listens(convert) : -1;
}

int relate_section(struct convert *convert, enum section_id id, uint32_t node, void *object) {
    static int (*const relations[SECTION_COUNT])(struct convert *, uint32_t, void *) = {
        [SECTION_MAIN] = relate_main,
        [SECTION_PROFILE] = relate_profile,
        [SECTION_CERTIFICATE] = relate_certificate,
        [SECTION_POOL] = relate_pool,
        [SECTION_VSERVER] = relate_vserver,
    };
    return relations[id] ? relations[id](convert, node, object) : 0;
}

int relate_begin(struct convert *convert, enum section_id id) {
    if (id != SECTION_PROFILE) {
        return 0;
    }
    convert->profile_nodes =
        calloc(convert->config->profile_count, sizeof(*convert->profile_nodes));
    return convert->profile_nodes ? 0 : convert_no_memory(convert);
}

static int relate_vserver_names(const struct convert *convert) {
    const struct config *config = convert->config;
    struct names names;
    if (names_init(&names, config->vserver_count) != 0) {
        return convert_no_memory(convert);
    }
    for (size_t i = 0; i < config->vserver_count; i++) {
        names_add(&names, config->vservers[i].name, config->vservers[i].line, i);
    }
    int rc = convert_unique(convert, &names, "virtual server");
    names_fini(&names);
    return rc;
}

int relate_end(struct convert *convert, enum section_id id) {
    const struct config *config = convert->config;
    if (id == SECTION_PROFILE) {
        if (names_init(&convert->profiles, config->profile_count) != 0) {
            return convert_no_memory(convert);
        }
        for (size_t i = 0; i < config->profile_count; i++) {
            names_add(&convert->profiles, config->profiles[i].name, config->profiles[i].line, i);
        }
        return convert_unique(convert, &convert->profiles, "client-ssl-profile");
    }
    if (id == SECTION_POOL) {
        if (names_init(&convert->pools, config->pool_count) != 0) {
            return convert_no_memory(convert);
        }
        for (size_t i = 0; i < config->pool_count; i++) {
            names_add(&convert->pools, config->pools[i].name, config->pools[i].line, i);
        }
        return convert_unique(convert, &convert->pools, "pool");
    }
    return id == SECTION_VSERVER ? relate_vserver_names(convert) : 0;
}
