/* test_reassembly.c: capture/reassembly.c. */
#include "capture/reassembly.h"

#include "unit.h"

#define STREAM_LEN 4000

/* What came out: bytes at their places, and what was told lost. */
struct taken {
    uint8_t bytes[STREAM_LEN];
    size_t len;
    uint64_t lost;
};

static void take_data(void *context, struct bytes data, const struct place *place) {
    (void)place;
    struct taken *taken = context;
    assert_true(taken->len + data.len <= STREAM_LEN);
    memcpy(taken->bytes + taken->len, data.data, data.len);
    taken->len += data.len;
}

static void take_lost(void *context, uint64_t len, const struct place *place) {
    (void)place;
    struct taken *taken = context;
    assert_true(taken->len + len <= STREAM_LEN);
    memset(taken->bytes + taken->len, 0, len);
    taken->len += len;
    taken->lost += len;
}

static struct taken taken;
static const struct reassembly_sink sink = { &taken, take_data, take_lost };
static uint8_t stream[STREAM_LEN];

static void add(struct reassembly *r, uint32_t isn, size_t from, size_t len) {
    const struct reassembly_in in = {
        .seq = isn + 1 + (uint32_t)from,
        .data = { stream + from, len },
        .wire_len = len,
    };
    reassembly_add(r, &in, &sink);
}

static int setup(void **state) {
    (void)state;
    uint64_t rng = 1;
    rng_fill(&rng, stream, sizeof(stream));
    memset(&taken, 0, sizeof(taken));
    return 0;
}

static void assert_all_there(size_t len) {
    assert_int_equal(taken.len, len);
    assert_int_equal(taken.lost, 0);
    assert_memory_equal(taken.bytes, stream, len);
}

static void any_order_gives_the_stream(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 200; seed++) {
        uint64_t rng = seed;
        uint32_t isn = (uint32_t)rng_next(&rng); /* wraps around in some */
        if (seed % 4 == 0) {
            isn = UINT32_MAX - 500;
        }
        memset(&taken, 0, sizeof(taken));
        struct reassembly r = { 0 };
        reassembly_syn(&r, isn);
        unsigned order[40];
        for (unsigned i = 0; i < LENGTH(order); i++) {
            order[i] = i;
        }
        for (unsigned i = LENGTH(order) - 1; i > 0; i--) {
            unsigned k = (unsigned)rng_below(&rng, i + 1);
            unsigned was = order[i];
            order[i] = order[k];
            order[k] = was;
        }
        for (unsigned i = 0; i < LENGTH(order); i++) {
            size_t from = order[i] * 100u;
            /* overlapping its neighbours */
            size_t before = from > 30 ? rng_below(&rng, 30) : 0;
            size_t after = from + 130 < STREAM_LEN ? rng_below(&rng, 30) : 0;
            add(&r, isn, from - before, 100 + before + after);
        }
        assert_all_there(STREAM_LEN);
        assert_null(r.queue);
        reassembly_fini(&r);
    }
}

static void a_hole_is_told_at_the_end(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    reassembly_syn(&r, 7);
    add(&r, 7, 0, 100);
    add(&r, 7, 200, 100);
    assert_int_equal(taken.len, 100);
    reassembly_flush(&r, &sink);
    assert_int_equal(taken.len, 300);
    assert_int_equal(taken.lost, 100);
    assert_memory_equal(taken.bytes + 200, stream + 200, 100);
    reassembly_fini(&r);
}

static void a_hole_that_was_acknowledged_is_given_up(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    reassembly_syn(&r, 7);
    add(&r, 7, 100, 100);
    for (unsigned i = 0; i < REASSEMBLY_PATIENCE; i++) {
        assert_int_equal(taken.len, 0);
        reassembly_acked(&r, 8 + 50, &sink); /* not yet what waits */
        reassembly_acked(&r, 8 + 200, &sink);
    }
    assert_int_equal(taken.lost, 100);
    assert_int_equal(taken.len, 200);
    reassembly_fini(&r);
}

static void what_waits_is_bounded(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    static uint8_t big[60000];
    reassembly_syn(&r, 0);
    const struct reassembly_sink count = { &taken, take_data, take_lost };
    (void)count;
    for (unsigned i = 0; i < 3; i++) {
        const struct reassembly_in in = {
            .seq = 1000000 + i * 60000,
            .data = { big, sizeof(big) },
            .wire_len = sizeof(big),
        };
        reassembly_add(&r, &in, &sink);
        assert_true(r.queued_bytes <= REASSEMBLY_QUEUE_MAX);
    }
    reassembly_fini(&r);
    assert_int_equal(r.queued_bytes, 0);
}

static void what_was_cut_off_is_lost(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    reassembly_syn(&r, 0);
    const struct reassembly_in in = { .seq = 1, .data = { stream, 60 }, .wire_len = 100 };
    reassembly_add(&r, &in, &sink);
    add(&r, 0, 100, 100);
    assert_int_equal(taken.len, 200);
    assert_int_equal(taken.lost, 40);
}

static void of_two_syns_the_one_that_fits_counts(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    reassembly_syn(&r, 1000);
    reassembly_syn(&r, 50000);
    add(&r, 1000, 0, 100);
    assert_all_there(100);
    memset(&taken, 0, sizeof(taken));
    r = (struct reassembly){ 0 };
    reassembly_syn(&r, 1000);
    reassembly_syn(&r, 50000);
    reassembly_acked(&r, 50001, &sink);
    add(&r, 50000, 0, 100);
    assert_all_there(100);
}

static void without_a_syn_the_first_data_is_the_start(void **state) {
    (void)state;
    struct reassembly r = { 0 };
    add(&r, 77777, 0, 100);
    add(&r, 77777, 100, 100);
    assert_all_there(200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(any_order_gives_the_stream, setup),
        cmocka_unit_test_setup(a_hole_is_told_at_the_end, setup),
        cmocka_unit_test_setup(a_hole_that_was_acknowledged_is_given_up, setup),
        cmocka_unit_test_setup(what_waits_is_bounded, setup),
        cmocka_unit_test_setup(what_was_cut_off_is_lost, setup),
        cmocka_unit_test_setup(of_two_syns_the_one_that_fits_counts, setup),
        cmocka_unit_test_setup(without_a_syn_the_first_data_is_the_start, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
