/* pcapng.c: see pcapng.h. A block is read whole into a buffer that grows to the largest one;
 * its numbers are in the byte order that the section's header tells. */
#include "capture/pcapng.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BLOCK_MAX (SOURCE_PACKET_MAX + 65536)
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define SECRETS_TLS_KEY_LOG 0x544c534bu

enum block_type {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 2, /* obsolete */
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_ENHANCED_PACKET = 6,
    BLOCK_JOURNAL = 9,
    BLOCK_SECRETS = 10,
    BLOCK_SYSDIG_EVENT = 0x204,
    BLOCK_SYSDIG_EVENT_2 = 0x216,
    BLOCK_SYSDIG_EVENT_2_LARGE = 0x221,
    BLOCK_CUSTOM = 0xbad,
    BLOCK_CUSTOM_NOT_COPIED = 0x40000bad,
};

enum { OPTION_END = 0, OPTION_TIME_RESOLUTION = 9, OPTION_TIME_OFFSET = 14 };

struct interface {
    int link_type;
    uint32_t snap_len;
    uint8_t resolution; /* if_tsresol as it stands */
    int64_t offset_s;   /* if_tsoffset */
};

struct pcapng {
    FILE *file; /* borrowed */
    bool swapped;
    bool started;
    uint8_t *block; /* owned */
    size_t block_cap;
    struct interface *interfaces; /* owned */
    unsigned interface_count;
};

struct pcapng *pcapng_new(FILE *file) {
    struct pcapng *pcapng = calloc(1, sizeof(*pcapng));
    if (pcapng) {
        pcapng->file = file;
    }
    return pcapng;
}

void pcapng_free(struct pcapng *pcapng) {
    if (pcapng) {
        free(pcapng->block);
        free(pcapng->interfaces);
        free(pcapng);
    }
}

static uint32_t read_u32(const struct pcapng *pcapng, const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return pcapng->swapped ? __builtin_bswap32(value) : value;
}

static uint16_t read_u16(const struct pcapng *pcapng, const uint8_t *at) {
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return pcapng->swapped ? __builtin_bswap16(value) : value;
}

static uint64_t read_u64(const struct pcapng *pcapng, const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return pcapng->swapped ? __builtin_bswap64(value) : value;
}

static bool block_reserve(struct pcapng *pcapng, size_t len) {
    if (len <= pcapng->block_cap) {
        return true;
    }
    uint8_t *block = realloc(pcapng->block, len);
    if (!block) {
        return false;
    }
    pcapng->block = block;
    pcapng->block_cap = len;
    return true;
}

static int section_begin(struct pcapng *pcapng, const uint8_t *magic, struct err *err) {
    uint32_t value;
    memcpy(&value, magic, sizeof(value));
    if (value != BYTE_ORDER_MAGIC && __builtin_bswap32(value) != BYTE_ORDER_MAGIC) {
        return err_set(err, "not pcapng: no byte-order magic");
    }
    pcapng->swapped = value != BYTE_ORDER_MAGIC;
    pcapng->started = true;
    pcapng->interface_count = 0;
    return 0;
}

/* Reads a block's body. Returns 1, 0 at the file's end, -1 with err set. */
static int block_read(struct pcapng *pcapng, uint32_t *type, struct bytes *body, struct err *err) {
    uint8_t head[12];
    size_t n = fread(head, 1, 8, pcapng->file);
    if (n == 0) {
        return 0;
    }
    if (n < 8) {
        return err_set(err, "the file ends within a block");
    }
    memcpy(type, head, sizeof(*type));
    size_t read = 8;
    if (*type == PCAPNG_MAGIC) { /* the same in both byte orders */
        if (fread(head + 8, 1, 4, pcapng->file) != 4) {
            return err_set(err, "the file ends within a block");
        }
        if (section_begin(pcapng, head + 8, err) != 0) {
            return -1;
        }
        read = 12;
    }
    *type = read_u32(pcapng, head);
    size_t len = read_u32(pcapng, head + 4);
    if (!pcapng->started || len < read + 4 || len > BLOCK_MAX || len % 4 != 0) {
        return err_set(err, "damaged: a block of %zu bytes", len);
    }
    if (!block_reserve(pcapng, len)) {
        return err_set(err, "no memory for a block of %zu bytes", len);
    }
    if (fread(pcapng->block, 1, len - read, pcapng->file) != len - read) {
        return err_set(err, "the file ends within a block");
    }
    *body = (struct bytes){ pcapng->block, len - read - 4 };
    return 1;
}

static void interface_options(const struct pcapng *pcapng, struct interface *interface,
                              struct cursor *c) {
    while (cursor_left(c) >= 4) {
        struct bytes head = cursor_take(c, 4);
        uint16_t code = read_u16(pcapng, head.data);
        size_t len = read_u16(pcapng, head.data + 2);
        struct bytes value = cursor_take(c, (len + 3) & ~(size_t)3);
        if (code == OPTION_END || c->failed) {
            return;
        }
        if (code == OPTION_TIME_RESOLUTION && len == 1) {
            interface->resolution = value.data[0];
        } else if (code == OPTION_TIME_OFFSET && len == 8) {
            interface->offset_s = (int64_t)read_u64(pcapng, value.data);
        }
    }
}

static void on_interface(struct pcapng *pcapng, struct bytes body) {
    unsigned count = pcapng->interface_count;
    if (body.len < 8 || count == PCAPNG_INTERFACES_MAX) {
        return;
    }
    if (!pcapng->interfaces) {
        pcapng->interfaces = calloc(PCAPNG_INTERFACES_MAX, sizeof(*pcapng->interfaces));
    }
    if (!pcapng->interfaces) {
        return;
    }
    struct interface *interface = &pcapng->interfaces[pcapng->interface_count++];
    *interface = (struct interface){
        .link_type = read_u16(pcapng, body.data),
        .snap_len = read_u32(pcapng, body.data + 4),
        .resolution = 6,
    };
    struct cursor c = cursor_of(body);
    (void)cursor_take(&c, 8);
    interface_options(pcapng, interface, &c);
}

/* The interface's units to nanoseconds since 1970. */
static uint64_t interface_time(const struct interface *interface, uint64_t units) {
    unsigned exponent = interface->resolution & 0x7f;
    uint64_t seconds;
    uint64_t ns;
    if (interface->resolution & 0x80) { /* a negative power of two */
        exponent = exponent > 63 ? 63 : exponent;
        seconds = units >> exponent;
        uint64_t rest = units & ((UINT64_C(1) << exponent) - 1);
        ns = (uint64_t)((double)rest / (double)(UINT64_C(1) << exponent) * (double)NS_PER_S);
    } else {
        uint64_t per_s = 1;
        for (unsigned i = 0; i < exponent && i < 18; i++) {
            per_s *= 10;
        }
        seconds = units / per_s;
        uint64_t rest = units % per_s;
        ns = per_s <= NS_PER_S ? rest * (NS_PER_S / per_s) : rest / (per_s / NS_PER_S);
    }
    return (seconds + (uint64_t)interface->offset_s) * NS_PER_S + ns;
}

/* Fills a packet whose data begin at `at` of the block. */
static bool packet_fill(const struct interface *interface, struct bytes body, size_t at,
                        struct source_packet *packet) {
    size_t captured = packet->data.len;
    if (body.len < at) {
        return false;
    }
    packet->data.data = body.data + at;
    packet->data.len = captured < body.len - at ? captured : body.len - at;
    packet->link_type = interface->link_type;
    return true;
}

static bool on_enhanced(const struct pcapng *pcapng, uint32_t type, struct bytes body,
                        struct source_packet *packet) {
    if (body.len < 20) {
        return false;
    }
    uint32_t index =
        type == BLOCK_PACKET ? read_u16(pcapng, body.data) : read_u32(pcapng, body.data);
    if (index >= pcapng->interface_count) {
        return false;
    }
    const struct interface *interface = &pcapng->interfaces[index];
    uint64_t high = read_u32(pcapng, body.data + 4);
    packet->time_ns = interface_time(interface, high << 32 | read_u32(pcapng, body.data + 8));
    packet->data.len = read_u32(pcapng, body.data + 12);
    packet->wire_len = read_u32(pcapng, body.data + 16);
    return packet_fill(interface, body, 20, packet);
}

static bool on_simple(const struct pcapng *pcapng, struct bytes body,
                      struct source_packet *packet) {
    if (body.len < 4 || pcapng->interface_count == 0) {
        return false;
    }
    const struct interface *interface = &pcapng->interfaces[0];
    packet->wire_len = read_u32(pcapng, body.data);
    packet->data.len = packet->wire_len;
    if (interface->snap_len > 0 && packet->data.len > interface->snap_len) {
        packet->data.len = interface->snap_len;
    }
    packet->time_ns = 0; /* the block has none */
    return packet_fill(interface, body, 4, packet);
}

static bool on_secrets(const struct pcapng *pcapng, struct bytes body,
                       struct source_packet *packet) {
    if (body.len < 8 || read_u32(pcapng, body.data) != SECRETS_TLS_KEY_LOG) {
        return false;
    }
    size_t len = read_u32(pcapng, body.data + 4);
    packet->data.data = body.data + 8;
    packet->data.len = len < body.len - 8 ? len : body.len - 8;
    return true;
}

enum source_status pcapng_next(struct pcapng *pcapng, struct source_packet *packet,
                               struct err *err) {
    for (;;) {
        uint32_t type = 0;
        struct bytes body = { 0 };
        int result = block_read(pcapng, &type, &body, err);
        if (result <= 0) {
            return result == 0 ? SOURCE_END : SOURCE_ERROR;
        }
        switch (type) {
        case BLOCK_INTERFACE:
            on_interface(pcapng, body);
            break;
        case BLOCK_PACKET:
        case BLOCK_ENHANCED_PACKET:
            if (on_enhanced(pcapng, type, body, packet)) {
                return SOURCE_PACKET;
            }
            break;
        case BLOCK_SIMPLE_PACKET:
            if (on_simple(pcapng, body, packet)) {
                return SOURCE_PACKET;
            }
            break;
        case BLOCK_SECRETS:
            if (on_secrets(pcapng, body, packet)) {
                return SOURCE_SECRETS;
            }
            break;
        case BLOCK_JOURNAL:
        case BLOCK_SYSDIG_EVENT:
        case BLOCK_SYSDIG_EVENT_2:
        case BLOCK_SYSDIG_EVENT_2_LARGE:
        case BLOCK_CUSTOM:
        case BLOCK_CUSTOM_NOT_COPIED:
            return SOURCE_SKIPPED; /* a frame to Wireshark */
        default:
            break;
        }
    }
}
