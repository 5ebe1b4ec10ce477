/* bench_html.c: `reprise bench --html`: one file with figures and plots, which asks the
 * network for nothing and runs no script. See bench.h. */
#include <inttypes.h>
#include <string.h>

#include "cmd/bench.h"

#define PLOT_WIDTH 640
#define PLOT_HEIGHT 240
#define PLOT_LEFT 70
#define PLOT_RIGHT 20
#define PLOT_TOP 14
#define PLOT_BOTTOM 34
#define POINTS_MAX 400 /* of one line */
#define BAR_HEIGHT 26
#define BAR_LEFT 150
#define COLORS 6

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>reprise bench</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark;--ink:#222;--paper:#fff;--line:#999;--c0:#1965b0;--c1:#d1500f;"
    "--c2:#3b7d23;--c3:#882e72;--c4:#7a6a00;--c5:#006b6b}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#181818;--line:#777;--c0:#7bafde;"
    "--c1:#f4a261;--c2:#90c987;--c3:#d6a5ce;--c4:#e0cf6b;--c5:#6bd0d0}}\n"
    "body{font:16px/1.45 sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "table{border-collapse:collapse}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid var(--line)}td:first-child,th:first-child{text-align:left}\n"
    "svg{max-width:100%;height:auto}svg text{fill:var(--ink);font-size:12px}\n"
    ".a{stroke:var(--line);fill:none}.l{fill:none;stroke-width:2}\n"
    "</style></head><body>\n";

static void put_text(const char *text, FILE *stream) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '&':
            fputs("&amp;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default:
            fputc(*text, stream);
            break;
        }
    }
}

/* --- axes and lines ------------------------------------------------------------ */

/* What lies at the right end and at the top; the left and the bottom are 0. */
struct scale {
    double right;
    double top;
};

static double plot_x(const struct scale *scale, double x) {
    double width = PLOT_WIDTH - PLOT_LEFT - PLOT_RIGHT;
    return PLOT_LEFT + (scale->right > 0 ? x / scale->right : 0) * width;
}

static double plot_y(const struct scale *scale, double y) {
    double height = PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM;
    return PLOT_HEIGHT - PLOT_BOTTOM - (scale->top > 0 ? y / scale->top : 0) * height;
}

/* The next number up that an axis reads well with. */
static double round_up(double value) {
    static const double steps[] = { 1, 2, 4, 6, 8, 10 };
    double unit = 1;
    while (unit * 10 < value) {
        unit *= 10;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i] * unit >= value) {
            return steps[i] * unit;
        }
    }
    return value;
}

static void plot_open(const char *title, const struct scale *scale, FILE *stream) {
    fprintf(stream, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">", title,
            PLOT_WIDTH, PLOT_HEIGHT, PLOT_WIDTH);
    fprintf(stream, "<title>%s</title><path class=\"a\" d=\"M%d %dV%dH%d\"/>", title, PLOT_LEFT,
            PLOT_TOP, PLOT_HEIGHT - PLOT_BOTTOM, PLOT_WIDTH - PLOT_RIGHT);
    for (int i = 0; i <= 4; i++) {
        double y = scale->top * i / 4;
        fprintf(stream, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>", PLOT_LEFT - 6,
                plot_y(scale, y) + 4, y);
    }
}

static void plot_mark_x(const struct scale *scale, double x, const char *text, FILE *stream) {
    fprintf(stream, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>", plot_x(scale, x),
            PLOT_HEIGHT - PLOT_BOTTOM + 18, text);
}

static void plot_close(FILE *stream) {
    fputs("</svg>\n", stream);
}

static void line_open(size_t color, FILE *stream) {
    fprintf(stream, "<polyline class=\"l\" stroke=\"var(--c%zu)\" points=\"", color % COLORS);
}

static void line_to(const struct scale *scale, double x, double y, FILE *stream) {
    fprintf(stream, "%.1f,%.1f ", plot_x(scale, x), plot_y(scale, y));
}

static void line_close(FILE *stream) {
    fputs("\"/>", stream);
}

/* --- the plots ------------------------------------------------------------------ */

static const struct load_result *last_turn(const struct bench *bench, size_t target) {
    return &bench->targets[target].results[bench->turns_done - 1];
}

static size_t sample_step(const struct load_result *result) {
    return result->sample_count / POINTS_MAX + 1;
}

/* Connections a second between a sample and the one `step` before it. */
static double sample_rate(const struct load_result *result, size_t at, size_t step) {
    const struct load_sample *now = &result->samples[at];
    const struct load_sample *before = &result->samples[at - step];
    double seconds = (double)(now->at_ns - before->at_ns) / 1e9;
    double ended = (double)(now->done + now->aborted) - (double)(before->done + before->aborted);
    return seconds > 0 ? ended / seconds : 0;
}

static void grow(double *max, double value) {
    *max = value > *max ? value : *max;
}

static void plot_rates(const struct bench *bench, FILE *stream) {
    struct scale scale = { 0 };
    char text[32];
    for (size_t i = 0; i < bench->target_count; i++) {
        const struct load_result *r = last_turn(bench, i);
        for (size_t step = sample_step(r), at = step; at < r->sample_count; at += step) {
            grow(&scale.top, sample_rate(r, at, step));
            grow(&scale.right, (double)r->samples[at].at_ns / 1e9);
        }
    }
    scale.top = round_up(scale.top);
    plot_open("Connections a second, over the seconds of the last turn", &scale, stream);
    for (int i = 0; i <= 4; i++) {
        snprintf(text, sizeof(text), "%.3g", scale.right * i / 4);
        plot_mark_x(&scale, scale.right * i / 4, text, stream);
    }
    for (size_t i = 0; i < bench->target_count; i++) {
        const struct load_result *r = last_turn(bench, i);
        line_open(i, stream);
        for (size_t step = sample_step(r), at = step; at < r->sample_count; at += step) {
            line_to(&scale, (double)r->samples[at].at_ns / 1e9, sample_rate(r, at, step), stream);
        }
        line_close(stream);
    }
    plot_close(stream);
}

/* Of the class that most connections were in. */
static const struct histogram *answers(const struct load_result *result) {
    const struct histogram *h = result->row->answer_us;
    return &h[h[LOAD_CLASS_RESUMED].count > h[LOAD_CLASS_FULL].count];
}

/* The tail matters: every step to the right leaves out nine tenths of what is left. */
static void plot_latencies(const struct bench *bench, FILE *stream) {
    static const struct {
        double part;
        const char *text;
    } marks[] = { { 0, "least" },      { 0.5, "50 %" },       { 0.9, "90 %" }, { 0.99, "99 %" },
                  { 0.999, "99.9 %" }, { 0.9999, "99.99 %" }, { 1, "largest" } };
    const size_t count = sizeof(marks) / sizeof(marks[0]);
    struct scale scale = { .right = (double)(count - 1) };
    for (size_t i = 0; i < bench->target_count; i++) {
        grow(&scale.top, (double)answers(last_turn(bench, i))->max);
    }
    scale.top = round_up(scale.top);
    plot_open("Latency to the end of the answer, microseconds, by share of the connections", &scale,
              stream);
    for (size_t at = 0; at < count; at++) {
        plot_mark_x(&scale, (double)at, marks[at].text, stream);
    }
    for (size_t i = 0; i < bench->target_count; i++) {
        const struct histogram *h = answers(last_turn(bench, i));
        line_open(i, stream);
        for (size_t at = 0; at < count && h->count > 0; at++) {
            line_to(&scale, (double)at, (double)histogram_quantile(h, marks[at].part), stream);
        }
        line_close(stream);
    }
    plot_close(stream);
}

/* A bar a target, with the least and the most of its turns. */
static void plot_bars(const struct bench *bench, const struct bench_measure *m, FILE *stream) {
    double max = 0;
    int height = (int)bench->target_count * BAR_HEIGHT + 8;
    for (size_t i = 0; i < bench->target_count; i++) {
        grow(&max, bench_spread(bench, i, m).max);
    }
    double unit = max > 0 ? (PLOT_WIDTH - BAR_LEFT - 90) / max : 0;
    fprintf(stream, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">", m->text,
            PLOT_WIDTH, height, PLOT_WIDTH);
    fprintf(stream, "<title>%s</title>", m->text);
    for (size_t i = 0; i < bench->target_count; i++) {
        struct spread s = bench_spread(bench, i, m);
        int y = (int)i * BAR_HEIGHT + 4;
        fprintf(stream, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", BAR_LEFT - 8, y + 15);
        put_text(bench->targets[i].name, stream);
        fprintf(
            stream,
            "</text><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"18\" fill=\"var(--c%zu)\"/>",
            BAR_LEFT, y, s.median * unit, i % COLORS);
        fprintf(stream, "<path class=\"a\" d=\"M%.1f %dH%.1f\"/>", BAR_LEFT + s.min * unit, y + 9,
                BAR_LEFT + s.max * unit);
        fprintf(stream, "<text x=\"%.1f\" y=\"%d\">%.*f</text>", BAR_LEFT + s.max * unit + 6,
                y + 15, m->decimals, s.median);
    }
    fputs("</svg>\n", stream);
}

/* --- the figures ------------------------------------------------------------------ */

static void put_targets(const struct bench *bench, FILE *stream) {
    fputs("<p>", stream);
    for (size_t i = 0; i < bench->target_count; i++) {
        fprintf(stream, "%s<span style=\"color:var(--c%zu)\">&#9632;</span> ", i > 0 ? ", " : "",
                i % COLORS);
        put_text(bench->targets[i].name, stream);
    }
    fprintf(stream, "; %u turn%s</p>\n", bench->turns_done, bench->turns_done == 1 ? "" : "s");
}

static void put_measures(const struct bench *bench, FILE *stream) {
    fputs("<table><tr><th></th><th>target</th><th>median</th><th>least</th><th>most</th>"
          "<th>ratio to the first</th></tr>\n",
          stream);
    for (const struct bench_measure *m = bench_measures; m->key; m++) {
        for (size_t i = 0; i < bench->target_count; i++) {
            struct spread s = bench_spread(bench, i, m);
            struct spread ratio = bench_ratio(bench, i, m);
            if (s.max == 0) {
                continue;
            }
            fprintf(stream, "<tr><td>%s</td><td>", m->text);
            put_text(bench->targets[i].name, stream);
            fprintf(stream, "</td><td>%.*f</td><td>%.*f</td><td>%.*f</td>", m->decimals, s.median,
                    m->decimals, s.min, m->decimals, s.max);
            fprintf(stream, "<td>%.3f (%.3f to %.3f)</td></tr>\n", ratio.median, ratio.min,
                    ratio.max);
        }
    }
    fputs("</table>\n", stream);
}

static void put_turn_failures(const char *name, unsigned turn, const struct load_row *row,
                              FILE *stream) {
    for (int f = 0; f < LOAD_FAILURES; f++) {
        if (row->failed[f] > 0) {
            fputs("<p><strong>", stream);
            put_text(name, stream);
            fprintf(stream, "</strong>, turn %u: %" PRIu64 " failed: %s</p>\n", turn,
                    row->failed[f], load_failure_meaning((enum load_failure)f));
        }
    }
}

static void put_failures(const struct bench *bench, FILE *stream) {
    for (size_t i = 0; i < bench->target_count; i++) {
        for (unsigned turn = 0; turn < bench->turns_done; turn++) {
            put_turn_failures(bench->targets[i].name, turn + 1, bench->targets[i].results[turn].row,
                              stream);
        }
    }
}

void bench_print_html(const struct bench *bench, FILE *stream) {
    fputs(head, stream);
    fputs("<h1>reprise bench</h1>\n<p>", stream);
    bench_print_plan(&bench->options, stream);
    fputs("</p>\n", stream);
    put_targets(bench, stream);
    put_failures(bench, stream);
    for (const struct bench_measure *m = bench_measures; bench->compare && m->key; m++) {
        bool cost = strncmp(m->key, "server_", 7) == 0;
        if (cost && bench_spread(bench, 0, m).max > 0) {
            plot_bars(bench, m, stream);
        }
    }
    plot_rates(bench, stream);
    plot_latencies(bench, stream);
    fputs("<h2>All figures</h2>\n", stream);
    put_measures(bench, stream);
    fputs("</body></html>\n", stream);
}
