/* context.c: see context.h. */
#include "tls/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tls/check.h"
#include "tls/conn.h"

#define FILE_BYTES_MAX (64 * 1024 * 1024) /* of a CA or CRL file */

/* What reading a profile's files needs, passed as one. */
struct loader {
    const struct config *config;
    const struct config_profile *profile;
    struct err *err;
};

const char *tls_error_text(char *buf, size_t cap) {
    uint32_t code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(buf, cap, "%s", reason ? reason : "unspecified error");
    ERR_clear_error();
    return buf;
}

static int load_fail(const struct loader *l, unsigned line, const char *what, const char *file) {
    char why[160];
    return err_set(l->err, "%s:%u: %s '%s' cannot be used: %s, expected PEM", l->config->file, line,
                   what, file, tls_error_text(why, sizeof(why)));
}

/* Owned bytes; freed by the caller. */
struct file {
    uint8_t *data;
    size_t len;
};

static int file_read(const struct loader *l, unsigned line, const char *what, const char *path,
                     struct file *out) {
    *out = (struct file){ 0 };
    FILE *f = fopen(path, "rbe");
    if (!f) {
        return err_set_errno(l->err, errno, "%s:%u: %s '%s' cannot be read", l->config->file, line,
                             what, path);
    }
    size_t cap = 65536;
    int rc = -1;
    uint8_t *data = malloc(cap);
    while (data) {
        out->len += fread(data + out->len, 1, cap - out->len, f);
        if (out->len < cap) {
            break;
        }
        uint8_t *more = cap < FILE_BYTES_MAX ? realloc(data, cap * 2) : NULL;
        if (!more) {
            err_set(l->err, "%s:%u: %s '%s' is larger than %d bytes", l->config->file, line, what,
                    path, FILE_BYTES_MAX);
            goto out;
        }
        data = more;
        cap *= 2;
    }
    if (!data || ferror(f)) {
        err_set_errno(l->err, errno, "%s:%u: %s '%s' cannot be read", l->config->file, line, what,
                      path);
        goto out;
    }
    out->data = data;
    data = NULL;
    rc = 0;
out:
    free(data);
    fclose(f);
    return rc;
}

/* RSA and ECDSA side by side: the library keeps one certificate for each kind of
 * key and takes the one that the client's signature algorithms allow. */
static int ctx_add_certificate(const struct loader *l, SSL_CTX *ctx,
                               const struct config_certificate *c) {
    if (SSL_CTX_use_certificate_chain_file(ctx, c->chain_file) != 1) {
        return load_fail(l, c->line, "certificate chain", c->chain_file);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, c->key_file, SSL_FILETYPE_PEM) != 1) {
        return load_fail(l, c->line, "private key", c->key_file);
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return load_fail(l, c->line, "private key", c->key_file);
    }
    return 0;
}

static int ctx_set_client_auth(const struct loader *l, SSL_CTX *ctx, const struct file *crl) {
    const struct config_profile *p = l->profile;
    if (p->client_auth == CLIENT_AUTH_NONE) {
        return 0;
    }
    bool require = p->client_auth == CLIENT_AUTH_REQUIRE;
    int mode = SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(ctx, mode, NULL);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(p->client_ca_file);
    if (!names || SSL_CTX_load_verify_locations(ctx, p->client_ca_file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return load_fail(l, p->line, "client-ca", p->client_ca_file);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    if (!p->client_crl_file) {
        return 0;
    }
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = BIO_new_mem_buf(crl->data, (ossl_ssize_t)crl->len);
    unsigned count = 0;
    X509_CRL *one;
    while (bio && (one = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_crl(store, one) == 1;
        X509_CRL_free(one);
    }
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    if (count == 0 || !at_end) {
        return load_fail(l, p->line, "client-crl", p->client_crl_file);
    }
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

static int ctx_set_protocol(const struct loader *l, SSL_CTX *ctx) {
    const struct config_profile *p = l->profile;
    char why[160];
    uint16_t min = p->protocols & CONFIG_TLS12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    uint16_t max = p->protocols & CONFIG_TLS13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, max)) {
        return err_set(l->err, "%s:%u: protocols cannot be set: %s", l->config->file, p->line,
                       tls_error_text(why, sizeof(why)));
    }
    if (SSL_CTX_set_strict_cipher_list(ctx, p->ciphers) != 1) {
        return err_set(l->err,
                       "%s:%u: ciphers '%s' cannot be used: %s, expected TLS 1.2 cipher names",
                       l->config->file, p->line, p->ciphers, tls_error_text(why, sizeof(why)));
    }
    if (SSL_CTX_set1_groups_list(ctx, p->groups) != 1) {
        return err_set(l->err, "%s:%u: groups '%s' cannot be used: %s", l->config->file, p->line,
                       p->groups, tls_error_text(why, sizeof(why)));
    }
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return 0;
}

/* The rest is set by connection, see tls/conn.c. */
static void ctx_set_resumption(SSL_CTX *ctx, unsigned tickets) {
    static const uint8_t context[] = "reprise";
    SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1);
    SSL_CTX_set_num_tickets(ctx, tickets);
    tls_conn_set_callbacks(ctx);
}

static SSL_CTX *ctx_make(const struct loader *l, const struct file *crl, unsigned tickets) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        err_set(l->err, "%s:%u: no memory for a TLS context", l->config->file, l->profile->line);
        return NULL;
    }
    if (ctx_set_protocol(l, ctx) != 0 || ctx_set_client_auth(l, ctx, crl) != 0) {
        goto fail;
    }
    for (size_t i = 0; i < l->profile->certificate_count; i++) {
        if (ctx_add_certificate(l, ctx, &l->profile->certificates[i]) != 0) {
            goto fail;
        }
    }
    ctx_set_resumption(ctx, tickets);
    return ctx;
fail:
    SSL_CTX_free(ctx);
    return NULL;
}

static void describe_leaf(X509 *leaf, struct tls_certificate *out) {
    EVP_PKEY *key = X509_get_pubkey(leaf);
    int digest = NID_undef;
    out->key_type = key ? EVP_PKEY_id(key) : EVP_PKEY_NONE;
    const char *kind = out->key_type == EVP_PKEY_RSA  ? "RSA"
                       : out->key_type == EVP_PKEY_EC ? "EC"
                                                      : NULL;
    if (kind) {
        snprintf(out->key_alg, sizeof(out->key_alg), "%s%d", kind, EVP_PKEY_bits(key));
    } else if (key) {
        snprintf(out->key_alg, sizeof(out->key_alg), "%s", OBJ_nid2sn(out->key_type));
    }
    if (OBJ_find_sigid_algs(X509_get_signature_nid(leaf), &digest, NULL) && digest != NID_undef) {
        snprintf(out->sig_alg, sizeof(out->sig_alg), "%s", OBJ_nid2sn(digest));
    }
    EVP_PKEY_free(key);
}

/* Reads one leaf: describes it, and adds its DER to `out`. */
static int read_leaf(const struct loader *l, const struct config_certificate *c,
                     struct tls_certificate *described, struct file *out) {
    BIO *bio = BIO_new_file(c->chain_file, "r");
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    int len = leaf ? i2d_X509(leaf, NULL) : -1;
    uint8_t *grown = len > 0 ? realloc(out->data, out->len + (size_t)len) : NULL;
    if (!grown) {
        X509_free(leaf);
        return load_fail(l, c->line, "certificate chain", c->chain_file);
    }
    out->data = grown;
    uint8_t *at = grown + out->len;
    i2d_X509(leaf, &at);
    out->len += (size_t)len;
    describe_leaf(leaf, described);
    X509_free(leaf);
    return 0;
}

/* The leaf certificates' DER, one after the other, for the fingerprint. */
static int read_leaves(const struct loader *l, struct tls_profile *profile, struct file *out) {
    profile->certificates = calloc(l->profile->certificate_count, sizeof(*profile->certificates));
    if (!profile->certificates) {
        return err_set(l->err, "%s:%u: no memory for certificates", l->config->file,
                       l->profile->line);
    }
    for (size_t i = 0; i < l->profile->certificate_count; i++) {
        if (read_leaf(l, &l->profile->certificates[i], &profile->certificates[i], out) != 0) {
            return -1;
        }
    }
    return 0;
}

static struct bytes file_bytes(const struct file *f) {
    return (struct bytes){ f->data, f->len };
}

static int profile_load(const struct loader *l, struct tls_profile *profile) {
    const struct config_profile *p = l->profile;
    struct file leaves = { 0 };
    struct file ca = { 0 };
    struct file crl = { 0 };
    int rc = -1;
    profile->config = p;
    if (read_leaves(l, profile, &leaves) != 0 ||
        (p->client_ca_file && file_read(l, p->line, "client-ca", p->client_ca_file, &ca) != 0) ||
        (p->client_crl_file &&
         file_read(l, p->line, "client-crl", p->client_crl_file, &crl) != 0)) {
        goto out;
    }
    policy_init(
        &profile->policy, p,
        &(struct policy_material){ file_bytes(&leaves), file_bytes(&ca), file_bytes(&crl) });
    for (unsigned n = 1; n <= TLS_TICKETS_MAX; n++) {
        profile->ctx[n - 1] = ctx_make(l, &crl, n);
        if (!profile->ctx[n - 1]) {
            goto out;
        }
    }
    rc = 0;
out:
    free(leaves.data);
    free(ca.data);
    free(crl.data);
    return rc;
}

struct tls_set *tls_set_load(const struct config *config, struct err *err) {
    struct tls_set *set = calloc(1, sizeof(*set));
    struct tls_profile *profiles = calloc(config->profile_count + 1, sizeof(*profiles));
    if (!set || !profiles) {
        err_set(err, "%s: no memory for %zu profiles", config->file, config->profile_count);
        free(set);
        free(profiles);
        return NULL;
    }
    set->profiles = profiles;
    set->config_profiles = config->profiles;
    set->count = config->profile_count;
    for (size_t i = 0; i < set->count; i++) {
        struct loader l = { config, &config->profiles[i], err };
        ERR_clear_error();
        if (profile_load(&l, &set->profiles[i]) != 0) {
            tls_set_free(set);
            return NULL;
        }
    }
    return set;
}

void tls_set_free(struct tls_set *set) {
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->count; i++) {
        for (unsigned n = 0; n < TLS_TICKETS_MAX; n++) {
            SSL_CTX_free(set->profiles[i].ctx[n]);
        }
        free(set->profiles[i].certificates);
    }
    free(set->profiles);
    free(set);
}

const struct tls_profile *tls_set_find(const struct tls_set *set,
                                       const struct config_profile *profile) {
    return &set->profiles[profile - set->config_profiles];
}

int tls_check_config(const struct config *config, struct err *err) {
    struct tls_set *set = tls_set_load(config, err);
    tls_set_free(set);
    return set ? 0 : -1;
}
