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
#include <time.h>

#include "base/crypto.h"

#define CACHE_MAGIC 0x5245505249534532ull /* changes with the layout */
#define CACHE_GRAIN 8
#define SHARD_SESSIONS 1024u /* below this a cache is not cut further */
#define SHARDS_MAX 256u
#define RECORD_BYTES_MIN 128u /* no session is smaller: the index needs no more places */
#define NO_ENTRY 0u           /* links are places, counted from 1 */
#define EXPIRE_MAX 512u       /* entries that cache_expire takes from a shard at once */

enum entry_state { ENTRY_FILLER, ENTRY_LIVE, ENTRY_MARKED, ENTRY_REPLACED };

/* What a ghost says; 0 in its low bits is no ghost. */
#define GHOST_EVICTED 1u
#define GHOST_EXPIRED 2u
#define GHOST_KINDS 3u

/* Before each record in the ring. Its size is a multiple of CACHE_GRAIN. */
struct entry {
    uint32_t grains; /* the whole entry's size, this header included */
    uint32_t state;  /* enum entry_state */
    uint32_t next;   /* link to the next entry in the bucket's chain, or NO_ENTRY */
    uint32_t len;    /* bytes of the record */
    uint64_t hash;
    uint32_t mark;  /* enum cache_mark */
    uint32_t put_s; /* since 1970, unsigned: to 2106 */
    uint8_t id[CACHE_ID_LEN];
};

struct shard {
    pthread_mutex_t lock; /* robust and process-shared */
    uint64_t tail;        /* position of the oldest entry, in grains */
    uint64_t head;        /* position after the newest entry */
    uint32_t entries;     /* live and marked ones: what is in the index */
    uint32_t live;
    struct cache_stats stats; /* entries, bytes and busy are not kept here */
    _Atomic uint64_t busy;    /* counted without the lock */
};

struct cache {
    uint64_t magic;
    uint64_t hash_key[2];
    uint32_t sessions;
    uint32_t shards;  /* a power of two */
    uint32_t buckets; /* of one shard; a power of two; as many ghosts */
    uint32_t reserved;
    uint64_t ring_grains; /* of one shard */
    uint64_t data_bytes;  /* buckets, ghosts and ring of one shard */
};

static_assert(sizeof(struct entry) % CACHE_GRAIN == 0, "entries lie at grains");
static_assert(alignof(struct entry) <= CACHE_GRAIN, "entries lie at grains");

#define CACHE_HEAD_BYTES 64u
#define SHARD_HEAD_BYTES 192u

static_assert(sizeof(struct cache) <= CACHE_HEAD_BYTES, "the head has its place");
static_assert(sizeof(struct shard) <= SHARD_HEAD_BYTES, "a shard's head has its place");

struct layout {
    uint32_t shards, shard_sessions, buckets;
    uint64_t ring_grains, data_bytes;
};

/* Keeps the compiler from moving stores across a change of head or tail: a
 * worker may be killed between any two instructions. */
static void store_order(void) {
    atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

static struct layout cache_layout(struct cache_size size) {
    struct layout l = { .shards = 1, .buckets = 16 };
    uint64_t total = size.bytes ? size.bytes : (uint64_t)size.sessions * CACHE_BYTES_PER_SESSION;
    while (l.shards < SHARDS_MAX && size.sessions / (l.shards * 2) >= SHARD_SESSIONS &&
           total / (l.shards * 2) >= SHARD_SESSIONS * CACHE_BYTES_PER_SESSION) {
        l.shards *= 2;
    }
    l.shard_sessions = (size.sessions + l.shards - 1) / l.shards; /* see shard_limit */
    uint64_t bytes =
        size.bytes ? size.bytes / l.shards : (uint64_t)l.shard_sessions * CACHE_BYTES_PER_SESSION;
    while (l.buckets < l.shard_sessions && l.buckets * (uint64_t)RECORD_BYTES_MIN < bytes) {
        l.buckets *= 2;
    }
    /* Room for two of the largest records whatever the count: one is being
     * written while a filler may take the end of the ring. */
    bytes += 2 * (CACHE_RECORD_MAX + sizeof(struct entry));
    l.ring_grains = round_up(bytes, 64) / CACHE_GRAIN;
    l.data_bytes =
        round_up(2 * (uint64_t)l.buckets * sizeof(uint32_t), 64) + l.ring_grains * CACHE_GRAIN;
    return l;
}

size_t cache_layout_bytes(struct cache_size size) {
    struct layout l = cache_layout(size);
    return CACHE_HEAD_BYTES + (size_t)(l.shards * (SHARD_HEAD_BYTES + l.data_bytes));
}

static struct shard *cache_shard(const struct cache *cache, uint32_t i) {
    /* The region is one allocation; const is about the header only. */
    return (struct shard *)((uintptr_t)cache + CACHE_HEAD_BYTES + (size_t)i * SHARD_HEAD_BYTES);
}

static uint32_t *shard_buckets(const struct cache *cache, const struct shard *shard) {
    size_t index = ((uintptr_t)shard - (uintptr_t)cache - CACHE_HEAD_BYTES) / SHARD_HEAD_BYTES;
    return (uint32_t *)((uintptr_t)cache + CACHE_HEAD_BYTES +
                        (size_t)cache->shards * SHARD_HEAD_BYTES + index * cache->data_bytes);
}

/* The most entries of a shard: together exactly the cache's sessions. */
static uint32_t shard_limit(const struct cache *cache, uint64_t hash) {
    uint32_t index = (uint32_t)hash & (cache->shards - 1);
    return cache->sessions / cache->shards + (index < cache->sessions % cache->shards);
}

/* The entry at a position or a place (a position reduced by the ring's size). */
static struct entry *shard_entry(const struct cache *cache, struct shard *shard,
                                 uint64_t position) {
    uintptr_t ring = (uintptr_t)shard_buckets(cache, shard) +
                     round_up(2 * (uint64_t)cache->buckets * sizeof(uint32_t), 64);
    return (struct entry *)(ring + position % cache->ring_grains * CACHE_GRAIN);
}

static uint32_t *shard_bucket(const struct cache *cache, struct shard *shard, uint64_t hash) {
    return &shard_buckets(cache, shard)[(hash >> 32) & (cache->buckets - 1)];
}

static uint32_t *shard_ghost(const struct cache *cache, struct shard *shard, uint64_t hash) {
    return shard_bucket(cache, shard, hash) + cache->buckets;
}

/* Other bits of the hash than those that name shard (8) and bucket (14 above 32). */
static uint32_t ghost_tag(uint64_t hash) {
    return ((uint32_t)(hash >> 46) << 14 | ((uint32_t)hash >> 8 & 0x3fff)) & ~GHOST_KINDS;
}

static void shard_clear_index(const struct cache *cache, struct shard *shard) {
    memset(shard_buckets(cache, shard), 0, (size_t)cache->buckets * sizeof(uint32_t));
    shard->entries = 0;
    shard->live = 0;
}

static int shard_init(struct shard *shard, struct err *err) {
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    int rc = pthread_mutex_init(&shard->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rc == 0 ? 0 : err_set_errno(err, rc, "cannot make the session cache's lock");
}

int cache_init(struct cache *cache, struct cache_size size, struct err *err) {
    assert(size.sessions >= 1 && size.sessions <= CACHE_SESSIONS_MAX);
    assert(size.bytes <= CACHE_BYTES_MAX);
    struct layout l = cache_layout(size);
    cache->magic = CACHE_MAGIC;
    crypto_random(cache->hash_key, sizeof(cache->hash_key));
    cache->sessions = size.sessions;
    cache->shards = l.shards;
    cache->buckets = l.buckets;
    cache->ring_grains = l.ring_grains;
    cache->data_bytes = l.data_bytes;
    for (uint32_t i = 0; i < cache->shards; i++) {
        if (shard_init(cache_shard(cache, i), err) != 0) {
            return -1;
        }
    }
    return 0;
}

uint64_t cache_layout_id(void) {
    return CACHE_MAGIC;
}

bool cache_has_size(const struct cache *cache, struct cache_size size) {
    struct layout l = cache_layout(size);
    return cache->sessions == size.sessions && cache->shards == l.shards &&
           cache->buckets == l.buckets && cache->ring_grains == l.ring_grains &&
           cache->data_bytes == l.data_bytes;
}

bool cache_is_sound(const struct cache *cache, size_t len) {
    if (len < CACHE_HEAD_BYTES || cache->magic != CACHE_MAGIC || cache->sessions < 1 ||
        cache->sessions > CACHE_SESSIONS_MAX || cache_room_bytes(cache) > CACHE_BYTES_MAX) {
        return false;
    }
    struct cache_size size = { cache->sessions, cache_room_bytes(cache) };
    return cache_has_size(cache, size) && cache_layout_bytes(size) <= len;
}

uint32_t cache_capacity(const struct cache *cache) {
    return cache->sessions;
}

uint64_t cache_room_bytes(const struct cache *cache) {
    uint64_t spare = round_up(2 * (CACHE_RECORD_MAX + sizeof(struct entry)), 64);
    return (cache->ring_grains * CACHE_GRAIN - spare) * cache->shards;
}

static void index_add(const struct cache *cache, struct shard *shard, struct entry *entry,
                      uint64_t position) {
    uint32_t *bucket = shard_bucket(cache, shard, entry->hash);
    entry->next = *bucket;
    *bucket = (uint32_t)(position % cache->ring_grains) + 1;
    shard->entries++;
    shard->live += entry->state == ENTRY_LIVE;
}

/* A chain longer than the shard's entries cannot be: `left` ends a walk over
 * memory that a fault has spoilt. */
static void index_remove(const struct cache *cache, struct shard *shard, struct entry *entry) {
    uint32_t *link = shard_bucket(cache, shard, entry->hash);
    for (uint32_t left = shard->entries; left > 0 && *link != NO_ENTRY; left--) {
        struct entry *at = shard_entry(cache, shard, *link - 1);
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
    uint32_t link = *shard_bucket(cache, shard, hash);
    for (uint32_t left = shard->entries; left > 0 && link != NO_ENTRY; left--) {
        struct entry *entry = shard_entry(cache, shard, link - 1);
        if (entry->hash == hash && memcmp(entry->id, id, CACHE_ID_LEN) == 0) {
            return entry;
        }
        link = entry->next;
    }
    return NULL;
}

static bool is_indexed(const struct entry *entry) {
    return entry->state == ENTRY_LIVE || entry->state == ENTRY_MARKED;
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

/* Null when another process holds the lock for longer than it may: it stands still. */
static struct shard *shard_lock(const struct cache *cache, uint64_t hash) {
    struct shard *shard = cache_shard(cache, (uint32_t)hash & (cache->shards - 1));
    int rc = pthread_mutex_trylock(&shard->lock);
    if (rc == EBUSY) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += CACHE_WAIT_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        rc = pthread_mutex_clocklock(&shard->lock, CLOCK_MONOTONIC, &until);
    }
    if (rc == ETIMEDOUT) {
        atomic_fetch_add_explicit(&shard->busy, 1, memory_order_relaxed);
        return NULL;
    }
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

/* The oldest entry goes, leaving a ghost of that kind when it was live. */
static void shard_drop_oldest(const struct cache *cache, struct shard *shard, uint32_t kind) {
    struct entry *oldest = shard_entry(cache, shard, shard->tail);
    if (is_indexed(oldest)) {
        index_remove(cache, shard, oldest);
    }
    if (oldest->state == ENTRY_LIVE) {
        *shard_ghost(cache, shard, oldest->hash) = ghost_tag(oldest->hash) | kind;
    }
    shard->tail += oldest->grains;
    store_order();
    if (oldest->state == ENTRY_LIVE) {
        crypto_wipe(oldest + 1, oldest->len);
    }
}

static void shard_evict_oldest(const struct cache *cache, struct shard *shard, uint64_t now_s) {
    const struct entry *oldest = shard_entry(cache, shard, shard->tail);
    if (oldest->state == ENTRY_LIVE) {
        shard->stats.evicted++;
        shard->stats.evicted_age_s = now_s > oldest->put_s ? now_s - oldest->put_s : 0;
    }
    shard_drop_oldest(cache, shard, GHOST_EVICTED);
}

/* Makes `grains` free in one piece at the head, with a filler over the ring's
 * end where the piece would wrap. */
static void shard_make_room(const struct cache *cache, struct shard *shard, uint32_t grains,
                            uint64_t now_s) {
    uint64_t to_end = cache->ring_grains - shard->head % cache->ring_grains;
    uint64_t skip = to_end < grains ? to_end : 0;
    while (shard->head + skip + grains - shard->tail > cache->ring_grains) {
        shard_evict_oldest(cache, shard, now_s);
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

/* An entry to be put: live, or marked and without a record. */
struct put {
    const uint8_t *id; /* CACHE_ID_LEN */
    struct bytes record;
    enum cache_mark mark;
    uint64_t now_s;
};

static void entry_write(struct entry *entry, const struct put *put, uint64_t hash) {
    entry->state = put->mark == CACHE_MARK_NONE ? ENTRY_LIVE : ENTRY_MARKED;
    entry->len = (uint32_t)put->record.len;
    entry->hash = hash;
    entry->mark = put->mark;
    entry->put_s = (uint32_t)put->now_s;
    memcpy(entry->id, put->id, CACHE_ID_LEN);
    if (put->record.len > 0) {
        memcpy(entry + 1, put->record.data, put->record.len);
    }
}

static enum cache_result cache_put_entry(struct cache *cache, const struct put *put) {
    uint64_t hash = cache_hash(cache, put->id);
    uint32_t grains =
        (uint32_t)(round_up(sizeof(struct entry) + put->record.len, CACHE_GRAIN) / CACHE_GRAIN);
    struct shard *shard = shard_lock(cache, hash);
    if (!shard) {
        return CACHE_BUSY;
    }
    struct entry *old = index_find(cache, shard, hash, put->id);
    if (old) {
        index_remove(cache, shard, old);
        old->state = ENTRY_REPLACED;
        crypto_wipe(old + 1, old->len);
    }
    while (shard->entries >= shard_limit(cache, hash)) {
        shard_evict_oldest(cache, shard, put->now_s);
    }
    shard_make_room(cache, shard, grains, put->now_s);
    struct entry *entry = shard_entry(cache, shard, shard->head);
    entry->grains = grains;
    entry_write(entry, put, hash);
    index_add(cache, shard, entry, shard->head);
    store_order();
    shard->head += grains;
    shard->stats.inserts += put->mark == CACHE_MARK_NONE;
    shard_unlock(shard);
    return CACHE_HIT;
}

enum cache_result cache_put(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            struct bytes record, uint64_t now_s) {
    const struct put put = { id, record, CACHE_MARK_NONE, now_s };
    return record.len <= CACHE_RECORD_MAX ? cache_put_entry(cache, &put) : CACHE_TOO_LARGE;
}

enum cache_result cache_put_mark(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                                 enum cache_mark mark, uint64_t now_s) {
    const struct put put = { id, { 0 }, mark, now_s };
    return cache_put_entry(cache, &put);
}

/* What is known of an ID that is not there. */
static enum cache_result shard_recall(const struct cache *cache, struct shard *shard,
                                      uint64_t hash) {
    uint32_t ghost = *shard_ghost(cache, shard, hash);
    if ((ghost & ~GHOST_KINDS) != ghost_tag(hash)) {
        return CACHE_MISS;
    }
    uint32_t kind = ghost & GHOST_KINDS;
    return kind == GHOST_EVICTED   ? CACHE_EVICTED
           : kind == GHOST_EXPIRED ? CACHE_EXPIRED
                                   : CACHE_MISS;
}

enum cache_result cache_get(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            uint8_t *buf, size_t *len, enum cache_mark *mark) {
    uint64_t hash = cache_hash(cache, id);
    struct shard *shard = shard_lock(cache, hash);
    if (!shard) {
        return CACHE_BUSY;
    }
    enum cache_result result = CACHE_MISS;
    shard->stats.lookups++;
    struct entry *entry = index_find(cache, shard, hash, id);
    if (!entry) {
        result = shard_recall(cache, shard, hash);
    } else if (entry->state == ENTRY_MARKED) {
        *mark = (enum cache_mark)entry->mark;
        result = CACHE_MARKED;
    } else if (entry->len <= CACHE_RECORD_MAX) {
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
    if (!shard) {
        return false;
    }
    const struct entry *entry = index_find(cache, shard, hash, id);
    bool has = entry && entry->state == ENTRY_LIVE;
    shard_unlock(shard);
    return has;
}

enum cache_result cache_kill(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                             enum cache_mark mark) {
    uint64_t hash = cache_hash(cache, id);
    struct shard *shard = shard_lock(cache, hash);
    if (!shard) {
        return CACHE_BUSY;
    }
    enum cache_result result = CACHE_MISS;
    struct entry *entry = index_find(cache, shard, hash, id);
    if (entry && entry->state == ENTRY_LIVE) {
        entry->mark = mark;
        entry->state = ENTRY_MARKED;
        shard->live--;
        crypto_wipe(entry + 1, entry->len);
        result = CACHE_HIT;
    }
    shard_unlock(shard);
    return result;
}

static uint64_t shard_expire(const struct cache *cache, struct shard *shard, uint64_t before_s) {
    uint64_t live = 0;
    for (unsigned n = 0; n < EXPIRE_MAX && shard->tail < shard->head; n++) {
        const struct entry *oldest = shard_entry(cache, shard, shard->tail);
        if (is_indexed(oldest) && oldest->put_s >= before_s) {
            break;
        }
        live += oldest->state == ENTRY_LIVE;
        shard_drop_oldest(cache, shard, GHOST_EXPIRED);
    }
    shard->stats.expired += live;
    return live;
}

uint64_t cache_expire(struct cache *cache, uint64_t before_s) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < cache->shards; i++) {
        /* The low bits of a hash name the shard: the index stands for itself. */
        struct shard *shard = shard_lock(cache, i);
        if (shard) {
            count += shard_expire(cache, shard, before_s);
            shard_unlock(shard);
        }
    }
    return count;
}

uint32_t cache_shards(const struct cache *cache) {
    return cache->shards;
}

static uint64_t shard_oldest_s(const struct cache *cache, struct shard *shard) {
    for (uint64_t at = shard->tail; at < shard->head;) {
        const struct entry *entry = shard_entry(cache, shard, at);
        if (entry->state == ENTRY_LIVE) {
            return entry->put_s;
        }
        at += entry->grains;
    }
    return 0;
}

uint64_t cache_oldest_s(struct cache *cache) {
    uint64_t oldest_s = 0;
    for (uint32_t i = 0; i < cache->shards; i++) {
        struct shard *shard = shard_lock(cache, i);
        uint64_t one_s = shard ? shard_oldest_s(cache, shard) : 0;
        if (one_s != 0 && (oldest_s == 0 || one_s < oldest_s)) {
            oldest_s = one_s;
        }
        if (shard) {
            shard_unlock(shard);
        }
    }
    return oldest_s;
}

/* Copies the next record of a shard from position *at on, up to `end`. Returns
 * false when there is none. Entries that workers evict meanwhile are passed over. */
static bool shard_copy_next(struct cache *to, struct cache *from, uint32_t index, uint64_t *at,
                            uint64_t end) {
    static uint8_t record[CACHE_RECORD_MAX];
    uint8_t id[CACHE_ID_LEN];
    size_t len = 0;
    uint64_t put_s = 0;
    struct shard *shard = shard_lock(from, index);
    if (!shard) {
        return false;
    }
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
            put_s = entry->put_s;
        }
        *at += entry->grains;
    }
    shard_unlock(shard);
    if (len > 0) {
        cache_put(to, id, (struct bytes){ record, len }, put_s);
    }
    return len > 0;
}

void cache_copy(struct cache *to, struct cache *from) {
    uint64_t at[SHARDS_MAX] = { 0 };
    uint64_t end[SHARDS_MAX] = { 0 };
    for (uint32_t i = 0; i < from->shards; i++) {
        struct shard *shard = shard_lock(from, i);
        if (shard) {
            end[i] = shard->head;
            shard_unlock(shard);
        }
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

static void stats_add(struct cache_stats *to, const struct cache_stats *from) {
    to->lookups += from->lookups;
    to->hits += from->hits;
    to->inserts += from->inserts;
    to->evicted += from->evicted;
    to->expired += from->expired;
    to->repaired += from->repaired;
    to->evicted_age_s += from->evicted_age_s;
}

void cache_read_stats(struct cache *cache, struct cache_stats *stats) {
    uint64_t evicting = 0;
    *stats = (struct cache_stats){ 0 };
    for (uint32_t i = 0; i < cache->shards; i++) {
        struct shard *shard = shard_lock(cache, i);
        if (shard) {
            stats->entries += shard->live;
            stats->bytes += (shard->head - shard->tail) * CACHE_GRAIN;
            stats_add(stats, &shard->stats);
            evicting += shard->stats.evicted > 0;
            shard_unlock(shard);
        }
        stats->busy += atomic_load_explicit(&cache_shard(cache, i)->busy, memory_order_relaxed);
    }
    if (evicting > 0) {
        stats->evicted_age_s /= evicting;
    }
}
