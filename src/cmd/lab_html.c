/* lab_html.c: the lab as one page that needs nothing else, out of the pieces of inspect's. */
#include "cmd/lab.h"

static const char style_sheet[] =
    ".scene{display:flex;flex-wrap:wrap;gap:1.5rem;align-items:flex-start}\n"
    ".act{flex:1 1 36rem;min-width:0;overflow-x:auto}\n"
    ".checks{list-style:none;padding-left:0}.good::before{content:'\\2713  ';color:#2a9d5c}\n"
    ".bad::before{content:'\\2717  ';color:#d33}.bad{color:#d33}\n"
    ".log{font:.8em ui-monospace,monospace;overflow-wrap:anywhere;opacity:.8}\n"
    "#summary{display:none}\n";

void lab_html_begin(FILE *out) {
    inspect_html_begin("the lab", out);
    fprintf(out, "<style>\n%s</style>\n", style_sheet);
}

static void put_paragraph(const char *css, const char *text, FILE *out) {
    fprintf(out, "<p class=%s>", css);
    inspect_html_text(text, out);
    fputs("</p>\n", out);
}

static void put_checks(const struct lab_result *result, FILE *out) {
    fputs("<ul class=checks>", out);
    for (unsigned i = 0; i < result->check_count; i++) {
        const struct lab_check *check = &result->checks[i];
        fprintf(out, "<li class=%s>%s: ", check->good ? "good" : "bad",
                lab_witness_word(check->witness));
        inspect_html_text(check->text, out);
        if (check->found[0]) {
            fputs(": it is ", out);
            inspect_html_text(check->found, out);
        }
    }
    fputs("</ul>\n", out);
}

static void put_costs(const struct lab_result *result, FILE *out) {
    if (result->repeated == 0) {
        return;
    }
    fprintf(out,
            "<table><caption>CPU a connection, in %u of each kind</caption><tr><th><th>new<th>this "
            "one\n"
            "<tr><td>terminator<td>%.1f us<td>%.1f us\n<tr><td>client<td>%.1f us<td>%.1f us\n"
            "</table>\n",
            result->repeated, result->full.terminator_us, result->this_kind.terminator_us,
            result->full.client_us, result->this_kind.client_us);
}

void lab_html_act(const struct lab_result *result, const struct lab_scene **last_scene, FILE *out) {
    if (*last_scene != result->scene) {
        fputs(*last_scene ? "</div>\n<h2>" : "<h2>", out);
        inspect_html_text(result->scene->title, out);
        fputs("</h2><div class=scene>\n", out);
        *last_scene = result->scene;
    }
    fprintf(out, "<section class=act id=act-%u><h3>%u. ", result->number, result->number);
    inspect_html_text(result->act->title, out);
    fputs("</h3>\n", out);
    put_paragraph("see", result->act->see, out);
    if (result->error) {
        put_paragraph("bad", result->error, out);
    }
    if (result->stream) {
        const struct inspected inspected = lab_inspected(result);
        inspect_html_stream(&inspected, out);
    }
    put_checks(result, out);
    put_costs(result, out);
    if (result->log_line) {
        put_paragraph("log", result->log_line, out);
    }
    fputs("</section>\n", out);
}

void lab_html_end(const struct lab_scene *last_scene, const struct summary *summary, FILE *out) {
    fputs(last_scene ? "</div>\n" : "", out);
    inspect_html_end(summary, out);
}
