/* privilege.c: see privilege.h. */
#include "proxy/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int privilege_find(const char *name, struct privilege_user *user, struct err *err) {
    *user = (struct privilege_user){ 0 };
    if (geteuid() != 0) {
        return 0;
    }
    const char *wanted = name ? name : PRIVILEGE_DEFAULT_USER;
    errno = 0;
    const struct passwd *entry = getpwnam(wanted);
    if (!entry) {
        return err_set(err, "user '%s' does not exist, expected a user to run workers as", wanted);
    }
    if (entry->pw_uid == 0) {
        return err_set(err, "user '%s' is root, expected an unprivileged user", wanted);
    }
    *user = (struct privilege_user){ true, entry->pw_uid, entry->pw_gid };
    return 0;
}

int privilege_drop(const struct privilege_user *user, pid_t parent, struct err *err) {
    if (user->change &&
        (setgroups(0, NULL) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
         setresuid(user->uid, user->uid, user->uid) != 0)) {
        return err_set_errno(err, errno, "cannot become user %u", (unsigned)user->uid);
    }
    /* The leak checker of a sanitized build traces its own process. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, REPRISE_SANITIZED, 0, 0, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0) {
        return err_set_errno(err, errno, "cannot give up privileges");
    }
    /* The parent may have died before the signal was asked for. */
    return getppid() == parent ? 0 : err_set(err, "the master is gone");
}
