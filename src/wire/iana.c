/* iana.c: wire/iana.def as a sorted table, and the search in it. */
#include "wire/iana.h"

#include <stdbool.h>
#include <stddef.h>

#define KEY(kind, code) ((uint32_t)(kind) << 16 | (code))

static const struct name {
    uint32_t key;
    const char *text;
} names[] = {
#define NAME(kind, code, text) { KEY(NAME_##kind, code), text },
#include "wire/iana.def"
#undef NAME
};

/* RFC 8701 2: 0x0a0a, 0x1a1a ... 0xfafa. */
static bool is_grease(enum name_kind kind, uint16_t code) {
    bool reserved = kind == NAME_VERSION || kind == NAME_EXTENSION || kind == NAME_GROUP ||
                    kind == NAME_CIPHER_SUITE;
    return reserved && (code & 0x0f0f) == 0x0a0a && code >> 8 == (code & 0xff);
}

const char *iana_find(enum name_kind kind, uint16_t code) {
    if (is_grease(kind, code)) {
        return "GREASE";
    }
    uint32_t key = KEY(kind, code);
    size_t low = 0;
    size_t high = sizeof(names) / sizeof(names[0]);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (names[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < sizeof(names) / sizeof(names[0]) && names[low].key == key;
    return found ? names[low].text : NULL;
}
