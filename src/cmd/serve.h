/* serve.h: what the running service does for `reprise ctl`. */
#ifndef REPRISE_CMD_SERVE_H
#define REPRISE_CMD_SERVE_H

#include "admin/control.h"

/* Carries out one command of ctl.def; a control_handler, whose `arg` is the master. */
int serve_command(void *arg, const struct control_request *request, FILE *out, struct err *err);

#endif
