/* scalar.c: see scalar.h. */
#include "config/scalar.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"

static bool is_one_of(const char *text, const char *const *words) {
    while (*words && strcmp(text, *words) != 0) {
        words++;
    }
    return *words != NULL;
}

int scalar_switch(const char *text, bool *value) {
    static const char *const on[] = { "on", "true", "yes", NULL };
    static const char *const off[] = { "off", "false", "no", NULL };
    *value = is_one_of(text, on);
    return *value || is_one_of(text, off) ? 0 : -1;
}

/* Reads the digits that text begins with; returns what follows them, or null. */
static const char *read_digits(const char *text, uint64_t *value) {
    *value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (unsigned)(*at - '0'), value)) {
            return NULL;
        }
    }
    return at == text ? NULL : at;
}

int scalar_number(const char *text, uint64_t *value) {
    const char *rest = read_digits(text, value);
    return rest && !*rest ? 0 : -1;
}

struct unit {
    const char *name;
    uint64_t ms;
};

/* Largest first: the first that divides a value prints it. */
static const struct unit units[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};

int scalar_duration_ms(const char *text, uint64_t *value_ms) {
    uint64_t count;
    const char *rest = read_digits(text, &count);
    if (!rest) {
        return -1;
    }
    const char *name = *rest ? rest : "s";
    for (const struct unit *unit = units; unit->name; unit++) {
        if (strcmp(unit->name, name) == 0) {
            return __builtin_mul_overflow(count, unit->ms, value_ms) ? -1 : 0;
        }
    }
    return -1;
}

const char *scalar_print_duration(uint64_t value_ms, char *buf, size_t cap) {
    if (value_ms == 0) {
        snprintf(buf, cap, "0s");
        return buf;
    }
    const struct unit *unit = units;
    while (value_ms % unit->ms != 0) {
        unit++;
    }
    /* One day reads better as the 24 hours that people write. */
    if (unit == units && value_ms == unit->ms) {
        unit++;
    }
    snprintf(buf, cap, "%llu%s", (unsigned long long)(value_ms / unit->ms), unit->name);
    return buf;
}

/* The host's part of an address: its first byte and length, and the port's text. */
struct address_parts {
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    bool is_v6;
    const char *port;
};

static int split_address(const char *text, struct address_parts *parts) {
    parts->is_v6 = text[0] == '[';
    const char *host = parts->is_v6 ? text + 1 : text;
    size_t len = strcspn(host, parts->is_v6 ? "]" : ":");
    if (len >= sizeof(parts->host)) {
        return -1;
    }
    memcpy(parts->host, host, len);
    parts->host[len] = '\0';
    const char *rest = host + len;
    if (parts->is_v6) {
        if (*rest != ']') {
            return -1;
        }
        rest++;
    }
    if (*rest != ':') {
        return -1;
    }
    parts->port = rest + 1;
    return 0;
}

/* A link-local address is complete only with the interface it is on (RFC 4007 11). */
static int read_scope(char *host, uint32_t *scope) {
    char *percent = strchr(host, '%');
    if (!percent) {
        return 0;
    }
    *percent = '\0';
    *scope = if_nametoindex(percent + 1);
    return *scope != 0 ? 0 : -1;
}

int scalar_address(const char *text, struct sockaddr_storage *addr, socklen_t *addr_len) {
    struct address_parts parts;
    uint64_t port;
    if (split_address(text, &parts) != 0 || scalar_number(parts.port, &port) != 0 ||
        port > UINT16_MAX) {
        return -1;
    }
    memset(addr, 0, sizeof(*addr));
    if (!parts.is_v6) {
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        if (inet_pton(AF_INET, parts.host, &v4.sin_addr) != 1) {
            return -1;
        }
        memcpy(addr, &v4, sizeof(v4));
        *addr_len = sizeof(v4);
        return 0;
    }
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    if (read_scope(parts.host, &v6.sin6_scope_id) != 0 ||
        inet_pton(AF_INET6, parts.host, &v6.sin6_addr) != 1) {
        return -1;
    }
    memcpy(addr, &v6, sizeof(v6));
    *addr_len = sizeof(v6);
    return 0;
}

uint16_t scalar_port(const struct sockaddr_storage *addr) {
    /* Both families keep the port in the same place. */
    struct sockaddr_in v4;
    memcpy(&v4, addr, sizeof(v4));
    return ntohs(v4.sin_port);
}

const char *scalar_print_address(const struct sockaddr_storage *addr, char *buf, size_t cap) {
    char host[INET6_ADDRSTRLEN] = "";
    if (addr->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, addr, sizeof(v4));
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
        snprintf(buf, cap, "%s:%u", host, scalar_port(addr));
        return buf;
    }
    struct sockaddr_in6 v6;
    memcpy(&v6, addr, sizeof(v6));
    inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
    if (v6.sin6_scope_id != 0) {
        snprintf(buf, cap, "[%s%%%u]:%u", host, v6.sin6_scope_id, scalar_port(addr));
    } else {
        snprintf(buf, cap, "[%s]:%u", host, scalar_port(addr));
    }
    return buf;
}

static bool is_label(const char *label, size_t len) {
    if (len == 0 || len > CONFIG_HOST_LABEL_MAX || label[0] == '-' || label[len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isascii(label[i]) || (!isalnum(label[i]) && label[i] != '-' && label[i] != '_')) {
            return false;
        }
    }
    return true;
}

static bool is_ascii(const char *text) {
    while (*text && isascii(*text)) {
        text++;
    }
    return !*text;
}

const char *scalar_server_name(const char *text, char *buf, size_t cap) {
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    if (!is_ascii(text)) {
        return "has letters outside ASCII; write its xn-- form";
    }
    if (len > CONFIG_HOST_NAME_MAX || len >= cap) {
        return "is longer than 253 characters";
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = (char)tolower((unsigned char)text[i]);
    }
    buf[len] = '\0';
    struct in_addr v4;
    if (inet_pton(AF_INET, buf, &v4) == 1) {
        return "is an address; clients send no addresses as server names";
    }
    const char *label = buf;
    if (strncmp(label, "*.", 2) == 0) {
        label += 2;
    } else if (strchr(label, '*')) {
        return "has a '*' that is not the whole leftmost label";
    }
    for (;; label++) {
        size_t label_len = strcspn(label, ".");
        if (memchr(label, '*', label_len)) {
            return "has a '*' that is not the whole leftmost label";
        }
        if (!is_label(label, label_len)) {
            return "is not a host name";
        }
        label += label_len;
        if (!*label) {
            return NULL;
        }
    }
}

bool scalar_is_name(const char *text) {
    if (!isascii(text[0]) || !isalnum(text[0])) {
        return false;
    }
    return text[strspn(
               text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

const char *scalar_shown(const char *text, char *buf, size_t cap) {
    static const char more[] = "...";
    size_t i = 0;
    for (; text[i] && i + sizeof(more) < cap; i++) {
        buf[i] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
    }
    buf[i] = '\0';
    if (text[i]) {
        /* Not in the middle of a UTF-8 sequence. */
        while (i > 0 && ((unsigned char)text[i] & 0xc0) == 0x80) {
            i--;
        }
        memcpy(buf + i, more, sizeof(more));
    }
    return buf;
}
