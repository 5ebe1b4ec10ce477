/* net.h: where the lab is played: on loopback, or in three network namespaces of its own with
 * the article's addresses: client, terminator, backend.
 *
 *     client 10.199.3.135 ---- 10.199.3.145 terminator 10.199.4.1 ---- 10.199.4.10 backend
 *
 * The namespaces have no names: they are there as long as the lab and its processes are, however
 * these end, and nothing is left to clean up.
 */
#ifndef REPRISE_LAB_NET_H
#define REPRISE_LAB_NET_H

#include <netinet/in.h>

#include "base/err.h"

enum lab_topology { LAB_LOOPBACK, LAB_NETNS };

enum lab_place { LAB_CLIENT, LAB_TERMINATOR, LAB_BACKEND, LAB_PLACES };

struct lab_net {
    enum lab_topology topology;
    int spaces[LAB_PLACES]; /* owned descriptors of namespaces; -1 on loopback */
    const char *interface;  /* that the client's packets go over */
    const char *terminator; /* its address, as text */
    const char *backend;
    unsigned port; /* of the virtual server; 0: any */
};

/* Prepares it; with LAB_NETNS this process then is where the client is. Returns 0, or -1 with
 * err set to what is missing. To be closed in both cases. */
int lab_net_open(struct lab_net *net, enum lab_topology topology, struct err *err);

/* Moves this process, or a child of it, there. Returns 0 or -1. */
int lab_net_enter(const struct lab_net *net, enum lab_place place);

void lab_net_close(struct lab_net *net);

#endif
