/* clock.c: see clock.h. */
#include "base/clock.h"

#include <time.h>

uint64_t clock_mono_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * MS_PER_S + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

const char *clock_text(uint64_t time_s, char out[static CLOCK_TEXT_MAX]) {
    time_t at = (time_t)time_s;
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        out[0] = '-';
        out[1] = '\0';
    }
    return out;
}
