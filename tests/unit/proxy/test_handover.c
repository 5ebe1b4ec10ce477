/* test_handover.c: proxy/handover.c: packets that are cut short, too long, of another
 * kind, or with other descriptors than they should have. */
#include "proxy/handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "unit.h"

static const uint8_t address[] = { 2, 0, 31, 144, 127, 0, 0, 1 };

static struct handover_item listener(void) {
    return (struct handover_item){ .kind = HANDOVER_LISTENER,
                                   .name = bytes_of("https"),
                                   .first = 0x0102030405060708u,
                                   .second = UINT64_MAX,
                                   .address = { address, sizeof(address) },
                                   .bound = { address, 4 } };
}

static void an_item_comes_back(void **state) {
    (void)state;
    struct handover_item item = listener();
    struct handover_item out = { 0 };
    uint8_t buf[HANDOVER_BYTES_MAX];
    size_t len = handover_encode(&item, buf, sizeof(buf));
    assert_int_equal(len, 1 + 2 + 5 + 8 + 8 + 1 + 8 + 1 + 4);
    assert_int_equal(handover_decode((struct bytes){ buf, len }, 3, &out), 0);
    assert_int_equal(out.kind, HANDOVER_LISTENER);
    assert_true(bytes_equal(out.name, item.name));
    assert_true(out.first == item.first && out.second == item.second);
    assert_true(bytes_equal(out.address, item.address));
    assert_true(bytes_equal(out.bound, item.bound));
    assert_int_equal(out.fd_count, 3);
}

/* Programs of other versions read these bytes: they stay as they are. */
static void the_first_words_stay_as_they_are(void **state) {
    (void)state;
    static const uint8_t hello[] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0
    };
    const struct handover_item item = { .kind = HANDOVER_HELLO,
                                        .first = HANDOVER_VERSION_OLDEST,
                                        .second = HANDOVER_VERSION };
    uint8_t buf[HANDOVER_BYTES_MAX];
    assert_int_equal(handover_encode(&item, buf, sizeof(buf)), sizeof(hello));
    assert_memory_equal(buf, hello, sizeof(hello));
    assert_int_equal(HANDOVER_FAILED, 8);
}

static void every_cut_is_refused(void **state) {
    (void)state;
    struct handover_item item = listener();
    struct handover_item out;
    uint8_t buf[HANDOVER_BYTES_MAX];
    size_t len = handover_encode(&item, buf, sizeof(buf));
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(handover_decode((struct bytes){ buf, cut }, 1, &out), -1);
    }
    buf[len] = 0;
    assert_int_equal(handover_decode((struct bytes){ buf, len + 1 }, 1, &out), -1);
}

static void an_unknown_kind_is_refused(void **state) {
    (void)state;
    struct handover_item item = { .kind = HANDOVER_END };
    struct handover_item out;
    uint8_t buf[HANDOVER_BYTES_MAX];
    size_t len = handover_encode(&item, buf, sizeof(buf));
    assert_int_equal(handover_decode((struct bytes){ buf, len }, 0, &out), 0);
    buf[0] = HANDOVER_KINDS;
    assert_int_equal(handover_decode((struct bytes){ buf, len }, 0, &out), -1);
    buf[0] = 255;
    assert_int_equal(handover_decode((struct bytes){ buf, len }, 0, &out), -1);
}

static void other_descriptors_than_the_kinds_are_refused(void **state) {
    (void)state;
    static const struct {
        enum handover_kind kind;
        size_t min, max;
    } kinds[] = {
        { HANDOVER_HELLO, 0, 0 },   { HANDOVER_BEGIN, 0, 0 },
        { HANDOVER_REGION, 1, 1 },  { HANDOVER_LISTENER, 1, HANDOVER_FDS_MAX },
        { HANDOVER_CONTROL, 1, 1 }, { HANDOVER_GO, 0, 0 },
    };
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        struct handover_item item = { .kind = kinds[i].kind };
        struct handover_item out;
        uint8_t buf[HANDOVER_BYTES_MAX];
        size_t len = handover_encode(&item, buf, sizeof(buf));
        for (size_t count = 0; count <= HANDOVER_FDS_MAX + 1; count++) {
            int expected = count >= kinds[i].min && count <= kinds[i].max ? 0 : -1;
            assert_int_equal(handover_decode((struct bytes){ buf, len }, count, &out), expected);
        }
    }
}

static void what_does_not_fit_is_not_written(void **state) {
    (void)state;
    static const uint8_t much[UINT16_MAX + 1];
    uint8_t buf[HANDOVER_BYTES_MAX];
    struct handover_item item = listener();
    size_t len = handover_encode(&item, buf, sizeof(buf));
    assert_int_equal(handover_encode(&item, buf, len), len);
    assert_int_equal(handover_encode(&item, buf, len - 1), 0);
    item.address = (struct bytes){ much, 256 };
    assert_int_equal(handover_encode(&item, buf, sizeof(buf)), 0);
    item = listener();
    item.name = (struct bytes){ much, UINT16_MAX + 1 };
    assert_int_equal(handover_encode(&item, buf, sizeof(buf)), 0);
    item.name.len = HANDOVER_BYTES_MAX;
    struct err err = { 0 };
    assert_int_equal(handover_send(STDERR_FILENO, &item, &err), -1);
    assert_non_null(strstr(err.text, "listener"));
}

static void pair(int ends[2]) {
    const struct timeval soon = { .tv_usec = 20000 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)), 0);
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void descriptors_go_over_and_are_closed_on_exec(void **state) {
    (void)state;
    int ends[2];
    int pipes[2];
    struct handover_packet packet = { 0 };
    struct err err = { 0 };
    pair(ends);
    assert_int_equal(pipe(pipes), 0);
    struct handover_item item = listener();
    item.fd_count = HANDOVER_FDS_MAX;
    for (size_t i = 0; i < HANDOVER_FDS_MAX; i++) {
        item.fds[i] = pipes[1];
    }
    assert_int_equal(handover_send(ends[0], &item, &err), 0);
    assert_int_equal(handover_receive(ends[1], &packet, &err), 1);
    assert_int_equal(packet.item.fd_count, HANDOVER_FDS_MAX);
    int last = packet.item.fds[HANDOVER_FDS_MAX - 1];
    assert_int_equal(fcntl(last, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(last, "x", 1), 1);
    char byte = 0;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    handover_close_fds(&packet.item);
    assert_false(is_open(last));
    assert_int_equal(close(ends[0]) | close(ends[1]) | close(pipes[0]) | close(pipes[1]), 0);
}

/* What is refused leaves nothing open. */
static void descriptors_of_a_refused_item_are_closed(void **state) {
    (void)state;
    int ends[2];
    struct handover_packet packet = { 0 };
    struct err err = { 0 };
    pair(ends);
    int next = dup(STDERR_FILENO);
    assert_int_equal(close(next), 0);
    struct handover_item item = { .kind = HANDOVER_END,
                                  .fd_count = 2,
                                  .fds = { STDERR_FILENO, STDERR_FILENO } };
    assert_int_equal(handover_send(ends[0], &item, &err), 0);
    assert_int_equal(handover_receive(ends[1], &packet, &err), -1);
    assert_non_null(strstr(err.text, "does not understand"));
    assert_int_equal(packet.item.fd_count, 0);
    int after = dup(STDERR_FILENO);
    assert_int_equal(after, next);
    assert_int_equal(close(after) | close(ends[0]) | close(ends[1]), 0);
}

static void silence_and_the_end_are_told_apart(void **state) {
    (void)state;
    int ends[2];
    struct handover_packet packet = { 0 };
    struct err err = { 0 };
    pair(ends);
    assert_int_equal(handover_receive(ends[1], &packet, &err), -1);
    assert_non_null(strstr(err.text, "says nothing"));
    assert_int_equal(close(ends[0]), 0);
    err_clear(&err);
    assert_int_equal(handover_receive(ends[1], &packet, &err), 0);
    assert_false(err.set);
    struct handover_item item = { .kind = HANDOVER_READY };
    assert_int_equal(handover_send(ends[1], &item, &err), -1);
    assert_int_equal(close(ends[1]), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_comes_back),
        cmocka_unit_test(the_first_words_stay_as_they_are),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(an_unknown_kind_is_refused),
        cmocka_unit_test(other_descriptors_than_the_kinds_are_refused),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(descriptors_go_over_and_are_closed_on_exec),
        cmocka_unit_test(descriptors_of_a_refused_item_are_closed),
        cmocka_unit_test(silence_and_the_end_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
