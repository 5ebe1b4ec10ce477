/* pcapng.h: reads a pcapng file's blocks (draft-ietf-opsawg-pcapng): packets of any number of
 * interfaces, each with its link type and clock, and embedded TLS key logs.
 */
#ifndef REPRISE_CAPTURE_PCAPNG_H
#define REPRISE_CAPTURE_PCAPNG_H

#include <stdio.h>

#include "capture/source.h"

#define PCAPNG_MAGIC 0x0a0d0d0au
#define PCAPNG_INTERFACES_MAX 4096

struct pcapng;

/* Reads from `file` (borrowed), which stands at the first block. Null: no memory. */
struct pcapng *pcapng_new(FILE *file);
void pcapng_free(struct pcapng *pcapng);

/* The next packet or key log. */
enum source_status pcapng_next(struct pcapng *pcapng, struct source_packet *packet,
                               struct err *err);

#endif
