/* keyring.c: see keyring.h. */
#include "store/keyring.h"

#include <stdatomic.h>
#include <string.h>

#define RESTORE_GRACE_S 60 /* what a NEXT may be late for its turn after a restart */
#define KEYRING_MAGIC 0x52505253524e4732ull /* changes with the layout */

struct keyring {
    uint64_t magic;
    _Atomic uint64_t generation;
    /* The master's notes: no part of what the generation guards. */
    _Atomic uint64_t cache_oldest_s;
    _Atomic uint32_t carry_s;
    uint32_t from_files; /* 1: the present keys are the operator's */
    uint64_t began_s;
    uint8_t cache_secret[CRYPTO_KEY_LEN];
    struct keyring_key keys[KEYRING_SLOTS];
};

size_t keyring_bytes(void) {
    return sizeof(struct keyring);
}

uint64_t keyring_layout(void) {
    return KEYRING_MAGIC;
}

static void write_begin(struct keyring *ring) {
    uint64_t g = atomic_load_explicit(&ring->generation, memory_order_relaxed);
    /* Already odd: the last keeper died here. It stays odd until this write ends. */
    atomic_store_explicit(&ring->generation, g | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void write_end(struct keyring *ring) {
    uint64_t g = atomic_load_explicit(&ring->generation, memory_order_relaxed);
    atomic_store_explicit(&ring->generation, g + 1, memory_order_release);
}

static void key_make(struct keyring_key *key, uint64_t now_s) {
    crypto_wipe(key, sizeof(*key));
    crypto_random(key->name, sizeof(key->name));
    crypto_random(key->secret, sizeof(key->secret));
    key->made_s = now_s;
    key->state = KEY_NEXT;
}

static struct keyring_key *key_in_state(struct keyring *ring, enum keyring_state state) {
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        if (ring->keys[i].state == state) {
            return &ring->keys[i];
        }
    }
    return NULL;
}

/* The one that was retired first. */
static struct keyring_key *key_oldest(struct keyring *ring, enum keyring_state state) {
    struct keyring_key *oldest = NULL;
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        struct keyring_key *key = &ring->keys[i];
        if (key->state == state && key->open_until_s != KEYRING_NEVER &&
            (!oldest || key->retired_s < oldest->retired_s)) {
            oldest = key;
        }
    }
    return oldest;
}

/* A place for a new key: an empty one, or that of the name wiped longest ago, or of the
 * oldest retired key. The ring holds one CURRENT and one NEXT at most, so one of them exists. */
static struct keyring_key *key_place(struct keyring *ring, struct keyring_change *change) {
    struct keyring_key *place = key_in_state(ring, KEY_EMPTY);
    if (!place) {
        place = key_oldest(ring, KEY_WIPED);
    }
    if (!place) {
        place = key_oldest(ring, KEY_RETIRED);
        change->crowded++;
    }
    return place;
}

/* Only the name stays, so that its tickets can be told from those of nobody. The state last:
 * a keeper that dies here leaves a retired key, which the next one wipes. */
static void key_wipe(struct keyring_key *key) {
    crypto_wipe(key->secret, sizeof(key->secret));
    atomic_signal_fence(memory_order_seq_cst);
    key->state = KEY_WIPED;
}

void keyring_lay_out(struct keyring *ring, uint64_t now_s) {
    ring->magic = KEYRING_MAGIC;
    ring->began_s = now_s;
    atomic_store(&ring->cache_oldest_s, KEYRING_NEVER);
    crypto_random(ring->cache_secret, sizeof(ring->cache_secret));
    atomic_store(&ring->generation, 2);
}

void keyring_init(struct keyring *ring, uint64_t now_s) {
    keyring_lay_out(ring, now_s);
    keyring_use_own(ring, now_s, 0);
}

static void key_retire(struct keyring_key *key, uint64_t now_s, uint32_t open_s) {
    key->retired_s = now_s;
    key->open_until_s = now_s + open_s;
    /* The state last: a keeper that dies here leaves a key that still opens. */
    atomic_signal_fence(memory_order_seq_cst);
    key->state = KEY_RETIRED;
}

/* True when keyring_tick has nothing to do: then nothing is written, and the
 * readers' copies stay good. */
static bool ring_is_idle(struct keyring *ring, uint64_t now_s, uint32_t encrypt_s) {
    const struct keyring_key *current = key_in_state(ring, KEY_CURRENT);
    bool whole = ring->from_files || (current && key_in_state(ring, KEY_NEXT));
    if (!whole || (keyring_generation(ring) & 1)) {
        return false;
    }
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        if (ring->keys[i].state == KEY_RETIRED && ring->keys[i].open_until_s <= now_s) {
            return false;
        }
    }
    return ring->from_files || now_s < current->current_s + encrypt_s;
}

static void ring_wipe_expired(struct keyring *ring, uint64_t now_s, struct keyring_change *change) {
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        struct keyring_key *key = &ring->keys[i];
        if (key->state == KEY_RETIRED && key->open_until_s <= now_s) {
            key_wipe(key);
            change->wiped++;
        }
    }
}

/* Makes NEXT where it is missing, and CURRENT of it when the last one's time is over. */
static void ring_rotate(struct keyring *ring, uint64_t now_s, const struct keyring_lives *lives,
                        struct keyring_change *change) {
    struct keyring_key *next = key_in_state(ring, KEY_NEXT);
    if (!next) {
        next = key_place(ring, change);
        key_make(next, now_s);
    }
    struct keyring_key *current = key_in_state(ring, KEY_CURRENT);
    if (current && now_s < current->current_s + lives->encrypt_s) {
        return;
    }
    if (current) {
        key_retire(current, now_s, lives->open_s);
    }
    next->state = KEY_CURRENT;
    next->current_s = now_s;
    key_make(key_place(ring, change), now_s);
    change->rotated = true;
    memcpy(change->current, next->name, sizeof(change->current));
}

struct keyring_change keyring_tick(struct keyring *ring, uint64_t now_s, uint32_t encrypt_s,
                                   uint32_t open_s) {
    struct keyring_change change = { 0 };
    if (ring_is_idle(ring, now_s, encrypt_s)) {
        return change;
    }
    write_begin(ring);
    ring_wipe_expired(ring, now_s, &change);
    if (!ring->from_files) {
        ring_rotate(ring, now_s, &(struct keyring_lives){ encrypt_s, open_s }, &change);
    }
    write_end(ring);
    return change;
}

/* Those from files until now open for a while more; NEXT, too: other hosts may seal under it. */
static void ring_retire_given(struct keyring *ring, uint64_t now_s, uint32_t open_s) {
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        struct keyring_key *key = &ring->keys[i];
        if (key->from_file && (key->state == KEY_CURRENT || key->state == KEY_NEXT ||
                               (key->state == KEY_RETIRED && key->open_until_s == KEYRING_NEVER))) {
            key_retire(key, now_s, open_s);
        }
    }
}

void keyring_use_own(struct keyring *ring, uint64_t now_s, uint32_t open_s) {
    const struct keyring_lives lives = { UINT32_MAX, open_s };
    struct keyring_change change = { 0 };
    if (!ring->from_files && key_in_state(ring, KEY_CURRENT) && key_in_state(ring, KEY_NEXT)) {
        return;
    }
    write_begin(ring);
    if (ring->from_files) {
        ring_retire_given(ring, now_s, open_s);
        ring->from_files = 0;
    }
    ring_rotate(ring, now_s, &lives, &change); /* makes what is missing */
    write_end(ring);
}

/* Its bytes were authenticated; that they are a ring is not taken on trust. */
static bool saved_is_ring(const struct keyring_snapshot *saved) {
    unsigned of_state[KEY_WIPED + 1] = { 0 };
    if (saved->count > KEYRING_SLOTS) {
        return false;
    }
    for (unsigned i = 0; i < saved->count; i++) {
        const struct keyring_key *key = &saved->keys[i];
        if (key->state == KEY_EMPTY || key->state > KEY_WIPED || key->from_file > 1 ||
            (key->state != KEY_WIPED && crypto_has_zero_part(key->secret, sizeof(key->secret)))) {
            return false;
        }
        of_state[key->state]++;
    }
    return of_state[KEY_CURRENT] <= 1 && of_state[KEY_NEXT] <= 1;
}

/* One key of a saved ring, as it is by now. */
static void key_catch_up(struct keyring_key *key, const struct keyring_lives *lives,
                         uint64_t now_s) {
    if (key->state == KEY_CURRENT && key->current_s + lives->encrypt_s <= now_s) {
        key_retire(key, key->current_s + lives->encrypt_s, lives->open_s);
    }
    if (key->state == KEY_RETIRED && key->open_until_s <= now_s) {
        key_wipe(key);
    }
    if (key->state == KEY_NEXT && key->made_s + lives->encrypt_s + RESTORE_GRACE_S < now_s) {
        crypto_wipe(key, sizeof(*key));
    }
}

bool keyring_is_bare(const struct keyring *ring) {
    unsigned used = 0;
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        used += ring->keys[i].state != KEY_EMPTY;
    }
    return used == 0;
}

int keyring_restore(struct keyring *ring, const struct keyring_snapshot *saved,
                    const struct keyring_lives *lives, uint64_t now_s) {
    if (!saved_is_ring(saved)) {
        return -1;
    }
    write_begin(ring);
    for (unsigned i = 0; i < saved->count; i++) {
        ring->keys[i] = saved->keys[i];
        key_catch_up(&ring->keys[i], lives, now_s);
    }
    ring->began_s = saved->began_s;
    write_end(ring);
    keyring_note_carry(ring, saved->carry_s);
    return 0;
}

static const struct keyring_given *given_find(const struct keyring_given *given, unsigned count,
                                              const uint8_t name[static KEYRING_NAME_LEN]) {
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(given[i].name, name, KEYRING_NAME_LEN) == 0) {
            return &given[i];
        }
    }
    return NULL;
}

/* What becomes of a key that is in the ring when these are given. */
static void key_make_way(struct keyring_key *key, const struct keyring_given *given, unsigned count,
                         uint64_t now_s, uint32_t open_s) {
    const struct keyring_given *same = given_find(given, count, key->name);
    bool stays = same && key->from_file && key->state != KEY_WIPED &&
                 crypto_equal(same->secret, key->secret, CRYPTO_KEY_LEN);
    if (key->state == KEY_EMPTY || stays) {
        return;
    }
    if (same || (!key->from_file && key->state == KEY_NEXT)) {
        crypto_wipe(key, sizeof(*key)); /* its name is another's, or nobody has seen it */
    } else if (key->from_file && key->state != KEY_WIPED) {
        key->retired_s = now_s;
        key->open_until_s = now_s;
        key_wipe(key);
    } else if (key->state == KEY_CURRENT) {
        key_retire(key, now_s, open_s);
    }
}

static void key_give(struct keyring *ring, const struct keyring_given *given, uint64_t now_s) {
    struct keyring_change change = { 0 };
    struct keyring_key *key = NULL;
    for (unsigned i = 0; i < KEYRING_SLOTS && !key; i++) {
        bool same = ring->keys[i].state != KEY_EMPTY &&
                    memcmp(ring->keys[i].name, given->name, KEYRING_NAME_LEN) == 0;
        key = same ? &ring->keys[i] : NULL;
    }
    if (!key) {
        key = key_place(ring, &change);
        crypto_wipe(key, sizeof(*key));
        memcpy(key->name, given->name, sizeof(key->name));
        memcpy(key->secret, given->secret, sizeof(key->secret));
        key->from_file = 1;
        key->made_s = now_s;
    }
    if (given->state == KEY_CURRENT && key->state != KEY_CURRENT) {
        key->current_s = now_s;
    }
    key->open_until_s = KEYRING_NEVER;
    key->state = given->state;
}

void keyring_use_files(struct keyring *ring, const struct keyring_given *given, unsigned count,
                       uint64_t now_s, uint32_t open_s) {
    write_begin(ring);
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        key_make_way(&ring->keys[i], given, count, now_s, open_s);
    }
    for (unsigned i = 0; i < count; i++) {
        key_give(ring, &given[i], now_s);
    }
    ring->from_files = 1;
    ring->began_s = 0; /* others may have sealed under these long before */
    write_end(ring);
}

uint64_t keyring_generation(const struct keyring *ring) {
    return atomic_load_explicit(&ring->generation, memory_order_acquire);
}

int keyring_read(const struct keyring *ring, struct keyring_snapshot *out) {
    out->generation = keyring_generation(ring);
    out->count = 0;
    if (ring->magic != KEYRING_MAGIC || (out->generation & 1)) {
        return -1;
    }
    memcpy(out->cache_secret, ring->cache_secret, sizeof(out->cache_secret));
    out->began_s = ring->began_s;
    out->carry_s = atomic_load_explicit(&ring->carry_s, memory_order_relaxed);
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        if (ring->keys[i].state != KEY_EMPTY) {
            out->keys[out->count++] = ring->keys[i];
        }
    }
    atomic_thread_fence(memory_order_acquire);
    if (keyring_generation(ring) != out->generation) {
        crypto_wipe(out, sizeof(*out));
        return -1;
    }
    return 0;
}

int keyring_look(const struct keyring *ring, struct keyring_list *out) {
    uint64_t generation = keyring_generation(ring);
    *out = (struct keyring_list){
        .began_s = ring->began_s,
        .cache_oldest_s = atomic_load_explicit(&ring->cache_oldest_s, memory_order_relaxed),
        .carry_s = atomic_load_explicit(&ring->carry_s, memory_order_relaxed),
    };
    if (ring->magic != KEYRING_MAGIC || (generation & 1)) {
        return -1;
    }
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        const struct keyring_key *key = &ring->keys[i];
        if (key->state == KEY_EMPTY) {
            continue;
        }
        struct keyring_about *about = &out->keys[out->count++];
        *about = (struct keyring_about){ .state = (enum keyring_state)key->state,
                                         .from_file = key->from_file != 0,
                                         .made_s = key->made_s,
                                         .current_s = key->current_s,
                                         .retired_s = key->retired_s,
                                         .open_until_s = key->open_until_s };
        memcpy(about->name, key->name, sizeof(about->name));
    }
    atomic_thread_fence(memory_order_acquire);
    return keyring_generation(ring) == generation ? 0 : -1;
}

void keyring_note_carry(struct keyring *ring, uint32_t carry_s) {
    if (carry_s > atomic_load(&ring->carry_s)) {
        atomic_store(&ring->carry_s, carry_s);
    }
}

void keyring_note_cache_oldest(struct keyring *ring, uint64_t oldest_s) {
    atomic_store_explicit(&ring->cache_oldest_s, oldest_s, memory_order_relaxed);
}
