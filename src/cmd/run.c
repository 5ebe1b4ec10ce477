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
#include "tls/selfsigned.h"

#define PATH_TEXT_MAX 4096

/* What the callbacks of the master need. */
struct run {
    const char *file; /* null: the built-in configuration */
    struct control *control;
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

/* The usual place is one that a first try can do without: another instance may
 * be there. */
static int open_control(struct run *run, struct master *master, struct err *err) {
    const char *path = master_config(master)->control_socket;
    char usual[PATH_TEXT_MAX];
    if (!path) {
        return 0;
    }
    run->control = control_open(path, master_loop(master), serve_command, master, err);
    if (!run->control && config_default_control_socket(usual, sizeof(usual)) == 0 &&
        strcmp(path, usual) == 0) {
        log_event(LOG_WARNING, "control", "no control socket: %s", err->text);
        err_clear(err);
        return 0;
    }
    return run->control ? 0 : -1;
}

int cmd_run(int argc, char **argv) {
    static struct run run; /* reachable for as long as the process runs */
    struct err err = { 0 };
    int usage = run_options(argc, argv, &run);
    if (usage != CMD_OK) {
        return usage;
    }
    const struct master_options options = {
        .load = run_load, .keeper = run_keeper, .in_child = run_in_child, .arg = &run
    };
    struct master *master = master_start(&options, &err);
    if (!master) {
        fprintf(stderr, "reprise: %s\n", err.text);
        return CMD_FAILED;
    }
    if (open_control(&run, master, &err) != 0) {
        log_event(LOG_ERROR, "control", "%s", err.text);
        kill(getpid(), SIGTERM); /* blocked: the loop takes it and ends all in order */
    }
    if (!run.file) {
        print_welcome();
    }
    int rc = master_run(master);
    control_close(run.control);
    return rc == 0 && !err.set ? CMD_OK : CMD_FAILED;
}
