/* tree.h: what a process and all that it started have used, from /proc. */
#ifndef REPRISE_LOAD_TREE_H
#define REPRISE_LOAD_TREE_H

#include <stdbool.h>
#include <stdint.h>

#define TREE_PROCESSES_MAX 1024

struct tree_use {
    unsigned processes; /* 0: there is none of that number */
    uint64_t cpu_ns;    /* of those that live, since each began */
    uint64_t pss_kb;    /* proportional set sizes; 0 where it was not asked for or not allowed */
};

/* Reads the tree below `pid`, that one included. Memory costs the kernel a walk through all
 * pages, and is read only with `memory`. */
struct tree_use tree_read(int pid, bool memory);

#endif
