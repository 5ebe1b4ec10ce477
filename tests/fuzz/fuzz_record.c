/* fuzz_record.c: a session record of any bytes, as whoever has got hold of a ticket key could
 * write it: it is refused, or decodes to what encodes to the same bytes; and it resumes only
 * where every rule by itself, written down here once more, allows it. */
#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "fuzz.h"
#include "resume/decide.h"

#define NOW_MS 1700000000400u
#define CACHE_TIMEOUT_S 3600u
#define TICKET_TIMEOUT_S 7200u
#define MAX_LINEAGE_S 86400u

static char *names[] = { (char[]){ "www.example.com" } };
static const struct config_profile profile = {
    .name = (char[]){ "web" },
    .server_names = { names, 1 },
    .protocols = CONFIG_TLS12 | CONFIG_TLS13,
    .client_auth = CLIENT_AUTH_REQUEST,
    .cache_timeout_s = CACHE_TIMEOUT_S,
    .ticket_timeout_s = TICKET_TIMEOUT_S,
    .max_lineage_s = MAX_LINEAGE_S,
};

static const uint8_t ciphers[] = { 0x13, 0x01, 0xc0, 0x2b };

static struct bytes text(const char *at) {
    return (struct bytes){ (const uint8_t *)at, strlen(at) };
}

static const struct policy *the_policy(void) {
    static struct policy policy;
    if (!policy.profile) {
        const struct policy_material material = { text("leaf"), text("authorities"), text("crl") };
        policy_init(&policy, &profile, &material);
    }
    return &policy;
}

/* At most `limit_s` whole seconds of the clock ago, and not from a time to come. */
static bool is_young(uint64_t since_ms, uint32_t limit_s) {
    if (since_ms > NOW_MS) {
        return limit_s > 0 && since_ms - NOW_MS <= RESUME_CLOCK_SKEW_MS;
    }
    return NOW_MS / MS_PER_S - since_ms / MS_PER_S < limit_s;
}

/* One that is offered; in TLS 1.3 any with SHA-256, as the one that is. */
static bool cipher_will_do(uint16_t cipher, bool tls13) {
    return tls13 ? cipher == 0x1301 || (cipher >= 0x1303 && cipher <= 0x1305)
                 : cipher == 0x1301 || cipher == 0xc02b;
}

/* All that a resumption needs. */
static bool may_resume(const struct record *r, const struct resume_query *q) {
    bool tls13 = q->protocol == POLICY_TLS13;
    bool cached = q->by == RESUME_BY_SESSION_ID || q->by == RESUME_BY_PSK_STATEFUL;
    uint32_t timeout_s = cached ? CACHE_TIMEOUT_S : TICKET_TIMEOUT_S;
    uint8_t name[RECORD_NAME_LEN];
    record_hash_name(q->server_name, name);
    return memcmp(&r->policy, &the_policy()->print, sizeof(r->policy)) == 0 &&
           memcmp(r->server_name, name, sizeof(name)) == 0 && r->protocol == q->protocol &&
           r->kind == q->by && (r->flags & RECORD_FLAG_TOO_LARGE) == 0 &&
           r->first_ms > q->invalid_before_ms && cipher_will_do(r->cipher, tls13) &&
           (tls13 || ((r->flags & RECORD_FLAG_EMS) != 0) == q->hello->has_ems) &&
           (!tls13 || q->hello->psk_dhe_ke) && bytes_equal(r->alpn, q->alpn) &&
           (r->client_chain_expiry_s == 0 || r->client_chain_expiry_s > NOW_MS / MS_PER_S) &&
           is_young(r->first_ms, MAX_LINEAGE_S) &&
           is_young(r->issued_ms, r->lifetime_s < timeout_s ? r->lifetime_s : timeout_s);
}

static void check_decision(const struct record *r, const struct resume_query *q) {
    struct resume_decision d = resume_decide(r, q);
    switch (d.action) {
    case RESUME_ACTION_RESUME:
        assert(may_resume(r, q));
        assert(d.reason == REASON_RESUMED);
        break;
    case RESUME_ACTION_ABORT:
        assert(d.reason == REASON_EMS_MISMATCH);
        assert((r->flags & RECORD_FLAG_EMS) != 0 && !q->hello->has_ems);
        break;
    case RESUME_ACTION_FULL:
        assert(!may_resume(r, q));
        assert(d.reason != REASON_RESUMED);
        break;
    }
    assert(d.part < POLICY_PARTS);
}

/* The record at each door, with hellos that differ in what the rules look at. */
static void decide_all(const struct record *r) {
    static const char *const server_names[] = { "", "www.example.com" };
    static const char *const alpns[] = { "", "h2" };
    for (unsigned bits = 0; bits < 16; bits++) {
        const struct hello hello = {
            .cipher_suites = { ciphers, sizeof(ciphers) },
            .has_ems = (bits & 1) != 0,
            .psk_dhe_ke = (bits & 2) != 0,
        };
        for (unsigned by = RESUME_BY_SESSION_ID; by <= RESUME_BY_PSK_STATEFUL; by++) {
            check_decision(r, &(struct resume_query){
                                  .hello = &hello,
                                  .policy = the_policy(),
                                  .protocol = by < RESUME_BY_PSK ? POLICY_TLS12 : POLICY_TLS13,
                                  .server_name = text(server_names[bits >> 2 & 1]),
                                  .alpn = text(alpns[bits >> 3]),
                                  .by = (enum resume_by)by,
                                  .now_ms = NOW_MS,
                                  .invalid_before_ms = bits & 2 ? NOW_MS - 7200000 : 0,
                              });
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct record record;
    if (record_decode((struct bytes){ data, len }, &record) != RECORD_OK) {
        return 0;
    }
    assert(record.session.data + record.session.len == data + len);
    uint8_t *again = malloc(len);
    assert(again);
    size_t again_len = record_encode(&record, again, len);
    assert(again_len == (record.session.len <= RECORD_SESSION_MAX ? len : 0));
    assert(again_len == 0 || memcmp(again, data, len) == 0);
    free(again);
    decide_all(&record);
    return 0;
}
