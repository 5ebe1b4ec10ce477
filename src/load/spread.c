/* spread.c: see spread.h. */
#include "load/spread.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
    double left = *(const double *)a;
    double right = *(const double *)b;
    return left < right ? -1 : left > right;
}

struct spread spread_of(double *values, size_t count) {
    if (count == 0) {
        return (struct spread){ 0 };
    }
    qsort(values, count, sizeof(*values), compare);
    return (struct spread){
        .median = (values[(count - 1) / 2] + values[count / 2]) / 2,
        .min = values[0],
        .max = values[count - 1],
        .count = count,
    };
}

struct spread spread_of_ratios(double *values, const double *base, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (base[i] > 0) {
            values[kept++] = values[i] / base[i];
        }
    }
    return spread_of(values, kept);
}
