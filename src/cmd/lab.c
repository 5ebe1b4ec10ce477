/* lab.c: `reprise lab`: the article's lab, played and checked. The playing is lab/; here are
 * options, progress and what is printed. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/lab.h"
#include "lab/wait.h"

#define REPEAT_DEFAULT 200

struct options {
    struct lab_options play;
    bool list;
    bool json;
    const char *html;
    struct style style;
};

struct show {
    const struct options *options;
    bool progress;
    unsigned shown;
    FILE *html;                    /* owned; null: no page */
    const struct lab_scene *scene; /* the page's last */
    struct summary *summary;       /* owned; of the page */
};

static void progress_clear(const struct show *show) {
    if (show->progress) {
        fputs("\r\033[K", stderr);
    }
}

static void on_begin(void *context, unsigned number, const char *what) {
    const struct show *show = context;
    if (show->progress) {
        fprintf(stderr, "\r\033[Kact %u of %zu, %s: %s", number, lab_act_count,
                lab_acts[number - 1].title, what);
    }
}

static void print_intro(const struct lab_result *result) {
    if (result->error) {
        return;
    }
    printf("Packets are recorded %s.\n\n",
           result->record == LAB_RECORD_CAPTURE
               ? "off the wire (live capture)"
               : "from the client's own sockets, and framed as TCP (no live capture)");
}

static void on_result(void *context, const struct lab_result *result) {
    struct show *show = context;
    progress_clear(show);
    if (show->options->json) {
        lab_json_act(result, show->shown == 0, stdout);
    } else {
        if (show->shown == 0) {
            print_intro(result);
        }
        lab_print_text(result, &show->options->style, stdout);
    }
    if (show->html) {
        lab_html_act(result, &show->scene, show->html);
    }
    fflush(stdout);
    show->shown++;
}

/* --- options --- */

/* Adds "3", "stateful-new" or "1,2,9" to the set. */
static int add_acts(uint32_t *acts, const char *text) {
    char copy[256];
    char *rest = copy;
    if (strlen(text) >= sizeof(copy)) {
        return cmd_wrong_usage("lab", "--act takes numbers or names, see --list");
    }
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word; (word = strsep(&rest, ","));) {
        char *end = NULL;
        unsigned long number = strtoul(word, &end, 10);
        for (size_t i = 0; i < lab_act_count; i++) {
            number = strcmp(word, lab_acts[i].name) == 0 ? i + 1 : number;
        }
        bool named = number > 0 && number <= lab_act_count &&
                     (strcmp(word, lab_acts[number - 1].name) == 0 || (*word != '-' && !*end));
        if (!named) {
            return cmd_wrong_usage("lab", "there is no act '%s', see --list", word);
        }
        *acts |= 1u << (number - 1);
    }
    return CMD_OK;
}

static int set_record(enum lab_record *record, const char *word) {
    static const char *const words[] = { "auto", "sockets", "capture" };
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], word) == 0) {
            *record = (enum lab_record)i;
            return CMD_OK;
        }
    }
    return cmd_wrong_usage("lab", "--record takes auto, sockets or capture");
}

static int set_topology(enum lab_topology *topology, const char *word) {
    *topology = strcmp(word, "netns") == 0 ? LAB_NETNS : LAB_LOOPBACK;
    return *topology == LAB_NETNS || strcmp(word, "loopback") == 0
               ? CMD_OK
               : cmd_wrong_usage("lab", "--topology takes loopback or netns");
}

static int set_repeat(unsigned *repeat, const char *text) {
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value > LAB_REPEAT_MAX) {
        return cmd_wrong_usage("lab", "--repeat takes a number up to %d", LAB_REPEAT_MAX);
    }
    *repeat = (unsigned)value;
    return CMD_OK;
}

static int set_option(int option, struct options *options) {
    switch (option) {
    case 'a':
        return add_acts(&options->play.acts, optarg);
    case 'l':
        options->list = true;
        return CMD_OK;
    case 'k':
        options->play.keep = optarg;
        return CMD_OK;
    case 'r':
        return set_record(&options->play.record, optarg);
    case 't':
        return set_topology(&options->play.topology, optarg);
    case 'n':
        return set_repeat(&options->play.repeat, optarg);
    case 'j':
        options->json = true;
        return CMD_OK;
    case 'H':
        options->html = optarg;
        return CMD_OK;
    case 'b':
        options->style.brief = true;
        return CMD_OK;
    default:
        return cmd_wrong_option("lab");
    }
}

static int read_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        { "act", required_argument, NULL, 'a' },      { "list", no_argument, NULL, 'l' },
        { "keep", required_argument, NULL, 'k' },     { "record", required_argument, NULL, 'r' },
        { "topology", required_argument, NULL, 't' }, { "repeat", required_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' },           { "html", required_argument, NULL, 'H' },
        { "brief", no_argument, NULL, 'b' },          { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "a:lk:n:jb", names, NULL)) != -1;) {
        int status = set_option(option, options);
        if (status != CMD_OK) {
            return status;
        }
    }
    if (options->play.acts == 0) {
        options->play.acts = (uint32_t)((1ull << lab_act_count) - 1);
    }
    return optind == argc ? CMD_OK : cmd_wrong_usage("lab", "unexpected '%s'", argv[optind]);
}

/* --- the whole --- */

static int html_open(struct show *show) {
    const char *path = show->options->html;
    if (!path) {
        return 0;
    }
    show->summary = summary_new();
    show->html = show->summary ? fopen(path, "we") : NULL;
    if (!show->html) {
        fprintf(stderr, "reprise lab: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    lab_html_begin(show->html);
    return 0;
}

static int html_close(struct show *show) {
    if (!show->html) {
        return 0;
    }
    lab_html_end(show->scene, show->summary, show->html);
    bool bad = ferror(show->html) != 0;
    if (fclose(show->html) != 0 || bad) {
        fprintf(stderr, "reprise lab: cannot write %s\n", show->options->html);
        return -1;
    }
    return 0;
}

static void print_end(const struct show *show, int bad) {
    if (bad == 0) {
        printf("%u act%s, all as they should be\n", show->shown, show->shown == 1 ? "" : "s");
    } else {
        printf("%d of %u acts not as they should be\n", bad, show->shown);
    }
}

static int play(const struct options *options) {
    struct show show = { .options = options, .progress = isatty(STDERR_FILENO) };
    struct lab_options with = options->play;
    struct err err = { 0 };
    with.on_begin = on_begin;
    with.on_result = on_result;
    with.context = &show;
    if (html_open(&show) != 0) {
        summary_free(show.summary);
        return CMD_FAILED;
    }
    if (options->json) {
        lab_json_begin(&with, stdout);
    }
    int bad = lab_play(&with, &err);
    progress_clear(&show);
    if (options->json) {
        lab_json_end(bad, show.shown, stdout);
    } else if (bad >= 0) {
        print_end(&show, bad);
    }
    if (bad < 0) {
        fprintf(stderr, "reprise lab: %s\n", err.text);
    }
    int status = html_close(&show) == 0 && bad == 0 ? CMD_OK : CMD_FAILED;
    summary_free(show.summary);
    return status;
}

/* A second one ends at once; whatever still runs then ends with this process. */
static void catch_interrupts(void) {
    struct sigaction action = { .sa_handler = lab_interrupt, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* `| head` ends the printing, not the cleaning up */
}

int cmd_lab(int argc, char **argv) {
    struct options options = { .play.repeat = REPEAT_DEFAULT };
    const char *no_color = getenv("NO_COLOR");
    options.style.color = isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
    int status = read_options(argc, argv, &options);
    if (status != CMD_OK) {
        return status;
    }
    if (options.list) {
        lab_print_list(stdout);
        return CMD_OK;
    }
    catch_interrupts();
    return play(&options);
}
