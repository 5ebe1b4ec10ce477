/* decide.h: may this session be resumed by this hello? The one decision for
 * session IDs, tickets, PSKs and handles alike.
 *
 * Pure: it reads its arguments and nothing else, so that every rule can be
 * tested by itself. On any doubt the answer is a full handshake.
 */
#ifndef REPRISE_RESUME_DECIDE_H
#define REPRISE_RESUME_DECIDE_H

#include <stdint.h>

#include "reason/reason.h"
#include "resume/policy.h"
#include "resume/record.h"
#include "wire/hello.h"

/* How far another host's clock may be ahead of ours. */
#define RESUME_CLOCK_SKEW_MS 60000u

enum resume_action {
    RESUME_ACTION_FULL, /* a full handshake, with a reason */
    RESUME_ACTION_RESUME,
    RESUME_ACTION_ABORT, /* RFC 7627 5.3: handshake_failure */
};

/* What the hello asks, as far as it is settled before the session is looked at. */
struct resume_query {
    const struct hello *hello;   /* borrowed */
    const struct policy *policy; /* borrowed: of the profile that the hello reached */
    uint16_t protocol;           /* what will be negotiated */
    struct bytes server_name;    /* lower case; empty when the hello has none */
    struct bytes alpn;           /* what will be negotiated; may be empty */
    enum resume_by by;           /* how the session is offered */
    uint64_t now_ms;             /* since 1970 */
    /* Sessions whose chain began at this time or before are invalidated; 0: none. */
    uint64_t invalid_before_ms;
    /* With single-use-tickets: since when it is known which tickets were used. */
    uint64_t used_since_ms;
};

struct resume_decision {
    enum resume_action action;
    enum reason reason;    /* REASON_RESUMED with RESUME_ACTION_RESUME */
    enum policy_part part; /* with REASON_POLICY_CHANGED: what differs */
};

/* True when both are TLS 1.3 suites with the same hash (RFC 8446 4.2.11). */
bool resume_share_hash(uint16_t cipher, uint16_t other);

struct resume_decision resume_decide(const struct record *record, const struct resume_query *query);

#endif
