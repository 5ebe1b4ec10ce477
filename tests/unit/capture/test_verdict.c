/* test_verdict.c: capture/verdict.c, each verdict from the facts that decide it. */
#include "capture/verdict.h"

#include "unit.h"

static struct stream stream;
static struct handshake handshake;

static struct token token(const char *text) {
    return token_of(bytes_of(text));
}

static int setup(void **state) {
    (void)state;
    memset(&stream, 0, sizeof(stream));
    memset(&handshake, 0, sizeof(handshake));
    stream.client = 0;
    stream.is_tls = true;
    stream.handshakes = &handshake;
    stream.handshake_count = 1;
    handshake.offer.session_id_origin.stream = STREAM_NONE;
    handshake.offer.ticket_origin.stream = STREAM_NONE;
    handshake.offer.psk_origin.stream = STREAM_NONE;
    return 0;
}

static void offers(const char *session_id, const char *ticket) {
    handshake.offer.seen = true;
    handshake.offer.whole = true;
    handshake.offer.max_version = 0x0303;
    handshake.offer.session_id = token(session_id);
    handshake.offer.ticket = token(ticket);
}

static void answers(uint16_t version, const char *session_id) {
    handshake.answer.seen = true;
    handshake.answer.whole = true;
    handshake.answer.version = version;
    handshake.answer.session_id = token(session_id);
}

static void assert_verdict(enum verdict verdict) {
    assert_string_equal(verdict_word(verdict_of(&stream, &handshake).verdict),
                        verdict_word(verdict));
}

static void full_handshakes(void **state) {
    (void)state;
    answers(0x0303, "server's");
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    offers("", "");
    assert_verdict(VERDICT_NEW);
    offers("id", "");
    assert_verdict(VERDICT_REFUSED_SESSION_ID);
    offers("id", "ticket");
    assert_verdict(VERDICT_REFUSED_TICKET);
}

static void abbreviated_handshakes(void **state) {
    (void)state;
    handshake.seen = SEEN_SERVER_CCS;
    offers("id", "");
    answers(0x0303, "id");
    assert_verdict(VERDICT_RESUMED_SESSION_ID);
    offers("id", "ticket");
    assert_verdict(VERDICT_RESUMED_TICKET);
    answers(0x0303, "");
    assert_verdict(VERDICT_RESUMED_TICKET);
    answers(0x0303, "other"); /* RFC 5077 3.4: who takes the ticket sends the client's ID */
    assert_verdict(VERDICT_CANNOT_TELL);
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_OFFER);
    offers("", "ticket");
    assert_verdict(VERDICT_RESUMED_TICKET);
    offers("id", "");
    answers(0x0303, "other");
    assert_verdict(VERDICT_CANNOT_TELL);
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_OFFER);
}

static void a_lost_flight_is_not_an_abbreviated_one(void **state) {
    (void)state;
    offers("id", "ticket");
    answers(0x0303, "id");
    handshake.seen = SEEN_SERVER_CCS;
    handshake.lost[1] = true;
    assert_verdict(VERDICT_CANNOT_TELL);
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_AFTER_SERVER_HELLO);
    handshake.seen |= SEEN_CLIENT_CCS; /* the client's side is whole, and has no key exchange */
    assert_verdict(VERDICT_RESUMED_TICKET);
    handshake.seen |= SEEN_CLIENT_KEY_EXCHANGE;
    assert_verdict(VERDICT_REFUSED_TICKET);
}

static void the_compatibility_field_is_no_offer(void **state) {
    (void)state;
    offers("0123456789abcdef0123456789abcdef", "");
    handshake.offer.offers_tls13 = true;
    answers(0x0303, "server's");
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    assert_verdict(VERDICT_NEW);
    assert_true(verdict_of(&stream, &handshake).compatibility_id);
    handshake.offer.session_id_origin.stream = 3; /* unless a server was seen to issue it */
    assert_verdict(VERDICT_REFUSED_SESSION_ID);
}

static void tls13_is_decided_by_the_server_hello(void **state) {
    (void)state;
    offers("", "");
    answers(0x0304, "");
    assert_verdict(VERDICT_NEW);
    handshake.offer.psk_count = 1;
    handshake.offer.psks[0] = token("short");
    assert_verdict(VERDICT_REFUSED_PSK);
    handshake.answer.has_psk = true;
    assert_verdict(VERDICT_RESUMED_PSK);
    assert_true(verdict_of(&stream, &handshake).external_possible);
    answers(0x7f1c, "");
    assert_verdict(VERDICT_RESUMED_PSK);
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    assert_int_equal(verdict_of(&stream, &handshake).missing,
                     MISSING_CLIENT_HELLO | MISSING_SERVER_HELLO);
    offers("id", "");
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_SERVER_HELLO);
    answers(0x0303, "id");
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_AFTER_SERVER_HELLO);
    handshake.answer.whole = false;
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_REST_OF_SERVER_HELLO);
    handshake.answer.whole = true;
    offers("", "");
    handshake.offer.whole = false;
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_REST_OF_CLIENT_HELLO);
    unsigned at = 0;
    assert_string_equal(verdict_missing_word(MISSING_SERVER_HELLO, &at), "server-hello");
    assert_null(verdict_missing_word(MISSING_SERVER_HELLO, &at));
}

static void a_cut_hello_may_offer_more(void **state) {
    (void)state;
    offers("0123456789abcdef0123456789abcdef", "");
    handshake.offer.whole = false; /* a ticket, or supported_versions, may be behind the cut */
    answers(0x0303, "server's");
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    assert_verdict(VERDICT_CANNOT_TELL);
    assert_int_equal(verdict_of(&stream, &handshake).missing, MISSING_REST_OF_CLIENT_HELLO);
    assert_true(verdict_of(&stream, &handshake).offer_unknown);
    assert_int_equal(verdict_of(&stream, &handshake).offered, BY_NOTHING); /* that is known */
    handshake.answer.version = 0x0304;
    assert_verdict(VERDICT_CANNOT_TELL);
    handshake.offer.ticket = token("ticket"); /* of TLS 1.2; a PSK may be behind the cut */
    assert_verdict(VERDICT_CANNOT_TELL);
    handshake.answer.version = 0x0303;
    assert_verdict(VERDICT_REFUSED_TICKET);
    assert_false(verdict_of(&stream, &handshake).offer_unknown);
    offers("0123456789abcdef", "");
    handshake.offer.is_ssl2 = true; /* has no more to offer */
    handshake.offer.whole = false;
    assert_verdict(VERDICT_REFUSED_SESSION_ID);
}

static void a_stream_without_a_handshake(void **state) {
    (void)state;
    stream.handshake_count = 0;
    assert_int_equal(verdict_of_stream(&stream).verdict, VERDICT_CANNOT_TELL);
    stream.is_tls = false;
    assert_int_equal(verdict_of_stream(&stream).verdict, VERDICT_NOT_TLS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(full_handshakes, setup),
        cmocka_unit_test_setup(abbreviated_handshakes, setup),
        cmocka_unit_test_setup(a_lost_flight_is_not_an_abbreviated_one, setup),
        cmocka_unit_test_setup(the_compatibility_field_is_no_offer, setup),
        cmocka_unit_test_setup(tls13_is_decided_by_the_server_hello, setup),
        cmocka_unit_test_setup(what_is_missing_is_named, setup),
        cmocka_unit_test_setup(a_cut_hello_may_offer_more, setup),
        cmocka_unit_test_setup(a_stream_without_a_handshake, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
