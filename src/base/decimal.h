/* decimal.h: numbers as decimal text, where printf would be most of the cost. */
#ifndef REPRISE_BASE_DECIMAL_H
#define REPRISE_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of UINT64_MAX */

/* Writes the digits of a value, without a NUL, into `out` (DECIMAL_MAX bytes suffice).
 * Returns how many. Any process. */
static inline size_t decimal_write(uint64_t value, char *out) {
    char digits[DECIMAL_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    size_t len = sizeof(digits) - at;
    for (size_t i = 0; i < len; i++) {
        out[i] = digits[at + i];
    }
    return len;
}

/* The same of a value below 1000 as three digits. Returns 3. */
static inline size_t decimal_write_thousandths(uint64_t value, char *out) {
    out[0] = (char)('0' + value / 100 % 10);
    out[1] = (char)('0' + value / 10 % 10);
    out[2] = (char)('0' + value % 10);
    return 3;
}

#endif
