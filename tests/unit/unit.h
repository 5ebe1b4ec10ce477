/* unit.h: what unit tests share: cmocka with all that it wants included before it,
 * numbers that are random and the same in every run, and helpers for tests that fork.
 */
#ifndef REPRISE_UNIT_UNIT_H
#define REPRISE_UNIT_UNIT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static inline struct bytes bytes_of(const char *text) {
    return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

/* SplitMix64: a test that fails fails again. */
static inline uint64_t rng_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0..bound-1. */
static inline uint64_t rng_below(uint64_t *state, uint64_t bound) {
    return rng_next(state) % bound;
}

static inline void rng_fill(uint64_t *state, void *buf, size_t len) {
    uint8_t *at = buf;
    while (len > 0) {
        uint64_t bits = rng_next(state);
        size_t piece = len < sizeof(bits) ? len : sizeof(bits);
        memcpy(at, &bits, piece);
        at += piece;
        len -= piece;
    }
}

/* Zeroed memory that children of this process share with it. */
static inline void *shared_alloc(size_t len) {
    void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED);
    return base;
}

static inline void shared_free(void *base, size_t len) {
    assert_int_equal(munmap(base, len), 0);
}

/* As fork; the child ends with its parent, and dies of a fault without a report. It must
 * end with _exit and assert nothing. */
static inline pid_t child_fork(void) {
    pid_t parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        if (getppid() != parent) {
            _exit(99);
        }
    }
    return pid;
}

/* Waits for a child: its exit status, or minus the signal that ended it. */
static inline int child_wait(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The sanitizers' mlock does nothing, and says that it did. */
#define MLOCK_WORKS (!REPRISE_SANITIZED)

/* In a child: from now on no memory can be locked. Root may lock as much as it likes, so
 * that the limit binds only after it is given up. Returns 0, or -1. */
static inline int child_drop_memlock(void) {
    const struct rlimit none = { 0, 0 };
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) {
        return -1;
    }
    return geteuid() == 0 ? setresuid(65534, 65534, 65534) : 0;
}

/* True when the mapping that holds `at` has a flag of /proc/PID/smaps: "lo" locked, "dd"
 * left out of core dumps. */
static inline bool mapping_has_flag(const void *at, const char *flag) {
    FILE *smaps = fopen("/proc/self/smaps", "r");
    assert_non_null(smaps);
    char line[1024];
    bool within = false;
    bool has = false;
    while (fgets(line, sizeof(line), smaps)) {
        unsigned long from;
        unsigned long to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            within = (uintptr_t)at >= from && (uintptr_t)at < to;
        } else if (within && strncmp(line, "VmFlags:", 8) == 0) {
            has = strstr(line + 8, flag) != NULL;
        }
    }
    fclose(smaps);
    return has;
}

#endif
