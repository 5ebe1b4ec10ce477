/* log.c: see log.h. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/hex.h"

#define LOG_BUFFER_BYTES 65536
#define STAMP_MAX 48
#define LOG_TAIL 3 /* what ends a line: a brace, a newline, and room for a NUL */

/* How a descriptor is written to without waiting. */
enum log_kind { LOG_TO_OTHER, LOG_TO_FILE, LOG_TO_SOCKET };

static struct {
    int fd;     /* borrowed, or `own_fd` */
    int own_fd; /* owned; -1: none */
    enum log_kind kind;
    bool json;
    bool buffered;
    uint32_t rate;      /* lines a second; 0: no limit */
    uint64_t tokens_ns; /* a bucket of one second, counted in nanoseconds */
    uint64_t filled_ns; /* when the bucket was last filled */
    uint64_t dropped;
    size_t used;
    char buffer[LOG_BUFFER_BYTES];
} logger = { .fd = STDERR_FILENO, .own_fd = -1 };

/* A pipe may be shared: between a poll and a write another process can fill it.
 * Opened anew it has an own, non-blocking, file description. */
static int pipe_reopen(int fd) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

void log_open(int fd, bool json) {
    struct stat st;
    mode_t type = fstat(fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
    if (logger.own_fd >= 0) {
        close(logger.own_fd);
    }
    logger.own_fd = type == S_IFIFO ? pipe_reopen(fd) : -1;
    logger.fd = logger.own_fd >= 0 ? logger.own_fd : fd;
    logger.kind = type == S_IFREG || logger.own_fd >= 0 ? LOG_TO_FILE
                  : type == S_IFSOCK                    ? LOG_TO_SOCKET
                                                        : LOG_TO_OTHER;
    logger.json = json;
}

void log_set_rate(uint32_t lines_per_s) {
    logger.rate = lines_per_s;
    logger.tokens_ns = NS_PER_S;
    logger.filled_ns = clock_mono_ns();
}

void log_set_buffered(bool buffered) {
    logger.buffered = buffered;
}

/* Appends to the line if all of it fits, leaving room for the tail. */
static bool line_put(struct log_line *line, const char *text, size_t len) {
    if (len > sizeof(line->text) - LOG_TAIL - line->len) {
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool line_put_char(struct log_line *line, char c) {
    return line_put(line, &c, 1);
}

/* What needs no quotes: printable ASCII but blanks, quotes, equals signs, backslashes. */
static bool is_bare(struct bytes value) {
    static const uint64_t bare[4] = {
        ~0ull << 33 & ~(1ull << '"') & ~(1ull << '='),
        ~(1ull << 63) & ~(1ull << ('\\' - 64)),
    };
    for (size_t i = 0; i < value.len; i++) {
        if (!(bare[value.data[i] / 64] >> value.data[i] % 64 & 1)) {
            return false;
        }
    }
    return value.len > 0;
}

/* Writes the value within quotes. Bytes that are not printable ASCII are written
 * as \u00XX in both forms: what a client sends must not steer a terminal. */
static bool line_put_quoted(struct log_line *line, struct bytes value) {
    bool ok = line_put_char(line, '"');
    for (size_t i = 0; ok && i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '"' || c == '\\') {
            ok = line_put_char(line, '\\') && line_put_char(line, (char)c);
        } else if (c < ' ' || c >= 0x7f) {
            char hex[8];
            int n = snprintf(hex, sizeof(hex), "\\u%04x", c);
            ok = line_put(line, hex, (size_t)n);
        } else {
            ok = line_put_char(line, (char)c);
        }
    }
    return ok && line_put_char(line, '"');
}

static bool line_put_key(struct log_line *line, const char *key) {
    size_t len = strlen(key);
    if (line->json) {
        return (line->len == 1 || line_put_char(line, ',')) && line_put_char(line, '"') &&
               line_put(line, key, len) && line_put(line, "\":", 2);
    }
    return (line->len == 0 || line_put_char(line, ' ')) && line_put(line, key, len) &&
           line_put_char(line, '=');
}

/* A field that does not fit is taken back whole. */
static void line_field(struct log_line *line, const char *key, struct bytes value, bool number) {
    size_t before = line->len;
    bool ok = line_put_key(line, key);
    if (ok && (number || (!line->json && is_bare(value)))) {
        ok = line_put(line, (const char *)value.data, value.len);
    } else if (ok) {
        ok = line_put_quoted(line, value);
    }
    if (!ok) {
        line->len = before;
        line->full = true;
    }
}

/* The time as "2026-11-24T05:39:55.123Z". Its seconds are written once a second. */
static const char *stamp_now(char out[static STAMP_MAX]) {
    static char text[STAMP_MAX];
    static size_t len;
    static uint64_t text_s;
    uint64_t now_ms = clock_wall_ms();
    if (len == 0 || text_s != now_ms / MS_PER_S) {
        text_s = now_ms / MS_PER_S;
        time_t now_s = (time_t)text_s;
        struct tm tm;
        gmtime_r(&now_s, &tm);
        len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
    }
    memcpy(out, text, len);
    size_t digits = decimal_write_thousandths(now_ms % MS_PER_S, out + len);
    out[len + digits] = 'Z';
    out[len + digits + 1] = '\0';
    return out;
}

void log_start(struct log_line *line, const char *event) {
    line->json = logger.json;
    line->full = false;
    line->len = 0;
    if (line->json) {
        line_put_char(line, '{');
    }
    char stamp[STAMP_MAX];
    log_text(line, "time", stamp_now(stamp));
    log_text(line, "event", event);
}

void log_text(struct log_line *line, const char *key, const char *value) {
    if (value) {
        log_bytes(line, key, (struct bytes){ (const uint8_t *)value, strlen(value) });
    }
}

void log_bytes(struct log_line *line, const char *key, struct bytes value) {
    if (value.len > 0) {
        line_field(line, key, value, false);
    }
}

void log_hex(struct log_line *line, const char *key, struct bytes value) {
    char hex[2 * 64];
    if (value.len == 0) {
        return;
    }
    value.len = value.len < sizeof(hex) / 2 ? value.len : sizeof(hex) / 2;
    size_t len = hex_write(value, hex);
    line_field(line, key, (struct bytes){ (const uint8_t *)hex, len }, false);
}

static void log_number(struct log_line *line, const char *key, const char *text, size_t len) {
    line_field(line, key, (struct bytes){ (const uint8_t *)text, len }, true);
}

void log_u64(struct log_line *line, const char *key, uint64_t value) {
    char text[DECIMAL_MAX];
    log_number(line, key, text, decimal_write(value, text));
}

void log_ms(struct log_line *line, const char *key, uint64_t ns) {
    char text[DECIMAL_MAX + 4];
    uint64_t us = ns / 1000;
    size_t len = decimal_write(us / 1000, text);
    text[len++] = '.';
    len += decimal_write_thousandths(us % 1000, text + len);
    log_number(line, key, text, len);
}

/* One write that does not block. */
static ssize_t log_write_once(const char *text, size_t len) {
    struct pollfd ready = { .fd = logger.fd, .events = POLLOUT };
    switch (logger.kind) {
    case LOG_TO_FILE:
        return write(logger.fd, text, len);
    case LOG_TO_SOCKET:
        return send(logger.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case LOG_TO_OTHER:
        break;
    }
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) ? write(logger.fd, text, len) : -1;
}

/* Writes whole lines in pieces that a pipe takes at once. Returns what was written. */
static size_t log_put(const char *text, size_t len) {
    size_t done = 0;
    while (done < len) {
        size_t piece = len - done;
        if (piece > LOG_LINE_MAX) {
            piece = LOG_LINE_MAX;
            while (piece > 0 && text[done + piece - 1] != '\n') {
                piece--;
            }
        }
        errno = 0;
        ssize_t n = piece > 0 ? log_write_once(text + done, piece) : -1;
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    return done;
}

void log_flush(void) {
    if (logger.used == 0) {
        return;
    }
    size_t done = log_put(logger.buffer, logger.used);
    memmove(logger.buffer, logger.buffer + done, logger.used - done);
    logger.used -= done;
}

/* Ends the line and hands it on. Returns whether it was taken. */
static bool line_end(struct log_line *line) {
    if (line->json) {
        line->text[line->len++] = '}';
    }
    line->text[line->len++] = '\n';
    if (!logger.buffered) {
        return log_put(line->text, line->len) == line->len;
    }
    if (line->len > sizeof(logger.buffer) - logger.used) {
        log_flush();
    }
    if (line->len > sizeof(logger.buffer) - logger.used) {
        return false;
    }
    memcpy(logger.buffer + logger.used, line->text, line->len);
    logger.used += line->len;
    return true;
}

/* Tells how many lines were lost, as soon as one is taken again. */
static void log_tell_dropped(void) {
    struct log_line lost;
    if (logger.dropped == 0) {
        return;
    }
    log_start(&lost, "log-dropped");
    log_text(&lost, "level", "warning");
    log_u64(&lost, "lines", logger.dropped);
    if (line_end(&lost)) {
        logger.dropped = 0;
    }
}

void log_write(struct log_line *line) {
    log_tell_dropped();
    logger.dropped += !line_end(line);
}

bool log_may_write(uint64_t now_ns) {
    if (logger.rate == 0) {
        return true;
    }
    uint64_t cost_ns = NS_PER_S / logger.rate;
    uint64_t tokens_ns = logger.tokens_ns + (now_ns - logger.filled_ns);
    logger.tokens_ns = tokens_ns < NS_PER_S ? tokens_ns : NS_PER_S;
    logger.filled_ns = now_ns;
    if (logger.tokens_ns < cost_ns) {
        logger.dropped++;
        return false;
    }
    logger.tokens_ns -= cost_ns;
    return true;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...) {
    static const char *const names[] = { "info", "warning", "error" };
    char message[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    struct log_line line;
    log_start(&line, event);
    log_text(&line, "level", names[level]);
    log_text(&line, "message", message);
    log_write(&line);
}
