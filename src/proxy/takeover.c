/* takeover.c: see takeover.h. */
#include "proxy/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/handover.h"
#include "proxy/shared.h"

#define ITEM_TIMEOUT_S 5 /* between two items */
#define GO_TIMEOUT_S 60
#define END_TIMEOUT_S 10 /* the old workers close their sockets long before */
#define REGIONS_MAX 16

struct takeover {
    int channel;   /* owned */
    pid_t service; /* the old master */
    struct generation *gen;
    struct region {
        char *name; /* owned */
        uint64_t bytes, layout;
        int fd; /* owned; -1: taken */
    } regions[REGIONS_MAX];
    size_t region_count;
    char *control_path; /* owned; null: no control socket */
    int control_fd;     /* owned; -1: taken, or none */
    char anew[256];     /* names of what could not be taken, for the log */
};

static char *copy_text(struct bytes text) {
    return strndup((const char *)text.data, text.len);
}

static void tell_anew(struct takeover *t, const char *name) {
    size_t len = strlen(t->anew);
    snprintf(t->anew + len, sizeof(t->anew) - len, "%s%s", len > 0 ? ", " : "", name);
}

/* --- what comes, by its kind ----------------------------------------------
 * Each takes over the item's descriptors, by setting fd_count to 0, or leaves them to
 * be closed. */

typedef int taker(struct takeover *t, struct handover_item *item, struct err *err);

static int take_begin(struct takeover *t, struct handover_item *item, struct err *err) {
    if (item->first < HANDOVER_VERSION_OLDEST || item->first > HANDOVER_VERSION) {
        return err_set(err, "the running program hands over in version %llu",
                       (unsigned long long)item->first);
    }
    t->gen->number = (unsigned)item->second;
    return 0;
}

static int take_region(struct takeover *t, struct handover_item *item, struct err *err) {
    if (t->region_count == REGIONS_MAX) {
        return err_set(err, "more than %d shared regions are handed over", REGIONS_MAX);
    }
    struct region *r = &t->regions[t->region_count++];
    *r = (struct region){ copy_text(item->name), item->first, item->second, item->fds[0] };
    item->fd_count = 0;
    return r->name ? 0 : err_set(err, "no memory for what is handed over");
}

/* One of another layout is made anew. */
static int take_cache(struct takeover *t, struct handover_item *item, struct err *err) {
    struct generation *gen = t->gen;
    struct cache_region **caches =
        realloc(gen->caches, (gen->cache_count + 1) * sizeof(struct cache_region *));
    gen->caches = caches ? caches : gen->caches;
    struct cache_region *region = calloc(1, sizeof(*region));
    char *profile = copy_text(item->name);
    if (!caches || !region || !profile) {
        free(region);
        free(profile);
        return err_set(err, "no memory for what is handed over");
    }
    *region = (struct cache_region){ .shm.fd = -1, .users = 1, .profile = profile };
    gen->caches[gen->cache_count++] = region;
    item->fd_count = 0;
    if (shm_adopt(&region->shm, item->fds[0], item->first, false, NULL) != 0 ||
        item->second != shared_cache_layout() ||
        !cache_adopt(&region->cache, region->shm.base, region->shm.len)) {
        cache_region_release(gen->caches[--gen->cache_count]);
        if (!strstr(t->anew, "cache")) { /* once for all */
            tell_anew(t, "cache");
        }
    }
    return 0;
}

static bool is_address(struct bytes address) {
    return address.len >= sizeof(sa_family_t) && address.len <= sizeof(struct sockaddr_storage);
}

static bool is_listener(const struct listener *l, const struct handover_item *item) {
    struct bytes address = { (const uint8_t *)&l->address.addr, l->address.addr_len };
    struct bytes bound = { (const uint8_t *)&l->bound, l->bound_len };
    return bytes_equal(address, item->address) && bytes_equal(bound, item->bound);
}

/* The listener that an item tells of: the last one, or a new one. */
static struct listener *find_listener(struct generation *gen, const struct handover_item *item) {
    if (gen->listener_count > 0 && is_listener(&gen->listeners[gen->listener_count - 1], item)) {
        return &gen->listeners[gen->listener_count - 1];
    }
    struct listener *all =
        realloc(gen->listeners, (gen->listener_count + 1) * sizeof(*gen->listeners));
    if (!all) {
        return NULL;
    }
    gen->listeners = all;
    struct listener *l = &all[gen->listener_count++];
    *l = (struct listener){ .bound_len = (socklen_t)item->bound.len };
    l->address.addr_len = (socklen_t)item->address.len;
    memcpy(&l->address.addr, item->address.data, item->address.len);
    memcpy(&l->bound, item->bound.data, item->bound.len);
    return l;
}

static int take_listener(struct takeover *t, struct handover_item *item, struct err *err) {
    if (!is_address(item->address) || !is_address(item->bound)) {
        return err_set(err, "a socket without an address is handed over");
    }
    struct listener *l = find_listener(t->gen, item);
    int *sockets = l ? realloc(l->sockets, (l->socket_count + item->fd_count) * sizeof(int)) : NULL;
    if (!sockets) {
        return err_set(err, "no memory for what is handed over");
    }
    memcpy(sockets + l->socket_count, item->fds, item->fd_count * sizeof(int));
    l->sockets = sockets;
    l->socket_count += item->fd_count;
    item->fd_count = 0;
    return 0;
}

static int take_control(struct takeover *t, struct handover_item *item, struct err *err) {
    char *path = t->control_fd < 0 ? copy_text(item->name) : NULL;
    if (!path) {
        return err_set(err, "a control socket is handed over that can't be taken");
    }
    t->control_path = path;
    t->control_fd = item->fds[0];
    item->fd_count = 0;
    return 0;
}

static taker *const takers[HANDOVER_KINDS] = {
    [HANDOVER_BEGIN] = take_begin,     [HANDOVER_REGION] = take_region,
    [HANDOVER_CACHE] = take_cache,     [HANDOVER_LISTENER] = take_listener,
    [HANDOVER_CONTROL] = take_control,
};

/* --- the beginning -------------------------------------------------------- */

static int set_timeout(int channel, time_t seconds, struct err *err) {
    const struct timeval timeout = { .tv_sec = seconds };
    return setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
                   setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0
               ? 0
               : err_set_errno(err, errno, "cannot set the time-out of an upgrade");
}

/* The socket that the variable names; -1 without err set: there is no variable. It is
 * taken out of the environment: programs that are started from here are no upgrade. */
static int find_channel(struct err *err) {
    const char *text = getenv(HANDOVER_VARIABLE);
    if (!text) {
        return -1;
    }
    char *end;
    long fd = strtol(text, &end, 10);
    int type = 0;
    socklen_t len = sizeof(type);
    bool good = *text != '\0' && *end == '\0' && fd > STDERR_FILENO && fd <= INT32_MAX &&
                getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
                type == SOCK_SEQPACKET && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;
    if (!good) {
        err_set(err,
                HANDOVER_VARIABLE "=%s: no socket of a running service; it is set by "
                                  "'reprise ctl upgrade' only",
                text);
    }
    unsetenv(HANDOVER_VARIABLE);
    return good ? (int)fd : -1;
}

/* Room for what is to come. Takes `channel` over. */
static struct takeover *takeover_new(int channel) {
    struct takeover *t = calloc(1, sizeof(*t));
    struct generation *gen = calloc(1, sizeof(*gen));
    struct config *config = calloc(1, sizeof(*config));
    if (!t || !gen || !config) {
        free(t);
        free(gen);
        free(config);
        close(channel);
        return NULL;
    }
    gen->backends.shm.fd = -1;
    gen->config = config;
    *t =
        (struct takeover){ .channel = channel, .service = getppid(), .gen = gen, .control_fd = -1 };
    return t;
}

static int takeover_receive(struct takeover *t, struct err *err) {
    struct handover_packet packet = { 0 };
    const struct handover_item hello = { .kind = HANDOVER_HELLO,
                                         .first = HANDOVER_VERSION_OLDEST,
                                         .second = HANDOVER_VERSION };
    if (set_timeout(t->channel, ITEM_TIMEOUT_S, err) != 0 ||
        handover_send(t->channel, &hello, err) != 0) {
        return -1;
    }
    for (;;) {
        int got = handover_receive(t->channel, &packet, err);
        if (got <= 0) {
            return err_set(err, "the running service ended the upgrade");
        }
        if (packet.item.kind == HANDOVER_END) {
            return 0;
        }
        taker *take = takers[packet.item.kind];
        int rc = take ? take(t, &packet.item, err)
                      : err_set(err, "the running service says what belongs elsewhere");
        handover_close_fds(&packet.item);
        if (rc != 0) {
            return -1;
        }
    }
}

int takeover_begin(struct takeover **out, struct err *err) {
    *out = NULL;
    int channel = find_channel(err);
    if (channel < 0) {
        return err->set ? -1 : 0;
    }
    struct takeover *t = takeover_new(channel);
    if (!t) {
        return err_set(err, "no memory for what is handed over");
    }
    if (takeover_receive(t, err) != 0) {
        if (takeover_refuse(t, err->text)) {
            err_clear(err);
        }
        takeover_free(t);
        return -1;
    }
    *out = t;
    return 0;
}

/* --- what is asked for ---------------------------------------------------- */

/* A region of that name and layout that is still there; or null. */
static struct region *find_region(struct takeover *t, const char *name, uint64_t layout) {
    for (size_t i = 0; i < t->region_count; i++) {
        struct region *r = &t->regions[i];
        if (strcmp(r->name, name) == 0 && r->layout == layout && r->fd >= 0) {
            return r;
        }
    }
    return NULL;
}

int takeover_region(struct takeover *t, const char *name, size_t bytes, uint64_t layout) {
    struct region *r = find_region(t, name, layout);
    if (!r || r->bytes != bytes) {
        tell_anew(t, name);
        return -1;
    }
    int fd = r->fd;
    r->fd = -1;
    return fd;
}

static bool has_region(const struct takeover *t, const char *name) {
    for (size_t i = 0; i < t->region_count; i++) {
        if (strcmp(t->regions[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Maps a region whatever its size. Returns 0, or -1 when there is none of that layout. */
static int map_region(struct takeover *t, const char *name, uint64_t layout, struct shm *shm) {
    struct region *r = find_region(t, name, layout);
    if (!r) {
        return -1;
    }
    int fd = r->fd;
    r->fd = -1;
    return shm_adopt(shm, fd, r->bytes, false, NULL);
}

bool takeover_replay(struct takeover *t, struct shm *shm) {
    if (!has_region(t, "replay")) {
        return false;
    }
    if (map_region(t, "replay", replay_layout(), shm) == 0) {
        if (replay_is_sound(shm->base, shm->len)) {
            return true;
        }
        shm_close(shm);
    }
    tell_anew(t, "replay");
    return false;
}

struct generation *takeover_generation(struct takeover *t, struct err *err) {
    struct generation *gen = t->gen;
    if (!gen) {
        err_set(err, "the running service's state was taken already");
        return NULL;
    }
    t->gen = NULL;
    return gen;
}

int takeover_control(struct takeover *t, const char *path) {
    if (t->control_fd < 0 || strcmp(t->control_path, path) != 0) {
        return -1;
    }
    int fd = t->control_fd;
    t->control_fd = -1;
    return fd;
}

/* --- the end -------------------------------------------------------------- */

bool takeover_refuse(struct takeover *t, const char *why) {
    const struct handover_item item = { .kind = HANDOVER_FAILED,
                                        .name = { (const uint8_t *)why, strlen(why) } };
    return handover_send(t->channel, &item, NULL) == 0;
}

/* 0 when GO came, or with *alone when the old service has died; -1 with err set. */
static int await_go(struct takeover *t, bool *alone, struct err *err) {
    struct handover_packet packet = { 0 };
    int got = handover_receive(t->channel, &packet, err);
    *alone = got == 0;
    if (got == 1 && packet.item.kind != HANDOVER_GO) {
        handover_close_fds(&packet.item);
        return err_set(err, "the running service did not say 'go'");
    }
    return got < 0 ? -1 : 0;
}

int takeover_ready(struct takeover *t, bool *alone, struct err *err) {
    const struct handover_item ready = { .kind = HANDOVER_READY };
    *alone = false;
    int rc = set_timeout(t->channel, GO_TIMEOUT_S, err);
    if (rc == 0 && handover_send(t->channel, &ready, NULL) != 0) {
        *alone = true; /* else who can't hear any more would have ended this process */
        return 0;
    }
    rc = rc == 0 ? await_go(t, alone, err) : rc;
    if (rc != 0) {
        /* Nothing more gets through, so that the old service learns of it and goes on; and
         * what got through until now counts: one of the two must be the service. */
        bool ended = false;
        shutdown(t->channel, SHUT_RD);
        if (await_go(t, &ended, NULL) == 0 && !ended) {
            err_clear(err);
            return 0;
        }
        close(t->channel);
        t->channel = -1;
    }
    return rc;
}

void takeover_end(struct takeover *t) {
    struct handover_packet packet = { 0 };
    set_timeout(t->channel, END_TIMEOUT_S, NULL);
    while (handover_receive(t->channel, &packet, NULL) == 1) {
        handover_close_fds(&packet.item); /* there is nothing more to say */
    }
    if (t->control_fd >= 0) {
        unlink(t->control_path);
    }
    if (t->anew[0] != '\0') {
        log_event(LOG_WARNING, "upgrade",
                  "made anew, because this program lays it out otherwise: %s", t->anew);
    }
    log_event(LOG_INFO, "upgrade", "took over from process %d", (int)t->service);
    takeover_free(t);
}

void takeover_close_in_child(const struct takeover *t) {
    if (!t) {
        return;
    }
    close(t->channel);
    for (size_t i = 0; i < t->region_count; i++) {
        if (t->regions[i].fd >= 0) {
            close(t->regions[i].fd);
        }
    }
    if (t->control_fd >= 0) {
        close(t->control_fd);
    }
}

void takeover_free(struct takeover *t) {
    if (!t) {
        return;
    }
    takeover_close_in_child(t);
    for (size_t i = 0; i < t->region_count; i++) {
        free(t->regions[i].name);
    }
    generation_free(t->gen, NULL);
    free(t->control_path);
    free(t);
}
