/* fuzz.h: what every fuzz target defines. */
#ifndef REPRISE_FUZZ_FUZZ_H
#define REPRISE_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Takes any bytes; crashes, or fails an assert, when it finds a fault. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
