/* log.h: the service's log: one line an event, as logfmt or JSON.
 *
 * A line is built in the caller's `struct log_line` and handed to log_write.
 * Workers buffer lines and flush once a turn of their loop; a log that does not
 * take them (a full pipe) makes lines drop and be counted, and never blocks.
 * No function here takes a key or a secret; callers log names of keys only.
 */
#ifndef REPRISE_BASE_LOG_H
#define REPRISE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

#define LOG_LINE_MAX 4000 /* below PIPE_BUF: a line is written whole or not at all */

struct log_line {
    bool json;
    bool full; /* a field did not fit and was left out */
    size_t len;
    char text[LOG_LINE_MAX];
};

/* Sets where lines go: a descriptor (borrowed, must outlive its use) and the form.
 * Before privileges are given up: a pipe is opened anew, so as not to block. */
void log_open(int fd, bool json);

/* Lines a second that log_may_write lets through in this process; 0: no limit. */
void log_set_rate(uint32_t lines_per_s);

/* True: lines are kept in memory until log_flush. False (at first): written at once. */
void log_set_buffered(bool buffered);

/* Starts a line with its time and event name. */
void log_start(struct log_line *line, const char *event);

/* Adds a field. A null text and an empty run add nothing. Values are escaped. */
void log_text(struct log_line *line, const char *key, const char *value);
void log_bytes(struct log_line *line, const char *key, struct bytes value);
void log_hex(struct log_line *line, const char *key, struct bytes value);
void log_u64(struct log_line *line, const char *key, uint64_t value);
/* Milliseconds with three decimals, from nanoseconds. */
void log_ms(struct log_line *line, const char *key, uint64_t ns);

/* Ends the line and writes or buffers it. */
void log_write(struct log_line *line);

/* Whether the rate limit lets one more line through. If not, it is counted, and a summary
 * `event=log-dropped` follows when lines pass again; so it is asked before a line is built,
 * and once a line. now_ns is clock_mono_ns(). */
bool log_may_write(uint64_t now_ns);

/* Writes what is buffered, as far as the log takes it without blocking. */
void log_flush(void);

/* A service event with a level and a message: `event=reload level=error message="..."`. */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
