/* cache.h: the session cache: sealed records by their 32-byte ID, in shared memory.
 *
 * One region serves all workers. It is cut into shards, each a ring of bytes
 * with its own index and its own lock; an ID's keyed hash names its shard. A
 * record is written at the ring's head; when room or count runs out, the oldest
 * record of the shard makes place. A small cache has one shard, so that the
 * oldest of all goes first; in a large one the order is the shard's.
 *
 *   struct cache | shard 0 | shard 1 | ...
 *   shard:  struct shard | buckets (u32 each) | ring of bytes
 *   record: struct entry | sealed bytes, padded to CACHE_GRAIN
 *
 * Threats: IDs to look up come from anyone (hence the keyed hash and the bounded
 * copy); a worker may die at any instruction (the locks are robust, and a shard
 * is rebuilt from its ring); records are sealed before they come here, so the
 * region holds no master secret in clear.
 *
 * The cache knows no time and no policy: whether a record may still be used is
 * read from the record by resume/.
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

struct cache; /* lies in shared memory */

enum cache_result {
    CACHE_HIT,
    CACHE_MISS,
    CACHE_KILLED,    /* the ID is known, but cache_kill took its session away */
    CACHE_TOO_LARGE, /* cache_put: longer than CACHE_RECORD_MAX */
};

struct cache_stats {
    uint64_t entries;
    uint64_t bytes; /* ring bytes in use */
    uint64_t lookups;
    uint64_t hits;
    uint64_t inserts;
    uint64_t evicted;  /* live records that made place for newer ones */
    uint64_t repaired; /* shards rebuilt after a worker died in one */
};

/* Bytes of shared memory that a cache of `sessions` (1..CACHE_SESSIONS_MAX) takes. */
size_t cache_layout_bytes(uint32_t sessions);

/* Lays a cache out in zero-filled shared memory of cache_layout_bytes(sessions)
 * bytes, aligned to 64. Master only, before any other process uses it. */
int cache_init(struct cache *cache, uint32_t sessions, struct err *err);

/* The number of sessions that it was laid out for. */
uint32_t cache_capacity(const struct cache *cache);

/* Stores a copy of `record` under `id`; a record that is there under the ID is
 * replaced. Evicts the oldest as needed. Returns CACHE_HIT when stored, or
 * CACHE_TOO_LARGE. Any worker. */
enum cache_result cache_put(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            struct bytes record);

/* Copies the record under `id` to buf (CACHE_RECORD_MAX bytes) and its length to
 * *len. Any worker. */
enum cache_result cache_get(struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                            uint8_t *buf, size_t *len);

/* Whether there is a session under `id`; counted as no look-up. Any worker. */
bool cache_has(struct cache *cache, const uint8_t id[static CACHE_ID_LEN]);

/* Takes the session under `id` away, wiping its bytes; the ID stays known until
 * it is evicted, so that a later offer can be told why. Returns CACHE_HIT when
 * there was one. Any worker. */
enum cache_result cache_kill(struct cache *cache, const uint8_t id[static CACHE_ID_LEN]);

/* Copies every live record of `from` into `to`, oldest first. Master, on a
 * reload that changes the cache's size; workers may be using both. */
void cache_copy(struct cache *to, struct cache *from);

/* Adds up the shards' figures. Any process. */
void cache_read_stats(struct cache *cache, struct cache_stats *stats);

#endif
