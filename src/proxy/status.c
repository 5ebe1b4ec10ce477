/* status.c: see status.h. No name in it holds a character that either form would have to
 * escape. */
#include "proxy/status.h"

#include <inttypes.h>

static uint64_t counter_sum(const struct status *status, enum counter counter) {
    uint64_t sum = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++) {
        sum += atomic_load_explicit(&status->counters[w].value[counter], memory_order_relaxed);
    }
    return sum;
}

static uint64_t refused_sum(const struct status *status, enum reason reason) {
    uint64_t sum = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++) {
        sum += atomic_load_explicit(&status->counters[w].refused[reason], memory_order_relaxed);
    }
    return sum;
}

static void write_counters(const struct status *status, FILE *out, bool json) {
    for (unsigned c = 0; c < COUNT_COUNT; c++) {
        fprintf(out, json ? "%s\"%s\":%" PRIu64 : "%s%s %" PRIu64 "\n", json && c > 0 ? "," : "",
                counter_name((enum counter)c), counter_sum(status, (enum counter)c));
    }
}

static void write_refused(const struct status *status, FILE *out, bool json) {
    const char *separator = "";
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        uint64_t n = refused_sum(status, (enum reason)r);
        if (n > 0) {
            fprintf(out, json ? "%s\"%s\":%" PRIu64 : "%snot resumed, %s %" PRIu64 "\n", separator,
                    reason_word((enum reason)r), n);
            separator = json ? "," : "";
        }
    }
}

static void write_cache_json(const char *separator, const char *profile, const struct cache *cache,
                             const struct cache_stats *s, FILE *out) {
    fprintf(out,
            "%s{\"profile\":\"%s\",\"sessions\":%" PRIu64 ",\"capacity\":%" PRIu32
            ",\"bytes\":%" PRIu64 ",\"capacity_bytes\":%" PRIu64 ",\"lookups\":%" PRIu64
            ",\"hits\":%" PRIu64 ",\"evicted\":%" PRIu64 ",\"evicted_age_s\":%" PRIu64
            ",\"expired\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"repaired\":%" PRIu64 "}",
            separator, profile, s->entries, cache_capacity(cache), s->bytes,
            cache_room_bytes(cache), s->lookups, s->hits, s->evicted, s->evicted_age_s, s->expired,
            s->busy, s->repaired);
}

/* How old sessions are when they must go tells whether the cache is large enough: it is,
 * when that is near cache-timeout. */
static void write_cache_text(const char *profile, const struct cache *cache,
                             const struct cache_stats *s, FILE *out) {
    fprintf(out,
            "cache %s: %" PRIu64 " of %" PRIu32 " sessions in %" PRIu64 " of %" PRIu64
            " bytes, %" PRIu64 " look-ups, %" PRIu64 " hits, %" PRIu64 " expired, %" PRIu64
            " evicted",
            profile, s->entries, cache_capacity(cache), s->bytes, cache_room_bytes(cache),
            s->lookups, s->hits, s->expired, s->evicted);
    if (s->evicted > 0) {
        fprintf(out, " at an age of %" PRIu64 " s", s->evicted_age_s);
    }
    if (s->busy > 0) {
        fprintf(out, ", %" PRIu64 " times not to be had", s->busy);
    }
    fputc('\n', out);
}

/* In words, a cache that is unticked and was never used is left out. */
static void write_caches(const struct status *status, FILE *out, bool json) {
    const struct generation *gen = status->gen;
    const char *separator = "";
    for (size_t i = 0; i < gen->config->profile_count; i++) {
        const struct config_profile *profile = &gen->config->profiles[i];
        const struct cache *cache = generation_cache(gen, profile);
        struct cache_stats s;
        if (!cache) {
            continue;
        }
        cache_read_stats(cache, &s);
        if (json) {
            write_cache_json(separator, profile->name, cache, &s, out);
            separator = ",";
        } else if (atomic_load(&gen->switches[i]->session_cache) || s.inserts > 0) {
            write_cache_text(profile->name, cache, &s, out);
        }
    }
}

void status_write(const struct status *status, FILE *out, bool json) {
    const struct generation *gen = status->gen;
    uint64_t open = 0;
    for (unsigned w = 0; w < gen->config->workers; w++) {
        open += atomic_load(&gen->backends.clients[w]);
    }
    if (!json) {
        fprintf(out, "generation %u, %u workers, %u draining, %" PRIu64 " connections open\n",
                gen->number, status->workers, status->draining, open);
        write_counters(status, out, false);
        write_refused(status, out, false);
        write_caches(status, out, false);
        return;
    }
    fprintf(out,
            "{\"generation\":%u,\"workers\":%u,\"draining\":%u,\"open\":%" PRIu64 ",\"counters\":{",
            gen->number, status->workers, status->draining, open);
    write_counters(status, out, true);
    fprintf(out, "},\"refused\":{");
    write_refused(status, out, true);
    fprintf(out, "},\"caches\":[");
    write_caches(status, out, true);
    fprintf(out, "]}\n");
}
