/* floor.c: what carrying a connection costs without TLS: the floor of what a terminator can.
 *
 *   floor echo PORT             a backend: sends back what comes, and closes after the end
 *   floor http PORT             a backend: answers the first bytes with 100 bytes of HTTP, and closes
 *   floor relay PORT BACKEND    accept, connect, copy both ways, pass each end on, close
 *
 * On 127.0.0.1, one process, epoll, one buffer. No timers, no limits, no log: it is not a
 * service. It connects at once and passes on what comes, so that it sends a packet more than a
 * relay that waits for the first bytes and sends them with the last step of the connect.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define EVENTS 256

/* One end of a connection; the two of a relay know each other. */
struct side {
    int fd;
    struct side *peer;   /* null: an echo */
    bool ended;          /* it sends no more */
    size_t held;         /* bytes in `data`: what it did not take */
    uint8_t *data;       /* owned; null: nothing is held */
    struct side *doomed; /* to be freed when the turn is over */
};

static int epoll_fd;
static int listener;
static struct sockaddr_in backend;
static uint8_t buffer[BUFFER_BYTES];
static struct side *doomed;
static bool answers; /* as an HTTP server does */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in address_of(const char *port) {
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
    return addr;
}

static void listen_on(const char *port) {
    const int on = 1;
    struct sockaddr_in addr = address_of(port);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        listen(listener, 4096) != 0) {
        die("cannot listen");
    }
}

static struct side *side_new(int fd) {
    const int on = 1;
    struct side *side = calloc(1, sizeof(*side));
    if (!side) {
        die("calloc");
    }
    side->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return side;
}

static void side_watch(struct side *side, int op, uint32_t events) {
    struct epoll_event event = { .events = events, .data.ptr = side };
    if (epoll_ctl(epoll_fd, op, side->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void side_drop(struct side *side) {
    if (side && side->fd >= 0) {
        close(side->fd);
        side->fd = -1;
        free(side->data);
        side->doomed = doomed;
        doomed = side;
    }
}

static void drop_both(struct side *side) {
    side_drop(side->peer);
    side_drop(side);
}

static void accept_all(bool relays) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct side *client = side_new(fd);
        if (relays) {
            struct side *server = side_new(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
            client->peer = server;
            server->peer = client;
            if (connect(server->fd, (struct sockaddr *)&backend, sizeof(backend)) != 0 &&
                errno != EINPROGRESS) {
                drop_both(client);
                continue;
            }
            side_watch(server, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
        }
        side_watch(client, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
    }
}

/* Sends to `to`; what it does not take is held, and `from` is not read until it has. */
static bool pass_on(struct side *from, struct side *to, const uint8_t *data, size_t len) {
    ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        return false;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent == len) {
        return true;
    }
    to->held = len - sent;
    to->data = malloc(to->held);
    if (!to->data) {
        die("malloc");
    }
    memcpy(to->data, data + sent, to->held);
    if (from != to) {
        side_watch(from, EPOLL_CTL_MOD, from->held ? EPOLLOUT : 0);
        side_watch(to, EPOLL_CTL_MOD, from->held || to->ended ? EPOLLOUT : EPOLLIN | EPOLLOUT);
    } else {
        side_watch(to, EPOLL_CTL_MOD, EPOLLOUT);
    }
    return true;
}

static void on_end(struct side *side) {
    struct side *to = side->peer;
    side->ended = true;
    if (!to || to->ended) {
        drop_both(side);
        return;
    }
    shutdown(to->fd, SHUT_WR);
    side_watch(side, EPOLL_CTL_MOD, side->held ? EPOLLOUT : 0);
}

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"
                             "0123456789012345678901234567890123456789012345678\n"
                             "0123456789012345678901234567890123456789012345678\n";

static void on_readable(struct side *side) {
    struct side *to = side->peer ? side->peer : side;
    ssize_t n = recv(side->fd, buffer, sizeof(buffer), 0);
    if (n > 0 && answers) {
        pass_on(side, side, (const uint8_t *)answer, sizeof(answer) - 1);
        drop_both(side);
    } else if (n == 0) {
        on_end(side);
    } else if (n < 0 && errno != EAGAIN) {
        drop_both(side);
    } else if (n > 0 && !pass_on(side, to, buffer, (size_t)n)) {
        drop_both(side);
    }
}

static void on_writable(struct side *to) {
    ssize_t n = send(to->fd, to->data, to->held, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN) {
            drop_both(to);
        }
        return;
    }
    to->held -= (size_t)n;
    memmove(to->data, to->data + n, to->held);
    if (to->held > 0) {
        return;
    }
    free(to->data);
    to->data = NULL;
    struct side *from = to->peer ? to->peer : to;
    side_watch(to, EPOLL_CTL_MOD, to->ended || (from->held && from != to) ? 0 : EPOLLIN);
    if (from != to) {
        side_watch(from, EPOLL_CTL_MOD, (from->ended ? 0u : EPOLLIN) | (from->held ? EPOLLOUT : 0));
    }
}

static void on_event(struct side *side, uint32_t events) {
    if (side->fd < 0) {
        return; /* dropped by an earlier event of this turn */
    }
    if ((events & (EPOLLERR | EPOLLHUP)) && !(events & EPOLLIN)) {
        drop_both(side);
        return;
    }
    if (side->held && (events & EPOLLOUT)) {
        on_writable(side);
    }
    if (side->fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP)) && !side->ended) {
        on_readable(side);
    }
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    struct rlimit files;
    bool relays = argc == 4 && strcmp(argv[1], "relay") == 0;
    answers = argc == 3 && strcmp(argv[1], "http") == 0;
    if (!relays && !answers && !(argc == 3 && strcmp(argv[1], "echo") == 0)) {
        fputs("usage: floor echo PORT | floor http PORT | floor relay PORT BACKEND_PORT\n", stderr);
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(0);
    listen_on(argv[2]);
    if (relays) {
        backend = address_of(argv[3]);
    }
    struct epoll_event accepting = { .events = EPOLLIN };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &accepting);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr) {
                accept_all(relays);
            } else {
                on_event(events[i].data.ptr, events[i].events);
            }
        }
        while (doomed) {
            struct side *next = doomed->doomed;
            free(doomed);
            doomed = next;
        }
    }
}
