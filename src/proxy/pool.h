/* pool.h: a worker's view of a pool: which backend is next, and who is well. */
#ifndef REPRISE_PROXY_POOL_H
#define REPRISE_PROXY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/loop.h"
#include "proxy/generation.h"

struct worker;
struct probe;

struct pool {
    const struct config_pool *config;    /* borrowed */
    const struct backend_state *state;   /* borrowed */
    const struct config_member *members; /* borrowed; the demonstration backend's one included */
    size_t member_count;
    size_t first; /* place of the first member in state */
    size_t next;  /* round robin: who is next */
    unsigned worker_index;
    unsigned worker_count;
    struct probe *probes; /* owned: health checks, in the worker that makes them */
    struct config_member demo;
};

#define POOL_NONE SIZE_MAX

/* Sets up all pools of a worker's generation. Returns an owned array or null. */
struct pool *pools_new(const struct generation *gen, unsigned worker_index);
void pools_free(struct pool *pools, const struct generation *gen);

/* Starts the health checks of all pools; one worker of a generation does them. */
int pools_start_checks(struct pool *pools, const struct generation *gen, struct loop *loop);

/* Picks a member that is well and not among those *tried by this connection, a
 * bit each (members beyond the 64th share bits), and adds it to them. When all
 * that are well were tried, one that is not; when all were, it starts anew. */
size_t pool_pick(struct pool *pool, uint64_t *tried);

/* Counts a connection to a member as begun or ended (for least connections). */
void pool_count(struct pool *pool, size_t member, int delta);

#endif
