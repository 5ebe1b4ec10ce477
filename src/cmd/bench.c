/* bench.c: `reprise bench`: reads what load is wanted, runs it, in turns where targets are
 * compared, and has the others tell what came of it. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/bench.h"
#include "cmd/cmd.h"
#include "config/scalar.h"

#define DEFAULT_DURATION_MS 10000
#define DEFAULT_TURNS 5
#define PROGRESS_MAX 160

/* Options without a letter. */
enum {
    OPT_RESUME = 256,
    OPT_ABORT,
    OPT_IDLE,
    OPT_TIMEOUT,
    OPT_TLS,
    OPT_GROUPS,
    OPT_CIPHERS,
    OPT_ALPN,
    OPT_CA,
    OPT_NO_REQUEST,
    OPT_HTTP,
    OPT_PAYLOAD,
    OPT_CLOSE,
    OPT_SESSIONS,
    OPT_SESSION_LIFE,
    OPT_ACROSS,
    OPT_SOURCE,
    OPT_SERVER_PID,
    OPT_COMPARE,
    OPT_TURNS,
    OPT_HTML,
    OPT_MAX_OPEN,
};

static const struct option long_options[] = {
    { "kind", required_argument, NULL, 'k' },
    { "resume", required_argument, NULL, OPT_RESUME },
    { "abort", required_argument, NULL, OPT_ABORT },
    { "connections", required_argument, NULL, 'c' },
    { "rate", required_argument, NULL, 'r' },
    { "max-open", required_argument, NULL, OPT_MAX_OPEN },
    { "idle", required_argument, NULL, OPT_IDLE },
    { "duration", required_argument, NULL, 'd' },
    { "count", required_argument, NULL, 'n' },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "workers", required_argument, NULL, 'w' },
    { "tls", required_argument, NULL, OPT_TLS },
    { "groups", required_argument, NULL, OPT_GROUPS },
    { "ciphers", required_argument, NULL, OPT_CIPHERS },
    { "alpn", required_argument, NULL, OPT_ALPN },
    { "sni", required_argument, NULL, 's' },
    { "ca", required_argument, NULL, OPT_CA },
    { "no-request", no_argument, NULL, OPT_NO_REQUEST },
    { "http", required_argument, NULL, OPT_HTTP },
    { "payload", required_argument, NULL, OPT_PAYLOAD },
    { "close", required_argument, NULL, OPT_CLOSE },
    { "sessions", required_argument, NULL, OPT_SESSIONS },
    { "session-life", required_argument, NULL, OPT_SESSION_LIFE },
    { "across", no_argument, NULL, OPT_ACROSS },
    { "source", required_argument, NULL, OPT_SOURCE },
    { "server-pid", required_argument, NULL, OPT_SERVER_PID },
    { "compare", no_argument, NULL, OPT_COMPARE },
    { "turns", required_argument, NULL, OPT_TURNS },
    { "json", no_argument, NULL, 'j' },
    { "html", required_argument, NULL, OPT_HTML },
    { NULL, 0, NULL, 0 },
};

/* --- options ------------------------------------------------------------------ */

static int read_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
                       struct err *err) {
    if (scalar_number(text, value) != 0 || *value < min || *value > max) {
        return err_set(err, "'%s': expected a number from %" PRIu64 " to %" PRIu64, text, min, max);
    }
    return 0;
}

static int read_unsigned(const char *text, uint64_t min, uint64_t max, unsigned *value,
                         struct err *err) {
    uint64_t number = 0;
    int rc = read_number(text, min, max, &number, err);
    *value = (unsigned)number;
    return rc;
}

static int read_duration(const char *text, uint64_t *ms, struct err *err) {
    if (scalar_duration_ms(text, ms) != 0 || *ms == 0) {
        return err_set(err, "'%s': expected a duration, such as 500ms, 10s or 2h", text);
    }
    return 0;
}

static int read_rate(const char *text, double *rate, struct err *err) {
    char *end = NULL;
    *rate = strtod(text, &end);
    if (end == text || *end != '\0' || !(*rate > 0 && *rate <= 1e7)) {
        return err_set(err, "'%s': expected connections a second", text);
    }
    return 0;
}

static int read_tls(const char *text, uint16_t *tls, struct err *err) {
    *tls = strcmp(text, "1.2") == 0 ? 0x0303 : strcmp(text, "1.3") == 0 ? 0x0304 : 0;
    return *tls != 0 ? 0 : err_set(err, "'%s': expected 1.2 or 1.3", text);
}

static int read_timeout(const char *text, unsigned *ms, struct err *err) {
    uint64_t value = 0;
    if (read_duration(text, &value, err) != 0 || value > 86400000) {
        return err_set(err, "'%s': expected at most a day", text);
    }
    *ms = (unsigned)value;
    return 0;
}

/* What a connection is and how many there are. Returns 1 for what is not among these. */
static int read_load_option(struct load_options *o, int option, const char *text, struct err *err) {
    switch (option) {
    case 'k':
        return load_read_kinds(o, text, err);
    case OPT_RESUME:
        return load_read_share(text, &o->resume, err);
    case OPT_ABORT:
        return load_read_abort(o, text, err);
    case 'c':
        return read_unsigned(text, 1, 1000000, &o->connections, err);
    case 'r':
        return read_rate(text, &o->rate, err);
    case OPT_MAX_OPEN:
        return read_unsigned(text, 1, 1000000, &o->max_open, err);
    case OPT_IDLE:
        return read_unsigned(text, 1, 10000000, &o->idle, err);
    case 'd':
        return read_duration(text, &o->duration_ms, err);
    case 'n':
        return read_number(text, 1, UINT64_MAX >> 1, &o->count, err);
    case OPT_TIMEOUT:
        return read_timeout(text, &o->timeout_ms, err);
    case 'w':
        return read_unsigned(text, 1, LOAD_WORKERS_MAX, &o->workers, err);
    case OPT_SESSIONS:
        return read_unsigned(text, 1, 1000000, &o->sessions, err);
    case OPT_SESSION_LIFE:
        return read_duration(text, &o->session_life_ms, err);
    case OPT_ACROSS:
        o->across = true;
        return 0;
    default:
        return 1;
    }
}

/* What is said on a connection. Returns 1 for what is not among these. */
static int read_talk_option(struct load_options *o, int option, const char *text, struct err *err) {
    switch (option) {
    case OPT_TLS:
        return read_tls(text, &o->tls, err);
    case OPT_GROUPS:
        o->groups = text;
        return 0;
    case OPT_CIPHERS:
        o->ciphers = text;
        return 0;
    case OPT_ALPN:
        return load_read_alpn(o, text, err);
    case 's':
        return load_read_names(o, text, err);
    case OPT_CA:
        o->ca_file = text;
        return 0;
    case OPT_NO_REQUEST:
        o->ask = LOAD_ASK_NOTHING;
        return 0;
    case OPT_HTTP:
        o->ask = LOAD_ASK_HTTP;
        o->path = text;
        return 0;
    case OPT_PAYLOAD:
        return load_read_payload(o, text, err);
    case OPT_CLOSE:
        return load_read_close(o, text, err);
    case OPT_SOURCE:
        return load_read_sources(o, text, err);
    default:
        return 1;
    }
}

static int read_option(struct bench *bench, int option, const char *text, struct err *err) {
    unsigned pid = 0;
    switch (option) {
    case OPT_SERVER_PID:
        if (read_unsigned(text, 1, INT32_MAX, &pid, err) != 0) {
            return -1;
        }
        bench->options.server_pid = (int)pid;
        return 0;
    case OPT_COMPARE:
        bench->compare = true;
        return 0;
    case OPT_TURNS:
        return read_unsigned(text, 1, BENCH_TURNS_MAX, &bench->turns, err);
    case 'j':
        bench->json = true;
        return 0;
    case OPT_HTML:
        bench->html = text;
        return 0;
    default:
        break;
    }
    int rc = read_load_option(&bench->options, option, text, err);
    return rc == 1 ? read_talk_option(&bench->options, option, text, err) : rc;
}

/* --- targets ------------------------------------------------------------------- */

/* The name of HOST:PORT is what the server is asked for, unless it is an address. */
static int name_of_target(struct load_options *options, const char *text, struct err *err) {
    struct sockaddr_storage addr;
    socklen_t len = 0;
    if (options->name_count > 0 || scalar_address(text, &addr, &len) == 0) {
        return 0;
    }
    char host[SCALAR_ADDRESS_MAX * 4];
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, ":"), text);
    return load_read_names(options, host, err);
}

/* NAME=HOST:PORT[,pid=N], for --compare. `text` is written over. */
static int add_compared(struct bench *bench, char *text, struct err *err) {
    struct bench_target *target = &bench->targets[bench->target_count];
    char *address = strchr(text, '=');
    unsigned pid = 0;
    if (bench->target_count == BENCH_TARGETS_MAX) {
        return err_set(err, "more than %d targets", BENCH_TARGETS_MAX);
    }
    if (!address || address == text) {
        return err_set(err, "'%s': expected NAME=HOST:PORT[,pid=N]", text);
    }
    *address++ = '\0';
    target->name = text;
    target->options = bench->options;
    target->options.target_count = 0;
    char *more = strchr(address, ',');
    if (more) {
        *more++ = '\0';
        if (strncmp(more, "pid=", 4) != 0 ||
            read_unsigned(more + 4, 1, INT32_MAX, &pid, err) != 0) {
            return err_set(err, "'%s': expected pid=N", more);
        }
        target->options.server_pid = (int)pid;
    }
    bench->target_count++; /* from here on it is freed with the others */
    if (load_read_target(&target->options, address, err) != 0 ||
        name_of_target(&target->options, address, err) != 0) {
        return -1;
    }
    return load_options_check(&target->options, err);
}

static int add_targets(struct bench *bench, int count, char **texts, struct err *err) {
    if (count == 0) {
        return err_set(err, "expected %s", bench->compare ? "NAME=HOST:PORT" : "HOST:PORT");
    }
    for (int i = 0; i < count; i++) {
        int rc = bench->compare ? add_compared(bench, texts[i], err)
                                : load_read_target(&bench->options, texts[i], err);
        if (rc != 0) {
            return -1;
        }
    }
    if (bench->compare) {
        return 0;
    }
    if (name_of_target(&bench->options, texts[0], err) != 0 ||
        load_options_check(&bench->options, err) != 0) {
        return -1;
    }
    bench->targets[0] = (struct bench_target){ .name = texts[0], .options = bench->options };
    bench->target_count = 1;
    return 0;
}

/* What follows from what was given, and from what was not. */
static void complete(struct bench *bench) {
    struct load_options *o = &bench->options;
    bool any = false;
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        any |= o->kinds[kind];
    }
    o->kinds[LOAD_FULL] |= !any;
    if (o->duration_ms == 0 && o->count == 0) {
        o->duration_ms = DEFAULT_DURATION_MS;
    }
    if (o->workers > o->connections && o->rate <= 0 && o->idle == 0) {
        o->workers = o->connections;
    }
    if (bench->turns == 0) {
        bench->turns = bench->compare ? DEFAULT_TURNS : 1;
    }
    if (!bench->compare) {
        bench->turns = 1;
    }
}

/* --- running ------------------------------------------------------------------- */

struct progress {
    const char *name;
    unsigned turn;
    struct load_sample last;
};

/* A line that is written over, on a terminal only. */
static void on_sample(void *ctx, const struct load_sample *now) {
    struct progress *p = ctx;
    double seconds = (double)(now->at_ns - p->last.at_ns) / 1e9;
    uint64_t ended = now->done + now->aborted - p->last.done - p->last.aborted;
    fprintf(stderr, "\r\033[K%s%s %.1f s  %" PRIu64 " done  %.0f/s  %" PRIu64 " failed", p->name,
            p->turn > 0 ? "" : ":", (double)now->at_ns / 1e9, now->done + now->aborted,
            seconds > 0 ? (double)ended / seconds : 0, now->failed);
    if (now->held > 0) {
        fprintf(stderr, "  %" PRIu64 " held", now->held);
    }
    p->last = *now;
}

static int run_turn(struct bench *bench, struct bench_target *target, struct err *err) {
    struct progress progress = { .name = target->name };
    struct load_watch watch = { .on_sample = on_sample, .ctx = &progress };
    bool shows = isatty(STDERR_FILENO);
    int rc =
        load_run(&target->options, shows ? &watch : NULL, &target->results[bench->turns_done], err);
    if (shows) {
        fputs("\r\033[K", stderr);
    }
    return rc;
}

/* Forgets what the first `count` targets have of a turn that was not finished. */
static void drop_turn(struct bench *bench, size_t count) {
    for (size_t i = 0; i < count; i++) {
        load_result_free(&bench->targets[i].results[bench->turns_done]);
    }
}

/* One turn of each target. Returns 1 when it was interrupted. */
static int run_round(struct bench *bench, struct err *err) {
    for (size_t i = 0; i < bench->target_count; i++) {
        struct bench_target *target = &bench->targets[i];
        if (run_turn(bench, target, err) != 0) {
            drop_turn(bench, i);
            return -1;
        }
        if (target->results[bench->turns_done].interrupted) {
            /* Only a turn of all can be compared. */
            if (i + 1 < bench->target_count) {
                drop_turn(bench, i + 1);
            } else {
                bench->turns_done++;
            }
            return 1;
        }
    }
    bench->turns_done++;
    return 0;
}

/* A B C, A B C, ... What is whole is told, however it ended. */
static int run_all(struct bench *bench, struct err *err) {
    int rc = 0;
    while (rc == 0 && bench->turns_done < bench->turns) {
        rc = run_round(bench, err);
    }
    return rc < 0 ? -1 : 0;
}

static bool any_failed(const struct bench *bench) {
    for (size_t i = 0; i < bench->target_count; i++) {
        for (unsigned turn = 0; turn < bench->turns_done; turn++) {
            if (load_row_failed(bench->targets[i].results[turn].row) > 0) {
                return true;
            }
        }
    }
    return false;
}

static int write_html(const struct bench *bench) {
    FILE *stream = fopen(bench->html, "we");
    if (!stream) {
        fprintf(stderr, "reprise bench: cannot write %s: %s\n", bench->html, strerror(errno));
        return CMD_FAILED;
    }
    bench_print_html(bench, stream);
    bool bad = ferror(stream) != 0;
    if (fclose(stream) != 0 || bad) {
        fprintf(stderr, "reprise bench: cannot write %s\n", bench->html);
        return CMD_FAILED;
    }
    return CMD_OK;
}

static int run_and_tell(struct bench *bench) {
    struct err err = { 0 };
    int status = CMD_OK;
    if (run_all(bench, &err) != 0) {
        fprintf(stderr, "reprise bench: %s\n", err.text);
        status = CMD_FAILED;
    }
    if (bench->turns_done == 0) {
        return CMD_FAILED;
    }
    if (bench->json) {
        bench_print_json(bench, stdout);
    } else {
        bench_print_text(bench, stdout);
    }
    if (bench->html && write_html(bench) != CMD_OK) {
        status = CMD_FAILED;
    }
    return any_failed(bench) ? CMD_FAILED : status;
}

static int bench_read(struct bench *bench, int argc, char **argv) {
    struct err err = { 0 };
    for (int option;
         (option = getopt_long(argc, argv, "k:c:r:d:n:w:s:j", long_options, NULL)) != -1;) {
        if (option == '?') {
            return cmd_wrong_option("bench");
        }
        if (read_option(bench, option, optarg, &err) != 0) {
            return cmd_wrong_usage("bench", "%s", err.text);
        }
    }
    complete(bench);
    if (add_targets(bench, argc - optind, argv + optind, &err) != 0) {
        return cmd_wrong_usage("bench", "%s", err.text);
    }
    return CMD_OK;
}

int cmd_bench(int argc, char **argv) {
    struct bench bench = { .targets = calloc(BENCH_TARGETS_MAX, sizeof(*bench.targets)) };
    load_options_init(&bench.options);
    int status = bench.targets ? bench_read(&bench, argc, argv) : CMD_FAILED;
    if (status == CMD_OK) {
        status = run_and_tell(&bench);
    }
    for (size_t i = 0; bench.targets && i < bench.target_count; i++) {
        for (unsigned turn = 0; turn < bench.turns_done; turn++) {
            load_result_free(&bench.targets[i].results[turn]);
        }
        if (bench.targets[i].options.names != bench.options.names) {
            load_free_names(&bench.targets[i].options);
        }
    }
    free(bench.targets);
    load_options_free(&bench.options);
    return status;
}
