/* inspect.c: `reprise inspect`: reads captures and says of each stream whether a TLS session was
 * resumed, by what, and why not. The engine is capture/; here are options, order and progress.
 *
 * Streams end in any order. They are printed by their number: those that ended early wait, at
 * most ORDER_MAX of them, so that memory does not grow with the capture. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/keylog.h"
#include "capture/source.h"
#include "cmd/cmd.h"
#include "cmd/inspect.h"

#define ORDER_MAX 16384
#define HTML_STREAMS_MAX 20000 /* ladders on a page */
#define PROGRESS_NS (NS_PER_S / 4)
#define PROGRESS_PACKETS 65536
#define NO_STREAM (-1)
#define LIVE_LINGER_S 2 /* for what the network sends again */

enum form { FORM_TEXT, FORM_JSON };

/* A stream's text that waits for its turn. */
struct waiting {
    uint64_t order;
    char *text; /* owned */
};

struct options {
    enum form form;
    bool all;     /* streams without TLS too */
    bool summary; /* in place of the streams */
    long long stream;
    const char *html;
    const char *keylog;
    const char *interface;
    const char *filter;
    struct style style;
};

struct run {
    struct options options;
    struct summary *summary; /* owned */
    struct keylog *keylog;   /* owned */
    FILE *html;              /* owned */
    uint64_t html_streams;
    struct waiting *heap; /* owned; the smallest order first */
    size_t heap_count;
    uint64_t printed;
    uint64_t tls_streams;
    bool progress;
    uint64_t progress_ns;
    bool failed;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

/* --- order --- */

static void heap_swap(struct waiting *a, struct waiting *b) {
    struct waiting was = *a;
    *a = *b;
    *b = was;
}

static void heap_push(struct run *run, struct waiting item) {
    size_t at = run->heap_count++;
    run->heap[at] = item;
    while (at > 0 && run->heap[(at - 1) / 2].order > run->heap[at].order) {
        heap_swap(&run->heap[at], &run->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static struct waiting heap_pop(struct run *run) {
    struct waiting first = run->heap[0];
    run->heap[0] = run->heap[--run->heap_count];
    run->heap[run->heap_count].text = NULL;
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= run->heap_count) {
            break;
        }
        if (child + 1 < run->heap_count && run->heap[child + 1].order < run->heap[child].order) {
            child++;
        }
        if (run->heap[at].order <= run->heap[child].order) {
            break;
        }
        heap_swap(&run->heap[at], &run->heap[child]);
        at = child;
    }
    return first;
}

static void print_waiting(struct run *run) {
    const struct waiting item = heap_pop(run);
    if (run->options.form == FORM_JSON) {
        fputs(run->printed > 0 ? ",\n" : "\n", stdout);
    }
    fputs(item.text, stdout);
    run->printed++;
    free(item.text);
}

/* --- streams --- */

static void stream_render(struct run *run, const struct inspected *inspected) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    if (!stream) {
        run->failed = true;
        return;
    }
    if (run->options.form == FORM_JSON) {
        inspect_print_json(inspected, stream);
    } else {
        inspect_print_text(inspected, &run->options.style, stream);
    }
    if (fclose(stream) != 0) {
        free(text);
        run->failed = true;
        return;
    }
    bool udp = inspected->stream->transport != STREAM_TCP;
    heap_push(run, (struct waiting){ (uint64_t)udp << 32 | inspected->stream->number, text });
    if (run->heap_count == ORDER_MAX || run->options.interface) {
        print_waiting(run);
    }
}

static bool stream_is_wanted(const struct run *run, const struct stream *stream) {
    if (run->options.stream != NO_STREAM) {
        return stream->transport == STREAM_TCP && stream->number == run->options.stream;
    }
    return stream->is_tls || run->options.all;
}

static void on_stream(void *context, const struct stream *stream) {
    struct run *run = context;
    struct inspected inspected = {
        .stream = stream,
        .judgement = verdict_of_stream(stream),
    };
    if (stream->handshake_count > 0) {
        inspected.finding_count =
            why_of(stream, &stream->handshakes[0], &inspected.judgement, inspected.findings);
    }
    run->tls_streams += stream->is_tls;
    if (!stream_is_wanted(run, stream)) {
        return;
    }
    summary_add(run->summary, &inspected);
    if (run->html && run->html_streams < HTML_STREAMS_MAX) {
        run->html_streams++;
        inspect_html_stream(&inspected, run->html);
    }
    if (!run->options.summary) {
        stream_render(run, &inspected);
    }
    if (run->options.interface) {
        fflush(stdout);
    }
}

/* --- packets --- */

static void progress(struct run *run, const struct source *source, const char *name) {
    uint64_t now_ns = clock_mono_ns();
    if (now_ns - run->progress_ns < PROGRESS_NS) {
        return;
    }
    run->progress_ns = now_ns;
    uint64_t size = 0;
    uint64_t at = source_position(source, &size);
    if (size > 0) {
        fputc('\r', stderr);
        inspect_print_name(name, stderr);
        fprintf(stderr, ": %llu %%  ", (unsigned long long)(100 * at / size));
    }
}

static void progress_end(const struct run *run) {
    if (run->progress && run->progress_ns > 0) {
        fputs("\r\033[K", stderr);
    }
}

/* Reads a source to its end. Returns 0, or -1 with err set; what was read counts anyway. */
static int run_source(struct run *run, struct source *source, struct inspect *inspect,
                      const char *name, struct err *err) {
    struct source_packet packet = { 0 };
    for (uint64_t count = 1;; count++) {
        if (interrupted && !source_interrupt(source)) {
            return run->options.interface ? 0 : err_set(err, "interrupted");
        }
        enum source_status status = source_next(source, &packet, err);
        switch (status) {
        case SOURCE_PACKET:
            inspect_packet(inspect, packet.link_type, packet.data, packet.wire_len, packet.time_ns);
            break;
        case SOURCE_SKIPPED:
            inspect_skip(inspect);
            break;
        case SOURCE_SECRETS:
            if (keylog_read(run->keylog, packet.data) != 0) {
                return err_set(err, "no memory for the embedded key log");
            }
            break;
        case SOURCE_IDLE:
            inspect_tick(inspect, clock_wall_ms() * NS_PER_MS);
            break;
        case SOURCE_END:
            return 0;
        case SOURCE_ERROR:
            if (!interrupted) {
                return -1;
            }
            err_clear(err); /* it cut a packet off */
            return 0;
        }
        if (run->progress && count % PROGRESS_PACKETS == 0) {
            progress(run, source, name);
        }
    }
}

static void print_json_head(const char *name) {
    printf("{\"schema\":\"reprise-inspect\",\"version\":%d,\"source\":", INSPECT_JSON_VERSION);
    inspect_print_json_text(name, stdout);
    fputs(",\"streams\":[", stdout);
}

static void print_json_tail(const struct run *run, const struct inspect_counts *counts,
                            const struct err *err) {
    printf("\n],\"packets\":%llu,\"tcp_streams\":%llu,\"udp_streams\":%llu,\"summary\":",
           (unsigned long long)counts->packets, (unsigned long long)counts->tcp_streams,
           (unsigned long long)counts->udp_streams);
    summary_print_json(run->summary, stdout);
    if (err->set) {
        fputs(",\"incomplete\":", stdout);
        inspect_print_json_text(err->text, stdout);
    }
    fputs("}\n", stdout);
}

static void print_tail(const struct run *run, const struct inspect_counts *counts) {
    if (run->options.summary) {
        summary_print(run->summary, &run->options.style, stdout);
    }
    printf("%llu packet%s, %llu TCP stream%s, %llu with TLS or DTLS\n",
           (unsigned long long)counts->packets, counts->packets == 1 ? "" : "s",
           (unsigned long long)counts->tcp_streams, counts->tcp_streams == 1 ? "" : "s",
           (unsigned long long)run->tls_streams);
    if (counts->unknown_link > 0) {
        printf("%llu packet%s of a link type that is not known\n",
               (unsigned long long)counts->unknown_link, counts->unknown_link == 1 ? "" : "s");
    }
}

static void tell(const char *name, const char *text) {
    fputs("reprise inspect: ", stderr);
    inspect_print_name(name, stderr);
    fputs(": ", stderr);
    inspect_print_name(text, stderr);
}

/* One capture from its source to its print. */
static int run_capture(struct run *run, struct source *source, const char *name) {
    struct err err = { 0 };
    const struct inspect_options options = {
        .keylog = run->keylog,
        .linger_s = run->options.interface ? LIVE_LINGER_S : 0,
        .step_ns = run->options.interface ? 0 : INSPECT_STEP_NS,
        .on_stream = on_stream,
        .context = run,
    };
    struct inspect *inspect = inspect_new(&options);
    run->summary = summary_new();
    if (!inspect || !run->summary) {
        fprintf(stderr, "reprise inspect: no memory\n");
        inspect_free(inspect);
        return CMD_FAILED;
    }
    if (run->options.form == FORM_JSON) {
        print_json_head(name);
    }
    int status = run_source(run, source, inspect, name, &err) == 0 ? CMD_OK : CMD_FAILED;
    inspect_finish(inspect);
    while (run->heap_count > 0) {
        print_waiting(run);
    }
    progress_end(run);
    struct inspect_counts counts = inspect_counts(inspect);
    if (run->options.form == FORM_JSON) {
        print_json_tail(run, &counts, &err);
    } else {
        print_tail(run, &counts);
    }
    if (status != CMD_OK) {
        fflush(stdout);
        tell(name, err.text);
        fprintf(stderr, " (after %llu packets)\n", (unsigned long long)counts.packets);
    }
    inspect_free(inspect);
    return run->failed ? CMD_FAILED : status;
}

static int html_open(struct run *run, const char *name) {
    if (!run->options.html) {
        return 0;
    }
    run->html = fopen(run->options.html, "we");
    if (!run->html) {
        fprintf(stderr, "reprise inspect: cannot write %s: %s\n", run->options.html,
                strerror(errno));
        return -1;
    }
    inspect_html_begin(name, run->html);
    return 0;
}

static int html_close(struct run *run) {
    if (!run->html) {
        return 0;
    }
    inspect_html_end(run->summary, run->html);
    bool bad = ferror(run->html) != 0;
    if (fclose(run->html) != 0 || bad) {
        fprintf(stderr, "reprise inspect: cannot write %s\n", run->options.html);
        return -1;
    }
    return 0;
}

static struct source *open_source(const struct options *options, const char *name) {
    struct err err = { 0 };
    struct source *source =
        options->interface ? source_open_live(name, &err) : source_open_file(name, &err);
    if (source && options->filter && source_set_filter(source, options->filter, &err) != 0) {
        source_close(source);
        source = NULL;
    }
    if (!source) {
        tell(name, err.text);
        fputc('\n', stderr);
    }
    return source;
}

/* All for one capture; each has its own streams, tickets and summary. */
static int inspect_one(const struct options *options, const char *name) {
    struct run run = { .options = *options };
    struct err err = { 0 };
    int status = CMD_FAILED;
    struct source *source = open_source(options, name);
    run.heap = malloc(ORDER_MAX * sizeof(*run.heap));
    run.keylog = keylog_new();
    run.progress = !options->interface && isatty(STDERR_FILENO);
    if (!source || !run.heap || !run.keylog) {
        goto done;
    }
    if (options->keylog && keylog_read_file(run.keylog, options->keylog, &err) != 0) {
        fprintf(stderr, "reprise inspect: %s\n", err.text);
        goto done;
    }
    if (html_open(&run, name) != 0) {
        goto done;
    }
    status = run_capture(&run, source, name);
    if (html_close(&run) != 0) {
        status = CMD_FAILED;
    }
done:
    source_close(source);
    summary_free(run.summary);
    keylog_free(run.keylog);
    free(run.heap);
    return status;
}

static void catch_interrupts(void) {
    struct sigaction action = { .sa_handler = on_interrupt };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* Returns 0, or what cmd_inspect returns. */
static int set_option(int option, struct options *options) {
    char *end = NULL;
    switch (option) {
    case 'i':
        options->interface = optarg;
        return 0;
    case 'f':
        options->filter = optarg;
        return 0;
    case 'k':
        options->keylog = optarg;
        return 0;
    case 's':
        errno = 0;
        options->stream = strtoll(optarg, &end, 10);
        if (errno || end == optarg || *end || options->stream < 0 || options->stream > UINT32_MAX) {
            return cmd_wrong_usage("inspect", "--stream takes a number, as tcp.stream has");
        }
        return 0;
    case 'j':
        options->form = FORM_JSON;
        return 0;
    case 'S':
        options->summary = true;
        return 0;
    case 'H':
        options->html = optarg;
        return 0;
    case 'a':
        options->all = true;
        return 0;
    case 'b':
        options->style.brief = true;
        return 0;
    default:
        return cmd_wrong_option("inspect");
    }
}

int cmd_inspect(int argc, char **argv) {
    static const struct option names[] = {
        { "interface", required_argument, NULL, 'i' },
        { "filter", required_argument, NULL, 'f' },
        { "keylog", required_argument, NULL, 'k' },
        { "stream", required_argument, NULL, 's' },
        { "json", no_argument, NULL, 'j' },
        { "summary", no_argument, NULL, 'S' },
        { "html", required_argument, NULL, 'H' },
        { "all", no_argument, NULL, 'a' },
        { "brief", no_argument, NULL, 'b' },
        { NULL, 0, NULL, 0 },
    };
    struct options options = { .stream = NO_STREAM };
    const char *no_color = getenv("NO_COLOR");
    options.style.color = isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
    for (int option; (option = getopt_long(argc, argv, "i:f:k:s:jab", names, NULL)) != -1;) {
        int status = set_option(option, &options);
        if (status != 0) {
            return status;
        }
    }
    int files = argc - optind;
    if (options.interface ? files != 0 : files == 0) {
        return cmd_wrong_usage("inspect", "expected files, or -i with an interface");
    }
    if (files > 1 && (options.form == FORM_JSON || options.html)) {
        return cmd_wrong_usage("inspect", "--json and --html take one file");
    }
    catch_interrupts();
    if (options.interface) {
        return inspect_one(&options, options.interface);
    }
    int status = CMD_OK;
    for (int i = optind; i < argc && !interrupted; i++) {
        if (files > 1) {
            fputs(i > optind ? "\n== " : "== ", stdout);
            inspect_print_name(argv[i], stdout);
            fputc('\n', stdout);
        }
        if (inspect_one(&options, argv[i]) != CMD_OK) {
            status = CMD_FAILED;
        }
    }
    return status;
}
