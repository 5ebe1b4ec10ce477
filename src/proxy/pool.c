/* pool.c: see pool.h. */
#include "proxy/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"

/* A health check of one member: connect, note, close, wait. */
struct probe {
    struct loop_io io;
    struct loop_timer timer;
    struct loop *loop;
    struct pool *pool;
    size_t member;
    bool connecting;
};

static void pool_init(struct pool *pool, const struct generation *gen, size_t index,
                      unsigned worker_index) {
    pool->config = &gen->config->pools[index];
    pool->state = &gen->backends;
    pool->first = gen->pool_first_member[index];
    pool->members = pool->config->members;
    pool->member_count = pool->config->member_count;
    if (pool->config->demonstration) {
        pool->demo.address = gen->demo;
        pool->members = &pool->demo;
        pool->member_count = 1;
    }
    pool->worker_index = worker_index;
    pool->worker_count = gen->config->workers;
    /* Workers begin at different members, so that they do not move in step. */
    uint32_t start;
    crypto_random(&start, sizeof(start));
    pool->next = start % pool->member_count;
}

struct pool *pools_new(const struct generation *gen, unsigned worker_index) {
    struct pool *pools = calloc(gen->config->pool_count + 1, sizeof(*pools));
    for (size_t i = 0; pools && i < gen->config->pool_count; i++) {
        pool_init(&pools[i], gen, i, worker_index);
    }
    return pools;
}

void pools_free(struct pool *pools, const struct generation *gen) {
    for (size_t i = 0; pools && i < gen->config->pool_count; i++) {
        free(pools[i].probes);
    }
    free(pools);
}

static struct member_state *member_state(const struct pool *pool, size_t member) {
    return &pool->state->members[pool->first + member];
}

static bool member_is_well(const struct pool *pool, size_t member) {
    return atomic_load_explicit(&member_state(pool, member)->down, memory_order_relaxed) == 0;
}

/* Connections of all workers to a member. */
static uint64_t member_load(const struct pool *pool, size_t member) {
    uint64_t sum = 0;
    for (unsigned w = 0; w < pool->worker_count; w++) {
        sum += atomic_load_explicit(
            &pool->state->connections[w * pool->state->member_count + pool->first + member],
            memory_order_relaxed);
    }
    return sum;
}

static uint64_t member_bit(size_t member) {
    return 1ull << (member % 64);
}

/* The best of those with the given health, in turn from pool->next. */
static size_t pick_with(const struct pool *pool, uint64_t tried, bool well) {
    bool least = pool->config->balance == BALANCE_LEAST_CONNECTIONS;
    size_t best = POOL_NONE;
    uint64_t best_load = UINT64_MAX;
    for (size_t i = 0; i < pool->member_count; i++) {
        size_t member = (pool->next + i) % pool->member_count;
        if ((tried & member_bit(member)) != 0 || member_is_well(pool, member) != well) {
            continue;
        }
        uint64_t load = least ? member_load(pool, member) : 0;
        if (load < best_load) {
            best_load = load;
            best = member;
        }
        if (!least) {
            break;
        }
    }
    return best;
}

size_t pool_pick(struct pool *pool, uint64_t *tried) {
    size_t member = pick_with(pool, *tried, true);
    if (member == POOL_NONE) {
        member = pick_with(pool, *tried, false);
    }
    if (member == POOL_NONE) {
        *tried = 0;
        member = pick_with(pool, 0, true);
    }
    if (member == POOL_NONE) {
        member = pick_with(pool, 0, false);
    }
    *tried |= member_bit(member);
    pool->next = (member + 1) % pool->member_count;
    return member;
}

void pool_count(struct pool *pool, size_t member, int delta) {
    size_t place = pool->worker_index * pool->state->member_count + pool->first + member;
    atomic_fetch_add_explicit(&pool->state->connections[place], (uint32_t)delta,
                              memory_order_relaxed);
}

/* --- health checks ------------------------------------------------------- */

static void probe_log(const struct probe *probe, bool up) {
    struct log_line line;
    log_start(&line, up ? "member-up" : "member-down");
    log_text(&line, "level", up ? "info" : "warning");
    log_text(&line, "pool", probe->pool->config->name);
    log_text(&line, "member", probe->pool->members[probe->member].address.text);
    log_write(&line);
}

static void probe_note(struct probe *probe, bool well) {
    const struct config_pool *config = probe->pool->config;
    struct member_state *state = member_state(probe->pool, probe->member);
    bool down = atomic_load(&state->down) != 0;
    if (well != down) {
        atomic_store(&state->fails, 0); /* as it was: what was counted starts anew */
        return;
    }
    uint32_t in_a_row = atomic_fetch_add(&state->fails, 1) + 1;
    if (in_a_row >= (down ? config->health_rise : config->health_fall)) {
        atomic_store(&state->down, !down);
        atomic_store(&state->fails, 0);
        probe_log(probe, down);
    }
}

static void probe_end(struct probe *probe, bool well) {
    probe->connecting = false;
    if (probe->io.fd >= 0) {
        close(probe->io.fd);
        probe->io.fd = -1;
        probe->io.events = 0;
    }
    probe_note(probe, well);
    loop_timer_set(probe->loop, &probe->timer,
                   probe->loop->now_ns + probe->pool->config->health_interval_ms * NS_PER_MS);
}

static void probe_on_event(struct loop_io *io, uint32_t events) {
    struct probe *probe = (struct probe *)io; /* its first member */
    int error = 0;
    socklen_t len = sizeof(error);
    (void)events;
    probe_end(probe, getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
}

static void probe_begin(struct probe *probe) {
    const struct config_address *to = &probe->pool->members[probe->member].address;
    int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    probe->io.fd = fd;
    if (fd < 0) {
        probe_end(probe, false);
        return;
    }
    int rc = connect(fd, (const struct sockaddr *)&to->addr, to->addr_len);
    if (rc == 0 || errno != EINPROGRESS) {
        probe_end(probe, rc == 0);
        return;
    }
    probe->connecting = true;
    if (loop_add(probe->loop, &probe->io, EPOLLOUT, false) != 0) {
        probe_end(probe, false);
        return;
    }
    loop_timer_set(probe->loop, &probe->timer,
                   probe->loop->now_ns + probe->pool->config->connect_timeout_ms * NS_PER_MS);
}

static void probe_on_timer(struct loop_timer *timer) {
    struct probe *probe = (struct probe *)((char *)timer - offsetof(struct probe, timer));
    if (probe->connecting) {
        probe_end(probe, false);
    } else {
        probe_begin(probe);
    }
}

static int pool_start_checks(struct pool *pool, struct loop *loop) {
    pool->probes = calloc(pool->member_count, sizeof(*pool->probes));
    if (!pool->probes) {
        return -1;
    }
    for (size_t i = 0; i < pool->member_count; i++) {
        struct probe *probe = &pool->probes[i];
        *probe = (struct probe){ .io = { .fd = -1, .on_event = probe_on_event },
                                 .timer = { .on_timer = probe_on_timer },
                                 .loop = loop,
                                 .pool = pool,
                                 .member = i };
        probe_begin(probe);
    }
    return 0;
}

int pools_start_checks(struct pool *pools, const struct generation *gen, struct loop *loop) {
    for (size_t i = 0; i < gen->config->pool_count; i++) {
        if (pools[i].config->health_check == HEALTH_TCP && !pools[i].config->demonstration &&
            pool_start_checks(&pools[i], loop) != 0) {
            return -1;
        }
    }
    return 0;
}
