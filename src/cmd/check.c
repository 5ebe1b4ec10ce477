/* check.c: `reprise check`: would this configuration be taken? */
#include <getopt.h>
#include <stdio.h>

#include "cmd/cmd.h"
#include "config/config.h"
#include "proxy/keys.h"
#include "proxy/privilege.h"
#include "tls/check.h"

static const char *plural(size_t count) {
    return count == 1 ? "" : "s";
}

/* Would the ticket keys be taken? */
static int check_keys(const struct config *config, struct err *err) {
    struct privilege_user user;
    struct keys keys;
    if (config->ticket_key_files.count == 0 && !config->ticket_key_state_file) {
        return 0;
    }
    if (privilege_find(config->user, &user, err) != 0 ||
        keys_load(&keys, config, user.uid, true, err) != 0) {
        return -1;
    }
    keys_drop(&keys);
    return 0;
}

static int check_file(const char *file, bool print) {
    struct err err = { 0 };
    struct config *config = config_load(file, &err);
    if (!config || tls_check_config(config, &err) != 0 || check_keys(config, &err) != 0) {
        config_free(config);
        fprintf(stderr, "%s\n", err.text);
        return CMD_FAILED;
    }
    if (config->key_log_file) {
        fprintf(stderr, "%s: warning: key-log: TLS secrets are written to '%s'\n", file,
                config->key_log_file);
    }
    if (config->ticket_key_files.count > 0) {
        fprintf(stderr,
                "%s: warning: ticket-keys: keys from files are not rotated by the service\n", file);
    }
    if (print) {
        config_print(config, stdout);
    } else {
        printf("%s: ok, %zu virtual server%s, %zu profile%s, %zu pool%s\n", file,
               config->vserver_count, plural(config->vserver_count), config->profile_count,
               plural(config->profile_count), config->pool_count, plural(config->pool_count));
    }
    config_free(config);
    return CMD_OK;
}

int cmd_check(int argc, char **argv) {
    static const struct option options[] = {
        { "print", no_argument, NULL, 'p' },
        { NULL, 0, NULL, 0 },
    };
    bool print = false;
    for (int option; (option = getopt_long(argc, argv, "p", options, NULL)) != -1;) {
        if (option != 'p') {
            return cmd_wrong_option("check");
        }
        print = true;
    }
    if (argc - optind != 1) {
        return cmd_wrong_usage("check", "expected one file");
    }
    return check_file(argv[optind], print);
}
