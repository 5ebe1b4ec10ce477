/* statefile.c: see statefile.h for the layout. */
#include "store/statefile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/secretfile.h"

#define SLOTS 2u
#define SCANS 3u
#define SCAN_PAUSE_NS 20000000
#define VERSION 1u
#define MAGIC_LEN 8u
#define HEAD_LEN (MAGIC_LEN + 4 + 4 + 8 + CRYPTO_NONCE_LEN + 4)
#define KEY_LEN_SAVED (KEYRING_NAME_LEN + CRYPTO_KEY_LEN + 4 + 4 + 4 * 8)
#define PLAIN_LEN (8 + 8 + 4 + 4 + KEYRING_SLOTS * KEY_LEN_SAVED)
#define SEALED_LEN (PLAIN_LEN + CRYPTO_TAG_LEN)

static_assert(HEAD_LEN + SEALED_LEN <= STATEFILE_SLOT_BYTES, "a whole ring fits a slot");

static const uint8_t magic[MAGIC_LEN] = { 'R', 'P', 'R', 'S', 'T', 'A', 'T', 'E' };

struct statefile {
    int fd;           /* owned; -1: there is no file, and none was to be made */
    pid_t scanned_by; /* the process that knows what is in the slots: another may have written */
    bool has_saved;
    unsigned stale;      /* the slot to write first: the older one, or one that is not good */
    uint64_t sequence;   /* of the newer one */
    uint64_t generation; /* of the ring as it was last saved; 0: not yet */
    struct crypto_aead aead;
    struct keyring_snapshot saved; /* what the file held, or the ring about to be written */
    uint8_t plain[PLAIN_LEN];
    uint8_t slot[STATEFILE_SLOT_BYTES];
};

/* --- a ring as bytes ------------------------------------------------------ */

static void encode(const struct keyring_snapshot *ring, uint64_t now_s,
                   uint8_t plain[static PLAIN_LEN]) {
    struct writer w = writer_of(plain, PLAIN_LEN);
    memset(plain, 0, PLAIN_LEN);
    writer_u64(&w, now_s);
    writer_u64(&w, ring->began_s);
    writer_u32(&w, ring->carry_s);
    writer_u32(&w, ring->count);
    for (unsigned i = 0; i < ring->count; i++) {
        const struct keyring_key *key = &ring->keys[i];
        writer_put(&w, key->name, sizeof(key->name));
        writer_put(&w, key->secret, sizeof(key->secret));
        writer_u32(&w, key->state);
        writer_u32(&w, key->from_file);
        writer_u64(&w, key->made_s);
        writer_u64(&w, key->current_s);
        writer_u64(&w, key->retired_s);
        writer_u64(&w, key->open_until_s);
    }
    assert(!w.failed);
}

static void take(struct cursor *c, void *out, size_t len) {
    struct bytes from = cursor_take(c, len);
    if (from.data) {
        memcpy(out, from.data, len);
    }
}

static int decode(struct bytes plain, struct keyring_snapshot *ring) {
    struct cursor c = cursor_of(plain);
    crypto_wipe(ring, sizeof(*ring));
    cursor_u64(&c); /* when it was written */
    ring->began_s = cursor_u64(&c);
    ring->carry_s = cursor_u32(&c);
    ring->count = cursor_u32(&c);
    if (ring->count > KEYRING_SLOTS) {
        ring->count = 0;
        return -1;
    }
    for (unsigned i = 0; i < ring->count; i++) {
        struct keyring_key *key = &ring->keys[i];
        take(&c, key->name, sizeof(key->name));
        take(&c, key->secret, sizeof(key->secret));
        key->state = cursor_u32(&c);
        key->from_file = cursor_u32(&c);
        key->made_s = cursor_u64(&c);
        key->current_s = cursor_u64(&c);
        key->retired_s = cursor_u64(&c);
        key->open_until_s = cursor_u64(&c);
    }
    return c.failed ? -1 : 0;
}

/* --- slots ---------------------------------------------------------------- */

static int slot_read(struct statefile *state, unsigned slot) {
    size_t got = 0;
    while (got < sizeof(state->slot)) {
        ssize_t n = pread(state->fd, state->slot + got, sizeof(state->slot) - got,
                          (off_t)slot * STATEFILE_SLOT_BYTES + (off_t)got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        got += (size_t)n;
    }
    return 0;
}

/* Opens what slot_read read, into state->plain. */
static int slot_open(struct statefile *state, unsigned slot, uint64_t *sequence) {
    struct cursor c = cursor_of((struct bytes){ state->slot, HEAD_LEN });
    struct bytes found = cursor_take(&c, MAGIC_LEN);
    uint32_t version = cursor_u32(&c);
    uint32_t number = cursor_u32(&c);
    *sequence = cursor_u64(&c);
    struct bytes nonce = cursor_take(&c, CRYPTO_NONCE_LEN);
    if (memcmp(found.data, magic, MAGIC_LEN) != 0 || version != VERSION || number != slot) {
        return -1;
    }
    return crypto_aead_open(&state->aead, nonce.data, (struct bytes){ state->slot, HEAD_LEN },
                            (struct bytes){ state->slot + HEAD_LEN, SEALED_LEN }, state->plain);
}

static int slot_write(struct statefile *state, unsigned slot, struct err *err) {
    struct writer w = writer_of(state->slot, sizeof(state->slot));
    uint8_t nonce[CRYPTO_NONCE_LEN];
    memset(state->slot, 0, sizeof(state->slot));
    crypto_random(nonce, sizeof(nonce));
    writer_put(&w, magic, sizeof(magic));
    writer_u32(&w, VERSION);
    writer_u32(&w, slot);
    writer_u64(&w, state->sequence + 1);
    writer_put(&w, nonce, sizeof(nonce));
    if (crypto_aead_seal(&state->aead, nonce, (struct bytes){ state->slot, HEAD_LEN },
                         (struct bytes){ state->plain, PLAIN_LEN }, state->slot + HEAD_LEN) != 0) {
        return err_set(err, "the key ring cannot be sealed");
    }
    for (size_t put = 0; put < sizeof(state->slot);) {
        ssize_t n = pwrite(state->fd, state->slot + put, sizeof(state->slot) - put,
                           (off_t)slot * STATEFILE_SLOT_BYTES + (off_t)put);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return err_set_errno(err, n < 0 ? errno : EIO, "cannot be written");
        }
        put += (size_t)n;
    }
    if (fsync(state->fd) != 0) {
        return err_set_errno(err, errno, "cannot be written");
    }
    state->sequence++;
    return 0;
}

/* Looks at both slots; `keep`: what the newer one holds goes to state->saved. Returns how
 * many are good, -1: one opened and made no sense. */
static int scan(struct statefile *state, bool keep) {
    int good = 0;
    int rc = 0;
    state->stale = 0;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        uint64_t sequence;
        if (slot_read(state, slot) != 0 || slot_open(state, slot, &sequence) != 0) {
            continue;
        }
        if (good == 0 || sequence > state->sequence) {
            state->sequence = sequence;
            state->stale = (slot + 1) % SLOTS;
            rc = keep ? decode((struct bytes){ state->plain, PLAIN_LEN }, &state->saved) : 0;
        }
        good++;
    }
    crypto_wipe(state->plain, sizeof(state->plain));
    state->scanned_by = getpid();
    state->has_saved = keep && good > 0 && rc == 0;
    return rc == 0 ? good : -1;
}

/* --- the file -------------------------------------------------------------- */

static int key_load(struct statefile *state, const struct statefile_place *place, struct err *err) {
    struct secretfile file;
    if (secretfile_read(&file, place->key_path, place->user, STATEFILE_KEY_MAX, err) != 0) {
        return -1;
    }
    int rc = 0;
    if (file.len < STATEFILE_KEY_MIN) {
        rc = err_set(err, "'%s' has %zu bytes, expected at least %u", place->key_path, file.len,
                     STATEFILE_KEY_MIN);
    } else if (crypto_has_zero_part(file.data, file.len)) {
        rc =
            err_set(err, "'%s' is zero, wholly or in part, expected random bytes", place->key_path);
    } else {
        uint8_t key[CRYPTO_KEY_LEN];
        crypto_extract("reprise state file v1", (struct bytes){ file.data, file.len }, key);
        rc = crypto_aead_init(&state->aead, key) == 0
                 ? 0
                 : err_set(err, "'%s' cannot be used", place->key_path);
        crypto_wipe(key, sizeof(key));
    }
    secretfile_drop(&file);
    return rc;
}

/* At a reload the keeper may be at its two writes just while both slots are looked at. */
static int scan_patiently(struct statefile *state) {
    const struct timespec pause = { .tv_nsec = SCAN_PAUSE_NS };
    int good = scan(state, true);
    for (unsigned i = 1; i < SCANS && good == 0; i++) {
        nanosleep(&pause, NULL);
        good = scan(state, true);
    }
    return good;
}

/* An empty file is one that was made and never written. */
static int file_load(struct statefile *state, const struct statefile_place *place,
                     struct err *err) {
    int flags = place->create ? O_RDWR | O_CREAT : O_RDONLY;
    struct stat st;
    state->fd = open(place->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (state->fd < 0) {
        return errno == ENOENT && !place->create
                   ? 0
                   : err_set_errno(err, errno, "'%s' cannot be opened", place->path);
    }
    if (secretfile_check(state->fd, place->path, place->user, err) != 0) {
        return -1;
    }
    if (fstat(state->fd, &st) == 0 && st.st_size == 0) {
        return 0;
    }
    return scan_patiently(state) > 0
               ? 0
               : err_set(err,
                         "'%s' does not open: it is damaged, was sealed with another state-key, or "
                         "is no state file; remove it to begin with new keys",
                         place->path);
}

struct statefile *statefile_open(const struct statefile_place *place, struct err *err) {
    struct statefile *state = secret_alloc(sizeof(*state));
    if (!state) {
        err_set(err, "cannot lock %zu bytes in memory for '%s' (see ulimit -l)", sizeof(*state),
                place->path);
        return NULL;
    }
    state->fd = -1;
    if (key_load(state, place, err) != 0 || file_load(state, place, err) != 0) {
        statefile_close(state);
        return NULL;
    }
    return state;
}

const struct keyring_snapshot *statefile_saved(const struct statefile *state) {
    return state->has_saved ? &state->saved : NULL;
}

void statefile_forget(struct statefile *state) {
    crypto_wipe(&state->saved, sizeof(state->saved));
    state->has_saved = false;
}

int statefile_inherit(struct statefile *state, struct err *err) {
    return secret_lock(state, sizeof(*state)) == 0
               ? 0
               : err_set_errno(err, errno, "cannot lock %zu bytes in memory for keys",
                               sizeof(*state));
}

/* Both slots, one after the other is safe. */
static int slots_write(struct statefile *state, struct err *err) {
    unsigned first = state->stale;
    if (slot_write(state, first, err) != 0) {
        return -1;
    }
    state->stale = (first + 1) % SLOTS;
    return slot_write(state, state->stale, err);
}

int statefile_save(struct statefile *state, const struct keyring *ring, uint64_t now_s,
                   struct err *err) {
    struct stat st;
    if (state->generation != 0 && keyring_generation(ring) == state->generation) {
        return 0;
    }
    if (fstat(state->fd, &st) != 0 || st.st_nlink == 0) {
        return err_set(err, "was removed; a reload makes it anew");
    }
    if (state->scanned_by != getpid()) {
        scan(state, false); /* the keeper before this one has written, or died at it */
    }
    if (keyring_read(ring, &state->saved) != 0) {
        return err_set(err, "the key ring is being written");
    }
    encode(&state->saved, now_s, state->plain);
    int rc = slots_write(state, err);
    state->generation = rc == 0 ? state->saved.generation : 0;
    crypto_wipe(state->plain, sizeof(state->plain));
    statefile_forget(state);
    return rc;
}

void statefile_close(struct statefile *state) {
    if (state) {
        if (state->fd >= 0) {
            close(state->fd);
        }
        crypto_aead_fini(&state->aead);
        secret_free(state, sizeof(*state));
    }
}
