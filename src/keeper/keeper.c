/* keeper.c: see keeper.h. */
#include "keeper/keeper.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "store/secrecy.h"

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
                  "raise ticket-keys encrypt-for or lower ticket-timeout",
                  change->crowded);
    }
}

int keeper_run(const struct keeper_start *start) {
    sigset_t ends;
    if (process_block_signals(&ends) != 0) {
        return 1;
    }
    /* The first draw of a process gathers entropy for long: not while the ring is being written. */
    uint8_t draw[KEYRING_NAME_LEN];
    crypto_random(draw, sizeof(draw));
    for (;;) {
        uint64_t now_s = clock_wall_ms() / MS_PER_S;
        struct keyring_change change =
            keyring_tick(start->keyring, now_s, start->lives.encrypt_s, start->lives.open_s);
        keeper_log(start->keyring, &change, now_s);
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
