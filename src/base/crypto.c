/* crypto.c: see crypto.h. */
#include "base/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <openssl/aead.h>
#include <openssl/base64.h>
#include <openssl/hmac.h>
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
