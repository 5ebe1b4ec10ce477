/* demo.h: the demonstration backend: a small HTTP server that answers with what
 * the terminator says of the client's connection in its PROXY protocol header.
 * A process of its own, on loopback; it reads no other file and keeps nothing. */
#ifndef REPRISE_PROXY_DEMO_H
#define REPRISE_PROXY_DEMO_H

#include "base/err.h"
#include "config/config.h"

/* Binds a listening socket to a free port of 127.0.0.1. Returns the descriptor
 * (owned by the caller) with `address` filled (its text owned by the caller), or
 * -1. Master only. */
int demo_listen(struct config_address *address, struct err *err);

/* Serves until SIGTERM; the process's exit status. Called in the child. */
int demo_run(int listen_fd);

#endif
