/* sandbox.c: see sandbox.h. EPERM rather than death: a C library that tries a
 * newer call first then falls back to the one it used before. */
#include "proxy/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

static const int allowed[] = {
    /* connections */
    SCMP_SYS(accept4),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(connect),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    /* the loop, the log, signals */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),

    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(restart_syscall),
    /* memory, locks, time, randomness */
    SCMP_SYS(brk),
    SCMP_SYS(mmap),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    /* the end */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Allows a call whose argument `arg`, under `mask`, is `value`. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned arg, uint64_t value, uint64_t mask) {
    const struct scmp_arg_cmp is = {
        .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value
    };
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &is);
}

/* Returns 0, or non-zero when a rule is not taken. */
static int allow_calls(scmp_filter_ctx filter) {
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
        if (rc != 0) {
            return rc;
        }
    }
    return allow_if(filter, SCMP_SYS(socket), 0, AF_INET, UINT64_MAX) ||
           allow_if(filter, SCMP_SYS(socket), 0, AF_INET6, UINT64_MAX) ||
           /* Changing protection, but never to executable. */
           allow_if(filter, SCMP_SYS(mprotect), 2, 0, PROT_EXEC) ||
           /* Signals to itself: abort() needs them. */
           allow_if(filter, SCMP_SYS(tgkill), 0, (uint64_t)getpid(), UINT32_MAX);
}

int sandbox_enter(struct err *err) {
    if (!REPRISE_SANDBOX) { /* a sanitizer's report, or a profile, is a file */
        if (!REPRISE_SANITIZED) {
            log_event(LOG_WARNING, "sandbox", "built for profiling: no system call is filtered");
        }
        return 0;
    }
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool ok = filter && allow_calls(filter) == 0 && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return ok ? 0 : err_set(err, "cannot filter system calls (seccomp)");
}
