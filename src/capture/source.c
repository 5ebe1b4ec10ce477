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

/* A stream whose first bytes were looked at, plain or gzipped. */
struct inflow {
    gzFile gzip; /* owned */
    uint8_t first[MAGIC_LEN];
    size_t first_len;
    size_t first_at;
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

static ssize_t inflow_read(void *cookie, char *buf, size_t len) {
    struct inflow *inflow = cookie;
    if (inflow->first_at < inflow->first_len) {
        size_t left = inflow->first_len - inflow->first_at;
        size_t n = len < left ? len : left;
        memcpy(buf, inflow->first + inflow->first_at, n);
        inflow->first_at += n;
        return (ssize_t)n;
    }
    int n = gzread(inflow->gzip, buf, (unsigned)(len < GZIP_BUFFER ? len : GZIP_BUFFER));
    if (n < 0) {
        errno = EIO;
        return -1;
    }
    return n;
}

static int inflow_close(void *cookie) {
    struct inflow *inflow = cookie;
    gzclose_r(inflow->gzip);
    free(inflow);
    return 0;
}

/* A stream over a descriptor (taken over) that inflates what is gzipped. */
static FILE *inflow_open(int fd, struct inflow **out) {
    struct inflow *inflow = calloc(1, sizeof(*inflow));
    gzFile gzip = inflow ? gzdopen(fd, "rb") : NULL;
    if (!gzip) {
        free(inflow);
        close(fd);
        return NULL;
    }
    gzbuffer(gzip, GZIP_BUFFER);
    inflow->gzip = gzip;
    int n = gzread(gzip, inflow->first, MAGIC_LEN);
    inflow->first_len = n > 0 ? (size_t)n : 0;
    *out = inflow;
    cookie_io_functions_t functions = { .read = inflow_read, .close = inflow_close };
    FILE *file = fopencookie(inflow, "r", functions);
    if (!file) {
        inflow_close(inflow);
    }
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
                 !(magic[0] == 0x1f && magic[1] == 0x8b);
    if (plain) {
        source->file = fdopen(fd, "rb");
        source->fd = fd;
        source->size = (uint64_t)st.st_size;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    } else {
        source->file = inflow_open(fd, &source->inflow);
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
        err_set(err, "%s: %s", interface, text);
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
        err_set(err, "%s: %s", interface, more[0] ? more : pcap_statustostr(status));
        source_close(source);
        return NULL;
    }
    return source;
}

int source_poll(struct source *source, struct err *err) {
    char text[PCAP_ERRBUF_SIZE] = "";
    if (!source->live || pcap_setnonblock(source->pcap, 1, text) != 0) {
        return err_set(err, "cannot be waited for: %s", source->live ? text : "it is a file");
    }
    return pcap_get_selectable_fd(source->pcap);
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

/* Marks a packet of a file that the filter refuses. */
static enum source_status filter_apply(struct source *source, struct source_packet *packet,
                                       struct err *err) {
    if (filter_compile(source, packet->link_type, err) != 0) {
        return SOURCE_ERROR;
    }
    const struct pcap_pkthdr header = {
        .caplen = (bpf_u_int32)packet->data.len,
        .len = (bpf_u_int32)packet->wire_len,
    };
    if (!pcap_offline_filter(&source->filter, &header, packet->data.data)) {
        packet->link_type = -1;
    }
    return SOURCE_PACKET;
}

enum source_status source_next(struct source *source, struct source_packet *packet,
                               struct err *err) {
    enum source_status status =
        source->pcapng ? pcapng_next(source->pcapng, packet, err) : pcap_take(source, packet, err);
    if (status == SOURCE_PACKET && source->expression && !source->live) {
        return filter_apply(source, packet, err);
    }
    return status;
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
