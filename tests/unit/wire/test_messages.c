/* test_messages.c: wire/messages.c and wire/server_hello.c: what is whole is read, every
 * truncation is refused or read as far as it goes, and nothing is read behind the end. */
#include "wire/messages.h"

#include <stdlib.h>

#include "unit.h"
#include "wire/server_hello.h"

#define LITERAL(text) ((struct bytes){ (const uint8_t *)(text), sizeof(text) - 1 })

static void a_ticket_of_tls_1_2(void **state) {
    (void)state;
    struct new_session_ticket ticket;
    struct bytes body = LITERAL("\0\0\x1c\x20\0\3abc");
    assert_int_equal(new_session_ticket_parse(body, false, &ticket), 0);
    assert_int_equal(ticket.lifetime_s, 7200);
    assert_memory_equal(ticket.ticket.data, "abc", 3);
    for (size_t len = 0; len < body.len; len++) {
        uint8_t *heap = malloc(len ? len : 1);
        assert_non_null(heap);
        memcpy(heap, body.data, len);
        assert_int_equal(new_session_ticket_parse((struct bytes){ heap, len }, false, &ticket), -1);
        free(heap);
    }
}

static void a_ticket_of_tls_1_3(void **state) {
    (void)state;
    struct new_session_ticket ticket;
    struct bytes body = LITERAL("\0\0\0\x0a\1\2\3\4\1\7\0\2tt\0\x08\0\x2a\0\4\0\0\x40\0");
    assert_int_equal(new_session_ticket_parse(body, true, &ticket), 0);
    assert_int_equal(ticket.lifetime_s, 10);
    assert_int_equal(ticket.age_add, 0x01020304);
    assert_int_equal(ticket.nonce.len, 1);
    assert_int_equal(ticket.ticket.len, 2);
    assert_true(ticket.has_early_data);
    assert_int_equal(ticket.max_early_data, 16384);
}

static void a_hello_of_ssl_2(void **state) {
    (void)state;
    const uint8_t hello[] = "\x80\x1c\1\3\1\0\3\0\0\0\x10\0\0\5ABCDEFGHIJKLMNOP";
    size_t len = 0;
    assert_true(ssl2_hello_starts(hello, &len));
    assert_int_equal(len, sizeof(hello) - 1);
    struct ssl2_hello out;
    assert_int_equal(ssl2_hello_parse((struct bytes){ hello, len }, &out), 0);
    assert_int_equal(out.version, 0x0301);
    assert_int_equal(out.session_id.len, 0);
    assert_int_equal(ssl2_hello_parse((struct bytes){ hello, len - 1 }, &out), -1);
    uint8_t other[SSL2_HELLO_HEADER];
    memcpy(other, hello, sizeof(other));
    other[6] = 4; /* no multiple of three */
    assert_false(ssl2_hello_starts(other, &len));
}

#define RANDOM32 "0123456789abcdef0123456789abcdef"

static void a_server_hello_of_tls_1_2(void **state) {
    (void)state;
    struct server_hello hello;
    struct bytes body = LITERAL("\3\3" RANDOM32 "\2id\xc0\x2b\0\0\x08\0\x23\0\0\0\x17\0\0");
    assert_int_equal(server_hello_parse(body, &hello), 0);
    assert_int_equal(hello.version, 0x0303);
    assert_int_equal(hello.session_id.len, 2);
    assert_int_equal(hello.cipher_suite, 0xc02b);
    assert_true(hello.has_session_ticket && hello.has_ems && !hello.has_psk);
    assert_false(hello.is_retry);
}

static void a_server_hello_of_tls_1_3(void **state) {
    (void)state;
    struct server_hello hello;
    struct bytes body = LITERAL("\3\3" RANDOM32 "\0\x13\1\0\0\x0c\0\x2b\0\2\3\4\0\x29\0\2\0\1");
    assert_int_equal(server_hello_parse(body, &hello), 0);
    assert_true(version_is_tls13(hello.version));
    assert_true(hello.has_psk);
    assert_int_equal(hello.psk_selected, 1);
}

static void a_server_hello_of_an_old_draft(void **state) {
    (void)state;
    struct server_hello hello;
    struct bytes body = LITERAL("\x7f\x13" RANDOM32 "\x13\1\0\x06\0\x29\0\2\0\0");
    assert_int_equal(server_hello_parse(body, &hello), 0);
    assert_int_equal(version_draft(hello.version), 19);
    assert_true(version_is_tls13(hello.version));
    assert_true(hello.has_psk);
    assert_int_equal(hello.session_id.len, 0);
}

static void truncations_of_a_server_hello(void **state) {
    (void)state;
    struct bytes body = LITERAL("\3\3" RANDOM32 "\0\x13\1\0\0\x0c\0\x2b\0\2\3\4\0\x29\0\2\0\1");
    for (size_t len = 0; len < body.len; len++) {
        uint8_t *heap = malloc(len ? len : 1);
        assert_non_null(heap);
        memcpy(heap, body.data, len);
        struct server_hello hello;
        int result = server_hello_parse((struct bytes){ heap, len }, &hello);
        assert_int_equal(result, len < 38 ? -1 : 0);
        free(heap);
    }
}

static void identities_are_stepped_through(void **state) {
    (void)state;
    struct cursor list = cursor_of(LITERAL("\0\1a\0\0\0\1\0\2bc\0\0\0\2\0\5short"));
    struct bytes identity;
    uint32_t age_ms = 0;
    assert_true(psk_identity_next(&list, &identity, &age_ms));
    assert_true(psk_identity_next(&list, &identity, &age_ms));
    assert_int_equal(identity.len, 2);
    assert_int_equal(age_ms, 2);
    assert_false(psk_identity_next(&list, &identity, &age_ms));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_of_tls_1_2),
        cmocka_unit_test(a_ticket_of_tls_1_3),
        cmocka_unit_test(a_hello_of_ssl_2),
        cmocka_unit_test(a_server_hello_of_tls_1_2),
        cmocka_unit_test(a_server_hello_of_tls_1_3),
        cmocka_unit_test(a_server_hello_of_an_old_draft),
        cmocka_unit_test(truncations_of_a_server_hello),
        cmocka_unit_test(identities_are_stepped_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
