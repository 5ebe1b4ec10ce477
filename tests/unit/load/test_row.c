/* test_row.c: load/row.c. */
#include "load/row.h"

#include <stdlib.h>

#include "unit.h"

static void rows_add_up(void **state) {
    (void)state;
    struct load_row *a = calloc(1, sizeof(*a));
    struct load_row *b = calloc(1, sizeof(*b));
    assert_non_null(a);
    assert_non_null(b);
    a->done[LOAD_FULL][LOAD_CLASS_FULL] = 1;
    b->done[LOAD_PSK][LOAD_CLASS_RESUMED] = 2;
    b->done[LOAD_PSK][LOAD_CLASS_FULL] = 3;
    a->failed[LOAD_FAILURE_ALERT] = 4;
    a->alerts[40] = 4;
    b->failed[LOAD_FAILURE_TIMEOUT] = 5;
    b->aborted[LOAD_ABORT_HELLO] = 6;
    a->elapsed_ns = 10;
    b->elapsed_ns = 20;
    strcpy(b->error, "because");
    histogram_add(&b->answer_us[LOAD_CLASS_RESUMED], 7);
    load_row_merge(a, b);
    assert_int_equal(load_row_done(a), 6);
    assert_int_equal(load_row_resumed(a), 2);
    assert_int_equal(load_row_failed(a), 9);
    assert_int_equal(load_row_aborted(a), 6);
    assert_int_equal(a->alerts[40], 4);
    assert_int_equal(a->elapsed_ns, 20);
    assert_string_equal(a->error, "because");
    assert_int_equal(a->answer_us[LOAD_CLASS_RESUMED].count, 1);
    free(a);
    free(b);
}

/* The words are keys of the JSON output. */
static void every_failure_has_a_word_of_its_own_and_a_meaning(void **state) {
    (void)state;
    for (int i = 0; i < LOAD_FAILURES; i++) {
        assert_true(strlen(load_failure_word((enum load_failure)i)) > 0);
        assert_true(strlen(load_failure_meaning((enum load_failure)i)) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(load_failure_word((enum load_failure)i),
                                    load_failure_word((enum load_failure)j));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_add_up),
        cmocka_unit_test(every_failure_has_a_word_of_its_own_and_a_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
