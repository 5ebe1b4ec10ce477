/* test_crypto.c: base/crypto.c, against published vectors. */
#include "base/crypto.h"

#include <stdlib.h>

#include "unit.h"

static const uint8_t zero_key[CRYPTO_KEY_LEN];
static const uint8_t zero_nonce[CRYPTO_NONCE_LEN];

/* --- authenticated encryption: refusals ---------------------------------- */

#define TEXT "sixty-four bytes of text, so that more than one block is sealed"
#define TEXT_LEN sizeof(TEXT)

struct sealed {
    uint8_t key[CRYPTO_KEY_LEN];
    uint8_t nonce[CRYPTO_NONCE_LEN];
    uint8_t ad[20];
    uint8_t body[TEXT_LEN + CRYPTO_TAG_LEN];
};

static void seal(struct sealed *s) {
    uint64_t rng = 1;
    rng_fill(&rng, s->key, sizeof(s->key));
    rng_fill(&rng, s->nonce, sizeof(s->nonce));
    rng_fill(&rng, s->ad, sizeof(s->ad));
    struct crypto_aead aead;
    assert_int_equal(crypto_aead_init(&aead, s->key), 0);
    assert_int_equal(crypto_aead_seal(&aead, s->nonce, (struct bytes){ s->ad, sizeof(s->ad) },
                                      (struct bytes){ (const uint8_t *)TEXT, TEXT_LEN }, s->body),
                     0);
    crypto_aead_fini(&aead);
}

static int reopen(const struct sealed *s, size_t len, uint8_t *out) {
    struct crypto_aead aead;
    assert_int_equal(crypto_aead_init(&aead, s->key), 0);
    int rc = crypto_aead_open(&aead, s->nonce, (struct bytes){ s->ad, sizeof(s->ad) },
                              (struct bytes){ s->body, len }, out);
    crypto_aead_fini(&aead);
    return rc;
}

static void open_refuses_each_flipped_bit(void **state) {
    (void)state;
    struct sealed s;
    uint8_t out[sizeof(s.body)];
    seal(&s);
    assert_int_equal(reopen(&s, sizeof(s.body), out), 0);
    for (size_t bit = 0; bit < 8 * sizeof(s); bit++) {
        uint8_t *at = (uint8_t *)&s + bit / 8;
        *at = (uint8_t)(*at ^ 1u << bit % 8);
        assert_int_equal(reopen(&s, sizeof(s.body), out), -1);
        *at = (uint8_t)(*at ^ 1u << bit % 8);
    }
    assert_int_equal(reopen(&s, sizeof(s.body), out), 0);
}

static void open_refuses_each_shorter_length(void **state) {
    (void)state;
    struct sealed s;
    uint8_t out[sizeof(s.body)];
    seal(&s);
    for (size_t len = 0; len < sizeof(s.body); len++) {
        assert_int_equal(reopen(&s, len, out), -1);
    }
}

static void a_refused_opening_leaves_no_text(void **state) {
    (void)state;
    struct sealed s;
    uint8_t out[sizeof(s.body)] = { 0 };
    seal(&s);
    s.body[sizeof(s.body) - 1] ^= 1;
    assert_int_equal(reopen(&s, sizeof(s.body), out), -1);
    assert_null(memmem(out, sizeof(out), "sixty", 5));
}

/* --- authenticated encryption: vectors ----------------------------------- */

static void hex_decode(const char *hex, uint8_t *out) {
    for (; hex[0] != '\0'; hex += 2) {
        char pair[3] = { hex[0], hex[1], '\0' };
        *out++ = (uint8_t)strtoul(pair, NULL, 16);
    }
}

/* Test cases 13, 14 and 16 of McGrew and Viega's GCM submission. */
static void aes_256_gcm_gives_the_published_results(void **state) {
    (void)state;
    static const struct {
        const char *key, *nonce, *ad, *text, *sealed;
    } vectors[] = {
        { "0000000000000000000000000000000000000000000000000000000000000000",
          "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b" },
        { "0000000000000000000000000000000000000000000000000000000000000000",
          "000000000000000000000000", "", "00000000000000000000000000000000",
          "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
        { "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
          "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
          "76fc6ece0f4e1768cddf8853bb2d551b" },
    };
    for (size_t i = 0; i < LENGTH(vectors); i++) {
        uint8_t key[CRYPTO_KEY_LEN];
        uint8_t nonce[CRYPTO_NONCE_LEN];
        uint8_t ad[64];
        uint8_t text[64];
        uint8_t expected[96];
        uint8_t sealed[96];
        hex_decode(vectors[i].key, key);
        hex_decode(vectors[i].nonce, nonce);
        hex_decode(vectors[i].ad, ad);
        hex_decode(vectors[i].text, text);
        hex_decode(vectors[i].sealed, expected);
        struct bytes ad_bytes = { ad, strlen(vectors[i].ad) / 2 };
        struct bytes text_bytes = { text, strlen(vectors[i].text) / 2 };
        struct crypto_aead aead;
        assert_int_equal(crypto_aead_init(&aead, key), 0);
        assert_int_equal(crypto_aead_seal(&aead, nonce, ad_bytes, text_bytes, sealed), 0);
        assert_memory_equal(sealed, expected, text_bytes.len + CRYPTO_TAG_LEN);
        uint8_t opened[96];
        struct bytes sealed_bytes = { sealed, text_bytes.len + CRYPTO_TAG_LEN };
        assert_int_equal(crypto_aead_open(&aead, nonce, ad_bytes, sealed_bytes, opened), 0);
        assert_memory_equal(opened, text, text_bytes.len);
        crypto_aead_fini(&aead);
    }
}

static void fini_leaves_no_key(void **state) {
    (void)state;
    struct crypto_aead aead;
    assert_int_equal(crypto_aead_init(&aead, zero_key), 0);
    assert_false(crypto_is_zero(&aead, sizeof(aead)));
    crypto_aead_fini(&aead);
    assert_true(crypto_is_zero(&aead, sizeof(aead)));
    crypto_aead_fini(&aead);
    assert_true(crypto_is_zero(&aead, sizeof(aead)));
}

/* --- hashes -------------------------------------------------------------- */

static void assert_hex(const uint8_t *data, size_t len, const char *hex) {
    uint8_t expected[64];
    assert_int_equal(strlen(hex), 2 * len);
    hex_decode(hex, expected);
    assert_memory_equal(data, expected, len);
}

/* FIPS 180-2, appendix B. */
static void hash_is_sha_256(void **state) {
    (void)state;
    uint8_t out[CRYPTO_HASH_LEN];
    crypto_hash(bytes_of("abc"), out);
    assert_hex(out, sizeof(out),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_hash((struct bytes){ 0 }, out);
    assert_hex(out, sizeof(out),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231 4.2 and 4.3; HMAC fills a short key with zeros, so ours are theirs. */
static void derive_is_hmac_of_label_and_context(void **state) {
    (void)state;
    uint8_t out[CRYPTO_KEY_LEN];
    uint8_t key[CRYPTO_KEY_LEN] = { 0 };
    memset(key, 0x0b, 20);
    crypto_derive(key, "Hi There", (struct bytes){ 0 }, out);
    assert_hex(out, sizeof(out),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    crypto_derive(key, "Hi ", bytes_of("There"), out);
    assert_hex(out, sizeof(out),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key, 0, sizeof(key));
    memcpy(key, "Jefe", 4);
    crypto_derive(key, "what do ya want ", bytes_of("for nothing?"), out);
    assert_hex(out, sizeof(out),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* Aumasson and Bernstein, appendix A; the reference program's first vector. */
static void siphash_gives_the_published_results(void **state) {
    (void)state;
    static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
    uint8_t data[15];
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)i;
    }
    assert_true(crypto_siphash(key, (struct bytes){ data, sizeof(data) }) == 0xa129ca6149be45e5u);
    assert_true(crypto_siphash(key, (struct bytes){ data, 0 }) == 0x726fdb47dd0e0e31u);
}

/* --- comparing, wiping, drawing ------------------------------------------ */

static void equal_and_is_zero_look_at_every_bit(void **state) {
    (void)state;
    uint8_t a[40] = { 0 };
    uint8_t b[40] = { 0 };
    assert_true(crypto_equal(a, b, sizeof(a)));
    assert_true(crypto_is_zero(a, sizeof(a)));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        a[bit / 8] = (uint8_t)(1u << bit % 8);
        assert_false(crypto_equal(a, b, sizeof(a)));
        assert_false(crypto_is_zero(a, sizeof(a)));
        a[bit / 8] = 0;
    }
    a[39] = 1;
    assert_true(crypto_equal(a, b, 39));
    assert_true(crypto_is_zero(a, 39));
    assert_true(crypto_equal(a, b, 0));
    assert_true(crypto_is_zero(a, 0));
}

static void wipe_touches_what_it_is_told(void **state) {
    (void)state;
    uint8_t secret[40];
    memset(secret, 0x5a, sizeof(secret));
    crypto_wipe(secret + 4, 32);
    assert_true(crypto_is_zero(secret + 4, 32));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(secret[i], 0x5a);
        assert_int_equal(secret[36 + i], 0x5a);
    }
}

static int draw_compare(const void *a, const void *b) {
    return memcmp(a, b, 16);
}

static void draws_do_not_repeat(void **state) {
    (void)state;
    static uint8_t draws[4096][16];
    for (size_t i = 0; i < LENGTH(draws); i++) {
        crypto_random(draws[i], sizeof(draws[i]));
    }
    qsort(draws, LENGTH(draws), sizeof(draws[0]), draw_compare);
    for (size_t i = 1; i < LENGTH(draws); i++) {
        assert_memory_not_equal(draws[i - 1], draws[i], sizeof(draws[0]));
    }
}

/* Workers are forked from one master: each must draw numbers of its own (R35, R48). */
static void forked_processes_draw_differently(void **state) {
    (void)state;
    enum { CHILDREN = 8 };
    uint8_t(*draws)[32] = shared_alloc((CHILDREN + 1) * sizeof(*draws));
    uint8_t before[32];
    crypto_random(before, sizeof(before));
    pid_t pids[CHILDREN];
    for (unsigned i = 0; i < CHILDREN; i++) {
        pids[i] = child_fork();
        if (pids[i] == 0) {
            crypto_random(draws[i], sizeof(draws[i]));
            _exit(0);
        }
    }
    crypto_random(draws[CHILDREN], sizeof(draws[CHILDREN]));
    for (unsigned i = 0; i < CHILDREN; i++) {
        assert_int_equal(child_wait(pids[i]), 0);
    }
    for (unsigned i = 0; i <= CHILDREN; i++) {
        assert_false(crypto_is_zero(draws[i], sizeof(draws[i])));
        for (unsigned k = 0; k < i; k++) {
            assert_memory_not_equal(draws[i], draws[k], sizeof(draws[i]));
        }
    }
    shared_free(draws, (CHILDREN + 1) * sizeof(*draws));
}

/* --- memory for secrets -------------------------------------------------- */

/* R39 */
static void secrets_are_locked_and_left_out_of_dumps(void **state) {
    (void)state;
    size_t len = 100000;
    uint8_t *secret = secret_alloc(len);
    assert_non_null(secret);
    assert_true(crypto_is_zero(secret, len));
    assert_int_equal((uintptr_t)secret % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    assert_int_equal(mapping_has_flag(secret, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(secret, " dd"));
    assert_int_equal(mapping_has_flag(secret + len - 1, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(secret + len - 1, " dd"));
    memset(secret, 1, len);
    secret_free(secret, len);
    secret_free(NULL, len);
}

static void no_secret_memory_without_the_right_to_lock(void **state) {
    (void)state;
    pid_t pid = child_fork();
    if (pid == 0) {
        _exit(child_drop_memlock() != 0 ? 2 : secret_alloc(4096) != NULL);
    }
    assert_int_equal(child_wait(pid), MLOCK_WORKS ? 0 : 1);
}

static void sealing_nothing_still_authenticates(void **state) {
    (void)state;
    struct crypto_aead aead;
    uint8_t tag[CRYPTO_TAG_LEN];
    uint8_t out[1];
    assert_int_equal(crypto_aead_init(&aead, zero_key), 0);
    assert_int_equal(crypto_aead_seal(&aead, zero_nonce, bytes_of("ad"), (struct bytes){ 0 }, tag),
                     0);
    struct bytes sealed = { tag, sizeof(tag) };
    assert_int_equal(crypto_aead_open(&aead, zero_nonce, bytes_of("ad"), sealed, out), 0);
    assert_int_equal(crypto_aead_open(&aead, zero_nonce, bytes_of("ae"), sealed, out), -1);
    crypto_aead_fini(&aead);
}

static void has_zero_part_sees_each_run_of_eight(void **state) {
    (void)state;
    uint8_t key[CRYPTO_KEY_LEN];
    memset(key, 1, sizeof(key));
    assert_false(crypto_has_zero_part(key, sizeof(key)));
    for (unsigned part = 0; part < sizeof(key); part += 8) {
        memset(key + part, 0, 8);
        assert_true(crypto_has_zero_part(key, sizeof(key)));
        for (unsigned bit = 0; bit < 64; bit++) {
            key[part + bit / 8] = (uint8_t)(1u << bit % 8);
            assert_false(crypto_has_zero_part(key, sizeof(key)));
            key[part + bit / 8] = 0;
        }
        memset(key + part, 1, 8);
    }
}

/* RFC 4231 4.3: the key "Jefe" as label. */
static void extract_is_hmac_under_the_label(void **state) {
    (void)state;
    static const uint8_t expected[] = { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                        0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                        0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                        0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43 };
    uint8_t out[CRYPTO_KEY_LEN];
    crypto_extract("Jefe", bytes_of("what do ya want for nothing?"), out);
    assert_memory_equal(out, expected, sizeof(out));
}

static void base64_takes_nothing_else(void **state) {
    (void)state;
    static const char *const wrong[] = { "",      "Zg",   "Zg=",      "Zm9v ",       " Zm9v",
                                         "Zm9\n", "Zm-_", "Zg==Zg==", "Zm9vYmFyYmF6" };
    uint8_t out[8];
    size_t len = 0;
    assert_int_equal(crypto_base64(bytes_of("Zm9vYg=="), out, sizeof(out), &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(out, "foob", 4);
    for (size_t i = 1; i < LENGTH(wrong); i++) {
        assert_int_equal(crypto_base64(bytes_of(wrong[i]), out, sizeof(out), &len), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_refuses_each_flipped_bit),
        cmocka_unit_test(open_refuses_each_shorter_length),
        cmocka_unit_test(a_refused_opening_leaves_no_text),
        cmocka_unit_test(sealing_nothing_still_authenticates),
        cmocka_unit_test(aes_256_gcm_gives_the_published_results),
        cmocka_unit_test(fini_leaves_no_key),
        cmocka_unit_test(hash_is_sha_256),
        cmocka_unit_test(derive_is_hmac_of_label_and_context),
        cmocka_unit_test(siphash_gives_the_published_results),
        cmocka_unit_test(equal_and_is_zero_look_at_every_bit),
        cmocka_unit_test(has_zero_part_sees_each_run_of_eight),
        cmocka_unit_test(extract_is_hmac_under_the_label),
        cmocka_unit_test(base64_takes_nothing_else),
        cmocka_unit_test(wipe_touches_what_it_is_told),
        cmocka_unit_test(draws_do_not_repeat),
        cmocka_unit_test(forked_processes_draw_differently),
        cmocka_unit_test(secrets_are_locked_and_left_out_of_dumps),
        cmocka_unit_test(no_secret_memory_without_the_right_to_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
