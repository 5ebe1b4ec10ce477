/* test_sandbox.c: proxy/sandbox.c, in children: what they may still do, and what not. */
#include "proxy/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "unit.h"

/* Whether the call is refused by the filter, not for another reason. */
static bool is_refused(long rc) {
    return rc == -1 && errno == EPERM;
}

static long signal_to(pid_t pid) {
    return syscall(SYS_tgkill, pid, pid, 0);
}

/* What a sandboxed child ends with, as child_wait has it. */
static int in_sandbox(int (*attempt)(pid_t other), pid_t other) {
    pid_t child = child_fork();
    if (child == 0) {
        struct err err = { 0 };
        _exit(sandbox_enter(&err) == 0 ? attempt(other) : 98);
    }
    return child_wait(child);
}

static int do_what_is_refused(pid_t other) {
    return is_refused(signal_to(other)) && is_refused(kill(other, 0)) &&
                   is_refused(open("/dev/null", O_RDONLY)) && is_refused(fork()) &&
                   is_refused(socket(AF_UNIX, SOCK_STREAM, 0))
               ? 0
               : 1;
}

static int abort_itself(pid_t other) {
    (void)other;
    abort();
}

/* Its user owns the other workers, too. */
static void it_signals_nobody_else(void **state) {
    (void)state;
    if (!REPRISE_SANDBOX) {
        skip(); /* there is no filter */
    }
    assert_int_equal(signal_to(getpid()), 0);
    assert_int_equal(in_sandbox(do_what_is_refused, getpid()), 0);
}

static void it_can_end_by_its_own_signal(void **state) {
    (void)state;
    assert_int_equal(in_sandbox(abort_itself, 0), -SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_signals_nobody_else),
        cmocka_unit_test(it_can_end_by_its_own_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
