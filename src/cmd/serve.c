/* serve.c: see serve.h. One function a command, under the name that ctl.def gives it. */
#include "cmd/serve.h"

#include <string.h>
#include <time.h>

#include "admin/keys.h"
#include "base/clock.h"
#include "proxy/master.h"
#include "proxy/operate.h"

#define KEYS_LOOKS 200 /* a millisecond apart: a write takes less than one */

typedef int serve_function(struct master *master, const struct control_request *request, FILE *out,
                           struct err *err);

static int serve_status(struct master *master, const struct control_request *request, FILE *out,
                        struct err *err) {
    (void)err;
    master_write_status(master, out, request->json);
    return 0;
}

static int serve_profile(struct master *master, const struct control_request *request, FILE *out,
                         struct err *err) {
    const struct generation *gen = master_generation(master);
    const struct config_profile *profile = operate_find(gen, request->words[1], err);
    if (!profile) {
        return -1;
    }
    if (request->count == 3) {
        return err_set(err, "'%s' is followed by nothing, expected one word more",
                       request->words[2]);
    }
    if (request->count == 4) {
        const char *what = request->words[2];
        const char *value = request->words[3];
        int rc = strcmp(what, "invalidate") == 0
                     ? operate_invalidate(master, profile, value, clock_wall_ms(), err)
                     : operate_switch(gen, profile, what, value, err);
        if (rc != 0) {
            return -1;
        }
    }
    operate_show(gen, profile, request->json, out);
    return 0;
}

static int serve_keys(struct master *master, const struct control_request *request, FILE *out,
                      struct err *err) {
    struct keyring_lives lives = master_key_lives(master);
    const struct timespec pause = { .tv_nsec = (long)NS_PER_MS };
    struct keyring_list list;
    int rc = keyring_look(master_keyring(master), &list);
    for (unsigned looks = 1; rc != 0 && looks < KEYS_LOOKS; looks++) {
        nanosleep(&pause, NULL);
        rc = keyring_look(master_keyring(master), &list);
    }
    if (rc != 0) {
        return err_set(err, "the key ring is being written, try again");
    }
    keys_write(&list, &lives, clock_wall_ms() / MS_PER_S, out, request->json);
    return 0;
}

static int serve_reload(struct master *master, const struct control_request *request, FILE *out,
                        struct err *err) {
    if (master_reload(master, err) != 0) {
        return -1;
    }
    fputs(request->json ? "{\"reloaded\":true}\n" : "reloaded\n", out);
    return 0;
}

static int serve_upgrade(struct master *master, const struct control_request *request, FILE *out,
                         struct err *err) {
    pid_t pid;
    if (master_upgrade(master, &pid, err) != 0) {
        return -1;
    }
    fprintf(out,
            request->json ? "{\"upgraded\":true,\"pid\":%d}\n"
                          : "upgraded, process %d is the service now\n",
            (int)pid);
    return 0;
}

int serve_command(void *arg, const struct control_request *request, FILE *out, struct err *err) {
    static const struct {
        const char *verb;
        unsigned min, max;
        serve_function *serve;
    } commands[] = {
#define CTL(id, verb, min, max, usage, text) { verb, min, max, serve_##id },
#include "cmd/ctl.def"
#undef CTL
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].verb, request->words[0]) == 0) {
            size_t follow = request->count - 1;
            return follow >= commands[i].min && follow <= commands[i].max
                       ? commands[i].serve(arg, request, out, err)
                       : err_set(err, "'%s' is followed by %u to %u words", commands[i].verb,
                                 commands[i].min, commands[i].max);
        }
    }
    return err_set(err, "there is no command '%s'", request->words[0]);
}
