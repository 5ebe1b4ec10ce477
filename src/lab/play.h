/* play.h: plays acts: for each scene a terminator and a capture, for each act its connections,
 * then the measuring, and then what the capture and the log say of it.
 */
#ifndef REPRISE_LAB_PLAY_H
#define REPRISE_LAB_PLAY_H

#include "capture/why.h"
#include "lab/check.h"
#include "lab/net.h"
#include "lab/record.h"

#define LAB_REPEAT_MAX 100000

/* The CPU time that one connection cost, in microseconds. */
struct lab_cost {
    double terminator_us;
    double client_us;
};

struct lab_result {
    unsigned number; /* of the act, from 1 */
    const struct lab_act *act;
    const struct lab_scene *scene;
    const char *error; /* null; or why it could not be played: then nothing below counts */
    const char *path;  /* of the capture; null when it is not kept */
    enum lab_record record;
    const struct stream *stream; /* null: not in the capture */
    struct judgement judgement;
    unsigned finding_count;
    struct finding findings[WHY_MAX];
    const char *log_line; /* null: none */
    unsigned check_count;
    struct lab_check checks[LAB_CHECKS_MAX];
    bool good;
    unsigned repeated;         /* connections that each cost is of; 0: not measured */
    struct lab_cost full;      /* a new session's */
    struct lab_cost this_kind; /* one as the act's last connection */
};

struct lab_options {
    uint32_t acts; /* a bit for each: 1 << (number - 1) */
    enum lab_record record;
    enum lab_topology topology;
    unsigned repeat;  /* connections that are measured, of each kind; 0: none */
    const char *keep; /* folder for captures and secrets; null: they go with the rest */
    /* Before the act's result is there; may be null. */
    void (*on_begin)(void *context, unsigned number, const char *what);
    /* The result, borrowed for the call, in order. */
    void (*on_result)(void *context, const struct lab_result *result);
    void *context;
};

/* Plays them. Returns how many acts were not as they should be; or -1 with err set when the
 * stage could not be set. Nothing is left running, and no folder but `keep`. */
int lab_play(const struct lab_options *options, struct err *err);

#endif
