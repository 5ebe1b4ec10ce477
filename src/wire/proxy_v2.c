/* proxy_v2.c: writes and reads the binary header of the PROXY protocol
 * (HAProxy's proxy-protocol.txt, 2.2): signature, command, family, length,
 * addresses, then type-length-value entries.
 *
 * Threat: what is written goes to a backend that trusts it, and holds text that a
 * client chose: each value is bounded by its length field, never by its content.
 */
#include "wire/proxy_v2.h"

#include <netinet/in.h>
#include <string.h>

static const uint8_t signature[12] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
};

enum {
    VERSION = 0x20,
    COMMAND_LOCAL = 0x00,
    COMMAND_PROXY = 0x01,
    FAMILY_UNSPEC = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    TLV_HEADER = 3,
};

/* What may stand in the family byte, and how long its addresses are. */
static const struct {
    uint8_t family;
    uint8_t addresses_len;
} families[] = {
    { FAMILY_UNSPEC, 0 }, { FAMILY_TCP4, 12 }, { 0x12, 12 }, /* UDP over IPv4 */
    { FAMILY_TCP6, 36 },  { 0x22, 36 },                      /* UDP over IPv6 */
    { 0x31, 216 },        { 0x32, 216 },                     /* Unix stream, datagram */
};

/* One end of the connection; port as on the wire. */
struct endpoint {
    struct in6_addr addr; /* IPv4-mapped when the client came over IPv4 */
    in_port_t port;
};

/* Returns false when it is no Internet address. */
static bool endpoint_of(const struct sockaddr *sa, struct endpoint *out) {
    *out = (struct endpoint){ 0 };
    if (sa && sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        out->addr.s6_addr[10] = 0xff;
        out->addr.s6_addr[11] = 0xff;
        memcpy(&out->addr.s6_addr[12], &in.sin_addr, sizeof(in.sin_addr));
        out->port = in.sin_port;
        return true;
    }
    if (sa && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        out->addr = in6.sin6_addr;
        out->port = in6.sin6_port;
        return true;
    }
    return false;
}

/* An IPv4 client of a listener that takes both looks like IPv6 to us; the backend
 * shall see what it is. */
static uint8_t family_of(const struct proxy_v2 *pp, struct endpoint *client,
                         struct endpoint *local) {
    if (!endpoint_of(pp->client, client) || !endpoint_of(pp->local, local)) {
        return FAMILY_UNSPEC;
    }
    if (IN6_IS_ADDR_V4MAPPED(&client->addr) && IN6_IS_ADDR_V4MAPPED(&local->addr)) {
        return FAMILY_TCP4;
    }
    if (pp->client->sa_family == AF_INET6 && pp->local->sa_family == AF_INET6) {
        return FAMILY_TCP6;
    }
    return FAMILY_UNSPEC;
}

static void write_addresses(struct writer *w, uint8_t family, const struct endpoint *client,
                            const struct endpoint *local) {
    size_t skipped = family == FAMILY_TCP4 ? 12 : 0; /* the prefix of a mapped address */
    if (family == FAMILY_UNSPEC) {
        return;
    }
    writer_put(w, client->addr.s6_addr + skipped, sizeof(client->addr) - skipped);
    writer_put(w, local->addr.s6_addr + skipped, sizeof(local->addr) - skipped);
    writer_put(w, &client->port, sizeof(client->port));
    writer_put(w, &local->port, sizeof(local->port));
}

/* Puts the bytes between `from`, which is where a u16 stands, and the end of what
 * was written into that u16, itself not counted. */
static void write_len_back(struct writer *w, uint8_t *from) {
    if (w->failed) {
        return;
    }
    size_t len = (size_t)(w->at - from) - 2;
    from[0] = (uint8_t)(len >> 8);
    from[1] = (uint8_t)len;
}

_Static_assert(PROXY_V2_MAX <= UINT16_MAX, "a value too long for its length does not fit at all");

static void write_tlv(struct writer *w, uint8_t type, struct bytes value) {
    if (!value.data || value.len == 0) {
        return;
    }
    writer_u8(w, type);
    writer_u16(w, (uint16_t)value.len);
    writer_put(w, value.data, value.len);
}

/* struct pp2_tlv_ssl: client, verify, then TLVs of its own. */
static void write_ssl(struct writer *w, const struct proxy_v2 *pp) {
    writer_u8(w, PP2_TYPE_SSL);
    uint8_t *len = w->at;
    writer_u16(w, 0);
    writer_u8(w, pp->tls_client);
    writer_u32(w, pp->tls_verify);
    write_tlv(w, PP2_SUBTYPE_SSL_VERSION, pp->tls_version);
    write_tlv(w, PP2_SUBTYPE_SSL_CN, pp->tls_cn);
    write_tlv(w, PP2_SUBTYPE_SSL_CIPHER, pp->tls_cipher);
    write_tlv(w, PP2_SUBTYPE_SSL_SIG_ALG, pp->tls_sig_alg);
    write_tlv(w, PP2_SUBTYPE_SSL_KEY_ALG, pp->tls_key_alg);
    write_len_back(w, len);
}

size_t proxy_v2_write(const struct proxy_v2 *pp, uint8_t *buf, size_t cap) {
    struct writer w = writer_of(buf, cap < PROXY_V2_MAX ? cap : PROXY_V2_MAX);
    struct endpoint client;
    struct endpoint local;
    uint8_t family = family_of(pp, &client, &local);

    writer_put(&w, signature, sizeof(signature));
    writer_u8(&w, VERSION | COMMAND_PROXY);
    writer_u8(&w, family);
    uint8_t *len = w.at;
    writer_u16(&w, 0);
    write_addresses(&w, family, &client, &local);
    write_tlv(&w, PP2_TYPE_ALPN, pp->alpn);
    write_tlv(&w, PP2_TYPE_AUTHORITY, pp->authority);
    if (pp->tls) {
        write_ssl(&w, pp);
    }
    write_tlv(&w, PP2_TYPE_REPRISE_HANDSHAKE, pp->handshake);
    write_tlv(&w, PP2_TYPE_REPRISE_RESUMED_BY, pp->resumed_by);
    write_tlv(&w, PP2_TYPE_REPRISE_REASON, pp->reason);
    write_tlv(&w, PP2_TYPE_REPRISE_SESSION_ID, pp->session_id);
    write_tlv(&w, PP2_TYPE_REPRISE_TICKET_KEY, pp->ticket_key);
    write_tlv(&w, PP2_TYPE_REPRISE_PROFILE, pp->profile);
    write_len_back(&w, len);
    return w.failed ? 0 : (size_t)(w.at - buf);
}

static void take_copy(struct cursor *c, void *out, size_t len) {
    struct bytes taken = cursor_take(c, len);
    if (taken.data) {
        memcpy(out, taken.data, len);
    }
}

static void read_tcp4(struct cursor *c, struct proxy_v2_view *out) {
    struct sockaddr_in client = { .sin_family = AF_INET };
    struct sockaddr_in server = { .sin_family = AF_INET };
    take_copy(c, &client.sin_addr, sizeof(client.sin_addr));
    take_copy(c, &server.sin_addr, sizeof(server.sin_addr));
    take_copy(c, &client.sin_port, sizeof(client.sin_port));
    take_copy(c, &server.sin_port, sizeof(server.sin_port));
    memcpy(&out->client, &client, sizeof(client));
    memcpy(&out->server, &server, sizeof(server));
}

static void read_tcp6(struct cursor *c, struct proxy_v2_view *out) {
    struct sockaddr_in6 client = { .sin6_family = AF_INET6 };
    struct sockaddr_in6 server = { .sin6_family = AF_INET6 };
    take_copy(c, &client.sin6_addr, sizeof(client.sin6_addr));
    take_copy(c, &server.sin6_addr, sizeof(server.sin6_addr));
    take_copy(c, &client.sin6_port, sizeof(client.sin6_port));
    take_copy(c, &server.sin6_port, sizeof(server.sin6_port));
    memcpy(&out->client, &client, sizeof(client));
    memcpy(&out->server, &server, sizeof(server));
}

/* `addresses` has the length that the family asks for. Another family is to be taken
 * as unspecified, says the specification. */
static void read_addresses(uint8_t family, struct bytes addresses, struct proxy_v2_view *out) {
    struct cursor c = cursor_of(addresses);
    if (family == FAMILY_TCP4) {
        out->family = family;
        read_tcp4(&c, out);
    } else if (family == FAMILY_TCP6) {
        out->family = family;
        read_tcp6(&c, out);
    }
}

static bool tlvs_are_sound(struct bytes tlvs) {
    struct cursor c = cursor_of(tlvs);
    while (cursor_left(&c) > 0) {
        (void)cursor_u8(&c);
        (void)cursor_vec16(&c);
    }
    return !c.failed;
}

/* What follows the 16 bytes, for the PROXY command. Returns 0 or -1. */
static int read_proxied(uint8_t family, struct bytes rest, struct proxy_v2_view *out) {
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (families[i].family == family) {
            struct cursor c = cursor_of(rest);
            struct bytes addresses = cursor_take(&c, families[i].addresses_len);
            struct bytes tlvs = cursor_take(&c, cursor_left(&c));
            if (c.failed || !tlvs_are_sound(tlvs)) {
                return -1;
            }
            read_addresses(family, addresses, out);
            out->tlvs = tlvs;
            return 0;
        }
    }
    return -1;
}

int proxy_v2_read(struct bytes in, struct proxy_v2_view *out) {
    *out = (struct proxy_v2_view){ 0 };
    size_t known = in.len < sizeof(signature) ? in.len : sizeof(signature);
    if (known > 0 && memcmp(in.data, signature, known) != 0) {
        return -1;
    }
    struct cursor c = cursor_of(in);
    (void)cursor_take(&c, sizeof(signature));
    uint8_t version_command = cursor_u8(&c);
    if (!c.failed && version_command != (VERSION | COMMAND_LOCAL) &&
        version_command != (VERSION | COMMAND_PROXY)) {
        return -1;
    }
    uint8_t family = cursor_u8(&c);
    size_t len = cursor_u16(&c);
    if (PROXY_V2_HEADER + len > PROXY_V2_MAX) {
        return -1;
    }
    struct bytes rest = cursor_take(&c, len);
    if (c.failed) {
        return 0;
    }

    if (version_command == (VERSION | COMMAND_LOCAL)) {
        out->local = true; /* the rest is to be ignored, says the specification */
    } else if (read_proxied(family, rest, out) != 0) {
        return -1;
    }
    return (int)(PROXY_V2_HEADER + len);
}

bool proxy_v2_find(struct bytes tlvs, uint8_t type, struct bytes *value) {
    struct cursor c = cursor_of(tlvs);
    while (cursor_left(&c) >= TLV_HEADER) {
        uint8_t found = cursor_u8(&c);
        struct bytes v = cursor_vec16(&c);
        if (!c.failed && found == type) {
            *value = v;
            return true;
        }
    }
    return false;
}
