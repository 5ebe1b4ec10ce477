/* secrecy.h: the forward-secrecy figure: what was recorded before a time T can no longer be
 * decrypted with what this machine holds (R41).
 *
 * What it holds that decrypts recorded traffic: ticket keys, which open every ticket
 * sealed since they became CURRENT; and the sessions in the caches. A TLS 1.2 session
 * has one master secret from its full handshake on, over all that resume it, and a
 * ticket renewed under a newer key carries it along: so T lies before the oldest key by
 * the longest time that a session can be carried (keyring_note_carry). No session is older
 * than the ring, which began with no key and empty caches. TLS 1.3 sessions are counted
 * the same way, although resuming with (EC)DHE leaves them nothing to decrypt.
 *
 * Not counted: connections that are open, whose keys are in use; and what the system
 * itself keeps, such as blocks of a file that were overwritten. docs/KEYS.md says more.
 */
#ifndef REPRISE_STORE_SECRECY_H
#define REPRISE_STORE_SECRECY_H

#include "store/keyring.h"

enum secrecy_kind {
    SECRECY_BOUND, /* before_s holds */
    SECRECY_FILES, /* none: keys from files open what was sealed at any time, anywhere */
    SECRECY_CLOCK, /* not known: the clock was set back to before a key sealed */
};

struct secrecy {
    enum secrecy_kind kind;
    uint64_t before_s; /* T, in seconds since 1970 */
};

/* The figure at now_s. cache_oldest_s is the time of the oldest session in any cache;
 * UINT64_MAX: there is none. Pure. */
struct secrecy secrecy_figure(const struct keyring_list *list, uint64_t cache_oldest_s,
                              uint64_t now_s);

/* "bound", "none: keys from files", "unknown: clock set back". */
const char *secrecy_word(enum secrecy_kind kind);

#endif
