/* keylog.h: TLS secrets by the client's random, from a key log (the NSS format, which is now
 * RFC 9850): what TLS programs write for Wireshark.
 *
 * Threat: secrets: they are wiped when they are freed, and never printed. At most KEYLOG_MAX
 * clients are kept.
 */
#ifndef REPRISE_CAPTURE_KEYLOG_H
#define REPRISE_CAPTURE_KEYLOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

#define KEYLOG_MAX 1048576
#define KEYLOG_SECRET_MAX 64

enum keylog_label {
    KEYLOG_MASTER_SECRET, /* CLIENT_RANDOM: TLS 1.2 and earlier */
    KEYLOG_CLIENT_EARLY,
    KEYLOG_CLIENT_HANDSHAKE,
    KEYLOG_SERVER_HANDSHAKE,
    KEYLOG_CLIENT_TRAFFIC,
    KEYLOG_SERVER_TRAFFIC,
    KEYLOG_LABELS
};

struct keylog;

/* An empty one; null when there is no memory. */
struct keylog *keylog_new(void);
void keylog_free(struct keylog *keylog);

/* Adds a key log's text. Lines that are none are passed over. Returns 0, or -1: no memory. */
int keylog_read(struct keylog *keylog, struct bytes text);

/* The same from a file. */
int keylog_read_file(struct keylog *keylog, const char *path, struct err *err);

bool keylog_is_empty(const struct keylog *keylog);

/* The secret of the client with this random (32 bytes); empty when there is none. Borrowed. */
struct bytes keylog_find(const struct keylog *keylog, const uint8_t *client_random,
                         enum keylog_label label);

#endif
