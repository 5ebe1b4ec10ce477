/* keeper.h: the process that makes, rotates and wipes the ticket keys, and wipes
 * sessions from the caches when their time is over. It takes no connection and reads
 * nothing from the network. */
#ifndef REPRISE_KEEPER_KEEPER_H
#define REPRISE_KEEPER_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "store/cache.h"
#include "store/keyring.h"
#include "store/statefile.h"

struct keeper_start {
    struct keyring *keyring; /* borrowed; shared memory that this process writes */
    struct keyring_lives lives;
    struct statefile *state;         /* borrowed; null: the ring is not kept on disk */
    const struct cache_term *caches; /* borrowed: shared memory */
    size_t cache_count;
};

/* Keeps the ring until SIGTERM; the process's exit status. Called in the child. */
int keeper_run(const struct keeper_start *start);

#endif
