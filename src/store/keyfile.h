/* keyfile.h: ticket keys from files, in the forms of nginx (ssl_session_ticket_key: 48 or 80
 * bytes) and of HAProxy (tls-ticket-keys: lines of base64 of 48 or 80 bytes).
 *
 *   48 bytes:  name 16 | AES key 16 | HMAC key 16
 *   80 bytes:  name 16 | HMAC key 32 | AES key 32
 *
 * Hosts with the same files get the same ring and open each other's tickets. The key that
 * seals is derived from the whole of a file key's secret part; tickets that nginx or HAProxy
 * made under these files have another form and do not open.
 *
 * Threat: a key that others can read, that was never filled in, or that stands for two
 * (R34, R39). Such files are refused. Nothing of a secret is in an error's text.
 */
#ifndef REPRISE_STORE_KEYFILE_H
#define REPRISE_STORE_KEYFILE_H

#include <sys/types.h>

#include "base/err.h"
#include "store/keyring.h"

#define KEYFILE_KEYS_MAX 64
#define KEYFILE_LINES_MIN 3 /* of HAProxy's */
#define KEYFILE_LINES_USED 3

enum keyfile_format { KEYFILE_NGINX, KEYFILE_HAPROXY };

/* In memory from secret_alloc. */
struct keyfile_set {
    unsigned count;
    struct keyring_given keys[KEYFILE_KEYS_MAX];
};

/* Reads the files: nginx's hold a key each, of which the first seals; HAProxy's is one file,
 * of which the last three keys are used, as HAProxy does, and the last but one seals. Refuses
 * what secretfile_read refuses with this user, and keys that are short, long, zero in any
 * part, or there twice. Returns an owned set, or null with err set, beginning with a path. */
struct keyfile_set *keyfile_load(char *const *paths, size_t count, enum keyfile_format format,
                                 uid_t user, struct err *err);

/* Wipes and frees; null is allowed. */
void keyfile_free(struct keyfile_set *set);

#endif
