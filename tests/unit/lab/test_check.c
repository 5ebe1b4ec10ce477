/* test_check.c: lab/check.c: what is not as an act wants it is told. */
#include "lab/check.h"

#include "unit.h"

#define LINE                                                                 \
    "time=2026-11-24T07:06:01.376Z event=connection client=127.0.0.1:42714 " \
    "handshake=new offered=none issued=session-id error=\"a b=c\" close=done"

static struct stream stream;
static struct handshake handshake;
static struct lab_seen seen;
static struct lab_check checks[LAB_CHECKS_MAX];
static const struct lab_act *const stateful_new = &lab_acts[0];

/* As act 1 wants it. */
static int setup(void **state) {
    (void)state;
    memset(&stream, 0, sizeof(stream));
    memset(&handshake, 0, sizeof(handshake));
    stream.handshakes = &handshake;
    stream.handshake_count = 1;
    handshake.offer.seen = handshake.offer.whole = true;
    handshake.offer.session_id_origin.stream = STREAM_NONE;
    handshake.offer.ticket_origin.stream = STREAM_NONE;
    handshake.answer.seen = handshake.answer.whole = true;
    handshake.answer.session_id = token_of(bytes_of("a new one"));
    handshake.seen = SEEN_SERVER_CERTIFICATE;
    seen = (struct lab_seen){ .stream = &stream, .log_line = LINE };
    seen.judgement.verdict = VERDICT_NEW;
    return 0;
}

/* The check that is not good: there is one. */
static const struct lab_check *broken(const struct lab_act *act) {
    const struct lab_check *found = NULL;
    unsigned count = lab_check(act, &seen, checks);
    assert_false(lab_checks_good(checks, count));
    for (unsigned i = 0; i < count; i++) {
        if (!checks[i].good) {
            assert_null(found);
            found = &checks[i];
        }
    }
    assert_non_null(found);
    return found;
}

static void all_is_well(void **state) {
    (void)state;
    assert_true(lab_checks_good(checks, lab_check(stateful_new, &seen, checks)));
}

static void another_verdict(void **state) {
    (void)state;
    seen.judgement.verdict = VERDICT_RESUMED_TICKET;
    const struct lab_check *check = broken(stateful_new);
    assert_string_equal(check->word, "verdict");
    assert_string_equal(check->found, "resumed-by-ticket");
    assert_int_equal(check->witness, LAB_PACKETS);
}

static void another_fact(void **state) {
    (void)state;
    handshake.offer.session_id = token_of(bytes_of("x"));
    assert_string_equal(broken(stateful_new)->word, "client-session-id-empty");
}

static void another_log(void **state) {
    (void)state;
    seen.log_line = "event=connection handshake=new offered=none by=ticket issued=session-id "
                    "close=done";
    const struct lab_check *check = broken(stateful_new);
    assert_string_equal(check->word, "by");
    assert_string_equal(check->found, "ticket");
    assert_int_equal(check->witness, LAB_LOG);
}

static void no_witness(void **state) {
    (void)state;
    seen.log_line = NULL;
    assert_string_equal(broken(stateful_new)->word, "line");
    seen.log_line = LINE;
    seen.stream = NULL;
    assert_string_equal(broken(stateful_new)->word, "capture");
    assert_false(lab_checks_good(checks, 0));
}

static void another_why(void **state) {
    (void)state;
    struct finding finding = { .reason = REASON_OTHER_ADDRESS };
    const struct lab_act *act = lab_acts;
    while (strcmp(act->name, "expired") != 0) {
        act++;
    }
    seen.findings = &finding;
    seen.finding_count = 1;
    unsigned count = lab_check(act, &seen, checks);
    assert_false(lab_checks_good(checks, count));
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(checks[i].word, "why") == 0) {
            assert_string_equal(checks[i].found, "other-address");
            return;
        }
    }
    fail();
}

/* A capture without any handshake has no fact. */
static void no_handshake(void **state) {
    (void)state;
    stream.handshake_count = 0;
    for (size_t i = 0; i < lab_act_count; i++) {
        unsigned count = lab_check(&lab_acts[i], &seen, checks);
        for (unsigned k = 0; k < count; k++) {
            bool is_fact = checks[k].witness == LAB_PACKETS && strcmp(checks[k].word, "verdict");
            assert_false(is_fact && checks[k].good);
        }
    }
}

static void renegotiation(void **state) {
    (void)state;
    struct handshake both[2] = { handshake };
    const struct lab_act *secure = &lab_acts[lab_act_count - 1];
    const struct lab_act *legacy = secure - 1;
    stream.handshakes = both;
    stream.handshake_count = 2;
    stream.alert = 2 << 8 | 100;
    stream.alert_direction = 1;
    both[1].decrypted = true;
    both[1].offer.seen = both[1].offer.whole = true;
    seen.log_line = "event=connection handshake=new offered=none close=renegotiation-refused";
    assert_true(lab_checks_good(checks, lab_check(legacy, &seen, checks)));
    assert_string_equal(broken(secure)->word, "renegotiation-info");
    both[1].offer.has_renegotiation_info = true;
    both[1].offer.renegotiation_info_len = 12;
    assert_true(lab_checks_good(checks, lab_check(secure, &seen, checks)));
    assert_string_equal(broken(legacy)->word, "no-renegotiation-info");
    both[1].answer.seen = true;
    assert_string_equal(broken(secure)->word, "no-second-server-hello");
    both[1].answer.seen = false;
    stream.alert_direction = 0;
    assert_string_equal(broken(secure)->word, "no-renegotiation-alert");
}

static void assert_field(const char *name, const char *value) {
    char out[32];
    assert_string_equal(lab_log_field(LINE, name, out, sizeof(out)), value);
}

static void fields_of_the_log(void **state) {
    (void)state;
    char out[4];
    assert_field("event", "connection");
    assert_field("client", "127.0.0.1:42714");
    assert_field("close", "done");
    assert_field("error", "a b=c");
    assert_field("b", "");
    assert_field("shake", "");
    assert_field("hand", "");
    assert_string_equal(lab_log_field(LINE, "event", out, sizeof(out)), "con");
    assert_string_equal(lab_log_field("", "event", out, sizeof(out)), "");
    assert_string_equal(lab_log_field("no fields here", "event", out, sizeof(out)), "");
    assert_string_equal(lab_log_field("event=\"cut", "event", out, sizeof(out)), "cut");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_is_well, setup),  cmocka_unit_test_setup(another_verdict, setup),
        cmocka_unit_test_setup(another_fact, setup), cmocka_unit_test_setup(another_log, setup),
        cmocka_unit_test_setup(no_witness, setup),   cmocka_unit_test_setup(another_why, setup),
        cmocka_unit_test_setup(no_handshake, setup), cmocka_unit_test_setup(renegotiation, setup),
        cmocka_unit_test(fields_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
