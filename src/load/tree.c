/* tree.c: see tree.h. */
#include "load/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define PROC_PATH_MAX 96

struct tree {
    int pids[TREE_PROCESSES_MAX];
    unsigned count;
};

/* Of all threads of a process, those that are over included, to the nanosecond. */
static uint64_t process_cpu_ns(int pid) {
    clockid_t clock;
    struct timespec ts;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        return 0;
    }
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void add_children(struct tree *tree, int pid, const char *thread) {
    char path[PROC_PATH_MAX];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children", pid, thread);
    FILE *file = fopen(path, "re");
    if (!file) {
        return;
    }
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own form */
    while (tree->count < TREE_PROCESSES_MAX && fscanf(file, "%d", &child) == 1) {
        tree->pids[tree->count++] = child;
    }
    fclose(file);
}

static uint64_t process_pss_kb(int pid) {
    char path[PROC_PATH_MAX];
    char line[128];
    uint64_t kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    while (file && kb == 0 && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "Pss:", 4) == 0) {
            kb = strtoull(line + 4, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return kb;
}

/* Adds what one process uses, and its children to the tree. */
static void read_process(struct tree *tree, int pid, struct tree_use *use) {
    char path[PROC_PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (!threads) {
        return;
    }
    use->processes++;
    use->cpu_ns += process_cpu_ns(pid);
    for (const struct dirent *entry; (entry = readdir(threads));) {
        if (entry->d_name[0] != '.') {
            add_children(tree, pid, entry->d_name);
        }
    }
    closedir(threads);
}

struct tree_use tree_read(int pid, bool memory) {
    struct tree tree = { .pids = { pid }, .count = 1 };
    struct tree_use use = { 0 };
    for (unsigned i = 0; i < tree.count; i++) {
        read_process(&tree, tree.pids[i], &use);
        use.pss_kb += memory ? process_pss_kb(tree.pids[i]) : 0;
    }
    return use;
}
