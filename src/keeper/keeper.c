/* keeper.c: see keeper.h. */
#include "keeper/keeper.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "store/secrecy.h"

#define SWEEP_LOCKS 65536u /* a second, at well below a microsecond each */

/* What the ring as it is now comes to: see store/secrecy.h. */
static void log_figure(struct log_line *line, const struct keyring *ring, uint64_t now_s) {
    static struct keyring_list list;
    char before[CLOCK_TEXT_MAX];
    if (keyring_look(ring, &list) == 0) {
        struct secrecy figure = secrecy_figure(&list, list.cache_oldest_s, now_s);
        log_text(line, "not-decryptable-before",
                 figure.kind == SECRECY_BOUND ? clock_text(figure.before_s, before)
                                              : secrecy_word(figure.kind));
    }
}

static void keeper_log(const struct keyring *ring, const struct keyring_change *change,
                       uint64_t now_s) {
    struct log_line line;
    if (change->rotated) {
        log_start(&line, "ticket-key-rotated");
        log_text(&line, "level", "info");
        log_hex(&line, "ticket-key", (struct bytes){ change->current, sizeof(change->current) });
        log_u64(&line, "wiped", change->wiped);
        log_figure(&line, ring, now_s);
        log_write(&line);
    }
    if (change->crowded > 0) {
        log_event(LOG_WARNING, "ticket-key-crowded",
                  "the key ring is full: %u key(s) wiped before their tickets expired; "
                  "raise ticket-keys encrypt-for or lower decrypt-for and ticket-timeout",
                  change->crowded);
    }
}

/* Where the sweep goes on, and what it has seen since it began with the first cache. */
struct sweep {
    size_t next;
    uint64_t oldest_s; /* KEYRING_NEVER: no session yet */
};

/* Goes through the caches, as many in a second as SWEEP_LOCKS allows, and notes how old
 * the oldest session is when it has been through all. */
static void sweep_go_on(struct sweep *sweep, const struct keeper_start *start, uint64_t now_s) {
    for (uint32_t locks = 0; sweep->next < start->cache_count && locks < SWEEP_LOCKS;) {
        const struct cache_term *term = &start->caches[sweep->next++];
        cache_expire(term->cache, now_s > term->lifetime_s ? now_s - term->lifetime_s : 0);
        uint64_t one_s = cache_oldest_s(term->cache);
        if (one_s != 0 && one_s < sweep->oldest_s) {
            sweep->oldest_s = one_s;
        }
        locks += 2 * cache_shards(term->cache);
    }
    if (sweep->next == start->cache_count) {
        keyring_note_cache_oldest(start->keyring, sweep->oldest_s);
        *sweep = (struct sweep){ .oldest_s = KEYRING_NEVER };
    }
}

/* Writes the ring to its file when it has changed. A failure is told once, until it works
 * again: it is tried each second. */
static void keeper_save(const struct keeper_start *start, uint64_t now_s) {
    static bool failed;
    struct err err = { 0 };
    if (!start->state) {
        return;
    }
    int rc = statefile_save(start->state, start->keyring, now_s, &err);
    if (rc != 0 && !failed) {
        log_event(LOG_ERROR, "ticket-key-state", "the state file: %s; tried again", err.text);
    } else if (rc == 0 && failed) {
        log_event(LOG_INFO, "ticket-key-state", "the state file is written again");
    }
    failed = rc != 0;
}

int keeper_run(const struct keeper_start *start) {
    sigset_t ends;
    if (process_block_signals(&ends) != 0) {
        return 1;
    }
    struct err err = { 0 };
    if (start->state && statefile_inherit(start->state, &err) != 0) {
        log_event(LOG_ERROR, "keeper", "%s", err.text);
        return 1;
    }
    /* The first draw of a process gathers entropy for long: not while the ring is being written. */
    uint8_t draw[KEYRING_NAME_LEN];
    crypto_random(draw, sizeof(draw));
    struct sweep sweep = { .oldest_s = KEYRING_NEVER };
    for (;;) {
        uint64_t now_s = clock_wall_ms() / MS_PER_S;
        struct keyring_change change =
            keyring_tick(start->keyring, now_s, start->lives.encrypt_s, start->lives.open_s);
        keeper_save(start, now_s);
        keeper_log(start->keyring, &change, now_s);
        sweep_go_on(&sweep, start, now_s);
        /* Looks once a second: the clock may be set at any time. */
        const struct timespec second = { .tv_sec = 1 };
        if (sigtimedwait(&ends, NULL, &second) > 0) {
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return 1;
        }
    }
}
