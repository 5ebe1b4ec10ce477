/* keys.c: see keys.h. */
#include "admin/keys.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hex.h"
#include "store/secrecy.h"

#define NAME_TEXT_MAX (2 * KEYRING_NAME_LEN + 1)

static const char *const state_words[] = {
    [KEY_EMPTY] = "empty",     [KEY_NEXT] = "next",   [KEY_CURRENT] = "current",
    [KEY_RETIRED] = "retired", [KEY_WIPED] = "wiped",
};

/* A key's three times; KEYRING_NEVER: none. */
struct times {
    uint64_t seals_s;
    uint64_t retires_s;
    uint64_t wiped_s;
};

/* What is to come is counted from what was. */
static struct times times_of(const struct keyring_about *key, const struct keyring_list *list,
                             const struct keyring_lives *lives) {
    if (key->state == KEY_RETIRED || key->state == KEY_WIPED) {
        return (struct times){ key->current_s, key->retired_s, key->open_until_s };
    }
    if (key->from_file) {
        return (struct times){ key->state == KEY_CURRENT ? key->current_s : KEYRING_NEVER,
                               KEYRING_NEVER, KEYRING_NEVER };
    }
    uint64_t seals_s = key->current_s;
    for (unsigned i = 0; i < list->count && key->state == KEY_NEXT; i++) {
        if (list->keys[i].state == KEY_CURRENT) {
            seals_s = list->keys[i].current_s + lives->encrypt_s;
        }
    }
    return (struct times){ seals_s, seals_s + lives->encrypt_s,
                           seals_s + lives->encrypt_s + lives->open_s };
}

static int compare_keys(const void *a, const void *b) {
    const struct keyring_about *one = a;
    const struct keyring_about *other = b;
    if (one->state != other->state) {
        return one->state < other->state ? -1 : 1;
    }
    return one->current_s == other->current_s ? 0 : one->current_s > other->current_s ? -1 : 1;
}

static const char *name_text(const struct keyring_about *key, char out[static NAME_TEXT_MAX]) {
    return hex_text(key->name, KEYRING_NAME_LEN, out);
}

static const char *time_text(uint64_t time_s, char out[static CLOCK_TEXT_MAX]) {
    return time_s == KEYRING_NEVER || time_s == 0 ? "-" : clock_text(time_s, out);
}

static void write_key_text(const struct keyring_about *key, const struct times *times,
                           uint64_t age_s, FILE *out) {
    char name[NAME_TEXT_MAX];
    char at[3][CLOCK_TEXT_MAX];
    fprintf(out, "%-32s  %-7s  %-7s  %7" PRIu64 "  %-20s  %-20s  %-20s\n", name_text(key, name),
            state_words[key->state], key->from_file ? "file" : "service", age_s,
            time_text(times->seals_s, at[0]), time_text(times->retires_s, at[1]),
            time_text(times->wiped_s, at[2]));
}

static void write_time_json(const char *name, uint64_t time_s, FILE *out) {
    char at[CLOCK_TEXT_MAX];
    if (time_s == KEYRING_NEVER || time_s == 0) {
        fprintf(out, ",\"%s\":null", name);
    } else {
        fprintf(out, ",\"%s\":\"%s\"", name, clock_text(time_s, at));
    }
}

static void write_key_json(const struct keyring_about *key, const struct times *times,
                           uint64_t age_s, FILE *out) {
    char name[NAME_TEXT_MAX];
    fprintf(out, "{\"name\":\"%s\",\"state\":\"%s\",\"from\":\"%s\",\"age-s\":%" PRIu64,
            name_text(key, name), state_words[key->state], key->from_file ? "file" : "service",
            age_s);
    write_time_json("seals-from", times->seals_s, out);
    write_time_json("only-opens-from", times->retires_s, out);
    write_time_json("wiped", times->wiped_s, out);
    fputc('}', out);
}

static void write_figure(const struct secrecy *figure, FILE *out, bool json) {
    char before[CLOCK_TEXT_MAX];
    clock_text(figure->before_s, before);
    if (json && figure->kind == SECRECY_BOUND) {
        fprintf(out, "{\"kind\":\"bound\",\"before\":\"%s\",\"before-s\":%" PRIu64 "}", before,
                figure->before_s);
    } else if (json) {
        fprintf(out, "{\"kind\":\"%s\",\"before\":null,\"before-s\":null}",
                figure->kind == SECRECY_FILES ? "none" : "unknown");
    } else if (figure->kind == SECRECY_BOUND) {
        fprintf(out,
                "what was recorded before %s can no longer be decrypted with what this machine "
                "holds\n",
                before);
    } else if (figure->kind == SECRECY_FILES) {
        fputs("keys come from files: whatever was recorded, whoever has the files decrypts it\n",
              out);
    } else {
        fputs("the clock was set back: it is not known what can no longer be decrypted\n", out);
    }
}

void keys_write(const struct keyring_list *list, const struct keyring_lives *lives, uint64_t now_s,
                FILE *out, bool json) {
    struct keyring_list sorted = *list;
    struct secrecy figure = secrecy_figure(list, list->cache_oldest_s, now_s);
    unsigned wiped = 0;
    qsort(sorted.keys, sorted.count, sizeof(sorted.keys[0]), compare_keys);
    if (json) {
        fputs("{\"keys\":[", out);
    } else {
        fprintf(out, "%-32s  %-7s  %-7s  %7s  %-20s  %-20s  %-20s\n", "key", "state", "from",
                "age (s)", "seals from", "only opens from", "wiped");
    }
    for (unsigned i = 0; i < sorted.count; i++) {
        const struct keyring_about *key = &sorted.keys[i];
        struct times times = times_of(key, list, lives);
        uint64_t age_s = now_s > key->made_s ? now_s - key->made_s : 0;
        if (key->state == KEY_WIPED && ++wiped > KEYS_WIPED_SHOWN) {
            break;
        }
        if (json) {
            fputs(i > 0 ? "," : "", out);
            write_key_json(key, &times, age_s, out);
        } else {
            write_key_text(key, &times, age_s, out);
        }
    }
    fputs(json ? "],\"forward-secrecy\":" : "", out);
    write_figure(&figure, out, json);
    fputs(json ? "}\n" : "", out);
}
