/* test_policy.c: resume/policy.c: what a session is bound to, and what it is not. */
#include "resume/policy.h"

#include "session.h"

/* --- the fingerprint (R3) ------------------------------------------------- */

static void profile_name(struct session *s) {
    s->profile.name = text_of("web2");
}

static void name_added(struct session *s) {
    static char *names[] = { NULL, NULL, NULL };
    names[0] = text_of("www.example.com");
    names[1] = text_of("*.example.com");
    names[2] = text_of("example.com");
    s->profile.server_names = (struct config_strings){ names, 3 };
}

static void name_removed(struct session *s) {
    s->profile.server_names.count = 1;
}

static void name_changed(struct session *s) {
    s->names[0] = text_of("www.example.org");
}

static void no_names(struct session *s) {
    s->profile.server_names = (struct config_strings){ 0 };
}

/* Two names are not one that looks like both. */
static void names_run_together(struct session *s) {
    s->names[0] = text_of("*.example.comwww.example.com");
    s->profile.server_names.count = 1;
}

static void certificate(struct session *s) {
    s->material.certificates = bytes_of("the leaf certificatez");
}

static void certificate_longer(struct session *s) {
    s->material.certificates = bytes_of("the leaf certificates, and one more");
}

static void client_auth_none(struct session *s) {
    s->profile.client_auth = CLIENT_AUTH_NONE;
}

static void client_auth_request(struct session *s) {
    s->profile.client_auth = CLIENT_AUTH_REQUEST;
}

static void client_ca(struct session *s) {
    s->material.client_ca = bytes_of("other authorities");
}

static void no_client_ca(struct session *s) {
    s->material.client_ca = (struct bytes){ 0 };
}

static void client_crl(struct session *s) {
    s->material.client_crl = bytes_of("more revoked");
}

static void no_client_crl(struct session *s) {
    s->material.client_crl = (struct bytes){ 0 };
}

/* The same bytes as another part: they must not stand for each other. */
static void ca_and_crl_exchanged(struct session *s) {
    struct bytes ca = s->material.client_ca;
    s->material.client_ca = s->material.client_crl;
    s->material.client_crl = ca;
}

/* --- what binds nothing --------------------------------------------------- */

static void names_in_another_order(struct session *s) {
    char *first = s->names[0];
    s->names[0] = s->names[1];
    s->names[1] = first;
}

static void place_in_the_file(struct session *s) {
    s->profile.line = 77;
}

static void default_on(struct session *s) {
    s->profile.is_default = true;
}

static void handshake_timeout(struct session *s) {
    s->profile.handshake_timeout_ms++;
}

static void idle_timeout(struct session *s) {
    s->profile.idle_timeout_ms++;
}

static void cache_size(struct session *s) {
    s->profile.cache_size++;
}

static void cache_timeout(struct session *s) {
    s->profile.cache_timeout_s++;
}

static void ticket_timeout(struct session *s) {
    s->profile.ticket_timeout_s++;
}

static void max_lineage(struct session *s) {
    s->profile.max_lineage_s++;
}

static void cache_box(struct session *s) {
    s->profile.session_cache = !s->profile.session_cache;
}

static void tickets_box(struct session *s) {
    s->profile.session_tickets = !s->profile.session_tickets;
}

static void strict_resume(struct session *s) {
    s->profile.strict_resume = !s->profile.strict_resume;
}

static void file_names(struct session *s) {
    s->profile.client_ca_file = text_of("moved/ca.pem");
    s->profile.client_crl_file = text_of("moved/crl.pem");
}

/* Looked at in each hello by themselves: see decide.c. */
static void protocols(struct session *s) {
    s->profile.protocols = CONFIG_TLS12;
}

static void ciphers(struct session *s) {
    s->profile.ciphers = text_of("ECDHE-RSA-AES128-GCM-SHA256");
}

static void groups(struct session *s) {
    s->profile.groups = text_of("P-256");
}

static void alpn_list(struct session *s) {
    s->profile.alpn.count = 1;
}

static void secure_renegotiation(struct session *s) {
    s->profile.secure_renegotiation = SECURE_RENEG_REQUIRE_STRICT;
}

#define NO_PART POLICY_PARTS

static const struct {
    const char *name;
    void (*change)(struct session *s);
    enum policy_part part;
} changes[] = {
#define CHANGE(change, part) \
    { #change, change, part }
    CHANGE(profile_name, POLICY_PROFILE),
    CHANGE(name_added, POLICY_SERVER_NAMES),
    CHANGE(name_removed, POLICY_SERVER_NAMES),
    CHANGE(name_changed, POLICY_SERVER_NAMES),
    CHANGE(no_names, POLICY_SERVER_NAMES),
    CHANGE(names_run_together, POLICY_SERVER_NAMES),
    CHANGE(certificate, POLICY_CERTIFICATES),
    CHANGE(certificate_longer, POLICY_CERTIFICATES),
    CHANGE(client_auth_none, POLICY_CLIENT_CERTIFICATE),
    CHANGE(client_auth_request, POLICY_CLIENT_CERTIFICATE),
    CHANGE(client_ca, POLICY_CLIENT_CA),
    CHANGE(no_client_ca, POLICY_CLIENT_CA),
    CHANGE(client_crl, POLICY_CLIENT_CRL),
    CHANGE(no_client_crl, POLICY_CLIENT_CRL),
    CHANGE(names_in_another_order, NO_PART),
    CHANGE(place_in_the_file, NO_PART),
    CHANGE(default_on, NO_PART),
    CHANGE(handshake_timeout, NO_PART),
    CHANGE(idle_timeout, NO_PART),
    CHANGE(cache_size, NO_PART),
    CHANGE(cache_timeout, NO_PART),
    CHANGE(ticket_timeout, NO_PART),
    CHANGE(max_lineage, NO_PART),
    CHANGE(cache_box, NO_PART),
    CHANGE(tickets_box, NO_PART),
    CHANGE(strict_resume, NO_PART),
    CHANGE(file_names, NO_PART),
    CHANGE(protocols, NO_PART),
    CHANGE(ciphers, NO_PART),
    CHANGE(groups, NO_PART),
    CHANGE(alpn_list, NO_PART),
    CHANGE(secure_renegotiation, NO_PART),
};

/* Each change by itself changes its own part of the fingerprint, and no other. */
static void each_change_shows_in_its_part(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(changes); i++) {
        static struct session s;
        session_init_profile(&s);
        struct policy_print before = s.policy.print;
        changes[i].change(&s);
        policy_init(&s.policy, &s.profile, &s.material);
        for (unsigned part = 0; part < POLICY_PARTS; part++) {
            bool differs =
                memcmp(before.part[part], s.policy.print.part[part], POLICY_PRINT_LEN) != 0;
            if (differs != (part == changes[i].part)) {
                fail_msg("%s: %s %s", changes[i].name, policy_part_word((enum policy_part)part),
                         differs ? "differs" : "is the same");
            }
        }
    }
}

static void parts_do_not_stand_for_each_other(void **state) {
    (void)state;
    static struct session s;
    session_init_profile(&s);
    struct policy_print before = s.policy.print;
    ca_and_crl_exchanged(&s);
    policy_init(&s.policy, &s.profile, &s.material);
    assert_memory_not_equal(&before, &s.policy.print, sizeof(before));
}

/* Two processes, two hosts, two loads of one file: the same. */
static void the_fingerprint_is_the_same_each_time(void **state) {
    (void)state;
    static struct session a;
    static struct session b;
    session_init_profile(&a);
    session_init_profile(&b);
    assert_memory_equal(&a.policy.print, &b.policy.print, sizeof(a.policy.print));
    for (unsigned part = 0; part < POLICY_PARTS; part++) {
        static const uint8_t zero[POLICY_PRINT_LEN];
        assert_memory_not_equal(a.policy.print.part[part], zero, sizeof(zero));
    }
}

static void parts_have_words(void **state) {
    (void)state;
    for (unsigned a = 0; a < POLICY_PARTS; a++) {
        assert_non_null(policy_part_word((enum policy_part)a));
        for (unsigned b = 0; b < a; b++) {
            assert_string_not_equal(policy_part_word((enum policy_part)a),
                                    policy_part_word((enum policy_part)b));
        }
    }
}

/* --- lifetimes ----------------------------------------------------------- */

/* R21: no ticket and no entry promises more than the lineage has. */
static void lifetimes_end_with_the_lineage(void **state) {
    (void)state;
    static const uint32_t rows[][5] = {
        /* cache-timeout, ticket-timeout, max-lineage: cache, ticket */
        { 3600, 7200, 86400, 3600, 7200 },
        { 3600, 7200, 5000, 3600, 5000 },
        { 3600, 7200, 60, 60, 60 },
        { 0, 1, 604800, 0, 1 },
        { 86400, 604800, 604800, 86400, 604800 },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        static struct session s;
        session_init_profile(&s);
        s.profile.cache_timeout_s = rows[i][0];
        s.profile.ticket_timeout_s = rows[i][1];
        s.profile.max_lineage_s = rows[i][2];
        policy_init(&s.policy, &s.profile, &s.material);
        assert_int_equal(s.policy.cache_lifetime_s, rows[i][3]);
        assert_int_equal(s.policy.ticket_lifetime_s, rows[i][4]);
    }
}

/* --- what a hello negotiates --------------------------------------------- */

static void the_version_is_the_highest_that_both_have(void **state) {
    (void)state;
    static const uint8_t both[] = { 0x03, 0x03, 0x03, 0x04 };
    static const uint8_t only12[] = { 0x03, 0x03 };
    static const uint8_t only13[] = { 0x7f, 0x1c, 0x03, 0x04 };
    static const uint8_t old[] = { 0x03, 0x01, 0x03, 0x02 };
    static const struct {
        unsigned profile;
        struct bytes versions; /* empty: no extension */
        uint16_t legacy;
        uint16_t expected;
    } rows[] = {
        { CONFIG_TLS12 | CONFIG_TLS13, { both, sizeof(both) }, 0x0303, POLICY_TLS13 },
        { CONFIG_TLS12 | CONFIG_TLS13, { only12, sizeof(only12) }, 0x0303, POLICY_TLS12 },
        { CONFIG_TLS12 | CONFIG_TLS13, { only13, sizeof(only13) }, 0x0303, POLICY_TLS13 },
        { CONFIG_TLS12 | CONFIG_TLS13, { old, sizeof(old) }, 0x0303, 0 },
        { CONFIG_TLS12, { both, sizeof(both) }, 0x0303, POLICY_TLS12 },
        { CONFIG_TLS12, { only13, sizeof(only13) }, 0x0303, 0 },
        { CONFIG_TLS13, { both, sizeof(both) }, 0x0303, POLICY_TLS13 },
        { CONFIG_TLS13, { only12, sizeof(only12) }, 0x0303, 0 },
        /* RFC 8446 4.2.1: without the extension TLS 1.2 at the most. */
        { CONFIG_TLS12 | CONFIG_TLS13, { 0 }, 0x0303, POLICY_TLS12 },
        { CONFIG_TLS12 | CONFIG_TLS13, { 0 }, 0x0304, POLICY_TLS12 },
        { CONFIG_TLS12 | CONFIG_TLS13, { 0 }, 0x0302, 0 },
        { CONFIG_TLS13, { 0 }, 0x0304, 0 },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        static struct session s;
        session_init_profile(&s);
        s.profile.protocols = rows[i].profile;
        struct hello hello = { .legacy_version = rows[i].legacy,
                               .has_supported_versions = rows[i].versions.len > 0,
                               .supported_versions = rows[i].versions };
        assert_int_equal(policy_select_version(&s.policy, &hello), rows[i].expected);
    }
}

static void alpn_is_the_server_s_first_that_the_client_has(void **state) {
    (void)state;
    static const struct {
        size_t server; /* of h2, http/1.1 */
        const char *client;
        const char *expected;
        bool refused;
    } rows[] = {
        { 2, "\x02h2\x08http/1.1", "h2", false },
        { 2, "\x08http/1.1\x02h2", "h2", false },
        { 2, "\x08http/1.1", "http/1.1", false },
        { 1, "\x08http/1.1\x02h2", "h2", false },
        { 1, "\x08http/1.1", "", true },
        { 2, "\x05xmpp!", "", true },
        { 2, "\x03h2c\x01h", "", true },
        { 0, "\x02h2", "", false },
        { 2, NULL, "", false },
        { 0, NULL, "", false },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        static struct session s;
        session_init_profile(&s);
        s.profile.alpn.count = rows[i].server;
        struct hello hello = { .has_alpn = rows[i].client != NULL };
        if (rows[i].client) {
            hello.alpn = bytes_of(rows[i].client);
        }
        bool refused = !rows[i].refused;
        struct bytes alpn = policy_select_alpn(&s.policy, &hello, &refused);
        assert_int_equal(refused, rows[i].refused);
        assert_true(bytes_equal(alpn, bytes_of(rows[i].expected)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_shows_in_its_part),
        cmocka_unit_test(parts_do_not_stand_for_each_other),
        cmocka_unit_test(the_fingerprint_is_the_same_each_time),
        cmocka_unit_test(parts_have_words),
        cmocka_unit_test(lifetimes_end_with_the_lineage),
        cmocka_unit_test(the_version_is_the_highest_that_both_have),
        cmocka_unit_test(alpn_is_the_server_s_first_that_the_client_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
