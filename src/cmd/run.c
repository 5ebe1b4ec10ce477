/* run.c: `reprise run`: puts the service together and runs it. Without a file:
 * the built-in configuration, for a first try. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/control.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/serve.h"
#include "config/config.h"
#include "keeper/keeper.h"
#include "proxy/master.h"
#include "proxy/takeover.h"
#include "proxy/upgrade.h"
#include "tls/selfsigned.h"

#define PATH_TEXT_MAX 4096

/* What the callbacks of the master need. */
struct run {
    const char *file; /* null: the built-in configuration */
    struct control *control;
    struct takeover *takeover; /* borrowed, until the master is the service; null: a plain start */
    char program[PATH_TEXT_MAX];
    char **again; /* owned: path and arguments to start the program anew with */
};

static const char built_in[] = "client-ssl-profiles:\n"
                               "  - name: demonstration\n"
                               "    default: on\n"
                               "    certificates:\n"
                               "      - chain: %s\n"
                               "        key: %s\n"
                               "    alpn: [http/1.1]\n"
                               "    session-cache: on\n"
                               "    session-tickets: on\n"
                               "pools:\n"
                               "  - name: demonstration\n"
                               "    demonstration: on\n"
                               "virtual-servers:\n"
                               "  - name: demonstration\n"
                               "    listen: [\"127.0.0.1:8443\"]\n"
                               "    profiles: [demonstration]\n"
                               "    pool: demonstration\n";

/* Where this user's programs keep what they make themselves. */
static int state_folder(char *out, size_t cap, struct err *err) {
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n;
    if (state && state[0] == '/') {
        n = snprintf(out, cap, "%s/reprise", state);
    } else if (home && home[0] == '/') {
        n = snprintf(out, cap, "%s/.local/state/reprise", home);
    } else {
        n = snprintf(out, cap, "/var/lib/reprise");
    }
    return n > 0 && (size_t)n < cap ? 0 : err_set(err, "the state folder's path is too long");
}

static int make_folders(const char *path, struct err *err) {
    char part[PATH_TEXT_MAX];
    for (const char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return err_set_errno(err, errno, "cannot make the folder '%s'", part);
        }
        if (*at == '\0') {
            return 0;
        }
    }
}

static struct config *load_built_in(struct err *err) {
    char folder[PATH_TEXT_MAX - 32];
    char chain[PATH_TEXT_MAX];
    char key[PATH_TEXT_MAX];
    char text[sizeof(built_in) + 2 * PATH_TEXT_MAX];
    if (state_folder(folder, sizeof(folder), err) != 0 || make_folders(folder, err) != 0) {
        return NULL;
    }
    snprintf(chain, sizeof(chain), "%s/demonstration.pem", folder);
    snprintf(key, sizeof(key), "%s/demonstration.key", folder);
    if (!selfsigned_is_fresh(chain, key) && selfsigned_make(chain, key, err) != 0) {
        return NULL;
    }
    int n = snprintf(text, sizeof(text), built_in, chain, key);
    return config_parse("built-in", text, (size_t)n, err);
}

static struct config *run_load(void *arg, struct err *err) {
    const struct run *run = arg;
    return run->file ? config_load(run->file, err) : load_built_in(err);
}

static int run_keeper(struct keyring *keyring, const struct keyring_lives *lives,
                      struct statefile *state, const struct cache_term *caches,
                      size_t cache_count) {
    return keeper_run(&(struct keeper_start){ keyring, *lives, state, caches, cache_count });
}

static void run_in_child(void *arg) {
    const struct run *run = arg;
    control_close_in_child(run->control);
}

static const char *run_control(void *arg, int *fd) {
    const struct run *run = arg;
    return run->control ? control_path(run->control, fd) : NULL;
}

static void run_control_gone(void *arg) {
    const struct run *run = arg;
    if (run->control) {
        control_release(run->control);
    }
}

static void print_welcome(void) {
    printf(
        "\n"
        "Reprise is listening on 127.0.0.1:8443, with both kinds of resumption on.\n"
        "In another terminal, try:\n\n"
        "  1. Stateless: the client keeps an encrypted ticket. Two connections by one client;\n"
        "     the second answer should say `handshake resumed` and `resumed by psk`:\n\n"
        "       curl -sk -H 'Connection: close' https://127.0.0.1:8443/ https://127.0.0.1:8443/\n\n"
        "  2. Stateful: the proxy keeps the session, the client sends its session ID. The second\n"
        "     answer should say `resumed by session-id`, with the session ID of the first:\n\n"
        "       for s in out in; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet "
        "\\\n"
        "         -connect 127.0.0.1:8443 -tls1_2 -no_ticket -sess_$s /tmp/reprise-session "
        "2>/dev/null; done\n\n"
        "Each connection is also told below, one line each, when it ends. ^C ends.\n\n");
    fflush(stdout);
}

static int run_options(int argc, char **argv, struct run *run) {
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { NULL, 0, NULL, 0 },
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (c != 'c') {
            return cmd_wrong_option("run");
        }
        run->file = optarg;
    }
    return optind == argc ? CMD_OK : cmd_wrong_usage("run", "unexpected '%s'", argv[optind]);
}

/* What an upgrade starts: the path that this program came from, and its arguments. */
static int note_program(struct run *run, int argc, char **argv, struct err *err) {
    static char command[] = "run";
    run->again = calloc((size_t)argc + 2, sizeof(*run->again));
    if (!run->again) {
        return err_set(err, "no memory for the program's arguments");
    }
    run->again[0] = run->program;
    run->again[1] = command;
    memcpy(run->again + 2, argv + 1, ((size_t)argc - 1) * sizeof(*argv));
    return upgrade_find_program(run->program, sizeof(run->program), err);
}

/* The usual place is one that a first try can do without: another instance may
 * be there. */
static int open_control(struct run *run, struct master *master, struct err *err) {
    const char *path = master_config(master)->control_socket;
    char usual[PATH_TEXT_MAX];
    if (!path) {
        return 0;
    }
    int fd = run->takeover ? takeover_control(run->takeover, path) : -1;
    run->control = fd >= 0
                       ? control_adopt(fd, path, master_loop(master), serve_command, master, err)
                       : control_open(path, master_loop(master), serve_command, master, err);
    if (!run->control && config_default_control_socket(usual, sizeof(usual)) == 0 &&
        strcmp(path, usual) == 0) {
        log_event(LOG_WARNING, "control", "no control socket: %s", err->text);
        err_clear(err);
        return 0;
    }
    return run->control ? 0 : -1;
}

/* A start that failed; in an upgrade the old service may have been told instead. */
static int run_failed(const struct err *err) {
    if (err->set) {
        fprintf(stderr, "reprise: %s\n", err->text);
    }
    return CMD_FAILED;
}

/* All is there: opens the control socket and, in an upgrade, becomes the service. */
static void run_ready(struct run *run, struct master *master, struct err *err) {
    bool upgrade = run->takeover != NULL;
    int rc = open_control(run, master, err);
    if (rc != 0 && upgrade) {
        takeover_refuse(run->takeover, err->text);
    }
    rc = rc == 0 ? master_take_over(master, err) : rc;
    run->takeover = NULL;
    if (rc != 0) {
        log_event(LOG_ERROR, "control", "%s", err->text);
        if (upgrade) {
            run_control_gone(run); /* its file is the old service's */
        }
        kill(getpid(), SIGTERM); /* blocked: the loop takes it and ends all in order */
    } else if (!run->file && !upgrade) {
        print_welcome();
    }
}

int cmd_run(int argc, char **argv) {
    static struct run run; /* reachable for as long as the process runs */
    struct err err = { 0 };
    int usage = run_options(argc, argv, &run);
    if (usage != CMD_OK) {
        return usage;
    }
    if (takeover_begin(&run.takeover, &err) != 0 || note_program(&run, argc, argv, &err) != 0) {
        return run_failed(&err);
    }
    const struct master_options options = { .load = run_load,
                                            .keeper = run_keeper,
                                            .in_child = run_in_child,
                                            .control = run_control,
                                            .control_gone = run_control_gone,
                                            .arg = &run,
                                            .program = run.again,
                                            .takeover = run.takeover };
    struct master *master = master_start(&options, &err);
    if (!master) {
        return run_failed(&err);
    }
    run_ready(&run, master, &err);
    int rc = master_run(master);
    control_close(run.control);
    free(run.again);
    return rc == 0 && !err.set ? CMD_OK : CMD_FAILED;
}
