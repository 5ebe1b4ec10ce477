/* shared.c: see shared.h. */
#include "proxy/shared.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "proxy/handover.h"

static void init_keyring(void *base, bool anew) {
    (void)anew;
    keyring_lay_out(base, clock_wall_ms() / MS_PER_S);
}

/* What was invalidated is not known any more: then all sessions are. */
static void init_switches(void *base, bool anew) {
    ((struct switches_table *)base)->invalid_before_ms = anew ? clock_wall_ms() : 0;
}

static void init_nothing(void *base, bool anew) {
    (void)base;
    (void)anew;
}

struct region {
    const char *name;
    size_t shm; /* where in struct shared */
    bool secret;
    size_t bytes;
    uint64_t layout;
    void (*init)(void *base, bool anew);
};

#define REGIONS_MAX 16

/* Fills the table; returns its length. Sizes and layouts are told by functions. */
static size_t regions_list(struct region out[static REGIONS_MAX]) {
    const struct region rows[] = {
#define SHARED(field, secret, bytes, layout, init) \
    { #field, offsetof(struct shared, field##_shm), secret, bytes, layout, init },
#include "proxy/shared.def"
#undef SHARED
    };
    static_assert(sizeof(rows) / sizeof(rows[0]) <= REGIONS_MAX, "room for every region");
    memcpy(out, rows, sizeof(rows));
    return sizeof(rows) / sizeof(rows[0]);
}

static struct shm *region_shm(struct shared *shared, const struct region *region) {
    return (struct shm *)((char *)shared + region->shm);
}

/* Lets each pointer point to its region. */
static void shared_point(struct shared *shared) {
#define SHARED(field, secret, bytes, layout, init) shared->field = shared->field##_shm.base;
#include "proxy/shared.def"
#undef SHARED
}

void shared_clear(struct shared *shared) {
#define SHARED(field, secret, bytes, layout, init) shared->field##_shm = (struct shm){ .fd = -1 };
#include "proxy/shared.def"
#undef SHARED
    shared->replay_shm = (struct shm){ .fd = -1 };
    shared->replay = NULL;
    shared_point(shared);
}

static int region_init(struct shm *shm, const struct region *region, struct takeover *takeover,
                       struct err *err) {
    int fd = takeover ? takeover_region(takeover, region->name, region->bytes, region->layout) : -1;
    if (fd >= 0) {
        return shm_adopt(shm, fd, region->bytes, region->secret, err);
    }
    char name[64];
    snprintf(name, sizeof(name), "reprise-%s", region->name);
    if (shm_create(shm, name, region->bytes, region->secret, err) != 0) {
        return -1;
    }
    region->init(shm->base, takeover != NULL);
    return 0;
}

int shared_init(struct shared *shared, struct takeover *takeover, struct err *err) {
    struct region regions[REGIONS_MAX];
    size_t count = regions_list(regions);
    for (size_t i = 0; i < count; i++) {
        if (region_init(region_shm(shared, &regions[i]), &regions[i], takeover, err) != 0) {
            return -1;
        }
    }
    shared_point(shared);
    return 0;
}

int shared_settle_replay(struct shared *shared, const struct config *config,
                         struct takeover *takeover, struct err *err) {
    bool wanted = false;
    for (size_t i = 0; i < config->profile_count; i++) {
        wanted |= config->profiles[i].single_use_tickets;
    }
    if (!shared->replay && takeover && takeover_replay(takeover, &shared->replay_shm)) {
        shared->replay = shared->replay_shm.base;
    }
    if (shared->replay && replay_capacity(shared->replay) != config->replay_tickets) {
        log_event(LOG_WARNING, "replay-register",
                  "replay-register takes effect at the next start only");
    }
    if (!wanted || shared->replay) {
        return 0;
    }
    if (shm_create(&shared->replay_shm, "reprise-replay",
                   replay_layout_bytes(config->replay_tickets), false, err) != 0) {
        return -1;
    }
    shared->replay = shared->replay_shm.base;
    replay_init(shared->replay, config->replay_tickets, clock_wall_ms());
    return 0;
}

int shared_hand_over(const struct shared *shared, int channel, struct err *err) {
    struct region regions[REGIONS_MAX];
    size_t count = regions_list(regions);
    for (size_t i = 0; i < count; i++) {
        const struct shm *shm = (const struct shm *)((const char *)shared + regions[i].shm);
        struct handover_item item = { .kind = HANDOVER_REGION,
                                      .name = { (const uint8_t *)regions[i].name,
                                                strlen(regions[i].name) },
                                      .first = shm->len,
                                      .second = regions[i].layout,
                                      .fd_count = 1,
                                      .fds = { shm->fd } };
        if (handover_send(channel, &item, err) != 0) {
            return -1;
        }
    }
    return 0;
}

void shared_fini(struct shared *shared, bool wipe) {
    struct region regions[REGIONS_MAX];
    size_t count = regions_list(regions);
    for (size_t i = 0; i < count; i++) {
        struct shm *shm = region_shm(shared, &regions[i]);
        if (wipe && regions[i].secret && shm->base) {
            crypto_wipe(shm->base, shm->len);
        }
        shm_close(shm);
    }
    shared_point(shared);
    shm_close(&shared->replay_shm);
    shared->replay = NULL;
}

uint64_t shared_cache_layout(void) {
    return cache_layout_id() ^ keyring_layout();
}
