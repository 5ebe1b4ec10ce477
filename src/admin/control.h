/* control.h: the control socket: a Unix stream socket that takes one line and
 * answers with text. Only the service's own user (and root) can connect: the
 * socket's file has mode 0600, and the peer's user is checked.
 *
 * In: "text WORD...\n" or "json WORD...\n", the form in which the answer is wanted
 * and the command's words. Out: "ok\n" and the answer, or "error: TEXT\n".
 */
#ifndef REPRISE_ADMIN_CONTROL_H
#define REPRISE_ADMIN_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "net/loop.h"

struct control;

#define CONTROL_WORDS_MAX 8

struct control_request {
    bool json;
    size_t count;
    const char *words[CONTROL_WORDS_MAX]; /* borrowed for the call; null after the last */
};

/* Does what is asked, by its first word, and writes the answer to `out`. Returns 0,
 * or -1 with err set. */
typedef int control_handler(void *arg, const struct control_request *request, FILE *out,
                            struct err *err);

/* Listens on `path`, making its folder if needed. A socket file that nobody
 * listens on is replaced; one that somebody does is an error. Returns an owned
 * object, or null. Master. */
struct control *control_open(const char *path, struct loop *loop, control_handler *handler,
                             void *arg, struct err *err);

/* The same with a socket that listens there already: `fd`, taken over in every case. */
struct control *control_adopt(int fd, const char *path, struct loop *loop, control_handler *handler,
                              void *arg, struct err *err);

/* Its path, borrowed, and its descriptor, to be handed to another program. */
const char *control_path(const struct control *control, int *fd);

/* Listens no more and leaves the socket's file to who listens there now. The request that
 * is being served is answered. */
void control_release(struct control *control);

/* Removes the socket's file, unless it was released, and frees; null is allowed. */
void control_close(struct control *control);

/* In a child process: closes the descriptor and leaves the file alone. */
void control_close_in_child(struct control *control);

#endif
