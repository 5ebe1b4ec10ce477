/* resume.h: from a ClientHello to a verdict: what is offered, what the stores
 * hold of it, and what resume_decide says; and from a finished handshake to what
 * is kept of it.
 *
 * Every worker has one `struct resume`. The verdict is known before the TLS
 * library sees the first byte; it only carries it out.
 */
#ifndef REPRISE_RESUME_RESUME_H
#define REPRISE_RESUME_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "resume/decide.h"
#include "resume/sealer.h"
#include "store/replay.h"
#include "store/switches.h"

/* A worker's means. The scratch holds sessions in clear: it lies in memory from
 * secret_alloc. */
struct resume {
    struct sealer *sealer;          /* borrowed */
    struct resume_scratch *scratch; /* borrowed */
};

struct resume_scratch {
    uint8_t opened[CACHE_RECORD_MAX];  /* the offered session, until resume_forget */
    size_t opened_len;                 /* of which this many are not wiped yet */
    uint8_t sealed[CACHE_RECORD_MAX];  /* an entry from or for the cache */
    uint8_t encoded[CACHE_RECORD_MAX]; /* a record about to be sealed */
};

/* What one handshake may resume and what becomes of it. */
struct resume_verdict {
    enum resume_by offered; /* how a session was offered; NONE: not at all */
    enum resume_action action;
    enum reason reason;
    enum policy_part part; /* with REASON_POLICY_CHANGED */
    bool renew;            /* resumed, and better given a new ticket */
    bool has_key;          /* the two below are set */
    struct sealer_key key; /* the offered ticket's */
    struct bytes session;  /* to resume: the library's bytes, in scratch; until resume_forget */
    /* What a record made in this handshake carries over from the one resumed. */
    uint16_t flags;
    uint16_t cipher;
    uint64_t first_ms;
    uint64_t issued_ms;
    uint32_t lifetime_s;
    uint64_t client_chain_expiry_s;
};

/* What a look-up may see: how the profile's tick boxes stand, and what lies behind. */
struct resume_stores {
    struct cache *own;               /* the profile's cache; null when its tick box is off */
    bool tickets;                    /* the tick box of tickets */
    struct replay *replay;           /* used tickets; null where none is for single use */
    const struct switches *switches; /* the profile's; null: nothing is invalidated */
    /* Those of the virtual server's other profiles, the profile's own perhaps among
     * them: an ID that is there and not in `own` belongs to another profile. Only
     * told, never resumed. At most RESUME_OTHERS_MAX, so that a flood of unknown
     * IDs stays cheap; beyond them the reason is "unknown". */
    struct cache *const *others;
    size_t other_count;
};

#define RESUME_OTHERS_MAX 16

/* Looks up what the hello offers and decides. query->by is set here. A session is in
 * the verdict only with RESUME_ACTION_RESUME. */
void resume_look_up(struct resume *resume, const struct resume_stores *stores,
                    struct resume_query *query, struct resume_verdict *verdict);

/* Wipes the session that the verdict may point to: once the library has its own copy,
 * or will ask for none. Nothing of a session outlives the connections that use it (R41). */
void resume_forget(struct resume *resume, struct resume_verdict *verdict);

/* How long what is made now may be used: what the profile gives, and no longer than
 * its chain of resumptions may go on (R21). `resumed` is null in a full handshake. */
uint32_t resume_lifetime_s(const struct policy *policy, bool stateful,
                           const struct resume_verdict *resumed, uint64_t now_ms);

/* What a handshake settled, to make a record of. */
struct resume_made {
    const struct policy *policy;
    enum resume_by kind;
    uint16_t protocol;
    uint16_t cipher;
    bool ems;
    struct bytes server_name; /* lower case */
    struct bytes alpn;
    struct bytes session; /* the library's bytes */
    uint64_t now_ms;
    uint64_t client_chain_expiry_s;       /* of a full handshake; 0 without a client certificate */
    const struct resume_verdict *resumed; /* the verdict that this handshake resumed by, or null */
};

/* Seals a ticket (kind TICKET or PSK). out takes resume_ticket_max(session.len).
 * Returns its length, or 0 when there is no key. A session that is too large is not in
 * it (*kept is false then): the ticket says just that when it is offered. */
size_t resume_make_ticket(struct resume *resume, const struct resume_made *made, uint8_t *out,
                          struct sealer_key *key, bool *kept);
size_t resume_ticket_max(size_t session_len);

/* Puts a session into the cache under `id` (kind SESSION_ID or PSK_STATEFUL).
 * Returns 0, or -1 when it is not kept: too large (the ID is then known as such), no
 * key, or the cache was not to be had in time. */
int resume_store(struct resume *resume, struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                 const struct resume_made *made);

#endif
