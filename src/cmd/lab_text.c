/* lab_text.c: an act as text: what to see, its ladder, what was checked, what it cost. */
#include <string.h>

#include "cmd/lab.h"

#define COLUMNS 100
#define INDENT 2

static const char *const bold = "\033[1m";
static const char *const green = "\033[32m";
static const char *const red = "\033[1;31m";
static const char *const reset = "\033[0m";

static const char *paint(const struct style *style, const char *color) {
    return style->color ? color : "";
}

struct inspected lab_inspected(const struct lab_result *result) {
    struct inspected inspected = { .stream = result->stream,
                                   .judgement = result->judgement,
                                   .finding_count = result->finding_count,
                                   .open = true };
    memcpy(inspected.findings, result->findings, sizeof(inspected.findings));
    return inspected;
}

void lab_print_list(FILE *out) {
    for (size_t i = 0; i < lab_act_count; i++) {
        const struct lab_act *act = &lab_acts[i];
        fprintf(out, "%2zu  %-22s %-45s %s\n", i + 1, act->name, act->title,
                lab_scenes[act->scene].file);
    }
}

static void print_wrapped(const char *text, FILE *out) {
    size_t at = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > 0 && at + 1 + word > COLUMNS) {
            fputc('\n', out);
            at = 0;
        }
        at += (size_t)fprintf(out, "%*s%.*s", at == 0 ? INDENT : 1, "", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_checks(const struct lab_result *result, const struct style *style, FILE *out) {
    for (unsigned i = 0; i < result->check_count; i++) {
        const struct lab_check *check = &result->checks[i];
        fprintf(out, "  %s%s%s  %-7s  %s", paint(style, check->good ? green : red),
                check->good ? "ok    " : "NOT SO", paint(style, reset),
                lab_witness_word(check->witness), check->text);
        if (check->found[0]) {
            fprintf(out, ": it is %s", check->found);
        }
        fputc('\n', out);
    }
}

static void print_cost(const char *who, double full_us, double this_us, FILE *out) {
    fprintf(out, "  %-10s  new %7.1f us", who, full_us);
    if (full_us > 0 && this_us > 0) {
        fprintf(out, "   this one %7.1f us   %.2f of it", this_us, this_us / full_us);
    }
    fputc('\n', out);
}

static void print_costs(const struct lab_result *result, FILE *out) {
    bool is_new = !(lab_act_last(result->act)->visit & ~(unsigned)LAB_VISIT_KEEP);
    if (result->repeated == 0) {
        return;
    }
    fprintf(out, "\n  CPU a connection, in %u more of each kind that were not recorded:\n",
            result->repeated);
    print_cost("terminator", result->full.terminator_us,
               is_new ? 0 : result->this_kind.terminator_us, out);
    print_cost("client", result->full.client_us, is_new ? 0 : result->this_kind.client_us, out);
}

void lab_print_text(const struct lab_result *result, const struct style *style, FILE *out) {
    const struct lab_act *act = result->act;
    fprintf(out, "%sAct %u: %s%s  (%s)\n", paint(style, bold), result->number, act->title,
            paint(style, reset), act->name);
    print_wrapped(act->see, out);
    fputc('\n', out);
    if (result->error) {
        fprintf(out, "  %sNOT SO%s  it could not be played: %s\n\n", paint(style, red),
                paint(style, reset), result->error);
        return;
    }
    if (result->stream) {
        const struct inspected inspected = lab_inspected(result);
        inspect_print_text(&inspected, style, out);
    }
    print_checks(result, style, out);
    if (result->log_line) {
        fprintf(out, "\n  the terminator's log: %s\n", result->log_line);
    }
    fprintf(out, "\n  Wireshark: tcp.stream eq %u   in %s%s\n", lab_act_stream(act),
            result->path ? result->path : result->scene->file,
            result->path ? "" : ", which --keep DIR keeps");
    print_costs(result, out);
    fputc('\n', out);
}
