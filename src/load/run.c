/* run.c: see run.h. */
#include "load/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/shm.h"
#include "load/worker.h"

#define POLL_NS (5 * NS_PER_MS) /* how often the workers' flags are looked at */

struct run {
    const struct load_options *options;
    const struct load_watch *watch;
    struct load_result *result;
    struct shm shm;
    struct load_row *rows;         /* in shm */
    struct load_control *controls; /* in shm */
    pid_t pids[LOAD_WORKERS_MAX];
    int wakes[LOAD_WORKERS_MAX];
    unsigned started;
    uint64_t start_ns;
    uint64_t next_sample_ns;
    uint64_t cpu_before_ns;
    bool lost; /* a worker ended before its time */
};

/* Set by a signal: end early, and tell what was done until then. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* --- workers ---------------------------------------------------------------- */

static void wake_all(const struct run *run) {
    const uint64_t one = 1;
    for (unsigned i = 0; i < run->started; i++) {
        if (write(run->wakes[i], &one, sizeof(one)) < 0) {
            continue; /* its counter is full: it will wake */
        }
    }
}

static void set_phase(const struct run *run, enum load_phase phase) {
    for (unsigned i = 0; i < run->started; i++) {
        atomic_store(&run->controls[i].phase, (int)phase);
    }
    wake_all(run);
}

static void set_allow(const struct run *run, unsigned all) {
    unsigned workers = run->options->workers;
    for (unsigned i = 0; i < run->started; i++) {
        atomic_store(&run->controls[i].allow, all / workers + (i < all % workers ? 1 : 0));
    }
}

static int start_worker(struct run *run, pid_t parent, struct err *err) {
    unsigned number = run->started;
    run->wakes[number] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->wakes[number] < 0) {
        return err_set_errno(err, errno, "cannot make an eventfd");
    }
    pid_t pid = fork();
    if (pid < 0) {
        close(run->wakes[number]);
        return err_set_errno(err, errno, "cannot start a worker");
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_IGN); /* a terminal's ^C is the parent's */
        signal(SIGTERM, SIG_DFL);
        _exit(getppid() == parent ? load_worker_run(run->options, number, run->wakes[number],
                                                    &run->rows[number], &run->controls[number])
                                  : 1);
    }
    run->pids[number] = pid;
    run->started++;
    return 0;
}

/* Has any worker ended? Those that ended well have said so before. */
static void look_for_lost(struct run *run) {
    for (unsigned i = 0; i < run->started; i++) {
        int status = 0;
        if (run->pids[i] > 0 && waitpid(run->pids[i], &status, WNOHANG) == run->pids[i]) {
            run->pids[i] = 0;
            run->lost |= status != 0 || !atomic_load(&run->controls[i].ended);
        }
    }
}

static void reap_all(struct run *run) {
    for (unsigned i = 0; i < run->started; i++) {
        if (run->pids[i] > 0) {
            kill(run->pids[i], SIGKILL);
            waitpid(run->pids[i], NULL, 0);
        }
        close(run->wakes[i]);
    }
    run->started = 0;
}

/* --- watching --------------------------------------------------------------- */

static struct load_sample sum_up(const struct run *run) {
    struct load_sample sample = { .at_ns = clock_mono_ns() - run->start_ns };
    for (unsigned i = 0; i < run->started; i++) {
        sample.done += load_row_done(&run->rows[i]);
        sample.failed += load_row_failed(&run->rows[i]);
        sample.aborted += load_row_aborted(&run->rows[i]);
        sample.held += run->rows[i].held;
    }
    return sample;
}

static void add_sample(struct load_result *result, const struct load_sample *sample) {
    if ((result->sample_count & (result->sample_count + 1)) == 0) { /* 0, 1, 3, 7: it is full */
        size_t cap = 2 * result->sample_count + 1;
        struct load_sample *grown = realloc(result->samples, cap * sizeof(*grown));
        if (!grown) {
            return;
        }
        result->samples = grown;
    }
    result->samples[result->sample_count++] = *sample;
}

static void watch(struct run *run) {
    uint64_t now_ns = clock_mono_ns();
    if (now_ns < run->next_sample_ns) {
        return;
    }
    struct load_sample sample = sum_up(run);
    run->next_sample_ns = now_ns + LOAD_SAMPLE_NS;
    add_sample(run->result, &sample);
    if (run->watch && run->watch->on_sample) {
        run->watch->on_sample(run->watch->ctx, &sample);
    }
}

static void pause_for(uint64_t ns) {
    const struct timespec ts = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
    nanosleep(&ts, NULL);
}

static bool all_ready(const struct run *run) {
    for (unsigned i = 0; i < run->started; i++) {
        if (!atomic_load(&run->controls[i].ready)) {
            return false;
        }
    }
    return true;
}

static bool all_ended(const struct run *run) {
    for (unsigned i = 0; i < run->started; i++) {
        if (!atomic_load(&run->controls[i].ended)) {
            return false;
        }
    }
    return true;
}

/* Waits for `done`, watching; at the longest until `until_ns`. Returns whether it came. */
static bool wait_for(struct run *run, bool (*done)(const struct run *run), uint64_t until_ns,
                     bool watches) {
    while (!done(run)) {
        look_for_lost(run);
        if (run->lost || interrupted || clock_mono_ns() >= until_ns) {
            return false;
        }
        if (watches) {
            watch(run);
        }
        pause_for(POLL_NS);
    }
    return true;
}

/* --- the load ---------------------------------------------------------------- */

static bool all_allowed_held(const struct run *run) {
    struct load_sample sample = sum_up(run);
    unsigned allowed = 0;
    for (unsigned i = 0; i < run->started; i++) {
        allowed += atomic_load(&run->controls[i].allow);
    }
    return sample.held + sample.failed >= allowed;
}

static uint64_t end_of(const struct run *run) {
    uint64_t duration_ms = run->options->duration_ms;
    return duration_ms > 0 ? clock_mono_ns() + duration_ms * NS_PER_MS : UINT64_MAX;
}

static uint64_t read_pss_kb(const struct run *run) {
    return tree_read(run->options->server_pid, true).pss_kb;
}

/* Opens some, measures, opens all, measures, holds. */
static void run_idle(struct run *run) {
    const struct load_options *options = run->options;
    struct load_result *result = run->result;
    unsigned first = options->idle / 10 < LOAD_IDLE_FIRST ? options->idle / 10 : LOAD_IDLE_FIRST;
    set_allow(run, first);
    set_phase(run, LOAD_RUN);
    if (!wait_for(run, all_allowed_held, UINT64_MAX, true)) {
        return;
    }
    uint64_t held = sum_up(run).held;
    result->server_pss_before_kb = read_pss_kb(run);
    set_allow(run, options->idle);
    wake_all(run);
    if (!wait_for(run, all_allowed_held, UINT64_MAX, true)) {
        return;
    }
    result->server_pss_after_kb = read_pss_kb(run);
    result->server_pss_connections = sum_up(run).held - held;
    wait_for(run, all_ended, end_of(run), true);
}

static void run_active(struct run *run) {
    struct load_result *result = run->result;
    result->server_pss_before_kb = read_pss_kb(run);
    set_phase(run, LOAD_RUN);
    wait_for(run, all_ended, end_of(run), true);
}

/* What is open when the end comes may go on for the time that one connection may take. */
static uint64_t grace_ns(const struct load_options *options) {
    return (options->timeout_ms + 2000) * NS_PER_MS;
}

static void add_up(struct run *run) {
    struct load_result *result = run->result;
    for (unsigned i = 0; i < run->options->workers; i++) {
        load_row_merge(result->row, &run->rows[i]);
    }
    result->elapsed_ns = result->row->elapsed_ns;
}

static int run_load(struct run *run, struct err *err) {
    const struct load_options *options = run->options;
    struct load_result *result = run->result;
    if (!wait_for(run, all_ready, UINT64_MAX, false)) {
        return interrupted ? err_set(err, "interrupted") : err_set(err, "a worker ended");
    }
    result->has_server = options->server_pid > 0;
    run->cpu_before_ns = tree_read(options->server_pid, false).cpu_ns;
    run->start_ns = clock_mono_ns();
    if (options->idle > 0) {
        run_idle(run);
    } else {
        run_active(run);
    }
    result->interrupted = interrupted != 0;
    interrupted = 0;
    set_phase(run, LOAD_STOP);
    wait_for(run, all_ended, clock_mono_ns() + grace_ns(options), true);
    struct tree_use after = tree_read(options->server_pid, options->idle == 0);
    result->server_cpu_ns =
        after.cpu_ns > run->cpu_before_ns ? after.cpu_ns - run->cpu_before_ns : 0;
    result->server_processes = after.processes;
    if (options->idle == 0) {
        result->server_pss_after_kb = after.pss_kb;
    }
    run->next_sample_ns = 0;
    watch(run);
    look_for_lost(run);
    add_up(run);
    return run->lost ? err_set(err, "a worker ended before its time") : 0;
}

/* Every connection is a descriptor. */
static void raise_limits(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int start_all(struct run *run, struct err *err) {
    const struct load_options *options = run->options;
    size_t rows = options->workers * sizeof(struct load_row);
    size_t controls = options->workers * sizeof(struct load_control);
    if (shm_create(&run->shm, "reprise-load", rows + controls, false, err) != 0) {
        return -1;
    }
    run->rows = run->shm.base;
    run->controls = (struct load_control *)((char *)run->shm.base + rows);
    pid_t parent = getpid();
    for (unsigned i = 0; i < options->workers; i++) {
        if (start_worker(run, parent, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int load_run(const struct load_options *options, const struct load_watch *watch,
             struct load_result *result, struct err *err) {
    struct run run = { .options = options, .watch = watch, .result = result, .shm = { .fd = -1 } };
    struct sigaction handler = { .sa_handler = on_signal };
    struct sigaction before[2];
    *result = (struct load_result){ .row = calloc(1, sizeof(*result->row)) };
    if (!result->row) {
        return err_set(err, "out of memory");
    }
    if (options->server_pid > 0 && tree_read(options->server_pid, false).processes == 0) {
        load_result_free(result);
        return err_set(err, "there is no process %d", options->server_pid);
    }
    raise_limits();
    interrupted = 0;
    sigaction(SIGINT, &handler, &before[0]);
    sigaction(SIGTERM, &handler, &before[1]);
    int rc = start_all(&run, err);
    if (rc == 0) {
        rc = run_load(&run, err);
    }
    reap_all(&run);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    shm_close(&run.shm);
    if (rc != 0) {
        load_result_free(result);
    }
    return rc;
}

void load_result_free(struct load_result *result) {
    free(result->row);
    free(result->samples);
    result->row = NULL;
    result->samples = NULL;
}

/* --- what it comes to -------------------------------------------------------- */

uint64_t load_result_ended(const struct load_result *result) {
    return load_row_done(result->row) + load_row_failed(result->row) +
           load_row_aborted(result->row);
}

static double us_each(uint64_t ns, uint64_t count) {
    return count > 0 ? (double)ns / 1000 / (double)count : 0;
}

double load_result_own_cpu_us(const struct load_result *result) {
    return us_each(result->row->cpu_ns, load_result_ended(result));
}

double load_result_server_cpu_us(const struct load_result *result) {
    return us_each(result->server_cpu_ns, load_result_ended(result));
}

double load_result_rate(const struct load_result *result) {
    uint64_t good = load_row_done(result->row) + load_row_aborted(result->row);
    return result->elapsed_ns > 0 ? (double)good * 1e9 / (double)result->elapsed_ns : 0;
}

double load_result_server_kb(const struct load_result *result) {
    if (result->server_pss_connections == 0) {
        return 0;
    }
    return ((double)result->server_pss_after_kb - (double)result->server_pss_before_kb) /
           (double)result->server_pss_connections;
}
