/* test_sealer.c: resume/sealer.c, over a real key ring. */
#include "resume/sealer.h"

#include <fcntl.h>
#include <stdlib.h>

#include "ring.h"

#define HEAD_LEN 32 /* key name, sealer, counter: what makes key and nonce */

static struct sealer *sealer_make(const struct keyring *ring) {
    struct err err = { 0 };
    struct sealer *sealer = sealer_new(ring, &err);
    assert_non_null(sealer);
    return sealer;
}

static struct keyring_key current_key(const struct keyring *ring) {
    static struct keyring_snapshot snapshot;
    struct keyring_key key = { 0 };
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    for (unsigned i = 0; i < snapshot.count; i++) {
        if (snapshot.keys[i].state == KEY_CURRENT) {
            key = snapshot.keys[i];
        }
    }
    crypto_wipe(&snapshot, sizeof(snapshot));
    assert_int_equal(key.state, KEY_CURRENT);
    return key;
}

#define RECORD "a record of some length, which nobody but the sealer may read"
#define RECORD_LEN (sizeof(RECORD) - 1)
#define SEALED_LEN (RECORD_LEN + SEALER_OVERHEAD)

static void seal_ticket(struct sealer *sealer, uint8_t *ticket) {
    struct sealer_key key;
    assert_int_equal(sealer_seal_ticket(sealer, bytes_of(RECORD), ticket, &key), SEALER_OK);
    assert_true(key.current);
    assert_memory_equal(ticket, key.name, KEYRING_NAME_LEN);
}

static enum sealer_status open_ticket(struct sealer *sealer, const uint8_t *ticket, size_t len,
                                      struct sealer_key *key) {
    uint8_t *exact = malloc(len > 0 ? len : 1); /* both: the sanitizer sees one byte too many */
    uint8_t *out = malloc(len > 0 ? len : 1);
    assert_true(exact && out);
    memcpy(exact, ticket, len);
    size_t out_len = 77;
    enum sealer_status status =
        sealer_open_ticket(sealer, (struct bytes){ exact, len }, out, &out_len, key);
    if (status == SEALER_OK) {
        assert_int_equal(out_len, len - SEALER_OVERHEAD);
        assert_memory_equal(out, RECORD, out_len < RECORD_LEN ? out_len : RECORD_LEN);
    }
    free(exact);
    free(out);
    return status;
}

static enum sealer_status open_whole(struct sealer *sealer, const uint8_t *ticket) {
    struct sealer_key key;
    return open_ticket(sealer, ticket, SEALED_LEN, &key);
}

static enum sealer_status open_entry(struct sealer *sealer, const uint8_t *id,
                                     const uint8_t *sealed, size_t len) {
    uint8_t out[SEALED_LEN];
    size_t out_len;
    return sealer_open_entry(sealer, id, (struct bytes){ sealed, len }, out, &out_len);
}

/* --- what does not open -------------------------------------------------- */

/* R15. Before the opener has seen the sealer's tickets, and when it keeps the key for them:
 * both ways are looked at. */
static void a_ticket_with_one_bit_flipped_does_not_open(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    seal_ticket(sealer, ticket);
    for (unsigned kept = 0; kept <= 1; kept++) {
        for (size_t bit = 0; bit < 8 * sizeof(ticket); bit++) {
            ticket[bit / 8] = (uint8_t)(ticket[bit / 8] ^ 1u << bit % 8);
            assert_int_equal(open_whole(opener, ticket),
                             bit / 8 < KEYRING_NAME_LEN ? SEALER_UNKNOWN_KEY : SEALER_DAMAGED);
            ticket[bit / 8] = (uint8_t)(ticket[bit / 8] ^ 1u << bit % 8);
        }
        assert_int_equal(open_whole(opener, ticket), SEALER_OK);
    }
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R15 */
static void a_ticket_cut_short_or_made_longer_does_not_open(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t ticket[SEALED_LEN + 40] = { 0 };
    struct sealer_key key;
    seal_ticket(sealer, ticket);
    for (size_t len = 0; len <= sizeof(ticket); len++) {
        assert_int_equal(open_ticket(sealer, ticket, len, &key),
                         len == SEALED_LEN ? SEALER_OK : SEALER_DAMAGED);
    }
    sealer_free(sealer);
    ring_drop(ring);
}

/* R43: forged tickets leave everything as it was, and cost the honest nothing. */
static void forged_tickets_push_nothing_out(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    uint8_t forged[SEALED_LEN];
    uint64_t rng = 1;
    seal_ticket(sealer, ticket);
    for (unsigned i = 0; i < 2000; i++) {
        rng_fill(&rng, forged, sizeof(forged));
        assert_int_equal(open_whole(sealer, forged), SEALER_UNKNOWN_KEY);
        memcpy(forged, ticket, KEYRING_NAME_LEN);
        assert_int_equal(open_whole(sealer, forged), SEALER_DAMAGED);
    }
    assert_int_equal(open_whole(sealer, ticket), SEALER_OK);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R38 */
static void a_ticket_from_another_ring_has_an_unknown_key(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring *other = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(other);
    uint8_t ticket[SEALED_LEN];
    struct sealer_key key;
    seal_ticket(sealer, ticket);
    assert_int_equal(open_ticket(opener, ticket, sizeof(ticket), &key), SEALER_UNKNOWN_KEY);
    assert_memory_equal(key.name, ticket, KEYRING_NAME_LEN); /* for the log */
    assert_false(key.current);
    /* Not under another's name either. */
    memcpy(ticket, current_key(other).name, KEYRING_NAME_LEN);
    assert_int_equal(open_whole(opener, ticket), SEALER_DAMAGED);
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(other);
    ring_drop(ring);
}

static void ticket_and_entry_do_not_pass_for_each_other(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    /* The caches' key made the same as the tickets': only the purpose still differs. */
    struct keyring_key key = current_key(ring);
    static struct keyring_snapshot snapshot;
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    uint8_t *at = memmem(ring, keyring_bytes(), snapshot.cache_secret, CRYPTO_KEY_LEN);
    assert_non_null(at);
    memcpy(at, key.secret, CRYPTO_KEY_LEN);
    struct sealer *sealer = sealer_make(ring);
    uint8_t id[CACHE_ID_LEN];
    uint8_t sealed[SEALED_LEN];
    crypto_random(id, sizeof(id));

    seal_ticket(sealer, sealed);
    assert_int_equal(open_entry(sealer, id, sealed, sizeof(sealed)), SEALER_DAMAGED);
    assert_int_equal(sealer_seal_entry(sealer, id, bytes_of(RECORD), sealed), SEALER_OK);
    assert_int_equal(open_entry(sealer, id, sealed, sizeof(sealed)), SEALER_OK);
    assert_int_equal(open_whole(sealer, sealed), SEALER_UNKNOWN_KEY);
    memcpy(sealed, key.name, KEYRING_NAME_LEN);
    assert_int_equal(open_whole(sealer, sealed), SEALER_DAMAGED);
    sealer_free(sealer);
    ring_drop(ring);
}

/* Whoever could write to the cache could not move a session to another ID. */
static void an_entry_opens_under_its_own_id_only(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(ring);
    uint8_t id[CACHE_ID_LEN];
    uint8_t sealed[SEALED_LEN];
    crypto_random(id, sizeof(id));
    assert_int_equal(sealer_seal_entry(sealer, id, bytes_of(RECORD), sealed), SEALER_OK);
    for (unsigned bit = 0; bit < 8 * CACHE_ID_LEN; bit++) {
        id[bit / 8] = (uint8_t)(id[bit / 8] ^ 1u << bit % 8);
        assert_int_equal(open_entry(opener, id, sealed, sizeof(sealed)), SEALER_DAMAGED);
        id[bit / 8] = (uint8_t)(id[bit / 8] ^ 1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] = (uint8_t)(sealed[bit / 8] ^ 1u << bit % 8);
        assert_int_equal(open_entry(opener, id, sealed, sizeof(sealed)), SEALER_DAMAGED);
        sealed[bit / 8] = (uint8_t)(sealed[bit / 8] ^ 1u << bit % 8);
    }
    for (size_t len = 0; len < sizeof(sealed); len++) {
        assert_int_equal(open_entry(opener, id, sealed, len), SEALER_DAMAGED);
    }
    assert_int_equal(open_entry(opener, id, sealed, sizeof(sealed)), SEALER_OK);
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(ring);
}

/* --- no key, no seal ----------------------------------------------------- */

static void assert_seals_nothing(struct sealer *sealer, bool tickets, bool entries) {
    uint8_t id[CACHE_ID_LEN] = { 1 };
    uint8_t out[SEALED_LEN];
    struct sealer_key key;
    if (tickets) {
        assert_int_equal(sealer_seal_ticket(sealer, bytes_of(RECORD), out, &key),
                         SEALER_UNAVAILABLE);
    }
    if (entries) {
        assert_int_equal(sealer_seal_entry(sealer, id, bytes_of(RECORD), out), SEALER_UNAVAILABLE);
    }
}

/* R34 */
static void a_ring_never_laid_out_seals_and_opens_nothing(void **state) {
    (void)state;
    struct keyring *ring = shared_alloc(keyring_bytes());
    struct sealer *sealer = sealer_make(ring);
    assert_false(sealer_ready(sealer));
    assert_seals_nothing(sealer, true, true);
    uint8_t zero[SEALED_LEN] = { 0 };
    assert_int_equal(open_whole(sealer, zero), SEALER_UNAVAILABLE);
    assert_int_not_equal(open_entry(sealer, zero, zero, sizeof(zero)), SEALER_OK);
    /* It is ready as soon as the ring is. */
    keyring_init(ring, START_S);
    assert_true(sealer_ready(sealer));
    uint8_t ticket[SEALED_LEN];
    seal_ticket(sealer, ticket);
    assert_int_equal(open_whole(sealer, ticket), SEALER_OK);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R34 (CVE-2020-13777): a key that is zero is refused where it would be used. */
static void a_zero_key_seals_and_opens_nothing(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring_key key = current_key(ring);
    uint8_t *at = memmem(ring, keyring_bytes(), key.secret, CRYPTO_KEY_LEN);
    assert_non_null(at);
    memset(at, 0, CRYPTO_KEY_LEN);
    struct sealer *sealer = sealer_make(ring);
    assert_seals_nothing(sealer, true, false);
    uint8_t forged[SEALED_LEN] = { 0 };
    memcpy(forged, key.name, KEYRING_NAME_LEN);
    assert_int_not_equal(open_whole(sealer, forged), SEALER_OK);
    sealer_free(sealer);

    static struct keyring_snapshot snapshot;
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    at = memmem(ring, keyring_bytes(), snapshot.cache_secret, CRYPTO_KEY_LEN);
    assert_non_null(at);
    memset(at, 0, CRYPTO_KEY_LEN);
    sealer = sealer_make(ring);
    assert_seals_nothing(sealer, false, true);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R34: each eighth of a key counts, for sealing and opening alike. */
static void a_partly_zero_key_seals_and_opens_nothing(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring_key key = current_key(ring);
    uint8_t *at = memmem(ring, keyring_bytes(), key.secret, CRYPTO_KEY_LEN);
    assert_non_null(at);
    struct sealer *sealer = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    seal_ticket(sealer, ticket);
    sealer_free(sealer);
    for (unsigned part = 0; part < CRYPTO_KEY_LEN; part += 8) {
        memset(at + part, 0, 8);
        sealer = sealer_make(ring);
        assert_seals_nothing(sealer, true, false);
        assert_int_equal(open_whole(sealer, ticket), SEALER_UNAVAILABLE);
        sealer_free(sealer);
        memcpy(at + part, key.secret + part, 8);
    }
    sealer = sealer_make(ring);
    assert_int_equal(open_whole(sealer, ticket), SEALER_OK);
    sealer_free(sealer);
    ring_drop(ring);
}

/* A keeper died within a write: what the sealer has stays good, until the ring is whole. */
static void a_torn_ring_leaves_the_sealer_what_it_has(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    seal_ticket(sealer, ticket);
    ++*ring_find_generation(ring);
    assert_true(sealer_ready(sealer));
    assert_int_equal(open_whole(sealer, ticket), SEALER_OK);
    seal_ticket(sealer, ticket);
    struct sealer *late = sealer_make(ring);
    assert_false(sealer_ready(late));
    assert_seals_nothing(late, true, true);
    assert_int_equal(open_whole(late, ticket), SEALER_UNAVAILABLE);
    keyring_tick(ring, START_S, ENCRYPT_S, OPEN_S);
    assert_true(sealer_ready(late));
    assert_int_equal(open_whole(late, ticket), SEALER_OK);
    sealer_free(late);
    sealer_free(sealer);
    ring_drop(ring);
}

/* --- what opens ---------------------------------------------------------- */

static void records_of_each_length_come_back(void **state) {
    (void)state;
    static const size_t lengths[] = { 0, 1, 15, 16, 17, 1000, CACHE_RECORD_MAX };
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(ring);
    uint64_t rng = 1;
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        size_t len = lengths[i];
        uint8_t *record = malloc(len + 1);
        uint8_t *sealed = malloc(len + SEALER_OVERHEAD);
        uint8_t *out = malloc(len + SEALER_OVERHEAD);
        assert_true(record && sealed && out);
        rng_fill(&rng, record, len);
        struct bytes sealed_bytes = { sealed, len + SEALER_OVERHEAD };
        struct sealer_key key;
        size_t out_len = 0;
        assert_int_equal(sealer_seal_ticket(sealer, (struct bytes){ record, len }, sealed, &key),
                         SEALER_OK);
        assert_int_equal(sealer_open_ticket(opener, sealed_bytes, out, &out_len, &key), SEALER_OK);
        assert_true(key.current);
        assert_int_equal(out_len, len);
        assert_memory_equal(out, record, len);

        uint8_t id[CACHE_ID_LEN];
        rng_fill(&rng, id, sizeof(id));
        memset(out, 0, len);
        assert_int_equal(sealer_seal_entry(sealer, id, (struct bytes){ record, len }, sealed),
                         SEALER_OK);
        assert_int_equal(sealer_open_entry(opener, id, sealed_bytes, out, &out_len), SEALER_OK);
        assert_int_equal(out_len, len);
        assert_memory_equal(out, record, len);
        free(record);
        free(sealed);
        free(out);
    }
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R26 */
static void no_two_tickets_of_a_record_are_equal(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t a[SEALED_LEN];
    uint8_t b[SEALED_LEN];
    seal_ticket(sealer, a);
    for (unsigned i = 0; i < 100; i++) {
        seal_ticket(sealer, b);
        assert_memory_not_equal(a, b, HEAD_LEN);
        assert_memory_not_equal(a + HEAD_LEN, b + HEAD_LEN, 16);
        memcpy(a, b, sizeof(a));
    }
    assert_null(memmem(a, sizeof(a), "record", 6));
    sealer_free(sealer);
    ring_drop(ring);
}

/* Tickets of many more sealers (workers that came and went) than an opener keeps keys for. */
static void tickets_of_many_sealers_open(void **state) {
    (void)state;
    enum { SEALERS = 300 };
    static uint8_t tickets[SEALERS][SEALED_LEN];
    struct keyring *ring = ring_make();
    for (unsigned i = 0; i < SEALERS; i++) {
        struct sealer *sealer = sealer_make(ring);
        seal_ticket(sealer, tickets[i]);
        sealer_free(sealer);
    }
    struct sealer *opener = sealer_make(ring);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < SEALERS; i++) {
            assert_int_equal(open_whole(opener, tickets[i]), SEALER_OK);
        }
    }
    sealer_free(opener);
    ring_drop(ring);
}

static int head_compare(const void *a, const void *b) {
    return memcmp(a, b, HEAD_LEN);
}

/* R35: key name, sealer and counter make key and nonce; all of a million differ. The
 * sealers stand for workers; half way they are made anew, as after a crash, and the ring
 * rotates beneath them. */
static void a_million_seals_repeat_no_nonce(void **state) {
    (void)state;
    enum { SEALS = 1000000, WORKERS = 8 };
    uint8_t(*heads)[HEAD_LEN] = malloc(sizeof(*heads) * SEALS);
    assert_non_null(heads);
    struct keyring *ring = ring_make();
    struct sealer *sealers[WORKERS] = { 0 };
    uint64_t now_s = START_S;
    uint8_t id[CACHE_ID_LEN] = { 0 };
    for (unsigned i = 0; i < SEALS; i++) {
        if (i % (SEALS / 2) == 0) {
            for (unsigned w = 0; w < WORKERS; w++) {
                sealer_free(sealers[w]);
                sealers[w] = sealer_make(ring);
            }
        }
        if (i % (SEALS / 10) == SEALS / 20) {
            now_s += ENCRYPT_S;
            assert_true(keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S).rotated);
        }
        uint8_t out[SEALER_OVERHEAD + 1];
        struct sealer_key key;
        struct sealer *sealer = sealers[i / 3 % WORKERS];
        struct bytes record = { (const uint8_t *)"x", 1 };
        enum sealer_status status = i % 3 == 0 ? sealer_seal_entry(sealer, id, record, out)
                                               : sealer_seal_ticket(sealer, record, out, &key);
        assert_int_equal(status, SEALER_OK);
        memcpy(heads[i], out, HEAD_LEN);
    }
    qsort(heads, SEALS, sizeof(*heads), head_compare);
    for (unsigned i = 1; i < SEALS; i++) {
        assert_true(memcmp(heads[i - 1], heads[i], HEAD_LEN) != 0);
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        sealer_free(sealers[w]);
    }
    free(heads);
    ring_drop(ring);
}

/* R35: a restart that keeps the ring's keys (store/statefile.h) repeats no nonce: each sealer draws
 * an ID of its own for each key, and counts from there. */
static void a_ring_that_comes_back_repeats_no_nonce(void **state) {
    (void)state;
    enum { RESTARTS = 50, SEALS = 20 };
    static const struct keyring_lives lives = { ENCRYPT_S, OPEN_S };
    static struct keyring_snapshot saved;
    static uint8_t heads[RESTARTS * SEALS][HEAD_LEN];
    struct keyring *ring = ring_make();
    struct keyring_key key = current_key(ring);
    assert_int_equal(keyring_read(ring, &saved), 0);
    ring_drop(ring);
    uint8_t first[SEALED_LEN];
    for (unsigned i = 0; i < LENGTH(heads); i++) {
        static struct sealer *sealer;
        if (i % SEALS == 0) {
            ring = shared_alloc(keyring_bytes());
            keyring_lay_out(ring, START_S);
            assert_int_equal(keyring_restore(ring, &saved, &lives, START_S), 0);
            sealer = sealer_make(ring);
            assert_true(i == 0 || open_whole(sealer, first) == SEALER_OK);
        }
        uint8_t ticket[SEALED_LEN];
        seal_ticket(sealer, ticket);
        assert_memory_equal(ticket, key.name, KEYRING_NAME_LEN);
        memcpy(heads[i], ticket, HEAD_LEN);
        if (i == 0) {
            memcpy(first, ticket, sizeof(first));
        }
        if (i % SEALS == SEALS - 1) {
            sealer_free(sealer);
            ring_drop(ring);
        }
    }
    qsort(heads, LENGTH(heads), sizeof(*heads), head_compare);
    for (unsigned i = 1; i < LENGTH(heads); i++) {
        assert_true(memcmp(heads[i - 1], heads[i], HEAD_LEN) != 0);
    }
    crypto_wipe(&saved, sizeof(saved));
}

/* What one seal wrote: key name, sealer, counter; and the tag, of the same record each time. */
struct sealed {
    uint8_t head[HEAD_LEN];
    uint8_t tag[CRYPTO_TAG_LEN];
};

static int tag_compare(const void *a, const void *b) {
    return memcmp(((const struct sealed *)a)->tag, ((const struct sealed *)b)->tag, CRYPTO_TAG_LEN);
}

/* A worker's share of seals; in a child. */
static int seal_share(const struct keyring *ring, struct sealed *out, unsigned count) {
    struct err err = { 0 };
    struct sealer *sealer = sealer_new(ring, &err);
    uint8_t ticket[SEALER_OVERHEAD + 1];
    struct sealer_key key;
    for (unsigned i = 0; i < count; i++) {
        if (!sealer || sealer_seal_ticket(sealer, (struct bytes){ (const uint8_t *)"x", 1 }, ticket,
                                          &key) != SEALER_OK) {
            return 1;
        }
        memcpy(out[i].head, ticket, HEAD_LEN);
        memcpy(out[i].tag, ticket + HEAD_LEN + 1, CRYPTO_TAG_LEN);
    }
    sealer_free(sealer);
    return 0;
}

/* R35: 10^6 tickets of workers forked from one process, which had drawn and sealed before: no
 * nonce twice under a derived key (name and sealer make the key, the counter is the nonce), and
 * no two tickets equal (R26). */
static void a_million_seals_of_forked_workers_repeat_no_nonce(void **state) {
    (void)state;
    enum { SEALS = 1000000, WORKERS = 8, SHARE = SEALS / WORKERS };
    struct sealed *all = shared_alloc(sizeof(*all) * SEALS);
    struct keyring *ring = ring_make();
    struct sealer *before = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    pid_t pids[WORKERS];
    seal_ticket(before, ticket);
    for (unsigned w = 0; w < WORKERS; w++) {
        pids[w] = child_fork();
        if (pids[w] == 0) {
            _exit(seal_share(ring, all + (size_t)w * SHARE, SHARE));
        }
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        assert_int_equal(child_wait(pids[w]), 0);
    }
    qsort(all, SEALS, sizeof(*all), head_compare);
    for (unsigned i = 1; i < SEALS; i++) {
        assert_true(memcmp(all[i - 1].head, all[i].head, HEAD_LEN) != 0);
    }
    qsort(all, SEALS, sizeof(*all), tag_compare);
    for (unsigned i = 1; i < SEALS; i++) {
        assert_true(tag_compare(&all[i - 1], &all[i]) != 0);
    }
    sealer_free(before);
    ring_drop(ring);
    shared_free(all, sizeof(*all) * SEALS);
}

/* --- rotation ------------------------------------------------------------ */

/* R37: a retired key opens, and tells that the ticket is better renewed; past its time it
 * is told as retired, and opens nothing. */
static void a_ticket_lives_as_long_as_its_key(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(ring); /* another worker, which has never sealed */
    uint8_t ticket[SEALED_LEN];
    struct sealer_key key;
    seal_ticket(sealer, ticket);
    assert_int_equal(open_ticket(opener, ticket, sizeof(ticket), &key), SEALER_OK);
    assert_true(key.current);

    uint64_t retired_s = START_S + ENCRYPT_S;
    keyring_tick(ring, retired_s, ENCRYPT_S, OPEN_S);
    assert_int_equal(open_ticket(opener, ticket, sizeof(ticket), &key), SEALER_OK);
    assert_false(key.current);
    assert_memory_equal(key.name, ticket, KEYRING_NAME_LEN);
    uint8_t newer[SEALED_LEN];
    seal_ticket(sealer, newer);
    assert_memory_not_equal(newer, ticket, KEYRING_NAME_LEN);
    assert_int_equal(open_ticket(opener, newer, sizeof(newer), &key), SEALER_OK);
    assert_true(key.current);

    keyring_tick(ring, retired_s + OPEN_S - 1, 10 * ENCRYPT_S, OPEN_S);
    assert_int_equal(open_whole(opener, ticket), SEALER_OK);
    keyring_tick(ring, retired_s + OPEN_S, 10 * ENCRYPT_S, OPEN_S);
    assert_int_equal(open_ticket(opener, ticket, sizeof(ticket), &key), SEALER_RETIRED_KEY);
    assert_memory_equal(key.name, ticket, KEYRING_NAME_LEN);
    assert_int_equal(open_whole(sealer, ticket), SEALER_RETIRED_KEY);
    assert_int_equal(open_whole(opener, newer), SEALER_OK);
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(ring);
}

/* R37: the first ticket under a new key, at a worker that looked at the ring last before. */
static void the_next_key_opens_before_it_seals(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring *copy = shared_alloc(keyring_bytes());
    memcpy(copy, ring, keyring_bytes()); /* a worker that sees the ring as it was */
    struct sealer *behind = sealer_make(copy);
    struct sealer *sealer = sealer_make(ring);
    uint8_t ticket[SEALED_LEN];
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    seal_ticket(sealer, ticket);
    assert_int_equal(open_whole(behind, ticket), SEALER_OK);
    sealer_free(sealer);
    sealer_free(behind);
    ring_drop(copy);
    ring_drop(ring);
}

/* The caches' key does not rotate: what is in the cache stays readable. */
static void entries_outlive_rotations(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t id[CACHE_ID_LEN] = { 7 };
    uint8_t sealed[SEALED_LEN];
    assert_int_equal(sealer_seal_entry(sealer, id, bytes_of(RECORD), sealed), SEALER_OK);
    for (unsigned turn = 1; turn < 10; turn++) {
        keyring_tick(ring, START_S + turn * ENCRYPT_S, ENCRYPT_S, OPEN_S);
        assert_int_equal(open_entry(sealer, id, sealed, sizeof(sealed)), SEALER_OK);
    }
    sealer_free(sealer);
    ring_drop(ring);
}

/* --- nothing stays behind ------------------------------------------------ */

#define MASK 0xa5

/* How often the 32 bytes, which are given masked so as not to find themselves, lie in this
 * process's private memory. It is read through a buffer in shared memory, which is not
 * looked at. */
static unsigned count_in_memory(const uint8_t masked[static CRYPTO_KEY_LEN]) {
    enum { CHUNK = 1 << 20 };
    uint8_t *chunk = shared_alloc(CHUNK);
    FILE *maps = fopen("/proc/self/maps", "r");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(maps && mem >= 0);
    char line[1024];
    unsigned count = 0;
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from;
        unsigned long to;
        char rights[5];
        assert_int_equal(sscanf(line, "%lx-%lx %4s", &from, &to, rights), 3);
        /* The sanitizers' own tables are terabytes, and hold no one's bytes. */
        if (rights[0] != 'r' || rights[3] != 'p' || to - from > 1ul << 32) {
            continue;
        }
        for (unsigned long at = from; at < to; at += CHUNK - CRYPTO_KEY_LEN) {
            size_t want = to - at < CHUNK ? to - at : CHUNK;
            ssize_t n = pread(mem, chunk, want, (off_t)at);
            for (ssize_t i = 0; i + CRYPTO_KEY_LEN <= n; i++) {
                unsigned k = 0;
                while (k < CRYPTO_KEY_LEN && (chunk[i + k] ^ MASK) == masked[k]) {
                    k++;
                }
                count += k == CRYPTO_KEY_LEN;
            }
        }
    }
    close(mem);
    fclose(maps);
    shared_free(chunk, CHUNK);
    return count;
}

/* Leaves no copy itself. */
static void mask_secret(const struct keyring *ring, uint8_t masked[static CRYPTO_KEY_LEN]) {
    static struct keyring_snapshot snapshot;
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    for (unsigned k = 0; k < snapshot.count; k++) {
        for (unsigned i = 0; snapshot.keys[k].state == KEY_CURRENT && i < CRYPTO_KEY_LEN; i++) {
            masked[i] = snapshot.keys[k].secret[i] ^ MASK;
        }
    }
    crypto_wipe(&snapshot, sizeof(snapshot));
}

/* R39: a retired key is nowhere in a worker's memory: not in the sealer, not on the heap,
 * not on the stack. */
static void a_retired_key_is_nowhere_in_memory(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    struct sealer *opener = sealer_make(ring);
    uint8_t masked[CRYPTO_KEY_LEN];
    uint8_t ticket[SEALED_LEN];
    mask_secret(ring, masked);
    for (unsigned i = 0; i < 10; i++) {
        seal_ticket(sealer, ticket);
        assert_int_equal(open_whole(opener, ticket), SEALER_OK);
    }
    assert_int_equal(count_in_memory(masked), 2); /* each sealer's copy: it can be found */
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    sealer_refresh(sealer);
    sealer_refresh(opener);
    assert_int_equal(open_whole(opener, ticket), SEALER_OK);
    assert_int_equal(count_in_memory(masked), 2);

    keyring_tick(ring, START_S + ENCRYPT_S + OPEN_S, ENCRYPT_S, OPEN_S);
    sealer_refresh(sealer);
    sealer_refresh(opener);
    assert_int_equal(count_in_memory(masked), 0);
    assert_int_equal(open_whole(opener, ticket), SEALER_RETIRED_KEY);
    /* The ring is shared memory, and looked at by itself. */
    uint8_t plain[CRYPTO_KEY_LEN];
    for (unsigned i = 0; i < CRYPTO_KEY_LEN; i++) {
        plain[i] = masked[i] ^ MASK;
    }
    assert_null(memmem(ring, keyring_bytes(), plain, sizeof(plain)));
    crypto_wipe(plain, sizeof(plain));
    sealer_free(opener);
    sealer_free(sealer);
    ring_drop(ring);
}

static void a_freed_sealer_leaves_no_key(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct sealer *sealer = sealer_make(ring);
    uint8_t masked[CRYPTO_KEY_LEN];
    uint8_t ticket[SEALED_LEN];
    mask_secret(ring, masked);
    seal_ticket(sealer, ticket);
    assert_int_equal(open_whole(sealer, ticket), SEALER_OK);
    assert_int_equal(count_in_memory(masked), 1);
    sealer_free(sealer);
    assert_int_equal(count_in_memory(masked), 0);
    sealer_free(NULL);
    ring_drop(ring);
}

/* R39 */
static void no_sealer_without_the_right_to_lock(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    pid_t pid = child_fork();
    if (pid == 0) {
        struct err err = { 0 };
        _exit(child_drop_memlock() != 0        ? 2
              : sealer_new(ring, &err)         ? 3
              : !strstr(err.text, "ulimit -l") ? 4
                                               : 0);
    }
    assert_int_equal(child_wait(pid), MLOCK_WORKS ? 0 : 3);
    ring_drop(ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_with_one_bit_flipped_does_not_open),
        cmocka_unit_test(a_ticket_cut_short_or_made_longer_does_not_open),
        cmocka_unit_test(forged_tickets_push_nothing_out),
        cmocka_unit_test(a_ticket_from_another_ring_has_an_unknown_key),
        cmocka_unit_test(ticket_and_entry_do_not_pass_for_each_other),
        cmocka_unit_test(an_entry_opens_under_its_own_id_only),
        cmocka_unit_test(a_ring_never_laid_out_seals_and_opens_nothing),
        cmocka_unit_test(a_zero_key_seals_and_opens_nothing),
        cmocka_unit_test(a_partly_zero_key_seals_and_opens_nothing),
        cmocka_unit_test(a_torn_ring_leaves_the_sealer_what_it_has),
        cmocka_unit_test(records_of_each_length_come_back),
        cmocka_unit_test(no_two_tickets_of_a_record_are_equal),
        cmocka_unit_test(tickets_of_many_sealers_open),
        cmocka_unit_test(a_million_seals_repeat_no_nonce),
        cmocka_unit_test(a_million_seals_of_forked_workers_repeat_no_nonce),
        cmocka_unit_test(a_ring_that_comes_back_repeats_no_nonce),
        cmocka_unit_test(a_ticket_lives_as_long_as_its_key),
        cmocka_unit_test(the_next_key_opens_before_it_seals),
        cmocka_unit_test(entries_outlive_rotations),
        cmocka_unit_test(a_retired_key_is_nowhere_in_memory),
        cmocka_unit_test(a_freed_sealer_leaves_no_key),
        cmocka_unit_test(no_sealer_without_the_right_to_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
