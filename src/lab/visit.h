/* visit.h: the lab's client: one connection after another, TLS over a socket of its own.
 */
#ifndef REPRISE_LAB_VISIT_H
#define REPRISE_LAB_VISIT_H

#include <netinet/in.h>
#include <stdio.h>

#include "lab/record.h"
#include "tls/lab_client.h"

#define VISITOR_BUFFER 65536

/* A client with the sessions that it keeps. */
struct visitor {
    struct tls_client tls;
    SSL_CTX *ctx;         /* owned */
    SSL_SESSION *session; /* owned; what was kept last; null: nothing */
    struct tls_lab_keys keys;
    FILE *key_log; /* borrowed; null: secrets are not written */
    uint8_t in[VISITOR_BUFFER];
    uint8_t out[VISITOR_BUFFER];
};

struct visit {
    struct sockaddr_in to;
    const char *name;   /* the server's */
    SSL_SESSION *offer; /* borrowed; null: none */
    bool keep;          /* the session that is issued becomes visitor.session */
    bool renegotiate;   /* ask for it, after an answer has come */
    enum tls_lab_renegotiation renegotiation;
    struct recorder *recorder; /* borrowed; null: none */
};

/* Prepares a client of one TLS version. Returns 0 or -1. */
int visitor_init(struct visitor *visitor, uint16_t version, struct err *err);
void visitor_fini(struct visitor *visitor);

/* Makes a connection, one request and its answer, from SYN to both FINs, and fills `client`
 * with its address on this side. A connection that the server refuses to renegotiate is
 * one that went well. Returns 0, or -1 with err set. */
int visitor_visit(struct visitor *visitor, const struct visit *visit, struct sockaddr_in *client,
                  struct err *err);

#endif
