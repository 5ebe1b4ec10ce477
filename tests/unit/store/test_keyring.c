/* test_keyring.c: store/keyring.c. The clock is an argument: nothing waits. */
#include "store/keyring.h"

#include <stdlib.h>
#include <sys/ptrace.h>

#include "ring.h"

static struct keyring_snapshot snapshot; /* large; one at a time is enough */

static const struct keyring_snapshot *read_ring(const struct keyring *ring) {
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    return &snapshot;
}

static unsigned count_state(const struct keyring_snapshot *s, enum keyring_state state) {
    unsigned count = 0;
    for (unsigned i = 0; i < s->count; i++) {
        count += s->keys[i].state == state;
    }
    return count;
}

/* The one key in a state. */
static struct keyring_key only(const struct keyring *ring, enum keyring_state state) {
    const struct keyring_snapshot *s = read_ring(ring);
    assert_int_equal(count_state(s, state), 1);
    for (unsigned i = 0; i < s->count; i++) {
        if (s->keys[i].state == state) {
            return s->keys[i];
        }
    }
    abort();
}

/* Where bytes lie in the ring's memory; null: nowhere. */
static uint8_t *find_bytes(struct keyring *ring, const void *bytes, size_t len) {
    return memmem(ring, keyring_bytes(), bytes, len);
}

/* One CURRENT, one NEXT, no key zero, no two alike; nothing left of what was wiped but names. */
static bool is_whole(const struct keyring_snapshot *s) {
    if (count_state(s, KEY_CURRENT) != 1 || count_state(s, KEY_NEXT) != 1 ||
        crypto_is_zero(s->cache_secret, sizeof(s->cache_secret))) {
        return false;
    }
    for (unsigned i = 0; i < s->count; i++) {
        bool wiped = s->keys[i].state == KEY_WIPED;
        if (crypto_is_zero(s->keys[i].secret, CRYPTO_KEY_LEN) != wiped ||
            crypto_is_zero(s->keys[i].name, KEYRING_NAME_LEN)) {
            return false;
        }
        for (unsigned k = 0; k < i; k++) {
            if ((!wiped && memcmp(s->keys[i].secret, s->keys[k].secret, CRYPTO_KEY_LEN) == 0) ||
                memcmp(s->keys[i].name, s->keys[k].name, KEYRING_NAME_LEN) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* --- refusals ------------------------------------------------------------ */

/* R34 */
static void a_ring_never_laid_out_is_refused(void **state) {
    (void)state;
    struct keyring *ring = shared_alloc(keyring_bytes());
    assert_int_equal(keyring_read(ring, &snapshot), -1);
    assert_int_equal(snapshot.count, 0);
    ring_drop(ring);
}

static void a_write_cut_short_is_refused_until_the_next_tick(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    _Atomic uint64_t *generation = ring_find_generation(ring);
    struct keyring_key current = only(ring, KEY_CURRENT);
    uint64_t before = *generation;
    *generation = before + 1;
    assert_int_equal(keyring_read(ring, &snapshot), -1);
    assert_int_equal(keyring_read(ring, &snapshot), -1);
    /* Nothing is due: it is written none the less, to make it whole. */
    struct keyring_change change = keyring_tick(ring, START_S, ENCRYPT_S, OPEN_S);
    assert_false(change.rotated);
    assert_int_equal(keyring_generation(ring) % 2, 0);
    assert_true(keyring_generation(ring) > before);
    assert_true(is_whole(read_ring(ring)));
    assert_memory_equal(only(ring, KEY_CURRENT).secret, current.secret, CRYPTO_KEY_LEN);
    ring_drop(ring);
}

/* --- life of a key ------------------------------------------------------- */

static void a_new_ring_has_a_current_and_a_next(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    const struct keyring_snapshot *s = read_ring(ring);
    assert_int_equal(s->count, 2);
    assert_true(is_whole(s));
    assert_int_equal(s->generation, keyring_generation(ring));
    struct keyring_key current = only(ring, KEY_CURRENT);
    struct keyring_key next = only(ring, KEY_NEXT);
    assert_int_equal(current.made_s, START_S);
    assert_int_equal(current.current_s, START_S);
    assert_int_equal(current.retired_s, 0);
    assert_int_equal(next.made_s, START_S);
    assert_int_equal(next.current_s, 0);
    ring_drop(ring);
}

/* R38: two starts have no key in common. */
static void two_rings_share_nothing(void **state) {
    (void)state;
    struct keyring *a = ring_make();
    struct keyring *b = ring_make();
    struct keyring_snapshot from_a = *read_ring(a);
    assert_null(find_bytes(b, from_a.cache_secret, CRYPTO_KEY_LEN));
    for (unsigned i = 0; i < from_a.count; i++) {
        assert_null(find_bytes(b, from_a.keys[i].secret, CRYPTO_KEY_LEN));
        assert_null(find_bytes(b, from_a.keys[i].name, KEYRING_NAME_LEN));
    }
    ring_drop(a);
    ring_drop(b);
}

/* R37: the key that seals next was in the ring all the time that the last one sealed. */
static void it_rotates_exactly_in_time_to_the_published_key(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S;
    for (unsigned turn = 0; turn < 10; turn++) {
        struct keyring_key current = only(ring, KEY_CURRENT);
        struct keyring_key next = only(ring, KEY_NEXT);
        uint64_t generation = keyring_generation(ring);
        struct keyring_change change =
            keyring_tick(ring, now_s + ENCRYPT_S - 1, ENCRYPT_S, 10 * OPEN_S);
        assert_false(change.rotated);
        assert_int_equal(keyring_generation(ring), generation);

        now_s += ENCRYPT_S;
        change = keyring_tick(ring, now_s, ENCRYPT_S, 10 * OPEN_S);
        assert_true(change.rotated);
        assert_int_equal(change.wiped, 0);
        assert_int_equal(change.crowded, 0);
        assert_memory_equal(change.current, next.name, KEYRING_NAME_LEN);
        assert_true(keyring_generation(ring) > generation);
        assert_int_equal(keyring_generation(ring) % 2, 0);
        assert_true(is_whole(read_ring(ring)));

        struct keyring_key sealing = only(ring, KEY_CURRENT);
        assert_memory_equal(sealing.name, next.name, KEYRING_NAME_LEN);
        assert_memory_equal(sealing.secret, next.secret, CRYPTO_KEY_LEN);
        assert_int_equal(sealing.current_s, now_s);
        assert_int_equal(sealing.made_s, now_s - ENCRYPT_S);
        assert_memory_not_equal(only(ring, KEY_NEXT).secret, next.secret, CRYPTO_KEY_LEN);
        /* The old one opens. */
        const struct keyring_snapshot *s = read_ring(ring);
        assert_int_equal(count_state(s, KEY_RETIRED), turn + 1);
        for (unsigned i = 0; i < s->count; i++) {
            if (memcmp(s->keys[i].name, current.name, KEYRING_NAME_LEN) == 0) {
                assert_int_equal(s->keys[i].state, KEY_RETIRED);
                assert_memory_equal(s->keys[i].secret, current.secret, CRYPTO_KEY_LEN);
                assert_int_equal(s->keys[i].retired_s, now_s);
                assert_int_equal(s->keys[i].open_until_s, now_s + 10 * OPEN_S);
            }
        }
    }
    ring_drop(ring);
}

/* R36, R39 */
static void a_retired_key_opens_for_its_time_and_is_wiped(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring_key first = only(ring, KEY_CURRENT);
    uint64_t retired_s = START_S + ENCRYPT_S;
    keyring_tick(ring, retired_s, ENCRYPT_S, OPEN_S);
    /* Rotations between do not touch it. */
    keyring_tick(ring, retired_s + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    assert_non_null(find_bytes(ring, first.secret, CRYPTO_KEY_LEN));
    keyring_tick(ring, retired_s + OPEN_S - 1, ENCRYPT_S, OPEN_S);
    uint8_t *at = find_bytes(ring, first.secret, CRYPTO_KEY_LEN);
    assert_non_null(at);

    struct keyring_change change = keyring_tick(ring, retired_s + OPEN_S, 2 * ENCRYPT_S, OPEN_S);
    assert_false(change.rotated);
    assert_int_equal(change.wiped, 1);
    assert_int_equal(change.crowded, 0);
    assert_true(crypto_is_zero(at, CRYPTO_KEY_LEN));
    assert_null(find_bytes(ring, first.secret, CRYPTO_KEY_LEN / 2));
    struct keyring_key wiped = only(ring, KEY_WIPED);
    assert_memory_equal(wiped.name, first.name, KEYRING_NAME_LEN);
    assert_int_equal(wiped.current_s, START_S);
    assert_int_equal(wiped.open_until_s, retired_s + OPEN_S);
    assert_true(is_whole(read_ring(ring)));
    ring_drop(ring);
}

/* Names are remembered as long as there is room, the newest longest; nothing that lives is
 * given up for them. */
static void names_of_wiped_keys_make_room_oldest_first(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    static uint8_t names[2 * KEYRING_SLOTS][KEYRING_NAME_LEN]; /* in the order of sealing */
    uint64_t now_s = START_S;
    for (unsigned turn = 0; turn < 2 * KEYRING_SLOTS; turn++) {
        memcpy(names[turn], only(ring, KEY_CURRENT).name, KEYRING_NAME_LEN);
        now_s += ENCRYPT_S;
        struct keyring_change change = keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
        assert_true(change.rotated);
        assert_int_equal(change.crowded, 0);
        /* CURRENT, NEXT, and all that came before, as far as there is room. */
        unsigned first = turn + 3 > KEYRING_SLOTS ? turn + 3 - KEYRING_SLOTS : 0;
        assert_int_equal(read_ring(ring)->count, turn - first + 3);
        assert_int_equal(count_state(&snapshot, KEY_RETIRED), turn == 0 ? 1 : 2);
        assert_non_null(find_bytes(ring, names[first], KEYRING_NAME_LEN));
        assert_true(first == 0 || !find_bytes(ring, names[first - 1], KEYRING_NAME_LEN));
    }
    ring_drop(ring);
}

static void an_idle_ring_does_not_change(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    void *before = malloc(keyring_bytes());
    assert_non_null(before);
    memcpy(before, ring, keyring_bytes());
    for (uint64_t s = 0; s < ENCRYPT_S; s++) {
        struct keyring_change change =
            keyring_tick(ring, START_S + ENCRYPT_S + s, ENCRYPT_S, OPEN_S);
        assert_false(change.rotated);
        assert_int_equal(change.wiped | change.crowded, 0);
    }
    assert_memory_equal(ring, before, keyring_bytes());
    free(before);
    ring_drop(ring);
}

static void a_clock_set_back_changes_nothing(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S + ENCRYPT_S;
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    uint64_t generation = keyring_generation(ring);
    static const uint64_t back_s[] = { 1, ENCRYPT_S, 100000, START_S };
    for (size_t i = 0; i < LENGTH(back_s); i++) {
        struct keyring_change change = keyring_tick(ring, now_s - back_s[i], ENCRYPT_S, OPEN_S);
        assert_false(change.rotated);
        assert_int_equal(change.wiped | change.crowded, 0);
        assert_int_equal(keyring_generation(ring), generation);
    }
    struct keyring_change change = keyring_tick(ring, 0, ENCRYPT_S, OPEN_S);
    assert_false(change.rotated);
    assert_int_equal(keyring_generation(ring), generation);
    /* And when it is right again all goes on. */
    change = keyring_tick(ring, now_s + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    assert_true(change.rotated);
    ring_drop(ring);
}

/* A keeper that slept through many rotations does one: the present key's time is over, and
 * the next one's begins. */
static void a_long_sleep_rotates_once(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring_key next = only(ring, KEY_NEXT);
    uint64_t now_s = START_S + 100 * ENCRYPT_S;
    struct keyring_change change = keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    assert_true(change.rotated);
    assert_memory_equal(only(ring, KEY_CURRENT).name, next.name, KEYRING_NAME_LEN);
    change = keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    assert_false(change.rotated);
    assert_int_equal(read_ring(ring)->count, 3);
    ring_drop(ring);
}

static void the_cache_s_key_outlives_all_others(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint8_t secret[CRYPTO_KEY_LEN];
    memcpy(secret, read_ring(ring)->cache_secret, sizeof(secret));
    for (uint64_t turn = 1; turn < 20; turn++) {
        keyring_tick(ring, START_S + turn * ENCRYPT_S, ENCRYPT_S, OPEN_S);
        assert_memory_equal(read_ring(ring)->cache_secret, secret, sizeof(secret));
    }
    ring_drop(ring);
}

/* Keys that open for longer than the ring has room: the oldest goes, and it is told. */
static void a_full_ring_gives_up_its_oldest(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    static uint8_t names[2 * KEYRING_SLOTS][KEYRING_NAME_LEN]; /* in the order of sealing */
    uint64_t now_s = START_S;
    unsigned turn = 0;
    for (; turn < KEYRING_SLOTS - 2; turn++) {
        memcpy(names[turn], only(ring, KEY_CURRENT).name, KEYRING_NAME_LEN);
        now_s += 1;
        struct keyring_change change = keyring_tick(ring, now_s, 1, UINT32_MAX);
        assert_true(change.rotated);
        assert_int_equal(change.crowded, 0);
    }
    assert_int_equal(read_ring(ring)->count, KEYRING_SLOTS);
    for (; turn < KEYRING_SLOTS + 50; turn++) {
        unsigned oldest = turn - (KEYRING_SLOTS - 2);
        memcpy(names[turn], only(ring, KEY_CURRENT).name, KEYRING_NAME_LEN);
        assert_non_null(find_bytes(ring, names[oldest], KEYRING_NAME_LEN));
        now_s += 1;
        struct keyring_change change = keyring_tick(ring, now_s, 1, UINT32_MAX);
        assert_true(change.rotated);
        assert_int_equal(change.crowded, 1);
        assert_int_equal(change.wiped, 0);
        assert_null(find_bytes(ring, names[oldest], KEYRING_NAME_LEN));
        assert_non_null(find_bytes(ring, names[oldest + 1], KEYRING_NAME_LEN));
        assert_int_equal(read_ring(ring)->count, KEYRING_SLOTS);
        assert_true(turn % 16 != 0 || is_whole(read_ring(ring)));
    }
    ring_drop(ring);
}

/* --- keys from files ------------------------------------------------------ */

static void given_make(struct keyring_given *given, uint8_t byte, enum keyring_state state) {
    memset(given->name, byte, sizeof(given->name));
    memset(given->secret, 0x80 | byte, sizeof(given->secret));
    given->state = state;
}

/* The key of that name; state KEY_EMPTY: none. */
static struct keyring_key named(const struct keyring *ring, const uint8_t *name) {
    const struct keyring_snapshot *s = read_ring(ring);
    for (unsigned i = 0; i < s->count; i++) {
        if (memcmp(s->keys[i].name, name, KEYRING_NAME_LEN) == 0) {
            return s->keys[i];
        }
    }
    return (struct keyring_key){ 0 };
}

/* R34: a ring that is to have keys from files never has one of its own. */
static void a_ring_laid_out_has_no_ticket_key(void **state) {
    (void)state;
    struct keyring *ring = shared_alloc(keyring_bytes());
    struct keyring_given given[2];
    keyring_lay_out(ring, START_S);
    assert_int_equal(read_ring(ring)->count, 0);
    assert_false(crypto_is_zero(snapshot.cache_secret, sizeof(snapshot.cache_secret)));
    given_make(&given[0], 1, KEY_CURRENT);
    given_make(&given[1], 2, KEY_RETIRED);
    keyring_use_files(ring, given, 2, START_S, OPEN_S);
    assert_int_equal(read_ring(ring)->count, 2);
    assert_memory_equal(only(ring, KEY_CURRENT).secret, given[0].secret, CRYPTO_KEY_LEN);
    assert_memory_equal(only(ring, KEY_RETIRED).secret, given[1].secret, CRYPTO_KEY_LEN);
    ring_drop(ring);
}

/* Neither rotated nor wiped, ever. */
static void given_keys_stay(void **state) {
    (void)state;
    struct keyring *ring = shared_alloc(keyring_bytes());
    struct keyring_given given[3];
    keyring_lay_out(ring, START_S);
    given_make(&given[0], 1, KEY_RETIRED);
    given_make(&given[1], 2, KEY_CURRENT);
    given_make(&given[2], 3, KEY_NEXT);
    keyring_use_files(ring, given, 3, START_S, OPEN_S);
    uint64_t generation = keyring_generation(ring);
    for (uint64_t turn = 1; turn < 100; turn++) {
        struct keyring_change change =
            keyring_tick(ring, START_S + turn * ENCRYPT_S, ENCRYPT_S, OPEN_S);
        assert_int_equal(change.rotated | change.wiped | change.crowded, 0);
    }
    assert_int_equal(keyring_generation(ring), generation);
    assert_int_equal(read_ring(ring)->count, 3);
    ring_drop(ring);
}

/* R37: from own keys to files and back, what was sealed opens for its time. */
static void from_own_keys_to_files_and_back(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring_given given[3];
    struct keyring_key own = only(ring, KEY_CURRENT);
    struct keyring_key unused = only(ring, KEY_NEXT);
    given_make(&given[0], 1, KEY_RETIRED);
    given_make(&given[1], 2, KEY_CURRENT);
    given_make(&given[2], 3, KEY_NEXT);
    keyring_use_files(ring, given, 3, START_S + 10, OPEN_S);
    struct keyring_key key = named(ring, own.name);
    assert_int_equal(key.state, KEY_RETIRED);
    assert_int_equal(key.open_until_s, START_S + 10 + OPEN_S);
    assert_memory_equal(key.secret, own.secret, CRYPTO_KEY_LEN);
    assert_null(find_bytes(ring, unused.secret, CRYPTO_KEY_LEN));
    assert_int_equal(keyring_tick(ring, START_S + 10 + OPEN_S, ENCRYPT_S, OPEN_S).wiped, 1);
    assert_null(find_bytes(ring, own.secret, CRYPTO_KEY_LEN));

    uint64_t back_s = START_S + 10 * ENCRYPT_S;
    keyring_use_own(ring, back_s, OPEN_S);
    for (unsigned i = 0; i < 3; i++) {
        key = named(ring, given[i].name);
        assert_int_equal(key.state, KEY_RETIRED);
        assert_int_equal(key.open_until_s, back_s + OPEN_S);
    }
    assert_true(is_whole(read_ring(ring)));
    assert_int_equal(only(ring, KEY_CURRENT).from_file, 0);
    assert_int_equal(only(ring, KEY_CURRENT).current_s, back_s);
    uint64_t generation = keyring_generation(ring);
    keyring_use_own(ring, back_s + 5, OPEN_S);
    assert_int_equal(keyring_generation(ring), generation);
    assert_int_equal(keyring_tick(ring, back_s + OPEN_S, 10 * ENCRYPT_S, OPEN_S).wiped, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_null(find_bytes(ring, given[i].secret, CRYPTO_KEY_LEN));
    }
    ring_drop(ring);
}

/* The files are the operator's word: one that is taken out opens nothing more. */
static void a_key_taken_out_of_the_files_is_wiped(void **state) {
    (void)state;
    struct keyring *ring = shared_alloc(keyring_bytes());
    struct keyring_given before[2];
    struct keyring_given after[2];
    keyring_lay_out(ring, START_S);
    given_make(&before[0], 1, KEY_CURRENT);
    given_make(&before[1], 2, KEY_RETIRED);
    keyring_use_files(ring, before, 2, START_S, OPEN_S);
    given_make(&after[0], 3, KEY_CURRENT);
    after[1] = before[0];
    after[1].state = KEY_RETIRED;
    keyring_use_files(ring, after, 2, START_S + 50, OPEN_S);
    assert_int_equal(named(ring, after[0].name).state, KEY_CURRENT);
    assert_int_equal(named(ring, before[0].name).state, KEY_RETIRED);
    assert_int_equal(named(ring, before[0].name).current_s, START_S);
    assert_int_equal(named(ring, before[1].name).state, KEY_WIPED);
    assert_null(find_bytes(ring, before[1].secret, CRYPTO_KEY_LEN));
    /* Back in again; and then its secret is another one. */
    keyring_use_files(ring, before, 2, START_S + 60, OPEN_S);
    assert_memory_equal(named(ring, before[1].name).secret, before[1].secret, CRYPTO_KEY_LEN);
    assert_int_equal(named(ring, before[1].name).state, KEY_RETIRED);
    memset(before[1].secret, 0x77, CRYPTO_KEY_LEN);
    keyring_use_files(ring, before, 2, START_S + 70, OPEN_S);
    assert_memory_equal(named(ring, before[1].name).secret, before[1].secret, CRYPTO_KEY_LEN);
    assert_int_equal(read_ring(ring)->count, 3); /* these two, and the wiped one's name */
    ring_drop(ring);
}

/* A ring full of retired keys of its own has room for those from files. */
static void given_keys_find_room_in_a_full_ring(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    static struct keyring_given given[64];
    for (uint64_t turn = 1; turn < 2 * KEYRING_SLOTS; turn++) {
        keyring_tick(ring, START_S + turn, 1, UINT32_MAX);
    }
    for (unsigned i = 0; i < LENGTH(given); i++) {
        given_make(&given[i], (uint8_t)(i + 1), i == 0 ? KEY_CURRENT : KEY_RETIRED);
    }
    keyring_use_files(ring, given, LENGTH(given), START_S + 1000, OPEN_S);
    for (unsigned i = 0; i < LENGTH(given); i++) {
        assert_int_equal(named(ring, given[i].name).state, given[i].state);
    }
    assert_int_equal(read_ring(ring)->count, KEYRING_SLOTS);
    ring_drop(ring);
}

/* --- writers that die, readers beside a writer ---------------------------- */

/* Starts a keeper that stops before its tick. */
static pid_t keeper_start(struct keyring *ring, uint64_t now_s) {
    pid_t pid = child_fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(98);
        }
        /* The first draw after a fork gathers entropy for long: none of the ring's business. */
        uint8_t draw[16];
        crypto_random(draw, sizeof(draw));
        raise(SIGSTOP);
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status)); /* else this system refuses ptrace */
    return pid;
}

static bool keeper_step(pid_t pid) {
    int status = 0;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSTOPPED(status);
}

/* A keeper died having left `ring` like this at now_s: readers are not misled, and the next
 * keeper makes it whole. Returns whether it had to be repaired. */
static bool check_left_ring(struct keyring *ring, uint64_t now_s) {
    bool torn = keyring_generation(ring) % 2 != 0;
    assert_int_equal(keyring_read(ring, &snapshot), torn ? -1 : 0);
    assert_true(torn || is_whole(&snapshot));
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    assert_true(is_whole(&snapshot));
    /* It goes on rotating. */
    uint8_t next[KEYRING_NAME_LEN];
    memcpy(next, only(ring, KEY_NEXT).name, sizeof(next));
    struct keyring_change change = keyring_tick(ring, now_s + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    assert_true(change.rotated);
    assert_memory_equal(change.current, next, sizeof(next));
    assert_true(is_whole(read_ring(ring)));
    return torn;
}

/* Copies the ring as it is after each store of a tick, as if the keeper had died there. */
static void a_keeper_may_die_at_any_store(void **state) {
    (void)state;
    size_t len = keyring_bytes();
    struct keyring *ring = ring_make();
    struct keyring *left = shared_alloc(len);
    void *last = malloc(len);
    assert_non_null(last);
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    keyring_tick(ring, START_S + 2 * ENCRYPT_S, ENCRYPT_S, OPEN_S);
    /* Rotates, wipes the first key, makes a new one. */
    uint64_t now_s = START_S + 3 * ENCRYPT_S;
    memcpy(last, ring, len);
    pid_t pid = keeper_start(ring, now_s);
    unsigned stores = 0;
    unsigned torn = 0;
    alarm(60);
    while (keeper_step(pid)) {
        if (memcmp(last, ring, len) != 0) {
            memcpy(last, ring, len);
            memcpy(left, ring, len);
            torn += check_left_ring(left, now_s);
            stores++;
        }
    }
    alarm(0);
    assert_true(stores > 8);
    assert_int_equal(torn, stores - 1); /* all but the last, which makes it even again */
    assert_true(is_whole(read_ring(ring)));
    free(last);
    shared_free(left, len);
    ring_drop(ring);
}

/* Readers in other processes see a whole ring or none while it is being written. */
static void readers_never_see_half_a_write(void **state) {
    (void)state;
    enum { READERS = 3, TICKS = 20000 };
    struct keyring *ring = ring_make();
    struct {
        _Atomic bool stop;
        _Atomic uint64_t reads[READERS];
    } *shared = shared_alloc(sizeof(*shared));
    pid_t pids[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        pids[i] = child_fork();
        if (pids[i] == 0) {
            uint64_t last = 0;
            while (!shared->stop) {
                if (keyring_read(ring, &snapshot) == 0) {
                    if (!is_whole(&snapshot) || snapshot.generation < last) {
                        _exit(1);
                    }
                    last = snapshot.generation;
                    shared->reads[i]++;
                }
            }
            _exit(0);
        }
    }
    uint64_t now_s = START_S;
    for (unsigned tick = 0; tick < TICKS || shared->reads[0] < 100 || shared->reads[1] < 100;
         tick++) {
        keyring_tick(ring, ++now_s, 1, 5);
        if (tick % 64 == 0) {
            usleep(20); /* readers must get through, too */
        }
    }
    shared->stop = true;
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(child_wait(pids[i]), 0);
    }
    shared_free(shared, sizeof(*shared));
    ring_drop(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_never_laid_out_is_refused),
        cmocka_unit_test(a_write_cut_short_is_refused_until_the_next_tick),
        cmocka_unit_test(a_new_ring_has_a_current_and_a_next),
        cmocka_unit_test(two_rings_share_nothing),
        cmocka_unit_test(it_rotates_exactly_in_time_to_the_published_key),
        cmocka_unit_test(a_retired_key_opens_for_its_time_and_is_wiped),
        cmocka_unit_test(names_of_wiped_keys_make_room_oldest_first),
        cmocka_unit_test(an_idle_ring_does_not_change),
        cmocka_unit_test(a_clock_set_back_changes_nothing),
        cmocka_unit_test(a_long_sleep_rotates_once),
        cmocka_unit_test(the_cache_s_key_outlives_all_others),
        cmocka_unit_test(a_full_ring_gives_up_its_oldest),
        cmocka_unit_test(a_ring_laid_out_has_no_ticket_key),
        cmocka_unit_test(given_keys_stay),
        cmocka_unit_test(from_own_keys_to_files_and_back),
        cmocka_unit_test(a_key_taken_out_of_the_files_is_wiped),
        cmocka_unit_test(given_keys_find_room_in_a_full_ring),
        cmocka_unit_test(a_keeper_may_die_at_any_store),
        cmocka_unit_test(readers_never_see_half_a_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
