/* secrecy.c: see secrecy.h. */
#include "store/secrecy.h"

const char *secrecy_word(enum secrecy_kind kind) {
    static const char *const words[] = {
        [SECRECY_BOUND] = "bound",
        [SECRECY_FILES] = "none: keys from files",
        [SECRECY_CLOCK] = "unknown: the clock was set back",
    };
    return words[kind];
}

static bool has_file_key(const struct keyring_list *list) {
    for (unsigned i = 0; i < list->count; i++) {
        if (list->keys[i].from_file && list->keys[i].state != KEY_WIPED) {
            return true;
        }
    }
    return false;
}

struct secrecy secrecy_figure(const struct keyring_list *list, uint64_t cache_oldest_s,
                              uint64_t now_s) {
    if (has_file_key(list)) {
        return (struct secrecy){ .kind = SECRECY_FILES };
    }
    uint64_t oldest_s = cache_oldest_s < now_s ? cache_oldest_s : now_s;
    bool set_back = list->began_s > now_s;
    for (unsigned i = 0; i < list->count; i++) {
        const struct keyring_about *key = &list->keys[i];
        if (key->state != KEY_CURRENT && key->state != KEY_RETIRED) {
            continue; /* NEXT has sealed nothing yet; of WIPED no secret is left */
        }
        set_back = set_back || key->current_s > now_s;
        oldest_s = key->current_s < oldest_s ? key->current_s : oldest_s;
    }
    if (set_back) {
        return (struct secrecy){ .kind = SECRECY_CLOCK };
    }
    uint64_t before_s = oldest_s > list->carry_s ? oldest_s - list->carry_s : 0;
    return (struct secrecy){ .kind = SECRECY_BOUND,
                             .before_s = before_s > list->began_s ? before_s : list->began_s };
}
