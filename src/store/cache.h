/* cache.h: the session cache: sealed records by their 32-byte ID, in shared memory.
 *
 * One region serves all workers. It is cut into shards, each a ring of bytes
 * with its own index and its own lock; an ID's keyed hash names its shard. A
 * record is written at the ring's head; when room or count runs out, the oldest
 * record of the shard makes place. A small cache has one shard, so that the
 * oldest of all goes first; in a large one the order is the shard's.
 *
 *   struct head | the shards' heads | per shard: buckets, ghosts (u32 each), ring of bytes
 *   record: struct entry | sealed bytes, padded to CACHE_GRAIN
 *
 * A ghost is what is left of an ID that is gone: a few bits of its hash, by which
 * a later offer is told why it is not found. A cache that nobody has put anything
 * into takes up the pages of its shards' heads and no more.
 *
 * Threats: IDs to look up come from anyone (hence the keyed hash and the bounded
 * copy); a worker may die at any instruction (the locks are robust, and a shard
 * is rebuilt from its ring) or stand still at one (a lock is waited for
 * CACHE_WAIT_MS at most); one that was taken over may write anything into the region at any
 * time (places and lengths in it are held against the handle, `struct cache`, before use;
 * the master, which has more rights, takes no lock in it); records are sealed before they come here, so the region
 * holds no master secret in clear, and wiped when they go.
 *
 * The cache knows no policy: whether a record may still be used is read from the
 * record by resume/. Times are its callers', in seconds since 1970.
 */
#ifndef REPRISE_STORE_CACHE_H
#define REPRISE_STORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define CACHE_ID_LEN 32
#define CACHE_RECORD_MAX 16384      /* bytes of one sealed record */
#define CACHE_SESSIONS_MAX 4194304u /* BIG-IP's bound */
/* Ring bytes set aside a session. A sealed session without a client certificate
 * takes about 400 with its header; larger ones are paid for by holding fewer. */
#define CACHE_BYTES_PER_SESSION 512
#define CACHE_BYTES_MAX (1ull << 38)
/* A holder of a lock needs microseconds; one that is stopped must not stop others. */
#define CACHE_WAIT_MS 20

/* How large a cache is to be. */
struct cache_size {
    uint32_t sessions; /* 1..CACHE_SESSIONS_MAX */
    uint64_t bytes;    /* of records with their headers, up to CACHE_BYTES_MAX; 0: as many as
                          usual sessions need, CACHE_BYTES_PER_SESSION each */
};

/* A process's own view of the region: no worker can change another's. */
struct cache {
    char *base; /* borrowed: the region */
    uint64_t hash_key[2];
    struct cache_size size;
    uint32_t shards;      /* a power of two */
    uint32_t buckets;     /* of one shard; a power of two; as many ghosts */
    uint64_t ring_grains; /* of one shard */
    uint64_t data_bytes;  /* buckets, ghosts and ring of one shard */
};

enum cache_result {
    CACHE_HIT,
    CACHE_MISS,
    CACHE_EVICTED,   /* it was there, and made place for a newer one */
    CACHE_EXPIRED,   /* it was there, and cache_expire took it away */
    CACHE_MARKED,    /* the ID is known, but has no session: see the mark */
    CACHE_TOO_LARGE, /* cache_put: longer than CACHE_RECORD_MAX */
    CACHE_BUSY,      /* the shard's lock was not to be had in time: nothing was done */
};

/* Why an ID has no session. The numbers are part of the layout. */
enum cache_mark {
    CACHE_MARK_NONE = 0,
    CACHE_MARK_UNCLEAN = 1,     /* its connection ended without close_notify */
    CACHE_MARK_FATAL_ALERT = 2, /* its connection ended in a fatal alert */
    CACHE_MARK_INVALIDATED = 3, /* by the operator */
    CACHE_MARK_USED = 4,        /* a handle for one use was used */
    CACHE_MARK_TOO_LARGE = 5,   /* it was too large to be kept */
};

struct cache_stats {
    uint64_t entries;
    uint64_t bytes; /* ring bytes in use */
    uint64_t lookups;
    uint64_t hits;
    uint64_t inserts;
    uint64_t evicted;       /* live records that made place for newer ones */
    uint64_t expired;       /* live records that cache_expire took away */
    uint64_t busy;          /* locks that were not to be had in time */
    uint64_t evicted_age_s; /* the mean age of what each shard evicted last; 0: nothing yet */
    uint64_t repaired;      /* shards rebuilt after a worker died in one */
};

/* A cache, and how long what is in it may be used. For whoever sweeps it. */
struct cache_term {
    struct cache *cache; /* borrowed */
    uint32_t lifetime_s;
};

/* Bytes of shared memory that a cache of that size takes. */
size_t cache_layout_bytes(struct cache_size size);

/* Lays a cache out in zero-filled shared memory of cache_layout_bytes(size)
 * bytes, aligned to 64, which the caller keeps mapped. Master only, before any other
 * process uses it. */
int cache_init(struct cache *cache, void *memory, struct cache_size size, struct err *err);

/* Has a cache that another program laid out in `len` bytes of memory; false when it is none
 * of this program's layout. Master only. */
bool cache_adopt(struct cache *cache, void *memory, size_t len);

/* Changes with the meaning of a cache's bytes. */
uint64_t cache_layout_id(void);

/* Whether it was laid out as one of that size would be. */
bool cache_has_size(const struct cache *cache, struct cache_size size);

/* The number of sessions that it was laid out for. */
uint32_t cache_capacity(const struct cache *cache);

/* The bytes of records that it has room for. */
uint64_t cache_room_bytes(const struct cache *cache);

/* Stores a copy of `record` under `id`; a record that is there under the ID is
 * replaced. Evicts the oldest as needed. Returns CACHE_HIT when stored,
 * CACHE_TOO_LARGE or CACHE_BUSY. Any worker. */
enum cache_result cache_put(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            struct bytes record, uint64_t now_s);

/* The same for an ID that has no session, so that a later offer can be told why. */
enum cache_result cache_put_mark(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                                 enum cache_mark mark, uint64_t now_s);

/* Copies the record under `id` to buf (CACHE_RECORD_MAX bytes) and its length to
 * *len. With CACHE_MARKED, *mark tells why. Any worker. */
enum cache_result cache_get(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            uint8_t *buf, size_t *len, enum cache_mark *mark);

/* Whether there is a session under `id`; counted as no look-up. Any worker. */
bool cache_has(struct cache *cache, const uint8_t id[static CACHE_ID_LEN]);

/* Takes the session under `id` away, wiping its bytes; the ID stays known with its
 * mark until it is evicted. Returns CACHE_HIT to the one caller who took it, else
 * CACHE_MISS or CACHE_BUSY. Any process without the master's rights. */
enum cache_result cache_kill(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                             enum cache_mark mark);

/* Takes away and wipes what was put before `before_s`, oldest first, up to a bound a
 * call, so that no lock is held for long. Returns how many. Keeper. */
uint64_t cache_expire(struct cache *cache, uint64_t before_s);

/* How many locks a sweep of it takes. */
uint32_t cache_shards(const struct cache *cache);

/* When the oldest session that is there was put; 0 when there is none. Takes no lock. Any
 * process. */
uint64_t cache_oldest_s(const struct cache *cache);

/* Takes everything away and gives the memory back to the system, without a lock: whoever is
 * in it finds shards whose ring is unsound, and empties them. Master. */
void cache_wipe(const struct cache *cache);

/* Adds up the shards' figures. Takes no lock. Any process. */
void cache_read_stats(const struct cache *cache, struct cache_stats *stats);

#endif
