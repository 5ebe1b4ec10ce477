/* issued.h: session IDs, tickets and PSKs that servers were seen to issue, and how their
 * tickets begin, so that what is offered later can be traced to where it came from.
 *
 * Threat: memory that a capture decides. At most ISSUED_MAX tokens and ISSUED_SERVERS servers
 * are remembered, the newest ones; both are hashed under a random key.
 */
#ifndef REPRISE_CAPTURE_ISSUED_H
#define REPRISE_CAPTURE_ISSUED_H

#include "capture/stream.h"

#define ISSUED_MAX 65536
#define ISSUED_SERVERS 4096

struct issued;

/* Null when there is no memory. */
struct issued *issued_new(void);
void issued_free(struct issued *issued);

/* Remembers a token. One that is known already has a new origin: it lives from then on. */
void issued_add(struct issued *issued, const struct token *token, const struct origin *origin);

/* Where it was issued; origin->stream is STREAM_NONE when that is not known. */
void issued_find(const struct issued *issued, const struct token *token, enum token_kind kind,
                 struct origin *origin);

/* A server issued a ticket: remembers how it begins. */
void issued_note_ticket(struct issued *issued, const struct stream_server *server,
                        const struct token *ticket, uint64_t frame);

/* What is known of a server's tickets. */
struct ticket_key issued_ticket_key(const struct issued *issued,
                                    const struct stream_server *server);

#endif
