/* report.h: what is told of a connection: its line in the log, and the PROXY
 * protocol header to its backend. Both say the same in the same words. */
#ifndef REPRISE_PROXY_REPORT_H
#define REPRISE_PROXY_REPORT_H

#include "proxy/conn.h"

/* Writes the connection's line, under the worker's rate limit. */
void report_log(const struct conn *conn, enum conn_close why);

/* Counts how the handshake went. */
void report_count(const struct conn *conn);

/* Writes the header for the backend. Returns its length; 0 when it does not fit. */
size_t report_proxy_header(const struct conn *conn, uint8_t *buf, size_t cap);

#endif
