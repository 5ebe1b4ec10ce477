/* operate.c: see operate.h. */
#include "proxy/operate.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "proxy/sni.h"
#include "wire/limits.h"

static struct switches *switches_of(const struct generation *gen,
                                    const struct config_profile *profile) {
    return gen->switches[profile - gen->config->profiles];
}

const struct config_profile *operate_find(const struct generation *gen, const char *name,
                                          struct err *err) {
    const struct config_profile *profile = config_find_profile(gen->config, name);
    if (!profile) {
        err_set(err, "there is no profile '%s'", name);
    }
    return profile;
}

static const char *switch_word(uint32_t on) {
    return on ? "on" : "off";
}

void operate_show(const struct generation *gen, const struct config_profile *profile, bool json,
                  FILE *out) {
    const struct switches *s = switches_of(gen, profile);
    struct cache *cache = generation_cache(gen, profile);
    struct cache_stats stats = { 0 };
    if (cache) {
        cache_read_stats(cache, &stats);
    }
    /* A profile's name holds no character that either form would have to escape. */
    fprintf(out,
            json ? "{\"profile\":\"%s\",\"session-cache\":\"%s\",\"session-tickets\":\"%s\","
                   "\"sessions\":%" PRIu64 ",\"capacity\":%" PRIu32 "}\n"
                 : "profile %s: session-cache %s, session-tickets %s, %" PRIu64 " of %" PRIu32
                   " sessions in the cache\n",
            profile->name, switch_word(atomic_load(&s->session_cache)),
            switch_word(atomic_load(&s->session_tickets)), stats.entries, profile->cache_size);
}

static void log_operation(const struct config_profile *profile, const char *what,
                          const char *value) {
    struct log_line line;
    log_start(&line, "profile");
    log_text(&line, "level", "info");
    log_text(&line, "profile", profile->name);
    log_text(&line, what, value);
    log_write(&line);
}

int operate_switch(const struct generation *gen, const struct config_profile *profile,
                   const char *box, const char *state, struct err *err) {
    struct switches *s = switches_of(gen, profile);
    bool on = strcmp(state, "on") == 0;
    if (!on && strcmp(state, "off") != 0) {
        return err_set(err, "'%s' is not a switch, expected on or off", state);
    }
    if (strcmp(box, "session-tickets") == 0) {
        if (on && profile->ticket_timeout_s > gen->config->ticket_key_decrypt_s) {
            return err_set(err,
                           "tickets of profile '%s' would outlive their keys: its ticket-timeout "
                           "is longer than decrypt-for",
                           profile->name);
        }
        atomic_store(&s->session_tickets, on);
    } else if (strcmp(box, "session-cache") != 0) {
        return err_set(
            err, "there is no '%s', expected session-cache, session-tickets or invalidate", box);
    } else if (on && !generation_cache(gen, profile)) {
        return err_set(err, "profile '%s' has no cache: its cache-size is 0", profile->name);
    } else {
        atomic_store(&s->session_cache, on);
    }
    log_operation(profile, box, state);
    return 0;
}

static unsigned hex_value(char digit) {
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)((digit | 0x20) - 'a') + 10;
}

/* Two hexadecimal digits a byte, and nothing else. */
static bool read_id(const char *text, uint8_t id[static CACHE_ID_LEN]) {
    if (strlen(text) != 2 * CACHE_ID_LEN ||
        strspn(text, "0123456789abcdefABCDEF") != strlen(text)) {
        return false;
    }
    for (size_t i = 0; i < CACHE_ID_LEN; i++) {
        id[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
    }
    return true;
}

static int invalidate_id(struct master *master, const struct config_profile *profile,
                         const uint8_t id[static CACHE_ID_LEN], struct err *err) {
    struct cache *cache = generation_cache(master_generation(master), profile);
    switch (cache ? master_cache_kill(master, cache, id, CACHE_MARK_INVALIDATED) : CACHE_MISS) {
    case CACHE_HIT:
        return 0;
    case CACHE_BUSY:
        return err_set(err, "the cache did not answer in time: try again");
    default:
        return err_set(err, "profile '%s' has no session with this ID", profile->name);
    }
}

static int invalidate_name(struct switches *s, const struct config_profile *profile,
                           const char *name, uint64_t now_ms, struct err *err) {
    uint8_t lower[WIRE_SERVER_NAME_MAX];
    uint8_t hash[RECORD_NAME_LEN];
    struct bytes given = { (const uint8_t *)name, strlen(name) };
    if (given.len == 0 || given.len > sizeof(lower) || strchr(name, '*')) {
        return err_set(err, "'%s' is not a server name, expected one that clients ask for", name);
    }
    size_t len = sni_normalise(given, lower);
    record_hash_name((struct bytes){ lower, len }, hash);
    if (!switches_invalidate_name(s, hash, now_ms)) {
        log_event(LOG_WARNING, "profile",
                  "profile '%s': more than %d names were invalidated within 7 days: all of the "
                  "profile's sessions are",
                  profile->name, SWITCHES_NAMES);
    }
    return 0;
}

int operate_invalidate(struct master *master, const struct config_profile *profile,
                       const char *what, uint64_t now_ms, struct err *err) {
    const struct generation *gen = master_generation(master);
    struct switches *s = switches_of(gen, profile);
    uint8_t id[CACHE_ID_LEN];
    int rc = 0;
    if (strcmp(what, "all") == 0) {
        switches_invalidate_all(s, now_ms);
    } else if (read_id(what, id)) {
        rc = invalidate_id(master, profile, id, err);
    } else {
        rc = invalidate_name(s, profile, what, now_ms, err);
    }
    if (rc != 0) {
        return -1;
    }
    log_operation(profile, "invalidate", what);
    if (gen->config->ticket_key_files.count > 0 || gen->config->ticket_key_state_file) {
        log_event(LOG_WARNING, "profile",
                  "the ticket keys outlive a restart, and what was invalidated does not: end the "
                  "keys as well before the service is stopped, see docs/KEYS.md");
    }
    return 0;
}
