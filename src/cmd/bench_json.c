/* bench_json.c: `reprise bench --json`, see bench.h; docs/BENCH.md has the schema. */
#include <inttypes.h>

#include "cmd/bench.h"
#include "wire/iana.h"

#define SCHEMA 1

/* A text, with what JSON wants escaped. */
static void put_text(const char *text, FILE *stream) {
    fputc('"', stream);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            fprintf(stream, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(stream, "\\u%04x", c);
        } else {
            fputc(c, stream);
        }
    }
    fputc('"', stream);
}

/* A member that is a number, with the comma of the one before. */
static void put_u64(const char **comma, const char *key, uint64_t value, FILE *stream) {
    fprintf(stream, "%s\"%s\":%" PRIu64, *comma, key, value);
    *comma = ",";
}

static void put_latency(const char **comma, const char *key, const struct histogram *h,
                        FILE *stream) {
    fprintf(stream,
            "%s\"%s\":{\"count\":%" PRIu64 ",\"mean\":%.1f,\"p50\":%" PRIu64 ",\"p90\":%" PRIu64
            ",\"p99\":%" PRIu64 ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 "}",
            *comma, key, h->count, histogram_mean(h), histogram_quantile(h, 0.5),
            histogram_quantile(h, 0.9), histogram_quantile(h, 0.99), histogram_quantile(h, 0.999),
            h->max);
    *comma = ",";
}

static void put_done(const struct load_row *row, FILE *stream) {
    const char *comma = "";
    fputs(",\"full\":{", stream);
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        put_u64(&comma, load_kind_word((enum load_kind)kind), row->done[kind][LOAD_CLASS_FULL],
                stream);
    }
    comma = "";
    fputs("},\"resumed\":{", stream);
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        if (load_kind_resumes((enum load_kind)kind)) {
            put_u64(&comma, load_kind_word((enum load_kind)kind),
                    row->done[kind][LOAD_CLASS_RESUMED], stream);
        }
    }
    comma = "";
    fputs("},\"aborted\":{", stream);
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        put_u64(&comma, load_abort_word((enum load_abort)i), row->aborted[i], stream);
    }
    fputs("}", stream);
}

/* Failures that did not happen are not named. */
static void put_failures(const struct load_row *row, FILE *stream) {
    const char *comma = "";
    fprintf(stream, ",\"failed\":%" PRIu64 ",\"failures\":{", load_row_failed(row));
    for (int i = 0; i < LOAD_FAILURES; i++) {
        if (row->failed[i] > 0) {
            put_u64(&comma, load_failure_word((enum load_failure)i), row->failed[i], stream);
        }
    }
    comma = "";
    fputs("},\"alerts\":{", stream);
    for (unsigned i = 0; i < LOAD_ALERTS; i++) {
        const char *name = iana_find(NAME_ALERT, (uint16_t)i);
        char number[16];
        snprintf(number, sizeof(number), "%u", i);
        if (row->alerts[i] > 0) {
            put_u64(&comma, name ? name : number, row->alerts[i], stream);
        }
    }
    fputs("},\"error\":", stream);
    put_text(row->error, stream);
}

static void put_samples(const struct load_result *result, FILE *stream) {
    fputs(",\"samples\":[", stream);
    for (size_t i = 0; i < result->sample_count; i++) {
        const struct load_sample *s = &result->samples[i];
        fprintf(stream,
                "%s{\"at_ms\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64
                ",\"aborted\":%" PRIu64 ",\"held\":%" PRIu64 "}",
                i > 0 ? "," : "", s->at_ns / 1000000, s->done, s->failed, s->aborted, s->held);
    }
    fputs("]", stream);
}

static void put_result(const struct load_result *result, FILE *stream) {
    const struct load_row *row = result->row;
    const char *comma = ",";
    fprintf(stream, "{\"elapsed_s\":%.6f,\"interrupted\":%s", (double)result->elapsed_ns / 1e9,
            result->interrupted ? "true" : "false");
    put_u64(&comma, "started", row->started, stream);
    put_u64(&comma, "done", load_row_done(row), stream);
    put_done(row, stream);
    put_u64(&comma, "primed", row->primed, stream);
    put_failures(row, stream);
    put_u64(&comma, "bytes_sent", row->bytes_sent, stream);
    put_u64(&comma, "bytes_received", row->bytes_received, stream);
    fputs(",\"latency_us\":{", stream);
    comma = "";
    put_latency(&comma, "handshake_full", &row->handshake_us[LOAD_CLASS_FULL], stream);
    put_latency(&comma, "handshake_resumed", &row->handshake_us[LOAD_CLASS_RESUMED], stream);
    put_latency(&comma, "answer_full", &row->answer_us[LOAD_CLASS_FULL], stream);
    put_latency(&comma, "answer_resumed", &row->answer_us[LOAD_CLASS_RESUMED], stream);
    fputs("},\"measures\":{", stream);
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        fprintf(stream, "%s\"%s\":%.*f", m == bench_measures ? "" : ",", m->key, m->decimals + 2,
                m->value(result));
    }
    fputs("}", stream);
    if (result->has_server) {
        fprintf(stream,
                ",\"server\":{\"processes\":%u,\"cpu_s\":%.6f,\"memory_before_kb\":%" PRIu64
                ",\"memory_after_kb\":%" PRIu64 "}",
                result->server_processes, (double)result->server_cpu_ns / 1e9,
                result->server_pss_before_kb, result->server_pss_after_kb);
    }
    put_samples(result, stream);
    fputs("}", stream);
}

static void put_spread(const char *comma, const char *key, struct spread s, FILE *stream) {
    fprintf(stream, "%s\"%s\":{\"median\":%.6g,\"min\":%.6g,\"max\":%.6g}", comma, key, s.median,
            s.min, s.max);
}

static void put_target(const struct bench *bench, size_t target, FILE *stream) {
    fputs("{\"name\":", stream);
    put_text(bench->targets[target].name, stream);
    fputs(",\"turns\":[", stream);
    for (unsigned turn = 0; turn < bench->turns_done; turn++) {
        fputs(turn > 0 ? "," : "", stream);
        put_result(&bench->targets[target].results[turn], stream);
    }
    fputs("],\"spread\":{", stream);
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        put_spread(m == bench_measures ? "" : ",", m->key, bench_spread(bench, target, m), stream);
    }
    fputs("},\"ratio\":{", stream);
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        put_spread(m == bench_measures ? "" : ",", m->key, bench_ratio(bench, target, m), stream);
    }
    fputs("}}", stream);
}

static void put_options(const struct load_options *options, FILE *stream) {
    const char *comma = "";
    fputs("{\"kinds\":[", stream);
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        if (options->kinds[kind]) {
            fprintf(stream, "%s\"%s\"", comma, load_kind_word((enum load_kind)kind));
            comma = ",";
        }
    }
    fprintf(stream, "],\"resume\":%g,\"connections\":%u,\"rate\":%g,\"idle\":%u", options->resume,
            options->connections, options->rate, options->idle);
    comma = ",";
    put_u64(&comma, "duration_ms", options->duration_ms, stream);
    put_u64(&comma, "count", options->count, stream);
    put_u64(&comma, "timeout_ms", options->timeout_ms, stream);
    put_u64(&comma, "workers", options->workers, stream);
    fputs("}", stream);
}

void bench_print_json(const struct bench *bench, FILE *stream) {
    fprintf(stream, "{\"schema\":%d,\"version\":\"" REPRISE_VERSION "\",\"options\":", SCHEMA);
    put_options(&bench->options, stream);
    fputs(",\"targets\":[", stream);
    for (size_t i = 0; i < bench->target_count; i++) {
        fputs(i > 0 ? "," : "", stream);
        put_target(bench, i, stream);
    }
    fputs("]}\n", stream);
}
