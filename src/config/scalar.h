/* scalar.h: the text of one value to the value, and back. Knows nothing of
 * directives: whoever asks writes the error, since only it knows what was expected. */
#ifndef REPRISE_CONFIG_SCALAR_H
#define REPRISE_CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* on, true, yes; off, false, no. Returns 0, or -1 for anything else. */
int scalar_switch(const char *text, bool *value);

/* Decimal digits and nothing else; -1 also for a number above 2^64 - 1. */
int scalar_number(const char *text, uint64_t *value);

/* Digits with ms, s, m, h or d behind them; without a unit they are seconds.
 * -1 also for what does not fit. */
int scalar_duration_ms(const char *text, uint64_t *value_ms);

/* Writes the duration in the largest unit that gives a whole number: "1h", "90s". Returns buf. */
const char *scalar_print_duration(uint64_t value_ms, char *buf, size_t cap);

#define SCALAR_DURATION_MAX 32

/* A numeric address and a port: "127.0.0.1:8443", "[::1]:8443", "[fe80::1%eth0]:8443".
 * Looks nothing up. Returns 0 or -1. */
int scalar_address(const char *text, struct sockaddr_storage *addr, socklen_t *addr_len);

/* Writes the address in the one form that all spellings of it share. Returns buf. */
const char *scalar_print_address(const struct sockaddr_storage *addr, char *buf, size_t cap);

#define SCALAR_ADDRESS_MAX 80

/* The port of an address that scalar_address gave. */
uint16_t scalar_port(const struct sockaddr_storage *addr);

/* A name as clients ask for it (RFC 6066 3): labels of letters, digits, hyphens and
 * underscores; `*` may be the leftmost label when another follows. Writes it in lower case
 * and without a dot at its end. Returns null, or what is wrong with it. */
const char *scalar_server_name(const char *text, char *buf, size_t cap);

/* Letters, digits, dots, hyphens and underscores, a letter or digit first. */
bool scalar_is_name(const char *text);

/* Copies text for an error message: shortened, control characters as '?'. Returns buf. */
const char *scalar_shown(const char *text, char *buf, size_t cap);

#define SCALAR_SHOWN_MAX 80

#endif
