/* status.h: the state of the service in words and as JSON: `reprise ctl status`. */
#ifndef REPRISE_PROXY_STATUS_H
#define REPRISE_PROXY_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "proxy/generation.h"

struct status {
    const struct generation *gen;    /* borrowed */
    const struct counters *counters; /* borrowed: [WORKERS_MAX] */
    unsigned workers;
    unsigned draining; /* workers that take no new connections any more */
};

/* Writes processes, connections, counters, reasons and caches. Master. */
void status_write(const struct status *status, FILE *out, bool json);

#endif
