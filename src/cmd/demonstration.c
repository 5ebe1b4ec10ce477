/* demonstration.c: `reprise demonstration`: the demonstration backend's process,
 * started by the master alone; its listening socket is standard input. */
#include <unistd.h>

#include "cmd/cmd.h"
#include "proxy/demo.h"

int cmd_demonstration(int argc, char **argv) {
    (void)argv;
    if (argc != 1) {
        return cmd_wrong_usage("demonstration", "takes no argument");
    }
    return demo_run(STDIN_FILENO) == 0 ? CMD_OK : CMD_FAILED;
}
