/* test_spread.c: load/spread.c. */
#include "load/spread.h"

#include "unit.h"

static void nothing_measured_is_nothing(void **state) {
    (void)state;
    double none[1] = { 5 };
    struct spread s = spread_of(none, 0);
    assert_int_equal(s.count, 0);
    assert_true(s.median == 0 && s.min == 0 && s.max == 0);
}

static void medians_of_odd_and_even_numbers(void **state) {
    (void)state;
    double odd[] = { 9, 1, 5 };
    double even[] = { 9, 1, 5, 2 };
    struct spread s = spread_of(odd, LENGTH(odd));
    assert_true(s.median == 5 && s.min == 1 && s.max == 9 && s.count == 3);
    s = spread_of(even, LENGTH(even));
    assert_true(s.median == 3.5 && s.min == 1 && s.max == 9 && s.count == 4);
}

/* A machine that is twice as slow in one turn changes no ratio. */
static void ratios_are_taken_turn_by_turn(void **state) {
    (void)state;
    double base[] = { 10, 20, 10 };
    double values[] = { 5, 10, 5 };
    struct spread s = spread_of_ratios(values, base, LENGTH(base));
    assert_true(s.median == 0.5 && s.min == 0.5 && s.max == 0.5 && s.count == 3);
}

static void turns_without_a_base_are_left_out(void **state) {
    (void)state;
    double base[] = { 0, 4, 0 };
    double values[] = { 7, 8, 9 };
    struct spread s = spread_of_ratios(values, base, LENGTH(base));
    assert_true(s.median == 2 && s.count == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_measured_is_nothing),
        cmocka_unit_test(medians_of_odd_and_even_numbers),
        cmocka_unit_test(ratios_are_taken_turn_by_turn),
        cmocka_unit_test(turns_without_a_base_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
