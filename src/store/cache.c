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
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

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

/* At the region's start: read once, when a cache is adopted. */
struct head {
    uint64_t magic;
    uint64_t hash_key[2];
    uint64_t bytes; /* of struct cache_size */
    uint32_t sessions;
};

static_assert(sizeof(struct entry) % CACHE_GRAIN == 0, "entries lie at grains");
static_assert(alignof(struct entry) <= CACHE_GRAIN, "entries lie at grains");

#define CACHE_HEAD_BYTES 64u
#define SHARD_HEAD_BYTES 192u

static_assert(sizeof(struct head) <= CACHE_HEAD_BYTES, "the head has its place");
static_assert(sizeof(struct shard) <= SHARD_HEAD_BYTES, "a shard's head has its place");

/* Keeps stores from moving across a change of head or tail: a worker may be killed
 * between any two instructions, and cache_oldest_s reads without the lock. */
static void store_order(void) {
    atomic_thread_fence(memory_order_release);
}

static uint64_t round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

static struct cache cache_layout(struct cache_size size) {
    struct cache l = { .size = size, .shards = 1, .buckets = 16 };
    uint64_t total = size.bytes ? size.bytes : (uint64_t)size.sessions * CACHE_BYTES_PER_SESSION;
    while (l.shards < SHARDS_MAX && size.sessions / (l.shards * 2) >= SHARD_SESSIONS &&
           total / (l.shards * 2) >= SHARD_SESSIONS * CACHE_BYTES_PER_SESSION) {
        l.shards *= 2;
    }
    uint32_t most = (size.sessions + l.shards - 1) / l.shards; /* see shard_limit */
    uint64_t bytes = size.bytes ? size.bytes / l.shards : (uint64_t)most * CACHE_BYTES_PER_SESSION;
    while (l.buckets < most && l.buckets * (uint64_t)RECORD_BYTES_MIN < bytes) {
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
    struct cache l = cache_layout(size);
    return CACHE_HEAD_BYTES + (size_t)(l.shards * (SHARD_HEAD_BYTES + l.data_bytes));
}

static struct shard *cache_shard(const struct cache *cache, uint32_t i) {
    return (struct shard *)(void *)(cache->base + CACHE_HEAD_BYTES + (size_t)i * SHARD_HEAD_BYTES);
}

static uint32_t *shard_buckets(const struct cache *cache, const struct shard *shard) {
    const char *heads = cache->base + CACHE_HEAD_BYTES;
    size_t index = (size_t)((const char *)shard - heads) / SHARD_HEAD_BYTES;
    return (uint32_t *)(void *)(cache->base + CACHE_HEAD_BYTES +
                                (size_t)cache->shards * SHARD_HEAD_BYTES +
                                index * cache->data_bytes);
}

/* The most entries of a shard: together exactly the cache's sessions. */
static uint32_t shard_limit(const struct cache *cache, uint64_t hash) {
    uint32_t index = (uint32_t)hash & (cache->shards - 1);
    uint32_t sessions = cache->size.sessions;
    return sessions / cache->shards + (index < sessions % cache->shards);
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

int cache_init(struct cache *cache, void *memory, struct cache_size size, struct err *err) {
    assert(size.sessions >= 1 && size.sessions <= CACHE_SESSIONS_MAX);
    assert(size.bytes <= CACHE_BYTES_MAX);
    struct head *head = memory;
    *head = (struct head){ .magic = CACHE_MAGIC, .bytes = size.bytes, .sessions = size.sessions };
    crypto_random(head->hash_key, sizeof(head->hash_key));
    bool adopted = cache_adopt(cache, memory, cache_layout_bytes(size));
    assert(adopted);
    for (uint32_t i = 0; adopted && i < cache->shards; i++) {
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
    return cache->size.sessions == size.sessions && cache->size.bytes == size.bytes;
}

bool cache_adopt(struct cache *cache, void *memory, size_t len) {
    struct head head;
    if (len < sizeof(head)) {
        return false;
    }
    memcpy(&head, memory, sizeof(head));
    struct cache_size size = { head.sessions, head.bytes };
    if (head.magic != CACHE_MAGIC || size.sessions < 1 || size.sessions > CACHE_SESSIONS_MAX ||
        size.bytes > CACHE_BYTES_MAX || cache_layout_bytes(size) > len) {
        return false;
    }
    *cache = cache_layout(size);
    cache->base = memory;
    memcpy(cache->hash_key, head.hash_key, sizeof(cache->hash_key));
    return true;
}

uint32_t cache_capacity(const struct cache *cache) {
    return cache->size.sessions;
}

uint64_t cache_room_bytes(const struct cache *cache) {
    uint64_t spare = round_up(2 * (CACHE_RECORD_MAX + sizeof(struct entry)), 64);
    return (cache->ring_grains * CACHE_GRAIN - spare) * cache->shards;
}

/* --- what a worker may have spoilt ----------------------------------------
 * A worker that was taken over can write anything anywhere in the region, at any time.
 * Hence what bounds a loop or a write is read once, and held against the handle. */

static uint64_t read_u64(const uint64_t *from) {
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static uint32_t read_u32(const uint32_t *from) {
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/* The grains of the entry at a position, before `end`; 0: there is no whole entry. */
static uint32_t entry_grains(const struct cache *cache, struct shard *shard, uint64_t position,
                             uint64_t end) {
    uint64_t to_end = cache->ring_grains - position % cache->ring_grains;
    uint32_t grains = read_u32(&shard_entry(cache, shard, position)->grains);
    return grains <= to_end && grains <= end - position ? grains : 0;
}

/* The entry at a position of that many grains; null: a filler, or unsound. */
static struct entry *entry_whole(const struct cache *cache, struct shard *shard, uint64_t position,
                                 uint32_t grains) {
    struct entry *entry = shard_entry(cache, shard, position);
    uint64_t room = (uint64_t)grains * CACHE_GRAIN;
    return room >= sizeof(*entry) && read_u32(&entry->len) <= room - sizeof(*entry) ? entry : NULL;
}

/* The entry that a link leads to, if its header lies in the ring; or null. */
static struct entry *entry_linked(const struct cache *cache, struct shard *shard, uint32_t link) {
    uint64_t place = (uint64_t)link - 1;
    return link != NO_ENTRY && place + sizeof(struct entry) / CACHE_GRAIN <= cache->ring_grains
               ? shard_entry(cache, shard, place)
               : NULL;
}

/* Its record's bytes, if they lie in the ring; or 0. */
static uint32_t entry_len(const struct cache *cache, struct shard *shard,
                          const struct entry *entry) {
    const char *ring = (const char *)shard_entry(cache, shard, 0);
    uint64_t room =
        cache->ring_grains * CACHE_GRAIN - (uint64_t)((const char *)entry - ring) - sizeof(*entry);
    uint32_t len = read_u32(&entry->len);
    return len <= CACHE_RECORD_MAX && len <= room ? len : 0;
}

static uint32_t entries_max(const struct cache *cache) {
    return cache->size.sessions / cache->shards + 1;
}

/* How long a chain can be. */
static uint32_t chain_max(const struct cache *cache, const struct shard *shard) {
    uint32_t entries = read_u32(&shard->entries);
    return entries < entries_max(cache) ? entries : entries_max(cache);
}

static bool shard_is_sound(const struct cache *cache, const struct shard *shard) {
    return shard->tail <= shard->head && shard->head - shard->tail <= cache->ring_grains &&
           shard->live <= shard->entries && shard->entries <= entries_max(cache);
}

static void shard_reset(const struct cache *cache, struct shard *shard) {
    shard->tail = shard->head = 0;
    shard_clear_index(cache, shard);
}

/* --- the index ------------------------------------------------------------ */

static void index_add(const struct cache *cache, struct shard *shard, struct entry *entry,
                      uint64_t position) {
    uint32_t *bucket = shard_bucket(cache, shard, entry->hash);
    entry->next = *bucket;
    *bucket = (uint32_t)(position % cache->ring_grains) + 1;
    shard->entries++;
    shard->live += entry->state == ENTRY_LIVE;
}

static void index_remove(const struct cache *cache, struct shard *shard, struct entry *entry) {
    uint32_t *link = shard_bucket(cache, shard, entry->hash);
    for (uint32_t left = chain_max(cache, shard); left > 0; left--) {
        struct entry *at = entry_linked(cache, shard, read_u32(link));
        if (!at) {
            return;
        }
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
    const uint32_t *link = shard_bucket(cache, shard, hash);
    for (uint32_t left = chain_max(cache, shard); left > 0; left--) {
        struct entry *entry = entry_linked(cache, shard, read_u32(link));
        if (!entry || (entry->hash == hash && memcmp(entry->id, id, CACHE_ID_LEN) == 0)) {
            return entry;
        }
        link = &entry->next;
    }
    return NULL;
}

static bool is_indexed(const struct entry *entry) {
    return entry->state == ENTRY_LIVE || entry->state == ENTRY_MARKED;
}

/* After a worker died holding the lock: the entries are whole, the index may
 * not be. An entry that its killer left half wiped is dropped by its seal later. */
static void shard_repair(const struct cache *cache, struct shard *shard) {
    uint64_t end = shard->head;
    uint64_t at = shard->tail;
    shard_clear_index(cache, shard);
    while (end - at <= cache->ring_grains && at < end) {
        uint32_t grains = entry_grains(cache, shard, at, end);
        if (grains == 0) {
            shard_reset(cache, shard);
            break;
        }
        struct entry *entry = entry_whole(cache, shard, at, grains);
        if (entry && is_indexed(entry)) {
            index_add(cache, shard, entry, at);
        }
        at += grains;
    }
    shard->stats.repaired++;
}

/* Null when the lock is not to be had: another process holds it for longer than it may and
 * stands still, or the lock is spoilt. */
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
    if (rc == EOWNERDEAD) {
        shard_repair(cache, shard);
        rc = pthread_mutex_consistent(&shard->lock);
    }
    if (rc != 0) {
        atomic_fetch_add_explicit(&shard->busy, 1, memory_order_relaxed);
        return NULL;
    }
    if (!shard_is_sound(cache, shard)) {
        shard_reset(cache, shard);
    }
    return shard;
}

static void shard_unlock(struct shard *shard) {
    pthread_mutex_unlock(&shard->lock);
}

static uint64_t cache_hash(const struct cache *cache, const uint8_t id[static CACHE_ID_LEN]) {
    return crypto_siphash(cache->hash_key, (struct bytes){ id, CACHE_ID_LEN });
}

/* The oldest entry of a shard that has one goes, leaving a ghost of that kind when it was
 * live. An unsound one takes all others along. Returns when it was put, if it was live, or 0. */
static uint32_t shard_drop_oldest(const struct cache *cache, struct shard *shard, uint32_t kind) {
    uint64_t tail = shard->tail;
    uint32_t grains = entry_grains(cache, shard, tail, shard->head);
    if (grains == 0) {
        shard_reset(cache, shard);
        return 0;
    }
    struct entry *oldest = entry_whole(cache, shard, tail, grains);
    bool live = oldest && oldest->state == ENTRY_LIVE;
    if (oldest && is_indexed(oldest)) {
        index_remove(cache, shard, oldest);
    }
    if (live) {
        *shard_ghost(cache, shard, oldest->hash) = ghost_tag(oldest->hash) | kind;
    }
    shard->tail = tail + grains;
    store_order();
    if (live) {
        crypto_wipe(oldest + 1, entry_len(cache, shard, oldest));
    }
    return live ? oldest->put_s : 0;
}

static void shard_evict_oldest(const struct cache *cache, struct shard *shard, uint64_t now_s) {
    uint32_t put_s = shard_drop_oldest(cache, shard, GHOST_EVICTED);
    if (put_s != 0) {
        shard->stats.evicted++;
        shard->stats.evicted_age_s = now_s > put_s ? now_s - put_s : 0;
    }
}

/* Makes `grains` free in one piece at the head, with a filler over the ring's
 * end where the piece would wrap. */
static void shard_make_room(const struct cache *cache, struct shard *shard, uint32_t grains,
                            uint64_t now_s) {
    uint64_t to_end = cache->ring_grains - shard->head % cache->ring_grains;
    uint64_t skip = to_end < grains ? to_end : 0;
    while (shard->head + skip + grains - shard->tail > cache->ring_grains &&
           shard->tail < shard->head) {
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
        crypto_wipe(old + 1, entry_len(cache, shard, old));
    }
    while (shard->entries >= shard_limit(cache, hash) && shard->tail < shard->head) {
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
    } else {
        *len = entry_len(cache, shard, entry);
        memcpy(buf, entry + 1, *len);
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
        crypto_wipe(entry + 1, entry_len(cache, shard, entry));
        result = CACHE_HIT;
    }
    shard_unlock(shard);
    return result;
}

static uint64_t shard_expire(const struct cache *cache, struct shard *shard, uint64_t before_s) {
    uint64_t live = 0;
    for (unsigned n = 0; n < EXPIRE_MAX && shard->tail < shard->head; n++) {
        uint32_t grains = entry_grains(cache, shard, shard->tail, shard->head);
        const struct entry *oldest = entry_whole(cache, shard, shard->tail, grains);
        if (oldest && is_indexed(oldest) && oldest->put_s >= before_s) {
            break;
        }
        live += shard_drop_oldest(cache, shard, GHOST_EXPIRED) != 0;
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

void cache_wipe(const struct cache *cache) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t len = cache_layout_bytes(cache->size);
    size_t from = CACHE_HEAD_BYTES + (size_t)cache->shards * SHARD_HEAD_BYTES;
    size_t whole = round_up(from, page);
    if (whole >= len || madvise(cache->base + whole, len - whole, MADV_REMOVE) != 0) {
        whole = len;
    }
    crypto_wipe(cache->base + from, whole - from);
}

uint32_t cache_shards(const struct cache *cache) {
    return cache->shards;
}

/* Without the lock: an entry counts if the tail has not passed it meanwhile, for it moves
 * before a place is written anew. */
static uint64_t shard_oldest_s(const struct cache *cache, struct shard *shard) {
    uint64_t end = read_u64(&shard->head);
    uint64_t at = read_u64(&shard->tail);
    if (end - at > cache->ring_grains) {
        return 0;
    }
    while (at < end) {
        const struct entry *entry = shard_entry(cache, shard, at);
        uint32_t grains = entry_grains(cache, shard, at, end);
        bool live = entry_whole(cache, shard, at, grains) && read_u32(&entry->state) == ENTRY_LIVE;
        uint32_t put_s = live ? read_u32(&entry->put_s) : 0;
        atomic_thread_fence(memory_order_acquire);
        uint64_t tail = read_u64(&shard->tail);
        if (tail <= at && (live || grains == 0)) {
            return put_s;
        }
        at = tail <= at ? at + grains : tail;
    }
    return 0;
}

uint64_t cache_oldest_s(const struct cache *cache) {
    uint64_t oldest_s = 0;
    for (uint32_t i = 0; i < cache->shards; i++) {
        uint64_t one_s = shard_oldest_s(cache, cache_shard(cache, i));
        oldest_s = one_s != 0 && (oldest_s == 0 || one_s < oldest_s) ? one_s : oldest_s;
    }
    return oldest_s;
}

/* Without the locks: each figure is whole, though another's may be a moment older. */
static void stats_add(struct cache_stats *to, const struct shard *shard) {
    const struct cache_stats *from = &shard->stats;
    to->entries += read_u32(&shard->live);
    to->bytes += (read_u64(&shard->head) - read_u64(&shard->tail)) * CACHE_GRAIN;
    to->lookups += read_u64(&from->lookups);
    to->hits += read_u64(&from->hits);
    to->inserts += read_u64(&from->inserts);
    to->evicted += read_u64(&from->evicted);
    to->expired += read_u64(&from->expired);
    to->repaired += read_u64(&from->repaired);
    to->evicted_age_s += read_u64(&from->evicted_age_s);
    to->busy += atomic_load_explicit(&shard->busy, memory_order_relaxed);
}

void cache_read_stats(const struct cache *cache, struct cache_stats *stats) {
    uint64_t evicting = 0;
    *stats = (struct cache_stats){ 0 };
    for (uint32_t i = 0; i < cache->shards; i++) {
        const struct shard *shard = cache_shard(cache, i);
        stats_add(stats, shard);
        evicting += read_u64(&shard->stats.evicted) > 0;
    }
    if (evicting > 0) {
        stats->evicted_age_s /= evicting;
    }
}
