/* test_proxy_v2.c: wire/proxy_v2.c against byte strings made by hand from HAProxy's
 * proxy-protocol.txt, 2.2. What is read lies in a heap block of its own length. */
#include "wire/proxy_v2.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "wire/hello_bytes.h"

#define SIGNATURE "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
/* 192.0.2.1:40000 to 198.51.100.2:443 */
#define ADDRESSES4 "\xC0\x00\x02\x01\xC6\x33\x64\x02\x9C\x40\x01\xBB"
/* [2001:db8::1]:40000 to [2001:db8::2]:443 */
#define ADDRESSES6                                                                         \
    "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x02" \
    "\x9C\x40\x01\xBB"

static struct sockaddr_storage address(const char *text, uint16_t port) {
    struct sockaddr_storage ss = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&ss, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&ss, &in6, sizeof(in6));
    }
    return ss;
}

static int read_copy(struct bytes in, uint8_t **heap, struct proxy_v2_view *view) {
    *heap = malloc(in.len ? in.len : 1);
    assert_non_null(*heap);
    if (in.len > 0) {
        memcpy(*heap, in.data, in.len);
    }
    memset(view, 0xff, sizeof(*view)); /* proxy_v2_read has to zero it */
    return proxy_v2_read((struct bytes){ *heap, in.len }, view);
}

static void assert_read(struct bytes in, int expected) {
    uint8_t *heap;
    struct proxy_v2_view view;
    assert_int_equal(read_copy(in, &heap, &view), expected);
    free(heap);
}

static void assert_bytes(struct bytes is, struct bytes expected) {
    assert_int_equal(is.len, expected.len);
    if (expected.len > 0) {
        assert_memory_equal(is.data, expected.data, expected.len);
    }
}

/* --- reading: refusals ------------------------------------------------------- */

static void what_is_no_header_is_told_from_its_first_bytes(void **state) {
    (void)state;
    assert_read(BYTES("G"), -1);
    assert_read(BYTES("PROXY TCP4 "), -1); /* version 1 */
    assert_read(BYTES("\x16\x03\x01"), -1);
    uint8_t bytes[12];
    memcpy(bytes, SIGNATURE, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 1;
        assert_read((struct bytes){ bytes, i + 1 }, -1);
        assert_read((struct bytes){ bytes, i }, 0);
        bytes[i] ^= 1;
    }
}

static void versions_and_commands_are_checked_at_once(void **state) {
    (void)state;
    assert_read(BYTES(SIGNATURE "\x11"), -1);
    assert_read(BYTES(SIGNATURE "\x31"), -1);
    assert_read(BYTES(SIGNATURE "\x22"), -1);
    assert_read(BYTES(SIGNATURE "\x2F"), -1);
    assert_read(BYTES(SIGNATURE "\x20"), 0);
    assert_read(BYTES(SIGNATURE "\x21"), 0);
}

static void families_that_are_none_are_refused(void **state) {
    (void)state;
    const uint8_t families[] = { 0x01, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xff };
    uint8_t header[] = SIGNATURE "\x21\x11\x00\x0C" ADDRESSES4;
    for (size_t i = 0; i < sizeof(families); i++) {
        header[13] = families[i];
        assert_read((struct bytes){ header, sizeof(header) - 1 }, -1);
    }
}

static void short_addresses_are_refused(void **state) {
    (void)state;
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x00"), -1);
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x0B" ADDRESSES4), -1);
    assert_read(BYTES(SIGNATURE "\x21\x21\x00\x23" ADDRESSES6), -1);
    assert_read(BYTES(SIGNATURE "\x21\x21\x00\x0C" ADDRESSES4), -1);
}

static void tlvs_that_pass_the_end_are_refused(void **state) {
    (void)state;
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x0D" ADDRESSES4 "\x01"), -1);
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x0E" ADDRESSES4 "\x01\x00"), -1);
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x0F" ADDRESSES4 "\x01\x00\x01"), -1);
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x10" ADDRESSES4 "\x01\x00\x02h"), -1);
    assert_read(BYTES(SIGNATURE "\x21\x11\x00\x10" ADDRESSES4 "\x01\x00\x01h"), 32);
}

static void headers_are_bounded(void **state) {
    (void)state; /* known before the rest has come */
    assert_read(BYTES(SIGNATURE "\x21\x11\x07\xF0"), 0);
    assert_read(BYTES(SIGNATURE "\x21\x11\x07\xF1"), -1);
    assert_read(BYTES(SIGNATURE "\x20\x00\xFF\xFF"), -1);
}

static void every_truncation_needs_more(void **state) {
    (void)state;
    struct bytes whole = BYTES(SIGNATURE "\x21\x11\x00\x11" ADDRESSES4 "\x01\x00\x02h2");
    for (size_t len = 0; len < whole.len; len++) {
        assert_read((struct bytes){ whole.data, len }, 0);
    }
    assert_read(whole, (int)whole.len);
}

/* --- reading ----------------------------------------------------------------- */

static void ipv4_is_read(void **state) {
    (void)state;
    uint8_t *heap;
    struct proxy_v2_view view;
    struct bytes in = BYTES(SIGNATURE "\x21\x11\x00\x11" ADDRESSES4 "\x01\x00\x02h2GET /");
    assert_int_equal(read_copy(in, &heap, &view), 33);
    assert_false(view.local);
    assert_int_equal(view.family, 0x11);
    struct sockaddr_storage client = address("192.0.2.1", 40000);
    struct sockaddr_storage server = address("198.51.100.2", 443);
    assert_memory_equal(&view.client, &client, sizeof(client));
    assert_memory_equal(&view.server, &server, sizeof(server));
    assert_bytes(view.tlvs, BYTES("\x01\x00\x02h2"));
    free(heap);
}

static void ipv6_is_read(void **state) {
    (void)state;
    uint8_t *heap;
    struct proxy_v2_view view;
    assert_int_equal(read_copy(BYTES(SIGNATURE "\x21\x21\x00\x24" ADDRESSES6), &heap, &view), 52);
    assert_int_equal(view.family, 0x21);
    struct sockaddr_storage client = address("2001:db8::1", 40000);
    struct sockaddr_storage server = address("2001:db8::2", 443);
    assert_memory_equal(&view.client, &client, sizeof(client));
    assert_memory_equal(&view.server, &server, sizeof(server));
    assert_int_equal(view.tlvs.len, 0);
    free(heap);
}

static void local_ignores_what_follows(void **state) {
    (void)state;
    const struct {
        struct bytes in;
        int len;
    } cases[] = { { BYTES(SIGNATURE "\x20\x00\x00\x00"), 16 },
                  { BYTES(SIGNATURE "\x20\x11\x00\x02\x01\x02"), 18 },
                  { BYTES(SIGNATURE "\x20\xFF\x00\x0C" ADDRESSES4), 28 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *heap;
        struct proxy_v2_view view;
        assert_int_equal(read_copy(cases[i].in, &heap, &view), cases[i].len);
        assert_true(view.local);
        assert_int_equal(view.family, 0);
        assert_int_equal(view.client.ss_family, AF_UNSPEC);
        assert_int_equal(view.tlvs.len, 0);
        free(heap);
    }
}

static void other_families_are_unspecified(void **state) {
    (void)state; /* UDP, Unix: their addresses are stepped over, the TLVs stay */
    uint8_t header[16 + 216 + 4];
    const struct {
        uint8_t family;
        uint8_t addresses;
    } cases[] = { { 0x00, 0 }, { 0x12, 12 }, { 0x22, 36 }, { 0x31, 216 }, { 0x32, 216 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct writer w = writer_of(header, sizeof(header));
        writer_put(&w, SIGNATURE "\x21", 13);
        writer_u8(&w, cases[i].family);
        writer_u16(&w, (uint16_t)(cases[i].addresses + 4));
        memset(w.at, 0xAA, cases[i].addresses);
        w.at += cases[i].addresses;
        writer_put(&w, "\x02\x00\x01n", 4);
        size_t len = (size_t)(w.at - header);
        uint8_t *heap;
        struct proxy_v2_view view;
        assert_int_equal(read_copy((struct bytes){ header, len }, &heap, &view), (int)len);
        assert_false(view.local);
        assert_int_equal(view.family, 0);
        assert_int_equal(view.client.ss_family, AF_UNSPEC);
        assert_bytes(view.tlvs, BYTES("\x02\x00\x01n"));
        free(heap);
    }
}

static void tlvs_are_found(void **state) {
    (void)state;
    struct bytes tlvs = BYTES("\x04\x00\x03\x01\x00\x09\x01\x00\x02h2\x01\x00\x01x\x05\x00\x00");
    struct bytes value = { 0 };
    assert_false(proxy_v2_find(tlvs, PP2_TYPE_AUTHORITY, &value));
    assert_null(value.data);
    assert_true(proxy_v2_find(tlvs, PP2_TYPE_ALPN, &value)); /* the first of two */
    assert_bytes(value, BYTES("h2"));
    assert_true(proxy_v2_find(tlvs, PP2_TYPE_UNIQUE_ID, &value));
    assert_int_equal(value.len, 0);
    assert_false(proxy_v2_find((struct bytes){ 0 }, PP2_TYPE_ALPN, &value));
    for (size_t len = 0; len < 5; len++) { /* no TLV that passes the end */
        uint8_t *heap = malloc(len ? len : 1);
        assert_non_null(heap);
        memcpy(heap, "\x01\x00\x02h2", len);
        assert_false(proxy_v2_find((struct bytes){ heap, len }, PP2_TYPE_ALPN, &value));
        free(heap);
    }
}

/* --- writing ----------------------------------------------------------------- */

static void assert_written(const struct proxy_v2 *pp, struct bytes expected) {
    for (size_t cap = 0; cap < expected.len; cap++) {
        uint8_t *heap = malloc(cap ? cap : 1);
        assert_non_null(heap);
        assert_int_equal(proxy_v2_write(pp, heap, cap), 0);
        free(heap);
    }
    uint8_t *heap = malloc(expected.len);
    assert_non_null(heap);
    size_t len = proxy_v2_write(pp, heap, expected.len);
    assert_bytes((struct bytes){ heap, len }, expected);
    free(heap);
}

static void assert_family(const char *client, const char *local, struct bytes expected) {
    struct sockaddr_storage from = address(client, 40000);
    struct sockaddr_storage to = address(local, 443);
    struct proxy_v2 pp = { .client = (struct sockaddr *)&from, .local = (struct sockaddr *)&to };
    assert_written(&pp, expected);
}

static void addresses_are_written(void **state) {
    (void)state;
    struct bytes tcp4 = BYTES(SIGNATURE "\x21\x11\x00\x0C" ADDRESSES4);
    struct bytes tcp6 = BYTES(SIGNATURE "\x21\x21\x00\x24" ADDRESSES6);
    assert_family("192.0.2.1", "198.51.100.2", tcp4);
    assert_family("2001:db8::1", "2001:db8::2", tcp6);
    /* an IPv4 client of a socket that takes both */
    assert_family("::ffff:192.0.2.1", "::ffff:198.51.100.2", tcp4);
    assert_family("::ffff:192.0.2.1", "198.51.100.2", tcp4);
}

static void mapped_beside_ipv6_stays_ipv6(void **state) {
    (void)state;
    assert_family("::ffff:192.0.2.1", "2001:db8::2",
                  BYTES(SIGNATURE "\x21\x21\x00\x24"
                                  "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\x00\x02\x01"
                                  "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x02\x9C\x40\x01\xBB"));
}

static void what_is_not_of_one_family_is_unspecified(void **state) {
    (void)state;
    struct bytes unspecified = BYTES(SIGNATURE "\x21\x00\x00\x00");
    assert_family("192.0.2.1", "2001:db8::2", unspecified);
    assert_family("2001:db8::1", "198.51.100.2", unspecified);
    assert_written(&(struct proxy_v2){ 0 }, unspecified);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct proxy_v2 pp = { .client = (struct sockaddr *)&un, .local = (struct sockaddr *)&un };
    assert_written(&pp, unspecified);
    struct sockaddr_storage in = address("192.0.2.1", 1);
    pp = (struct proxy_v2){ .client = (struct sockaddr *)&in };
    assert_written(&pp, unspecified);
}

static void tls_is_written(void **state) {
    (void)state; /* struct pp2_tlv_ssl: client, verify, sub-TLVs */
    struct proxy_v2 pp = { .tls = true, .tls_client = 0x07, .tls_verify = 0x01020304 };
    assert_written(&pp, BYTES(SIGNATURE "\x21\x00\x00\x08\x20\x00\x05\x07\x01\x02\x03\x04"));
    pp.tls_verify = 0;
    pp.tls_version = BYTES("TLSv1.2");
    pp.tls_cn = BYTES("cn");
    pp.tls_cipher = BYTES("c");
    pp.tls_sig_alg = BYTES("SHA256");
    pp.tls_key_alg = BYTES("EC256");
    assert_written(&pp, BYTES(SIGNATURE "\x21\x00\x00\x2C\x20\x00\x29\x07\0\0\0\0"
                                        "\x21\x00\x07TLSv1.2"
                                        "\x22\x00\x02"
                                        "cn\x23\x00\x01"
                                        "c\x24\x00\x06SHA256"
                                        "\x25\x00\x05"
                                        "EC256"));
}

static void texts_are_written_and_empty_ones_left_out(void **state) {
    (void)state;
    struct proxy_v2 pp = {
        .alpn = BYTES("h2"),
        .authority = BYTES("n"),
        .handshake = BYTES("new"),
        .resumed_by = BYTES(""),
        .reason = BYTES("r"),
        .session_id = BYTES("00"),
        .ticket_key = BYTES("11"),
        .profile = BYTES("web"),
        .tls_cipher = BYTES("not without tls"),
    };
    assert_written(&pp, BYTES(SIGNATURE "\x21\x00\x00\x23\x01\x00\x02h2\x02\x00\x01n"
                                        "\xE0\x00\x03new\xE2\x00\x01r\xE3\x00\x02"
                                        "00\xE4\x00\x02"
                                        "11\xE5\x00\x03web"));
}

static void what_is_written_is_bounded(void **state) {
    (void)state;
    static uint8_t buf[70000];
    static uint8_t name[70000];
    memset(name, 'n', sizeof(name));
    const size_t most = PROXY_V2_MAX - PROXY_V2_HEADER - 3;
    struct proxy_v2 pp = { .authority = { name, most } };
    assert_int_equal(proxy_v2_write(&pp, buf, sizeof(buf)), PROXY_V2_MAX);
    assert_read((struct bytes){ buf, PROXY_V2_MAX }, PROXY_V2_MAX);
    pp.authority.len = most + 1;
    assert_int_equal(proxy_v2_write(&pp, buf, sizeof(buf)), 0);
    pp.authority.len = 65536 + 10; /* not its length modulo 65536 */
    assert_int_equal(proxy_v2_write(&pp, buf, sizeof(buf)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_header_is_told_from_its_first_bytes),
        cmocka_unit_test(versions_and_commands_are_checked_at_once),
        cmocka_unit_test(families_that_are_none_are_refused),
        cmocka_unit_test(short_addresses_are_refused),
        cmocka_unit_test(tlvs_that_pass_the_end_are_refused),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(every_truncation_needs_more),
        cmocka_unit_test(ipv4_is_read),
        cmocka_unit_test(ipv6_is_read),
        cmocka_unit_test(local_ignores_what_follows),
        cmocka_unit_test(other_families_are_unspecified),
        cmocka_unit_test(tlvs_are_found),
        cmocka_unit_test(addresses_are_written),
        cmocka_unit_test(mapped_beside_ipv6_stays_ipv6),
        cmocka_unit_test(what_is_not_of_one_family_is_unspecified),
        cmocka_unit_test(tls_is_written),
        cmocka_unit_test(texts_are_written_and_empty_ones_left_out),
        cmocka_unit_test(what_is_written_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
