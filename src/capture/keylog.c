/* keylog.c: see keylog.h. One entry a client random, in chains of a table that grows. */
#include "capture/keylog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "wire/limits.h"

#define BUCKETS_FIRST 256
#define LINE_MAX_LEN 512

struct entry {
    struct entry *next;
    uint8_t random[WIRE_RANDOM_LEN];
    uint8_t len[KEYLOG_LABELS];
    uint8_t secret[KEYLOG_LABELS][KEYLOG_SECRET_MAX];
};

struct keylog {
    uint64_t key[2];
    size_t count;
    size_t bucket_count;
    struct entry **buckets; /* owned */
};

static const struct {
    const char *name;
    enum keylog_label label;
} labels[] = {
    { "CLIENT_RANDOM", KEYLOG_MASTER_SECRET },
    { "CLIENT_EARLY_TRAFFIC_SECRET", KEYLOG_CLIENT_EARLY },
    { "CLIENT_HANDSHAKE_TRAFFIC_SECRET", KEYLOG_CLIENT_HANDSHAKE },
    { "SERVER_HANDSHAKE_TRAFFIC_SECRET", KEYLOG_SERVER_HANDSHAKE },
    { "CLIENT_TRAFFIC_SECRET_0", KEYLOG_CLIENT_TRAFFIC },
    { "SERVER_TRAFFIC_SECRET_0", KEYLOG_SERVER_TRAFFIC },
};

struct keylog *keylog_new(void) {
    struct keylog *keylog = calloc(1, sizeof(*keylog));
    if (!keylog) {
        return NULL;
    }
    crypto_hash_key(keylog->key);
    keylog->bucket_count = BUCKETS_FIRST;
    keylog->buckets = calloc(BUCKETS_FIRST, sizeof(struct entry *));
    if (!keylog->buckets) {
        free(keylog);
        return NULL;
    }
    return keylog;
}

void keylog_free(struct keylog *keylog) {
    if (!keylog) {
        return;
    }
    for (size_t i = 0; i < keylog->bucket_count; i++) {
        while (keylog->buckets[i]) {
            struct entry *entry = keylog->buckets[i];
            keylog->buckets[i] = entry->next;
            crypto_wipe(entry, sizeof(*entry));
            free(entry);
        }
    }
    free(keylog->buckets);
    free(keylog);
}

bool keylog_is_empty(const struct keylog *keylog) {
    return keylog->count == 0;
}

static struct entry **keylog_bucket(const struct keylog *keylog, const uint8_t *random) {
    uint64_t hash = crypto_siphash(keylog->key, (struct bytes){ random, WIRE_RANDOM_LEN });
    return &keylog->buckets[hash & (keylog->bucket_count - 1)];
}

static struct entry *keylog_entry(const struct keylog *keylog, const uint8_t *random) {
    struct entry *entry = *keylog_bucket(keylog, random);
    while (entry && memcmp(entry->random, random, WIRE_RANDOM_LEN) != 0) {
        entry = entry->next;
    }
    return entry;
}

static int keylog_grow(struct keylog *keylog) {
    size_t count = keylog->bucket_count * 2;
    struct entry **old = keylog->buckets;
    size_t old_count = keylog->bucket_count;
    struct entry **buckets = calloc(count, sizeof(struct entry *));
    if (!buckets) {
        return -1;
    }
    keylog->buckets = buckets;
    keylog->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i]) {
            struct entry *entry = old[i];
            old[i] = entry->next;
            struct entry **bucket = keylog_bucket(keylog, entry->random);
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
    return 0;
}

static struct entry *keylog_add(struct keylog *keylog, const uint8_t *random) {
    struct entry *entry = keylog_entry(keylog, random);
    if (entry || keylog->count == KEYLOG_MAX) {
        return entry;
    }
    if (keylog->count >= keylog->bucket_count && keylog_grow(keylog) != 0) {
        return NULL;
    }
    entry = calloc(1, sizeof(*entry));
    if (!entry) {
        return NULL;
    }
    memcpy(entry->random, random, WIRE_RANDOM_LEN);
    struct entry **bucket = keylog_bucket(keylog, random);
    entry->next = *bucket;
    *bucket = entry;
    keylog->count++;
    return entry;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Reads hexadecimal digits up to anything else. Returns the bytes, or 0 when they don't fit. */
static size_t read_hex(struct cursor *c, uint8_t *out, size_t cap) {
    size_t len = 0;
    while (cursor_left(c) >= 2 && hex_digit(c->at[0]) >= 0) {
        int high = hex_digit(c->at[0]);
        int low = hex_digit(c->at[1]);
        if (high < 0 || low < 0 || len == cap) {
            return 0;
        }
        out[len++] = (uint8_t)(high * 16 + low);
        (void)cursor_take(c, 2);
    }
    return len;
}

static int read_line(struct keylog *keylog, struct bytes line) {
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        size_t name_len = strlen(labels[i].name);
        if (line.len <= name_len || memcmp(line.data, labels[i].name, name_len) != 0 ||
            line.data[name_len] != ' ') {
            continue;
        }
        uint8_t random[WIRE_RANDOM_LEN];
        uint8_t secret[KEYLOG_SECRET_MAX];
        struct cursor c = cursor_of(line);
        (void)cursor_take(&c, name_len + 1);
        size_t random_len = read_hex(&c, random, sizeof(random));
        (void)cursor_u8(&c);
        size_t len = read_hex(&c, secret, sizeof(secret));
        if (random_len != WIRE_RANDOM_LEN || len == 0) {
            return 0;
        }
        struct entry *entry = keylog_add(keylog, random);
        if (entry) {
            memcpy(entry->secret[labels[i].label], secret, len);
            entry->len[labels[i].label] = (uint8_t)len;
        }
        crypto_wipe(secret, sizeof(secret));
        return entry || keylog->count == KEYLOG_MAX ? 0 : -1;
    }
    return 0;
}

int keylog_read(struct keylog *keylog, struct bytes text) {
    struct cursor c = cursor_of(text);
    while (cursor_left(&c) > 0) {
        size_t left = cursor_left(&c);
        const uint8_t *end = memchr(c.at, '\n', left);
        size_t len = end ? (size_t)(end - c.at) : left;
        if (read_line(keylog, cursor_take(&c, len)) != 0) {
            return -1;
        }
        (void)cursor_take(&c, end ? 1 : 0);
    }
    return 0;
}

int keylog_read_file(struct keylog *keylog, const char *path, struct err *err) {
    FILE *file = fopen(path, "re");
    if (!file) {
        return err_set_errno(err, errno, "cannot open the key log '%s'", path);
    }
    char line[LINE_MAX_LEN];
    int status = 0;
    while (status == 0 && fgets(line, sizeof(line), file)) {
        status = read_line(keylog, (struct bytes){ (const uint8_t *)line, strlen(line) });
    }
    if (status != 0) {
        err_set(err, "no memory for the key log '%s'", path);
    }
    if (ferror(file)) {
        status = err_set(err, "cannot read the key log '%s'", path);
    }
    crypto_wipe(line, sizeof(line));
    fclose(file);
    return status;
}

struct bytes keylog_find(const struct keylog *keylog, const uint8_t *client_random,
                         enum keylog_label label) {
    const struct entry *entry = keylog_entry(keylog, client_random);
    if (!entry) {
        return (struct bytes){ 0 };
    }
    return (struct bytes){ entry->secret[label], entry->len[label] };
}
