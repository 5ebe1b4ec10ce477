/* test_scalar.c: config/scalar.c. */
#include "config/scalar.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void switch_refuses(void **state) {
    (void)state;
    static const char *const bads[] = { "", "ON", "On", "1", "0", "enabled", "on ", "y", "n" };
    bool value;
    for (size_t i = 0; i < LENGTH(bads); i++) {
        assert_int_equal(scalar_switch(bads[i], &value), -1);
    }
}

static void switch_takes_both(void **state) {
    (void)state;
    static const char *const on[] = { "on", "true", "yes" };
    static const char *const off[] = { "off", "false", "no" };
    bool value;
    for (size_t i = 0; i < LENGTH(on); i++) {
        assert_int_equal(scalar_switch(on[i], &value), 0);
        assert_true(value);
        assert_int_equal(scalar_switch(off[i], &value), 0);
        assert_false(value);
    }
}

static void number_refuses(void **state) {
    (void)state;
    static const char *const bads[] = { "",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "0x1",
                                        "1.0",
                                        "1e3",
                                        "1_000",
                                        "18446744073709551616",
                                        "99999999999999999999999" };
    uint64_t value;
    for (size_t i = 0; i < LENGTH(bads); i++) {
        assert_int_equal(scalar_number(bads[i], &value), -1);
    }
}

static void number_takes_digits(void **state) {
    (void)state;
    uint64_t value;
    assert_int_equal(scalar_number("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(scalar_number("007", &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(scalar_number("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
}

static void duration_refuses(void **state) {
    (void)state;
    static const char *const bads[] = { "",
                                        "s",
                                        "-1s",
                                        "1.5s",
                                        "1 s",
                                        "1S",
                                        "1w",
                                        "1min",
                                        "1h30m",
                                        "1ss",
                                        "18446744073709552s",
                                        "213503982335d" };
    uint64_t ms;
    for (size_t i = 0; i < LENGTH(bads); i++) {
        assert_int_equal(scalar_duration_ms(bads[i], &ms), -1);
    }
}

static void duration_reads_and_prints(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
        const char *printed;
    } rows[] = {
        { "0", 0, "0s" },          { "0ms", 0, "0s" },         { "1ms", 1, "1ms" },
        { "500ms", 500, "500ms" }, { "1000ms", 1000, "1s" },   { "1500ms", 1500, "1500ms" },
        { "10", 10000, "10s" },    { "90s", 90000, "90s" },    { "5m", 300000, "5m" },
        { "60m", 3600000, "1h" },  { "24h", 86400000, "24h" }, { "1d", 86400000, "24h" },
        { "7d", 604800000, "7d" }, { "25h", 90000000, "25h" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint64_t ms;
        char printed[SCALAR_DURATION_MAX];
        assert_int_equal(scalar_duration_ms(rows[i].text, &ms), 0);
        assert_true(ms == rows[i].ms);
        assert_string_equal(scalar_print_duration(ms, printed, sizeof(printed)), rows[i].printed);
    }
}

static void address_refuses(void **state) {
    (void)state;
    static const char *const bads[] = {
        "",
        ":",
        "443",
        ":443",
        "*:443",
        "localhost:443",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:http",
        "127.0.0.1:80:80",
        "127.1:80",
        "0x7f.0.0.1:80",
        "256.0.0.1:80",
        "127.0.0.1 :80",
        "::1:443",
        "::1",
        "[::1]",
        "[::1]443",
        "[::1:443",
        "[]:443",
        "[127.0.0.1]:443",
        "[::g]:443",
        "[fe80::1%nosuchinterface0]:443",
        "[1:2:3:4:5:6:7:8:9]:443",
        "[00000000000000000000000000000000000000000000000000000000000000000000::1]:443",
        "1111111111111111111111111111111111111111111111111111111111111111111111:443",
    };
    for (size_t i = 0; i < LENGTH(bads); i++) {
        struct sockaddr_storage addr;
        socklen_t len;
        if (scalar_address(bads[i], &addr, &len) == 0) {
            fail_msg("'%s' was taken", bads[i]);
        }
    }
}

static void address_reads_and_prints(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int family;
        uint16_t port;
        const char *printed;
    } rows[] = {
        { "127.0.0.1:8443", AF_INET, 8443, "127.0.0.1:8443" },
        { "0.0.0.0:0", AF_INET, 0, "0.0.0.0:0" },
        { "255.255.255.255:65535", AF_INET, 65535, "255.255.255.255:65535" },
        { "[::1]:443", AF_INET6, 443, "[::1]:443" },
        { "[0:0:0:0:0:0:0:1]:443", AF_INET6, 443, "[::1]:443" },
        { "[2001:DB8::A]:1", AF_INET6, 1, "[2001:db8::a]:1" },
        { "[fe80::1%lo]:443", AF_INET6, 443, "[fe80::1%1]:443" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct sockaddr_storage addr;
        socklen_t len;
        char printed[SCALAR_ADDRESS_MAX];
        assert_int_equal(scalar_address(rows[i].text, &addr, &len), 0);
        assert_int_equal(addr.ss_family, rows[i].family);
        assert_int_equal(len, rows[i].family == AF_INET ? sizeof(struct sockaddr_in)
                                                        : sizeof(struct sockaddr_in6));
        assert_int_equal(scalar_port(&addr), rows[i].port);
        assert_string_equal(scalar_print_address(&addr, printed, sizeof(printed)), rows[i].printed);
    }
}

#define TEN "abcdefghij"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void server_name_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *wrong;
    } rows[] = {
        { "", "is not a host name" },
        { ".", "is not a host name" },
        { "a..b", "is not a host name" },
        { ".a", "is not a host name" },
        { "a b", "is not a host name" },
        { "-a.example.com", "is not a host name" },
        { "a-.example.com", "is not a host name" },
        { "a/b", "is not a host name" },
        { "a:443", "is not a host name" },
        { "[::1]", "is not a host name" },
        { SIXTY "abcd.example.com", "is not a host name" },
        { "*", "has a '*' that is not the whole leftmost label" },
        { "*.", "has a '*' that is not the whole leftmost label" },
        { "a*.example.com", "has a '*' that is not the whole leftmost label" },
        { "*a.example.com", "has a '*' that is not the whole leftmost label" },
        { "www.*.com", "has a '*' that is not the whole leftmost label" },
        { "*.*.example.com", "has a '*' that is not the whole leftmost label" },
        { "*..com", "is not a host name" },
        { "b\xc3\xbc"
          "cher.example",
          "has letters outside ASCII; write its xn-- form" },
        { "192.0.2.1", "is an address; clients send no addresses as server names" },
        { SIXTY "." SIXTY "." SIXTY "." SIXTY "." TEN, "is longer than 253 characters" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char name[254];
        const char *wrong = scalar_server_name(rows[i].text, name, sizeof(name));
        assert_non_null(wrong);
        assert_string_equal(wrong, rows[i].wrong);
    }
}

static void server_name_is_lower_case_without_a_dot(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *name;
    } rows[] = {
        { "localhost", "localhost" },
        { "WWW.Example.COM", "www.example.com" },
        { "www.example.com.", "www.example.com" },
        { "*.Example.com", "*.example.com" },
        { "*.com", "*.com" },
        { "_dmarc.xn--bcher-kva.example", "_dmarc.xn--bcher-kva.example" },
        { "1.2.3.4.example", "1.2.3.4.example" },
        { SIXTY "abc.example", SIXTY "abc.example" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char name[254];
        assert_null(scalar_server_name(rows[i].text, name, sizeof(name)));
        assert_string_equal(name, rows[i].name);
    }
}

static void server_name_of_253_characters_is_taken(void **state) {
    (void)state;
    static const char longest[] = SIXTY "." SIXTY "." SIXTY "." SIXTY ".abcdefghi";
    char name[254];
    assert_int_equal(strlen(longest), 253);
    assert_null(scalar_server_name(longest, name, sizeof(name)));
    assert_string_equal(name, longest);
}

static void name_is_plain(void **state) {
    (void)state;
    static const char *const goods[] = { "a", "A1", "9", "web-1.example_x" };
    static const char *const bads[] = { "", "-a", ".a", "_a", "a b", "a/b", "a:b", "\xc3\xbc" };
    for (size_t i = 0; i < LENGTH(goods); i++) {
        assert_true(scalar_is_name(goods[i]));
    }
    for (size_t i = 0; i < LENGTH(bads); i++) {
        assert_false(scalar_is_name(bads[i]));
    }
}

static void shown_text_is_short_and_printable(void **state) {
    (void)state;
    char buf[12];
    assert_string_equal(scalar_shown("short", buf, sizeof(buf)), "short");
    assert_string_equal(scalar_shown("a\x1b[31mb", buf, sizeof(buf)), "a?[31mb");
    assert_string_equal(scalar_shown("12345678", buf, sizeof(buf)), "12345678");
    assert_string_equal(scalar_shown("123456789", buf, sizeof(buf)), "12345678...");
    /* The ninth byte is the second of a letter. */
    assert_string_equal(scalar_shown("1234567\xc3\xbc"
                                     "9",
                                     buf, sizeof(buf)),
                        "1234567...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switch_refuses),
        cmocka_unit_test(switch_takes_both),
        cmocka_unit_test(number_refuses),
        cmocka_unit_test(number_takes_digits),
        cmocka_unit_test(duration_refuses),
        cmocka_unit_test(duration_reads_and_prints),
        cmocka_unit_test(address_refuses),
        cmocka_unit_test(address_reads_and_prints),
        cmocka_unit_test(server_name_refuses),
        cmocka_unit_test(server_name_is_lower_case_without_a_dot),
        cmocka_unit_test(server_name_of_253_characters_is_taken),
        cmocka_unit_test(name_is_plain),
        cmocka_unit_test(shown_text_is_short_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
