/* bench_html.c: placeholder */
#include "cmd/bench.h"

void bench_print_html(const struct bench *bench, FILE *stream) {
    (void)bench;
    (void)stream;
}
