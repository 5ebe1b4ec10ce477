/* process.h: what every child of the master begins with. */
#ifndef REPRISE_BASE_PROCESS_H
#define REPRISE_BASE_PROCESS_H

#include <signal.h>

/* Blocks the signals that reach all processes of a terminal or a service, and
 * fills `ends` with those that ask this child to end: SIGTERM and SIGQUIT. A
 * terminal's ^C and hang-up are the master's to act on. Returns 0 or -1. */
int process_block_signals(sigset_t *ends);

#endif
