/* sni.h: from the name in a ClientHello to a client-SSL profile.
 *
 * A virtual server's names in a hash table: exact first, then the wildcard of
 * the name's parent domain, then the explicit default. Constant cost however
 * many names there are. Built in the master, read by workers.
 */
#ifndef REPRISE_PROXY_SNI_H
#define REPRISE_PROXY_SNI_H

#include <stddef.h>

#include "base/bytes.h"
#include "config/config.h"

struct sni_table;

/* Builds a table for a virtual server (borrowed; outlives it). Null without memory. */
struct sni_table *sni_new(const struct config_vserver *vserver);
void sni_free(struct sni_table *table);

/* Lower-cases ASCII and drops one trailing dot: the form in which names are
 * compared (R10). `out` takes name.len bytes; returns the length. */
size_t sni_normalise(struct bytes name, uint8_t *out);

/* The profile for a normalised name (empty: none was sent), or null when no
 * profile may serve it (R8). */
const struct config_profile *sni_find(const struct sni_table *table, struct bytes name);

#endif
