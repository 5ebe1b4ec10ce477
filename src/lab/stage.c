/* stage.c: see stage.h. */
#include "lab/stage.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "lab/check.h"
#include "lab/wait.h"
#include "net/address.h"
#include "tls/selfsigned.h"

#define START_S 20 /* for a terminator to serve */
#define STOP_S 10  /* for a child to end when it is asked to */
#define CTL_S 20   /* */
#define LINE_S 10  /* for a line of the log */
#define NAP_MS 5
#define CONFIG_MAX 4096
#define WORDS_MAX 8

static const char program[] = "/proc/self/exe";

void stage_path(const struct stage *stage, const char *name, char out[static STAGE_PATH_MAX]) {
    snprintf(out, STAGE_PATH_MAX, "%.*s/%s", STAGE_PATH_MAX / 2, stage->folder, name);
}

/* --- children --- */

/* What a child is started with. Descriptors are borrowed. */
struct start {
    enum lab_place place;
    int in, out, error; /* -1: /dev/null */
};

/* In the child: becomes the program, or ends. */
static _Noreturn void child_become(const struct stage *stage, const struct start *start,
                                   char *const argv[], pid_t parent) {
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent ||
        lab_net_enter(&stage->net, start->place) != 0 ||
        dup2(start->in >= 0 ? start->in : null, STDIN_FILENO) < 0 ||
        dup2(start->out >= 0 ? start->out : null, STDOUT_FILENO) < 0 ||
        dup2(start->error >= 0 ? start->error : null, STDERR_FILENO) < 0) {
        _exit(127);
    }
    execv(program, argv);
    _exit(127);
}

static pid_t child_start(const struct stage *stage, const struct start *start, char *const argv[],
                         struct err *err) {
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        child_become(stage, start, argv, parent);
    }
    if (pid < 0) {
        err_set_errno(err, errno, "cannot start '%s'", argv[1]);
    }
    return pid;
}

/* Waits for the child's end until the deadline, an interruption or not. */
static bool child_is_gone(pid_t pid, uint64_t deadline_ns, int *status) {
    const struct timespec nap = { .tv_nsec = NAP_MS * (long)NS_PER_MS };
    do {
        if (waitpid(pid, status, WNOHANG) != 0) {
            return true;
        }
        nanosleep(&nap, NULL);
    } while (clock_mono_ns() < deadline_ns);
    return false;
}

static void child_end(pid_t *pid) {
    int status;
    if (*pid <= 0) {
        return;
    }
    kill(*pid, SIGTERM);
    if (!child_is_gone(*pid, lab_deadline(STOP_S), &status)) {
        kill(-*pid, SIGKILL); /* its group is its own: child_become */
        waitpid(*pid, &status, 0);
    }
    *pid = 0;
}

/* --- the stage --- */

/* A listening socket on a free port of the backend's address. */
static int backend_listen(struct stage *stage, struct err *err) {
    socklen_t len = sizeof(stage->backend_address);
    struct sockaddr_in *address = &stage->backend_address;
    *address = (struct sockaddr_in){ .sin_family = AF_INET };
    inet_pton(AF_INET, stage->net.backend, &address->sin_addr);
    int fd = -1;
    if (lab_net_enter(&stage->net, LAB_BACKEND) == 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0) {
        err_set_errno(err, errno, "cannot open the backend's socket");
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    }
    if (lab_net_enter(&stage->net, LAB_CLIENT) != 0) {
        err_set_errno(err, errno, "cannot go back to the client's namespace");
    }
    return fd;
}

static int backend_start(struct stage *stage, struct err *err) {
    char name[] = "reprise";
    char command[] = "demonstration";
    char *argv[] = { name, command, NULL };
    int fd = backend_listen(stage, err);
    if (fd < 0) {
        return -1;
    }
    const struct start start = { .place = LAB_BACKEND, .in = fd, .out = -1, .error = -1 };
    stage->backend = child_start(stage, &start, argv, err);
    close(fd);
    return stage->backend > 0 ? 0 : -1;
}

int stage_open(struct stage *stage, enum lab_topology topology, struct err *err) {
    char chain[STAGE_PATH_MAX];
    char key[STAGE_PATH_MAX];
    const char *temporary = getenv("TMPDIR");
    memset(stage, 0, sizeof(*stage));
    if (lab_net_open(&stage->net, topology, err) != 0) {
        return -1;
    }
    snprintf(stage->folder, STAGE_PATH_MAX / 2, "%s/reprise-lab-XXXXXX",
             temporary && temporary[0] ? temporary : "/tmp");
    if (!mkdtemp(stage->folder)) {
        int why = errno;
        stage->folder[0] = '\0';
        return err_set_errno(err, why, "cannot make a temporary folder");
    }
    stage_path(stage, "lab.pem", chain);
    stage_path(stage, "lab.key", key);
    return selfsigned_make(chain, key, err) == 0 ? backend_start(stage, err) : -1;
}

/* Removes the folder's files, which lie flat in it, and the folder. */
static void folder_remove(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    rmdir(folder);
}

void stage_close(struct stage *stage) {
    stage_stop(stage);
    child_end(&stage->backend);
    if (stage->folder[0]) {
        folder_remove(stage->folder);
    }
    stage->folder[0] = '\0';
    lab_net_close(&stage->net);
}

/* --- the terminator --- */

static const char *on_off(bool on) {
    return on ? "on" : "off";
}

static void write_times(const struct lab_scene *scene, FILE *out) {
    if (scene->key_life_s > 0) {
        fprintf(out, "ticket-keys:\n  encrypt-for: %us\n  decrypt-for: %us\n", scene->key_life_s,
                scene->key_life_s);
    }
}

static int write_config(const struct stage *stage, const struct lab_scene *scene, const char *path,
                        struct err *err) {
    char backend[ADDRESS_TEXT_MAX];
    FILE *out = fopen(path, "we");
    if (!out) {
        return err_set_errno(err, errno, "cannot write '%s'", path);
    }
    address_text((const struct sockaddr *)&stage->backend_address, backend);
    fprintf(out,
            "workers: %d\n"
            "control-socket: \"%s/control.sock\"\n"
            "drain-timeout: 1s\n"
            "log:\n  rate: 0\n",
            STAGE_WORKERS, stage->folder);
    write_times(scene, out);
    fprintf(out,
            "client-ssl-profiles:\n"
            "  - name: " LAB_PROFILE "\n"
            "    default: on\n"
            "    server-names: [" LAB_NAME ", " LAB_OTHER_NAME "]\n"
            "    certificates:\n      - chain: lab.pem\n        key: lab.key\n"
            "    session-cache: %s\n"
            "    session-tickets: %s\n",
            on_off(scene->cache), on_off(scene->tickets));
    if (scene->ticket_timeout_s > 0) {
        fprintf(out, "    ticket-timeout: %us\n", scene->ticket_timeout_s);
    }
    fprintf(out,
            "pools:\n"
            "  - name: backend\n    members: [\"%s\"]\n    proxy-protocol: v2\n"
            "virtual-servers:\n"
            "  - name: lab\n    listen: [\"%s:%u\", \"%s:0\"]\n"
            "    profiles: [" LAB_PROFILE "]\n    pool: backend\n",
            backend, stage->net.terminator, stage->net.port, stage->net.terminator);
    bool bad = ferror(out) != 0;
    return fclose(out) == 0 && !bad ? 0 : err_set(err, "cannot write '%s'", path);
}

/* The next whole line of the log, if there is one. */
static bool log_next(struct stage *stage, char line[static STAGE_LINE_MAX]) {
    long at = ftell(stage->log);
    if (fgets(line, STAGE_LINE_MAX, stage->log) && strchr(line, '\n')) {
        line[strcspn(line, "\n")] = '\0';
        return true;
    }
    clearerr(stage->log);
    fseek(stage->log, at, SEEK_SET);
    return false;
}

/* Waits for a line of this event, of which `name` is `value` where they are told. What else
 * comes is passed over. */
static int log_wait(struct stage *stage, const char *event, const char *name, const char *value,
                    char line[static STAGE_LINE_MAX]) {
    char text[128];
    uint64_t deadline_ns = lab_deadline(strcmp(event, "connection") == 0 ? LINE_S : START_S);
    do {
        while (log_next(stage, line)) {
            if (strcmp(lab_log_field(line, "event", text, sizeof(text)), event) == 0 &&
                (!name || strcmp(lab_log_field(line, name, text, sizeof(text)), value) == 0)) {
                return 0;
            }
        }
        int status;
        if (stage->terminator <= 0 || waitpid(stage->terminator, &status, WNOHANG) != 0) {
            stage->terminator = 0;
            return -1;
        }
    } while (lab_nap(NAP_MS, deadline_ns));
    return -1;
}

static int read_address(struct stage *stage, struct sockaddr_in *out,
                        char line[static STAGE_LINE_MAX]) {
    char text[64];
    if (log_wait(stage, "listen", NULL, NULL, line) != 0) {
        return -1;
    }
    lab_log_field(line, "address", text, sizeof(text));
    char *colon = strrchr(text, ':');
    if (!colon) {
        return -1;
    }
    *colon = '\0';
    *out = (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
    return inet_pton(AF_INET, text, &out->sin_addr) == 1 ? 0 : -1;
}

/* The processes that have the sockets of connections: the master's children but the keeper,
 * which it starts last. */
static void find_workers(struct stage *stage) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)stage->terminator,
             (int)stage->terminator);
    FILE *file = fopen(path, "re");
    memset(stage->workers, 0, sizeof(stage->workers));
    for (unsigned i = 0; file && i < STAGE_WORKERS; i++) {
        int pid = 0;
        if (fscanf(file, "%d", &pid) == 1) { /* NOLINT(cert-err34-c): the kernel's numbers */
            stage->workers[i] = pid;
        }
    }
    if (file) {
        fclose(file);
    }
}

/* What it said last, where it did not start. */
static int start_failed(struct stage *stage, const char *line, struct err *err) {
    return lab_interrupted() ? err_set(err, "interrupted")
           : stage->terminator > 0
               ? err_set(err, "the terminator does not serve after %d s", START_S)
               : err_set(err, "the terminator did not start: %s", line);
}

int stage_start(struct stage *stage, const struct lab_scene *scene, struct err *err) {
    char config[STAGE_PATH_MAX];
    char log[STAGE_PATH_MAX];
    char line[STAGE_LINE_MAX] = "";
    char name[] = "reprise";
    char command[] = "run";
    char option[] = "-c";
    char *argv[] = { name, command, option, config, NULL };
    stage_path(stage, "lab.yaml", config);
    stage_path(stage, "lab.log", log);
    if (write_config(stage, scene, config, err) != 0) {
        return -1;
    }
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    stage->log = fd >= 0 ? fopen(log, "re") : NULL;
    if (!stage->log) {
        err_set_errno(err, errno, "cannot write '%s'", log);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    const struct start start = { .place = LAB_TERMINATOR, .in = -1, .out = -1, .error = fd };
    stage->terminator = child_start(stage, &start, argv, err);
    close(fd);
    if (stage->terminator <= 0) {
        return -1;
    }
    if (read_address(stage, &stage->recorded, line) != 0 ||
        read_address(stage, &stage->measured, line) != 0 ||
        log_wait(stage, "ready", NULL, NULL, line) != 0) {
        return start_failed(stage, line, err);
    }
    find_workers(stage);
    return 0;
}

void stage_stop(struct stage *stage) {
    child_end(&stage->terminator);
    if (stage->log) {
        fclose(stage->log);
        stage->log = NULL;
    }
}

/* A port may have been another connection's, to the address that is measured. */
int stage_line(struct stage *stage, const struct sockaddr_in *client,
               char line[static STAGE_LINE_MAX], struct err *err) {
    char address[ADDRESS_TEXT_MAX];
    char local[ADDRESS_TEXT_MAX];
    char found[ADDRESS_TEXT_MAX];
    address_text((const struct sockaddr *)client, address);
    address_text((const struct sockaddr *)&stage->recorded, local);
    while (log_wait(stage, "connection", "client", address, line) == 0) {
        if (strcmp(lab_log_field(line, "local", found, sizeof(found)), local) == 0) {
            return 0;
        }
    }
    return err_set(err,
                   lab_interrupted() ? "interrupted" : "the log has no line of the connection");
}

uint64_t stage_cpu_ns(const struct stage *stage) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < STAGE_WORKERS; i++) {
        clockid_t clock;
        struct timespec time;
        if (stage->workers[i] > 0 && clock_getcpuclockid(stage->workers[i], &clock) == 0 &&
            clock_gettime(clock, &time) == 0) {
            sum += (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
        }
    }
    return sum;
}

/* --- control --- */

/* Reads to the end of what a child prints. */
static void read_all(int fd, char *out, size_t cap, uint64_t deadline_ns) {
    size_t len = 0;
    while (len + 1 < cap && lab_wait_fd(fd, POLLIN, deadline_ns)) {
        ssize_t n = read(fd, out + len, cap - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    out[len] = '\0';
}

int stage_ctl(struct stage *stage, const char *words, char *out, size_t cap, struct err *err) {
    char copy[128];
    char socket_path[STAGE_PATH_MAX];
    char name[] = "reprise";
    char command[] = "ctl";
    char option[] = "-s";
    char *argv[WORDS_MAX + 5] = { name, command, option, socket_path };
    char *rest = copy;
    int pipes[2];
    int status = 0;
    snprintf(copy, sizeof(copy), "%s", words);
    for (unsigned i = 0; i < WORDS_MAX && rest; i++) {
        argv[4 + i] = strsep(&rest, " ");
    }
    stage_path(stage, "control.sock", socket_path);
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return err_set_errno(err, errno, "cannot make a pipe");
    }
    const struct start start = { LAB_TERMINATOR, -1, pipes[1], pipes[1] };
    pid_t pid = child_start(stage, &start, argv, err);
    close(pipes[1]);
    uint64_t deadline_ns = lab_deadline(CTL_S);
    if (pid > 0) {
        read_all(pipes[0], out, cap, deadline_ns);
    }
    close(pipes[0]);
    if (pid <= 0) {
        return -1;
    }
    if (!child_is_gone(pid, deadline_ns, &status)) {
        child_end(&pid);
        return err_set(err, "`reprise ctl %s` did not end", words);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : err_set(err, "`reprise ctl %s` failed: %s", words, out);
}
