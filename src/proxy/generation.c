/* generation.c: see generation.h. */
#include "proxy/generation.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096

/* --- listeners ----------------------------------------------------------- */

static bool same_address(const struct config_address *a, const struct config_address *b) {
    return a->addr_len == b->addr_len && memcmp(&a->addr, &b->addr, a->addr_len) == 0;
}

static int socket_open(struct listener *l, const struct sockaddr *addr, bool listens,
                       struct err *err) {
    int one = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(err, errno, "cannot create a socket for %s", l->address.text);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
        (addr->sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 || /* inherited */
        bind(fd, addr, l->address.addr_len) != 0 || (listens && listen(fd, LISTEN_BACKLOG) != 0)) {
        err_set_errno(err, errno, "cannot listen on %s", l->address.text);
        close(fd);
        return -1;
    }
    return fd;
}

/* SO_REUSEPORT would let a second instance of the service share the port, and
 * the two would take clients from each other: a socket without it looks first
 * whether the address is free. */
static int address_probe(const struct listener *l, struct err *err) {
    const struct sockaddr *addr = (const struct sockaddr *)&l->address.addr;
    int one = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(err, errno, "cannot create a socket for %s", l->address.text);
    }
    int rc = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        (addr->sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0) ||
        bind(fd, addr, l->address.addr_len) != 0) {
        rc = err_set_errno(err, errno, "cannot listen on %s", l->address.text);
    }
    close(fd);
    return rc;
}

static in_port_t address_port(const struct sockaddr_storage *addr) {
    return addr->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)addr)->sin6_port
                                       : ((const struct sockaddr_in *)addr)->sin_port;
}

/* Whether sockets of ours hold the port, at whatever address: then the probe
 * would find them. */
static bool holds_port(const struct generation *gen, in_port_t port) {
    for (size_t i = 0; gen && i < gen->listener_count; i++) {
        if (address_port(&gen->listeners[i].bound) == port) {
            return true;
        }
    }
    return false;
}

/* Opens the sockets that are not there yet; the first settles the port. More sockets of an
 * address that is served already do not listen before generation_listen: the kernel would
 * have clients wait there, whom a reload that fails would cut off. */
static int listener_open(struct listener *l, size_t wanted, const struct generation *old,
                         struct err *err) {
    if (l->socket_count >= wanted) {
        return 0;
    }
    if (l->socket_count == 0 && !holds_port(old, address_port(&l->address.addr)) &&
        address_probe(l, err) != 0) {
        return -1;
    }
    int *sockets = realloc(l->sockets, wanted * sizeof(*sockets));
    if (!sockets) {
        return err_set(err, "no memory for %zu sockets", wanted);
    }
    l->sockets = sockets;
    bool served = l->socket_count > 0;
    while (l->socket_count < wanted) {
        bool first = l->socket_count == 0;
        const struct sockaddr *addr =
            (const struct sockaddr *)(first ? &l->address.addr : &l->bound);
        int fd = socket_open(l, addr, !served, err);
        if (fd < 0) {
            return -1;
        }
        l->sockets[l->socket_count++] = fd;
        if (first) {
            l->bound_len = sizeof(l->bound);
            if (getsockname(fd, (struct sockaddr *)&l->bound, &l->bound_len) != 0) {
                return err_set_errno(err, errno, "cannot read the address of %s", l->address.text);
            }
        }
    }
    return 0;
}

/* The nth listener of that address: port 0 may be asked for several times. */
static const struct listener *find_listener(const struct generation *gen,
                                            const struct config_address *address, size_t nth) {
    for (size_t i = 0; gen && i < gen->listener_count; i++) {
        if (same_address(&gen->listeners[i].address, address) && nth-- == 0) {
            return &gen->listeners[i];
        }
    }
    return NULL;
}

static size_t count_listeners(const struct generation *gen, const struct config_address *address) {
    size_t count = 0;
    while (find_listener(gen, address, count)) {
        count++;
    }
    return count;
}

/* `have` is the old generation's listener of that address, or null: its sockets are
 * used as they are, the same descriptors. */
static int listener_init(struct listener *l, const struct config_vserver *vserver,
                         const struct config_address *address, const struct listener *have,
                         struct err *err) {
    l->vserver = vserver;
    l->address = *address;
    l->address.text = strdup(address->text);
    if (!l->address.text) {
        return err_set(err, "no memory for a listener");
    }
    if (have) {
        l->sockets = malloc(have->socket_count * sizeof(*l->sockets));
        if (!l->sockets) {
            return err_set(err, "no memory for a listener");
        }
        memcpy(l->sockets, have->sockets, have->socket_count * sizeof(*l->sockets));
        l->socket_count = have->socket_count;
        l->bound = have->bound;
        l->bound_len = have->bound_len;
    }
    return 0;
}

static int listeners_init(struct generation *gen, const struct generation *old, struct err *err) {
    const struct config *config = gen->config;
    size_t count = 0;
    for (size_t v = 0; v < config->vserver_count; v++) {
        count += config->vservers[v].listen_count;
    }
    gen->listeners = calloc(count + 1, sizeof(*gen->listeners));
    if (!gen->listeners) {
        return err_set(err, "no memory for %zu listeners", count);
    }
    for (size_t v = 0; v < config->vserver_count; v++) {
        const struct config_vserver *vserver = &config->vservers[v];
        for (size_t a = 0; a < vserver->listen_count; a++) {
            const struct config_address *address = &vserver->listen[a];
            const struct listener *have =
                find_listener(old, address, count_listeners(gen, address));
            struct listener *l = &gen->listeners[gen->listener_count++];
            if (listener_init(l, vserver, address, have, err) != 0 ||
                listener_open(l, config->workers, old, err) != 0) {
                struct err why = *err;
                err_clear(err);
                return err_set(err, "%s:%u: %s", config->file, vserver->line, why.text);
            }
        }
    }
    return 0;
}

int generation_listen(const struct generation *gen, struct err *err) {
    for (size_t i = 0; i < gen->listener_count; i++) {
        const struct listener *l = &gen->listeners[i];
        for (size_t s = 0; s < l->socket_count; s++) {
            if (listen(l->sockets[s], LISTEN_BACKLOG) != 0) {
                return err_set_errno(err, errno, "cannot listen on %s", l->address.text);
            }
        }
    }
    return 0;
}

static bool socket_is_in(const struct generation *gen, int fd) {
    for (size_t i = 0; gen && i < gen->listener_count; i++) {
        for (size_t s = 0; s < gen->listeners[i].socket_count; s++) {
            if (gen->listeners[i].sockets[s] == fd) {
                return true;
            }
        }
    }
    return false;
}

static void listeners_fini(struct generation *gen, const struct generation *keep) {
    for (size_t i = 0; i < gen->listener_count; i++) {
        struct listener *l = &gen->listeners[i];
        for (size_t s = 0; s < l->socket_count; s++) {
            if (!socket_is_in(keep, l->sockets[s])) {
                close(l->sockets[s]);
            }
        }
        free(l->sockets);
        free(l->address.text);
    }
    free(gen->listeners);
}

/* --- caches -------------------------------------------------------------- */

/* Also where the tick box is off, so that it can be ticked while running: memory that
 * nobody writes to costs nothing. */
static bool wants_cache(const struct config_profile *p) {
    return p->cache_size > 0;
}

static struct cache_size wanted_size(const struct config_profile *p) {
    return (struct cache_size){ p->cache_size, (uint64_t)p->cache_memory_mb << 20 };
}

void cache_region_release(struct cache_region *region) {
    if (!region || --region->users > 0) {
        return;
    }
    free(region->profile);
    shm_close(&region->shm);
    free(region);
}

void generation_caches_wipe(const struct generation *gen) {
    for (size_t i = 0; i < gen->cache_count; i++) {
        const struct cache_region *region = gen->caches[i];
        if (region && region->users == 1) {
            cache_wipe(&region->cache);
        }
    }
}

static struct cache_region *cache_region_new(const struct config_profile *p, struct err *err) {
    struct cache_region *region = calloc(1, sizeof(*region));
    char *profile = strdup(p->name);
    if (!region || !profile) {
        err_set(err, "no memory for a session cache");
        free(region);
        free(profile);
        return NULL;
    }
    *region = (struct cache_region){ .users = 1, .profile = profile };
    struct cache_size size = wanted_size(p);
    if (shm_create(&region->shm, "reprise-cache", cache_layout_bytes(size), false, err) != 0 ||
        cache_init(&region->cache, region->shm.base, size, err) != 0) {
        cache_region_release(region);
        return NULL;
    }
    return region;
}

static struct cache_region *cache_region_find(const struct generation *gen,
                                              const struct config_profile *p) {
    for (size_t i = 0; gen && i < gen->cache_count; i++) {
        struct cache_region *region = gen->caches[i];
        if (region && strcmp(region->profile, p->name) == 0) {
            return cache_has_size(&region->cache, wanted_size(p)) ? region : NULL;
        }
    }
    return NULL;
}

/* A cache of another size begins empty. One that were copied would bring back what workers
 * of the old generation take out of theirs while they drain (R18). */
static int caches_init(struct generation *gen, const struct generation *old, struct err *err) {
    size_t count = gen->config->profile_count;
    gen->caches = calloc(count + 1, sizeof(struct cache_region *));
    if (!gen->caches) {
        return err_set(err, "no memory for session caches");
    }
    gen->cache_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct config_profile *p = &gen->config->profiles[i];
        struct cache_region *have = cache_region_find(old, p);
        if (have) {
            have->users++;
            gen->caches[i] = have;
        } else if (wants_cache(p) && !(gen->caches[i] = cache_region_new(p, err))) {
            return -1;
        }
    }
    return 0;
}

uint64_t generation_oldest_session_s(const struct generation *gen) {
    uint64_t oldest_s = KEYRING_NEVER;
    for (size_t i = 0; i < gen->cache_count; i++) {
        uint64_t one_s = gen->caches[i] ? cache_oldest_s(&gen->caches[i]->cache) : 0;
        oldest_s = one_s != 0 && one_s < oldest_s ? one_s : oldest_s;
    }
    return oldest_s;
}

struct cache_term *generation_cache_terms(const struct generation *gen, size_t *count) {
    struct cache_term *terms = calloc(gen->config->profile_count + 1, sizeof(*terms));
    *count = 0;
    for (size_t i = 0; terms && i < gen->config->profile_count; i++) {
        if (gen->caches[i]) {
            terms[(*count)++] =
                (struct cache_term){ &gen->caches[i]->cache,
                                     gen->tls->profiles[i].policy.cache_lifetime_s };
        }
    }
    return terms;
}

/* --- switches ------------------------------------------------------------ */

static int switches_find(struct generation *gen, struct switches_table *table, struct err *err) {
    const struct config *config = gen->config;
    gen->switches = calloc(config->profile_count + 1, sizeof(struct switches *));
    if (!gen->switches) {
        return err_set(err, "no memory for tick boxes");
    }
    for (size_t i = 0; i < config->profile_count; i++) {
        gen->switches[i] = switches_place(table, config->profiles[i].name);
        if (!gen->switches[i]) {
            return err_set(err, "more than %d names of profiles since the start: start anew",
                           SWITCHES_PROFILES);
        }
    }
    return 0;
}

void generation_set_switches(const struct generation *gen) {
    for (size_t i = 0; i < gen->config->profile_count; i++) {
        const struct config_profile *p = &gen->config->profiles[i];
        switches_set(gen->switches[i], p->session_cache && wants_cache(p), p->session_tickets);
    }
}

struct resume_stores generation_stores(const struct generation *gen, const struct shared *shared,
                                       const struct config_profile *profile) {
    const struct switches *s = gen->switches[profile - gen->config->profiles];
    return (struct resume_stores){
        .own = atomic_load_explicit(&s->session_cache, memory_order_relaxed)
                   ? generation_cache(gen, profile)
                   : NULL,
        .tickets = atomic_load_explicit(&s->session_tickets, memory_order_relaxed) != 0,
        .replay = shared->replay,
        .switches = s,
    };
}

/* --- backends ------------------------------------------------------------ */

/* Where a pool of `gen` has the member of that address; SIZE_MAX: nowhere. */
static size_t member_place(const struct generation *gen, const struct config_pool *pool,
                           const struct config_address *address) {
    for (size_t i = 0; i < pool->member_count; i++) {
        if (same_address(&pool->members[i].address, address)) {
            return gen->pool_first_member[pool - gen->config->pools] + i;
        }
    }
    return SIZE_MAX;
}

/* What is known of the health of members that stay. */
static void backends_carry_over(struct generation *gen, const struct generation *old) {
    for (size_t i = 0; i < gen->config->pool_count; i++) {
        const struct config_pool *pool = &gen->config->pools[i];
        const struct config_pool *before = config_find_pool(old->config, pool->name);
        if (!before || before->health_check != pool->health_check) {
            continue;
        }
        for (size_t m = 0; m < pool->member_count; m++) {
            size_t place = member_place(old, before, &pool->members[m].address);
            if (place != SIZE_MAX) {
                atomic_store(&gen->backends.members[gen->pool_first_member[i] + m].down,
                             atomic_load(&old->backends.members[place].down));
            }
        }
    }
}

static int backends_init(struct generation *gen, const struct generation *old, struct err *err) {
    const struct config *config = gen->config;
    size_t members = 0;
    gen->pool_first_member = calloc(config->pool_count + 1, sizeof(*gen->pool_first_member));
    if (!gen->pool_first_member) {
        return err_set(err, "no memory for pools");
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        gen->pool_first_member[i] = members;
        members += config->pools[i].demonstration ? 1 : config->pools[i].member_count;
    }
    struct backend_state *b = &gen->backends;
    size_t counts = (size_t)config->workers * (members + 2);
    if (shm_create(&b->shm, "reprise-backends",
                   members * sizeof(*b->members) + counts * sizeof(*b->connections), false,
                   err) != 0) {
        return -1;
    }
    b->member_count = members;
    b->members = b->shm.base;
    b->connections = (_Atomic uint32_t *)(b->members + members);
    b->clients = b->connections + (size_t)config->workers * members;
    b->accepts = b->clients + config->workers;
    if (old) {
        backends_carry_over(gen, old);
    }
    return 0;
}

/* --- the whole ----------------------------------------------------------- */

static int sni_init(struct generation *gen, struct err *err) {
    const struct config *config = gen->config;
    gen->sni = calloc(config->vserver_count + 1, sizeof(struct sni_table *));
    for (size_t i = 0; gen->sni && i < config->vserver_count; i++) {
        gen->sni[i] = sni_new(&config->vservers[i]);
        if (!gen->sni[i]) {
            return err_set(err, "no memory for server names");
        }
    }
    return gen->sni ? 0 : err_set(err, "no memory for server names");
}

struct generation *generation_new(struct config *config, const struct generation *old,
                                  struct switches_table *switches, struct err *err) {
    struct generation *gen = calloc(1, sizeof(*gen));
    if (!gen) {
        config_free(config);
        err_set(err, "no memory for a configuration");
        return NULL;
    }
    gen->config = config;
    gen->number = old ? old->number + 1 : 1;
    gen->backends.shm.fd = -1;
    gen->tls = tls_set_load(config, err);
    if (!gen->tls || sni_init(gen, err) != 0 || backends_init(gen, old, err) != 0 ||
        caches_init(gen, old, err) != 0 || switches_find(gen, switches, err) != 0 ||
        listeners_init(gen, old, err) != 0) {
        generation_free(gen, old);
        return NULL;
    }
    return gen;
}

void generation_free(struct generation *gen, const struct generation *newer) {
    if (!gen) {
        return;
    }
    listeners_fini(gen, newer);
    for (size_t i = 0; i < gen->cache_count; i++) {
        cache_region_release(gen->caches[i]);
    }
    free(gen->caches);
    shm_close(&gen->backends.shm);
    for (size_t i = 0; gen->sni && i < gen->config->vserver_count; i++) {
        sni_free(gen->sni[i]);
    }
    free(gen->sni);
    free(gen->switches);
    free(gen->pool_first_member);
    tls_set_free(gen->tls);
    config_free(gen->config);
    free(gen);
}
