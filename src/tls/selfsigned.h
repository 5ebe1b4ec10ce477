/* selfsigned.h: a certificate made on the spot, for a first try. */
#ifndef REPRISE_TLS_SELFSIGNED_H
#define REPRISE_TLS_SELFSIGNED_H

#include <stdbool.h>

#include "base/err.h"

#define SELFSIGNED_DAYS 365

/* Writes an ECDSA P-256 key (mode 0600) and a certificate for localhost,
 * 127.0.0.1 and ::1 to the two files, replacing what is there. */
int selfsigned_make(const char *chain_file, const char *key_file, struct err *err);

/* True when both files are there and the certificate is good for a day or more. */
bool selfsigned_is_fresh(const char *chain_file, const char *key_file);

#endif
