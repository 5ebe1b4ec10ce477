/* test_keylog.c: capture/keylog.c. */
#include "capture/keylog.h"

#include "unit.h"

#define RANDOM "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static const uint8_t client_random[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                           11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                           22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };

static void lines_are_read_and_others_passed_over(void **state) {
    (void)state;
    struct keylog *keylog = keylog_new();
    assert_non_null(keylog);
    assert_true(keylog_is_empty(keylog));
    static const char log[] = "# a comment\n"
                              "NOT_A_LABEL " RANDOM " 0102\n"
                              "CLIENT_RANDOM " RANDOM "\n"
                              "CLIENT_RANDOM 0102 0304\n"
                              "CLIENT_RANDOM " RANDOM " 01020\r\n"
                              "SERVER_TRAFFIC_SECRET_0 " RANDOM " aAbB\r\n"
                              "CLIENT_HANDSHAKE_TRAFFIC_SECRET " RANDOM " 0506";
    assert_int_equal(keylog_read(keylog, bytes_of(log)), 0);
    struct bytes secret = keylog_find(keylog, client_random, KEYLOG_SERVER_TRAFFIC);
    assert_int_equal(secret.len, 2);
    assert_memory_equal(secret.data, "\xaa\xbb", 2);
    assert_int_equal(keylog_find(keylog, client_random, KEYLOG_CLIENT_HANDSHAKE).len, 2);
    assert_int_equal(keylog_find(keylog, client_random, KEYLOG_CLIENT_TRAFFIC).len, 0);
    keylog_free(keylog);
}

static void many_clients(void **state) {
    (void)state;
    struct keylog *keylog = keylog_new();
    assert_non_null(keylog);
    char line[160];
    for (unsigned n = 0; n < 2000; n++) {
        snprintf(line, sizeof(line), "CLIENT_RANDOM %064x %08x\n", n, n);
        assert_int_equal(keylog_read(keylog, bytes_of(line)), 0);
    }
    for (unsigned n = 0; n < 2000; n++) {
        uint8_t random[32] = { 0 };
        random[30] = (uint8_t)(n >> 8);
        random[31] = (uint8_t)n;
        struct bytes secret = keylog_find(keylog, random, KEYLOG_MASTER_SECRET);
        assert_int_equal(secret.len, 4);
        assert_int_equal(secret.data[2] << 8 | secret.data[3], n);
    }
    keylog_free(keylog);
}

static void a_file_that_is_not_there(void **state) {
    (void)state;
    struct keylog *keylog = keylog_new();
    struct err err = { 0 };
    assert_non_null(keylog);
    assert_int_equal(keylog_read_file(keylog, "/nonexistent/keys.log", &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent/keys.log"));
    keylog_free(keylog);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_and_others_passed_over),
        cmocka_unit_test(many_clients),
        cmocka_unit_test(a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
