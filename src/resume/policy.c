/* policy.c: see policy.h. */
#include "resume/policy.h"

#include <stdlib.h>

#include "base/crypto.h"

static const char *const part_words[POLICY_PARTS] = {
#define POLICY_PART(id, word) [POLICY_##id] = word,
#include "resume/policy_part.def"
#undef POLICY_PART
};

const char *policy_part_word(enum policy_part part) {
    return part_words[part];
}

static struct bytes text_bytes(const char *text) {
    return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static void part_set(struct policy *policy, enum policy_part part, struct bytes data) {
    uint8_t hash[CRYPTO_HASH_LEN];
    crypto_hash(data, hash);
    memcpy(policy->print.part[part], hash, POLICY_PRINT_LEN);
}

static int text_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names as a set, so that writing them in another order changes nothing. The
 * hashes of the sorted names are hashed one into the next: no buffer to size. */
static void part_set_names(struct policy *policy, const struct config_strings *names) {
    uint8_t state[2 * CRYPTO_HASH_LEN] = { 0 };
    const char **sorted = calloc(names->count + 1, sizeof(*sorted));
    if (!sorted) {
        abort(); /* at load only; a fingerprint left out would bind nothing */
    }
    for (size_t i = 0; i < names->count; i++) {
        sorted[i] = names->at[i];
    }
    qsort(sorted, names->count, sizeof(*sorted), text_compare);
    for (size_t i = 0; i < names->count; i++) {
        crypto_hash(text_bytes(sorted[i]), state + CRYPTO_HASH_LEN);
        crypto_hash((struct bytes){ state, sizeof(state) }, state);
    }
    free(sorted);
    part_set(policy, POLICY_SERVER_NAMES, (struct bytes){ state, CRYPTO_HASH_LEN });
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

void policy_init(struct policy *policy, const struct config_profile *profile,
                 const struct policy_material *material) {
    *policy = (struct policy){ .profile = profile };
    uint8_t auth = (uint8_t)profile->client_auth;
    part_set(policy, POLICY_PROFILE, text_bytes(profile->name));
    part_set_names(policy, &profile->server_names);
    part_set(policy, POLICY_CERTIFICATES, material->certificates);
    part_set(policy, POLICY_CLIENT_CERTIFICATE, (struct bytes){ &auth, 1 });
    part_set(policy, POLICY_CLIENT_CA, material->client_ca);
    part_set(policy, POLICY_CLIENT_CRL, material->client_crl);
    policy->ticket_lifetime_s = least(profile->ticket_timeout_s, profile->max_lineage_s);
    policy->cache_lifetime_s = least(profile->cache_timeout_s, profile->max_lineage_s);
}

bool policy_keeps_sessions(const struct policy *policy) {
    const struct config_profile *p = policy->profile;
    return p->authenticate == AUTHENTICATE_ONCE || p->client_auth == CLIENT_AUTH_NONE;
}

uint16_t policy_select_version(const struct policy *policy, const struct hello *hello) {
    unsigned protocols = policy->profile->protocols;
    if ((protocols & CONFIG_TLS13) && hello_offers_version(hello, POLICY_TLS13)) {
        return POLICY_TLS13;
    }
    if ((protocols & CONFIG_TLS12) && hello_offers_version(hello, POLICY_TLS12)) {
        return POLICY_TLS12;
    }
    return 0;
}

struct bytes policy_select_alpn(const struct policy *policy, const struct hello *hello,
                                bool *refused) {
    const struct config_strings *alpn = &policy->profile->alpn;
    *refused = false;
    if (!hello->has_alpn || alpn->count == 0) {
        return (struct bytes){ 0 };
    }
    for (size_t i = 0; i < alpn->count; i++) {
        struct bytes protocol = text_bytes(alpn->at[i]);
        if (hello_offers_alpn(hello, protocol)) {
            return protocol;
        }
    }
    *refused = true;
    return (struct bytes){ 0 };
}
