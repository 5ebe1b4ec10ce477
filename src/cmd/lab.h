/* lab.h: the printers of `reprise lab`: text, JSON and a page, each handed the results as they
 * come.
 */
#ifndef REPRISE_CMD_LAB_H
#define REPRISE_CMD_LAB_H

#include <stdio.h>

#include "cmd/inspect.h"
#include "lab/play.h"

#define LAB_JSON_VERSION 1

/* The act's stream for the printers of inspect. */
struct inspected lab_inspected(const struct lab_result *result);

/* lab_text.c */
void lab_print_list(FILE *out);
void lab_print_text(const struct lab_result *result, const struct style *style, FILE *out);

/* lab_json.c: between begin and end one object an act. */
void lab_json_begin(const struct lab_options *options, FILE *out);
void lab_json_act(const struct lab_result *result, bool first, FILE *out);
void lab_json_end(int bad, unsigned acts, FILE *out);

/* lab_html.c: a page; acts of one scene stand side by side. `last_scene` is kept by the caller,
 * and null at first. */
void lab_html_begin(FILE *out);
void lab_html_act(const struct lab_result *result, const struct lab_scene **last_scene, FILE *out);
void lab_html_end(const struct lab_scene *last_scene, const struct summary *summary, FILE *out);

#endif
