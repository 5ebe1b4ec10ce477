/* bench_measure.c: the figures of a load, see bench.h. */
#include "cmd/bench.h"

#define BULK_BYTES (256.0 * 1024) /* a connection, both ways */

static const struct histogram *pick(const struct histogram h[static LOAD_CLASSES]) {
    bool resumed = h[LOAD_CLASS_RESUMED].count > h[LOAD_CLASS_FULL].count;
    return &h[resumed ? LOAD_CLASS_RESUMED : LOAD_CLASS_FULL];
}

/* Of the class, full or resumed, that most connections were in. */
static double handshake_p50(const struct load_result *result) {
    return (double)histogram_quantile(pick(result->row->handshake_us), 0.5);
}

static double handshake_p99(const struct load_result *result) {
    return (double)histogram_quantile(pick(result->row->handshake_us), 0.99);
}

static double answer_p50(const struct load_result *result) {
    return (double)histogram_quantile(pick(result->row->answer_us), 0.5);
}

static double answer_p99(const struct load_result *result) {
    return (double)histogram_quantile(pick(result->row->answer_us), 0.99);
}

/* Of a load whose connections carry enough for its cost to be that of bytes; else 0. */
static double bulk_bytes(const struct load_result *result) {
    double bytes = (double)(result->row->bytes_sent + result->row->bytes_received);
    return bytes >= BULK_BYTES * (double)load_result_ended(result) ? bytes : 0;
}

static double mb_per_s(const struct load_result *result) {
    return result->elapsed_ns > 0 ? bulk_bytes(result) * 1e3 / (double)result->elapsed_ns : 0;
}

static double server_ns_per_kb(const struct load_result *result) {
    double bytes = bulk_bytes(result);
    return bytes > 0 ? (double)result->server_cpu_ns * 1024 / bytes : 0;
}

const struct bench_measure bench_measures[] = {
    { "rate_per_s", "connections a second", 1, load_result_rate },
    { "handshake_p50_us", "handshake, median, us", 0, handshake_p50 },
    { "handshake_p99_us", "handshake, 99 %, us", 0, handshake_p99 },
    { "answer_p50_us", "answer, median, us", 0, answer_p50 },
    { "answer_p99_us", "answer, 99 %, us", 0, answer_p99 },
    { "mb_per_s", "payload, MB a second", 1, mb_per_s },
    { "own_cpu_us", "own CPU, us a connection", 1, load_result_own_cpu_us },
    { "server_cpu_us", "server CPU, us a connection", 1, load_result_server_cpu_us },
    { "server_cpu_ns_per_kb", "server CPU, ns a KiB of payload", 1, server_ns_per_kb },
    { "server_kb", "server memory, kB a connection", 2, load_result_server_kb },
    { NULL, NULL, 0, NULL },
};

struct spread bench_spread(const struct bench *bench, size_t target,
                           const struct bench_measure *measure) {
    double values[BENCH_TURNS_MAX];
    for (unsigned turn = 0; turn < bench->turns_done; turn++) {
        values[turn] = measure->value(&bench->targets[target].results[turn]);
    }
    return spread_of(values, bench->turns_done);
}

struct spread bench_ratio(const struct bench *bench, size_t target,
                          const struct bench_measure *measure) {
    double values[BENCH_TURNS_MAX];
    double base[BENCH_TURNS_MAX];
    for (unsigned turn = 0; turn < bench->turns_done; turn++) {
        values[turn] = measure->value(&bench->targets[target].results[turn]);
        base[turn] = measure->value(&bench->targets[0].results[turn]);
    }
    return spread_of_ratios(values, base, bench->turns_done);
}
