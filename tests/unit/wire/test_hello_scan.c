/* test_hello_scan.c: hello_scan of wire/hello.c: a ClientHello in a byte stream that comes
 * in pieces. Every stream is scanned in a heap block of its own length. */
#include "wire/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/hello_bytes.h"
#include "wire/limits.h"

#define UNEXPECTED_MESSAGE 10
#define RECORD_OVERFLOW 22
#define ILLEGAL_PARAMETER 47
#define DECODE_ERROR 50
#define PROTOCOL_VERSION 70
#define UNTOUCHED 0xee

struct scanned {
    uint8_t *heap;    /* owned: the stream */
    uint8_t *scratch; /* owned */
    struct hello hello;
    size_t record_len;
    uint8_t alert;
    enum hello_status status;
};

static void scanned_free(struct scanned *s) {
    free(s->heap);
    free(s->scratch);
    s->heap = NULL;
    s->scratch = NULL;
}

static void scan(struct scanned *s, struct bytes stream) {
    s->heap = malloc(stream.len ? stream.len : 1);
    s->scratch = malloc(WIRE_HELLO_MAX);
    assert_non_null(s->heap);
    assert_non_null(s->scratch);
    if (stream.len > 0) {
        memcpy(s->heap, stream.data, stream.len);
    }
    s->record_len = SIZE_MAX;
    s->alert = UNTOUCHED;
    s->status = hello_scan((struct bytes){ s->heap, stream.len }, s->scratch, &s->hello,
                           &s->record_len, &s->alert);
    assert_int_equal(s->alert != UNTOUCHED, s->status == HELLO_MALFORMED);
    assert_int_equal(s->record_len != SIZE_MAX, s->status == HELLO_COMPLETE);
}

static void assert_status(struct bytes stream, enum hello_status status) {
    struct scanned s;
    scan(&s, stream);
    assert_int_equal(s.status, status);
    scanned_free(&s);
}

static void assert_malformed(struct bytes stream, uint8_t alert) {
    struct scanned s;
    scan(&s, stream);
    assert_int_equal(s.status, HELLO_MALFORMED);
    assert_int_equal(s.alert, alert);
    scanned_free(&s);
}

/* The body of a hello with the server name "Aa.Bbb" in `len` bytes. */
static struct bytes body_of(size_t len, uint8_t *buf, size_t cap) {
    static uint8_t block[65535];
    static const uint8_t padding[65535];
    struct hello_parts parts = { .extensions = { block, 15 } };
    if (len > sizeof(block)) { /* all that can be long is */
        parts.session_id = (struct bytes){ padding, 32 };
        parts.suites = (struct bytes){ padding, 65534 };
        parts.compression = (struct bytes){ padding, 255 };
    }
    struct writer w = writer_of(block, sizeof(block));
    hello_put_extension(&w, 0, BYTES("\0\11\0\0\6Aa.Bbb"));
    size_t so_far = hello_make_body(&parts, buf, cap);
    if (len > so_far) {
        hello_put_extension(&w, 21, (struct bytes){ padding, len - so_far - 4 });
    }
    parts.extensions.len = (size_t)(w.at - block);
    return (struct bytes){ buf, hello_make_body(&parts, buf, cap) };
}

static uint8_t body_buf[WIRE_HELLO_MAX + 1];
static uint8_t stream_buf[4 * WIRE_HELLO_MAX];

static struct bytes stream_of(size_t body_len, size_t fragment_len) {
    struct bytes body = body_of(body_len, body_buf, sizeof(body_buf));
    return (struct bytes){ stream_buf,
                           hello_make_stream(body, fragment_len, stream_buf, sizeof(stream_buf)) };
}

/* --- refusals ---------------------------------------------------------------- */

static void what_is_no_tls_is_told_from_its_first_bytes(void **state) {
    (void)state;
    assert_status(BYTES("G"), HELLO_NOT_TLS);                    /* GET / HTTP/1.1 */
    assert_status(BYTES("\x80\x2e\x01\x03\x01"), HELLO_NOT_TLS); /* SSLv2 hello */
    assert_status(BYTES("SSH-2.0"), HELLO_NOT_TLS);              /* */
    assert_status(BYTES("\0"), HELLO_NOT_TLS);                   /* */
    assert_status(BYTES("\x15\x03\x01\0\2\1\0"), HELLO_NOT_TLS); /* an alert */
    assert_status(BYTES("\x14"), HELLO_NOT_TLS);                 /* ChangeCipherSpec */
    assert_status(BYTES("\x17\x03\x03"), HELLO_NOT_TLS);         /* application data */
    assert_status(BYTES("\x16\x02"), HELLO_NOT_TLS);             /* version 2 */
    assert_status(BYTES("\x16\x04"), HELLO_NOT_TLS);             /* version 4 */
    assert_status(BYTES("\x16\xfe\xfd\0\0\0\0"), HELLO_NOT_TLS); /* DTLS 1.2 */
    assert_status(BYTES("\r\n\r\n\0\r\nQUIT\n"), HELLO_NOT_TLS); /* PROXY protocol */
}

static void nothing_yet_needs_more(void **state) {
    (void)state;
    assert_status((struct bytes){ 0 }, HELLO_NEED_MORE);
    assert_status(BYTES("\x16"), HELLO_NEED_MORE);
    assert_status(BYTES("\x16\x03"), HELLO_NEED_MORE);
    assert_status(BYTES("\x16\x03\x04\x40"), HELLO_NEED_MORE);
    assert_status(BYTES("\x16\x03\xff\x40"), HELLO_NEED_MORE); /* RFC 8446 5.1 */
}

static void record_lengths_are_bounded(void **state) {
    (void)state; /* RFC 8446 5.1 */
    assert_malformed(BYTES("\x16\x03\x01\0\0"), UNEXPECTED_MESSAGE);
    assert_status(BYTES("\x16\x03\x01\0\1"), HELLO_NEED_MORE);
    assert_status(BYTES("\x16\x03\x01\x40\x00"), HELLO_NEED_MORE);
    assert_malformed(BYTES("\x16\x03\x01\x40\x01"), RECORD_OVERFLOW);
    assert_malformed(BYTES("\x16\x03\x01\xff\xff"), RECORD_OVERFLOW);
}

static void other_handshake_messages_are_refused_at_once(void **state) {
    (void)state;
    assert_malformed(BYTES("\x16\x03\x01\x02\0\2"), UNEXPECTED_MESSAGE); /* ServerHello */
    assert_malformed(BYTES("\x16\x03\x01\0\4\0\0\0\0"), UNEXPECTED_MESSAGE);
    assert_malformed(BYTES("\x16\x03\x01\0\4\x14\0\0\0"), UNEXPECTED_MESSAGE); /* Finished */
}

static void other_bytes_after_a_first_record_are_refused(void **state) {
    (void)state;
    assert_malformed(BYTES("\x16\x03\x01\0\1\1\x17"), UNEXPECTED_MESSAGE);
    assert_malformed(BYTES("\x16\x03\x01\0\1\1\x15\3\1\0\2\1\0"), UNEXPECTED_MESSAGE);
    assert_malformed(BYTES("\x16\x03\x01\0\1\1G"), UNEXPECTED_MESSAGE);
    assert_malformed(BYTES("\x16\x03\x01\0\1\1\x16\2"), PROTOCOL_VERSION);
    assert_malformed(BYTES("\x16\x03\x01\0\1\1\x16\3\1\0\0"), UNEXPECTED_MESSAGE);
    assert_malformed(BYTES("\x16\x03\x01\0\1\1\x16\3\1\x40\1"), RECORD_OVERFLOW);
}

static void message_lengths_are_bounded(void **state) {
    (void)state;
    /* 131396 is the longest: 2 + 32 + (1 + 32) + (2 + 65534) + (1 + 255) + (2 + 65535) */
    assert_int_equal(WIRE_HELLO_MAX, 4 + 131396);
    assert_status(BYTES("\x16\x03\x01\x40\0\1\2\x01\x44"), HELLO_NEED_MORE);
    assert_status(BYTES("\x16\x03\x01\x40\0\1\2\x01\x45"), HELLO_TOO_LARGE);
    assert_status(BYTES("\x16\x03\x01\x40\0\1\xff\xff\xff"), HELLO_TOO_LARGE);
    /* the header in pieces, its last one not yet whole */
    assert_status(BYTES("\x16\x03\x01\0\2\1\2\x16\3\1\0\3\x01\x45"), HELLO_TOO_LARGE);
}

static void the_longest_hello_is_found(void **state) {
    (void)state;
    const size_t longest = WIRE_HELLO_MAX - WIRE_HANDSHAKE_HEADER;
    assert_status(stream_of(longest, WIRE_RECORD_PLAIN_MAX), HELLO_COMPLETE);
    assert_status(stream_of(longest - 1, WIRE_RECORD_PLAIN_MAX), HELLO_COMPLETE);
    body_of(longest, body_buf, sizeof(body_buf));
    const struct bytes longer = { body_buf, longest + 1 };
    size_t len = hello_make_stream(longer, WIRE_RECORD_PLAIN_MAX, stream_buf, sizeof(stream_buf));
    assert_status((struct bytes){ stream_buf, len }, HELLO_TOO_LARGE);

    const size_t most = WIRE_HELLO_RECORDS_MAX;
    struct bytes stream = stream_of(longest, (WIRE_HELLO_MAX + most - 1) / most);
    assert_in_range(stream.len, WIRE_HELLO_STREAM_MAX - 500, WIRE_HELLO_STREAM_MAX);
    assert_status(stream, HELLO_COMPLETE);
    stream.len--;
    assert_status(stream, HELLO_NEED_MORE);
}

static void one_record_too_many_is_refused(void **state) {
    (void)state;
    const size_t max = WIRE_HELLO_RECORDS_MAX;
    assert_status(stream_of(10 * max - 4, 10), HELLO_COMPLETE);
    assert_status(stream_of(10 * max - 4 - 1, 10), HELLO_COMPLETE);
    struct bytes stream = stream_of(10 * max - 4 + 1, 10);
    assert_status(stream, HELLO_TOO_LARGE);
    /* nobody needs to wait for the one too many */
    assert_status((struct bytes){ stream.data, max * 15 }, HELLO_TOO_LARGE);
    assert_status((struct bytes){ stream.data, max * 15 - 1 }, HELLO_NEED_MORE);
}

static void a_last_record_that_could_not_be_held_is_refused(void **state) {
    (void)state; /* the hello's end is in a record that goes on for longer than we wait */
    assert_int_equal((WIRE_HELLO_MAX - 1) % 667, 0); /* one byte is left for the last */
    struct bytes stream = stream_of(WIRE_HELLO_MAX - 4, 667);
    uint8_t *last = stream_buf + stream.len - 6;
    assert_status(stream, HELLO_COMPLETE);
    const size_t room = WIRE_HELLO_STREAM_MAX - (stream.len - 1);
    last[3] = (uint8_t)(room >> 8);
    last[4] = (uint8_t)room;
    assert_status(stream, HELLO_NEED_MORE);
    last[3] = (uint8_t)((room + 1) >> 8);
    last[4] = (uint8_t)(room + 1);
    assert_status(stream, HELLO_TOO_LARGE);
}

static void a_malformed_hello_gives_its_alert(void **state) {
    (void)state; /* R14 */
    static const uint8_t id[33];
    uint8_t body[256];
    struct hello_parts parts = { .session_id = { id, 33 } };
    size_t len = hello_make_body(&parts, body, sizeof(body));
    uint8_t stream[512];
    for (size_t fragment_len = 4; fragment_len < 256; fragment_len *= 2) {
        size_t n =
            hello_make_stream((struct bytes){ body, len }, fragment_len, stream, sizeof(stream));
        assert_malformed((struct bytes){ stream, n }, DECODE_ERROR);
    }
    parts = (struct hello_parts){ .compression = BYTES("\1") };
    len = hello_make_body(&parts, body, sizeof(body));
    len = hello_make_stream((struct bytes){ body, len }, 999, stream, sizeof(stream));
    assert_malformed((struct bytes){ stream, len }, ILLEGAL_PARAMETER);
}

/* --- what is accepted -------------------------------------------------------- */

static void every_truncation_needs_more(void **state) {
    (void)state;
    const size_t fragments[] = { 10, 100, WIRE_RECORD_PLAIN_MAX };
    for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
        struct bytes stream = stream_of(400, fragments[i]);
        for (size_t len = 0; len < stream.len; len++) {
            assert_status((struct bytes){ stream.data, len }, HELLO_NEED_MORE);
        }
        assert_status(stream, HELLO_COMPLETE);
    }
}

static void assert_same(struct bytes a, struct bytes b) {
    assert_int_equal(a.len, b.len);
    if (a.len > 0) {
        assert_memory_equal(a.data, b.data, a.len);
    }
}

static void fragments_give_the_same_view(void **state) {
    (void)state; /* R10 */
    struct scanned whole;
    struct bytes stream = stream_of(60, WIRE_RECORD_PLAIN_MAX);
    assert_int_equal(stream.len, 5 + 64);
    scan(&whole, stream);
    assert_int_equal(whole.status, HELLO_COMPLETE);
    for (size_t fragment_len = 1; fragment_len <= 64; fragment_len++) {
        struct scanned s;
        stream = stream_of(60, fragment_len);
        scan(&s, stream);
        assert_int_equal(s.status, HELLO_COMPLETE);
        assert_int_equal(s.record_len, stream.len);
        assert_true(s.hello.has_server_name);
        assert_same(s.hello.server_name, BYTES("Aa.Bbb"));
        assert_same(s.hello.random, whole.hello.random);
        assert_same(s.hello.cipher_suites, whole.hello.cipher_suites);
        assert_same(s.hello.extensions, whole.hello.extensions);
        scanned_free(&s);
    }
    scanned_free(&whole);
    assert_status(stream_of(WIRE_HELLO_RECORDS_MAX - 4, 1), HELLO_COMPLETE);
    assert_status(stream_of(WIRE_HELLO_RECORDS_MAX - 3, 1), HELLO_TOO_LARGE);
}

static void one_record_is_not_copied(void **state) {
    (void)state;
    struct scanned s;
    struct bytes stream = stream_of(200, WIRE_RECORD_PLAIN_MAX);
    scan(&s, stream);
    assert_int_equal(s.status, HELLO_COMPLETE);
    assert_ptr_equal(s.hello.random.data, s.heap + 5 + 4 + 2);
    scanned_free(&s);
}

static void what_follows_is_left_alone(void **state) {
    (void)state;
    const size_t fragments[] = { 50, WIRE_RECORD_PLAIN_MAX };
    for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
        struct bytes stream = stream_of(200, fragments[i]);
        size_t hello_len = stream.len;
        memcpy(stream_buf + stream.len, "\x17\x03\x03\xff\xff???", 8); /* early data */
        stream.len += 8;
        struct scanned s;
        scan(&s, stream);
        assert_int_equal(s.status, HELLO_COMPLETE);
        assert_int_equal(s.record_len, hello_len);
        scanned_free(&s);
    }
}

static void more_messages_in_the_last_record_are_left_alone(void **state) {
    (void)state; /* RFC 8446 5.1: it is the TLS library that knows whether keys change here */
    struct bytes body = body_of(100, body_buf + 4, sizeof(body_buf) - 4);
    memcpy(body_buf, "\1\0\0\x64", 4);
    memcpy(body_buf + 4 + body.len, "\1\0\0\0", 4);
    struct bytes messages = { body_buf, 4 + body.len + 4 };
    for (size_t fragment_len = 54; fragment_len <= 108; fragment_len += 54) {
        struct bytes stream = { stream_buf, hello_make_records(messages, fragment_len, stream_buf,
                                                               sizeof(stream_buf)) };
        struct scanned s;
        scan(&s, stream);
        assert_int_equal(s.status, HELLO_COMPLETE);
        assert_true(s.record_len <= stream.len);
        assert_same(s.hello.server_name, BYTES("Aa.Bbb"));
        scanned_free(&s);
        /* the record that holds the hello's last byte is waited for */
        assert_status((struct bytes){ stream.data, s.record_len - 1 }, HELLO_NEED_MORE);
    }
}

static void optional_results_may_be_null(void **state) {
    (void)state;
    uint8_t scratch[1];
    struct hello hello;
    struct bytes stream = stream_of(100, WIRE_RECORD_PLAIN_MAX);
    assert_int_equal(hello_scan(stream, scratch, &hello, NULL, NULL), HELLO_COMPLETE);
    assert_int_equal(hello_scan(BYTES("\x16\x03\x01\0\1\2"), scratch, &hello, NULL, NULL),
                     HELLO_MALFORMED);
}

/* --- early data -------------------------------------------------------------- */

#define DATA "\x17\3\3\0\4abcd"
#define CCS "\x14\3\3\0\1\1"

static void assert_dropped(struct bytes stream, struct bytes left, size_t missing) {
    uint8_t *heap = malloc(stream.len ? stream.len : 1);
    size_t more = SIZE_MAX;
    assert_non_null(heap);
    if (stream.len > 0) {
        memcpy(heap, stream.data, stream.len);
    }
    size_t len = hello_drop_early_data(heap, stream.len, &more);
    assert_int_equal(more, missing);
    assert_same((struct bytes){ heap, len }, left);
    free(heap);
}

static void early_data_is_dropped(void **state) {
    (void)state; /* RFC 8446 4.2.10 */
    assert_dropped(BYTES(""), BYTES(""), 0);
    assert_dropped(BYTES(DATA), BYTES(""), 0);
    assert_dropped(BYTES(DATA DATA), BYTES(""), 0);
    assert_dropped(BYTES(CCS DATA), BYTES(CCS), 0);
    assert_dropped(BYTES(DATA CCS DATA), BYTES(CCS), 0);
    assert_dropped(BYTES(DATA "\x17\3\3\0\0" CCS), BYTES(CCS), 0); /* an empty one */
}

static void early_data_in_part_is_dropped(void **state) {
    (void)state;
    assert_dropped(BYTES("\x17\3\3\0\4abc"), BYTES(""), 1);
    assert_dropped(BYTES(DATA "\x17\3\3\0\4"), BYTES(""), 4);
    /* a header in part is left: it may be another's */
    assert_dropped(BYTES(DATA "\x17\3\3\0"), BYTES("\x17\3\3\0"), 0);
    assert_dropped(BYTES(DATA "\x16\3\3\0\4ab"), BYTES("\x16\3\3\0\4ab"), 0);
}

static void what_is_no_early_data_is_left(void **state) {
    (void)state;
    assert_dropped(BYTES("GET / HTTP/1.1" DATA), BYTES("GET / HTTP/1.1" DATA), 0);
    assert_dropped(BYTES(DATA "\x17\2\0\0\0" DATA), BYTES("\x17\2\0\0\0" DATA), 0);
    assert_dropped(BYTES("\x17\3\3\x48\1" DATA), BYTES("\x17\3\3\x48\1" DATA), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_tls_is_told_from_its_first_bytes),
        cmocka_unit_test(nothing_yet_needs_more),
        cmocka_unit_test(record_lengths_are_bounded),
        cmocka_unit_test(other_handshake_messages_are_refused_at_once),
        cmocka_unit_test(other_bytes_after_a_first_record_are_refused),
        cmocka_unit_test(message_lengths_are_bounded),
        cmocka_unit_test(the_longest_hello_is_found),
        cmocka_unit_test(one_record_too_many_is_refused),
        cmocka_unit_test(a_last_record_that_could_not_be_held_is_refused),
        cmocka_unit_test(a_malformed_hello_gives_its_alert),
        cmocka_unit_test(every_truncation_needs_more),
        cmocka_unit_test(fragments_give_the_same_view),
        cmocka_unit_test(one_record_is_not_copied),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(more_messages_in_the_last_record_are_left_alone),
        cmocka_unit_test(optional_results_may_be_null),
        cmocka_unit_test(early_data_is_dropped),
        cmocka_unit_test(early_data_in_part_is_dropped),
        cmocka_unit_test(what_is_no_early_data_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
