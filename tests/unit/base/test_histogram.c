/* test_histogram.c: base/histogram.c. */
#include "base/histogram.h"

#include <stdlib.h>

#include "unit.h"

static struct histogram h;

static void clear(void) {
    memset(&h, 0, sizeof(h));
}

static void an_empty_one_says_zero(void **state) {
    (void)state;
    clear();
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_int_equal(histogram_quantile(&h, 1), 0);
    assert_true(histogram_mean(&h) == 0);
}

static void small_values_are_exact(void **state) {
    (void)state;
    for (uint64_t v = 0; v < 256; v++) {
        clear();
        histogram_add(&h, v);
        assert_int_equal(histogram_quantile(&h, 0.5), v);
        assert_int_equal(histogram_bucket(v), v);
    }
}

/* Each value is in a bucket, buckets neither overlap nor leave a gap. */
static void buckets_follow_each_other(void **state) {
    (void)state;
    assert_int_equal(histogram_bucket_start(0), 0);
    for (size_t i = 1; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t start = histogram_bucket_start(i);
        assert_true(start > histogram_bucket_start(i - 1));
        assert_int_equal(histogram_bucket(start), i);
        assert_int_equal(histogram_bucket(start - 1), i - 1);
    }
    assert_int_equal(histogram_bucket_start(HISTOGRAM_BUCKETS), HISTOGRAM_MAX);
}

static void what_is_told_is_one_percent_off_at_most(void **state) {
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 100000; i++) {
        uint64_t v = rng_next(&random) >> (32 + rng_below(&random, 32));
        uint64_t low = histogram_bucket_start(histogram_bucket(v));
        uint64_t high = histogram_bucket_start(histogram_bucket(v) + 1);
        uint64_t told = low + (high - low) / 2;
        uint64_t off = told > v ? told - v : v - told;
        assert_true(low <= v && v < high);
        assert_true(off * 100 <= v);
    }
}

static void values_past_the_end_keep_their_largest(void **state) {
    (void)state;
    clear();
    histogram_add(&h, 5);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, HISTOGRAM_MAX);
    assert_int_equal(h.count, 3);
    assert_int_equal(histogram_quantile(&h, 0.1), 5);
    assert_int_equal(histogram_quantile(&h, 1), UINT64_MAX);
    assert_int_equal(h.max, UINT64_MAX);
}

/* Against the sorted values themselves. */
static void quantiles_are_those_of_the_values(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static uint64_t values[COUNT];
    uint64_t random = 7;
    clear();
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = i * i; /* sorted as they are */
        histogram_add(&h, values[i]);
    }
    for (int i = 0; i < 1000; i++) {
        double part = (double)(rng_below(&random, 999) + 1) / 1000;
        uint64_t right = values[(size_t)(part * COUNT + 0.999999) - 1];
        uint64_t told = histogram_quantile(&h, part);
        uint64_t off = told > right ? told - right : right - told;
        assert_true(off * 100 <= right + 100);
    }
    assert_int_equal(histogram_quantile(&h, 1), values[COUNT - 1]);
    assert_int_equal(histogram_quantile(&h, 0), 0);
}

static void merging_is_as_if_all_had_come_to_one(void **state) {
    (void)state;
    static struct histogram parts[3];
    static struct histogram merged;
    uint64_t random = 3;
    clear();
    memset(&merged, 0, sizeof(merged));
    memset(parts, 0, sizeof(parts));
    for (int i = 0; i < 10000; i++) {
        uint64_t v = rng_below(&random, 1000000);
        histogram_add(&h, v);
        histogram_add(&parts[i % 3], v);
    }
    for (size_t i = 0; i < LENGTH(parts); i++) {
        histogram_merge(&merged, &parts[i]);
    }
    assert_memory_equal(&merged, &h, sizeof(h));
    assert_true(histogram_mean(&h) > 480000 && histogram_mean(&h) < 520000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test(what_is_told_is_one_percent_off_at_most),
        cmocka_unit_test(values_past_the_end_keep_their_largest),
        cmocka_unit_test(quantiles_are_those_of_the_values),
        cmocka_unit_test(merging_is_as_if_all_had_come_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
