/* conn.c: see conn.h. */
#include "load/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "load/worker.h"

#define PATTERN_BYTES LOAD_BUFFER_BYTES
#define REQUEST_MAX 2048

#define OF(pointer, member) \
    ((struct load_conn *)((char *)(pointer)-offsetof(struct load_conn, member)))

static void conn_connect(struct load_conn *conn);

/* --- the payload --------------------------------------------------------- */

/* Twice the same noise, so that PATTERN_BYTES from any place on are there in a row. */
static uint8_t pattern[2 * PATTERN_BYTES];

static void pattern_make(void) {
    uint32_t state = 1;
    for (size_t i = 0; i < PATTERN_BYTES; i++) {
        state = state * 1664525 + 1013904223; /* no more than not all alike */
        pattern[i] = pattern[i + PATTERN_BYTES] = (uint8_t)(state >> 24);
    }
}

static const uint8_t *pattern_at(uint64_t offset) {
    if (pattern[1] == pattern[0] && pattern[2] == pattern[0]) {
        pattern_make();
    }
    return pattern + offset % PATTERN_BYTES;
}

/* --- how it ends --------------------------------------------------------- */

static void ended(struct loop_task *task) {
    struct load_conn *conn = OF(task, ended);
    load_worker_ended(conn, conn->good);
}

/* Closes it. A reset leaves no port in TIME_WAIT. */
static void conn_close(struct load_conn *conn, bool reset) {
    if (conn->io.fd >= 0) {
        const struct linger now = { .l_onoff = 1, .l_linger = 0 };
        if (reset) {
            setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        }
        close(conn->io.fd);
        conn->io.fd = -1;
        conn->io.events = 0;
    }
    tls_client_end(&conn->tls);
    tls_client_session_free(conn->session);
    conn->session = NULL;
    free(conn->unsent);
    conn->unsent = NULL;
}

static void conn_fail(struct load_conn *conn, enum load_failure why, const char *text) {
    struct load_row *row = conn->worker->row;
    row->failed[why]++;
    if (why == LOAD_FAILURE_ALERT) {
        row->alerts[conn->tls.alert]++;
    }
    if (text) {
        snprintf(row->error, sizeof(row->error), "%s", text);
    }
    conn_close(conn, true);
    conn->good = false;
    conn->pause = why == LOAD_FAILURE_CONNECT || why == LOAD_FAILURE_LOCAL;
    loop_later(&conn->worker->loop, &conn->ended);
}

static void conn_fail_errno(struct load_conn *conn, enum load_failure why, int number) {
    char buf[LOAD_ERROR_MAX];
    conn_fail(conn, why, strerror_r(number, buf, sizeof(buf)));
}

static void conn_fail_tls(struct load_conn *conn) {
    static const enum load_failure failures[] = {
        [TLS_FAULT_NONE] = LOAD_FAILURE_PROTOCOL,
        [TLS_FAULT_ALERT] = LOAD_FAILURE_ALERT,
        [TLS_FAULT_CERTIFICATE] = LOAD_FAILURE_CERTIFICATE,
        [TLS_FAULT_PROTOCOL] = LOAD_FAILURE_PROTOCOL,
    };
    conn_fail(conn, failures[conn->tls.fault], conn->tls.error);
}

static void conn_aborted(struct load_conn *conn) {
    conn->worker->row->aborted[conn->plan.abort]++;
    conn_close(conn, conn->worker->options->close != LOAD_CLOSE_FIN);
    conn->good = true;
    loop_later(&conn->worker->loop, &conn->ended);
}

/* All was well, and it is closed. A connection that was to make a session has made one, and
 * what was planned may follow. */
static void conn_done(struct load_conn *conn) {
    struct load_worker *worker = conn->worker;
    conn_close(conn, worker->options->close == LOAD_CLOSE_RESET);
    if (conn->prime) {
        worker->row->primed++;
        if (!conn->issued) {
            conn_fail(conn, LOAD_FAILURE_NO_SESSION, NULL);
            return;
        }
        if (!conn->prime_only) {
            conn_connect(conn);
            return;
        }
    }
    conn->good = true;
    loop_later(&worker->loop, &conn->ended);
}

/* --- sending ------------------------------------------------------------- */

/* Keeps what the socket did not take, behind what it did not take before. */
static int unsent_keep(struct load_conn *conn, struct bytes rest) {
    size_t have = conn->unsent ? conn->unsent_end - conn->unsent_at : 0;
    uint8_t *grown = malloc(have + rest.len);
    if (!grown) {
        return -1;
    }
    if (have > 0) {
        memcpy(grown, conn->unsent + conn->unsent_at, have);
    }
    memcpy(grown + have, rest.data, rest.len);
    free(conn->unsent);
    conn->unsent = grown;
    conn->unsent_at = 0;
    conn->unsent_end = have + rest.len;
    return 0;
}

/* Sends data, as far as it goes. Returns what was sent; -1 with errno when it is broken. */
static ssize_t conn_send(struct load_conn *conn, struct bytes data) {
    ssize_t n = send(conn->io.fd, data.data, data.len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : n;
}

/* Sends what the library has put out. Returns 0, or -1 with the connection failed. */
static int conn_flush(struct load_conn *conn) {
    struct tls_io *io = &conn->worker->tls.io;
    if (io->out_len == 0) {
        return 0;
    }
    struct bytes rest = { io->out, io->out_len };
    ssize_t n = conn->unsent ? 0 : conn_send(conn, rest);
    io->out_len = 0;
    if (n < 0) {
        conn_fail_errno(conn, conn->connected ? LOAD_FAILURE_RESET : LOAD_FAILURE_CONNECT, errno);
        return -1;
    }
    conn->connected |= n > 0;
    rest = (struct bytes){ rest.data + n, rest.len - (size_t)n };
    if (rest.len > 0 && unsent_keep(conn, rest) != 0) {
        conn_fail(conn, LOAD_FAILURE_LOCAL, "out of memory");
        return -1;
    }
    return 0;
}

/* Whether it must be told when the socket takes more. */
static uint32_t wanted_events(const struct load_conn *conn) {
    const struct load_options *options = conn->worker->options;
    bool more = conn->state == LOAD_STATE_ASK && options->ask == LOAD_ASK_PAYLOAD &&
                conn->sent < options->send_bytes;
    return EPOLLIN | EPOLLRDHUP | (conn->unsent || more ? EPOLLOUT : 0u);
}

/* The last step of every handler whose connection goes on. */
static void conn_wait(struct load_conn *conn) {
    if (loop_change(&conn->worker->loop, &conn->io, wanted_events(conn)) != 0) {
        conn_fail_errno(conn, LOAD_FAILURE_LOCAL, errno);
    }
}

/* --- the end of one that is done ------------------------------------------ */

static void conn_finish(struct load_conn *conn) {
    if (conn->tls.ssl) {
        tls_client_close_notify(&conn->tls);
    }
    if (conn_flush(conn) != 0) {
        return;
    }
    if (!conn->tls.ssl && !conn->unsent) {
        shutdown(conn->io.fd, SHUT_WR);
    }
    bool waits = conn->worker->options->close == LOAD_CLOSE_WAIT || conn->prime || conn->unsent;
    if (conn->peer_ended || !waits) {
        conn_done(conn);
        return;
    }
    conn->state = LOAD_STATE_CLOSE;
    conn_wait(conn);
}

/* --- asking and being answered -------------------------------------------- */

static void conn_answered(struct load_conn *conn) {
    struct load_worker *worker = conn->worker;
    if (!conn->prime) {
        enum load_class class = conn->plan.resume ? LOAD_CLASS_RESUMED : LOAD_CLASS_FULL;
        uint64_t took_ns = clock_mono_ns() - conn->start_ns;
        histogram_add(&worker->row->answer_us[class], took_ns / 1000);
        worker->row->done[conn->plan.kind][class]++;
    }
    if (worker->options->idle > 0 && !conn->prime) {
        conn->state = LOAD_STATE_HELD;
        if (conn_flush(conn) == 0) {
            loop_timer_stop(&conn->timer);
            load_worker_held(conn);
            conn_wait(conn);
        }
        return;
    }
    conn_finish(conn);
}

/* Puts data into io.out: encrypted, unless the connection is a plain one. */
static enum tls_status conn_write(struct load_conn *conn, struct bytes data) {
    struct tls_io *io = &conn->worker->tls.io;
    if (conn->tls.ssl) {
        return tls_client_write(&conn->tls, data);
    }
    memcpy(io->out + io->out_len, data.data, data.len);
    io->out_len += data.len;
    return TLS_DONE;
}

static enum tls_status ask_http(struct load_conn *conn) {
    const struct load_options *options = conn->worker->options;
    const char *name = options->name_count > 0 ? options->names[conn->name] : "localhost";
    char request[REQUEST_MAX];
    int n =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", options->path, name);
    size_t len = (size_t)n < sizeof(request) ? (size_t)n : sizeof(request) - 1;
    return conn_write(conn, (struct bytes){ (const uint8_t *)request, len });
}

/* The next part of the payload: as much as the buffer takes. */
static enum tls_status ask_payload(struct load_conn *conn) {
    const struct load_options *options = conn->worker->options;
    uint64_t left = options->send_bytes - conn->sent;
    size_t len = left < LOAD_BUFFER_BYTES ? (size_t)left : LOAD_BUFFER_BYTES;
    struct bytes part = { pattern_at(conn->sent), len };
    conn->sent += len;
    conn->worker->row->bytes_sent += len;
    return len > 0 ? conn_write(conn, part) : TLS_DONE;
}

/* The handshake is over and was as planned. */
static void conn_ask(struct load_conn *conn) {
    const struct load_options *options = conn->worker->options;
    enum tls_status status = TLS_DONE;
    conn->state = LOAD_STATE_ASK;
    if (options->ask == LOAD_ASK_HTTP) {
        status = ask_http(conn);
    } else if (options->ask == LOAD_ASK_PAYLOAD) {
        status = ask_payload(conn);
    }
    if (status != TLS_DONE) {
        conn_fail_tls(conn);
    }
}

/* Goes on with a payload that did not go out in one piece. Returns 0, or -1 with the
 * connection failed. */
static int conn_ask_more(struct load_conn *conn) {
    const struct load_options *options = conn->worker->options;
    if (conn->state != LOAD_STATE_ASK || options->ask != LOAD_ASK_PAYLOAD || conn->unsent ||
        conn->sent == options->send_bytes) {
        return 0;
    }
    if (ask_payload(conn) != TLS_DONE) {
        conn_fail_tls(conn);
        return -1;
    }
    return conn_flush(conn);
}

static bool status_good(const struct load_conn *conn) {
    return memcmp(conn->status, "HTTP/1.", 7) == 0 &&
           (conn->status[9] == '2' || conn->status[9] == '3');
}

/* Looks at a part of the answer. Returns whether it is right so far. */
static bool answer_part(struct load_conn *conn, struct bytes part) {
    const struct load_options *options = conn->worker->options;
    uint64_t from = conn->received;
    conn->received += part.len;
    conn->worker->row->bytes_received += part.len;
    if (options->ask == LOAD_ASK_HTTP) {
        for (size_t i = 0; i < part.len && from + i < LOAD_STATUS_LINE; i++) {
            conn->status[from + i] = (char)part.data[i];
        }
        return conn->received < LOAD_STATUS_LINE || status_good(conn);
    }
    if (options->ask == LOAD_ASK_NOTHING || conn->received > options->expect_bytes) {
        return false;
    }
    return !options->echo || memcmp(part.data, pattern_at(from), part.len) == 0;
}

/* A TLS 1.3 server issues sessions after the handshake, and the library takes none any more
 * once we have sent close_notify: without an answer to wait for they are waited for. */
static bool awaits_session(const struct load_conn *conn) {
    return conn->worker->options->ask == LOAD_ASK_NOTHING && conn->plan.kind == LOAD_PSK &&
           !conn->issued;
}

/* The answer is all there. An HTTP answer ends with the connection. */
static bool answer_complete(const struct load_conn *conn, bool ended_by_server) {
    const struct load_options *options = conn->worker->options;
    switch (options->ask) {
    case LOAD_ASK_HTTP:
        return ended_by_server && conn->received >= LOAD_STATUS_LINE;
    case LOAD_ASK_PAYLOAD:
        return conn->received == options->expect_bytes && conn->sent == options->send_bytes;
    default:
        return ended_by_server || !awaits_session(conn);
    }
}

/* Reads all that came. Returns TLS_AGAIN when it goes on, TLS_EOF when the server ended its
 * direction; TLS_FAILED when the connection failed and is closed. */
static enum tls_status conn_read(struct load_conn *conn) {
    if (!conn->tls.ssl) {
        if (!answer_part(conn, conn->worker->tls.io.in)) {
            conn_fail(conn, LOAD_FAILURE_ANSWER, NULL);
            return TLS_FAILED;
        }
        return TLS_AGAIN;
    }
    for (;;) {
        size_t len = 0;
        uint8_t *plain = conn->worker->plain;
        enum tls_status status = tls_client_read(&conn->tls, plain, LOAD_BUFFER_BYTES, &len);
        if (status == TLS_FAILED) {
            conn_fail_tls(conn);
            return TLS_FAILED;
        }
        if (status != TLS_DONE) {
            return status;
        }
        if (!answer_part(conn, (struct bytes){ plain, len })) {
            conn_fail(conn, LOAD_FAILURE_ANSWER, NULL);
            return TLS_FAILED;
        }
    }
}

/* Takes what came while asking. */
static void conn_answer(struct load_conn *conn) {
    enum tls_status status = TLS_AGAIN;
    if (conn->worker->tls.io.in.len > 0) {
        status = conn_read(conn);
    }
    if (status == TLS_FAILED) {
        return;
    }
    bool eof = conn->peer_ended || status == TLS_EOF;
    if (!answer_complete(conn, eof)) {
        if (eof) {
            conn_fail(conn, LOAD_FAILURE_CLOSED, NULL);
        } else if (conn_flush(conn) == 0) {
            conn_wait(conn);
        }
        return;
    }
    conn_answered(conn);
}

/* --- the handshake -------------------------------------------------------- */

/* What the server issues is kept when it is of the kind that is resumed here. */
static bool on_session(struct tls_client_conn *tls, SSL_SESSION *session) {
    struct load_conn *conn = OF(tls, tls);
    struct load_worker *worker = conn->worker;
    bool ticket = tls_client_session_has_ticket(session);
    bool usable = tls_client_session_usable(session);
    if (!load_kind_resumes(conn->plan.kind) || !usable || ticket != (conn->plan.kind != LOAD_ID)) {
        return false;
    }
    load_sessions_put(load_pool_of(worker, conn->plan.kind, conn->target, conn->name), session,
                      worker->loop.now_ns);
    conn->issued = true;
    return true;
}

/* Was it what it was to be? Returns false with the connection failed. */
static bool conn_as_planned(struct load_conn *conn) {
    struct load_worker *worker = conn->worker;
    bool resumed = tls_client_resumed(&conn->tls);
    if (resumed == (conn->plan.resume && !conn->prime)) {
        return true;
    }
    if (!resumed) {
        load_sessions_drop(load_pool_of(worker, conn->plan.kind, conn->target, conn->name),
                           conn->session);
    }
    conn_fail(conn, resumed ? LOAD_FAILURE_RESUMED : LOAD_FAILURE_NOT_RESUMED, NULL);
    return false;
}

static void conn_shaken(struct load_conn *conn) {
    struct load_worker *worker = conn->worker;
    if (!conn_as_planned(conn)) {
        return;
    }
    if (!conn->prime) {
        enum load_class class = conn->plan.resume ? LOAD_CLASS_RESUMED : LOAD_CLASS_FULL;
        histogram_add(&worker->row->handshake_us[class], (clock_mono_ns() - conn->start_ns) / 1000);
        if (conn->plan.abort == LOAD_ABORT_HANDSHAKE) {
            if (conn_flush(conn) == 0) {
                conn_aborted(conn);
            }
            return;
        }
    }
    conn_ask(conn);
    if (conn->state == LOAD_STATE_ASK) {
        conn_answer(conn);
    }
}

static void conn_handshake(struct load_conn *conn) {
    switch (tls_client_handshake(&conn->tls)) {
    case TLS_DONE:
        conn_shaken(conn);
        return;
    case TLS_AGAIN:
        if (conn->peer_ended) {
            conn_fail(conn, LOAD_FAILURE_CLOSED, NULL);
        } else if (conn_flush(conn) == 0) {
            conn_wait(conn);
        }
        return;
    default:
        conn_fail_tls(conn);
    }
}

/* --- what the loop calls --------------------------------------------------- */

/* Sends what was left. Returns whether the connection goes on. */
static bool conn_writable(struct load_conn *conn) {
    if (conn->unsent) {
        struct bytes rest = { conn->unsent + conn->unsent_at, conn->unsent_end - conn->unsent_at };
        ssize_t n = conn_send(conn, rest);
        if (n < 0) {
            conn_fail_errno(conn, conn->connected ? LOAD_FAILURE_RESET : LOAD_FAILURE_CONNECT,
                            errno);
            return false;
        }
        conn->connected |= n > 0;
        conn->unsent_at += (size_t)n;
        if (conn->unsent_at == conn->unsent_end) {
            free(conn->unsent);
            conn->unsent = NULL;
            if (conn->state == LOAD_STATE_CLOSE && !conn->tls.ssl) {
                shutdown(conn->io.fd, SHUT_WR);
            }
            if (conn->plan.abort == LOAD_ABORT_HELLO && !conn->prime) {
                conn_aborted(conn);
                return false;
            }
        }
    }
    return conn_ask_more(conn) == 0;
}

static void conn_take(struct load_conn *conn, struct bytes in) {
    conn->worker->tls.io.in = in;
    switch (conn->state) {
    case LOAD_STATE_HANDSHAKE:
        conn_handshake(conn);
        break;
    case LOAD_STATE_ASK:
        conn_answer(conn);
        break;
    case LOAD_STATE_HELD:
        if (conn->peer_ended || conn_read(conn) != TLS_AGAIN) {
            if (conn->io.fd >= 0) {
                conn_fail(conn, LOAD_FAILURE_CLOSED, NULL);
            }
            conn->worker->row->held--;
        }
        break;
    case LOAD_STATE_CLOSE:
        /* Tickets of TLS 1.3 may still come; anything else no longer matters. */
        if (in.len > 0 && conn->tls.ssl) {
            size_t len = 0;
            while (tls_client_read(&conn->tls, conn->worker->plain, LOAD_BUFFER_BYTES, &len) ==
                   TLS_DONE) {
            }
        }
        if (conn->peer_ended) {
            conn_done(conn);
        }
        break;
    default:
        break;
    }
    conn->worker->tls.io.in = (struct bytes){ 0 };
    conn->worker->tls.io.out_len = 0;
}

/* recv said why there is nothing. */
static void conn_broken(struct load_conn *conn, int number) {
    if (number == EAGAIN || number == EINTR) {
        conn_wait(conn);
    } else if (conn->state == LOAD_STATE_CLOSE) {
        conn_done(conn); /* all that mattered had come */
    } else {
        conn->worker->row->held -= conn->state == LOAD_STATE_HELD;
        conn_fail_errno(conn, conn->connected ? LOAD_FAILURE_RESET : LOAD_FAILURE_CONNECT, number);
    }
}

static void on_event(struct loop_io *io, uint32_t events) {
    struct load_conn *conn = OF(io, io);
    if ((events & EPOLLOUT) && !(events & EPOLLERR) && !conn_writable(conn)) {
        return;
    }
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        conn_wait(conn);
        return;
    }
    ssize_t n = recv(conn->io.fd, conn->worker->in, LOAD_BUFFER_BYTES, 0);
    if (n < 0) {
        conn_broken(conn, errno);
        return;
    }
    /* The end had come when the event did, and less than asked for is all there was. */
    conn->peer_ended = n == 0 || ((events & EPOLLRDHUP) && (size_t)n < LOAD_BUFFER_BYTES);
    conn->connected = true;
    conn_take(conn, (struct bytes){ conn->worker->in, (size_t)n });
}

static void on_timer(struct loop_timer *timer) {
    struct load_conn *conn = OF(timer, timer);
    enum load_failure why = LOAD_FAILURE_TIMEOUT;
    if (conn->state == LOAD_STATE_CLOSE) {
        why = LOAD_FAILURE_NOT_CLOSED;
    } else if (conn->state == LOAD_STATE_ASK && awaits_session(conn)) {
        why = LOAD_FAILURE_NO_SESSION;
    }
    if (conn->io.fd >= 0) {
        conn_fail(conn, why, NULL);
    }
}

/* --- the beginning --------------------------------------------------------- */

/* Opens the socket, bound to the next source address where there are some. Returns 0, or
 * -1 with errno. */
static int conn_open(struct load_conn *conn) {
    const struct load_worker *worker = conn->worker;
    const struct load_options *options = worker->options;
    const struct load_address *target = &options->targets[conn->target];
    const int on = 1;
    conn->io.fd = socket(target->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->io.fd < 0) {
        return -1;
    }
    setsockopt(conn->io.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (options->source_count > 0) {
        const struct load_address *source = &options->sources[worker->turn % options->source_count];
        setsockopt(conn->io.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        if (bind(conn->io.fd, (const struct sockaddr *)&source->addr, source->len) != 0) {
            return -1;
        }
    }
    if (connect(conn->io.fd, (const struct sockaddr *)&target->addr, target->len) != 0 &&
        errno != EINPROGRESS) {
        return -1;
    }
    return 0;
}

static bool is_ours(int number) {
    return number == EMFILE || number == ENFILE || number == EADDRNOTAVAIL || number == ENOMEM ||
           number == ENOBUFS || number == EADDRINUSE || number == EINVAL;
}

static void conn_watch(struct load_conn *conn) {
    if (loop_add(&conn->worker->loop, &conn->io, wanted_events(conn), true) != 0) {
        conn_fail_errno(conn, LOAD_FAILURE_LOCAL, errno);
    }
}

/* Without TLS the request is what is sent first. */
static void plain_start(struct load_conn *conn) {
    conn_ask(conn);
    if (conn_flush(conn) == 0) {
        conn_watch(conn);
    }
}

static void conn_connect(struct load_conn *conn) {
    struct load_worker *worker = conn->worker;
    const struct load_options *options = worker->options;
    uint64_t now_ns = clock_mono_ns();
    uint64_t life_ns = options->session_life_ms * NS_PER_MS;
    if (conn->plan.resume) {
        conn->session = load_sessions_take(
            load_pool_of(worker, conn->plan.kind, conn->target, conn->name),
            conn->plan.kind == LOAD_PSK, now_ns > life_ns ? now_ns - life_ns : 0);
        conn->prime = !conn->session;
    }
    conn->state = LOAD_STATE_HANDSHAKE;
    conn->connected = false;
    conn->peer_ended = false;
    conn->issued = false;
    conn->sent = 0;
    conn->received = 0;
    memset(conn->status, 0, sizeof(conn->status));
    loop_timer_set(&worker->loop, &conn->timer, now_ns + options->timeout_ms * NS_PER_MS);
    if (conn_open(conn) != 0) {
        conn_fail_errno(conn, is_ours(errno) ? LOAD_FAILURE_LOCAL : LOAD_FAILURE_CONNECT, errno);
        return;
    }
    if (conn->plan.kind == LOAD_PLAIN) {
        plain_start(conn);
        return;
    }
    const char *name = options->name_count > 0 ? options->names[conn->name] : NULL;
    if (tls_client_start(&conn->tls, &worker->tls, worker->ctx[conn->plan.kind], name,
                         conn->session) != 0) {
        conn_fail(conn, LOAD_FAILURE_LOCAL, "the TLS library could not make a connection");
        return;
    }
    if (tls_client_handshake(&conn->tls) != TLS_AGAIN) {
        conn_fail_tls(conn);
        return;
    }
    if (conn_flush(conn) != 0) {
        return;
    }
    if (conn->plan.abort == LOAD_ABORT_HELLO && !conn->prime && !conn->unsent) {
        conn_aborted(conn);
        return;
    }
    conn_watch(conn);
}

static void conn_prepare(struct load_conn *conn, struct load_plan plan) {
    conn->io = (struct loop_io){ .fd = -1, .on_event = on_event };
    conn->timer.on_timer = on_timer;
    conn->ended.run = ended;
    conn->tls.on_session = on_session;
    conn->plan = plan;
    conn->prime = false;
    conn->prime_only = false;
}

void load_conn_begin(struct load_conn *conn, struct load_plan plan, uint64_t start_ns) {
    const struct load_options *options = conn->worker->options;
    uint64_t turn = conn->worker->turn++;
    conn_prepare(conn, plan);
    conn->target = turn % options->target_count;
    conn->name = options->name_count > 0 ? turn / options->target_count % options->name_count : 0;
    conn->start_ns = start_ns;
    conn_connect(conn);
}

void load_conn_prime(struct load_conn *conn, enum load_kind kind, size_t target, size_t name) {
    conn_prepare(conn, (struct load_plan){ .kind = kind });
    conn->prime = true;
    conn->prime_only = true;
    conn->target = target;
    conn->name = name;
    conn_connect(conn);
}

void load_conn_release(struct load_conn *conn) {
    conn->worker->row->held--;
    if (conn->tls.ssl) {
        tls_client_close_notify(&conn->tls);
    }
    if (conn_flush(conn) == 0) {
        conn_close(conn, true);
        conn->good = true;
        loop_later(&conn->worker->loop, &conn->ended);
    }
}
