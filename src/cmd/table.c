/* table.c: the table of subcommands, see cmd.h. */
#include <string.h>

#include "cmd/cmd.h"

static const struct cmd_text run_options[] = {
    { "-c, --config FILE", "The configuration. Without it a demonstration runs, with no file to "
                           "write: see reprise.conf(5) for how to go on from there." },
    { NULL, NULL },
};

static const struct cmd_text run_examples[] = {
    { "reprise run", "A demonstration on 127.0.0.1:8443; it prints what to try." },
    { "reprise run -c /etc/reprise/reprise.conf", "The service." },
    { NULL, NULL },
};

static const struct cmd_text check_options[] = {
    { "-p, --print", "Print the effective configuration, defaults filled in." },
    { NULL, NULL },
};

static const struct cmd_text check_examples[] = {
    { "reprise check /etc/reprise/reprise.conf", "Before a reload." },
    { "reprise check --print reprise.conf", "What is in force, defaults included." },
    { NULL, NULL },
};

static const struct cmd_text ctl_commands[] = {
#define CTL(id, verb, min, max, usage, text) { usage, text },
#include "cmd/ctl.def"
#undef CTL
    { NULL, NULL },
};

static const struct cmd_text ctl_options[] = {
    { "-s, --socket SOCKET", "The service's control socket." },
    { "-c, --config FILE",
      "Take the control socket from this configuration. Without -s and -c it is "
      "/run/reprise/control.sock for root, and "
      "$XDG_RUNTIME_DIR/reprise/control.sock for other users." },
    { "-j, --json", "Ask for the answer as JSON." },
    { NULL, NULL },
};

static const struct cmd_text ctl_examples[] = {
    { "reprise ctl reload", "Read the configuration again; a wrong one changes nothing." },
    { "reprise ctl keys", "The ticket keys, and what they still decrypt." },
    { "reprise ctl -s /tmp/control.sock status", "What the service is doing." },
    { NULL, NULL },
};

static const struct cmd_text inspect_options[] = {
    { "-i, --interface INTERFACE", "Listen there instead of reading files, until interrupted." },
    { "-f, --filter EXPRESSION", "Only packets that it takes: see pcap-filter(7)." },
    { "-k, --keylog FILE",
      "TLS secrets (SSLKEYLOGFILE): encrypted handshake messages are read too. Those that a "
      "pcapng file holds are used without asking." },
    { "-s, --stream N", "Only the stream that Wireshark calls tcp.stream N." },
    { "-b, --brief", "No ladders: verdicts and reasons." },
    { "--summary", "A table by server in place of the streams. The CPU time saved is an estimate: "
                   "handshakes counted, times what one costs with AWS-LC and a P-256 key." },
    { "-a, --all", "List streams without TLS too." },
    { "-j, --json", "One JSON document; its schema is in docs/INSPECT.md." },
    { "--html FILE", "Write a report as a page as well, which needs no network." },
    { NULL, NULL },
};

static const struct cmd_text inspect_examples[] = {
    { "reprise inspect capture.pcap", "Every TLS stream with its verdict and ladder." },
    { "reprise inspect --stream 3 capture.pcapng.gz", "One stream." },
    { "tcpdump -i eth0 -w - port 443 | reprise inspect --brief -", "From a pipe." },
    { "reprise inspect --keylog keys.log --html report.html capture.pcap",
      "With secrets, and a page." },
    { "reprise inspect --summary *.pcap", "Which servers resume, and what they refuse for." },
    { NULL, NULL },
};

static const struct cmd_text bench_options[] = {
    { "-k, --kind KIND,...", "What connections resume by: `full` (nothing; the default), `id` and "
                             "`ticket` (TLS 1.2), `psk` (TLS 1.3); `plain` is TCP without TLS. Of "
                             "several one is drawn for each "
                             "connection." },
    { "--resume SHARE", "The share of `id`, `ticket` and `psk` that resumes, 0 to 1 (1)." },
    { "--abort WHERE[:SHARE]", "End connections, or that share of them, with a reset after the "
                               "`hello` or after the `handshake`. May be given for both." },
    { "-c, --connections N", "Closed loop: so many at a time (64), each begun when one is over." },
    { "-r, --rate N", "Open loop: so many begin in a second, however slow the answers are; "
                      "latency counts from when each was to begin." },
    { "--max-open N", "Open loop: the most at a time (10000); more arrivals are failures." },
    { "--idle N", "Open so many, hold them for --duration, and tell what memory each takes." },
    { "-d, --duration TIME", "Such as 500ms, 10s (the default) or 2h." },
    { "-n, --count N", "So many connections in all; without --duration however long it takes." },
    { "--timeout TIME", "How long one connection may take (5s)." },
    { "-w, --workers N", "Processes that share the load (1)." },
    { "--tls 1.2|1.3", "What full handshakes offer; without it both." },
    { "--groups LIST", "Such as X25519:P-256; as the TLS library names them." },
    { "--ciphers LIST", "Such as ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256." },
    { "--alpn LIST", "Such as h2,http/1.1." },
    { "-s, --sni LIST", "Server names, taken in turn. Without it HOST, and none for an address." },
    { "--ca FILE", "Verify the server's certificate against it. Without it any is taken." },
    { "--http PATH", "Ask GET PATH, and be answered with status 2xx or 3xx (the default: /)." },
    { "--payload N[:M]", "Send N bytes, and be sent the same back; with M, any M bytes. With k, M "
                         "or G behind it for bulk." },
    { "--no-request", "Ask nothing." },
    { "--close HOW", "`wait`: close_notify, then wait for the server to close (the default; the "
                     "server's side keeps the port for a while). `fin`: close at once. `reset`: "
                     "reset the connection." },
    { "--sessions N",
      "Sessions to keep for each kind, name and server (as many as --connections)." },
    { "--session-life TIME", "Offer none that is older (5m)." },
    { "--across", "Offer a session to whichever server's turn it is." },
    { "--source LIST", "Local addresses, taken in turn, so that ports do not run out: "
                       "127.0.0.2-127.0.0.9." },
    { "--server-pid PID", "Tell CPU and memory of that process and all below it." },
    { "--compare", "Compare servers, each NAME=HOST:PORT[,pid=N], in turns A B A B: medians, and "
                   "ratios to the first." },
    { "--turns N", "Turns of each (5)." },
    { "-j, --json", "Print JSON: see docs/BENCH.md." },
    { "--html FILE", "Write plots as well, into one file." },
    { NULL, NULL },
};

static const struct cmd_text bench_examples[] = {
    { "reprise bench 127.0.0.1:8443", "Full handshakes and GET /, for ten seconds." },
    { "reprise bench -k ticket --payload 100 --server-pid 1234 127.0.0.1:8443",
      "Resumed connections in front of an echo, and what each costs the server." },
    { "reprise bench -k id,ticket,psk --resume 0.7 -r 2000 192.0.2.1:443",
      "2000 a second, 70 % of them resumed." },
    { "reprise bench -n 10000000 --abort hello:0.5 --no-request 127.0.0.1:8443",
      "A soak: handshakes that never resume, clean and aborted." },
    { "reprise bench --idle 10000 --payload 1 --server-pid 1234 127.0.0.1:8443",
      "Memory of idle connections." },
    { "reprise bench --compare -k psk a=10.0.0.1:443 b=10.0.0.2:443", "Two servers in turns." },
    { NULL, NULL },
};

static const struct cmd_text lab_options[] = {
    { "-a, --act ACT", "Only this act, by number or name; several with commas or by repeating it. "
                       "What it needs of the acts before it is played and not shown." },
    { "-l, --list", "List the acts, with the captures that they are in." },
    { "-k, --keep DIR", "Keep the captures there, and beside each its secrets as FILE.keys, which "
                        "`reprise inspect --keylog` and Wireshark read." },
    { "--record HOW", "capture: off the wire, which root may; sockets: from the client's own "
                      "sockets; auto, the default: whichever is possible. It says which." },
    { "--topology WHERE", "loopback, the default; or netns: in network namespaces of its own with "
                          "the article's addresses, which root may." },
    { "-n, --repeat N", "Connections of each kind that CPU time is measured with (200); 0: none." },
    { "-b, --brief", "No ladders." },
    { "-j, --json", "One JSON document; its schema is in docs/LAB.md." },
    { "--html FILE", "Write a page as well, with ladders side by side." },
    { NULL, NULL },
};

static const struct cmd_text lab_examples[] = {
    { "reprise lab", "All acts." },
    { "reprise lab --act 1,2", "The article's first two: stateful, new and reused." },
    { "reprise lab --keep captures && reprise inspect captures/*.pcap", "And read them anew." },
    { "reprise lab --topology netns --html lab.html", "With the article's addresses; as a page." },
    { NULL, NULL },
};

static const struct cmd_text docs_examples[] = {
    { "reprise docs man build/man", "Write the manual pages into that folder." },
    { "reprise docs configuration", "Print docs/CONFIGURATION.md." },
    { NULL, NULL },
};

static const struct cmd_text nothing[] = { { NULL, NULL } };

const struct cmd cmd_table[] = {
    { .name = "run",
      .run = cmd_run,
      .summary = "run the service, or a demonstration of it",
      .synopsis = "[-c FILE]",
      .description =
          "Terminates TLS and passes the connections on to TCP backends. Clients resume their "
          "sessions, from a cache that the service keeps or from tickets that they keep "
          "themselves.\n"
          "SIGHUP reads the configuration again: session cache and ticket keys stay, "
          "connections go on, and a wrong file changes nothing. SIGUSR2 starts the program anew "
          "from "
          "its file and hands the service over to it, with the same care. SIGTERM lets connections "
          "finish, for drain-timeout at most, and ends.",
      .options = run_options,
      .examples = run_examples,
      .failure = "the configuration is wrong, or the service could not start" },
    { .name = "check",
      .run = cmd_check,
      .summary = "check a configuration",
      .synopsis = "[--print] FILE",
      .description =
          "Reads the configuration and everything that it names, as `reprise run` would, and says "
          "whether it would be taken. What is wrong is told as `FILE:LINE: what is wrong, what was "
          "expected`.",
      .options = check_options,
      .examples = check_examples,
      .failure = "the configuration is wrong" },
    { .name = "ctl",
      .run = cmd_ctl,
      .summary = "ask a running service how it is, or tell it what to do",
      .synopsis = "[-s SOCKET | -c FILE] [--json] COMMAND",
      .description = "Sends one command to the control socket of a running service and prints its "
                     "answer.",
      .commands = ctl_commands,
      .options = ctl_options,
      .examples = ctl_examples,
      .failure = "no service was reached, or it could not do what was asked" },
    { .name = "inspect",
      .run = cmd_inspect,
      .summary = "read captures: was a session resumed, by what, why not",
      .synopsis = "[OPTION...] FILE... | - | -i INTERFACE",
      .description =
          "Reads packet captures (pcap, pcapng, either gzipped) and says of each stream whether a "
          "TLS session was resumed, by session ID, by ticket or by TLS 1.3 PSK; whether one was "
          "offered and refused, and why as far as the wire shows; or that it cannot be told, and "
          "what is missing. Reasons are `certain`, `likely` or `possible`, each with the frames "
          "that show it; their words are explained in reprise-reasons(7).\n"
          "Streams have Wireshark's numbers. With colour on a terminal, unless NO_COLOR is set.",
      .options = inspect_options,
      .examples = inspect_examples,
      .failure = "a file could not be read to its end (what was read is printed), or written" },
    { .name = "bench",
      .run = cmd_bench,
      .summary = "put load on a TLS server, and tell whether it resumes",
      .synopsis = "[OPTION...] HOST:PORT...",
      .description =
          "Connects to any TLS server, over and over, and verifies that each connection was "
          "resumed as asked for, or was not. Before it begins it makes the sessions that it "
          "needs. Tells rates, latencies, what failed and how, and what a connection cost.",
      .options = bench_options,
      .examples = bench_examples,
      .failure = "a connection failed, or nothing was run" },
    { .name = "lab",
      .run = cmd_lab,
      .summary = "play through session resumption, with captures and checks",
      .synopsis = "[OPTION...]",
      .description =
          "Starts a backend, a terminator and a client of its own, and plays act by act what "
          "session resumption is: new and reused sessions, stateful and stateless, in TLS 1.2 and "
          "1.3; how an old session is refused; and renegotiation, which is something else. Each "
          "act "
          "says what there is to see, shows the ladder of its packets, checks packets and log, and "
          "tells the CPU time of both sides.\n"
          "It needs neither root nor a network, touches nothing else on the machine, and ends by "
          "itself. With colour on a terminal, unless NO_COLOR is set.",
      .options = lab_options,
      .examples = lab_examples,
      .failure = "an act is not as it should be, or could not be played" },
    { .name = "docs",
      .run = cmd_docs,
      .summary = "write the manual (for packagers)",
      .synopsis = "man DIR | configuration",
      .description = "Writes what the program knows of its own commands, directives and reasons.",
      .options = nothing,
      .examples = docs_examples,
      .failure = "a file could not be written",
      .for_packagers = true },
    { .name = "demonstration",
      .run = cmd_demonstration,
      .summary = "the demonstration backend (started by `reprise run`)",
      .synopsis = "",
      .description =
          "Serves HTTP on the socket that is standard input. `reprise run` starts it for "
          "pools with `demonstration: on`; it is of no use by hand.",
      .options = nothing,
      .examples = nothing,
      .failure = "standard input is no listening socket",
      .for_packagers = true },
    { .name = NULL },
};

const struct cmd *cmd_find(const char *name) {
    for (const struct cmd *cmd = cmd_table; cmd->name; cmd++) {
        if (strcmp(cmd->name, name) == 0) {
            return cmd;
        }
    }
    return NULL;
}
