/* handover.c: see handover.h. */
#include "proxy/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct kind {
    const char *word;
    size_t min, max; /* descriptors */
} kinds[HANDOVER_KINDS] = {
#define HANDOVER(id, word, min, max) { word, min, max },
#include "proxy/handover.def"
#undef HANDOVER
};

size_t handover_encode(const struct handover_item *item, uint8_t *buf, size_t cap) {
    struct writer w = writer_of(buf, cap);
    if (item->name.len > UINT16_MAX || item->address.len > UINT8_MAX ||
        item->bound.len > UINT8_MAX) {
        return 0;
    }
    writer_u8(&w, (uint8_t)item->kind);
    writer_u16(&w, (uint16_t)item->name.len);
    writer_put(&w, item->name.data, item->name.len);
    writer_u64(&w, item->first);
    writer_u64(&w, item->second);
    writer_u8(&w, (uint8_t)item->address.len);
    writer_put(&w, item->address.data, item->address.len);
    writer_u8(&w, (uint8_t)item->bound.len);
    writer_put(&w, item->bound.data, item->bound.len);
    return w.failed ? 0 : (size_t)(w.at - buf);
}

int handover_decode(struct bytes packet, size_t fd_count, struct handover_item *item) {
    struct cursor c = cursor_of(packet);
    uint8_t kind = cursor_u8(&c);
    item->name = cursor_vec16(&c);
    item->first = cursor_u64(&c);
    item->second = cursor_u64(&c);
    item->address = cursor_vec8(&c);
    item->bound = cursor_vec8(&c);
    item->fd_count = fd_count;
    if (!cursor_done(&c) || kind >= HANDOVER_KINDS || fd_count < kinds[kind].min ||
        fd_count > kinds[kind].max) {
        return -1;
    }
    item->kind = (enum handover_kind)kind;
    return 0;
}

/* Room for the descriptors of one packet, aligned as the kernel wants it. */
union control_bytes {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(HANDOVER_FDS_MAX * sizeof(int))];
};

int handover_send(int fd, const struct handover_item *item, struct err *err) {
    uint8_t buf[HANDOVER_BYTES_MAX];
    union control_bytes control = { 0 };
    size_t len = handover_encode(item, buf, sizeof(buf));
    if (len == 0 || item->fd_count > HANDOVER_FDS_MAX) {
        return err_set(err, "'%s' is too long to be handed over", kinds[item->kind].word);
    }
    struct iovec iov = { .iov_base = buf, .iov_len = len };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (item->fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(item->fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(item->fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), item->fds, item->fd_count * sizeof(int));
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)len) {
        return err_set_errno(err, errno, "cannot hand '%s' over", kinds[item->kind].word);
    }
    return 0;
}

/* Takes the descriptors out of a message's control data. */
static void take_fds(struct msghdr *message, struct handover_item *item) {
    item->fd_count = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h; h = CMSG_NXTHDR(message, h)) {
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
            item->fd_count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(item->fds, CMSG_DATA(h), item->fd_count * sizeof(int));
        }
    }
}

void handover_close_fds(struct handover_item *item) {
    for (size_t i = 0; i < item->fd_count; i++) {
        close(item->fds[i]);
    }
    item->fd_count = 0;
}

int handover_receive(int fd, struct handover_packet *packet, struct err *err) {
    union control_bytes control;
    struct iovec iov = { .iov_base = packet->buf, .iov_len = sizeof(packet->buf) };
    struct msghdr message = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes) };
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        return 0;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return err_set(err, "the other program says nothing");
    }
    if (n < 0) {
        return err_set_errno(err, errno, "cannot receive what is handed over");
    }
    take_fds(&message, &packet->item);
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        handover_decode((struct bytes){ packet->buf, (size_t)n }, packet->item.fd_count,
                        &packet->item) != 0) {
        handover_close_fds(&packet->item);
        return err_set(err, "the other program says what this one does not understand");
    }
    return 1;
}
