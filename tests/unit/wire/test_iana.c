/* test_iana.c: wire/iana.c, and that iana.def is in the order that it asks for. */
#include "wire/iana.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void unknown_codes_have_no_name(void **state) {
    (void)state;
    assert_null(iana_find(NAME_VERSION, 0x0000)); /* before the table's first row */
    assert_null(iana_find(NAME_VERSION, 0x0305));
    assert_null(iana_find(NAME_HANDSHAKE, 0x0100));
    assert_null(iana_find(NAME_ALERT, 1));
    assert_null(iana_find(NAME_EXTENSION, 40));
    assert_null(iana_find(NAME_GROUP, 0));
    assert_null(iana_find(NAME_CIPHER_SUITE, 0xffff)); /* behind its last one */
}

static void codes_have_their_names(void **state) {
    (void)state;
    assert_string_equal(iana_find(NAME_VERSION, 0x0303), "TLSv1.2");
    assert_string_equal(iana_find(NAME_VERSION, 0x0304), "TLSv1.3");
    assert_string_equal(iana_find(NAME_RECORD, 22), "handshake");
    assert_string_equal(iana_find(NAME_HANDSHAKE, 4), "new_session_ticket");
    assert_string_equal(iana_find(NAME_ALERT, 100), "no_renegotiation");
    assert_string_equal(iana_find(NAME_EXTENSION, 35), "session_ticket");
    assert_string_equal(iana_find(NAME_EXTENSION, 0xff01), "renegotiation_info");
    assert_string_equal(iana_find(NAME_GROUP, 0x001d), "x25519");
    assert_string_equal(iana_find(NAME_GROUP, 0x11ec), "X25519MLKEM768");
    assert_string_equal(iana_find(NAME_CIPHER_SUITE, 0x0000), "TLS_NULL_WITH_NULL_NULL");
    assert_string_equal(iana_find(NAME_CIPHER_SUITE, 0x1301), "TLS_AES_128_GCM_SHA256");
    assert_string_equal(iana_find(NAME_CIPHER_SUITE, 0xc02b),
                        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

static void grease_is_told(void **state) {
    (void)state; /* RFC 8701 */
    for (unsigned i = 0; i < 16; i++) {
        uint16_t code = (uint16_t)(i << 12 | 0x0a00 | i << 4 | 0x0a);
        assert_string_equal(iana_find(NAME_CIPHER_SUITE, code), "GREASE");
        assert_string_equal(iana_find(NAME_EXTENSION, code), "GREASE");
        assert_string_equal(iana_find(NAME_GROUP, code), "GREASE");
        assert_string_equal(iana_find(NAME_VERSION, code), "GREASE");
        assert_null(iana_find(NAME_ALERT, code));
    }
    assert_null(iana_find(NAME_CIPHER_SUITE, 0x0a1a));
    assert_null(iana_find(NAME_CIPHER_SUITE, 0x0b0b));
}

/* What is out of order, or stands there twice, is not found under its own name. */
static void every_row_is_found(void **state) {
    (void)state;
    static const struct {
        enum name_kind kind;
        uint16_t code;
        const char *name;
    } rows[] = {
#define NAME(kind, code, name) { NAME_##kind, code, name },
#include "wire/iana.def"
#undef NAME
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (i > 0 && (rows[i - 1].kind > rows[i].kind ||
                      (rows[i - 1].kind == rows[i].kind && rows[i - 1].code >= rows[i].code))) {
            fail_msg("%s is out of order", rows[i].name);
        }
        const char *found = iana_find(rows[i].kind, rows[i].code);
        assert_non_null(found);
        assert_string_equal(found, rows[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_codes_have_no_name),
        cmocka_unit_test(codes_have_their_names),
        cmocka_unit_test(grease_is_told),
        cmocka_unit_test(every_row_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
