/* decrypt.h: reads a stream's encrypted records with the secrets of a key log: TLS 1.3's
 * handshake and what follows, and TLS 1.2 from ChangeCipherSpec on, renegotiations included.
 *
 * AES-GCM, AES-CCM's absence apart, ChaCha20-Poly1305 and, in TLS 1.2, AES-CBC with HMAC. A
 * record that does not authenticate ends the reading of its direction.
 */
#ifndef REPRISE_CAPTURE_DECRYPT_H
#define REPRISE_CAPTURE_DECRYPT_H

#include "capture/handshake.h"
#include "capture/stream.h"

struct keylog;

/* A message was read: hellos say which secrets are needed, Finished when they change. */
void decrypt_note(struct stream *stream, const struct keylog *keylog,
                  const struct message *message);

/* ChangeCipherSpec went by in TLS 1.2 or earlier. */
void decrypt_ccs(struct stream *stream, uint8_t direction);

/* True when records of the direction can be decrypted now, so that they must be kept. */
bool decrypt_wants(const struct stream *stream, uint8_t direction);

/* Opens the record that the direction has just read, in place. Returns false when it can't. */
bool decrypt_record(struct stream *stream, uint8_t direction, uint8_t *record, uint8_t *type,
                    struct bytes *plain);

/* Wipes and frees stream->decrypt. */
void decrypt_fini(struct stream *stream);

#endif
