/* test_inspect.c: capture/inspect.c with flow.c: streams are handed out once, in time, and never
 * more are open than may be. What they hold is tested with whole captures (tests/program). */
#include "capture/inspect.h"

#include "unit.h"

#define LINK_RAW 101
#define SECOND 1000000000ull

static uint32_t handed[1000];
static unsigned handed_count;

static void on_stream(void *context, const struct stream *stream) {
    (void)context;
    assert_true(handed_count < LENGTH(handed));
    handed[handed_count++] = stream->number;
}

static void send(struct inspect *inspect, uint16_t port, uint32_t seq, uint8_t flags,
                 uint64_t time_ns) {
    uint8_t packet[40] = { 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };
    packet[20] = (uint8_t)(port >> 8);
    packet[21] = (uint8_t)port;
    packet[23] = 99;
    packet[24] = (uint8_t)(seq >> 24);
    packet[27] = (uint8_t)seq;
    packet[32] = 0x50;
    packet[33] = flags;
    inspect_packet(inspect, LINK_RAW, (struct bytes){ packet, sizeof(packet) }, sizeof(packet),
                   time_ns);
}

static struct inspect *start(unsigned streams_max) {
    handed_count = 0;
    struct inspect *inspect = inspect_new(
        &(struct inspect_options){ .streams_max = streams_max, .on_stream = on_stream });
    assert_non_null(inspect);
    return inspect;
}

static void streams_are_bounded(void **state) {
    (void)state;
    struct inspect *inspect = start(10);
    for (uint16_t port = 1; port <= 100; port++) {
        send(inspect, port, 1, TCP_SYN, port);
    }
    assert_int_equal(handed_count, 90);
    assert_int_equal(handed[0], 0); /* the longest idle first */
    send(inspect, 1, 2, TCP_ACK, 200);
    assert_int_equal(inspect_counts(inspect).tcp_streams, 100); /* late, and no new stream */
    inspect_finish(inspect);
    assert_int_equal(handed_count, 100);
    inspect_free(inspect);
}

static void idle_and_closed_streams_are_handed_out(void **state) {
    (void)state;
    struct inspect *inspect = start(0);
    send(inspect, 1, 1, TCP_SYN, 0);
    send(inspect, 2, 1, TCP_SYN, 0);
    send(inspect, 2, 2, TCP_RST, SECOND);
    send(inspect, 3, 1, TCP_SYN, (INSPECT_LINGER_S + 2) * SECOND);
    assert_int_equal(handed_count, 1);
    assert_int_equal(handed[0], 1);
    send(inspect, 3, 2, TCP_ACK, (INSPECT_IDLE_S + 1) * SECOND);
    assert_int_equal(handed_count, 2);
    assert_int_equal(handed[1], 0);
    inspect_finish(inspect);
    assert_int_equal(handed_count, 3);
    inspect_free(inspect);
}

/* A file's packet may have any time: one that is odd, or a second clock, ends nothing. */
static void an_odd_clock_ends_no_stream(void **state) {
    (void)state;
    handed_count = 0;
    struct inspect *inspect = inspect_new(
        &(struct inspect_options){ .step_ns = INSPECT_STEP_NS, .on_stream = on_stream });
    assert_non_null(inspect);
    send(inspect, 1, 1, TCP_SYN, SECOND);
    send(inspect, 2, 1, TCP_RST, SECOND);
    for (uint64_t i = 0; i < 1000; i++) {
        send(inspect, 3, 1, TCP_ACK, i % 2 ? SECOND : 3600 * SECOND);
    }
    assert_int_equal(handed_count, 0);
    for (uint64_t i = 0; i < INSPECT_LINGER_S * SECOND / INSPECT_STEP_NS; i++) {
        send(inspect, 3, 1, TCP_ACK, SECOND + i * INSPECT_STEP_NS);
    }
    assert_int_equal(handed_count, 1);
    assert_int_equal(handed[0], 1);
    inspect_free(inspect);
}

static void time_passes_without_packets(void **state) {
    (void)state;
    handed_count = 0;
    struct inspect *inspect =
        inspect_new(&(struct inspect_options){ .linger_s = 2, .on_stream = on_stream });
    assert_non_null(inspect);
    send(inspect, 1, 1, TCP_SYN, SECOND);
    send(inspect, 2, 1, TCP_RST, SECOND);
    inspect_tick(inspect, 3 * SECOND);
    assert_int_equal(handed_count, 0);
    inspect_tick(inspect, 4 * SECOND);
    assert_int_equal(handed_count, 1);
    assert_int_equal(handed[0], 1);
    inspect_tick(inspect, SECOND); /* the clock was set back */
    assert_int_equal(handed_count, 1);
    inspect_free(inspect);
}

static void a_new_syn_is_a_new_stream(void **state) {
    (void)state;
    struct inspect *inspect = start(0);
    send(inspect, 1, 1, TCP_SYN, 0);
    send(inspect, 1, 1, TCP_SYN, 1);
    assert_int_equal(inspect_counts(inspect).tcp_streams, 1);
    send(inspect, 1, 9, TCP_SYN, 2);
    assert_int_equal(inspect_counts(inspect).tcp_streams, 2);
    assert_int_equal(handed_count, 1);
    inspect_free(inspect);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_bounded),
        cmocka_unit_test(idle_and_closed_streams_are_handed_out),
        cmocka_unit_test(an_odd_clock_ends_no_stream),
        cmocka_unit_test(time_passes_without_packets),
        cmocka_unit_test(a_new_syn_is_a_new_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
