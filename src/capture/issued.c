/* issued.c: see issued.h. Tokens lie in a ring that grows to ISSUED_MAX and then overwrites
 * its oldest; a table of chains finds them. */
#include "capture/issued.h"

#include <stdlib.h>

#include "base/crypto.h"

#define ISSUED_FIRST 256
#define NONE UINT32_MAX

struct entry {
    struct token token;
    struct origin origin;
    uint32_t next; /* in its chain */
};

struct server {
    bool used;
    uint8_t address[PACKET_ADDRESS_LEN];
    uint8_t address_len;
    uint16_t port;
    struct ticket_key key;
};

struct issued {
    uint64_t hash_key[2];
    uint32_t count;
    uint32_t cap;
    uint32_t at;            /* what is written next */
    struct entry *entries;  /* owned */
    uint32_t *chains;       /* owned; ISSUED_MAX of them */
    struct server *servers; /* owned; ISSUED_SERVERS */
};

struct issued *issued_new(void) {
    struct issued *issued = calloc(1, sizeof(*issued));
    if (!issued) {
        return NULL;
    }
    issued->chains = malloc(ISSUED_MAX * sizeof(*issued->chains));
    issued->servers = calloc(ISSUED_SERVERS, sizeof(*issued->servers));
    if (!issued->chains || !issued->servers) {
        issued_free(issued);
        return NULL;
    }
    memset(issued->chains, 0xff, ISSUED_MAX * sizeof(*issued->chains));
    crypto_hash_key(issued->hash_key);
    return issued;
}

void issued_free(struct issued *issued) {
    if (issued) {
        free(issued->entries);
        free(issued->chains);
        free(issued->servers);
        free(issued);
    }
}

static uint32_t *issued_chain(const struct issued *issued, const struct token *token) {
    struct bytes hash = { token->hash, sizeof(token->hash) };
    return &issued->chains[crypto_siphash(issued->hash_key, hash) % ISSUED_MAX];
}

static struct entry *issued_entry(const struct issued *issued, const struct token *token,
                                  enum token_kind kind) {
    for (uint32_t i = *issued_chain(issued, token); i != NONE; i = issued->entries[i].next) {
        struct entry *entry = &issued->entries[i];
        if (entry->origin.kind == kind && token_equal(&entry->token, token)) {
            return entry;
        }
    }
    return NULL;
}

static void issued_unlink(struct issued *issued, uint32_t index) {
    uint32_t *at = issued_chain(issued, &issued->entries[index].token);
    while (*at != NONE && *at != index) {
        at = &issued->entries[*at].next;
    }
    if (*at == index) {
        *at = issued->entries[index].next;
    }
}

/* Makes room for one more while the ring may still grow. */
static bool issued_reserve(struct issued *issued) {
    if (issued->count < issued->cap) {
        return true;
    }
    if (issued->cap == ISSUED_MAX) {
        return issued->cap > 0;
    }
    uint32_t cap = issued->cap ? issued->cap * 2 : ISSUED_FIRST;
    struct entry *entries = realloc(issued->entries, cap * sizeof(*entries));
    if (!entries) {
        return false;
    }
    issued->entries = entries;
    issued->cap = cap;
    issued->at = issued->count;
    return true;
}

void issued_add(struct issued *issued, const struct token *token, const struct origin *origin) {
    struct entry *known = token->len > 0 ? issued_entry(issued, token, origin->kind) : NULL;
    if (known && origin->place.frame >= known->origin.place.frame) {
        known->origin = *origin;
    }
    if (known || token->len == 0 || !issued_reserve(issued)) {
        return;
    }
    uint32_t index = issued->at;
    if (issued->count == ISSUED_MAX) {
        issued_unlink(issued, index);
    } else {
        issued->count++;
    }
    issued->at = (index + 1) % ISSUED_MAX;
    struct entry *entry = &issued->entries[index];
    entry->token = *token;
    entry->origin = *origin;
    uint32_t *chain = issued_chain(issued, token);
    entry->next = *chain;
    *chain = index;
}

void issued_find(const struct issued *issued, const struct token *token, enum token_kind kind,
                 struct origin *origin) {
    const struct entry *entry = token->len > 0 ? issued_entry(issued, token, kind) : NULL;
    if (entry) {
        *origin = entry->origin;
    } else {
        memset(origin, 0, sizeof(*origin));
        origin->stream = STREAM_NONE;
    }
}

static struct server *issued_server(const struct issued *issued,
                                    const struct stream_server *server) {
    uint8_t key[PACKET_ADDRESS_LEN + 2];
    memcpy(key, server->address, PACKET_ADDRESS_LEN);
    memcpy(key + PACKET_ADDRESS_LEN, &server->port, sizeof(server->port));
    uint64_t hash = crypto_siphash(issued->hash_key, (struct bytes){ key, sizeof(key) });
    return &issued->servers[hash % ISSUED_SERVERS];
}

static bool server_is(const struct server *row, const struct stream_server *server) {
    return row->used && row->port == server->port && row->address_len == server->address_len &&
           memcmp(row->address, server->address, PACKET_ADDRESS_LEN) == 0;
}

void issued_note_ticket(struct issued *issued, const struct stream_server *server,
                        const struct token *ticket, uint64_t frame) {
    if (ticket->len < TOKEN_KEY_NAME_LEN) {
        return;
    }
    struct server *row = issued_server(issued, server);
    if (!server_is(row, server)) {
        memset(row, 0, sizeof(*row));
        row->used = true;
        row->port = server->port;
        row->address_len = server->address_len;
        memcpy(row->address, server->address, PACKET_ADDRESS_LEN);
    }
    struct ticket_key *key = &row->key;
    bool same = key->known && memcmp(key->name, ticket->head, TOKEN_KEY_NAME_LEN) == 0;
    key->alike = key->alike || same;
    key->tickets++;
    key->known = true;
    key->frame = frame;
    memcpy(key->name, ticket->head, TOKEN_KEY_NAME_LEN);
}

struct ticket_key issued_ticket_key(const struct issued *issued,
                                    const struct stream_server *server) {
    const struct server *row = issued_server(issued, server);
    return server_is(row, server) ? row->key : (struct ticket_key){ 0 };
}
