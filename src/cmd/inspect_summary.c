/* inspect_summary.c: handshakes counted by server: what was offered, resumed by what, refused
 * for what, and an estimate of the server's CPU time that resumption saved.
 *
 * INSPECT_SERVERS_MAX servers have a row; what comes after them is counted together. */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "capture/describe.h"
#include "cmd/inspect.h"
#include "wire/server_hello.h"

/* Server CPU of one handshake in microseconds: AWS-LC 5.1, one core, P-256 certificate, X25519;
 * docs/INSPECT.md says how the figures were made. */
#define CPU_TLS12_FULL_US 45.0
#define CPU_TLS12_BY_ID_US 9.4
#define CPU_TLS12_BY_TICKET_US 9.8
#define CPU_TLS13_FULL_US 50.0
#define CPU_TLS13_BY_PSK_US 41.0

struct row {
    bool used;
    char server[DESCRIBE_ADDRESS_MAX];
    char name[STREAM_NAME_MAX]; /* the first server name that was asked for */
    uint64_t streams;           /* with TLS */
    uint64_t verdicts[VERDICT_COUNT];
    uint64_t offered;
    uint64_t reasons[REASON_COUNT]; /* the surest of each refusal */
    double saved_us;
    double spent_us; /* of the handshakes that were judged */
};

struct summary {
    uint64_t key[2];
    size_t count;
    struct row rows[INSPECT_SERVERS_MAX];
    uint16_t index[4 * INSPECT_SERVERS_MAX]; /* 1 + row, by hash */
    struct row others;
};

struct summary *summary_new(void) {
    struct summary *summary = calloc(1, sizeof(*summary));
    if (summary) {
        crypto_hash_key(summary->key);
        snprintf(summary->others.server, sizeof(summary->others.server), "(others)");
    }
    return summary;
}

void summary_free(struct summary *summary) {
    free(summary);
}

static struct row *summary_row(struct summary *summary, const char *server) {
    struct bytes text = { (const uint8_t *)server, strlen(server) };
    size_t slots = sizeof(summary->index) / sizeof(summary->index[0]);
    size_t at = crypto_siphash(summary->key, text) % slots;
    while (summary->index[at] != 0) {
        struct row *row = &summary->rows[summary->index[at] - 1];
        if (strcmp(row->server, server) == 0) {
            return row;
        }
        at = (at + 1) % slots;
    }
    if (summary->count == INSPECT_SERVERS_MAX) {
        summary->others.used = true;
        return &summary->others;
    }
    struct row *row = &summary->rows[summary->count++];
    summary->index[at] = (uint16_t)summary->count;
    row->used = true;
    snprintf(row->server, sizeof(row->server), "%s", server);
    return row;
}

static void row_add_cpu(struct row *row, const struct inspected *inspected) {
    const struct handshake *first = inspected->stream->handshakes;
    bool tls13 = first && first->answer.seen && version_is_tls13(first->answer.version);
    double full = tls13 ? CPU_TLS13_FULL_US : CPU_TLS12_FULL_US;
    double cost = full;
    switch (inspected->judgement.verdict) {
    case VERDICT_RESUMED_SESSION_ID:
        cost = CPU_TLS12_BY_ID_US;
        break;
    case VERDICT_RESUMED_TICKET:
        cost = CPU_TLS12_BY_TICKET_US;
        break;
    case VERDICT_RESUMED_PSK:
        cost = CPU_TLS13_BY_PSK_US;
        break;
    case VERDICT_CANNOT_TELL:
    case VERDICT_NOT_TLS:
        return;
    default:
        break;
    }
    row->spent_us += cost;
    row->saved_us += full - cost;
}

void summary_add(struct summary *summary, const struct inspected *inspected) {
    char client[DESCRIBE_ADDRESS_MAX];
    char server[DESCRIBE_ADDRESS_MAX];
    if (!inspected->stream->is_tls) {
        return;
    }
    inspected_ends(inspected->stream, client, server, sizeof(client));
    struct row *row = summary_row(summary, server);
    const struct handshake *first =
        inspected->stream->handshake_count > 0 ? inspected->stream->handshakes : NULL;
    if (first && first->offer.has_name && !row->name[0] && row != &summary->others) {
        memcpy(row->name, first->offer.name, sizeof(row->name));
    }
    row->streams++;
    row->verdicts[inspected->judgement.verdict]++;
    row->offered += inspected->judgement.offered != BY_NOTHING;
    if (inspected->finding_count > 0) {
        row->reasons[inspected->findings[0].reason]++;
    }
    row_add_cpu(row, inspected);
}

static struct row summary_total(const struct summary *summary) {
    struct row total = { .used = true };
    snprintf(total.server, sizeof(total.server), "all");
    for (size_t i = 0; i <= summary->count; i++) {
        const struct row *row = i < summary->count ? &summary->rows[i] : &summary->others;
        total.streams += row->streams;
        total.offered += row->offered;
        total.saved_us += row->saved_us;
        total.spent_us += row->spent_us;
        for (unsigned v = 0; v < VERDICT_COUNT; v++) {
            total.verdicts[v] += row->verdicts[v];
        }
        for (unsigned r = 0; r < REASON_COUNT; r++) {
            total.reasons[r] += row->reasons[r];
        }
    }
    return total;
}

static uint64_t row_resumed(const struct row *row) {
    return row->verdicts[VERDICT_RESUMED_SESSION_ID] + row->verdicts[VERDICT_RESUMED_TICKET] +
           row->verdicts[VERDICT_RESUMED_PSK];
}

static uint64_t row_refused(const struct row *row) {
    return row->verdicts[VERDICT_REFUSED_SESSION_ID] + row->verdicts[VERDICT_REFUSED_TICKET] +
           row->verdicts[VERDICT_REFUSED_PSK];
}

/* The share of the CPU that full handshakes throughout would have cost. */
static double row_saved_percent(const struct row *row) {
    double full = row->saved_us + row->spent_us;
    return full > 0 ? 100 * row->saved_us / full : 0;
}

static void print_table_row(const struct row *row, FILE *out) {
    fprintf(out,
            "%-28.28s %-24.24s %7llu %7llu %6llu %6llu %6llu %6llu %7llu %6llu %8.0f %4.0f%%\n",
            row->server, row->name, (unsigned long long)row->streams,
            (unsigned long long)row->offered, (unsigned long long)row->verdicts[VERDICT_NEW],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_SESSION_ID],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_TICKET],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_PSK],
            (unsigned long long)row_refused(row),
            (unsigned long long)row->verdicts[VERDICT_CANNOT_TELL], row->saved_us,
            row_saved_percent(row));
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        if (row->reasons[r] > 0) {
            fprintf(out, "    refused: %s %llu\n", reason_word((enum reason)r),
                    (unsigned long long)row->reasons[r]);
        }
    }
}

void summary_print(const struct summary *summary, const struct style *style, FILE *out) {
    fprintf(out, "%s%-28s %-24s %7s %7s %6s %6s %6s %6s %7s %6s %8s %5s%s\n",
            style->color ? "\033[1m" : "", "server", "name", "streams", "offered", "new", "by ID",
            "ticket", "PSK", "refused", "?", "saved us", "CPU", style->color ? "\033[0m" : "");
    for (size_t i = 0; i < summary->count; i++) {
        print_table_row(&summary->rows[i], out);
    }
    if (summary->others.used) {
        print_table_row(&summary->others, out);
    }
    struct row total = summary_total(summary);
    print_table_row(&total, out);
    fputs("CPU saved is an estimate from one library's cost of a handshake: see --help.\n", out);
}

static void print_json_row(const struct row *row, FILE *out) {
    fputs("{\"server\":", out);
    inspect_print_json_text(row->server, out);
    fputs(",\"server_name\":", out);
    inspect_print_json_text(row->name, out);
    fprintf(out, ",\"streams\":%llu,\"offered\":%llu,\"verdicts\":{",
            (unsigned long long)row->streams, (unsigned long long)row->offered);
    for (unsigned v = 0; v < VERDICT_NOT_TLS; v++) {
        fprintf(out, "%s\"%s\":%llu", v ? "," : "", verdict_word((enum verdict)v),
                (unsigned long long)row->verdicts[v]);
    }
    fputs("},\"refused_by_reason\":{", out);
    const char *between = "";
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        if (row->reasons[r] > 0) {
            fprintf(out, "%s\"%s\":%llu", between, reason_word((enum reason)r),
                    (unsigned long long)row->reasons[r]);
            between = ",";
        }
    }
    fprintf(out, "},\"cpu_saved_us\":%.1f,\"cpu_spent_us\":%.1f}", row->saved_us, row->spent_us);
}

void summary_print_json(const struct summary *summary, FILE *out) {
    struct row total = summary_total(summary);
    fputs("{\"all\":", out);
    print_json_row(&total, out);
    fputs(",\"servers\":[", out);
    for (size_t i = 0; i < summary->count; i++) {
        fputs(i ? "," : "", out);
        print_json_row(&summary->rows[i], out);
    }
    if (summary->others.used) {
        fputs(summary->count > 0 ? "," : "", out);
        print_json_row(&summary->others, out);
    }
    fputs("]}", out);
}

/* One bar of a row's verdicts, as wide as its share of the largest row. */
static void print_html_bar(const struct row *row, uint64_t largest, FILE *out) {
    const struct {
        const char *css;
        const char *text;
        uint64_t count;
    } parts[] = {
        { "resumed", "resumed", row_resumed(row) },
        { "refused", "refused", row_refused(row) },
        { "new", "new", row->verdicts[VERDICT_NEW] },
        { "unknown", "cannot tell", row->verdicts[VERDICT_CANNOT_TELL] },
    };
    double at = 0;
    fputs("<svg class=bar viewBox='0 0 400 16' role=img>", out);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        double width = largest ? 400.0 * (double)parts[i].count / (double)largest : 0;
        if (parts[i].count > 0) {
            fprintf(out,
                    "<rect class=%s x=%.2f width=%.2f height=16><title>%s: %llu</title></rect>",
                    parts[i].css, at, width, parts[i].text, (unsigned long long)parts[i].count);
        }
        at += width;
    }
    fputs("</svg>", out);
}

static void print_html_row(const struct row *row, uint64_t largest, FILE *out) {
    fputs("<tr><td>", out);
    inspect_html_text(row->server, out);
    fputs("<td>", out);
    inspect_html_text(row->name, out);
    fprintf(out, "<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td>%.0f%%<td>",
            (unsigned long long)row->streams, (unsigned long long)row->offered,
            (unsigned long long)row->verdicts[VERDICT_NEW],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_SESSION_ID],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_TICKET],
            (unsigned long long)row->verdicts[VERDICT_RESUMED_PSK],
            (unsigned long long)row_refused(row),
            (unsigned long long)row->verdicts[VERDICT_CANNOT_TELL], row_saved_percent(row));
    print_html_bar(row, largest, out);
    fputs("<td>", out);
    for (unsigned r = 0; r < REASON_COUNT; r++) {
        if (row->reasons[r] > 0) {
            fprintf(out, "%s %llu<br>", reason_word((enum reason)r),
                    (unsigned long long)row->reasons[r]);
        }
    }
    fputs("</tr>\n", out);
}

void summary_print_html(const struct summary *summary, FILE *out) {
    uint64_t largest = 0;
    for (size_t i = 0; i <= summary->count; i++) {
        const struct row *row = i < summary->count ? &summary->rows[i] : &summary->others;
        largest = row->streams > largest ? row->streams : largest;
    }
    fputs("<table><thead><tr><th>server<th>name<th>streams<th>offered<th>new<th>by ID<th>by "
          "ticket<th>by PSK<th>refused<th>cannot tell<th>CPU saved<th>chart<th>refused "
          "for</tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < summary->count; i++) {
        print_html_row(&summary->rows[i], largest, out);
    }
    if (summary->others.used) {
        print_html_row(&summary->others, largest, out);
    }
    struct row total = summary_total(summary);
    fputs("</tbody><tfoot>", out);
    print_html_row(&total, total.streams, out);
    fputs("</tfoot></table>\n<p class=legend><span class=resumed></span> resumed "
          "<span class=refused></span> refused <span class=new></span> new "
          "<span class=unknown></span> cannot tell. CPU saved is an estimate.</p>\n",
          out);
}
