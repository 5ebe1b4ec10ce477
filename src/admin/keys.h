/* keys.h: the answer of `reprise ctl keys`: what the ring holds, by name, and the
 * forward-secrecy figure. Never a byte of a key. */
#ifndef REPRISE_ADMIN_KEYS_H
#define REPRISE_ADMIN_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "store/keyring.h"

#define KEYS_WIPED_SHOWN 4 /* names of wiped keys, the latest */

/* Writes the keys, NEXT first, then CURRENT, RETIRED and WIPED, the latest first. The times
 * to come are those of `lives`. */
void keys_write(const struct keyring_list *list, const struct keyring_lives *lives, uint64_t now_s,
                FILE *out, bool json);

#endif
