/* test_hello.c: hello_parse and hello_offers_* of wire/hello.c: what a ClientHello may be.
 * Every body is parsed from a heap block of its own length, so that the sanitizer sees
 * one byte too many. */
#include "wire/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/hello_bytes.h"
#include "wire/limits.h"

#define ILLEGAL_PARAMETER 47
#define DECODE_ERROR 50
#define UNRECOGNIZED_NAME 112
#define UNTOUCHED 0xee

enum {
    SERVER_NAME = 0,
    GROUPS = 10,
    ALPN = 16,
    EMS = 23,
    TICKET = 35,
    PSK = 41,
    EARLY_DATA = 42,
    VERSIONS = 43,
    PSK_MODES = 45,
    TICKET_REQUEST = 58,
    RENEGOTIATION = 0xff01,
};

struct parsed {
    uint8_t *heap; /* owned: what the views point into */
    struct hello hello;
    uint8_t alert;
};

static void parse(struct parsed *p, struct bytes body) {
    p->heap = malloc(body.len ? body.len : 1);
    assert_non_null(p->heap);
    if (body.len > 0) {
        memcpy(p->heap, body.data, body.len);
    }
    memset(&p->hello, 0xff, sizeof(p->hello)); /* hello_parse has to zero it */
    p->alert = UNTOUCHED;
    int rc = hello_parse((struct bytes){ p->heap, body.len }, &p->hello, &p->alert);
    assert_int_equal(rc, p->alert == UNTOUCHED ? 0 : -1);
}

static void parse_parts(struct parsed *p, const struct hello_parts *parts) {
    static uint8_t body[65536 + 512];
    parse(p, (struct bytes){ body, hello_make_body(parts, body, sizeof(body)) });
}

static void parse_extension(struct parsed *p, uint16_t type, struct bytes value) {
    static uint8_t block[65536];
    struct writer w = writer_of(block, sizeof(block));
    hello_put_extension(&w, type, value);
    struct hello_parts parts = { .extensions = { block, (size_t)(w.at - block) } };
    parse_parts(p, &parts);
}

static void parsed_free(struct parsed *p) {
    free(p->heap);
    p->heap = NULL;
}

/* The alert that refuses it, or UNTOUCHED. */
static uint8_t alert_of_parts(const struct hello_parts *parts) {
    struct parsed p;
    parse_parts(&p, parts);
    parsed_free(&p);
    return p.alert;
}

static uint8_t alert_of_extension(uint16_t type, struct bytes value) {
    struct parsed p;
    parse_extension(&p, type, value);
    parsed_free(&p);
    return p.alert;
}

static void assert_bytes(struct bytes is, struct bytes expected) {
    assert_int_equal(is.len, expected.len);
    if (expected.len > 0) {
        assert_memory_equal(is.data, expected.data, expected.len);
    }
}

/* --- refusals ---------------------------------------------------------------- */

static const uint8_t zeros[512];
static uint8_t letters[512]; /* main fills it */

static void session_id_of_33_bytes_is_refused(void **state) {
    (void)state; /* R14 */
    for (size_t len = 33; len <= 255; len++) {
        struct hello_parts parts = { .session_id = { zeros, len } };
        assert_int_equal(alert_of_parts(&parts), DECODE_ERROR);
    }
}

static void cipher_suites_of_wrong_length_are_refused(void **state) {
    (void)state;
    const size_t wrong[] = { 0, 1, 3, 511 };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct hello_parts parts = { .suites = { zeros, wrong[i] } };
        assert_int_equal(alert_of_parts(&parts), DECODE_ERROR);
    }
}

static void compression_without_null_is_refused(void **state) {
    (void)state;
    struct hello_parts none = { .compression = BYTES("") };
    assert_int_equal(alert_of_parts(&none), DECODE_ERROR);
    struct hello_parts deflate = { .compression = BYTES("\1") };
    assert_int_equal(alert_of_parts(&deflate), ILLEGAL_PARAMETER);
}

static void what_cannot_be_decoded_comes_first(void **state) {
    (void)state; /* no null compression, and a byte too many */
    uint8_t body[256];
    struct hello_parts parts = { .compression = BYTES("\1") };
    size_t len = hello_make_body(&parts, body, sizeof(body));
    body[len] = 0;
    struct parsed p;
    parse(&p, (struct bytes){ body, len + 1 });
    assert_int_equal(p.alert, DECODE_ERROR);
    parsed_free(&p);
}

static void trailing_bytes_are_refused(void **state) {
    (void)state;
    uint8_t body[256];
    size_t len = hello_make_body(&(struct hello_parts){ 0 }, body, sizeof(body));
    body[len] = 0;
    struct parsed p;
    parse(&p, (struct bytes){ body, len + 1 });
    assert_int_equal(p.alert, DECODE_ERROR);
    parsed_free(&p);
}

static void a_lone_byte_for_the_extensions_is_refused(void **state) {
    (void)state;
    uint8_t body[256];
    struct hello_parts parts = { .without_extensions = true };
    size_t len = hello_make_body(&parts, body, sizeof(body));
    body[len] = 0;
    struct parsed p;
    parse(&p, (struct bytes){ body, len + 1 });
    assert_int_equal(p.alert, DECODE_ERROR);
    parsed_free(&p);
}

static void nothing_is_refused(void **state) {
    (void)state;
    struct hello hello;
    assert_int_equal(hello_parse((struct bytes){ 0 }, &hello, NULL), -1);
}

/* One extension, and what refuses its value. */
static const struct {
    const char *what;
    uint16_t type;
    uint8_t alert;
    struct bytes value;
} refused[] = {
    { "server_name: empty value", SERVER_NAME, DECODE_ERROR, BYTES_INIT("") },
    { "server_name: empty list", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\0") },
    { "server_name: empty name", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\3\0\0\0") },
    { "server_name: other type", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\4\1\0\1a") },
    { "server_name: no length", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\2\0\0") },
    { "server_name: name past list", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\4\0\0\2ab") },
    { "server_name: list past value", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\5\0\0\1a") },
    { "server_name: after the list", SERVER_NAME, DECODE_ERROR, BYTES_INIT("\0\4\0\0\1a\0") },
    { "server_name: two names", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\10\0\0\1a\0\0\1b") },
    { "server_name: list's rest", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\1a\0") },
    { "server_name: NUL first", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2\0a") },
    { "server_name: NUL last", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2a\0") },
    { "server_name: space", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2a ") },
    { "server_name: line feed", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2a\n") },
    { "server_name: escape", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2\x1b[") },
    { "server_name: delete", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2a\x7f") },
    { "server_name: UTF-8", SERVER_NAME, ILLEGAL_PARAMETER, BYTES_INIT("\0\5\0\0\2\xc4\x85") },
    { "groups: empty value", GROUPS, DECODE_ERROR, BYTES_INIT("") },
    { "groups: empty list", GROUPS, DECODE_ERROR, BYTES_INIT("\0\0") },
    { "groups: odd", GROUPS, DECODE_ERROR, BYTES_INIT("\0\3\0\x1d\0") },
    { "groups: past value", GROUPS, DECODE_ERROR, BYTES_INIT("\0\4\0\x1d") },
    { "groups: trailing", GROUPS, DECODE_ERROR, BYTES_INIT("\0\2\0\x1d\0") },
    { "alpn: empty value", ALPN, DECODE_ERROR, BYTES_INIT("") },
    { "alpn: empty list", ALPN, DECODE_ERROR, BYTES_INIT("\0\0") },
    { "alpn: empty name", ALPN, DECODE_ERROR, BYTES_INIT("\0\1\0") },
    { "alpn: empty last name", ALPN, DECODE_ERROR, BYTES_INIT("\0\4\2h2\0") },
    { "alpn: name past list", ALPN, DECODE_ERROR, BYTES_INIT("\0\3\3h2") },
    { "alpn: trailing", ALPN, DECODE_ERROR, BYTES_INIT("\0\3\2h2\0") },
    { "extended_master_secret: not empty", EMS, DECODE_ERROR, BYTES_INIT("\0") },
    { "early_data: not empty", EARLY_DATA, DECODE_ERROR, BYTES_INIT("\0\0\0\0") },
    { "supported_versions: empty value", VERSIONS, DECODE_ERROR, BYTES_INIT("") },
    { "supported_versions: empty list", VERSIONS, DECODE_ERROR, BYTES_INIT("\0") },
    { "supported_versions: odd", VERSIONS, DECODE_ERROR, BYTES_INIT("\3\3\4\3") },
    { "supported_versions: the server's form", VERSIONS, DECODE_ERROR, BYTES_INIT("\3\4") },
    { "supported_versions: trailing", VERSIONS, DECODE_ERROR, BYTES_INIT("\2\3\4\0") },
    { "psk modes: empty value", PSK_MODES, DECODE_ERROR, BYTES_INIT("") },
    { "psk modes: empty list", PSK_MODES, DECODE_ERROR, BYTES_INIT("\0") },
    { "psk modes: past value", PSK_MODES, DECODE_ERROR, BYTES_INIT("\2\1") },
    { "psk modes: trailing", PSK_MODES, DECODE_ERROR, BYTES_INIT("\1\1\0") },
    { "renegotiation_info: empty value", RENEGOTIATION, DECODE_ERROR, BYTES_INIT("") },
    { "renegotiation_info: past value", RENEGOTIATION, DECODE_ERROR, BYTES_INIT("\1") },
    { "renegotiation_info: trailing", RENEGOTIATION, DECODE_ERROR, BYTES_INIT("\0\0") },
};

static void malformed_extensions_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint8_t alert = alert_of_extension(refused[i].type, refused[i].value);
        if (alert != refused[i].alert) {
            fail_msg("%s: alert %u, not %u", refused[i].what, alert, refused[i].alert);
        }
    }
}

static void a_repeated_extension_is_refused(void **state) {
    (void)state; /* RFC 8446 4.2; the first and last bits of a word, and of all */
    const uint16_t types[] = { EMS, 0, 63, 64, RENEGOTIATION, 0x0a0a, 0xffff };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct bytes value = types[i] == 0               ? BYTES("\0\4\0\0\1a")
                             : types[i] == RENEGOTIATION ? BYTES("\0")
                                                         : BYTES("");
        uint8_t block[64];
        struct writer w = writer_of(block, sizeof(block));
        hello_put_extension(&w, types[i], value);
        hello_put_extension(&w, 5, BYTES(""));
        hello_put_extension(&w, 0x7777, BYTES(""));
        struct hello_parts once = { .extensions = { block, (size_t)(w.at - block) } };
        assert_int_equal(alert_of_parts(&once), UNTOUCHED);
        hello_put_extension(&w, types[i], value);
        struct hello_parts twice = { .extensions = { block, (size_t)(w.at - block) } };
        assert_int_equal(alert_of_parts(&twice), ILLEGAL_PARAMETER);
    }
}

/* However many came between, and wherever the parser begins to keep them otherwise. */
static void each_of_many_extensions_is_remembered(void **state) {
    (void)state;
    for (unsigned count = 1; count <= 40; count++) {
        for (unsigned again = 0; again <= count; again++) {
            uint8_t block[4 * 42];
            struct writer w = writer_of(block, sizeof(block));
            for (unsigned i = 0; i < count; i++) {
                hello_put_extension(&w, (uint16_t)(0x1000 + 77 * i), BYTES(""));
            }
            hello_put_extension(&w, (uint16_t)(0x1000 + 77 * again), BYTES(""));
            struct hello_parts parts = { .extensions = { block, (size_t)(w.at - block) } };
            assert_int_equal(alert_of_parts(&parts), again < count ? ILLEGAL_PARAMETER : UNTOUCHED);
        }
    }
}

static void as_many_extensions_as_fit_are_accepted(void **state) {
    (void)state;
    static uint8_t block[65535];
    struct writer w = writer_of(block, sizeof(block));
    for (unsigned i = 0; i < sizeof(block) / 4; i++) {
        hello_put_extension(&w, (uint16_t)(1000 + i), BYTES(""));
    }
    assert_false(w.failed);
    struct hello_parts parts = { .extensions = { block, (size_t)(w.at - block) } };
    assert_int_equal(alert_of_parts(&parts), UNTOUCHED);
    w.at[-4] = 1000 >> 8; /* the last is the first again */
    w.at[-3] = 1000 & 0xff;
    assert_int_equal(alert_of_parts(&parts), ILLEGAL_PARAMETER);
}

static void server_names_are_bounded(void **state) {
    (void)state;
    uint8_t value[512];
    const struct {
        size_t len;
        uint8_t alert;
    } cases[] = { { 1, UNTOUCHED },
                  { WIRE_SERVER_NAME_MAX - 1, UNTOUCHED },
                  { WIRE_SERVER_NAME_MAX, UNTOUCHED },
                  { WIRE_SERVER_NAME_MAX + 1, UNRECOGNIZED_NAME } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct writer w = writer_of(value, sizeof(value));
        writer_u16(&w, (uint16_t)(cases[i].len + 3));
        writer_u8(&w, 0);
        writer_u16(&w, (uint16_t)cases[i].len);
        writer_put(&w, letters, cases[i].len);
        struct parsed p;
        parse_extension(&p, SERVER_NAME, (struct bytes){ value, (size_t)(w.at - value) });
        assert_int_equal(p.alert, cases[i].alert);
        if (p.alert == UNTOUCHED) {
            assert_int_equal(p.hello.server_name.len, cases[i].len);
        }
        parsed_free(&p);
    }
}

/* --- pre_shared_key ---------------------------------------------------------- */

struct psk {
    unsigned identities;
    unsigned binders;
    size_t identity_len;
    size_t binder_len;
};

static struct bytes psk_value(const struct psk *psk, uint8_t *buf, size_t cap) {
    struct writer w = writer_of(buf, cap);
    writer_u16(&w, (uint16_t)(psk->identities * (psk->identity_len + 6)));
    for (unsigned i = 0; i < psk->identities; i++) {
        writer_u16(&w, (uint16_t)psk->identity_len);
        for (size_t j = 0; j < psk->identity_len; j++) {
            writer_u8(&w, (uint8_t)('A' + i));
        }
        writer_u32(&w, 0x01020304 + i);
    }
    writer_u16(&w, (uint16_t)(psk->binders * (psk->binder_len + 1)));
    for (unsigned i = 0; i < psk->binders; i++) {
        writer_u8(&w, (uint8_t)psk->binder_len);
        for (size_t j = 0; j < psk->binder_len; j++) {
            writer_u8(&w, (uint8_t)('a' + i));
        }
    }
    assert_false(w.failed);
    return (struct bytes){ buf, (size_t)(w.at - buf) };
}

static uint8_t alert_of_psk(struct psk psk) {
    uint8_t buf[32768];
    return alert_of_extension(PSK, psk_value(&psk, buf, sizeof(buf)));
}

static void psk_refusals(void **state) {
    (void)state; /* R22 */
    assert_int_equal(alert_of_psk((struct psk){ 0, 1, 32, 32 }), DECODE_ERROR);
    assert_int_equal(alert_of_psk((struct psk){ 1, 0, 32, 32 }), DECODE_ERROR);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 0, 32 }), DECODE_ERROR);
    assert_int_equal(alert_of_psk((struct psk){ 2, 1, 32, 32 }), ILLEGAL_PARAMETER);
    assert_int_equal(alert_of_psk((struct psk){ 1, 2, 32, 32 }), ILLEGAL_PARAMETER);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 32, 0 }), DECODE_ERROR);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 32, 31 }), DECODE_ERROR);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 32, 32 }), UNTOUCHED);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 32, 255 }), UNTOUCHED);
    assert_int_equal(alert_of_psk((struct psk){ 1, 1, 1, 32 }), UNTOUCHED);
}

static void psk_identities_are_bounded(void **state) {
    (void)state;
    const unsigned max = WIRE_PSK_IDENTITIES_MAX;
    assert_int_equal(alert_of_psk((struct psk){ max - 1, max - 1, 8, 32 }), UNTOUCHED);
    assert_int_equal(alert_of_psk((struct psk){ max, max, 8, 32 }), UNTOUCHED);
    assert_int_equal(alert_of_psk((struct psk){ max + 1, max + 1, 8, 32 }), DECODE_ERROR);
}

static void psk_truncated_or_with_more_is_refused(void **state) {
    (void)state;
    uint8_t buf[256];
    struct bytes whole = psk_value(&(struct psk){ 2, 2, 9, 32 }, buf, sizeof(buf));
    assert_int_equal(alert_of_extension(PSK, whole), UNTOUCHED);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(alert_of_extension(PSK, (struct bytes){ buf, len }), DECODE_ERROR);
    }
    buf[whole.len] = 0;
    assert_int_equal(alert_of_extension(PSK, (struct bytes){ buf, whole.len + 1 }), DECODE_ERROR);
}

static void psk_that_is_not_last_is_refused(void **state) {
    (void)state; /* R22 */
    uint8_t buf[256];
    uint8_t block[512];
    struct bytes value = psk_value(&(struct psk){ 1, 1, 9, 32 }, buf, sizeof(buf));
    struct writer w = writer_of(block, sizeof(block));
    hello_put_extension(&w, EMS, BYTES(""));
    hello_put_extension(&w, PSK, value);
    struct hello_parts last = { .extensions = { block, (size_t)(w.at - block) } };
    assert_int_equal(alert_of_parts(&last), UNTOUCHED);
    hello_put_extension(&w, 0x0a0a, BYTES(""));
    struct hello_parts not_last = { .extensions = { block, (size_t)(w.at - block) } };
    assert_int_equal(alert_of_parts(&not_last), ILLEGAL_PARAMETER);
}

static void psk_gives_the_first_identity_and_binder(void **state) {
    (void)state;
    uint8_t buf[512];
    struct parsed p;
    parse_extension(&p, PSK, psk_value(&(struct psk){ 3, 3, 4, 48 }, buf, sizeof(buf)));
    assert_int_equal(p.alert, UNTOUCHED);
    assert_true(p.hello.has_psk);
    assert_int_equal(p.hello.psk_identities, 3);
    assert_bytes(p.hello.psk_identity, BYTES("AAAA"));
    assert_int_equal(p.hello.psk_obfuscated_age_ms, 0x01020304);
    assert_int_equal(p.hello.psk_binder.len, 48);
    assert_memory_equal(p.hello.psk_binder.data, "aaaa", 4);
    parsed_free(&p);
}

/* --- what is accepted -------------------------------------------------------- */

static void a_minimal_hello_has_nothing(void **state) {
    (void)state;
    for (int without = 0; without <= 1; without++) { /* RFC 5246 allows both */
        struct hello_parts parts = { .without_extensions = without };
        struct parsed p;
        parse_parts(&p, &parts);
        assert_int_equal(p.alert, UNTOUCHED);
        assert_int_equal(p.hello.legacy_version, 0x0303);
        assert_int_equal(p.hello.random.len, 32);
        assert_int_equal(p.hello.random.data[0], 0xa0);
        assert_int_equal(p.hello.session_id.len, 0);
        assert_bytes(p.hello.cipher_suites, BYTES("\x13\x01\xc0\x2b"));
        assert_int_equal(p.hello.extensions.len, 0);
        assert_false(p.hello.has_server_name || p.hello.has_supported_versions ||
                     p.hello.has_session_ticket || p.hello.has_psk || p.hello.has_psk_modes ||
                     p.hello.has_alpn || p.hello.has_ems || p.hello.has_early_data ||
                     p.hello.has_renegotiation_info || p.hello.offers_scsv ||
                     p.hello.has_ticket_request || p.hello.has_groups);
        parsed_free(&p);
    }
}

static void session_ids_of_0_to_32_bytes_are_given(void **state) {
    (void)state; /* R14 */
    for (size_t len = 0; len <= 32; len++) {
        struct hello_parts parts = { .session_id = { letters, len } };
        struct parsed p;
        parse_parts(&p, &parts);
        assert_int_equal(p.alert, UNTOUCHED);
        assert_bytes(p.hello.session_id, parts.session_id);
        parsed_free(&p);
    }
}

static void compression_may_hold_more_than_null(void **state) {
    (void)state;
    struct hello_parts parts = { .compression = BYTES("\1\0") };
    assert_int_equal(alert_of_parts(&parts), UNTOUCHED);
}

static void scsv_is_seen(void **state) {
    (void)state; /* RFC 5746 3.3; not where two suites only look like it */
    struct parsed p;
    parse_parts(&p, &(struct hello_parts){ .suites = BYTES("\x13\x01\x00\xff") });
    assert_true(p.hello.offers_scsv);
    parsed_free(&p);
    parse_parts(&p, &(struct hello_parts){ .suites = BYTES("\x13\x00\xff\x01") });
    assert_false(p.hello.offers_scsv);
    parsed_free(&p);
}

static void server_name_stays_as_sent(void **state) {
    (void)state; /* R10: the parser folds no case; who compares names does */
    struct parsed p;
    parse_extension(&p, SERVER_NAME, BYTES("\0\22\0\0\17WWW.Example.COM"));
    assert_int_equal(p.alert, UNTOUCHED);
    assert_true(p.hello.has_server_name);
    assert_bytes(p.hello.server_name, BYTES("WWW.Example.COM"));
    parsed_free(&p);
}

static void all_extensions_at_once(void **state) {
    (void)state;
    uint8_t block[512];
    uint8_t psk[128];
    struct writer w = writer_of(block, sizeof(block));
    hello_put_extension(&w, 0x0a0a, BYTES("\0")); /* RFC 8701: GREASE, stepped over */
    hello_put_extension(&w, SERVER_NAME, BYTES("\0\4\0\0\1a"));
    hello_put_extension(&w, GROUPS, BYTES("\0\4\x11\xec\0\x1d"));
    hello_put_extension(&w, ALPN, BYTES("\0\14\2h2\10http/1.1"));
    hello_put_extension(&w, EMS, BYTES(""));
    hello_put_extension(&w, TICKET, BYTES("a ticket"));
    hello_put_extension(&w, RENEGOTIATION, BYTES("\2ab"));
    hello_put_extension(&w, EARLY_DATA, BYTES(""));
    hello_put_extension(&w, VERSIONS, BYTES("\4\3\4\3\3"));
    hello_put_extension(&w, PSK_MODES, BYTES("\2\1\7"));
    hello_put_extension(&w, TICKET_REQUEST, BYTES("\2\377"));
    hello_put_extension(&w, PSK, psk_value(&(struct psk){ 1, 1, 5, 32 }, psk, sizeof(psk)));
    struct hello_parts parts = { .extensions = { block, (size_t)(w.at - block) } };

    struct parsed p;
    parse_parts(&p, &parts);
    const struct hello *h = &p.hello;
    assert_int_equal(p.alert, UNTOUCHED);
    assert_bytes(h->extensions, parts.extensions);
    assert_bytes(h->server_name, BYTES("a"));
    assert_true(h->has_groups && h->has_alpn && h->has_ems && h->has_early_data);
    assert_bytes(h->groups, BYTES("\x11\xec\0\x1d"));
    assert_bytes(h->alpn, BYTES("\2h2\10http/1.1"));
    assert_true(h->has_session_ticket);
    assert_bytes(h->session_ticket, BYTES("a ticket"));
    assert_true(h->has_renegotiation_info);
    assert_bytes(h->renegotiation_info, BYTES("ab"));
    assert_true(h->has_supported_versions);
    assert_bytes(h->supported_versions, BYTES("\3\4\3\3"));
    assert_true(h->has_psk_modes && h->psk_dhe_ke);
    assert_false(h->psk_ke);
    assert_true(h->has_ticket_request);
    assert_int_equal(h->tickets_new, 2);
    assert_int_equal(h->tickets_resumed, 255);
    assert_true(h->has_psk);
    assert_bytes(h->psk_identity, BYTES("AAAAA"));
    parsed_free(&p);
}

static void empty_is_not_absent(void **state) {
    (void)state;
    struct parsed p;
    parse_extension(&p, TICKET, BYTES(""));
    assert_true(p.hello.has_session_ticket);
    assert_int_equal(p.hello.session_ticket.len, 0);
    parsed_free(&p);
    parse_extension(&p, RENEGOTIATION, BYTES("\0"));
    assert_true(p.hello.has_renegotiation_info);
    assert_int_equal(p.hello.renegotiation_info.len, 0);
    parsed_free(&p);
    parse_extension(&p, PSK_MODES, BYTES("\1\0")); /* R23: psk_ke only */
    assert_true(p.hello.has_psk_modes && p.hello.psk_ke);
    assert_false(p.hello.psk_dhe_ke);
    parsed_free(&p);
}

/* --- questions --------------------------------------------------------------- */

static void versions_are_those_of_the_extension(void **state) {
    (void)state; /* RFC 8446 4.2.1 */
    struct hello hello = { .legacy_version = 0x0303,
                           .has_supported_versions = true,
                           .supported_versions = BYTES("\3\4") };
    assert_false(hello_offers_version(&hello, 0x0303));
    assert_true(hello_offers_version(&hello, 0x0304));
    hello.legacy_version = 0x0301;
    assert_true(hello_offers_version(&hello, 0x0304));
    hello.legacy_version = 0x0300; /* RFC 8446 D.5 */
    assert_false(hello_offers_version(&hello, 0x0304));
}

static void versions_without_the_extension_end_at_tls12(void **state) {
    (void)state;
    struct hello hello = { .legacy_version = 0x0304 };
    assert_true(hello_offers_version(&hello, 0x0303));
    assert_false(hello_offers_version(&hello, 0x0304));
    hello.legacy_version = 0x0302;
    assert_false(hello_offers_version(&hello, 0x0303));
    hello.legacy_version = 0x0303;
    assert_true(hello_offers_version(&hello, 0x0303));
    assert_false(hello_offers_version(&hello, 0x0304));
}

static void tls13_wants_its_extensions(void **state) {
    (void)state; /* RFC 8446 9.2 */
    assert_false(hello_is_complete13(&(struct hello){ 0 }));
    struct hello all = { .has_groups = true,
                         .has_key_share = true,
                         .has_signature_algorithms = true };
    assert_true(hello_is_complete13(&all));
    for (int missing = 0; missing < 3; missing++) {
        for (int psk = 0; psk <= 1; psk++) {
            struct hello hello = { .has_groups = missing != 0,
                                   .has_key_share = missing != 1,
                                   .has_signature_algorithms = missing != 2,
                                   .has_psk = psk };
            assert_int_equal(hello_is_complete13(&hello), psk && missing == 2);
        }
    }
    assert_true(hello_is_complete13(&(struct hello){ .has_psk = true }));
}

static void a_malformed_ticket_request_is_seen(void **state) {
    (void)state; /* RFC 9149; TLS 1.2 has none, so that it is judged later */
    const struct bytes values[] = { BYTES_INIT(""), BYTES_INIT("\1"), BYTES_INIT("\1\1\1") };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct parsed p;
        parse_extension(&p, TICKET_REQUEST, values[i]);
        assert_int_equal(p.alert, UNTOUCHED);
        assert_true(p.hello.has_bad_ticket_request);
        assert_false(p.hello.has_ticket_request);
        parsed_free(&p);
    }
}

static void an_empty_list_of_point_formats_is_seen(void **state) {
    (void)state; /* RFC 8422 5.1.2 */
    const struct {
        struct bytes value;
        bool empty;
    } cases[] = { { BYTES_INIT("\0"), true },
                  { BYTES_INIT(""), false }, /* not even a list */
                  { BYTES_INIT("\1\0"), false } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p;
        parse_extension(&p, 11, cases[i].value);
        assert_int_equal(p.alert, UNTOUCHED);
        assert_int_equal(p.hello.has_empty_point_formats, cases[i].empty);
        parsed_free(&p);
    }
}

static void ciphers_are_looked_up_at_even_places(void **state) {
    (void)state;
    struct hello hello = { .cipher_suites = BYTES("\x13\x01\xc0\x2b") };
    assert_true(hello_offers_cipher(&hello, 0x1301));
    assert_true(hello_offers_cipher(&hello, 0xc02b));
    assert_false(hello_offers_cipher(&hello, 0x01c0));
    assert_false(hello_list_has_u16(BYTES("\x13"), 0x1300));
    assert_false(hello_list_has_u16((struct bytes){ 0 }, 0));
}

static void alpn_is_compared_whole(void **state) {
    (void)state;
    struct hello hello = { .has_alpn = true, .alpn = BYTES("\10http/1.1\2h2") };
    assert_true(hello_offers_alpn(&hello, BYTES("h2")));
    assert_true(hello_offers_alpn(&hello, BYTES("http/1.1")));
    assert_false(hello_offers_alpn(&hello, BYTES("http/1.0")));
    assert_false(hello_offers_alpn(&hello, BYTES("http/1")));
    assert_false(hello_offers_alpn(&hello, BYTES("")));
    assert_false(hello_offers_alpn(&(struct hello){ .alpn = BYTES("\3h2") }, BYTES("")));
    assert_false(hello_offers_alpn(&(struct hello){ 0 }, BYTES("")));
    assert_false(hello_offers_alpn(&(struct hello){ 0 }, BYTES("h2")));
}

int main(void) {
    memset(letters, 'a', sizeof(letters));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_id_of_33_bytes_is_refused),
        cmocka_unit_test(cipher_suites_of_wrong_length_are_refused),
        cmocka_unit_test(compression_without_null_is_refused),
        cmocka_unit_test(what_cannot_be_decoded_comes_first),
        cmocka_unit_test(trailing_bytes_are_refused),
        cmocka_unit_test(a_lone_byte_for_the_extensions_is_refused),
        cmocka_unit_test(nothing_is_refused),
        cmocka_unit_test(malformed_extensions_are_refused),
        cmocka_unit_test(a_repeated_extension_is_refused),
        cmocka_unit_test(each_of_many_extensions_is_remembered),
        cmocka_unit_test(as_many_extensions_as_fit_are_accepted),
        cmocka_unit_test(server_names_are_bounded),
        cmocka_unit_test(psk_refusals),
        cmocka_unit_test(psk_identities_are_bounded),
        cmocka_unit_test(psk_truncated_or_with_more_is_refused),
        cmocka_unit_test(psk_that_is_not_last_is_refused),
        cmocka_unit_test(psk_gives_the_first_identity_and_binder),
        cmocka_unit_test(a_minimal_hello_has_nothing),
        cmocka_unit_test(session_ids_of_0_to_32_bytes_are_given),
        cmocka_unit_test(compression_may_hold_more_than_null),
        cmocka_unit_test(scsv_is_seen),
        cmocka_unit_test(server_name_stays_as_sent),
        cmocka_unit_test(all_extensions_at_once),
        cmocka_unit_test(empty_is_not_absent),
        cmocka_unit_test(versions_are_those_of_the_extension),
        cmocka_unit_test(versions_without_the_extension_end_at_tls12),
        cmocka_unit_test(tls13_wants_its_extensions),
        cmocka_unit_test(a_malformed_ticket_request_is_seen),
        cmocka_unit_test(an_empty_list_of_point_formats_is_seen),
        cmocka_unit_test(ciphers_are_looked_up_at_even_places),
        cmocka_unit_test(alpn_is_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
