/* options.c: see options.h. */
#include "load/options.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 256
#define ALPN_MAX 255

static const struct {
    const char *word;
    const char *text;
} kinds[LOAD_KINDS] = {
    [LOAD_FULL] = { "full", "full handshakes" },
    [LOAD_ID] = { "id", "TLS 1.2 by session ID" },
    [LOAD_TICKET] = { "ticket", "TLS 1.2 by ticket" },
    [LOAD_PSK] = { "psk", "TLS 1.3 PSK" },
    [LOAD_PLAIN] = { "plain", "TCP without TLS" },
};

static const char *const aborts[LOAD_ABORTS] = {
    [LOAD_ABORT_NONE] = "none",
    [LOAD_ABORT_HELLO] = "hello",
    [LOAD_ABORT_HANDSHAKE] = "handshake",
};

bool load_kind_resumes(enum load_kind kind) {
    return kind == LOAD_ID || kind == LOAD_TICKET || kind == LOAD_PSK;
}

const char *load_kind_word(enum load_kind kind) {
    return kinds[kind].word;
}

const char *load_kind_text(enum load_kind kind) {
    return kinds[kind].text;
}

const char *load_abort_word(enum load_abort abort) {
    return aborts[abort];
}

void load_options_init(struct load_options *options) {
    *options = (struct load_options){
        .resume = 1,
        .connections = 64,
        .max_open = 10000,
        .timeout_ms = 5000,
        .workers = 1,
        .path = "/",
        .session_life_ms = 300000,
    };
}

void load_free_names(struct load_options *options) {
    for (size_t i = 0; i < options->name_count; i++) {
        free(options->names[i]);
    }
    free(options->names);
    options->names = NULL;
    options->name_count = 0;
}

void load_options_free(struct load_options *options) {
    load_free_names(options);
    free((void *)options->alpn.data);
    options->alpn = (struct bytes){ 0 };
}

/* The next word of a list with commas between, in `word`. Returns whether there was one;
 * one that is too long is cut. */
static bool next_word(const char **at, char word[static WORD_MAX]) {
    if (!*at) {
        return false;
    }
    size_t len = strcspn(*at, ",");
    size_t kept = len < WORD_MAX ? len : WORD_MAX - 1;
    memcpy(word, *at, kept);
    word[kept] = '\0';
    *at = (*at)[len] == ',' ? *at + len + 1 : NULL;
    return true;
}

int load_read_share(const char *text, double *share, struct err *err) {
    char *end = NULL;
    *share = strtod(text, &end);
    /* written so that a NaN is refused as well */
    if (end == text || *end != '\0' || !(*share >= 0 && *share <= 1)) {
        return err_set(err, "'%s': expected a share, 0 to 1", text);
    }
    return 0;
}

int load_read_bytes(const char *text, uint64_t *bytes, struct err *err) {
    static const char units[] = "kMG";
    char *end = NULL;
    uint64_t value = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    unsigned shift = 0;
    if (end && *end) {
        const char *unit = strchr(units, *end == 'K' ? 'k' : *end);
        shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
        end += unit ? 1 : 0;
    }
    if (!end || *end != '\0' || value > (UINT64_MAX >> 16) >> shift) {
        return err_set(err, "'%s': expected a number of bytes, such as 100, 16k or 1G", text);
    }
    *bytes = value << shift;
    return 0;
}

int load_read_kinds(struct load_options *options, const char *text, struct err *err) {
    char word[WORD_MAX];
    memset(options->kinds, 0, sizeof(options->kinds));
    for (const char *at = text; next_word(&at, word);) {
        int kind = 0;
        while (kind < LOAD_KINDS && strcmp(word, kinds[kind].word) != 0) {
            kind++;
        }
        if (kind == LOAD_KINDS) {
            return err_set(err, "'%s': expected full, id, ticket, psk, plain, or several of them",
                           word);
        }
        options->kinds[kind] = true;
    }
    return 0;
}

int load_read_abort(struct load_options *options, const char *text, struct err *err) {
    double share = 1;
    size_t len = strcspn(text, ":");
    if (text[len] == ':' && load_read_share(text + len + 1, &share, err) != 0) {
        return -1;
    }
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        if (strlen(aborts[i]) == len && strncmp(text, aborts[i], len) == 0) {
            options->abort_share[i] = share;
            return 0;
        }
    }
    return err_set(err, "'%s': expected hello or handshake, perhaps with :SHARE", text);
}

int load_read_payload(struct load_options *options, const char *text, struct err *err) {
    char there[WORD_MAX];
    size_t len = strcspn(text, ":");
    options->ask = LOAD_ASK_PAYLOAD;
    options->echo = text[len] != ':';
    if (len >= sizeof(there)) {
        return err_set(err, "expected bytes");
    }
    memcpy(there, text, len);
    there[len] = '\0';
    if (load_read_bytes(there, &options->send_bytes, err) != 0) {
        return -1;
    }
    options->expect_bytes = options->send_bytes;
    return options->echo ? 0 : load_read_bytes(text + len + 1, &options->expect_bytes, err);
}

int load_read_alpn(struct load_options *options, const char *text, struct err *err) {
    char word[WORD_MAX];
    uint8_t *wire = malloc(strlen(text) + 1);
    size_t used = 0;
    if (!wire) {
        return err_set(err, "out of memory");
    }
    free((void *)options->alpn.data);
    options->alpn = (struct bytes){ wire, 0 };
    for (const char *at = text; next_word(&at, word);) {
        size_t len = strlen(word);
        if (len == 0 || len > ALPN_MAX) {
            return err_set(err, "'%s': expected names of protocols, such as h2,http/1.1", text);
        }
        wire[used++] = (uint8_t)len;
        for (size_t i = 0; i < len; i++) {
            wire[used++] = (uint8_t)word[i];
        }
    }
    options->alpn.len = used;
    return 0;
}

int load_read_names(struct load_options *options, const char *text, struct err *err) {
    char word[WORD_MAX];
    size_t count = 1;
    for (const char *at = text; *at; at++) {
        count += *at == ',';
    }
    char **names = calloc(count, sizeof(*names));
    if (!names) {
        return err_set(err, "out of memory");
    }
    load_free_names(options);
    options->names = names;
    for (const char *at = text; next_word(&at, word);) {
        if (*word == '\0') {
            return err_set(err, "'%s': expected server names, with commas between", text);
        }
        names[options->name_count] = strdup(word);
        if (!names[options->name_count++]) {
            return err_set(err, "out of memory");
        }
    }
    return 0;
}

int load_read_close(struct load_options *options, const char *text, struct err *err) {
    static const char *const words[] = {
        [LOAD_CLOSE_WAIT] = "wait", [LOAD_CLOSE_FIN] = "fin", [LOAD_CLOSE_RESET] = "reset"
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            options->close = (enum load_close)i;
            return 0;
        }
    }
    return err_set(err, "'%s': expected wait, fin or reset", text);
}

static int add_source(struct load_options *options, const char *text, struct err *err) {
    struct load_address *a = &options->sources[options->source_count];
    struct sockaddr_in *in = (struct sockaddr_in *)&a->addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->addr;
    if (options->source_count == LOAD_SOURCES_MAX) {
        return err_set(err, "more than %d source addresses", LOAD_SOURCES_MAX);
    }
    *a = (struct load_address){ 0 };
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        a->addr.ss_family = AF_INET;
        a->len = sizeof(*in);
    } else if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        a->addr.ss_family = AF_INET6;
        a->len = sizeof(*in6);
    } else {
        return err_set(err, "'%s': expected a numeric address", text);
    }
    options->source_count++;
    return 0;
}

/* "127.0.0.2-127.0.0.9" */
static int add_source_range(struct load_options *options, char *word, struct err *err) {
    char *last = strchr(word, '-');
    struct in_addr from;
    struct in_addr to;
    *last++ = '\0';
    if (inet_pton(AF_INET, word, &from) != 1 || inet_pton(AF_INET, last, &to) != 1 ||
        ntohl(from.s_addr) > ntohl(to.s_addr)) {
        return err_set(err, "'%s-%s': expected a range of IPv4 addresses", word, last);
    }
    for (uint64_t at = ntohl(from.s_addr); at <= ntohl(to.s_addr); at++) {
        char text[INET_ADDRSTRLEN];
        struct in_addr one = { htonl((uint32_t)at) };
        if (add_source(options, inet_ntop(AF_INET, &one, text, sizeof(text)), err) != 0) {
            return -1;
        }
    }
    return 0;
}

int load_read_sources(struct load_options *options, const char *text, struct err *err) {
    char word[WORD_MAX];
    options->source_count = 0;
    for (const char *at = text; next_word(&at, word);) {
        int rc = strchr(word, '-') ? add_source_range(options, word, err)
                                   : add_source(options, word, err);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

int load_read_target(struct load_options *options, const char *text, struct err *err) {
    char host[WORD_MAX];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    const char *start = text;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        start++;
        len -= 2;
    }
    if (!colon || len == 0 || len >= sizeof(host)) {
        return err_set(err, "'%s': expected HOST:PORT", text);
    }
    if (options->target_count == LOAD_TARGETS_MAX) {
        return err_set(err, "more than %d servers", LOAD_TARGETS_MAX);
    }
    memcpy(host, start, len);
    host[len] = '\0';
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc != 0) {
        return err_set(err, "'%s': %s", text, gai_strerror(rc));
    }
    struct load_address *target = &options->targets[options->target_count++];
    memcpy(&target->addr, found->ai_addr, found->ai_addrlen);
    target->len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int load_options_check(const struct load_options *options, struct err *err) {
    double aborted = 0;
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        aborted += options->abort_share[i];
    }
    if (aborted > 1) {
        return err_set(err, "more than all connections are to be aborted");
    }
    if (options->target_count == 0) {
        return err_set(err, "expected HOST:PORT");
    }
    if (options->tls == 0x0303 && options->kinds[LOAD_PSK]) {
        return err_set(err, "kind psk is TLS 1.3's, and --tls 1.2 was asked for");
    }
    if (options->tls == 0x0304 && (options->kinds[LOAD_ID] || options->kinds[LOAD_TICKET])) {
        return err_set(err, "kinds id and ticket are TLS 1.2's, and --tls 1.3 was asked for");
    }
    if (options->idle > 0 && (options->rate > 0 || options->count > 0 || aborted > 0)) {
        return err_set(err, "--idle goes with neither --rate, --count nor --abort");
    }
    if (options->kinds[LOAD_PLAIN] && (aborted > 0 || options->ask == LOAD_ASK_NOTHING)) {
        return err_set(err, "kind plain goes with neither --abort nor --no-request");
    }
    for (size_t i = 0; i < options->source_count; i++) {
        if (options->sources[i].addr.ss_family != options->targets[0].addr.ss_family) {
            return err_set(err, "the source addresses are of another family than the server's");
        }
    }
    return 0;
}

/* Two independent parts of the random bits, each 0 to just below 1. */
static double part_low(uint64_t random) {
    return (double)(random & 0xffffffff) / 4294967296.0;
}

static double part_high(uint64_t random) {
    return (double)(random >> 32) / 4294967296.0;
}

struct load_plan load_draw(const struct load_options *options, uint64_t random) {
    struct load_plan plan = { .kind = LOAD_FULL };
    unsigned count = 0;
    for (int i = 0; i < LOAD_KINDS; i++) {
        count += options->kinds[i];
    }
    /* Which kind, and what is left of that number, spread over 0 to 1 again, whether it resumes. */
    double at = part_low(random) * (count > 0 ? count : 1);
    unsigned wanted = (unsigned)at;
    for (int i = 0; i < LOAD_KINDS; i++) {
        if (options->kinds[i] && wanted-- == 0) {
            plan.kind = (enum load_kind)i;
            break;
        }
    }
    plan.resume = load_kind_resumes(plan.kind) && at - (unsigned)at < options->resume;
    double abort = part_high(random);
    for (int i = LOAD_ABORT_HELLO; i < LOAD_ABORTS; i++) {
        if (abort < options->abort_share[i]) {
            plan.abort = (enum load_abort)i;
            break;
        }
        abort -= options->abort_share[i];
    }
    return plan;
}
