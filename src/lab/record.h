/* record.h: takes the packets of the lab's connections into a capture file: off the wire where
 * the system lets it (libpcap), or else from the bytes of the client's own sockets
 * (capture/pcap_write.h).
 */
#ifndef REPRISE_LAB_RECORD_H
#define REPRISE_LAB_RECORD_H

#include <netinet/in.h>

#include "base/bytes.h"
#include "base/err.h"

enum lab_record { LAB_RECORD_AUTO, LAB_RECORD_SOCKETS, LAB_RECORD_CAPTURE };

struct recorder;

/* Begins a file. With LAB_RECORD_CAPTURE what goes to and from the server's address over the
 * interface is recorded, or it fails. LAB_RECORD_AUTO tries that and takes the sockets
 * otherwise. Null with err set. */
struct recorder *recorder_open(const char *path, enum lab_record kind, const char *interface,
                               const struct sockaddr_in *server, struct err *err);

/* What it does: never LAB_RECORD_AUTO. */
enum lab_record recorder_kind(const struct recorder *recorder);

/* What the client's socket did, as it did it; from the sockets only. Null is allowed. */
void recorder_connect(struct recorder *recorder, const struct sockaddr_in *client,
                      uint64_t begin_ns);
void recorder_bytes(struct recorder *recorder, bool from_client, struct bytes data);
void recorder_end(struct recorder *recorder, bool from_client);

/* The connection of the client's address is over: off the wire, its packets up to both FINs are
 * taken in. Returns 0, or -1 when they did not come. Null is allowed. */
int recorder_finish(struct recorder *recorder, const struct sockaddr_in *client, struct err *err);

/* Ends the file. Null is allowed. Returns 0 or -1. */
int recorder_close(struct recorder *recorder, struct err *err);

/* "sockets", "capture". */
const char *lab_record_word(enum lab_record kind);

/* Nanoseconds since 1970. */
uint64_t lab_wall_ns(void);

#endif
