/* docs.c: `reprise docs`: the manual, from the tables that the program itself works by.
 * Here the Markdown; the manual pages are in man.c. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "config/convert.h"
#include "config/schema.h"

const char docs_example[] = "client-ssl-profiles:\n"
                            "  - name: web\n"
                            "    server-names: [www.example.com, \"*.example.com\"]\n"
                            "    certificates:\n"
                            "      - chain: web.pem\n"
                            "        key: web.key\n"
                            "    session-cache: on\n"
                            "    session-tickets: on\n"
                            "pools:\n"
                            "  - name: app\n"
                            "    members: [\"192.0.2.1:8080\", \"[2001:db8::1]:8080\"]\n"
                            "    health-check: tcp\n"
                            "virtual-servers:\n"
                            "  - name: https\n"
                            "    listen: [\"0.0.0.0:443\", \"[::]:443\"]\n"
                            "    profiles: [web]\n"
                            "    pool: app\n";

static const char introduction[] =
    "<!-- Made by `reprise docs configuration` from src/config/directive.def: do not edit. -->\n"
    "# The configuration file\n"
    "\n"
    "YAML, read by `reprise run -c FILE` and checked by `reprise check FILE`. What is wrong is "
    "told\n"
    "as `FILE:LINE: what is wrong, what was expected`; `reprise check --print FILE` shows what is\n"
    "in force, defaults included. A whole one:\n"
    "\n"
    "```yaml\n";

static const char conventions[] =
    "```\n"
    "\n"
    "- A duration is a number with `ms`, `s`, `m`, `h` or `d` behind it, or a bare number of "
    "seconds.\n"
    "- A switch is `on` or `off`; `true` and `false`, `yes` and `no` are understood.\n"
    "- A list is `[a, b]`, or its entries below each other with `- ` before each. Values that "
    "begin\n"
    "  with `[` or `*` need quotes.\n"
    "- File names are relative to the folder of the configuration file.\n"
    "- Addresses are numeric; no names are looked up.\n"
    "- YAML's aliases, tags and further documents are refused, and every directive stands at most "
    "once\n"
    "  in its section.\n";

/* A list's default stands in the table with spaces between its entries. */
static void write_default(const struct directive *directive, FILE *stream) {
    if (directive->fallback == schema_required) {
        fputs("- required\n", stream);
        return;
    }
    if (!directive->fallback) {
        fputs("- default: not set\n", stream);
        return;
    }
    fputs("- default: `", stream);
    if (directive->shape == SHAPE_LIST) {
        fputc('[', stream);
        for (const char *at = directive->fallback; *at; at++) {
            fputs(*at == ' ' ? ", " : (char[]){ *at, '\0' }, stream);
        }
        fputc(']', stream);
    } else {
        fputs(directive->fallback, stream);
    }
    fputs("`\n", stream);
}

static void write_directive(const struct directive *directive, FILE *stream) {
    char expected[DIRECTIVE_EXPECTED_MAX];
    fprintf(stream, "\n### `%s`\n\n%s\n", directive->name, directive->text);
    if (directive->shape == SHAPE_GROUP || directive->shape == SHAPE_TABLE) {
        return;
    }
    fprintf(stream, "\n- takes: %s%s\n", directive->shape == SHAPE_LIST ? "a list of " : "",
            directive_expected(directive, expected, sizeof(expected)));
    write_default(directive, stream);
    if (directive->bigip) {
        fprintf(stream, "- on BIG-IP: `%s`\n", directive->bigip);
    }
}

static void write_section(enum section_id id, FILE *stream) {
    const struct section *section = schema_section(id);
    if (id == SECTION_MAIN) {
        fprintf(stream, "\n## At the top of the file\n\n%s\n", section->text);
    } else {
        fprintf(stream, "\n## `%s`\n\n%s\n", section->name, section->text);
    }
    for (size_t i = 0; i < section->directive_count; i++) {
        write_directive(&section->directives[i], stream);
    }
}

int docs_write_configuration(FILE *stream) {
    fputs(introduction, stream);
    fputs(docs_example, stream);
    fputs(conventions, stream);
    for (unsigned id = 0; id < SECTION_COUNT; id++) {
        write_section((enum section_id)id, stream);
    }
    return fflush(stream) == 0 ? CMD_OK : CMD_FAILED;
}

int cmd_docs(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "man") == 0) {
        return docs_write_man(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "configuration") == 0) {
        return docs_write_configuration(stdout);
    }
    return cmd_wrong_usage("docs", "expected 'man DIR' or 'configuration'");
}
