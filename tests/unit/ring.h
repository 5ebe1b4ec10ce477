/* ring.h: a key ring for tests. */
#ifndef REPRISE_UNIT_RING_H
#define REPRISE_UNIT_RING_H

#include <stdatomic.h>
#include <stdlib.h>

#include "store/keyring.h"
#include "unit.h"

#define START_S 1000000u
#define ENCRYPT_S 3600u
#define OPEN_S 7200u

static inline struct keyring *ring_make(void) {
    struct keyring *ring = shared_alloc(keyring_bytes());
    keyring_init(ring, START_S);
    return ring;
}

static inline void ring_drop(struct keyring *ring) {
    shared_free(ring, keyring_bytes());
}

/* Where the generation lies: the word that keyring_generation follows. */
static inline _Atomic uint64_t *ring_find_generation(struct keyring *ring) {
    uint64_t before = keyring_generation(ring);
    uint64_t *words = (uint64_t *)(void *)ring;
    for (size_t i = 0; i < keyring_bytes() / sizeof(*words); i++) {
        if (words[i] == before) {
            words[i] = before + 77;
            bool found = keyring_generation(ring) == before + 77;
            words[i] = before;
            if (found) {
                return (_Atomic uint64_t *)&words[i];
            }
        }
    }
    abort();
}

#endif
