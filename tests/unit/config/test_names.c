/* test_names.c: config/names.c. */
#include "config/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void empty_finds_nothing(void **state) {
    (void)state;
    struct names names;
    const struct names_entry *first;
    assert_int_equal(names_init(&names, 0), 0);
    assert_null(names_sort(&names, &first));
    assert_null(names_find(&names, "a"));
    names_fini(&names);
}

static void second_of_a_name_is_the_later_line(void **state) {
    (void)state;
    struct names names;
    const struct names_entry *first = NULL;
    assert_int_equal(names_init(&names, 4), 0);
    names_add(&names, "b", 9, 0);
    names_add(&names, "c", 3, 1);
    names_add(&names, "b", 2, 2);
    names_add(&names, "a", 7, 3);
    const struct names_entry *second = names_sort(&names, &first);
    assert_non_null(second);
    assert_int_equal(second->line, 9);
    assert_int_equal(first->line, 2);
    names_fini(&names);
}

static void each_is_found(void **state) {
    (void)state;
    static const char *const all[] = { "delta", "alpha", "echo", "bravo", "charlie" };
    struct names names;
    const struct names_entry *first;
    assert_int_equal(names_init(&names, 5), 0);
    for (size_t i = 0; i < 5; i++) {
        names_add(&names, all[i], (unsigned)i + 1, i);
    }
    assert_null(names_sort(&names, &first));
    for (size_t i = 0; i < 5; i++) {
        const struct names_entry *found = names_find(&names, all[i]);
        assert_non_null(found);
        assert_int_equal(found->position, i);
    }
    assert_null(names_find(&names, "aardvark"));
    assert_null(names_find(&names, "bravo2"));
    assert_null(names_find(&names, "zulu"));
    names_fini(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_finds_nothing),
        cmocka_unit_test(second_of_a_name_is_the_later_line),
        cmocka_unit_test(each_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
