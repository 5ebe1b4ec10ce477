/* worker.c: see worker.h. */
#include "load/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

#define ARRIVAL_TICK_NS 100000u /* arrivals that are closer are begun together */
#define ARRIVAL_TICK_MAX_NS NS_PER_S
#define PAUSE_NS (20 * NS_PER_MS) /* after a connection that failed at once */
#define PRIME_TRIES_MORE 3u       /* for each pool, beyond what it is to have */
#define SESSIONS_MAX 4096u

#define OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void worker_next(struct load_worker *worker, struct load_conn *conn);

/* --- small things ---------------------------------------------------------- */

/* SplitMix64: the same draws in every run of a worker of that number. */
static uint64_t draw(struct load_worker *worker) {
    uint64_t z = worker->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* This worker's part of a number that all share. */
static uint64_t share(const struct load_worker *worker, uint64_t all) {
    unsigned workers = worker->options->workers;
    return all / workers + (worker->number < all % workers ? 1 : 0);
}

static uint64_t cpu_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

static size_t name_count(const struct load_options *options) {
    return options->name_count > 0 ? options->name_count : 1;
}

struct load_sessions *load_pool_of(struct load_worker *worker, enum load_kind kind, size_t target,
                                   size_t name) {
    const struct load_options *options = worker->options;
    size_t from = options->across ? 0 : target;
    return &worker
                ->pools[((size_t)kind * options->target_count + from) * name_count(options) + name];
}

/* --- places for connections ------------------------------------------------ */

static struct load_conn *conn_get(struct load_worker *worker) {
    struct load_conn *conn = worker->free_conns;
    if (conn) {
        worker->free_conns = conn->next_free;
        worker->open++;
    }
    return conn;
}

static void conn_put(struct load_worker *worker, struct load_conn *conn) {
    loop_timer_stop(&conn->timer);
    conn->state = LOAD_STATE_FREE;
    conn->next_free = worker->free_conns;
    worker->free_conns = conn;
    worker->open--;
}

/* --- sessions before the load ---------------------------------------------- */

/* How many sessions a pool of this kind is to have before the load begins. */
static size_t pool_wanted(const struct load_worker *worker) {
    const struct load_options *options = worker->options;
    size_t sessions = options->sessions > 0 ? options->sessions : worker->pools[0].cap;
    size_t pools = (options->across ? 1 : options->target_count) * name_count(options);
    return sessions / pools > 0 ? sessions / pools : 1;
}

/* Uses a free place to make one session more; gives it back when there are enough. */
static void prime_next(struct load_worker *worker, struct load_conn *conn) {
    const struct load_options *options = worker->options;
    size_t wanted = pool_wanted(worker);
    for (; worker->prime_at < worker->pool_count; worker->prime_at++) {
        size_t at = worker->prime_at;
        size_t name = at % name_count(options);
        size_t target = at / name_count(options) % options->target_count;
        enum load_kind kind = (enum load_kind)(at / name_count(options) / options->target_count);
        if (!load_kind_resumes(kind) || !options->kinds[kind] || options->resume <= 0 ||
            (options->across && target > 0)) {
            continue;
        }
        if (worker->pools[at].count < wanted &&
            worker->prime_tries[at] < wanted + PRIME_TRIES_MORE) {
            worker->prime_tries[at]++;
            load_conn_prime(conn, kind, target, name);
            return;
        }
    }
    conn_put(worker, conn);
    if (worker->open == 0) {
        atomic_store(&worker->control->ready, true);
    }
}

/* --- the load --------------------------------------------------------------- */

static void worker_check_end(struct load_worker *worker) {
    bool over = worker->phase == LOAD_STOP || (worker->phase == LOAD_RUN && worker->left == 0);
    if (over && worker->open == 0) {
        worker->loop.stop = true;
    }
}

static void worker_begin(struct load_worker *worker, struct load_conn *conn, uint64_t start_ns) {
    worker->left--;
    worker->row->started++;
    load_conn_begin(conn, load_draw(worker->options, draw(worker)), start_ns);
}

/* Closed loop: one is over, the next begins in its place. */
static void worker_next(struct load_worker *worker, struct load_conn *conn) {
    if (worker->phase != LOAD_RUN || worker->left == 0) {
        conn_put(worker, conn);
        worker_check_end(worker);
        return;
    }
    worker_begin(worker, conn, clock_mono_ns());
}

/* Idle: opens as many as may be, some at a time. */
static void idle_fill(struct load_worker *worker) {
    unsigned allow = atomic_load(&worker->control->allow);
    uint64_t at_a_time = share(worker, worker->options->connections);
    while (worker->phase == LOAD_RUN && worker->begun < allow &&
           worker->open - worker->row->held < (at_a_time > 0 ? at_a_time : 1)) {
        struct load_conn *conn = conn_get(worker);
        if (!conn) {
            return;
        }
        worker->begun++;
        worker_begin(worker, conn, clock_mono_ns());
    }
}

void load_worker_held(struct load_conn *conn) {
    conn->worker->row->held++;
    idle_fill(conn->worker);
}

/* Open loop: begins all whose time has come. */
static void on_arrival(struct loop_io *io, uint32_t events) {
    struct load_worker *worker = OF(io, struct load_worker, arrival);
    const struct load_options *options = worker->options;
    uint64_t times = 0;
    (void)events;
    if (read(io->fd, &times, sizeof(times)) < 0 || worker->phase != LOAD_RUN) {
        return;
    }
    double gap_ns = 1e9 * options->workers / options->rate;
    double offset_ns = gap_ns * worker->number / options->workers;
    for (uint64_t now_ns = clock_mono_ns(); worker->left > 0;) {
        uint64_t due_ns = worker->start_ns + (uint64_t)((double)worker->begun * gap_ns + offset_ns);
        if (due_ns > now_ns) {
            return;
        }
        worker->begun++;
        struct load_conn *conn = conn_get(worker);
        if (conn) {
            worker_begin(worker, conn, due_ns);
        } else {
            worker->left--;
            worker->row->started++;
            worker->row->failed[LOAD_FAILURE_LOCAL]++;
        }
    }
}

static int arrivals_start(struct load_worker *worker) {
    double gap_ns = 1e9 * worker->options->workers / worker->options->rate;
    gap_ns = gap_ns > ARRIVAL_TICK_NS ? gap_ns : ARRIVAL_TICK_NS;
    uint64_t tick_ns = gap_ns < ARRIVAL_TICK_MAX_NS ? (uint64_t)gap_ns : ARRIVAL_TICK_MAX_NS;
    struct timespec tick = { (time_t)(tick_ns / NS_PER_S), (long)(tick_ns % NS_PER_S) };
    struct itimerspec spec = { .it_interval = tick, .it_value = { 0, 1 } };
    worker->arrival = (struct loop_io){ .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK),
                                        .on_event = on_arrival };
    return worker->arrival.fd >= 0 && timerfd_settime(worker->arrival.fd, 0, &spec, NULL) == 0 &&
                   loop_add(&worker->loop, &worker->arrival, EPOLLIN, true) == 0
               ? 0
               : -1;
}

static void worker_go(struct load_worker *worker) {
    const struct load_options *options = worker->options;
    worker->phase = LOAD_RUN;
    worker->start_ns = clock_mono_ns();
    worker->cpu_start_ns = cpu_ns();
    worker->row->bytes_sent = 0;
    worker->row->bytes_received = 0;
    worker->left = options->idle > 0    ? share(worker, options->idle)
                   : options->count > 0 ? share(worker, options->count)
                                        : UINT64_MAX;
    if (options->idle > 0) {
        idle_fill(worker);
    } else if (options->rate > 0) {
        if (arrivals_start(worker) != 0) {
            worker->row->failed[LOAD_FAILURE_LOCAL]++;
            worker->left = 0;
        }
    } else {
        for (struct load_conn *conn; worker->left > 0 && (conn = conn_get(worker));) {
            worker_next(worker, conn);
        }
    }
    worker_check_end(worker);
}

static void worker_stop(struct load_worker *worker) {
    worker->phase = LOAD_STOP;
    for (size_t i = 0; i < worker->conn_count; i++) {
        if (worker->conns[i].state == LOAD_STATE_HELD) {
            load_conn_release(&worker->conns[i]);
        }
    }
    worker_check_end(worker);
}

static void on_pause_end(struct loop_timer *timer) {
    struct load_conn *conn = OF(timer, struct load_conn, timer);
    if (conn->worker->phase == LOAD_PRIME) {
        prime_next(conn->worker, conn);
    } else {
        worker_next(conn->worker, conn);
    }
}

void load_worker_ended(struct load_conn *conn, bool good) {
    struct load_worker *worker = conn->worker;
    const struct load_options *options = worker->options;
    if (worker->phase == LOAD_RUN && (options->rate > 0 || options->idle > 0)) {
        conn_put(worker, conn);
        idle_fill(worker);
        worker_check_end(worker);
    } else if (!good && conn->pause) {
        conn->state = LOAD_STATE_FREE;
        loop_timer_stop(&conn->timer);
        conn->timer.on_timer = on_pause_end;
        loop_timer_set(&worker->loop, &conn->timer, worker->loop.now_ns + PAUSE_NS);
    } else if (worker->phase == LOAD_PRIME) {
        prime_next(worker, conn);
    } else {
        worker_next(worker, conn);
    }
}

/* The parent changed something. */
static void on_wake(struct loop_io *io, uint32_t events) {
    struct load_worker *worker = OF(io, struct load_worker, wake);
    uint64_t times = 0;
    (void)events;
    if (read(io->fd, &times, sizeof(times)) < 0) {
        return;
    }
    enum load_phase phase = (enum load_phase)atomic_load(&worker->control->phase);
    if (phase == LOAD_RUN && worker->phase == LOAD_PRIME) {
        worker_go(worker);
    } else if (phase == LOAD_STOP && worker->phase != LOAD_STOP) {
        worker_stop(worker);
    } else {
        idle_fill(worker);
    }
}

/* --- the process ------------------------------------------------------------ */

static int make_contexts(struct load_worker *worker, struct err *err) {
    const struct load_options *options = worker->options;
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        uint16_t tls = kind == LOAD_PSK ? 0x0304 : kind == LOAD_FULL ? options->tls : 0x0303;
        struct tls_client_way way = {
            .version_min = tls != 0 ? tls : 0x0303,
            .version_max = tls != 0 ? tls : 0x0304,
            .no_tickets = kind == LOAD_ID,
            .groups = options->groups,
            .ciphers = options->ciphers,
            .alpn = options->alpn,
            .ca_file = options->ca_file,
        };
        if (options->kinds[kind] && kind != LOAD_PLAIN &&
            !(worker->ctx[kind] = tls_client_context(&way, err))) {
            return -1;
        }
    }
    return 0;
}

static int make_pools(struct load_worker *worker) {
    const struct load_options *options = worker->options;
    size_t cap = options->sessions > 0 ? options->sessions : share(worker, options->connections);
    worker->pool_count = (size_t)LOAD_KINDS * options->target_count * name_count(options);
    worker->pools = calloc(worker->pool_count, sizeof(*worker->pools));
    worker->prime_tries = calloc(worker->pool_count, sizeof(*worker->prime_tries));
    for (size_t i = 0; worker->pools && i < worker->pool_count; i++) {
        worker->pools[i].cap = cap < 1 ? 1 : cap > SESSIONS_MAX ? SESSIONS_MAX : cap;
    }
    return worker->pools && worker->prime_tries ? 0 : -1;
}

static int make_conns(struct load_worker *worker) {
    const struct load_options *options = worker->options;
    uint64_t all = options->idle > 0   ? options->idle
                   : options->rate > 0 ? options->max_open
                                       : options->connections;
    worker->conn_count = share(worker, all) > 0 ? share(worker, all) : 1;
    worker->conns = calloc(worker->conn_count, sizeof(*worker->conns));
    worker->in = malloc(LOAD_BUFFER_BYTES);
    worker->plain = malloc(LOAD_BUFFER_BYTES);
    worker->tls.io.out_cap = tls_sealed_max(LOAD_BUFFER_BYTES);
    worker->tls.io.out = malloc(worker->tls.io.out_cap);
    if (!worker->conns || !worker->in || !worker->plain || !worker->tls.io.out) {
        return -1;
    }
    worker->open = worker->conn_count;
    for (size_t i = worker->conn_count; i > 0; i--) {
        worker->conns[i - 1].worker = worker;
        worker->conns[i - 1].io.fd = -1;
        conn_put(worker, &worker->conns[i - 1]);
    }
    return tls_client_init(&worker->tls);
}

static void worker_free(struct load_worker *worker) {
    for (size_t i = 0; worker->pools && i < worker->pool_count; i++) {
        load_sessions_fini(&worker->pools[i]);
    }
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        tls_client_context_free(worker->ctx[kind]);
    }
    tls_client_fini(&worker->tls);
    free(worker->pools);
    free(worker->prime_tries);
    free(worker->conns);
    free(worker->in);
    free(worker->plain);
    free(worker->tls.io.out);
}

static void prime_start(struct load_worker *worker) {
    size_t at_a_time = worker->options->connections;
    for (struct load_conn *conn; at_a_time > 0 && (conn = conn_get(worker)); at_a_time--) {
        prime_next(worker, conn);
    }
}

static int worker_live(struct load_worker *worker, int wake_fd, struct err *err) {
    worker->wake = (struct loop_io){ .fd = wake_fd, .on_event = on_wake };
    if (make_contexts(worker, err) != 0) {
        return -1;
    }
    if (make_pools(worker) != 0 || make_conns(worker) != 0) {
        return err_set(err, "out of memory");
    }
    if (loop_init(&worker->loop, err) != 0) {
        return -1;
    }
    int rc = -1;
    if (loop_add(&worker->loop, &worker->wake, EPOLLIN, true) != 0) {
        err_set_errno(err, errno, "cannot wait for the parent");
    } else {
        prime_start(worker);
        rc = loop_run(&worker->loop);
        worker->row->cpu_ns = cpu_ns() - worker->cpu_start_ns;
        worker->row->elapsed_ns = clock_mono_ns() - worker->start_ns;
        atomic_store(&worker->control->ended, true);
    }
    loop_fini(&worker->loop);
    return rc;
}

int load_worker_run(const struct load_options *options, unsigned number, int wake_fd,
                    struct load_row *row, struct load_control *control) {
    struct load_worker worker = { .options = options,
                                  .row = row,
                                  .control = control,
                                  .number = number,
                                  .random = number + 1,
                                  .arrival = { .fd = -1 } };
    struct err err = { 0 };
    int rc = worker_live(&worker, wake_fd, &err);
    if (rc != 0) {
        fprintf(stderr, "reprise bench: %s\n", err.set ? err.text : "a worker failed");
    }
    worker_free(&worker);
    return rc == 0 ? 0 : 1;
}
