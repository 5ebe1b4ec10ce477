/* clock.h: the time. Functions that decide take it as an argument; only loops read it. */
#ifndef REPRISE_BASE_CLOCK_H
#define REPRISE_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds, for deadlines and durations. */
uint64_t clock_mono_ns(void);

/* Milliseconds since 1970 (UTC), for what is stored and shared between hosts. */
uint64_t clock_wall_ms(void);

/* Writes seconds since 1970 as "2026-11-24T05:39:55Z". Returns out. */
#define CLOCK_TEXT_MAX 40
const char *clock_text(uint64_t time_s, char out[static CLOCK_TEXT_MAX]);

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define MS_PER_S 1000ull

#endif
