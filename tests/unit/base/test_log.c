/* test_log.c: base/log.c. What is written is read back from a pipe, by parsers that take
 * nothing but the form promised. */
#include "base/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "unit.h"

static int pipe_fds[2];

/* What was written since the last call; a text. */
static const char *written(void) {
    static char text[1 << 20];
    size_t len = 0;
    ssize_t n;
    while ((n = read(pipe_fds[0], text + len, sizeof(text) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

static int open_pipe(void **state) {
    (void)state;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    /* Blocking, as standard error is: a write that would block hangs the test, and ends it. */
    alarm(30);
    log_open(pipe_fds[1], false);
    log_set_buffered(false);
    log_set_rate(0);
    /* What an earlier case dropped is told now. */
    struct log_line line;
    log_start(&line, "begin");
    log_write(&line);
    written();
    return 0;
}

static int close_pipe(void **state) {
    (void)state;
    do {
        log_flush();
    } while (*written() != '\0'); /* no line waits for the next case */
    log_open(STDERR_FILENO, false);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    alarm(0);
    return 0;
}

/* Stands for the C library's: can tell of room where there is none. */
static bool poll_lies;

int poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    if (poll_lies) {
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = POLLOUT;
        }
        return (int)count;
    }
    const struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
    return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* --- strict readers ------------------------------------------------------ */

struct field {
    char key[64];
    bool quoted;
    size_t len;
    uint8_t value[LOG_LINE_MAX];
};

struct reader {
    const char *at;
    bool bad;
};

static bool take(struct reader *r, char c) {
    if (r->bad || *r->at != c) {
        r->bad = true;
        return false;
    }
    r->at++;
    return true;
}

static unsigned take_hex4(struct reader *r) {
    unsigned value = 0;
    for (unsigned i = 0; i < 4; i++) {
        char c = *r->at;
        if (!isxdigit((unsigned char)c) || isupper((unsigned char)c)) {
            r->bad = true;
            return 0;
        }
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        r->at++;
    }
    return value;
}

/* RFC 8259 7, of which the log uses \", \\ and \u00XX: each stands for one byte. */
static void take_string(struct reader *r, struct field *f) {
    f->len = 0;
    take(r, '"');
    while (!r->bad && *r->at != '"') {
        unsigned c = (unsigned char)*r->at++;
        if (c == '\\') {
            char escaped = *r->at++;
            c = escaped == 'u' ? take_hex4(r) : (unsigned char)escaped;
            r->bad |= escaped != 'u' && escaped != '"' && escaped != '\\';
            r->bad |= escaped == 'u' && (c > 0xff || (c >= ' ' && c < 0x7f));
        } else {
            r->bad |= c < ' ' || c >= 0x7f;
        }
        if (!r->bad) {
            f->value[f->len++] = (uint8_t)c;
        }
    }
    take(r, '"');
}

static bool is_key_char(char c) {
    return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '-';
}

static void take_key(struct reader *r, struct field *f) {
    size_t len = 0;
    while (is_key_char(*r->at) && len < sizeof(f->key) - 1) {
        f->key[len++] = *r->at++;
    }
    f->key[len] = '\0';
    r->bad |= len == 0;
}

/* Reads one line. Calls back for each field; false when the line breaks the form. */
static bool read_logfmt(const char *line, void (*on_field)(const struct field *, void *),
                        void *arg) {
    struct reader r = { .at = line };
    static struct field f;
    while (!r.bad && *r.at != '\n') {
        if (r.at != line) {
            take(&r, ' ');
        }
        take_key(&r, &f);
        take(&r, '=');
        f.quoted = *r.at == '"';
        f.len = 0;
        if (f.quoted) {
            take_string(&r, &f);
        } else {
            while (*r.at > ' ' && *r.at < 0x7f && !strchr("\"=\\", *r.at)) {
                f.value[f.len++] = (uint8_t)*r.at++;
            }
            r.bad |= f.len == 0;
        }
        if (!r.bad) {
            on_field(&f, arg);
        }
    }
    return !r.bad;
}

static bool read_json(const char *line, void (*on_field)(const struct field *, void *), void *arg) {
    struct reader r = { .at = line };
    static struct field f;
    take(&r, '{');
    while (!r.bad && *r.at != '}') {
        if (r.at != line + 1) {
            take(&r, ',');
        }
        take(&r, '"');
        take_key(&r, &f);
        take(&r, '"');
        take(&r, ':');
        f.quoted = *r.at == '"';
        f.len = 0;
        if (f.quoted) {
            take_string(&r, &f);
        } else {
            while (isdigit((unsigned char)*r.at) || *r.at == '.') {
                f.value[f.len++] = (uint8_t)*r.at++;
            }
            /* No number of JSON begins with a zero, unless it is 0 or 0.x. */
            r.bad |= f.len == 0 || (f.value[0] == '0' && f.len > 1 && f.value[1] != '.');
        }
        if (!r.bad) {
            on_field(&f, arg);
        }
    }
    take(&r, '}');
    take(&r, '\n');
    return !r.bad && *r.at == '\0';
}

struct search {
    const char *key;
    bool found;
    struct field field;
};

static void search_field(const struct field *f, void *arg) {
    struct search *s = arg;
    if (strcmp(f->key, s->key) == 0) {
        assert_false(s->found); /* a key stands once */
        s->found = true;
        s->field = *f;
    }
}

/* The field of the one line that was written since; null when it is not there. */
static const struct field *find_field(const char *text, bool json, const char *key) {
    static struct search s;
    s = (struct search){ .key = key };
    assert_true(json ? read_json(text, search_field, &s) : read_logfmt(text, search_field, &s));
    return s.found ? &s.field : NULL;
}

/* --- form ---------------------------------------------------------------- */

static void values_that_could_mislead_are_escaped(void **state) {
    (void)state;
    static const struct {
        const char *value, *logfmt, *json;
    } rows[] = {
        { "plain", "v=plain", "\"v\":\"plain\"" },
        { "127.0.0.1:80", "v=127.0.0.1:80", "\"v\":\"127.0.0.1:80\"" },
        { "two words", "v=\"two words\"", "\"v\":\"two words\"" },
        { "a=b", "v=\"a=b\"", "\"v\":\"a=b\"" },
        { "say \"x\"", "v=\"say \\\"x\\\"\"", "\"v\":\"say \\\"x\\\"\"" },
        { "back\\slash", "v=\"back\\\\slash\"", "\"v\":\"back\\\\slash\"" },
        { "a\nevent=ready", "v=\"a\\u000aevent=ready\"", "\"v\":\"a\\u000aevent=ready\"" },
        { "\x1b[31m", "v=\"\\u001b[31m\"", "\"v\":\"\\u001b[31m\"" },
        { "del\x7f", "v=\"del\\u007f\"", "\"v\":\"del\\u007f\"" },
        { "\xc3\xa9", "v=\"\\u00c3\\u00a9\"", "\"v\":\"\\u00c3\\u00a9\"" },
        { "\xff\xfe", "v=\"\\u00ff\\u00fe\"", "\"v\":\"\\u00ff\\u00fe\"" },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (int json = 0; json <= 1; json++) {
            struct log_line line;
            log_open(pipe_fds[1], json);
            log_start(&line, "test");
            log_text(&line, "v", rows[i].value);
            log_write(&line);
            const char *text = written();
            const char *expected = json ? rows[i].json : rows[i].logfmt;
            assert_non_null(strstr(text, expected));
            const struct field *f = find_field(text, json, "v");
            assert_non_null(f);
            assert_int_equal(f->len, strlen(rows[i].value));
            assert_memory_equal(f->value, rows[i].value, f->len);
        }
    }
}

static void a_null_byte_is_escaped(void **state) {
    (void)state;
    for (int json = 0; json <= 1; json++) {
        struct log_line line;
        log_open(pipe_fds[1], json);
        log_start(&line, "test");
        log_bytes(&line, "v", (struct bytes){ (const uint8_t *)"a\0b", 3 });
        log_write(&line);
        assert_non_null(strstr(written(), "\"a\\u0000b\""));
    }
}

/* Whatever a client sends: the line is whole, and what was sent can be read from it. */
static void random_values_come_back_as_they_were(void **state) {
    (void)state;
    uint64_t rng = 7;
    for (unsigned round = 0; round < 20000; round++) {
        bool json = round % 2;
        uint8_t value[96];
        size_t len = 1 + rng_below(&rng, sizeof(value));
        rng_fill(&rng, value, len);
        if (round % 3 == 0) { /* little of all bytes is quotes and backslashes */
            for (size_t i = 0; i < len; i++) {
                value[i] = (uint8_t) "\"\\=, \n{}u0"[value[i] % 10];
            }
        }
        struct log_line line;
        log_open(pipe_fds[1], json);
        log_start(&line, "test");
        log_bytes(&line, "v", (struct bytes){ value, len });
        log_u64(&line, "n", round);
        log_write(&line);
        const char *text = written();
        const struct field *f = find_field(text, json, "v");
        assert_non_null(f);
        assert_int_equal(f->len, len);
        assert_memory_equal(f->value, value, len);
        assert_non_null(find_field(text, json, "n"));
    }
}

static void absent_values_are_left_out(void **state) {
    (void)state;
    for (int json = 0; json <= 1; json++) {
        struct log_line line;
        log_open(pipe_fds[1], json);
        log_start(&line, "test");
        log_text(&line, "a", NULL);
        log_text(&line, "b", "");
        log_bytes(&line, "c", (struct bytes){ 0 });
        log_hex(&line, "d", (struct bytes){ 0 });
        log_u64(&line, "e", 0);
        assert_false(line.full);
        log_write(&line);
        const char *text = written();
        for (const char *key = "a\0b\0c\0d\0"; *key; key += 2) {
            assert_null(find_field(text, json, key));
        }
        assert_non_null(find_field(text, json, "e"));
    }
}

static void a_line_begins_with_time_and_event(void **state) {
    (void)state;
    for (int json = 0; json <= 1; json++) {
        struct log_line line;
        log_open(pipe_fds[1], json);
        uint64_t before_ms = clock_wall_ms();
        log_start(&line, "reload");
        log_write(&line);
        const char *text = written();
        unsigned at[7];
        const char *form = json ? "{\"time\":\"%4u-%2u-%2uT%2u:%2u:%2u.%3uZ\",\"event\":\"reload\"}"
                                : "time=%4u-%2u-%2uT%2u:%2u:%2u.%3uZ event=reload";
        assert_int_equal(sscanf(text, form, &at[0], &at[1], &at[2], &at[3], &at[4], &at[5], &at[6]),
                         7);
        const struct field *event = find_field(text, json, "event");
        assert_non_null(event);
        assert_int_equal(event->len, 6);
        struct tm tm = { .tm_year = (int)at[0] - 1900,
                         .tm_mon = (int)at[1] - 1,
                         .tm_mday = (int)at[2],
                         .tm_hour = (int)at[3],
                         .tm_min = (int)at[4],
                         .tm_sec = (int)at[5] };
        uint64_t told_ms = (uint64_t)timegm(&tm) * MS_PER_S + at[6];
        assert_in_range(told_ms, before_ms, clock_wall_ms());
        assert_int_equal(text[strlen(text) - 1], '\n');
    }
}

static void numbers_and_hex(void **state) {
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } durations[] = {
        { 0, "0.000" },
        { 999, "0.000" },
        { 1000, "0.001" },
        { 1234567, "1.234" },
        { 60 * NS_PER_S, "60000.000" },
        { UINT64_MAX, "18446744073709.551" },
    };
    uint8_t id[100];
    memset(id, 0xa5, sizeof(id));
    for (int json = 0; json <= 1; json++) {
        for (size_t i = 0; i < LENGTH(durations); i++) {
            struct log_line line;
            log_open(pipe_fds[1], json);
            log_start(&line, "test");
            log_ms(&line, "ms", durations[i].ns);
            log_u64(&line, "max", UINT64_MAX);
            log_hex(&line, "id", (struct bytes){ (const uint8_t *)"\x00\x0f\xf0\xff", 4 });
            log_write(&line);
            const char *text = written();
            const struct field *f = find_field(text, json, "ms");
            assert_false(f->quoted);
            assert_int_equal(f->len, strlen(durations[i].text));
            assert_memory_equal(f->value, durations[i].text, f->len);
            f = find_field(text, json, "max");
            assert_false(f->quoted);
            assert_memory_equal(f->value, "18446744073709551615", f->len);
            f = find_field(text, json, "id");
            assert_int_equal(f->quoted, json);
            assert_int_equal(f->len, 8);
            assert_memory_equal(f->value, "000ff0ff", 8);
        }
    }
}

static void events_carry_level_and_message(void **state) {
    (void)state;
    static const struct {
        enum log_level level;
        const char *word;
    } levels[] = { { LOG_INFO, "info" }, { LOG_WARNING, "warning" }, { LOG_ERROR, "error" } };
    for (size_t i = 0; i < LENGTH(levels); i++) {
        log_open(pipe_fds[1], false);
        log_event(levels[i].level, "reload", "%s:%d: \"no\" such pool", "reprise.yaml", 7);
        const char *text = written();
        const struct field *f = find_field(text, false, "level");
        assert_memory_equal(f->value, levels[i].word, f->len);
        assert_non_null(strstr(text, " event=reload "));
        assert_non_null(strstr(text, "message=\"reprise.yaml:7: \\\"no\\\" such pool\""));
    }
}

/* --- room ---------------------------------------------------------------- */

static void a_field_that_does_not_fit_is_left_out_whole(void **state) {
    (void)state;
    static char big[2 * LOG_LINE_MAX];
    memset(big, 'x', sizeof(big) - 1);
    /* Fits as it is, but not escaped. */
    static char dirty[LOG_LINE_MAX / 2];
    memset(dirty, '\x01', sizeof(dirty) - 1);
    for (int json = 0; json <= 1; json++) {
        struct log_line line;
        log_open(pipe_fds[1], json);
        log_start(&line, "test");
        log_text(&line, "before", "1");
        assert_false(line.full);
        log_text(&line, "big", big);
        assert_true(line.full);
        log_text(&line, "dirty", dirty);
        log_text(&line, "after", "2");
        log_write(&line);
        const char *text = written();
        assert_non_null(find_field(text, json, "before"));
        assert_null(find_field(text, json, "big"));
        assert_null(find_field(text, json, "dirty"));
        assert_non_null(find_field(text, json, "after"));
    }
}

/* At every length of what is there already, up to the last byte. */
static void a_line_never_outgrows_its_room(void **state) {
    (void)state;
    static char fill[LOG_LINE_MAX];
    memset(fill, 'x', sizeof(fill));
    for (int json = 0; json <= 1; json++) {
        log_open(pipe_fds[1], json);
        for (size_t len = LOG_LINE_MAX - 100; len < LOG_LINE_MAX; len++) {
            struct log_line line;
            log_start(&line, "test");
            log_bytes(&line, "fill", (struct bytes){ (const uint8_t *)fill, len });
            log_text(&line, "quoted", "a \x01 b");
            log_u64(&line, "n", 7);
            log_write(&line);
            assert_true(line.len <= LOG_LINE_MAX);
            const char *text = written();
            assert_int_equal(strlen(text), line.len);
            const struct field *f = find_field(text, json, "fill");
            assert_true(!f || f->len == len);
            f = find_field(text, json, "quoted");
            assert_true(!f || f->len == 5);
        }
    }
}

static size_t count_lines(const char *text) {
    size_t count = 0;
    for (; (text = strchr(text, '\n')); text++) {
        count++;
    }
    return count;
}

/* Writes lines until the log takes no more for a while. */
static void fill_pipe(void) {
    char junk[4096];
    memset(junk, '#', sizeof(junk));
    fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
    while (write(pipe_fds[1], junk, sizeof(junk)) > 0) {
    }
    while (write(pipe_fds[1], junk, 1) > 0) {
    }
    fcntl(pipe_fds[1], F_SETFL, 0);
}

static void write_lines(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct log_line line;
        log_start(&line, "connection");
        log_u64(&line, "n", i);
        log_write(&line);
    }
}

/* The pipe's writing end blocks: a write that did not ask first would hang here. */
static void a_full_pipe_does_not_block(void **state) {
    (void)state;
    fill_pipe();
    write_lines(1000);
    log_set_buffered(true);
    write_lines(10000);
    log_flush();
    written();
    log_flush();
    written();
}

static void buffered_lines_wait_for_flush_and_stay_in_order(void **state) {
    (void)state;
    log_set_buffered(true);
    write_lines(100);
    assert_string_equal(written(), "");
    log_flush();
    const char *text = written();
    assert_int_equal(count_lines(text), 100);
    for (unsigned i = 0; i < 100; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), " n=%u\n", i);
        text = strstr(text, expected);
        assert_non_null(text);
    }
    log_flush();
    assert_string_equal(written(), "");
}

static void a_full_buffer_is_written_without_being_asked(void **state) {
    (void)state;
    log_set_buffered(true);
    size_t lines = 0;
    for (unsigned i = 0; i < 100; i++) {
        write_lines(100);
        lines += count_lines(written());
    }
    log_flush();
    lines += count_lines(written());
    assert_int_equal(lines, 10000);
}

/* What waits while the pipe is full goes out whole, line by line, once it is read again. */
static void what_waits_for_a_full_pipe_comes_out_whole(void **state) {
    (void)state;
    log_set_buffered(true);
    fill_pipe();
    write_lines(100);
    log_flush();
    size_t lines = 0;
    for (unsigned i = 0; i < 100; i++) {
        const char *text = written();
        text += strspn(text, "#");
        assert_true(*text == '\0' || strncmp(text, "time=", 5) == 0);
        lines += count_lines(text);
        log_flush();
    }
    assert_int_equal(lines, 100);
}

/* However long the log takes nothing, each line comes out or is told as lost. */
static void what_a_full_pipe_loses_is_counted(void **state) {
    (void)state;
    enum { LINES = 5000 };
    for (int buffered = 0; buffered <= 1; buffered++) {
        log_set_buffered(buffered);
        fill_pipe();
        write_lines(LINES);
        size_t lines = 0;
        unsigned long lost = 0;
        for (unsigned round = 0; round < 100; round++) {
            const char *text = written();
            for (const char *at = text; (at = strstr(at, "event=connection")); at++) {
                lines++;
            }
            for (const char *at = text; (at = strstr(at, "event=log-dropped ")); at++) {
                lost += strtoul(strstr(at, "lines=") + 6, NULL, 10);
            }
            if (round == 50) { /* all that waited is out: the next line tells of the rest */
                write_lines(1);
            }
            log_flush();
        }
        assert_true(lost > 0);
        assert_int_equal(lines + lost, LINES + 1);
    }
}

/* The pipe is shared by all processes: what poll has found may be gone at the write, and
 * whoever comes second must not wait. */
static void room_that_another_process_took_does_not_block(void **state) {
    (void)state;
    fill_pipe();
    poll_lies = true;
    write_lines(100);
    log_set_buffered(true);
    write_lines(100);
    log_flush();
    poll_lies = false;
}

/* --- the rate ------------------------------------------------------------ */

static void write_limited(uint64_t now_ns) {
    struct log_line line;
    if (log_may_write(now_ns)) {
        log_start(&line, "connection");
        log_write(&line);
    }
}

static void the_rate_lets_through_what_it_says(void **state) {
    (void)state;
    log_set_rate(10);
    uint64_t now_ns = clock_mono_ns() + NS_PER_S;
    for (unsigned i = 0; i < 25; i++) {
        write_limited(now_ns);
    }
    const char *text = written();
    assert_int_equal(count_lines(text), 10);
    assert_null(strstr(text, "log-dropped"));

    /* A tenth of a second less a bit: none; then one, and before it what was lost. */
    write_limited(now_ns + NS_PER_S / 10 - 1);
    assert_string_equal(written(), "");
    write_limited(now_ns + NS_PER_S / 10);
    text = written();
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "event=log-dropped level=warning lines=16\n"));
    assert_true(strstr(text, "event=log-dropped") < strstr(text, "event=connection"));

    /* A long silence does not save up more than a second's lines. */
    now_ns += 3600 * NS_PER_S;
    for (unsigned i = 0; i < 25; i++) {
        write_limited(now_ns);
    }
    assert_int_equal(count_lines(written()), 10);
    log_set_rate(0);
    write_limited(now_ns);
    assert_non_null(strstr(written(), "lines=15\n"));
}

static void the_rate_holds_over_time(void **state) {
    (void)state;
    log_set_rate(100);
    uint64_t now_ns = clock_mono_ns() + NS_PER_S;
    size_t lines = 0;
    for (unsigned i = 0; i < 100000; i++) { /* ten seconds, 10,000 lines a second */
        write_limited(now_ns + i * (NS_PER_S / 10000));
        const char *text = i % 1000 == 999 ? written() : "";
        for (; (text = strstr(text, "event=connection")); text++) {
            lines++;
        }
    }
    assert_in_range(lines, 1000, 1100);
}

static void no_rate_no_limit(void **state) {
    (void)state;
    log_set_rate(0);
    for (unsigned i = 0; i < 1000; i++) {
        write_limited(1);
    }
    assert_int_equal(count_lines(written()), 1000);
}

/* Service events pass whatever the rate. */
static void events_are_not_limited(void **state) {
    (void)state;
    log_set_rate(1);
    uint64_t now_ns = clock_mono_ns() + NS_PER_S;
    write_limited(now_ns);
    write_limited(now_ns);
    assert_int_equal(count_lines(written()), 1);
    log_event(LOG_ERROR, "reload", "refused");
    const char *text = written();
    assert_non_null(strstr(text, "event=log-dropped level=warning lines=1\n"));
    assert_non_null(strstr(text, "event=reload"));
    log_event(LOG_ERROR, "reload", "refused");
    assert_int_equal(count_lines(written()), 1);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, open_pipe, close_pipe)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(values_that_could_mislead_are_escaped),
        CASE(a_null_byte_is_escaped),
        CASE(random_values_come_back_as_they_were),
        CASE(absent_values_are_left_out),
        CASE(a_line_begins_with_time_and_event),
        CASE(numbers_and_hex),
        CASE(events_carry_level_and_message),
        CASE(a_field_that_does_not_fit_is_left_out_whole),
        CASE(a_line_never_outgrows_its_room),
        CASE(a_full_pipe_does_not_block),
        CASE(buffered_lines_wait_for_flush_and_stay_in_order),
        CASE(a_full_buffer_is_written_without_being_asked),
        CASE(what_waits_for_a_full_pipe_comes_out_whole),
        CASE(what_a_full_pipe_loses_is_counted),
        CASE(room_that_another_process_took_does_not_block),
        CASE(the_rate_lets_through_what_it_says),
        CASE(the_rate_holds_over_time),
        CASE(no_rate_no_limit),
        CASE(events_are_not_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
