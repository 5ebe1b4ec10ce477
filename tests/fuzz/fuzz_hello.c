/* fuzz_hello.c: any bytes as a client's stream to hello_scan, and as a hello's body to
 * hello_parse. Beyond memory faults it looks for views that leave their buffer, verdicts
 * that change when bytes are cut off, and views that change with the records' bounds.
 *
 * The corpus began as first flights of OpenSSL, GnuTLS, curl, Python and Node clients on
 * loopback, new and with sessions to resume, from a server with and without tickets. */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/hello.h"
#include "wire/limits.h"

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static bool is_within(struct bytes view, struct bytes buf) {
    return view.len == 0 || (view.data >= buf.data && view.len <= buf.len &&
                             (size_t)(view.data - buf.data) <= buf.len - view.len);
}

static void check_views(const struct hello *h, struct bytes buf) {
    const struct bytes views[] = {
        h->random,         h->session_id,         h->cipher_suites,
        h->extensions,     h->server_name,        h->supported_versions,
        h->session_ticket, h->psk_identity,       h->psk_binder,
        h->alpn,           h->renegotiation_info, h->groups,
    };
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        require(is_within(views[i], buf));
    }
    require(h->random.len == WIRE_RANDOM_LEN && h->session_id.len <= WIRE_SESSION_ID_MAX);
    require(h->cipher_suites.len >= 2 && h->cipher_suites.len % 2 == 0);
    require(h->has_server_name == (h->server_name.len > 0));
    require(h->server_name.len <= WIRE_SERVER_NAME_MAX);
    require(h->has_psk == (h->psk_identities > 0));
    require(h->psk_identities <= WIRE_PSK_IDENTITIES_MAX);
    require(h->has_psk == (h->psk_identity.len > 0) && h->has_psk == (h->psk_binder.len >= 32));
    require(h->offers_scsv == hello_offers_cipher(h, 0x00ff));
    require(!hello_offers_alpn(h, (struct bytes){ 0 }));
}

static void fuzz_body(struct bytes body) {
    struct hello hello;
    uint8_t alert = 0;
    if (hello_parse(body, &hello, &alert) == 0) {
        check_views(&hello, body);
        require(alert == 0);
    } else {
        require(alert == 47 || alert == 50 || alert == 112);
    }
}

/* The same stream, cut off: what was judged is judged alike, and nothing is judged
 * before its time. */
static void check_prefix(struct bytes stream, size_t len, enum hello_status whole) {
    uint8_t *prefix = malloc(len ? len : 1);
    uint8_t *scratch = malloc(WIRE_HELLO_MAX);
    require(prefix && scratch);
    if (len > 0) {
        memcpy(prefix, stream.data, len);
    }
    struct hello hello;
    enum hello_status status =
        hello_scan((struct bytes){ prefix, len }, scratch, &hello, NULL, NULL);
    require(status == HELLO_NEED_MORE || status == whole);
    free(scratch);
    free(prefix);
}

/* The hello's message in other records is the same hello. */
static void check_fragments(const struct hello *hello, struct bytes message, size_t fragment_len) {
    uint8_t *stream = malloc(WIRE_HELLO_STREAM_MAX);
    uint8_t *scratch = malloc(WIRE_HELLO_MAX);
    require(stream && scratch);
    struct writer w = writer_of(stream, WIRE_HELLO_STREAM_MAX);
    struct cursor c = cursor_of(message);
    while (cursor_left(&c) > 0) {
        size_t len = cursor_left(&c) < fragment_len ? cursor_left(&c) : fragment_len;
        writer_u8(&w, 22);
        writer_u16(&w, 0x0303);
        writer_u16(&w, (uint16_t)len);
        writer_put(&w, cursor_take(&c, len).data, len);
    }
    require(!w.failed);
    struct hello again;
    size_t record_len = 0;
    struct bytes all = { stream, (size_t)(w.at - stream) };
    require(hello_scan(all, scratch, &again, &record_len, NULL) == HELLO_COMPLETE);
    require(record_len == all.len);
    require(bytes_equal(again.random, hello->random) &&
            bytes_equal(again.extensions, hello->extensions));
    require(bytes_equal(again.server_name, hello->server_name));
    require(bytes_equal(again.session_id, hello->session_id) &&
            bytes_equal(again.psk_binder, hello->psk_binder));
    free(scratch);
    free(stream);
}

/* The message, header included, in one block. The hello's own views tell where it lies. */
static void refragment(const struct hello *hello, struct bytes joined) {
    struct bytes message = { hello->random.data - 6, 0 };
    struct cursor c = cursor_of((struct bytes){ message.data + 1, 3 });
    message.len = 4 + cursor_u24(&c);
    require(is_within(message, joined));
    size_t least = (message.len + WIRE_HELLO_RECORDS_MAX - 1) / WIRE_HELLO_RECORDS_MAX;
    check_fragments(hello, message, least);
    check_fragments(hello, message, least + message.len % 7);
    check_fragments(hello, message, message.len);
}

/* What is left of early data's records has none of them. */
static void check_drop(struct bytes stream) {
    uint8_t *copy = malloc(stream.len ? stream.len : 1);
    size_t missing = 0;
    require(copy != NULL);
    if (stream.len > 0) {
        memcpy(copy, stream.data, stream.len);
    }
    size_t left = hello_drop_early_data(copy, stream.len, &missing);
    require(left <= stream.len && missing <= WIRE_RECORD_CIPHER_MAX);
    require(hello_drop_early_data(copy, left, &missing) == left && missing == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct bytes stream = { data, len };
    fuzz_body(stream);
    check_drop(stream);

    uint8_t *scratch = malloc(WIRE_HELLO_MAX);
    require(scratch);
    struct hello hello;
    size_t record_len = 0;
    uint8_t alert = 0;
    enum hello_status status = hello_scan(stream, scratch, &hello, &record_len, &alert);
    require((status == HELLO_MALFORMED) == (alert != 0));
    require(status != HELLO_NEED_MORE || len < WIRE_HELLO_STREAM_MAX);
    if (status == HELLO_COMPLETE) {
        require(record_len > 0 && record_len <= len && record_len <= WIRE_HELLO_STREAM_MAX);
        struct bytes copied = { scratch, WIRE_HELLO_MAX };
        struct bytes joined = is_within(hello.random, stream) ? stream : copied;
        check_views(&hello, joined);
        refragment(&hello, joined);
        check_prefix(stream, record_len, HELLO_COMPLETE);
        check_prefix(stream, record_len - 1, HELLO_NEED_MORE);
    }
    for (size_t cut = len; cut > 0; cut /= 2) {
        check_prefix(stream, cut - 1, status);
    }
    free(scratch);
    return 0;
}
