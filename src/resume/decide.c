/* decide.c: see decide.h. One rule a line of the table below, in the order in
 * which an operator wants to hear of them: what the session is bound to first,
 * then what the hello offers, then time. */
#include "resume/decide.h"

#include "base/clock.h"

static enum reason check_kind(const struct record *r, const struct resume_query *q) {
    /* A TLS 1.2 session ID is public, a TLS 1.3 handle was not when it was
     * issued: neither opens the other's door. R19 for tickets. */
    if (r->protocol != q->protocol) {
        return REASON_PROTOCOL_MISMATCH;
    }
    return r->kind == q->by ? REASON_RESUMED : REASON_TICKET_DAMAGED;
}

static enum reason check_profile(const struct record *r, const struct resume_query *q) {
    return memcmp(r->policy.part[POLICY_PROFILE], q->policy->print.part[POLICY_PROFILE],
                  POLICY_PRINT_LEN) == 0
               ? REASON_RESUMED
               : REASON_OTHER_PROFILE;
}

/* RFC 6066 3: a server MUST NOT accept to resume under another name (R1, R2). */
static enum reason check_server_name(const struct record *r, const struct resume_query *q) {
    uint8_t name[RECORD_NAME_LEN];
    record_hash_name(q->server_name, name);
    return memcmp(name, r->server_name, sizeof(name)) == 0 ? REASON_RESUMED
                                                           : REASON_OTHER_SERVER_NAME;
}

static enum reason check_policy(const struct record *r, const struct resume_query *q) {
    return memcmp(&r->policy, &q->policy->print, sizeof(r->policy)) == 0 ? REASON_RESUMED
                                                                         : REASON_POLICY_CHANGED;
}

/* By the full handshake that the chain began with: what was renewed since is of no
 * more worth. */
static enum reason check_invalidated(const struct record *r, const struct resume_query *q) {
    return q->invalid_before_ms != 0 && r->first_ms <= q->invalid_before_ms ? REASON_INVALIDATED
                                                                            : REASON_RESUMED;
}

static enum reason check_size(const struct record *r, const struct resume_query *q) {
    (void)q;
    return r->flags & RECORD_FLAG_TOO_LARGE ? REASON_SESSION_TOO_LARGE : REASON_RESUMED;
}

/* R29: a sealed ticket from before the register of used ones may have been used. */
static enum reason check_use(const struct record *r, const struct resume_query *q) {
    bool ticket = q->by == RESUME_BY_TICKET || q->by == RESUME_BY_PSK;
    return ticket && q->policy->profile->single_use_tickets && r->issued_ms < q->used_since_ms
               ? REASON_USE_UNCERTAIN
               : REASON_RESUMED;
}

/* RFC 8446 B.4: all but one of TLS 1.3's suites have SHA-256. 0: not of TLS 1.3. */
static unsigned hash_bits(uint16_t cipher) {
    bool tls13 = cipher >= 0x1301 && cipher <= 0x1305;
    return !tls13 ? 0 : cipher == 0x1302 ? 384 : 256;
}

bool resume_share_hash(uint16_t cipher, uint16_t other) {
    return hash_bits(cipher) != 0 && hash_bits(cipher) == hash_bits(other);
}

static bool offers_hash_of(const struct hello *hello, uint16_t cipher) {
    for (uint16_t suite = 0x1301; suite <= 0x1305; suite++) {
        if (resume_share_hash(cipher, suite) && hello_offers_cipher(hello, suite)) {
            return true;
        }
    }
    return false;
}

/* RFC 5246 7.4.1.2: the resumption hello must hold the session's cipher (R16).
 * The TLS library refuses what it would not choose. TLS 1.3 asks for the session's
 * hash only (RFC 8446 4.2.11, R24). */
static enum reason check_cipher(const struct record *r, const struct resume_query *q) {
    if (r->protocol == POLICY_TLS13) {
        return offers_hash_of(q->hello, r->cipher) ? REASON_RESUMED : REASON_HASH_MISMATCH;
    }
    return hello_offers_cipher(q->hello, r->cipher) ? REASON_RESUMED : REASON_CIPHER_MISMATCH;
}

/* RFC 8446 4.2.9 (R23). */
static enum reason check_psk_mode(const struct record *r, const struct resume_query *q) {
    return r->protocol == POLICY_TLS13 && !q->hello->psk_dhe_ke ? REASON_PSK_MODE_NOT_OFFERED
                                                                : REASON_RESUMED;
}

/* RFC 7627 5.3 (R17). resume_decide turns one of the two cases into an abort. */
static enum reason check_ems(const struct record *r, const struct resume_query *q) {
    bool had = (r->flags & RECORD_FLAG_EMS) != 0;
    return r->protocol == POLICY_TLS12 && had != q->hello->has_ems ? REASON_EMS_MISMATCH
                                                                   : REASON_RESUMED;
}

static enum reason check_alpn(const struct record *r, const struct resume_query *q) {
    return bytes_equal(r->alpn, q->alpn) ? REASON_RESUMED : REASON_ALPN_MISMATCH;
}

/* R7: of the whole chain, as it was shown in the full handshake. */
static enum reason check_client_chain(const struct record *r, const struct resume_query *q) {
    return r->client_chain_expiry_s != 0 && q->now_ms / MS_PER_S >= r->client_chain_expiry_s
               ? REASON_CLIENT_CERTIFICATE_EXPIRED
               : REASON_RESUMED;
}

/* In whole seconds of the clock, as the TLS library counts a session's age: so
 * both agree on the moment from which it is too old. */
static bool is_older(uint64_t since_ms, uint64_t now_ms, uint32_t limit_s) {
    uint64_t since_s = since_ms / MS_PER_S;
    uint64_t now_s = now_ms / MS_PER_S;
    return now_s > since_s && now_s - since_s >= limit_s;
}

/* Later than clocks differ: its age can't be told. */
static bool is_from_the_future(uint64_t since_ms, uint64_t now_ms) {
    return since_ms > now_ms && since_ms - now_ms > RESUME_CLOCK_SKEW_MS;
}

/* R21: from the first full handshake on, whatever was renewed since. */
static enum reason check_lineage(const struct record *r, const struct resume_query *q) {
    if (is_from_the_future(r->first_ms, q->now_ms)) {
        return REASON_EXPIRED;
    }
    return is_older(r->first_ms, q->now_ms, q->policy->profile->max_lineage_s)
               ? REASON_LINEAGE_TOO_OLD
               : REASON_RESUMED;
}

static enum reason check_age(const struct record *r, const struct resume_query *q) {
    bool cached = q->by == RESUME_BY_SESSION_ID || q->by == RESUME_BY_PSK_STATEFUL;
    uint32_t limit_s = cached ? q->policy->cache_lifetime_s : q->policy->ticket_lifetime_s;
    if (r->lifetime_s < limit_s) {
        limit_s = r->lifetime_s;
    }
    if (limit_s == 0 || is_from_the_future(r->issued_ms, q->now_ms)) {
        return REASON_EXPIRED;
    }
    return is_older(r->issued_ms, q->now_ms, limit_s) ? REASON_EXPIRED : REASON_RESUMED;
}

static enum policy_part first_difference(const struct policy_print *a,
                                         const struct policy_print *b) {
    unsigned part = 0;
    while (part < POLICY_PARTS - 1 && memcmp(a->part[part], b->part[part], POLICY_PRINT_LEN) == 0) {
        part++;
    }
    return (enum policy_part)part;
}

struct resume_decision resume_decide(const struct record *record,
                                     const struct resume_query *query) {
    static enum reason (*const rules[])(const struct record *, const struct resume_query *) = {
        check_profile,      check_server_name, check_policy,   check_kind,   check_invalidated,
        check_size,         check_use,         check_psk_mode, check_cipher, check_alpn,
        check_client_chain, check_age,         check_lineage,  check_ems,
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        enum reason reason = rules[i](record, query);
        if (reason == REASON_RESUMED) {
            continue;
        }
        struct resume_decision refused = { .action = RESUME_ACTION_FULL, .reason = reason };
        if (reason == REASON_POLICY_CHANGED) {
            refused.part = first_difference(&record->policy, &query->policy->print);
        }
        if (reason == REASON_EMS_MISMATCH && (record->flags & RECORD_FLAG_EMS)) {
            refused.action = RESUME_ACTION_ABORT;
        }
        return refused;
    }
    return (struct resume_decision){ .action = RESUME_ACTION_RESUME, .reason = REASON_RESUMED };
}
