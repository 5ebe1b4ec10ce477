/* keys.h: what the ticket-keys of a configuration come to: where the ring's keys come from.
 *
 * Loaded before anything is changed, so that a wrong file leaves a reload without effect;
 * settled into the ring while no keeper runs. Master.
 */
#ifndef REPRISE_PROXY_KEYS_H
#define REPRISE_PROXY_KEYS_H

#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "store/keyfile.h"
#include "store/keyring.h"
#include "store/statefile.h"

/* All zero: nothing loaded. */
struct keys {
    struct keyfile_set *files; /* owned; null: none, or they are in the ring already */
    struct statefile *state;   /* owned; null: none. The keeper writes it */
};

/* Reads what the configuration names. `user` is whom the service runs as; `check`: only to see
 * whether it can be, no file is made. Returns 0, with *keys to be dropped; or -1 with err
 * set to `file:line: ...`. */
int keys_load(struct keys *keys, const struct config *config, uid_t user, bool check,
              struct err *err);

/* Brings the ring to what was loaded; what the state file held counts for a ring that has no
 * key yet. Idempotent. While no keeper runs. */
void keys_settle(struct keys *keys, const struct config *config, struct keyring *ring,
                 uint64_t now_s);

/* Wipes and frees. Idempotent. Also in children, which have a copy from the fork. */
void keys_drop(struct keys *keys);

/* Warns of what the configuration costs in safety (R38, R41). `old` may be null. */
void keys_warn(const struct config *config, const struct config *old);

#endif
