/* visit.c: see visit.h. */
#include "lab/visit.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/wait.h"

#define VISIT_S 10           /* a connection takes a few milliseconds */
#define KEEP_SESSION_S 86400 /* offered as long as that, so that the server decides */
#define ALERT_NO_RENEGOTIATION 100

static const char request[] = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
static const char request_keep[] = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

/* A connection under way. */
struct talk {
    struct tls_client_conn conn; /* first: on_session finds the rest by it */
    struct visitor *visitor;
    const struct visit *visit;
    int fd;
    bool ended; /* the server has sent FIN */
    uint64_t deadline_ns;
};

static bool on_session(struct tls_client_conn *conn, SSL_SESSION *session) {
    const struct talk *talk = (const struct talk *)conn;
    if (!talk->visit->keep) {
        return false;
    }
    tls_client_session_free(talk->visitor->session);
    tls_lab_keep_session(session, KEEP_SESSION_S);
    talk->visitor->session = session;
    return true;
}

static void on_key_line(void *context, const char *line) {
    const struct visitor *visitor = context;
    if (visitor->key_log) {
        fprintf(visitor->key_log, "%s\n", line);
        fflush(visitor->key_log);
    }
}

int visitor_init(struct visitor *visitor, uint16_t version, struct err *err) {
    const struct tls_client_way way = {
        .version_min = version,
        .version_max = version,
        .groups = "X25519:P-256",
        .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256",
    };
    memset(visitor, 0, sizeof(*visitor));
    visitor->tls.io.out = visitor->out;
    visitor->tls.io.out_cap = sizeof(visitor->out);
    visitor->keys = (struct tls_lab_keys){ on_key_line, visitor };
    if (tls_client_init(&visitor->tls) != 0) {
        return err_set(err, "no memory for a client");
    }
    visitor->ctx = tls_client_context(&way, err);
    if (!visitor->ctx) {
        tls_client_fini(&visitor->tls);
        return -1;
    }
    tls_lab_tell_keys(visitor->ctx, &visitor->keys);
    return 0;
}

void visitor_fini(struct visitor *visitor) {
    tls_client_session_free(visitor->session);
    visitor->session = NULL;
    tls_client_context_free(visitor->ctx);
    visitor->ctx = NULL;
    tls_client_fini(&visitor->tls);
}

/* --- bytes --- */

static int no_answer(const char *what, struct err *err) {
    return lab_interrupted() ? err_set(err, "interrupted")
                             : err_set(err, "%s took longer than %d s", what, VISIT_S);
}

static int talk_connect(struct talk *talk, struct sockaddr_in *client, struct err *err) {
    const struct sockaddr_in *to = &talk->visit->to;
    uint64_t begin_ns = lab_wall_ns();
    int error = 0;
    int on = 1;
    socklen_t len = sizeof(error);
    talk->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (talk->fd < 0) {
        return err_set_errno(err, errno, "cannot make a socket");
    }
    setsockopt(talk->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(talk->fd, (const struct sockaddr *)to, sizeof(*to)) != 0 && errno != EINPROGRESS) {
        return err_set_errno(err, errno, "cannot connect to the terminator");
    }
    if (!lab_wait_fd(talk->fd, POLLOUT, talk->deadline_ns)) {
        return no_answer("connecting", err);
    }
    if (getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        return err_set_errno(err, error, "cannot connect to the terminator");
    }
    len = sizeof(*client);
    getsockname(talk->fd, (struct sockaddr *)client, &len);
    recorder_connect(talk->visit->recorder, client, begin_ns);
    return 0;
}

/* Sends what the library has for the server. */
static int talk_flush(struct talk *talk, struct err *err) {
    struct tls_io *io = &talk->visitor->tls.io;
    size_t done = 0;
    while (done < io->out_len) {
        ssize_t n = send(talk->fd, io->out + done, io->out_len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return err_set_errno(err, errno, "the terminator takes no bytes");
        }
        if (n < 0 && !lab_wait_fd(talk->fd, POLLOUT, talk->deadline_ns)) {
            return no_answer("sending", err);
        }
        if (n > 0) {
            recorder_bytes(talk->visit->recorder, true,
                           (struct bytes){ io->out + done, (size_t)n });
            done += (size_t)n;
        }
    }
    io->out_len = 0;
    return 0;
}

/* Waits for bytes, or the end, of the server. */
static int talk_fill(struct talk *talk, struct err *err) {
    struct visitor *visitor = talk->visitor;
    for (;;) {
        ssize_t n = recv(talk->fd, visitor->in, sizeof(visitor->in), 0);
        if (n >= 0) {
            visitor->tls.io.in = (struct bytes){ visitor->in, (size_t)n };
            talk->ended = n == 0;
            if (n == 0) {
                recorder_end(talk->visit->recorder, false);
            } else {
                recorder_bytes(talk->visit->recorder, false, visitor->tls.io.in);
            }
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return err_set_errno(err, errno, "the terminator's bytes broke off");
        }
        if (!lab_wait_fd(talk->fd, POLLIN, talk->deadline_ns)) {
            return no_answer("an answer", err);
        }
    }
}

/* --- a visit, step by step --- */

static int talk_handshake(struct talk *talk, struct err *err) {
    for (;;) {
        enum tls_status status = tls_client_handshake(&talk->conn);
        if (status == TLS_FAILED) {
            return err_set(err, "the handshake failed: %s", talk->conn.error);
        }
        if (talk_flush(talk, err) != 0) {
            return -1;
        }
        if (status == TLS_DONE) {
            return 0;
        }
        if (talk->ended) {
            return err_set(err, "the terminator ended the connection in its handshake");
        }
        if (talk_fill(talk, err) != 0) {
            return -1;
        }
    }
}

static int talk_request(struct talk *talk, struct err *err) {
    const char *text = talk->visit->renegotiate ? request_keep : request;
    struct bytes data = { (const uint8_t *)text, strlen(text) };
    if (tls_client_write(&talk->conn, data) != TLS_DONE) {
        return err_set(err, "the request failed: %s", talk->conn.error);
    }
    return talk_flush(talk, err);
}

/* Reads until the library says something else than data, or until `until_data` has come.
 * Fills `last` with what it said. */
static int talk_read(struct talk *talk, bool until_data, enum tls_status *last, struct err *err) {
    uint8_t data[4096];
    size_t len = 0;
    for (;;) {
        *last = tls_client_read(&talk->conn, data, sizeof(data), &len);
        bool more = *last == TLS_AGAIN || (*last == TLS_DONE && !until_data);
        if (!more) {
            return 0;
        }
        if (*last == TLS_AGAIN) {
            if (talk->ended) {
                return err_set(err, "the terminator ended the connection without a word");
            }
            if (talk_fill(talk, err) != 0) {
                return -1;
            }
        }
    }
}

static int talk_renegotiate(struct talk *talk, struct err *err) {
    enum tls_status status;
    if (talk_read(talk, true, &status, err) != 0) {
        return -1;
    }
    if (status != TLS_DONE) {
        return err_set(err, "no answer came before the renegotiation");
    }
    if (tls_lab_renegotiate(&talk->conn, &talk->visitor->tls, talk->visit->renegotiation, err) !=
            0 ||
        talk_flush(talk, err) != 0 || talk_read(talk, false, &status, err) != 0) {
        return -1;
    }
    if (status != TLS_FAILED || talk->conn.fault != TLS_FAULT_ALERT ||
        talk->conn.alert != ALERT_NO_RENEGOTIATION) {
        return err_set(err, "the renegotiation was not refused with no_renegotiation");
    }
    return 0;
}

static int talk_answer(struct talk *talk, struct err *err) {
    enum tls_status status;
    if (talk_read(talk, false, &status, err) != 0) {
        return -1;
    }
    if (status != TLS_EOF) {
        return err_set(err, "the answer broke off: %s", talk->conn.error);
    }
    tls_client_close_notify(&talk->conn);
    return talk_flush(talk, err);
}

/* Both ends close, as they come to it. */
static int talk_close(struct talk *talk, struct err *err) {
    shutdown(talk->fd, SHUT_WR);
    recorder_end(talk->visit->recorder, true);
    while (!talk->ended) {
        if (talk_fill(talk, err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int talk_all(struct talk *talk, struct sockaddr_in *client, struct err *err) {
    struct visitor *visitor = talk->visitor;
    const struct visit *visit = talk->visit;
    if (talk_connect(talk, client, err) != 0) {
        return -1;
    }
    if (tls_client_start(&talk->conn, &visitor->tls, visitor->ctx, visit->name, visit->offer) !=
        0) {
        return err_set(err, "no memory for a connection");
    }
    if (talk_handshake(talk, err) != 0 || talk_request(talk, err) != 0) {
        return -1;
    }
    int rc = visit->renegotiate ? talk_renegotiate(talk, err) : talk_answer(talk, err);
    return rc == 0 ? talk_close(talk, err) : -1;
}

int visitor_visit(struct visitor *visitor, const struct visit *visit, struct sockaddr_in *client,
                  struct err *err) {
    struct talk talk = { .conn.on_session = on_session,
                         .visitor = visitor,
                         .visit = visit,
                         .fd = -1,
                         .deadline_ns = lab_deadline(VISIT_S) };
    memset(client, 0, sizeof(*client));
    visitor->tls.io.in = (struct bytes){ 0 };
    visitor->tls.io.out_len = 0;
    int rc = talk_all(&talk, client, err);
    tls_client_end(&talk.conn);
    if (talk.fd >= 0) {
        close(talk.fd);
    }
    return rc == 0 ? recorder_finish(visit->recorder, client, err) : -1;
}
