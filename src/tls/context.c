/* context.c: see context.h. */
#include "tls/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/crypto.h"
#include "tls/check.h"
#include "tls/conn.h"

#define FILE_BYTES_MAX (64 * 1024 * 1024) /* of a CA or CRL file */

/* Owned bytes; freed by the caller. */
struct file {
    uint8_t *data;
    size_t len;
};

/* What reading a profile's files needs, passed as one. Each file is read once: what the
 * fingerprint says is what the contexts have. */
struct loader {
    const struct config *config;
    const struct config_profile *profile;
    struct err *err;
    struct file *chains; /* as the profile's certificates */
    struct file ca;
    struct file crl;
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

static BIO *file_bio(const struct file *f) {
    return BIO_new_mem_buf(f->data, (ossl_ssize_t)f->len);
}

/* Whether a reader of PEM stopped at the end of the file, not at a fault. */
static bool is_at_end(void) {
    bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (at_end) {
        ERR_clear_error();
    }
    return at_end;
}

static int ctx_use_chain(SSL_CTX *ctx, const struct file *pem) {
    BIO *bio = file_bio(pem);
    X509 *one = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    bool ok = one && SSL_CTX_use_certificate(ctx, one) == 1 && SSL_CTX_clear_chain_certs(ctx) == 1;
    X509_free(one);
    while (ok && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = SSL_CTX_add1_chain_cert(ctx, one) == 1;
        X509_free(one);
    }
    BIO_free(bio);
    return ok && is_at_end() ? 0 : -1;
}

/* RSA and ECDSA side by side: the library keeps one certificate for each kind of
 * key and takes the one that the client's signature algorithms allow. */
static int ctx_add_certificate(const struct loader *l, SSL_CTX *ctx, size_t i) {
    const struct config_certificate *c = &l->profile->certificates[i];
    if (ctx_use_chain(ctx, &l->chains[i]) != 0) {
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

/* Names the authorities to clients. */
static int ctx_name_authorities(SSL_CTX *ctx, const struct file *ca) {
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    BIO *bio = file_bio(ca);
    int rc = names && bio && SSL_add_bio_cert_subjects_to_stack(names, bio) == 1 ? 0 : -1;
    BIO_free(bio);
    SSL_CTX_set_client_CA_list(ctx, names);
    return rc;
}

/* Trusts the certificates of client-ca; revocation lists among them count, too. */
static int ctx_trust(SSL_CTX *ctx, const struct file *ca) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = file_bio(ca);
    STACK_OF(X509_INFO) *all = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    size_t count = 0;
    for (size_t i = 0; all && i < sk_X509_INFO_num(all); i++) {
        const X509_INFO *one = sk_X509_INFO_value(all, i);
        count += one->x509 && X509_STORE_add_cert(store, one->x509) == 1;
        if (one->crl) {
            X509_STORE_add_crl(store, one->crl);
        }
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(bio);
    if (count == 0) {
        OPENSSL_PUT_ERROR(PEM, PEM_R_NO_START_LINE);
        return -1;
    }
    return ctx_name_authorities(ctx, ca);
}

static int ctx_add_crls(SSL_CTX *ctx, const struct file *crl) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = file_bio(crl);
    unsigned count = 0;
    X509_CRL *one;
    while (bio && (one = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        count += X509_STORE_add_crl(store, one) == 1;
        X509_CRL_free(one);
    }
    BIO_free(bio);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return count > 0 && is_at_end() ? 0 : -1;
}

static int ctx_set_client_auth(const struct loader *l, SSL_CTX *ctx) {
    const struct config_profile *p = l->profile;
    if (p->client_auth == CLIENT_AUTH_NONE) {
        return 0;
    }
    bool require = p->client_auth == CLIENT_AUTH_REQUIRE;
    int mode = SSL_VERIFY_PEER | (require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    SSL_CTX_set_verify(ctx, mode, NULL);
    if (ctx_trust(ctx, &l->ca) != 0) {
        return load_fail(l, p->line, "client-ca", p->client_ca_file);
    }
    return p->client_crl_file && ctx_add_crls(ctx, &l->crl) != 0
               ? load_fail(l, p->line, "client-crl", p->client_crl_file)
               : 0;
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

static SSL_CTX *ctx_make(const struct loader *l, unsigned tickets) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) {
        err_set(l->err, "%s:%u: no memory for a TLS context", l->config->file, l->profile->line);
        return NULL;
    }
    if (ctx_set_protocol(l, ctx) != 0 || ctx_set_client_auth(l, ctx) != 0) {
        goto fail;
    }
    for (size_t i = 0; i < l->profile->certificate_count; i++) {
        if (ctx_add_certificate(l, ctx, i) != 0) {
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

/* Reads a chain; describes its leaf, and adds the leaf's DER to `out`. */
static int read_chain(const struct loader *l, size_t i, struct tls_certificate *described,
                      struct file *out) {
    const struct config_certificate *c = &l->profile->certificates[i];
    if (file_read(l, c->line, "certificate chain", c->chain_file, &l->chains[i]) != 0) {
        return -1;
    }
    BIO *bio = file_bio(&l->chains[i]);
    X509 *leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
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

/* All files but the private keys. `leaves`: the leaf certificates' DER, one after the
 * other, for the fingerprint. */
static int read_files(struct loader *l, struct tls_profile *profile, struct file *leaves) {
    const struct config_profile *p = l->profile;
    profile->certificates = calloc(p->certificate_count, sizeof(*profile->certificates));
    l->chains = calloc(p->certificate_count, sizeof(*l->chains));
    if (!profile->certificates || !l->chains) {
        return err_set(l->err, "%s:%u: no memory for certificates", l->config->file, p->line);
    }
    for (size_t i = 0; i < p->certificate_count; i++) {
        if (read_chain(l, i, &profile->certificates[i], leaves) != 0) {
            return -1;
        }
    }
    if (p->client_ca_file && file_read(l, p->line, "client-ca", p->client_ca_file, &l->ca) != 0) {
        return -1;
    }
    return p->client_crl_file ? file_read(l, p->line, "client-crl", p->client_crl_file, &l->crl)
                              : 0;
}

/* A chain's file may have the private key in it. */
static void loader_fini(struct loader *l) {
    for (size_t i = 0; l->chains && i < l->profile->certificate_count; i++) {
        crypto_wipe(l->chains[i].data, l->chains[i].len);
        free(l->chains[i].data);
    }
    free(l->chains);
    free(l->ca.data);
    free(l->crl.data);
}

static struct bytes file_bytes(const struct file *f) {
    return (struct bytes){ f->data, f->len };
}

static int profile_load(struct loader *l, struct tls_profile *profile) {
    struct file leaves = { 0 };
    profile->config = l->profile;
    int rc = read_files(l, profile, &leaves);
    if (rc == 0) {
        policy_init(&profile->policy, l->profile,
                    &(struct policy_material){ file_bytes(&leaves), file_bytes(&l->ca),
                                               file_bytes(&l->crl) });
    }
    for (unsigned n = 1; rc == 0 && n <= TLS_TICKETS_MAX; n++) {
        profile->ctx[n - 1] = ctx_make(l, n);
        rc = profile->ctx[n - 1] ? 0 : -1;
    }
    free(leaves.data);
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
        struct loader l = { .config = config, .profile = &config->profiles[i], .err = err };
        ERR_clear_error();
        int rc = profile_load(&l, &set->profiles[i]);
        loader_fini(&l);
        if (rc != 0) {
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
