/* fuzz_sealed.c: what a client offers as its session, through the whole look-up.
 *
 * The first byte says how. As a ticket, a PSK identity, a handle or a session ID of any
 * bytes: nothing that this service did not seal resumes. As the record within a ticket or a
 * cache entry that is sealed here, as if the key had leaked: it is looked at like any other,
 * and resumes only what resume_decide allows, which fuzz_record.c looks into. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fuzz.h"
#include "resume/resume.h"

#define NOW_MS 1700000000400u
#define SESSIONS 16u

static char *names[] = { (char[]){ "www.example.com" } };
static const struct config_profile profile = {
    .name = (char[]){ "web" },
    .server_names = { names, 1 },
    .protocols = CONFIG_TLS12 | CONFIG_TLS13,
    .cache_timeout_s = 3600,
    .ticket_timeout_s = 7200,
    .max_lineage_s = 86400,
};

static struct world {
    struct keyring *ring;
    struct cache cache;
    struct resume resume;
    struct policy policy;
} world;

static void *memory(size_t len) {
    void *at = aligned_alloc(64, (len + 63) / 64 * 64);
    assert(at);
    return memset(at, 0, len);
}

static struct bytes text(const char *at) {
    return (struct bytes){ (const uint8_t *)at, strlen(at) };
}

static void world_make(void) {
    const struct cache_size size = { .sessions = SESSIONS };
    const struct policy_material material = { text("leaf"), { 0 }, { 0 } };
    struct err err = { 0 };
    world.ring = memory(keyring_bytes());
    keyring_init(world.ring, NOW_MS / MS_PER_S);
    assert(cache_init(&world.cache, memory(cache_layout_bytes(size)), size, &err) == 0);
    world.resume.sealer = sealer_new(world.ring, &err);
    world.resume.scratch = secret_alloc(sizeof(*world.resume.scratch));
    assert(world.resume.sealer && world.resume.scratch);
    policy_init(&world.policy, &profile, &material);
}

/* The verdict on a hello that offers these bytes in this way. */
static struct resume_verdict look_up(enum resume_by by, struct bytes offered) {
    static const uint8_t ciphers[] = { 0x13, 0x01, 0xc0, 0x2b };
    struct hello hello = { .cipher_suites = { ciphers, sizeof(ciphers) },
                           .has_ems = true,
                           .psk_dhe_ke = true };
    bool tls13 = by == RESUME_BY_PSK || by == RESUME_BY_PSK_STATEFUL;
    hello.has_psk = tls13;
    hello.has_session_ticket = by == RESUME_BY_TICKET;
    hello.psk_identity = tls13 ? offered : (struct bytes){ 0 };
    hello.session_ticket = by == RESUME_BY_TICKET ? offered : (struct bytes){ 0 };
    hello.session_id = by == RESUME_BY_SESSION_ID ? offered : (struct bytes){ 0 };
    const struct resume_stores stores = { .own = &world.cache, .tickets = true };
    struct resume_query query = { .hello = &hello,
                                  .policy = &world.policy,
                                  .protocol = tls13 ? POLICY_TLS13 : POLICY_TLS12,
                                  .server_name = text("www.example.com"),
                                  .now_ms = NOW_MS };
    struct resume_verdict verdict;
    resume_look_up(&world.resume, &stores, &query, &verdict);
    assert(verdict.reason < REASON_COUNT && verdict.part < POLICY_PARTS);
    assert((verdict.action == RESUME_ACTION_RESUME) == (verdict.reason == REASON_RESUMED));
    return verdict;
}

static void offer_raw(enum resume_by by, struct bytes in) {
    if ((by == RESUME_BY_SESSION_ID && in.len > CACHE_ID_LEN) || in.len == 0) {
        return; /* the hello's own parser refuses these */
    }
    assert(look_up(by, in).action == RESUME_ACTION_FULL);
}

static void offer_sealed_ticket(enum resume_by by, struct bytes record) {
    static uint8_t ticket[CACHE_RECORD_MAX + SEALER_OVERHEAD];
    struct sealer_key key;
    if (record.len > CACHE_RECORD_MAX - SEALER_OVERHEAD) {
        return;
    }
    assert(sealer_seal_ticket(world.resume.sealer, record, ticket, &key) == SEALER_OK);
    struct bytes offered = { ticket, record.len + SEALER_OVERHEAD };
    struct resume_verdict v = look_up(by, offered);
    assert(v.has_key && v.reason != REASON_UNKNOWN_TICKET_KEY);
    ticket[offered.len - 1] ^= 1;
    assert(look_up(by, offered).reason == REASON_TICKET_DAMAGED);
}

static void offer_sealed_entry(enum resume_by by, struct bytes record) {
    static uint8_t sealed[CACHE_RECORD_MAX];
    static const uint8_t id[CACHE_ID_LEN] = { 1 };
    if (record.len > CACHE_RECORD_MAX - SEALER_OVERHEAD) {
        return;
    }
    assert(sealer_seal_entry(world.resume.sealer, id, record, sealed) == SEALER_OK);
    cache_put(&world.cache, id, (struct bytes){ sealed, record.len + SEALER_OVERHEAD },
              NOW_MS / MS_PER_S);
    look_up(by, (struct bytes){ id, sizeof(id) });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (!world.ring) {
        world_make();
    }
    if (len == 0) {
        return 0;
    }
    struct bytes in = { data + 1, len - 1 };
    switch (data[0] & 7) {
    case 0:
        offer_raw(RESUME_BY_TICKET, in);
        break;
    case 1:
        offer_raw(in.len == CACHE_ID_LEN ? RESUME_BY_PSK_STATEFUL : RESUME_BY_PSK, in);
        break;
    case 2:
        offer_raw(RESUME_BY_SESSION_ID, in);
        break;
    case 3:
        offer_sealed_ticket(RESUME_BY_TICKET, in);
        break;
    case 4:
        offer_sealed_ticket(RESUME_BY_PSK, in);
        break;
    case 5:
        offer_sealed_entry(RESUME_BY_SESSION_ID, in);
        break;
    default:
        offer_sealed_entry(RESUME_BY_PSK_STATEFUL, in);
        break;
    }
    return 0;
}
