/* shm.c: see shm.h. */
#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Applies what a secret mapping needs; each mapping needs it anew. */
static int shm_protect_secret(void *base, size_t len, struct err *err) {
    if (mlock(base, len) != 0) {
        return err_set_errno(err, errno, "cannot lock %zu bytes in memory for keys (see ulimit -l)",
                             len);
    }
    if (madvise(base, len, MADV_DONTDUMP) != 0) {
        return err_set_errno(err, errno, "cannot keep keys out of core dumps");
    }
    return 0;
}

/* Maps shm->fd, and closes it when that fails. */
static int shm_map(struct shm *shm, const char *name, bool secret, struct err *err) {
    void *base =
        mmap(NULL, shm->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, shm->fd, 0);
    if (base == MAP_FAILED) {
        err_set_errno(err, errno, "cannot map shared memory '%s' of %zu bytes", name, shm->len);
        shm_close(shm);
        return -1;
    }
    shm->base = base;
    if (secret && shm_protect_secret(base, shm->len, err) != 0) {
        shm_close(shm);
        return -1;
    }
    return 0;
}

int shm_create(struct shm *shm, const char *name, size_t len, bool secret, struct err *err) {
    *shm = (struct shm){ .fd = -1, .len = len };
    shm->fd = memfd_create(name, MFD_CLOEXEC);
    if (shm->fd < 0) {
        return err_set_errno(err, errno, "cannot create shared memory '%s'", name);
    }
    if (ftruncate(shm->fd, (off_t)len) != 0) {
        err_set_errno(err, errno, "cannot size shared memory '%s' to %zu bytes", name, len);
        shm_close(shm);
        return -1;
    }
    return shm_map(shm, name, secret, err);
}

int shm_adopt(struct shm *shm, int fd, size_t len, bool secret, struct err *err) {
    struct stat st;
    *shm = (struct shm){ .fd = fd, .len = len };
    if (len == 0 || fstat(fd, &st) != 0 || (uint64_t)st.st_size != len) {
        shm_close(shm);
        return err_set(err, "shared memory that was handed over is not of %zu bytes", len);
    }
    return shm_map(shm, "handed over", secret, err);
}

void shm_close(struct shm *shm) {
    if (shm->base) {
        munmap(shm->base, shm->len);
        shm->base = NULL;
    }
    if (shm->fd >= 0) {
        close(shm->fd);
        shm->fd = -1;
    }
}

int shm_make_readonly(struct shm *shm, bool secret, struct err *err) {
    /* Through a descriptor of its own that is open for reading only: otherwise
     * mprotect could give the right to write back. */
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", shm->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *base =
        fd >= 0 ? mmap(shm->base, shm->len, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) : MAP_FAILED;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (base == MAP_FAILED) {
        return err_set_errno(err, why, "cannot map shared memory read-only");
    }
    if (secret && shm_protect_secret(base, shm->len, err) != 0) {
        return -1;
    }
    close(shm->fd);
    shm->fd = -1;
    return 0;
}
