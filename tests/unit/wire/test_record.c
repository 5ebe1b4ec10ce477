/* test_record.c: wire/record.c. */
#include "wire/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/hello_bytes.h"
#include "wire/limits.h"

static enum record_status read_plain(struct bytes in, struct record *out) {
    return record_read(in, WIRE_RECORD_PLAIN_MAX, out);
}

static void types_outside_20_to_24_are_refused(void **state) {
    (void)state;
    struct record record;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t byte = (uint8_t)type;
        assert_int_equal(read_plain((struct bytes){ &byte, 1 }, &record),
                         type >= 20 && type <= 24 ? RECORD_NEED_MORE : RECORD_BAD_TYPE);
        assert_int_equal(record.type, type);
    }
}

static void versions_outside_3_0_to_3_4_are_refused(void **state) {
    (void)state;
    struct record record;
    assert_int_equal(read_plain(BYTES("\x16\x02"), &record), RECORD_BAD_VERSION);
    assert_int_equal(read_plain(BYTES("\x16\x04"), &record), RECORD_BAD_VERSION);
    assert_int_equal(read_plain(BYTES("\x16\x03\x00"), &record), RECORD_NEED_MORE);
    assert_int_equal(read_plain(BYTES("\x16\x03\x04"), &record), RECORD_NEED_MORE);
    /* RFC 8446 5.1: what is behind the 3 is to be ignored */
    assert_int_equal(read_plain(BYTES("\x16\x03\x05"), &record), RECORD_NEED_MORE);
    assert_int_equal(read_plain(BYTES("\x16\x03\xff"), &record), RECORD_NEED_MORE);
}

static void lengths_are_bounded_by_the_caller(void **state) {
    (void)state;
    struct record record;
    struct bytes plain = BYTES("\x17\x03\x03\x40\x01");
    assert_int_equal(read_plain(plain, &record), RECORD_BAD_LENGTH);
    assert_int_equal(record_read(plain, WIRE_RECORD_CIPHER_MAX, &record), RECORD_NEED_MORE);
    struct bytes cipher = BYTES("\x17\x03\x03\x48\x00");
    assert_int_equal(record_read(cipher, WIRE_RECORD_CIPHER_MAX, &record), RECORD_NEED_MORE);
    struct bytes longer = BYTES("\x17\x03\x03\x48\x01");
    assert_int_equal(record_read(longer, WIRE_RECORD_CIPHER_MAX, &record), RECORD_BAD_LENGTH);
}

static void only_application_data_may_be_empty(void **state) {
    (void)state; /* RFC 8446 5.1 */
    struct record record;
    assert_int_equal(read_plain(BYTES("\x17\x03\x03\0\0"), &record), RECORD_COMPLETE);
    assert_int_equal(record.fragment.len, 0);
    assert_int_equal(read_plain(BYTES("\x16\x03\x03\0\0"), &record), RECORD_BAD_LENGTH);
    assert_int_equal(read_plain(BYTES("\x15\x03\x03\0\0"), &record), RECORD_BAD_LENGTH);
    assert_int_equal(read_plain(BYTES("\x14\x03\x03\0\0"), &record), RECORD_BAD_LENGTH);
}

static void nothing_needs_more(void **state) {
    (void)state;
    struct record record;
    assert_int_equal(read_plain((struct bytes){ 0 }, &record), RECORD_NEED_MORE);
    assert_int_equal(record.type, 0);
    assert_int_equal(record.fragment_len, 0);
}

static void every_truncation_gives_what_is_there(void **state) {
    (void)state;
    struct bytes whole = BYTES("\x15\x03\x01\0\2\2\x28");
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *heap = malloc(len ? len : 1);
        assert_non_null(heap);
        memcpy(heap, whole.data, len);
        struct record record;
        assert_int_equal(read_plain((struct bytes){ heap, len }, &record), RECORD_NEED_MORE);
        assert_int_equal(record.fragment_len, len < 5 ? 0 : 2);
        assert_int_equal(record.fragment.len, len < 5 ? 0 : len - 5);
        free(heap);
    }
    struct record record;
    assert_int_equal(read_plain(whole, &record), RECORD_COMPLETE);
    assert_int_equal(record.type, RECORD_ALERT);
    assert_int_equal(record.version, 0x0301);
    assert_int_equal(record.fragment_len, 2);
    assert_ptr_equal(record.fragment.data, whole.data + 5);
}

static void what_follows_is_left_alone(void **state) {
    (void)state;
    struct record record;
    assert_int_equal(read_plain(BYTES("\x14\x03\x03\0\1\1GET"), &record), RECORD_COMPLETE);
    assert_int_equal(record.fragment.len, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_outside_20_to_24_are_refused),
        cmocka_unit_test(versions_outside_3_0_to_3_4_are_refused),
        cmocka_unit_test(lengths_are_bounded_by_the_caller),
        cmocka_unit_test(only_application_data_may_be_empty),
        cmocka_unit_test(nothing_needs_more),
        cmocka_unit_test(every_truncation_gives_what_is_there),
        cmocka_unit_test(what_follows_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
