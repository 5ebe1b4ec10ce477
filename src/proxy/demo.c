/* demo.c: see demo.h. Each connection: a PROXY header, then requests, one answer
 * each. Bounded in what it reads and in how long it waits. */
#include "proxy/demo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/process.h"
#include "net/address.h"
#include "net/loop.h"
#include "wire/proxy_v2.h"

#define DEMO_REQUEST_MAX 16384
#define DEMO_ANSWER_MAX 4096
#define DEMO_IDLE_NS (60 * NS_PER_S)
#define DEMO_CONNECTIONS_MAX 1024

struct demo {
    struct loop loop;
    struct loop_io listener;
    struct loop_io signals;
    unsigned connections;
};

struct demo_conn {
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task task;
    struct demo *demo;
    char head[DEMO_ANSWER_MAX]; /* what the PROXY header said, as text */
    size_t head_len;
    bool told; /* the PROXY header has been read */
    size_t len;
    uint8_t in[DEMO_REQUEST_MAX];
};

int demo_listen(struct config_address *address, struct err *err) {
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    char text[ADDRESS_TEXT_MAX];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) != 0) {
        err_set_errno(err, errno, "cannot open the demonstration backend's socket");
        goto fail;
    }
    address_text((const struct sockaddr *)&in, text);
    *address = (struct config_address){ .text = strdup(text), .addr_len = len };
    memcpy(&address->addr, &in, sizeof(in));
    if (!address->text) {
        err_set(err, "no memory for the demonstration backend");
        goto fail;
    }
    return fd;
fail:
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static void demo_free_task(struct loop_task *task) {
    free((char *)task - offsetof(struct demo_conn, task));
}

static void demo_close(struct demo_conn *conn) {
    loop_timer_stop(&conn->timer);
    close(conn->io.fd);
    conn->io.fd = -1;
    conn->demo->connections--;
    conn->task.run = demo_free_task;
    loop_later(&conn->demo->loop, &conn->task);
}

static void tell(struct demo_conn *conn, const char *name, struct bytes value) {
    size_t room = sizeof(conn->head) - conn->head_len;
    if (value.len == 0) {
        return;
    }
    int n = snprintf(conn->head + conn->head_len, room, "%-14s %.*s\n", name, (int)value.len,
                     (const char *)value.data);
    if (n > 0 && (size_t)n < room) {
        conn->head_len += (size_t)n;
    }
}

static void tell_address(struct demo_conn *conn, const struct sockaddr_storage *addr) {
    char text[ADDRESS_TEXT_MAX];
    address_text((const struct sockaddr *)addr, text);
    tell(conn, "client", (struct bytes){ (const uint8_t *)text, strlen(text) });
}

/* What is told, in the order in which it is told. */
static const struct {
    uint8_t type;
    bool within_ssl;
    const char *name;
} facts[] = {
    { PP2_TYPE_REPRISE_PROFILE, false, "profile" },
    { PP2_TYPE_AUTHORITY, false, "server name" },
    { PP2_SUBTYPE_SSL_VERSION, true, "protocol" },
    { PP2_SUBTYPE_SSL_CIPHER, true, "cipher" },
    { PP2_TYPE_ALPN, false, "alpn" },
    { PP2_SUBTYPE_SSL_CN, true, "client name" },
    { PP2_TYPE_REPRISE_HANDSHAKE, false, "handshake" },
    { PP2_TYPE_REPRISE_RESUMED_BY, false, "resumed by" },
    { PP2_TYPE_REPRISE_REASON, false, "not resumed" },
    { PP2_TYPE_REPRISE_SESSION_ID, false, "session ID" },
    { PP2_TYPE_REPRISE_TICKET_KEY, false, "ticket key" },
};

static void demo_tell(struct demo_conn *conn, const struct proxy_v2_view *view) {
    struct bytes ssl = { 0 };
    tell_address(conn, &view->client);
    if (proxy_v2_find(view->tlvs, PP2_TYPE_SSL, &ssl) && ssl.len >= 5) {
        ssl = (struct bytes){ ssl.data + 5, ssl.len - 5 };
    }
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        struct bytes value = { 0 };
        if (proxy_v2_find(facts[i].within_ssl ? ssl : view->tlvs, facts[i].type, &value)) {
            tell(conn, facts[i].name, value);
        }
    }
}

/* Takes the PROXY header off the front. Returns false when the connection ended. */
static bool demo_take_header(struct demo_conn *conn) {
    struct proxy_v2_view view;
    int n = proxy_v2_read((struct bytes){ conn->in, conn->len }, &view);
    if (n < 0) {
        demo_close(conn);
        return false;
    }
    if (n > 0) {
        demo_tell(conn, &view);
        conn->told = true;
        conn->len -= (size_t)n;
        memmove(conn->in, conn->in + n, conn->len);
    }
    return true;
}

static bool demo_answer(struct demo_conn *conn, bool keep) {
    static const char intro[] = "Reprise: this connection as the terminator sees it\n\n";
    char text[DEMO_ANSWER_MAX + 512];
    int n =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: %s\r\n\r\n%s%.*s",
                 sizeof(intro) - 1 + conn->head_len, keep ? "keep-alive" : "close", intro,
                 (int)conn->head_len, conn->head);
    return n > 0 && send(conn->io.fd, text, (size_t)n, MSG_NOSIGNAL) == n && keep;
}

/* Answers each whole request in the buffer. Requests with a body are not told
 * apart: the connection ends after the answer. */
static void demo_serve(struct demo_conn *conn) {
    while (conn->told) {
        uint8_t *end = memmem(conn->in, conn->len, "\r\n\r\n", 4);
        if (!end) {
            break;
        }
        bool get = conn->len > 4 && memcmp(conn->in, "GET ", 4) == 0;
        size_t request = (size_t)(end - conn->in) + 4;
        *end = '\0';
        bool last = strcasestr((const char *)conn->in, "\nconnection: close") != NULL ||
                    strstr((const char *)conn->in, " HTTP/1.0") != NULL;
        if (!demo_answer(conn, get && !last)) {
            demo_close(conn);
            return;
        }
        conn->len -= request;
        memmove(conn->in, conn->in + request, conn->len);
    }
    if (conn->len == sizeof(conn->in)) {
        demo_close(conn);
    }
}

static void demo_on_event(struct loop_io *io, uint32_t events) {
    struct demo_conn *conn = (struct demo_conn *)io; /* its first member */
    (void)events;
    ssize_t n = recv(io->fd, conn->in + conn->len, sizeof(conn->in) - conn->len, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            demo_close(conn);
        }
        return;
    }
    conn->len += (size_t)n;
    loop_timer_set(&conn->demo->loop, &conn->timer, conn->demo->loop.now_ns + DEMO_IDLE_NS);
    if (conn->told || demo_take_header(conn)) {
        demo_serve(conn);
    }
}

static void demo_on_timer(struct loop_timer *timer) {
    demo_close((struct demo_conn *)((char *)timer - offsetof(struct demo_conn, timer)));
}

static void demo_on_accept(struct loop_io *io, uint32_t events) {
    struct demo *demo = (struct demo *)((char *)io - offsetof(struct demo, listener));
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct demo_conn *conn =
        demo->connections < DEMO_CONNECTIONS_MAX ? calloc(1, sizeof(*conn)) : NULL;
    if (!conn) {
        close(fd);
        return;
    }
    conn->demo = demo;
    conn->io = (struct loop_io){ .fd = fd, .on_event = demo_on_event };
    conn->timer.on_timer = demo_on_timer;
    demo->connections++;
    if (loop_add(&demo->loop, &conn->io, EPOLLIN, true) != 0) {
        demo_close(conn);
        return;
    }
    loop_timer_set(&demo->loop, &conn->timer, demo->loop.now_ns + DEMO_IDLE_NS);
}

static void demo_on_signal(struct loop_io *io, uint32_t events) {
    struct demo *demo = (struct demo *)((char *)io - offsetof(struct demo, signals));
    (void)events;
    demo->loop.stop = true;
}

int demo_run(int listen_fd) {
    static struct demo demo;
    struct err err = { 0 };
    sigset_t ends;
    if (process_block_signals(&ends) != 0) {
        return 1;
    }
    demo.listener = (struct loop_io){ .fd = listen_fd, .on_event = demo_on_accept };
    demo.signals = (struct loop_io){ .fd = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC),
                                     .on_event = demo_on_signal };
    if (loop_init(&demo.loop, &err) != 0 || demo.signals.fd < 0 ||
        loop_add(&demo.loop, &demo.listener, EPOLLIN, true) != 0 ||
        loop_add(&demo.loop, &demo.signals, EPOLLIN, true) != 0) {
        return 1;
    }
    return loop_run(&demo.loop) == 0 ? 0 : 1;
}
