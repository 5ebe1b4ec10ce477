/* conn.c: see conn.h. */
#include "proxy/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy/linger.h"
#include "proxy/report.h"
#include "wire/limits.h"
#include "wire/proxy_v2.h"

/* A client that has been told the end (the backend's) may keep its own direction
 * open this long without a byte. */
#define HALF_CLOSED_IDLE_NS (30 * NS_PER_S)
/* Rounds of one connection in one turn of the loop, before others have theirs. */
#define RELAY_ROUNDS 8

/* What a worker holds of incomplete hellos longer than most. Past it they are
 * refused, and the others go on. */
#define LARGE_HELLOS_BYTES ((size_t)32 << 20)

#define ALERT_UNEXPECTED_MESSAGE 10
#define ALERT_DECODE_ERROR 50
#define ALERT_INTERNAL_ERROR 80
#define ALERT_UNRECOGNIZED_NAME 112

static void conn_relay(struct conn *conn);
static void conn_connect(struct conn *conn);

static const char *const close_words[CLOSE_COUNT] = {
#define CONN_CLOSE(id, word) [CLOSE_##id] = word,
#include "proxy/close.def"
#undef CONN_CLOSE
};

const char *conn_close_word(enum conn_close why) {
    return close_words[why];
}

/* --- backlog ------------------------------------------------------------- */

static size_t backlog_len(const struct backlog *b) {
    return b->end - b->at;
}

static void backlog_free(struct backlog *b) {
    free(b->data);
    *b = (struct backlog){ 0 };
}

/* Appends; returns 0, or -1 without memory. */
static int backlog_add(struct backlog *b, struct bytes data) {
    if (b->cap - b->end < data.len) {
        size_t have = backlog_len(b);
        uint8_t *grown = malloc(have + data.len);
        if (!grown) {
            return -1;
        }
        if (have > 0) {
            memcpy(grown, b->data + b->at, have);
        }
        free(b->data);
        *b = (struct backlog){ grown, 0, (uint32_t)have, (uint32_t)(have + data.len) };
    }
    memcpy(b->data + b->end, data.data, data.len);
    b->end += (uint32_t)data.len;
    return 0;
}

/* --- an incomplete hello ------------------------------------------------- */

static size_t hello_large_bytes(const struct conn *conn) {
    return conn->hello.cap > WIRE_HELLO_USUAL ? conn->hello.cap : 0;
}

static void hello_free(struct conn *conn) {
    conn->worker->large_hello_bytes -= hello_large_bytes(conn);
    backlog_free(&conn->hello);
}

/* Appends to what is there of the hello. Room is doubled, so that a hello that
 * comes in small pieces is not copied for each. Returns 0, or -1 without memory. */
static int hello_add(struct conn *conn, struct bytes data) {
    struct backlog *b = &conn->hello;
    size_t end = b->end + data.len;
    if (!b->data || end > b->cap) {
        size_t cap = end > 2 * (size_t)b->cap ? end : 2 * (size_t)b->cap;
        size_t others = conn->worker->large_hello_bytes - hello_large_bytes(conn);
        if (cap > WIRE_HELLO_USUAL && others + cap > LARGE_HELLOS_BYTES) {
            return -1;
        }
        uint8_t *grown = realloc(b->data, cap);
        if (!grown) {
            return -1;
        }
        b->data = grown;
        b->cap = (uint32_t)cap;
        conn->worker->large_hello_bytes = others + hello_large_bytes(conn);
    }
    memcpy(b->data + b->end, data.data, data.len);
    b->end = (uint32_t)end;
    return 0;
}

/* --- sockets ------------------------------------------------------------- */

static void side_close(struct conn_side *side) {
    if (side->io.fd >= 0) {
        close(side->io.fd);
        side->io.fd = -1;
        side->io.events = 0;
    }
    backlog_free(&side->out);
}

/* Whether a send is to wait in the kernel for what follows it, to go out in one packet. */
enum side_more { SEND_NOW, SEND_WITH_NEXT };

/* Sends data, keeping in the side's backlog what the socket does not take.
 * Returns 0, or -1 when the socket failed. */
static int side_send(struct conn *conn, struct conn_side *side, struct bytes data,
                     enum side_more more) {
    const int flags = MSG_NOSIGNAL | (more == SEND_WITH_NEXT ? MSG_MORE : 0);
    if (data.len == 0) {
        return 0;
    }
    size_t sent = 0;
    if (!side->blocked && backlog_len(&side->out) == 0) { /* never before what waits */
        ssize_t n;
        do {
            n = send(side->io.fd, data.data, data.len, flags);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        sent = n > 0 ? (size_t)n : 0;
        if (sent == data.len) {
            return 0;
        }
        side->blocked = true;
        if (loop_change(&conn->worker->loop, &side->io, EPOLLIN | EPOLLRDHUP | EPOLLOUT) != 0) {
            return -1;
        }
    }
    return backlog_add(&side->out, (struct bytes){ data.data + sent, data.len - sent });
}

/* Sends what waits. Returns 0, or -1 when the socket failed. */
static int side_flush(struct conn_side *side) {
    struct backlog *b = &side->out;
    while (!side->blocked && backlog_len(b) > 0) {
        ssize_t n = send(side->io.fd, b->data + b->at, backlog_len(b), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            return -1;
        }
        if (n < 0 || (size_t)n < backlog_len(b)) {
            side->blocked = true;
        }
        b->at += n > 0 ? (uint32_t)n : 0;
    }
    if (b->data && backlog_len(b) == 0) {
        backlog_free(b);
    }
    return 0;
}

static void side_set(const struct conn_side *side, int option, int value) {
    setsockopt(side->io.fd, IPPROTO_TCP, option, &value, sizeof(value));
}

/* Whether the kernel acknowledges at once what comes, as it does at first, or waits for data
 * to go with it, for which a peer that has Nagle's algorithm on would wait in turn. */
static void side_acknowledge(const struct conn_side *side, int at_once) {
    side_set(side, TCP_QUICKACK, at_once);
}

/* Has the kernel send what was to wait for more (SEND_WITH_NEXT). */
static void side_push(const struct conn_side *side) {
    side_set(side, TCP_NODELAY, 1);
}

enum side_read { READ_DATA, READ_NOTHING, READ_EOF, READ_BROKEN };

static enum side_read side_receive(struct conn_side *side, uint8_t *buf, size_t cap, size_t *len) {
    ssize_t n = recv(side->io.fd, buf, cap, 0);
    if (n < 0 && errno == EINTR) {
        return READ_NOTHING; /* still readable: tried again in the next round */
    }
    if (n < 0) {
        side->readable = false;
        return errno == EAGAIN ? READ_NOTHING : READ_BROKEN;
    }
    if (n == 0) {
        side->readable = false;
        return READ_EOF;
    }
    /* Less than asked for: the socket is empty, and epoll tells of what comes
     * next; unless the end is already there, of which it has told. */
    if ((size_t)n < cap && !side->hangup) {
        side->readable = false;
    }
    *len = (size_t)n;
    return READ_DATA;
}

/* Sends what the library has put into the worker's out buffer. */
static int conn_send_sealed(struct conn *conn, enum side_more more) {
    struct tls_io *io = &conn->worker->tls.io;
    struct bytes data = { io->out, io->out_len };
    io->out_len = 0;
    return side_send(conn, &conn->client, data, more);
}

/* --- ending -------------------------------------------------------------- */

static void conn_free_task(struct loop_task *task) {
    struct conn *conn = (struct conn *)((char *)task - offsetof(struct conn, task));
    free(conn);
}

/* A session whose connection broke is not resumed by ID (R18); with strict-resume
 * neither is one that the client ended without close_notify. Only a client that
 * has finished the handshake has proved that the session is its own. */
static void conn_settle_session(struct conn *conn) {
    const struct tls_conn *tls = &conn->tls;
    if (!tls->done) {
        return;
    }
    bool unclean = conn->truncated && tls->profile->config->strict_resume;
    if (tls->failure != TLS_FAILURE_NONE) {
        tls_conn_forget_session(tls, CACHE_MARK_FATAL_ALERT);
    } else if (unclean) {
        tls_conn_forget_session(tls, CACHE_MARK_UNCLEAN);
    }
}

/* Whether the last that the client was sent tells it why (an alert), so that it
 * must not be lost to a reset. */
static bool has_last_word(enum conn_close why) {
    return why == CLOSE_HANDSHAKE_FAILED || why == CLOSE_UNKNOWN_NAME || why == CLOSE_NOT_TLS ||
           why == CLOSE_TLS_ERROR || why == CLOSE_RENEGOTIATION || why == CLOSE_NO_MEMORY ||
           why == CLOSE_BACKEND_UNREACHABLE;
}

void conn_close(struct conn *conn, enum conn_close why) {
    if (conn->state == CONN_CLOSED) {
        return;
    }
    conn->worker->tls.io.in = (struct bytes){ 0 };
    conn->worker->tls.io.out_len = 0; /* nothing of it is for the next connection */
    conn_settle_session(conn);
    report_log(conn, why);
    counter_add(conn->worker->counters, COUNT_HANDSHAKES_FAILED, conn->state != CONN_OPEN);
    if (conn->tls.unpatched) {
        bool strict =
            conn->tls.profile->config->secure_renegotiation == SECURE_RENEG_REQUIRE_STRICT;
        counter_add(conn->worker->counters, COUNT_INSECURE_REJECTED, strict);
        counter_add(conn->worker->counters, COUNT_INSECURE_ACCEPTED, conn->tls.done);
    }
    counter_add(conn->worker->counters, COUNT_BYTES_IN, conn->bytes_in);
    counter_add(conn->worker->counters, COUNT_BYTES_OUT, conn->bytes_out);
    conn->state = CONN_CLOSED;
    if (conn->member != POOL_NONE) {
        pool_count(conn->accepter->pool, conn->member, -1);
    }
    /* An end by force is passed on as one: the peer must not take what it has
     * for all there was. */
    if (why == CLOSE_CLIENT_RESET || why == CLOSE_TLS_ERROR || why == CLOSE_RENEGOTIATION) {
        struct linger now = { .l_onoff = 1 };
        if (conn->backend.io.fd >= 0) {
            setsockopt(conn->backend.io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        }
    }
    if (has_last_word(why) && !conn->client.eof) {
        linger_take(conn->worker, &conn->client.io);
    }
    side_close(&conn->client);
    side_close(&conn->backend);
    hello_free(conn);
    loop_timer_stop(&conn->timer);
    tls_conn_free(&conn->tls);
    *conn->link = conn->next;
    if (conn->next) {
        conn->next->link = conn->link;
    }
    worker_conn_gone(conn->worker);
    conn->task.run = conn_free_task;
    loop_later(&conn->worker->loop, &conn->task);
}

void conn_end(struct conn *conn, enum conn_close why) {
    if (conn->state == CONN_OPEN && !conn->client.shut && backlog_len(&conn->client.out) == 0) {
        tls_conn_close_notify(&conn->tls);
        if (conn_send_sealed(conn, SEND_NOW) != 0) {
            why = CLOSE_CLIENT_RESET;
        }
    }
    conn_close(conn, why);
}

/* A fatal alert in the clear, for a hello that gets no TLS object. */
static void conn_send_alert(struct conn *conn, uint8_t alert) {
    const uint8_t record[] = { 21, 3, 3, 0, 2, 2, alert };
    if (send(conn->client.io.fd, record, sizeof(record), MSG_NOSIGNAL) < 0) {
        return; /* it is closed next in any case */
    }
}

static void conn_fail_hello(struct conn *conn, uint8_t alert, enum conn_close why,
                            const char *error) {
    conn->error = error;
    conn_send_alert(conn, alert);
    conn_close(conn, why);
}

/* --- handshake ----------------------------------------------------------- */

static void conn_set_idle(struct conn *conn) {
    uint64_t idle_ns = conn->tls.profile->config->idle_timeout_ms * NS_PER_MS;
    if (conn->client.shut && idle_ns > HALF_CLOSED_IDLE_NS) {
        idle_ns = HALF_CLOSED_IDLE_NS;
    }
    loop_timer_set(&conn->worker->loop, &conn->timer, conn->worker->loop.now_ns + idle_ns);
}

static void conn_opened(struct conn *conn) {
    conn->handshake_ns = clock_mono_ns() - conn->accepted_ns;
    conn->state = CONN_OPEN;
    report_count(conn);
}

static void conn_handshake(struct conn *conn) {
    struct tls_io *io = &conn->worker->tls.io;
    conn->worker->tls.now_ms = clock_wall_ms();
    enum tls_status status = tls_conn_handshake(&conn->tls);
    /* A client whose request came with its Finished does not wait for TLS 1.3's tickets: they
     * go out with the backend's first bytes, with the client's next packet, or when the
     * kernel's timer is over (200 ms and more). */
    bool asked = io->in.len > 0;
    bool wait = status == TLS_DONE && asked && tls_conn_is_tls13(&conn->tls);
    bool silent = status == TLS_DONE && !asked && io->out_len == 0;
    if (conn_send_sealed(conn, wait ? SEND_WITH_NEXT : SEND_NOW) != 0) {
        conn_close(conn, CLOSE_CLIENT_RESET);
        return;
    }
    if (silent) { /* a client with Nagle's algorithm may hold its request until then */
        side_acknowledge(&conn->client, 1);
    }
    if (status == TLS_FAILED) {
        conn->error = conn->tls.error;
        conn_close(conn, CLOSE_HANDSHAKE_FAILED);
    } else if (status == TLS_DONE) {
        conn_opened(conn);
    }
}

/* The whole hello is there: choose the profile, decide, begin. */
static void conn_start(struct conn *conn, const struct hello *hello) {
    struct worker *worker = conn->worker;
    uint8_t name[WIRE_SERVER_NAME_MAX];
    size_t name_len = sni_normalise(hello->server_name, name);
    const struct config_profile *profile =
        sni_find(conn->accepter->sni, (struct bytes){ name, name_len });
    if (!profile) {
        conn_fail_hello(conn, ALERT_UNRECOGNIZED_NAME, CLOSE_UNKNOWN_NAME,
                        "no profile for this server name");
        return;
    }
    worker->tls.now_ms = clock_wall_ms();
    struct tls_start start = {
        .profile = tls_set_find(worker->gen->tls, profile),
        .stores = generation_stores(worker->gen, worker->shared, profile),
        .hello = hello,
        .server_name = { name, name_len },
    };
    start.stores.others = conn->accepter->caches;
    start.stores.other_count = conn->accepter->cache_count;
    uint8_t alert = ALERT_INTERNAL_ERROR;
    loop_timer_set(&worker->loop, &conn->timer,
                   conn->accepted_ns + profile->handshake_timeout_ms * NS_PER_MS);
    if (tls_conn_start(&conn->tls, &worker->tls, &start, &alert) != TLS_DONE) {
        conn_fail_hello(conn, alert, CLOSE_HANDSHAKE_FAILED, conn->tls.error);
        return;
    }
    conn->state = CONN_HANDSHAKE;
}

/* What the client sent behind its hello before it could know our answer is early
 * data. When that is refused it is dropped here: the library skips 16 KB of it at
 * most, with what is around it, which is less than clients may send. */
static void conn_skip_early(struct conn *conn, uint8_t *data, size_t len, size_t hello_len) {
    if (conn->state == CONN_HANDSHAKE && conn->tls.skip_early) {
        len = hello_len +
              hello_drop_early_data(data + hello_len, len - hello_len, &conn->early_missing);
    }
    conn->worker->tls.io.in = (struct bytes){ data, len };
}

/* Looks for a ClientHello in all bytes received so far (`len` more in `received`).
 * Sets the library's input to them when it is there. */
static void conn_hello(struct conn *conn, uint8_t *received, size_t len) {
    static uint8_t joined[WIRE_HELLO_MAX];
    const struct bytes more = { received, len };
    if (conn->hello.data) {
        if (hello_add(conn, more) != 0) {
            conn_fail_hello(conn, ALERT_INTERNAL_ERROR, CLOSE_NO_MEMORY, "no memory for a hello");
            return;
        }
        received = conn->hello.data;
        len = conn->hello.end;
    }
    struct hello hello;
    size_t hello_len = 0;
    uint8_t alert = ALERT_UNEXPECTED_MESSAGE;
    switch (hello_scan((struct bytes){ received, len }, joined, &hello, &hello_len, &alert)) {
    case HELLO_COMPLETE:
        conn_start(conn, &hello);
        conn_skip_early(conn, received, len, hello_len);
        break;
    case HELLO_NEED_MORE:
        if (!conn->hello.data && hello_add(conn, more) != 0) {
            conn_fail_hello(conn, ALERT_INTERNAL_ERROR, CLOSE_NO_MEMORY, "no memory for a hello");
        }
        break;
    case HELLO_NOT_TLS:
        conn_fail_hello(conn, ALERT_UNEXPECTED_MESSAGE, CLOSE_NOT_TLS, "no TLS record");
        break;
    case HELLO_TOO_LARGE: /* its length can only be wrong */
        conn_fail_hello(conn, ALERT_DECODE_ERROR, CLOSE_HANDSHAKE_FAILED, "hello too large");
        break;
    case HELLO_MALFORMED:
        conn_fail_hello(conn, alert, CLOSE_HANDSHAKE_FAILED, "malformed hello");
        break;
    }
}

/* --- relaying ------------------------------------------------------------ */

/* The backend takes no more. What it has sent before is still passed on, as far
 * as it can be read; then the connection ends as a broken one. */
static void conn_lose_backend(struct conn *conn) {
    conn->backend_lost = true;
    conn->backend.readable = true;
    backlog_free(&conn->backend.out);
}

/* Decrypts all that the library has been given. Plaintext waits in the backend's
 * backlog when it can't be sent. Returns false when the connection has ended. */
static bool conn_decrypt(struct conn *conn) {
    struct worker *worker = conn->worker;
    size_t total = 0;
    enum tls_status status = TLS_DONE;
    while (status == TLS_DONE && total < WORKER_PLAIN_BYTES) {
        size_t len = 0;
        status = tls_conn_read(&conn->tls, worker->plain + total, WORKER_PLAIN_BYTES - total, &len);
        total += len;
    }
    conn->bytes_in += total;
    struct bytes plain = { worker->plain, total };
    if (conn->connected && side_send(conn, &conn->backend, plain, SEND_NOW) != 0) {
        conn_lose_backend(conn);
    } else if (!conn->connected && total > 0 && backlog_add(&conn->backend.out, plain) != 0) {
        conn_close(conn, CLOSE_NO_MEMORY);
        return false;
    }
    if (conn_send_sealed(conn, SEND_NOW) != 0) { /* an alert, or the answer to a key update */
        conn_close(conn, CLOSE_CLIENT_RESET);
        return false;
    }
    if (status == TLS_EOF) {
        conn->client.eof = true;
    } else if (status == TLS_FAILED) {
        bool reneg = conn->tls.failure == TLS_FAILURE_RENEGOTIATION;
        conn->error = conn->tls.error;
        counter_add(conn->worker->counters, COUNT_RENEGOTIATIONS_REFUSED, reneg);
        conn_close(conn, reneg ? CLOSE_RENEGOTIATION : CLOSE_TLS_ERROR);
        return false;
    }
    return true;
}

/* One receive from the client and all that follows from it. Returns false when
 * the connection has ended. */
static bool conn_receive_client(struct conn *conn) {
    struct worker *worker = conn->worker;
    size_t len = 0;
    switch (side_receive(&conn->client, worker->receive, WORKER_RECEIVE_BYTES, &len)) {
    case READ_NOTHING:
        return true;
    case READ_BROKEN:
        conn->truncated = true;
        conn_close(conn, conn->state == CONN_OPEN ? CLOSE_CLIENT_RESET : CLOSE_CLIENT_GONE);
        return false;
    case READ_EOF: /* without close_notify: passed on as an end */
        conn->truncated = true;
        conn->client.eof = true;
        if (conn->state != CONN_OPEN) {
            conn_close(conn, CLOSE_CLIENT_GONE);
            return false;
        }
        return true;
    case READ_DATA:
        break;
    }
    size_t dropped = len < conn->early_missing ? len : conn->early_missing;
    conn->early_missing -= dropped;
    worker->tls.io.in = (struct bytes){ worker->receive + dropped, len - dropped };
    if (conn->state == CONN_HELLO) {
        worker->tls.io.in = (struct bytes){ 0 };
        conn_hello(conn, worker->receive, len);
    }
    if (conn->state == CONN_HANDSHAKE) {
        conn_handshake(conn);
    }
    if (conn->state == CONN_OPEN && !conn_decrypt(conn)) {
        return false;
    }
    if (conn->state != CONN_HELLO) {
        hello_free(conn); /* the library has taken what it held */
    }
    if (conn->state == CONN_OPEN && conn->member == POOL_NONE) {
        conn_connect(conn); /* not earlier: what the client has sent by now goes with it */
    }
    return conn->state != CONN_CLOSED;
}

static bool conn_read_client(struct conn *conn) {
    bool goes_on = conn_receive_client(conn);
    conn->worker->tls.io.in = (struct bytes){ 0 }; /* it may point into what is freed by now */
    return goes_on;
}

static bool conn_read_backend(struct conn *conn) {
    struct worker *worker = conn->worker;
    size_t len = 0;
    switch (side_receive(&conn->backend, worker->receive, WORKER_RECEIVE_BYTES, &len)) {
    case READ_NOTHING:
        return true;
    case READ_BROKEN:
        conn_lose_backend(conn);
        conn->backend.eof = true;
        return true;
    case READ_EOF:
        conn->backend.eof = true;
        return true;
    case READ_DATA:
        break;
    }
    conn->bytes_out += len;
    worker->tls.io.in = (struct bytes){ 0 };
    if (tls_conn_write(&conn->tls, (struct bytes){ worker->receive, len }) != TLS_DONE) {
        conn->error = conn->tls.error;
        conn_close(conn, CLOSE_TLS_ERROR);
        return false;
    }
    /* When the backend has ended as well, close_notify follows; or else side_push. */
    if (conn_send_sealed(conn, conn->backend.hangup ? SEND_WITH_NEXT : SEND_NOW) != 0) {
        conn_close(conn, CLOSE_CLIENT_RESET);
        return false;
    }
    return true;
}

/* Passes on the ends: what one side has finished is finished to the other once
 * all before it is sent. Returns false when the connection has ended. */
static bool conn_pass_ends(struct conn *conn) {
    if (conn->backend_lost && conn->backend.eof) {
        if (backlog_len(&conn->client.out) > 0) {
            return true;
        }
        side_push(&conn->client); /* closing may reset the stream */
        conn_close(conn, CLOSE_BACKEND_RESET);
        return false;
    }
    if (conn->client.eof && !conn->backend.shut && conn->connected &&
        backlog_len(&conn->backend.out) == 0) {
        conn->backend.shut = true;
        if (!conn->backend.eof) {
            shutdown(conn->backend.io.fd, SHUT_WR);
        }
    }
    if (conn->backend.eof && !conn->client.shut && backlog_len(&conn->client.out) == 0) {
        conn->client.shut = true;
        tls_conn_close_notify(&conn->tls);
        /* The end of the stream follows in this call, unless the backend has yet to take
         * what the client has sent. */
        bool ends = !conn->client.eof || conn->backend.shut;
        if (conn_send_sealed(conn, ends ? SEND_WITH_NEXT : SEND_NOW) != 0) {
            conn_close(conn, CLOSE_CLIENT_RESET);
            return false;
        }
    }
    if (conn->client.shut && !conn->client.fin && !conn->client.eof &&
        backlog_len(&conn->client.out) == 0) {
        conn->client.fin = true;
        shutdown(conn->client.io.fd, SHUT_WR);
    }
    if (conn->client.shut && conn->backend.shut && backlog_len(&conn->client.out) == 0) {
        conn_close(conn, CLOSE_DONE);
        return false;
    }
    return true;
}

/* True when reading from `from` may go on: nothing waits for the other side. */
static bool may_read(const struct conn_side *from, const struct conn_side *to) {
    return from->readable && !from->eof && backlog_len(&to->out) == 0;
}

static bool may_read_client(const struct conn *conn) {
    return !conn->backend_lost && may_read(&conn->client, &conn->backend);
}

static bool conn_relay_round(struct conn *conn) {
    if (side_flush(&conn->client) != 0) {
        conn_close(conn, CLOSE_CLIENT_RESET);
        return false;
    }
    if (conn->connected && side_flush(&conn->backend) != 0) {
        conn_lose_backend(conn);
    }
    if (may_read_client(conn) && !conn_read_client(conn)) {
        return false;
    }
    if (conn->connected && may_read(&conn->backend, &conn->client) && !conn_read_backend(conn)) {
        return false;
    }
    return conn->state != CONN_OPEN || conn_pass_ends(conn);
}

static bool may_flush(const struct conn_side *side) {
    return !side->blocked && backlog_len(&side->out) > 0;
}

static bool conn_has_work(const struct conn *conn) {
    return may_read_client(conn) || may_flush(&conn->client) ||
           (conn->connected &&
            (may_read(&conn->backend, &conn->client) || may_flush(&conn->backend)));
}

static void conn_again(struct loop_task *task) {
    struct conn *conn = (struct conn *)((char *)task - offsetof(struct conn, task));
    conn_relay(conn);
}

static void conn_relay(struct conn *conn) {
    for (int round = 0; round < RELAY_ROUNDS; round++) {
        if (!conn_relay_round(conn)) {
            return;
        }
        if (!conn_has_work(conn)) {
            break;
        }
    }
    if (conn->state == CONN_OPEN && !conn->connecting) {
        conn_set_idle(conn);
    }
    if (conn_has_work(conn)) {
        conn->task.run = conn_again;
        loop_later(&conn->worker->loop, &conn->task);
    }
}

static void side_note(struct conn_side *side, uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        side->readable = true;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        side->hangup = true;
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        side->blocked = false;
    }
}

static void client_on_event(struct loop_io *io, uint32_t events) {
    struct conn *conn = (struct conn *)((char *)io - offsetof(struct conn, client.io));
    side_note(&conn->client, events);
    conn_relay(conn);
}

/* --- the backend --------------------------------------------------------- */

static void conn_connected(struct conn *conn) {
    conn->connecting = false;
    conn->connected = true;
    conn->connect_ns = clock_mono_ns() - conn->connect_start_ns;
    conn_set_idle(conn);
}

/* Puts the PROXY header, where the pool wants one, before all that the client has sent.
 * Returns 0, or -1 when that failed. */
static int conn_add_header(struct conn *conn) {
    const struct config_pool *pool = conn->accepter->pool->config;
    uint8_t header[PROXY_V2_MAX];
    if (pool->proxy_protocol != PROXY_PROTOCOL_V2 && !pool->demonstration) {
        return 0;
    }
    size_t len = report_proxy_header(conn, header, sizeof(header));
    if (len == 0) { /* a client's bytes must never stand where the header should */
        conn->error = "PROXY header too large";
        return -1;
    }
    struct backlog waiting = conn->backend.out;
    conn->backend.out = (struct backlog){ 0 };
    int rc = backlog_add(&conn->backend.out, (struct bytes){ header, len });
    if (rc == 0 && backlog_len(&waiting) > 0) {
        rc = backlog_add(&conn->backend.out,
                         (struct bytes){ waiting.data + waiting.at, backlog_len(&waiting) });
    }
    backlog_free(&waiting);
    return rc;
}

/* Lets go of the member tried last. */
static void conn_leave_member(struct conn *conn) {
    if (conn->backend.io.fd >= 0) {
        close(conn->backend.io.fd);
        conn->backend.io.fd = -1;
        conn->backend.io.events = 0;
    }
    conn->backend.readable = conn->backend.hangup = conn->backend.blocked = false;
    conn->connecting = false;
    pool_count(conn->accepter->pool, conn->member, -1);
    counter_add(conn->worker->counters, COUNT_BACKEND_FAILED, 1);
}

/* Sends what waits for a backend that is being connected to: one on the same host is
 * there by now. From the first byte on, it is the only one that can have the rest.
 * Returns 0, or -1 when the connect has failed. */
static int conn_send_first(struct conn *conn) {
    size_t waits = backlog_len(&conn->backend.out);
    int rc = side_flush(&conn->backend);
    if (waits == 0 || backlog_len(&conn->backend.out) == waits) {
        return rc;
    }
    side_acknowledge(&conn->backend, 1);
    conn_connected(conn); /* if it has failed since, its event tells */
    return 0;
}

/* The member tried last has failed: on with the next. */
static void conn_retry(struct conn *conn) {
    conn_leave_member(conn);
    conn_connect(conn);
    if (conn->state == CONN_OPEN && conn->connected) {
        conn_relay(conn); /* what came meanwhile: no event tells of it again */
    }
}

static void backend_on_event(struct loop_io *io, uint32_t events) {
    struct conn *conn = (struct conn *)((char *)io - offsetof(struct conn, backend.io));
    side_note(&conn->backend, events);
    if (conn->connecting) {
        /* Unless it failed it can be written to. */
        if ((events & (EPOLLERR | EPOLLHUP)) || conn_send_first(conn) != 0) {
            conn_retry(conn);
            return;
        }
        if (backlog_len(&conn->backend.out) == 0 && conn->connecting) {
            conn_connected(conn);
        }
    }
    conn_relay(conn);
}

/* Begins a connect to the picked member. Returns 0, or -1 when it failed at once. */
static int conn_try_member(struct conn *conn) {
    const struct config_address *to = &conn->accepter->pool->members[conn->member].address;
    struct loop *loop = &conn->worker->loop;
    int fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    conn->backend.io.fd = fd;
    side_set(&conn->backend, TCP_NODELAY, 1);
    if (backlog_len(&conn->backend.out) > 0) { /* it goes with the last step of TCP's handshake */
        side_acknowledge(&conn->backend, 0);
    }
    conn->connecting = true;
    if ((connect(fd, (const struct sockaddr *)&to->addr, to->addr_len) != 0 &&
         errno != EINPROGRESS) ||
        conn_send_first(conn) != 0) {
        return -1;
    }
    bool writable = conn->connected && !conn->backend.blocked;
    if (loop_add(loop, &conn->backend.io, EPOLLIN | EPOLLRDHUP | (writable ? 0 : EPOLLOUT),
                 false) != 0) {
        if (conn->connected) {
            conn_close(conn, CLOSE_NO_MEMORY);
        }
        return conn->connected ? 0 : -1;
    }
    if (conn->connecting) {
        uint64_t timeout_ns = conn->accepter->pool->config->connect_timeout_ms * NS_PER_MS;
        loop_timer_set(loop, &conn->timer, loop->now_ns + timeout_ns);
    }
    return 0;
}

/* Tries members until one is being connected to, or none is left to try. */
static void conn_connect(struct conn *conn) {
    struct pool *pool = conn->accepter->pool;
    if (conn->tries == 0) {
        conn->connect_start_ns = clock_mono_ns();
        if (conn_add_header(conn) != 0) {
            conn_close(conn, CLOSE_BACKEND_UNREACHABLE);
            return;
        }
    }
    while (conn->tries <= pool->config->connect_retries) {
        conn->tries++;
        conn->member = pool_pick(pool, &conn->tried);
        pool_count(pool, conn->member, 1);
        if (conn_try_member(conn) == 0) {
            return;
        }
        conn_leave_member(conn);
    }
    conn->member = POOL_NONE;
    conn->error = "no backend took the connection";
    conn_end(conn, CLOSE_BACKEND_UNREACHABLE);
}

static void conn_on_timer(struct loop_timer *timer) {
    struct conn *conn = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    if (conn->state != CONN_OPEN) {
        conn_close(conn, CLOSE_HANDSHAKE_TIMEOUT);
    } else if (conn->connecting) {
        conn_retry(conn);
    } else {
        conn_end(conn, CLOSE_IDLE_TIMEOUT);
    }
}

/* --- beginning ----------------------------------------------------------- */

/* The longest handshake-timeout is not known before the name is; until then the
 * virtual server's first profile stands for all. */
static uint64_t hello_timeout_ns(const struct accepter *accepter) {
    const struct config_vserver *vserver = accepter->listener->vserver;
    const struct config_profile *profile =
        vserver->default_profile ? vserver->default_profile : vserver->profiles[0];
    return profile->handshake_timeout_ms * NS_PER_MS;
}

void conn_accept(struct accepter *accepter, int fd, const union conn_address *address) {
    struct worker *worker = accepter->worker;
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        close(fd);
        return;
    }
    conn->worker = worker;
    conn->accepter = accepter;
    conn->client.io = (struct loop_io){ .fd = fd, .on_event = client_on_event };
    conn->backend.io = (struct loop_io){ .fd = -1, .on_event = backend_on_event };
    conn->timer.on_timer = conn_on_timer;
    conn->member = POOL_NONE;
    conn->address = *address;
    conn->id = ++worker->next_id;
    conn->accepted_ns = worker->loop.now_ns;
    if (loop_add(&worker->loop, &conn->client.io, EPOLLIN | EPOLLRDHUP, false) != 0) {
        close(fd);
        free(conn);
        return;
    }
    conn->next = worker->conns;
    conn->link = &worker->conns;
    if (conn->next) {
        conn->next->link = &conn->next;
    }
    worker->conns = conn;
    worker_conn_added(worker);
    loop_timer_set(&worker->loop, &conn->timer, conn->accepted_ns + hello_timeout_ns(accepter));
}
