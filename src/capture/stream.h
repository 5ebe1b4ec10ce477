/* stream.h: what the wire showed of one TCP connection (or of one DTLS flow), as facts: no
 * verdict yet. Written by tls.c and handshake.c while packets come, read by verdict.c, why.c
 * and whoever prints.
 *
 * Nothing here points into packets. What a peer can make grow has a bound by name.
 */
#ifndef REPRISE_CAPTURE_STREAM_H
#define REPRISE_CAPTURE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/packet.h"
#include "capture/reassembly.h"
#include "wire/limits.h"
#include "wire/messages.h"

#define STREAM_NAME_MAX 128      /* of a server name, as far as it is kept */
#define STREAM_ALPN_MAX 32       /* */
#define STREAM_EVENTS_MAX 256    /* rows of a ladder that are kept */
#define STREAM_HANDSHAKES_MAX 8  /* handshakes on one connection that are kept */
#define STREAM_PSKS_MAX 4        /* of the identities offered, those that are traced */
#define STREAM_MESSAGE_MAX 65536 /* of a handshake message that is read; longer ones are cut */
#define STREAM_NONE UINT32_MAX

/* A session ID, a ticket or a PSK identity: what identifies it across the capture. */
struct token {
    uint32_t len; /* 0: there is none */
    uint8_t hash[16];
    uint8_t head[32]; /* its first bytes: a session ID whole, a ticket's key name */
};

#define TOKEN_KEY_NAME_LEN 16 /* RFC 5077 4: a ticket begins with the name of its key */

enum token_kind { TOKEN_SESSION_ID, TOKEN_TICKET, TOKEN_PSK };

/* Where a token was issued. `stream` is STREAM_NONE when the capture does not show it. */
struct origin {
    uint32_t stream;
    enum token_kind kind;
    struct place place;
    uint8_t server[PACKET_ADDRESS_LEN];
    uint16_t server_port;
    uint8_t address_len;
    bool hello_known; /* the issuing ServerHello was read whole; else the next three say nothing */
    uint16_t version;
    uint16_t cipher_suite;
    bool has_ems;
    bool has_lifetime;
    uint32_t lifetime_s;
    uint32_t age_add;
    uint64_t name_hash; /* 0: the hello named no server, or was not seen */
    bool name_known;
    char name[STREAM_NAME_MAX];
};

/* What a ClientHello offered, with where that came from. */
struct offer {
    bool seen;
    bool whole; /* false: cut off, or breaking a rule; what could be read counts */
    bool is_ssl2;
    struct place place;
    uint16_t legacy_version;
    uint16_t max_version; /* the highest one offered, GREASE aside */
    bool offers_tls13;
    struct token session_id;
    bool has_ticket_extension;
    struct token ticket;
    unsigned psk_count;
    struct token psks[STREAM_PSKS_MAX];
    uint32_t psk_age_ms; /* obfuscated, of the first */
    bool has_psk_modes;
    bool psk_dhe_ke;
    bool has_early_data;
    bool has_ems;
    bool has_name;
    bool has_ech; /* the name is then the outer one */
    bool has_renegotiation_info;
    uint8_t renegotiation_info_len; /* verify_data of the handshake before (RFC 5746 3.5) */
    uint64_t name_hash;
    char name[STREAM_NAME_MAX];
    char alpn[STREAM_ALPN_MAX]; /* the first one */
    struct origin session_id_origin;
    struct origin ticket_origin;
    struct origin psk_origin;   /* of the first one */
    bool origin_cipher_offered; /* the cipher suite of the ticket, else of the session ID */
};

/* What a ServerHello answered. */
struct answer {
    bool seen;
    bool whole;
    bool is_ssl2;
    bool ssl2_hit;
    struct place place;
    uint16_t version;
    uint16_t cipher_suite;
    uint16_t group;
    struct token session_id;
    bool has_ticket_extension;
    bool has_psk;
    uint16_t psk_selected;
    bool has_ems;
    bool accepts_early_data; /* EncryptedExtensions say so: needs a key log */
    bool read_extensions;    /* EncryptedExtensions were read */
    uint8_t client_messages; /* negotiated: encrypted ones of the client before its Finished */
    char alpn[STREAM_ALPN_MAX];
};

/* Messages seen in a handshake. */
enum {
    SEEN_SERVER_CERTIFICATE = 1 << 0,
    SEEN_SERVER_KEY_EXCHANGE = 1 << 1,
    SEEN_SERVER_HELLO_DONE = 1 << 2,
    SEEN_CLIENT_KEY_EXCHANGE = 1 << 3,
    SEEN_NEW_TICKET = 1 << 4,
    SEEN_SERVER_CCS = 1 << 5,
    SEEN_CLIENT_CCS = 1 << 6,
    SEEN_CLIENT_CERTIFICATE = 1 << 7,
    SEEN_CERTIFICATE_REQUEST = 1 << 8,
    SEEN_SERVER_FINISHED = 1 << 9,
    SEEN_CLIENT_FINISHED = 1 << 10,
};
#define SEEN_BEHIND_CLIENT_HELLO \
    (SEEN_CLIENT_KEY_EXCHANGE | SEEN_CLIENT_CCS | SEEN_CLIENT_CERTIFICATE | SEEN_CLIENT_FINISHED)
#define SEEN_OF_FULL                                                               \
    (SEEN_SERVER_CERTIFICATE | SEEN_SERVER_KEY_EXCHANGE | SEEN_SERVER_HELLO_DONE | \
     SEEN_CLIENT_KEY_EXCHANGE | SEEN_CERTIFICATE_REQUEST | SEEN_CLIENT_CERTIFICATE)

/* The server's ticket key as its tickets show it: their first TOKEN_KEY_NAME_LEN bytes. */
struct ticket_key {
    bool known;
    uint8_t name[TOKEN_KEY_NAME_LEN];
    uint64_t frame;   /* of the last ticket that shows it */
    uint32_t tickets; /* that this server was seen to issue */
    bool alike;       /* two in a row began alike: a key name, and no chance */
};

struct handshake {
    struct offer offer;
    struct offer second; /* after a HelloRetryRequest */
    bool retry;
    struct place retry_place;
    struct answer answer;
    unsigned seen;           /* SEEN_* */
    uint64_t full_frame;     /* the first message that only a full handshake has */
    uint64_t finished_frame; /* the ChangeCipherSpec that ends an abbreviated one's server part */
    bool early_ccs;          /* the client's ChangeCipherSpec came before the ServerHello */
    bool lost[2];            /* bytes of that direction are missing before its end */
    unsigned tickets_issued;
    bool tickets_alike;         /* two of them begin alike */
    struct token ticket_issued; /* the last one */
    uint32_t ticket_lifetime_s;
    uint64_t ticket_frame;
    struct ticket_key key_before; /* the server's as the hello came */
    bool decrypted;               /* read with a key log: a renegotiation, or TLS 1.3's rest */
};

enum event_kind {
    EVENT_HANDSHAKE,           /* code: the handshake type */
    EVENT_CCS,                 /* */
    EVENT_ALERT,               /* code: level << 8 | description */
    EVENT_ENCRYPTED_ALERT,     /* */
    EVENT_ENCRYPTED_HANDSHAKE, /* of TLS 1.2 and earlier, after ChangeCipherSpec */
    EVENT_ENCRYPTED,           /* TLS 1.3: handshake or data, which can't be told */
    EVENT_DATA,                /* records of application data, one after another */
    EVENT_PLAIN,               /* bytes before TLS began */
    EVENT_LOST,                /* bytes that were not captured */
    EVENT_HEARTBEAT,           /* */
    EVENT_NOT_TLS,             /* bytes where a record should be */
};

/* A row of the ladder. */
struct event {
    enum event_kind kind;
    uint8_t direction; /* 0, 1: see struct stream */
    bool decrypted;
    bool is_ssl2;
    uint16_t code;
    uint16_t handshake; /* whose it is: index into handshakes */
    uint32_t count;     /* records, where several make one row */
    uint64_t len;       /* bytes: of the message, or of all the records */
    struct place place;
    uint32_t lifetime_s; /* of a new_session_ticket */
    struct token ticket; /* the same */
};

/* How far a direction is read: see tls.c. */
enum side_state { SIDE_START, SIDE_SEARCH, SIDE_RECORDS, SIDE_RESYNC, SIDE_SSL2, SIDE_IGNORE };

struct side {
    enum side_state state;
    bool encrypted;        /* ChangeCipherSpec of TLS 1.2 or earlier went by */
    bool tentative;        /* records, but no hello yet */
    bool record_encrypted; /* the record that is being read */
    bool message_lost;     /* handshake bytes are missing: the next record may not begin one */
    uint8_t head_len;      /* bytes in `head` */
    uint8_t head[SSL2_HELLO_HEADER];
    uint8_t record_type;
    uint16_t record_version;
    uint32_t record_len;
    uint32_t record_left;
    uint64_t plain_len;            /* before TLS began */
    uint64_t records;              /* */
    uint32_t ccs;                  /* ChangeCipherSpec records */
    uint32_t encrypted_handshakes; /* since the last ChangeCipherSpec */
    uint32_t extra_handshakes;     /* encrypted ones where none is expected */
    /* the handshake message that is being put together */
    uint8_t message_head[WIRE_HANDSHAKE_HEADER];
    uint8_t message_head_len;
    uint32_t message_len;  /* of the body */
    uint32_t message_have; /* of it, also where it is not kept */
    uint32_t message_kept; /* of it, in `message` */
    uint32_t message_cap;
    uint8_t *message; /* owned */
    uint8_t alert[2];
    /* with a key log, or of SSL 2.0: the record that is being put together */
    uint8_t *record; /* owned */
    uint32_t record_have;
    uint32_t record_cap;
};

enum stream_transport { STREAM_TCP, STREAM_DTLS, STREAM_QUIC };

struct decrypt;

/* Direction 0 is that of the first packet, or of the SYN. */
struct stream {
    enum stream_transport transport;
    uint32_t number;         /* Wireshark's tcp.stream or udp.stream */
    struct packet_ends ends; /* of direction 0 */
    struct place first;
    struct place last;
    uint64_t packets;
    uint64_t bytes[2];
    uint64_t lost[2]; /* bytes that were not captured */
    bool saw_syn;
    bool saw_reset;
    bool fin[2];
    bool is_tls;          /* records were found */
    int client;           /* the direction of the TLS client; -1: not known */
    bool early_data_seen; /* data from the client between its hello and the server's */
    uint16_t alert;       /* a fatal one in clear: level << 8 | description; 0: none */
    uint8_t alert_direction;
    uint64_t alert_frame;
    struct side sides[2];
    struct handshake *handshakes; /* owned */
    unsigned handshake_count;
    unsigned handshake_cap;
    struct event *events; /* owned */
    unsigned event_count;
    unsigned event_cap;
    uint64_t events_dropped;
    struct decrypt *decrypt; /* owned by tls.c; null without a key log */
};

/* Frees what the stream owns, not itself. */
void stream_fini(struct stream *stream);

/* The handshake that messages belong to now; null when there is none. */
struct handshake *stream_handshake(const struct stream *stream);

/* Adds a handshake; null when there are STREAM_HANDSHAKES_MAX, or no memory. */
struct handshake *stream_add_handshake(struct stream *stream);

/* Adds a row, or counts it into the last one where they make one. Returns it, or null when
 * there are too many. */
struct event *stream_add_event(struct stream *stream, const struct event *event);

/* The direction of the TLS client, or as far as is known the TCP client's. */
uint8_t stream_client(const struct stream *stream);

/* True when the row is the TLS client's, or as far as is known the TCP client's. */
bool event_is_from_client(const struct stream *stream, const struct event *event);

/* How many renegotiations were completed, by their ChangeCipherSpec. */
unsigned stream_renegotiations(const struct stream *stream);

/* True when encrypted handshake messages show that one was asked for and did not complete. */
bool stream_renegotiation_asked(const struct stream *stream);

/* The server's address and port: the TLS server's, or as far as is known the TCP server's. */
struct stream_server {
    const uint8_t *address;
    uint8_t address_len;
    uint16_t port;
};
struct stream_server stream_server(const struct stream *stream);

/* The identity of bytes. */
struct token token_of(struct bytes bytes);
bool token_equal(const struct token *a, const struct token *b);

#endif
