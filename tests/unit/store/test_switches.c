/* test_switches.c: store/switches.c. */
#include "store/switches.h"

#include <stdlib.h>

#include "unit.h"

#define NOW_MS 1700000000000u

static struct switches s;

static void make_name(uint32_t number, uint8_t name[static SWITCHES_NAME_LEN]) {
    memset(name, 7, SWITCHES_NAME_LEN);
    memcpy(name, &number, sizeof(number));
}

static uint64_t before_ms(uint32_t number) {
    uint8_t name[SWITCHES_NAME_LEN];
    make_name(number, name);
    return switches_invalid_before_ms(&s, name);
}

static bool invalidate(uint32_t number, uint64_t now_ms) {
    uint8_t name[SWITCHES_NAME_LEN];
    make_name(number, name);
    return switches_invalidate_name(&s, name, now_ms);
}

static int start(void **state) {
    (void)state;
    memset(&s, 0, sizeof(s));
    return 0;
}

static void boxes_stand_as_they_were_put(void **state) {
    (void)state;
    switches_set(&s, true, false);
    assert_true(s.session_cache);
    assert_false(s.session_tickets);
    assert_true(before_ms(1) == 0);
}

static void a_name_is_ended_by_itself(void **state) {
    (void)state;
    assert_true(invalidate(1, NOW_MS));
    assert_true(before_ms(1) == NOW_MS);
    assert_true(before_ms(2) == 0);
    assert_true(invalidate(1, NOW_MS + 5));
    assert_true(before_ms(1) == NOW_MS + 5);
}

static void all_are_ended_at_once(void **state) {
    (void)state;
    assert_true(invalidate(1, NOW_MS));
    switches_invalidate_all(&s, NOW_MS + 5);
    assert_true(before_ms(1) == NOW_MS + 5);
    assert_true(before_ms(2) == NOW_MS + 5);
    assert_true(invalidate(1, NOW_MS + 6)); /* the later of both counts */
    assert_true(before_ms(1) == NOW_MS + 6);
    assert_true(before_ms(2) == NOW_MS + 5);
}

static void a_clock_set_back_takes_nothing_back(void **state) {
    (void)state;
    assert_true(invalidate(1, NOW_MS + 5));
    assert_true(invalidate(1, NOW_MS));
    assert_true(before_ms(1) == NOW_MS + 5);
    switches_invalidate_all(&s, NOW_MS + 3);
    switches_invalidate_all(&s, NOW_MS);
    assert_true(before_ms(2) == NOW_MS + 3);
}

/* More names than fit: rather all than one that is forgotten. */
static void too_many_names_end_all(void **state) {
    (void)state;
    for (uint32_t n = 0; n < SWITCHES_NAMES; n++) {
        assert_true(invalidate(n, NOW_MS + n));
    }
    assert_true(before_ms(1000) == 0);
    assert_false(invalidate(1000, NOW_MS + 100));
    for (uint32_t n = 0; n < SWITCHES_NAMES; n++) {
        assert_true(before_ms(n) == NOW_MS + 100);
    }
    assert_true(before_ms(2000) == NOW_MS + 100);
}

/* After the longest that a session lives a name's place is free again. */
static void an_old_name_makes_place(void **state) {
    (void)state;
    for (uint32_t n = 0; n < SWITCHES_NAMES; n++) {
        assert_true(invalidate(n, NOW_MS + n));
    }
    assert_false(invalidate(1000, NOW_MS + SWITCHES_KEEP_MS));
    assert_true(invalidate(1001, NOW_MS + SWITCHES_KEEP_MS + 1));
    assert_true(before_ms(1001) == NOW_MS + SWITCHES_KEEP_MS + 1);
}

static void a_place_is_kept_by_its_name(void **state) {
    (void)state;
    struct switches_table *table = calloc(1, sizeof(*table));
    assert_non_null(table);
    table->invalid_before_ms = NOW_MS;
    struct switches *web = switches_place(table, "web");
    assert_string_equal(web->profile, "web");
    assert_true(web->invalid_before_ms == NOW_MS);
    assert_false(web->session_cache || web->session_tickets);
    switches_invalidate_all(web, NOW_MS + 1);
    assert_ptr_not_equal(switches_place(table, "we"), web);
    assert_ptr_equal(switches_place(table, "web"), web);
    assert_true(web->invalid_before_ms == NOW_MS + 1);
    free(table);
}

/* Of the longest names, too, and of another program's that do not end. */
static void a_full_table_takes_no_more(void **state) {
    (void)state;
    char name[SWITCHES_PROFILE_MAX + 1];
    struct switches_table *table = calloc(1, sizeof(*table));
    assert_non_null(table);
    memset(table->profiles[0].profile, 'x', sizeof(table->profiles[0].profile));
    for (unsigned i = 1; i < SWITCHES_PROFILES; i++) {
        snprintf(table->profiles[i].profile, sizeof(name), "%064u", i);
    }
    snprintf(name, sizeof(name), "%064u", SWITCHES_PROFILES - 1);
    assert_ptr_equal(switches_place(table, name), &table->profiles[SWITCHES_PROFILES - 1]);
    assert_null(switches_place(table, "web"));
    free(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(boxes_stand_as_they_were_put, start),
        cmocka_unit_test_setup(a_name_is_ended_by_itself, start),
        cmocka_unit_test_setup(all_are_ended_at_once, start),
        cmocka_unit_test_setup(a_clock_set_back_takes_nothing_back, start),
        cmocka_unit_test_setup(too_many_names_end_all, start),
        cmocka_unit_test_setup(an_old_name_makes_place, start),
        cmocka_unit_test(a_place_is_kept_by_its_name),
        cmocka_unit_test(a_full_table_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
