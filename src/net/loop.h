/* loop.h: one process's event loop: epoll, timers, and work put off to the end
 * of a turn. One thread.
 *
 * Descriptors are edge-triggered: a handler reads until the socket has no more
 * (or remembers that it stopped early and asks to be called again, loop_again).
 * A handler may close and free anything of its own but must free objects that
 * the loop may still name in this turn through loop_later.
 */
#ifndef REPRISE_NET_LOOP_H
#define REPRISE_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_task;

/* Embedded in its user's object. */
struct loop_io {
    int fd;          /* owned by the user; -1 when not open */
    uint32_t events; /* what it is registered for; 0: not registered */
    void (*on_event)(struct loop_io *io, uint32_t events);
};

struct loop_timer {
    struct loop_timer *next;
    struct loop_timer **link; /* what points to this one; null: not armed */
    uint64_t deadline_ns;     /* clock_mono_ns(); may lie past the slot it hangs in */
    uint64_t due_tick;        /* the slot */
    void (*on_timer)(struct loop_timer *timer);
};

/* Something to do once, at the end of the present turn. */
struct loop_task {
    struct loop_task *next;
    bool queued;
    void (*run)(struct loop_task *task);
};

#define LOOP_WHEEL_SLOTS 1024u

struct loop {
    int epoll_fd;
    bool stop;       /* set it to leave loop_run after the present turn */
    uint64_t now_ns; /* clock_mono_ns() at the start of the turn */
    uint64_t tick;   /* the last tick of the wheel that was run */
    struct loop_timer *wheel[LOOP_WHEEL_SLOTS];
    uint64_t filled[LOOP_WHEEL_SLOTS / 64]; /* a bit a slot that may hold timers */
    struct loop_task *tasks;
    struct loop_task **tasks_end;
    void (*on_turn)(struct loop *loop); /* called once a turn, after all handlers; may be null */
};

int loop_init(struct loop *loop, struct err *err);
void loop_fini(struct loop *loop);

/* Registers io->fd for `events` (EPOLLET is added unless `level`). */
int loop_add(struct loop *loop, struct loop_io *io, uint32_t events, bool level);

/* Changes what it is registered for; does nothing when that is so already. */
int loop_change(struct loop *loop, struct loop_io *io, uint32_t events);

/* Takes it out without closing. To close, close the descriptor: that does both. */
void loop_remove(struct loop *loop, struct loop_io *io);

/* Arms or moves a timer. Moving it later costs a store. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_stop(struct loop_timer *timer);

/* Runs the task at the end of this turn; once, however often it is asked for. A
 * task put off while tasks run goes to the next turn, which then does not wait. */
void loop_later(struct loop *loop, struct loop_task *task);

/* Runs turns until `stop`. Returns 0, or -1 when epoll fails. */
int loop_run(struct loop *loop);

#endif
