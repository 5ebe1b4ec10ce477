/* crypto.c: see crypto.h. */
#include "base/crypto.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/aead.h>
#include <openssl/base64.h>
#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/siphash.h>

#define ZERO_PART 8u

static_assert(sizeof(EVP_AEAD_CTX) <= CRYPTO_AEAD_BYTES, "the context fits its storage");
static_assert(_Alignof(EVP_AEAD_CTX) <= 16, "the context fits its storage");

/* The library's context within ours. */
static EVP_AEAD_CTX *aead_ctx(const struct crypto_aead *aead) {
    return (EVP_AEAD_CTX *)(uintptr_t)aead->state;
}

void crypto_random(void *buf, size_t len) {
    if (RAND_bytes(buf, len) != 1) {
        abort();
    }
}

void crypto_wipe(void *buf, size_t len) {
    OPENSSL_cleanse(buf, len);
}

bool crypto_equal(const void *a, const void *b, size_t len) {
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool crypto_is_zero(const void *buf, size_t len) {
    const uint8_t *p = buf;
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= p[i];
    }
    return any == 0;
}

bool crypto_has_zero_part(const void *buf, size_t len) {
    const uint8_t *p = buf;
    bool found = false;
    for (size_t at = 0; at + ZERO_PART <= len; at += ZERO_PART) {
        found |= crypto_is_zero(p + at, ZERO_PART);
    }
    return found;
}

void crypto_hash(struct bytes data, uint8_t out[static CRYPTO_HASH_LEN]) {
    SHA256(data.data, data.len, out);
}

void crypto_derive(const uint8_t key[static CRYPTO_KEY_LEN], const char *label,
                   struct bytes context, uint8_t out[static CRYPTO_KEY_LEN]) {
    HMAC_CTX ctx;
    HMAC_CTX_init(&ctx);
    unsigned len = 0;
    if (!HMAC_Init_ex(&ctx, key, CRYPTO_KEY_LEN, EVP_sha256(), NULL) ||
        !HMAC_Update(&ctx, (const uint8_t *)label, strlen(label)) ||
        !HMAC_Update(&ctx, context.data, context.len) || !HMAC_Final(&ctx, out, &len) ||
        len != CRYPTO_KEY_LEN) {
        abort(); /* out of memory in a fixed-size computation: no key is better than a wrong one */
    }
    HMAC_CTX_cleanup(&ctx);
}

void crypto_extract(const char *label, struct bytes secret, uint8_t out[static CRYPTO_KEY_LEN]) {
    unsigned len = 0;
    if (!HMAC(EVP_sha256(), label, strlen(label), secret.data, secret.len, out, &len) ||
        len != CRYPTO_KEY_LEN) {
        abort(); /* as above */
    }
}

int crypto_base64(struct bytes text, uint8_t *out, size_t cap, size_t *len) {
    return EVP_DecodeBase64(out, len, cap, text.data, text.len) ? 0 : -1;
}

void crypto_hash_key(uint64_t key[static 2]) {
    if (getentropy(key, 2 * sizeof(key[0])) != 0) {
        abort();
    }
}

uint64_t crypto_siphash(const uint64_t key[static 2], struct bytes data) {
    return SIPHASH_24(key, data.data, data.len);
}

int crypto_aead_init(struct crypto_aead *aead, const uint8_t key[static CRYPTO_KEY_LEN]) {
    return EVP_AEAD_CTX_init(aead_ctx(aead), EVP_aead_aes_256_gcm(), key, CRYPTO_KEY_LEN,
                             CRYPTO_TAG_LEN, NULL)
               ? 0
               : -1;
}

void crypto_aead_fini(struct crypto_aead *aead) {
    EVP_AEAD_CTX_cleanup(aead_ctx(aead));
    OPENSSL_cleanse(aead, sizeof(*aead));
}

int crypto_aead_seal(const struct crypto_aead *aead, const uint8_t nonce[static CRYPTO_NONCE_LEN],
                     struct bytes ad, struct bytes in, uint8_t *out) {
    size_t len = 0;
    if (!EVP_AEAD_CTX_seal(aead_ctx(aead), out, &len, in.len + CRYPTO_TAG_LEN, nonce,
                           CRYPTO_NONCE_LEN, in.data, in.len, ad.data, ad.len)) {
        return -1;
    }
    return len == in.len + CRYPTO_TAG_LEN ? 0 : -1;
}

int crypto_aead_open(const struct crypto_aead *aead, const uint8_t nonce[static CRYPTO_NONCE_LEN],
                     struct bytes ad, struct bytes in, uint8_t *out) {
    if (in.len < CRYPTO_TAG_LEN) {
        return -1;
    }
    size_t len = 0;
    if (!EVP_AEAD_CTX_open(aead_ctx(aead), out, &len, in.len - CRYPTO_TAG_LEN, nonce,
                           CRYPTO_NONCE_LEN, in.data, in.len, ad.data, ad.len)) {
        return -1;
    }
    return 0;
}

static const EVP_MD *digest_of(enum crypto_digest digest) {
    switch (digest) {
    case CRYPTO_MD5_SHA1:
        return EVP_md5_sha1();
    case CRYPTO_SHA1:
        return EVP_sha1();
    case CRYPTO_SHA256:
        return EVP_sha256();
    case CRYPTO_SHA384:
        return EVP_sha384();
    }
    return NULL;
}

int crypto_expand(enum crypto_digest digest, struct bytes secret, struct bytes info, uint8_t *out,
                  size_t out_len) {
    return HKDF_expand(out, out_len, digest_of(digest), secret.data, secret.len, info.data,
                       info.len)
               ? 0
               : -1;
}

int crypto_prf(enum crypto_digest digest, struct bytes secret, const char *label, struct bytes seed,
               uint8_t *out, size_t out_len) {
    return CRYPTO_tls1_prf(digest_of(digest), out, out_len, secret.data, secret.len, label,
                           strlen(label), seed.data, seed.len, NULL, 0)
               ? 0
               : -1;
}

size_t crypto_hmac(enum crypto_digest digest, struct bytes key, struct bytes a, struct bytes b,
                   uint8_t *out) {
    HMAC_CTX ctx;
    HMAC_CTX_init(&ctx);
    unsigned len = 0;
    if (!HMAC_Init_ex(&ctx, key.data, key.len, digest_of(digest), NULL) ||
        !HMAC_Update(&ctx, a.data, a.len) || !HMAC_Update(&ctx, b.data, b.len) ||
        !HMAC_Final(&ctx, out, &len)) {
        len = 0;
    }
    HMAC_CTX_cleanup(&ctx);
    return len;
}

static const EVP_AEAD *aead_of(enum crypto_cipher cipher) {
    switch (cipher) {
    case CRYPTO_AES_128_GCM:
        return EVP_aead_aes_128_gcm();
    case CRYPTO_AES_256_GCM:
        return EVP_aead_aes_256_gcm();
    case CRYPTO_CHACHA20_POLY1305:
        return EVP_aead_chacha20_poly1305();
    default:
        return NULL;
    }
}

int crypto_open(enum crypto_cipher cipher, struct bytes key,
                const uint8_t nonce[static CRYPTO_NONCE_LEN], struct bytes ad, struct bytes in,
                uint8_t *out) {
    const EVP_AEAD *aead = aead_of(cipher);
    EVP_AEAD_CTX ctx;
    EVP_AEAD_CTX_zero(&ctx);
    size_t len = 0;
    bool good = in.len >= CRYPTO_TAG_LEN && aead &&
                EVP_AEAD_CTX_init(&ctx, aead, key.data, key.len, CRYPTO_TAG_LEN, NULL) &&
                EVP_AEAD_CTX_open(&ctx, out, &len, in.len - CRYPTO_TAG_LEN, nonce, CRYPTO_NONCE_LEN,
                                  in.data, in.len, ad.data, ad.len);
    EVP_AEAD_CTX_cleanup(&ctx);
    OPENSSL_cleanse(&ctx, sizeof(ctx));
    return good ? 0 : -1;
}

static const EVP_CIPHER *cbc_of(enum crypto_cipher cipher) {
    switch (cipher) {
    case CRYPTO_AES_128_CBC:
        return EVP_aes_128_cbc();
    case CRYPTO_AES_256_CBC:
        return EVP_aes_256_cbc();
    case CRYPTO_3DES_CBC:
        return EVP_des_ede3_cbc();
    default:
        return NULL;
    }
}

int crypto_cbc(enum crypto_cipher cipher, struct bytes key, const uint8_t *iv, struct bytes in,
               uint8_t *out) {
    const EVP_CIPHER *cbc = cbc_of(cipher);
    EVP_CIPHER_CTX ctx;
    EVP_CIPHER_CTX_init(&ctx);
    int len = 0;
    bool good = cbc && key.len == EVP_CIPHER_key_length(cbc) && in.len <= INT_MAX &&
                EVP_DecryptInit_ex(&ctx, cbc, NULL, key.data, iv) &&
                EVP_CIPHER_CTX_set_padding(&ctx, 0) &&
                EVP_DecryptUpdate(&ctx, out, &len, in.data, (int)in.len) && (size_t)len == in.len;
    EVP_CIPHER_CTX_cleanup(&ctx);
    return good ? 0 : -1;
}

void *secret_alloc(size_t len) {
    void *secret = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED) {
        return NULL;
    }
    if (mlock(secret, len) != 0 || madvise(secret, len, MADV_DONTDUMP) != 0) {
        munmap(secret, len);
        return NULL;
    }
    return secret;
}

int secret_lock(void *secret, size_t len) {
    return mlock(secret, len);
}

void secret_free(void *secret, size_t len) {
    if (secret) {
        OPENSSL_cleanse(secret, len);
        munmap(secret, len);
    }
}
