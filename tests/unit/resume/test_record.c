/* test_record.c: resume/record.c. What is sealed is what is tested: one byte too few, too
 * many or other than it should be. */
#include "resume/record.h"

#include <stdlib.h>

#include "session.h"

#define ENCODED_MAX (RECORD_OVERHEAD_MAX + RECORD_SESSION_MAX)

/* A record in which no two neighbouring bytes are alike. */
static void make_full(struct record *r, uint8_t *session, size_t session_len) {
    static uint8_t alpn[255];
    uint64_t rng = 3;
    rng_fill(&rng, session, session_len);
    rng_fill(&rng, alpn, sizeof(alpn));
    *r = (struct record){
        .kind = RESUME_BY_PSK,
        .protocol = 0x0304,
        .cipher = 0x1302,
        .flags = RECORD_FLAG_EMS | RECORD_FLAG_CLIENT_CERT,
        .first_ms = 0x0102030405060708,
        .issued_ms = 0x1112131415161718,
        .lifetime_s = 0x21222324,
        .client_chain_expiry_s = 0x3132333435363738,
        .alpn = { alpn, sizeof(alpn) },
        .session = { session, session_len },
    };
    rng_fill(&rng, &r->policy, sizeof(r->policy));
    rng_fill(&rng, r->server_name, sizeof(r->server_name));
}

static void assert_same(const struct record *a, const struct record *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->protocol, b->protocol);
    assert_int_equal(a->cipher, b->cipher);
    assert_int_equal(a->flags, b->flags);
    assert_true(a->first_ms == b->first_ms);
    assert_true(a->issued_ms == b->issued_ms);
    assert_int_equal(a->lifetime_s, b->lifetime_s);
    assert_true(a->client_chain_expiry_s == b->client_chain_expiry_s);
    assert_memory_equal(&a->policy, &b->policy, sizeof(a->policy));
    assert_memory_equal(a->server_name, b->server_name, sizeof(a->server_name));
    assert_true(bytes_equal(a->alpn, b->alpn));
    assert_true(bytes_equal(a->session, b->session));
}

/* Decodes from a block of exactly this size: the sanitizer sees one byte too many. */
static enum record_status decode(const uint8_t *bytes, size_t len) {
    uint8_t *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    struct record r;
    enum record_status status = record_decode((struct bytes){ exact, len }, &r);
    if (status == RECORD_OK) {
        assert_true(r.session.data >= exact && r.session.data + r.session.len == exact + len);
        assert_true(r.alpn.len == 0 || (r.alpn.data > exact && r.alpn.data < r.session.data));
    }
    free(exact);
    return status;
}

/* --- refusals ------------------------------------------------------------ */

static void a_record_cut_short_is_broken(void **state) {
    (void)state;
    uint8_t session[300];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    assert_int_equal(decode(buf, len), RECORD_OK);
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(decode(buf, cut), RECORD_BROKEN);
    }
}

static void a_trailing_byte_is_broken(void **state) {
    (void)state;
    uint8_t session[300];
    uint8_t buf[ENCODED_MAX + 8] = { 0 };
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    for (size_t more = 1; more <= 8; more++) {
        assert_int_equal(decode(buf, len + more), RECORD_BROKEN);
    }
}

/* Before anything else is looked at: another version may look otherwise altogether. */
static void another_version_is_told(void **state) {
    (void)state;
    uint8_t session[30];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    assert_int_equal(buf[0], RECORD_VERSION);
    for (unsigned version = 0; version < 256; version++) {
        enum record_status expected = version == RECORD_VERSION ? RECORD_OK : RECORD_OTHER_VERSION;
        buf[0] = (uint8_t)version;
        assert_int_equal(decode(buf, len), expected);
        assert_int_equal(decode(buf, 1), expected == RECORD_OK ? RECORD_BROKEN : expected);
    }
}

static void an_unknown_kind_is_broken(void **state) {
    (void)state;
    uint8_t session[30];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    for (unsigned kind = 0; kind < 256; kind++) {
        bool known = kind >= RESUME_BY_SESSION_ID && kind <= RESUME_BY_PSK_STATEFUL;
        buf[1] = (uint8_t)kind;
        assert_int_equal(decode(buf, len), known ? RECORD_OK : RECORD_BROKEN);
    }
}

/* The inner lengths, each too small and too large by any amount. */
static void lengths_must_add_up(void **state) {
    (void)state;
    uint8_t session[40];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    r.alpn.len = 8;
    size_t len = record_encode(&r, buf, sizeof(buf));
    size_t alpn_at = len - sizeof(session) - 2 - r.alpn.len - 1;
    assert_int_equal(buf[alpn_at], 8);
    size_t session_at = len - sizeof(session) - 2;
    for (unsigned value = 0; value < 65536; value++) {
        if (value != sizeof(session)) {
            buf[session_at] = (uint8_t)(value >> 8);
            buf[session_at + 1] = (uint8_t)value;
            struct record out;
            assert_int_equal(record_decode((struct bytes){ buf, len }, &out), RECORD_BROKEN);
        }
    }
    record_encode(&r, buf, sizeof(buf));
    /* An ALPN length that is off moves the session's: only by chance would they meet. */
    for (unsigned value = 0; value < 256; value++) {
        buf[alpn_at] = (uint8_t)value;
        assert_int_equal(decode(buf, len), value == 8 ? RECORD_OK : RECORD_BROKEN);
    }
}

static void a_record_without_a_session_is_broken(void **state) {
    (void)state;
    uint8_t session[30];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    buf[len - sizeof(session) - 2] = 0;
    buf[len - sizeof(session) - 1] = 0;
    assert_int_equal(decode(buf, len - sizeof(session)), RECORD_BROKEN);
}

static void nothing_is_written_beyond_the_room(void **state) {
    (void)state;
    uint8_t session[100];
    uint8_t buf[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    assert_true(len > 0);
    for (size_t cap = 0; cap < len; cap++) {
        uint8_t *exact = malloc(cap > 0 ? cap : 1);
        assert_non_null(exact);
        assert_int_equal(record_encode(&r, exact, cap), 0);
        free(exact);
    }
    assert_int_equal(record_encode(&r, buf, len), len);
}

/* R44: what is too large is refused whole, and the bounds are those that are told. */
static void what_is_too_large_is_not_encoded(void **state) {
    (void)state;
    static uint8_t session[RECORD_SESSION_MAX + 1];
    static uint8_t buf[2 * ENCODED_MAX];
    struct record r;
    make_full(&r, session, RECORD_SESSION_MAX);
    assert_int_equal(record_encode(&r, buf, sizeof(buf)), ENCODED_MAX);
    assert_int_equal(decode(buf, ENCODED_MAX), RECORD_OK);
    r.session.len = RECORD_SESSION_MAX + 1;
    assert_int_equal(record_encode(&r, buf, sizeof(buf)), 0);
    r.session.len = 1;
    static uint8_t alpn[256];
    r.alpn = (struct bytes){ alpn, sizeof(alpn) };
    assert_int_equal(record_encode(&r, buf, sizeof(buf)), 0);
}

/* --- round trip ---------------------------------------------------------- */

static void every_kind_and_length_comes_back(void **state) {
    (void)state;
    static uint8_t session[RECORD_SESSION_MAX];
    static uint8_t buf[ENCODED_MAX];
    static const size_t lengths[] = { 1, 2, 255, 256, 1000, RECORD_SESSION_MAX };
    static const size_t alpn_lengths[] = { 0, 1, 254, 255 };
    for (unsigned kind = RESUME_BY_SESSION_ID; kind <= RESUME_BY_PSK_STATEFUL; kind++) {
        for (size_t i = 0; i < LENGTH(lengths); i++) {
            for (size_t k = 0; k < LENGTH(alpn_lengths); k++) {
                struct record r;
                struct record out;
                make_full(&r, session, lengths[i]);
                r.kind = (enum resume_by)kind;
                r.alpn.len = alpn_lengths[k];
                size_t len = record_encode(&r, buf, sizeof(buf));
                assert_true(len > 0);
                assert_int_equal(record_decode((struct bytes){ buf, len }, &out), RECORD_OK);
                assert_same(&r, &out);
            }
        }
    }
}

/* Each field is where it is read from: a change of any one byte is a change of the record. */
static void no_byte_is_without_meaning(void **state) {
    (void)state;
    uint8_t session[30];
    uint8_t buf[ENCODED_MAX];
    uint8_t again[ENCODED_MAX];
    struct record r;
    make_full(&r, session, sizeof(session));
    size_t len = record_encode(&r, buf, sizeof(buf));
    for (size_t i = 0; i < len; i++) {
        buf[i] ^= 1;
        struct record out;
        if (record_decode((struct bytes){ buf, len }, &out) == RECORD_OK) {
            assert_int_equal(record_encode(&out, again, sizeof(again)), len);
            assert_memory_equal(again, buf, len);
        }
        buf[i] ^= 1;
    }
}

/* The layout that other hosts, and this one after an upgrade, read: see record.h. */
static void the_layout_is_the_one_told(void **state) {
    (void)state;
    struct record r = {
        .kind = RESUME_BY_TICKET,
        .protocol = 0x0303,
        .cipher = 0xc02b,
        .flags = RECORD_FLAG_EMS,
        .first_ms = 0x0102030405060708,
        .issued_ms = 0x090a0b0c0d0e0f10,
        .lifetime_s = 0x11121314,
        .client_chain_expiry_s = 0x15161718191a1b1c,
        .alpn = bytes_of("h2"),
        .session = bytes_of("xyz"),
    };
    memset(&r.policy, 0xaa, sizeof(r.policy));
    memset(r.server_name, 0xbb, sizeof(r.server_name));
    static const uint8_t head[] = { 1,    2,    0x03, 0x03, 0xc0, 0x2b, 0,    1,    0x01,
                                    0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                    0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13,
                                    0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c };
    static const uint8_t tail[] = { 2, 'h', '2', 0, 3, 'x', 'y', 'z' };
    uint8_t buf[ENCODED_MAX];
    size_t len = record_encode(&r, buf, sizeof(buf));
    size_t middle = sizeof(r.policy) + RECORD_NAME_LEN;
    assert_int_equal(sizeof(r.policy), POLICY_PARTS * POLICY_PRINT_LEN);
    assert_int_equal(len, sizeof(head) + middle + sizeof(tail));
    assert_memory_equal(buf, head, sizeof(head));
    assert_memory_equal(buf + sizeof(head), &r.policy, sizeof(r.policy));
    assert_memory_equal(buf + sizeof(head) + sizeof(r.policy), r.server_name, RECORD_NAME_LEN);
    assert_memory_equal(buf + sizeof(head) + middle, tail, sizeof(tail));
}

/* --- names and words ----------------------------------------------------- */

static void names_are_hashed_and_none_is_zero(void **state) {
    (void)state;
    static const uint8_t zero[RECORD_NAME_LEN];
    uint8_t a[RECORD_NAME_LEN];
    uint8_t b[RECORD_NAME_LEN];
    memset(a, 1, sizeof(a));
    record_hash_name((struct bytes){ 0 }, a);
    assert_memory_equal(a, zero, sizeof(a));
    record_hash_name(bytes_of("www.example.com"), a);
    assert_memory_not_equal(a, zero, sizeof(a));
    record_hash_name(bytes_of("www.example.com"), b);
    assert_memory_equal(a, b, sizeof(a));
    record_hash_name(bytes_of("www.example.con"), b);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void ways_have_words(void **state) {
    (void)state;
    static const char *const words[] = { "none", "session-id", "ticket", "psk", "psk-stateful" };
    for (unsigned by = RESUME_BY_NONE; by <= RESUME_BY_PSK_STATEFUL; by++) {
        assert_string_equal(resume_by_word((enum resume_by)by), words[by]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_cut_short_is_broken),
        cmocka_unit_test(a_trailing_byte_is_broken),
        cmocka_unit_test(another_version_is_told),
        cmocka_unit_test(an_unknown_kind_is_broken),
        cmocka_unit_test(lengths_must_add_up),
        cmocka_unit_test(a_record_without_a_session_is_broken),
        cmocka_unit_test(nothing_is_written_beyond_the_room),
        cmocka_unit_test(what_is_too_large_is_not_encoded),
        cmocka_unit_test(every_kind_and_length_comes_back),
        cmocka_unit_test(no_byte_is_without_meaning),
        cmocka_unit_test(the_layout_is_the_one_told),
        cmocka_unit_test(names_are_hashed_and_none_is_zero),
        cmocka_unit_test(ways_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
