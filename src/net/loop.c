/* loop.c: see loop.h. The timers hang in a wheel of slots of LOOP_TICK_NS; one
 * that is moved later stays where it hangs and is put further when it comes up. */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOP_TICK_NS (20 * NS_PER_MS)
#define LOOP_EVENTS 256

int loop_init(struct loop *loop, struct err *err) {
    memset(loop, 0, sizeof(*loop));
    loop->tasks_end = &loop->tasks;
    loop->now_ns = clock_mono_ns();
    loop->tick = loop->now_ns / LOOP_TICK_NS;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll_fd >= 0 ? 0 : err_set_errno(err, errno, "cannot create an epoll instance");
}

void loop_fini(struct loop *loop) {
    close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

static int loop_control(struct loop *loop, int op, struct loop_io *io, uint32_t events) {
    struct epoll_event event = { .events = events, .data.ptr = io };
    if (epoll_ctl(loop->epoll_fd, op, io->fd, &event) != 0) {
        return -1;
    }
    io->events = events;
    return 0;
}

int loop_add(struct loop *loop, struct loop_io *io, uint32_t events, bool level) {
    return loop_control(loop, EPOLL_CTL_ADD, io, level ? events : events | EPOLLET);
}

int loop_change(struct loop *loop, struct loop_io *io, uint32_t events) {
    events |= io->events & EPOLLET;
    return io->events == events ? 0 : loop_control(loop, EPOLL_CTL_MOD, io, events);
}

void loop_remove(struct loop *loop, struct loop_io *io) {
    if (io->events != 0) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
        io->events = 0;
    }
}

void loop_timer_stop(struct loop_timer *timer) {
    if (timer->link) {
        *timer->link = timer->next;
        if (timer->next) {
            timer->next->link = timer->link;
        }
        timer->link = NULL;
        timer->next = NULL;
    }
}

static void wheel_hang(struct loop *loop, struct loop_timer *timer) {
    uint64_t tick = (timer->deadline_ns + LOOP_TICK_NS - 1) / LOOP_TICK_NS;
    if (tick <= loop->tick) {
        tick = loop->tick + 1;
    }
    if (tick >= loop->tick + LOOP_WHEEL_SLOTS) {
        tick = loop->tick + LOOP_WHEEL_SLOTS - 1; /* comes up, and is put further then */
    }
    unsigned slot = (unsigned)(tick % LOOP_WHEEL_SLOTS);
    timer->due_tick = tick;
    timer->next = loop->wheel[slot];
    timer->link = &loop->wheel[slot];
    if (timer->next) {
        timer->next->link = &timer->next;
    }
    loop->wheel[slot] = timer;
    loop->filled[slot / 64] |= 1ull << (slot % 64);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns) {
    timer->deadline_ns = deadline_ns;
    if (timer->link && deadline_ns >= timer->due_tick * LOOP_TICK_NS) {
        return;
    }
    loop_timer_stop(timer);
    wheel_hang(loop, timer);
}

static void wheel_run_slot(struct loop *loop, unsigned slot) {
    struct loop_timer *due = loop->wheel[slot];
    loop->wheel[slot] = NULL;
    loop->filled[slot / 64] &= ~(1ull << (slot % 64));
    if (due) {
        due->link = &due; /* a handler may stop a timer that hangs behind it */
    }
    while (due) {
        struct loop_timer *timer = due;
        loop_timer_stop(timer);
        if (timer->deadline_ns > loop->now_ns) {
            wheel_hang(loop, timer);
        } else {
            timer->on_timer(timer);
        }
    }
}

static void wheel_run(struct loop *loop) {
    uint64_t now_tick = loop->now_ns / LOOP_TICK_NS;
    /* After a long stop every slot is due once, and once is enough. */
    if (now_tick > loop->tick + LOOP_WHEEL_SLOTS) {
        loop->tick = now_tick - LOOP_WHEEL_SLOTS;
    }
    while (loop->tick < now_tick) {
        loop->tick++;
        unsigned slot = (unsigned)(loop->tick % LOOP_WHEEL_SLOTS);
        if (loop->filled[slot / 64] & (1ull << (slot % 64))) {
            wheel_run_slot(loop, slot);
        }
    }
}

/* Ticks from the present one to the next slot with timers; 0 when there is none. */
static uint64_t wheel_next(const struct loop *loop) {
    for (uint64_t ahead = 1; ahead < LOOP_WHEEL_SLOTS;) {
        unsigned slot = (unsigned)((loop->tick + ahead) % LOOP_WHEEL_SLOTS);
        uint64_t bits = loop->filled[slot / 64] >> (slot % 64);
        if (bits != 0) {
            return ahead + (unsigned)__builtin_ctzll(bits);
        }
        ahead += 64 - slot % 64;
    }
    return 0;
}

static int loop_timeout_ms(const struct loop *loop) {
    if (loop->tasks) {
        return 0;
    }
    uint64_t ahead = wheel_next(loop);
    if (ahead == 0) {
        return -1;
    }
    uint64_t at_ns = (loop->tick + ahead) * LOOP_TICK_NS;
    uint64_t now_ns = clock_mono_ns();
    return at_ns <= now_ns ? 0 : (int)((at_ns - now_ns) / NS_PER_MS + 1);
}

void loop_later(struct loop *loop, struct loop_task *task) {
    if (!task->queued) {
        task->queued = true;
        task->next = NULL;
        *loop->tasks_end = task;
        loop->tasks_end = &task->next;
    }
}

static void loop_run_tasks(struct loop *loop) {
    struct loop_task *task = loop->tasks;
    loop->tasks = NULL;
    loop->tasks_end = &loop->tasks;
    while (task) {
        struct loop_task *next = task->next;
        task->queued = false;
        task->run(task);
        task = next;
    }
}

int loop_run(struct loop *loop) {
    struct epoll_event events[LOOP_EVENTS];
    while (!loop->stop) {
        int n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS, loop_timeout_ms(loop));
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        loop->now_ns = clock_mono_ns();
        for (int i = 0; i < n; i++) {
            struct loop_io *io = events[i].data.ptr;
            if (io->fd >= 0) { /* closed by an earlier handler of this turn */
                io->on_event(io, events[i].events);
            }
        }
        wheel_run(loop);
        loop_run_tasks(loop);
        if (loop->on_turn) {
            loop->on_turn(loop);
        }
    }
    return 0;
}
