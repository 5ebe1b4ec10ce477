/* selfsigned.c: see selfsigned.h. */
#include "tls/selfsigned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/context.h"

#define DAY_S 86400L

static EVP_PKEY *make_key(void) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) != 1 ||
        EVP_PKEY_keygen(ctx, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static int add_extension(X509 *cert, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    int ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok ? 0 : -1;
}

static X509 *make_certificate(EVP_PKEY *key) {
    X509 *cert = X509_new();
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    uint64_t serial = 0;
    RAND_bytes((uint8_t *)&serial, sizeof(serial));
    if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) != 1 ||
        !X509_gmtime_adj(X509_getm_notBefore(cert), -60 * 60) ||
        !X509_gmtime_adj(X509_getm_notAfter(cert), SELFSIGNED_DAYS * DAY_S) ||
        X509_set_pubkey(cert, key) != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1,
                                   0) != 1 ||
        X509_set_issuer_name(cert, name) != 1 ||
        add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") != 0 ||
        add_extension(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") != 0 ||
        X509_sign(cert, key, EVP_sha256()) == 0) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static FILE *create(const char *path, mode_t mode, struct err *err) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        err_set_errno(err, errno, "cannot write '%s'", path);
        if (fd >= 0) {
            close(fd);
        }
    }
    return f;
}

int selfsigned_make(const char *chain_file, const char *key_file, struct err *err) {
    char why[160];
    EVP_PKEY *key = make_key();
    X509 *cert = key ? make_certificate(key) : NULL;
    FILE *f = NULL;
    int rc = -1;
    if (!cert) {
        err_set(err, "cannot make a certificate: %s", tls_error_text(why, sizeof(why)));
        goto out;
    }
    f = create(key_file, 0600, err);
    if (!f) {
        goto out;
    }
    int written = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    if (fclose(f) != 0 || written != 1) {
        err_set_errno(err, errno, "cannot write '%s'", key_file);
        goto out;
    }
    f = create(chain_file, 0644, err);
    if (!f) {
        goto out;
    }
    written = PEM_write_X509(f, cert);
    if (fclose(f) != 0 || written != 1) {
        err_set_errno(err, errno, "cannot write '%s'", chain_file);
        goto out;
    }
    rc = 0;
out:
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

bool selfsigned_is_fresh(const char *chain_file, const char *key_file) {
    FILE *f = access(key_file, R_OK) == 0 ? fopen(chain_file, "re") : NULL;
    if (!f) {
        return false;
    }
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    int64_t end = 0;
    bool fresh =
        cert && ASN1_TIME_to_posix(X509_get0_notAfter(cert), &end) == 1 && end > time(NULL) + DAY_S;
    X509_free(cert);
    return fresh;
}
