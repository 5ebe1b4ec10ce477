/* test_decimal.c: numbers as decimal text. */
#include "base/decimal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

static void it_writes_what_printf_writes(void **state) {
    static const uint64_t values[] = { 0,   1,    9,    10,    99,         100,
                                       999, 1000, 8443, 65535, UINT32_MAX, UINT64_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char expected[DECIMAL_MAX + 1];
        char text[DECIMAL_MAX];
        int n = snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
        assert_int_equal(decimal_write(values[i], text), n);
        assert_memory_equal(text, expected, (size_t)n);
    }
}

static void thousandths_have_three_digits(void **state) {
    (void)state;
    for (unsigned value = 0; value < 1000; value++) {
        char expected[8];
        char text[3];
        snprintf(expected, sizeof(expected), "%03u", value);
        assert_int_equal(decimal_write_thousandths(value, text), 3);
        assert_memory_equal(text, expected, 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_what_printf_writes),
        cmocka_unit_test(thousandths_have_three_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
