/* replay.c: the main of a fuzz target built without libFuzzer: hands it each file named,
 * and each file of each folder named. A run that finds no file is a failure, so that a
 * corpus which went missing is noticed. */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Reads into a block of exactly the file's size: the sanitizer sees one byte too many. */
static bool replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISREG(st.st_mode)) {
        fclose(file);
        return false;
    }
    size_t len = (size_t)st.st_size;
    uint8_t *data = malloc(len ? len : 1);
    if (!data || fread(data, 1, len, file) != len) {
        perror(path);
        exit(1);
    }
    fclose(file);
    /* Told first: after a crash it is the last line. */
    puts(path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    return true;
}

static size_t replay_folder(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        return replay_file(path) ? 1 : 0;
    }
    size_t replayed = 0;
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        replayed += replay_file(file) ? 1 : 0;
        free(entries[i]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char **argv) {
    size_t replayed = 0;
    for (int i = 1; i < argc; i++) {
        replayed += replay_folder(argv[i]);
    }
    printf("%zu files replayed\n", replayed);
    return replayed > 0 ? 0 : 1;
}
