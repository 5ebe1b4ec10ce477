/* test_options.c: load/options.c. */
#include "load/options.h"

#include "unit.h"

static struct load_options options;
static struct err err;

static int setup(void **state) {
    (void)state;
    load_options_init(&options);
    err_clear(&err);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    load_options_free(&options);
    return 0;
}

static void kinds_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = { "", "Full", "psk,", ",psk", "id ticket", "tickets" };
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        err_clear(&err);
        assert_int_equal(load_read_kinds(&options, wrong[i], &err), -1);
        assert_true(err.set);
    }
    assert_int_equal(load_read_kinds(&options, "psk,id", &err), -0);
    assert_true(options.kinds[LOAD_PSK] && options.kinds[LOAD_ID]);
    assert_false(options.kinds[LOAD_FULL] || options.kinds[LOAD_TICKET]);
}

static void shares_are_from_0_to_1(void **state) {
    (void)state;
    static const char *const wrong[] = { "", "-0.1", "1.01", "nan", "inf", "0.5x", "x" };
    double share = -1;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        err_clear(&err);
        assert_int_equal(load_read_share(wrong[i], &share, &err), -1);
    }
    assert_int_equal(load_read_share("0", &share, NULL), 0);
    assert_int_equal(load_read_share("1", &share, NULL), 0);
    assert_int_equal(load_read_share("0.25", &share, NULL), 0);
    assert_true(share == 0.25);
}

static void bytes_have_units_and_bounds(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "", "k", "-1", " 1", "1kk", "1T", "0x10", "99999999999999G", "99999999999999999999"
    };
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {
        { "0", 0 }, { "100", 100 }, { "16k", 16384 }, { "2M", 2 << 20 }, { "1G", 1 << 30 },
    };
    uint64_t bytes = 0;
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        assert_int_equal(load_read_bytes(wrong[i], &bytes, NULL), -1);
    }
    for (size_t i = 0; i < LENGTH(right); i++) {
        assert_int_equal(load_read_bytes(right[i].text, &bytes, NULL), 0);
        assert_int_equal(bytes, right[i].bytes);
    }
}

static void a_payload_is_an_echo_or_two_sizes(void **state) {
    (void)state;
    assert_int_equal(load_read_payload(&options, "1:", &err), -1);
    assert_int_equal(load_read_payload(&options, ":1", &err), -1);
    assert_int_equal(load_read_payload(&options, "1k", NULL), 0);
    assert_true(options.echo && options.send_bytes == 1024 && options.expect_bytes == 1024);
    assert_int_equal(load_read_payload(&options, "1:2k", NULL), 0);
    assert_true(!options.echo && options.send_bytes == 1 && options.expect_bytes == 2048);
}

static void protocols_become_the_wires_form(void **state) {
    (void)state;
    assert_int_equal(load_read_alpn(&options, "h2,,x", &err), -1);
    assert_int_equal(load_read_alpn(&options, "", NULL), -1);
    assert_int_equal(load_read_alpn(&options, "h2,http/1.1", NULL), 0);
    assert_int_equal(options.alpn.len, 12);
    assert_memory_equal(options.alpn.data, "\2h2\10http/1.1", 12);
}

static void names_and_sources_are_lists(void **state) {
    (void)state;
    assert_int_equal(load_read_names(&options, "a,,b", &err), -1);
    assert_int_equal(load_read_names(&options, "a.example,b.example", NULL), 0);
    assert_int_equal(options.name_count, 2);
    assert_string_equal(options.names[1], "b.example");
    assert_int_equal(load_read_sources(&options, "127.0.0.9-127.0.0.2", NULL), -1);
    assert_int_equal(load_read_sources(&options, "localhost", NULL), -1);
    assert_int_equal(load_read_sources(&options, "10.0.0.0-10.0.4.0", NULL), -1);
    assert_int_equal(load_read_sources(&options, "127.0.0.2-127.0.0.9,127.0.1.1", NULL), 0);
    assert_int_equal(options.source_count, 9);
}

static void targets_are_an_address_and_a_port(void **state) {
    (void)state;
    static const char *const wrong[] = { "", "127.0.0.1", ":443", "[::1]", "127.0.0.1:no" };
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        assert_int_equal(load_read_target(&options, wrong[i], NULL), -1);
    }
    assert_int_equal(options.target_count, 0);
    assert_int_equal(load_read_target(&options, "[::1]:443", NULL), 0);
    assert_int_equal(load_read_target(&options, "127.0.0.1:443", NULL), 0);
    assert_int_equal(options.target_count, 2);
    assert_int_equal(options.targets[0].addr.ss_family, AF_INET6);
}

static void what_does_not_go_together_is_refused(void **state) {
    (void)state;
    assert_int_equal(load_options_check(&options, NULL), -1); /* no server */
    assert_int_equal(load_read_target(&options, "127.0.0.1:443", NULL), 0);
    assert_int_equal(load_options_check(&options, NULL), 0);
    options.kinds[LOAD_PSK] = true;
    options.tls = 0x0303;
    assert_int_equal(load_options_check(&options, NULL), -1);
    options.tls = 0;
    options.idle = 10;
    assert_int_equal(load_options_check(&options, NULL), 0);
    options.rate = 5;
    assert_int_equal(load_options_check(&options, NULL), -1);
    options.idle = 0;
    options.abort_share[LOAD_ABORT_HELLO] = 0.6;
    options.abort_share[LOAD_ABORT_HANDSHAKE] = 0.6;
    assert_int_equal(load_options_check(&options, NULL), -1);
}

/* How many of 100,000 draws are so, within one part in a hundred. */
static void assert_share(unsigned count, double share) {
    assert_true(count > (share - 0.01) * 100000 && count < (share + 0.01) * 100000);
}

static void draws_have_the_shares_that_were_asked_for(void **state) {
    (void)state;
    unsigned kinds[LOAD_KINDS] = { 0 };
    unsigned resumed = 0;
    unsigned aborts[LOAD_ABORTS] = { 0 };
    unsigned both = 0;
    uint64_t random = 11;
    options.kinds[LOAD_ID] = options.kinds[LOAD_TICKET] = options.kinds[LOAD_PSK] = true;
    options.resume = 0.7;
    options.abort_share[LOAD_ABORT_HELLO] = 0.1;
    options.abort_share[LOAD_ABORT_HANDSHAKE] = 0.2;
    for (int i = 0; i < 100000; i++) {
        struct load_plan plan = load_draw(&options, rng_next(&random));
        kinds[plan.kind]++;
        resumed += plan.resume;
        aborts[plan.abort]++;
        both += plan.resume && plan.abort == LOAD_ABORT_HANDSHAKE;
    }
    assert_int_equal(kinds[LOAD_FULL], 0);
    assert_share(kinds[LOAD_ID], 1.0 / 3);
    assert_share(kinds[LOAD_PSK], 1.0 / 3);
    assert_share(resumed, 0.7);
    assert_share(aborts[LOAD_ABORT_HELLO], 0.1);
    assert_share(aborts[LOAD_ABORT_HANDSHAKE], 0.2);
    assert_share(both, 0.14); /* one does not depend on the other */
}

static void full_never_resumes_and_all_of_one_kind_always(void **state) {
    (void)state;
    uint64_t random = 5;
    options.kinds[LOAD_FULL] = true;
    for (int i = 0; i < 10000; i++) {
        assert_false(load_draw(&options, rng_next(&random)).resume);
    }
    options.kinds[LOAD_FULL] = false;
    options.kinds[LOAD_TICKET] = true;
    for (int i = 0; i < 10000; i++) {
        struct load_plan plan = load_draw(&options, rng_next(&random));
        assert_true(plan.resume && plan.kind == LOAD_TICKET && plan.abort == LOAD_ABORT_NONE);
    }
    options.resume = 0;
    assert_false(load_draw(&options, 0).resume);
    assert_false(load_draw(&options, UINT64_MAX).resume);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kinds_that_are_none_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(shares_are_from_0_to_1, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_have_units_and_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_payload_is_an_echo_or_two_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(protocols_become_the_wires_form, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_sources_are_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(targets_are_an_address_and_a_port, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_go_together_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(draws_have_the_shares_that_were_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(full_never_resumes_and_all_of_one_kind_always, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
