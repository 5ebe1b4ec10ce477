/* test_statefile.c: store/statefile.c: the ring on disk, and what is wrong with it (R38, R39). */
#include "store/statefile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ring.h"

static char folder[] = "/tmp/reprise-statefile-XXXXXX";
static char file_path[64];
static char key_path[64];

static const struct keyring_lives lives = { ENCRYPT_S, OPEN_S };

static void file_write(const char *path, const void *data, size_t len, mode_t mode) {
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void key_write(uint64_t seed) {
    uint8_t key[40];
    rng_fill(&seed, key, sizeof(key));
    file_write(key_path, key, sizeof(key), 0600);
}

static int folder_make(void **state) {
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(file_path, sizeof(file_path), "%s/state", folder);
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    return 0;
}

static int folder_drop(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); /* NOLINT(cert-env33-c): the name is ours */
}

/* Before each test: no state, and a key. */
static int start_anew(void **state) {
    (void)state;
    unlink(file_path);
    key_write(1);
    return 0;
}

static struct statefile *open_with(bool create, struct err *err) {
    const struct statefile_place place = {
        .path = file_path, .key_path = key_path, .user = geteuid(), .create = create
    };
    return statefile_open(&place, err);
}

static struct statefile *state_open(void) {
    struct err err = { 0 };
    struct statefile *state = open_with(true, &err);
    assert_string_equal(err.text, "");
    assert_non_null(state);
    return state;
}

/* The text begins with one of the paths. */
static void refuse(const char *path, const char *error) {
    char expected[256];
    struct err err = { 0 };
    assert_null(open_with(true, &err));
    snprintf(expected, sizeof(expected), "'%s' %s", path, error);
    assert_string_equal(err.text, expected);
}

#define DOES_NOT_OPEN                                                                        \
    "does not open: it is damaged, was sealed with another state-key, or is no state file; " \
    "remove it to begin with new keys"

static void save(struct statefile *state, const struct keyring *ring, uint64_t now_s) {
    struct err err = { 0 };
    assert_int_equal(statefile_save(state, ring, now_s, &err), 0);
    assert_string_equal(err.text, "");
}

/* What the service does at a start. */
static struct keyring *restart(uint64_t now_s) {
    struct statefile *state = state_open();
    struct keyring *ring = shared_alloc(keyring_bytes());
    keyring_lay_out(ring, now_s);
    if (statefile_saved(state)) {
        assert_int_equal(keyring_restore(ring, statefile_saved(state), &lives, now_s), 0);
    }
    keyring_use_own(ring, now_s, OPEN_S);
    statefile_close(state);
    return ring;
}

/* Writes a ring to the file and drops what wrote it. */
static void save_ring(const struct keyring *ring, uint64_t now_s) {
    struct statefile *state = state_open();
    save(state, ring, now_s);
    statefile_close(state);
}

static void damage(off_t at) {
    int fd = open(file_path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static struct keyring_snapshot snapshot;

/* The key in that state, of which there is one at most; state KEY_EMPTY: none. */
static struct keyring_key key_of(const struct keyring *ring, enum keyring_state state) {
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    struct keyring_key found = { 0 };
    for (unsigned i = 0; i < snapshot.count; i++) {
        if (snapshot.keys[i].state == state) {
            assert_int_equal(found.state, KEY_EMPTY);
            found = snapshot.keys[i];
        }
    }
    return found;
}

static bool holds(const struct keyring *ring, const struct keyring_key *key) {
    return memmem(ring, keyring_bytes(), key->secret, CRYPTO_KEY_LEN) != NULL;
}

/* --- refusals ------------------------------------------------------------ */

static void another_key_does_not_open_it(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    save_ring(ring, START_S);
    key_write(2);
    refuse(file_path, DOES_NOT_OPEN);
    key_write(1);
    statefile_close(state_open());
    ring_drop(ring);
}

/* Each byte that counts, in both slots: header, ring and tag. */
static void a_damaged_file_is_refused(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    static const off_t places[] = { 0,  7,  8,  11, 12, 15,  16,    23,
                                    24, 35, 36, 39, 40, 100, 20000, 22607 };
    for (size_t i = 0; i < LENGTH(places); i++) {
        unlink(file_path);
        save_ring(ring, START_S);
        damage(places[i]);
        statefile_close(state_open()); /* the other one is good */
        damage(STATEFILE_SLOT_BYTES + places[i]);
        refuse(file_path, DOES_NOT_OPEN);
    }
    ring_drop(ring);
}

static void what_is_no_state_file_is_refused(void **state) {
    (void)state;
    char text[3 * STATEFILE_SLOT_BYTES];
    uint64_t rng = 3;
    static const size_t lengths[] = { 1, 100, STATEFILE_SLOT_BYTES, sizeof(text) };
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        rng_fill(&rng, text, sizeof(text));
        file_write(file_path, text, lengths[i], 0600);
        refuse(file_path, DOES_NOT_OPEN);
    }
    unlink(file_path);
    assert_int_equal(mkdir(file_path, 0700), 0);
    refuse(file_path, "cannot be opened: Is a directory");
    assert_int_equal(rmdir(file_path), 0);
    assert_int_equal(symlink("/dev/null", file_path), 0);
    refuse(file_path, "cannot be opened: Too many levels of symbolic links");
    unlink(file_path);
}

/* A slot in the other's place: nobody can bring an older ring back by copying it over. */
static void a_slot_is_good_in_its_place_only(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    save_ring(ring, START_S);
    char *bytes = malloc(2 * STATEFILE_SLOT_BYTES);
    assert_non_null(bytes);
    int fd = open(file_path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, bytes, 2 * STATEFILE_SLOT_BYTES, 0), 2 * STATEFILE_SLOT_BYTES);
    assert_int_equal(pwrite(fd, bytes + STATEFILE_SLOT_BYTES, STATEFILE_SLOT_BYTES, 0),
                     STATEFILE_SLOT_BYTES);
    assert_int_equal(pwrite(fd, bytes, STATEFILE_SLOT_BYTES, STATEFILE_SLOT_BYTES),
                     STATEFILE_SLOT_BYTES);
    close(fd);
    free(bytes);
    refuse(file_path, DOES_NOT_OPEN);
    ring_drop(ring);
}

/* R39 */
static void files_that_others_may_read_are_refused(void **state) {
    (void)state;
    uint8_t key[64] = { 0 };
    struct keyring *ring = ring_make();
    save_ring(ring, START_S);
    assert_int_equal(chmod(file_path, 0640), 0);
    refuse(file_path, "has mode 0640: others may read or write it, expected 0600 or 0400");
    assert_int_equal(chmod(file_path, 0600), 0);
    assert_int_equal(chmod(key_path, 0644), 0);
    refuse(key_path, "has mode 0644: others may read or write it, expected 0600 or 0400");
    file_write(key_path, "0123456789012345678901234567890", 31, 0600);
    refuse(key_path, "has 31 bytes, expected at least 32");
    file_write(key_path, key, sizeof(key), 0600);
    refuse(key_path, "is zero, wholly or in part, expected random bytes");
    memset(key, 1, sizeof(key) - 8);
    file_write(key_path, key, sizeof(key), 0600);
    refuse(key_path, "is zero, wholly or in part, expected random bytes");
    unlink(key_path);
    refuse(key_path, "cannot be opened: No such file or directory");
    ring_drop(ring);
}

static void a_ring_that_is_none_is_not_taken(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct keyring *bare = shared_alloc(keyring_bytes());
    keyring_lay_out(bare, START_S);
    assert_true(keyring_is_bare(bare));
    assert_false(keyring_is_bare(ring));
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    static struct keyring_snapshot wrong;
    for (unsigned fault = 0; fault < 6; fault++) {
        wrong = snapshot;
        switch (fault) {
        case 0:
            wrong.count = KEYRING_SLOTS + 1;
            break;
        case 1:
            wrong.keys[0].state = KEY_EMPTY;
            break;
        case 2:
            wrong.keys[0].state = KEY_WIPED + 1;
            break;
        case 3:
            wrong.keys[1].state = KEY_CURRENT;
            break;
        case 4:
            memset(wrong.keys[0].secret + 8, 0, 8);
            break;
        default:
            wrong.keys[0].from_file = 2;
            break;
        }
        assert_int_equal(keyring_restore(bare, &wrong, &lives, START_S), -1);
        assert_true(keyring_is_bare(bare));
    }
    assert_int_equal(keyring_restore(bare, &snapshot, &lives, START_S), 0);
    ring_drop(bare);
    ring_drop(ring);
}

/* --- a restart ------------------------------------------------------------ */

static void the_ring_comes_back(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    keyring_note_carry(ring, 1234);
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    save_ring(ring, START_S + ENCRYPT_S);
    struct keyring *again = restart(START_S + ENCRYPT_S + 100);
    static const enum keyring_state states[] = { KEY_NEXT, KEY_CURRENT, KEY_RETIRED };
    for (size_t i = 0; i < LENGTH(states); i++) {
        struct keyring_key was = key_of(ring, states[i]);
        struct keyring_key is = key_of(again, states[i]);
        assert_memory_equal(&was, &is, sizeof(was));
    }
    static struct keyring_list list;
    assert_int_equal(keyring_look(again, &list), 0);
    assert_int_equal(list.began_s, START_S);
    assert_int_equal(list.carry_s, 1234);
    /* The caches' key is not kept: what was in them is gone, too. */
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    assert_null(memmem(again, keyring_bytes(), snapshot.cache_secret, CRYPTO_KEY_LEN));
    ring_drop(again);
    ring_drop(ring);
}

/* R38: what is over is wiped before anything is opened or sealed. */
static void time_goes_on_while_nothing_runs(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S + ENCRYPT_S;
    keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    save_ring(ring, now_s);
    struct keyring_key retired = key_of(ring, KEY_RETIRED);
    struct keyring_key current = key_of(ring, KEY_CURRENT);
    struct keyring_key next = key_of(ring, KEY_NEXT);

    /* CURRENT's time is just over: NEXT has its turn. */
    struct keyring *again = restart(now_s + ENCRYPT_S + 10);
    assert_memory_equal(key_of(again, KEY_CURRENT).name, next.name, KEYRING_NAME_LEN);
    assert_int_equal(key_of(again, KEY_CURRENT).current_s, now_s + ENCRYPT_S + 10);
    assert_true(holds(again, &current) && holds(again, &retired));
    ring_drop(again);

    /* It has been over for longer: a NEXT that never was one is given up (R36). */
    again = restart(now_s + ENCRYPT_S + 100);
    assert_false(holds(again, &next));
    assert_memory_not_equal(key_of(again, KEY_CURRENT).name, next.name, KEYRING_NAME_LEN);
    assert_true(holds(again, &current));
    ring_drop(again);

    /* The retired one's time is over, too; CURRENT's counts from when it was due. */
    again = restart(now_s + OPEN_S);
    assert_false(holds(again, &retired));
    assert_memory_equal(key_of(again, KEY_WIPED).name, retired.name, KEYRING_NAME_LEN);
    assert_int_equal(key_of(again, KEY_RETIRED).retired_s, now_s + ENCRYPT_S);
    assert_int_equal(key_of(again, KEY_RETIRED).open_until_s, now_s + ENCRYPT_S + OPEN_S);
    ring_drop(again);

    again = restart(now_s + ENCRYPT_S + OPEN_S);
    assert_false(holds(again, &retired) || holds(again, &current) || holds(again, &next));
    assert_int_not_equal(key_of(again, KEY_CURRENT).state, KEY_EMPTY);
    ring_drop(again);
    ring_drop(ring);
}

/* The keeper is killed within a write: what the other slot has is a whole ring. */
static void a_write_cut_short_leaves_the_other_slot(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    uint64_t now_s = START_S;
    for (unsigned turn = 0; turn < 4; turn++) {
        struct statefile *file = state_open();
        save(file, ring, now_s);
        struct keyring_key current = key_of(ring, KEY_CURRENT);
        damage((off_t)(turn % 2) * STATEFILE_SLOT_BYTES + 5000);
        statefile_close(file);
        struct keyring *again = restart(now_s);
        assert_memory_equal(key_of(again, KEY_CURRENT).secret, current.secret, CRYPTO_KEY_LEN);
        ring_drop(again);
        /* The next one begins with the slot that is not good: cut short, too, it costs nothing. */
        now_s += ENCRYPT_S;
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    }
    ring_drop(ring);
}

/* R38, R39: both slots are read as whoever has file and key would. */
static void a_wiped_key_is_in_neither_slot(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct statefile *file = state_open();
    struct keyring_key first = key_of(ring, KEY_CURRENT);
    uint64_t now_s = START_S;
    bool was_there = false;
    for (unsigned turn = 0; turn < 4; turn++) {
        save(file, ring, now_s);
        for (unsigned slot = 0; slot < 2; slot++) {
            damage((off_t)(1 - slot) * STATEFILE_SLOT_BYTES);
            struct statefile *reader = state_open();
            const struct keyring_snapshot *saved = statefile_saved(reader);
            assert_non_null(saved);
            assert_null(memmem(saved, sizeof(*saved), snapshot.cache_secret, CRYPTO_KEY_LEN));
            bool there = memmem(saved, sizeof(*saved), first.secret, CRYPTO_KEY_LEN) != NULL;
            assert_int_equal(there, holds(ring, &first));
            was_there |= there;
            statefile_close(reader);
            damage((off_t)(1 - slot) * STATEFILE_SLOT_BYTES);
        }
        now_s += ENCRYPT_S;
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
    }
    assert_true(was_there);
    assert_false(holds(ring, &first));
    statefile_close(file);
    ring_drop(ring);
}

/* Sealed: no name, no secret, and no two writes of the same ring alike. */
static void the_file_shows_nothing(void **state) {
    (void)state;
    enum { LEN = 2 * STATEFILE_SLOT_BYTES };
    struct keyring *ring = ring_make();
    uint8_t *bytes = malloc(2 * LEN);
    assert_non_null(bytes);
    for (unsigned i = 0; i < 2; i++) {
        save_ring(ring, START_S);
        int fd = open(file_path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, bytes + (size_t)i * LEN, LEN, 0), LEN);
        assert_int_equal(pread(fd, bytes, 1, LEN), 0); /* and it is no longer */
        close(fd);
    }
    assert_int_equal(keyring_read(ring, &snapshot), 0);
    for (unsigned i = 0; i < snapshot.count; i++) {
        assert_null(memmem(bytes, 2 * LEN, snapshot.keys[i].secret, 8));
        assert_null(memmem(bytes, 2 * LEN, snapshot.keys[i].name, 8));
    }
    for (size_t at = 40; at < 20000; at += 16) {
        assert_memory_not_equal(bytes + at, bytes + LEN + at, 16);
        assert_memory_not_equal(bytes + at, bytes + STATEFILE_SLOT_BYTES + at, 16);
    }
    free(bytes);
    ring_drop(ring);
}

static void only_changes_are_written(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct statefile *file = state_open();
    save(file, ring, START_S);
    /* Nothing has changed: nothing is written, which would fail here. */
    assert_int_equal(unlink(file_path), 0);
    save(file, ring, START_S + 1);
    keyring_tick(ring, START_S + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    struct err err = { 0 };
    assert_int_equal(statefile_save(file, ring, START_S + ENCRYPT_S, &err), -1);
    assert_string_equal(err.text, "was removed; a reload makes it anew");
    statefile_close(file);
    ring_drop(ring);
}

/* After a reload the new keeper's object has looked at the file before the old keeper wrote. */
static void the_next_keeper_goes_on_counting(void **state) {
    (void)state;
    struct keyring *ring = ring_make();
    struct statefile *old = state_open();
    save(old, ring, START_S);
    struct statefile *new = state_open();
    uint64_t now_s = START_S;
    for (unsigned turn = 0; turn < 10; turn++) {
        now_s += ENCRYPT_S;
        keyring_tick(ring, now_s, ENCRYPT_S, OPEN_S);
        save(old, ring, now_s);
    }
    statefile_close(old);
    keyring_tick(ring, now_s + ENCRYPT_S, ENCRYPT_S, OPEN_S);
    pid_t pid = child_fork();
    if (pid == 0) {
        struct err err = { 0 };
        _exit(statefile_inherit(new, &err) != 0 ||
              statefile_save(new, ring, now_s + ENCRYPT_S, &err) != 0);
    }
    assert_int_equal(child_wait(pid), 0);
    statefile_close(new);
    struct keyring *again = restart(now_s + ENCRYPT_S);
    assert_memory_equal(key_of(again, KEY_CURRENT).secret, key_of(ring, KEY_CURRENT).secret,
                        CRYPTO_KEY_LEN);
    ring_drop(again);
    ring_drop(ring);
}

static void looking_makes_no_file(void **state) {
    (void)state;
    struct err err = { 0 };
    struct statefile *file = open_with(false, &err);
    assert_non_null(file);
    assert_null(statefile_saved(file));
    statefile_close(file);
    assert_int_equal(access(file_path, F_OK), -1);
    file = state_open();
    statefile_close(file);
    struct stat st;
    assert_int_equal(stat(file_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    statefile_close(state_open()); /* one that was never written is no fault */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, start_anew)
    const struct CMUnitTest tests[] = {
        TEST(another_key_does_not_open_it),
        TEST(a_damaged_file_is_refused),
        TEST(what_is_no_state_file_is_refused),
        TEST(a_slot_is_good_in_its_place_only),
        TEST(files_that_others_may_read_are_refused),
        TEST(a_ring_that_is_none_is_not_taken),
        TEST(the_ring_comes_back),
        TEST(time_goes_on_while_nothing_runs),
        TEST(a_write_cut_short_leaves_the_other_slot),
        TEST(a_wiped_key_is_in_neither_slot),
        TEST(the_file_shows_nothing),
        TEST(only_changes_are_written),
        TEST(the_next_keeper_goes_on_counting),
        TEST(looking_makes_no_file),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
