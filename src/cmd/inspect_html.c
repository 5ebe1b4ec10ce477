/* inspect_html.c: the report as one page: no script, no font, no picture from elsewhere. It is
 * written while streams come; the summary, known last, is moved to the top by its style. */
#include "capture/describe.h"
#include "cmd/inspect.h"

static const char style_sheet[] =
    ":root{color-scheme:light dark}\n"
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;display:flex;flex-direction:column}\n"
    "h1{order:-2}#summary{order:-1;overflow-x:auto}\n"
    "table{border-collapse:collapse}th,td{padding:.2rem .6rem;text-align:left;"
    "border-bottom:1px solid #8884}\n"
    ".bar{width:400px;height:16px;background:#8882}\n"
    "rect.resumed,.legend .resumed{fill:#2a9d5c;background:#2a9d5c}\n"
    "rect.refused,.legend .refused{fill:#e0a100;background:#e0a100}\n"
    "rect.new,.legend .new{fill:#4a7fc1;background:#4a7fc1}\n"
    "rect.unknown,.legend .unknown{fill:#9a6fb0;background:#9a6fb0}\n"
    ".legend span{display:inline-block;width:1em;height:1em;margin-left:1em}\n"
    "details{margin:.3rem 0;border-left:4px solid #8884;padding-left:.6rem}\n"
    "details.resumed{border-color:#2a9d5c}details.refused{border-color:#e0a100}\n"
    "details.new{border-color:#4a7fc1}details.unknown{border-color:#9a6fb0}\n"
    "summary{cursor:pointer}code{font-size:.9em}.ladder td{vertical-align:top;border:0}\n"
    ".ladder .server{text-align:left}.ladder small{display:block;opacity:.75;font-family:"
    "ui-monospace,monospace;overflow-wrap:anywhere}.arrow{opacity:.6;white-space:nowrap}\n";

void inspect_html_text(const char *text, FILE *out) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
            break;
        }
    }
}

void inspect_html_begin(const char *title, FILE *out) {
    fputs("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\n<meta name=viewport "
          "content='width=device-width'>\n<title>",
          out);
    inspect_html_text(title, out);
    fprintf(out, "</title>\n<style>\n%s</style></head><body>\n<h1>TLS session resumption in ",
            style_sheet);
    inspect_html_text(title, out);
    fputs("</h1>\n", out);
}

static const char *verdict_class(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_RESUMED_SESSION_ID:
    case VERDICT_RESUMED_TICKET:
    case VERDICT_RESUMED_PSK:
        return "resumed";
    case VERDICT_REFUSED_SESSION_ID:
    case VERDICT_REFUSED_TICKET:
    case VERDICT_REFUSED_PSK:
        return "refused";
    case VERDICT_NEW:
        return "new";
    default:
        return "unknown";
    }
}

static void put_row(const struct stream *stream, const struct event *event, FILE *out) {
    char text[DESCRIBE_TEXT_MAX];
    describe_event(event, text, sizeof(text));
    bool from_client = event_is_from_client(stream, event);
    fprintf(out, "<tr><td>%.6f<td>%llu%s", describe_since_s(stream, event),
            (unsigned long long)event->place.frame,
            from_client ? "<td>" : "<td><td class=arrow>&larr;<td class=server>");
    inspect_html_text(text, out);
    describe_line lines[DESCRIBE_LINES_MAX];
    unsigned count = describe_fields(stream, event, lines);
    for (unsigned i = 0; i < count; i++) {
        fputs("<small>", out);
        inspect_html_text(lines[i], out);
        fputs("</small>", out);
    }
    fputs(from_client ? "<td class=arrow>&rarr;<td></tr>\n" : "</tr>\n", out);
}

static void put_findings(const struct inspected *inspected, FILE *out) {
    fputs("<ul>", out);
    for (unsigned i = 0; i < inspected->finding_count; i++) {
        const struct finding *finding = &inspected->findings[i];
        fprintf(out, "<li><b>%s</b> (%s): ", reason_word(finding->reason),
                why_certainty_word(finding->certainty));
        inspect_html_text(finding->text, out);
        fputs("; frames", out);
        for (unsigned k = 0; k < WHY_FRAMES_MAX && finding->frames[k]; k++) {
            fprintf(out, " %llu", (unsigned long long)finding->frames[k]);
        }
    }
    describe_line notes[DESCRIBE_NOTES_MAX];
    unsigned count = describe_notes(inspected->stream, &inspected->judgement, notes);
    for (unsigned i = 0; i < count; i++) {
        fputs("<li>", out);
        inspect_html_text(notes[i], out);
    }
    fputs("</ul>", out);
}

void inspect_html_stream(const struct inspected *inspected, FILE *out) {
    const struct stream *stream = inspected->stream;
    char client[DESCRIBE_ADDRESS_MAX];
    char server[DESCRIBE_ADDRESS_MAX];
    char text[2 * DESCRIBE_TEXT_MAX];
    inspected_ends(stream, client, server, sizeof(client));
    fprintf(out,
            "<details class=%s%s><summary>stream %u: ", verdict_class(inspected->judgement.verdict),
            inspected->open ? " open" : "", stream->number);
    describe_verdict(stream, &inspected->judgement, text, sizeof(text));
    inspect_html_text(text, out);
    fputs("; ", out);
    inspect_html_text(client, out);
    fputs(" &rarr; ", out);
    inspect_html_text(server, out);
    if (stream->handshake_count > 0 && stream->handshakes[0].offer.has_name) {
        fputs(", ", out);
        inspect_html_text(stream->handshakes[0].offer.name, out);
    }
    inspected_filter(stream, text, sizeof(text));
    fprintf(out, "</summary><p>Wireshark: <code>%s</code></p>", text);
    put_findings(inspected, out);
    fputs("<table class=ladder><tr><th>seconds<th>frame<th>client<th><th>server</tr>\n", out);
    for (unsigned i = 0; i < stream->event_count; i++) {
        put_row(stream, &stream->events[i], out);
    }
    fputs("</table></details>\n", out);
}

void inspect_html_end(const struct summary *summary, FILE *out) {
    fputs("<section id=summary>\n", out);
    summary_print_html(summary, out);
    fputs("</section></body></html>\n", out);
}
