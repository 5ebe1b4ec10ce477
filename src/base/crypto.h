/* crypto.h: the few primitives that Reprise itself needs, over libcrypto.
 *
 * The TLS protocol is behind tls/; this file is the only other door to the
 * library, so that the layers below (store, resume) seal, hash and draw random
 * bytes without knowing it. All functions are callable from any process.
 */
#ifndef REPRISE_BASE_CRYPTO_H
#define REPRISE_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define CRYPTO_KEY_LEN 32
#define CRYPTO_NONCE_LEN 12
#define CRYPTO_TAG_LEN 16
#define CRYPTO_HASH_LEN 32

/* Fills buf from the library's CSPRNG (fork-safe). Never fails: it ends the
 * process rather than return predictable bytes. */
void crypto_random(void *buf, size_t len);

/* Overwrites a secret in a way that the compiler keeps. */
void crypto_wipe(void *buf, size_t len);

/* Compares in a time that depends on len only. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* True when all len bytes are zero, in a time that depends on len only. */
bool crypto_is_zero(const void *buf, size_t len);

/* True when any 8 bytes in a row from a multiple of 8 on are zero, in a time that depends on
 * len only: what a key that was never, or only partly, filled in looks like. A random
 * key of 32 bytes does once in 2^62. */
bool crypto_has_zero_part(const void *buf, size_t len);

/* SHA-256 of the data. */
void crypto_hash(struct bytes data, uint8_t out[static CRYPTO_HASH_LEN]);

/* Derives a key: HMAC-SHA256(key, label || context), both parts of fixed length
 * by their caller, so that no two contexts of one label run into each other. */
void crypto_derive(const uint8_t key[static CRYPTO_KEY_LEN], const char *label,
                   struct bytes context, uint8_t out[static CRYPTO_KEY_LEN]);

/* Makes a key of a secret of any length: HMAC-SHA256(label, secret), which is HKDF's extraction
 * (RFC 5869 2.2) with the label as salt. */
void crypto_extract(const char *label, struct bytes secret, uint8_t out[static CRYPTO_KEY_LEN]);

/* Decodes base64 (RFC 4648 4), with nothing before, between or behind, in a time that depends on
 * the length only. Returns 0 and the length; or -1, also when cap is less than 3 bytes for each
 * 4 of the text. */
int crypto_base64(struct bytes text, uint8_t *out, size_t cap, size_t *len);

/* A random key for crypto_siphash, straight from the system: seeding the library's generator
 * costs more than a short-lived command does. Never fails: it ends the process instead. */
void crypto_hash_key(uint64_t key[static 2]);

/* SipHash-2-4: where an attacker can choose what is indexed. */
uint64_t crypto_siphash(const uint64_t key[static 2], struct bytes data);

/* AES-256-GCM under one key. The expanded key lies within the object, so that
 * the owner chooses where in memory it is (see secret_alloc). */
#define CRYPTO_AEAD_BYTES 640
struct crypto_aead {
    _Alignas(16) uint8_t state[CRYPTO_AEAD_BYTES];
};

/* Prepares a context. Returns 0, or -1 when the library refuses. */
int crypto_aead_init(struct crypto_aead *aead, const uint8_t key[static CRYPTO_KEY_LEN]);

/* Wipes it. A zeroed or wiped context may be given. */
void crypto_aead_fini(struct crypto_aead *aead);

/* Writes in.len + CRYPTO_TAG_LEN bytes to out. The nonce must never be used
 * twice under the key. Returns 0 or -1. */
int crypto_aead_seal(const struct crypto_aead *aead, const uint8_t nonce[static CRYPTO_NONCE_LEN],
                     struct bytes ad, struct bytes in, uint8_t *out);

/* Writes in.len - CRYPTO_TAG_LEN bytes to out when the tag is right; returns
 * 0, or -1 with nothing of use in out. */
int crypto_aead_open(const struct crypto_aead *aead, const uint8_t nonce[static CRYPTO_NONCE_LEN],
                     struct bytes ad, struct bytes in, uint8_t *out);

/* --- reading what others encrypted, with a key log (capture/) --- */

enum crypto_digest { CRYPTO_MD5_SHA1, CRYPTO_SHA1, CRYPTO_SHA256, CRYPTO_SHA384 };

#define CRYPTO_DIGEST_MAX 48

/* HKDF-Expand (RFC 5869 2.3), with SHA-256 or SHA-384. Returns 0 or -1. */
int crypto_expand(enum crypto_digest digest, struct bytes secret, struct bytes info, uint8_t *out,
                  size_t out_len);

/* The PRF of TLS 1.0 and 1.1 (CRYPTO_MD5_SHA1) or 1.2 (RFC 5246 5) over label || seed.
 * Returns 0 or -1. */
int crypto_prf(enum crypto_digest digest, struct bytes secret, const char *label, struct bytes seed,
               uint8_t *out, size_t out_len);

/* HMAC over a || b; out takes CRYPTO_DIGEST_MAX bytes. Returns the length, or 0. */
size_t crypto_hmac(enum crypto_digest digest, struct bytes key, struct bytes a, struct bytes b,
                   uint8_t *out);

enum crypto_cipher {
    CRYPTO_AES_128_GCM,
    CRYPTO_AES_256_GCM,
    CRYPTO_CHACHA20_POLY1305,
    CRYPTO_AES_128_CBC,
    CRYPTO_AES_256_CBC,
    CRYPTO_3DES_CBC,
};

/* Opens one AEAD record; out takes in.len - CRYPTO_TAG_LEN bytes and may be where `in` is.
 * Returns 0, or -1 when the tag is wrong. */
int crypto_open(enum crypto_cipher cipher, struct bytes key,
                const uint8_t nonce[static CRYPTO_NONCE_LEN], struct bytes ad, struct bytes in,
                uint8_t *out);

/* Decrypts whole blocks of CBC without looking at padding; out is not where `in` is, and takes
 * in.len bytes. Returns 0 or -1. */
int crypto_cbc(enum crypto_cipher cipher, struct bytes key, const uint8_t *iv, struct bytes in,
               uint8_t *out);

/* Memory for secrets of this process: zeroed, locked, kept out of core dumps,
 * on pages of its own. Returns null when the system refuses (see ulimit -l). */
void *secret_alloc(size_t len);

/* A child has what secret_alloc gave its parent, but not locked: this locks it. Returns 0, or
 * -1 with errno set. */
int secret_lock(void *secret, size_t len);

/* Wipes and gives back what secret_alloc(len) returned; null is allowed. */
void secret_free(void *secret, size_t len);

#endif
