/* test_shm.c: base/shm.c. */
#include "base/shm.h"

#include "unit.h"

static void create_refuses_a_size_that_cannot_be(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "much", SIZE_MAX / 2, false, &err), -1);
    assert_true(err.set);
    assert_non_null(strstr(err.text, "'much'"));
    assert_int_equal(shm.fd, -1);
    assert_null(shm.base);
    shm_close(&shm);
}

/* R39: keys never lie in memory that can be swapped out. */
static void create_refuses_a_secret_that_cannot_be_locked(void **state) {
    (void)state;
    pid_t pid = child_fork();
    if (pid == 0) {
        struct shm shm;
        struct err err = { 0 };
        if (child_drop_memlock() != 0) {
            _exit(2);
        }
        _exit(shm_create(&shm, "keys", 4096, true, &err) == 0 ? 3
              : !strstr(err.text, "ulimit -l")                ? 4
              : shm.fd != -1 || shm.base                      ? 5
              : shm_create(&shm, "cache", 4096, false, &err)  ? 6
                                                              : 0);
    }
    assert_int_equal(child_wait(pid), MLOCK_WORKS ? 0 : 3);
}

static void a_region_is_zeroed_and_shared(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    size_t len = 3 * 4096 + 5;
    assert_int_equal(shm_create(&shm, "region", len, false, &err), 0);
    assert_false(err.set);
    assert_int_equal(shm.len, len);
    volatile uint8_t *bytes = shm.base;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(bytes[i], 0);
    }
    bytes[0] = 7;
    pid_t pid = child_fork();
    if (pid == 0) {
        int status = bytes[0] == 7 ? 0 : 1;
        bytes[len - 1] = 9;
        shm_close(&shm);
        _exit(status);
    }
    assert_int_equal(child_wait(pid), 0);
    /* The child closed its own; ours is still there. */
    assert_int_equal(bytes[len - 1], 9);
    shm_close(&shm);
}

/* As another program does it that was given the descriptor. */
static void an_adopted_region_is_the_same_memory(void **state) {
    (void)state;
    struct shm made;
    struct shm adopted;
    struct err err = { 0 };
    assert_int_equal(shm_create(&made, "keys", 5000, true, &err), 0);
    ((uint8_t *)made.base)[4999] = 7;
    assert_int_equal(shm_adopt(&adopted, dup(made.fd), 5000, true, &err), 0);
    assert_ptr_not_equal(adopted.base, made.base);
    assert_int_equal(((const uint8_t *)adopted.base)[4999], 7);
    /* R39: its mapping needs both anew. */
    assert_int_equal(mapping_has_flag(adopted.base, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(adopted.base, " dd"));
    shm_close(&made);
    ((uint8_t *)adopted.base)[0] = 9;
    shm_close(&adopted);
}

static void adopt_refuses_another_size_and_closes(void **state) {
    (void)state;
    static const size_t sizes[] = { 0, 4095, 4097, SIZE_MAX };
    struct shm made;
    struct err err = { 0 };
    assert_int_equal(shm_create(&made, "region", 4096, false, &err), 0);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        struct shm shm;
        int fd = dup(made.fd);
        err_clear(&err);
        assert_int_equal(shm_adopt(&shm, fd, sizes[i], false, &err), -1);
        assert_true(err.set);
        assert_int_equal(shm.fd, -1);
        assert_null(shm.base);
        assert_int_equal(close(fd), -1);
    }
    shm_close(&made);
}

static void close_may_be_repeated(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "region", 4096, false, &err), 0);
    int fd = shm.fd;
    shm_close(&shm);
    assert_int_equal(shm.fd, -1);
    assert_null(shm.base);
    /* Whoever is given the number next keeps it. */
    int other = dup(STDERR_FILENO);
    assert_true(other >= 0);
    assert_int_equal(other, fd);
    shm_close(&shm);
    assert_int_equal(close(other), 0);
}

/* R39 */
static void a_secret_region_is_locked_and_left_out_of_dumps(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "keys", 2 * 4096, true, &err), 0);
    const uint8_t *last = (const uint8_t *)shm.base + shm.len - 1;
    assert_int_equal(mapping_has_flag(shm.base, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(shm.base, " dd"));
    assert_int_equal(mapping_has_flag(last, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(last, " dd"));
    /* A mapping made anew needs both anew. */
    assert_int_equal(shm_make_readonly(&shm, true, &err), 0);
    assert_int_equal(mapping_has_flag(shm.base, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(shm.base, " dd"));
    shm_close(&shm);
}

static void a_read_only_region_takes_no_store(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "keys", 4096, true, &err), 0);
    volatile uint8_t *writer = shm.base;
    writer[10] = 1;
    pid_t pid = child_fork();
    if (pid == 0) {
        if (shm_make_readonly(&shm, true, &err) != 0 || shm.fd != -1) {
            _exit(2);
        }
        volatile uint8_t *reader = shm.base;
        if (reader[10] != 1) {
            _exit(3);
        }
        reader[10] = 2;
        _exit(0);
    }
    assert_int_equal(child_wait(pid), -SIGSEGV);
    assert_int_equal(writer[10], 1);
    shm_close(&shm);
}

/* Not even a worker that runs foreign code gets the right back. */
static void a_read_only_region_stays_so(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "keys", 4096, true, &err), 0);
    assert_int_equal(shm_make_readonly(&shm, true, &err), 0);
    assert_int_equal(mprotect(shm.base, shm.len, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(mprotect(shm.base, shm.len, PROT_READ), 0);
    shm_close(&shm);
}

static void a_read_only_region_follows_its_writer(void **state) {
    (void)state;
    struct shm shm;
    struct err err = { 0 };
    assert_int_equal(shm_create(&shm, "keys", 4096, true, &err), 0);
    volatile uint8_t *writer = shm.base;
    int turn[2];
    assert_int_equal(pipe(turn), 0);
    pid_t pid = child_fork();
    if (pid == 0) {
        char byte;
        if (shm_make_readonly(&shm, true, &err) != 0 || read(turn[0], &byte, 1) != 1) {
            _exit(2);
        }
        const volatile uint8_t *reader = shm.base;
        _exit(reader[4095]);
    }
    writer[4095] = 42;
    assert_int_equal(write(turn[1], "", 1), 1);
    assert_int_equal(child_wait(pid), 42);
    assert_int_equal(close(turn[0]) | close(turn[1]), 0);
    shm_close(&shm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_refuses_a_size_that_cannot_be),
        cmocka_unit_test(create_refuses_a_secret_that_cannot_be_locked),
        cmocka_unit_test(a_region_is_zeroed_and_shared),
        cmocka_unit_test(an_adopted_region_is_the_same_memory),
        cmocka_unit_test(adopt_refuses_another_size_and_closes),
        cmocka_unit_test(close_may_be_repeated),
        cmocka_unit_test(a_secret_region_is_locked_and_left_out_of_dumps),
        cmocka_unit_test(a_read_only_region_takes_no_store),
        cmocka_unit_test(a_read_only_region_stays_so),
        cmocka_unit_test(a_read_only_region_follows_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
