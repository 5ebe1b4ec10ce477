/* expected.c: directive_expected, see convert.h: what each type of directive takes, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "config/convert.h"
#include "config/limits.h"
#include "config/scalar.h"

struct phrase {
    char *buf;
    size_t cap;
    size_t used;
};

static void phrase_add(struct phrase *phrase, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void phrase_add(struct phrase *phrase, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(phrase->buf + phrase->used, phrase->cap - phrase->used, fmt, args);
    va_end(args);
    if (n > 0) {
        size_t left = phrase->cap - phrase->used - 1;
        phrase->used += (size_t)n < left ? (size_t)n : left;
    }
}

/* "a, b or c"; `more` follows as one further possibility. */
static void phrase_add_words(struct phrase *phrase, const struct config_word *words,
                             const char *more) {
    for (const struct config_word *word = words; word && word->word; word++) {
        bool last = !word[1].word;
        phrase_add(phrase, "%s%s", word->word, last ? "" : word[2].word || more ? ", " : " or ");
    }
    if (more) {
        phrase_add(phrase, "%s%s", words ? " or " : "", more);
    }
}

static void expect_number(struct phrase *phrase, const struct directive *directive) {
    char range[96];
    snprintf(range, sizeof(range), "%llu..%llu %s", (unsigned long long)directive->min,
             (unsigned long long)directive->max, directive->unit);
    phrase_add_words(phrase, directive->words, range);
}

static void expect_duration(struct phrase *phrase, const struct directive *directive) {
    char min[SCALAR_DURATION_MAX];
    char max[SCALAR_DURATION_MAX];
    uint64_t unit_ms = directive->type == TYPE_SECONDS ? 1000 : 1;
    scalar_print_duration(directive->min * unit_ms, min, sizeof(min));
    scalar_print_duration(directive->max * unit_ms, max, sizeof(max));
    char range[96];
    snprintf(range, sizeof(range), "%s..%s, such as 10s, 5m or 1h", min, max);
    phrase_add_words(phrase, directive->words, range);
}

/* The types of which all directives take the same. */
static const char *const fixed[TYPE_COUNT] = {
    [TYPE_SWITCH] = "on or off",
    [TYPE_SERVER_NAMES] = "host names such as www.example.com or *.example.com",
    [TYPE_LISTEN] =
        "addresses such as 127.0.0.1:443, [::1]:443, or 0.0.0.0:443 and [::]:443 for all",
    [TYPE_MEMBERS] = "addresses such as 192.0.2.1:8080 or [2001:db8::1]:8080",
    [TYPE_PROFILES] = "names of client-ssl-profiles",
    [TYPE_POOL_NAME] = "the name of one of the pools",
    [TYPE_FILES] = "file names",
    [TYPE_SECTION] = "directives of its own",
};

const char *directive_expected(const struct directive *directive, char *buf, size_t cap) {
    struct phrase phrase = { .buf = buf, .cap = cap };
    buf[0] = '\0';
    switch (directive->type) {
    case TYPE_NUMBER:
        expect_number(&phrase, directive);
        break;
    case TYPE_SECONDS:
    case TYPE_MILLISECONDS:
        expect_duration(&phrase, directive);
        break;
    case TYPE_WORD:
    case TYPE_PROTOCOLS:
    case TYPE_KEY_GROUPS:
        phrase_add_words(&phrase, directive->words, NULL);
        break;
    case TYPE_NAME:
        phrase_add(&phrase,
                   "at most %d letters, digits, dots, hyphens and underscores, beginning with a "
                   "letter or digit",
                   CONFIG_NAME_MAX);
        break;
    case TYPE_TEXT:
        phrase_add(&phrase, "at most %llu characters", (unsigned long long)directive->max);
        break;
    case TYPE_FILE:
        phrase_add_words(&phrase, directive->words, "a file name");
        break;
    case TYPE_SOCKET:
        phrase_add(&phrase, "auto, none or a path of at most %d bytes", CONFIG_SOCKET_PATH_MAX);
        break;
    case TYPE_TEXTS:
        phrase_add(&phrase, "names of at most %d bytes, such as http/1.1", CONFIG_ALPN_NAME_MAX);
        break;
    default:
        phrase_add(&phrase, "%s", fixed[directive->type]);
        break;
    }
    return buf;
}
