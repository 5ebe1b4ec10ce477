/* test_resume.c: resume/resume.c, with a real cache and key ring: what one handshake keeps,
 * the next one looks up. */
#include "resume/resume.h"

#include <malloc.h>

#include "ring.h"
#include "session.h"

static const struct cache_size cache_size = { .sessions = 100 };

/* A worker of one profile. */
struct bench {
    struct session s;
    struct keyring *ring;
    struct cache *cache;
    struct cache *other; /* of another profile of the virtual server */
    struct cache *all[2];
    struct resume resume;
    struct replay *replay;
    struct switches switches;
    struct resume_stores stores;
    struct resume_made made; /* what the last handshake settled */
    struct resume_verdict verdict;
    uint8_t id[CACHE_ID_LEN];
    uint8_t ticket[CACHE_RECORD_MAX];
    size_t ticket_len;
};

static struct bench bench; /* large; one at a time */

static struct cache *make_cache(void) {
    struct err err = { 0 };
    struct cache *cache = malloc(sizeof(*cache));
    assert_non_null(cache);
    void *memory = shared_alloc(cache_layout_bytes(cache_size));
    assert_int_equal(cache_init(cache, memory, cache_size, &err), 0);
    return cache;
}

static void drop_cache(struct cache *cache) {
    shared_free(cache->base, cache_layout_bytes(cache_size));
    free(cache);
}

/* Before a first handshake: a hello that offers nothing. `kind` is what is to be made. */
static void bench_start(enum resume_by kind) {
    memset(&bench, 0, sizeof(bench));
    session_init(&bench.s, kind);
    bench.s.hello.has_psk = false;
    bench.s.query.by = RESUME_BY_NONE;
    bench.ring = ring_make();
    bench.cache = make_cache();
    bench.other = make_cache();
    bench.all[0] = bench.cache;
    bench.all[1] = bench.other;
    bench.replay = shared_alloc(replay_layout_bytes(REPLAY_TICKETS_MIN));
    replay_init(bench.replay, REPLAY_TICKETS_MIN, NOW_MS);
    switches_set(&bench.switches, true, true);
    bench.stores = (struct resume_stores){ .own = bench.cache,
                                           .tickets = true,
                                           .replay = bench.replay,
                                           .switches = &bench.switches,
                                           .others = bench.all,
                                           .other_count = 2 };
    struct err err = { 0 };
    bench.resume.sealer = sealer_new(bench.ring, &err);
    bench.resume.scratch = secret_alloc(sizeof(*bench.resume.scratch));
    assert_true(bench.resume.sealer && bench.resume.scratch);
    crypto_random(bench.id, sizeof(bench.id));
    bench.made = (struct resume_made){
        .policy = &bench.s.policy,
        .kind = kind,
        .protocol = bench.s.query.protocol,
        .cipher = bench.s.record.cipher,
        .ems = bench.s.query.protocol == POLICY_TLS12,
        .server_name = bench.s.query.server_name,
        .alpn = bench.s.query.alpn,
        .session = bytes_of("the library's session"),
        .now_ms = NOW_MS,
        .client_chain_expiry_s = NOW_MS / MS_PER_S + MAX_LINEAGE_S,
    };
}

static void bench_end(void) {
    sealer_free(bench.resume.sealer);
    secret_free(bench.resume.scratch, sizeof(*bench.resume.scratch));
    drop_cache(bench.cache);
    drop_cache(bench.other);
    shared_free(bench.replay, replay_layout_bytes(REPLAY_TICKETS_MIN));
    ring_drop(bench.ring);
}

static bool is_cached(enum resume_by kind) {
    return kind == RESUME_BY_SESSION_ID || kind == RESUME_BY_PSK_STATEFUL;
}

/* Keeps what was made, as a ticket or in the cache, and lets the next hello offer it. */
static void keep_and_offer(void) {
    struct hello *hello = &bench.s.hello;
    if (is_cached(bench.made.kind)) {
        assert_int_equal(resume_store(&bench.resume, bench.cache, bench.id, &bench.made), 0);
    } else {
        struct sealer_key key;
        bool kept = false;
        bench.ticket_len =
            resume_make_ticket(&bench.resume, &bench.made, bench.ticket, &key, &kept);
        assert_true(bench.ticket_len > 0 && kept);
        assert_true(bench.ticket_len <= resume_ticket_max(bench.made.session.len));
    }
    switch (bench.made.kind) {
    case RESUME_BY_SESSION_ID:
        hello->session_id = (struct bytes){ bench.id, sizeof(bench.id) };
        break;
    case RESUME_BY_TICKET:
        hello->session_ticket = (struct bytes){ bench.ticket, bench.ticket_len };
        hello->session_id = bytes_of("a one-off ID of thirty-two bytes");
        break;
    case RESUME_BY_PSK:
        hello->has_psk = true;
        hello->psk_identity = (struct bytes){ bench.ticket, bench.ticket_len };
        break;
    case RESUME_BY_PSK_STATEFUL:
        hello->has_psk = true;
        hello->psk_identity = (struct bytes){ bench.id, sizeof(bench.id) };
        break;
    case RESUME_BY_NONE:
        break;
    }
}

static const struct resume_verdict *look_up(void) {
    memset(&bench.verdict, 0xee, sizeof(bench.verdict)); /* nothing may be left as it was */
    resume_look_up(&bench.resume, &bench.stores, &bench.s.query, &bench.verdict);
    assert_int_equal(bench.s.query.by, bench.verdict.offered);
    return &bench.verdict;
}

static void assert_full(enum resume_by offered, enum reason reason) {
    const struct resume_verdict *v = look_up();
    if (v->reason != reason) {
        fail_msg("%s instead of %s", reason_word(v->reason), reason_word(reason));
    }
    assert_int_equal(v->action, RESUME_ACTION_FULL);
    assert_int_equal(v->offered, offered);
}

static void assert_resumes(enum resume_by offered) {
    const struct resume_verdict *v = look_up();
    if (v->reason != REASON_RESUMED) {
        fail_msg("%s", reason_word(v->reason));
    }
    assert_int_equal(v->action, RESUME_ACTION_RESUME);
    assert_int_equal(v->offered, offered);
    assert_true(bytes_equal(v->session, bench.made.session));
}

static const enum resume_by ways[] = { RESUME_BY_SESSION_ID, RESUME_BY_TICKET, RESUME_BY_PSK,
                                       RESUME_BY_PSK_STATEFUL };

/* --- nothing offered ----------------------------------------------------- */

static void a_hello_that_offers_nothing(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    struct hello *hello = &bench.s.hello;
    hello->has_session_ticket = true; /* "I can" */
    assert_full(RESUME_BY_NONE, REASON_NOT_OFFERED);
    hello->has_session_ticket = false;
    assert_full(RESUME_BY_NONE, REASON_NOT_OFFERED);
    assert_false(bench.verdict.has_key);
    assert_false(bench.verdict.renew);
    /* RFC 8446 4.1.2: a TLS 1.3 hello's session ID offers nothing, nor does a ticket of 1.2. */
    bench.s.query.protocol = POLICY_TLS13;
    hello->session_id = bytes_of("a compatibility ID, thirty-two b");
    assert_full(RESUME_BY_NONE, REASON_NOT_OFFERED);
    hello->has_session_ticket = true;
    hello->session_ticket = bytes_of("a ticket of TLS 1.2");
    assert_full(RESUME_BY_NONE, REASON_NOT_OFFERED);
    /* And a PSK none to TLS 1.2. */
    bench.s.query.protocol = POLICY_TLS12;
    hello->session_ticket = (struct bytes){ 0 };
    hello->session_id = (struct bytes){ 0 };
    hello->has_psk = true;
    hello->psk_identity = bytes_of("a PSK");
    assert_full(RESUME_BY_NONE, REASON_NOT_OFFERED);
    bench_end();
}

/* --- tick boxes ---------------------------------------------------------- */

static void with_the_cache_unticked_nothing_stateful_resumes(void **state) {
    (void)state;
    static const enum resume_by cached[] = { RESUME_BY_SESSION_ID, RESUME_BY_PSK_STATEFUL };
    for (size_t i = 0; i < LENGTH(cached); i++) {
        bench_start(cached[i]);
        keep_and_offer();
        assert_resumes(cached[i]);
        bench.stores.own = NULL;
        assert_full(cached[i], REASON_CACHE_OFF);
        bench.stores = (struct resume_stores){ 0 };
        assert_full(cached[i], REASON_CACHE_OFF);
        bench_end();
    }
}

static void with_tickets_unticked_no_ticket_opens(void **state) {
    (void)state;
    static const enum resume_by sealed[] = { RESUME_BY_TICKET, RESUME_BY_PSK };
    for (size_t i = 0; i < LENGTH(sealed); i++) {
        bench_start(sealed[i]);
        keep_and_offer();
        assert_resumes(sealed[i]);
        bench.stores.tickets = false;
        assert_full(sealed[i], REASON_TICKETS_OFF);
        bench_end();
    }
}

/* --- what the stores do not have ----------------------------------------- */

/* R14: an ID beside a ticket is one-off. It is not looked up, not even where it would be
 * found. */
static void a_session_id_beside_a_ticket_is_not_looked_up(void **state) {
    (void)state;
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    assert_resumes(RESUME_BY_SESSION_ID);
    bench.s.hello.session_ticket = bytes_of("a ticket from somewhere else, which nobody can open");
    struct cache_stats before;
    struct cache_stats after;
    cache_read_stats(bench.cache, &before);
    assert_full(RESUME_BY_TICKET, REASON_UNKNOWN_TICKET_KEY);
    bench.stores.tickets = false;
    assert_full(RESUME_BY_TICKET, REASON_TICKETS_OFF);
    cache_read_stats(bench.cache, &after);
    assert_int_equal(after.lookups, before.lookups);
    bench_end();
}

static void unknown_ids_of_every_length(void **state) {
    (void)state;
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    for (size_t len = 1; len < CACHE_ID_LEN; len++) {
        bench.s.hello.session_id.len = len;
        assert_full(RESUME_BY_SESSION_ID, REASON_UNKNOWN_SESSION_ID);
    }
    bench.s.hello.session_id.len = CACHE_ID_LEN;
    assert_resumes(RESUME_BY_SESSION_ID);
    bench.id[0] ^= 1;
    assert_full(RESUME_BY_SESSION_ID, REASON_UNKNOWN_SESSION_ID);
    bench_end();
}

static void handles_that_nobody_issued(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK_STATEFUL);
    keep_and_offer();
    bench.id[31] ^= 1;
    assert_full(RESUME_BY_PSK_STATEFUL, REASON_UNKNOWN_SESSION_ID);
    /* Of another length it is no handle, but a ticket, and a bad one. */
    bench.s.hello.psk_identity.len = 31;
    assert_full(RESUME_BY_PSK, REASON_TICKET_DAMAGED);
    bench_end();
}

/* It is told whose it is, and never resumed. */
static void an_id_of_another_profile_s_cache(void **state) {
    (void)state;
    static const enum resume_by cached[] = { RESUME_BY_SESSION_ID, RESUME_BY_PSK_STATEFUL };
    for (size_t i = 0; i < LENGTH(cached); i++) {
        bench_start(cached[i]);
        keep_and_offer();
        bench.stores.own = bench.other;
        assert_full(cached[i], REASON_OTHER_PROFILE);
        bench.stores.other_count = 0;
        assert_full(cached[i], REASON_UNKNOWN_SESSION_ID);
        bench_end();
    }
}

/* R18, R29, R44: what became of a session is what its ID is told. */
static void a_killed_session_is_told_why(void **state) {
    (void)state;
    static const struct {
        enum cache_mark mark;
        enum reason reason;
    } cases[] = {
        { CACHE_MARK_UNCLEAN, REASON_UNCLEAN_SHUTDOWN },
        { CACHE_MARK_FATAL_ALERT, REASON_FATAL_ALERT },
        { CACHE_MARK_INVALIDATED, REASON_INVALIDATED },
        { CACHE_MARK_USED, REASON_ALREADY_USED },
        { CACHE_MARK_TOO_LARGE, REASON_SESSION_TOO_LARGE },
        { (enum cache_mark)77, REASON_UNKNOWN_SESSION_ID }, /* of another release */
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bench_start(RESUME_BY_SESSION_ID);
        keep_and_offer();
        assert_int_equal(cache_kill(bench.cache, bench.id, cases[i].mark), CACHE_HIT);
        assert_full(RESUME_BY_SESSION_ID, cases[i].reason);
        bench_end();
    }
}

static void a_session_that_had_to_go_is_told_so(void **state) {
    (void)state;
    static const enum resume_by cached[] = { RESUME_BY_SESSION_ID, RESUME_BY_PSK_STATEFUL };
    for (size_t i = 0; i < LENGTH(cached); i++) {
        bench_start(cached[i]);
        keep_and_offer();
        cache_expire(bench.cache, NOW_MS / MS_PER_S + 1);
        assert_full(cached[i], REASON_EXPIRED);
        keep_and_offer();
        uint8_t id[CACHE_ID_LEN] = { 0 };
        for (uint32_t n = 1; cache_has(bench.cache, bench.id); n++) {
            memcpy(id, &n, sizeof(n));
            cache_put(bench.cache, id, bytes_of("another"), NOW_MS / MS_PER_S);
        }
        assert_full(cached[i], REASON_EVICTED);
        bench_end();
    }
}

/* --- single use ---------------------------------------------------------- */

/* R29: a ticket opens once; a session ID of TLS 1.2 is no ticket. */
static void a_ticket_for_single_use_opens_once(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        bench.s.profile.single_use_tickets = true;
        keep_and_offer();
        assert_resumes(ways[i]);
        assert_int_equal(bench.verdict.renew, ways[i] == RESUME_BY_TICKET);
        if (ways[i] == RESUME_BY_SESSION_ID) {
            assert_resumes(ways[i]);
        } else {
            assert_full(ways[i], REASON_ALREADY_USED);
            assert_full(ways[i], REASON_ALREADY_USED);
        }
        bench_end();
    }
}

/* An offer that is refused for another reason burns nothing. */
static void a_refused_offer_uses_nothing_up(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        bench.s.profile.single_use_tickets = true;
        keep_and_offer();
        bench.s.query.server_name = bytes_of("mail.example.com");
        assert_full(ways[i], REASON_OTHER_SERVER_NAME);
        bench.s.query.server_name = bench.s.hello.server_name;
        assert_resumes(ways[i]);
        bench_end();
    }
}

/* R29, R38: what may have been used before the register was is refused; so is what it
 * has no room for, and everything without a register. */
static void an_uncertain_use_is_refused(void **state) {
    (void)state;
    static const enum resume_by sealed[] = { RESUME_BY_TICKET, RESUME_BY_PSK };
    for (size_t i = 0; i < LENGTH(sealed); i++) {
        bench_start(sealed[i]);
        bench.s.profile.single_use_tickets = true;
        bench.made.now_ms = NOW_MS - 1;
        keep_and_offer();
        assert_full(sealed[i], REASON_USE_UNCERTAIN);
        bench.made.now_ms = NOW_MS;
        keep_and_offer();
        bench.stores.replay = NULL;
        assert_full(sealed[i], REASON_USE_UNCERTAIN);
        bench.stores.replay = bench.replay;
        for (uint64_t n = 0; n < 20ull * REPLAY_TICKETS_MIN; n++) {
            replay_claim(bench.replay, (struct bytes){ (uint8_t *)&n, sizeof(n) },
                         NOW_MS / MS_PER_S, NOW_MS / MS_PER_S + 3600);
        }
        assert_full(sealed[i], REASON_USE_UNCERTAIN);
        bench_end();
    }
}

/* --- the operator -------------------------------------------------------- */

static void what_is_invalidated_does_not_resume(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        uint8_t name[RECORD_NAME_LEN];
        bench_start(ways[i]);
        keep_and_offer();
        record_hash_name(bytes_of("mail.example.com"), name);
        assert_true(switches_invalidate_name(&bench.switches, name, NOW_MS));
        assert_resumes(ways[i]);
        record_hash_name(bench.made.server_name, name);
        assert_true(switches_invalidate_name(&bench.switches, name, NOW_MS));
        assert_full(ways[i], REASON_INVALIDATED);
        bench.made.now_ms = NOW_MS + 1; /* a full handshake after it */
        keep_and_offer();
        bench.s.query.now_ms = NOW_MS + 1;
        assert_resumes(ways[i]);
        switches_invalidate_all(&bench.switches, NOW_MS + 1);
        assert_full(ways[i], REASON_INVALIDATED);
        bench_end();
    }
}

/* What was renewed at the same moment, or later by a clock, does not slip through. */
static void an_invalidated_chain_is_not_saved_by_renewal(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK);
    keep_and_offer();
    assert_resumes(RESUME_BY_PSK);
    struct resume_verdict verdict = bench.verdict;
    bench.made.resumed = &verdict;
    bench.made.now_ms = NOW_MS + 5000;
    keep_and_offer();
    switches_invalidate_all(&bench.switches, NOW_MS + 1000);
    bench.s.query.now_ms = NOW_MS + 6000;
    assert_full(RESUME_BY_PSK, REASON_INVALIDATED);
    bench_end();
}

/* A profile that asks for the certificate on each connection: nothing resumes, whatever
 * was kept before. */
static void with_authenticate_always_nothing_resumes(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        keep_and_offer();
        bench.s.profile.authenticate = AUTHENTICATE_ALWAYS;
        assert_full(ways[i], REASON_CLIENT_CERTIFICATE_REQUIRED);
        bench.s.profile.authenticate = AUTHENTICATE_ONCE;
        assert_resumes(ways[i]);
        bench_end();
    }
}

/* R15, R44: tickets that are garbage, cut, too large, or of an unknown key. */
static void bad_tickets_lead_to_a_full_handshake(void **state) {
    (void)state;
    static const enum resume_by sealed[] = { RESUME_BY_TICKET, RESUME_BY_PSK };
    for (size_t i = 0; i < LENGTH(sealed); i++) {
        static uint8_t huge[65535];
        bench_start(sealed[i]);
        keep_and_offer();
        struct bytes *offered = sealed[i] == RESUME_BY_TICKET ? &bench.s.hello.session_ticket
                                                              : &bench.s.hello.psk_identity;
        const struct bytes good = *offered;
        for (size_t len = 1; len < good.len; len++) {
            if (sealed[i] == RESUME_BY_PSK && len == CACHE_ID_LEN) {
                continue; /* that would be a handle */
            }
            offered->len = len;
            assert_full(sealed[i], REASON_TICKET_DAMAGED);
        }
        offered->len = good.len;
        bench.ticket[good.len - 1] ^= 1;
        assert_full(sealed[i], REASON_TICKET_DAMAGED);
        assert_false(bench.verdict.has_key);
        bench.ticket[good.len - 1] ^= 1;
        bench.ticket[0] ^= 1;
        assert_full(sealed[i], REASON_UNKNOWN_TICKET_KEY);
        assert_true(bench.verdict.has_key); /* its name is for the log */
        assert_memory_equal(bench.verdict.key.name, bench.ticket, KEYRING_NAME_LEN);
        bench.ticket[0] ^= 1;
        memcpy(huge, bench.ticket, KEYRING_NAME_LEN);
        for (size_t len = CACHE_RECORD_MAX - 1; len <= sizeof(huge); len += 8191) {
            *offered = (struct bytes){ huge, len };
            assert_full(sealed[i], REASON_TICKET_DAMAGED);
        }
        *offered = good;
        assert_resumes(sealed[i]);
        assert_true(bench.verdict.has_key);
        bench_end();
    }
}

/* R43: a million forged tickets, under a name that the ring knows and under others, leave
 * nothing behind: not a byte of the heap, and not a place for a good one. */
static void a_million_forged_tickets_leave_nothing(void **state) {
    (void)state;
    enum { FORGED = REPRISE_SANITIZED ? 50000 : 1000000 };
    bench_start(RESUME_BY_PSK);
    keep_and_offer();
    assert_resumes(RESUME_BY_PSK);
    static uint8_t forged[400];
    const struct bytes good = bench.s.hello.psk_identity;
    uint64_t rng = 3;
    size_t heap = mallinfo2().uordblks;
    for (unsigned n = 0; n < FORGED; n++) {
        rng_fill(&rng, forged, 64);
        if (n % 2 == 0) {
            memcpy(forged, bench.ticket, KEYRING_NAME_LEN);
        }
        bench.s.hello.psk_identity = (struct bytes){ forged, sizeof(forged) };
        resume_look_up(&bench.resume, &bench.stores, &bench.s.query, &bench.verdict);
        assert_int_equal(bench.verdict.reason,
                         n % 2 == 0 ? REASON_TICKET_DAMAGED : REASON_UNKNOWN_TICKET_KEY);
    }
    assert_true(REPRISE_SANITIZED || mallinfo2().uordblks == heap);
    bench.s.hello.psk_identity = good;
    assert_resumes(RESUME_BY_PSK);
    bench_end();
}

/* A record that authenticates and can't be read: of another release, or of a leaked key. */
static void sealed_nonsense_leads_to_a_full_handshake(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK);
    keep_and_offer();
    uint8_t record[100] = { RECORD_VERSION };
    struct sealer_key key;
    for (size_t len = 0; len <= sizeof(record); len++) {
        assert_int_equal(sealer_seal_ticket(bench.resume.sealer, (struct bytes){ record, len },
                                            bench.ticket, &key),
                         SEALER_OK);
        bench.s.hello.psk_identity = (struct bytes){ bench.ticket, len + SEALER_OVERHEAD };
        assert_full(RESUME_BY_PSK, REASON_TICKET_DAMAGED);
    }
    record[0] = RECORD_VERSION + 1;
    assert_int_equal(sealer_seal_ticket(bench.resume.sealer,
                                        (struct bytes){ record, sizeof(record) }, bench.ticket,
                                        &key),
                     SEALER_OK);
    assert_full(RESUME_BY_PSK, REASON_RECORD_VERSION);
    bench_end();
}

/* The cache's bytes, moved or damaged by whoever can write there. */
static void a_spoilt_entry_leads_to_a_full_handshake(void **state) {
    (void)state;
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    static uint8_t sealed[CACHE_RECORD_MAX];
    size_t len = 0;
    enum cache_mark mark;
    assert_int_equal(cache_get(bench.cache, bench.id, sealed, &len, &mark), CACHE_HIT);
    sealed[len - 1] ^= 1;
    cache_put(bench.cache, bench.id, (struct bytes){ sealed, len }, NOW_MS / MS_PER_S);
    assert_full(RESUME_BY_SESSION_ID, REASON_TICKET_DAMAGED);
    sealed[len - 1] ^= 1;
    bench.id[5] ^= 1; /* under another ID */
    cache_put(bench.cache, bench.id, (struct bytes){ sealed, len }, NOW_MS / MS_PER_S);
    assert_full(RESUME_BY_SESSION_ID, REASON_TICKET_DAMAGED);
    for (size_t cut = 0; cut < len; cut += 7) {
        cache_put(bench.cache, bench.id, (struct bytes){ sealed, cut }, NOW_MS / MS_PER_S);
        assert_full(RESUME_BY_SESSION_ID, REASON_TICKET_DAMAGED);
    }
    bench_end();
}

/* --- one door's session at another --------------------------------------- */

/* A session ID is seen on the wire: as a TLS 1.3 handle it would be a PSK in clear. R19 */
static void a_session_id_is_no_handle(void **state) {
    (void)state;
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    struct hello *hello = &bench.s.hello;
    bench.s.query.protocol = POLICY_TLS13;
    hello->has_psk = true;
    hello->has_psk_modes = true;
    hello->psk_dhe_ke = true;
    hello->psk_identity = hello->session_id;
    assert_full(RESUME_BY_PSK_STATEFUL, REASON_PROTOCOL_MISMATCH);
    bench_end();
}

static void a_handle_is_no_session_id(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK_STATEFUL);
    keep_and_offer();
    bench.s.query.protocol = POLICY_TLS12;
    bench.s.hello.has_psk = false;
    bench.s.hello.session_id = bench.s.hello.psk_identity;
    assert_full(RESUME_BY_SESSION_ID, REASON_PROTOCOL_MISMATCH);
    bench_end();
}

/* R19 */
static void tickets_do_not_cross_protocols(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    bench.s.query.protocol = POLICY_TLS13;
    bench.s.hello.has_psk = true;
    bench.s.hello.has_psk_modes = true;
    bench.s.hello.psk_dhe_ke = true;
    bench.s.hello.psk_identity = bench.s.hello.session_ticket;
    assert_full(RESUME_BY_PSK, REASON_PROTOCOL_MISMATCH);
    bench_end();
    bench_start(RESUME_BY_PSK);
    keep_and_offer();
    bench.s.query.protocol = POLICY_TLS12;
    bench.s.hello.session_ticket = bench.s.hello.psk_identity;
    assert_full(RESUME_BY_TICKET, REASON_PROTOCOL_MISMATCH);
    bench_end();
}

/* --- the decision is asked ----------------------------------------------- */

/* R1, R5, R17: each way leads through it; decide.c's own rules are tested by themselves. */
static void every_way_asks_for_the_decision(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        keep_and_offer();
        assert_resumes(ways[i]);
        bench.s.query.server_name = bytes_of("other.example.com");
        assert_full(ways[i], REASON_OTHER_SERVER_NAME);
        bench.s.query.server_name = bench.made.server_name;
        bench.s.query.alpn = bytes_of("http/1.1");
        assert_full(ways[i], REASON_ALPN_MISMATCH);
        bench.s.query.alpn = bench.made.alpn;
        bench.s.material.client_ca = bytes_of("another authority");
        policy_init(&bench.s.policy, &bench.s.profile, &bench.s.material);
        assert_full(ways[i], REASON_POLICY_CHANGED);
        assert_int_equal(bench.verdict.part, POLICY_CLIENT_CA);
        bench_end();
    }
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    bench.s.hello.has_ems = false;
    assert_int_equal(look_up()->action, RESUME_ACTION_ABORT);
    assert_int_equal(bench.verdict.reason, REASON_EMS_MISMATCH);
    bench_end();
}

/* R41: neither a refused session nor one that the library has its copy of is left. */
static void assert_forgotten(void) {
    assert_null(bench.verdict.session.data);
    assert_true(crypto_is_zero(bench.resume.scratch->opened, CACHE_RECORD_MAX));
}

static void what_is_not_resumed_is_wiped(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        bench.s.profile.single_use_tickets = true;
        keep_and_offer();
        bench.s.query.server_name = bytes_of("other.example.com");
        assert_full(ways[i], REASON_OTHER_SERVER_NAME);
        assert_forgotten();
        bench.s.query.server_name = bench.made.server_name;
        assert_resumes(ways[i]);
        resume_forget(&bench.resume, &bench.verdict);
        assert_forgotten();
        if (ways[i] != RESUME_BY_SESSION_ID) {
            assert_full(ways[i], REASON_ALREADY_USED);
            assert_forgotten();
        }
        bench_end();
    }
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    bench.s.hello.has_ems = false;
    assert_int_equal(look_up()->action, RESUME_ACTION_ABORT);
    assert_forgotten();
    bench_end();
}

/* --- what resumes -------------------------------------------------------- */

static void what_was_kept_comes_back(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        keep_and_offer();
        bench.s.query.now_ms = NOW_MS + 10000;
        assert_resumes(ways[i]);
        const struct resume_verdict *v = &bench.verdict;
        bool cached = is_cached(ways[i]);
        assert_int_equal(v->cipher, bench.made.cipher);
        assert_int_equal(v->flags,
                         RECORD_FLAG_CLIENT_CERT | (bench.made.ems ? RECORD_FLAG_EMS : 0));
        assert_true(v->first_ms == NOW_MS && v->issued_ms == NOW_MS);
        assert_int_equal(v->lifetime_s, cached ? CACHE_TIMEOUT_S : TICKET_TIMEOUT_S);
        assert_true(v->client_chain_expiry_s == bench.made.client_chain_expiry_s);
        assert_int_equal(v->has_key, !cached);
        assert_false(v->renew);
        /* Again: nothing is used up. */
        assert_resumes(ways[i]);
        bench_end();
    }
}

/* The session lies in scratch, and nowhere in the verdict's way of the next look-up. */
static void a_large_session_comes_back(void **state) {
    (void)state;
    static uint8_t session[RECORD_SESSION_MAX + 1];
    uint64_t rng = 9;
    rng_fill(&rng, session, sizeof(session));
    for (size_t i = 0; i < LENGTH(ways); i++) {
        bench_start(ways[i]);
        bench.made.session = (struct bytes){ session, RECORD_SESSION_MAX };
        keep_and_offer();
        assert_resumes(ways[i]);
        bench_end();
    }
}

/* R44: it is refused whole, and a later offer is told so. */
static void a_session_too_large_is_not_kept(void **state) {
    (void)state;
    static uint8_t session[RECORD_SESSION_MAX + 1];
    static const enum resume_by sealed[] = { RESUME_BY_TICKET, RESUME_BY_PSK };
    for (size_t i = 0; i < LENGTH(sealed); i++) {
        bench_start(sealed[i]);
        keep_and_offer();
        struct sealer_key key;
        bool kept = true;
        bench.made.session = (struct bytes){ session, sizeof(session) };
        size_t len = resume_make_ticket(&bench.resume, &bench.made, bench.ticket, &key, &kept);
        assert_false(kept);
        assert_in_range(len, SEALER_OVERHEAD + 1, 400);
        struct bytes *offered = sealed[i] == RESUME_BY_TICKET ? &bench.s.hello.session_ticket
                                                              : &bench.s.hello.psk_identity;
        *offered = (struct bytes){ bench.ticket, len };
        assert_full(sealed[i], REASON_SESSION_TOO_LARGE);
        bench_end();
    }
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    bench.made.session = (struct bytes){ session, sizeof(session) };
    assert_int_equal(resume_store(&bench.resume, bench.cache, bench.id, &bench.made), -1);
    assert_false(cache_has(bench.cache, bench.id));
    assert_full(RESUME_BY_SESSION_ID, REASON_SESSION_TOO_LARGE);
    bench_end();
}

/* R34: no key, no ticket; and nothing goes into the cache in clear. */
static void without_a_key_nothing_is_kept(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    struct keyring *empty = shared_alloc(keyring_bytes());
    struct err err = { 0 };
    struct sealer *sealer = bench.resume.sealer;
    bench.resume.sealer = sealer_new(empty, &err);
    assert_non_null(bench.resume.sealer);
    struct sealer_key key;
    bool kept = true;
    assert_int_equal(resume_make_ticket(&bench.resume, &bench.made, bench.ticket, &key, &kept), 0);
    bench.made.kind = RESUME_BY_SESSION_ID;
    assert_int_equal(resume_store(&bench.resume, bench.cache, bench.id, &bench.made), -1);
    assert_false(cache_has(bench.cache, bench.id));
    sealer_free(bench.resume.sealer);
    bench.resume.sealer = sealer;
    ring_drop(empty);
    bench_end();
}

/* Neither a ticket nor the cache shows a byte of the session. */
static void what_is_kept_is_sealed(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK);
    keep_and_offer();
    assert_null(memmem(bench.ticket, bench.ticket_len, "library", 7));
    assert_true(bench.ticket_len > 100); /* no one takes it for a handle */
    bench_end();
    bench_start(RESUME_BY_SESSION_ID);
    keep_and_offer();
    assert_null(memmem(bench.cache->base, cache_layout_bytes(cache_size), "library", 7));
    /* What was encoded on the way is wiped. */
    assert_null(
        memmem(bench.resume.scratch->encoded, sizeof(bench.resume.scratch->encoded), "library", 7));
    bench_end();
}

/* --- renewal ------------------------------------------------------------- */

/* R37: under a retired key it still resumes, and is better renewed. */
static void a_ticket_of_a_retired_key_is_renewed(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    keyring_tick(bench.ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    assert_resumes(RESUME_BY_TICKET);
    assert_true(bench.verdict.renew);
    assert_false(bench.verdict.key.current);
    keyring_tick(bench.ring, START_S + ENCRYPT_S + OPEN_S, ENCRYPT_S, OPEN_S);
    assert_full(RESUME_BY_TICKET, REASON_RETIRED_TICKET_KEY);
    assert_true(bench.verdict.has_key);
    bench_end();
}

/* R21: the first full handshake's time, and what hangs on it, goes along with every renewal. */
static void the_lineage_is_carried_over(void **state) {
    (void)state;
    static const enum resume_by renewed[] = { RESUME_BY_PSK, RESUME_BY_PSK_STATEFUL };
    for (size_t i = 0; i < LENGTH(renewed); i++) {
        bench_start(renewed[i]);
        uint64_t expiry_s = bench.made.client_chain_expiry_s;
        uint64_t step_ms = 1800 * MS_PER_S;
        keep_and_offer();
        unsigned turns = 0;
        for (;; turns++) {
            bench.s.query.now_ms += step_ms;
            if (look_up()->action != RESUME_ACTION_RESUME) {
                break;
            }
            assert_true(bench.verdict.first_ms == NOW_MS);
            assert_true(bench.verdict.issued_ms == bench.s.query.now_ms - step_ms);
            assert_true(bench.verdict.client_chain_expiry_s == expiry_s);
            assert_int_equal(bench.verdict.flags, RECORD_FLAG_CLIENT_CERT);
            struct resume_verdict verdict = bench.verdict;
            bench.made.resumed = &verdict;
            bench.made.now_ms = bench.s.query.now_ms;
            bench.made.client_chain_expiry_s = 0; /* a resumption shows no certificate */
            keep_and_offer();
            bench.made.resumed = NULL;
        }
        assert_int_equal(turns, MAX_LINEAGE_S / 1800 - 1);
        /* The client's chain expires at the same moment; it is told of first. */
        assert_int_equal(bench.verdict.reason, REASON_CLIENT_CERTIFICATE_EXPIRED);
        bench_end();
    }
}

/* R21: nobody is told a lifetime that the lineage will not last. */
static void the_lifetime_told_ends_with_the_lineage(void **state) {
    (void)state;
    bench_start(RESUME_BY_PSK);
    const struct policy *policy = &bench.s.policy;
    struct resume_verdict old = { .first_ms = NOW_MS };
    assert_int_equal(resume_lifetime_s(policy, false, NULL, NOW_MS), TICKET_TIMEOUT_S);
    assert_int_equal(resume_lifetime_s(policy, true, NULL, NOW_MS), CACHE_TIMEOUT_S);
    uint64_t late_ms = NOW_MS + (MAX_LINEAGE_S - 100) * MS_PER_S;
    assert_int_equal(resume_lifetime_s(policy, false, &old, NOW_MS), TICKET_TIMEOUT_S);
    assert_int_equal(resume_lifetime_s(policy, false, &old, late_ms), 100);
    assert_int_equal(resume_lifetime_s(policy, true, &old, late_ms), 100);
    assert_int_equal(resume_lifetime_s(policy, true, &old, late_ms + 100 * MS_PER_S), 0);
    assert_int_equal(resume_lifetime_s(policy, true, &old, late_ms + 999 * MS_PER_S), 0);
    bench_end();
}

/* RFC 5077: a TLS 1.2 session that is renewed lives on for what it has left, as the library
 * counts it. */
static void a_renewed_ticket_s_lifetime_shrinks(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    uint32_t left_s = TICKET_TIMEOUT_S;
    for (uint32_t step_s = 1000; left_s > step_s;) {
        bench.s.query.now_ms += step_s * MS_PER_S;
        assert_resumes(RESUME_BY_TICKET);
        assert_int_equal(bench.verdict.lifetime_s, left_s);
        struct resume_verdict verdict = bench.verdict;
        bench.made.resumed = &verdict;
        bench.made.now_ms = bench.s.query.now_ms;
        keep_and_offer();
        bench.made.resumed = NULL;
        left_s -= step_s;
    }
    assert_int_equal(left_s, TICKET_TIMEOUT_S % 1000);
    bench.s.query.now_ms = NOW_MS + (TICKET_TIMEOUT_S - 1) * MS_PER_S;
    assert_resumes(RESUME_BY_TICKET);
    bench.s.query.now_ms = NOW_MS + TICKET_TIMEOUT_S * MS_PER_S;
    assert_full(RESUME_BY_TICKET, REASON_EXPIRED);
    bench_end();
}

/* The clock was set back between: what is left is not more than there was. */
static void a_clock_set_back_adds_no_lifetime(void **state) {
    (void)state;
    bench_start(RESUME_BY_TICKET);
    keep_and_offer();
    assert_resumes(RESUME_BY_TICKET);
    struct resume_verdict verdict = bench.verdict;
    bench.made.resumed = &verdict;
    bench.made.now_ms = NOW_MS - 30000;
    keep_and_offer();
    bench.s.query.now_ms = NOW_MS - 30000;
    bench.made.resumed = NULL;
    assert_resumes(RESUME_BY_TICKET);
    assert_int_equal(bench.verdict.lifetime_s, TICKET_TIMEOUT_S);
    assert_true(bench.verdict.first_ms == NOW_MS);
    bench_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_that_offers_nothing),
        cmocka_unit_test(with_the_cache_unticked_nothing_stateful_resumes),
        cmocka_unit_test(with_tickets_unticked_no_ticket_opens),
        cmocka_unit_test(a_session_id_beside_a_ticket_is_not_looked_up),
        cmocka_unit_test(unknown_ids_of_every_length),
        cmocka_unit_test(handles_that_nobody_issued),
        cmocka_unit_test(an_id_of_another_profile_s_cache),
        cmocka_unit_test(a_killed_session_is_told_why),
        cmocka_unit_test(a_session_that_had_to_go_is_told_so),
        cmocka_unit_test(a_ticket_for_single_use_opens_once),
        cmocka_unit_test(a_refused_offer_uses_nothing_up),
        cmocka_unit_test(an_uncertain_use_is_refused),
        cmocka_unit_test(what_is_invalidated_does_not_resume),
        cmocka_unit_test(an_invalidated_chain_is_not_saved_by_renewal),
        cmocka_unit_test(with_authenticate_always_nothing_resumes),
        cmocka_unit_test(bad_tickets_lead_to_a_full_handshake),
        cmocka_unit_test(a_million_forged_tickets_leave_nothing),
        cmocka_unit_test(sealed_nonsense_leads_to_a_full_handshake),
        cmocka_unit_test(a_spoilt_entry_leads_to_a_full_handshake),
        cmocka_unit_test(a_session_id_is_no_handle),
        cmocka_unit_test(a_handle_is_no_session_id),
        cmocka_unit_test(tickets_do_not_cross_protocols),
        cmocka_unit_test(every_way_asks_for_the_decision),
        cmocka_unit_test(what_is_not_resumed_is_wiped),
        cmocka_unit_test(what_was_kept_comes_back),
        cmocka_unit_test(a_large_session_comes_back),
        cmocka_unit_test(a_session_too_large_is_not_kept),
        cmocka_unit_test(without_a_key_nothing_is_kept),
        cmocka_unit_test(what_is_kept_is_sealed),
        cmocka_unit_test(a_ticket_of_a_retired_key_is_renewed),
        cmocka_unit_test(the_lineage_is_carried_over),
        cmocka_unit_test(the_lifetime_told_ends_with_the_lineage),
        cmocka_unit_test(a_renewed_ticket_s_lifetime_shrinks),
        cmocka_unit_test(a_clock_set_back_adds_no_lifetime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
