/* policy.h: what a session is bound to: a profile's policy and its fingerprint.
 *
 * The fingerprint goes into every session, part by part, so that a session from
 * another policy is refused and the refusal can say which part differs (R3). It
 * is computed once when the configuration is loaded.
 */
#ifndef REPRISE_RESUME_POLICY_H
#define REPRISE_RESUME_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"
#include "wire/hello.h"

#define POLICY_TLS12 0x0303u
#define POLICY_TLS13 0x0304u

/* The parts, in the order in which they are compared. */
enum policy_part {
#define POLICY_PART(id, word) POLICY_##id,
#include "resume/policy_part.def"
#undef POLICY_PART
    POLICY_PARTS
};

#define POLICY_PRINT_LEN 8 /* bytes of SHA-256 kept a part: a binding, not a secret */

struct policy_print {
    uint8_t part[POLICY_PARTS][POLICY_PRINT_LEN];
};

/* What the profile's files hold; borrowed during policy_init. */
struct policy_material {
    struct bytes certificates; /* the leaf certificates' DER, one after the other */
    struct bytes client_ca;    /* the CA file's contents */
    struct bytes client_crl;
};

struct policy {
    const struct config_profile *profile; /* borrowed; outlives the policy */
    struct policy_print print;
    uint32_t ticket_lifetime_s; /* the least of ticket-timeout and max-lineage */
    uint32_t cache_lifetime_s;
};

/* Whether sessions may be kept and resumed at all: not where each connection is to
 * show its client certificate anew. */
bool policy_keeps_sessions(const struct policy *policy);

void policy_init(struct policy *policy, const struct config_profile *profile,
                 const struct policy_material *material);

/* The word for a part: "client-ca". */
const char *policy_part_word(enum policy_part part);

/* The TLS version that a hello negotiates under the policy: POLICY_TLS13,
 * POLICY_TLS12, or 0 when they share none. */
uint16_t policy_select_version(const struct policy *policy, const struct hello *hello);

/* The ALPN protocol: the first of the profile's that the hello offers (RFC 7301
 * 3.2: the server's preference). An empty run when either side has none.
 * *refused is set when both have some and share none. */
struct bytes policy_select_alpn(const struct policy *policy, const struct hello *hello,
                                bool *refused);

#endif
