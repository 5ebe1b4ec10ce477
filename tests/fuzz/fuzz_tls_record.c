/* fuzz_tls_record.c: any bytes as a stream of TLS records: each is whole, waited for or
 * refused, the same however much of what follows is there, and all of it is gone through. */
#include <assert.h>
#include <stddef.h>

#include "fuzz.h"
#include "wire/limits.h"
#include "wire/record.h"

/* A record that is whole stays so with any more bytes behind it, and is not whole with one
 * byte less; what is refused is refused by its header alone. */
static void check_cuts(struct bytes in, size_t fragment_max, enum record_status status,
                       const struct record *record) {
    struct record other;
    size_t whole = WIRE_RECORD_HEADER + record->fragment_len;
    if (status == RECORD_COMPLETE) {
        assert(whole <= in.len);
        assert(record_read((struct bytes){ in.data, whole }, fragment_max, &other) ==
               RECORD_COMPLETE);
        assert(other.fragment_len == record->fragment_len && other.type == record->type);
        assert(record_read((struct bytes){ in.data, whole - 1 }, fragment_max, &other) ==
               RECORD_NEED_MORE);
    } else if (status != RECORD_NEED_MORE && in.len > WIRE_RECORD_HEADER) {
        assert(record_read((struct bytes){ in.data, WIRE_RECORD_HEADER }, fragment_max, &other) ==
               status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const size_t maxima[] = { WIRE_RECORD_PLAIN_MAX, WIRE_RECORD_CIPHER_MAX };
    for (size_t m = 0; m < sizeof(maxima) / sizeof(maxima[0]); m++) {
        struct bytes left = { data, len };
        for (;;) {
            struct record record;
            enum record_status status = record_read(left, maxima[m], &record);
            check_cuts(left, maxima[m], status, &record);
            if (status != RECORD_COMPLETE) {
                break;
            }
            assert(record.fragment_len <= maxima[m]);
            size_t whole = WIRE_RECORD_HEADER + record.fragment_len;
            left = (struct bytes){ left.data + whole, left.len - whole };
        }
    }
    return 0;
}
