/* keys.c: see keys.h. */
#include "proxy/keys.h"

#include <string.h>

#include "base/log.h"

/* For how long a session may be carried on, over all renewals: a renewed ticket, and one given
 * for a session in the cache, has what is left of the first one's time (resume.c). Under keys
 * from files other hosts, with other times, have made the first one. */
static uint32_t carry_s(const struct config *config) {
    uint32_t carry_s = 0;
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct config_profile *p = &config->profiles[i];
        uint32_t longest_s =
            p->ticket_timeout_s > p->cache_timeout_s ? p->ticket_timeout_s : p->cache_timeout_s;
        if (longest_s > p->max_lineage_s || config->ticket_key_files.count > 0) {
            longest_s = p->max_lineage_s;
        }
        carry_s = longest_s > carry_s ? longest_s : carry_s;
    }
    return carry_s;
}

int keys_load(struct keys *keys, const struct config *config, uid_t user, bool check,
              struct err *err) {
    const struct config_strings *files = &config->ticket_key_files;
    struct err why = { 0 };
    *keys = (struct keys){ 0 };
    if (config->ticket_key_state_file) {
        const struct statefile_place place = { .path = config->ticket_key_state_file,
                                               .key_path = config->ticket_key_state_key,
                                               .user = user,
                                               .create = !check };
        keys->state = statefile_open(&place, &why);
        return keys->state ? 0
                           : err_set(err, "%s:%u: ticket-keys: %s", config->file,
                                     config->ticket_key_state_line, why.text);
    }
    if (files->count == 0) {
        return 0;
    }
    keys->files = keyfile_load(files->at, files->count,
                               config->ticket_key_format == TICKET_KEYS_HAPROXY ? KEYFILE_HAPROXY
                                                                                : KEYFILE_NGINX,
                               user, &why);
    return keys->files ? 0
                       : err_set(err, "%s:%u: ticket-keys: %s", config->file,
                                 config->ticket_key_files_line, why.text);
}

/* The ring of before a restart. */
static void restore(const struct keys *keys, const struct config *config, struct keyring *ring,
                    uint64_t now_s) {
    const struct keyring_lives lives = { config->ticket_key_encrypt_s,
                                         config->ticket_key_decrypt_s };
    const struct keyring_snapshot *saved = statefile_saved(keys->state);
    if (saved && keyring_is_bare(ring)) {
        bool taken = keyring_restore(ring, saved, &lives, now_s) == 0;
        log_event(taken ? LOG_INFO : LOG_ERROR, "ticket-keys",
                  taken ? "keys of before the restart were taken from '%s'"
                        : "'%s' holds no key ring: beginning with new keys",
                  config->ticket_key_state_file);
    }
    statefile_forget(keys->state);
}

void keys_settle(struct keys *keys, const struct config *config, struct keyring *ring,
                 uint64_t now_s) {
    uint32_t open_s = config->ticket_key_decrypt_s;
    keyring_note_carry(ring, carry_s(config));
    if (keys->state) {
        restore(keys, config, ring, now_s);
    }
    if (keys->files) {
        keyring_use_files(ring, keys->files->keys, keys->files->count, now_s, open_s);
        keyfile_free(keys->files);
        keys->files = NULL;
    } else if (config->ticket_key_files.count == 0) {
        keyring_use_own(ring, now_s, open_s);
    }
}

void keys_drop(struct keys *keys) {
    keyfile_free(keys->files);
    statefile_close(keys->state);
    *keys = (struct keys){ 0 };
}

void keys_warn(const struct config *config, const struct config *old) {
    if (config->ticket_key_files.count > 0) {
        log_event(LOG_WARNING, "ticket-keys",
                  "the ticket keys come from files: they are not rotated by the service, a restart "
                  "does not forget them, and whoever has or had them decrypts what was recorded at "
                  "any time");
    }
    const char *state = config->ticket_key_state_file;
    if (state) {
        log_event(LOG_WARNING, "ticket-keys",
                  "the ticket keys are kept in '%s': whoever has it and its key opens the tickets "
                  "of their time",
                  state);
    }
    if (old && old->ticket_key_state_file &&
        (!state || strcmp(state, old->ticket_key_state_file) != 0)) {
        log_event(LOG_WARNING, "ticket-keys",
                  "'%s' is no longer written, and keeps the keys that it had: remove it",
                  old->ticket_key_state_file);
    }
}
