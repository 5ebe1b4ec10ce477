/* shared.h: the memory that outlives generations, and the program itself: made,
 * adopted, handed over and closed from one table, shared.def. Master only. */
#ifndef REPRISE_PROXY_SHARED_H
#define REPRISE_PROXY_SHARED_H

#include <stdbool.h>

#include "base/err.h"
#include "proxy/generation.h"
#include "proxy/takeover.h"

/* A `struct shared` without any region. */
void shared_clear(struct shared *shared);

/* Adopts each region that `takeover` (may be null) has and that fits, and makes the
 * others. On -1 shared_fini is the caller's to call. */
int shared_init(struct shared *shared, struct takeover *takeover, struct err *err);

/* Has the replay register where a profile of `config` asks for single-use tickets: the one
 * that `takeover` (may be null) has, or a new one. It is kept from then on: only what stands
 * in it is known to have been used. */
int shared_settle_replay(struct shared *shared, const struct config *config,
                         struct takeover *takeover, struct err *err);

/* Says every region to a new program, over the socketpair `channel`. */
int shared_hand_over(const struct shared *shared, int channel, struct err *err);

/* Unmaps and closes all. `wipe`: the keys first; not where another master has them, too. */
void shared_fini(struct shared *shared, bool wipe);

/* The layout of a cache: what lies in it can be read only with the key ring. */
uint64_t shared_cache_layout(void);

#endif
