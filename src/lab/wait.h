/* wait.h: nothing in the lab waits without an end: each wait has a deadline and is over at once
 * when the lab is interrupted.
 */
#ifndef REPRISE_LAB_WAIT_H
#define REPRISE_LAB_WAIT_H

#include <stdbool.h>
#include <stdint.h>

/* The lab is to end: for a signal handler. */
void lab_interrupt(int signal);
bool lab_interrupted(void);

/* A deadline so many seconds from now (clock_mono_ns). */
uint64_t lab_deadline(unsigned seconds);

/* Sleeps for so many milliseconds at most, a little at a time. Returns false when the deadline
 * is over or the lab is interrupted. */
bool lab_nap(unsigned ms, uint64_t deadline_ns);

/* Waits until the descriptor has one of the events (poll). Returns the same. */
bool lab_wait_fd(int fd, short events, uint64_t deadline_ns);

#endif
