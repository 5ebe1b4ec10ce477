/* config.c: see config.h: reading the file, freeing and finding. The steps between
 * the bytes and the structure are outline.h, schema.h and convert.h, in this order. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/convert.h"
#include "config/limits.h"
#include "config/outline.h"
#include "config/schema.h"

/* Reads at most one byte more than a file may have, so that a larger one is noticed. */
static int read_file(const char *file, char **text, size_t *len, struct err *err) {
    FILE *stream = fopen(file, "re");
    if (!stream) {
        return err_set_errno(err, errno, "%s: cannot open the configuration", file);
    }
    size_t cap = CONFIG_FILE_MAX + 1;
    *text = malloc(cap);
    if (!*text) {
        err_set(err, "%s: out of memory", file);
        goto done;
    }
    *len = fread(*text, 1, cap, stream);
    if (ferror(stream)) {
        err_set_errno(err, errno, "%s: cannot read the configuration", file);
        free(*text);
        *text = NULL;
    }
done:
    fclose(stream);
    return *text ? 0 : -1;
}

struct config *config_load(const char *file, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    if (read_file(file, &text, &len, err) != 0) {
        return NULL;
    }
    struct config *config = config_parse(file, text, len, err);
    free(text);
    return config;
}

/* The part of config_parse that needs the outline. */
static struct config *parse_outlined(const char *name, const struct outline *outline,
                                     const char *text, size_t len, struct err *err) {
    if (outline_check(outline, name, err) != 0) {
        return NULL;
    }
    struct err why = { 0 };
    void *raw = schema_load(text, len, &why);
    if (!raw) {
        err_set(err, "%s:1: %s", name, why.text);
        return NULL;
    }
    struct config *config = calloc(1, sizeof(*config));
    if (!config || !(config->file = strdup(name))) {
        err_set(err, "%s:1: out of memory", name);
        goto fail;
    }
    if (convert_main(config, outline, name, raw, err) != 0) {
        goto fail;
    }
    schema_free(raw);
    return config;
fail:
    config_free(config);
    schema_free(raw);
    return NULL;
}

struct config *config_parse(const char *name, const char *text, size_t len, struct err *err) {
    struct outline outline;
    struct config *config = NULL;
    if (outline_init(&outline, name, text, len, err) == 0) {
        config = parse_outlined(name, &outline, text, len, err);
    }
    outline_fini(&outline);
    return config;
}

static void strings_free(struct config_strings *strings) {
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->at[i]);
    }
    free(strings->at);
}

static void profile_free(struct config_profile *profile) {
    for (size_t i = 0; i < profile->certificate_count; i++) {
        free(profile->certificates[i].chain_file);
        free(profile->certificates[i].key_file);
    }
    free(profile->certificates);
    strings_free(&profile->server_names);
    strings_free(&profile->alpn);
    free(profile->name);
    free(profile->ciphers);
    free(profile->groups);
    free(profile->client_ca_file);
    free(profile->client_crl_file);
}

static void pool_free(struct config_pool *pool) {
    for (size_t i = 0; i < pool->member_count; i++) {
        free(pool->members[i].address.text);
    }
    free(pool->members);
    free(pool->name);
}

static void vserver_free(struct config_vserver *vserver) {
    for (size_t i = 0; i < vserver->listen_count; i++) {
        free(vserver->listen[i].text);
    }
    free(vserver->listen);
    free(vserver->profiles);
    free(vserver->name);
}

void config_free(struct config *config) {
    if (!config) {
        return;
    }
    for (size_t i = 0; i < config->vserver_count; i++) {
        vserver_free(&config->vservers[i]);
    }
    for (size_t i = 0; i < config->profile_count; i++) {
        profile_free(&config->profiles[i]);
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        pool_free(&config->pools[i]);
    }
    free(config->vservers);
    free(config->profiles);
    free(config->pools);
    strings_free(&config->ticket_key_files);
    free(config->ticket_key_state_file);
    free(config->ticket_key_state_key);
    free(config->file);
    free(config->user);
    free(config->control_socket);
    free(config->log_file);
    free(config->key_log_file);
    free(config);
}

const struct config_profile *config_find_profile(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->profile_count; i++) {
        if (strcmp(config->profiles[i].name, name) == 0) {
            return &config->profiles[i];
        }
    }
    return NULL;
}

const struct config_pool *config_find_pool(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->pool_count; i++) {
        if (strcmp(config->pools[i].name, name) == 0) {
            return &config->pools[i];
        }
    }
    return NULL;
}

int config_default_control_socket(char *buf, size_t cap) {
    const char *folder = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
    if (!folder || folder[0] != '/') {
        return -1;
    }
    int n = snprintf(buf, cap, "%s/reprise/control.sock", folder);
    return n > 0 && (size_t)n < cap ? 0 : -1;
}
