/* secretfile.h: files that hold secrets, read as such (R39).
 *
 * A file that somebody else may read or write is no secret: it is refused, and so
 * is what is not a regular file. What is read lies in memory from secret_alloc.
 */
#ifndef REPRISE_BASE_SECRETFILE_H
#define REPRISE_BASE_SECRETFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A whole file, in memory from secret_alloc. */
struct secretfile {
    uint8_t *data; /* owned */
    size_t len;    /* bytes of the file */
    size_t cap;    /* bytes allocated */
};

/* Checks an open file: regular, owned by root, by this process's user or by `user`, and
 * neither readable nor writable by group or others. Errors begin with the path. */
int secretfile_check(int fd, const char *path, uid_t user, struct err *err);

/* Reads the file, of at most `max` bytes, after these checks. Returns 0, with the file to be
 * dropped; or -1 with err set and nothing kept. */
int secretfile_read(struct secretfile *file, const char *path, uid_t user, size_t max,
                    struct err *err);

/* Wipes and frees. Idempotent. */
void secretfile_drop(struct secretfile *file);

#endif
