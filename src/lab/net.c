/* net.c: see net.h. The links are made over rtnetlink(7). */
#include "lab/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_MAX 1024
#define PREFIX_LEN 24
#define NAME_CLIENT "client"   /* towards the terminator */
#define NAME_OUTSIDE "outside" /* the terminator's, towards the client */
#define NAME_INSIDE "inside"   /* the terminator's, towards the backend */
#define NAME_BACKEND "backend" /* towards the terminator */

/* Both ends of one link. */
struct link_row {
    enum lab_place from, to;
    const char *from_name, *to_name;
    const char *from_address, *to_address;
};

static const struct link_row links[] = {
    { LAB_CLIENT, LAB_TERMINATOR, NAME_CLIENT, NAME_OUTSIDE, "10.199.3.135", "10.199.3.145" },
    { LAB_TERMINATOR, LAB_BACKEND, NAME_INSIDE, NAME_BACKEND, "10.199.4.1", "10.199.4.10" },
};

/* A request to the kernel that is being put together. */
struct request {
    _Alignas(struct nlmsghdr) uint8_t bytes[MESSAGE_MAX];
};

static struct nlmsghdr *request_head(struct request *request) {
    return (struct nlmsghdr *)request->bytes;
}

static void request_begin(struct request *request, uint16_t type, uint16_t flags, const void *body,
                          size_t len) {
    memset(request, 0, sizeof(*request));
    struct nlmsghdr *head = request_head(request);
    head->nlmsg_len = (uint32_t)(NLMSG_LENGTH(len));
    head->nlmsg_type = type;
    head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    memcpy(NLMSG_DATA(head), body, len);
}

/* Adds bytes behind what is there, and returns where they begin. */
static void *request_add(struct request *request, const void *data, size_t len) {
    struct nlmsghdr *head = request_head(request);
    uint8_t *at = request->bytes + NLMSG_ALIGN(head->nlmsg_len);
    if (len > 0) {
        memcpy(at, data, len);
    }
    head->nlmsg_len = (uint32_t)(NLMSG_ALIGN(head->nlmsg_len) + NLMSG_ALIGN(len));
    return at;
}

static struct rtattr *request_attribute(struct request *request, uint16_t type, const void *data,
                                        size_t len) {
    const struct rtattr head = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };
    struct rtattr *attribute = request_add(request, &head, sizeof(head));
    request_add(request, data, len);
    return attribute;
}

/* What was added since `attribute` is within it. */
static void request_nest(struct request *request, struct rtattr *attribute) {
    const uint8_t *end = request->bytes + request_head(request)->nlmsg_len;
    attribute->rta_len = (uint16_t)(end - (const uint8_t *)attribute);
}

/* Sends the request to the namespace that this process is in. Returns 0, or -1 with errno. */
static int request_send(struct request *request) {
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        uint8_t rest[MESSAGE_MAX];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = send(fd, request->bytes, request_head(request)->nlmsg_len, 0);
    n = n < 0 ? n : recv(fd, &answer, sizeof(answer), 0);
    close(fd);
    if (n < (ssize_t)(sizeof(answer.head) + sizeof(answer.error)) ||
        answer.head.nlmsg_type != NLMSG_ERROR) {
        errno = n < 0 ? errno : EPROTO;
        return -1;
    }
    errno = -answer.error.error;
    return answer.error.error == 0 ? 0 : -1;
}

/* ip link add NAME type veth peer name PEER netns FD */
static int link_add(const struct link_row *row, int peer_space) {
    static const char kind[] = "veth";
    const struct ifinfomsg none = { .ifi_family = AF_UNSPEC };
    struct request r;
    request_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
    request_attribute(&r, IFLA_IFNAME, row->from_name, strlen(row->from_name) + 1);
    struct rtattr *info = request_attribute(&r, IFLA_LINKINFO, NULL, 0);
    request_attribute(&r, IFLA_INFO_KIND, kind, sizeof(kind) - 1);
    struct rtattr *data = request_attribute(&r, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = request_attribute(&r, VETH_INFO_PEER, NULL, 0);
    request_add(&r, &none, sizeof(none));
    request_attribute(&r, IFLA_IFNAME, row->to_name, strlen(row->to_name) + 1);
    request_attribute(&r, IFLA_NET_NS_FD, &peer_space, sizeof(peer_space));
    request_nest(&r, peer);
    request_nest(&r, data);
    request_nest(&r, info);
    return request_send(&r);
}

/* ip link set NAME up */
static int link_up(const char *name) {
    const struct ifinfomsg up = { .ifi_family = AF_UNSPEC,
                                  .ifi_index = (int)if_nametoindex(name),
                                  .ifi_flags = IFF_UP,
                                  .ifi_change = IFF_UP };
    struct request r;
    request_begin(&r, RTM_NEWLINK, 0, &up, sizeof(up));
    return request_send(&r);
}

/* ip address add ADDRESS/24 dev NAME; ip link set NAME up */
static int link_address(const char *name, const char *address) {
    struct in_addr in;
    const struct ifaddrmsg body = { .ifa_family = AF_INET,
                                    .ifa_prefixlen = PREFIX_LEN,
                                    .ifa_index = if_nametoindex(name) };
    struct request r;
    inet_pton(AF_INET, address, &in);
    request_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
    request_attribute(&r, IFA_LOCAL, &in, sizeof(in));
    request_attribute(&r, IFA_ADDRESS, &in, sizeof(in));
    return request_send(&r) == 0 ? link_up(name) : -1;
}

static int make_link(const struct lab_net *net, const struct link_row *row) {
    if (lab_net_enter(net, row->from) != 0 || link_add(row, net->spaces[row->to]) != 0 ||
        link_address(row->from_name, row->from_address) != 0) {
        return -1;
    }
    return lab_net_enter(net, row->to) == 0 ? link_address(row->to_name, row->to_address) : -1;
}

static int make_space(int *space) {
    if (unshare(CLONE_NEWNET) != 0) {
        return -1;
    }
    *space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return *space >= 0 ? link_up("lo") : -1;
}

static int make_spaces(struct lab_net *net, struct err *err) {
    for (unsigned i = 0; i < LAB_PLACES; i++) {
        if (make_space(&net->spaces[i]) != 0) {
            return err_set_errno(err, errno,
                                 "--topology netns: no network namespace to be had "
                                 "(root with CAP_SYS_ADMIN and CAP_NET_ADMIN may)");
        }
    }
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (make_link(net, &links[i]) != 0) {
            return err_set_errno(err, errno, "--topology netns: no link between namespaces");
        }
    }
    return lab_net_enter(net, LAB_CLIENT) == 0
               ? 0
               : err_set_errno(err, errno, "--topology netns: cannot enter a namespace");
}

int lab_net_open(struct lab_net *net, enum lab_topology topology, struct err *err) {
    *net = (struct lab_net){ .topology = topology,
                             .spaces = { -1, -1, -1 },
                             .interface = "lo",
                             .terminator = "127.0.0.1",
                             .backend = "127.0.0.1" };
    if (topology == LAB_LOOPBACK) {
        return 0;
    }
    net->interface = NAME_CLIENT;
    net->terminator = links[0].to_address;
    net->backend = links[1].to_address;
    net->port = 443;
    return make_spaces(net, err);
}

int lab_net_enter(const struct lab_net *net, enum lab_place place) {
    return net->topology == LAB_LOOPBACK ? 0 : setns(net->spaces[place], CLONE_NEWNET);
}

void lab_net_close(struct lab_net *net) {
    for (unsigned i = 0; i < LAB_PLACES; i++) {
        if (net->topology == LAB_NETNS && net->spaces[i] >= 0) {
            close(net->spaces[i]);
        }
        net->spaces[i] = -1;
    }
}
