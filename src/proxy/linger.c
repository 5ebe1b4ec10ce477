/* linger.c: see linger.h. */
#include "proxy/linger.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct linger_socket {
    struct worker *worker; /* borrowed */
    struct loop_io io;     /* owns the descriptor */
    struct loop_timer timer;
    struct loop_task task;
    size_t bytes_left;
};

static void linger_free_task(struct loop_task *task) {
    free((char *)task - offsetof(struct linger_socket, task));
}

static void linger_end(struct linger_socket *s) {
    close(s->io.fd);
    s->io.fd = -1;
    loop_timer_stop(&s->timer);
    s->worker->lingering--;
    s->task.run = linger_free_task;
    loop_later(&s->worker->loop, &s->task);
}

static void linger_on_timer(struct loop_timer *timer) {
    linger_end((struct linger_socket *)((char *)timer - offsetof(struct linger_socket, timer)));
}

static void linger_on_event(struct loop_io *io, uint32_t events) {
    struct linger_socket *s =
        (struct linger_socket *)((char *)io - offsetof(struct linger_socket, io));
    (void)events;
    while (s->bytes_left > 0) {
        ssize_t n = recv(io->fd, s->worker->receive, WORKER_RECEIVE_BYTES, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
        size_t got = n > 0 ? (size_t)n : 0;
        s->bytes_left -= got < s->bytes_left ? got : s->bytes_left;
    }
    linger_end(s);
}

void linger_take(struct worker *worker, struct loop_io *io) {
    int fd = io->fd;
    loop_remove(&worker->loop, io);
    io->fd = -1;
    struct linger_socket *s = worker->lingering < LINGER_MAX ? calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        close(fd);
        return;
    }
    s->worker = worker;
    s->io = (struct loop_io){ .fd = fd, .on_event = linger_on_event };
    s->timer.on_timer = linger_on_timer;
    s->bytes_left = LINGER_BYTES;
    if (shutdown(fd, SHUT_WR) != 0 ||
        loop_add(&worker->loop, &s->io, EPOLLIN | EPOLLRDHUP, false) != 0) {
        close(fd);
        free(s);
        return;
    }
    worker->lingering++;
    loop_timer_set(&worker->loop, &s->timer, worker->loop.now_ns + LINGER_NS);
}
