/* test_suggest.c: config/suggest.c. */
#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *nearest(const char *written) {
    struct suggest suggest = suggest_start(written);
    suggest_offer(&suggest, "cache-size");
    suggest_offer(&suggest, "cache-timeout");
    suggest_offer(&suggest, "run");
    suggest_offer(&suggest, "check");
    return suggest.nearest;
}

static void nothing_is_near(void **state) {
    (void)state;
    assert_null(nearest(""));
    assert_null(nearest("colour"));
    assert_null(nearest("r"));
    assert_null(nearest("cache"));
    assert_null(nearest("a-very-long-word-that-nobody-would-write-in-a-configuration-file"));
}

static void a_slip_is_near(void **state) {
    (void)state;
    assert_string_equal(nearest("cach-size"), "cache-size");
    assert_string_equal(nearest("cache_size"), "cache-size");
    assert_string_equal(nearest("cache-sizes"), "cache-size");
    assert_string_equal(nearest("cahce-size"), "cache-size");
    assert_string_equal(nearest("cache-time"), "cache-size");
    assert_string_equal(nearest("cachetimeout"), "cache-timeout");
    assert_string_equal(nearest("ru"), "run");
    assert_string_equal(nearest("chekc"), "check");
}

static void the_nearest_wins_whatever_the_order(void **state) {
    (void)state;
    struct suggest suggest = suggest_start("health-fal");
    suggest_offer(&suggest, "health-rise");
    suggest_offer(&suggest, "health-fall");
    suggest_offer(&suggest, "health-check");
    assert_string_equal(suggest.nearest, "health-fall");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_near),
        cmocka_unit_test(a_slip_is_near),
        cmocka_unit_test(the_nearest_wins_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
