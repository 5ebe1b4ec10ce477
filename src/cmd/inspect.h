/* inspect.h: the printers of `reprise inspect`. Each writes one form of what the engine
 * (capture/inspect.h) hands out: ladders, JSON, a summary, an HTML page.
 */
#ifndef REPRISE_CMD_INSPECT_H
#define REPRISE_CMD_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include "capture/inspect.h"
#include "capture/verdict.h"
#include "capture/why.h"

#define INSPECT_JSON_VERSION 1
#define INSPECT_SERVERS_MAX 1024

/* A stream with what was made of it. All borrowed. */
struct inspected {
    const struct stream *stream;
    struct judgement judgement;
    unsigned finding_count;
    struct finding findings[WHY_MAX];
    bool open; /* on a page: its ladder is shown without a click */
};

struct style {
    bool color;
    bool brief; /* verdict and reasons, no ladder */
};

/* "tcp.stream eq 3": Wireshark's filter for the stream. */
void inspected_filter(const struct stream *stream, char *out, size_t cap);

/* Client and server as text: addresses with ports. */
void inspected_ends(const struct stream *stream, char *client, char *server, size_t cap);

/* inspect_text.c: one stream, with its ladder. */
void inspect_print_text(const struct inspected *inspected, const struct style *style, FILE *out);

/* The length of the character of UTF-8 (RFC 3629) that text begins with; 0: it begins with none. */
size_t inspect_utf8_len(const char *text);

/* A name of the system's, whose control characters no terminal shall obey. */
void inspect_print_name(const char *name, FILE *out);

/* inspect_json.c: one stream as a JSON object; a string with its quotes. */
void inspect_print_json(const struct inspected *inspected, FILE *out);
void inspect_print_json_text(const char *text, FILE *out);

/* inspect_summary.c: counts by server. */
struct summary;
struct summary *summary_new(void);
void summary_free(struct summary *summary);
void summary_add(struct summary *summary, const struct inspected *inspected);
void summary_print(const struct summary *summary, const struct style *style, FILE *out);
void summary_print_json(const struct summary *summary, FILE *out);
/* Table and chart, as HTML. */
void summary_print_html(const struct summary *summary, FILE *out);

/* inspect_html.c: a page that needs nothing else. */
void inspect_html_begin(const char *title, FILE *out);
void inspect_html_stream(const struct inspected *inspected, FILE *out);
void inspect_html_end(const struct summary *summary, FILE *out);
void inspect_html_text(const char *text, FILE *out);

#endif
