/* master.c: see master.h. */
#include "proxy/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "net/address.h"
#include "proxy/demo.h"
#include "proxy/generation.h"
#include "proxy/keys.h"
#include "proxy/privilege.h"
#include "proxy/shared.h"
#include "proxy/status.h"
#include "proxy/upgrade.h"
#include "proxy/worker.h"

#define READY_TIMEOUT_NS (20 * NS_PER_S)
#define RESTART_DELAY_NS NS_PER_S /* for a worker that died within it of its start */
#define LOCKED_BYTES (8u << 20)   /* more than the key ring and a worker's keys take */
#define HANDOVER_NS (2 * NS_PER_S)
#define END_GRACE_NS NS_PER_S
#define LOOK_NS ((long)NS_PER_MS)
#define KILL_GRACE_NS (5 * NS_PER_S)
#define PROCESSES_MAX (4 * WORKERS_MAX)

#define KILL_SAID 16 /* and above: exit statuses of master_cache_kill's child */

enum role { ROLE_WORKER, ROLE_KEEPER, ROLE_DEMO };

static const char *const role_words[] = { "worker", "keeper", "demonstration" };

struct process {
    pid_t pid; /* 0: free */
    enum role role;
    unsigned index;      /* of a worker */
    unsigned generation; /* of a worker */
    bool ending;         /* has been told to end */
    uint64_t started_ns;
    uint64_t kill_ns; /* when `ending` is over */
};

/* The files that children write to, opened while we still may. */
struct outputs {
    int log_fd;    /* owned; standard error is not closed */
    int keylog_fd; /* owned; -1: none */
};

static const struct outputs no_outputs = { .log_fd = STDERR_FILENO, .keylog_fd = -1 };

struct master {
    struct loop loop;
    struct master_options options;
    struct generation *gen;
    struct generation *old;     /* while a reload is under way: the one before */
    struct outputs old_outputs; /* and what it wrote to */
    struct keys old_keys;       /* and where its keys come from */
    struct shared shared;
    struct privilege_user user;
    struct keys keys;
    struct process processes[PROCESSES_MAX];
    struct loop_io signals;
    struct loop_timer timer;   /* once a second */
    int go_fds[2];             /* a pipe, owned: its end lets new workers accept; -1: none wait */
    bool restart[WORKERS_MAX]; /* workers to start again on the next tick */
    bool restart_keeper;
    bool restart_demo;
    bool stopping;
    bool told_to_end;          /* by a signal; a second one ends at once */
    struct takeover *takeover; /* owned: until this master is the service; null afterwards */
    struct upgrade upgrade;    /* to another program */
    bool handed_over;          /* that one is the service now */
    struct outputs outputs;
    struct cache_region **swept; /* in the keeper: owned */
    int demo_fd;                 /* owned; -1: none */
    int self_fd;                 /* owned: this program's file, to run the demonstration from */
    struct config_address demo_address;
};

/* One a process; reachable from here for as long as it runs. */
static struct master the_master;

struct loop *master_loop(struct master *master) {
    return &master->loop;
}

const struct config *master_config(const struct master *master) {
    return master->gen->config;
}

const struct generation *master_generation(const struct master *master) {
    return master->gen;
}

/* The forward-secrecy figure counts the caches, too. */
const struct keyring *master_keyring(struct master *master) {
    keyring_note_cache_oldest(master->shared.keyring, generation_oldest_session_s(master->gen));
    return master->shared.keyring;
}

struct keyring_lives master_key_lives(const struct master *master) {
    const struct config *config = master->gen->config;
    return (struct keyring_lives){ config->ticket_key_encrypt_s, config->ticket_key_decrypt_s };
}

/* --- children ------------------------------------------------------------ */

static struct process *process_find(struct master *m, pid_t pid) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (m->processes[i].pid == pid) {
            return &m->processes[i];
        }
    }
    return NULL;
}

static struct process *process_of_role(struct master *m, enum role role) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = &m->processes[i];
        if (p->pid != 0 && p->role == role && !p->ending) {
            return p;
        }
    }
    return NULL;
}

static void process_end(struct process *p, int sig, uint64_t grace_ns) {
    p->ending = true;
    p->kill_ns = clock_mono_ns() + grace_ns;
    kill(p->pid, sig);
}

static void outputs_close(struct outputs *out) {
    if (out->log_fd > STDERR_FILENO) {
        close(out->log_fd);
    }
    if (out->keylog_fd >= 0) {
        close(out->keylog_fd);
    }
}

static void go_close(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* In the child: lets go of what is the master's, and of the generation before:
 * its sockets would go on listening with nobody to accept. Keys in files are the keeper's. */
static void child_begin(struct master *m, enum role role) {
    close(m->loop.epoll_fd);
    close(m->signals.fd);
    go_close(&m->go_fds[1]);
    generation_free(m->old, m->gen);
    m->old = NULL;
    outputs_close(&m->old_outputs);
    keys_drop(&m->old_keys);
    if (role != ROLE_KEEPER) {
        keys_drop(&m->keys);
    }
    takeover_close_in_child(m->takeover);
    upgrade_end(&m->upgrade);
    if (m->options.in_child) {
        m->options.in_child(m->options.arg);
    }
}

static void child_drop(struct master *m, pid_t parent) {
    struct err err = { 0 };
    if (privilege_drop(&m->user, parent, &err) != 0) {
        log_event(LOG_ERROR, "privileges", "%s", err.text);
        exit(1);
    }
}

static void child_worker(struct master *m, unsigned index, pid_t parent, int ready_fd) {
    struct err err = { 0 };
    if (m->demo_fd >= 0) {
        close(m->demo_fd);
    }
    if (shm_make_readonly(&m->shared.keyring_shm, true, &err) != 0 ||
        shm_make_readonly(&m->shared.switches_shm, false, &err) != 0) {
        log_event(LOG_ERROR, "worker", "%s", err.text);
        exit(1);
    }
    child_drop(m, parent);
    struct worker_start start = { .gen = m->gen,
                                  .shared = &m->shared,
                                  .index = index,
                                  .ready_fd = ready_fd,
                                  .go_fd = m->go_fds[0],
                                  .keylog_fd = m->outputs.keylog_fd };
    exit(worker_run(&start));
}

/* The keeper has no use for sockets and certificates. */
static void child_keeper(struct master *m, pid_t parent) {
    struct keyring_lives lives = master_key_lives(m);
    size_t count = 0;
    struct cache_term *caches = generation_cache_terms(m->gen, &count);
    child_drop(m, parent);
    m->swept = m->gen->caches; /* stays mapped for as long as the process runs */
    m->gen->caches = NULL;
    m->gen->cache_count = 0;
    generation_free(m->gen, NULL);
    m->gen = NULL;
    exit(m->options.keeper(m->shared.keyring, &lives, m->keys.state, caches, count));
}

enum cache_result master_cache_kill(struct master *master, struct cache *cache,
                                    const uint8_t id[static CACHE_ID_LEN], enum cache_mark mark) {
    pid_t parent = getpid();
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(1);
        shm_close(&master->shared.keyring_shm);
        child_drop(master, parent);
        _exit(KILL_SAID + (int)cache_kill(cache, id, mark));
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
                   WEXITSTATUS(status) >= KILL_SAID
               ? (enum cache_result)(WEXITSTATUS(status) - KILL_SAID)
               : CACHE_BUSY;
}

/* The demonstration is a program of its own again: no key of ours is in its memory. */
static void child_demo(struct master *m, pid_t parent) {
    static char name[] = "reprise";
    static char command[] = "demonstration";
    char *const argv[] = { name, command, NULL };
    child_drop(m, parent);
    if (dup2(m->demo_fd, STDIN_FILENO) == STDIN_FILENO) {
        execveat(m->self_fd, "", argv, environ, AT_EMPTY_PATH);
    }
    log_event(LOG_ERROR, "demonstration", "cannot be started: %s", strerror(errno));
    _exit(1);
}

/* Forks a child of the role. Returns its place, or null. ready_fds: a pipe for a
 * worker's word that it is ready, or null. */
static struct process *process_start(struct master *m, enum role role, unsigned index,
                                     const int *ready_fds) {
    struct process *p = process_find(m, 0);
    pid_t parent = getpid();
    if (!p) {
        return NULL;
    }
    log_flush();
    pid_t pid = fork();
    if (pid < 0) {
        return NULL;
    }
    if (pid == 0) {
        child_begin(m, role);
        if (ready_fds) {
            close(ready_fds[0]);
        }
        switch (role) {
        case ROLE_WORKER:
            child_worker(m, index, parent, ready_fds[1]);
            break;
        case ROLE_KEEPER:
            child_keeper(m, parent);
            break;
        case ROLE_DEMO:
            child_demo(m, parent);
            break;
        }
        _exit(1);
    }
    *p = (struct process){ .pid = pid,
                           .role = role,
                           .index = index,
                           .generation = m->gen->number,
                           .started_ns = clock_mono_ns() };
    return p;
}

/* Starts one worker of the present generation and waits for its word. */
static int worker_start(struct master *m, unsigned index, struct err *err) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return err_set_errno(err, errno, "cannot create a pipe");
    }
    struct process *p = process_start(m, ROLE_WORKER, index, fds);
    close(fds[1]);
    int rc = -1;
    if (!p) {
        err_set_errno(err, errno, "cannot start worker %u", index);
    } else {
        struct pollfd ready = { .fd = fds[0], .events = POLLIN };
        char word;
        int n = poll(&ready, 1, (int)(READY_TIMEOUT_NS / NS_PER_MS));
        rc = n == 1 && read(fds[0], &word, 1) == 1
                 ? 0
                 : err_set(err, "worker %u did not start, see the log", index);
        if (rc != 0) {
            process_end(p, SIGKILL, 0);
        }
    }
    close(fds[0]);
    return rc;
}

/* Ends all workers of a generation; those of the present one are not restarted. */
static void workers_end(struct master *m, unsigned generation, int sig, uint64_t grace_ns) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = &m->processes[i];
        if (p->pid != 0 && p->role == ROLE_WORKER && p->generation == generation) {
            process_end(p, sig, grace_ns);
        }
    }
}

/* Starts all, who wait for workers_go. */
static int workers_start(struct master *m, struct err *err) {
    if (pipe2(m->go_fds, O_CLOEXEC) != 0) {
        return err_set_errno(err, errno, "cannot create a pipe");
    }
    for (unsigned i = 0; i < m->gen->config->workers; i++) {
        if (worker_start(m, i, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Lets the workers that were started accept, or end if they have been told to. */
static void workers_release(struct master *m) {
    go_close(&m->go_fds[0]);
    go_close(&m->go_fds[1]);
}

/* The new workers accept, and with them the tick boxes of the file are in force. */
static void workers_go(struct master *m) {
    generation_set_switches(m->gen);
    workers_release(m);
}

/* Ends a process and waits for its end, which is forced when it does not come. */
static void process_end_now(struct process *p) {
    const struct timespec pause = { .tv_nsec = LOOK_NS };
    uint64_t end_ns = clock_mono_ns() + END_GRACE_NS;
    kill(p->pid, SIGTERM);
    while (waitpid(p->pid, NULL, WNOHANG) == 0) {
        if (clock_mono_ns() >= end_ns) {
            kill(p->pid, SIGKILL);
        }
        nanosleep(&pause, NULL);
    }
    p->pid = 0;
}

static void keeper_end(struct master *m) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (m->processes[i].pid != 0 && m->processes[i].role == ROLE_KEEPER) {
            process_end_now(&m->processes[i]);
        }
    }
}

/* The keeper takes its times from the configuration: on a reload another takes
 * over. Never two at once. A keeper that can't be started is tried again. */
static void keeper_start_anew(struct master *m) {
    keeper_end(m);
    keys_settle(&m->keys, m->gen->config, m->shared.keyring, clock_wall_ms() / MS_PER_S);
    m->restart_keeper = !process_start(m, ROLE_KEEPER, 0, NULL);
    if (m->restart_keeper) {
        log_event(LOG_ERROR, "keeper", "cannot be started: %s; tried again", strerror(errno));
    }
}

static bool wants_demo(const struct config *config) {
    for (size_t i = 0; i < config->pool_count; i++) {
        if (config->pools[i].demonstration) {
            return true;
        }
    }
    return false;
}

/* Starts the demonstration backend where it is wanted, ends it where not. */
static void demo_settle(struct master *m) {
    struct process *running = process_of_role(m, ROLE_DEMO);
    bool wanted = wants_demo(m->gen->config);
    m->restart_demo = false;
    if (running && !wanted) {
        process_end(running, SIGTERM, KILL_GRACE_NS);
    } else if (!running && wanted) {
        m->restart_demo = !process_start(m, ROLE_DEMO, 0, NULL);
    }
}

/* --- configuration ------------------------------------------------------- */

static int open_append(const char *path, mode_t mode, struct err *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        err_set_errno(err, errno, "cannot open '%s' for appending", path);
    }
    return fd;
}

static int outputs_open(const struct config *config, struct outputs *out, struct err *err) {
    *out = no_outputs;
    if (config->log_file && (out->log_fd = open_append(config->log_file, 0640, err)) < 0) {
        return -1;
    }
    if (config->key_log_file &&
        (out->keylog_fd = open_append(config->key_log_file, 0600, err)) < 0) {
        if (config->log_file) {
            close(out->log_fd);
        }
        return -1;
    }
    return 0;
}

static void log_listeners(const struct generation *gen) {
    for (size_t i = 0; i < gen->listener_count; i++) {
        struct log_line line;
        char address[ADDRESS_TEXT_MAX];
        address_text((const struct sockaddr *)&gen->listeners[i].bound, address);
        log_start(&line, "listen");
        log_text(&line, "level", "info");
        log_text(&line, "virtual-server", gen->listeners[i].vserver->name);
        log_text(&line, "address", address);
        log_write(&line);
    }
}

static void log_ready(const struct master *m) {
    struct log_line line;
    log_start(&line, "ready");
    log_text(&line, "level", "info");
    log_u64(&line, "generation", m->gen->number);
    log_u64(&line, "workers", m->gen->config->workers);
    log_u64(&line, "pid", (uint64_t)getpid());
    log_write(&line);
}

static int demo_open(struct master *m, const struct config *config, struct err *err) {
    if (!wants_demo(config) || m->demo_fd >= 0) {
        return 0;
    }
    m->demo_fd = demo_listen(&m->demo_address, err);
    return m->demo_fd >= 0 ? 0 : -1;
}

/* Waits until no worker of the old generation takes new connections: what a
 * reload has changed holds for the next one. They close their sockets as soon as
 * they see the signal; one that is stuck is not waited for. */
static void handover_wait(const struct generation *old) {
    uint64_t end_ns = clock_mono_ns() + HANDOVER_NS;
    const struct timespec pause = { .tv_nsec = LOOK_NS };
    for (unsigned i = 0; i < old->config->workers; i++) {
        while (atomic_load(&old->backends.accepts[i]) != 0 && clock_mono_ns() < end_ns) {
            nanosleep(&pause, NULL);
        }
    }
}

/* What a configuration comes to in the master. */
struct force {
    struct generation *gen;
    struct outputs outputs;
    struct privilege_user user;
    struct keys keys;
};

static struct force force_get(const struct master *m) {
    return (struct force){ m->gen, m->outputs, m->user, m->keys };
}

static void force_set(struct master *m, const struct force *force) {
    m->gen = force->gen;
    m->outputs = force->outputs;
    m->user = force->user;
    m->keys = force->keys;
    log_open(force->outputs.log_fd,
             force->gen && force->gen->config->log_format == LOG_FORMAT_JSON);
}

/* Builds what `config` (taken over) comes to. */
static int force_build(struct master *m, struct config *config, struct force *out,
                       struct err *err) {
    if (config->workers > WORKERS_MAX) {
        config->workers = WORKERS_MAX;
    }
    if (privilege_find(config->user, &out->user, err) != 0 || demo_open(m, config, err) != 0 ||
        shared_settle_replay(&m->shared, config, m->takeover, err) != 0 ||
        keys_load(&out->keys, config, out->user.uid, false, err) != 0) {
        config_free(config);
        return -1;
    }
    if (outputs_open(config, &out->outputs, err) != 0) {
        keys_drop(&out->keys);
        config_free(config);
        return -1;
    }
    out->gen = generation_new(config, m->gen, m->shared.switches, err);
    if (!out->gen) {
        outputs_close(&out->outputs);
        keys_drop(&out->keys);
        return -1;
    }
    out->gen->demo = m->demo_address;
    return 0;
}

static void log_in_force(const struct master *m, const struct generation *old) {
    const struct config *config = m->gen->config;
    const char *control = config->control_socket ? config->control_socket : "none";
    log_listeners(m->gen);
    if (config->key_log_file) {
        log_event(LOG_WARNING, "key-log",
                  "TLS secrets are written to '%s': whoever reads it decrypts the traffic",
                  config->key_log_file);
    }
    keys_warn(config, old ? old->config : NULL);
    if (old &&
        strcmp(control, old->config->control_socket ? old->config->control_socket : "none") != 0) {
        log_event(LOG_WARNING, "control", "control-socket takes effect at the next start only");
    }
    log_ready(m);
}

/* Makes `config` (taken over) the one in force, or leaves all as it was. */
static int master_apply(struct master *m, struct config *config, struct err *err) {
    struct force before = force_get(m);
    struct force now;
    if (force_build(m, config, &now, err) != 0) {
        return -1;
    }
    force_set(m, &now);
    m->old = before.gen;
    m->old_outputs = before.outputs;
    m->old_keys = before.keys;
    /* No ticket is sealed under a key that is not the one wanted (R34). In an upgrade the
     * ring is still another keeper's, unless it had to be made anew. */
    if (!before.gen || keyring_is_bare(m->shared.keyring)) {
        keys_settle(&m->keys, config, m->shared.keyring, clock_wall_ms() / MS_PER_S);
    }
    int rc = workers_start(m, err);
    if (rc == 0 && !m->takeover) { /* the old service is still at work, and its keeper */
        rc = generation_listen(m->gen, err);
    }
    if (rc == 0) {
        if (!m->takeover) {
            workers_go(m);
            keeper_start_anew(m);
        }
        demo_settle(m);
    }
    m->old = NULL;
    m->old_outputs = no_outputs;
    m->old_keys = (struct keys){ 0 };
    if (rc != 0) {
        workers_end(m, now.gen->number, SIGTERM,
                    now.gen->config->drain_timeout_ms * NS_PER_MS + KILL_GRACE_NS);
        workers_release(m); /* to their end; one that takes a client meanwhile drains */
        force_set(m, &before);
        generation_free(now.gen, before.gen);
        outputs_close(&now.outputs);
        keys_drop(&now.keys);
        return -1;
    }
    memset(m->restart, 0, sizeof(m->restart)); /* those of the old generation */
    if (before.gen) {
        workers_end(m, before.gen->number, SIGTERM,
                    before.gen->config->drain_timeout_ms * NS_PER_MS + KILL_GRACE_NS);
        handover_wait(before.gen);
        if (!m->takeover) { /* the old service may yet go on with its caches */
            generation_caches_wipe(before.gen);
            log_in_force(m, before.gen);
        }
        generation_free(before.gen, now.gen);
        outputs_close(&before.outputs);
        keys_drop(&before.keys);
    }
    return 0;
}

/* Whether a reload or an upgrade may begin. */
static int may_change(const struct master *m, struct err *err) {
    if (m->handed_over) {
        return err_set(err, "another process is the service");
    }
    if (m->stopping) {
        return err_set(err, "the service is ending");
    }
    return m->upgrade.pid == 0 ? 0 : err_set(err, "an upgrade is under way");
}

static void notify_reloading(void) {
    notify_tell("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_ns() / 1000);
}

static int reload_run(struct master *m, struct err *err) {
    if (may_change(m, err) != 0) {
        return -1;
    }
    notify_reloading();
    struct config *config = m->options.load(m->options.arg, err);
    int rc = config ? master_apply(m, config, err) : -1;
    notify_tell("READY=1");
    return rc;
}

int master_reload(struct master *master, struct err *err) {
    int rc = reload_run(master, err);
    if (rc == 0) {
        log_event(LOG_INFO, "reload", "configuration %u in force", master->gen->number);
    } else {
        log_event(LOG_ERROR, "reload", "%s; the old configuration stays in force", err->text);
    }
    return rc;
}

/* --- supervising --------------------------------------------------------- */

static void log_exit(const struct process *p, int status) {
    struct log_line line;
    bool normal = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char event[32];
    snprintf(event, sizeof(event), "%s-exit", role_words[p->role]);
    log_start(&line, event);
    log_text(&line, "level", normal ? "info" : "error");
    log_u64(&line, "pid", (uint64_t)p->pid);
    if (p->role == ROLE_WORKER) {
        log_u64(&line, "worker", p->index);
        log_u64(&line, "generation", p->generation);
    }
    if (WIFSIGNALED(status)) {
        log_u64(&line, "signal", (uint64_t)WTERMSIG(status));
    } else {
        log_u64(&line, "status", (uint64_t)WEXITSTATUS(status));
    }
    log_write(&line);
}

/* A dead worker's counts are nobody's any more. */
static void worker_clear(struct master *m, unsigned index) {
    struct backend_state *b = &m->gen->backends;
    for (size_t i = 0; i < b->member_count; i++) {
        atomic_store(&b->connections[index * b->member_count + i], 0);
    }
    atomic_store(&b->clients[index], 0);
    atomic_store(&b->accepts[index], 0);
}

static void restart_worker(struct master *m, unsigned index) {
    struct err err = { 0 };
    m->restart[index] = false;
    if (worker_start(m, index, &err) != 0) {
        log_event(LOG_ERROR, "worker", "%s", err.text);
        m->restart[index] = true;
    } else {
        struct log_line line;
        log_start(&line, "worker-started");
        log_text(&line, "level", "info");
        log_u64(&line, "worker", index);
        log_write(&line);
    }
}

static void process_ended(struct master *m, struct process *p, int status) {
    struct process gone = *p;
    p->pid = 0;
    log_exit(&gone, status);
    if (m->stopping || gone.ending) {
        return;
    }
    bool at_once = clock_mono_ns() - gone.started_ns > RESTART_DELAY_NS;
    switch (gone.role) {
    case ROLE_WORKER:
        worker_clear(m, gone.index);
        m->restart[gone.index] = true;
        if (at_once) {
            restart_worker(m, gone.index);
        }
        break;
    case ROLE_KEEPER:
        m->restart_keeper = true;
        break;
    case ROLE_DEMO:
        m->restart_demo = true;
        break;
    }
}

static bool any_worker(const struct master *m) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (m->processes[i].pid != 0 && m->processes[i].role == ROLE_WORKER) {
            return true;
        }
    }
    return false;
}

static bool any_process(const struct master *m) {
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (m->processes[i].pid != 0) {
            return true;
        }
    }
    return false;
}

/* Workers first; the keeper and the demonstration once they are gone. */
static void stop_go_on(struct master *m) {
    if (!m->stopping || any_worker(m)) {
        return;
    }
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (m->processes[i].pid != 0 && !m->processes[i].ending) {
            process_end(&m->processes[i], SIGTERM, KILL_GRACE_NS);
        }
    }
    m->loop.stop = !any_process(m);
}

static void reap(struct master *m) {
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *p = process_find(m, pid);
        if (p) {
            process_ended(m, p, status);
        } else if (pid == m->upgrade.pid) {
            m->upgrade.ended = true;
            m->upgrade.status = status;
        }
    }
    stop_go_on(m);
}

/* No new connections; those that are finish, or end at once. */
static void service_end(struct master *m, bool at_once) {
    uint64_t grace_ns = m->gen->config->drain_timeout_ms * NS_PER_MS + KILL_GRACE_NS;
    m->stopping = true;
    workers_release(m); /* to their end */
    for (size_t i = 0; i < m->gen->listener_count; i++) {
        struct listener *l = &m->gen->listeners[i];
        for (size_t s = 0; s < l->socket_count; s++) {
            close(l->sockets[s]);
        }
        l->socket_count = 0;
    }
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = &m->processes[i];
        if (p->pid != 0 && p->role == ROLE_WORKER) {
            process_end(p, at_once ? SIGKILL : SIGTERM, grace_ns);
        }
    }
}

static void master_stop(struct master *m) {
    bool again = m->told_to_end;
    m->told_to_end = true;
    log_event(LOG_INFO, "stop", again ? "ending at once" : "draining");
    if (!m->handed_over) {
        notify_tell("STOPPING=1");
    }
    service_end(m, again);
    stop_go_on(m);
}

static void signal_on_event(struct loop_io *io, uint32_t events) {
    struct master *m = (struct master *)((char *)io - offsetof(struct master, signals));
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            reap(m);
            break;
        case SIGHUP: {
            struct err err = { 0 };
            master_reload(m, &err); /* logs how it went */
            break;
        }
        case SIGUSR2: {
            struct err err = { 0 };
            pid_t pid;
            master_upgrade(m, &pid, &err); /* logs how it went */
            break;
        }
        default:
            master_stop(m);
            break;
        }
    }
}

static void tick_on_timer(struct loop_timer *timer) {
    struct master *m = (struct master *)((char *)timer - offsetof(struct master, timer));
    uint64_t now_ns = m->loop.now_ns;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *p = &m->processes[i];
        if (p->pid != 0 && p->ending && now_ns >= p->kill_ns) {
            kill(p->pid, SIGKILL);
        }
    }
    for (unsigned i = 0; i < m->gen->config->workers && !m->stopping; i++) {
        if (m->restart[i]) {
            restart_worker(m, i);
        }
    }
    if (m->restart_keeper && !m->stopping) {
        keeper_start_anew(m);
    }
    if (m->restart_demo && !m->stopping) {
        demo_settle(m);
    }
    loop_timer_set(&m->loop, timer, now_ns + NS_PER_S);
}

/* --- upgrade ------------------------------------------------------------- */

/* What goes on as ever while the new program starts. */
static bool upgrade_meanwhile(void *arg) {
    struct master *m = arg;
    m->loop.now_ns = clock_mono_ns();
    signal_on_event(&m->signals, EPOLLIN);
    tick_on_timer(&m->timer);
    return !m->stopping;
}

/* The moment from which the new program is the service. */
static int upgrade_commit(struct master *m, struct err *err) {
    keeper_end(m); /* never two */
    if (upgrade_go(&m->upgrade, err) != 0) {
        keeper_start_anew(m);
        return -1;
    }
    m->handed_over = true;
    m->options.control_gone(m->options.arg);
    notify_tell("READY=1\nMAINPID=%d", (int)m->upgrade.pid);
    service_end(m, false);
    handover_wait(m->gen);
    upgrade_end(&m->upgrade);
    return 0;
}

static int upgrade_run(struct master *m, struct err *err) {
    struct upgrade_gift gift = { .gen = m->gen, .shared = &m->shared };
    const struct upgrade_meanwhile meanwhile = { upgrade_meanwhile, m, m->signals.fd };
    gift.control_path = m->options.control(m->options.arg, &gift.control_fd);
    if (upgrade_start(&m->upgrade, m->options.program, err) != 0 ||
        upgrade_converse(&m->upgrade, &gift, &meanwhile, err) != 0) {
        return -1;
    }
    return upgrade_commit(m, err);
}

int master_upgrade(struct master *master, pid_t *pid, struct err *err) {
    int rc = may_change(master, err);
    if (rc == 0) {
        log_event(LOG_INFO, "upgrade", "starting %s", master->options.program[0]);
        notify_reloading();
        rc = upgrade_run(master, err);
        if (rc != 0) {
            upgrade_cancel(&master->upgrade);
            master->upgrade.pid = 0;
            notify_tell("READY=1");
        }
    }
    if (rc != 0) {
        log_event(LOG_ERROR, "upgrade", "%s; this program goes on", err->text);
        return -1;
    }
    *pid = master->upgrade.pid;
    log_event(LOG_INFO, "upgrade", "process %d is the service; connections of this one finish",
              (int)*pid);
    stop_go_on(master);
    return 0;
}

int master_take_over(struct master *master, struct err *err) {
    struct takeover *takeover = master->takeover;
    bool alone = false;
    if (!takeover) {
        return 0;
    }
    if (takeover_ready(takeover, &alone, err) != 0) {
        return -1;
    }
    if (generation_listen(master->gen, err) != 0) { /* there is no way back */
        log_event(LOG_ERROR, "listen", "%s", err->text);
        err_clear(err);
    }
    workers_go(master);
    if (alone) {
        /* The old keeper was told to end as well, but may not have ended yet. */
        log_event(LOG_WARNING, "upgrade", "the running service has ended without a word");
        master->restart_keeper = true;
    } else {
        keeper_start_anew(master);
    }
    master->takeover = NULL; /* not before: the keeper closes what is in there */
    takeover_end(takeover);
    return 0;
}

/* --- status -------------------------------------------------------------- */

void master_write_status(struct master *master, FILE *out, bool json) {
    struct status status = { .gen = master->gen, .counters = master->shared.counters };
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *p = &master->processes[i];
        status.workers += p->pid != 0 && p->role == ROLE_WORKER && !p->ending;
        status.draining += p->pid != 0 && p->role == ROLE_WORKER && p->ending;
    }
    status_write(&status, out, json);
}

/* --- start and end ------------------------------------------------------- */

static void limits_set(void) {
    struct rlimit limit;
    const struct rlimit no_core = { 0, 0 };
    const struct rlimit locked = { LOCKED_BYTES, LOCKED_BYTES };
    setrlimit(RLIMIT_CORE, &no_core);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < LOCKED_BYTES &&
        setrlimit(RLIMIT_MEMLOCK, &locked) != 0) { /* the hard limit is root's to raise */
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_MEMLOCK, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
}

static int signals_init(struct master *m, struct err *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &set, NULL) != 0) {
        return err_set_errno(err, errno, "cannot block signals");
    }
    m->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    m->signals.on_event = signal_on_event;
    if (m->signals.fd < 0 || loop_add(&m->loop, &m->signals, EPOLLIN, true) != 0) {
        return err_set_errno(err, errno, "cannot receive signals");
    }
    return 0;
}

static void master_fini(struct master *m) {
    generation_free(m->gen, NULL);
    m->gen = NULL;
    keys_drop(&m->keys);
    log_open(STDERR_FILENO, false);
    outputs_close(&m->outputs);
    free(m->demo_address.text);
    /* Not the keys of a service that goes on. */
    shared_fini(&m->shared, !m->takeover && !m->handed_over);
    takeover_free(m->takeover);
    m->takeover = NULL;
}

/* Undoes a start that failed. In an upgrade clients may be with the workers already:
 * those are told to end by the end of this process, and finish first. */
static void start_undo(struct master *m, struct err *err) {
    bool told = m->takeover && takeover_refuse(m->takeover, err->text);
    for (size_t i = 0; i < PROCESSES_MAX && !told; i++) {
        if (m->processes[i].pid != 0) {
            kill(m->processes[i].pid, SIGKILL);
            waitpid(m->processes[i].pid, NULL, 0);
        }
    }
    master_fini(m);
    if (told) {
        err_clear(err);
    }
}

/* All that the first generation needs to be built. */
static int master_init(struct master *m, struct err *err) {
    if (loop_init(&m->loop, err) != 0 || signals_init(m, err) != 0 ||
        shared_init(&m->shared, m->takeover, err) != 0) {
        return -1;
    }
    m->gen = m->takeover ? takeover_generation(m->takeover, err) : NULL;
    return m->takeover && !m->gen ? -1 : 0;
}

struct master *master_start(const struct master_options *options, struct err *err) {
    struct master *m = &the_master;
    *m = (struct master){ .options = *options,
                          .outputs = no_outputs,
                          .old_outputs = no_outputs,
                          .takeover = options->takeover,
                          .upgrade.channel = -1,
                          .go_fds = { -1, -1 },
                          .demo_fd = -1 };
    shared_clear(&m->shared);
    m->timer.on_timer = tick_on_timer;
    limits_set();
    m->self_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    struct config *config = options->load(options->arg, err);
    if (config && master_init(m, err) != 0) {
        config_free(config);
        config = NULL;
    }
    if (!config || master_apply(m, config, err) != 0) {
        start_undo(m, err);
        return NULL;
    }
    loop_timer_set(&m->loop, &m->timer, m->loop.now_ns + NS_PER_S);
    return m;
}

int master_run(struct master *master) {
    if (!master->takeover) {        /* it is the service */
        log_in_force(master, NULL); /* the control socket is open by now, too */
        notify_tell("READY=1");
    }
    int rc = loop_run(&master->loop);
    log_event(LOG_INFO, "end", "all processes have ended");
    master_fini(master);
    loop_fini(&master->loop);
    return rc == 0 ? 0 : 1;
}
