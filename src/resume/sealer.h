/* sealer.h: seals and opens session records under the key ring.
 *
 *   sealed:  key name 16 | sealer 10 | counter 6 | ciphertext | tag 16
 *
 * The first 32 bytes have the place and size of RFC 5077 4's key name and IV.
 * `sealer` is drawn at random by each process for each key; the AES-256-GCM key
 * is derived from the ring's key and it, and the counter is the nonce. So no
 * nonce repeats under a key: not across workers, not across hosts, and nobody
 * has to agree on anything. The key's name, the nonce, the format's version and
 * the purpose are authenticated; so is the ID of a cache entry.
 *
 * A worker's copy of the keys and the keys derived from them lie in memory of
 * their own (secret_alloc), are made anew whenever the ring changes, and are
 * wiped then. One process, one thread.
 *
 * Threat: tickets come from anyone. A name that the ring does not know, or of which it
 * knows no more than the name, costs no cryptography (R43).
 */
#ifndef REPRISE_RESUME_SEALER_H
#define REPRISE_RESUME_SEALER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "store/cache.h"
#include "store/keyring.h"

#define SEALER_OVERHEAD (KEYRING_NAME_LEN + 16 + CRYPTO_TAG_LEN)

struct sealer;

enum sealer_status {
    SEALER_OK,
    SEALER_UNKNOWN_KEY, /* a name that the ring never had, or no longer remembers */
    SEALER_RETIRED_KEY, /* the name of a key that was wiped */
    SEALER_DAMAGED,     /* too short, or does not authenticate */
    SEALER_UNAVAILABLE, /* no usable key, or the ring could not be read yet */
};

/* What a ticket was sealed under. */
struct sealer_key {
    uint8_t name[KEYRING_NAME_LEN];
    bool current; /* the key still seals; else the ticket is better renewed */
};

/* Makes a sealer that reads `ring` (borrowed; outlives it). Each process makes its
 * own after fork. Returns null with err set when memory can't be locked. */
struct sealer *sealer_new(const struct keyring *ring, struct err *err);

/* Wipes and frees; null is allowed. */
void sealer_free(struct sealer *sealer);

/* Takes over the ring's changes, wiping keys that it no longer holds. Called
 * before each use by the functions below, and by an idle worker on a timer. */
void sealer_refresh(struct sealer *sealer);

/* True when there is a key to seal tickets under (R34). */
bool sealer_ready(struct sealer *sealer);

/* Seals a record as a ticket. out takes record.len + SEALER_OVERHEAD bytes. */
enum sealer_status sealer_seal_ticket(struct sealer *sealer, struct bytes record, uint8_t *out,
                                      struct sealer_key *key);

/* Opens a ticket; out takes ticket.len bytes. *key is filled as soon as the name
 * is known; its name is copied even when it is not. */
enum sealer_status sealer_open_ticket(struct sealer *sealer, struct bytes ticket, uint8_t *out,
                                      size_t *out_len, struct sealer_key *key);

/* The same for the cache entry `id`, under the key that lives with the cache. */
enum sealer_status sealer_seal_entry(struct sealer *sealer, const uint8_t id[static CACHE_ID_LEN],
                                     struct bytes record, uint8_t *out);
enum sealer_status sealer_open_entry(struct sealer *sealer, const uint8_t id[static CACHE_ID_LEN],
                                     struct bytes sealed, uint8_t *out, size_t *out_len);

#endif
