/* linger.h: a client's socket after its connection is over.
 *
 * Closing a socket with unread bytes in it, or that more bytes reach, makes the
 * kernel reset the connection, and a reset takes away what was sent last: the
 * alert that says why. So our direction is ended, and what the client still sends
 * is thrown away until it ends too.
 *
 * Threat: a client that never ends. LINGER_NS, LINGER_BYTES and LINGER_MAX bound
 * how long, how much and how many; past them the socket is just closed.
 */
#ifndef REPRISE_PROXY_LINGER_H
#define REPRISE_PROXY_LINGER_H

#include "proxy/worker.h"

#define LINGER_NS (2 * NS_PER_S)
#define LINGER_BYTES ((size_t)1 << 20)
#define LINGER_MAX 256u /* sockets of one worker */

/* Takes over the open socket of `io`, which is registered with the worker's loop,
 * and leaves io->fd as -1. It is closed now or later. */
void linger_take(struct worker *worker, struct loop_io *io);

#endif
