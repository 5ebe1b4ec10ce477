/* keyfile.c: see keyfile.h. */
#include "store/keyfile.h"

#include "base/secretfile.h"

#define SHORT_LEN 48u
#define LONG_LEN 80u
#define LINE_LEN_MAX 96u /* bytes decoded, padding and all */
#define FILE_MAX 16384u  /* bytes of HAProxy's: more than KEYFILE_KEYS_MAX lines take */

/* Where an error is told to be. */
struct place {
    const char *path;
    unsigned line; /* 0: the file is one key */
};

static int place_error(const struct place *at, struct err *err, const char *what) {
    return at->line ? err_set(err, "'%s' line %u: %s", at->path, at->line, what)
                    : err_set(err, "'%s': %s", at->path, what);
}

/* The parts of a key are told apart only to see that each was filled in. */
static bool has_empty_part(struct bytes key) {
    size_t part_len = (key.len - KEYRING_NAME_LEN) / 2;
    const uint8_t *secret = key.data + KEYRING_NAME_LEN;
    return crypto_is_zero(key.data, KEYRING_NAME_LEN) || crypto_is_zero(secret, part_len) ||
           crypto_is_zero(secret + part_len, part_len) ||
           crypto_has_zero_part(secret, 2 * part_len);
}

static int set_add(struct keyfile_set *set, struct bytes key, const struct place *at,
                   struct err *err) {
    if (key.len != SHORT_LEN && key.len != LONG_LEN) {
        return place_error(at, err, "a key of neither 48 nor 80 bytes");
    }
    if (has_empty_part(key)) {
        return place_error(at, err, "a key that is zero, wholly or in part, expected random bytes");
    }
    if (set->count == KEYFILE_KEYS_MAX) {
        return place_error(at, err, "more than 64 keys");
    }
    struct keyring_given *given = &set->keys[set->count];
    struct bytes secret = { key.data + KEYRING_NAME_LEN, key.len - KEYRING_NAME_LEN };
    crypto_extract("reprise ticket key file v1", secret, given->secret);
    memcpy(given->name, key.data, KEYRING_NAME_LEN);
    for (unsigned i = 0; i < set->count; i++) {
        if (memcmp(set->keys[i].name, given->name, KEYRING_NAME_LEN) == 0) {
            return place_error(at, err, "a key with the name of another one");
        }
        if (crypto_equal(set->keys[i].secret, given->secret, CRYPTO_KEY_LEN)) {
            return place_error(at, err, "a key that is the same as another one");
        }
    }
    set->count++;
    return 0;
}

static int load_nginx(struct keyfile_set *set, const char *path, uid_t user, struct err *err) {
    struct secretfile file;
    const struct place at = { .path = path };
    if (secretfile_read(&file, path, user, LONG_LEN, err) != 0) {
        return -1;
    }
    int rc = set_add(set, (struct bytes){ file.data, file.len }, &at, err);
    secretfile_drop(&file);
    return rc;
}

/* The next line, without what ends it. */
static struct bytes take_line(struct bytes *rest) {
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct bytes line = { rest->data, end ? (size_t)(end - rest->data) : rest->len };
    size_t taken = end ? line.len + 1 : line.len;
    rest->data += taken;
    rest->len -= taken;
    if (line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* `key` is a place in secret memory. */
static int add_lines(struct keyfile_set *set, struct bytes rest, const char *path,
                     uint8_t key[static LINE_LEN_MAX], struct err *err) {
    for (struct place at = { path, 1 }; rest.len > 0; at.line++) {
        struct bytes line = take_line(&rest);
        size_t len = 0;
        if (crypto_base64(line, key, LINE_LEN_MAX, &len) != 0) {
            return place_error(&at, err, "no base64 of 48 or 80 bytes");
        }
        if (set_add(set, (struct bytes){ key, len }, &at, err) != 0) {
            return -1;
        }
    }
    return set->count >= KEYFILE_LINES_MIN ? 0
                                           : err_set(err, "'%s': %u keys, expected at least %d",
                                                     path, set->count, KEYFILE_LINES_MIN);
}

static int load_haproxy(struct keyfile_set *set, const char *path, uid_t user, struct err *err) {
    struct secretfile file;
    if (secretfile_read(&file, path, user, FILE_MAX, err) != 0) {
        return -1;
    }
    uint8_t *key = secret_alloc(LINE_LEN_MAX);
    int rc = key ? add_lines(set, (struct bytes){ file.data, file.len }, path, key, err)
                 : err_set(err, "cannot lock memory for '%s' (see ulimit -l)", path);
    secret_free(key, LINE_LEN_MAX);
    secretfile_drop(&file);
    if (rc == 0 && set->count > KEYFILE_LINES_USED) {
        unsigned skip = set->count - KEYFILE_LINES_USED;
        memmove(set->keys, set->keys + skip, KEYFILE_LINES_USED * sizeof(set->keys[0]));
        crypto_wipe(set->keys + KEYFILE_LINES_USED, skip * sizeof(set->keys[0]));
        set->count = KEYFILE_LINES_USED;
    }
    return rc;
}

struct keyfile_set *keyfile_load(char *const *paths, size_t count, enum keyfile_format format,
                                 uid_t user, struct err *err) {
    struct keyfile_set *set = secret_alloc(sizeof(*set));
    if (!set) {
        err_set(err, "cannot lock %zu bytes in memory for keys (see ulimit -l)", sizeof(*set));
        return NULL;
    }
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = format == KEYFILE_HAPROXY ? load_haproxy(set, paths[i], user, err)
                                       : load_nginx(set, paths[i], user, err);
    }
    if (rc != 0) {
        keyfile_free(set);
        return NULL;
    }
    unsigned seals = format == KEYFILE_HAPROXY ? set->count - 2 : 0;
    for (unsigned i = 0; i < set->count; i++) {
        set->keys[i].state = i == seals                               ? KEY_CURRENT
                             : i > seals && format == KEYFILE_HAPROXY ? KEY_NEXT
                                                                      : KEY_RETIRED;
    }
    return set;
}

void keyfile_free(struct keyfile_set *set) {
    secret_free(set, sizeof(*set));
}
