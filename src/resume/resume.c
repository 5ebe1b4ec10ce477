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
    verdict->has_key = status == SEALER_OK || status == SEALER_UNKNOWN_KEY;
    *plain = (struct bytes){ resume->scratch->opened, len };
    switch (status) {
    case SEALER_OK:
        return REASON_RESUMED;
    case SEALER_UNKNOWN_KEY:
        return REASON_UNKNOWN_TICKET_KEY;
    case SEALER_DAMAGED:
        return REASON_TICKET_DAMAGED;
    case SEALER_UNAVAILABLE:
        break;
    }
    return REASON_STORE_UNAVAILABLE;
}

/* An ID that the profile's cache does not have: another profile's, or nobody's. */
static enum reason unknown_id(const struct resume_caches *caches, const uint8_t *id) {
    for (size_t i = 0; i < caches->other_count; i++) {
        if (caches->others[i] != caches->own && cache_has(caches->others[i], id)) {
            return REASON_OTHER_PROFILE;
        }
    }
    return REASON_UNKNOWN_SESSION_ID;
}

static enum reason open_entry(struct resume *resume, const struct resume_caches *caches,
                              struct bytes id, struct bytes *plain) {
    if (!caches->own) {
        return REASON_CACHE_OFF;
    }
    if (id.len != CACHE_ID_LEN) {
        return REASON_UNKNOWN_SESSION_ID;
    }
    struct resume_scratch *scratch = resume->scratch;
    size_t sealed_len = 0;
    switch (cache_get(caches->own, id.data, scratch->sealed, &sealed_len)) {
    case CACHE_HIT:
        break;
    case CACHE_KILLED:
        return REASON_UNCLEAN_SHUTDOWN;
    default:
        return unknown_id(caches, id.data);
    }
    size_t len = 0;
    if (sealer_open_entry(resume->sealer, id.data, (struct bytes){ scratch->sealed, sealed_len },
                          scratch->opened, &len) != SEALER_OK) {
        return REASON_TICKET_DAMAGED;
    }
    *plain = (struct bytes){ scratch->opened, len };
    return REASON_RESUMED;
}

static enum reason open_offered(struct resume *resume, const struct resume_caches *caches,
                                const struct resume_query *query, struct resume_verdict *verdict,
                                struct bytes *plain) {
    const struct hello *hello = query->hello;
    bool tickets = query->policy->profile->session_tickets;
    switch (query->by) {
    case RESUME_BY_NONE:
        break;
    case RESUME_BY_SESSION_ID:
        return open_entry(resume, caches, hello->session_id, plain);
    case RESUME_BY_TICKET:
        return tickets ? open_ticket(resume, hello->session_ticket, verdict, plain)
                       : REASON_TICKETS_OFF;
    case RESUME_BY_PSK:
        return tickets ? open_ticket(resume, hello->psk_identity, verdict, plain)
                       : REASON_TICKETS_OFF;
    case RESUME_BY_PSK_STATEFUL:
        return open_entry(resume, caches, hello->psk_identity, plain);
    }
    return REASON_NOT_OFFERED;
}

void resume_look_up(struct resume *resume, const struct resume_caches *caches,
                    struct resume_query *query, struct resume_verdict *verdict) {
    *verdict = (struct resume_verdict){ 0 };
    query->by = offered_by(query->hello, query->protocol);
    verdict->offered = query->by;
    struct bytes plain = { 0 };
    enum reason reason = open_offered(resume, caches, query, verdict, &plain);
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
    struct resume_decision decision = resume_decide(&record, query);
    verdict->action = decision.action;
    verdict->reason = decision.reason;
    verdict->part = decision.part;
    verdict->session = record.session;
    verdict->renew = query->by == RESUME_BY_TICKET && !verdict->key.current;
    verdict->flags = record.flags;
    verdict->cipher = record.cipher;
    verdict->first_ms = record.first_ms;
    verdict->issued_ms = record.issued_ms;
    verdict->lifetime_s = record.lifetime_s;
    verdict->client_chain_expiry_s = record.client_chain_expiry_s;
}

/* What a new record tells the client of its lifetime. A renewed TLS 1.2 ticket
 * lives on for what its session has left (the library counts it so, too). */
static uint32_t made_lifetime_s(const struct resume_made *made) {
    const struct resume_verdict *old = made->resumed;
    bool cached = made->kind == RESUME_BY_SESSION_ID || made->kind == RESUME_BY_PSK_STATEFUL;
    uint32_t lifetime_s = cached ? made->policy->cache_lifetime_s : made->policy->ticket_lifetime_s;
    if (old && made->kind == RESUME_BY_TICKET) {
        uint64_t age_s =
            made->now_ms > old->issued_ms ? (made->now_ms - old->issued_ms) / MS_PER_S : 0;
        uint64_t left_s = age_s < old->lifetime_s ? old->lifetime_s - age_s : 0;
        return left_s < lifetime_s ? (uint32_t)left_s : lifetime_s;
    }
    return lifetime_s;
}

static size_t encode_made(const struct resume_made *made, uint8_t *buf, size_t cap) {
    const struct resume_verdict *old = made->resumed;
    struct record record = {
        .kind = made->kind,
        .protocol = made->protocol,
        .cipher = made->cipher,
        .flags = made->ems ? RECORD_FLAG_EMS : 0,
        .first_ms = old ? old->first_ms : made->now_ms,
        .issued_ms = made->now_ms,
        .lifetime_s = made_lifetime_s(made),
        .client_chain_expiry_s = old ? old->client_chain_expiry_s : made->client_chain_expiry_s,
        .policy = made->policy->print,
        .alpn = made->alpn,
        .session = made->session,
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
                          struct sealer_key *key) {
    uint8_t *encoded = resume->scratch->encoded;
    size_t len = encode_made(made, encoded, sizeof(resume->scratch->encoded));
    bool ok = len > 0 && sealer_seal_ticket(resume->sealer, (struct bytes){ encoded, len }, out,
                                            key) == SEALER_OK;
    crypto_wipe(encoded, len);
    return ok ? len + SEALER_OVERHEAD : 0;
}

int resume_store(struct resume *resume, struct cache *cache, const uint8_t id[static CACHE_ID_LEN],
                 const struct resume_made *made) {
    struct resume_scratch *scratch = resume->scratch;
    size_t len = encode_made(made, scratch->encoded, CACHE_RECORD_MAX - SEALER_OVERHEAD);
    struct bytes record = { scratch->encoded, len };
    struct bytes sealed = { scratch->sealed, len + SEALER_OVERHEAD };
    int rc = -1;
    if (len > 0 && sealer_seal_entry(resume->sealer, id, record, scratch->sealed) == SEALER_OK &&
        cache_put(cache, id, sealed) == CACHE_HIT) {
        rc = 0;
    }
    crypto_wipe(scratch->encoded, len);
    return rc;
}
