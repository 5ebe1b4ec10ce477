/* source.c: see source.h. */
#include "capture/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <zlib.h>

#include "base/clock.h"
#include "capture/pcapng.h"

#define FILE_BUFFER (1 << 17)
#define GZIP_BUFFER (1 << 17)
#define LIVE_SNAP_LEN 262144
#define LIVE_BUFFER (32 << 20)
#define LIVE_TIMEOUT_MS 100
#define MAGIC_LEN 4
#define GZIP_MAGIC_0 0x1f /* RFC 1952 2.3.1 */
#define GZIP_MAGIC_1 0x8b
#define GZIP_WINDOW_BITS (16 + MAX_WBITS)
#define INTERRUPT_GRACE_NS (NS_PER_S / 2)

/* A stream whose first bytes were looked at, plain or gzipped. */
struct inflow {
    int fd; /* owned */
    bool is_pipe;
    bool gzip;
    bool member_ended;  /* of gzip: another one may follow */
    uint64_t end_ns;    /* interrupted: it is read until then at most; 0: it was not */
    const char *damage; /* why the end is not the end; null: it is */
    uint8_t first[MAGIC_LEN];
    size_t first_len;
    size_t first_at;
    z_stream inflate;
    uint8_t in[GZIP_BUFFER]; /* what it reads */
};

struct source {
    FILE *file;            /* owned, unless libpcap has it */
    char *buffer;          /* owned; file's */
    pcap_t *pcap;          /* owned */
    struct pcapng *pcapng; /* owned */
    struct inflow *inflow; /* owned by file */
    int fd;                /* of a plain file, for the position; borrowed; -1: none */
    bool live;
    bool nanoseconds;
    uint64_t size;
    struct bpf_program filter;
    int filter_link;  /* the link type that the filter was compiled for; -1: none */
    char *expression; /* owned */
};

/* Waits, where an interrupt set an end, for what still comes. False: nothing does. */
static bool raw_wait(const struct inflow *inflow) {
    uint64_t now_ns = clock_mono_ns();
    struct pollfd ready = { .fd = inflow->fd, .events = POLLIN };
    return now_ns < inflow->end_ns &&
           poll(&ready, 1, (int)((inflow->end_ns - now_ns) / NS_PER_MS) + 1) > 0;
}

/* Bytes as they stand. Returns 0 at the end; at an error too, which is kept. */
static size_t raw_read(struct inflow *inflow, void *buf, size_t len) {
    while (inflow->end_ns == 0 || raw_wait(inflow)) {
        ssize_t n = read(inflow->fd, buf, len);
        if (n >= 0) {
            return (size_t)n;
        }
        if (errno != EINTR) {
            inflow->damage = strerror(errno);
            return 0;
        }
        inflow->end_ns = clock_mono_ns() + INTERRUPT_GRACE_NS;
    }
    return 0;
}

/* True when there is more to inflate: of this member, or of another one behind it. */
static bool gunzip_goes_on(struct inflow *inflow) {
    z_stream *z = &inflow->inflate;
    if (inflow->damage) {
        return false;
    }
    if (z->avail_in == 0) {
        z->next_in = inflow->in;
        z->avail_in = (uInt)raw_read(inflow, inflow->in, sizeof(inflow->in));
    }
    if (z->avail_in == 0) {
        if (!inflow->member_ended && !inflow->damage && inflow->end_ns == 0) {
            inflow->damage = "the gzip stream ends early";
        }
        return false;
    }
    if (inflow->member_ended) {
        inflow->member_ended = false;
        return z->next_in[0] == GZIP_MAGIC_0 && inflateReset(z) == Z_OK;
    }
    return true;
}

/* What can be inflated is handed out before an error is told. */
static size_t gunzip_read(struct inflow *inflow, void *buf, size_t len) {
    z_stream *z = &inflow->inflate;
    z->next_out = buf;
    z->avail_out = (uInt)len;
    while (z->avail_out == len && gunzip_goes_on(inflow)) {
        int status = inflate(z, Z_SYNC_FLUSH);
        if (status == Z_STREAM_END) {
            inflow->member_ended = true;
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            inflow->damage = z->msg ? z->msg : "damaged gzip";
        }
    }
    return len - z->avail_out;
}

static ssize_t inflow_read(void *cookie, char *buf, size_t len) {
    struct inflow *inflow = cookie;
    if (inflow->first_at < inflow->first_len) {
        size_t left = inflow->first_len - inflow->first_at;
        size_t n = len < left ? len : left;
        memcpy(buf, inflow->first + inflow->first_at, n);
        inflow->first_at += n;
        return (ssize_t)n;
    }
    return (ssize_t)(inflow->gzip ? gunzip_read(inflow, buf, len) : raw_read(inflow, buf, len));
}

static int inflow_close(void *cookie) {
    struct inflow *inflow = cookie;
    if (inflow->gzip) {
        inflateEnd(&inflow->inflate);
    }
    close(inflow->fd);
    free(inflow);
    return 0;
}

/* Reads the first bytes, and inflates them where they are gzipped. */
static void inflow_begin(struct inflow *inflow) {
    size_t n = 1;
    while (inflow->first_len < MAGIC_LEN && n > 0) {
        n = raw_read(inflow, inflow->first + inflow->first_len, MAGIC_LEN - inflow->first_len);
        inflow->first_len += n;
    }
    bool gzip = inflow->first[0] == GZIP_MAGIC_0 && inflow->first[1] == GZIP_MAGIC_1;
    if (!gzip || inflateInit2(&inflow->inflate, GZIP_WINDOW_BITS) != Z_OK) {
        return;
    }
    inflow->gzip = true;
    memcpy(inflow->in, inflow->first, inflow->first_len);
    inflow->inflate.next_in = inflow->in;
    inflow->inflate.avail_in = (uInt)inflow->first_len;
    inflow->first_len = 0;
    for (n = 1; inflow->first_len < MAGIC_LEN && n > 0; inflow->first_len += n) {
        n = gunzip_read(inflow, inflow->first + inflow->first_len, MAGIC_LEN - inflow->first_len);
    }
}

/* A stream over a descriptor (taken over) that inflates what is gzipped. */
static FILE *inflow_open(int fd, bool is_pipe, struct inflow **out) {
    struct inflow *inflow = calloc(1, sizeof(*inflow));
    if (!inflow) {
        close(fd);
        return NULL;
    }
    inflow->fd = fd;
    inflow->is_pipe = is_pipe;
    inflow_begin(inflow);
    cookie_io_functions_t functions = { .read = inflow_read, .close = inflow_close };
    FILE *file = fopencookie(inflow, "r", functions);
    if (!file) {
        inflow_close(inflow);
        return NULL;
    }
    *out = inflow;
    return file;
}

static struct source *source_new(struct err *err) {
    struct source *source = calloc(1, sizeof(*source));
    if (!source) {
        err_set(err, "no memory");
        return NULL;
    }
    source->filter_link = -1;
    source->fd = -1;
    return source;
}

/* Opens the stream, and finds how it begins. */
static int source_open_stream(struct source *source, int fd, uint8_t magic[static MAGIC_LEN],
                              struct err *err) {
    struct stat st = { 0 };
    bool plain = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0 &&
                 pread(fd, magic, MAGIC_LEN, 0) == MAGIC_LEN &&
                 !(magic[0] == GZIP_MAGIC_0 && magic[1] == GZIP_MAGIC_1);
    if (plain) {
        source->file = fdopen(fd, "rb");
        source->fd = fd;
        source->size = (uint64_t)st.st_size;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    } else {
        source->file = inflow_open(fd, !S_ISREG(st.st_mode), &source->inflow);
        if (source->file) {
            memcpy(magic, source->inflow->first, MAGIC_LEN);
        }
    }
    if (!source->file) {
        return err_set_errno(err, errno ? errno : ENOMEM, "cannot read");
    }
    source->buffer = malloc(FILE_BUFFER); /* glibc keeps its own small one unless given another */
    if (source->buffer) {
        (void)setvbuf(source->file, source->buffer, _IOFBF, FILE_BUFFER);
    }
    return 0;
}

/* Hands the stream to the reader that knows its format. */
static int source_open_format(struct source *source, const uint8_t magic[static MAGIC_LEN],
                              struct err *err) {
    uint32_t value;
    memcpy(&value, magic, sizeof(value));
    if (value == PCAPNG_MAGIC) {
        source->pcapng = pcapng_new(source->file);
        return source->pcapng ? 0 : err_set(err, "no memory");
    }
    char text[PCAP_ERRBUF_SIZE] = "";
    source->pcap =
        pcap_fopen_offline_with_tstamp_precision(source->file, PCAP_TSTAMP_PRECISION_NANO, text);
    if (!source->pcap) {
        return err_set(err, "%s", text);
    }
    source->file = NULL; /* libpcap's now */
    source->nanoseconds = true;
    return 0;
}

/* Whatever a reader made of an end that came too soon: the cause is another. */
static void source_tell_damage(const struct source *source, struct err *err) {
    err_clear(err);
    err_set(err, "%s", source->inflow->damage);
}

struct source *source_open_file(const char *path, struct err *err) {
    struct source *source = source_new(err);
    if (!source) {
        return NULL;
    }
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set_errno(err, errno, "cannot open");
        source_close(source);
        return NULL;
    }
    uint8_t magic[MAGIC_LEN] = { 0 };
    if (source_open_stream(source, fd, magic, err) != 0 ||
        source_open_format(source, magic, err) != 0) {
        if (source->inflow && source->inflow->damage) {
            source_tell_damage(source, err);
        }
        source_close(source);
        return NULL;
    }
    return source;
}

struct source *source_open_live(const char *interface, struct err *err) {
    struct source *source = source_new(err);
    if (!source) {
        return NULL;
    }
    char text[PCAP_ERRBUF_SIZE] = "";
    source->live = true;
    source->pcap = pcap_create(interface, text);
    if (!source->pcap) {
        err_set(err, "%s", text);
        source_close(source);
        return NULL;
    }
    pcap_set_snaplen(source->pcap, LIVE_SNAP_LEN);
    pcap_set_promisc(source->pcap, 1);
    pcap_set_timeout(source->pcap, LIVE_TIMEOUT_MS);
    pcap_set_buffer_size(source->pcap, LIVE_BUFFER);
    source->nanoseconds = pcap_set_tstamp_precision(source->pcap, PCAP_TSTAMP_PRECISION_NANO) == 0;
    int status = pcap_activate(source->pcap);
    if (status >= 0 && pcap_setnonblock(source->pcap, 1, text) != 0) {
        status = PCAP_ERROR;
    }
    if (status < 0) {
        const char *more = pcap_geterr(source->pcap);
        bool permission = status == PCAP_ERROR_PERM_DENIED;
        err_set(err, "%s%s", more[0] ? more : pcap_statustostr(status),
                permission ? " (capturing needs CAP_NET_RAW: be root, or see setcap(8))" : "");
        source_close(source);
        return NULL;
    }
    return source;
}

/* Compiles the filter for packets of a link type, where it is not yet. */
static int filter_compile(struct source *source, int link_type, struct err *err) {
    if (source->filter_link == link_type) {
        return 0;
    }
    if (source->filter_link >= 0) {
        pcap_freecode(&source->filter);
        source->filter_link = -1;
    }
    pcap_t *dead = pcap_open_dead(link_type, LIVE_SNAP_LEN);
    if (!dead) {
        return err_set(err, "no memory");
    }
    int status = pcap_compile(dead, &source->filter, source->expression, 1, PCAP_NETMASK_UNKNOWN);
    if (status != 0) {
        err_set(err, "filter: %s", pcap_geterr(dead));
    } else {
        source->filter_link = link_type;
    }
    pcap_close(dead);
    return status == 0 ? 0 : -1;
}

int source_set_filter(struct source *source, const char *expression, struct err *err) {
    free(source->expression);
    source->expression = strdup(expression);
    if (!source->expression) {
        return err_set(err, "no memory");
    }
    int link_type = source->pcap ? pcap_datalink(source->pcap) : DLT_EN10MB;
    if (filter_compile(source, link_type, err) != 0) {
        return -1;
    }
    if (source->live && pcap_setfilter(source->pcap, &source->filter) != 0) {
        return err_set(err, "filter: %s", pcap_geterr(source->pcap));
    }
    return 0;
}

static enum source_status pcap_take(struct source *source, struct source_packet *packet,
                                    struct err *err) {
    struct pcap_pkthdr *header = NULL;
    const u_char *data = NULL;
    int status = pcap_next_ex(source->pcap, &header, &data);
    if (status == PCAP_ERROR_BREAK) {
        return SOURCE_END;
    }
    if (status == 0) { /* live, and nothing there: waited for here, where signals end it */
        struct pollfd ready = { .fd = pcap_get_selectable_fd(source->pcap), .events = POLLIN };
        (void)poll(&ready, ready.fd >= 0, LIVE_TIMEOUT_MS);
        return SOURCE_IDLE;
    }
    if (status < 0) {
        err_set(err, "%s", pcap_geterr(source->pcap));
        return SOURCE_ERROR;
    }
    packet->link_type = pcap_datalink(source->pcap);
    packet->data = (struct bytes){ data, header->caplen };
    packet->wire_len = header->len;
    packet->time_ns = (uint64_t)header->ts.tv_sec * NS_PER_S +
                      (uint64_t)header->ts.tv_usec * (source->nanoseconds ? 1 : 1000);
    return SOURCE_PACKET;
}

/* Tells a packet of a file that the filter refuses. */
static enum source_status filter_apply(struct source *source, struct source_packet *packet,
                                       struct err *err) {
    if (filter_compile(source, packet->link_type, err) != 0) {
        return SOURCE_ERROR;
    }
    const struct pcap_pkthdr header = {
        .caplen = (bpf_u_int32)packet->data.len,
        .len = (bpf_u_int32)packet->wire_len,
    };
    bool taken = pcap_offline_filter(&source->filter, &header, packet->data.data) != 0;
    return taken ? SOURCE_PACKET : SOURCE_SKIPPED;
}

enum source_status source_next(struct source *source, struct source_packet *packet,
                               struct err *err) {
    enum source_status status =
        source->pcapng ? pcapng_next(source->pcapng, packet, err) : pcap_take(source, packet, err);
    if (status == SOURCE_PACKET && source->expression && !source->live) {
        return filter_apply(source, packet, err);
    }
    bool ended = status == SOURCE_END || status == SOURCE_ERROR;
    if (ended && source->inflow && source->inflow->damage) {
        source_tell_damage(source, err);
        return SOURCE_ERROR;
    }
    return status;
}

bool source_interrupt(struct source *source) {
    if (!source->inflow || !source->inflow->is_pipe) {
        return false;
    }
    if (source->inflow->end_ns == 0) {
        source->inflow->end_ns = clock_mono_ns() + INTERRUPT_GRACE_NS;
    }
    return true;
}

uint64_t source_position(const struct source *source, uint64_t *size) {
    *size = source->size;
    off_t at = source->fd >= 0 ? lseek(source->fd, 0, SEEK_CUR) : 0;
    return at > 0 ? (uint64_t)at : 0;
}

void source_close(struct source *source) {
    if (!source) {
        return;
    }
    if (source->filter_link >= 0) {
        pcap_freecode(&source->filter);
    }
    if (source->pcap) {
        pcap_close(source->pcap);
    }
    pcapng_free(source->pcapng);
    if (source->file) {
        fclose(source->file);
    }
    free(source->buffer);
    free(source->expression);
    free(source);
}
