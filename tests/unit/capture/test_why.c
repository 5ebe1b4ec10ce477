/* test_why.c: capture/why.c: each reason from the facts that show it, and how sure it is. */
#include "capture/why.h"

#include "unit.h"

#define TICKET_OLD "key-name-old-16.0123456789abcdef0123456789abcdef"
#define TICKET_NEW "key-name-new-16.0123456789abcdef0123456789abcdef"

static struct stream stream;
static struct handshake handshake;
static struct finding findings[WHY_MAX];
static unsigned count;

/* A ticket of TLS 1.2, issued here and refused a minute later, with nothing to be said of it. */
static int setup(void **state) {
    (void)state;
    memset(&stream, 0, sizeof(stream));
    memset(&handshake, 0, sizeof(handshake));
    stream.client = 0;
    stream.ends.address_len = 4;
    stream.ends.dst_port = 443;
    stream.handshakes = &handshake;
    stream.handshake_count = 1;
    struct offer *offer = &handshake.offer;
    offer->seen = true;
    offer->whole = true;
    offer->ticket = token_of(bytes_of(TICKET_OLD));
    offer->place = (struct place){ 20, 61000000000u };
    offer->session_id_origin.stream = STREAM_NONE;
    offer->psk_origin.stream = STREAM_NONE;
    offer->origin_cipher_offered = true;
    offer->ticket_origin = (struct origin){
        .stream = 0,
        .kind = TOKEN_TICKET,
        .place = { 9, 1000000000u },
        .server_port = 443,
        .address_len = 4,
        .version = 0x0303,
        .hello_known = true,
        .cipher_suite = 0xc02b,
        .has_lifetime = true,
        .lifetime_s = 300,
        .name_known = true,
    };
    handshake.answer = (struct answer){
        .seen = true,
        .whole = true,
        .place = { 21, 61000000001u },
        .version = 0x0303,
        .cipher_suite = 0xc02b,
        .has_ticket_extension = true,
    };
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    return 0;
}

static const struct finding *find(enum reason reason) {
    struct judgement judgement = verdict_of(&stream, &handshake);
    count = why_of(&stream, &handshake, &judgement, findings);
    for (unsigned i = 0; i < count; i++) {
        if (findings[i].reason == reason) {
            return &findings[i];
        }
    }
    return NULL;
}

static void assert_found(enum reason reason, enum certainty certainty, uint64_t frame) {
    const struct finding *finding = find(reason);
    assert_non_null(finding);
    assert_string_equal(why_certainty_word(finding->certainty), why_certainty_word(certainty));
    bool shown = false;
    for (unsigned i = 0; i < WHY_FRAMES_MAX; i++) {
        shown = shown || finding->frames[i] == frame;
    }
    assert_true(shown);
}

static void a_lifetime_that_passed(void **state) {
    (void)state;
    assert_null(find(REASON_EXPIRED));
    handshake.offer.ticket_origin.lifetime_s = 59;
    assert_found(REASON_EXPIRED, LIKELY, 9); /* RFC 5077 3.3: a hint */
    assert_non_null(strstr(findings[0].text, "60 seconds earlier"));
    handshake.offer.place.time_ns = 0; /* the clock went back: nothing is said */
    assert_null(find(REASON_EXPIRED));
}

static void another_key(void **state) {
    (void)state;
    handshake.ticket_issued = token_of(bytes_of(TICKET_OLD));
    handshake.ticket_frame = 25;
    assert_null(strstr(find(REASON_UNKNOWN_TICKET_KEY)->text, "key name"));
    handshake.ticket_issued = token_of(bytes_of(TICKET_NEW));
    assert_found(REASON_UNKNOWN_TICKET_KEY, POSSIBLE, 25); /* the layout is only assumed */
    handshake.tickets_alike = true;
    assert_found(REASON_UNKNOWN_TICKET_KEY, LIKELY, 25);
    handshake.tickets_alike = false;
    handshake.key_before = (struct ticket_key){ .known = true, .tickets = 3 };
    const struct finding *finding = find(REASON_UNKNOWN_TICKET_KEY);
    assert_null(strstr(finding->text, "key name")); /* each ticket begins differently: no names */
}

static void another_address_and_name(void **state) {
    (void)state;
    assert_null(find(REASON_OTHER_ADDRESS));
    handshake.offer.ticket_origin.server[0] = 1;
    assert_found(REASON_OTHER_ADDRESS, LIKELY, 9);
    assert_null(find(REASON_OTHER_SERVER_NAME));
    handshake.offer.name_hash = 5;
    assert_found(REASON_OTHER_SERVER_NAME, LIKELY, 20);
}

static void what_the_protocol_forbids(void **state) {
    (void)state;
    handshake.offer.has_ems = true;
    assert_found(REASON_EMS_MISMATCH, CERTAIN, 9);
    handshake.offer.origin_cipher_offered = false;
    assert_found(REASON_CIPHER_MISMATCH, CERTAIN, 9);
    handshake.answer.version = 0x0304;
    assert_found(REASON_PROTOCOL_MISMATCH, CERTAIN, 21);
    assert_int_equal(findings[0].certainty, CERTAIN);
}

static void what_was_not_read_speaks_against_nothing(void **state) {
    (void)state;
    struct origin *origin = &handshake.offer.ticket_origin;
    origin->hello_known = false; /* the issuing ServerHello was not captured, or not whole */
    origin->version = 0;
    origin->cipher_suite = 0;
    handshake.offer.has_ems = true;
    handshake.offer.origin_cipher_offered = false;
    assert_null(find(REASON_PROTOCOL_MISMATCH));
    assert_null(find(REASON_CIPHER_MISMATCH));
    assert_null(find(REASON_EMS_MISMATCH));
    assert_int_equal(setup(NULL), 0);
    origin->has_ems = true;
    handshake.offer.whole = false; /* the extension may be behind the cut, the suites aren't */
    assert_null(find(REASON_EMS_MISMATCH));
    handshake.offer.psk_count = 1;
    handshake.offer.psk_dhe_ke = true;
    handshake.answer.version = 0x0304;
    handshake.retry = true;
    handshake.second.seen = true;
    assert_found(REASON_HELLO_RETRY, POSSIBLE, 0);
    handshake.second.whole = true;
    assert_found(REASON_HELLO_RETRY, CERTAIN, 0);
}

static void extended_master_secret_given_up(void **state) {
    (void)state;
    handshake.offer.ticket_origin.has_ems = true;
    assert_found(REASON_EMS_MISMATCH, POSSIBLE, 9); /* who finds such a session ends it */
    handshake.answer = (struct answer){ 0 };
    handshake.seen = 0;
    assert_null(find(REASON_EMS_MISMATCH));
    stream.alert = 2 << 8 | 40;
    stream.alert_direction = 1;
    stream.alert_frame = 22;
    assert_found(REASON_EMS_MISMATCH, LIKELY, 22);
    stream.alert_direction = 0;
    assert_null(find(REASON_EMS_MISMATCH));
    stream.alert_direction = 1;
    handshake.offer.whole = false;
    assert_null(find(REASON_EMS_MISMATCH));
}

static void a_psk(void **state) {
    (void)state;
    struct offer *offer = &handshake.offer;
    offer->psk_count = 1;
    offer->psks[0] = token_of(bytes_of(TICKET_OLD));
    offer->psk_dhe_ke = true;
    offer->psk_origin = offer->ticket_origin;
    offer->psk_origin.version = 0x0304;
    offer->psk_origin.cipher_suite = 0x1301;
    handshake.answer.version = 0x0304;
    handshake.answer.cipher_suite = 0x1302;
    assert_found(REASON_CIPHER_MISMATCH, LIKELY, 21); /* who can't open it takes any suite */
    offer->psk_origin.lifetime_s = 59;
    assert_found(REASON_EXPIRED, CERTAIN, 9);
    offer->psk_count = 2; /* only the first one is traced */
    assert_found(REASON_EXPIRED, POSSIBLE, 9);
    assert_non_null(strstr(find(REASON_EXPIRED)->text, "the first PSK"));
    assert_found(REASON_CIPHER_MISMATCH, POSSIBLE, 21);
    offer->psk_origin.server[0] = 1;
    assert_found(REASON_OTHER_ADDRESS, POSSIBLE, 9);
    offer->psk_origin.server[0] = 0;
    offer->psk_count = 1;
    offer->psk_origin.lifetime_s = 300;
    handshake.answer.cipher_suite = 0x1303; /* the same hash */
    assert_null(find(REASON_CIPHER_MISMATCH));
    offer->psk_dhe_ke = false;
    offer->has_psk_modes = true;
    assert_found(REASON_PSK_MODE_NOT_OFFERED, LIKELY, 20);
    handshake.retry = true;
    handshake.second.seen = true;
    handshake.second.whole = true;
    assert_non_null(find(REASON_HELLO_RETRY));
    assert_int_equal(find(REASON_HELLO_RETRY)->certainty, CERTAIN);
}

static void a_server_that_is_not_set_to(void **state) {
    (void)state;
    handshake.answer.has_ticket_extension = false;
    assert_found(REASON_TICKETS_OFF, LIKELY, 21);
    handshake.offer.ticket = (struct token){ 0 };
    handshake.offer.session_id = token_of(bytes_of("id"));
    assert_found(REASON_CACHE_OFF, LIKELY, 21);
    assert_found(REASON_UNKNOWN_SESSION_ID, POSSIBLE, 20);
}

static void what_was_resumed_needs_no_reason(void **state) {
    (void)state;
    handshake.seen = SEEN_SERVER_CCS;
    assert_null(find(REASON_EXPIRED));
    assert_int_equal(count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_lifetime_that_passed, setup),
        cmocka_unit_test_setup(another_key, setup),
        cmocka_unit_test_setup(another_address_and_name, setup),
        cmocka_unit_test_setup(what_the_protocol_forbids, setup),
        cmocka_unit_test_setup(what_was_not_read_speaks_against_nothing, setup),
        cmocka_unit_test_setup(extended_master_secret_given_up, setup),
        cmocka_unit_test_setup(a_psk, setup),
        cmocka_unit_test_setup(a_server_that_is_not_set_to, setup),
        cmocka_unit_test_setup(what_was_resumed_needs_no_reason, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
