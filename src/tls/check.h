/* check.h: does everything that a configuration names load? */
#ifndef REPRISE_TLS_CHECK_H
#define REPRISE_TLS_CHECK_H

#include "base/err.h"
#include "config/config.h"

/* Reads all certificates, keys, CA and CRL files and sets up their contexts, then
 * lets them go. Returns 0, or -1 with `err` set to `file:line: ...`. */
int tls_check_config(const struct config *config, struct err *err);

#endif
