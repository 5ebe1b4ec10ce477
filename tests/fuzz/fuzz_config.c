/* fuzz_config.c: a configuration of any bytes is refused with a text that tells the line, or
 * is taken, and then loads again from what config_print makes of it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

static const char name[] = "fuzz.conf";

static char *print(const struct config *config, size_t *len) {
    char *text = NULL;
    FILE *stream = open_memstream(&text, len);
    assert(stream);
    assert(config_print(config, stream) == 0);
    fclose(stream);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct err err = { 0 };
    struct config *config = config_parse(name, (const char *)data, len, &err);
    if (!config) {
        assert(strncmp(err.text, "fuzz.conf:", sizeof(name)) == 0);
        assert(err.text[sizeof(name)] >= '1' && err.text[sizeof(name)] <= '9');
        return 0;
    }
    assert(!err.set);
    size_t printed_len;
    char *printed = print(config, &printed_len);
    struct config *again = config_parse(name, printed, printed_len, &err);
    assert(again);
    config_free(again);
    config_free(config);
    free(printed);
    return 0;
}
