/* notify.h: what the service tells the supervisor that started it (sd_notify(3)):
 * that it is ready, that it reloads, that another process is the main one now. */
#ifndef REPRISE_BASE_NOTIFY_H
#define REPRISE_BASE_NOTIFY_H

/* Sends one state, lines such as "READY=1", to the datagram socket that NOTIFY_SOCKET
 * names: a path, or a name in the abstract space with '@' before it. Does nothing where
 * that is not set; waits for nobody, and nobody learns of a failure: a service runs
 * without its supervisor's ear. Master only. */
void notify_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
