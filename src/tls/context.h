/* context.h: the TLS library's contexts, one set a client-SSL profile.
 *
 * Certificates, keys, CA and CRL files are read here, in the master, when a
 * configuration is loaded; workers inherit the contexts over fork and share
 * their pages. A missing, unreadable or malformed file is an error (R11).
 */
#ifndef REPRISE_TLS_CONTEXT_H
#define REPRISE_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "config/config.h"
#include "resume/policy.h"

/* TLS 1.3 tickets that one handshake issues at the most. The library counts them
 * by context, hence one context for each number from 1 up. */
#define TLS_TICKETS_MAX 2
/* After a full handshake a client often opens several connections at once. */
#define TLS_TICKETS_NEW 2
#define TLS_TICKETS_RESUMED 1

/* What backends are told of a server certificate. */
struct tls_certificate {
    int key_type;     /* EVP_PKEY_RSA, EVP_PKEY_EC, ... */
    char key_alg[16]; /* "RSA2048", "EC256" */
    char sig_alg[16]; /* the digest of its signature: "SHA256"; empty when it has none */
};

struct tls_profile {
    const struct config_profile *config; /* borrowed */
    struct policy policy;
    SSL_CTX *ctx[TLS_TICKETS_MAX];        /* owned; [n - 1] issues n tickets */
    struct tls_certificate *certificates; /* owned; as config has them */
};

struct tls_set {
    struct tls_profile *profiles; /* owned; the same order as config.profiles */
    size_t count;
    const struct config_profile *config_profiles; /* borrowed: config.profiles */
};

/* Loads what all profiles of `config` (borrowed; outlives the set) name. Returns
 * an owned set, or null with `err` set to `file:line: ...`. Master and check. */
struct tls_set *tls_set_load(const struct config *config, struct err *err);

/* Frees the contexts; keys are wiped by the library. Null is allowed. */
void tls_set_free(struct tls_set *set);

/* The contexts of one of the profiles of the configuration that the set was
 * loaded from. Borrowed. */
const struct tls_profile *tls_set_find(const struct tls_set *set,
                                       const struct config_profile *profile);

/* Writes the library's oldest error as text, and empties its queue. Returns buf. */
const char *tls_error_text(char *buf, size_t cap);

#endif
