/* ctl.c: `reprise ctl`: one command to a running service, over its control socket.
 *
 * A line goes out, `text` or `json` and the command's words; what comes back begins with a
 * line `ok`, `ok TEXT` or `error: TEXT`, and the rest, to the end, is the answer.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "config/config.h"

#define LINE_MAX_BYTES 1024u   /* of a request: what the service reads */
#define ANSWER_MAX (16u << 20) /* bytes */
#define ANSWER_CHUNK 4096u     /* bytes */
#define ANSWER_TIMEOUT_S 60    /* a reload reads files and starts workers */

struct answer {
    char *text; /* owned */
    size_t len;
    size_t cap;
};

static int ctl_connect(const char *path, struct err *err) {
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    size_t len = strlen(path);
    if (len >= sizeof(addr.sun_path)) {
        return err_set(err, "%s: too long for a socket's path", path);
    }
    memcpy(addr.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_set_errno(err, errno, "cannot make a socket");
    }
    struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int why = errno;
        close(fd);
        if (why == ENOENT || why == ECONNREFUSED) {
            return err_set(err, "no service listens on %s", path);
        }
        return err_set_errno(err, why, "cannot connect to %s", path);
    }
    return fd;
}

static int ctl_send(int fd, const char *line, struct err *err) {
    size_t len = strlen(line);
    while (len > 0) {
        ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);
        if (sent < 0) {
            return err_set_errno(err, errno, "the service did not take the command");
        }
        line += sent;
        len -= (size_t)sent;
    }
    if (shutdown(fd, SHUT_WR) != 0) {
        return err_set_errno(err, errno, "the service did not take the command");
    }
    return 0;
}

static int answer_grow(struct answer *answer, struct err *err) {
    size_t cap = answer->cap + ANSWER_CHUNK + answer->cap / 2;
    if (cap > ANSWER_MAX) {
        err_set(err, "the service answers more than %u bytes", ANSWER_MAX);
        return -1;
    }
    char *text = realloc(answer->text, cap);
    if (!text) {
        err_set(err, "out of memory");
        return -1;
    }
    answer->text = text;
    answer->cap = cap;
    return 0;
}

/* Reads to the end; the text ends with a NUL. */
static int ctl_receive(int fd, struct answer *answer, struct err *err) {
    for (;;) {
        if (answer->cap - answer->len < 2 && answer_grow(answer, err) != 0) {
            return -1;
        }
        ssize_t got = recv(fd, answer->text + answer->len, answer->cap - answer->len - 1, 0);
        if (got == 0) {
            answer->text[answer->len] = '\0';
            return 0;
        }
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return err_set(err, "the service did not answer within %d seconds", ANSWER_TIMEOUT_S);
        }
        if (got < 0) {
            return err_set_errno(err, errno, "the service's answer broke off");
        }
        answer->len += (size_t)got;
    }
}

/* Prints what follows the first line, or else what that line says beside `ok`. */
static int ctl_print(char *text, struct err *err) {
    static const char failed[] = "error: ";
    char *rest = strchr(text, '\n');
    if (rest) {
        *rest++ = '\0';
    }
    if (strncmp(text, failed, sizeof(failed) - 1) == 0) {
        return err_set(err, "%s", text + sizeof(failed) - 1);
    }
    if (strcmp(text, "ok") != 0 && strncmp(text, "ok ", 3) != 0) {
        return err_set(err, "the service ended the connection without an answer");
    }
    if (text[2] == ' ') {
        puts(text + 3);
    }
    if (rest) {
        fputs(rest, stdout);
    }
    return 0;
}

static int ctl_ask(const char *socket_path, const char *line) {
    struct err err = { 0 };
    struct answer answer = { 0 };
    int fd = ctl_connect(socket_path, &err);
    if (fd < 0) {
        fprintf(stderr, "reprise ctl: %s\n", err.text);
        return CMD_FAILED;
    }
    int rc = ctl_send(fd, line, &err);
    rc = rc == 0 ? ctl_receive(fd, &answer, &err) : rc;
    rc = rc == 0 ? ctl_print(answer.text, &err) : rc;
    if (rc != 0) {
        fprintf(stderr, "reprise ctl: %s\n", err.text);
    }
    free(answer.text);
    close(fd);
    return rc == 0 ? CMD_OK : CMD_FAILED;
}

/* What the user asks for, and where. */
struct request {
    const char *socket_path; /* borrowed; null: not told */
    const char *config_file; /* borrowed; null: not told */
    bool json;
};

static int ctl_read_options(int argc, char **argv, struct request *request) {
    static const struct option options[] = {
        { "socket", required_argument, NULL, 's' },
        { "config", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "s:c:j", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            request->socket_path = optarg;
            break;
        case 'c':
            request->config_file = optarg;
            break;
        case 'j':
            request->json = true;
            break;
        default:
            return cmd_wrong_option("ctl");
        }
    }
    return CMD_OK;
}

/* Writes the socket's path, wherever it comes from. */
static int ctl_find_socket(const struct request *request, char *path, size_t cap, struct err *err) {
    if (request->socket_path) {
        snprintf(path, cap, "%s", request->socket_path);
        return strlen(request->socket_path) < cap
                   ? 0
                   : err_set(err, "%s: too long for a socket's path", request->socket_path);
    }
    if (!request->config_file) {
        return config_default_control_socket(path, cap) == 0
                   ? 0
                   : err_set(err, "XDG_RUNTIME_DIR is not set; tell the control socket with -s");
    }
    struct config *config = config_load(request->config_file, err);
    if (!config) {
        return -1;
    }
    int rc = 0;
    if (config->control_socket) {
        snprintf(path, cap, "%s", config->control_socket);
    } else {
        rc = err_set(err, "%s: has no control socket", request->config_file);
    }
    config_free(config);
    return rc;
}

struct ctl_command {
    const char *verb;
    const char *usage;
    unsigned min, max; /* how many words follow the verb */
};

static const struct ctl_command *ctl_find(const char *verb) {
    static const struct ctl_command commands[] = {
#define CTL(id, verb, min, max, usage, text) { verb, usage, min, max },
#include "cmd/ctl.def"
#undef CTL
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].verb, verb) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

/* What stands between a request's words can't be in one. */
static bool is_word(const char *text) {
    for (const char *at = text; *at; at++) {
        if (!isgraph((unsigned char)*at)) {
            return false;
        }
    }
    return *text != '\0';
}

/* Writes the request's line; the service says what it makes of the arguments. */
static int ctl_write_line(int argc, char **argv, bool json, char *line, size_t cap) {
    const struct ctl_command *command = argc > 0 ? ctl_find(argv[0]) : NULL;
    if (argc == 0) {
        return cmd_wrong_usage("ctl", "expected a command");
    }
    if (!command) {
        return cmd_wrong_usage("ctl", "there is no command '%s'", argv[0]);
    }
    if ((unsigned)argc - 1 < command->min || (unsigned)argc - 1 > command->max) {
        return cmd_wrong_usage("ctl", "expected '%s'", command->usage);
    }
    size_t len = (size_t)snprintf(line, cap, "%s", json ? "json" : "text");
    for (int i = 0; i < argc; i++) {
        if (!is_word(argv[i]) || len + strlen(argv[i]) + 2 >= cap) {
            return cmd_wrong_usage("ctl", "'%s' can't be a word of a command", argv[i]);
        }
        len += (size_t)snprintf(line + len, cap - len, " %s", argv[i]);
    }
    snprintf(line + len, cap - len, "\n");
    return CMD_OK;
}

int cmd_ctl(int argc, char **argv) {
    struct request request = { 0 };
    char line[LINE_MAX_BYTES];
    int usage = ctl_read_options(argc, argv, &request);
    if (usage == CMD_OK) {
        usage = ctl_write_line(argc - optind, argv + optind, request.json, line, sizeof(line));
    }
    if (usage != CMD_OK) {
        return usage;
    }
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct err err = { 0 };
    if (ctl_find_socket(&request, path, sizeof(path), &err) != 0) {
        fprintf(stderr, "reprise ctl: %s\n", err.text);
        return CMD_FAILED;
    }
    return ctl_ask(path, line);
}
