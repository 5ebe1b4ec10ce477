/* test_keyfile.c: store/keyfile.c: files of keys, and what is wrong with them (R39). */
#include "store/keyfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "unit.h"

static char folder[] = "/tmp/reprise-keyfile-XXXXXX";

static int folder_make(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_drop(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c): the name is ours */
}

static char *path_of(const char *name, char out[static 64]) {
    snprintf(out, 64, "%s/%s", folder, name);
    return out;
}

/* Writes a file of mode 0600; its path goes to out. */
static char *file_write(const char *name, const void *data, size_t len, char out[static 64]) {
    path_of(name, out);
    unlink(out);
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
    return out;
}

/* A key whose bytes are none of them zero. */
static void key_fill(uint64_t seed, uint8_t *key, size_t len) {
    for (size_t i = 0; i < len; i++) {
        key[i] = (uint8_t)(1 + rng_below(&seed, 255));
    }
}

static struct keyfile_set *load(char *const *paths, size_t count, enum keyfile_format format,
                                const char *error) {
    struct err err = { 0 };
    struct keyfile_set *set = keyfile_load(paths, count, format, geteuid(), &err);
    if (error) {
        assert_null(set);
        /* The folder's name is another in each run. */
        const char *told = strstr(err.text, folder);
        assert_non_null(told);
        assert_string_equal(told + sizeof(folder) - 1, error);
    } else {
        assert_string_equal(err.text, "");
        assert_non_null(set);
    }
    return set;
}

static void refuse_one(char *path, const char *error) {
    load(&path, 1, KEYFILE_NGINX, error);
}

/* --- refusals ------------------------------------------------------------ */

static void a_key_of_another_length_is_refused(void **state) {
    (void)state;
    uint8_t key[81];
    char path[64];
    key_fill(1, key, sizeof(key));
    for (size_t len = 0; len <= sizeof(key); len++) {
        file_write("k", key, len, path);
        if (len != 48 && len != 80) {
            refuse_one(path, len > 80 ? "/k' has more than 80 bytes"
                                      : "/k': a key of neither 48 nor 80 bytes");
        } else {
            keyfile_free(load(&(char *){ path }, 1, KEYFILE_NGINX, NULL));
        }
    }
}

/* Each part, and each eighth of 32 bytes of the secret, alone. */
static void a_key_that_is_partly_zero_is_refused(void **state) {
    (void)state;
    static const char error[] = "/k': a key that is zero, wholly or in part, expected random bytes";
    char path[64];
    uint8_t key[80];
    for (unsigned len = 48; len <= 80; len += 32) {
        memset(key, 0, sizeof(key));
        refuse_one(file_write("k", key, len, path), error);
        key_fill(2, key, len);
        memset(key, 0, KEYRING_NAME_LEN);
        refuse_one(file_write("k", key, len, path), error);
        for (unsigned at = KEYRING_NAME_LEN; at < len; at += 8) {
            key_fill(2, key, len);
            memset(key + at, 0, 8);
            refuse_one(file_write("k", key, len, path), error);
        }
    }
}

static void a_file_that_others_may_read_is_refused(void **state) {
    (void)state;
    uint8_t key[48];
    char path[64];
    char error[128];
    key_fill(3, key, sizeof(key));
    file_write("k", key, sizeof(key), path);
    static const mode_t modes[] = { 0640, 0620, 0604, 0602, 0644, 0660, 0666, 0440 };
    for (size_t i = 0; i < LENGTH(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        snprintf(error, sizeof(error),
                 "/k' has mode %04o: others may read or write it, expected 0600 or 0400", modes[i]);
        refuse_one(path, error);
    }
    assert_int_equal(chmod(path, 0400), 0);
    keyfile_free(load(&(char *){ path }, 1, KEYFILE_NGINX, NULL));
}

static void what_is_no_file_is_refused(void **state) {
    (void)state;
    char path[64];
    refuse_one(path_of("none", path), "/none' cannot be opened: No such file or directory");
    refuse_one(path_of("", path), "/' is not a regular file");
    path_of("pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse_one(path, "/pipe' is not a regular file"); /* and nobody waited for a writer */
}

/* Needs root, who may give files away. */
static void a_file_of_somebody_else_is_refused(void **state) {
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    uint8_t key[48];
    char path[64];
    key_fill(4, key, sizeof(key));
    file_write("k", key, sizeof(key), path);
    assert_int_equal(chown(path, 12345, 0), 0);
    refuse_one(path, "/k' is owned by user 12345, expected root or the service's user");
    struct err err = { 0 };
    struct keyfile_set *set = keyfile_load(&(char *){ path }, 1, KEYFILE_NGINX, 12345, &err);
    assert_non_null(set);
    keyfile_free(set);
}

static void a_key_that_stands_twice_is_refused(void **state) {
    (void)state;
    uint8_t key[80];
    char first[64];
    char second[64];
    char *const paths[] = { first, second };
    key_fill(5, key, sizeof(key));
    file_write("a", key, sizeof(key), first);
    file_write("b", key, sizeof(key), second);
    load(paths, 2, KEYFILE_NGINX, "/b': a key with the name of another one");
    key[0] ^= 1;
    file_write("b", key, sizeof(key), second);
    load(paths, 2, KEYFILE_NGINX, "/b': a key that is the same as another one");
    key[79] ^= 1;
    file_write("b", key, sizeof(key), second);
    keyfile_free(load(paths, 2, KEYFILE_NGINX, NULL));
}

/* --- nginx --------------------------------------------------------------- */

static void nginx_s_first_file_seals(void **state) {
    (void)state;
    uint8_t keys[3][80];
    char texts[3][64];
    char *const paths[] = { texts[0], texts[1], texts[2] };
    for (unsigned i = 0; i < 3; i++) {
        key_fill(10 + i, keys[i], 80);
        file_write((const char *[]){ "a", "b", "c" }[i], keys[i], i == 1 ? 80 : 48, texts[i]);
    }
    struct keyfile_set *set = load(paths, 3, KEYFILE_NGINX, NULL);
    assert_int_equal(set->count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(set->keys[i].state, i == 0 ? KEY_CURRENT : KEY_RETIRED);
        assert_memory_equal(set->keys[i].name, keys[i], KEYRING_NAME_LEN);
        uint8_t secret[CRYPTO_KEY_LEN];
        struct bytes part = { keys[i] + 16, i == 1 ? 64 : 32 };
        crypto_extract("reprise ticket key file v1", part, secret);
        assert_memory_equal(set->keys[i].secret, secret, CRYPTO_KEY_LEN);
    }
    keyfile_free(set);
}

/* Every byte of the secret part counts, and the name does not. */
static void all_of_the_secret_part_counts(void **state) {
    (void)state;
    uint8_t key[80];
    char path[64];
    for (unsigned len = 48; len <= 80; len += 32) {
        key_fill(20, key, sizeof(key));
        struct keyfile_set *set =
            load(&(char *){ file_write("k", key, len, path) }, 1, KEYFILE_NGINX, NULL);
        struct keyring_given given = set->keys[0];
        keyfile_free(set);
        for (unsigned i = 0; i < len; i++) {
            key[i] ^= 0x40;
            set = load(&(char *){ file_write("k", key, len, path) }, 1, KEYFILE_NGINX, NULL);
            assert_int_equal(memcmp(set->keys[0].secret, given.secret, CRYPTO_KEY_LEN) == 0,
                             i < KEYRING_NAME_LEN);
            keyfile_free(set);
            key[i] ^= 0x40;
        }
    }
}

/* --- HAProxy ------------------------------------------------------------- */

static const char *const lines[] = {
    /* 48 bytes 'a', 'b', ..; 80 bytes 'e' */
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh",
    "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi",
    "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj",
    "ZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRkZGRk",
    ("ZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZW"
     "VlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWVlZWU="),
};

static char *lines_write(unsigned count, const char *end, char out[static 64]) {
    char text[4096] = "";
    for (unsigned i = 0; i < count; i++) {
        strcat(text, lines[i]); /* NOLINT: five short lines */
        strcat(text, end);      /* NOLINT */
    }
    return file_write("h", text, strlen(text), out);
}

static void haproxy_s_last_but_one_seals(void **state) {
    (void)state;
    static const char *const ends[] = { "\n", "\r\n" };
    char path[64];
    for (unsigned count = 3; count <= 5; count++) {
        lines_write(count, ends[count % 2], path);
        struct keyfile_set *set = load(&(char *){ path }, 1, KEYFILE_HAPROXY, NULL);
        assert_int_equal(set->count, 3);
        for (unsigned i = 0; i < 3; i++) {
            static const enum keyring_state states[] = { KEY_RETIRED, KEY_CURRENT, KEY_NEXT };
            uint8_t name[KEYRING_NAME_LEN];
            memset(name, (int)('a' + count - 3 + i), sizeof(name));
            assert_memory_equal(set->keys[i].name, name, sizeof(name));
            assert_int_equal(set->keys[i].state, states[i]);
        }
        /* What HAProxy does not use is not kept. */
        assert_true(crypto_is_zero(&set->keys[3], sizeof(set->keys[0])));
        keyfile_free(set);
    }
}

static void haproxy_s_wrong_lines_are_told(void **state) {
    (void)state;
    char path[64];
    char text[1024];
    load(&(char *){ lines_write(2, "\n", path) }, 1, KEYFILE_HAPROXY,
         "/h': 2 keys, expected at least 3");
    load(&(char *){ lines_write(0, "\n", path) }, 1, KEYFILE_HAPROXY,
         "/h': 0 keys, expected at least 3");
    const struct {
        const char *line;
        const char *error;
    } rows[] = {
        { "", "/h' line 2: a key of neither 48 nor 80 bytes" },
        { "# a comment", "/h' line 2: no base64 of 48 or 80 bytes" },
        { "YWFh", "/h' line 2: a key of neither 48 nor 80 bytes" },
        { lines[0], "/h' line 2: a key with the name of another one" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        snprintf(text, sizeof(text), "%s\n%s\n%s\n%s\n", lines[0], rows[i].line, lines[1],
                 lines[2]);
        file_write("h", text, strlen(text), path);
        load(&(char *){ path }, 1, KEYFILE_HAPROXY, rows[i].error);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_another_length_is_refused),
        cmocka_unit_test(a_key_that_is_partly_zero_is_refused),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_file_of_somebody_else_is_refused),
        cmocka_unit_test(a_key_that_stands_twice_is_refused),
        cmocka_unit_test(nginx_s_first_file_seals),
        cmocka_unit_test(all_of_the_secret_part_counts),
        cmocka_unit_test(haproxy_s_last_but_one_seals),
        cmocka_unit_test(haproxy_s_wrong_lines_are_told),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
