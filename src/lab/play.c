/* play.c: see play.h. */
#include "lab/play.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "capture/inspect.h"
#include "capture/keylog.h"
#include "capture/source.h"
#include "lab/stage.h"
#include "lab/visit.h"
#include "lab/wait.h"

#define ANSWER_MAX 16384
#define WIPED_S 15 /* how long a key of one second may be waited for */
#define WIPED_LOOK_MS 100
#define MEASURE_BLOCKS 10u /* connections are measured in so many parts */

/* What is known of an act once it was played. */
struct played {
    bool done;
    char line[STAGE_LINE_MAX];
    char error[ERR_TEXT_MAX]; /* empty: none */
    struct lab_cost full;
    struct lab_cost this_kind;
    unsigned repeated;
};

struct play {
    const struct lab_options *options;
    const struct lab_scene *scene;
    unsigned scene_index;
    struct stage stage;
    struct visitor *visitor;   /* owned */
    struct recorder *recorder; /* owned; of the scene */
    enum lab_record record;
    char path[STAGE_PATH_MAX];            /* of the capture */
    char keys_path[STAGE_PATH_MAX];       /* */
    char key[2 * TOKEN_KEY_NAME_LEN + 1]; /* the last ticket's, as the log told it */
    struct played played[LAB_ACTS_MAX];
    int bad;
};

static bool is_wanted(const struct play *play, size_t act) {
    return play->options->acts >> act & 1;
}

static void tell(const struct play *play, size_t act, const char *what) {
    if (play->options->on_begin) {
        play->options->on_begin(play->options->context, (unsigned)act + 1, what);
    }
}

/* --- steps --- */

static struct visit make_visit(const struct play *play, unsigned flags) {
    return (struct visit){
        .to = play->stage.recorded,
        .name = flags & LAB_VISIT_OTHER_NAME ? LAB_OTHER_NAME : LAB_NAME,
        .offer = flags & LAB_VISIT_OFFER ? play->visitor->session : NULL,
        .keep = (flags & LAB_VISIT_KEEP) != 0,
        .renegotiate = (flags & (LAB_VISIT_LEGACY | LAB_VISIT_SECURE)) != 0,
        .renegotiation = flags & LAB_VISIT_SECURE ? TLS_LAB_SECURE : TLS_LAB_LEGACY,
        .recorder = play->recorder,
    };
}

static int step_visit(struct play *play, const struct lab_step *step, struct played *played,
                      struct err *err) {
    struct sockaddr_in client;
    struct visit visit = make_visit(play, step->visit);
    /* Keeping a session lets go of the one that is offered. */
    SSL_SESSION *offer = visit.offer ? tls_client_session_ref(visit.offer) : NULL;
    int rc = visitor_visit(play->visitor, &visit, &client, err);
    tls_client_session_free(offer);
    if (rc != 0 || stage_line(&play->stage, &client, played->line, err) != 0) {
        return -1;
    }
    lab_log_field(played->line, "ticket-key", play->key, sizeof(play->key));
    return 0;
}

/* A key that is wiped is listed for some time, with its state behind its name. */
static bool key_is_wiped(const char *list, const char *key) {
    const char *at = strstr(list, key);
    return !at || strncmp(at + strlen(key), "  wiped", 7) == 0;
}

static int step_wait_wiped(struct play *play, struct err *err) {
    char list[ANSWER_MAX];
    uint64_t deadline_ns = lab_deadline(WIPED_S);
    do {
        if (stage_ctl(&play->stage, "keys", list, sizeof(list), err) != 0) {
            return -1;
        }
        if (play->key[0] && key_is_wiped(list, play->key)) {
            return 0;
        }
    } while (lab_nap(WIPED_LOOK_MS, deadline_ns));
    return err_set(err, "the ticket's key is not wiped after %d s", WIPED_S);
}

static int step_play(struct play *play, const struct lab_step *step, struct played *played,
                     struct err *err) {
    char answer[ANSWER_MAX];
    switch (step->verb) {
    case LAB_VISIT:
        return step_visit(play, step, played, err);
    case LAB_WAIT_S:
        return lab_nap(step->count * (unsigned)MS_PER_S, lab_deadline(step->count + 1))
                   ? 0
                   : err_set(err, "interrupted");
    case LAB_WAIT_WIPED:
        return step_wait_wiped(play, err);
    case LAB_CTL:
        return stage_ctl(&play->stage, step->text, answer, sizeof(answer), err);
    case LAB_END:
        break;
    }
    return 0;
}

/* --- measuring --- */

static uint64_t own_cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* The costs of one block after another, from which the median is taken: what else the machine
 * does then counts little. */
struct costs {
    double terminator_us[MEASURE_BLOCKS];
    double client_us[MEASURE_BLOCKS];
    unsigned count;
};

static int compare_costs(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct lab_cost costs_median(struct costs *costs) {
    qsort(costs->terminator_us, costs->count, sizeof(double), compare_costs);
    qsort(costs->client_us, costs->count, sizeof(double), compare_costs);
    return (struct lab_cost){ costs->terminator_us[costs->count / 2],
                              costs->client_us[costs->count / 2] };
}

/* Makes `size` connections that are not recorded, after one that is not counted. */
static int measure_block(struct play *play, const struct visit *visit, unsigned size,
                         struct costs *costs, struct err *err) {
    struct sockaddr_in client;
    uint64_t terminator_ns = 0;
    uint64_t client_ns = 0;
    for (unsigned i = 0; i <= size; i++) {
        if (visitor_visit(play->visitor, visit, &client, err) != 0) {
            return -1;
        }
        if (i == 0) {
            terminator_ns = stage_cpu_ns(&play->stage);
            client_ns = own_cpu_ns();
        }
    }
    terminator_ns = stage_cpu_ns(&play->stage) - terminator_ns;
    client_ns = own_cpu_ns() - client_ns;
    costs->terminator_us[costs->count] = (double)terminator_ns / 1e3 / size;
    costs->client_us[costs->count++] = (double)client_ns / 1e3 / size;
    return 0;
}

/* New sessions and connections as the act's last one, which offered `offer`, in turns. */
static int act_measure(struct play *play, const struct lab_act *act, SSL_SESSION *offer,
                       struct played *played, struct err *err) {
    unsigned flags = lab_act_last(act)->visit & ~(unsigned)LAB_VISIT_KEEP;
    struct visit visits[2] = { make_visit(play, 0), make_visit(play, flags) };
    struct costs costs[2] = { 0 };
    unsigned kinds = flags == 0 ? 1 : 2;
    unsigned repeat = play->options->repeat;
    unsigned blocks = repeat < MEASURE_BLOCKS ? repeat : MEASURE_BLOCKS;
    FILE *keys = play->visitor->key_log;
    int rc = 0;
    visits[1].offer = offer;
    play->visitor->key_log = NULL;
    for (unsigned i = 0; i < blocks * kinds && rc == 0; i++) {
        struct visit *visit = &visits[i % kinds];
        visit->to = play->stage.measured;
        visit->recorder = NULL;
        rc = measure_block(play, visit, repeat / blocks, &costs[i % kinds], err);
    }
    play->visitor->key_log = keys;
    if (rc == 0 && blocks > 0) {
        played->full = costs_median(&costs[0]);
        played->this_kind = kinds == 2 ? costs_median(&costs[1]) : played->full;
        played->repeated = repeat / blocks * blocks;
    }
    return rc;
}

/* --- acts --- */

static int act_play(struct play *play, size_t index, struct err *err) {
    const struct lab_act *act = &lab_acts[index];
    const struct lab_step *last = lab_act_last(act);
    struct played *played = &play->played[index];
    SSL_SESSION *offer = NULL; /* by the last connection */
    int rc = 0;
    tell(play, index, "connections");
    for (const struct lab_step *step = act->steps; step->verb != LAB_END && rc == 0; step++) {
        if (step == last && (step->visit & LAB_VISIT_OFFER) && play->visitor->session) {
            offer = tls_client_session_ref(play->visitor->session);
        } else if (step == last && (step->visit & LAB_VISIT_OFFER)) {
            rc = err_set(err, "the client was given no session to offer");
            break;
        }
        rc = step_play(play, step, played, err);
    }
    if (rc == 0 && is_wanted(play, index)) {
        tell(play, index, "measuring");
        rc = act_measure(play, act, offer, played, err);
    }
    tls_client_session_free(offer);
    played->done = rc == 0;
    return rc;
}

/* --- results --- */

/* What reading the capture for one act needs. */
struct reading {
    struct play *play;
    struct lab_result *result;
    uint32_t stream;
};

static void hand_out(struct play *play, struct lab_result *result) {
    const struct lab_seen seen = { .stream = result->stream,
                                   .judgement = result->judgement,
                                   .findings = result->findings,
                                   .finding_count = result->finding_count,
                                   .log_line = result->log_line };
    if (!result->error) {
        result->check_count = lab_check(result->act, &seen, result->checks);
        result->good = lab_checks_good(result->checks, result->check_count);
    }
    play->bad += !result->good;
    play->options->on_result(play->options->context, result);
}

static void on_stream(void *context, const struct stream *stream) {
    struct reading *reading = context;
    struct lab_result *result = reading->result;
    if (stream->transport != STREAM_TCP || stream->number != reading->stream || result->stream) {
        return;
    }
    result->stream = stream;
    result->judgement = verdict_of_stream(stream);
    if (stream->handshake_count > 0) {
        result->finding_count =
            why_of(stream, &stream->handshakes[0], &result->judgement, result->findings);
    }
    hand_out(reading->play, result);
}

/* Runs the engine of `reprise inspect` over the capture; on_stream does the rest. */
static int read_capture(struct reading *reading, struct err *err) {
    const struct play *play = reading->play;
    struct keylog *keylog = keylog_new();
    struct source *source = source_open_file(play->path, err);
    const struct inspect_options options = { .keylog = keylog,
                                             .on_stream = on_stream,
                                             .context = reading };
    struct inspect *inspect = inspect_new(&options);
    int rc = -1;
    if (keylog && inspect && source && keylog_read_file(keylog, play->keys_path, err) == 0) {
        struct source_packet packet = { 0 };
        while (source_next(source, &packet, err) == SOURCE_PACKET) {
            inspect_packet(inspect, packet.link_type, packet.data, packet.wire_len, packet.time_ns);
        }
        rc = err->set ? -1 : 0;
        inspect_finish(inspect);
    }
    inspect_free(inspect);
    source_close(source);
    keylog_free(keylog);
    return rc;
}

static void act_result(struct play *play, size_t index, const char *scene_error) {
    const struct played *played = &play->played[index];
    struct err err = { 0 };
    struct lab_result result = {
        .number = (unsigned)index + 1,
        .act = &lab_acts[index],
        .scene = play->scene,
        .path = play->options->keep ? play->path : NULL,
        .record = play->record,
        .log_line = played->line[0] ? played->line : NULL,
        .repeated = played->repeated,
        .full = played->full,
        .this_kind = played->this_kind,
        .error = played->done ? NULL : scene_error,
    };
    struct reading reading = { play, &result, lab_act_stream(&lab_acts[index]) };
    if (result.error) {
        hand_out(play, &result);
        return;
    }
    (void)read_capture(&reading, &err);
    if (!result.stream) { /* was not handed out */
        result.error = err.set ? err.text : NULL;
        hand_out(play, &result);
    }
}

/* --- scenes --- */

/* The index behind the last act of the scene that is wanted; 0: none is. */
static size_t scene_end(const struct play *play) {
    size_t end = 0;
    for (size_t i = 0; i < lab_act_count; i++) {
        end = lab_acts[i].scene == play->scene_index && is_wanted(play, i) ? i + 1 : end;
    }
    return end;
}

static void scene_paths(struct play *play) {
    char keys[128];
    snprintf(keys, sizeof(keys), "%s.keys", play->scene->file);
    if (play->options->keep) {
        snprintf(play->path, sizeof(play->path), "%s/%s", play->options->keep, play->scene->file);
        snprintf(play->keys_path, sizeof(play->keys_path), "%s/%s", play->options->keep, keys);
    } else {
        stage_path(&play->stage, play->scene->file, play->path);
        stage_path(&play->stage, keys, play->keys_path);
    }
}

/* Starts what the scene needs. */
static int scene_begin(struct play *play, struct err *err) {
    if (stage_start(&play->stage, play->scene, err) != 0 ||
        visitor_init(play->visitor, play->scene->version, err) != 0) {
        return -1;
    }
    play->visitor->key_log = fopen(play->keys_path, "we");
    if (!play->visitor->key_log) {
        return err_set_errno(err, errno, "cannot write '%s'", play->keys_path);
    }
    play->recorder = recorder_open(play->path, play->options->record, play->stage.net.interface,
                                   &play->stage.recorded, err);
    if (!play->recorder) {
        return -1;
    }
    play->record = recorder_kind(play->recorder);
    return 0;
}

static int scene_finish(struct play *play, struct err *err) {
    int rc = recorder_close(play->recorder, err);
    play->recorder = NULL;
    if (play->visitor->key_log && fclose(play->visitor->key_log) != 0) {
        rc = err_set(err, "cannot write '%s'", play->keys_path);
    }
    play->visitor->key_log = NULL;
    if (play->visitor->ctx) {
        visitor_fini(play->visitor);
    }
    stage_stop(&play->stage);
    return rc;
}

static void scene_play(struct play *play, size_t end) {
    struct err err = { 0 };
    bool began = false;
    scene_paths(play);
    memset(play->visitor, 0, sizeof(*play->visitor));
    for (size_t i = 0; i < end && !err.set; i++) {
        if (lab_acts[i].scene != play->scene_index) {
            continue;
        }
        tell(play, i, "the terminator");
        if ((began || scene_begin(play, &err) == 0) && !lab_interrupted()) {
            began = true;
            (void)act_play(play, i, &err);
        }
    }
    (void)scene_finish(play, &err);
    for (size_t i = 0; i < end && !lab_interrupted(); i++) {
        if (lab_acts[i].scene == play->scene_index && is_wanted(play, i)) {
            act_result(play, i, err.set ? err.text : "the scene was not played");
        }
    }
}

static int make_keep(const char *path, struct err *err) {
    return mkdir(path, 0755) == 0 || errno == EEXIST
               ? 0
               : err_set_errno(err, errno, "cannot make the folder '%s'", path);
}

int lab_play(const struct lab_options *options, struct err *err) {
    struct play *play = calloc(1, sizeof(*play));
    int rc = -1;
    if (play) {
        play->options = options;
        play->visitor = calloc(1, sizeof(*play->visitor));
    }
    if (!play || !play->visitor) {
        err_set(err, "no memory");
        goto done;
    }
    rc = options->keep ? make_keep(options->keep, err) : 0;
    if (rc == 0) {
        rc = stage_open(&play->stage, options->topology, err);
        for (unsigned i = 0; rc == 0 && i < lab_scene_count && !lab_interrupted(); i++) {
            play->scene = &lab_scenes[i];
            play->scene_index = i;
            size_t end = scene_end(play);
            if (end > 0) {
                scene_play(play, end);
            }
        }
        stage_close(&play->stage);
    }
    if (rc == 0 && lab_interrupted()) {
        rc = err_set(err, "interrupted");
    }
    rc = rc == 0 ? play->bad : rc;
done:
    if (play) {
        free(play->visitor);
    }
    free(play);
    return rc;
}
