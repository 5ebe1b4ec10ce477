/* secretfile.c: see secretfile.h. */
#include "base/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"

#define OTHERS_MAY (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)
#define MODE_BITS 07777u

int secretfile_check(int fd, const char *path, uid_t user, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return err_set_errno(err, errno, "'%s' cannot be looked at", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, "'%s' is not a regular file", path);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != user) {
        return err_set(err, "'%s' is owned by user %u, expected root or the service's user", path,
                       (unsigned)st.st_uid);
    }
    if (st.st_mode & OTHERS_MAY) {
        return err_set(err,
                       "'%s' has mode %04o: others may read or write it, expected 0600 or 0400",
                       path, st.st_mode & MODE_BITS);
    }
    return 0;
}

/* Up to cap bytes. */
static int read_all(int fd, const char *path, struct secretfile *file, struct err *err) {
    while (file->len < file->cap) {
        ssize_t n = read(fd, file->data + file->len, file->cap - file->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_set_errno(err, errno, "'%s' cannot be read", path);
        }
        if (n == 0) {
            break;
        }
        file->len += (size_t)n;
    }
    return 0;
}

int secretfile_read(struct secretfile *file, const char *path, uid_t user, size_t max,
                    struct err *err) {
    *file = (struct secretfile){ .cap = max + 1 }; /* one more: a longer file is noticed */
    /* A pipe must not hold the service up before it is refused. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return err_set_errno(err, errno, "'%s' cannot be opened", path);
    }
    int rc = secretfile_check(fd, path, user, err);
    if (rc == 0 && !(file->data = secret_alloc(file->cap))) {
        rc = err_set(err, "cannot lock %zu bytes in memory for '%s' (see ulimit -l)", file->cap,
                     path);
    }
    rc = rc == 0 ? read_all(fd, path, file, err) : rc;
    if (rc == 0 && file->len > max) {
        rc = err_set(err, "'%s' has more than %zu bytes", path, max);
    }
    if (rc != 0) {
        secretfile_drop(file);
    }
    close(fd);
    return rc;
}

void secretfile_drop(struct secretfile *file) {
    secret_free(file->data, file->cap);
    *file = (struct secretfile){ 0 };
}
