/* switches.h: what an operator changes in a profile while the service runs, in shared
 * memory: the two tick boxes, and which sessions no longer count.
 *
 * Written by the master, read by the workers on every handshake; each word is
 * atomic, and a change holds from the next handshake on. One table serves all
 * configurations, so that a change reaches workers that drain as well, and a profile that
 * leaves and comes back finds its place as it was. A session is invalidated by the time of
 * the full handshake that its chain began with, so that none that was renewed meanwhile
 * escapes.
 */
#ifndef REPRISE_STORE_SWITCHES_H
#define REPRISE_STORE_SWITCHES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SWITCHES_PROFILE_MAX 64
/* Profiles by name, from the service's start on; memory is taken for those that there are. */
#define SWITCHES_PROFILES 16384
#define SWITCHES_NAME_LEN 16 /* of a server name's hash */
/* Server names of one profile that can be invalidated by themselves at one time. */
#define SWITCHES_NAMES 64
/* No session lives longer: an invalidation that is older has done its work. */
#define SWITCHES_KEEP_MS (7ull * 86400 * 1000)

struct switches_name {
    uint8_t name[SWITCHES_NAME_LEN];
    _Atomic uint64_t before_ms; /* 0: unused */
};

struct switches {
    char profile[SWITCHES_PROFILE_MAX + 1];
    _Atomic uint32_t session_cache;
    _Atomic uint32_t session_tickets;
    _Atomic uint64_t invalid_before_ms;
    _Atomic uint32_t names_used; /* of the places below, the first so many */
    struct switches_name names[SWITCHES_NAMES];
};

struct switches_table {
    uint64_t invalid_before_ms; /* of profiles that have no place yet */
    struct switches profiles[SWITCHES_PROFILES];
};

/* Changes with the meaning of these bytes. */
uint64_t switches_layout(void);

/* The place of the profile of that name, of at most SWITCHES_PROFILE_MAX bytes; one that is
 * new has both boxes off. Null when there is no room. Master. */
struct switches *switches_place(struct switches_table *table, const char *profile);

/* Puts the tick boxes. Master. */
void switches_set(struct switches *s, bool session_cache, bool session_tickets);

/* No session made up to now_ms resumes any more. Master. */
void switches_invalidate_all(struct switches *s, uint64_t now_ms);

/* The same for the sessions of one server name. Returns false when there was no room
 * left to remember the name, and all of the profile were invalidated instead. Master. */
bool switches_invalidate_name(struct switches *s, const uint8_t name[static SWITCHES_NAME_LEN],
                              uint64_t now_ms);

/* The time up to which sessions of that server name do not count; 0: all do. Any process. */
uint64_t switches_invalid_before_ms(const struct switches *s,
                                    const uint8_t name[static SWITCHES_NAME_LEN]);

#endif
