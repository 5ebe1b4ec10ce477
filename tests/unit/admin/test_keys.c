/* test_keys.c: admin/keys.c: the answer of `reprise ctl keys`. */
#include "admin/keys.h"

#include "ring.h"

static const struct keyring_lives lives = { ENCRYPT_S, OPEN_S };

/* The answer; to be freed. */
static char *write_list(const struct keyring_list *list, uint64_t now_s, bool json) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    keys_write(list, &lives, now_s, out, json);
    assert_int_equal(fclose(out), 0);
    return text;
}

static struct keyring_list list_at(enum keyring_state first, uint64_t current_s) {
    struct keyring_list list = { .began_s = START_S, .cache_oldest_s = KEYRING_NEVER, .count = 1 };
    list.keys[0] = (struct keyring_about){
        .name = { 0xab, 0xcd }, .state = first, .made_s = START_S, .current_s = current_s
    };
    return list;
}

static void the_current_key_tells_what_is_to_come(void **state) {
    (void)state;
    struct keyring_list list = list_at(KEY_CURRENT, START_S + 60);
    char *text = write_list(&list, START_S + 100, false);
    assert_string_equal(
        text, "key                               state    from     age (s)  seals from            "
              "only opens from       wiped               \n"
              "abcd0000000000000000000000000000  current  service      100  1970-01-12T13:47:40Z  "
              "1970-01-12T14:47:40Z  1970-01-12T16:47:40Z\n"
              "what was recorded before 1970-01-12T13:47:40Z can no longer be decrypted with what "
              "this machine holds\n");
    free(text);
    text = write_list(&list, START_S + 100, true);
    assert_string_equal(
        text, "{\"keys\":[{\"name\":\"abcd0000000000000000000000000000\",\"state\":\"current\","
              "\"from\":\"service\",\"age-s\":100,\"seals-from\":\"1970-01-12T13:47:40Z\","
              "\"only-opens-from\":\"1970-01-12T14:47:40Z\",\"wiped\":\"1970-01-12T16:47:40Z\"}],"
              "\"forward-secrecy\":{\"kind\":\"bound\",\"before\":\"1970-01-12T13:47:40Z\","
              "\"before-s\":1000060}}\n");
    free(text);
}

static void a_file_s_key_has_no_end(void **state) {
    (void)state;
    struct keyring_list list = list_at(KEY_CURRENT, START_S);
    list.keys[0].from_file = true;
    char *text = write_list(&list, START_S, true);
    assert_non_null(strstr(text, "\"from\":\"file\",\"age-s\":0,"));
    assert_non_null(strstr(text, "\"only-opens-from\":null,\"wiped\":null}],"));
    assert_non_null(strstr(text, "{\"kind\":\"none\",\"before\":null,\"before-s\":null}}"));
    free(text);
    text = write_list(&list, START_S, false);
    assert_non_null(strstr(text, "\nkeys come from files: "));
    free(text);
}

static void a_clock_set_back_is_told(void **state) {
    (void)state;
    struct keyring_list list = list_at(KEY_CURRENT, START_S);
    char *text = write_list(&list, START_S - 10, true);
    assert_non_null(strstr(text, "\"age-s\":0,"));
    assert_non_null(strstr(text, "{\"kind\":\"unknown\",\"before\":null,\"before-s\":null}}"));
    free(text);
    text = write_list(&list, START_S - 10, false);
    assert_non_null(strstr(text, "\nthe clock was set back: "));
    free(text);
}

/* In the order of their lives, and of the wiped ones only the latest. */
static void keys_stand_in_order(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    static struct keyring_list list;
    uint64_t now_s = START_S;
    for (unsigned turn = 0; turn < 20; turn++) {
        now_s += ENCRYPT_S;
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    }
    assert_int_equal(keyring_look(ring, &list), 0);
    char *text = write_list(&list, now_s, false);
    static const char *const words[] = { "next",  "current", "retired", "retired", "wiped",
                                         "wiped", "wiped",   "wiped",   NULL };
    char *line = strchr(text, '\n') + 1;
    for (unsigned i = 0; words[i]; i++) {
        char word[16];
        assert_int_equal(sscanf(line, "%*32s %15s", word), 1);
        assert_string_equal(word, words[i]);
        line = strchr(line, '\n') + 1;
    }
    assert_int_equal(strncmp(line, "what was recorded before ", 25), 0);
    free(text);
    ring_drop(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_current_key_tells_what_is_to_come),
        cmocka_unit_test(a_file_s_key_has_no_end),
        cmocka_unit_test(a_clock_set_back_is_told),
        cmocka_unit_test(keys_stand_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
