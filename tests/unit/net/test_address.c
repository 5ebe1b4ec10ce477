/* test_address.c: addresses as text. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "unit.h"

static void ipv4_is_written(void **state) {
    static const struct {
        const char *ip;
        uint16_t port;
        const char *text;
    } cases[] = {
        { "127.0.0.1", 443, "127.0.0.1:443" },
        { "0.0.0.0", 0, "0.0.0.0:0" },
        { "255.255.255.255", 65535, "255.255.255.255:65535" },
        { "10.199.3.145", 8443, "10.199.3.145:8443" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(cases[i].port) };
        char text[ADDRESS_TEXT_MAX];
        assert_int_equal(inet_pton(AF_INET, cases[i].ip, &in.sin_addr), 1);
        address_text((const struct sockaddr *)&in, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void ipv6_is_written_in_brackets(void **state) {
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(443) };
    char text[ADDRESS_TEXT_MAX];
    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
    address_text((const struct sockaddr *)&in6, text);
    assert_string_equal(text, "[2001:db8::1]:443");
}

static void another_family_is_empty(void **state) {
    struct sockaddr sa = { .sa_family = AF_UNIX };
    char text[ADDRESS_TEXT_MAX] = "before";
    (void)state;
    address_text(&sa, text);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_is_written),
        cmocka_unit_test(ipv6_is_written_in_brackets),
        cmocka_unit_test(another_family_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
