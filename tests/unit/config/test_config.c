/* test_config.c: config_load, config_parse and config_print: what a right file becomes. What is
 * refused is in test_config_errors.c. */
#include "config/config.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/limits.h"

static const char smallest[] = "client-ssl-profiles:\n"
                               "  - name: web\n"
                               "    default: on\n"
                               "    certificates:\n"
                               "      - chain: web.pem\n"
                               "        key: web.key\n"
                               "pools:\n"
                               "  - name: app\n"
                               "    members: [\"127.0.0.1:8080\"]\n"
                               "virtual-servers:\n"
                               "  - name: https\n"
                               "    listen: [\"127.0.0.1:8443\"]\n"
                               "    profiles: [web]\n"
                               "    pool: app\n";

/* Every directive, none at its default. */
static const char everything[] =
    "workers: 3\n"
    "user: nobody\n"
    "control-socket: run/control.sock\n"
    "drain-timeout: 1500ms\n"
    "max-connections: 77\n"
    "log:\n"
    "  format: json\n"
    "  file: log/reprise.log\n"
    "  rate: 0\n"
    "key-log: keys.log\n"
    "ticket-keys: {encrypt-for: 2m, files: [t.keys], format: haproxy,\n"
    "  decrypt-for: 6d}\n"
    "client-ssl-profiles:\n"
    "  - name: web\n"
    "    server-names: [WWW.example.com., '*.Example.com']\n"
    "    default: yes\n"
    "    certificates:\n"
    "      - chain: /abs/rsa.pem\n"
    "        key: rsa.key\n"
    "      - chain: ../ecdsa.pem\n"
    "        key: ecdsa.key\n"
    "    protocols: [tls1.3]\n"
    "    ciphers: ECDHE-RSA-AES128-GCM-SHA256\n"
    "    groups: [P-256, SecP256r1MLKEM768]\n"
    "    alpn: [http/1.1, h2]\n"
    "    client-certificate: require\n"
    "    client-ca: ca.pem\n"
    "    client-crl: crl.pem\n"
    "    session-cache: off\n"
    "    cache-size: 4194304\n"
    "    cache-timeout: 24h\n"
    "    session-tickets: on\n"
    "    ticket-timeout: 6d\n"
    "    max-lineage: 1s\n"
    "    handshake-timeout: 250ms\n"
    "    idle-timeout: 1d\n"
    "    strict-resume: true\n"
    "    secure-renegotiation: require-strict\n"
    "  - name: other\n"
    "    server-names: [other.example.com]\n"
    "    certificates: [{chain: o.pem, key: o.key}]\n"
    "pools:\n"
    "  - name: demo\n"
    "    demonstration: on\n"
    "  - name: app\n"
    "    members:\n"
    "      - 127.0.0.1:8080\n"
    "      - '[::1]:8081'\n"
    "    balance: least-connections\n"
    "    connect-timeout: 100ms\n"
    "    connect-retries: 0\n"
    "    proxy-protocol: v2\n"
    "    health-check: tcp\n"
    "    health-interval: 20\n"
    "    health-fall: 4\n"
    "    health-rise: 5\n"
    "virtual-servers:\n"
    "  - name: https\n"
    "    listen: ['127.0.0.1:8443', '[::1]:8443', '127.0.0.1:0']\n"
    "    profiles: [other, web]\n"
    "    pool: app\n"
    "  - name: second\n"
    "    listen: ['127.0.0.1:0']\n"
    "    profiles: [other]\n"
    "    pool: demo\n";

static struct config *parse(const char *name, const char *text) {
    struct err err = { 0 };
    struct config *config = config_parse(name, text, strlen(text), &err);
    assert_string_equal(err.text, "");
    assert_non_null(config);
    return config;
}

static void defaults_of_the_service(void **state) {
    (void)state;
    unsetenv("XDG_RUNTIME_DIR");
    struct config *config = parse("t.conf", smallest);
    assert_string_equal(config->file, "t.conf");
    assert_null(config->user);
    assert_int_equal(config->drain_timeout_ms, 30000);
    assert_int_equal(config->max_connections, 100000);
    assert_int_equal(config->log_format, LOG_FORMAT_LOGFMT);
    assert_null(config->log_file);
    assert_int_equal(config->log_rate, 1000);
    assert_null(config->key_log_file);
    assert_int_equal(config->ticket_key_encrypt_s, 3600);
    assert_int_equal(config->ticket_key_decrypt_s, 3600);
    config_free(config);
}

static void default_of_workers_is_the_cores(void **state) {
    (void)state;
    cpu_set_t cores;
    assert_int_equal(sched_getaffinity(0, sizeof(cores), &cores), 0);
    struct config *config = parse("t.conf", smallest);
    assert_int_equal(config->workers, CPU_COUNT(&cores));
    config_free(config);
}

/* BIG-IP's, where they make sense today. */
static void defaults_of_a_profile(void **state) {
    (void)state;
    struct config *config = parse("t.conf", smallest);
    const struct config_profile *profile = &config->profiles[0];
    assert_int_equal(config->profile_count, 1);
    assert_int_equal(profile->line, 2);
    assert_int_equal(profile->server_names.count, 0);
    assert_int_equal(profile->protocols, CONFIG_TLS12 | CONFIG_TLS13);
    assert_string_equal(profile->ciphers,
                        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
    assert_string_equal(profile->groups, "X25519MLKEM768:X25519:P-256:P-384");
    assert_int_equal(profile->alpn.count, 0);
    assert_int_equal(profile->client_auth, CLIENT_AUTH_NONE);
    assert_null(profile->client_ca_file);
    assert_null(profile->client_crl_file);
    assert_true(profile->session_cache);
    assert_int_equal(profile->cache_size, 262144);
    assert_int_equal(profile->cache_timeout_s, 3600);
    assert_false(profile->session_tickets);
    assert_int_equal(profile->ticket_timeout_s, 3600);
    assert_int_equal(profile->max_lineage_s, 86400);
    assert_false(profile->strict_resume);
    assert_int_equal(profile->secure_renegotiation, SECURE_RENEG_REQUIRE);
    assert_int_equal(profile->handshake_timeout_ms, 10000);
    assert_int_equal(profile->idle_timeout_ms, 300000);
    config_free(config);
}

static void defaults_of_a_pool(void **state) {
    (void)state;
    struct config *config = parse("t.conf", smallest);
    const struct config_pool *pool = &config->pools[0];
    assert_false(pool->demonstration);
    assert_int_equal(pool->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(pool->connect_timeout_ms, 5000);
    assert_int_equal(pool->connect_retries, 2);
    assert_int_equal(pool->proxy_protocol, PROXY_PROTOCOL_NONE);
    assert_int_equal(pool->health_check, HEALTH_NONE);
    assert_int_equal(pool->health_interval_ms, 5000);
    assert_int_equal(pool->health_fall, 3);
    assert_int_equal(pool->health_rise, 2);
    config_free(config);
}

static void everything_of_the_service(void **state) {
    (void)state;
    struct config *config = parse("/etc/reprise/t.conf", everything);
    assert_int_equal(config->workers, 3);
    assert_string_equal(config->user, "nobody");
    assert_string_equal(config->control_socket, "/etc/reprise/run/control.sock");
    assert_int_equal(config->drain_timeout_ms, 1500);
    assert_int_equal(config->max_connections, 77);
    assert_int_equal(config->log_format, LOG_FORMAT_JSON);
    assert_string_equal(config->log_file, "/etc/reprise/log/reprise.log");
    assert_int_equal(config->log_rate, 0);
    assert_string_equal(config->key_log_file, "/etc/reprise/keys.log");
    assert_int_equal(config->ticket_key_encrypt_s, 120);
    assert_int_equal(config->ticket_key_decrypt_s, 518400);
    assert_int_equal(config->ticket_key_files.count, 1);
    assert_string_equal(config->ticket_key_files.at[0], "/etc/reprise/t.keys");
    assert_int_equal(config->ticket_key_format, TICKET_KEYS_HAPROXY);
    assert_int_equal(config->ticket_key_files_line, 11);
    config_free(config);
}

static void everything_of_a_profile(void **state) {
    (void)state;
    struct config *config = parse("/etc/reprise/t.conf", everything);
    assert_int_equal(config->profile_count, 2);
    const struct config_profile *profile = config_find_profile(config, "web");
    assert_ptr_equal(profile, &config->profiles[0]);
    assert_int_equal(profile->line, 14);
    assert_int_equal(profile->server_names.count, 2);
    assert_string_equal(profile->server_names.at[0], "www.example.com");
    assert_string_equal(profile->server_names.at[1], "*.example.com");
    assert_true(profile->is_default);
    assert_int_equal(profile->protocols, CONFIG_TLS13);
    assert_string_equal(profile->ciphers, "ECDHE-RSA-AES128-GCM-SHA256");
    assert_string_equal(profile->groups, "P-256:SecP256r1MLKEM768");
    assert_int_equal(profile->alpn.count, 2);
    assert_string_equal(profile->alpn.at[0], "http/1.1");
    assert_string_equal(profile->alpn.at[1], "h2");
    assert_int_equal(profile->client_auth, CLIENT_AUTH_REQUIRE);
    assert_string_equal(profile->client_ca_file, "/etc/reprise/ca.pem");
    assert_string_equal(profile->client_crl_file, "/etc/reprise/crl.pem");
    assert_false(profile->session_cache);
    assert_int_equal(profile->cache_size, 4194304);
    assert_int_equal(profile->cache_timeout_s, 86400);
    assert_true(profile->session_tickets);
    assert_int_equal(profile->ticket_timeout_s, 518400);
    assert_int_equal(profile->max_lineage_s, 1);
    assert_true(profile->strict_resume);
    assert_int_equal(profile->secure_renegotiation, SECURE_RENEG_REQUIRE_STRICT);
    assert_int_equal(profile->handshake_timeout_ms, 250);
    assert_int_equal(profile->idle_timeout_ms, 86400000);
    config_free(config);
}

static void everything_of_certificates(void **state) {
    (void)state;
    struct config *config = parse("/etc/reprise/t.conf", everything);
    const struct config_profile *profile = &config->profiles[0];
    assert_int_equal(profile->certificate_count, 2);
    assert_string_equal(profile->certificates[0].chain_file, "/abs/rsa.pem");
    assert_string_equal(profile->certificates[0].key_file, "/etc/reprise/rsa.key");
    assert_int_equal(profile->certificates[0].line, 18);
    assert_string_equal(profile->certificates[1].chain_file, "/etc/reprise/../ecdsa.pem");
    assert_int_equal(profile->certificates[1].line, 20);
    config_free(config);
}

static void everything_of_a_pool(void **state) {
    (void)state;
    struct config *config = parse("t.conf", everything);
    const struct config_pool *pool = config_find_pool(config, "app");
    assert_int_equal(config->pool_count, 2);
    assert_ptr_equal(pool, &config->pools[1]);
    assert_int_equal(pool->line, 45);
    assert_int_equal(pool->member_count, 2);
    assert_string_equal(pool->members[0].address.text, "127.0.0.1:8080");
    assert_int_equal(pool->members[0].address.addr.ss_family, AF_INET);
    assert_int_equal(pool->members[0].address.addr_len, sizeof(struct sockaddr_in));
    assert_int_equal(pool->members[0].line, 47);
    assert_string_equal(pool->members[1].address.text, "[::1]:8081");
    assert_int_equal(pool->members[1].address.addr.ss_family, AF_INET6);
    assert_int_equal(pool->balance, BALANCE_LEAST_CONNECTIONS);
    assert_int_equal(pool->connect_timeout_ms, 100);
    assert_int_equal(pool->connect_retries, 0);
    assert_int_equal(pool->proxy_protocol, PROXY_PROTOCOL_V2);
    assert_int_equal(pool->health_check, HEALTH_TCP);
    assert_int_equal(pool->health_interval_ms, 20000);
    assert_int_equal(pool->health_fall, 4);
    assert_int_equal(pool->health_rise, 5);
    assert_true(config->pools[0].demonstration);
    assert_int_equal(config->pools[0].member_count, 0);
    config_free(config);
}

/* Port 0 stands twice, which is right: each gets a port of its own. */
static void everything_of_a_virtual_server(void **state) {
    (void)state;
    struct config *config = parse("t.conf", everything);
    const struct config_vserver *vserver = &config->vservers[0];
    assert_int_equal(config->vserver_count, 2);
    assert_string_equal(vserver->name, "https");
    assert_int_equal(vserver->line, 58);
    assert_int_equal(vserver->listen_count, 3);
    assert_string_equal(vserver->listen[1].text, "[::1]:8443");
    assert_int_equal(vserver->profile_count, 2);
    assert_ptr_equal(vserver->profiles[0], &config->profiles[1]);
    assert_ptr_equal(vserver->profiles[1], &config->profiles[0]);
    assert_ptr_equal(vserver->default_profile, &config->profiles[0]);
    assert_ptr_equal(vserver->pool, &config->pools[1]);
    assert_null(config->vservers[1].default_profile);
    assert_ptr_equal(config->vservers[1].pool, &config->pools[0]);
    config_free(config);
}

static void finding_knows_no_stranger(void **state) {
    (void)state;
    struct config *config = parse("t.conf", smallest);
    assert_null(config_find_profile(config, "app"));
    assert_null(config_find_pool(config, "web"));
    config_free(config);
}

static void cache_of_no_size_is_no_cache(void **state) {
    (void)state;
    char text[sizeof(smallest) + 64];
    const char *rest = strstr(smallest, "    default: on");
    snprintf(text, sizeof(text), "%.*s    cache-size: 0\n%s", (int)(rest - smallest), smallest,
             rest);
    struct config *config = parse("t.conf", text);
    assert_false(config->profiles[0].session_cache);
    config_free(config);
}

static void words_stand_for_no_file(void **state) {
    (void)state;
    char text[sizeof(smallest) + 128];
    snprintf(text, sizeof(text),
             "key-log: none\nlog: {file: stderr}\ncontrol-socket: none\nworkers: auto\n%s",
             smallest);
    struct config *config = parse("/etc/t.conf", text);
    assert_null(config->key_log_file);
    assert_null(config->log_file);
    assert_null(config->control_socket);
    assert_true(config->workers > 0);
    config_free(config);
}

static void file_without_a_folder_keeps_names(void **state) {
    (void)state;
    struct config *config = parse("t.conf", smallest);
    assert_string_equal(config->profiles[0].certificates[0].chain_file, "web.pem");
    config_free(config);
    config = parse("/t.conf", smallest);
    assert_string_equal(config->profiles[0].certificates[0].chain_file, "/web.pem");
    config_free(config);
}

static void default_control_socket_is_the_user_s(void **state) {
    (void)state;
    char path[64];
    if (geteuid() == 0) {
        assert_int_equal(config_default_control_socket(path, sizeof(path)), 0);
        assert_string_equal(path, "/run/reprise/control.sock");
        assert_int_equal(config_default_control_socket(path, 10), -1);
        return;
    }
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_int_equal(config_default_control_socket(path, sizeof(path)), 0);
    assert_string_equal(path, "/run/user/7/reprise/control.sock");
    assert_int_equal(config_default_control_socket(path, 10), -1);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_int_equal(config_default_control_socket(path, sizeof(path)), -1);
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(config_default_control_socket(path, sizeof(path)), -1);
}

/* --- bounds of the whole file --- */

static void refuses(const char *text, size_t len, const char *error) {
    struct err err = { 0 };
    assert_null(config_parse("t.conf", text, len, &err));
    assert_string_equal(err.text, error);
}

static void file_of_more_than_the_bound_is_refused(void **state) {
    (void)state;
    size_t len = CONFIG_FILE_MAX + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, ' ', len);
    refuses(text, len, "t.conf:1: the file is too large, expected at most 16777216 bytes");
    free(text);
}

static void value_of_more_than_the_bound_is_refused(void **state) {
    (void)state;
    char text[CONFIG_SCALAR_MAX + 16];
    int n = snprintf(text, sizeof(text), "\nuser: %0*d\n", (int)CONFIG_SCALAR_MAX + 1, 0);
    refuses(text, (size_t)n, "t.conf:2: a value is too long, expected at most 8192 bytes");
}

static void more_values_than_the_bound_are_refused(void **state) {
    (void)state;
    size_t len = 2 * (size_t)CONFIG_NODES_MAX + 8;
    char *text = malloc(len);
    assert_non_null(text);
    memcpy(text, "pools: [", 8);
    for (size_t i = 8; i < len; i += 2) {
        memcpy(text + i, "a,", 2);
    }
    refuses(text, len, "t.conf:1: the file holds too much, expected at most 1000000 values");
    free(text);
}

static void text_without_its_end_is_read_to_its_length(void **state) {
    (void)state;
    size_t len = strlen(smallest);
    char *text = malloc(len); /* no NUL: ASan tells if it is missed */
    assert_non_null(text);
    memcpy(text, smallest, len);
    struct err err = { 0 };
    struct config *config = config_parse("t.conf", text, len, &err);
    assert_non_null(config);
    config_free(config);
    free(text);
}

static void an_absent_err_is_allowed(void **state) {
    (void)state;
    assert_null(config_parse("t.conf", "workers: many", 13, NULL));
    assert_null(config_load("/nonexistent/t.conf", NULL));
}

static void freeing_nothing_is_allowed(void **state) {
    (void)state;
    config_free(NULL);
}

/* --- files --- */

static void load_says_what_is_wrong_with_the_file(void **state) {
    (void)state;
    struct err err = { 0 };
    assert_null(config_load("/nonexistent/t.conf", &err));
    assert_string_equal(err.text, "/nonexistent/t.conf: cannot open the configuration: No such "
                                  "file or directory");
    err_clear(&err);
    assert_null(config_load("/", &err));
    assert_string_equal(err.text, "/: cannot read the configuration: Is a directory");
}

static void load_reads_relative_to_the_folder(void **state) {
    (void)state;
    char folder[] = "/tmp/reprise-test-XXXXXX";
    char file[64];
    char chain[64];
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/t.conf", folder);
    snprintf(chain, sizeof(chain), "%s/web.pem", folder);
    FILE *stream = fopen(file, "we");
    assert_non_null(stream);
    fputs(smallest, stream);
    fclose(stream);
    struct err err = { 0 };
    struct config *config = config_load(file, &err);
    unlink(file);
    rmdir(folder);
    assert_non_null(config);
    assert_string_equal(config->profiles[0].certificates[0].chain_file, chain);
    config_free(config);
}

/* --- printing --- */

static char *print(const struct config *config) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    assert_non_null(stream);
    assert_int_equal(config_print(config, stream), 0);
    fclose(stream);
    return text;
}

/* What is printed loads, and prints as the same. */
static void check_round_trip(const char *source) {
    struct config *config = parse("t.conf", source);
    char *first = print(config);
    config_free(config);
    config = parse("t.conf", first);
    char *second = print(config);
    config_free(config);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void printed_configurations_load(void **state) {
    (void)state;
    check_round_trip(smallest);
    check_round_trip(everything);
}

static void printed_texts_are_quoted(void **state) {
    (void)state;
    char text[sizeof(smallest) + 64];
    snprintf(text, sizeof(text), "key-log: \"a \\\"b\\\\ [*] # \xc3\xbc\"\n%s", smallest);
    check_round_trip(text);
    struct config *config = parse("t.conf", text);
    assert_string_equal(config->key_log_file, "a \"b\\ [*] # \xc3\xbc");
    char *printed = print(config);
    assert_non_null(strstr(printed, "key-log: \"a \\\"b\\\\ [*] # \xc3\xbc\"\n"));
    free(printed);
    config_free(config);
}

static void printing_shows_all_that_is_set(void **state) {
    (void)state;
    static const char *const lines[] = {
        "workers: 3\n",
        "user: nobody\n",
        "control-socket: \"run/control.sock\"\n",
        "drain-timeout: 1500ms\n",
        "  format: json\n",
        "  rate: 0\n",
        "  encrypt-for: 2m\n",
        "  files: [t.keys]\n",
        "  format: haproxy\n",
        "  decrypt-for: 6d\n",
        "    server-names: [www.example.com, \"*.example.com\"]\n",
        "    default: on\n",
        "      - chain: /abs/rsa.pem\n        key: rsa.key\n",
        "    protocols: [tls1.3]\n",
        "    groups: [P-256, SecP256r1MLKEM768]\n",
        "    alpn: [\"http/1.1\", h2]\n",
        "    client-certificate: require\n",
        "    client-crl: crl.pem\n",
        "    session-cache: off\n",
        "    ticket-timeout: 6d\n",
        "    secure-renegotiation: require-strict\n",
        "    members: [\"127.0.0.1:8080\", \"[::1]:8081\"]\n",
        "    balance: least-connections\n",
        "    health-interval: 20s\n",
        "    profiles: [other, web]\n",
        "    pool: app\n",
    };
    struct config *config = parse("t.conf", everything);
    char *printed = print(config);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (!strstr(printed, lines[i])) {
            fail_msg("not printed: %s", lines[i]);
        }
    }
    free(printed);
    config_free(config);
}

/* The longest ticket-timeout of all profiles, session-tickets or not: a tick box may change
 * while the keys live. */
static void decrypt_for_is_the_longest_ticket_timeout(void **state) {
    (void)state;
    char text[sizeof(smallest) + 256];
    struct config *config = parse("t.conf", smallest);
    assert_int_equal(config->ticket_key_decrypt_s, 3600);
    char *printed = print(config);
    assert_non_null(strstr(printed, "  decrypt-for: 1h\n"));
    free(printed);
    config_free(config);
    static const char *const more[] = { "", "ticket-keys: {decrypt-for: auto}\n" };
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        snprintf(text, sizeof(text),
                 "%sclient-ssl-profiles:\n"
                 "  - {name: b, server-names: [b], ticket-timeout: 2h,\n"
                 "     certificates: [{chain: c.pem, key: c.key}]}\n%s",
                 more[i], strchr(smallest, '\n') + 1);
        config = parse("t.conf", text);
        assert_int_equal(config->ticket_key_decrypt_s, 7200);
        config_free(config);
    }
}

static void a_state_file_is_a_file_with_a_key(void **state) {
    (void)state;
    char text[sizeof(smallest) + 128];
    snprintf(text, sizeof(text), "ticket-keys:\n  state-key: /k\n  state-file: s\n%s", smallest);
    check_round_trip(text);
    struct config *config = parse("/etc/t.conf", text);
    assert_string_equal(config->ticket_key_state_file, "/etc/s");
    assert_string_equal(config->ticket_key_state_key, "/k");
    assert_int_equal(config->ticket_key_state_line, 3);
    config_free(config);
    config = parse("t.conf", smallest);
    assert_null(config->ticket_key_state_file);
    assert_null(config->ticket_key_state_key);
    config_free(config);
}

static void printing_tells_a_full_disk(void **state) {
    (void)state;
    FILE *stream = fopen("/dev/full", "we");
    assert_non_null(stream);
    struct config *config = parse("t.conf", smallest);
    assert_int_equal(config_print(config, stream), -1);
    config_free(config);
    fclose(stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_of_the_service),
        cmocka_unit_test(default_of_workers_is_the_cores),
        cmocka_unit_test(defaults_of_a_profile),
        cmocka_unit_test(defaults_of_a_pool),
        cmocka_unit_test(everything_of_the_service),
        cmocka_unit_test(everything_of_a_profile),
        cmocka_unit_test(everything_of_certificates),
        cmocka_unit_test(everything_of_a_pool),
        cmocka_unit_test(everything_of_a_virtual_server),
        cmocka_unit_test(finding_knows_no_stranger),
        cmocka_unit_test(cache_of_no_size_is_no_cache),
        cmocka_unit_test(words_stand_for_no_file),
        cmocka_unit_test(file_without_a_folder_keeps_names),
        cmocka_unit_test(default_control_socket_is_the_user_s),
        cmocka_unit_test(file_of_more_than_the_bound_is_refused),
        cmocka_unit_test(value_of_more_than_the_bound_is_refused),
        cmocka_unit_test(more_values_than_the_bound_are_refused),
        cmocka_unit_test(text_without_its_end_is_read_to_its_length),
        cmocka_unit_test(an_absent_err_is_allowed),
        cmocka_unit_test(freeing_nothing_is_allowed),
        cmocka_unit_test(load_says_what_is_wrong_with_the_file),
        cmocka_unit_test(load_reads_relative_to_the_folder),
        cmocka_unit_test(printed_configurations_load),
        cmocka_unit_test(printed_texts_are_quoted),
        cmocka_unit_test(printing_shows_all_that_is_set),
        cmocka_unit_test(decrypt_for_is_the_longest_ticket_timeout),
        cmocka_unit_test(a_state_file_is_a_file_with_a_key),
        cmocka_unit_test(printing_tells_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
