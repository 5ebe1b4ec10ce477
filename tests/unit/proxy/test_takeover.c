/* test_takeover.c: proxy/takeover.c and proxy/shared.c, with the running service's side
 * played here: what it would say is in the socket before the new program asks. */
#include "proxy/takeover.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/handover.h"
#include "proxy/shared.h"
#include "unit.h"

/* A running service: its end of the socket, and what it has. */
struct service {
    int channel;
    struct shared shared;
};

static void begin(struct service *s) {
    struct err err = { 0 };
    char number[16];
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    snprintf(number, sizeof(number), "%d", ends[1]);
    assert_int_equal(setenv(HANDOVER_VARIABLE, number, 1), 0);
    s->channel = ends[0];
    shared_clear(&s->shared);
    assert_int_equal(shared_init(&s->shared, NULL, &err), 0);
}

static void end(struct service *s) {
    shared_fini(&s->shared, true);
    assert_int_equal(close(s->channel), 0);
}

static void say(const struct service *s, struct handover_item item) {
    struct err err = { 0 };
    assert_int_equal(handover_send(s->channel, &item, &err), 0);
}

static void say_begin(const struct service *s) {
    say(s,
        (struct handover_item){ .kind = HANDOVER_BEGIN, .first = HANDOVER_VERSION, .second = 41 });
}

static void say_end(const struct service *s) {
    say(s, (struct handover_item){ .kind = HANDOVER_END });
}

/* What the new program said: its hello, then perhaps why not. */
static void expect(const struct service *s, enum handover_kind kind, const char *text) {
    struct handover_packet packet = { 0 };
    struct err err = { 0 };
    assert_int_equal(handover_receive(s->channel, &packet, &err), 1);
    assert_int_equal(packet.item.kind, kind);
    if (text) {
        char said[ERR_TEXT_MAX];
        snprintf(said, sizeof(said), "%.*s", (int)packet.item.name.len,
                 (const char *)packet.item.name.data);
        assert_non_null(strstr(said, text));
    }
}

static struct takeover *take(void) {
    struct takeover *t = NULL;
    struct err err = { 0 };
    assert_int_equal(takeover_begin(&t, &err), 0);
    assert_false(err.set);
    assert_null(getenv(HANDOVER_VARIABLE));
    return t;
}

static int fds_open(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void a_plain_start_takes_nothing(void **state) {
    (void)state;
    unsetenv(HANDOVER_VARIABLE);
    assert_null(take());
}

static void the_variable_must_name_a_socket(void **state) {
    (void)state;
    static const char *const values[] = { "", "x", "2", "-1", "250", "4294967299", "5 " };
    for (size_t i = 0; i < LENGTH(values); i++) {
        struct takeover *t = NULL;
        struct err err = { 0 };
        assert_int_equal(setenv(HANDOVER_VARIABLE, values[i], 1), 0);
        assert_int_equal(takeover_begin(&t, &err), -1);
        assert_non_null(strstr(err.text, HANDOVER_VARIABLE));
    }
}

static void regions_are_shared_afterwards(void **state) {
    (void)state;
    struct service s;
    struct err err = { 0 };
    begin(&s);
    say_begin(&s);
    assert_int_equal(shared_hand_over(&s.shared, s.channel, &err), 0);
    say_end(&s);
    struct takeover *t = take();
    struct shared mine;
    shared_clear(&mine);
    assert_int_equal(shared_init(&mine, t, &err), 0);
    assert_ptr_not_equal(mine.keyring, s.shared.keyring);
    assert_memory_equal(mine.keyring, s.shared.keyring, keyring_bytes());
    counter_add(&mine.counters[3], COUNT_CONNECTIONS, 7);
    assert_int_equal(s.shared.counters[3].value[COUNT_CONNECTIONS], 7);
    assert_int_equal(mapping_has_flag(mine.keyring, " lo"), MLOCK_WORKS);
    assert_true(mapping_has_flag(mine.keyring, " dd"));
    struct generation *gen = takeover_generation(t, &err);
    assert_int_equal(gen->number, 41);
    generation_free(gen, NULL);
    takeover_free(t);
    shared_fini(&mine, false);
    expect(&s, HANDOVER_HELLO, NULL);
    end(&s);
}

/* Another size, another layout, another name: each is made anew, and nothing leaks. */
static void a_region_that_does_not_fit_is_not_taken(void **state) {
    (void)state;
    int before = fds_open();
    struct service s;
    struct err err = { 0 };
    begin(&s);
    say_begin(&s);
    struct handover_item item = { .kind = HANDOVER_REGION,
                                  .name = bytes_of("keyring"),
                                  .first = keyring_bytes() + 1,
                                  .second = keyring_layout(),
                                  .fd_count = 1,
                                  .fds = { s.shared.keyring_shm.fd } };
    say(&s, item);
    item.first--;
    item.second++;
    say(&s, item);
    item.second--;
    item.name = bytes_of("keyringx");
    say(&s, item);
    say_end(&s);
    struct takeover *t = take();
    assert_int_equal(takeover_region(t, "keyring", keyring_bytes(), keyring_layout()), -1);
    struct shared mine;
    shared_clear(&mine);
    assert_int_equal(shared_init(&mine, t, &err), 0);
    assert_memory_not_equal(mine.keyring, s.shared.keyring, keyring_bytes());
    shared_fini(&mine, true);
    takeover_free(t);
    end(&s);
    assert_int_equal(fds_open(), before);
}

/* Told as of the right size, and it is not: that is no reason to go on. */
static void a_region_that_is_shorter_than_told_is_refused(void **state) {
    (void)state;
    struct service s;
    struct err err = { 0 };
    begin(&s);
    say_begin(&s);
    struct shm small;
    assert_int_equal(shm_create(&small, "small", 64, false, &err), 0);
    say(&s, (struct handover_item){ .kind = HANDOVER_REGION,
                                    .name = bytes_of("keyring"),
                                    .first = keyring_bytes(),
                                    .second = keyring_layout(),
                                    .fd_count = 1,
                                    .fds = { small.fd } });
    say_end(&s);
    struct takeover *t = take();
    struct shared mine;
    shared_clear(&mine);
    assert_int_equal(shared_init(&mine, t, &err), -1);
    assert_non_null(strstr(err.text, "handed over"));
    shared_fini(&mine, false);
    takeover_free(t);
    shm_close(&small);
    end(&s);
}

static struct handover_item listener_item(const struct sockaddr_in *address,
                                          const struct sockaddr_in *bound) {
    return (struct handover_item){ .kind = HANDOVER_LISTENER,
                                   .address = { (const uint8_t *)address, sizeof(*address) },
                                   .bound = { (const uint8_t *)bound, sizeof(*bound) },
                                   .fd_count = 2,
                                   .fds = { STDERR_FILENO, STDERR_FILENO } };
}

/* One of many sockets comes in pieces; two of any port are two. */
static void sockets_are_joined_by_their_addresses(void **state) {
    (void)state;
    struct service s;
    struct err err = { 0 };
    const struct sockaddr_in any = { .sin_family = AF_INET };
    const struct sockaddr_in one = { .sin_family = AF_INET, .sin_port = htons(1) };
    const struct sockaddr_in two = { .sin_family = AF_INET, .sin_port = htons(2) };
    begin(&s);
    say_begin(&s);
    say(&s, listener_item(&any, &one));
    say(&s, listener_item(&any, &one));
    say(&s, listener_item(&any, &two));
    say_end(&s);
    struct takeover *t = take();
    struct generation *gen = takeover_generation(t, &err);
    assert_int_equal(gen->listener_count, 2);
    assert_int_equal(gen->listeners[0].socket_count, 4);
    assert_int_equal(gen->listeners[1].socket_count, 2);
    assert_int_equal(gen->listeners[1].bound_len, sizeof(two));
    assert_memory_equal(&gen->listeners[1].bound, &two, sizeof(two));
    generation_free(gen, NULL);
    takeover_free(t);
    end(&s);
}

/* A region with one cache of 100 sessions at `at`. */
static void say_region(const struct service *s, const char *name, const struct shm *shm,
                       uint64_t layout) {
    say(s, (struct handover_item){ .kind = HANDOVER_REGION,
                                   .name = bytes_of(name),
                                   .first = shm->len,
                                   .second = layout,
                                   .fd_count = 1,
                                   .fds = { shm->fd } });
}

/* `len` is what is said of its bytes. */
static void say_cache(const struct service *s, const struct shm *shm, uint64_t len,
                      uint64_t layout) {
    say(s, (struct handover_item){ .kind = HANDOVER_CACHE,
                                   .name = bytes_of("web"),
                                   .first = len,
                                   .second = layout,
                                   .fd_count = 1,
                                   .fds = { shm->fd } });
}

static void caches_are_taken_where_they_fit(void **state) {
    (void)state;
    const struct cache_size size = { .sessions = 100 };
    const uint64_t len = cache_layout_bytes(size);
    const struct {
        uint64_t layout;
        uint64_t len;
        bool spoilt;
        size_t count;
    } cases[] = {
        { shared_cache_layout(), len, false, 1 },     { shared_cache_layout() + 1, len, false, 0 },
        { shared_cache_layout(), len - 1, false, 0 }, { shared_cache_layout(), 0, false, 0 },
        { shared_cache_layout(), len, true, 0 },      { shared_cache_layout(), len + 1, false, 0 },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int before = fds_open();
        struct service s;
        struct shm shm;
        struct cache cache;
        struct err err = { 0 };
        begin(&s);
        assert_int_equal(shm_create(&shm, "c", len, false, &err), 0);
        assert_int_equal(cache_init(&cache, shm.base, size, &err), 0);
        *(uint8_t *)shm.base ^= cases[i].spoilt;
        say_begin(&s);
        say_cache(&s, &shm, cases[i].len, cases[i].layout);
        say_end(&s);
        struct takeover *t = take();
        struct generation *gen = takeover_generation(t, &err);
        assert_int_equal(gen->cache_count, cases[i].count);
        if (cases[i].count > 0) {
            assert_string_equal(gen->caches[0]->profile, "web");
            assert_int_equal(cache_capacity(&gen->caches[0]->cache), 100);
        }
        generation_free(gen, NULL);
        takeover_free(t);
        shm_close(&shm);
        end(&s);
        assert_int_equal(fds_open(), before);
    }
}

/* What was invalidated goes along; where it can't, all is. */
static void switches_are_taken_where_they_fit(void **state) {
    (void)state;
    for (uint64_t other = 0; other < 2; other++) {
        struct service s;
        struct shared mine;
        struct err err = { 0 };
        begin(&s);
        switches_invalidate_all(switches_place(s.shared.switches, "web"), 77);
        say_begin(&s);
        say_region(&s, "switches", &s.shared.switches_shm, switches_layout() + other);
        say_end(&s);
        struct takeover *t = take();
        shared_clear(&mine);
        assert_int_equal(shared_init(&mine, t, &err), 0);
        uint64_t web_ms = switches_place(mine.switches, "web")->invalid_before_ms;
        uint64_t app_ms = switches_place(mine.switches, "app")->invalid_before_ms;
        assert_true(other ? web_ms > 77 && app_ms == web_ms : web_ms == 77 && app_ms == 0);
        shared_fini(&mine, true);
        takeover_free(t);
        end(&s);
    }
}

/* Which tickets were used goes along, whatever the register's size; or is not known. */
static void a_replay_register_is_taken_where_it_fits(void **state) {
    (void)state;
    for (unsigned bad = 0; bad < 3; bad++) {
        struct service s;
        struct shm shm;
        struct shm taken = { .fd = -1 };
        struct err err = { 0 };
        begin(&s);
        assert_int_equal(shm_create(&shm, "r", replay_layout_bytes(2000), false, &err), 0);
        if (bad != 1) {
            replay_init(shm.base, 2000, 5);
        }
        say_begin(&s);
        say_region(&s, "replay", &shm, replay_layout() + (bad == 2));
        say_end(&s);
        struct takeover *t = take();
        assert_int_equal(takeover_replay(t, &taken), bad == 0);
        assert_true(bad != 0 || replay_since_ms(taken.base) == 5);
        assert_false(takeover_replay(t, &taken) && bad != 0);
        shm_close(&taken);
        generation_free(takeover_generation(t, &err), NULL);
        takeover_free(t);
        shm_close(&shm);
        end(&s);
    }
}

static void what_cannot_be_taken_is_refused_with_its_reason(void **state) {
    (void)state;
    const struct sockaddr_in address = { .sin_family = AF_INET };
    struct handover_item headless = listener_item(&address, &address);
    headless.address.len = 1;
    const struct {
        struct handover_item item;
        const char *why;
    } cases[] = {
        { { .kind = HANDOVER_BEGIN, .first = HANDOVER_VERSION + 1 }, "version" },
        { { .kind = HANDOVER_BEGIN, .first = 0 }, "version" },
        { { .kind = HANDOVER_GO }, "elsewhere" },
        { { .kind = HANDOVER_READY }, "elsewhere" },
        { headless, "without an address" },
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int before = fds_open();
        struct service s;
        struct takeover *t = NULL;
        struct err err = { 0 };
        begin(&s);
        say(&s, cases[i].item);
        assert_int_equal(takeover_begin(&t, &err), -1);
        assert_false(err.set);
        assert_null(t);
        expect(&s, HANDOVER_HELLO, NULL);
        expect(&s, HANDOVER_FAILED, cases[i].why);
        end(&s);
        assert_int_equal(fds_open(), before);
    }
}

static void the_control_socket_is_taken_by_its_path(void **state) {
    (void)state;
    struct service s;
    begin(&s);
    say_begin(&s);
    say(&s, (struct handover_item){ .kind = HANDOVER_CONTROL,
                                    .name = bytes_of("/run/one.sock"),
                                    .fd_count = 1,
                                    .fds = { STDERR_FILENO } });
    say_end(&s);
    struct takeover *t = take();
    assert_int_equal(takeover_control(t, "/run/other.sock"), -1);
    int fd = takeover_control(t, "/run/one.sock");
    assert_true(fd > STDERR_FILENO);
    assert_int_equal(takeover_control(t, "/run/one.sock"), -1);
    assert_int_equal(close(fd), 0);
    takeover_free(t);
    end(&s);
}

static void it_goes_when_told_or_when_alone(void **state) {
    (void)state;
    static const struct {
        enum handover_kind word;
        bool says, alone;
        int result;
    } cases[] = { { HANDOVER_GO, true, false, 0 },
                  { HANDOVER_END, true, false, -1 },
                  { HANDOVER_GO, false, true, 0 } };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct service s;
        struct err err = { 0 };
        bool alone = !cases[i].alone;
        begin(&s);
        say_begin(&s);
        say_end(&s);
        struct takeover *t = take();
        if (cases[i].says) {
            say(&s, (struct handover_item){ .kind = cases[i].word });
        } else {
            assert_int_equal(shutdown(s.channel, SHUT_RDWR), 0);
        }
        assert_int_equal(takeover_ready(t, &alone, &err), cases[i].result);
        assert_int_equal(alone, cases[i].alone);
        if (cases[i].result != 0) { /* the old service is told so, or none would be left */
            const struct handover_item go = { .kind = HANDOVER_GO };
            assert_int_equal(handover_send(s.channel, &go, NULL), -1);
        }
        takeover_free(t);
        end(&s);
    }
}

/* The word comes when it was given up already, and was heard by the old service. */
static void it_goes_by_a_word_that_was_late(void **state) {
    (void)state;
    struct service s;
    struct err err = { 0 };
    bool alone = true;
    begin(&s);
    say_begin(&s);
    say_end(&s);
    struct takeover *t = take();
    say(&s, (struct handover_item){ .kind = HANDOVER_END });
    say(&s, (struct handover_item){ .kind = HANDOVER_GO });
    assert_int_equal(takeover_ready(t, &alone, &err), 0);
    assert_false(alone || err.set);
    takeover_free(t);
    end(&s);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_start_takes_nothing),
        cmocka_unit_test(the_variable_must_name_a_socket),
        cmocka_unit_test(regions_are_shared_afterwards),
        cmocka_unit_test(a_region_that_does_not_fit_is_not_taken),
        cmocka_unit_test(a_region_that_is_shorter_than_told_is_refused),
        cmocka_unit_test(sockets_are_joined_by_their_addresses),
        cmocka_unit_test(caches_are_taken_where_they_fit),
        cmocka_unit_test(switches_are_taken_where_they_fit),
        cmocka_unit_test(a_replay_register_is_taken_where_it_fits),
        cmocka_unit_test(what_cannot_be_taken_is_refused_with_its_reason),
        cmocka_unit_test(the_control_socket_is_taken_by_its_path),
        cmocka_unit_test(it_goes_when_told_or_when_alone),
        cmocka_unit_test(it_goes_by_a_word_that_was_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
