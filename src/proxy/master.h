/* master.h: the process that starts, supervises, reloads and upgrades the others. It
 * reads no peer's bytes.
 *
 * A reload is planned, then committed or taken back whole: the new file is
 * loaded, its generation built, its workers started and seen ready; only then do
 * the old ones drain. Anything that fails before leaves the service as it was.
 *
 * An upgrade is the same across two programs: this one starts the other and hands it
 * everything, the other starts its workers, and only then does this one let go of keys
 * and control socket, drain, and end. See upgrade.h and takeover.h.
 */
#ifndef REPRISE_PROXY_MASTER_H
#define REPRISE_PROXY_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/config.h"
#include "net/loop.h"
#include "proxy/takeover.h"
#include "store/cache.h"
#include "store/keyring.h"
#include "store/statefile.h"

struct generation;
struct master;

struct master_options {
    /* Reads the configuration: called at the start and on each reload. Returns an
     * owned configuration or null with err set. */
    struct config *(*load)(void *arg, struct err *err);
    /* Runs in the keeper's process, after the fork; its exit status. state may be null. */
    int (*keeper)(struct keyring *keyring, const struct keyring_lives *lives,
                  struct statefile *state, const struct cache_term *caches, size_t cache_count);
    /* Called in each child after the fork: closes what is the master's alone. May be null. */
    void (*in_child)(void *arg);
    /* For an upgrade: the control socket's path, and its descriptor; null: there is none. */
    const char *(*control)(void *arg, int *fd);
    /* And after it: another master serves the control socket. */
    void (*control_gone)(void *arg);
    void *arg;
    /* Path and arguments to start the program anew; null after the last. Borrowed. */
    char *const *program;
    /* Taken over: this start is an upgrade; or null. */
    struct takeover *takeover;
};

/* Loads the configuration, binds, starts all processes and waits until they are
 * ready. Returns the master, to be run with master_run; or null with err set and
 * nothing left running. In an upgrade the old service is told instead, and err is
 * clear. There is one in a process. */
struct master *master_start(const struct master_options *options, struct err *err);

/* Where this start is an upgrade: says that all is ready, waits until this master is the
 * service, and starts the keeper. Does nothing otherwise. -1 with err set: it is not. */
int master_take_over(struct master *master, struct err *err);

/* Its loop, for the control socket. Borrowed. */
struct loop *master_loop(struct master *master);

/* The configuration in force. Borrowed until the next reload. */
const struct config *master_config(const struct master *master);

/* What is in force. Borrowed until the next reload. */
const struct generation *master_generation(const struct master *master);

/* The key ring, and how long its keys live. Borrowed. */
const struct keyring *master_keyring(struct master *master);
struct keyring_lives master_key_lives(const struct master *master);

/* Reloads now; returns when the new workers serve. On -1 nothing has changed. */
int master_reload(struct master *master, struct err *err);

/* cache_kill, by a child with a worker's rights and without the keys: the lock that it takes
 * lies in memory that workers write. CACHE_BUSY also where there was no child to be had. */
enum cache_result master_cache_kill(struct master *master, struct cache *cache,
                                    const uint8_t id[static CACHE_ID_LEN], enum cache_mark mark);

/* Starts the program anew and hands the service over to it. When it returns 0 process
 * *pid is the service, and this one ends by itself when its workers have drained. On -1
 * nothing has changed. */
int master_upgrade(struct master *master, pid_t *pid, struct err *err);

/* Writes the state of the service: processes, connections, counters, caches. */
void master_write_status(struct master *master, FILE *out, bool json);

/* Supervises until SIGTERM or SIGINT and all has drained. Returns the exit status. */
int master_run(struct master *master);

#endif
