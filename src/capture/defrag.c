/* defrag.c: see defrag.h. What has come is marked by blocks of eight bytes, the unit that
 * offsets have. */
#include "capture/defrag.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 8
#define BLOCKS ((DEFRAG_DATAGRAM_MAX + BLOCK) / BLOCK)

struct datagram {
    bool used;
    uint64_t turn; /* when it was last added to */
    uint8_t src[PACKET_ADDRESS_LEN];
    uint8_t dst[PACKET_ADDRESS_LEN];
    uint32_t id;
    uint8_t protocol;
    size_t len;          /* of the whole; 0 while its last fragment is not there */
    size_t blocks_there; /* */
    size_t capacity;
    uint8_t *data; /* owned */
    uint8_t there[(BLOCKS + 7) / 8];
};

struct defrag {
    uint64_t turn;
    uint8_t *joined; /* owned: the last completed datagram */
    struct datagram datagrams[DEFRAG_TABLE];
};

struct defrag *defrag_new(void) {
    return calloc(1, sizeof(struct defrag));
}

static void datagram_clear(struct datagram *datagram) {
    free(datagram->data);
    memset(datagram, 0, sizeof(*datagram));
}

void defrag_free(struct defrag *defrag) {
    if (!defrag) {
        return;
    }
    for (size_t i = 0; i < DEFRAG_TABLE; i++) {
        free(defrag->datagrams[i].data);
    }
    free(defrag->joined);
    free(defrag);
}

static bool datagram_is(const struct datagram *datagram, const struct packet *packet) {
    return datagram->used && datagram->id == packet->fragment.id &&
           datagram->protocol == packet->fragment.protocol &&
           memcmp(datagram->src, packet->ends.src, PACKET_ADDRESS_LEN) == 0 &&
           memcmp(datagram->dst, packet->ends.dst, PACKET_ADDRESS_LEN) == 0;
}

static struct datagram *defrag_find(struct defrag *defrag, const struct packet *packet) {
    struct datagram *oldest = &defrag->datagrams[0];
    for (size_t i = 0; i < DEFRAG_TABLE; i++) {
        struct datagram *datagram = &defrag->datagrams[i];
        if (datagram_is(datagram, packet)) {
            return datagram;
        }
        if (datagram->turn < oldest->turn) {
            oldest = datagram;
        }
    }
    datagram_clear(oldest);
    oldest->used = true;
    oldest->id = packet->fragment.id;
    oldest->protocol = packet->fragment.protocol;
    memcpy(oldest->src, packet->ends.src, PACKET_ADDRESS_LEN);
    memcpy(oldest->dst, packet->ends.dst, PACKET_ADDRESS_LEN);
    return oldest;
}

static bool datagram_reserve(struct datagram *datagram, size_t len) {
    if (len <= datagram->capacity) {
        return true;
    }
    size_t capacity = datagram->capacity ? datagram->capacity : 4096;
    while (capacity < len) {
        capacity *= 2;
    }
    uint8_t *data = realloc(datagram->data, capacity);
    if (!data) {
        return false;
    }
    datagram->data = data;
    datagram->capacity = capacity;
    return true;
}

static void datagram_fill(struct datagram *datagram, size_t offset, struct bytes data) {
    for (size_t at = 0; at < data.len; at += BLOCK) {
        size_t block = (offset + at) / BLOCK;
        uint8_t bit = (uint8_t)(1u << (block & 7));
        if (datagram->there[block / 8] & bit) {
            continue;
        }
        datagram->there[block / 8] |= bit;
        datagram->blocks_there++;
        size_t piece = data.len - at < BLOCK ? data.len - at : BLOCK;
        memcpy(datagram->data + offset + at, data.data + at, piece);
    }
}

bool defrag_add(struct defrag *defrag, const struct packet *packet, struct bytes *whole) {
    const struct packet_fragment *fragment = &packet->fragment;
    size_t len = packet->payload_len;
    size_t end = fragment->offset + len;
    if (packet->payload.len < len || len == 0 || end > DEFRAG_DATAGRAM_MAX ||
        (fragment->more && len % BLOCK != 0)) {
        return false;
    }
    struct datagram *datagram = defrag_find(defrag, packet);
    datagram->turn = ++defrag->turn;
    if (!datagram_reserve(datagram, end)) {
        datagram_clear(datagram);
        return false;
    }
    datagram_fill(datagram, fragment->offset, (struct bytes){ packet->payload.data, len });
    if (!fragment->more) {
        datagram->len = end;
    }
    if (datagram->len == 0 || datagram->blocks_there < (datagram->len + BLOCK - 1) / BLOCK ||
        datagram->capacity < datagram->len) {
        return false;
    }
    free(defrag->joined);
    defrag->joined = datagram->data;
    *whole = (struct bytes){ datagram->data, datagram->len };
    datagram->data = NULL;
    datagram_clear(datagram);
    return true;
}
