/* check.h: is an act as it should be? From what the packets show and what the terminator's log
 * says; pure functions.
 */
#ifndef REPRISE_LAB_CHECK_H
#define REPRISE_LAB_CHECK_H

#include "capture/why.h"
#include "lab/act.h"

#define LAB_CHECKS_MAX 32
#define LAB_CHECK_TEXT_MAX 256

/* What was seen of an act's last connection. All borrowed. */
struct lab_seen {
    const struct stream *stream; /* null: the capture does not have it */
    struct judgement judgement;
    const struct finding *findings;
    unsigned finding_count;
    const char *log_line; /* null: there is none */
};

enum lab_witness { LAB_PACKETS, LAB_LOG };

struct lab_check {
    enum lab_witness witness;
    bool good;
    char word[48];                 /* "verdict", a fact's word, a field of the log */
    char text[LAB_CHECK_TEXT_MAX]; /* what must be */
    char found[64];                /* what is instead, where it is not good; may be empty */
};

/* Checks all that the act expects. Returns how many checks there are, at least one. */
unsigned lab_check(const struct lab_act *act, const struct lab_seen *seen,
                   struct lab_check out[static LAB_CHECKS_MAX]);

bool lab_checks_good(const struct lab_check *checks, unsigned count);

/* "packets", "log". */
const char *lab_witness_word(enum lab_witness witness);

/* Copies the value of a field of a logfmt line, unquoted; an empty text when there is none.
 * Returns out. */
const char *lab_log_field(const char *line, const char *name, char *out, size_t cap);

#endif
