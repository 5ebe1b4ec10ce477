/* config.h: the configuration, as one immutable structure.
 *
 * config_load reads a YAML file through libcyaml into this structure: every
 * value checked, every default filled in, every name resolved to a pointer.
 * The directives (name, type, default, bounds, unit, text) stand in
 * config/directive.def, from which parsing, defaults, error texts, `reprise
 * check` and the manual are made. Secrets are not in here: certificates and
 * keys are file names, read by tls/.
 *
 * Errors read `file:line: what is wrong, what was expected`.
 * Runs in the master (and in `reprise check`); workers inherit it over fork and only read it.
 */
#ifndef REPRISE_CONFIG_CONFIG_H
#define REPRISE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"

enum config_log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum config_client_auth { CLIENT_AUTH_NONE, CLIENT_AUTH_REQUEST, CLIENT_AUTH_REQUIRE };
enum config_authenticate { AUTHENTICATE_ONCE, AUTHENTICATE_ALWAYS };
enum config_secure_reneg { SECURE_RENEG_REQUIRE, SECURE_RENEG_REQUIRE_STRICT };
enum config_ticket_key_format { TICKET_KEYS_NGINX, TICKET_KEYS_HAPROXY };
enum config_balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS };
enum config_health { HEALTH_NONE, HEALTH_TCP };
enum config_proxy_protocol { PROXY_PROTOCOL_NONE, PROXY_PROTOCOL_V2 };

#define CONFIG_TLS12 0x1u
#define CONFIG_TLS13 0x2u

/* A list of texts; the texts are owned by the configuration. */
struct config_strings {
    char **at;
    size_t count;
};

struct config_address {
    char *text; /* as written: "127.0.0.1:8443", "[::1]:0" */
    struct sockaddr_storage addr;
    socklen_t addr_len;
};

struct config_certificate {
    char *chain_file; /* PEM: leaf first, then intermediates */
    char *key_file;   /* PEM */
    unsigned line;    /* where it stands in the file, for errors found later */
};

/* A client-SSL profile. */
struct config_profile {
    char *name;
    unsigned line;
    struct config_strings server_names; /* exact, or "*.example.com"; lower case, no trailing dot */
    bool is_default;                    /* takes unknown and absent names (R8) */

    struct config_certificate *certificates; /* RSA and ECDSA side by side */
    size_t certificate_count;
    unsigned protocols;         /* CONFIG_TLS12 | CONFIG_TLS13 */
    char *ciphers;              /* TLS 1.2's, in OpenSSL's form */
    char *groups;               /* "X25519MLKEM768:X25519:P-256:P-384": joined with colons */
    struct config_strings alpn; /* in the server's order of preference; empty: none */

    enum config_client_auth client_auth;
    char *client_ca_file;  /* null unless client_auth is not NONE */
    char *client_crl_file; /* may be null */
    enum config_authenticate authenticate;

    bool session_cache;       /* the tick box of stateful resumption */
    uint32_t cache_size;      /* sessions; 0 is the same as the box unticked */
    uint32_t cache_memory_mb; /* 0: as many as cache_size usual sessions need */
    uint32_t cache_timeout_s;
    bool session_tickets; /* the tick box of stateless resumption */
    uint32_t ticket_timeout_s;
    uint32_t max_lineage_s; /* from the first full handshake, over all renewals (R21) */
    bool single_use_tickets;
    bool strict_resume;
    enum config_secure_reneg secure_renegotiation;

    uint32_t handshake_timeout_ms;
    uint32_t idle_timeout_ms; /* no byte in either direction */
};

struct config_member {
    struct config_address address;
    unsigned line;
};

/* A pool of TCP backends. */
struct config_pool {
    char *name;
    unsigned line;
    bool demonstration; /* the built-in backend stands for the members; then none are listed */
    struct config_member *members;
    size_t member_count;
    enum config_balance balance;
    uint32_t connect_timeout_ms;
    uint32_t connect_retries; /* further members to try after the first */
    enum config_proxy_protocol proxy_protocol;
    enum config_health health_check;
    uint32_t health_interval_ms;
    uint32_t health_fall; /* failures in a row that take a member out */
    uint32_t health_rise; /* successes in a row that bring it back */
};

struct config_vserver {
    char *name;
    unsigned line;
    struct config_address *listen;
    size_t listen_count;
    const struct config_profile **profiles; /* borrowed from config.profiles */
    size_t profile_count;
    const struct config_profile *default_profile; /* one of them, or null */
    const struct config_pool *pool;               /* borrowed from config.pools */
};

struct config {
    char *file;
    uint32_t workers;     /* 0 is resolved to the number of cores on load */
    char *user;           /* to run workers as when started as root; may be null */
    char *control_socket; /* path; null: none */
    uint32_t drain_timeout_ms;
    uint32_t max_connections; /* a worker's */

    enum config_log_format log_format;
    char *log_file;     /* null: standard error */
    uint32_t log_rate;  /* lines a second and worker; 0: no limit */
    char *key_log_file; /* null: none; TLS secrets are written there */

    uint32_t replay_tickets; /* what the replay register has room for */

    uint32_t ticket_key_encrypt_s; /* how long a ticket key seals before the next one does */
    uint32_t ticket_key_decrypt_s; /* how long it opens afterwards; auto is resolved on load */
    struct config_strings ticket_key_files; /* none: the service makes its keys */
    enum config_ticket_key_format ticket_key_format;
    unsigned ticket_key_files_line; /* where they stand in the file, for errors found later */
    char *ticket_key_state_file;    /* null: the keys are not kept over a restart */
    char *ticket_key_state_key;     /* of the same */
    unsigned ticket_key_state_line;

    struct config_profile *profiles;
    size_t profile_count;
    struct config_pool *pools;
    size_t pool_count;
    struct config_vserver *vservers;
    size_t vserver_count;
};

/* Loads and checks `file`. Returns an owned configuration, to be freed with
 * config_free, or null with `err` set to `file:line: ...`. Reads only the file
 * itself, not the files that it names. */
struct config *config_load(const char *file, struct err *err);

/* The same from memory; `name` stands for the file in error texts. */
struct config *config_parse(const char *name, const char *text, size_t len, struct err *err);

void config_free(struct config *config);

/* Finds by name; null when there is none. Borrowed. */
const struct config_profile *config_find_profile(const struct config *config, const char *name);
const struct config_pool *config_find_pool(const struct config *config, const char *name);

/* Writes the effective configuration, defaults filled in, as a file that could be
 * loaded. Returns 0, or -1 when the stream does not take it. */
int config_print(const struct config *config, FILE *stream);

/* Writes the path of the control socket where none is configured: /run/reprise/control.sock
 * for root, $XDG_RUNTIME_DIR/reprise/control.sock for others. Returns 0, or -1 when there is
 * no such place (the variable is not set) or it does not fit. */
int config_default_control_socket(char *buf, size_t cap);

#endif
