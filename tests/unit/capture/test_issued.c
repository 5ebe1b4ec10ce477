/* test_issued.c: capture/issued.c. */
#include "capture/issued.h"

#include "unit.h"

static struct token numbered(uint32_t number) {
    uint8_t bytes[40] = { 0 };
    memcpy(bytes + 20, &number, sizeof(number));
    return token_of((struct bytes){ bytes, sizeof(bytes) });
}

static void what_was_issued_is_found(void **state) {
    (void)state;
    struct issued *issued = issued_new();
    assert_non_null(issued);
    struct token token = numbered(1);
    struct origin origin = { .stream = 5, .kind = TOKEN_TICKET, .place = { 9, 0 } };
    issued_add(issued, &token, &origin);
    origin.stream = 6; /* issued again: what it is now counts */
    issued_add(issued, &token, &origin);
    struct origin found;
    issued_find(issued, &token, TOKEN_TICKET, &found);
    assert_int_equal(found.stream, 6);
    issued_add(issued, &token, &(struct origin){ .stream = 4, .kind = TOKEN_TICKET });
    issued_find(issued, &token, TOKEN_TICKET, &found); /* read late, but issued before */
    assert_int_equal(found.stream, 6);
    issued_find(issued, &token, TOKEN_PSK, &found);
    assert_int_equal(found.stream, STREAM_NONE);
    struct token none = { 0 };
    issued_find(issued, &none, TOKEN_TICKET, &found);
    assert_int_equal(found.stream, STREAM_NONE);
    issued_free(issued);
}

static void the_newest_are_remembered(void **state) {
    (void)state;
    struct issued *issued = issued_new();
    assert_non_null(issued);
    const uint32_t more = 1000;
    for (uint32_t n = 0; n < ISSUED_MAX + more; n++) {
        struct token token = numbered(n);
        issued_add(issued, &token, &(struct origin){ .stream = n, .kind = TOKEN_TICKET });
    }
    for (uint32_t n = 0; n < ISSUED_MAX + more; n += 97) {
        struct token token = numbered(n);
        struct origin found;
        issued_find(issued, &token, TOKEN_TICKET, &found);
        assert_int_equal(found.stream, n < more ? STREAM_NONE : n);
    }
    issued_free(issued);
}

static void how_a_servers_tickets_begin(void **state) {
    (void)state;
    struct issued *issued = issued_new();
    assert_non_null(issued);
    static const uint8_t address[PACKET_ADDRESS_LEN] = { 10 };
    const struct stream_server server = { address, 4, 443 };
    const struct stream_server other = { address, 4, 444 };
    struct token token = numbered(1);
    assert_false(issued_ticket_key(issued, &server).known);
    issued_note_ticket(issued, &server, &token, 7);
    assert_true(issued_ticket_key(issued, &server).known);
    assert_false(issued_ticket_key(issued, &server).alike);
    token = numbered(2);
    issued_note_ticket(issued, &server, &token, 8);
    assert_true(issued_ticket_key(issued, &server).alike);
    assert_int_equal(issued_ticket_key(issued, &server).frame, 8);
    assert_false(issued_ticket_key(issued, &other).known);
    issued_free(issued);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_issued_is_found),
        cmocka_unit_test(the_newest_are_remembered),
        cmocka_unit_test(how_a_servers_tickets_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
