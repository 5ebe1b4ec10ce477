/* test_secrecy.c: store/secrecy.c (R41), over a real ring. */
#include "store/secrecy.h"

#include "ring.h"

#define CARRY_S 600u

static struct secrecy figure_of(const struct keyring *ring, uint64_t cache_oldest_s,
                                uint64_t now_s) {
    static struct keyring_list list;
    assert_int_equal(keyring_look(ring, &list), 0);
    return secrecy_figure(&list, cache_oldest_s, now_s);
}

#define ASSERT_BEFORE(ring, cache_oldest_s, now_s, expected_s)                \
    do {                                                                      \
        struct secrecy figure = figure_of((ring), (cache_oldest_s), (now_s)); \
        assert_int_equal(figure.kind, SECRECY_BOUND);                         \
        assert_int_equal(figure.before_s, (expected_s));                      \
    } while (0)

/* It moves when a key is wiped, and only then: to when the oldest one left began to seal, less
 * what a renewed ticket carries along; never to before the ring. */
static void it_follows_the_oldest_key(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    keyring_note_carry(ring, CARRY_S);
    ASSERT_BEFORE(ring, KEYRING_NEVER, START_S + 5000, START_S);
    uint64_t now_s = START_S;
    for (unsigned turn = 1; turn < 10; turn++) {
        now_s += ENCRYPT_S;
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
        /* OPEN_S is two lives of a sealing key: retired keys of two lives are held. */
        uint64_t oldest_s = turn < 3 ? START_S : now_s - 2 * ENCRYPT_S;
        uint64_t expected_s = oldest_s == START_S ? START_S : oldest_s - CARRY_S;
        ASSERT_BEFORE(ring, KEYRING_NEVER, now_s, expected_s);
        ASSERT_BEFORE(ring, KEYRING_NEVER, now_s + ENCRYPT_S - 1, expected_s);
    }
    ring_drop(ring);
}

static void the_longest_carry_counts(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S + 100 * ENCRYPT_S;
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    keyring_tick(ring, now_s + OPEN_S, 10 * ENCRYPT_S, OPEN_S);
    keyring_note_carry(ring, CARRY_S);
    keyring_note_carry(ring, 10);
    ASSERT_BEFORE(ring, KEYRING_NEVER, now_s + OPEN_S, now_s - CARRY_S);
    keyring_note_carry(ring, 2 * CARRY_S);
    ASSERT_BEFORE(ring, KEYRING_NEVER, now_s + OPEN_S, now_s - 2 * CARRY_S);
    keyring_note_carry(ring, UINT32_MAX);
    ASSERT_BEFORE(ring, KEYRING_NEVER, now_s + OPEN_S, START_S);
    ring_drop(ring);
}

/* A session in a cache counts when it is older than the keys. */
static void the_caches_count(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S + 100 * ENCRYPT_S;
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    keyring_tick(ring, now_s + OPEN_S, 10 * ENCRYPT_S, OPEN_S);
    ASSERT_BEFORE(ring, now_s + 5, now_s + OPEN_S, now_s);
    ASSERT_BEFORE(ring, now_s - 5, now_s + OPEN_S, now_s - 5);
    ASSERT_BEFORE(ring, 0, now_s + OPEN_S, START_S);
    ring_drop(ring);
}

/* Nothing that could be told would hold. */
static void a_clock_set_back_leaves_no_figure(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    assert_int_equal(figure_of(ring, KEYRING_NEVER, START_S - 1).kind, SECRECY_CLOCK);
    uint64_t now_s = START_S + ENCRYPT_S;
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    assert_int_equal(figure_of(ring, KEYRING_NEVER, now_s - 1).kind, SECRECY_CLOCK);
    assert_int_equal(figure_of(ring, KEYRING_NEVER, now_s).kind, SECRECY_BOUND);
    ring_drop(ring);
}

static void a_ring_never_laid_out_can_not_be_looked_at(void **state) {
    (void)state;
    static struct keyring_list list;
    struct keyring *ring = shared_alloc(keyring_bytes());
    assert_int_equal(keyring_look(ring, &list), -1);
    ring_drop(ring);
}

/* What is told of the keys has no byte of a secret. */
static void a_list_holds_no_secret(void **state) {
    (void)state;
    static struct keyring_list list;
    static struct keyring_snapshot snapshot;
    struct keyring *ring = ring_make();
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    assert_int_equal(keyring_look(ring, &list), 0);
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    assert_int_equal(list.count, 3);
    assert_null(memmem(&list, sizeof(list), snapshot.cache_secret, 8));
    for (unsigned i = 0; i < snapshot.count; i++) {
        assert_non_null(memmem(&list, sizeof(list), snapshot.keys[i].name, KEYRING_NAME_LEN));
        assert_null(memmem(&list, sizeof(list), snapshot.keys[i].secret, 8));
    }
    ring_drop(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_follows_the_oldest_key),
        cmocka_unit_test(the_longest_carry_counts),
        cmocka_unit_test(the_caches_count),
        cmocka_unit_test(a_clock_set_back_leaves_no_figure),
        cmocka_unit_test(a_ring_never_laid_out_can_not_be_looked_at),
        cmocka_unit_test(a_list_holds_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
