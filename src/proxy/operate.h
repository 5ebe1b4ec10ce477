/* operate.h: what an operator does to a profile while the service runs: the two tick
 * boxes, and ending sessions. A change holds from the next handshake on in every
 * worker, those that drain included; no connection, session or key is lost by it. A
 * reload sets the tick boxes to what the file says; what was invalidated stays so.
 * Master only. */
#ifndef REPRISE_PROXY_OPERATE_H
#define REPRISE_PROXY_OPERATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "proxy/generation.h"
#include "proxy/master.h"

/* Finds by name. Null with err set when there is none. Borrowed. */
const struct config_profile *operate_find(const struct generation *gen, const char *name,
                                          struct err *err);

/* How the profile's boxes and cache stand, as a line of text or JSON. */
void operate_show(const struct generation *gen, const struct config_profile *profile, bool json,
                  FILE *out);

/* `box` is "session-cache" or "session-tickets", `state` "on" or "off". */
int operate_switch(const struct generation *gen, const struct config_profile *profile,
                   const char *box, const char *state, struct err *err);

/* Ends sessions: `what` is "all", a session ID in 64 hexadecimal digits (TLS 1.2, as the
 * log has it), or a server name. Tickets are ended by "all" and by name. */
int operate_invalidate(struct master *master, const struct config_profile *profile,
                       const char *what, uint64_t now_ms, struct err *err);

#endif
