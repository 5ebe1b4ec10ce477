/* replay.c: see replay.h. */
#include "store/replay.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/crypto.h"

#define REPLAY_MAGIC 0x5252504c41593031ull /* changes with the layout */
#define BUCKET_SLOTS 8

struct bucket {
    _Alignas(64) _Atomic uint64_t slots[BUCKET_SLOTS];
};

struct replay {
    _Alignas(64) uint64_t magic;
    uint64_t since_ms;
    uint64_t hash_key[2];
    uint32_t tickets;
    uint32_t buckets; /* a power of two */
};

static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");
static_assert(sizeof(struct replay) % 64 == 0, "the buckets are aligned");

static uint32_t bucket_count(uint32_t tickets) {
    uint32_t buckets = 1;
    while ((uint64_t)buckets * BUCKET_SLOTS < 2 * (uint64_t)tickets) {
        buckets *= 2;
    }
    return buckets;
}

size_t replay_layout_bytes(uint32_t tickets) {
    return sizeof(struct replay) + (size_t)bucket_count(tickets) * sizeof(struct bucket);
}

void replay_init(struct replay *replay, uint32_t tickets, uint64_t now_ms) {
    assert(tickets >= REPLAY_TICKETS_MIN && tickets <= REPLAY_TICKETS_MAX);
    replay->magic = REPLAY_MAGIC;
    replay->since_ms = now_ms;
    replay->tickets = tickets;
    replay->buckets = bucket_count(tickets);
    crypto_random(replay->hash_key, sizeof(replay->hash_key));
}

uint64_t replay_layout(void) {
    return REPLAY_MAGIC;
}

bool replay_is_sound(const struct replay *replay, size_t len) {
    return len >= sizeof(*replay) && replay->magic == REPLAY_MAGIC &&
           replay->tickets >= REPLAY_TICKETS_MIN && replay->tickets <= REPLAY_TICKETS_MAX &&
           replay->buckets == bucket_count(replay->tickets) &&
           replay_layout_bytes(replay->tickets) <= len;
}

uint32_t replay_capacity(const struct replay *replay) {
    return replay->tickets;
}

uint64_t replay_since_ms(const struct replay *replay) {
    return replay->since_ms;
}

static struct bucket *replay_bucket(struct replay *replay, uint64_t hash) {
    return (struct bucket *)(replay + 1) + ((uint32_t)hash & (replay->buckets - 1));
}

static bool slot_counts(uint64_t slot, uint64_t now_s) {
    return slot >> 32 > now_s;
}

/* What a look at a bucket finds: a slot of the tag (but `own`), or else a free one. */
struct look {
    bool used;
    int free; /* -1: none */
    uint64_t old;
};

static struct look bucket_look(struct bucket *bucket, uint32_t tag, uint64_t now_s, int own) {
    struct look look = { .free = -1 };
    for (int i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t slot = atomic_load(&bucket->slots[i]);
        if (!slot_counts(slot, now_s)) {
            look.old = look.free < 0 ? slot : look.old;
            look.free = look.free < 0 ? i : look.free;
        } else if (i != own && (uint32_t)slot == tag) {
            look.used = true;
        }
    }
    return look;
}

enum replay_result replay_claim(struct replay *replay, struct bytes ticket, uint64_t now_s,
                                uint64_t until_s) {
    uint64_t hash = crypto_siphash(replay->hash_key, ticket);
    struct bucket *bucket = replay_bucket(replay, hash);
    uint32_t tag = (uint32_t)(hash >> 32);
    uint64_t last_s = until_s < UINT32_MAX ? until_s : UINT32_MAX;
    uint64_t claim = last_s << 32 | tag;
    struct look look;
    do {
        look = bucket_look(bucket, tag, now_s, -1);
        if (look.used) {
            return REPLAY_USED;
        }
        if (look.free < 0) {
            return REPLAY_FULL;
        }
    } while (!atomic_compare_exchange_strong(&bucket->slots[look.free], &look.old, claim));
    /* Another may have looked before our claim stood and claimed in another slot. Of
     * two such, the one that looks last sees the other; both may, and none is first. */
    return bucket_look(bucket, tag, now_s, look.free).used ? REPLAY_USED : REPLAY_FIRST;
}
