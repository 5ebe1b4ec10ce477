/* tree.c: see tree.h. */
#include "load/tree.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROC_PATH_MAX 96

struct tree {
    int pids[TREE_PROCESSES_MAX];
    unsigned count;
};

/* The time that a thread has run, to the nanosecond: the first number of schedstat. */
static uint64_t thread_cpu_ns(int pid, const char *thread) {
    char path[PROC_PATH_MAX];
    uint64_t ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", pid, thread);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%" SCNu64, &ns) != 1) { /* NOLINT(cert-err34-c): the kernel's own form */
            ns = 0;
        }
        fclose(file);
    }
    return ns;
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
    for (const struct dirent *entry; (entry = readdir(threads));) {
        if (entry->d_name[0] != '.') {
            use->cpu_ns += thread_cpu_ns(pid, entry->d_name);
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
