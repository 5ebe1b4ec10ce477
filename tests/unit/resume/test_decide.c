/* test_decide.c: resume/decide.c. A session that would be resumed; then one thing changes,
 * and what is said is looked at: one row a rule. */
#include "resume/decide.h"

#include "session.h"

#define EVERY_WAY (-1)

static const enum resume_by ways[] = { RESUME_BY_SESSION_ID, RESUME_BY_TICKET, RESUME_BY_PSK,
                                       RESUME_BY_PSK_STATEFUL };

/* --- changes ------------------------------------------------------------- */

static void nothing(struct session *s) {
    (void)s;
}

static void other_profile(struct session *s) {
    s->profile.name = text_of("other");
    policy_init(&s->policy, &s->profile, &s->material);
}

/* As when the profile was reached by another name and changed as well: the profile is what
 * an operator must hear of first. */
static void other_profile_and_name(struct session *s) {
    other_profile(s);
    s->query.server_name = bytes_of("other.example.com");
}

static void other_name(struct session *s) {
    s->query.server_name =
        bytes_of("mail.example.com"); /* the same wildcard's, the same profile's */
}

static void no_name(struct session *s) {
    s->query.server_name = (struct bytes){ 0 };
}

static void name_after_none(struct session *s) {
    record_hash_name((struct bytes){ 0 }, s->record.server_name);
}

static void none_after_none(struct session *s) {
    name_after_none(s);
    no_name(s);
}

static void other_names_in_profile(struct session *s) {
    s->names[1] = text_of("*.example.net");
    policy_init(&s->policy, &s->profile, &s->material);
}

static void other_certificate(struct session *s) {
    s->material.certificates = bytes_of("another leaf certificate");
    policy_init(&s->policy, &s->profile, &s->material);
}

static void certificate_requested_only(struct session *s) {
    s->profile.client_auth = CLIENT_AUTH_REQUEST;
    policy_init(&s->policy, &s->profile, &s->material);
}

/* The session was made where nobody asks for a certificate. */
static void made_without_certificate(struct session *s) {
    s->profile.client_auth = CLIENT_AUTH_NONE;
    policy_init(&s->policy, &s->profile, &s->material);
    s->record.policy = s->policy.print;
    s->record.client_chain_expiry_s = 0;
    s->record.flags &= (uint16_t)~RECORD_FLAG_CLIENT_CERT;
    s->profile.client_auth = CLIENT_AUTH_REQUIRE;
    policy_init(&s->policy, &s->profile, &s->material);
}

static void other_ca(struct session *s) {
    s->material.client_ca = bytes_of("another certificate authority");
    policy_init(&s->policy, &s->profile, &s->material);
}

static void other_crl(struct session *s) {
    s->material.client_crl = bytes_of("the revoked, one more");
    policy_init(&s->policy, &s->profile, &s->material);
}

static void no_crl_any_more(struct session *s) {
    s->material.client_crl = (struct bytes){ 0 };
    policy_init(&s->policy, &s->profile, &s->material);
}

static void other_protocol(struct session *s) {
    s->query.protocol = s->record.protocol == POLICY_TLS13 ? POLICY_TLS12 : POLICY_TLS13;
}

static void record_of_other_protocol(struct session *s) {
    s->record.protocol = s->record.protocol == POLICY_TLS13 ? POLICY_TLS12 : POLICY_TLS13;
}

static void cached_as_ticket(struct session *s) {
    s->record.kind = RESUME_BY_SESSION_ID;
    s->query.by = RESUME_BY_TICKET;
}

static void ticket_as_cached(struct session *s) {
    s->record.kind = RESUME_BY_TICKET;
    s->query.by = RESUME_BY_SESSION_ID;
}

static void handle_as_psk(struct session *s) {
    s->record.kind = RESUME_BY_PSK_STATEFUL;
    s->query.by = RESUME_BY_PSK;
}

static void session_id_as_handle(struct session *s) {
    s->record.kind = RESUME_BY_SESSION_ID;
    s->query.by = RESUME_BY_PSK_STATEFUL;
}

static void no_psk_dhe_ke(struct session *s) {
    s->hello.psk_dhe_ke = false;
    s->hello.psk_ke = true;
}

static void no_psk_modes(struct session *s) {
    s->hello.has_psk_modes = false;
    s->hello.psk_dhe_ke = false;
}

static void cipher_not_offered(struct session *s) {
    static const uint8_t ciphers[] = { 0x13, 0x01, 0x13, 0x03, 0xc0, 0x2b };
    s->hello.cipher_suites = (struct bytes){ ciphers, sizeof(ciphers) };
    s->record.cipher = s->record.protocol == POLICY_TLS13 ? 0x1302 : 0xc030;
}

/* Only suites of another hash are offered: TLS 1.3's 0x1302, and none of TLS 1.2's. */
static void hash_not_offered(struct session *s) {
    static const uint8_t ciphers[] = { 0x13, 0x02, 0xc0, 0x2b };
    s->hello.cipher_suites = (struct bytes){ ciphers, sizeof(ciphers) };
}

/* R24: the same hash under another AEAD will do. */
static void cipher_of_the_same_hash(struct session *s) {
    static const uint8_t ciphers[] = { 0x13, 0x02, 0x13, 0x03 };
    s->hello.cipher_suites = (struct bytes){ ciphers, sizeof(ciphers) };
}

static void of_the_other_hash(struct session *s) {
    static const uint8_t ciphers[] = { 0x13, 0x01, 0x13, 0x03, 0x13, 0x04, 0x13, 0x05 };
    s->hello.cipher_suites = (struct bytes){ ciphers, sizeof(ciphers) };
    s->record.cipher = 0x1302;
}

static void invalidated_at_that_moment(struct session *s) {
    s->query.invalid_before_ms = s->record.first_ms;
}

static void invalidated_before(struct session *s) {
    s->query.invalid_before_ms = s->record.first_ms - 1;
}

/* Renewed since, which saves nothing. */
static void invalidated_after_the_full_handshake(struct session *s) {
    s->query.invalid_before_ms = s->record.issued_ms - 1;
}

static void no_session_in_it(struct session *s) {
    s->record.flags |= RECORD_FLAG_TOO_LARGE;
    s->record.session = (struct bytes){ 0 };
}

static void used_perhaps(struct session *s) {
    s->profile.single_use_tickets = true;
    s->query.used_since_ms = s->record.issued_ms + 1;
}

static void known_not_to_be_used(struct session *s) {
    s->profile.single_use_tickets = true;
    s->query.used_since_ms = s->record.issued_ms;
}

static void for_many_uses(struct session *s) {
    s->query.used_since_ms = UINT64_MAX;
}

static void other_alpn(struct session *s) {
    s->query.alpn = bytes_of("http/1.1");
}

static void no_alpn(struct session *s) {
    s->query.alpn = (struct bytes){ 0 };
}

static void alpn_after_none(struct session *s) {
    s->record.alpn = (struct bytes){ 0 };
}

static void chain_expired(struct session *s) {
    s->record.client_chain_expiry_s = NOW_MS / MS_PER_S;
}

static void chain_expires_next_second(struct session *s) {
    s->record.client_chain_expiry_s = NOW_MS / MS_PER_S + 1;
}

static void chain_expired_long_ago(struct session *s) {
    s->record.client_chain_expiry_s = 1;
}

/* R21: counted in whole seconds, from the first full handshake. */
static void lineage_over(struct session *s) {
    s->record.first_ms = NOW_MS / MS_PER_S * MS_PER_S - MAX_LINEAGE_S * MS_PER_S + 999;
}

static void lineage_over_by_far(struct session *s) {
    s->record.first_ms = 0;
}

static void lineage_just_not_over(struct session *s) {
    s->record.first_ms = NOW_MS / MS_PER_S * MS_PER_S - MAX_LINEAGE_S * MS_PER_S + 1000;
}

static uint32_t timeout_of(const struct session *s) {
    bool cached = s->query.by == RESUME_BY_SESSION_ID || s->query.by == RESUME_BY_PSK_STATEFUL;
    return cached ? CACHE_TIMEOUT_S : TICKET_TIMEOUT_S;
}

static void age_over(struct session *s) {
    s->record.issued_ms = NOW_MS / MS_PER_S * MS_PER_S - timeout_of(s) * MS_PER_S + 999;
    s->record.first_ms = s->record.issued_ms;
}

static void age_just_not_over(struct session *s) {
    s->record.issued_ms = NOW_MS / MS_PER_S * MS_PER_S - timeout_of(s) * MS_PER_S + 1000;
    s->record.first_ms = s->record.issued_ms;
}

/* As told to the client: less than the profile's now, if it was so then. */
static void told_lifetime_over(struct session *s) {
    s->record.lifetime_s = 60;
}

static void told_lifetime_just_not_over(struct session *s) {
    s->record.lifetime_s = 61;
}

/* The profile's timeout was lowered since. */
static void timeout_lowered(struct session *s) {
    s->profile.cache_timeout_s = 60;
    s->profile.ticket_timeout_s = 60;
    policy_init(&s->policy, &s->profile, &s->material);
}

static void timeout_raised(struct session *s) {
    s->profile.cache_timeout_s = 80000;
    s->profile.ticket_timeout_s = 80000;
    policy_init(&s->policy, &s->profile, &s->material);
}

static void lineage_lowered(struct session *s) {
    s->profile.max_lineage_s = 120;
    policy_init(&s->policy, &s->profile, &s->material);
}

static void from_the_future(struct session *s) {
    s->record.issued_ms = NOW_MS + RESUME_CLOCK_SKEW_MS + 1;
}

static void from_a_clock_ahead(struct session *s) {
    s->record.issued_ms = NOW_MS + RESUME_CLOCK_SKEW_MS;
    s->record.first_ms = s->record.issued_ms;
}

static void from_the_end_of_time(struct session *s) {
    s->record.issued_ms = UINT64_MAX;
    s->record.first_ms = UINT64_MAX;
}

/* Issued in good time, of a lineage that began when nobody can tell. */
static void lineage_from_the_future(struct session *s) {
    s->record.first_ms = NOW_MS + RESUME_CLOCK_SKEW_MS + 1;
}

static void lineage_from_the_end_of_time(struct session *s) {
    s->record.first_ms = UINT64_MAX;
}

static void lineage_from_a_clock_ahead(struct session *s) {
    s->record.first_ms = NOW_MS + RESUME_CLOCK_SKEW_MS;
}

/* RFC 8446 4.6.1: to be discarded at once, even when it was made just now. */
static void no_lifetime(struct session *s) {
    s->record.issued_ms = NOW_MS;
    s->record.lifetime_s = 0;
}

static void no_timeout(struct session *s) {
    s->record.issued_ms = NOW_MS;
    s->profile.cache_timeout_s = 0;
    s->profile.ticket_timeout_s = 0;
    policy_init(&s->policy, &s->profile, &s->material);
}

static void no_timeout_and_a_clock_ahead(struct session *s) {
    no_timeout(s);
    s->record.issued_ms = NOW_MS + RESUME_CLOCK_SKEW_MS;
}

static void ems_missing_now(struct session *s) {
    s->hello.has_ems = false;
}

static void ems_missing_then(struct session *s) {
    s->record.flags &= (uint16_t)~RECORD_FLAG_EMS;
}

static void ems_missing_both(struct session *s) {
    ems_missing_now(s);
    ems_missing_then(s);
}

/* A session that would not be resumed anyhow is no reason to abort. */
static void ems_missing_now_and_expired(struct session *s) {
    ems_missing_now(s);
    age_over(s);
}

/* Timeouts, sizes and tick boxes bind no session. */
static void whatever_does_not_bind(struct session *s) {
    s->profile.handshake_timeout_ms = 1;
    s->profile.idle_timeout_ms = 1;
    s->profile.cache_size = 1;
    s->profile.strict_resume = true;
    policy_init(&s->policy, &s->profile, &s->material);
}

/* --- the table ----------------------------------------------------------- */

struct row {
    const char *name;
    int by; /* enum resume_by, or EVERY_WAY */
    void (*change)(struct session *s);
    enum resume_action action;
    enum reason reason;
    enum policy_part part;
};

#define ROW(by, change, action, reason) \
    { #change, by, change, RESUME_ACTION_##action, REASON_##reason, 0 }
#define CHANGED(change, part) \
    { #change, EVERY_WAY, change, RESUME_ACTION_FULL, REASON_POLICY_CHANGED, POLICY_##part }

static const struct row rows[] = {
    /* refusals: what the session is bound to */
    ROW(EVERY_WAY, other_profile, FULL, OTHER_PROFILE),          /* R3 */
    ROW(EVERY_WAY, other_profile_and_name, FULL, OTHER_PROFILE), /* R2 */
    ROW(EVERY_WAY, other_name, FULL, OTHER_SERVER_NAME),         /* R1, R2, R5 */
    ROW(EVERY_WAY, no_name, FULL, OTHER_SERVER_NAME),            /* R1 */
    ROW(EVERY_WAY, name_after_none, FULL, OTHER_SERVER_NAME),    /* R1 */
    CHANGED(other_names_in_profile, SERVER_NAMES),               /* R3 */
    CHANGED(other_certificate, CERTIFICATES),                    /* R3, R9 */
    CHANGED(certificate_requested_only, CLIENT_CERTIFICATE),     /* R3 */
    CHANGED(made_without_certificate, CLIENT_CERTIFICATE),       /* R4 */
    CHANGED(other_ca, CLIENT_CA),                                /* R3, R4, R6 */
    CHANGED(other_crl, CLIENT_CRL),                              /* R3, R6 */
    CHANGED(no_crl_any_more, CLIENT_CRL),                        /* R6 */
    /* what the hello offers */
    ROW(EVERY_WAY, other_protocol, FULL, PROTOCOL_MISMATCH),           /* R19 */
    ROW(EVERY_WAY, record_of_other_protocol, FULL, PROTOCOL_MISMATCH), /* R19 */
    ROW(RESUME_BY_TICKET, cached_as_ticket, FULL, TICKET_DAMAGED),
    ROW(RESUME_BY_SESSION_ID, ticket_as_cached, FULL, TICKET_DAMAGED),
    ROW(RESUME_BY_PSK, handle_as_psk, FULL, TICKET_DAMAGED),
    ROW(RESUME_BY_PSK_STATEFUL, session_id_as_handle, FULL, TICKET_DAMAGED),
    ROW(RESUME_BY_PSK, no_psk_dhe_ke, FULL, PSK_MODE_NOT_OFFERED), /* R23 */
    ROW(RESUME_BY_PSK_STATEFUL, no_psk_dhe_ke, FULL, PSK_MODE_NOT_OFFERED),
    ROW(RESUME_BY_PSK, no_psk_modes, FULL, PSK_MODE_NOT_OFFERED),
    ROW(EVERY_WAY, invalidated_at_that_moment, FULL, INVALIDATED),
    ROW(EVERY_WAY, invalidated_after_the_full_handshake, FULL, INVALIDATED),
    ROW(EVERY_WAY, no_session_in_it, FULL, SESSION_TOO_LARGE), /* R44 */
    ROW(RESUME_BY_TICKET, used_perhaps, FULL, USE_UNCERTAIN),  /* R29 */
    ROW(RESUME_BY_PSK, used_perhaps, FULL, USE_UNCERTAIN),
    ROW(RESUME_BY_SESSION_ID, cipher_not_offered, FULL, CIPHER_MISMATCH), /* R16 */
    ROW(RESUME_BY_TICKET, cipher_not_offered, FULL, CIPHER_MISMATCH),
    ROW(RESUME_BY_PSK, cipher_not_offered, FULL, HASH_MISMATCH), /* R24 */
    ROW(RESUME_BY_PSK_STATEFUL, cipher_not_offered, FULL, HASH_MISMATCH),
    ROW(RESUME_BY_PSK, hash_not_offered, FULL, HASH_MISMATCH),
    ROW(RESUME_BY_PSK_STATEFUL, hash_not_offered, FULL, HASH_MISMATCH),
    ROW(RESUME_BY_PSK, of_the_other_hash, FULL, HASH_MISMATCH),
    ROW(EVERY_WAY, other_alpn, FULL, ALPN_MISMATCH), /* R5 */
    ROW(EVERY_WAY, no_alpn, FULL, ALPN_MISMATCH),
    ROW(EVERY_WAY, alpn_after_none, FULL, ALPN_MISMATCH),
    /* time */
    ROW(EVERY_WAY, chain_expired, FULL, CLIENT_CERTIFICATE_EXPIRED), /* R7 */
    ROW(EVERY_WAY, chain_expired_long_ago, FULL, CLIENT_CERTIFICATE_EXPIRED),
    ROW(EVERY_WAY, lineage_over, FULL, LINEAGE_TOO_OLD), /* R21 */
    ROW(EVERY_WAY, lineage_over_by_far, FULL, LINEAGE_TOO_OLD),
    ROW(EVERY_WAY, lineage_lowered, FULL, LINEAGE_TOO_OLD),
    ROW(EVERY_WAY, age_over, FULL, EXPIRED), /* R15 */
    ROW(EVERY_WAY, told_lifetime_over, FULL, EXPIRED),
    ROW(EVERY_WAY, timeout_lowered, FULL, EXPIRED),
    ROW(EVERY_WAY, from_the_future, FULL, EXPIRED), /* R26 */
    ROW(EVERY_WAY, from_the_end_of_time, FULL, EXPIRED),
    ROW(EVERY_WAY, lineage_from_the_future, FULL, EXPIRED), /* R21 */
    ROW(EVERY_WAY, lineage_from_the_end_of_time, FULL, EXPIRED),
    ROW(EVERY_WAY, no_lifetime, FULL, EXPIRED),
    ROW(EVERY_WAY, no_timeout, FULL, EXPIRED),
    ROW(EVERY_WAY, no_timeout_and_a_clock_ahead, FULL, EXPIRED),
    /* extended master secret, R17 */
    ROW(RESUME_BY_SESSION_ID, ems_missing_now, ABORT, EMS_MISMATCH),
    ROW(RESUME_BY_TICKET, ems_missing_now, ABORT, EMS_MISMATCH),
    ROW(RESUME_BY_SESSION_ID, ems_missing_then, FULL, EMS_MISMATCH),
    ROW(RESUME_BY_TICKET, ems_missing_then, FULL, EMS_MISMATCH),
    ROW(RESUME_BY_SESSION_ID, ems_missing_now_and_expired, FULL, EXPIRED),
    ROW(RESUME_BY_TICKET, ems_missing_now_and_expired, FULL, EXPIRED),
    /* what may be */
    ROW(EVERY_WAY, nothing, RESUME, RESUMED),
    ROW(EVERY_WAY, none_after_none, RESUME, RESUMED),
    ROW(EVERY_WAY, chain_expires_next_second, RESUME, RESUMED),
    ROW(EVERY_WAY, lineage_just_not_over, RESUME, RESUMED),
    ROW(EVERY_WAY, age_just_not_over, RESUME, RESUMED),
    ROW(EVERY_WAY, told_lifetime_just_not_over, RESUME, RESUMED),
    ROW(EVERY_WAY, timeout_raised, RESUME, RESUMED),
    ROW(EVERY_WAY, from_a_clock_ahead, RESUME, RESUMED),
    ROW(EVERY_WAY, lineage_from_a_clock_ahead, RESUME, RESUMED),
    ROW(EVERY_WAY, whatever_does_not_bind, RESUME, RESUMED),
    ROW(EVERY_WAY, invalidated_before, RESUME, RESUMED),
    ROW(EVERY_WAY, known_not_to_be_used, RESUME, RESUMED),
    ROW(EVERY_WAY, for_many_uses, RESUME, RESUMED),
    ROW(RESUME_BY_SESSION_ID, used_perhaps, RESUME, RESUMED),     /* no ticket */
    ROW(RESUME_BY_PSK_STATEFUL, used_perhaps, RESUME, RESUMED),   /* the cache knows */
    ROW(RESUME_BY_PSK, cipher_of_the_same_hash, RESUME, RESUMED), /* R24 */
    ROW(RESUME_BY_PSK_STATEFUL, cipher_of_the_same_hash, RESUME, RESUMED),
    ROW(RESUME_BY_SESSION_ID, ems_missing_both, RESUME, RESUMED),
    ROW(RESUME_BY_TICKET, ems_missing_both, RESUME, RESUMED),
    ROW(RESUME_BY_PSK, ems_missing_now, RESUME, RESUMED), /* TLS 1.3 has no such extension */
    ROW(RESUME_BY_PSK_STATEFUL, ems_missing_now, RESUME, RESUMED),
};

static bool row_is_for(const struct row *row, enum resume_by by) {
    return row->by == EVERY_WAY || row->by == (int)by;
}

static void each_rule_by_itself(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (size_t w = 0; w < LENGTH(ways); w++) {
            if (!row_is_for(&rows[i], ways[w])) {
                continue;
            }
            static struct session s;
            session_init(&s, ways[w]);
            rows[i].change(&s);
            struct resume_decision d = resume_decide(&s.record, &s.query);
            if (d.action != rows[i].action || d.reason != rows[i].reason ||
                d.part != rows[i].part) {
                fail_msg("%s by %s: %d, %s, %s", rows[i].name, resume_by_word(ways[w]), d.action,
                         reason_word(d.reason), policy_part_word(d.part));
            }
        }
    }
}

/* Two reasons to refuse do not make one to resume. */
static void no_change_makes_up_for_another(void **state) {
    (void)state;
    unsigned pairs = 0;
    for (size_t a = 0; a < LENGTH(rows); a++) {
        for (size_t b = 0; b < LENGTH(rows); b++) {
            if (rows[a].action == RESUME_ACTION_RESUME || rows[b].action == RESUME_ACTION_RESUME ||
                rows[a].reason == rows[b].reason) {
                continue;
            }
            for (size_t w = 0; w < LENGTH(ways); w++) {
                if (!row_is_for(&rows[a], ways[w]) || !row_is_for(&rows[b], ways[w])) {
                    continue;
                }
                static struct session s;
                session_init(&s, ways[w]);
                rows[a].change(&s);
                rows[b].change(&s);
                assert_int_not_equal(resume_decide(&s.record, &s.query).action,
                                     RESUME_ACTION_RESUME);
                pairs++;
            }
        }
    }
    assert_true(pairs > 1000);
}

/* The order in which an operator is told: what is bound first, then the hello, then time. */
static void the_first_difference_is_told(void **state) {
    (void)state;
    static void (*const order[])(struct session *) = {
        other_profile, other_name,    other_ca,           other_protocol,      cipher_not_offered,
        other_alpn,    chain_expired, told_lifetime_over, lineage_over_by_far,
    };
    static const enum reason reasons[] = {
        REASON_OTHER_PROFILE,
        REASON_OTHER_SERVER_NAME,
        REASON_POLICY_CHANGED,
        REASON_PROTOCOL_MISMATCH,
        REASON_CIPHER_MISMATCH,
        REASON_ALPN_MISMATCH,
        REASON_CLIENT_CERTIFICATE_EXPIRED,
        REASON_EXPIRED,
        REASON_LINEAGE_TOO_OLD,
    };
    for (size_t from = 0; from < LENGTH(order); from++) {
        static struct session s;
        session_init(&s, RESUME_BY_TICKET);
        for (size_t i = from; i < LENGTH(order); i++) {
            order[i](&s);
        }
        assert_int_equal(resume_decide(&s.record, &s.query).reason, reasons[from]);
    }
}

/* Of several parts that differ, the first is told. */
static void the_first_part_that_differs_is_told(void **state) {
    (void)state;
    for (unsigned first = POLICY_PROFILE + 1; first < POLICY_PARTS; first++) {
        static struct session s;
        session_init(&s, RESUME_BY_PSK);
        for (unsigned part = first; part < POLICY_PARTS; part++) {
            s.record.policy.part[part][POLICY_PRINT_LEN - 1] ^= 1;
        }
        struct resume_decision d = resume_decide(&s.record, &s.query);
        assert_int_equal(d.reason, REASON_POLICY_CHANGED);
        assert_int_equal(d.part, first);
    }
}

/* Pure: it changes nothing, and says the same again. */
static void nothing_is_changed_by_deciding(void **state) {
    (void)state;
    static struct session s;
    static struct session before;
    session_init(&s, RESUME_BY_TICKET);
    memcpy(&before, &s, sizeof(s));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(resume_decide(&s.record, &s.query).action, RESUME_ACTION_RESUME);
        assert_memory_equal(&before, &s, sizeof(s));
    }
}

/* R21: renewed for ever, a session is resumed until the lineage's last second, and never
 * after it. */
static void renewal_does_not_extend_a_lineage(void **state) {
    (void)state;
    static struct session s;
    session_init(&s, RESUME_BY_PSK);
    s.profile.client_auth = CLIENT_AUTH_NONE;
    s.record.client_chain_expiry_s = 0;
    policy_init(&s.policy, &s.profile, &s.material);
    s.record.policy = s.policy.print;
    s.record.first_ms = NOW_MS;
    uint64_t last_resumed_ms = 0;
    for (uint64_t at_ms = NOW_MS; at_ms < NOW_MS + 2ull * MAX_LINEAGE_S * MS_PER_S;
         at_ms += 1800 * MS_PER_S / 2) {
        s.query.now_ms = at_ms;
        if (resume_decide(&s.record, &s.query).action != RESUME_ACTION_RESUME) {
            break;
        }
        s.record.issued_ms = at_ms; /* a new ticket each time */
        last_resumed_ms = at_ms;
    }
    assert_true(last_resumed_ms < NOW_MS + (uint64_t)MAX_LINEAGE_S * MS_PER_S);
    assert_true(last_resumed_ms + 900 * MS_PER_S >= NOW_MS + (uint64_t)MAX_LINEAGE_S * MS_PER_S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_by_itself),
        cmocka_unit_test(no_change_makes_up_for_another),
        cmocka_unit_test(the_first_difference_is_told),
        cmocka_unit_test(the_first_part_that_differs_is_told),
        cmocka_unit_test(nothing_is_changed_by_deciding),
        cmocka_unit_test(renewal_does_not_extend_a_lineage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
