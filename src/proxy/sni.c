/* sni.c: see sni.h. The table is open-addressed and at most half full. */
#include "proxy/sni.h"

#include <stdlib.h>

#include "base/crypto.h"

struct sni_entry {
    const char *name; /* borrowed: "www.example.com" or "*.example.com"; null: free */
    const struct config_profile *profile;
};

struct sni_table {
    uint64_t hash_key[2]; /* names come from anyone */
    size_t mask;
    const struct config_profile *default_profile;
    struct sni_entry entries[];
};

static size_t name_count(const struct config_vserver *vserver) {
    size_t count = 0;
    for (size_t i = 0; i < vserver->profile_count; i++) {
        count += vserver->profiles[i]->server_names.count;
    }
    return count;
}

static struct sni_entry *sni_slot(struct sni_table *table, struct bytes name) {
    size_t i = (size_t)crypto_siphash(table->hash_key, name) & table->mask;
    while (table->entries[i].name) {
        const char *have = table->entries[i].name;
        if (strlen(have) == name.len && memcmp(have, name.data, name.len) == 0) {
            break;
        }
        i = (i + 1) & table->mask;
    }
    return &table->entries[i];
}

struct sni_table *sni_new(const struct config_vserver *vserver) {
    size_t size = 4;
    while (size < 2 * name_count(vserver)) {
        size *= 2;
    }
    struct sni_table *table = calloc(1, sizeof(*table) + size * sizeof(table->entries[0]));
    if (!table) {
        return NULL;
    }
    crypto_random(table->hash_key, sizeof(table->hash_key));
    table->mask = size - 1;
    table->default_profile = vserver->default_profile;
    for (size_t i = 0; i < vserver->profile_count; i++) {
        const struct config_profile *profile = vserver->profiles[i];
        for (size_t n = 0; n < profile->server_names.count; n++) {
            const char *name = profile->server_names.at[n];
            struct sni_entry *slot =
                sni_slot(table, (struct bytes){ (const uint8_t *)name, strlen(name) });
            *slot = (struct sni_entry){ name, profile };
        }
    }
    return table;
}

void sni_free(struct sni_table *table) {
    free(table);
}

size_t sni_normalise(struct bytes name, uint8_t *out) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
    }
    return name.len > 1 && out[name.len - 1] == '.' ? name.len - 1 : name.len;
}

static const struct config_profile *find_exact(const struct sni_table *table, struct bytes name) {
    /* sni_slot only reads when the name is looked for. */
    return sni_slot((struct sni_table *)(uintptr_t)table, name)->profile;
}

const struct config_profile *sni_find(const struct sni_table *table, struct bytes name) {
    if (name.len == 0 || name.len > 255) {
        return table->default_profile;
    }
    /* A name that holds a star is no host name: it must not match a pattern. */
    const struct config_profile *found = NULL;
    if (!memchr(name.data, '*', name.len)) {
        found = find_exact(table, name);
        const uint8_t *dot = memchr(name.data, '.', name.len);
        if (!found && dot && dot > name.data) {
            uint8_t pattern[256];
            size_t rest = name.len - (size_t)(dot - name.data);
            pattern[0] = '*';
            memcpy(pattern + 1, dot, rest);
            found = find_exact(table, (struct bytes){ pattern, rest + 1 });
        }
    }
    return found ? found : table->default_profile;
}
