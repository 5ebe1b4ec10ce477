/* keyring.c: see keyring.h. */
#include "store/keyring.h"

#include <stdatomic.h>
#include <string.h>

#define KEYRING_MAGIC 0x52505253524e4732ull

struct keyring {
    uint64_t magic;
    _Atomic uint64_t generation;
    /* The master's notes: no part of what the generation guards. */
    _Atomic uint64_t cache_oldest_s;
    _Atomic uint32_t carry_s;
    uint32_t reserved;
    uint64_t began_s;
    uint8_t cache_secret[CRYPTO_KEY_LEN];
    struct keyring_key keys[KEYRING_SLOTS];
};

size_t keyring_bytes(void) {
    return sizeof(struct keyring);
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
        if (key->state == state && (!oldest || key->retired_s < oldest->retired_s)) {
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

void keyring_init(struct keyring *ring, uint64_t now_s) {
    ring->magic = KEYRING_MAGIC;
    ring->began_s = now_s;
    atomic_store(&ring->cache_oldest_s, KEYRING_NEVER);
    crypto_random(ring->cache_secret, sizeof(ring->cache_secret));
    key_make(&ring->keys[0], now_s);
    ring->keys[0].state = KEY_CURRENT;
    ring->keys[0].current_s = now_s;
    key_make(&ring->keys[1], now_s);
    atomic_store(&ring->generation, 2);
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
    if (!current || !key_in_state(ring, KEY_NEXT) || (keyring_generation(ring) & 1)) {
        return false;
    }
    for (unsigned i = 0; i < KEYRING_SLOTS; i++) {
        if (ring->keys[i].state == KEY_RETIRED && ring->keys[i].open_until_s <= now_s) {
            return false;
        }
    }
    return now_s < current->current_s + encrypt_s;
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

struct keyring_change keyring_tick(struct keyring *ring, uint64_t now_s, uint32_t encrypt_s,
                                   uint32_t open_s) {
    struct keyring_change change = { 0 };
    if (ring_is_idle(ring, now_s, encrypt_s)) {
        return change;
    }
    write_begin(ring);
    ring_wipe_expired(ring, now_s, &change);
    struct keyring_key *next = key_in_state(ring, KEY_NEXT);
    if (!next) {
        next = key_place(ring, &change);
        key_make(next, now_s);
    }
    struct keyring_key *current = key_in_state(ring, KEY_CURRENT);
    if (!current || now_s >= current->current_s + encrypt_s) {
        if (current) {
            key_retire(current, now_s, open_s);
        }
        next->state = KEY_CURRENT;
        next->current_s = now_s;
        key_make(key_place(ring, &change), now_s);
        change.rotated = true;
        memcpy(change.current, next->name, sizeof(change.current));
    }
    write_end(ring);
    return change;
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
