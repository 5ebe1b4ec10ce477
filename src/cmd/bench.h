/* bench.h: what the parts of `reprise bench` share: bench.c reads the command line and runs,
 * the others tell what came of it. */
#ifndef REPRISE_CMD_BENCH_H
#define REPRISE_CMD_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "load/options.h"
#include "load/run.h"
#include "load/spread.h"

#define BENCH_TARGETS_MAX 16
#define BENCH_TURNS_MAX 100

struct bench_target {
    const char *name;                            /* borrowed: as on the command line */
    struct load_options options;                 /* shares what it owns with bench.options */
    struct load_result results[BENCH_TURNS_MAX]; /* owned */
};

struct bench {
    struct load_options options;
    struct bench_target *targets; /* owned; one that is not compared is one target, one turn */
    size_t target_count;
    unsigned turns;      /* to be run */
    unsigned turns_done; /* of every target */
    bool compare;
    bool json;
    const char *html; /* a file; null: none */
};

/* A figure that is told of each turn, in text, JSON and plots. */
struct bench_measure {
    const char *key;  /* in JSON */
    const char *text; /* for people */
    int decimals;
    double (*value)(const struct load_result *result); /* 0: not measured */
};

/* Ends with a null key. */
extern const struct bench_measure bench_measures[];

/* Over the turns done; and relative to the first target, turn by turn. */
struct spread bench_spread(const struct bench *bench, size_t target,
                           const struct bench_measure *measure);
struct spread bench_ratio(const struct bench *bench, size_t target,
                          const struct bench_measure *measure);

/* "TLS 1.2 by ticket, 64 connections, 10 s" */
void bench_print_plan(const struct load_options *options, FILE *stream);

/* Write all that was done. */
void bench_print_text(const struct bench *bench, FILE *stream);
void bench_print_json(const struct bench *bench, FILE *stream);
void bench_print_html(const struct bench *bench, FILE *stream);

#endif
