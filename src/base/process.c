/* process.c: see process.h. */
#include "base/process.h"

int process_block_signals(sigset_t *ends) {
    sigset_t all;
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGQUIT);
    all = *ends;
    sigaddset(&all, SIGINT);
    sigaddset(&all, SIGHUP);
    return sigprocmask(SIG_SETMASK, &all, NULL);
}
