/* flow.c: see flow.h. */
#include "capture/flow.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "capture/decrypt.h"

#define BUCKETS_FIRST 1024
#define SIDE_LEN (PACKET_ADDRESS_LEN + 2)

int flow_table_init(struct flow_table *table) {
    memset(table, 0, sizeof(*table));
    crypto_hash_key(table->key);
    table->bucket_count = BUCKETS_FIRST;
    table->buckets = calloc(table->bucket_count, sizeof(struct flow *));
    return table->buckets ? 0 : -1;
}

static void live_free(struct flow *flow) {
    if (flow->live) {
        decrypt_fini(&flow->live->stream);
        stream_fini(&flow->live->stream);
        reassembly_fini(&flow->live->directions[0]);
        reassembly_fini(&flow->live->directions[1]);
        free(flow->live);
        flow->live = NULL;
    }
}

static void list_remove(struct flow *flow) {
    struct flow_list *list = flow->list;
    *(flow->before ? &flow->before->after : &list->first) = flow->after;
    *(flow->after ? &flow->after->before : &list->last) = flow->before;
    flow->before = NULL;
    flow->after = NULL;
    flow->list = NULL;
    list->count--;
}

static void list_append(struct flow_list *list, struct flow *flow) {
    flow->list = list;
    flow->before = list->last;
    flow->after = NULL;
    *(list->last ? &list->last->after : &list->first) = flow;
    list->last = flow;
    list->count++;
}

static void list_free(struct flow_list *list) {
    while (list->first) {
        struct flow *flow = list->first;
        list->first = flow->after;
        live_free(flow);
        free(flow);
    }
    list->last = NULL;
    list->count = 0;
}

void flow_table_fini(struct flow_table *table) {
    list_free(&table->live);
    list_free(&table->closing);
    list_free(&table->other);
    free(table->buckets);
    table->buckets = NULL;
}

static void ends_side(uint8_t *out, const uint8_t *address, uint16_t port) {
    memcpy(out, address, PACKET_ADDRESS_LEN);
    memcpy(out + PACKET_ADDRESS_LEN, &port, sizeof(port));
}

/* The same for both directions. */
static uint64_t flow_hash(const struct flow_table *table, const struct packet_ends *ends,
                          bool is_udp) {
    uint8_t key[2 * SIDE_LEN + 1];
    int order = memcmp(ends->src, ends->dst, PACKET_ADDRESS_LEN);
    bool src_first = order < 0 || (order == 0 && ends->src_port <= ends->dst_port);
    ends_side(key + (src_first ? 0 : SIDE_LEN), ends->src, ends->src_port);
    ends_side(key + (src_first ? SIDE_LEN : 0), ends->dst, ends->dst_port);
    key[2 * SIDE_LEN] = (uint8_t)(is_udp | ends->address_len << 1);
    return crypto_siphash(table->key, (struct bytes){ key, sizeof(key) });
}

static bool flow_is(const struct flow *flow, const struct packet_ends *ends, bool is_udp,
                    uint8_t *direction) {
    const struct packet_ends *f = &flow->ends;
    if (flow->is_udp != is_udp || f->address_len != ends->address_len) {
        return false;
    }
    if (f->src_port == ends->src_port && f->dst_port == ends->dst_port &&
        memcmp(f->src, ends->src, PACKET_ADDRESS_LEN) == 0 &&
        memcmp(f->dst, ends->dst, PACKET_ADDRESS_LEN) == 0) {
        *direction = 0;
        return true;
    }
    *direction = 1;
    return f->src_port == ends->dst_port && f->dst_port == ends->src_port &&
           memcmp(f->src, ends->dst, PACKET_ADDRESS_LEN) == 0 &&
           memcmp(f->dst, ends->src, PACKET_ADDRESS_LEN) == 0;
}

struct flow *flow_find(struct flow_table *table, const struct packet_ends *ends, bool is_udp,
                       uint8_t *direction) {
    if (table->recent && flow_is(table->recent, ends, is_udp, direction)) {
        return table->recent;
    }
    uint64_t hash = flow_hash(table, ends, is_udp);
    struct flow *flow = table->buckets[hash & (table->bucket_count - 1)];
    while (flow && (flow->hash != hash || !flow_is(flow, ends, is_udp, direction))) {
        flow = flow->chain;
    }
    table->recent = flow;
    return flow;
}

static void table_grow(struct flow_table *table) {
    size_t count = table->bucket_count * 2;
    struct flow **buckets = calloc(count, sizeof(struct flow *));
    if (!buckets) {
        return; /* longer chains then */
    }
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct flow *flow = table->buckets[i];
            table->buckets[i] = flow->chain;
            flow->chain = buckets[flow->hash & (count - 1)];
            buckets[flow->hash & (count - 1)] = flow;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
}

struct flow *flow_add(struct flow_table *table, const struct packet_ends *ends, bool is_udp,
                      uint32_t number) {
    struct flow *flow = calloc(1, sizeof(*flow));
    if (!flow) {
        return NULL;
    }
    if (table->count >= table->bucket_count) {
        table_grow(table);
    }
    flow->ends = *ends;
    flow->is_udp = is_udp;
    flow->number = number;
    flow->hash = flow_hash(table, ends, is_udp);
    struct flow **bucket = &table->buckets[flow->hash & (table->bucket_count - 1)];
    flow->chain = *bucket;
    *bucket = flow;
    table->count++;
    list_append(&table->other, flow);
    table->recent = flow;
    return flow;
}

struct live *flow_wake(struct flow_table *table, struct flow *flow) {
    flow->live = calloc(1, sizeof(*flow->live));
    if (flow->live) {
        list_remove(flow);
        list_append(&table->live, flow);
    }
    return flow->live;
}

void flow_touch(struct flow_table *table, struct flow *flow) {
    struct flow_list *list = flow->live->closed ? &table->closing : &table->live;
    if (list->last != flow) {
        list_remove(flow);
        list_append(list, flow);
    }
}

void flow_rest(struct flow_table *table, struct flow *flow) {
    live_free(flow);
    flow->reported = true;
    list_remove(flow);
    list_append(&table->other, flow);
}

void flow_remove(struct flow_table *table, struct flow *flow) {
    struct flow **at = &table->buckets[flow->hash & (table->bucket_count - 1)];
    while (*at != flow) {
        at = &(*at)->chain;
    }
    *at = flow->chain;
    table->count--;
    list_remove(flow);
    if (table->recent == flow) {
        table->recent = NULL;
    }
    live_free(flow);
    free(flow);
}
