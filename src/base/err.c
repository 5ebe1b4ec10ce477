/* err.c: see err.h. */
#include "base/err.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static size_t err_put(struct err *err, const char *fmt, va_list args) {
    int n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    err->set = true;
    if (n < 0) {
        err->text[0] = '\0';
        return 0;
    }
    return (size_t)n < sizeof(err->text) ? (size_t)n : sizeof(err->text) - 1;
}

int err_set(struct err *err, const char *fmt, ...) {
    if (!err || err->set) {
        return -1;
    }
    va_list args;
    va_start(args, fmt);
    err_put(err, fmt, args);
    va_end(args);
    return -1;
}

int err_set_errno(struct err *err, int errnum, const char *fmt, ...) {
    if (!err || err->set) {
        return -1;
    }
    va_list args;
    va_start(args, fmt);
    size_t used = err_put(err, fmt, args);
    va_end(args);
    char buf[128];
    /* The GNU strerror_r: returns the text, which may or may not be in buf. */
    const char *why = strerror_r(errnum, buf, sizeof(buf));
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", why);
    return -1;
}

void err_clear(struct err *err) {
    err->set = false;
    err->text[0] = '\0';
}
