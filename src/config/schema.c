/* schema.c: see schema.h. The only file that includes libcyaml. */
#include "config/schema.h"

#include <cyaml/cyaml.h>
#include <string.h>

#include "config/config.h"
#include "config/limits.h"

#define WORDS(name, ...) static const struct config_word name[] = { __VA_ARGS__, { NULL, 0 } }

WORDS(WORDS_AUTO, { "auto", 0 });
WORDS(WORDS_NONE, { "none", 0 });
WORDS(WORDS_AUTO_NONE, { "auto", SOCKET_AUTO }, { "none", SOCKET_NONE });
WORDS(WORDS_STDERR, { "stderr", 0 });
WORDS(WORDS_LOG_FORMAT, { "logfmt", LOG_FORMAT_LOGFMT }, { "json", LOG_FORMAT_JSON });
WORDS(WORDS_PROTOCOL, { "tls1.2", CONFIG_TLS12 }, { "tls1.3", CONFIG_TLS13 });
WORDS(WORDS_GROUP, { "X25519MLKEM768", 0 }, { "SecP256r1MLKEM768", 0 }, { "SecP384r1MLKEM1024", 0 },
      { "X25519", 0 }, { "P-256", 0 }, { "P-384", 0 }, { "P-521", 0 });
WORDS(WORDS_CLIENT_AUTH, { "none", CLIENT_AUTH_NONE }, { "request", CLIENT_AUTH_REQUEST },
      { "require", CLIENT_AUTH_REQUIRE });
WORDS(WORDS_AUTHENTICATE, { "once", AUTHENTICATE_ONCE }, { "always", AUTHENTICATE_ALWAYS });
WORDS(WORDS_RENEGOTIATION, { "require", SECURE_RENEG_REQUIRE },
      { "require-strict", SECURE_RENEG_REQUIRE_STRICT });
WORDS(WORDS_TICKET_KEY_FORMAT, { "nginx", TICKET_KEYS_NGINX }, { "haproxy", TICKET_KEYS_HAPROXY });
WORDS(WORDS_BALANCE, { "round-robin", BALANCE_ROUND_ROBIN },
      { "least-connections", BALANCE_LEAST_CONNECTIONS });
WORDS(WORDS_PROXY_PROTOCOL, { "none", PROXY_PROTOCOL_NONE }, { "v2", PROXY_PROTOCOL_V2 });
WORDS(WORDS_HEALTH, { "none", HEALTH_NONE }, { "tcp", HEALTH_TCP });

/* The raw structures: one text, list or section for each row. Those of sections that
 * others contain come first. */
#define RAW_SCALAR(field) char *field;
#define RAW_LIST(field) \
    char **field;       \
    uint32_t field##_count;
#define RAW_GROUP(field) struct raw_##field *field;
#define RAW_TABLE(field)       \
    struct raw_##field *field; \
    uint32_t field##_count;
#define RAW(shape, name, field, ...) RAW_##shape(field)

struct raw_log {
#define LOG RAW
#include "config/directive.def"
};
struct raw_ticket_keys {
#define TICKET_KEYS RAW
#include "config/directive.def"
};
struct raw_certificates {
#define CERTIFICATE RAW
#include "config/directive.def"
};
struct raw_profiles {
#define PROFILE RAW
#include "config/directive.def"
};
struct raw_pools {
#define POOL RAW
#include "config/directive.def"
};
struct raw_vservers {
#define VSERVER RAW
#include "config/directive.def"
};
struct raw_main {
#define MAIN RAW
#include "config/directive.def"
};

/* libcyaml's description of the raw structures. Everything is optional to it:
 * convert.c says what is missing, in our words and with the section's line. */
#define FLAGS (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define FIELD_SCALAR(raw, name, field) \
    CYAML_FIELD_STRING_PTR(name, FLAGS, raw, field, 0, CYAML_UNLIMITED),
#define FIELD_LIST(raw, name, field)                                                   \
    CYAML_FIELD_SEQUENCE_COUNT(name, FLAGS, raw, field, field##_count, &value_text, 0, \
                               CYAML_UNLIMITED),
#define FIELD_GROUP(raw, name, field) \
    CYAML_FIELD_MAPPING_PTR(name, FLAGS, raw, field, field##_fields),
#define FIELD_TABLE(raw, name, field)                                                     \
    CYAML_FIELD_SEQUENCE_COUNT(name, FLAGS, raw, field, field##_count, &value_##field, 0, \
                               CYAML_UNLIMITED),
#define VALUE_OF(field)                                                              \
    static const cyaml_schema_value_t value_##field = {                              \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_##field, field##_fields), \
    }

static const cyaml_schema_value_t value_text = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};
static const cyaml_schema_field_t log_fields[] = {
#define LOG(shape, name, field, ...) FIELD_##shape(struct raw_log, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
static const cyaml_schema_field_t ticket_keys_fields[] = {
#define TICKET_KEYS(shape, name, field, ...) FIELD_##shape(struct raw_ticket_keys, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
static const cyaml_schema_field_t certificates_fields[] = {
#define CERTIFICATE(shape, name, field, ...) FIELD_##shape(struct raw_certificates, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
VALUE_OF(certificates);
static const cyaml_schema_field_t profiles_fields[] = {
#define PROFILE(shape, name, field, ...) FIELD_##shape(struct raw_profiles, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
VALUE_OF(profiles);
static const cyaml_schema_field_t pools_fields[] = {
#define POOL(shape, name, field, ...) FIELD_##shape(struct raw_pools, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
VALUE_OF(pools);
static const cyaml_schema_field_t vservers_fields[] = {
#define VSERVER(shape, name, field, ...) FIELD_##shape(struct raw_vservers, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
VALUE_OF(vservers);
static const cyaml_schema_field_t main_fields[] = {
#define MAIN(shape, name, field, ...) FIELD_##shape(struct raw_main, name, field)
#include "config/directive.def"
    CYAML_FIELD_END
};
static const cyaml_schema_value_t value_main = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_main, main_fields),
};

/* The rows. Fields of groups and tables are told by `opens`, whose section has
 * the same field name. */
enum {
#define SECTION_OF(id, name, field, ...) OPENED_BY_##field = SECTION_##id,
#include "config/directive.def"
};

const char schema_required[] = "";

#define NONE NULL
#define REQUIRED schema_required
#define OFFSET_SCALAR(object, field) .offset = offsetof(object, field)
#define OFFSET_LIST(object, field) .offset = offsetof(object, field)
#define OFFSET_GROUP(object, field) .opens = (enum section_id)OPENED_BY_##field
#define OFFSET_TABLE(object, field) .opens = (enum section_id)OPENED_BY_##field
#define COUNT_SCALAR(raw, field) 0
#define COUNT_GROUP(raw, field) 0
#define COUNT_LIST(raw, field) offsetof(raw, field##_count)
#define COUNT_TABLE(raw, field) offsetof(raw, field##_count)
#define ROW(id, object, raw, shape_, name_, field, type_, def, min_, max_, unit_, words_, bigip_, \
            text_)                                                                                \
    { .section = SECTION_##id,                                                                    \
      .shape = SHAPE_##shape_,                                                                    \
      .type = TYPE_##type_,                                                                       \
      .name = (name_),                                                                            \
      .fallback = (def),                                                                          \
      .min = (min_),                                                                              \
      .max = (max_),                                                                              \
      .unit = (unit_),                                                                            \
      .words = (words_),                                                                          \
      .bigip = (bigip_),                                                                          \
      .text = (text_),                                                                            \
      OFFSET_##shape_(object, field),                                                             \
      .raw_offset = offsetof(raw, field),                                                         \
      .raw_count_offset = COUNT_##shape_(raw, field) },

static const struct directive main_directives[] = {
#define MAIN(...) ROW(MAIN, struct config, struct raw_main, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive log_directives[] = {
#define LOG(...) ROW(LOG, struct config, struct raw_log, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive ticket_keys_directives[] = {
#define TICKET_KEYS(...) ROW(TICKET_KEYS, struct config, struct raw_ticket_keys, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive certificates_directives[] = {
#define CERTIFICATE(...) \
    ROW(CERTIFICATE, struct config_certificate, struct raw_certificates, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive profiles_directives[] = {
#define PROFILE(...) ROW(PROFILE, struct config_profile, struct raw_profiles, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive pools_directives[] = {
#define POOL(...) ROW(POOL, struct config_pool, struct raw_pools, __VA_ARGS__)
#include "config/directive.def"
};
static const struct directive vservers_directives[] = {
#define VSERVER(...) ROW(VSERVER, struct config_vserver, struct raw_vservers, __VA_ARGS__)
#include "config/directive.def"
};

/* A row whose type is not its field's would write over what lies beside it. */
#define FIELD_TYPE_SWITCH bool
#define FIELD_TYPE_NUMBER uint32_t
#define FIELD_TYPE_SECONDS uint32_t
#define FIELD_TYPE_MILLISECONDS uint32_t
#define FIELD_TYPE_WORD unsigned
#define FIELD_TYPE_NAME char *
#define FIELD_TYPE_TEXT char *
#define FIELD_TYPE_FILE char *
#define FIELD_TYPE_SOCKET char *
#define FIELD_TYPE_SERVER_NAMES struct config_strings
#define FIELD_TYPE_TEXTS struct config_strings
#define FIELD_TYPE_FILES struct config_strings
#define FIELD_TYPE_PROTOCOLS unsigned
#define FIELD_TYPE_KEY_GROUPS char *
#define FIELD_TYPE_LISTEN struct config_address *
#define FIELD_TYPE_MEMBERS struct config_member *
#define FIELD_TYPE_PROFILES const struct config_profile **
#define FIELD_TYPE_POOL_NAME const struct config_pool *
#define CHECK_VALUE(object, type, field)                                               \
    _Static_assert(_Generic(((object *)0)->field, FIELD_TYPE_##type : 1, default : 0), \
                   "directive.def: the type of " #field);
#define CHECK_SCALAR CHECK_VALUE
#define CHECK_LIST CHECK_VALUE
#define CHECK_GROUP(object, type, field)
#define CHECK_TABLE(object, type, field)
#define MAIN(shape, name, field, type, ...) CHECK_##shape(struct config, type, field)
#define LOG MAIN
#define TICKET_KEYS MAIN
#define PROFILE(shape, name, field, type, ...) CHECK_##shape(struct config_profile, type, field)
#define CERTIFICATE(shape, name, field, type, ...) \
    CHECK_##shape(struct config_certificate, type, field)
#define POOL(shape, name, field, type, ...) CHECK_##shape(struct config_pool, type, field)
#define VSERVER(shape, name, field, type, ...) CHECK_##shape(struct config_vserver, type, field)
#include "config/directive.def"

static const struct section sections[SECTION_COUNT] = {
#define SECTION_OF(id, name_, field, object, text_)            \
    [SECTION_##id] = { .name = (name_),                        \
                       .text = (text_),                        \
                       .object_size = sizeof(object),          \
                       .raw_size = sizeof(struct raw_##field), \
                       .directives = field##_directives,       \
                       .directive_count = CYAML_ARRAY_LEN(field##_directives) },
#include "config/directive.def"
};

const struct section *schema_section(enum section_id id) {
    return &sections[id];
}

const struct directive *schema_find(const struct section *section, const char *name) {
    for (size_t i = 0; i < section->directive_count; i++) {
        if (strcmp(section->directives[i].name, name) == 0) {
            return &section->directives[i];
        }
    }
    return NULL;
}

/* It keeps silent: the outline's check has said what there was to say. */
static const cyaml_config_t cyaml = {
    .mem_fn = cyaml_mem,
    .flags = CYAML_CFG_NO_ALIAS,
};

void *schema_load(const char *text, size_t len, struct err *err) {
    cyaml_data_t *raw = NULL;
    cyaml_err_t rc = cyaml_load_data((const uint8_t *)text, len, &cyaml, &value_main, &raw, NULL);
    if (rc != CYAML_OK || !raw) {
        err_set(err, "libcyaml: %s", cyaml_strerror(rc));
        schema_free(raw);
        return NULL;
    }
    return raw;
}

void schema_free(void *raw) {
    cyaml_free(&cyaml, &value_main, raw, 0);
}

static uint32_t raw_count(const struct directive *directive, const void *raw) {
    uint32_t count;
    memcpy(&count, (const char *)raw + directive->raw_count_offset, sizeof(count));
    return count;
}

struct raw_texts schema_texts(const struct directive *directive, const void *raw) {
    const char *at = (const char *)raw + directive->raw_offset;
    if (directive->shape == SHAPE_LIST) {
        char **list;
        memcpy(&list, at, sizeof(list));
        return (struct raw_texts){ list, list ? raw_count(directive, raw) : 0 };
    }
    char *const *scalar = (char *const *)(const void *)at;
    return (struct raw_texts){ scalar, *scalar ? 1 : 0 };
}

struct raw_sections schema_sections(const struct directive *directive, const void *raw) {
    struct raw_sections found = { .size = sections[directive->opens].raw_size };
    memcpy(&found.base, (const char *)raw + directive->raw_offset, sizeof(found.base));
    if (found.base) {
        found.count = directive->shape == SHAPE_TABLE ? raw_count(directive, raw) : 1;
    }
    return found;
}
