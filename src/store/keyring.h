/* keyring.h: the ticket keys, in shared memory: written by the keeper, read by workers.
 *
 * A key lives through: NEXT (known, opens, does not seal yet), CURRENT (seals
 * and opens), RETIRED (opens only), WIPED (its secret is gone; the name stays, to
 * tell its tickets from those of nobody, until the place is needed). A key is in the ring before it seals, so that whoever shares the ring can open
 * its first ticket. Beside the ring lies the key under which cache records are
 * sealed; it lives as long as the region.
 *
 * The keeper alone writes, under a sequence number that is odd meanwhile;
 * readers copy and look whether it moved. A keeper that dies while writing
 * leaves it odd: readers then keep the copy that they have, and the next keeper
 * repairs the ring.
 *
 * Threat: whoever reads these bytes opens every ticket of their time. The region
 * is locked in memory, kept out of dumps, and read-only in workers.
 */
#ifndef REPRISE_STORE_KEYRING_H
#define REPRISE_STORE_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"

#define KEYRING_NAME_LEN 16
#define KEYRING_SLOTS 256

enum keyring_state { KEY_EMPTY, KEY_NEXT, KEY_CURRENT, KEY_RETIRED, KEY_WIPED };

struct keyring_key {
    uint8_t name[KEYRING_NAME_LEN];
    uint8_t secret[CRYPTO_KEY_LEN];
    uint32_t state;        /* enum keyring_state */
    uint32_t from_file;    /* 1: the operator's, not made here */
    uint64_t made_s;       /* times are seconds since 1970 */
    uint64_t current_s;    /* since when it seals; 0 while NEXT */
    uint64_t retired_s;    /* since when it only opens; 0 before */
    uint64_t open_until_s; /* when it is wiped, or was due to be; 0 while not retired */
};

struct keyring; /* lies in shared memory */

/* A time that does not come. */
#define KEYRING_NEVER UINT64_MAX

/* How long the keys made here live. */
struct keyring_lives {
    uint32_t encrypt_s; /* a key seals for this long */
    uint32_t open_s;    /* and opens for this long afterwards */
};

/* What may be told of a key. */
struct keyring_about {
    uint8_t name[KEYRING_NAME_LEN];
    enum keyring_state state;
    bool from_file;
    uint64_t made_s; /* the times as in struct keyring_key */
    uint64_t current_s;
    uint64_t retired_s;
    uint64_t open_until_s;
};

/* What may be told of the ring: no secret is in here. */
struct keyring_list {
    uint64_t began_s;        /* no session is older; 0: not known */
    uint64_t cache_oldest_s; /* of the oldest session in the caches; KEYRING_NEVER: none */
    uint32_t carry_s;        /* see keyring_note_carry */
    unsigned count;
    struct keyring_about keys[KEYRING_SLOTS];
};

/* What a reader copies out. Holds secrets: wipe after use. */
struct keyring_snapshot {
    uint64_t generation;
    uint8_t cache_secret[CRYPTO_KEY_LEN];
    uint64_t began_s; /* these two as in struct keyring_list */
    uint32_t carry_s;
    unsigned count;
    struct keyring_key keys[KEYRING_SLOTS]; /* the non-empty ones, in no order */
};

/* Bytes of shared memory to provide. */
size_t keyring_bytes(void);

/* Changes with the meaning of these bytes: a program that has another number can't take
 * the ring over. */
uint64_t keyring_layout(void);

/* keyring_lay_out and keyring_use_own. */
void keyring_init(struct keyring *ring, uint64_t now_s);

/* Lays out zeroed shared memory with the cache's key and no ticket key: to be followed by one
 * of the two below. Master only, before any reader. */
void keyring_lay_out(struct keyring *ring, uint64_t now_s);

/* A key from a file. */
struct keyring_given {
    uint8_t name[KEYRING_NAME_LEN];
    uint8_t secret[CRYPTO_KEY_LEN];
    enum keyring_state state; /* NEXT, CURRENT or RETIRED: until it is taken out of the files */
};

/* From now on the ring has these keys, of which one is CURRENT, and makes none. What it made
 * opens for open_s more. Keys given before and not now are wiped at once: the files are the
 * operator's word. Idempotent. Master only, while no keeper runs. */
void keyring_use_files(struct keyring *ring, const struct keyring_given *given, unsigned count,
                       uint64_t now_s, uint32_t open_s);

/* From now on the ring has keys of its own making; those from files open for open_s more.
 * Idempotent. Master only, while no keeper runs. */
void keyring_use_own(struct keyring *ring, uint64_t now_s, uint32_t open_s);

/* True when it has no ticket key, nor the name of one: nothing was sealed yet. Master. */
bool keyring_is_bare(const struct keyring *ring);

/* Takes the keys of a ring as it was saved before a restart into one that has none yet, to be
 * followed by keyring_use_own. What is over by now is wiped first: a key that was CURRENT has
 * sealed until its time was over at the most, and a NEXT that would have had its turn is
 * given up. Returns 0, or -1 when what was saved is no ring: then nothing is
 * taken. Master only, before any reader. */
int keyring_restore(struct keyring *ring, const struct keyring_snapshot *saved,
                    const struct keyring_lives *lives, uint64_t now_s);

/* What keyring_tick did. */
struct keyring_change {
    bool rotated;     /* NEXT became CURRENT */
    unsigned wiped;   /* keys whose time was over */
    unsigned crowded; /* keys wiped before their time, because the ring was full */
    uint8_t current[KEYRING_NAME_LEN];
};

/* Does what is due at now_s: rotates when CURRENT has sealed for encrypt_s, lets
 * a retired key open for open_s more, wipes those past it. A clock set back
 * rotates nothing. Keys from files are not rotated. Keeper only. */
struct keyring_change keyring_tick(struct keyring *ring, uint64_t now_s, uint32_t encrypt_s,
                                   uint32_t open_s);

/* Changes whenever the ring does; odd while it is being written. Cheap: one load. */
uint64_t keyring_generation(const struct keyring *ring);

/* Copies the ring's keys. Returns 0, or -1 when the ring is being written or a
 * write was cut short: the reader keeps what it has and tries again later. */
int keyring_read(const struct keyring *ring, struct keyring_snapshot *out);

/* Copies what may be told. Returns 0 or -1 as keyring_read. */
int keyring_look(const struct keyring *ring, struct keyring_list *out);

/* Notes how long a session may be carried on from its full handshake by renewed tickets, for the
 * forward-secrecy figure (store/secrecy.h). The longest that was ever noted counts: sessions
 * made under it may be about. Master. */
void keyring_note_carry(struct keyring *ring, uint32_t carry_s);

/* Notes the time of the oldest session in the caches; KEYRING_NEVER: none. Keeper, master. */
void keyring_note_cache_oldest(struct keyring *ring, uint64_t oldest_s);

#endif
