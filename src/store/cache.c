/* cache.c: see cache.h for the layout.
 *
 * Positions in a ring are counted in grains from its creation and never wrap
 * (u64); the place is the position modulo the ring's size. Everything between
 * tail and head is whole entries, at every instruction: tail moves before a
 * place is overwritten, head after an entry is whole. That is what lets
 * shard_repair rebuild the index of a shard whose owner died.
 */
#include "store/cache.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include "base/crypto.h"

#define CACHE_MAGIC 0x5245505249534531ull /* changes with the layout */
#define CACHE_GRAIN 8
#define SHARD_SESSIONS 1024u /* below this a cache is not cut further */
#define SHARDS_MAX 256u
#define NO_ENTRY UINT32_MAX

enum entry_state { ENTRY_FILLER, ENTRY_LIVE, ENTRY_KILLED, ENTRY_REPLACED };

/* Before each record in the ring. Its size is a multiple of CACHE_GRAIN. */
struct entry {
    uint32_t grains; /* the whole entry's size, this header included */
    uint32_t state;  /* enum entry_state */
    uint32_t next;   /* place of the next entry in the bucket's chain, or NO_ENTRY */
    uint32_t len;    /* bytes of the record */
    uint64_t hash;
    uint8_t id[CACHE_ID_LEN];
};

struct shard {
    pthread_mutex_t lock; /* robust and process-shared */
    uint64_t tail;        /* position of the oldest entry, in grains */
    uint64_t head;        /* position after the newest entry */
    uint32_t entries;     /* live and killed ones: what is in the index */
    uint32_t live;
    struct cache_stats stats; /* entries and bytes are not kept here */
};

struct cache {
    uint64_t magic;
    uint64_t hash_key[2];
    uint32_t sessions;
    uint32_t shards;      /* a power of two */
    uint32_t buckets;     /* of one shard; a power of two */
    uint64_t ring_grains; /* of one shard */
    uint64_t shard_bytes; /* from one shard to the next */
};

static_assert(sizeof(struct entry) % CACHE_GRAIN == 0, "entries lie at grains");
static_assert(alignof(struct entry) <= CACHE_GRAIN, "entries lie at grains");

struct layout {
    uint32_t shards, shard_sessions, buckets;
    uint64_t ring_grains, shard_bytes;
};

/* Keeps the compiler from moving stores across a change of head or tail: a
 * worker may be killed between any two instructions. */
static void store_order(void) {
    atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

static struct layout cache_layout(uint32_t sessions) {
    struct layout l = { .shards = 1, .buckets = 16 };
    while (l.shards < SHARDS_MAX && sessions / (l.shards * 2) >= SHARD_SESSIONS) {
        l.shards *= 2;
    }
    l.shard_sessions = (sessions + l.shards - 1) / l.shards; /* see shard_limit */
    while (l.buckets < l.shard_sessions) {
        l.buckets *= 2;
    }
    /* Room for two of the largest records whatever the count: one is being
     * written while a filler may take the end of the ring. */
    uint64_t ring_bytes = (uint64_t)l.shard_sessions * CACHE_BYTES_PER_SESSION +
                          2 * (CACHE_RECORD_MAX + sizeof(struct entry));
    l.ring_grains = round_up(ring_bytes, 64) / CACHE_GRAIN;
    l.shard_bytes = round_up(sizeof(struct shard), 64) +
                    round_up((uint64_t)l.buckets * sizeof(uint32_t), 64) +
                    l.ring_grains * CACHE_GRAIN;
    return l;
}

size_t cache_layout_bytes(uint32_t sessions) {
    struct layout l = cache_layout(sessions);
    return round_up(sizeof(struct cache), 64) + (size_t)(l.shards * l.shard_bytes);
}

static struct shard *cache_shard(const struct cache *cache, uint32_t i) {
    /* The region is one allocation; const is about the header only. */
    return (struct shard *)((uintptr_t)cache + round_up(sizeof(struct cache), 64) +
                            i * cache->shard_bytes);
}

/* The most entries of a shard: together exactly the cache's sessions. */
static uint32_t shard_limit(const struct cache *cache, uint64_t hash) {
    uint32_t index = (uint32_t)hash & (cache->shards - 1);
    return cache->sessions / cache->shards + (index < cache->sessions % cache->shards);
}

static uint32_t *shard_buckets(struct shard *shard) {
    return (uint32_t *)((uintptr_t)shard + round_up(sizeof(struct shard), 64));
}

/* The entry at a position or a place (a position reduced by the ring's size). */
static struct entry *shard_entry(const struct cache *cache, struct shard *shard,
                                 uint64_t position) {
    uintptr_t ring =
        (uintptr_t)shard_buckets(shard) + round_up((uint64_t)cache->buckets * sizeof(uint32_t), 64);
    return (struct entry *)(ring + position % cache->ring_grains * CACHE_GRAIN);
}

static uint32_t *shard_bucket(const struct cache *cache, struct shard *shard, uint64_t hash) {
    return &shard_buckets(shard)[(hash >> 32) & (cache->buckets - 1)];
}

static void shard_clear_index(const struct cache *cache, struct shard *shard) {
    memset(shard_buckets(shard), 0xff, (size_t)cache->buckets * sizeof(uint32_t));
    shard->entries = 0;
    shard->live = 0;
}

static int shard_init(const struct cache *cache, struct shard *shard, struct err *err) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    int rc = pthread_mutex_init(&shard->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    if (rc != 0) {
        return err_set_errno(err, rc, "cannot make the session cache's lock");
    }
    shard_clear_index(cache, shard);
    return 0;
}

int cache_init(struct cache *cache, uint32_t sessions, struct err *err) {
    assert(sessions >= 1 && sessions <= CACHE_SESSIONS_MAX);
    struct layout l = cache_layout(sessions);
    cache->magic = CACHE_MAGIC;
    crypto_random(cache->hash_key, sizeof(cache->hash_key));
    cache->sessions = sessions;
    cache->shards = l.shards;
    cache->buckets = l.buckets;
    cache->ring_grains = l.ring_grains;
    cache->shard_bytes = l.shard_bytes;
    for (uint32_t i = 0; i < cache->shards; i++) {
        if (shard_init(cache, cache_shard(cache, i), err) != 0) {
            return -1;
        }
    }
    return 0;
}

uint32_t cache_capacity(const struct cache *cache) {
    return cache->sessions;
}

static void index_add(const struct cache *cache, struct shard *shard, struct entry *entry,
                      uint64_t position) {
    uint32_t *bucket = shard_bucket(cache, shard, entry->hash);
    entry->next = *bucket;
    *bucket = (uint32_t)(position % cache->ring_grains);
    shard->entries++;
    shard->live += entry->state == ENTRY_LIVE;
}

/* A chain longer than the shard's entries cannot be: `left` ends a walk over
 * memory that a fault has spoilt. */
static void index_remove(const struct cache *cache, struct shard *shard, struct entry *entry) {
    uint32_t *link = shard_bucket(cache, shard, entry->hash);
    for (uint32_t left = shard->entries; left > 0 && *link != NO_ENTRY; left--) {
        struct entry *at = shard_entry(cache, shard, *link);
        if (at == entry) {
            *link = entry->next;
            shard->entries--;
            shard->live -= entry->state == ENTRY_LIVE;
            return;
        }
        link = &at->next;
    }
}

static struct entry *index_find(const struct cache *cache, struct shard *shard, uint64_t hash,
                                const uint8_t id[static CACHE_ID_LEN]) {
    uint32_t place = *shard_bucket(cache, shard, hash);
    for (uint32_t left = shard->entries; left > 0 && place != NO_ENTRY; left--) {
        struct entry *entry = shard_entry(cache, shard, place);
        if (entry->hash == hash && memcmp(entry->id, id, CACHE_ID_LEN) == 0) {
            return entry;
        }
        place = entry->next;
    }
    return NULL;
}

static bool is_indexed(const struct entry *entry) {
    return entry->state == ENTRY_LIVE || entry->state == ENTRY_KILLED;
}

/* After a worker died holding the lock: the entries are whole, the index may
 * not be. An entry that its killer left half wiped is dropped by its seal later. */
static void shard_repair(const struct cache *cache, struct shard *shard) {
    shard_clear_index(cache, shard);
    for (uint64_t at = shard->tail; at < shard->head;) {
        struct entry *entry = shard_entry(cache, shard, at);
        if (entry->grains == 0 || entry->grains > shard->head - at) {
            shard->tail = shard->head = 0;
            shard_clear_index(cache, shard);
            break;
        }
        if (is_indexed(entry)) {
            index_add(cache, shard, entry, at);
        }
        at += entry->grains;
    }
    shard->stats.repaired++;
}

static struct shard *shard_lock(const struct cache *cache, uint64_t hash) {
    struct shard *shard = cache_shard(cache, (uint32_t)hash & (cache->shards - 1));
    int rc = pthread_mutex_lock(&shard->lock);
    if (rc == EOWNERDEAD) {
        shard_repair(cache, shard);
        rc = pthread_mutex_consistent(&shard->lock);
    }
    assert(rc == 0);
    return shard;
}

static void shard_unlock(struct shard *shard) {
    pthread_mutex_unlock(&shard->lock);
}

static uint64_t cache_hash(const struct cache *cache, const uint8_t id[static CACHE_ID_LEN]) {
    return crypto_siphash(cache->hash_key, (struct bytes){ id, CACHE_ID_LEN });
}

static void shard_evict_oldest(const struct cache *cache, struct shard *shard) {
    struct entry *oldest = shard_entry(cache, shard, shard->tail);
    if (is_indexed(oldest)) {
        shard->stats.evicted += oldest->state == ENTRY_LIVE;
        index_remove(cache, shard, oldest);
    }
    shard->tail += oldest->grains;
    store_order();
}

/* Makes `grains` free in one piece at the head, with a filler over the ring's
 * end where the piece would wrap. */
static void shard_make_room(const struct cache *cache, struct shard *shard, uint32_t grains) {
    uint64_t to_end = cache->ring_grains - shard->head % cache->ring_grains;
    uint64_t skip = to_end < grains ? to_end : 0;
    while (shard->head + skip + grains - shard->tail > cache->ring_grains) {
        shard_evict_oldest(cache, shard);
    }
    if (skip > 0) {
        struct entry *filler = shard_entry(cache, shard, shard->head);
        /* Fewer grains than a header may be left: only the first two fields are
         * written, which fit into one grain. */
        filler->grains = (uint32_t)skip;
        filler->state = ENTRY_FILLER;
        store_order();
        shard->head += skip;
    }
}

enum cache_result cache_put(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            struct bytes record) {
    if (record.len > CACHE_RECORD_MAX) {
        return CACHE_TOO_LARGE;
    }
    uint64_t hash = cache_hash(cache, id);
    uint32_t grains =
        (uint32_t)(round_up(sizeof(struct entry) + record.len, CACHE_GRAIN) / CACHE_GRAIN);
    struct shard *shard = shard_lock(cache, hash);
    struct entry *old = index_find(cache, shard, hash, id);
    if (old) {
        index_remove(cache, shard, old);
        old->state = ENTRY_REPLACED;
    }
    while (shard->entries >= shard_limit(cache, hash)) {
        shard_evict_oldest(cache, shard);
    }
    shard_make_room(cache, shard, grains);
    struct entry *entry = shard_entry(cache, shard, shard->head);
    entry->grains = grains;
    entry->state = ENTRY_LIVE;
    entry->len = (uint32_t)record.len;
    entry->hash = hash;
    memcpy(entry->id, id, CACHE_ID_LEN);
    memcpy(entry + 1, record.data, record.len);
    index_add(cache, shard, entry, shard->head);
    store_order();
    shard->head += grains;
    shard->stats.inserts++;
    shard_unlock(shard);
    return CACHE_HIT;
}

enum cache_result cache_get(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            uint8_t *buf, size_t *len) {
    uint64_t hash = cache_hash(cache, id);
    enum cache_result result = CACHE_MISS;
    struct shard *shard = shard_lock(cache, hash);
    shard->stats.lookups++;
    struct entry *entry = index_find(cache, shard, hash, id);
    if (entry && entry->state == ENTRY_KILLED) {
        result = CACHE_KILLED;
    } else if (entry && entry->len <= CACHE_RECORD_MAX) {
        memcpy(buf, entry + 1, entry->len);
        *len = entry->len;
        shard->stats.hits++;
        result = CACHE_HIT;
    }
    shard_unlock(shard);
    return result;
}

bool cache_has(struct cache *cache, const uint8_t id[static CACHE_ID_LEN]) {
    uint64_t hash = cache_hash(cache, id);
    struct shard *shard = shard_lock(cache, hash);
    const struct entry *entry = index_find(cache, shard, hash, id);
    bool has = entry && entry->state == ENTRY_LIVE;
    shard_unlock(shard);
    return has;
}

enum cache_result cache_kill(struct cache *cache, const uint8_t id[static CACHE_ID_LEN]) {
    uint64_t hash = cache_hash(cache, id);
    enum cache_result result = CACHE_MISS;
    struct shard *shard = shard_lock(cache, hash);
    struct entry *entry = index_find(cache, shard, hash, id);
    if (entry && entry->state == ENTRY_LIVE) {
        entry->state = ENTRY_KILLED;
        shard->live--;
        crypto_wipe(entry + 1, entry->len);
        result = CACHE_HIT;
    }
    shard_unlock(shard);
    return result;
}

/* Copies the next record of a shard from position *at on, up to `end`. Returns
 * false when there is none. Entries that workers evict meanwhile are passed over. */
static bool shard_copy_next(struct cache *to, struct cache *from, uint32_t index, uint64_t *at,
                            uint64_t end) {
    static uint8_t record[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN];
    size_t len = 0;
    /* The low bits of the hash name the shard: the index stands for itself. */
    struct shard *shard = shard_lock(from, index);
    while (len == 0 && *at < end) {
        *at = *at > shard->tail ? *at : shard->tail;
        if (*at >= end) {
            break;
        }
        const struct entry *entry = shard_entry(from, shard, *at);
        if (entry->state == ENTRY_LIVE && entry->len <= sizeof(record)) {
            len = entry->len;
            memcpy(id, entry->id, sizeof(id));
            memcpy(record, entry + 1, len);
        }
        *at += entry->grains;
    }
    shard_unlock(shard);
    if (len > 0) {
        cache_put(to, id, (struct bytes){ record, len });
    }
    return len > 0;
}

void cache_copy(struct cache *to, struct cache *from) {
    uint64_t at[SHARDS_MAX] = { 0 };
    uint64_t end[SHARDS_MAX] = { 0 };
    for (uint32_t i = 0; i < from->shards; i++) {
        struct shard *shard = shard_lock(from, i);
        end[i] = shard->head;
        shard_unlock(shard);
    }
    /* All shards in step: they fill evenly, so that the copy has the records' age
     * in about the order that the original had. */
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < from->shards; i++) {
            more |= shard_copy_next(to, from, i, &at[i], end[i]);
        }
    }
}

void cache_read_stats(struct cache *cache, struct cache_stats *stats) {
    *stats = (struct cache_stats){ 0 };
    for (uint32_t i = 0; i < cache->shards; i++) {
        struct shard *shard = shard_lock(cache, i);
        stats->entries += shard->live;
        stats->bytes += (shard->head - shard->tail) * CACHE_GRAIN;
        stats->lookups += shard->stats.lookups;
        stats->hits += shard->stats.hits;
        stats->inserts += shard->stats.inserts;
        stats->evicted += shard->stats.evicted;
        stats->repaired += shard->stats.repaired;
        shard_unlock(shard);
    }
}
