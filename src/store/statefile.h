/* statefile.h: the key ring on disk, sealed, for tickets that open after a stop or a crash.
 *
 * Without it a restart forgets all keys (R38). With it whoever has the file and the file
 * of its key has them: docs/KEYS.md says what that costs. The file is two slots, each a
 * whole ring:
 *
 *   magic 8 | version 4 | slot 4 | sequence 8 | nonce 12 | zero 4     authenticated
 *   AES-256-GCM of: written_s 8 | began_s 8 | carry_s 4 | count 4 | KEYRING_SLOTS keys
 *   zeros up to STATEFILE_SLOT_BYTES
 *
 * Numbers are big-endian. The sealing key is derived from all of the key file; nonces are
 * random. A change of the ring is written to one slot, and when that is on the disk to
 * the other: a write cut short leaves one that is good, and a key that was wiped from the ring
 * is in neither afterwards. The one with the higher sequence counts.
 *
 * The master opens file and key while it may; the keeper writes through the open
 * descriptor. All of it lies in memory from secret_alloc.
 */
#ifndef REPRISE_STORE_STATEFILE_H
#define REPRISE_STORE_STATEFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "store/keyring.h"

#define STATEFILE_SLOT_BYTES 24576u
#define STATEFILE_KEY_MIN 32u /* bytes of the file of the key */
#define STATEFILE_KEY_MAX 4096u

struct statefile;

struct statefile_place {
    const char *path;
    const char *key_path;
    uid_t user;  /* whom the service runs as */
    bool create; /* make the file when it is not there; false: only look */
};

/* Opens the file and reads what it holds. Both files must pass secretfile_check; the key must
 * have no part that is zero. A file that is there, is not empty, and does not open
 * is refused: it is damaged, another's, or the key is another one. Returns an owned object,
 * or null with err set, beginning with a path. */
struct statefile *statefile_open(const struct statefile_place *place, struct err *err);

/* What it held when it was opened; null: nothing. Borrowed. */
const struct keyring_snapshot *statefile_saved(const struct statefile *state);

/* Wipes that. */
void statefile_forget(struct statefile *state);

/* In a child that got it by fork and goes on to use it: locks its memory. */
int statefile_inherit(struct statefile *state, struct err *err);

/* Writes the ring into both slots and waits for the disk, when it has changed since the last
 * save. Returns 0; or -1 with err set: the next call tries again. Keeper only. */
int statefile_save(struct statefile *state, const struct keyring *ring, uint64_t now_s,
                   struct err *err);

/* Closes, wipes and frees; null is allowed. Leaves the file as it is. */
void statefile_close(struct statefile *state);

#endif
