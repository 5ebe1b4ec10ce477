/* upgrade.c: see upgrade.h. */
#include "proxy/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/handover.h"
#include "proxy/shared.h"

#define HELLO_TIMEOUT_S 5  /* it is the first thing that the program does */
#define READY_TIMEOUT_S 45 /* it reads files and starts workers; less than `reprise ctl` waits */
#define SEND_TIMEOUT_S 5
#define LOOK_MS 500
#define END_GRACE_NS NS_PER_S

/* --- the program ---------------------------------------------------------- */

static bool same_file(const char *a, const char *b) {
    struct stat sa;
    struct stat sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

int upgrade_find_program(char *path, size_t cap, struct err *err) {
    static const char self[] = "/proc/self/exe";
    char folder[PATH_MAX];
    /* What the kernel was told to execute: links are not resolved in it. */
    const char *told = (const char *)getauxval(AT_EXECFN);
    int n = -1;
    if (told && told[0] == '/') {
        n = snprintf(path, cap, "%s", told);
    } else if (told && getcwd(folder, sizeof(folder))) {
        n = snprintf(path, cap, "%s/%s", folder, strncmp(told, "./", 2) == 0 ? told + 2 : told);
    }
    if (n > 0 && (size_t)n < cap && same_file(path, self)) {
        return 0;
    }
    ssize_t len = readlink(self, path, cap - 1);
    if (len <= 0 || (size_t)len >= cap - 1) {
        return err_set_errno(err, errno, "cannot find the path of this program");
    }
    path[len] = '\0';
    return 0;
}

/* The new program begins as ours did: no signal blocked, SIGPIPE as it was. */
static int spawn(pid_t *pid, char *const *argv, int channel) {
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigset_t none;
    sigset_t pipe_signal;
    char number[16];
    sigemptyset(&none);
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &pipe_signal);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    snprintf(number, sizeof(number), "%d", channel);
    /* Onto itself: takes the close-on-exec flag away, in the child only. */
    int why = posix_spawn_file_actions_adddup2(&actions, channel, channel);
    if (why == 0 && setenv(HANDOVER_VARIABLE, number, 1) != 0) {
        why = errno;
    }
    why = why == 0 ? posix_spawn(pid, argv[0], &actions, &attr, argv, environ) : why;
    unsetenv(HANDOVER_VARIABLE);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return why;
}

int upgrade_start(struct upgrade *u, char *const *argv, struct err *err) {
    const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
    int ends[2];
    *u = (struct upgrade){ .channel = -1 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return err_set_errno(err, errno, "cannot create a socketpair");
    }
    u->channel = ends[0];
    int why = setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0
                  ? spawn(&u->pid, argv, ends[1])
                  : errno;
    close(ends[1]);
    if (why != 0) {
        u->pid = 0;
        upgrade_end(u);
        return err_set_errno(err, why, "cannot start %s", argv[0]);
    }
    return 0;
}

/* --- what is said --------------------------------------------------------- */

/* The new program ended the conversation: it is about to end, or it is made to. */
static int tell_end(struct upgrade *u, struct err *err) {
    const struct timespec pause = { .tv_nsec = (long)NS_PER_MS };
    uint64_t end_ns = clock_mono_ns() + END_GRACE_NS;
    while (!u->ended && clock_mono_ns() < end_ns) {
        u->ended = waitpid(u->pid, &u->status, WNOHANG) != 0;
        nanosleep(&pause, NULL);
    }
    upgrade_cancel(u);
    return WIFSIGNALED(u->status)
               ? err_set(err, "the new program was ended by signal %d", WTERMSIG(u->status))
               : err_set(err, "the new program ended with status %d", WEXITSTATUS(u->status));
}

/* Reads what has come. */
static int read_item(struct upgrade *u, enum handover_kind expected, struct handover_packet *packet,
                     struct err *err) {
    int got = handover_receive(u->channel, packet, err);
    if (got <= 0) {
        return got == 0 ? tell_end(u, err) : -1;
    }
    handover_close_fds(&packet->item); /* none is expected of it */
    if (packet->item.kind == HANDOVER_FAILED) {
        return err_set(err, "the new program does not start: %.*s", (int)packet->item.name.len,
                       (const char *)packet->item.name.data);
    }
    return packet->item.kind == expected
               ? 0
               : err_set(err, "the new program says something else than was expected");
}

/* Waits for the new program's next item. */
static int await(struct upgrade *u, enum handover_kind expected, unsigned limit_s,
                 const struct upgrade_meanwhile *meanwhile, struct handover_packet *packet,
                 struct err *err) {
    uint64_t end_ns = clock_mono_ns() + limit_s * NS_PER_S;
    while (clock_mono_ns() < end_ns) {
        struct pollfd ready[] = { { .fd = u->channel, .events = POLLIN },
                                  { .fd = meanwhile->fd, .events = POLLIN } };
        if (poll(ready, 2, LOOK_MS) > 0 && ready[0].revents != 0) {
            return read_item(u, expected, packet, err);
        }
        if (!meanwhile->run(meanwhile->arg)) {
            return err_set(err, "the service is ending");
        }
        /* A child of the new program may hold the other end open. */
        if (u->ended && recv(u->channel, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
            return tell_end(u, err);
        }
    }
    return err_set(err, "the new program said nothing for %u seconds", limit_s);
}

static int give_region(const struct upgrade *u, const char *name, const struct shm *shm,
                       uint64_t layout, struct err *err) {
    const struct handover_item item = { .kind = HANDOVER_REGION,
                                        .name = { (const uint8_t *)name, strlen(name) },
                                        .first = shm->len,
                                        .second = layout,
                                        .fd_count = 1,
                                        .fds = { shm->fd } };
    return handover_send(u->channel, &item, err);
}

static int give_caches(const struct upgrade *u, const struct generation *gen, struct err *err) {
    for (size_t i = 0; i < gen->cache_count; i++) {
        const struct cache_region *region = gen->caches[i];
        if (!region) {
            continue;
        }
        const struct handover_item item = {
            .kind = HANDOVER_CACHE,
            .name = { (const uint8_t *)region->profile, strlen(region->profile) },
            .first = region->shm.len,
            .second = shared_cache_layout(),
            .fd_count = 1,
            .fds = { region->shm.fd },
        };
        if (handover_send(u->channel, &item, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int give_listener(const struct upgrade *u, const struct listener *l, struct err *err) {
    struct handover_item item = {
        .kind = HANDOVER_LISTENER,
        .address = { (const uint8_t *)&l->address.addr, l->address.addr_len },
        .bound = { (const uint8_t *)&l->bound, l->bound_len },
    };
    for (size_t at = 0; at < l->socket_count; at += item.fd_count) {
        size_t left = l->socket_count - at;
        item.fd_count = left < HANDOVER_FDS_MAX ? left : HANDOVER_FDS_MAX;
        memcpy(item.fds, l->sockets + at, item.fd_count * sizeof(int));
        if (handover_send(u->channel, &item, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int give_all(const struct upgrade *u, const struct upgrade_gift *gift, struct err *err) {
    struct handover_item item = { .kind = HANDOVER_BEGIN,
                                  .first = HANDOVER_VERSION,
                                  .second = gift->gen->number };
    if (handover_send(u->channel, &item, err) != 0 ||
        shared_hand_over(gift->shared, u->channel, err) != 0 ||
        give_caches(u, gift->gen, err) != 0 ||
        (gift->shared->replay &&
         give_region(u, "replay", &gift->shared->replay_shm, replay_layout(), err) != 0)) {
        return -1;
    }
    for (size_t i = 0; i < gift->gen->listener_count; i++) {
        if (give_listener(u, &gift->gen->listeners[i], err) != 0) {
            return -1;
        }
    }
    if (gift->control_path) {
        item = (struct handover_item){
            .kind = HANDOVER_CONTROL,
            .name = { (const uint8_t *)gift->control_path, strlen(gift->control_path) },
            .fd_count = 1,
            .fds = { gift->control_fd },
        };
        if (handover_send(u->channel, &item, err) != 0) {
            return -1;
        }
    }
    item = (struct handover_item){ .kind = HANDOVER_END };
    return handover_send(u->channel, &item, err);
}

/* Whether there is something to read: who refuses does not wait for all that is given. */
static bool has_spoken(const struct upgrade *u) {
    struct pollfd ready = { .fd = u->channel, .events = POLLIN };
    return poll(&ready, 1, 0) == 1;
}

int upgrade_converse(struct upgrade *u, const struct upgrade_gift *gift,
                     const struct upgrade_meanwhile *meanwhile, struct err *err) {
    struct handover_packet packet = { 0 };
    if (await(u, HANDOVER_HELLO, HELLO_TIMEOUT_S, meanwhile, &packet, err) != 0) {
        return -1;
    }
    if (HANDOVER_VERSION < packet.item.first || HANDOVER_VERSION > packet.item.second) {
        return err_set(err,
                       "the new program takes over from other versions only: stop this one and "
                       "start that");
    }
    struct err why = { 0 };
    if (give_all(u, gift, &why) != 0 && !has_spoken(u)) {
        return err_set(err, "%s", why.text);
    }
    return await(u, HANDOVER_READY, READY_TIMEOUT_S, meanwhile, &packet, err);
}

int upgrade_go(struct upgrade *u, struct err *err) {
    const struct handover_item go = { .kind = HANDOVER_GO };
    return handover_send(u->channel, &go, err);
}

void upgrade_cancel(struct upgrade *u) {
    if (u->pid > 0 && !u->ended) {
        kill(u->pid, SIGKILL);
        while (waitpid(u->pid, &u->status, 0) < 0 && errno == EINTR) {
        }
        u->ended = true;
    }
    upgrade_end(u);
}

void upgrade_end(struct upgrade *u) {
    if (u->channel >= 0) {
        close(u->channel);
        u->channel = -1;
    }
}
