/* test_hex.c: bytes as hexadecimal text. */
#include "base/hex.h"

#include <stdio.h>
#include <string.h>

#include "unit.h"

static void it_writes_what_printf_writes(void **state) {
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        uint8_t byte = (uint8_t)value;
        char expected[3];
        char text[2];
        snprintf(expected, sizeof(expected), "%02x", value);
        assert_int_equal(hex_write((struct bytes){ &byte, 1 }, text), 2);
        assert_memory_equal(text, expected, 2);
    }
}

static void bytes_stand_in_their_order(void **state) {
    static const uint8_t bytes[] = { 0x00, 0xde, 0xad, 0x01 };
    char text[2 * sizeof(bytes) + 1];
    (void)state;
    assert_string_equal(hex_text(bytes, sizeof(bytes), text), "00dead01");
}

static void nothing_is_an_empty_text(void **state) {
    char text[1] = "x";
    (void)state;
    assert_string_equal(hex_text(NULL, 0, text), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_what_printf_writes),
        cmocka_unit_test(bytes_stand_in_their_order),
        cmocka_unit_test(nothing_is_an_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
