/* test_err.c: base/err.c. */
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void err_is_empty_at_first(void **state) {
    (void)state;
    struct err err = { 0 };
    assert_false(err.set);
    assert_string_equal(err.text, "");
}

static void err_set_formats_and_returns_minus_one(void **state) {
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_set(&err, "%s:%d: no such pool", "reprise.yaml", 7), -1);
    assert_true(err.set);
    assert_string_equal(err.text, "reprise.yaml:7: no such pool");
}

static void err_set_keeps_the_first(void **state) {
    (void)state;
    struct err err = { 0 };
    err_set(&err, "the cause");
    assert_int_equal(err_set(&err, "what followed"), -1);
    assert_int_equal(err_set_errno(&err, ENOENT, "what followed"), -1);
    assert_string_equal(err.text, "the cause");
}

static void err_set_keeps_a_first_empty_text(void **state) {
    (void)state;
    struct err err = { 0 };
    err_set(&err, "%s", "");
    err_set(&err, "what followed");
    assert_string_equal(err.text, "");
}

static void err_set_cuts_what_does_not_fit(void **state) {
    (void)state;
    char longer[2 * ERR_TEXT_MAX];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct err err = { 0 };
    err_set(&err, "%s", longer);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);

    err_clear(&err);
    err_set_errno(&err, ENOENT, "%s", longer);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void err_set_errno_appends_the_system_s_text(void **state) {
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_set_errno(&err, ENOENT, "cannot open '%s'", "a.pem"), -1);
    assert_true(err.set);
    assert_string_equal(err.text, "cannot open 'a.pem': No such file or directory");
}

static void err_clear_lets_a_new_error_in(void **state) {
    (void)state;
    struct err err = { 0 };
    err_set(&err, "old");
    err_clear(&err);
    assert_false(err.set);
    assert_string_equal(err.text, "");
    err_set(&err, "new");
    assert_string_equal(err.text, "new");
}

static void err_may_be_null(void **state) {
    (void)state;
    assert_int_equal(err_set(NULL, "nobody reads %s", "this"), -1);
    assert_int_equal(err_set_errno(NULL, EIO, "nobody reads this"), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_is_empty_at_first),
        cmocka_unit_test(err_set_formats_and_returns_minus_one),
        cmocka_unit_test(err_set_keeps_the_first),
        cmocka_unit_test(err_set_keeps_a_first_empty_text),
        cmocka_unit_test(err_set_cuts_what_does_not_fit),
        cmocka_unit_test(err_set_errno_appends_the_system_s_text),
        cmocka_unit_test(err_clear_lets_a_new_error_in),
        cmocka_unit_test(err_may_be_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
