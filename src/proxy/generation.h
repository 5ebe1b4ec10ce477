/* generation.h: all that one loaded configuration comes to: what the master
 * builds before it forks workers, and what they then read.
 *
 * A reload builds a whole new generation beside the old one; only when it is
 * complete do workers of the new one start and those of the old one drain.
 * Sockets, caches and keys are carried over from one to the next.
 */
#ifndef REPRISE_PROXY_GENERATION_H
#define REPRISE_PROXY_GENERATION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shm.h"
#include "config/config.h"
#include "proxy/sni.h"
#include "resume/resume.h"
#include "stats/counters.h"
#include "store/cache.h"
#include "store/keyring.h"
#include "store/replay.h"
#include "store/switches.h"
#include "tls/context.h"

#define WORKERS_MAX 256

/* One address: a socket for each worker, all bound to it (SO_REUSEPORT). They
 * stay open while any worker lives, so that neither a worker's death nor a
 * reload loses connections that wait to be accepted. */
struct listener {
    const struct config_vserver *vserver; /* borrowed */
    struct config_address address;        /* copied; text owned; as configured */
    struct sockaddr_storage bound;        /* with the real port */
    socklen_t bound_len;
    int *sockets; /* owned */
    size_t socket_count;
};

/* State of the backends in shared memory: rows written by one worker each. */
struct member_state {
    _Atomic uint32_t down;  /* by the health check */
    _Atomic uint32_t fails; /* in a row; or successes in a row while down */
};

struct backend_state {
    struct shm shm;
    struct member_state *members;  /* [members] */
    _Atomic uint32_t *connections; /* [workers][members] */
    _Atomic uint32_t *clients;     /* [workers]: connections that each worker has */
    _Atomic uint32_t *accepts;     /* [workers]: 1 while it takes new ones */
    size_t member_count;
};

/* A profile's cache, in a region of its own. Counted: two generations may share one. */
struct cache_region {
    struct shm shm;
    unsigned users;
    char *profile; /* owned name */
    struct cache cache;
};

/* What outlives generations, and upgrades. Each region has a row in shared.def. */
struct shared {
    struct shm replay_shm;
    struct replay *replay; /* within it; null until a profile has single-use-tickets */
    struct shm switches_shm;
    struct switches_table *switches; /* within it */
    struct shm keyring_shm;
    struct keyring *keyring; /* within it */
    struct shm counters_shm;
    struct counters *counters; /* [WORKERS_MAX] */
};

struct generation {
    unsigned number;
    struct config *config;      /* owned */
    struct tls_set *tls;        /* owned */
    struct sni_table **sni;     /* owned; by virtual server */
    struct listener *listeners; /* owned; their sockets may come from the last generation */
    size_t listener_count;
    struct cache_region **caches; /* owned list of counted ones; by profile; null: it has none */
    size_t cache_count;
    struct switches **switches; /* owned; by profile: its place in struct shared's table */
    struct backend_state backends;
    size_t *pool_first_member;  /* owned; by pool: its members' place in backends */
    struct config_address demo; /* where the demonstration backend listens; text borrowed from
                                   the master; null: nowhere */
};

/* The cache of a profile, whether its tick box is on or off; null when its size is 0. */
static inline struct cache *generation_cache(const struct generation *gen,
                                             const struct config_profile *profile) {
    struct cache_region *region = gen->caches[profile - gen->config->profiles];
    return region ? &region->cache : NULL;
}

/* When the oldest session in the caches was put there; KEYRING_NEVER: there is none. */
uint64_t generation_oldest_session_s(const struct generation *gen);

/* Lists the caches with their sessions' lifetimes: an owned list, or null. */
struct cache_term *generation_cache_terms(const struct generation *gen, size_t *count);

/* What a connection of that profile may resume from, as the tick boxes stand now. The
 * caches of other profiles are the caller's to fill in. Workers. */
struct resume_stores generation_stores(const struct generation *gen, const struct shared *shared,
                                       const struct config_profile *profile);

/* Builds a generation from `config`, which it takes over in every case. `old` may
 * be null; its sockets and caches are taken over where they fit, and it stays
 * whole until generation_free. Returns null with `err` set and everything as
 * before; `switches` has places for profiles that are new. Master only. */
struct generation *generation_new(struct config *config, const struct generation *old,
                                  struct switches_table *switches, struct err *err);

/* Sets the tick boxes to what the file says: in older generations, too. Master only. */
void generation_set_switches(const struct generation *gen);

/* Wipes and gives back the caches that no other generation has. Workers of `gen` that still
 * drain find nothing in them from then on. Master only. */
void generation_caches_wipe(const struct generation *gen);

/* One user less; the last one closes and frees it. Null is allowed. */
void cache_region_release(struct cache_region *region);

/* Lets every socket listen. generation_new leaves that to be done, for sockets that are new
 * at an address which is served already, until nothing can fail any more. Master only. */
int generation_listen(const struct generation *gen, struct err *err);

/* Frees what no newer generation (may be null) took over. Master only. */
void generation_free(struct generation *gen, const struct generation *newer);

#endif
