/* store.c: what the stores and the sealing cost by themselves, without a network.
 *
 *   bench-store cache SESSIONS...   a cache of each size: look-up and insert, memory, evictions
 *   bench-store ticket              sealing and opening a ticket, with the decision
 *   bench-store shared SESSIONS     a cache that one process a core uses at once: 1, 2, 4 ... cores
 *
 * One line of JSON a measurement. One process on one core, but for the last; nothing else uses
 * the stores.
 */
#include "../unit/ring.h"
#include "../unit/session.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "resume/resume.h"

#define RECORD_BYTES 350 /* a sealed TLS 1.2 session of a P-256 handshake */
#define LOOKUPS 400000u
#define TICKETS 200000u
#define SESSION_BYTES 130 /* the library's bytes of the same session */

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double ns_each(double since_s, uint64_t count) {
    return (now_s() - since_s) * 1e9 / (double)count;
}

/* The ID of a session by its number: the same at any time. */
static void id_of(uint64_t number, uint8_t id[static CACHE_ID_LEN]) {
    uint64_t state = number * 0x9e3779b97f4a7c15u + 1;
    rng_fill(&state, id, CACHE_ID_LEN);
}

/* Looks up `count` sessions of `among` from number `first` on, in any order. Returns how many
 * there are. */
static uint64_t look_up(struct cache *cache, uint64_t first, uint64_t among, uint64_t count) {
    static uint8_t buf[CACHE_RECORD_MAX];
    uint64_t state = first + 7;
    uint64_t hits = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t id[CACHE_ID_LEN];
        size_t len = 0;
        enum cache_mark mark = CACHE_MARK_NONE;
        id_of(first + rng_below(&state, among), id);
        hits += cache_get(cache, id, buf, &len, &mark) == CACHE_HIT;
    }
    return hits;
}

static void put(struct cache *cache, uint64_t first, uint64_t count) {
    uint8_t record[RECORD_BYTES] = { 1 };
    for (uint64_t i = 0; i < count; i++) {
        uint8_t id[CACHE_ID_LEN];
        id_of(first + i, id);
        cache_put(cache, id, (struct bytes){ record, sizeof(record) }, START_S);
    }
}

/* What making the IDs costs, to be taken off: drawn ones, or one after the other. */
static double ids_ns(uint64_t among, bool drawn) {
    uint64_t state = 1;
    uint8_t all = 0;
    double from_s = now_s();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        uint8_t id[CACHE_ID_LEN];
        id_of(drawn ? rng_below(&state, among) : i, id);
        all ^= id[0];
    }
    double ns = ns_each(from_s, LOOKUPS);
    return all == 1 ? ns : ns; /* so that it is not left out */
}

/* Makes a cache of so many sessions. Returns its memory, to be freed with shared_free; null, said
 * on standard error, when that failed. */
static void *cache_make(struct cache *cache, uint32_t sessions, size_t *len) {
    struct err err = { 0 };
    const struct cache_size size = { .sessions = sessions };
    *len = cache_layout_bytes(size);
    void *region = shared_alloc(*len);
    if (cache_init(cache, region, size, &err) != 0) {
        fprintf(stderr, "bench-store: %s\n", err.text);
        shared_free(region, *len);
        return NULL;
    }
    return region;
}

static int bench_cache(uint32_t sessions) {
    struct cache cache;
    size_t len = 0;
    void *region = cache_make(&cache, sessions, &len);
    if (!region) {
        return 1;
    }
    put(&cache, 0, sessions); /* the pages are there from here on */
    double own_ns = ids_ns(sessions, true);
    double from_s = now_s();
    uint64_t hits = look_up(&cache, 0, sessions, LOOKUPS);
    double hit_ns = ns_each(from_s, LOOKUPS) - own_ns;
    from_s = now_s();
    look_up(&cache, 1ull << 40, sessions, LOOKUPS);
    double miss_ns = ns_each(from_s, LOOKUPS) - own_ns;
    from_s = now_s();
    put(&cache, sessions, LOOKUPS);
    double put_ns = ns_each(from_s, LOOKUPS) - ids_ns(sessions, false);
    /* As many again: the newest `sessions` would all be there if the order were exact. */
    uint64_t newest = sessions + (uint64_t)LOOKUPS;
    put(&cache, newest, sessions);
    uint64_t kept = look_up(&cache, newest, sessions, LOOKUPS);
    struct cache_stats stats;
    cache_read_stats(&cache, &stats);
    printf("{\"sessions\":%u,\"hit_ns\":%.0f,\"miss_ns\":%.0f,\"put_ns\":%.0f,"
           "\"region_bytes_a_session\":%.0f,\"hits\":%.4f,\"newest_kept\":%.4f,\"entries\":%llu}\n",
           sessions, hit_ns, miss_ns, put_ns, (double)len / sessions, (double)hits / LOOKUPS,
           (double)kept / LOOKUPS, (unsigned long long)stats.entries);
    fflush(stdout);
    shared_free(region, len);
    return 0;
}

/* What the processes of a shared cache have in common besides it. */
struct together {
    atomic_uint ready;
    double get_ns[CPU_SETSIZE]; /* each process writes its own */
    double put_ns[CPU_SETSIZE];
};

static double mean(const double *values, unsigned count) {
    double sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / count;
}

static double wall_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void wait_for_all(struct together *together, unsigned count) {
    atomic_fetch_add(&together->ready, 1);
    while (atomic_load(&together->ready) < count) {
    }
}

/* One of `processes`, on a core of its own: by the clock, since who waits for a lock uses none. */
static void use_shared(struct cache *cache, uint32_t sessions, struct together *together,
                       unsigned self, unsigned processes) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(self, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    double drawing_ns = ids_ns(sessions, true);
    double counting_ns = ids_ns(sessions, false);
    wait_for_all(together, processes);
    double from = wall_ns();
    look_up(cache, 0, sessions, LOOKUPS);
    together->get_ns[self] = (wall_ns() - from) / LOOKUPS - drawing_ns;
    wait_for_all(together, 2 * processes);
    from = wall_ns();
    put(cache, (uint64_t)(self + 1) << 40, LOOKUPS);
    together->put_ns[self] = (wall_ns() - from) / LOOKUPS - counting_ns;
}

static int bench_together(struct cache *cache, uint32_t sessions, unsigned processes) {
    struct together *together = shared_alloc(sizeof(*together));
    int failed = 0;
    put(cache, 0, sessions);
    for (unsigned i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            use_shared(cache, sessions, together, i, processes);
            _exit(0);
        }
        failed |= pid < 0;
    }
    for (int status; wait(&status) > 0;) {
        failed |= status != 0;
    }
    printf("{\"processes\":%u,\"get_ns\":%.0f,\"put_ns\":%.0f}\n", processes,
           mean(together->get_ns, processes), mean(together->put_ns, processes));
    fflush(stdout);
    shared_free(together, sizeof(*together));
    return failed;
}

static int bench_shared(uint32_t sessions) {
    struct cache cache;
    size_t len = 0;
    void *region = cache_make(&cache, sessions, &len);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int failed = 0;
    if (!region) {
        return 1;
    }
    for (unsigned processes = 1; (long)processes <= cores && processes <= CPU_SETSIZE;
         processes *= 2) {
        failed |= bench_together(&cache, sessions, processes);
    }
    shared_free(region, len);
    return failed;
}

static struct resume_made made_of(const struct session *s, const uint8_t *session,
                                  enum resume_by kind) {
    return (struct resume_made){
        .policy = &s->policy,
        .kind = kind,
        .protocol = s->record.protocol,
        .cipher = s->record.cipher,
        .ems = kind == RESUME_BY_TICKET,
        .server_name = s->hello.server_name,
        .alpn = s->query.alpn,
        .session = { session, SESSION_BYTES },
        .now_ms = NOW_MS,
        .client_chain_expiry_s = NOW_MS / MS_PER_S + 3600,
    };
}

static int bench_ticket(void) {
    static uint8_t session[SESSION_BYTES] = { 2 };
    static uint8_t ticket[CACHE_RECORD_MAX];
    struct err err = { 0 };
    struct session s;
    struct sealer_key key;
    struct resume_verdict verdict;
    bool kept = false;
    struct resume resume = { .sealer = sealer_new(ring_make(), &err),
                             .scratch = shared_alloc(sizeof(struct resume_scratch)) };
    session_init(&s, RESUME_BY_TICKET);
    struct resume_made made = made_of(&s, session, RESUME_BY_TICKET);
    if (!resume.sealer) {
        fprintf(stderr, "bench-store: %s\n", err.text);
        return 1;
    }
    size_t len = resume_make_ticket(&resume, &made, ticket, &key, &kept);
    double from_s = now_s();
    for (unsigned i = 0; i < TICKETS; i++) {
        len = resume_make_ticket(&resume, &made, ticket, &key, &kept);
    }
    double seal_ns = ns_each(from_s, TICKETS);
    s.hello.session_ticket = (struct bytes){ ticket, len };
    const struct resume_stores stores = { .tickets = true };
    uint64_t resumed = 0;
    from_s = now_s();
    for (unsigned i = 0; i < TICKETS; i++) {
        resume_look_up(&resume, &stores, &s.query, &verdict);
        resumed += verdict.action == RESUME_ACTION_RESUME;
        resume_forget(&resume, &verdict);
    }
    double open_ns = ns_each(from_s, TICKETS);
    printf("{\"ticket_bytes\":%zu,\"seal_ns\":%.0f,\"open_and_decide_ns\":%.0f,\"resumed\":%.4f}\n",
           len, seal_ns, open_ns, (double)resumed / TICKETS);
    return resumed == TICKETS && kept ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "ticket") == 0) {
        return bench_ticket();
    }
    bool shared = argc == 3 && strcmp(argv[1], "shared") == 0;
    if (argc < 3 || !(shared || strcmp(argv[1], "cache") == 0)) {
        fputs("usage: bench-store cache SESSIONS... | ticket | shared SESSIONS\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        unsigned long sessions = strtoul(argv[i], NULL, 10);
        if (sessions < 1 || sessions > CACHE_SESSIONS_MAX) {
            fprintf(stderr, "bench-store: '%s', expected 1 to %u sessions\n", argv[i],
                    CACHE_SESSIONS_MAX);
            return 2;
        }
        if ((shared ? bench_shared : bench_cache)((uint32_t)sessions) != 0) {
            return 1;
        }
    }
    return 0;
}
