/* err.h: one error text, written where it happened, carried to whoever reports it.
 *
 * A function that can fail for a reason that an operator must read takes a
 * `struct err *` as its last argument, returns 0 or -1, and calls err_set once.
 * The first error sticks: later err_set calls on the same object are ignored,
 * so that the text names the cause and not what followed from it.
 */
#ifndef REPRISE_BASE_ERR_H
#define REPRISE_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#define ERR_TEXT_MAX 1024

struct err {
    bool set;
    char text[ERR_TEXT_MAX];
};

/* Records a formatted text unless one is there already. Returns -1 always, so
 * that a caller may write `return err_set(err, ...)`. Text that does not fit is
 * cut. A null `err` is allowed: nothing is recorded. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set, followed by ": " and the text of `errnum` (an errno value). */
int err_set_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Empties the object, so that it can take a new error. */
void err_clear(struct err *err);

#endif
