/* bench_text.c: what `reprise bench` prints for people, see bench.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/bench.h"
#include "config/scalar.h"
#include "wire/iana.h"

/* Red on a terminal, unless NO_COLOR is set (no-color.org). */
static bool has_color(FILE *stream) {
    const char *no_color = getenv("NO_COLOR");
    return isatty(fileno(stream)) && !(no_color && *no_color);
}

void bench_print_plan(const struct load_options *options, FILE *stream) {
    const char *comma = "";
    char duration[SCALAR_DURATION_MAX];
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        if (options->kinds[kind]) {
            fprintf(stream, "%s%s", comma, load_kind_text((enum load_kind)kind));
            comma = " + ";
        }
    }
    if (options->kinds[LOAD_FULL] && options->tls != 0) {
        fprintf(stream, " (TLS 1.%d)", options->tls - 0x0301);
    }
    if (options->resume < 1) {
        fprintf(stream, ", %g resumed", options->resume);
    }
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        if (options->abort_share[i] > 0) {
            fprintf(stream, ", %g aborted after the %s", options->abort_share[i],
                    load_abort_word((enum load_abort)i));
        }
    }
    if (options->idle > 0) {
        fprintf(stream, ", %u held", options->idle);
    } else if (options->rate > 0) {
        fprintf(stream, ", %g a second", options->rate);
    } else {
        fprintf(stream, ", %u at a time", options->connections);
    }
    if (options->count > 0) {
        fprintf(stream, ", %" PRIu64 " in all", options->count);
    }
    if (options->duration_ms > 0) {
        fprintf(stream, ", %s",
                scalar_print_duration(options->duration_ms, duration, sizeof(duration)));
    }
}

static void print_done(const struct load_row *row, FILE *stream) {
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        const char *word = load_kind_word((enum load_kind)kind);
        uint64_t full = row->done[kind][LOAD_CLASS_FULL];
        uint64_t resumed = row->done[kind][LOAD_CLASS_RESUMED];
        if (resumed > 0) {
            fprintf(stream, "  resumed, %-12s %10" PRIu64 "\n", word, resumed);
        }
        if (full > 0) {
            fprintf(stream, "  full%s%-15s %10" PRIu64 "\n", kind == LOAD_FULL ? "  " : ", ",
                    kind == LOAD_FULL ? "" : word, full);
        }
    }
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        if (row->aborted[i] > 0) {
            fprintf(stream, "  aborted, %-12s %10" PRIu64 "\n", load_abort_word((enum load_abort)i),
                    row->aborted[i]);
        }
    }
    if (row->primed > 0) {
        fprintf(stream, "  (and to have sessions %10" PRIu64 ")\n", row->primed);
    }
}

static void print_failures(const struct load_row *row, FILE *stream) {
    bool color = has_color(stream) && load_row_failed(row) > 0;
    fprintf(stream, "%sfailed                  %10" PRIu64 "%s\n", color ? "\033[31m" : "",
            load_row_failed(row), color ? "\033[0m" : "");
    for (int i = 0; i < LOAD_FAILURES; i++) {
        enum load_failure failure = (enum load_failure)i;
        if (row->failed[i] > 0) {
            fprintf(stream, "  %-21s %10" PRIu64 "  %s\n", load_failure_word(failure),
                    row->failed[i], load_failure_meaning(failure));
        }
    }
    for (unsigned i = 0; i < LOAD_ALERTS; i++) {
        const char *name = iana_find(NAME_ALERT, (uint16_t)i);
        if (row->alerts[i] > 0) {
            fprintf(stream, "    %-19s %10" PRIu64 "\n", name ? name : "(no name)", row->alerts[i]);
        }
    }
    if (*row->error) {
        fprintf(stream, "  the last of them says: %s\n", row->error);
    }
}

static void print_latency(const char *text, const struct histogram *h, FILE *stream) {
    if (h->count == 0) {
        return;
    }
    fprintf(stream, "  %-21s", text);
    for (const double *part = (const double[]){ 0.5, 0.9, 0.99, 0.999, 0 }; *part > 0; part++) {
        fprintf(stream, " %10" PRIu64, histogram_quantile(h, *part));
    }
    fprintf(stream, " %10" PRIu64 "\n", h->max);
}

static void print_result(const struct load_result *result, FILE *stream) {
    const struct load_row *row = result->row;
    double elapsed_s = (double)result->elapsed_ns / 1e9;
    fprintf(stream, "connections             %10" PRIu64 "  in %.2f s, %.1f/s%s\n",
            load_result_ended(result), elapsed_s, load_result_rate(result),
            result->interrupted ? ", interrupted" : "");
    print_done(row, stream);
    print_failures(row, stream);
    fputs("latency, us                   50 %       90 %       99 %     99.9 %        max\n",
          stream);
    print_latency("handshake, full", &row->handshake_us[LOAD_CLASS_FULL], stream);
    print_latency("handshake, resumed", &row->handshake_us[LOAD_CLASS_RESUMED], stream);
    print_latency("answer, full", &row->answer_us[LOAD_CLASS_FULL], stream);
    print_latency("answer, resumed", &row->answer_us[LOAD_CLASS_RESUMED], stream);
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        double value = m->value(result);
        bool told = strcmp(m->key, "rate_per_s") == 0 || strstr(m->key, "_p") != NULL;
        if ((value != 0 && !told) || strcmp(m->key, "own_cpu_us") == 0) {
            fprintf(stream, "%-32s %10.*f\n", m->text, m->decimals, value);
        }
    }
    if (result->has_server && result->server_pss_after_kb > 0) {
        fprintf(stream,
                "server memory, kB, before, after %10" PRIu64 " %10" PRIu64 "  (%u processes)\n",
                result->server_pss_before_kb, result->server_pss_after_kb,
                result->server_processes);
    }
}

static void print_comparison(const struct bench *bench, FILE *stream) {
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        if (bench_spread(bench, 0, m).max == 0) {
            continue;
        }
        fprintf(stream, "%s: median (least to most), and as a ratio to %s\n", m->text,
                bench->targets[0].name);
        for (size_t i = 0; i < bench->target_count; i++) {
            struct spread s = bench_spread(bench, i, m);
            struct spread ratio = bench_ratio(bench, i, m);
            fprintf(stream, "  %-20s %10.*f (%.*f to %.*f)", bench->targets[i].name, m->decimals,
                    s.median, m->decimals, s.min, m->decimals, s.max);
            fprintf(stream, "  %.3f (%.3f to %.3f)\n", ratio.median, ratio.min, ratio.max);
        }
    }
}

/* Over all turns: only what failed is told one by one. */
static void print_all_failures(const struct bench *bench, FILE *stream) {
    for (size_t i = 0; i < bench->target_count; i++) {
        for (unsigned turn = 0; turn < bench->turns_done; turn++) {
            const struct load_row *row = bench->targets[i].results[turn].row;
            if (load_row_failed(row) > 0) {
                fprintf(stream, "%s, turn %u: ", bench->targets[i].name, turn + 1);
                print_failures(row, stream);
            }
        }
    }
}

void bench_print_text(const struct bench *bench, FILE *stream) {
    bench_print_plan(&bench->options, stream);
    if (!bench->compare) {
        fputc('\n', stream);
        if (bench->turns_done > 0) {
            print_result(&bench->targets[0].results[0], stream);
        }
        return;
    }
    fprintf(stream, "; %u turns of %zu targets\n", bench->turns_done, bench->target_count);
    print_comparison(bench, stream);
    print_all_failures(bench, stream);
}
