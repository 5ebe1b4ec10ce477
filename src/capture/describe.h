/* describe.h: a stream's facts in words, for whoever prints them: names of versions, ciphers and
 * messages, addresses, and what is worth a note beside the verdict. Text goes into the caller's
 * storage; nothing is printed here.
 */
#ifndef REPRISE_CAPTURE_DESCRIBE_H
#define REPRISE_CAPTURE_DESCRIBE_H

#include <stddef.h>

#include "capture/verdict.h"

#define DESCRIBE_TEXT_MAX 256
#define DESCRIBE_ADDRESS_MAX 64
#define DESCRIBE_NOTES_MAX 12

/* "TLSv1.2", "TLSv1.3 draft 28", "DTLSv1.2", "SSLv2", or the number in hexadecimal. */
void describe_version(uint16_t version, char *out, size_t cap);

/* IANA's name, or the number. */
void describe_suite(uint16_t suite, char *out, size_t cap);

/* "192.0.2.1:443", "[2001:db8::1]:443". */
void describe_address(const uint8_t *address, uint8_t len, uint16_t port, char *out, size_t cap);

/* The message of a row, in the article's words: "Client Hello", "New Session Ticket". */
void describe_event(const struct event *event, char *out, size_t cap);

/* Seconds from the stream's first packet to the row's; 0 when clocks say less. */
double describe_since_s(const struct stream *stream, const struct event *event);

/* What the row's message holds that matters to resumption, one thing a line. Returns how many
 * lines there are. */
#define DESCRIBE_LINES_MAX 10
typedef char describe_line[DESCRIBE_TEXT_MAX];
unsigned describe_fields(const struct stream *stream, const struct event *event,
                         describe_line out[static DESCRIBE_LINES_MAX]);

/* The verdict as a sentence, with what is missing when it can't be told. */
void describe_verdict(const struct stream *stream, const struct judgement *judgement, char *out,
                      size_t cap);

/* What is worth knowing beside the verdict: early data, a compatibility field, renegotiation,
 * bytes that were lost... Returns how many lines there are. */
unsigned describe_notes(const struct stream *stream, const struct judgement *judgement,
                        describe_line out[static DESCRIBE_NOTES_MAX]);

#endif
