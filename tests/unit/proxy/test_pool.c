/* test_pool.c: proxy/pool.c: which backend is next. */
#include "proxy/pool.h"

#include <stdlib.h>

#include "unit.h"

#define WORKERS 3u
#define MEMBERS 5u
#define OTHERS 2u /* of the pool before ours in the shared state */

/* Two pools, of which the second is looked at: its members do not begin at zero. */
struct farm {
    struct config_member members[OTHERS + MEMBERS];
    struct config_pool config_pools[2];
    struct config config;
    size_t first[2];
    struct member_state member_states[OTHERS + MEMBERS];
    _Atomic uint32_t connections[WORKERS * (OTHERS + MEMBERS)];
    struct generation gen;
    struct pool *pools[WORKERS]; /* each worker's view of both */
};

static struct farm *farm_make(enum config_balance balance, size_t members) {
    struct farm *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->config_pools[0] = (struct config_pool){ .members = f->members, .member_count = OTHERS };
    f->config_pools[1] = (struct config_pool){ .members = f->members + OTHERS,
                                               .member_count = members,
                                               .balance = balance };
    f->config.workers = WORKERS;
    f->config.pools = f->config_pools;
    f->config.pool_count = 2;
    f->first[1] = OTHERS;
    f->gen.config = &f->config;
    f->gen.pool_first_member = f->first;
    f->gen.backends.members = f->member_states;
    f->gen.backends.connections = f->connections;
    f->gen.backends.member_count = OTHERS + members;
    for (unsigned w = 0; w < WORKERS; w++) {
        f->pools[w] = pools_new(&f->gen, w);
        assert_non_null(f->pools[w]);
    }
    return f;
}

static void farm_free(struct farm *f) {
    for (unsigned w = 0; w < WORKERS; w++) {
        pools_free(f->pools[w], &f->gen);
    }
    free(f);
}

static struct pool *pool_of(struct farm *f, unsigned worker) {
    return &f->pools[worker][1];
}

static void set_down(struct farm *f, size_t member, bool down) {
    f->member_states[OTHERS + member].down = down;
}

/* What a new connection gets. */
static size_t pick(struct farm *f, unsigned worker) {
    uint64_t tried = 0;
    size_t member = pool_pick(pool_of(f, worker), &tried);
    assert_true(tried == 1ull << member);
    return member;
}

/* --- tried before -------------------------------------------------------- */

static const enum config_balance ways[] = { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS };

/* Nobody else: it is tried although the check says that it is down, and tried again. */
static void the_only_member_is_always_picked(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        struct farm *f = farm_make(ways[i], 1);
        for (int down = 0; down <= 1; down++) {
            uint64_t tried = 0;
            set_down(f, 0, down);
            for (unsigned n = 0; n < 3; n++) {
                assert_int_equal(pool_pick(pool_of(f, 0), &tried), 0);
                assert_int_equal(tried, 1);
            }
        }
        farm_free(f);
    }
}

/* A connection whose members fail is given each one once before any twice: those that are
 * well first, then those that are not. */
static void nobody_is_tried_twice_before_all_were_once(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        for (unsigned down = 0; down < 1u << MEMBERS; down++) {
            struct farm *f = farm_make(ways[i], MEMBERS);
            for (unsigned m = 0; m < MEMBERS; m++) {
                set_down(f, m, (down >> m & 1) != 0);
            }
            uint64_t tried = 0;
            for (unsigned turn = 0; turn < 3; turn++) {
                uint64_t seen = 0;
                bool down_met = false;
                for (unsigned n = 0; n < MEMBERS; n++) {
                    size_t member = pool_pick(pool_of(f, 0), &tried);
                    assert_true(member < MEMBERS);
                    assert_true((seen & 1ull << member) == 0);
                    assert_false(down_met && (down >> member & 1) == 0);
                    down_met = (down >> member & 1) != 0;
                    seen |= 1ull << member;
                    assert_true(tried == seen);
                    /* Other connections come between. */
                    pick(f, 0);
                }
            }
            farm_free(f);
        }
    }
}

/* Beyond the 64th members share bits: none may be out of reach. */
static void a_large_pool_is_gone_through_as_well(void **state) {
    (void)state;
    enum { MANY = 100 };
    static struct member_state states[OTHERS + MANY];
    static _Atomic uint32_t connections[WORKERS * (OTHERS + MANY)];
    static struct config_member members[MANY];
    struct farm *f = farm_make(BALANCE_ROUND_ROBIN, 1);
    f->config_pools[1].members = members;
    f->config_pools[1].member_count = MANY;
    f->gen.backends.members = states;
    f->gen.backends.connections = connections;
    f->gen.backends.member_count = OTHERS + MANY;
    struct pool *pools = pools_new(&f->gen, 0);
    assert_non_null(pools);
    unsigned picked[MANY] = { 0 };
    uint64_t tried = 0;
    for (unsigned n = 0; n < 64; n++) {
        size_t member = pool_pick(&pools[1], &tried);
        assert_true(member < MANY);
        assert_int_equal(picked[member]++, 0);
    }
    for (unsigned n = 0; n < 10 * MANY; n++) {
        tried = 0;
        picked[pool_pick(&pools[1], &tried)]++;
    }
    for (unsigned m = 0; m < MANY; m++) {
        assert_in_range(picked[m], 10, 11);
    }
    pools_free(pools, &f->gen);
    farm_free(f);
}

/* --- round robin --------------------------------------------------------- */

static void round_robin_goes_round(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_ROUND_ROBIN, MEMBERS);
    size_t last = pick(f, 0);
    for (unsigned n = 0; n < 4 * MEMBERS; n++) {
        size_t member = pick(f, 0);
        assert_int_equal(member, (last + 1) % MEMBERS);
        last = member;
    }
    farm_free(f);
}

static void round_robin_passes_over_who_is_down(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_ROUND_ROBIN, MEMBERS);
    set_down(f, 1, true);
    set_down(f, 2, true);
    unsigned picked[MEMBERS] = { 0 };
    for (unsigned n = 0; n < 300; n++) {
        picked[pick(f, 0)]++;
    }
    static const unsigned expected[MEMBERS] = { 100, 0, 0, 100, 100 };
    assert_memory_equal(picked, expected, sizeof(expected));
    set_down(f, 1, false);
    for (unsigned n = 0; n < 4; n++) {
        picked[pick(f, 0)]++;
    }
    assert_int_equal(picked[1], 1);
    farm_free(f);
}

/* The pool before ours has its own members, and their health is not ours. */
static void another_pool_s_members_do_not_count(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_ROUND_ROBIN, MEMBERS);
    f->member_states[0].down = 1;
    f->member_states[1].down = 1;
    unsigned picked = 0;
    for (unsigned n = 0; n < MEMBERS; n++) {
        picked |= 1u << pick(f, 0);
    }
    assert_int_equal(picked, (1u << MEMBERS) - 1);
    uint64_t tried = 0;
    assert_in_range(pool_pick(&f->pools[0][0], &tried), 0, OTHERS - 1);
    farm_free(f);
}

/* Else the first member would get every first connection. */
static void workers_begin_at_different_members(void **state) {
    (void)state;
    unsigned first = 0;
    for (unsigned n = 0; n < 200; n++) {
        struct farm *f = farm_make(BALANCE_ROUND_ROBIN, MEMBERS);
        first |= 1u << pick(f, 0);
        farm_free(f);
    }
    assert_int_equal(first, (1u << MEMBERS) - 1);
}

/* --- least connections --------------------------------------------------- */

static void the_least_loaded_is_picked_over_all_workers(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_LEAST_CONNECTIONS, MEMBERS);
    /* 4, 3, 2, 5, 3 connections, spread over the workers. */
    static const unsigned loads[MEMBERS][WORKERS] = {
        { 4, 0, 0 }, { 1, 1, 1 }, { 0, 0, 2 }, { 0, 5, 0 }, { 0, 3, 0 }
    };
    for (unsigned m = 0; m < MEMBERS; m++) {
        for (unsigned w = 0; w < WORKERS; w++) {
            for (unsigned n = 0; n < loads[m][w]; n++) {
                pool_count(pool_of(f, w), m, 1);
            }
        }
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        for (unsigned n = 0; n < MEMBERS; n++) {
            assert_int_equal(pick(f, w), 2);
        }
    }
    set_down(f, 2, true);
    size_t member = pick(f, 0);
    assert_true(member == 1 || member == 4);
    uint64_t tried = 1u << 1;
    assert_int_equal(pool_pick(pool_of(f, 0), &tried), 4);
    tried = 1u << 4;
    assert_int_equal(pool_pick(pool_of(f, 0), &tried), 1);
    /* A connection that ends counts no more. */
    for (unsigned n = 0; n < 4; n++) {
        pool_count(pool_of(f, 1), 3, -1);
    }
    assert_int_equal(pick(f, 2), 3);
    farm_free(f);
}

static void equal_loads_take_turns(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_LEAST_CONNECTIONS, MEMBERS);
    unsigned picked[MEMBERS] = { 0 };
    for (unsigned n = 0; n < 100; n++) {
        picked[pick(f, 0)]++;
    }
    for (unsigned m = 0; m < MEMBERS; m++) {
        assert_int_equal(picked[m], 20);
    }
    farm_free(f);
}

static void counting_spreads_connections_evenly(void **state) {
    (void)state;
    struct farm *f = farm_make(BALANCE_LEAST_CONNECTIONS, MEMBERS);
    unsigned open[MEMBERS] = { 0 };
    for (unsigned n = 0; n < 40 * MEMBERS; n++) {
        struct pool *pool = pool_of(f, n % WORKERS);
        size_t member = pick(f, n % WORKERS);
        pool_count(pool, member, 1);
        open[member]++;
    }
    for (unsigned m = 0; m < MEMBERS; m++) {
        assert_int_equal(open[m], 40);
    }
    for (unsigned i = 0; i < OTHERS; i++) { /* the other pool's counts are its own */
        for (unsigned w = 0; w < WORKERS; w++) {
            assert_int_equal(f->connections[w * (OTHERS + MEMBERS) + i], 0);
        }
    }
    farm_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_only_member_is_always_picked),
        cmocka_unit_test(nobody_is_tried_twice_before_all_were_once),
        cmocka_unit_test(a_large_pool_is_gone_through_as_well),
        cmocka_unit_test(round_robin_goes_round),
        cmocka_unit_test(round_robin_passes_over_who_is_down),
        cmocka_unit_test(another_pool_s_members_do_not_count),
        cmocka_unit_test(workers_begin_at_different_members),
        cmocka_unit_test(the_least_loaded_is_picked_over_all_workers),
        cmocka_unit_test(equal_loads_take_turns),
        cmocka_unit_test(counting_spreads_connections_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
