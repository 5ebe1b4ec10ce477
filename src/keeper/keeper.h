/* keeper.h: the process that makes, rotates and wipes the ticket keys. It takes
 * no connection and reads nothing from the network. */
#ifndef REPRISE_KEEPER_KEEPER_H
#define REPRISE_KEEPER_KEEPER_H

#include <stdint.h>

#include "store/keyring.h"

struct keeper_start {
    struct keyring *keyring; /* borrowed; shared memory that this process writes */
    struct keyring_lives lives;
};

/* Keeps the ring until SIGTERM; the process's exit status. Called in the child. */
int keeper_run(const struct keeper_start *start);

#endif
