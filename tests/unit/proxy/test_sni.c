/* test_sni.c: proxy/sni.c. */
#include "proxy/sni.h"

#include <stdio.h>
#include <stdlib.h>

#include "unit.h"

/* A virtual server of up to four profiles, whose names are given as texts. */
struct site {
    struct config_profile profiles[4];
    const struct config_profile *order[4];
    char *names[4][8];
    struct config_vserver vserver;
    struct sni_table *table;
};

static void site_add(struct site *site, const char *profile, const char *const *names) {
    size_t at = site->vserver.profile_count++;
    size_t count = 0;
    for (; names[count]; count++) {
        site->names[at][count] = (char *)(uintptr_t)names[count];
    }
    site->profiles[at].name = (char *)(uintptr_t)profile;
    site->profiles[at].server_names = (struct config_strings){ site->names[at], count };
    site->order[at] = &site->profiles[at];
}

static void site_start(struct site *site) {
    site->vserver.profiles = site->order;
    site->table = sni_new(&site->vserver);
    assert_non_null(site->table);
}

static const char *const web_names[] = { "www.example.com", "*.example.com", NULL };
static const char *const api_names[] = { "api.example.com", "example.com", "*.sub.example.com",
                                         NULL };
static const char *const other_names[] = { "other.test", NULL };

/* Without a default. */
static void site_open(struct site *site) {
    *site = (struct site){ 0 };
    site_add(site, "web", web_names);
    site_add(site, "api", api_names);
    site_add(site, "other", other_names);
    site_start(site);
}

/* The name of the profile for a name as a client sends it; "-": none. */
static const char *find(const struct site *site, const char *sent) {
    uint8_t name[512];
    size_t len = sni_normalise(bytes_of(sent), name);
    const struct config_profile *profile = sni_find(site->table, (struct bytes){ name, len });
    return profile ? profile->name : "-";
}

/* R8: without an explicit default neither an unknown name nor none reaches a profile. */
static void without_a_default_what_is_unknown_is_refused(void **state) {
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const refused[] = {
        "",
        "unknown.test",
        "www.other.test",
        "com",
        "example",
        "example.co",
        "xexample.com",
        "example.com.evil.test",
        ".example.com",
        "..example.com",
        ".",
        "..",
        "a.b.example.com", /* a wildcard is one label */
        "a.b.sub.example.com",
        "www.example.com..",
        "*.example.com", /* a pattern is no name */
        "*",
        "*.*",
        "w*.example.com",
        "*.sub.example.com",
        "www.example.com\x01",
    };
    for (size_t i = 0; i < LENGTH(refused); i++) {
        assert_string_equal(find(&site, refused[i]), "-");
    }
    sni_free(site.table);
}

static void a_name_with_a_null_byte_is_another_name(void **state) {
    (void)state;
    struct site site;
    site_open(&site);
    static const char name[] = "www.example.com\0evil.test";
    assert_null(sni_find(site.table, (struct bytes){ (const uint8_t *)name, sizeof(name) - 1 }));
    assert_null(sni_find(site.table, (struct bytes){ (const uint8_t *)name, 16 }));
    assert_non_null(sni_find(site.table, (struct bytes){ (const uint8_t *)name, 15 }));
    sni_free(site.table);
}

static void exact_goes_before_wildcard(void **state) {
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const rows[][2] = {
        { "www.example.com", "web" }, { "api.example.com", "api" },
        { "example.com", "api" },     { "any.example.com", "web" },
        { "sub.example.com", "web" }, { "a.sub.example.com", "api" },
        { "other.test", "other" },    { "xn--p1ai.example.com", "web" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_string_equal(find(&site, rows[i][0]), rows[i][1]);
    }
    sni_free(site.table);
}

/* R10 */
static void upper_case_and_a_trailing_dot_change_nothing(void **state) {
    (void)state;
    struct site site;
    site_open(&site);
    static const char *const rows[][2] = {
        { "WWW.EXAMPLE.COM", "web" },  { "wWw.eXample.cOm", "web" },
        { "www.example.com.", "web" }, { "API.Example.COM.", "api" },
        { "ANY.example.com.", "web" }, { "A.SUB.EXAMPLE.COM", "api" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_string_equal(find(&site, rows[i][0]), rows[i][1]);
    }
    sni_free(site.table);
}

/* R10: only A to Z have a lower case, and only one dot is dropped. */
static void normalising_is_ascii_s(void **state) {
    (void)state;
    static const struct {
        const char *sent;
        const char *expected;
    } rows[] = {
        { "", "" },
        { "A", "a" },
        { "AZaz09-_@[`{", "azaz09-_@[`{" },
        { "\xc3\x84.example", "\xc3\x84.example" },
        { "a.", "a" },
        { "a..", "a." },
        { ".", "." },
        { "..", "." },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint8_t out[64];
        size_t len = sni_normalise(bytes_of(rows[i].sent), out);
        assert_int_equal(len, strlen(rows[i].expected));
        assert_memory_equal(out, rows[i].expected, len);
        /* Once more changes nothing but a further dot. */
        size_t again = sni_normalise((struct bytes){ out, len }, out);
        assert_true(again == len || rows[i].expected[len - 1] == '.');
    }
}

static void names_of_every_length_are_taken(void **state) {
    (void)state;
    struct site site;
    site_open(&site);
    for (size_t len = 0; len <= 600; len++) {
        uint8_t name[600];
        memset(name, 'a', sizeof(name));
        if (len > 12) {
            memcpy(name + len - 12, ".example.com", 12);
        }
        const struct config_profile *found = sni_find(site.table, (struct bytes){ name, len });
        assert_ptr_equal(found, len > 12 && len <= 255 ? &site.profiles[0] : NULL);
    }
    sni_free(site.table);
}

static void the_default_takes_what_is_unknown(void **state) {
    (void)state;
    struct site site = { 0 };
    site_add(&site, "web", web_names);
    site_add(&site, "other", other_names);
    site.vserver.default_profile = &site.profiles[1];
    site_start(&site);
    static const char *const rows[][2] = {
        { "", "other" },
        { "unknown.test", "other" },
        { "a.b.example.com", "other" },
        { "*.example.com", "other" },
        { "www.example.com", "web" },
        { "any.example.com", "web" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        assert_string_equal(find(&site, rows[i][0]), rows[i][1]);
    }
    sni_free(site.table);
}

static void a_profile_without_names_serves_by_default_only(void **state) {
    (void)state;
    static const char *const none[] = { NULL };
    struct site site = { 0 };
    site_add(&site, "bare", none);
    site_start(&site);
    assert_string_equal(find(&site, "www.example.com"), "-");
    assert_string_equal(find(&site, ""), "-");
    sni_free(site.table);
    site.vserver.default_profile = &site.profiles[0];
    site_start(&site);
    assert_string_equal(find(&site, "www.example.com"), "bare");
    assert_string_equal(find(&site, ""), "bare");
    sni_free(site.table);
    sni_free(NULL);
}

/* Half of them wildcards, each found, and what is close to them not. */
static void ten_thousand_names(void **state) {
    (void)state;
    enum { NAMES = 10000, PROFILES = 10 };
    struct config_profile profiles[PROFILES] = { 0 };
    const struct config_profile *order[PROFILES];
    char **names = calloc(NAMES, sizeof(*names));
    assert_non_null(names);
    for (unsigned i = 0; i < NAMES; i++) {
        assert_true(asprintf(&names[i], i % 2 ? "*.host%u.example.com" : "host%u.example.com", i) >
                    0);
    }
    for (unsigned p = 0; p < PROFILES; p++) {
        profiles[p].server_names =
            (struct config_strings){ names + p * (NAMES / PROFILES), NAMES / PROFILES };
        order[p] = &profiles[p];
    }
    struct config_vserver vserver = { .profiles = order, .profile_count = PROFILES };
    struct sni_table *table = sni_new(&vserver);
    assert_non_null(table);
    for (unsigned i = 0; i < NAMES; i++) {
        const struct config_profile *mine = &profiles[i / (NAMES / PROFILES)];
        char name[64];
        snprintf(name, sizeof(name), "host%u.example.com", i);
        assert_ptr_equal(sni_find(table, bytes_of(name)), i % 2 ? NULL : mine);
        snprintf(name, sizeof(name), "x.host%u.example.com", i);
        assert_ptr_equal(sni_find(table, bytes_of(name)), i % 2 ? mine : NULL);
        snprintf(name, sizeof(name), "host%u.example.org", i);
        assert_null(sni_find(table, bytes_of(name)));
    }
    sni_free(table);
    for (unsigned i = 0; i < NAMES; i++) {
        free(names[i]);
    }
    free(names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_default_what_is_unknown_is_refused),
        cmocka_unit_test(a_name_with_a_null_byte_is_another_name),
        cmocka_unit_test(exact_goes_before_wildcard),
        cmocka_unit_test(upper_case_and_a_trailing_dot_change_nothing),
        cmocka_unit_test(normalising_is_ascii_s),
        cmocka_unit_test(names_of_every_length_are_taken),
        cmocka_unit_test(the_default_takes_what_is_unknown),
        cmocka_unit_test(a_profile_without_names_serves_by_default_only),
        cmocka_unit_test(ten_thousand_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
