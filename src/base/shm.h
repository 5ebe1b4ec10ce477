/* shm.h: memory shared by the master and the processes that it forks, and by the
 * master of a newer program that takes its place.
 *
 * A region is an anonymous file (memfd) mapped shared. What lies in it holds
 * offsets and never pointers. Pages are taken when first touched.
 */
#ifndef REPRISE_BASE_SHM_H
#define REPRISE_BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct shm {
    int fd;     /* owned; -1: no region */
    void *base; /* owned mapping, zero-filled at first */
    size_t len; /* bytes */
};

/* Creates and maps a region of len bytes. `secret` regions are locked in
 * memory and left out of core dumps; failing to lock is an error. Master only. */
int shm_create(struct shm *shm, const char *name, size_t len, bool secret, struct err *err);

/* Maps a region that another process made and handed over: `fd`, which is taken over
 * in every case. Refuses a file that is not of len bytes exactly. `secret` as above.
 * Master only. */
int shm_adopt(struct shm *shm, int fd, size_t len, bool secret, struct err *err);

/* Unmaps and closes in this process; other processes keep theirs. Idempotent. */
void shm_close(struct shm *shm);

/* Makes this process's mapping read-only for good: maps the file anew without write
 * permission in the place of the old mapping, and drops the descriptor. `secret` as above. On -1
 * the process can only end: the mapping may be gone. */
int shm_make_readonly(struct shm *shm, bool secret, struct err *err);

#endif
