/* test_bytes.c: base/bytes.h. */
#include "base/bytes.h"

#include <stdlib.h>

#include "unit.h"

/* A block of exactly this size: the sanitizer sees one byte too many. */
static uint8_t *exact(size_t len) {
    uint8_t *block = malloc(len > 0 ? len : 1);
    assert_non_null(block);
    for (size_t i = 0; i < len; i++) {
        block[i] = (uint8_t)(i + 1);
    }
    return block;
}

typedef uint64_t (*read_function)(struct cursor *c);

static uint64_t read_u8(struct cursor *c) {
    return cursor_u8(c);
}

static uint64_t read_u16(struct cursor *c) {
    return cursor_u16(c);
}

static uint64_t read_u24(struct cursor *c) {
    return cursor_u24(c);
}

static uint64_t read_u32(struct cursor *c) {
    return cursor_u32(c);
}

static uint64_t read_u64(struct cursor *c) {
    return cursor_u64(c);
}

static const struct number {
    read_function read;
    size_t len;
    uint64_t value; /* of the bytes 1, 2, 3... */
} numbers[] = {
    { read_u8, 1, 0x01 },
    { read_u16, 2, 0x0102 },
    { read_u24, 3, 0x010203 },
    { read_u32, 4, 0x01020304 },
    { read_u64, 8, 0x0102030405060708 },
};

static void a_number_that_does_not_fit_fails_and_is_zero(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        for (size_t len = 0; len < numbers[i].len; len++) {
            uint8_t *block = exact(len);
            struct cursor c = cursor_of((struct bytes){ block, len });
            uint64_t value = numbers[i].read(&c);
            assert_true(c.failed);
            assert_false(cursor_done(&c));
            assert_int_equal(cursor_left(&c), 0);
            /* What was read before the end was met is in the upper half at most. */
            assert_true(len == 0 ? value == 0 : value != numbers[i].value);
            free(block);
        }
    }
}

static void numbers_are_big_endian(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        uint8_t *block = exact(numbers[i].len);
        struct cursor c = cursor_of((struct bytes){ block, numbers[i].len });
        assert_int_equal(numbers[i].read(&c), numbers[i].value);
        assert_true(cursor_done(&c));
        free(block);
    }
    static const uint8_t high[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe };
    struct cursor c = cursor_of((struct bytes){ high, sizeof(high) });
    assert_true(cursor_u64(&c) == 0xfffffffffffffffe);
}

static void the_first_error_sticks(void **state) {
    (void)state;
    uint8_t *block = exact(3);
    struct cursor c = cursor_of((struct bytes){ block, 3 });
    assert_int_equal(cursor_u8(&c), 1);
    assert_null(cursor_take(&c, 3).data);
    /* Two bytes are there, but nothing is read any more. */
    assert_true(c.failed);
    assert_int_equal(cursor_left(&c), 0);
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        assert_int_equal(numbers[i].read(&c), 0);
    }
    struct bytes none = cursor_take(&c, 0);
    assert_null(none.data);
    assert_int_equal(none.len, 0);
    assert_int_equal(cursor_vec8(&c).len, 0);
    assert_true(c.failed);
    assert_false(cursor_done(&c));
    free(block);
}

static void take_refuses_lengths_that_would_wrap(void **state) {
    (void)state;
    static const size_t lengths[] = { 4, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1 };
    uint8_t *block = exact(3);
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        struct cursor c = cursor_of((struct bytes){ block, 3 });
        assert_null(cursor_take(&c, lengths[i]).data);
        assert_true(c.failed);
    }
    free(block);
}

static void nothing_can_be_read_from_an_empty_run(void **state) {
    (void)state;
    struct cursor c = cursor_of((struct bytes){ 0 });
    assert_true(cursor_done(&c));
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(cursor_take(&c, 0).len, 0);
    assert_true(cursor_done(&c));
    cursor_u8(&c);
    assert_true(c.failed);
}

static void take_gives_views_in_order(void **state) {
    (void)state;
    uint8_t *block = exact(5);
    struct cursor c = cursor_of((struct bytes){ block, 5 });
    struct bytes first = cursor_take(&c, 2);
    struct bytes empty = cursor_take(&c, 0);
    struct bytes rest = cursor_take(&c, 3);
    assert_ptr_equal(first.data, block);
    assert_int_equal(first.len, 2);
    assert_int_equal(empty.len, 0);
    assert_ptr_equal(rest.data, block + 2);
    assert_int_equal(rest.len, 3);
    assert_true(cursor_done(&c));
    free(block);
}

static struct bytes vec8(struct cursor *c) {
    return cursor_vec8(c);
}

static struct bytes vec16(struct cursor *c) {
    return cursor_vec16(c);
}

static struct bytes vec24(struct cursor *c) {
    return cursor_vec24(c);
}

/* A vector is refused when its length or its body is cut anywhere, or promises more than
 * is there. */
static void vectors_are_bounded(void **state) {
    (void)state;
    struct bytes (*const reads[])(struct cursor * c) = { vec8, vec16, vec24 };
    for (size_t width = 1; width <= LENGTH(reads); width++) {
        size_t whole = width + 3;
        for (size_t len = 0; len <= whole; len++) {
            uint8_t *block = exact(len);
            memset(block, 0, len < width ? len : width);
            if (len >= width) {
                block[width - 1] = 3;
            }
            struct cursor c = cursor_of((struct bytes){ block, len });
            struct bytes body = reads[width - 1](&c);
            assert_int_equal(c.failed, len < whole);
            assert_int_equal(body.len, len < whole ? 0 : 3);
            assert_ptr_equal(body.data, len < whole ? NULL : block + width);
            free(block);
        }
        uint8_t *block = exact(16);
        memset(block, 0xff, width);
        struct cursor c = cursor_of((struct bytes){ block, 16 });
        assert_null(reads[width - 1](&c).data);
        assert_true(c.failed);
        free(block);
    }
}

static void done_wants_every_byte_read(void **state) {
    (void)state;
    uint8_t *block = exact(2);
    struct cursor c = cursor_of((struct bytes){ block, 2 });
    cursor_u8(&c);
    assert_false(cursor_done(&c));
    assert_int_equal(cursor_left(&c), 1);
    cursor_u8(&c);
    assert_true(cursor_done(&c));
    free(block);
}

static void runs_are_compared_by_length_and_content(void **state) {
    (void)state;
    assert_true(bytes_equal(bytes_of("abc"), bytes_of("abc")));
    assert_false(bytes_equal(bytes_of("abc"), bytes_of("abd")));
    assert_false(bytes_equal(bytes_of("abc"), bytes_of("ab")));
    assert_false(bytes_equal(bytes_of("ab"), bytes_of("abc")));
    assert_false(bytes_equal(bytes_of("a"), (struct bytes){ 0 }));
    assert_true(bytes_equal(bytes_of(""), (struct bytes){ 0 }));
    assert_true(bytes_equal((struct bytes){ 0 }, (struct bytes){ 0 }));
}

static void writer_keeps_to_its_room(void **state) {
    (void)state;
    uint8_t *block = exact(4);
    memset(block, 0xee, 4);
    struct writer w = writer_of(block, 4);
    writer_u16(&w, 0x0102);
    writer_put(&w, "xyz", 3);
    assert_true(w.failed);
    /* Neither what did not fit nor what would fit after it. */
    writer_u8(&w, 7);
    writer_put(&w, NULL, 0);
    assert_true(w.failed);
    assert_int_equal(w.at - block, 2);
    static const uint8_t expected[] = { 1, 2, 0xee, 0xee };
    assert_memory_equal(block, expected, sizeof(expected));
    free(block);
}

static void writer_takes_exactly_its_room(void **state) {
    (void)state;
    uint8_t *block = exact(15);
    struct writer w = writer_of(block, 15);
    writer_u8(&w, 0x01);
    writer_u16(&w, 0x0203);
    writer_u32(&w, 0x04050607);
    writer_u64(&w, 0x08090a0b0c0d0e0f);
    writer_put(&w, NULL, 0);
    assert_false(w.failed);
    assert_ptr_equal(w.at, block + 15);
    struct cursor c = cursor_of((struct bytes){ block, 15 });
    for (unsigned i = 1; i <= 15; i++) {
        assert_int_equal(cursor_u8(&c), i);
    }
    assert_true(cursor_done(&c));
    writer_u8(&w, 0);
    assert_true(w.failed);
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_that_does_not_fit_fails_and_is_zero),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(the_first_error_sticks),
        cmocka_unit_test(take_refuses_lengths_that_would_wrap),
        cmocka_unit_test(nothing_can_be_read_from_an_empty_run),
        cmocka_unit_test(take_gives_views_in_order),
        cmocka_unit_test(vectors_are_bounded),
        cmocka_unit_test(done_wants_every_byte_read),
        cmocka_unit_test(runs_are_compared_by_length_and_content),
        cmocka_unit_test(writer_keeps_to_its_room),
        cmocka_unit_test(writer_takes_exactly_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
