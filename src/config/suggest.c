/* suggest.c: see suggest.h. */
#include "config/suggest.h"

#include <string.h>

#define SUGGEST_WORD_MAX 48 /* longer words are not compared */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* How many characters to insert, drop, change, or swap with their neighbour (the optimal
 * string alignment distance). Three rows of its table are kept. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t rows[3][SUGGEST_WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = least(above[j], row[j - 1]) + 1;
            row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], above_that[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

struct suggest suggest_start(const char *written) {
    size_t near = strlen(written) / 3;
    return (struct suggest){ .written = written, .distance = near < 1 ? 2 : near + 1 };
}

void suggest_offer(struct suggest *suggest, const char *candidate) {
    size_t a_len = strlen(suggest->written);
    size_t b_len = strlen(candidate);
    if (a_len > SUGGEST_WORD_MAX || b_len > SUGGEST_WORD_MAX) {
        return;
    }
    size_t distance = edit_distance(suggest->written, a_len, candidate, b_len);
    if (distance < suggest->distance) {
        suggest->distance = distance;
        suggest->nearest = candidate;
    }
}
