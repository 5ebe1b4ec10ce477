/* run.h: one load from its start to its end: starts the workers, waits for their sessions,
 * lets them go together, watches the server, adds up. */
#ifndef REPRISE_LOAD_RUN_H
#define REPRISE_LOAD_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "load/options.h"
#include "load/row.h"
#include "load/tree.h"

/* A point of the course of a load. */
struct load_sample {
    uint64_t at_ns; /* since the start */
    uint64_t done;  /* since the start, and so are the others */
    uint64_t failed;
    uint64_t aborted;
    uint64_t held; /* now */
};

#define LOAD_SAMPLE_NS 100000000ull /* between samples */

/* Is told how it goes, at every sample; ctx is the caller's. */
struct load_watch {
    void (*on_sample)(void *ctx, const struct load_sample *sample);
    void *ctx;
};

struct load_result {
    struct load_row *row; /* owned: all workers' */
    uint64_t elapsed_ns;
    struct load_sample *samples; /* owned */
    size_t sample_count;
    bool interrupted;       /* by a signal; what was done until then is told */
    bool has_server;        /* server_* are set */
    uint64_t server_cpu_ns; /* of its tree, from the start to the end */
    unsigned server_processes;
    uint64_t server_pss_before_kb;   /* before the start; --idle: with LOAD_IDLE_FIRST open */
    uint64_t server_pss_after_kb;    /* at the end; --idle: with all open */
    uint64_t server_pss_connections; /* connections between the two: open, or else made */
};

/* An idle load measures from this many connections on, or from a tenth of a smaller one:
 * the first of them pay for what all share. */
#define LOAD_IDLE_FIRST 100u

/* Runs it. Returns 0 with the result filled (load_result_free), whatever failed of the
 * connections; -1 with `err` set when it could not be run. One at a time in a process. */
int load_run(const struct load_options *options, const struct load_watch *watch,
             struct load_result *result, struct err *err);
void load_result_free(struct load_result *result);

/* Connections that were ended, in whatever way. */
uint64_t load_result_ended(const struct load_result *result);

/* What one cost, in microseconds of CPU; 0 when there was none. */
double load_result_own_cpu_us(const struct load_result *result);
double load_result_server_cpu_us(const struct load_result *result);
/* Done (and aborted) a second. */
double load_result_rate(const struct load_result *result);
/* kB of the server's for a connection; 0 where it was not measured. */
double load_result_server_kb(const struct load_result *result);

#endif
