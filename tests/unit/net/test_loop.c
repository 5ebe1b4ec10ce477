/* test_loop.c: net/loop.c. The clock and the waiting are the test's: time passes when the
 * loop waits, and nobody else does. */
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "unit.h"

#define TICK_NS (20 * NS_PER_MS) /* timers are as exact as this */

/* --- a clock of our own -------------------------------------------------- */

static uint64_t fake_now_ns;
static bool waits_for_ever; /* the loop had nothing to do and nothing to wait for */
static unsigned waits;      /* how often it waited */
static unsigned interrupts; /* so often a signal comes first */
static struct loop loop;

/* These stand for base/clock.c's. */
uint64_t clock_mono_ns(void) {
    return fake_now_ns;
}

uint64_t clock_wall_ms(void) {
    return fake_now_ns / NS_PER_MS;
}

/* Stands for the C library's: what would be waited for goes by at once. */
int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms) {
    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    int n = (int)syscall(SYS_epoll_pwait, epoll_fd, events, max, 0, NULL, 0);
    if (n == 0 && timeout_ms > 0) {
        fake_now_ns += (unsigned)timeout_ms * NS_PER_MS;
        waits++;
    }
    if (n == 0 && timeout_ms < 0) {
        waits_for_ever = true;
        loop.stop = true;
    }
    return n;
}

static int start(void **state) {
    (void)state;
    struct err err = { 0 };
    fake_now_ns = 12345678901234u; /* not at a tick */
    waits_for_ever = false;
    waits = 0;
    return loop_init(&loop, &err);
}

static int end(void **state) {
    (void)state;
    loop_fini(&loop);
    return 0;
}

/* Runs until there is nothing left to wait for. */
static void run(void) {
    loop.stop = false;
    waits_for_ever = false;
    assert_int_equal(loop_run(&loop), 0);
    assert_true(waits_for_ever);
}

/* --- timers -------------------------------------------------------------- */

struct alarm {
    struct loop_timer timer; /* first, so that one is the other */
    bool armed;
    uint64_t deadline_ns;
    unsigned fired;
    void (*then)(struct alarm *a); /* done when it fires; may be null */
    struct alarm *whom;            /* to what it is done */
};

/* Never early, and late by a tick and the wait's own millisecond at the most. */
static void alarm_fires(struct loop_timer *timer) {
    struct alarm *a = (struct alarm *)timer;
    assert_true(a->armed);
    assert_null(timer->link);
    assert_true(fake_now_ns >= a->deadline_ns);
    assert_true(fake_now_ns <= a->deadline_ns + TICK_NS + 2 * NS_PER_MS);
    a->armed = false;
    a->fired++;
    if (a->then) {
        a->then(a);
    }
}

static void alarm_set(struct alarm *a, uint64_t after_ns) {
    a->timer.on_timer = alarm_fires;
    a->armed = true;
    a->deadline_ns = fake_now_ns + after_ns;
    loop_timer_set(&loop, &a->timer, a->deadline_ns);
}

static void alarm_stop(struct alarm *a) {
    a->armed = false;
    loop_timer_stop(&a->timer);
}

static void then_stop_whom(struct alarm *a) {
    alarm_stop(a->whom);
}

static void then_move_whom(struct alarm *a) {
    a->then = NULL;
    alarm_set(a->whom, 700 * NS_PER_MS);
}

static void then_set_again(struct alarm *a) {
    alarm_set(a, 50 * NS_PER_MS);
}

static void then_set_again_at_once(struct alarm *a) {
    alarm_set(a, 0);
}

static void then_leave(struct alarm *a) {
    (void)a;
    loop.stop = true;
}

/* Runs for so long. */
static void pass(uint64_t ns) {
    struct alarm leave = { .then = then_leave };
    alarm_set(&leave, ns);
    loop.stop = false;
    assert_int_equal(loop_run(&loop), 0);
    assert_int_equal(leave.fired, 1);
}

static void a_stopped_timer_does_not_fire(void **state) {
    (void)state;
    struct alarm alarms[3] = { 0 };
    for (size_t i = 0; i < LENGTH(alarms); i++) {
        alarm_set(&alarms[i], 100 * NS_PER_MS);
    }
    alarm_stop(&alarms[1]);
    alarm_stop(&alarms[1]);
    run();
    assert_int_equal(alarms[0].fired, 1);
    assert_int_equal(alarms[1].fired, 0);
    assert_int_equal(alarms[2].fired, 1);
    alarm_stop(&alarms[0]); /* long over */
    struct alarm never = { 0 };
    alarm_stop(&never); /* never armed */
    alarm_set(&alarms[1], 50 * NS_PER_MS);
    run();
    assert_int_equal(alarms[1].fired, 1);
}

static void timers_fire_in_their_time(void **state) {
    (void)state;
    static const uint64_t delays_ms[] = { 0,    1,    19,    20,    21,    40,    999,
                                          1000, 5000, 20459, 20460, 20461, 20480, 20500 };
    for (size_t i = 0; i < LENGTH(delays_ms); i++) {
        struct alarm a = { 0 };
        alarm_set(&a, delays_ms[i] * NS_PER_MS);
        run();
        assert_int_equal(a.fired, 1);
    }
}

/* The wheel reaches 20 s far; idle times are minutes, and may be days. */
static void timers_beyond_the_wheel_fire_in_their_time(void **state) {
    (void)state;
    static const uint64_t delays_s[] = { 21, 40, 41, 61, 300, 3600, 86400, 30 * 86400 };
    struct alarm alarms[LENGTH(delays_s)] = { 0 };
    for (size_t i = 0; i < LENGTH(delays_s); i++) {
        alarm_set(&alarms[i], delays_s[i] * NS_PER_S + i);
    }
    run();
    for (size_t i = 0; i < LENGTH(delays_s); i++) {
        assert_int_equal(alarms[i].fired, 1);
    }
}

static void a_timer_already_due_fires_soon(void **state) {
    (void)state;
    struct alarm a = { .timer = { .on_timer = alarm_fires }, .armed = true };
    a.deadline_ns = fake_now_ns;
    loop_timer_set(&loop, &a.timer, 1); /* long past */
    run();
    assert_int_equal(a.fired, 1);
}

static void the_earlier_deadline_comes_first(void **state) {
    (void)state;
    /* b would find a already fired. */
    for (unsigned ms = 40; ms < 60000; ms = ms * 5 / 4) {
        struct alarm a = { 0 };
        struct alarm b = { .then = then_stop_whom, .whom = &a };
        alarm_set(&b, (ms + 25) * NS_PER_MS);
        alarm_set(&a, ms * NS_PER_MS);
        run();
        assert_int_equal(a.fired, 1);
        assert_int_equal(b.fired, 1);
    }
}

static void a_timer_moved_later_fires_later(void **state) {
    (void)state;
    struct alarm a = { 0 };
    struct alarm other = { 0 };
    alarm_set(&a, 100 * NS_PER_MS);
    alarm_set(&other, 100 * NS_PER_MS);
    alarm_set(&a, 10 * NS_PER_S);
    alarm_set(&a, 60 * NS_PER_S);
    run();
    assert_int_equal(a.fired, 1);
    assert_int_equal(other.fired, 1);
}

static void a_timer_moved_earlier_fires_earlier(void **state) {
    (void)state;
    struct alarm a = { 0 };
    alarm_set(&a, 60 * NS_PER_S);
    alarm_set(&a, 10 * NS_PER_S);
    alarm_set(&a, 100 * NS_PER_MS);
    run();
    assert_int_equal(a.fired, 1);
    /* Later, which costs a store, and then earlier, but still later than where it hangs. */
    alarm_set(&a, 100 * NS_PER_MS);
    alarm_set(&a, 60 * NS_PER_S);
    alarm_set(&a, 1 * NS_PER_S);
    run();
    assert_int_equal(a.fired, 2);
}

/* Moving it for each byte that comes must not wake the loop for each. */
static void a_timer_moved_a_thousand_times_wakes_seldom(void **state) {
    (void)state;
    struct alarm a = { 0 };
    for (unsigned i = 0; i < 1000; i++) {
        alarm_set(&a, 5 * NS_PER_S + i * NS_PER_MS);
    }
    run();
    assert_int_equal(a.fired, 1);
    assert_true(waits <= 3);
}

static void a_timer_can_arm_itself_again(void **state) {
    (void)state;
    struct alarm a = { .then = then_set_again };
    alarm_set(&a, 50 * NS_PER_MS);
    pass(10 * NS_PER_S);
    assert_in_range(a.fired, 10000 / (50 + 2 * 20), 10000 / 50);
    alarm_stop(&a);
    /* Also for at once: that is the next tick, not for ever in this one. */
    struct alarm again = { .then = then_set_again_at_once };
    alarm_set(&again, 0);
    pass(1 * NS_PER_S);
    assert_in_range(again.fired, 20, 52);
    alarm_stop(&again);
}

/* All of one slot: a handler may stop or move any of them, itself included. */
static void handlers_may_stop_and_move_what_hangs_beside(void **state) {
    (void)state;
    enum { COUNT = 4 };
    for (unsigned by = 0; by < COUNT; by++) {
        for (unsigned whom = 0; whom < COUNT; whom++) {
            for (unsigned move = 0; move <= 1; move++) {
                struct alarm alarms[COUNT] = { 0 };
                for (unsigned i = 0; i < COUNT; i++) {
                    alarm_set(&alarms[i], 100 * NS_PER_MS);
                }
                alarms[by].then = move ? then_move_whom : then_stop_whom;
                alarms[by].whom = &alarms[whom];
                run();
                for (unsigned i = 0; i < COUNT; i++) {
                    /* Whoever was before it in the slot had fired by then. */
                    unsigned least = i == whom && i != by && !move ? 0 : 1;
                    unsigned most = i == whom && move ? 2 : 1;
                    assert_in_range(alarms[i].fired, least, most);
                    assert_false(alarms[i].armed);
                    assert_null(alarms[i].timer.link);
                }
            }
        }
    }
}

static unsigned late_fired;

static void late_alarm_fires(struct loop_timer *timer) {
    struct alarm *a = (struct alarm *)timer;
    assert_true(a->armed && fake_now_ns >= a->deadline_ns);
    a->armed = false;
    late_fired++;
}

/* The process was stopped for an hour: what was due is done, once each; the rest later. */
static void after_a_long_stop_all_that_is_due_fires_once(void **state) {
    (void)state;
    static struct alarm alarms[2000];
    memset(alarms, 0, sizeof(alarms));
    late_fired = 0;
    for (size_t i = 0; i < LENGTH(alarms); i++) {
        alarm_set(&alarms[i], i * 3 * NS_PER_S);
        alarms[i].timer.on_timer = late_alarm_fires;
    }
    fake_now_ns += 3600 * NS_PER_S;
    pass(1);
    assert_in_range(late_fired, 1200, 1202);
    run();
    assert_int_equal(late_fired, LENGTH(alarms));
}

#define MANY 300

static struct alarm many[MANY];
static uint64_t many_rng;

static void many_act(void) {
    struct alarm *a = &many[rng_below(&many_rng, MANY)];
    if (rng_below(&many_rng, 4) == 0) {
        alarm_stop(a);
    } else {
        static const uint64_t spans_ms[] = { 30, 500, 20000, 100000 };
        uint64_t span_ms = spans_ms[rng_below(&many_rng, LENGTH(spans_ms))];
        alarm_set(a, rng_below(&many_rng, span_ms * NS_PER_MS));
    }
}

static void then_act(struct alarm *a) {
    (void)a;
    many_act();
    many_act();
}

/* Random setting, moving and stopping, out of handlers too: each fires in its time
 * (alarm_fires looks), and none is forgotten. */
static void many_timers_at_random(void **state) {
    (void)state;
    memset(many, 0, sizeof(many));
    many_rng = 4;
    for (unsigned i = 0; i < MANY; i++) {
        many[i].then = i % 3 == 0 ? then_act : NULL;
    }
    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < 5; i++) {
            many_act();
        }
        pass(rng_below(&many_rng, 400 * NS_PER_MS));
        for (size_t i = 0; i < MANY; i++) {
            assert_true(!many[i].armed || many[i].deadline_ns + 2 * TICK_NS > fake_now_ns);
            assert_int_equal(many[i].armed, many[i].timer.link != NULL);
        }
    }
    unsigned fired = 0;
    for (size_t i = 0; i < MANY; i++) {
        many[i].then = NULL;
        fired += many[i].fired;
    }
    assert_true(fired > 3000);
    run();
    for (size_t i = 0; i < MANY; i++) {
        assert_false(many[i].armed);
    }
}

/* --- tasks --------------------------------------------------------------- */

static char trace[256]; /* what happened, a letter each */

static void note(char c) {
    size_t len = strlen(trace);
    assert_true(len + 1 < sizeof(trace));
    trace[len] = c;
    trace[len + 1] = '\0';
}

struct job {
    struct loop_task task; /* first, so that one is the other */
    char letter;
    struct job *next; /* put off when it runs */
    unsigned again;   /* puts itself off so often */
    bool frees_itself;
};

static void job_run(struct loop_task *task) {
    struct job *job = (struct job *)task;
    note(job->letter);
    if (job->next) {
        loop_later(&loop, &job->next->task);
        loop_later(&loop, &job->next->task);
    }
    if (job->again > 0) {
        job->again--;
        loop_later(&loop, task);
    }
    if (job->frees_itself) {
        free(job);
    }
}

static void note_turn(struct loop *l) {
    assert_ptr_equal(l, &loop);
    note('|');
}

static void tasks_run_in_order_and_once(void **state) {
    (void)state;
    trace[0] = '\0';
    loop.on_turn = note_turn;
    struct job jobs[3] = { { .letter = 'a' }, { .letter = 'b' }, { .letter = 'c' } };
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < LENGTH(jobs); i++) {
            jobs[i].task.run = job_run;
            loop_later(&loop, &jobs[i].task);
        }
    }
    run();
    assert_string_equal(trace, "abc||"); /* the second turn is the one that waits for ever */
}

static void then_note(struct alarm *a) {
    (void)a;
    note('T');
}

/* What is put off while tasks run is for the next turn, which does not wait for it. */
static void a_task_put_off_by_a_task_runs_in_the_next_turn(void **state) {
    (void)state;
    trace[0] = '\0';
    loop.on_turn = note_turn;
    struct job c = { .task = { .run = job_run }, .letter = 'c' };
    struct job b = { .task = { .run = job_run }, .letter = 'b' };
    struct job a = { .task = { .run = job_run }, .letter = 'a', .next = &c, .again = 2 };
    struct alarm far = { .then = then_note };
    alarm_set(&far, 5 * NS_PER_S);
    loop_later(&loop, &a.task);
    loop_later(&loop, &b.task);
    run();
    assert_string_equal(trace, "ab|ca|ca|c|T||");
}

static void a_task_may_free_its_object(void **state) {
    (void)state;
    trace[0] = '\0';
    for (char letter = 'a'; letter <= 'c'; letter++) {
        struct job *job = calloc(1, sizeof(*job));
        assert_non_null(job);
        *job = (struct job){ .task = { .run = job_run }, .letter = letter, .frees_itself = true };
        loop_later(&loop, &job->task);
    }
    run();
    assert_string_equal(trace, "abc");
}

/* --- descriptors --------------------------------------------------------- */

struct end {
    struct loop_io io; /* first, so that one is the other */
    int peer;
    unsigned called;
    uint32_t events;
    bool reads;         /* takes what is there */
    struct end *closes; /* another, or itself */
    struct job job;     /* put off when called */
};

static void end_close(struct end *e) {
    assert_int_equal(close(e->io.fd), 0);
    e->io.fd = -1;
    e->io.events = 0;
}

static void end_on_event(struct loop_io *io, uint32_t events) {
    struct end *e = (struct end *)io;
    char buf[64];
    e->called++;
    e->events = events;
    if (e->reads) {
        while (read(io->fd, buf, sizeof(buf)) > 0) {
        }
    }
    if (e->job.task.run) {
        loop_later(&loop, &e->job.task);
    }
    if (e->closes) {
        end_close(e->closes);
    }
}

static void end_open(struct end *e) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *e = (struct end){ .io = { .fd = fds[0], .on_event = end_on_event }, .peer = fds[1] };
}

static void end_done(struct end *e) {
    if (e->io.fd >= 0) {
        end_close(e);
    }
    close(e->peer);
}

static void send_byte(const struct end *e) {
    assert_int_equal(write(e->peer, "x", 1), 1);
}

static void a_bad_descriptor_is_refused(void **state) {
    (void)state;
    struct loop_io io = { .fd = -1, .on_event = end_on_event };
    assert_int_equal(loop_add(&loop, &io, EPOLLIN, false), -1);
    assert_int_equal(io.events, 0);
    loop_remove(&loop, &io); /* does nothing */
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), -1); /* twice */
    end_done(&e);
}

static void leave_after_three_turns(struct loop *l) {
    note('|');
    l->stop = strlen(trace) >= 3;
}

/* An edge is told once, whether it is read or not; what is new is a new edge. */
static void an_edge_is_told_once(void **state) {
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    send_byte(&e);
    run();
    assert_int_equal(e.called, 1);
    assert_true(e.events & EPOLLIN);
    run();
    assert_int_equal(e.called, 1);
    send_byte(&e);
    run();
    assert_int_equal(e.called, 2);
    end_done(&e);
}

static void a_level_is_told_until_it_is_read(void **state) {
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, true), 0);
    send_byte(&e);
    trace[0] = '\0';
    loop.on_turn = leave_after_three_turns;
    assert_int_equal(loop_run(&loop), 0);
    assert_int_equal(e.called, 3);
    loop.on_turn = NULL;
    e.reads = true;
    run();
    assert_int_equal(e.called, 4);
    end_done(&e);
}

static void what_it_is_registered_for_can_change(void **state) {
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    run();
    assert_int_equal(e.called, 0);
    assert_int_equal(loop_change(&loop, &e.io, EPOLLIN | EPOLLOUT), 0);
    run();
    assert_int_equal(e.called, 1);
    assert_true(e.events & EPOLLOUT);
    /* The same again makes no new edge. */
    assert_int_equal(loop_change(&loop, &e.io, EPOLLIN | EPOLLOUT), 0);
    run();
    assert_int_equal(e.called, 1);
    assert_int_equal(loop_change(&loop, &e.io, EPOLLIN), 0);
    assert_true(e.io.events & EPOLLET);
    send_byte(&e);
    run();
    assert_int_equal(e.called, 2);
    assert_false(e.events & EPOLLOUT);
    end_done(&e);
}

static void what_is_removed_is_not_told(void **state) {
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    send_byte(&e);
    loop_remove(&loop, &e.io);
    loop_remove(&loop, &e.io);
    run();
    assert_int_equal(e.called, 0);
    assert_true(fcntl(e.io.fd, F_GETFD) >= 0); /* still open */
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    run();
    assert_int_equal(e.called, 1);
    end_done(&e);
}

static void a_peer_that_leaves_is_told(void **state) {
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN | EPOLLRDHUP, false), 0);
    assert_int_equal(shutdown(e.peer, SHUT_WR), 0);
    run();
    assert_int_equal(e.called, 1);
    assert_true(e.events & EPOLLRDHUP);
    end_done(&e);
}

/* Both are ready in one turn, and whichever comes first closes the other: that one's handler
 * must not be called any more. */
static void what_another_handler_closed_is_not_told(void **state) {
    (void)state;
    enum { PAIRS = 20 };
    struct end ends[2 * PAIRS];
    for (unsigned i = 0; i < 2 * PAIRS; i++) {
        end_open(&ends[i]);
        ends[i].closes = &ends[i ^ 1];
        assert_int_equal(loop_add(&loop, &ends[i].io, EPOLLIN, false), 0);
        send_byte(&ends[i]);
    }
    run();
    for (unsigned i = 0; i < 2 * PAIRS; i += 2) {
        assert_int_equal(ends[i].called + ends[i + 1].called, 1);
        assert_int_equal(ends[i].io.fd < 0, ends[i + 1].called == 1);
        end_done(&ends[i]);
        end_done(&ends[i + 1]);
    }
}

/* More are ready than one call of epoll_wait tells. */
static void a_crowd_is_told_whole(void **state) {
    (void)state;
    enum { COUNT = 700 };
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    struct end *ends = calloc(COUNT, sizeof(*ends));
    assert_non_null(ends);
    for (unsigned i = 0; i < COUNT; i++) {
        end_open(&ends[i]);
        assert_int_equal(loop_add(&loop, &ends[i].io, EPOLLIN, false), 0);
        send_byte(&ends[i]);
    }
    run();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].called, 1);
        end_done(&ends[i]);
    }
    free(ends);
}

/* Tasks come after all handlers of the turn, timers among them. */
static void tasks_come_after_events_and_timers(void **state) {
    (void)state;
    trace[0] = '\0';
    loop.on_turn = note_turn;
    struct end e;
    end_open(&e);
    e.job = (struct job){ .task = { .run = job_run }, .letter = 'j' };
    assert_int_equal(loop_add(&loop, &e.io, EPOLLIN, false), 0);
    struct alarm due = { .then = then_note };
    alarm_set(&due, 0);
    fake_now_ns += 2 * TICK_NS;
    due.deadline_ns = fake_now_ns;
    send_byte(&e);
    run();
    assert_string_equal(trace, "Tj||");
    end_done(&e);
}

/* --- leaving ------------------------------------------------------------- */

static void leaving_ends_the_turn_first(void **state) {
    (void)state;
    trace[0] = '\0';
    loop.on_turn = note_turn;
    struct job a = { .task = { .run = job_run }, .letter = 'a' };
    struct alarm leave = { .then = then_leave };
    struct alarm later = { .then = then_note };
    loop_later(&loop, &a.task);
    loop.stop = true;
    assert_int_equal(loop_run(&loop), 0); /* no turn at all */
    assert_string_equal(trace, "");
    loop.stop = false;
    alarm_set(&leave, 0);
    alarm_set(&later, 10 * NS_PER_S);
    assert_int_equal(loop_run(&loop), 0);
    assert_int_equal(leave.fired, 1);
    assert_int_equal(later.fired, 0);
    assert_string_equal(trace, "a||");
    alarm_stop(&later);
}

static void a_signal_is_no_failure(void **state) {
    (void)state;
    struct alarm a = { 0 };
    alarm_set(&a, 100 * NS_PER_MS);
    interrupts = 5;
    run();
    assert_int_equal(interrupts, 0);
    assert_int_equal(a.fired, 1);
}

static void a_lost_epoll_instance_is_a_failure(void **state) {
    (void)state;
    struct loop other;
    struct err err = { 0 };
    assert_int_equal(loop_init(&other, &err), 0);
    assert_int_equal(close(other.epoll_fd), 0);
    assert_int_equal(loop_run(&other), -1);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, start, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_stopped_timer_does_not_fire),
        CASE(timers_fire_in_their_time),
        CASE(timers_beyond_the_wheel_fire_in_their_time),
        CASE(a_timer_already_due_fires_soon),
        CASE(the_earlier_deadline_comes_first),
        CASE(a_timer_moved_later_fires_later),
        CASE(a_timer_moved_earlier_fires_earlier),
        CASE(a_timer_moved_a_thousand_times_wakes_seldom),
        CASE(a_timer_can_arm_itself_again),
        CASE(handlers_may_stop_and_move_what_hangs_beside),
        CASE(after_a_long_stop_all_that_is_due_fires_once),
        CASE(many_timers_at_random),
        CASE(tasks_run_in_order_and_once),
        CASE(a_task_put_off_by_a_task_runs_in_the_next_turn),
        CASE(a_task_may_free_its_object),
        CASE(a_bad_descriptor_is_refused),
        CASE(an_edge_is_told_once),
        CASE(a_level_is_told_until_it_is_read),
        CASE(what_it_is_registered_for_can_change),
        CASE(what_is_removed_is_not_told),
        CASE(a_peer_that_leaves_is_told),
        CASE(what_another_handler_closed_is_not_told),
        CASE(a_crowd_is_told_whole),
        CASE(tasks_come_after_events_and_timers),
        CASE(leaving_ends_the_turn_first),
        CASE(a_signal_is_no_failure),
        CASE(a_lost_epoll_instance_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
