/* wait.c: see wait.h. */
#include "lab/wait.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"

#define LOOK_MS 50u /* between two looks at what else may have happened */

static volatile sig_atomic_t interrupted;

void lab_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

bool lab_interrupted(void) {
    return interrupted != 0;
}

uint64_t lab_deadline(unsigned seconds) {
    return clock_mono_ns() + seconds * NS_PER_S;
}

bool lab_nap(unsigned ms, uint64_t deadline_ns) {
    uint64_t until_ns = clock_mono_ns() + ms * NS_PER_MS;
    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        if (interrupted || now_ns >= deadline_ns) {
            return false;
        }
        if (now_ns >= until_ns) {
            return true;
        }
        uint64_t left_ns = until_ns - now_ns;
        uint64_t part_ns = left_ns < LOOK_MS * NS_PER_MS ? left_ns : LOOK_MS * NS_PER_MS;
        const struct timespec pause = { .tv_nsec = (long)part_ns };
        nanosleep(&pause, NULL);
    }
}

bool lab_wait_fd(int fd, short events, uint64_t deadline_ns) {
    struct pollfd item = { .fd = fd, .events = events };
    while (!interrupted && clock_mono_ns() < deadline_ns) {
        if (poll(&item, 1, (int)LOOK_MS) > 0) {
            return true;
        }
    }
    return false;
}
