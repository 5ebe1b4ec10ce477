/* address.h: a socket's address as text. */
#ifndef REPRISE_NET_ADDRESS_H
#define REPRISE_NET_ADDRESS_H

#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 64 /* bytes that always suffice */

/* Writes "127.0.0.1:443" or "[::1]:443" for an IPv4 or IPv6 address; another
 * family gives an empty text. Any process. */
void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT_MAX]);

#endif
