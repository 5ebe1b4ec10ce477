/* replay.h: the replay register: which single-use tickets have been used, in shared
 * memory (R29). All workers claim in one; a ticket that was claimed is refused.
 *
 * A ticket stands in the register by a keyed hash, as long as it could be used at
 * all. What the register can't tell it refuses: a bucket without a free slot, and
 * (by replay_since_ms) tickets that are older than the register itself, which may
 * have been used before it was. A false refusal costs a full handshake; its odds
 * are below one in 10^8 a look-up.
 *
 *   struct replay | buckets of 8 slots, a cache line each
 *   slot: the time until which it counts, seconds since 1970 (32 bits) | tag (32 bits)
 *
 * Threats: whoever saw a ticket offers it again, to many workers at once (there is
 * no lock to hold: a claim that meets another for the same ticket is refused, so at
 * most one is first); offers chosen to crowd one bucket (the hash is keyed, and only
 * tickets that this service sealed get here).
 */
#ifndef REPRISE_STORE_REPLAY_H
#define REPRISE_STORE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define REPLAY_TICKETS_MIN 1024u
#define REPLAY_TICKETS_MAX 100000000u

struct replay; /* lies in shared memory */

enum replay_result {
    REPLAY_FIRST, /* claimed: nobody had */
    REPLAY_USED,  /* it was claimed before, or is being claimed elsewhere now */
    REPLAY_FULL,  /* there is no room to remember it */
};

/* Bytes of shared memory for as many tickets used within their lifetime; twice that
 * many slots are laid out, so that buckets seldom run full. */
size_t replay_layout_bytes(uint32_t tickets);

/* Lays one out in zeroed shared memory, aligned to 64. Master only. */
void replay_init(struct replay *replay, uint32_t tickets, uint64_t now_ms);

/* Changes with the meaning of these bytes. */
uint64_t replay_layout(void);

/* Whether what lies there, `len` bytes, is a register of this program's layout. For
 * memory that another program made. */
bool replay_is_sound(const struct replay *replay, size_t len);

/* For how many tickets it was laid out. */
uint32_t replay_capacity(const struct replay *replay);

/* Since when it knows what was used. Tickets made before must be refused. */
uint64_t replay_since_ms(const struct replay *replay);

/* Claims a ticket, named by bytes that no other ticket has, until `until_s`. Any
 * worker, any number at once. */
enum replay_result replay_claim(struct replay *replay, struct bytes ticket, uint64_t now_s,
                                uint64_t until_s);

#endif
