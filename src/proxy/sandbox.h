/* sandbox.h: the system calls that a worker may make, and no other. */
#ifndef REPRISE_PROXY_SANDBOX_H
#define REPRISE_PROXY_SANDBOX_H

#include "base/err.h"

/* Installs the filter for good: from now on opening a file, starting a program,
 * or any other call that a worker has no need of fails with EPERM. Sockets can be
 * made for TCP over IPv4 and IPv6 only, and signals go to the process itself only. Child,
 * after everything is set up. */
int sandbox_enter(struct err *err);

#endif
