/* spread.h: what several turns of one measurement come to. */
#ifndef REPRISE_LOAD_SPREAD_H
#define REPRISE_LOAD_SPREAD_H

#include <stddef.h>

struct spread {
    double median;
    double min;
    double max;
    size_t count; /* 0: nothing was measured, and the others are 0 */
};

/* Of `count` values, which it sorts. The median of an even number is the mean of the two in
 * the middle. */
struct spread spread_of(double *values, size_t count);

/* Of values[i] / base[i], turn by turn, so that what changes from one turn to the next does
 * not count; turns whose base is 0 are left out. Writes over `values`. */
struct spread spread_of_ratios(double *values, const double *base, size_t count);

#endif
