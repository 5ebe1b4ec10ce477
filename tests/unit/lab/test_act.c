/* test_act.c: lab/act.c: the table of acts holds together. */
#include "lab/act.h"

#include <ctype.h>

#include "unit.h"

static void every_act_says_all(void **state) {
    (void)state;
    for (size_t i = 0; i < lab_act_count; i++) {
        const struct lab_act *act = &lab_acts[i];
        assert_true(act->name && act->title && act->see);
        assert_true(act->scene < lab_scene_count);
        assert_true(lab_act_visits(act) > 0);
        assert_non_null(lab_act_last(act));
        assert_true(act->facts != 0 && act->facts >> FACT_COUNT == 0);
        assert_true(act->log.handshake && act->log.offered && act->log.close);
        assert_int_equal(act->steps[LAB_STEPS_MAX].verb, LAB_END);
    }
}

static bool is_refused(enum verdict verdict) {
    return verdict == VERDICT_REFUSED_SESSION_ID || verdict == VERDICT_REFUSED_TICKET ||
           verdict == VERDICT_REFUSED_PSK;
}

/* What the packets and the log must say is no contradiction. */
static void expectations_agree(void **state) {
    (void)state;
    for (size_t i = 0; i < lab_act_count; i++) {
        const struct lab_act *act = &lab_acts[i];
        bool resumed = act->verdict != VERDICT_NEW && !is_refused(act->verdict);
        assert_string_equal(act->log.handshake, resumed ? "resumed" : "new");
        assert_true((act->log.by[0] != '\0') == resumed);
        assert_true(is_refused(act->verdict) == (act->log.reason && act->log.reason[0]));
        assert_true(is_refused(act->verdict) == (act->why != REASON_RESUMED));
        assert_true(!!(lab_act_last(act)->visit & LAB_VISIT_OFFER) ==
                    (act->verdict != VERDICT_NEW));
        bool full = act->facts & LAB_FACT(certificate);
        bool abbreviated = act->facts & LAB_FACT(no_certificate);
        assert_false(full && abbreviated);
        assert_true(abbreviated == resumed);
    }
}

/* Words of the reasons' table only. */
static void reasons_are_known(void **state) {
    (void)state;
    for (size_t i = 0; i < lab_act_count; i++) {
        const char *word = lab_acts[i].log.reason;
        bool known = !word || !word[0];
        for (unsigned r = 0; r < REASON_COUNT && !known; r++) {
            known = strcmp(reason_word((enum reason)r), word) == 0;
        }
        assert_true(known);
    }
}

static void names_are_names(void **state) {
    (void)state;
    for (size_t i = 0; i < lab_act_count; i++) {
        assert_true(islower((unsigned char)lab_acts[i].name[0]));
        for (size_t k = i + 1; k < lab_act_count; k++) {
            assert_string_not_equal(lab_acts[i].name, lab_acts[k].name);
        }
    }
    for (size_t i = 0; i < lab_scene_count; i++) {
        for (size_t k = i + 1; k < lab_scene_count; k++) {
            assert_string_not_equal(lab_scenes[i].file, lab_scenes[k].file);
        }
    }
}

static void streams_are_counted_by_scene(void **state) {
    (void)state;
    assert_int_equal(lab_act_stream(&lab_acts[0]), 0);
    assert_int_equal(lab_act_stream(&lab_acts[1]), 1);
    assert_int_equal(lab_act_stream(&lab_acts[2]), 0);
    for (size_t i = 0; i < lab_act_count; i++) {
        if (strcmp(lab_acts[i].name, "fallback") == 0) {
            assert_int_equal(lab_act_stream(&lab_acts[i]), 1);
            assert_int_equal(lab_act_stream(&lab_acts[i + 1]), 2);
        }
    }
}

static void facts_have_words(void **state) {
    (void)state;
    for (unsigned i = 0; i < FACT_COUNT; i++) {
        assert_true(strlen(lab_fact_word(i)) > 0 && strlen(lab_fact_word(i)) < 48);
        assert_true(strlen(lab_fact_text(i)) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_act_says_all),
        cmocka_unit_test(expectations_agree),
        cmocka_unit_test(reasons_are_known),
        cmocka_unit_test(names_are_names),
        cmocka_unit_test(streams_are_counted_by_scene),
        cmocka_unit_test(facts_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
