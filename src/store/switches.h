/* switches.h: what an operator changes in a profile while the service runs, in shared
 * memory: the two tick boxes, and which sessions no longer count.
 *
 * Written by the master, read by the workers on every handshake; each word is
 * atomic, and a change holds from the next handshake on. A session is invalidated
 * by the time of the full handshake that its chain began with, so that none that was
 * renewed meanwhile escapes.
 */
#ifndef REPRISE_STORE_SWITCHES_H
#define REPRISE_STORE_SWITCHES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SWITCHES_PROFILE_MAX 64
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

/* Changes with the meaning of these bytes. */
uint64_t switches_layout(void);

/* Fills zeroed memory. `profile` has at most SWITCHES_PROFILE_MAX bytes. Master. */
void switches_init(struct switches *s, const char *profile, bool session_cache,
                   bool session_tickets);

/* Takes over what `from` has invalidated. Master. */
void switches_inherit(struct switches *s, const struct switches *from);

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
