/* takeover.h: the new program's side of an upgrade: takes what the running service hands
 * over (handover.h), starts with it, and becomes the service when told to.
 *
 * Until it has been told to go the old service is whole: whatever goes wrong here ends
 * this program alone. What is taken does not become its own before: no key is wiped, no
 * socket's file removed. Master only.
 */
#ifndef REPRISE_PROXY_TAKEOVER_H
#define REPRISE_PROXY_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proxy/generation.h"

struct takeover;

/* Looks whether this program was started by an upgrade; if so, asks the old service for
 * what it hands over, waits for all of it, and sets *out to an owned object; otherwise to
 * null. On -1 the old service has been told, or, where there is none, err is set. */
int takeover_begin(struct takeover **out, struct err *err);

/* The descriptor of a shared region, now the caller's; -1 when none of that name was
 * handed over, or one of another size or layout. */
int takeover_region(struct takeover *t, const char *name, size_t bytes, uint64_t layout);

/* Maps the replay register that was handed over, of whatever size. False: there is none. */
bool takeover_replay(struct takeover *t, struct shm *shm);

/* The old service's generation, as far as one follows from it: its number, its listeners
 * with their sockets, and its caches; no configuration worth the name. Owned by the caller,
 * to be `old` of generation_new. Null with err set. Once. */
struct generation *takeover_generation(struct takeover *t, struct err *err);

/* The control socket's listening descriptor, now the caller's, if that is its path; or -1. */
int takeover_control(struct takeover *t, const char *path);

/* Tells the old service why this program can't take its place. False when it does not
 * hear: then the caller tells somebody else. */
bool takeover_refuse(struct takeover *t, const char *why);

/* Tells it that the workers are ready, and waits for its word to go: 0 when it came, with
 * *alone set when the old service has died instead; -1 with err set. Then it can't be told to
 * go any more: the old service finds that out when it tries, and goes on. */
int takeover_ready(struct takeover *t, bool *alone, struct err *err);

/* After the go: waits until no old worker accepts, logs what was taken, removes the file of
 * a control socket that was not asked for, and frees. */
void takeover_end(struct takeover *t);

/* Closes and frees, touching nothing of the old service; null is allowed. */
void takeover_free(struct takeover *t);

/* In a child: closes the descriptors. */
void takeover_close_in_child(const struct takeover *t);

#endif
