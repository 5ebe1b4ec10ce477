/* clock.h: the time. Functions that decide take it as an argument; only loops read it. */
#ifndef REPRISE_BASE_CLOCK_H
#define REPRISE_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds, for deadlines and durations. */
uint64_t clock_mono_ns(void);

/* Milliseconds since 1970 (UTC), for what is stored and shared between hosts. */
uint64_t clock_wall_ms(void);

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define MS_PER_S 1000ull

#endif
