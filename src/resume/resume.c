/* resume.c: see resume.h. */
#include "resume/resume.h"

#include "base/clock.h"
#include "base/crypto.h"

static void refuse(struct resume_verdict *verdict, enum reason reason) {
    verdict->action = RESUME_ACTION_FULL;
    verdict->reason = reason;
}

/* How the hello offers a session under the protocol that it will negotiate. A
 * TLS 1.3 hello's session ID is its compatibility field (RFC 8446 4.1.2) and
 * offers nothing; a TLS 1.2 hello's ID beside a ticket is the ticket's echo (RFC
 * 5077 3.4) and is never looked up: it was never stored. */
static enum resume_by offered_by(const struct hello *hello, uint16_t protocol) {
    if (protocol == POLICY_TLS13) {
        if (!hello->has_psk) {
            return RESUME_BY_NONE;
        }
        return hello->psk_identity.len == CACHE_ID_LEN ? RESUME_BY_PSK_STATEFUL : RESUME_BY_PSK;
    }
    if (hello->has_session_ticket && hello->session_ticket.len > 0) {
        return RESUME_BY_TICKET;
    }
    return hello->session_id.len > 0 ? RESUME_BY_SESSION_ID : RESUME_BY_NONE;
}

/* Opens a ticket into scratch. Returns the reason it can't be, or RESUMED. */
static enum reason open_ticket(struct resume *resume, struct bytes ticket,
                               struct resume_verdict *verdict, struct bytes *plain) {
    size_t len = 0;
    enum sealer_status status =
        ticket.len <= sizeof(resume->scratch->opened)
            ? sealer_open_ticket(resume->sealer, ticket, resume->scratch->opened, &len,
                                 &verdict->key)
            : SEALER_DAMAGED;
    verdict->has_key =
        status == SEALER_OK || status == SEALER_UNKNOWN_KEY || status == SEALER_RETIRED_KEY;
    resume->scratch->opened_len = len;
    *plain = (struct bytes){ resume->scratch->opened, len };
    switch (status) {
    case SEALER_OK:
        return REASON_RESUMED;
    case SEALER_UNKNOWN_KEY:
        return REASON_UNKNOWN_TICKET_KEY;
    case SEALER_RETIRED_KEY:
        return REASON_RETIRED_TICKET_KEY;
    case SEALER_DAMAGED:
        return REASON_TICKET_DAMAGED;
    case SEALER_UNAVAILABLE:
        break;
    }
    return REASON_STORE_UNAVAILABLE;
}

/* An ID that the profile's cache does not have: another profile's, or nobody's. */
static enum reason unknown_id(const struct resume_stores *stores, const uint8_t *id) {
    for (size_t i = 0; i < stores->other_count; i++) {
        if (stores->others[i] != stores->own && cache_has(stores->others[i], id)) {
            return REASON_OTHER_PROFILE;
        }
    }
    return REASON_UNKNOWN_SESSION_ID;
}

static enum reason reason_of_mark(enum cache_mark mark) {
    switch (mark) {
    case CACHE_MARK_UNCLEAN:
        return REASON_UNCLEAN_SHUTDOWN;
    case CACHE_MARK_FATAL_ALERT:
        return REASON_FATAL_ALERT;
    case CACHE_MARK_INVALIDATED:
        return REASON_INVALIDATED;
    case CACHE_MARK_USED:
        return REASON_ALREADY_USED;
    case CACHE_MARK_TOO_LARGE:
        return REASON_SESSION_TOO_LARGE;
    case CACHE_MARK_NONE:
        break;
    }
    return REASON_UNKNOWN_SESSION_ID;
}

/* Copies an entry of the cache, sealed, into scratch. */
static enum reason get_entry(const struct resume *resume, const struct resume_stores *stores,
                             struct bytes id, struct bytes *sealed) {
    enum cache_mark mark = CACHE_MARK_NONE;
    sealed->data = resume->scratch->sealed;
    switch (cache_get(stores->own, id.data, resume->scratch->sealed, &sealed->len, &mark)) {
    case CACHE_HIT:
        return REASON_RESUMED;
    case CACHE_MARKED:
        return reason_of_mark(mark);
    case CACHE_EVICTED:
        return REASON_EVICTED;
    case CACHE_EXPIRED:
        return REASON_EXPIRED;
    case CACHE_BUSY:
        return REASON_STORE_TOO_SLOW;
    case CACHE_MISS:
    case CACHE_TOO_LARGE:
        break;
    }
    return unknown_id(stores, id.data);
}

static enum reason open_entry(struct resume *resume, const struct resume_stores *stores,
                              struct bytes id, struct bytes *plain) {
    if (!stores->own) {
        return REASON_CACHE_OFF;
    }
    if (id.len != CACHE_ID_LEN) {
        return REASON_UNKNOWN_SESSION_ID;
    }
    struct bytes sealed = { 0 };
    enum reason reason = get_entry(resume, stores, id, &sealed);
    if (reason != REASON_RESUMED) {
        return reason;
    }
    size_t len = 0;
    enum sealer_status status =
        sealer_open_entry(resume->sealer, id.data, sealed, resume->scratch->opened, &len);
    if (status != SEALER_OK) {
        return status == SEALER_UNAVAILABLE ? REASON_STORE_UNAVAILABLE : REASON_TICKET_DAMAGED;
    }
    resume->scratch->opened_len = len;
    *plain = (struct bytes){ resume->scratch->opened, len };
    return REASON_RESUMED;
}

/* The bytes that the session is offered by; empty for none. */
static struct bytes offered_bytes(const struct resume_query *query) {
    switch (query->by) {
    case RESUME_BY_NONE:
        break;
    case RESUME_BY_SESSION_ID:
        return query->hello->session_id;
    case RESUME_BY_TICKET:
        return query->hello->session_ticket;
    case RESUME_BY_PSK:
    case RESUME_BY_PSK_STATEFUL:
        return query->hello->psk_identity;
    }
    return (struct bytes){ 0 };
}

static bool is_ticket(enum resume_by by) {
    return by == RESUME_BY_TICKET || by == RESUME_BY_PSK;
}

static enum reason open_offered(struct resume *resume, const struct resume_stores *stores,
                                const struct resume_query *query, struct resume_verdict *verdict,
                                struct bytes *plain) {
    if (query->by == RESUME_BY_NONE) {
        return REASON_NOT_OFFERED;
    }
    if (!policy_keeps_sessions(query->policy)) {
        return REASON_CLIENT_CERTIFICATE_REQUIRED;
    }
    struct bytes offered = offered_bytes(query);
    if (!is_ticket(query->by)) {
        return open_entry(resume, stores, offered, plain);
    }
    return stores->tickets ? open_ticket(resume, offered, verdict, plain) : REASON_TICKETS_OFF;
}

/* R29: takes the one use that a ticket has. Last, when all else allows it: an offer
 * under another name burns nothing. A TLS 1.2 session ID is no ticket: nothing could
 * be given in its place. */
static enum reason use_once(const struct resume_stores *stores, const struct resume_query *query,
                            const struct record *record) {
    struct bytes offered = offered_bytes(query);
    uint64_t now_s = query->now_ms / MS_PER_S;
    if (query->by == RESUME_BY_SESSION_ID) {
        return REASON_RESUMED;
    }
    if (query->by == RESUME_BY_PSK_STATEFUL) {
        enum cache_result taken = cache_kill(stores->own, offered.data, CACHE_MARK_USED);
        return taken == CACHE_HIT    ? REASON_RESUMED
               : taken == CACHE_BUSY ? REASON_STORE_TOO_SLOW
                                     : REASON_ALREADY_USED;
    }
    if (!stores->replay) {
        return REASON_USE_UNCERTAIN;
    }
    uint64_t until_s = (record->issued_ms + RESUME_CLOCK_SKEW_MS) / MS_PER_S + record->lifetime_s;
    struct bytes name = { offered.data, SEALER_OVERHEAD - CRYPTO_TAG_LEN };
    enum replay_result claim = replay_claim(stores->replay, name, now_s, until_s + 1);
    return claim == REPLAY_FIRST  ? REASON_RESUMED
           : claim == REPLAY_USED ? REASON_ALREADY_USED
                                  : REASON_USE_UNCERTAIN;
}

/* What the decision needs to know beside hello and record. */
static void query_complete(const struct resume_stores *stores, const struct record *record,
                           struct resume_query *query) {
    query->invalid_before_ms =
        stores->switches ? switches_invalid_before_ms(stores->switches, record->server_name) : 0;
    query->used_since_ms = stores->replay ? replay_since_ms(stores->replay) : UINT64_MAX;
}

static void verdict_carry(struct resume_verdict *verdict, const struct record *record) {
    verdict->session = record->session;
    verdict->flags = record->flags;
    verdict->cipher = record->cipher;
    verdict->first_ms = record->first_ms;
    verdict->issued_ms = record->issued_ms;
    verdict->lifetime_s = record->lifetime_s;
    verdict->client_chain_expiry_s = record->client_chain_expiry_s;
}

void resume_forget(struct resume *resume, struct resume_verdict *verdict) {
    crypto_wipe(resume->scratch->opened, resume->scratch->opened_len);
    resume->scratch->opened_len = 0;
    verdict->session = (struct bytes){ 0 };
}

static void look_up(struct resume *resume, const struct resume_stores *stores,
                    struct resume_query *query, struct resume_verdict *verdict) {
    struct bytes plain = { 0 };
    enum reason reason = open_offered(resume, stores, query, verdict, &plain);
    if (reason != REASON_RESUMED) {
        refuse(verdict, reason);
        return;
    }
    struct record record;
    enum record_status status = record_decode(plain, &record);
    if (status != RECORD_OK) {
        refuse(verdict,
               status == RECORD_OTHER_VERSION ? REASON_RECORD_VERSION : REASON_TICKET_DAMAGED);
        return;
    }
    bool single_use = query->policy->profile->single_use_tickets;
    query_complete(stores, &record, query);
    struct resume_decision decision = resume_decide(&record, query);
    verdict->action = decision.action;
    verdict->reason = decision.reason;
    verdict->part = decision.part;
    verdict->renew = query->by == RESUME_BY_TICKET && (single_use || !verdict->key.current);
    verdict_carry(verdict, &record);
    if (single_use && decision.action == RESUME_ACTION_RESUME &&
        (reason = use_once(stores, query, &record)) != REASON_RESUMED) {
        refuse(verdict, reason);
    }
}

void resume_look_up(struct resume *resume, const struct resume_stores *stores,
                    struct resume_query *query, struct resume_verdict *verdict) {
    *verdict = (struct resume_verdict){ 0 };
    query->by = offered_by(query->hello, query->protocol);
    verdict->offered = query->by;
    look_up(resume, stores, query, verdict);
    if (verdict->action != RESUME_ACTION_RESUME) {
        resume_forget(resume, verdict);
    }
}

static uint64_t age_s(uint64_t since_ms, uint64_t now_ms) {
    return now_ms > since_ms ? (now_ms - since_ms) / MS_PER_S : 0;
}

/* What is left of a lifetime. */
static uint32_t left_s(uint32_t lifetime_s, uint64_t since_ms, uint64_t now_ms) {
    uint64_t gone_s = age_s(since_ms, now_ms);
    return gone_s < lifetime_s ? lifetime_s - (uint32_t)gone_s : 0;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

uint32_t resume_lifetime_s(const struct policy *policy, bool stateful,
                           const struct resume_verdict *resumed, uint64_t now_ms) {
    uint32_t lifetime_s = stateful ? policy->cache_lifetime_s : policy->ticket_lifetime_s;
    return resumed ? least(lifetime_s,
                           left_s(policy->profile->max_lineage_s, resumed->first_ms, now_ms))
                   : lifetime_s;
}

/* What a new record tells the client of its lifetime. A renewed TLS 1.2 ticket
 * lives on for what its session has left (the library counts it so, too). */
static uint32_t made_lifetime_s(const struct resume_made *made) {
    const struct resume_verdict *old = made->resumed;
    uint32_t lifetime_s =
        resume_lifetime_s(made->policy, !is_ticket(made->kind), old, made->now_ms);
    return old && made->kind == RESUME_BY_TICKET
               ? least(lifetime_s, left_s(old->lifetime_s, old->issued_ms, made->now_ms))
               : lifetime_s;
}

/* extra_flags: RECORD_FLAG_TOO_LARGE leaves the session out. */
static size_t encode_made(const struct resume_made *made, uint16_t extra_flags, uint8_t *buf,
                          size_t cap) {
    const struct resume_verdict *old = made->resumed;
    struct record record = {
        .kind = made->kind,
        .protocol = made->protocol,
        .cipher = made->cipher,
        .flags = (uint16_t)((made->ems ? RECORD_FLAG_EMS : 0) | extra_flags),
        .first_ms = old ? old->first_ms : made->now_ms,
        .issued_ms = made->now_ms,
        .lifetime_s = made_lifetime_s(made),
        .client_chain_expiry_s = old ? old->client_chain_expiry_s : made->client_chain_expiry_s,
        .policy = made->policy->print,
        .alpn = made->alpn,
        .session = extra_flags & RECORD_FLAG_TOO_LARGE ? (struct bytes){ 0 } : made->session,
    };
    if (record.client_chain_expiry_s != 0) {
        record.flags |= RECORD_FLAG_CLIENT_CERT;
    }
    record_hash_name(made->server_name, record.server_name);
    return record_encode(&record, buf, cap);
}

size_t resume_ticket_max(size_t session_len) {
    return session_len + RECORD_OVERHEAD_MAX + SEALER_OVERHEAD;
}

size_t resume_make_ticket(struct resume *resume, const struct resume_made *made, uint8_t *out,
                          struct sealer_key *key, bool *kept) {
    uint8_t *encoded = resume->scratch->encoded;
    size_t cap = sizeof(resume->scratch->encoded);
    size_t len = encode_made(made, 0, encoded, cap);
    *kept = len > 0;
    if (len == 0) {
        len = encode_made(made, RECORD_FLAG_TOO_LARGE, encoded, cap);
    }
    bool ok = len > 0 && sealer_seal_ticket(resume->sealer, (struct bytes){ encoded, len }, out,
                                            key) == SEALER_OK;
    crypto_wipe(encoded, len);
    *kept = *kept && ok;
    return ok ? len + SEALER_OVERHEAD : 0;
}

int resume_store(struct resume *resume, struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                 const struct resume_made *made) {
    struct resume_scratch *scratch = resume->scratch;
    uint64_t now_s = made->now_ms / MS_PER_S;
    size_t len = encode_made(made, 0, scratch->encoded, CACHE_RECORD_MAX - SEALER_OVERHEAD);
    struct bytes record = { scratch->encoded, len };
    struct bytes sealed = { scratch->sealed, len + SEALER_OVERHEAD };
    int rc = -1;
    if (len == 0) {
        cache_put_mark(cache, id, CACHE_MARK_TOO_LARGE, now_s);
    } else if (sealer_seal_entry(resume->sealer, id, record, scratch->sealed) == SEALER_OK &&
               cache_put(cache, id, sealed, now_s) == CACHE_HIT) {
        rc = 0;
    }
    crypto_wipe(scratch->encoded, len);
    return rc;
}
