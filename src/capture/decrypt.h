/* decrypt.h: reads a stream's encrypted records with the secrets of a key log: TLS 1.3's
 * handshake and what follows, and TLS 1.0 to 1.2 from ChangeCipherSpec on, renegotiations
 * included.
 *
 * AES-GCM, ChaCha20-Poly1305, and in TLS 1.2 and earlier AES and 3DES in CBC mode with HMAC. Not
 * AES-CCM, RC4, SSL 3.0. Where records do not authenticate, a few that were lost are allowed
 * for; then the direction is not read any more.
 *
 * Threat: keys of others: wiped with the stream.
 */
#ifndef REPRISE_CAPTURE_DECRYPT_H
#define REPRISE_CAPTURE_DECRYPT_H

#include "capture/handshake.h"
#include "capture/stream.h"

struct keylog;

/* A message was read: hellos say which secrets are needed, Finished and KeyUpdate when they
 * change. `keylog` may be null or empty: nothing happens then. */
void decrypt_note(struct stream *stream, const struct keylog *keylog,
                  const struct message *message);

/* ChangeCipherSpec went by: in TLS 1.2 and earlier the direction's new keys are in force. */
void decrypt_ccs(struct stream *stream, uint8_t direction);

/* True when records of the direction can be decrypted now, so that they must be kept. */
bool decrypt_wants(const struct stream *stream, uint8_t direction);

/* Opens the record that the direction has just read (side->record_*). `type` is what it
 * really is, `plain` its content (borrowed until the next call). Returns false when it can't. */
bool decrypt_record(struct stream *stream, uint8_t direction, const uint8_t *record, uint8_t *type,
                    struct bytes *plain);

/* Wipes and frees stream->decrypt. */
void decrypt_fini(struct stream *stream);

#endif
