/* act.h: the acts of the lab: one table of what is played, what there is to see, and how it must
 * come out.
 *
 * Acts of one scene share a terminator, a configuration and a capture file, and are played in
 * order: whoever wants the second one gets the first one played before it.
 */
#ifndef REPRISE_LAB_ACT_H
#define REPRISE_LAB_ACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/verdict.h"
#include "reason/reason.h"

#define LAB_NAME "www.example.com"
#define LAB_OTHER_NAME "shop.example.com"
#define LAB_PROFILE "lab"
#define LAB_STEPS_MAX 4

enum lab_fact {
#define FACT(id, word, text) FACT_##id,
#include "lab/fact.def"
#undef FACT
    FACT_COUNT
};

/* A set of facts. */
#define LAB_FACT(id) (1ull << FACT_##id)

enum lab_verb {
    LAB_END,        /* ends an act's steps */
    LAB_VISIT,      /* a connection: see LAB_VISIT_* */
    LAB_WAIT_S,     /* lets `count` seconds go by */
    LAB_WAIT_WIPED, /* waits until the key of the kept session's ticket is wiped */
    LAB_CTL,        /* `reprise ctl TEXT` */
};

/* What a connection is like. */
enum {
    LAB_VISIT_OFFER = 1 << 0,      /* offers the session that was kept last */
    LAB_VISIT_KEEP = 1 << 1,       /* keeps the session that it is given */
    LAB_VISIT_OTHER_NAME = 1 << 2, /* asks for LAB_OTHER_NAME */
    LAB_VISIT_LEGACY = 1 << 3,     /* asks to renegotiate, without RFC 5746 */
    LAB_VISIT_SECURE = 1 << 4,     /* asks to renegotiate, with it */
};

struct lab_step {
    enum lab_verb verb;
    unsigned visit; /* LAB_VISIT_* */
    unsigned count;
    const char *text;
};

struct lab_scene {
    const char *name;
    const char *title;
    const char *file; /* of the capture; its secrets are in FILE.keys */
    uint16_t version; /* 0x0303 or 0x0304 */
    bool cache;
    bool tickets;
    unsigned ticket_timeout_s; /* 0: the default */
    unsigned key_life_s;       /* encrypt-for and decrypt-for; 0: the default */
};

/* What the log's line of the act's last connection must have; null: not looked at, "": the line
 * has no such field. */
struct lab_expected_log {
    const char *handshake;
    const char *offered;
    const char *by;
    const char *reason;
    const char *issued;
    const char *close;
};

struct lab_act {
    const char *name;
    const char *title;
    const char *see; /* paragraphs, in the article's words where it has them */
    unsigned scene;  /* index into lab_scenes */
    struct lab_step steps[LAB_STEPS_MAX + 1];
    enum verdict verdict;
    enum reason why; /* a finding of inspect's; REASON_RESUMED: none is asked for */
    uint64_t facts;  /* LAB_FACT() of those that must hold */
    struct lab_expected_log log;
};

extern const struct lab_scene lab_scenes[];
extern const size_t lab_scene_count;

/* Act number N is lab_acts[N - 1]. */
extern const struct lab_act lab_acts[];
extern const size_t lab_act_count;

#define LAB_ACTS_MAX 32 /* there are not more: numbers make a set in an uint32_t */

/* How many connections the act makes; the last one is the one that is looked at. */
unsigned lab_act_visits(const struct lab_act *act);

/* The tcp.stream of the act's last connection in its scene's capture. */
uint32_t lab_act_stream(const struct lab_act *act);

/* The act's last connection. */
const struct lab_step *lab_act_last(const struct lab_act *act);

const char *lab_fact_word(enum lab_fact fact);
const char *lab_fact_text(enum lab_fact fact);

#endif
