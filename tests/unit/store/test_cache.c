/* test_cache.c: store/cache.c. Records are made from their number, so that what is read
 * back proves itself; the processes that share a cache are killed where it hurts most. */
#include "store/cache.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ptrace.h>

#include "unit.h"

#define SMALL 100 /* far below CACHE_BYTES_PER_SESSION: the count bounds, not the bytes */

#define NOW_S 1700000000u

static struct cache_size size_of(uint32_t sessions) {
    return (struct cache_size){ .sessions = sessions };
}

/* --- records that prove themselves --------------------------------------- */

static void make_id(uint64_t number, uint8_t id[static CACHE_ID_LEN]) {
    uint64_t rng = number * 2 + 1;
    rng_fill(&rng, id, CACHE_ID_LEN);
}

/* The bytes that version `version` of record `number` has. */
static struct bytes make_record(uint64_t number, uint64_t version, size_t len, uint8_t *buf) {
    uint64_t rng = number * 1000003 + version;
    if (len >= sizeof(version)) {
        rng_fill(&rng, buf + sizeof(version), len - sizeof(version));
        memcpy(buf, &version, sizeof(version));
    } else {
        memset(buf, (int)number, len);
    }
    return (struct bytes){ buf, len };
}

static enum cache_result put(struct cache *cache, uint64_t number, uint64_t version, size_t len) {
    static uint8_t buf[CACHE_RECORD_MAX + 1];
    uint8_t id[CACHE_ID_LEN];
    make_id(number, id);
    return cache_put(cache, id, make_record(number, version, len, buf), NOW_S);
}

static enum cache_result kill_record(struct cache *cache, uint64_t number) {
    uint8_t id[CACHE_ID_LEN];
    make_id(number, id);
    return cache_kill(cache, id, CACHE_MARK_UNCLEAN);
}

/* Reads a record. False when its bytes are not those of any version of it. */
static bool get_sound(struct cache *cache, uint64_t number, enum cache_result *result,
                      uint64_t *version, size_t *len) {
    static uint8_t buf[CACHE_RECORD_MAX];
    static uint8_t expected[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN];
    make_id(number, id);
    *result = cache_get(cache, id, buf, len, &(enum cache_mark){ 0 });
    if (*result == CACHE_EVICTED) {
        *result = CACHE_MISS; /* what is known of what is gone has tests of its own */
    }
    if (*result != CACHE_HIT) {
        return true;
    }
    *version = 0;
    if (*len >= sizeof(*version)) {
        memcpy(version, buf, sizeof(*version));
    }
    make_record(number, *version, *len, expected);
    return memcmp(buf, expected, *len) == 0;
}

static enum cache_result get(struct cache *cache, uint64_t number) {
    enum cache_result result;
    uint64_t version;
    size_t len;
    assert_true(get_sound(cache, number, &result, &version, &len));
    return result;
}

static void assert_record(struct cache *cache, uint64_t number, uint64_t version, size_t len) {
    enum cache_result result;
    uint64_t have_version = 0;
    size_t have_len = 0;
    assert_true(get_sound(cache, number, &result, &have_version, &have_len));
    assert_int_equal(result, CACHE_HIT);
    assert_int_equal(have_len, len);
    if (len >= sizeof(version)) {
        assert_int_equal(have_version, version);
    }
}

static struct cache *cache_make_of(struct cache_size size) {
    struct cache *cache = malloc(sizeof(*cache));
    struct err err = { 0 };
    assert_non_null(cache);
    assert_int_equal(cache_init(cache, shared_alloc(cache_layout_bytes(size)), size, &err), 0);
    assert_false(err.set);
    return cache;
}

static struct cache *cache_make(uint32_t sessions) {
    struct cache *cache = cache_make_of(size_of(sessions));
    assert_int_equal(cache_capacity(cache), sessions);
    return cache;
}

static void cache_drop(struct cache *cache) {
    shared_free(cache->base, cache_layout_bytes(cache->size));
    free(cache);
}

static struct cache_stats stats_of(struct cache *cache) {
    struct cache_stats stats;
    cache_read_stats(cache, &stats);
    return stats;
}

/* --- one record ---------------------------------------------------------- */

/* R44 */
static void a_record_too_large_is_refused_and_changes_nothing(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    put(cache, 1, 1, SMALL);
    assert_int_equal(put(cache, 1, 2, CACHE_RECORD_MAX + 1), CACHE_TOO_LARGE);
    assert_record(cache, 1, 1, SMALL);
    assert_int_equal(put(cache, 2, 1, CACHE_RECORD_MAX + 1), CACHE_TOO_LARGE);
    assert_int_equal(get(cache, 2), CACHE_MISS);
    assert_int_equal(stats_of(cache).inserts, 1);
    assert_int_equal(stats_of(cache).evicted, 0);
    cache_drop(cache);
}

static void what_was_never_put_is_not_there(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    assert_int_equal(get(cache, 1), CACHE_MISS);
    assert_int_equal(kill_record(cache, 1), CACHE_MISS);
    put(cache, 1, 1, SMALL);
    assert_int_equal(get(cache, 2), CACHE_MISS);
    assert_int_equal(kill_record(cache, 2), CACHE_MISS);
    cache_drop(cache);
}

/* An ID that differs in any one bit is another ID. */
static void ids_are_compared_whole(void **state) {
    (void)state;
    struct cache *cache = cache_make(1000);
    static uint8_t buf[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN] = { 0 };
    size_t len = 0;
    assert_int_equal(cache_put(cache, id, bytes_of("zero"), NOW_S), CACHE_HIT);
    for (unsigned bit = 0; bit < 8 * CACHE_ID_LEN; bit++) {
        id[bit / 8] = (uint8_t)(1u << bit % 8);
        assert_int_equal(cache_get(cache, id, buf, &len, &(enum cache_mark){ 0 }), CACHE_MISS);
        assert_int_equal(cache_put(cache, id, (struct bytes){ id, sizeof(id) }, NOW_S), CACHE_HIT);
        id[bit / 8] = 0;
    }
    assert_int_equal(cache_get(cache, id, buf, &len, &(enum cache_mark){ 0 }), CACHE_HIT);
    assert_int_equal(len, 4);
    assert_memory_equal(buf, "zero", 4);
    cache_drop(cache);
}

static void a_record_of_each_length_comes_back(void **state) {
    (void)state;
    static const size_t lengths[] = {
        0, 1, 7, 8, 9, 63, 64, 65, 511, 512, 513, CACHE_RECORD_MAX - 1, CACHE_RECORD_MAX
    };
    for (uint32_t sessions = 1; sessions <= 100; sessions += 99) {
        struct cache *cache = cache_make(sessions);
        for (size_t i = 0; i < LENGTH(lengths); i++) {
            assert_int_equal(put(cache, i + 1, 7, lengths[i]), CACHE_HIT);
            assert_record(cache, i + 1, 7, lengths[i]);
        }
        cache_drop(cache);
    }
}

static void put_again_replaces(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    static const size_t lengths[] = { SMALL, SMALL, 8, 4000, 16 };
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        put(cache, 1, i, lengths[i]);
        assert_record(cache, 1, i, lengths[i]);
        assert_int_equal(stats_of(cache).entries, 1);
    }
    assert_int_equal(stats_of(cache).evicted, 0);
    cache_drop(cache);
}

static void a_killed_session_is_told_from_an_unknown_one(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    put(cache, 1, 1, SMALL);
    put(cache, 2, 1, SMALL);
    assert_int_equal(kill_record(cache, 1), CACHE_HIT);
    assert_int_equal(get(cache, 1), CACHE_MARKED);
    assert_int_equal(get(cache, 2), CACHE_HIT);
    assert_int_equal(stats_of(cache).entries, 1);
    assert_int_equal(kill_record(cache, 1), CACHE_MISS);
    assert_int_equal(get(cache, 1), CACHE_MARKED);
    put(cache, 1, 2, SMALL);
    assert_record(cache, 1, 2, SMALL);
    assert_int_equal(stats_of(cache).entries, 2);
    cache_drop(cache);
}

static void kill_leaves_no_byte_of_the_record(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    uint8_t id[CACHE_ID_LEN];
    make_id(1, id);
    cache_put(cache, id, bytes_of("a secret, though sealed"), NOW_S);
    assert_non_null(memmem(cache->base, cache_layout_bytes(size_of(100)), "though sealed", 13));
    cache_kill(cache, id, CACHE_MARK_UNCLEAN);
    assert_null(memmem(cache->base, cache_layout_bytes(size_of(100)), "though sealed", 13));
    cache_drop(cache);
}

/* A killed ID takes its turn: it makes place like the others, and is then unknown. */
static void a_killed_id_is_forgotten_in_its_turn(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    for (uint64_t n = 0; n < 10; n++) {
        put(cache, n, 0, SMALL);
    }
    kill_record(cache, 0);
    kill_record(cache, 5);
    put(cache, 10, 0, SMALL);
    assert_int_equal(get(cache, 0), CACHE_MISS);
    assert_int_equal(get(cache, 1), CACHE_HIT);
    assert_int_equal(get(cache, 5), CACHE_MARKED);
    assert_int_equal(stats_of(cache).evicted, 0); /* no live one went */
    put(cache, 11, 0, SMALL);
    assert_int_equal(get(cache, 1), CACHE_MISS);
    assert_int_equal(stats_of(cache).evicted, 1);
    cache_drop(cache);
}

static void figures_add_up(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    struct cache_stats s = stats_of(cache);
    assert_int_equal(s.entries | s.bytes | s.lookups | s.hits | s.inserts | s.evicted | s.repaired,
                     0);
    for (uint64_t n = 0; n < 130; n++) {
        put(cache, n, 0, SMALL);
    }
    for (uint64_t n = 0; n < 130; n++) {
        get(cache, n);
    }
    s = stats_of(cache);
    assert_int_equal(s.entries, 100);
    assert_int_equal(s.inserts, 130);
    assert_int_equal(s.evicted, 30);
    assert_int_equal(s.lookups, 130);
    assert_int_equal(s.hits, 100);
    assert_int_equal(s.repaired, 0);
    assert_in_range(s.bytes, 100 * SMALL, 100 * CACHE_BYTES_PER_SESSION);
    cache_drop(cache);
}

static void asking_whether_it_is_there_counts_as_no_look_up(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    uint8_t id[CACHE_ID_LEN];
    make_id(0, id);
    assert_false(cache_has(cache, id));
    for (uint64_t n = 0; n < 11; n++) {
        put(cache, n, 0, SMALL);
    }
    kill_record(cache, 5);
    for (uint64_t n = 0; n < 12; n++) {
        make_id(n, id);
        assert_int_equal(cache_has(cache, id), n >= 1 && n <= 10 && n != 5);
    }
    assert_int_equal(stats_of(cache).lookups, 0);
    cache_drop(cache);
}

/* --- eviction ------------------------------------------------------------ */

/* R42 */
static void the_oldest_goes_first_exactly(void **state) {
    (void)state;
    struct cache *cache = cache_make(100);
    for (uint64_t n = 0; n < 150; n++) {
        put(cache, n, 0, SMALL);
    }
    for (uint64_t n = 0; n < 150; n++) {
        assert_int_equal(get(cache, n), n < 50 ? CACHE_MISS : CACHE_HIT);
    }
    assert_int_equal(stats_of(cache).entries, 100);
    assert_int_equal(stats_of(cache).evicted, 50);
    cache_drop(cache);
}

/* Age counts from the last put; a look-up does not make a record younger. */
static void replacing_makes_young_and_reading_does_not(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    for (uint64_t n = 0; n < 10; n++) {
        put(cache, n, 0, SMALL);
    }
    put(cache, 0, 1, SMALL);
    get(cache, 1);
    put(cache, 10, 0, SMALL);
    assert_int_equal(get(cache, 1), CACHE_MISS);
    assert_record(cache, 0, 1, SMALL);
    cache_drop(cache);
}

static void a_cache_of_one_holds_the_last(void **state) {
    (void)state;
    struct cache *cache = cache_make(1);
    uint64_t rng = 3;
    for (uint64_t n = 0; n < 2000; n++) {
        size_t len = rng_below(&rng, CACHE_RECORD_MAX + 1);
        put(cache, n, n, len);
        assert_record(cache, n, n, len);
        assert_int_equal(n > 0 ? get(cache, n - 1) : CACHE_MISS, CACHE_MISS);
        assert_int_equal(stats_of(cache).entries, 1);
    }
    cache_drop(cache);
}

/* R42: in a cache of many shards each evicts its own oldest; the whole stays bounded, and
 * nearly all of the newest are there. IDs spread by a keyed hash, so that a shard may be
 * given more than its share: 85 % of all is beyond its doing, 90 % within its luck. */
static void many_shards_stay_bounded_and_hold_the_newest(void **state) {
    (void)state;
    enum { SESSIONS = 8192, PUTS = 30000 };
    struct cache *cache = cache_make(SESSIONS);
    for (uint64_t n = 0; n < PUTS; n++) {
        assert_int_equal(put(cache, n, n, SMALL), CACHE_HIT);
        if (n % 1000 == 0) {
            assert_true(stats_of(cache).entries <= SESSIONS);
        }
    }
    struct cache_stats s = stats_of(cache);
    assert_in_range(s.entries, SESSIONS * 99 / 100, SESSIONS);
    assert_int_equal(s.inserts, PUTS);
    assert_int_equal(s.evicted, PUTS - s.entries);
    unsigned there = 0;
    for (uint64_t n = PUTS - SESSIONS * 90 / 100; n < PUTS; n++) {
        bool hit = get(cache, n) == CACHE_HIT;
        there += hit;
        assert_true(hit || n < PUTS - SESSIONS * 85 / 100);
    }
    assert_true(there >= SESSIONS * 90 / 100 * 998 / 1000);
    cache_drop(cache);
}

/* R42: not one more than configured, whatever the number of shards. */
static void the_count_is_never_exceeded(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 1, 15, 2049, 4099, 8199 };
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct cache *cache = cache_make(sizes[i]);
        for (uint64_t n = 0; n < 3 * (uint64_t)sizes[i]; n++) {
            put(cache, n, n, SMALL);
        }
        assert_true(stats_of(cache).entries <= sizes[i]);
        cache_drop(cache);
    }
}

/* R42, R44: large records are paid for by holding fewer, and none is ever cut. */
static void large_records_evict_more_and_stay_whole(void **state) {
    (void)state;
    enum { SESSIONS = 200, BIG = CACHE_RECORD_MAX };
    struct cache *cache = cache_make(SESSIONS);
    for (uint64_t n = 0; n < 1000; n++) {
        size_t len = n % 3 == 0 ? BIG : SMALL + n;
        assert_int_equal(put(cache, n, n, len), CACHE_HIT);
        assert_record(cache, n, n, len);
        struct cache_stats s = stats_of(cache);
        assert_true(s.entries <= SESSIONS);
        assert_true(s.bytes <= SESSIONS * CACHE_BYTES_PER_SESSION + 3 * BIG);
    }
    /* The ring takes 200 x 512 bytes and two of the largest. */
    unsigned there = 0;
    for (uint64_t n = 0; n < 1000; n++) {
        bool hit = get(cache, n) == CACHE_HIT;
        assert_true(hit || there == 0); /* the oldest, and only they, are gone */
        there += hit;
    }
    assert_in_range(there, 6, 40);
    cache_drop(cache);
}

/* --- against a model ----------------------------------------------------- */

#define MODEL_IDS 300
#define MODEL_PUTS 200000

/* What the cache should hold: each put by its place in time. */
struct model {
    struct model_put {
        uint32_t number;
        uint32_t len;
        bool replaced;
        bool killed;
    } puts[MODEL_PUTS];
    uint32_t count;
    uint32_t last[MODEL_IDS]; /* the last put of a number, plus one; 0: none */
};

static void model_put(struct model *m, uint32_t number, uint32_t len) {
    assert_true(m->count < MODEL_PUTS);
    if (m->last[number] != 0) {
        m->puts[m->last[number] - 1].replaced = true;
    }
    m->puts[m->count] = (struct model_put){ .number = number, .len = len };
    m->last[number] = ++m->count;
}

/* What a look-up must not say, whatever was evicted. */
static bool model_allows(struct cache *cache, const struct model *m, uint32_t number, bool *held) {
    enum cache_result result;
    uint64_t version = 0;
    size_t len = 0;
    bool sound = get_sound(cache, number, &result, &version, &len);
    *held = result != CACHE_MISS;
    if (!sound || (*held && m->last[number] == 0)) {
        return false;
    }
    const struct model_put *p = &m->puts[m->last[number] - (m->last[number] != 0)];
    switch (result) {
    case CACHE_HIT:
        return !p->killed && len == p->len &&
               (len < sizeof(version) || version == m->last[number] - 1);
    case CACHE_MARKED:
        return p->killed;
    case CACHE_MISS:
        return true;
    default:
        return false;
    }
}

/* What is held is the newest, without a gap; and at least what the room promises. */
static void model_check(struct cache *cache, const struct model *m, uint32_t sessions) {
    bool gap = false;
    uint32_t slots = 0;
    uint32_t live = 0;
    uint64_t bytes = 0;
    for (uint32_t i = m->count; i-- > 0 && m->count - i <= 4 * MODEL_IDS;) {
        const struct model_put *p = &m->puts[i];
        bool held;
        bytes += p->len;
        if (p->replaced) {
            continue;
        }
        assert_true(model_allows(cache, m, p->number, &held));
        assert_false(held && gap);
        gap |= !held;
        slots += held;
        live += held && !p->killed;
        /* An entry's header is less than what is left of its share of the ring. */
        if (!held) {
            uint64_t headers = (uint64_t)(m->count - i) * 64;
            assert_true(slots == sessions ||
                        bytes + headers > (uint64_t)sessions * CACHE_BYTES_PER_SESSION);
        }
    }
    assert_true(slots <= sessions);
    assert_int_equal(stats_of(cache).entries, live);
}

struct mix {
    uint32_t sessions;
    uint32_t ids;
    uint32_t most; /* bytes of a record */
    uint32_t operations;
};

static void run_mix(const struct mix *mix, uint64_t seed) {
    struct cache *cache = cache_make(mix->sessions);
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    uint64_t rng = seed;
    for (uint32_t op = 0; op < mix->operations; op++) {
        uint32_t number = (uint32_t)rng_below(&rng, mix->ids);
        uint32_t what = (uint32_t)rng_below(&rng, 100);
        bool held;
        if (what < 60) {
            uint32_t most = rng_below(&rng, 50) == 0 ? CACHE_RECORD_MAX : mix->most;
            uint32_t len = (uint32_t)rng_below(&rng, most + 1);
            assert_int_equal(put(cache, number, m->count, len), CACHE_HIT);
            model_put(m, number, len);
            assert_true(model_allows(cache, m, number, &held) && held);
        } else if (what < 65) {
            if (kill_record(cache, number) == CACHE_HIT) {
                assert_int_not_equal(m->last[number], 0);
                m->puts[m->last[number] - 1].killed = true;
            }
        } else {
            assert_true(model_allows(cache, m, number, &held));
        }
        if (op % 500 == 0) {
            model_check(cache, m, mix->sessions);
        }
    }
    model_check(cache, m, mix->sessions);
    assert_int_equal(stats_of(cache).repaired, 0);
    free(m);
    cache_drop(cache);
}

/* Records of all lengths wrap around the ring thousands of times. */
static void it_does_what_the_model_does(void **state) {
    (void)state;
    static const struct mix mixes[] = {
        { .sessions = 64, .ids = MODEL_IDS, .most = 1200, .operations = 60000 },
        { .sessions = 64, .ids = MODEL_IDS, .most = 40, .operations = 30000 },
        { .sessions = 5, .ids = 12, .most = CACHE_RECORD_MAX, .operations = 20000 },
        { .sessions = 1, .ids = 3, .most = 600, .operations = 20000 },
        { .sessions = 200, .ids = 250, .most = 500, .operations = 30000 },
    };
    for (size_t i = 0; i < LENGTH(mixes); i++) {
        run_mix(&mixes[i], i + 11);
    }
}

/* --- what is known of what is gone --------------------------------------- */

static enum cache_result get_raw(struct cache *cache, uint64_t number) {
    static uint8_t buf[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN];
    size_t len;
    make_id(number, id);
    return cache_get(cache, id, buf, &len, &(enum cache_mark){ 0 });
}

static void put_at(struct cache *cache, uint64_t number, uint64_t now_s) {
    uint8_t buf[SMALL];
    uint8_t id[CACHE_ID_LEN];
    make_id(number, id);
    assert_int_equal(cache_put(cache, id, make_record(number, 0, SMALL, buf), now_s), CACHE_HIT);
}

/* An evicted ID is known as one until another in its bucket is; one that never was is not. */
static void an_evicted_id_is_known_as_one(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 1, 100, 4096 };
    for (size_t s = 0; s < LENGTH(sizes); s++) {
        struct cache *cache = cache_make(sizes[s]);
        for (uint64_t n = 0; n < 2ull * sizes[s]; n++) {
            put_at(cache, n, NOW_S);
        }
        uint64_t gone = 0;
        uint64_t known = 0;
        for (uint64_t n = 0; n < 2ull * sizes[s]; n++) {
            enum cache_result result = get_raw(cache, n);
            gone += result != CACHE_HIT;
            known += result == CACHE_EVICTED;
            assert_true(result == CACHE_HIT || result == CACHE_EVICTED || result == CACHE_MISS);
        }
        assert_true(gone >= sizes[s] && known >= gone / 2);
        for (uint64_t n = 0; n < 2000; n++) {
            assert_int_equal(get_raw(cache, 1000000 + n), CACHE_MISS);
        }
        cache_drop(cache);
    }
}

static void a_mark_without_a_session(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    static uint8_t buf[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN];
    size_t len = 0;
    enum cache_mark mark = CACHE_MARK_NONE;
    make_id(1, id);
    put(cache, 1, 0, SMALL);
    assert_int_equal(cache_put_mark(cache, id, CACHE_MARK_TOO_LARGE, NOW_S), CACHE_HIT);
    assert_int_equal(cache_get(cache, id, buf, &len, &mark), CACHE_MARKED);
    assert_int_equal(mark, CACHE_MARK_TOO_LARGE);
    assert_int_equal(cache_kill(cache, id, CACHE_MARK_UNCLEAN), CACHE_MISS);
    assert_int_equal(stats_of(cache).entries, 0);
    for (uint64_t n = 2; n < 12; n++) { /* it takes its turn */
        put(cache, n, 0, SMALL);
    }
    assert_int_equal(get_raw(cache, 1), CACHE_MISS);
    assert_int_equal(stats_of(cache).evicted, 0);
    cache_drop(cache);
}

/* R42: what is over goes, oldest first, and leaves no byte. */
static void what_has_expired_is_taken_away_and_wiped(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 100, 4096 };
    for (size_t s = 0; s < LENGTH(sizes); s++) {
        struct cache *cache = cache_make(sizes[s]);
        uint8_t id[CACHE_ID_LEN];
        assert_true(cache_oldest_s(cache) == 0);
        make_id(1000, id);
        cache_put(cache, id, bytes_of("a secret, though sealed"), NOW_S);
        for (uint64_t n = 0; n < 50; n++) {
            put_at(cache, n, NOW_S + n);
        }
        assert_true(cache_oldest_s(cache) == NOW_S);
        assert_int_equal(cache_expire(cache, NOW_S), 0);
        assert_int_equal(cache_expire(cache, NOW_S + 20), 21);
        assert_true(cache_oldest_s(cache) == NOW_S + 20);
        for (uint64_t n = 0; n < 50; n++) {
            enum cache_result result = get_raw(cache, n);
            assert_true(n < 20 ? result == CACHE_EXPIRED || result == CACHE_MISS
                               : result == CACHE_HIT);
        }
        assert_null(
            memmem(cache->base, cache_layout_bytes(size_of(sizes[s])), "though sealed", 13));
        assert_int_equal(stats_of(cache).expired, 21);
        assert_int_equal(stats_of(cache).entries, 30);
        assert_int_equal(stats_of(cache).evicted, 0);
        assert_int_equal(cache_expire(cache, UINT64_MAX), 30);
        assert_int_equal(cache_expire(cache, UINT64_MAX), 0);
        assert_true(cache_oldest_s(cache) == 0);
        put(cache, 1, 0, SMALL);
        assert_record(cache, 1, 0, SMALL);
        cache_drop(cache);
    }
}

/* A sweep holds no lock for long: what is left is taken the next time. */
static void a_sweep_is_bounded(void **state) {
    (void)state;
    struct cache *cache = cache_make(2000);
    for (uint64_t n = 0; n < 2000; n++) {
        put_at(cache, n, NOW_S);
    }
    uint64_t first = cache_expire(cache, NOW_S + 1);
    assert_in_range(first, 1, 1000);
    uint64_t total = first;
    for (uint64_t more = first; more > 0; total += more) {
        more = cache_expire(cache, NOW_S + 1);
    }
    assert_int_equal(total, 2000);
    cache_drop(cache);
}

static void what_is_evicted_or_replaced_leaves_no_byte(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    uint8_t id[CACHE_ID_LEN];
    make_id(100, id);
    cache_put(cache, id, bytes_of("a secret, though sealed"), NOW_S);
    put(cache, 100, 1, SMALL);
    assert_null(memmem(cache->base, cache_layout_bytes(size_of(10)), "though sealed", 13));
    cache_put(cache, id, bytes_of("a secret, though sealed"), NOW_S);
    for (uint64_t n = 0; n < 10; n++) {
        put(cache, n, 0, SMALL);
    }
    assert_null(memmem(cache->base, cache_layout_bytes(size_of(10)), "though sealed", 13));
    cache_drop(cache);
}

static void the_age_of_the_evicted_is_told(void **state) {
    (void)state;
    struct cache *cache = cache_make(10);
    for (uint64_t n = 0; n < 15; n++) {
        put_at(cache, n, NOW_S + 7 * n);
    }
    assert_int_equal(stats_of(cache).evicted, 5);
    assert_int_equal(stats_of(cache).evicted_age_s, 70);
    put_at(cache, 100, NOW_S - 1000); /* the clock was set back */
    assert_int_equal(stats_of(cache).evicted_age_s, 0);
    cache_drop(cache);
}

/* cache-memory: bytes bound what the count does not. */
static void bytes_bound_a_cache(void **state) {
    (void)state;
    struct cache_size size = { .sessions = 1000, .bytes = 100000 };
    struct cache *cache = cache_make_of(size);
    assert_in_range(cache_room_bytes(cache), size.bytes, size.bytes + 64);
    for (uint64_t n = 0; n < 1000; n++) {
        put(cache, n, 0, 936); /* 1000 with its header */
    }
    assert_in_range(stats_of(cache).entries, 100, 133);
    assert_true(stats_of(cache).bytes <= cache_room_bytes(cache) + 33000);
    assert_true(cache_layout_bytes(size) < 150000);
    cache_drop(cache);
}

/* Zero cost for what is off: a cache that nobody uses has touched a few pages. */
static void an_unused_cache_takes_no_memory(void **state) {
    (void)state;
    struct cache *cache = cache_make(CACHE_SESSIONS_MAX);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = cache_layout_bytes(size_of(CACHE_SESSIONS_MAX)) / page;
    unsigned char *in = malloc(pages + 1);
    size_t touched = 0;
    assert_non_null(in);
    assert_int_equal(mincore(cache->base, pages * page, in), 0);
    for (size_t i = 0; i < pages; i++) {
        touched += in[i] & 1;
    }
    free(in);
    assert_in_range(touched, 1, 16);
    cache_drop(cache);
}

/* Memory that another program left: only what fits is taken for a cache. */
static void only_a_sound_layout_is_a_cache(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 1, 100, 5000, 262144 };
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct cache *cache = cache_make(sizes[i]);
        size_t len = cache_layout_bytes(cache->size);
        struct cache other = { 0 };
        assert_true(cache_adopt(&other, cache->base, len));
        assert_int_equal(cache_capacity(&other), sizes[i]);
        assert_false(cache_adopt(&other, cache->base, len - 1));
        assert_false(cache_adopt(&other, cache->base, 8));
        put(cache, 1, 1, SMALL);
        assert_int_equal(get(&other, 1), CACHE_HIT);
        /* The magic number, the bytes, the sessions: no other value fits this length. */
        static const size_t words[] = { 0, 1, 7, 8 };
        for (size_t w = 0; w < LENGTH(words); w++) {
            uint32_t *word = (uint32_t *)(void *)cache->base + words[w];
            uint32_t before = *word;
            *word = before ^ 0x40000000;
            assert_false(cache_adopt(&other, cache->base, len));
            *word = before;
        }
        cache_drop(cache);
    }
}

/* A cache that is given up is empty, and can be gone on with. */
static void a_wiped_cache_is_empty(void **state) {
    (void)state;
    static const uint32_t sizes[] = { 1, 100, 5000 };
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct cache *cache = cache_make(sizes[i]);
        uint8_t id[CACHE_ID_LEN];
        make_id(0, id);
        cache_put(cache, id, bytes_of("a secret, though sealed"), NOW_S);
        cache_wipe(cache);
        assert_null(memmem(cache->base, cache_layout_bytes(cache->size), "though sealed", 13));
        assert_int_equal(get(cache, 0), CACHE_MISS);
        assert_int_equal(cache_expire(cache, NOW_S + 1), 0);
        for (uint64_t n = 0; n < 2 * sizes[i]; n++) {
            put(cache, n, 0, SMALL);
            assert_int_equal(get(cache, n), CACHE_HIT);
        }
        cache_drop(cache);
    }
}

/* --- a worker that stands still ------------------------------------------ */

/* It holds the lock and does not die: others wait a little, and go on without. */
static void a_worker_that_stands_still_stops_nobody(void **state) {
    (void)state;
    struct cache *cache = cache_make(20);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *hole = shared_alloc(page);
    put(cache, 1, 1, SMALL);
    assert_int_equal(mprotect(hole, page, PROT_NONE), 0);
    pid_t pid = child_fork();
    if (pid == 0) {
        const uint8_t id[CACHE_ID_LEN] = { 0 };
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        cache_put(cache, id, (struct bytes){ hole, page }, NOW_S); /* stops at the fault */
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    uint8_t id[CACHE_ID_LEN];
    make_id(1, id);
    assert_int_equal(get_raw(cache, 1), CACHE_BUSY);
    assert_int_equal(put(cache, 2, 1, SMALL), CACHE_BUSY);
    assert_int_equal(cache_kill(cache, id, CACHE_MARK_USED), CACHE_BUSY);
    assert_false(cache_has(cache, id));
    assert_int_equal(cache_expire(cache, UINT64_MAX), 0);
    /* These take no lock. */
    assert_int_equal(cache_oldest_s(cache), NOW_S);
    struct cache_stats stats = stats_of(cache);
    assert_int_equal(stats.entries, 1);
    assert_int_equal(stats.busy, 5);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(child_wait(pid), -SIGKILL);
    assert_record(cache, 1, 1, SMALL);
    assert_int_equal(stats_of(cache).repaired, 1);
    shared_free(hole, page);
    cache_drop(cache);
}

/* --- workers that die ---------------------------------------------------- */

/* A worker dies in the middle of a copy, with the lock held: its record's second half is
 * where nothing can be read. Both the put and the get are cut so. */
static void a_worker_that_dies_within_costs_only_its_record(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *edge = shared_alloc(5 * page);
    assert_int_equal(mprotect(edge + page, 4 * page, PROT_NONE), 0);
    struct cache *cache = cache_make(20);
    for (uint64_t n = 0; n < 30; n++) {
        put(cache, n, n, 400);
    }
    uint8_t id[CACHE_ID_LEN];
    pid_t pid = child_fork();
    if (pid == 0) {
        make_id(30, id);
        cache_put(cache, id, (struct bytes){ edge, 4 * page }, NOW_S);
        _exit(0);
    }
    assert_int_equal(child_wait(pid), -SIGSEGV);
    assert_int_equal(get(cache, 30), CACHE_MISS);
    assert_int_equal(stats_of(cache).repaired, 1);
    unsigned there = 0;
    for (uint64_t n = 0; n < 30; n++) {
        there += get(cache, n) == CACHE_HIT;
        assert_true(get(cache, n) == CACHE_HIT || there == 0);
    }
    assert_int_equal(stats_of(cache).entries, there);
    assert_in_range(there, 1, 19);

    pid = child_fork();
    if (pid == 0) {
        size_t len;
        make_id(29, id);
        cache_get(cache, id, edge + page - 100, &len, &(enum cache_mark){ 0 });
        _exit(0);
    }
    assert_int_equal(child_wait(pid), -SIGSEGV);
    assert_record(cache, 29, 29, 400);
    assert_int_equal(stats_of(cache).repaired, 2);
    assert_int_equal(stats_of(cache).entries, there);
    put(cache, 30, 1, 400);
    assert_record(cache, 30, 1, 400);
    cache_drop(cache);
    shared_free(edge, 5 * page);
}

/* What one step of a worker does to a cache, and what must hold wherever it is cut. */
struct scenario {
    const char *name;
    uint32_t sessions;
    uint32_t puts;      /* before: numbers 0.. */
    size_t len;         /* of their records */
    uint64_t number;    /* what is put or killed */
    size_t number_len;  /* 0: it is killed */
    uint64_t kept_from; /* from here on all are there afterwards */
    uint64_t gone_to;   /* and before this, none */
    bool kills;         /* for good, not only as if */
};

/* A ring for 20 sessions is 43,120 bytes: 168 entries of 256 bytes, and 112 over. */
static const struct scenario scenarios[] = {
    { "into an empty cache", 20, 0, 0, 0, 192, 0, 0, false },
    { "with room left", 20, 10, 192, 10, 192, 0, 0, false },
    { "evicting one", 20, 30, 192, 30, 192, 11, 10, true },
    { "evicting for room", 20, 57, 2142, 57, 2032, 40, 38, false },
    { "over the ring's end", 20, 168, 192, 168, 192, 149, 148, false },
    { "close to the ring's end", 20, 167, 192, 167, 392, 148, 147, false },
    { "replacing", 20, 15, 192, 7, 292, 0, 0, false },
    { "replacing in a full one", 20, 30, 192, 15, 92, 11, 10, false },
    { "replacing the only one", 1, 3, 300, 2, 400, 3, 2, false },
    { "killing", 20, 30, 192, 15, 0, 10, 10, false },
};

/* What the worker does; the rest is made ready before, for every instruction counts. */
struct step {
    struct cache *cache;
    uint8_t id[CACHE_ID_LEN];
    struct bytes record;
    uint8_t buf[CACHE_RECORD_MAX];
};

static void step_prepare(struct step *step, const struct scenario *s, struct cache *cache) {
    step->cache = cache;
    make_id(s->number, step->id);
    step->record = make_record(s->number, 1, s->number_len, step->buf);
}

static void step_run(const struct step *step) {
    if (step->record.len > 0) {
        cache_put(step->cache, step->id, step->record, NOW_S);
    } else {
        cache_kill(step->cache, step->id, CACHE_MARK_UNCLEAN);
    }
}

/* What the worker left behind is whole; and goes on working. */
static void scenario_check(const struct scenario *s, struct cache *cache) {
    uint64_t end = s->puts > s->number ? s->puts : s->number + 1;
    uint64_t live = 0;
    for (uint64_t n = 0; n < end; n++) {
        enum cache_result result;
        uint64_t version = 0;
        size_t len = 0;
        bool sound = get_sound(cache, n, &result, &version, &len);
        live += result == CACHE_HIT;
        if (n == s->number) {
            /* As before, as after, or gone: never a half. */
            assert_true(sound);
            assert_true(result != CACHE_HIT || len == (version == 1 ? s->number_len : s->len));
            assert_true(result != CACHE_MARKED || s->number_len == 0);
            continue;
        }
        assert_true(sound);
        assert_true(n < s->kept_from || result == CACHE_HIT);
        assert_true(n >= s->gone_to || result == CACHE_MISS);
    }
    /* The figures are put right by whoever takes the lock next. */
    struct cache_stats before = stats_of(cache);
    assert_int_equal(before.entries, live);
    assert_true(before.repaired <= 1);
    for (uint64_t n = 100; n < 200; n++) {
        put(cache, n, n, s->len);
        assert_record(cache, n, n, s->len);
        assert_true(stats_of(cache).entries <= s->sessions);
    }
    assert_int_equal(stats_of(cache).repaired, before.repaired);
}

/* Starts a worker that stops at once, and then does the step. */
static pid_t trace_start(const struct scenario *s, struct cache *cache) {
    static struct step step;
    step_prepare(&step, s, cache);
    pid_t pid = child_fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(98);
        }
        raise(SIGSTOP);
        step_run(&step);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status)); /* else this system refuses ptrace */
    return pid;
}

/* Lets it go one instruction further. False when it has ended. */
static bool trace_step(pid_t pid) {
    int status = 0;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSTOPPED(status);
}

/* A cache to which the same is done over and over, from the same start: its hash key is
 * drawn at random, and another key takes other steps. */
struct rerun {
    const struct scenario *scenario;
    struct cache *cache;
    size_t len;
    void *start; /* the region's bytes before */
    size_t lock; /* see find_lock */
};

static void rerun_init(struct rerun *r, const struct scenario *s, size_t lock) {
    r->scenario = s;
    r->lock = lock;
    r->cache = cache_make(s->sessions);
    for (uint64_t n = 0; n < s->puts; n++) {
        put(r->cache, n, 0, s->len);
    }
    r->len = cache_layout_bytes(size_of(s->sessions));
    r->start = malloc(r->len);
    assert_non_null(r->start);
    memcpy(r->start, r->cache->base, r->len);
}

static void rerun_fini(struct rerun *r) {
    free(r->start);
    cache_drop(r->cache);
}

static pid_t rerun_start(struct rerun *r) {
    memcpy(r->cache->base, r->start, r->len);
    return trace_start(r->scenario, r->cache);
}

/* Where the lock's word lies in a cache of one shard. The kernel marks it when
 * its owner dies; so one is let die in an empty cache. */
static size_t find_lock(void) {
    struct cache *cache = cache_make(1);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *hole = shared_alloc(page);
    assert_int_equal(mprotect(hole, page, PROT_NONE), 0);
    pid_t pid = child_fork();
    if (pid == 0) {
        const uint8_t id[CACHE_ID_LEN] = { 0 };
        cache_put(cache, id, (struct bytes){ hole, page }, NOW_S);
        _exit(0);
    }
    assert_int_equal(child_wait(pid), -SIGSEGV);
    const uint32_t *words = (const uint32_t *)(const void *)cache->base;
    size_t at = 0;
    while (words[at] != FUTEX_OWNER_DIED) {
        at++;
        assert_true(at < cache_layout_bytes(size_of(1)) / sizeof(*words));
    }
    shared_free(hole, page);
    cache_drop(cache);
    return at;
}

/* Checks a copy of the region as the worker would leave it if it died now: its
 * lock, if it has it, is marked as the kernel does. Returns whether it had it.
 */
static bool check_if_died(const struct rerun *r, struct cache *left, pid_t worker) {
    memcpy(left->base, r->cache->base, r->len);
    assert_true(cache_adopt(left, left->base, r->len)); /* its hash key is in the region */
    uint32_t *word = (uint32_t *)(void *)left->base + r->lock;
    bool locked = (*word & FUTEX_TID_MASK) == (uint32_t)worker;
    *word = locked ? FUTEX_OWNER_DIED : *word;
    scenario_check(r->scenario, left);
    assert_int_equal(stats_of(left).repaired, locked);
    return locked;
}

#define CUTS_MAX 4000

/* Goes through the step, and checks what is left behind after each instruction
 * that changes the region. Returns how many those were, and notes them. */
static size_t rerun_check(struct rerun *r, uint32_t cuts[static CUTS_MAX]) {
    struct cache *left = cache_make(r->scenario->sessions);
    uint8_t *last = malloc(r->len);
    assert_non_null(last);
    memcpy(last, r->start, r->len);
    pid_t pid = rerun_start(r);
    size_t count = 0;
    unsigned locked = 0;
    for (uint32_t step = 1; trace_step(pid); step++) {
        if (memcmp(last, r->cache->base, r->len) != 0) {
            memcpy(last, r->cache->base, r->len);
            locked += check_if_died(r, left, pid);
            assert_true(count < CUTS_MAX);
            cuts[count++] = step;
        }
    }
    assert_true(locked > 5);
    free(last);
    cache_drop(left);
    return count;
}

/* Lets a worker die for good after so many instructions. */
static void rerun_kill(struct rerun *r, uint32_t at) {
    pid_t pid = rerun_start(r);
    for (uint32_t step = 0; step < at; step++) {
        assert_true(trace_step(pid));
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(child_wait(pid), -SIGKILL);
    scenario_check(r->scenario, r->cache);
}

/* A worker may die at any instruction: it leaves a cache that the others go on
 * with. Nothing hangs, and every record but its own is as it was. In one
 * scenario it is killed at each place; in all, what it would leave behind is
 * looked at, which is the same and quicker. */
static void a_worker_may_die_at_any_instruction(void **state) {
    (void)state;
    static uint32_t cuts[CUTS_MAX];
    alarm(100); /* a lock that is never given back ends the test */
    size_t lock = find_lock();
    for (size_t i = 0; i < LENGTH(scenarios); i++) {
        struct rerun r;
        rerun_init(&r, &scenarios[i], lock);
        size_t count = rerun_check(&r, cuts);
        for (size_t c = 0; scenarios[i].kills && c < count; c++) {
            rerun_kill(&r, cuts[c]);
        }
        rerun_fini(&r);
    }
    alarm(0);
}

/* --- many processes, one of them killed again and again ------------------- */

#define HAMMERS 3
#define HAMMER_IDS 500

struct hammer {
    _Atomic uint64_t operations[HAMMERS];
    _Atomic uint64_t unsound;
};

static void hammer_run(struct cache *cache, struct hammer *h, unsigned self, uint64_t seed) {
    uint64_t rng = seed;
    for (;;) {
        uint64_t number = rng_below(&rng, HAMMER_IDS);
        uint64_t what = rng_below(&rng, 100);
        if (what < 50) {
            put(cache, number, rng_next(&rng), 8 + rng_below(&rng, what < 5 ? 16000 : 500));
        } else if (what < 60) {
            kill_record(cache, number);
        } else {
            enum cache_result result;
            uint64_t version;
            size_t len;
            h->unsound += !get_sound(cache, number, &result, &version, &len);
        }
        h->operations[self]++;
    }
}

static pid_t hammer_start(struct cache *cache, struct hammer *h, unsigned self, uint64_t seed) {
    pid_t pid = child_fork();
    if (pid == 0) {
        hammer_run(cache, h, self, seed);
    }
    return pid;
}

/* Leaves the cores to those who count. */
static void wait_for(const _Atomic uint64_t *counter, uint64_t until) {
    while (*counter < until) {
        usleep(20);
    }
}

/* Each time, the victim is let do a random number of operations, and dies in
 * one of the next; the others never stop. */
static void a_killed_worker_takes_nothing_with_it(void **state) {
    (void)state;
    enum { KILLS = 150 };
    struct cache *cache = cache_make(300);
    struct hammer *h = shared_alloc(sizeof(*h));
    uint64_t rng = 5;
    pid_t pids[HAMMERS];
    alarm(60);
    for (unsigned i = 0; i < HAMMERS; i++) {
        pids[i] = hammer_start(cache, h, i, i);
    }
    for (unsigned n = 0; n < KILLS || stats_of(cache).repaired == 0; n++) {
        unsigned victim = (unsigned)rng_below(&rng, HAMMERS);
        uint64_t until = h->operations[victim] + 1 + rng_below(&rng, 20);
        wait_for(&h->operations[victim], until);
        assert_int_equal(kill(pids[victim], SIGKILL), 0);
        assert_int_equal(child_wait(pids[victim]), -SIGKILL);
        pids[victim] = hammer_start(cache, h, victim, rng_next(&rng));
    }
    for (unsigned i = 0; i < HAMMERS; i++) { /* each still gets on */
        wait_for(&h->operations[i], h->operations[i] + 10);
    }
    for (unsigned i = 0; i < HAMMERS; i++) {
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_int_equal(child_wait(pids[i]), -SIGKILL);
    }
    uint64_t live = 0;
    for (uint64_t n = 0; n < HAMMER_IDS; n++) {
        live += get(cache, n) == CACHE_HIT;
    }
    assert_int_equal(stats_of(cache).entries, live);
    assert_true(live > 0);
    assert_true(stats_of(cache).repaired > 0);
    assert_int_equal(h->unsound, 0);
    for (uint64_t n = 0; n < 1000; n++) {
        put(cache, 10000 + n, n, SMALL);
    }
    for (uint64_t n = 0; n < 1000; n++) {
        assert_int_equal(get(cache, 10000 + n), n < 700 ? CACHE_MISS : CACHE_HIT);
    }
    alarm(0);
    shared_free(h, sizeof(*h));
    cache_drop(cache);
}

/* --- spoilt memory -------------------------------------------------------- */

/* A worker that was taken over writes anything into the region. Whoever reads there next
 * neither reads nor writes beside it, and comes to an end. */
static void spoilt_memory_hurts_nobody(void **state) {
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const struct cache_size size = { .sessions = 40 };
    const size_t len = cache_layout_bytes(size);
    const size_t room = (len + page - 1) / page * page;
    const size_t lock = find_lock() * sizeof(uint32_t);
    static const uint32_t values[] = { 0, 1, 7, 0xffff, 0x7fffffff, 0xffffffff };
    uint64_t rng = 77;
    alarm(120);
    for (unsigned round = 0; round < 3000; round++) {
        /* Nothing may be touched before or behind it. */
        char *map = shared_alloc(room + 2 * page);
        char *memory = map + page + (room - len) / 64 * 64;
        struct cache cache;
        struct err err = { 0 };
        assert_int_equal(cache_init(&cache, memory, size, &err), 0);
        assert_int_equal(mprotect(map, page, PROT_NONE), 0);
        assert_int_equal(mprotect(map + page + room, page, PROT_NONE), 0);
        for (uint64_t n = 0; n < 60; n++) {
            put(&cache, n, 0, n % 3 ? SMALL : 3000);
        }
        for (unsigned i = 0; i < 1 + round % 40; i++) {
            size_t at = rng_below(&rng, len / 4) * 4;
            if (at < lock || at >= lock + sizeof(pthread_mutex_t)) { /* see cache.h */
                uint32_t value = values[rng_below(&rng, LENGTH(values))];
                memcpy(memory + at, &value, sizeof(value));
            }
        }
        struct cache_stats stats;
        uint8_t buf[CACHE_RECORD_MAX];
        size_t got = 0;
        enum cache_mark mark;
        cache_read_stats(&cache, &stats);
        cache_oldest_s(&cache);
        for (uint64_t n = 0; n < 70; n++) {
            uint8_t id[CACHE_ID_LEN];
            make_id(n, id);
            cache_get(&cache, id, buf, &got, &mark);
            assert_true(got <= sizeof(buf));
            if (n % 4 == 0) {
                cache_kill(&cache, id, CACHE_MARK_USED);
            }
        }
        cache_expire(&cache, NOW_S + 1);
        for (uint64_t n = 100; n < 150; n++) {
            put(&cache, n, 0, n % 5 ? SMALL : 5000);
        }
        cache_oldest_s(&cache);
        shared_free(map, room + 2 * page);
    }
    alarm(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_too_large_is_refused_and_changes_nothing),
        cmocka_unit_test(what_was_never_put_is_not_there),
        cmocka_unit_test(ids_are_compared_whole),
        cmocka_unit_test(a_record_of_each_length_comes_back),
        cmocka_unit_test(put_again_replaces),
        cmocka_unit_test(a_killed_session_is_told_from_an_unknown_one),
        cmocka_unit_test(kill_leaves_no_byte_of_the_record),
        cmocka_unit_test(a_killed_id_is_forgotten_in_its_turn),
        cmocka_unit_test(figures_add_up),
        cmocka_unit_test(asking_whether_it_is_there_counts_as_no_look_up),
        cmocka_unit_test(the_oldest_goes_first_exactly),
        cmocka_unit_test(replacing_makes_young_and_reading_does_not),
        cmocka_unit_test(a_cache_of_one_holds_the_last),
        cmocka_unit_test(many_shards_stay_bounded_and_hold_the_newest),
        cmocka_unit_test(the_count_is_never_exceeded),
        cmocka_unit_test(large_records_evict_more_and_stay_whole),
        cmocka_unit_test(it_does_what_the_model_does),
        cmocka_unit_test(an_evicted_id_is_known_as_one),
        cmocka_unit_test(a_mark_without_a_session),
        cmocka_unit_test(what_has_expired_is_taken_away_and_wiped),
        cmocka_unit_test(a_sweep_is_bounded),
        cmocka_unit_test(what_is_evicted_or_replaced_leaves_no_byte),
        cmocka_unit_test(the_age_of_the_evicted_is_told),
        cmocka_unit_test(bytes_bound_a_cache),
        cmocka_unit_test(an_unused_cache_takes_no_memory),
        cmocka_unit_test(only_a_sound_layout_is_a_cache),
        cmocka_unit_test(spoilt_memory_hurts_nobody),
        cmocka_unit_test(a_wiped_cache_is_empty),
        cmocka_unit_test(a_worker_that_stands_still_stops_nobody),
        cmocka_unit_test(a_worker_that_dies_within_costs_only_its_record),
        cmocka_unit_test(a_worker_may_die_at_any_instruction),
        cmocka_unit_test(a_killed_worker_takes_nothing_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
