/* switches.c: see switches.h. */
#include "store/switches.h"

#include <string.h>

#define SWITCHES_MAGIC 0x5250525357495432ull /* changes with the layout */

uint64_t switches_layout(void) {
    return SWITCHES_MAGIC;
}

struct switches *switches_place(struct switches_table *table, const char *profile) {
    for (size_t i = 0; i < SWITCHES_PROFILES; i++) {
        struct switches *s = &table->profiles[i];
        if (s->profile[0] == '\0') {
            atomic_store(&s->invalid_before_ms, table->invalid_before_ms);
            strncpy(s->profile, profile, SWITCHES_PROFILE_MAX);
            return s;
        }
        if (strncmp(s->profile, profile, SWITCHES_PROFILE_MAX) == 0) {
            return s;
        }
    }
    return NULL;
}

void switches_set(struct switches *s, bool session_cache, bool session_tickets) {
    atomic_store(&s->session_cache, session_cache);
    atomic_store(&s->session_tickets, session_tickets);
}

/* The name's time, or 0 when another name, or none, has the place. */
static uint64_t name_get(const struct switches_name *place,
                         const uint8_t name[static SWITCHES_NAME_LEN]) {
    uint64_t before_ms = atomic_load(&place->before_ms);
    return memcmp(place->name, name, SWITCHES_NAME_LEN) == 0 ? before_ms : 0;
}

/* A name's place is written while it is unused, so that no reader takes one name's
 * time for another's. */
static void name_set(struct switches_name *place, const uint8_t name[static SWITCHES_NAME_LEN],
                     uint64_t before_ms) {
    atomic_store(&place->before_ms, 0);
    memcpy(place->name, name, SWITCHES_NAME_LEN);
    atomic_store(&place->before_ms, before_ms);
}

/* A clock that was set back takes nothing back. */
static void raise_to(_Atomic uint64_t *before_ms, uint64_t now_ms) {
    if (atomic_load(before_ms) < now_ms) {
        atomic_store(before_ms, now_ms);
    }
}

void switches_invalidate_all(struct switches *s, uint64_t now_ms) {
    raise_to(&s->invalid_before_ms, now_ms);
}

bool switches_invalidate_name(struct switches *s, const uint8_t name[static SWITCHES_NAME_LEN],
                              uint64_t now_ms) {
    struct switches_name *free_place = NULL;
    for (unsigned i = 0; i < SWITCHES_NAMES; i++) {
        struct switches_name *place = &s->names[i];
        if (name_get(place, name) != 0) {
            raise_to(&place->before_ms, now_ms);
            return true;
        }
        if (!free_place && atomic_load(&place->before_ms) + SWITCHES_KEEP_MS < now_ms) {
            free_place = place;
        }
    }
    if (!free_place) {
        switches_invalidate_all(s, now_ms);
        return false;
    }
    name_set(free_place, name, now_ms);
    unsigned place = (unsigned)(free_place - s->names);
    if (place >= atomic_load(&s->names_used)) {
        atomic_store(&s->names_used, place + 1);
    }
    return true;
}

uint64_t switches_invalid_before_ms(const struct switches *s,
                                    const uint8_t name[static SWITCHES_NAME_LEN]) {
    uint64_t before_ms = atomic_load(&s->invalid_before_ms);
    unsigned used = atomic_load(&s->names_used);
    for (unsigned i = 0; i < used && i < SWITCHES_NAMES; i++) {
        uint64_t name_ms = name_get(&s->names[i], name);
        before_ms = name_ms > before_ms ? name_ms : before_ms;
    }
    return before_ms;
}
