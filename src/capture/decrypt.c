/* decrypt.c: see decrypt.h. */
#include "capture/decrypt.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "capture/keylog.h"
#include "wire/hello.h"
#include "wire/iana.h"
#include "wire/record.h"
#include "wire/server_hello.h"

#define LOST_RECORDS_MAX 8 /* sequence numbers that are tried ahead */
#define IV_LEN 12
#define KEY_BLOCK_MAX (2 * (48 + 32 + 16))
#define VERSION_TLS10 0x0301
#define VERSION_TLS11 0x0302
#define VERSION_TLS12 0x0303
#define DRAFT_LABEL 20 /* from this draft on labels begin with "tls13 " */
#define DRAFT_AD 25    /* and from this one on the record's header is authenticated */

/* What a cipher suite needs. */
struct suite {
    bool known;
    bool is_aead;
    enum crypto_cipher cipher;
    enum crypto_digest prf; /* of TLS 1.2's PRF, or of TLS 1.3 */
    enum crypto_digest mac;
    uint8_t key_len;
    uint8_t mac_len;
    uint8_t block_len;
    uint8_t fixed_iv_len;
};

/* A direction's keys in force. */
struct keys {
    bool ready;
    bool tls13;
    bool encrypt_then_mac;
    bool may_skip; /* early data may stand before the first record under these keys */
    uint16_t version;
    struct suite suite;
    uint64_t sequence;
    uint8_t secret_len;
    uint8_t secret[KEYLOG_SECRET_MAX]; /* TLS 1.3: for KeyUpdate */
    uint8_t key[32];
    uint8_t mac_key[48];
    uint8_t iv[16];
};

struct decrypt {
    const struct keylog *keylog; /* borrowed */
    bool has_client_random;
    bool encrypt_then_mac;
    bool early_data;
    uint8_t client_random[WIRE_RANDOM_LEN];
    uint8_t server_random[WIRE_RANDOM_LEN];
    uint16_t version;
    uint16_t cipher_suite;
    struct keys keys[2];
    uint8_t scratch[WIRE_RECORD_CIPHER_MAX];
};

void decrypt_fini(struct stream *stream) {
    if (stream->decrypt) {
        crypto_wipe(stream->decrypt, sizeof(*stream->decrypt));
        free(stream->decrypt);
        stream->decrypt = NULL;
    }
}

/* --- suites --- */

static void suite_cipher(struct suite *suite, const char *name) {
    static const struct {
        const char *part;
        struct suite suite;
    } ciphers[] = {
        { "AES_128_GCM",
          { .is_aead = true, .cipher = CRYPTO_AES_128_GCM, .key_len = 16, .fixed_iv_len = 4 } },
        { "AES_256_GCM",
          { .is_aead = true, .cipher = CRYPTO_AES_256_GCM, .key_len = 32, .fixed_iv_len = 4 } },
        { "CHACHA20_POLY1305",
          { .is_aead = true,
            .cipher = CRYPTO_CHACHA20_POLY1305,
            .key_len = 32,
            .fixed_iv_len = IV_LEN } },
        { "AES_128_CBC", { .cipher = CRYPTO_AES_128_CBC, .key_len = 16, .block_len = 16 } },
        { "AES_256_CBC", { .cipher = CRYPTO_AES_256_CBC, .key_len = 32, .block_len = 16 } },
        { "3DES_EDE_CBC", { .cipher = CRYPTO_3DES_CBC, .key_len = 24, .block_len = 8 } },
    };
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        if (strstr(name, ciphers[i].part)) {
            *suite = ciphers[i].suite;
            suite->known = true;
        }
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text);
    size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* A suite's name says all that is needed of it (RFC 5246 C). */
static struct suite suite_of(uint16_t code) {
    struct suite suite = { 0 };
    const char *name = iana_find(NAME_CIPHER_SUITE, code);
    if (!name) {
        return suite;
    }
    suite_cipher(&suite, name);
    bool sha384 = ends_with(name, "_SHA384");
    suite.prf = sha384 ? CRYPTO_SHA384 : CRYPTO_SHA256;
    if (suite.is_aead) {
        return suite;
    }
    suite.mac = sha384 ? CRYPTO_SHA384 : ends_with(name, "_SHA256") ? CRYPTO_SHA256 : CRYPTO_SHA1;
    suite.mac_len = sha384 ? 48 : suite.mac == CRYPTO_SHA256 ? 32 : 20;
    suite.known = suite.known && (suite.mac != CRYPTO_SHA1 || ends_with(name, "_SHA"));
    return suite;
}

/* --- TLS 1.3 --- */

/* HKDF-Expand-Label, RFC 8446 7.1, with an empty context. */
static int expand_label(const struct keys *keys, const char *label, uint8_t *out, size_t len) {
    unsigned draft = version_draft(keys->version);
    const char *prefix = draft > 0 && draft < DRAFT_LABEL ? "TLS 1.3, " : "tls13 ";
    uint8_t info[64];
    struct writer w = writer_of(info, sizeof(info));
    writer_u16(&w, (uint16_t)len);
    writer_u8(&w, (uint8_t)(strlen(prefix) + strlen(label)));
    writer_put(&w, prefix, strlen(prefix));
    writer_put(&w, label, strlen(label));
    writer_u8(&w, 0);
    struct bytes secret = { keys->secret, keys->secret_len };
    return w.failed ? -1
                    : crypto_expand(keys->suite.prf, secret,
                                    (struct bytes){ info, (size_t)(w.at - info) }, out, len);
}

static void keys_from_secret(struct keys *keys) {
    keys->sequence = 0;
    keys->ready = expand_label(keys, "key", keys->key, keys->suite.key_len) == 0 &&
                  expand_label(keys, "iv", keys->iv, IV_LEN) == 0;
}

static void keys_start_tls13(struct decrypt *decrypt, struct keys *keys, enum keylog_label label) {
    struct bytes secret = keylog_find(decrypt->keylog, decrypt->client_random, label);
    memset(keys, 0, sizeof(*keys));
    keys->version = decrypt->version;
    keys->suite = suite_of(decrypt->cipher_suite);
    keys->tls13 = true;
    if (secret.len == 0 || !keys->suite.known || !keys->suite.is_aead) {
        return;
    }
    memcpy(keys->secret, secret.data, secret.len);
    keys->secret_len = (uint8_t)secret.len;
    keys_from_secret(keys);
}

static void keys_update(struct keys *keys) {
    uint8_t next[KEYLOG_SECRET_MAX];
    if (expand_label(keys, "traffic upd", next, keys->secret_len) == 0) {
        memcpy(keys->secret, next, keys->secret_len);
        keys_from_secret(keys);
    }
    crypto_wipe(next, sizeof(next));
}

/* --- hellos --- */

static struct decrypt *decrypt_start(struct stream *stream, const struct keylog *keylog) {
    if (!stream->decrypt && keylog && !keylog_is_empty(keylog)) {
        stream->decrypt = calloc(1, sizeof(*stream->decrypt));
        if (stream->decrypt) {
            stream->decrypt->keylog = keylog;
        }
    }
    return stream->decrypt;
}

static void note_client_hello(struct decrypt *decrypt, const struct message *message) {
    struct hello hello;
    bool whole = false;
    if (hello_read(message->body, &hello, &whole) == 0) {
        memcpy(decrypt->client_random, hello.random.data, WIRE_RANDOM_LEN);
        decrypt->has_client_random = true;
        decrypt->early_data = hello.has_early_data;
    }
}

static void note_server_hello(struct decrypt *decrypt, const struct message *message) {
    struct server_hello hello;
    if (!decrypt->has_client_random || server_hello_parse(message->body, &hello) != 0 ||
        hello.is_retry) {
        return;
    }
    memcpy(decrypt->server_random, hello.random.data, WIRE_RANDOM_LEN);
    decrypt->version = hello.version;
    decrypt->cipher_suite = hello.cipher_suite;
    decrypt->encrypt_then_mac = hello.has_encrypt_then_mac;
    if (version_is_tls13(hello.version)) {
        uint8_t client = (uint8_t)(1 - message->direction);
        keys_start_tls13(decrypt, &decrypt->keys[message->direction], KEYLOG_SERVER_HANDSHAKE);
        keys_start_tls13(decrypt, &decrypt->keys[client], KEYLOG_CLIENT_HANDSHAKE);
        decrypt->keys[client].may_skip = decrypt->early_data;
    }
}

void decrypt_note(struct stream *stream, const struct keylog *keylog,
                  const struct message *message) {
    struct decrypt *decrypt = decrypt_start(stream, keylog);
    if (!decrypt || !message->whole) {
        return;
    }
    struct keys *keys = &decrypt->keys[message->direction];
    switch (message->type) {
    case HANDSHAKE_CLIENT_HELLO:
        note_client_hello(decrypt, message);
        break;
    case HANDSHAKE_SERVER_HELLO:
        note_server_hello(decrypt, message);
        break;
    case HANDSHAKE_FINISHED:
        if (keys->tls13 && message->decrypted) {
            keys_start_tls13(decrypt, keys,
                             stream->client == message->direction ? KEYLOG_CLIENT_TRAFFIC
                                                                  : KEYLOG_SERVER_TRAFFIC);
        }
        break;
    case HANDSHAKE_KEY_UPDATE:
        if (keys->tls13 && keys->ready) {
            keys_update(keys);
        }
        break;
    default:
        break;
    }
}

/* --- TLS 1.2 and earlier --- */

/* RFC 5246 6.3. */
static void keys_from_master(struct decrypt *decrypt, struct keys *keys, bool is_client) {
    struct bytes master =
        keylog_find(decrypt->keylog, decrypt->client_random, KEYLOG_MASTER_SECRET);
    struct suite suite = suite_of(decrypt->cipher_suite);
    memset(keys, 0, sizeof(*keys));
    if (master.len == 0 || !suite.known || decrypt->version < VERSION_TLS10 ||
        decrypt->version > VERSION_TLS12) {
        return;
    }
    uint8_t seed[2 * WIRE_RANDOM_LEN];
    memcpy(seed, decrypt->server_random, WIRE_RANDOM_LEN);
    memcpy(seed + WIRE_RANDOM_LEN, decrypt->client_random, WIRE_RANDOM_LEN);
    bool has_iv = suite.is_aead || decrypt->version == VERSION_TLS10;
    size_t iv_len = suite.is_aead ? suite.fixed_iv_len : suite.block_len;
    iv_len = has_iv ? iv_len : 0;
    size_t half = (size_t)suite.mac_len + suite.key_len + iv_len;
    uint8_t block[KEY_BLOCK_MAX];
    enum crypto_digest prf = decrypt->version == VERSION_TLS12 ? suite.prf : CRYPTO_MD5_SHA1;
    if (crypto_prf(prf, master, "key expansion", (struct bytes){ seed, sizeof(seed) }, block,
                   2 * half) == 0) {
        const uint8_t *at = block + (is_client ? 0 : suite.mac_len);
        memcpy(keys->mac_key, at, suite.mac_len);
        at = block + (size_t)2 * suite.mac_len + (is_client ? 0 : suite.key_len);
        memcpy(keys->key, at, suite.key_len);
        at = block + 2 * ((size_t)suite.mac_len + suite.key_len) + (is_client ? 0 : iv_len);
        memcpy(keys->iv, at, iv_len);
        keys->suite = suite;
        keys->version = decrypt->version;
        keys->encrypt_then_mac = decrypt->encrypt_then_mac;
        keys->ready = true;
    }
    crypto_wipe(block, sizeof(block));
}

void decrypt_ccs(struct stream *stream, uint8_t direction) {
    struct decrypt *decrypt = stream->decrypt;
    if (!decrypt || !decrypt->has_client_random || stream->client < 0 ||
        decrypt->version < VERSION_TLS10 || decrypt->version > VERSION_TLS12) {
        return;
    }
    keys_from_master(decrypt, &decrypt->keys[direction], stream->client == direction);
}

/* --- records --- */

/* What TLS 1.2 authenticates beside a record: RFC 5246 6.2.3.3. */
static void ad_tls12(const struct side *side, uint64_t sequence, size_t len,
                     uint8_t out[static 13]) {
    struct writer w = writer_of(out, 13);
    writer_u64(&w, sequence);
    writer_u8(&w, side->record_type);
    writer_u16(&w, side->record_version);
    writer_u16(&w, (uint16_t)len);
}

static void nonce_xor(const struct keys *keys, uint64_t sequence, uint8_t out[static IV_LEN]) {
    memcpy(out, keys->iv, IV_LEN);
    for (unsigned i = 0; i < 8; i++) {
        out[IV_LEN - 1 - i] ^= (uint8_t)(sequence >> 8 * i);
    }
}

static bool open_tls13(const struct keys *keys, const struct side *side, uint64_t sequence,
                       const uint8_t *record, uint8_t *out, struct bytes *plain) {
    uint8_t nonce[IV_LEN];
    nonce_xor(keys, sequence, nonce);
    uint8_t ad[WIRE_RECORD_HEADER] = { side->record_type, (uint8_t)(side->record_version >> 8),
                                       (uint8_t)side->record_version,
                                       (uint8_t)(side->record_len >> 8),
                                       (uint8_t)side->record_len };
    unsigned draft = version_draft(keys->version);
    size_t ad_len = draft > 0 && draft < DRAFT_AD ? 0 : sizeof(ad);
    struct bytes key = { keys->key, keys->suite.key_len };
    struct bytes in = { record, side->record_len };
    if (crypto_open(keys->suite.cipher, key, nonce, (struct bytes){ ad, ad_len }, in, out) != 0) {
        return false;
    }
    *plain = (struct bytes){ out, in.len - CRYPTO_TAG_LEN };
    return true;
}

static bool open_tls12_aead(const struct keys *keys, const struct side *side, uint64_t sequence,
                            const uint8_t *record, uint8_t *out, struct bytes *plain) {
    uint8_t nonce[IV_LEN];
    size_t explicit_len = keys->suite.fixed_iv_len == IV_LEN ? 0 : IV_LEN - 4;
    if (side->record_len < explicit_len + CRYPTO_TAG_LEN) {
        return false;
    }
    if (explicit_len > 0) {
        memcpy(nonce, keys->iv, 4);
        memcpy(nonce + 4, record, explicit_len);
    } else {
        nonce_xor(keys, sequence, nonce);
    }
    struct bytes in = { record + explicit_len, side->record_len - explicit_len };
    uint8_t ad[13];
    ad_tls12(side, sequence, in.len - CRYPTO_TAG_LEN, ad);
    struct bytes key = { keys->key, keys->suite.key_len };
    if (crypto_open(keys->suite.cipher, key, nonce, (struct bytes){ ad, sizeof(ad) }, in, out) !=
        0) {
        return false;
    }
    *plain = (struct bytes){ out, in.len - CRYPTO_TAG_LEN };
    return true;
}

static bool mac_is_right(const struct keys *keys, const struct side *side, uint64_t sequence,
                         struct bytes data, const uint8_t *mac) {
    uint8_t ad[13];
    uint8_t right[CRYPTO_DIGEST_MAX];
    ad_tls12(side, sequence, data.len, ad);
    struct bytes key = { keys->mac_key, keys->suite.mac_len };
    size_t len = crypto_hmac(keys->suite.mac, key, (struct bytes){ ad, sizeof(ad) }, data, right);
    return len == keys->suite.mac_len && memcmp(mac, right, len) == 0;
}

/* RFC 5246 6.2.3.2, and RFC 7366 where encryption comes first. */
static bool open_cbc(struct decrypt *decrypt, struct keys *keys, const struct side *side,
                     const uint8_t *record, struct bytes *plain) {
    size_t block = keys->suite.block_len;
    size_t mac_len = keys->suite.mac_len;
    struct bytes in = { record, side->record_len };
    if (keys->encrypt_then_mac) {
        if (in.len < mac_len) {
            return false;
        }
        in.len -= mac_len;
        if (!mac_is_right(keys, side, keys->sequence, in, record + in.len)) {
            return false;
        }
    }
    bool explicit_iv = keys->version > VERSION_TLS10;
    const uint8_t *iv = explicit_iv ? record : keys->iv;
    if (explicit_iv) {
        in.data += block;
        in.len = in.len >= block ? in.len - block : 0;
    }
    struct bytes key = { keys->key, keys->suite.key_len };
    if (in.len < block || in.len % block != 0 || in.len > sizeof(decrypt->scratch) ||
        crypto_cbc(keys->suite.cipher, key, iv, in, decrypt->scratch) != 0) {
        return false;
    }
    if (!explicit_iv) {
        memcpy(keys->iv, in.data + in.len - block, block);
    }
    size_t padding = (size_t)decrypt->scratch[in.len - 1] + 1;
    size_t after = padding + (keys->encrypt_then_mac ? 0 : mac_len);
    if (after > in.len) {
        return false;
    }
    *plain = (struct bytes){ decrypt->scratch, in.len - after };
    return keys->encrypt_then_mac ||
           mac_is_right(keys, side, keys->sequence, *plain, decrypt->scratch + plain->len);
}

/* Opens an AEAD record, allowing for a few records that were lost. */
static bool open_aead(struct decrypt *decrypt, struct keys *keys, const struct side *side,
                      const uint8_t *record, struct bytes *plain) {
    uint8_t *out = decrypt->scratch;
    for (uint64_t ahead = 0; ahead <= LOST_RECORDS_MAX; ahead++) {
        uint64_t sequence = keys->sequence + ahead;
        bool good = keys->tls13 ? open_tls13(keys, side, sequence, record, out, plain)
                                : open_tls12_aead(keys, side, sequence, record, out, plain);
        if (good) {
            keys->sequence = sequence;
            return true;
        }
        if (keys->may_skip) {
            return false;
        }
    }
    return false;
}

/* TLSInnerPlaintext, RFC 8446 5.2: the type is the last byte that is not zero. */
static bool inner_type(struct bytes *plain, uint8_t *type) {
    while (plain->len > 0 && plain->data[plain->len - 1] == 0) {
        plain->len--;
    }
    if (plain->len == 0) {
        return false;
    }
    *type = plain->data[--plain->len];
    return true;
}

bool decrypt_wants(const struct stream *stream, uint8_t direction) {
    return stream->decrypt && stream->decrypt->keys[direction].ready;
}

bool decrypt_record(struct stream *stream, uint8_t direction, const uint8_t *record, uint8_t *type,
                    struct bytes *plain) {
    const struct side *side = &stream->sides[direction];
    struct decrypt *decrypt = stream->decrypt;
    if (!decrypt_wants(stream, direction)) {
        return false;
    }
    struct keys *keys = &decrypt->keys[direction];
    bool good = keys->suite.is_aead ? open_aead(decrypt, keys, side, record, plain)
                                    : open_cbc(decrypt, keys, side, record, plain);
    if (!good) {
        keys->ready = keys->may_skip; /* early data is under another key, and may be many records */
        return false;
    }
    keys->may_skip = false;
    keys->sequence++;
    *type = side->record_type;
    return !keys->tls13 || inner_type(plain, type);
}
