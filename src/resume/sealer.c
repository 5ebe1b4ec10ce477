/* sealer.c: see sealer.h for the layout. */
#include "resume/sealer.h"

#include <assert.h>

#include "base/crypto.h"

#define SEALER_ID_LEN 10
#define SEALER_COUNTER_LEN 6
#define SEALER_HEAD (KEYRING_NAME_LEN + SEALER_ID_LEN + SEALER_COUNTER_LEN)
#define SEALER_COUNTER_MAX ((1ull << (8 * SEALER_COUNTER_LEN)) - 1)
#define SEALER_OPENED 64 /* derived keys kept for opening; a power of two */
#define AD_MAX (1 + SEALER_HEAD + CACHE_ID_LEN)

static_assert(SEALER_OVERHEAD == SEALER_HEAD + CRYPTO_TAG_LEN, "the header's sum is right");

/* The first byte of what is authenticated: purpose and version of the format. */
enum purpose { PURPOSE_TICKET = 0x11, PURPOSE_ENTRY = 0x21 };

/* A key derived for one (ring key, sealer). */
struct derived {
    bool used;
    uint8_t head[KEYRING_NAME_LEN + SEALER_ID_LEN];
    struct crypto_aead aead;
};

/* What this process seals with. */
struct sealing {
    struct derived key;
    uint64_t counter; /* of the last seal */
};

struct sealer {
    const struct keyring *ring; /* borrowed */
    uint64_t generation;        /* of the ring that the keys below are from; 0: none yet */
    bool has_current;
    unsigned current; /* index into keys.keys */
    struct sealing ticket;
    struct sealing entry;
    struct derived opened[SEALER_OPENED];
    struct keyring_snapshot keys;
    struct keyring_snapshot fresh; /* where the ring is read to */
};

struct sealer *sealer_new(const struct keyring *ring, struct err *err) {
    struct sealer *sealer = secret_alloc(sizeof(*sealer));
    if (!sealer) {
        err_set(err, "cannot lock %zu bytes in memory for keys (see ulimit -l)", sizeof(*sealer));
        return NULL;
    }
    sealer->ring = ring;
    sealer_refresh(sealer);
    return sealer;
}

static void derived_drop(struct derived *d) {
    crypto_aead_fini(&d->aead);
    crypto_wipe(d, sizeof(*d));
}

static void sealer_drop_keys(struct sealer *sealer) {
    derived_drop(&sealer->ticket.key);
    derived_drop(&sealer->entry.key);
    for (unsigned i = 0; i < SEALER_OPENED; i++) {
        if (sealer->opened[i].used) {
            derived_drop(&sealer->opened[i]);
        }
    }
    crypto_wipe(&sealer->keys, sizeof(sealer->keys));
    sealer->has_current = false;
}

void sealer_free(struct sealer *sealer) {
    if (sealer) {
        sealer_drop_keys(sealer);
        secret_free(sealer, sizeof(*sealer));
    }
}

void sealer_refresh(struct sealer *sealer) {
    if (keyring_generation(sealer->ring) == sealer->generation) {
        return;
    }
    if (keyring_read(sealer->ring, &sealer->fresh) != 0) {
        return; /* being written: the next call sees it; what is here is still good */
    }
    sealer_drop_keys(sealer);
    sealer->keys = sealer->fresh;
    sealer->generation = sealer->fresh.generation;
    crypto_wipe(&sealer->fresh, sizeof(sealer->fresh));
    for (unsigned i = 0; i < sealer->keys.count; i++) {
        if (sealer->keys.keys[i].state == KEY_CURRENT) {
            sealer->current = i;
            sealer->has_current = true;
        }
    }
}

bool sealer_ready(struct sealer *sealer) {
    sealer_refresh(sealer);
    return sealer->has_current;
}

/* Derives the key for (secret, head's sealer ID) into d. Refuses a secret that is zero or
 * partly zero (CVE-2020-13777): no ring that is well has one. */
static int derive(struct derived *d, const uint8_t secret[static CRYPTO_KEY_LEN],
                  const uint8_t head[static KEYRING_NAME_LEN + SEALER_ID_LEN]) {
    if (crypto_has_zero_part(secret, CRYPTO_KEY_LEN)) {
        return -1;
    }
    uint8_t key[CRYPTO_KEY_LEN];
    struct bytes id = { head + KEYRING_NAME_LEN, SEALER_ID_LEN };
    crypto_derive(secret, "reprise sealed record v1", id, key);
    memcpy(d->head, head, sizeof(d->head));
    int rc = crypto_aead_init(&d->aead, key);
    crypto_wipe(key, sizeof(key));
    d->used = rc == 0;
    return rc;
}

static int sealing_start(struct sealing *s, const uint8_t secret[static CRYPTO_KEY_LEN],
                         const uint8_t name[static KEYRING_NAME_LEN]) {
    uint8_t head[KEYRING_NAME_LEN + SEALER_ID_LEN];
    derived_drop(&s->key);
    memcpy(head, name, KEYRING_NAME_LEN);
    crypto_random(head + KEYRING_NAME_LEN, SEALER_ID_LEN);
    s->counter = 0;
    return derive(&s->key, secret, head);
}

static void make_nonce(const uint8_t head[static SEALER_HEAD],
                       uint8_t nonce[static CRYPTO_NONCE_LEN]) {
    memset(nonce, 0, CRYPTO_NONCE_LEN - SEALER_COUNTER_LEN);
    memcpy(nonce + CRYPTO_NONCE_LEN - SEALER_COUNTER_LEN, head + KEYRING_NAME_LEN + SEALER_ID_LEN,
           SEALER_COUNTER_LEN);
}

/* Which of the ring's keys, and what for. All borrowed. */
struct use {
    const uint8_t *secret; /* CRYPTO_KEY_LEN */
    const uint8_t *name;   /* KEYRING_NAME_LEN */
    enum purpose purpose;
    struct bytes bound_to; /* an entry's ID */
};

static struct bytes make_ad(uint8_t buf[static AD_MAX], const struct use *use,
                            const uint8_t head[static SEALER_HEAD]) {
    struct writer w = writer_of(buf, AD_MAX);
    writer_u8(&w, (uint8_t)use->purpose);
    writer_put(&w, head, SEALER_HEAD);
    writer_put(&w, use->bound_to.data, use->bound_to.len);
    return (struct bytes){ buf, (size_t)(w.at - buf) };
}

static enum sealer_status seal(struct sealing *s, const struct use *use, struct bytes record,
                               uint8_t *out) {
    if ((!s->key.used || s->counter == SEALER_COUNTER_MAX) &&
        sealing_start(s, use->secret, use->name) != 0) {
        return SEALER_UNAVAILABLE;
    }
    s->counter++;
    memcpy(out, s->key.head, sizeof(s->key.head));
    for (unsigned i = 0; i < SEALER_COUNTER_LEN; i++) {
        out[SEALER_HEAD - 1 - i] = (uint8_t)(s->counter >> (8 * i));
    }
    uint8_t nonce[CRYPTO_NONCE_LEN];
    uint8_t ad[AD_MAX];
    make_nonce(out, nonce);
    return crypto_aead_seal(&s->key.aead, nonce, make_ad(ad, use, out), record,
                            out + SEALER_HEAD) == 0
               ? SEALER_OK
               : SEALER_UNAVAILABLE;
}

/* Opens under a derived key that is kept, or derives one and keeps it only if it
 * opens: forged tickets push nothing out. */
static enum sealer_status open_sealed(struct sealer *sealer, const struct use *use,
                                      struct bytes sealed, uint8_t *out, size_t *out_len) {
    const uint8_t *head = sealed.data;
    uint8_t nonce[CRYPTO_NONCE_LEN];
    uint8_t ad_buf[AD_MAX];
    struct bytes ad = make_ad(ad_buf, use, head);
    struct bytes body = { head + SEALER_HEAD, sealed.len - SEALER_HEAD };
    make_nonce(head, nonce);
    /* Sealer IDs are random: any byte of one spreads well. */
    struct derived *kept =
        &sealer->opened[(head[KEYRING_NAME_LEN] ^ head[0]) & (SEALER_OPENED - 1)];
    bool hit = kept->used && memcmp(kept->head, head, sizeof(kept->head)) == 0;
    int rc;
    if (hit) {
        rc = crypto_aead_open(&kept->aead, nonce, ad, body, out);
    } else {
        struct derived once = { 0 };
        if (derive(&once, use->secret, head) != 0) {
            return SEALER_UNAVAILABLE;
        }
        rc = crypto_aead_open(&once.aead, nonce, ad, body, out);
        if (rc == 0) {
            derived_drop(kept);
            derive(kept, use->secret, head);
        }
        derived_drop(&once);
    }
    *out_len = body.len - CRYPTO_TAG_LEN;
    return rc == 0 ? SEALER_OK : SEALER_DAMAGED;
}

enum sealer_status sealer_seal_ticket(struct sealer *sealer, struct bytes record, uint8_t *out,
                                      struct sealer_key *key) {
    if (!sealer_ready(sealer)) {
        return SEALER_UNAVAILABLE;
    }
    const struct keyring_key *current = &sealer->keys.keys[sealer->current];
    memcpy(key->name, current->name, sizeof(key->name));
    key->current = true;
    const struct use use = { current->secret, current->name, PURPOSE_TICKET, { 0 } };
    return seal(&sealer->ticket, &use, record, out);
}

enum sealer_status sealer_open_ticket(struct sealer *sealer, struct bytes ticket, uint8_t *out,
                                      size_t *out_len, struct sealer_key *key) {
    sealer_refresh(sealer);
    *key = (struct sealer_key){ 0 };
    *out_len = 0;
    if (sealer->generation == 0) {
        return SEALER_UNAVAILABLE; /* the ring could not be read yet: nothing is known */
    }
    if (ticket.len < SEALER_OVERHEAD) {
        return SEALER_DAMAGED;
    }
    memcpy(key->name, ticket.data, sizeof(key->name));
    for (unsigned i = 0; i < sealer->keys.count; i++) {
        const struct keyring_key *k = &sealer->keys.keys[i];
        if (memcmp(k->name, ticket.data, KEYRING_NAME_LEN) == 0) {
            if (k->state == KEY_WIPED) {
                return SEALER_RETIRED_KEY;
            }
            key->current = k->state == KEY_CURRENT;
            const struct use use = { k->secret, k->name, PURPOSE_TICKET, { 0 } };
            return open_sealed(sealer, &use, ticket, out, out_len);
        }
    }
    return SEALER_UNKNOWN_KEY;
}

static struct use entry_use(const struct sealer *sealer, const uint8_t id[static CACHE_ID_LEN]) {
    static const uint8_t name[KEYRING_NAME_LEN]; /* the caches' one key needs no name */
    return (struct use){ sealer->keys.cache_secret, name, PURPOSE_ENTRY, { id, CACHE_ID_LEN } };
}

enum sealer_status sealer_seal_entry(struct sealer *sealer, const uint8_t id[static CACHE_ID_LEN],
                                     struct bytes record, uint8_t *out) {
    sealer_refresh(sealer);
    const struct use use = entry_use(sealer, id);
    return seal(&sealer->entry, &use, record, out);
}

enum sealer_status sealer_open_entry(struct sealer *sealer, const uint8_t id[static CACHE_ID_LEN],
                                     struct bytes sealed, uint8_t *out, size_t *out_len) {
    sealer_refresh(sealer);
    *out_len = 0;
    if (sealed.len < SEALER_OVERHEAD) {
        return SEALER_DAMAGED;
    }
    const struct use use = entry_use(sealer, id);
    return open_sealed(sealer, &use, sealed, out, out_len);
}
