/* control.c: see control.h. One request a connection; a request and its answer
 * are small, and the peer is the operator: the master serves it at once, with a
 * short time-out, so that a stuck peer can't hold it for long. */
#include "admin/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define CONTROL_LINE_MAX 1024
#define CONTROL_TIMEOUT_MS 500

struct control {
    struct loop_io io; /* first */
    char *path;        /* owned */
    int client;        /* the connection being served, which a child must not keep open; -1: none */
    control_handler *handler;
    void *arg;
};

/* Reads up to the first newline or the end. */
static int read_line(int fd, char *line, size_t cap) {
    size_t len = 0;
    uint64_t end_ns = clock_mono_ns() + CONTROL_TIMEOUT_MS * NS_PER_MS;
    while (len < cap - 1 && clock_mono_ns() < end_ns) {
        ssize_t n = recv(fd, line + len, cap - 1 - len, 0);
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
        if (memchr(line, '\n', len)) {
            break;
        }
    }
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return 0;
}

static bool peer_may(int fd) {
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* Cuts the line into words, in place. */
static int parse_request(char *line, struct control_request *request, struct err *err) {
    char *rest = line;
    const char *form = strsep(&rest, " ");
    *request = (struct control_request){ .json = strcmp(form, "json") == 0 };
    if (!request->json && strcmp(form, "text") != 0) {
        return err_set(err, "a request begins with 'text' or 'json'");
    }
    while (rest) {
        if (request->count == CONTROL_WORDS_MAX - 1) {
            return err_set(err, "more than %d words", CONTROL_WORDS_MAX - 1);
        }
        request->words[request->count++] = strsep(&rest, " ");
    }
    return request->count > 0 ? 0 : err_set(err, "no command");
}

static void serve(const struct control *control, int fd) {
    char line[CONTROL_LINE_MAX];
    char *answer = NULL;
    size_t answer_len = 0;
    struct err err = { 0 };
    struct control_request request;
    if (!peer_may(fd) || read_line(fd, line, sizeof(line)) != 0) {
        return;
    }
    FILE *out = open_memstream(&answer, &answer_len);
    if (!out) {
        return;
    }
    fputs("ok\n", out);
    int rc = parse_request(line, &request, &err);
    rc = rc == 0 ? control->handler(control->arg, &request, out, &err) : rc;
    if (rc != 0) {
        rewind(out);
        fprintf(out, "error: %s\n", err.text);
    }
    if (fclose(out) == 0) {
        size_t len = rc == 0 ? answer_len : strcspn(answer, "\n") + 1;
        for (size_t at = 0; at < len;) {
            ssize_t n = send(fd, answer + at, len - at, MSG_NOSIGNAL);
            if (n <= 0) {
                break;
            }
            at += (size_t)n;
        }
    }
    free(answer);
}

static void control_on_event(struct loop_io *io, uint32_t events) {
    struct control *control = (struct control *)io;
    const struct timeval timeout = { .tv_usec = CONTROL_TIMEOUT_MS * 1000 };
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    control->client = fd;
    serve(control, fd);
    control->client = -1;
    close(fd);
}

/* Makes the path's folder, for our user alone, when it is not there. */
static int make_folder(const char *path, struct err *err) {
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) {
        return 0;
    }
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    return mkdir(folder, 0700) == 0 || errno == EEXIST
               ? 0
               : err_set_errno(err, errno, "cannot make the folder '%s' for the control socket",
                               folder);
}

/* True when somebody listens on the address. */
static bool is_alive(const struct sockaddr_un *addr) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return alive;
}

static int control_bind(int fd, const struct sockaddr_un *addr, struct err *err) {
    struct stat st;
    if (lstat(addr->sun_path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) {
            return err_set(err, "control socket '%s': there is a file that is no socket",
                           addr->sun_path);
        }
        if (is_alive(addr)) {
            return err_set(err, "control socket '%s': another instance listens there",
                           addr->sun_path);
        }
        unlink(addr->sun_path);
    }
    mode_t before = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)addr, sizeof(*addr));
    int why = errno;
    umask(before);
    if (rc != 0 || listen(fd, 16) != 0) {
        return err_set_errno(err, rc != 0 ? why : errno, "control socket '%s' cannot be opened",
                             addr->sun_path);
    }
    return 0;
}

struct control *control_adopt(int fd, const char *path, struct loop *loop, control_handler *handler,
                              void *arg, struct err *err) {
    struct control *control = calloc(1, sizeof(*control));
    char *copy = strdup(path);
    if (!control || !copy) {
        err_set(err, "no memory for the control socket");
        goto fail;
    }
    *control = (struct control){ .io = { .fd = fd, .on_event = control_on_event },
                                 .path = copy,
                                 .client = -1,
                                 .handler = handler,
                                 .arg = arg };
    if (loop_add(loop, &control->io, EPOLLIN, true) != 0) {
        err_set_errno(err, errno, "cannot watch the control socket");
        goto fail;
    }
    return control;
fail:
    close(fd);
    free(copy);
    free(control);
    return NULL;
}

struct control *control_open(const char *path, struct loop *loop, control_handler *handler,
                             void *arg, struct err *err) {
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(addr.sun_path)) {
        err_set(err, "control socket '%s': path is longer than %zu bytes", path,
                sizeof(addr.sun_path) - 1);
        return NULL;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set_errno(err, errno, "cannot create the control socket");
        return NULL;
    }
    if (make_folder(path, err) != 0 || control_bind(fd, &addr, err) != 0) {
        close(fd);
        return NULL;
    }
    return control_adopt(fd, path, loop, handler, arg, err);
}

const char *control_path(const struct control *control, int *fd) {
    *fd = control->io.fd;
    return control->path;
}

void control_release(struct control *control) {
    close(control->io.fd);
    control->io.fd = -1;
}

void control_close(struct control *control) {
    if (!control) {
        return;
    }
    if (control->io.fd >= 0) {
        unlink(control->path);
        close(control->io.fd);
    }
    free(control->path);
    free(control);
}

void control_close_in_child(struct control *control) {
    if (control) {
        if (control->io.fd >= 0) {
            close(control->io.fd);
        }
        if (control->client >= 0) {
            close(control->client);
        }
    }
}
