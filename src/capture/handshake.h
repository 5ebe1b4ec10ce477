/* handshake.h: takes handshake messages in clear, as tls.c finds them, into a stream's facts,
 * and traces what is offered to where it was issued.
 */
#ifndef REPRISE_CAPTURE_HANDSHAKE_H
#define REPRISE_CAPTURE_HANDSHAKE_H

#include "capture/issued.h"
#include "capture/stream.h"

/* A message as it was put together. */
struct message {
    uint8_t direction;
    uint8_t type;      /* enum handshake_type */
    bool whole;        /* all of the body is there */
    bool decrypted;    /* */
    uint32_t len;      /* of the body, as its header says */
    struct bytes body; /* as far as it is there */
    struct place place;
};

/* The header of a message was seen: what follows may be lost. */
void handshake_began(struct stream *stream, struct issued *issued, const struct message *message);

/* A message has ended, or was cut off (message->whole). Adds its row to the ladder. */
void handshake_message(struct stream *stream, struct issued *issued, const struct message *message);

/* A CLIENT-HELLO of SSL 2.0 with its record's header; or the server's answer to one. */
void handshake_ssl2(struct stream *stream, struct issued *issued, const struct message *message);

/* ChangeCipherSpec. */
void handshake_ccs(struct stream *stream, uint8_t direction, const struct place *place);

/* Bytes of a direction are missing. */
void handshake_lost(struct stream *stream, uint8_t direction);

/* True when the handshake under way is known to be TLS 1.3. */
bool handshake_is_tls13(const struct stream *stream);

/* True when nothing more of the current handshake is waited for. */
bool handshake_is_over(const struct handshake *handshake);

#endif
