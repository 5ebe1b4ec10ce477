/* sessions.h: the sessions that a worker has for one kind, name and target: a ring of the
 * newest ones. One process. */
#ifndef REPRISE_LOAD_SESSIONS_H
#define REPRISE_LOAD_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/client.h"

struct load_session {
    SSL_SESSION *session; /* owned */
    uint64_t born_ns;
};

struct load_sessions {
    struct load_session *ring; /* owned; null until the first is put */
    size_t cap;
    size_t first; /* the oldest, which is offered next */
    size_t count;
};

/* Keeps a session, whose reference it takes; the oldest makes room. Frees it without memory. */
void load_sessions_put(struct load_sessions *s, SSL_SESSION *session, uint64_t now_ns);

/* The next session to offer, or null; the caller frees the reference. With `once` it is taken
 * out (RFC 8446 C.4), otherwise it goes to the end of the ring. Those born before `oldest_ns`
 * are let go. */
SSL_SESSION *load_sessions_take(struct load_sessions *s, bool once, uint64_t oldest_ns);

/* Lets go of one that the server did not resume. */
void load_sessions_drop(struct load_sessions *s, const SSL_SESSION *session);

/* Lets go of all, and of the ring. */
void load_sessions_fini(struct load_sessions *s);

#endif
