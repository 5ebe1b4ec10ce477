/* worker.c: see worker.h. */
#include "proxy/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "proxy/conn.h"
#include "proxy/pool.h"
#include "proxy/sandbox.h"

#define ACCEPT_BATCH 64
#define HOUSEKEEPING_NS (NS_PER_S)
#define KEYS_WAIT_NS (2 * NS_PER_S) /* the keeper looks once a second */
#define SEALED_BYTES (WORKER_RECEIVE_BYTES + 32768)

static void accept_stop(struct worker *worker) {
    worker->accepting = false;
    for (size_t i = 0; i < worker->accepter_count; i++) {
        loop_remove(&worker->loop, &worker->accepters[i].io);
    }
}

static void accept_on_event(struct loop_io *io, uint32_t events) {
    struct accepter *a = (struct accepter *)io; /* its first member */
    (void)events;
    for (unsigned i = 0; i < ACCEPT_BATCH && a->worker->accepting; i++) {
        union conn_address address;
        socklen_t len = sizeof(address);
        int fd = accept4(io->fd, &address.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accept(a, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            accept_stop(a->worker); /* they wait in the backlog until housekeeping looks again */
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static int accept_start(struct worker *worker) {
    worker->accepting = true;
    for (size_t i = 0; i < worker->accepter_count; i++) {
        if (loop_add(&worker->loop, &worker->accepters[i].io, EPOLLIN, true) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Accepts again when it had stopped and there is room. */
static void accept_resume(struct worker *worker) {
    if (!worker->draining && !worker->accepting && worker->connections < worker->max_connections &&
        accept_start(worker) != 0) {
        log_event(LOG_ERROR, "accept", "cannot accept again");
    }
}

/* What the master and other workers read of this one. */
static void worker_publish(struct worker *worker) {
    atomic_store_explicit(&worker->gen->backends.clients[worker->index], worker->connections,
                          memory_order_relaxed);
}

void worker_conn_added(struct worker *worker) {
    worker->connections++;
    counter_add(worker->counters, COUNT_CONNECTIONS, 1);
    worker_publish(worker);
    if (worker->connections >= worker->max_connections && worker->accepting) {
        accept_stop(worker);
    }
}

void worker_conn_gone(struct worker *worker) {
    worker->connections--;
    worker_publish(worker);
    if (worker->draining) {
        worker->loop.stop = worker->connections == 0;
    } else if (worker->connections + 1 == worker->max_connections) {
        accept_resume(worker);
    }
}

static void drain_on_timer(struct loop_timer *timer) {
    struct worker *worker = (struct worker *)((char *)timer - offsetof(struct worker, drain_end));
    while (worker->conns) {
        conn_end(worker->conns, CLOSE_DRAIN_TIMEOUT);
    }
    worker->loop.stop = true;
}

/* No new connections; those that are go on, up to the drain-timeout. */
static void worker_drain(struct worker *worker) {
    if (worker->draining) {
        return;
    }
    worker->draining = true;
    accept_stop(worker);
    for (size_t i = 0; i < worker->accepter_count; i++) {
        close(worker->accepters[i].io.fd);
        worker->accepters[i].io.fd = -1;
    }
    atomic_store(&worker->gen->backends.accepts[worker->index], 0);
    worker->loop.stop = worker->connections == 0;
    loop_timer_set(&worker->loop, &worker->drain_end,
                   worker->loop.now_ns + worker->gen->config->drain_timeout_ms * NS_PER_MS);
}

static void signal_on_event(struct loop_io *io, uint32_t events) {
    struct worker *worker = (struct worker *)((char *)io - offsetof(struct worker, signals));
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        worker_drain(worker);
    }
}

/* Once a second: keys that the ring no longer holds are wiped here too, and what was put
 * off is done. */
static void housekeeping_on_timer(struct loop_timer *timer) {
    struct worker *worker =
        (struct worker *)((char *)timer - offsetof(struct worker, housekeeping));
    sealer_refresh(worker->tls.resume.sealer);
    tls_worker_forget(&worker->tls);
    accept_resume(worker);
    loop_timer_set(&worker->loop, timer, worker->loop.now_ns + HOUSEKEEPING_NS);
}

static void worker_on_turn(struct loop *loop) {
    (void)loop;
    log_flush();
}

/* The caches among which an ID that a profile does not know is looked for. */
static void accepter_find_caches(struct accepter *a, const struct generation *gen) {
    const struct config_vserver *vserver = a->listener->vserver;
    for (size_t i = 0; i < vserver->profile_count && a->cache_count < RESUME_OTHERS_MAX; i++) {
        struct cache *cache = generation_cache(gen, vserver->profiles[i]);
        if (cache) {
            a->caches[a->cache_count++] = cache;
        }
    }
}

/* This worker's share of each listener's sockets: more than one when there were
 * more workers before a reload. */
static int accepters_init(struct worker *worker) {
    const struct generation *gen = worker->gen;
    size_t count = 0;
    for (size_t i = 0; i < gen->listener_count; i++) {
        count += gen->listeners[i].socket_count;
    }
    worker->accepters = calloc(count + 1, sizeof(*worker->accepters));
    if (!worker->accepters) {
        return -1;
    }
    for (size_t i = 0; i < gen->listener_count; i++) {
        const struct listener *l = &gen->listeners[i];
        for (size_t s = 0; s < l->socket_count; s++) {
            if (s % gen->config->workers != worker->index) {
                close(l->sockets[s]);
                continue;
            }
            worker->accepters[worker->accepter_count++] = (struct accepter){
                .io = { .fd = l->sockets[s], .on_event = accept_on_event },
                .worker = worker,
                .listener = l,
                .sni = gen->sni[l->vserver - gen->config->vservers],
                .pool = &worker->pools[l->vserver->pool - gen->config->pools],
            };
            accepter_find_caches(&worker->accepters[worker->accepter_count - 1], gen);
        }
    }
    return accept_start(worker);
}

static int signals_init(struct worker *worker) {
    sigset_t ends;
    if (process_block_signals(&ends) != 0) {
        return -1;
    }
    worker->signals.fd = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    worker->signals.on_event = signal_on_event;
    return worker->signals.fd >= 0 ? loop_add(&worker->loop, &worker->signals, EPOLLIN, true) : -1;
}

/* The keeper may be writing the ring at this moment, and a worker that has no copy from
 * before would resume nobody. One that was never finished is not waited for: the next
 * keeper repairs it. */
static void keys_wait(struct sealer *sealer) {
    const struct timespec pause = { .tv_nsec = (long)NS_PER_MS };
    uint64_t end_ns = clock_mono_ns() + KEYS_WAIT_NS;
    while (!sealer_ready(sealer) && clock_mono_ns() < end_ns) {
        nanosleep(&pause, NULL);
    }
}

static int worker_init(struct worker *worker, const struct worker_start *start, struct err *err) {
    worker->gen = start->gen;
    worker->shared = start->shared;
    worker->index = start->index;
    worker->counters = &start->shared->counters[start->index % WORKERS_MAX];
    worker->max_connections = start->gen->config->max_connections;
    worker->tls.keylog_fd = start->keylog_fd;
    worker->tls.now_ms = clock_wall_ms();
    worker->receive = malloc(WORKER_RECEIVE_BYTES);
    worker->plain = malloc(WORKER_PLAIN_BYTES);
    worker->tls.io.out = malloc(SEALED_BYTES);
    worker->tls.io.out_cap = SEALED_BYTES;
    worker->tls.resume.sealer = sealer_new(start->shared->keyring, err);
    worker->tls.resume.scratch = secret_alloc(sizeof(*worker->tls.resume.scratch));
    worker->pools = pools_new(start->gen, start->index);
    if (!worker->tls.resume.sealer) {
        return -1;
    }
    keys_wait(worker->tls.resume.sealer);
    if (!worker->receive || !worker->plain || !worker->tls.io.out || !worker->pools ||
        !worker->tls.resume.scratch || tls_worker_init(&worker->tls) != 0) {
        return err_set(err, "no memory for a worker");
    }
    if (loop_init(&worker->loop, err) != 0) {
        return -1;
    }
    worker->loop.on_turn = worker_on_turn;
    if (signals_init(worker) != 0 || accepters_init(worker) != 0) {
        return err_set_errno(err, errno, "cannot set up a worker's events");
    }
    if (start->index == 0 && pools_start_checks(worker->pools, start->gen, &worker->loop) != 0) {
        return err_set_errno(err, errno, "cannot start the health checks");
    }
    return sandbox_enter(err);
}

static void worker_fini(struct worker *worker) {
    /* What the last turn put off: closed connections are freed. */
    while (worker->loop.tasks) {
        struct loop_task *task = worker->loop.tasks;
        worker->loop.tasks = task->next;
        task->run(task);
    }
    pools_free(worker->pools, worker->gen);
    tls_worker_forget(&worker->tls);
    tls_worker_fini(&worker->tls);
    sealer_free(worker->tls.resume.sealer);
    secret_free(worker->tls.resume.scratch, sizeof(*worker->tls.resume.scratch));
    free(worker->accepters);
    free(worker->receive);
    free(worker->plain);
    free(worker->tls.io.out);
    loop_fini(&worker->loop);
}

/* Until all of the generation's workers are ready, or the master is gone. */
static void go_wait(int go_fd) {
    char none;
    if (go_fd >= 0) {
        while (read(go_fd, &none, 1) < 0 && errno == EINTR) {
        }
        close(go_fd);
    }
}

int worker_run(const struct worker_start *start) {
    static struct worker worker; /* zeroed; one a process */
    struct err err = { 0 };
    log_set_rate(start->gen->config->log_rate);
    if (worker_init(&worker, start, &err) != 0) {
        log_event(LOG_ERROR, "worker", "%s", err.text);
        return 1;
    }
    worker.housekeeping.on_timer = housekeeping_on_timer;
    worker.drain_end.on_timer = drain_on_timer;
    loop_timer_set(&worker.loop, &worker.housekeeping, worker.loop.now_ns + HOUSEKEEPING_NS);
    log_set_buffered(true);
    atomic_store(&start->gen->backends.accepts[start->index], 1);
    if (write(start->ready_fd, "r", 1) != 1) {
        return 1; /* the master is gone */
    }
    close(start->ready_fd);
    go_wait(start->go_fd);
    int rc = loop_run(&worker.loop);
    log_flush();
    worker_fini(&worker);
    return rc == 0 ? 0 : 1;
}
