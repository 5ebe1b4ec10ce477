/* lab_json.c: the lab as JSON. The schema is in docs/LAB.md; its version is LAB_JSON_VERSION, and
 * changes when a member changes its meaning or goes. */
#include "cmd/lab.h"

static void put_text(const char *name, const char *text, FILE *out) {
    fprintf(out, ",\"%s\":", name);
    inspect_print_json_text(text, out);
}

void lab_json_begin(const struct lab_options *options, FILE *out) {
    fprintf(out, "{\"schema\":\"reprise-lab\",\"version\":%d,\"topology\":\"%s\",\"acts\":[",
            LAB_JSON_VERSION, options->topology == LAB_NETNS ? "netns" : "loopback");
}

static void put_cost(const char *name, double full_us, double this_us, FILE *out) {
    fprintf(out, "\"%s\":{\"new_us\":%.1f,\"this_us\":%.1f}", name, full_us, this_us);
}

static void put_checks(const struct lab_result *result, FILE *out) {
    fputs(",\"checks\":[", out);
    for (unsigned i = 0; i < result->check_count; i++) {
        const struct lab_check *check = &result->checks[i];
        fprintf(out, "%s{\"witness\":\"%s\",\"check\":\"%s\",\"ok\":%s", i ? "," : "",
                lab_witness_word(check->witness), check->word, check->good ? "true" : "false");
        put_text("text", check->text, out);
        if (check->found[0]) {
            put_text("found", check->found, out);
        }
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_seen(const struct lab_result *result, FILE *out) {
    put_text("capture", result->path ? result->path : result->scene->file, out);
    put_text("recorded_by", lab_record_word(result->record), out);
    fprintf(out, ",\"filter\":\"tcp.stream eq %u\"", lab_act_stream(result->act));
    if (result->stream) {
        const struct inspected inspected = lab_inspected(result);
        put_text("verdict", verdict_word(result->judgement.verdict), out);
        fputs(",\"stream\":", out);
        inspect_print_json(&inspected, out);
    }
    if (result->log_line) {
        put_text("log", result->log_line, out);
    }
    if (result->repeated > 0) {
        fprintf(out, ",\"cpu\":{\"connections\":%u,", result->repeated);
        put_cost("terminator", result->full.terminator_us, result->this_kind.terminator_us, out);
        fputc(',', out);
        put_cost("client", result->full.client_us, result->this_kind.client_us, out);
        fputc('}', out);
    }
}

void lab_json_act(const struct lab_result *result, bool first, FILE *out) {
    const struct lab_act *act = result->act;
    fprintf(out, "%s\n{\"act\":%u", first ? "" : ",", result->number);
    put_text("name", act->name, out);
    put_text("title", act->title, out);
    put_text("see", act->see, out);
    put_text("scene", result->scene->name, out);
    put_text("expected_verdict", verdict_word(act->verdict), out);
    put_text("expected_reason", act->log.reason ? act->log.reason : "", out);
    fprintf(out, ",\"ok\":%s", result->good ? "true" : "false");
    if (result->error) {
        put_text("error", result->error, out);
    } else {
        put_seen(result, out);
        put_checks(result, out);
    }
    fputc('}', out);
}

void lab_json_end(int bad, unsigned acts, FILE *out) {
    fprintf(out, "\n],\"played\":%u,\"ok\":%s}\n", acts, bad == 0 ? "true" : "false");
}
