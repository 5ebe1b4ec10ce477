/* hex.h: bytes as hexadecimal text, in the one form that all of the program writes. */
#ifndef REPRISE_BASE_HEX_H
#define REPRISE_BASE_HEX_H

#include "base/bytes.h"

/* Writes two lower-case digits a byte, without a NUL, into `out` (2 * bytes.len).
 * Returns how many. Any process. */
static inline size_t hex_write(struct bytes bytes, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        out[2 * i] = digits[bytes.data[i] >> 4];
        out[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    return 2 * bytes.len;
}

/* The same with a NUL: `out` has 2 * len + 1. Returns `out`. */
static inline char *hex_text(const uint8_t *data, size_t len, char *out) {
    out[hex_write((struct bytes){ data, len }, out)] = '\0';
    return out;
}

#endif
