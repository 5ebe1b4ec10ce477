/* address.c: see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

#include "base/decimal.h"

/* "127.0.0.1:443". Returns its length. */
static size_t ipv4_text(const struct sockaddr_in *in, char *out) {
    const uint8_t *octets = (const uint8_t *)&in->sin_addr;
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        len += decimal_write(octets[i], out + len);
        out[len++] = i < 3 ? '.' : ':';
    }
    return len + decimal_write(ntohs(in->sin_port), out + len);
}

void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT_MAX]) {
    char ip[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (sa->sa_family == AF_INET) {
        out[ipv4_text((const struct sockaddr_in *)sa, out)] = '\0';
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", ip, ntohs(in6->sin6_port));
    }
}
