/* test_replay.c: store/replay.c. */
#include "store/replay.h"

#include <stdatomic.h>

#include "unit.h"

#define NOW_S 1700000000u
#define UNTIL_S (NOW_S + 3600)

static struct replay *replay_make(uint32_t tickets) {
    struct replay *replay = shared_alloc(replay_layout_bytes(tickets));
    replay_init(replay, tickets, NOW_S * 1000ull);
    return replay;
}

static void replay_drop(struct replay *replay) {
    shared_free(replay, replay_layout_bytes(replay_capacity(replay)));
}

static enum replay_result claim_at(struct replay *replay, uint64_t number, uint64_t now_s,
                                   uint64_t until_s) {
    uint8_t name[32] = { 0 };
    memcpy(name, &number, sizeof(number));
    return replay_claim(replay, (struct bytes){ name, sizeof(name) }, now_s, until_s);
}

static enum replay_result claim(struct replay *replay, uint64_t number) {
    return claim_at(replay, number, NOW_S, UNTIL_S);
}

/* R29 */
static void a_ticket_is_claimed_once(void **state) {
    (void)state;
    struct replay *replay = replay_make(10000);
    for (uint64_t n = 0; n < 500; n++) {
        assert_int_equal(claim(replay, n), REPLAY_FIRST);
        assert_int_equal(claim(replay, n), REPLAY_USED);
    }
    for (uint64_t n = 0; n < 500; n++) {
        assert_int_equal(claim(replay, n), REPLAY_USED);
    }
    replay_drop(replay);
}

/* A claim counts to its end, and then makes room. */
static void a_claim_ends_when_the_ticket_does(void **state) {
    (void)state;
    struct replay *replay = replay_make(REPLAY_TICKETS_MIN);
    assert_int_equal(claim(replay, 1), REPLAY_FIRST);
    assert_int_equal(claim_at(replay, 1, UNTIL_S - 1, UNTIL_S), REPLAY_USED);
    assert_int_equal(claim_at(replay, 1, UNTIL_S, UNTIL_S + 1), REPLAY_FIRST);
    for (uint64_t hour = 0; hour < 100; hour++) {
        uint64_t now_s = NOW_S + (hour + 2) * 3600;
        for (uint64_t n = 0; n < REPLAY_TICKETS_MIN / 8; n++) {
            assert_int_equal(claim_at(replay, 1000000 * hour + n, now_s, now_s + 3600),
                             REPLAY_FIRST);
        }
    }
    replay_drop(replay);
}

/* Beyond 2106 a slot has no room for the time: it counts for ever. */
static void times_that_do_not_fit(void **state) {
    (void)state;
    struct replay *replay = replay_make(REPLAY_TICKETS_MIN);
    assert_int_equal(claim_at(replay, 1, NOW_S, UINT64_MAX), REPLAY_FIRST);
    assert_int_equal(claim_at(replay, 1, UINT32_MAX - 1, UINT64_MAX), REPLAY_USED);
    replay_drop(replay);
}

/* Full: what there is no room to remember is refused, and nothing is forgotten. */
static void a_full_register_refuses(void **state) {
    (void)state;
    struct replay *replay = replay_make(REPLAY_TICKETS_MIN);
    enum { OFFERS = 8 * 1024 };
    static bool first[OFFERS];
    unsigned count = 0;
    for (uint64_t n = 0; n < OFFERS; n++) {
        enum replay_result result = claim(replay, n);
        first[n] = result == REPLAY_FIRST;
        count += first[n];
        assert_true(first[n] || result == REPLAY_FULL);
        /* A bucket of eight that is full so early: once in a million runs. */
        assert_true(first[n] || n > REPLAY_TICKETS_MIN / 8);
    }
    assert_in_range(count, REPLAY_TICKETS_MIN, 2 * REPLAY_TICKETS_MIN);
    for (uint64_t n = 0; n < OFFERS; n++) {
        assert_int_equal(claim(replay, n), first[n] ? REPLAY_USED : REPLAY_FULL);
    }
    replay_drop(replay);
}

/* Below its size nearly all find room: the slots are twice as many. */
static void as_many_as_laid_out_find_room(void **state) {
    (void)state;
    struct replay *replay = replay_make(100000);
    unsigned full = 0;
    for (uint64_t n = 0; n < 100000; n++) {
        full += claim(replay, n) == REPLAY_FULL;
    }
    assert_in_range(full, 0, 100000 / 50);
    replay_drop(replay);
}

struct race {
    _Atomic uint64_t go;
    _Atomic uint64_t done;
    _Atomic uint64_t firsts;
    _Atomic uint64_t claims;
};

#define RACERS 4
#define ROUNDS 3000

/* R29: many workers claim the same ticket at the same moment: at most one is first. */
static void a_race_has_at_most_one_winner(void **state) {
    (void)state;
    struct replay *replay = replay_make(REPLAY_TICKETS_MIN * 8);
    struct race *race = shared_alloc(ROUNDS * sizeof(*race));
    pid_t pids[RACERS];
    for (unsigned i = 0; i < RACERS; i++) {
        pids[i] = child_fork();
        if (pids[i] == 0) {
            for (uint64_t round = 0; round < ROUNDS; round++) {
                race[round].go++;
                race[round].firsts += claim(replay, round) == REPLAY_FIRST;
                race[round].claims++;
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < RACERS; i++) {
        assert_int_equal(child_wait(pids[i]), 0);
    }
    unsigned firsts = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        assert_true(race[round].firsts <= 1);
        assert_int_equal(race[round].claims, RACERS);
        firsts += (unsigned)race[round].firsts;
    }
    assert_true(firsts > ROUNDS / 2); /* nearly always one is */
    shared_free(race, ROUNDS * sizeof(*race));
    replay_drop(replay);
}

static void it_knows_since_when_it_is(void **state) {
    (void)state;
    struct replay *replay = replay_make(REPLAY_TICKETS_MIN);
    assert_true(replay_since_ms(replay) == NOW_S * 1000ull);
    replay_drop(replay);
}

static void only_a_sound_layout_is_a_register(void **state) {
    (void)state;
    struct replay *replay = replay_make(5000);
    size_t len = replay_layout_bytes(5000);
    uint64_t *words = (uint64_t *)(void *)replay;
    assert_true(replay_is_sound(replay, len));
    assert_false(replay_is_sound(replay, len - 1));
    assert_false(replay_is_sound(replay, 10));
    words[0] ^= 1;
    assert_false(replay_is_sound(replay, len));
    words[0] ^= 1;
    words[4] ^= 1ull << 40; /* the buckets */
    assert_false(replay_is_sound(replay, len));
    replay_drop(replay); /* its size is as it was */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_claimed_once),
        cmocka_unit_test(a_claim_ends_when_the_ticket_does),
        cmocka_unit_test(times_that_do_not_fit),
        cmocka_unit_test(a_full_register_refuses),
        cmocka_unit_test(as_many_as_laid_out_find_room),
        cmocka_unit_test(a_race_has_at_most_one_winner),
        cmocka_unit_test(it_knows_since_when_it_is),
        cmocka_unit_test(only_a_sound_layout_is_a_register),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
