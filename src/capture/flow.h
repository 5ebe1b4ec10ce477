/* flow.h: finds the connection that a packet belongs to, and keeps the connections' order.
 *
 * A table of TCP and UDP connections by addresses and ports. Those whose bytes are read are
 * "live" and own a `struct live`; of the others only the entry stays, so that their late
 * packets are not taken for a new connection.
 *
 * Threat: addresses and ports are chosen by whoever writes the packets: they are hashed under
 * a random key.
 */
#ifndef REPRISE_CAPTURE_FLOW_H
#define REPRISE_CAPTURE_FLOW_H

#include "capture/stream.h"

/* A direction of DTLS, until its ChangeCipherSpec. */
struct dtls_side {
    uint16_t next;                   /* the handshake message that is waited for */
    bool has_hello;                  /* */
    uint64_t hello;                  /* the record with the hello's end */
    uint64_t seen;                   /* a bit for each record from there on */
    uint8_t random[WIRE_RANDOM_LEN]; /* of the client's hello */
};

/* What a connection needs while its bytes are read. */
struct live {
    struct stream stream;
    struct reassembly directions[2];
    bool closed;
    bool fin_acked[2];
    uint32_t fin_end[2]; /* where a direction ends, with its FIN */
    uint64_t touched_ns; /* by the engine's clock */
    struct dtls_side dtls[2];
};

struct flow {
    struct packet_ends ends; /* direction 0: of the first packet */
    bool is_udp;
    bool base_set[2]; /* as Wireshark knows a direction's first sequence number */
    bool reported;    /* was live, and is no more */
    uint32_t number;
    uint32_t base[2];
    uint64_t hash;
    struct flow *chain;
    struct flow_list *list; /* where it stands */
    struct flow *before;
    struct flow *after;
    struct live *live; /* owned; null: no longer read */
};

struct flow_list {
    struct flow *first;
    struct flow *last;
    size_t count;
};

struct flow_table {
    uint64_t key[2];
    struct flow **buckets; /* owned */
    size_t bucket_count;   /* a power of two */
    size_t count;
    struct flow *recent;      /* the last one found */
    struct flow_list live;    /* the longest idle first */
    struct flow_list closing; /* live, and closed by both: the longest idle first */
    struct flow_list other;   /* the oldest first */
};

/* Returns 0, or -1 when there is no memory. */
int flow_table_init(struct flow_table *table);

/* Frees all flows, and what they own. */
void flow_table_fini(struct flow_table *table);

/* Finds the connection; *direction is 0 when `ends` has the order of its first packet. */
struct flow *flow_find(struct flow_table *table, const struct packet_ends *ends, bool is_udp,
                       uint8_t *direction);

/* Adds one that flow_find did not find, or that takes another's place; without live. It stands in
 * the list of others. Null when there is no memory. */
struct flow *flow_add(struct flow_table *table, const struct packet_ends *ends, bool is_udp,
                      uint32_t number);

/* Gives a flow a live part, zeroed. Returns it, or null. */
struct live *flow_wake(struct flow_table *table, struct flow *flow);

/* A packet came: the live flow goes to the end of its list. */
void flow_touch(struct flow_table *table, struct flow *flow);

/* Frees the live part. The flow stays, in the list of others. */
void flow_rest(struct flow_table *table, struct flow *flow);

/* Takes the flow out and frees it. */
void flow_remove(struct flow_table *table, struct flow *flow);

#endif
