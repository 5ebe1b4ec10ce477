/* keeper.c: see keeper.h. */
#include "keeper/keeper.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"

static void keeper_log(const struct keyring_change *change) {
    struct log_line line;
    if (change->rotated) {
        log_start(&line, "ticket-key-rotated");
        log_text(&line, "level", "info");
        log_hex(&line, "ticket-key", (struct bytes){ change->current, sizeof(change->current) });
        log_u64(&line, "wiped", change->wiped);
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
    for (;;) {
        uint64_t now_s = clock_wall_ms() / MS_PER_S;
        struct keyring_change change =
            keyring_tick(start->keyring, now_s, start->encrypt_s, start->open_s);
        keeper_log(&change);
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
