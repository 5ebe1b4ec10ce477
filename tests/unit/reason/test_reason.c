/* test_reason.c: reason/reason.c: the words are public: logs, metrics and manual show them. */
#include "reason/reason.h"

#include <ctype.h>

#include "unit.h"

static void words_are_words(void **state) {
    (void)state;
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        const char *word = reason_word((enum reason)r);
        assert_non_null(word);
        size_t len = strlen(word);
        assert_in_range(len, 1, 40);
        assert_true(islower((unsigned char)word[0]) && islower((unsigned char)word[len - 1]));
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), len);
        assert_null(strstr(word, "--"));
    }
}

static void no_word_stands_for_two_reasons(void **state) {
    (void)state;
    for (unsigned a = 0; a < REASON_COUNT; a++) {
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(reason_word((enum reason)a), reason_word((enum reason)b));
            assert_string_not_equal(reason_meaning((enum reason)a), reason_meaning((enum reason)b));
        }
    }
}

/* One line each, fit for a table of the manual. */
static void each_has_meaning_and_advice(void **state) {
    (void)state;
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        const char *texts[] = { reason_meaning((enum reason)r), reason_advice((enum reason)r) };
        for (size_t i = 0; i < LENGTH(texts); i++) {
            assert_non_null(texts[i]);
            assert_in_range(strlen(texts[i]), 10, 120);
            for (const char *c = texts[i]; *c; c++) {
                assert_true(isprint((unsigned char)*c));
            }
        }
    }
}

/* Users have built on these. */
static void known_words_stay(void **state) {
    (void)state;
    static const struct {
        enum reason reason;
        const char *word;
    } words[] = {
        { REASON_RESUMED, "resumed" },
        { REASON_NOT_OFFERED, "not-offered" },
        { REASON_UNKNOWN_SESSION_ID, "unknown-session-id" },
        { REASON_EXPIRED, "expired" },
        { REASON_LINEAGE_TOO_OLD, "lineage-too-old" },
        { REASON_UNKNOWN_TICKET_KEY, "unknown-ticket-key" },
        { REASON_RETIRED_TICKET_KEY, "retired-ticket-key" },
        { REASON_TICKET_DAMAGED, "ticket-damaged" },
        { REASON_OTHER_PROFILE, "other-profile" },
        { REASON_OTHER_SERVER_NAME, "other-server-name" },
        { REASON_POLICY_CHANGED, "policy-changed" },
        { REASON_PROTOCOL_MISMATCH, "protocol-mismatch" },
        { REASON_CIPHER_MISMATCH, "cipher-mismatch" },
        { REASON_EMS_MISMATCH, "ems-mismatch" },
        { REASON_ALPN_MISMATCH, "alpn-mismatch" },
        { REASON_CACHE_OFF, "cache-off" },
        { REASON_TICKETS_OFF, "tickets-off" },
    };
    for (size_t i = 0; i < LENGTH(words); i++) {
        assert_string_equal(reason_word(words[i].reason), words[i].word);
    }
}

static void no_reason_beyond_the_last(void **state) {
    (void)state;
    pid_t pid = child_fork();
    if (pid == 0) {
        close(STDERR_FILENO); /* the assert's line */
        _exit(reason_word(REASON_COUNT) == NULL);
    }
    assert_int_equal(child_wait(pid), -SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_words),
        cmocka_unit_test(no_word_stands_for_two_reasons),
        cmocka_unit_test(each_has_meaning_and_advice),
        cmocka_unit_test(known_words_stay),
        cmocka_unit_test(no_reason_beyond_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
