#include "capture/decrypt.h"

void decrypt_note(struct stream *stream, const struct keylog *keylog,
                  const struct message *message) {
    (void)stream;
    (void)keylog;
    (void)message;
}

void decrypt_ccs(struct stream *stream, uint8_t direction) {
    (void)stream;
    (void)direction;
}

bool decrypt_wants(const struct stream *stream, uint8_t direction) {
    (void)stream;
    (void)direction;
    return false;
}

bool decrypt_record(struct stream *stream, uint8_t direction, uint8_t *record, uint8_t *type,
                    struct bytes *plain) {
    (void)stream;
    (void)direction;
    (void)record;
    (void)type;
    (void)plain;
    return false;
}

void decrypt_fini(struct stream *stream) {
    (void)stream;
}
