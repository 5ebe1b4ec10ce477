/* suggest.h: the word that somebody who wrote another one may have meant. */
#ifndef REPRISE_CONFIG_SUGGEST_H
#define REPRISE_CONFIG_SUGGEST_H

#include <stddef.h>

/* Collects candidates; keeps the nearest. Start with suggest_start. */
struct suggest {
    const char *written; /* borrowed */
    const char *nearest; /* borrowed; null: none is near */
    size_t distance;
};

struct suggest suggest_start(const char *written);

/* Takes a candidate, which must outlive the structure. One is near when at most a third of
 * what was written (and at least one character) differs. */
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif
