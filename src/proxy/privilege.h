/* privilege.h: what a child process gives up before it sees a peer's byte. */
#ifndef REPRISE_PROXY_PRIVILEGE_H
#define REPRISE_PROXY_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The user that children run as. */
struct privilege_user {
    bool change; /* false: stay who we are (not started as root) */
    uid_t uid;
    gid_t gid;
};

/* The user to run children as when the service was started as root and none is named. */
#define PRIVILEGE_DEFAULT_USER "nobody"

/* Looks up `name` (null: the default). Without root privileges nothing is changed.
 * An unknown user, or root itself, is an error. Master. */
int privilege_find(const char *name, struct privilege_user *user, struct err *err);

/* For good: becomes the user, forbids new privileges, core dumps and tracing by
 * others, and has the process asked to end when its parent dies. Child. */
int privilege_drop(const struct privilege_user *user, pid_t parent, struct err *err);

#endif
