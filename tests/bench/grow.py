#!/usr/bin/python3
"""How Reprise's costs grow: grow.py [--out DIR] [PART...], all parts by default.

  store     look-up and insert in a cache, from a thousand sessions to four million; and sealing
            and opening a ticket (tests/bench/store.c: no network, one core)
  contention
            the same of one cache that a process on each core uses at once, by the clock
  evict     how many sessions still resume when there is not room for all, beside nginx's shared
            zone and hitch, with the same arrivals
  nagle     how long a client that leaves Nagle's algorithm on waits for its first answer
  profiles  server CPU of a resumed connection, start and memory, with 1 to 10,000 profiles, each
            with a name of its own
  idle      memory a connection of 1,000 to 100,000 idle ones
  cores     server CPU of a resumed connection with one worker to one a core
  log       the same with every connection's line written, and with none made

The server is pinned to one core, clients and backend to another, but for `cores` and `contention`.
Writes DIR/grow.md and grow.json (build/bench).
"""

import argparse
import json
import math
import os
import random
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import common
import peers
import run

TOP = peers.TOP
BY_ID = [*run.SMALL, *run.TLS12, "-k", "id"]
SOURCES = "127.0.0.2-127.0.0.9"  # so that no port runs out
HEAD = "workers: {workers}\ncontrol-socket: none\nmax-connections: 1000000\n{more}client-ssl-profiles:\n"
PROFILE = """  - name: p{n}
    {name}
    certificates: [{{ chain: chain.pem, key: key.pem }}]
    session-cache: on
    cache-size: {cache}
    session-tickets: {tickets}
    idle-timeout: 1h
"""
TAIL = """pools:
  - name: echo
    members: [{members}]
virtual-servers:
  - name: bench
    listen: ["127.0.0.1:{port}"]
    profiles: [{profiles}]
    pool: echo
"""


class Stand:
    """A folder with a certificate and backends, and what was started there."""

    def __init__(self, options, backends=1):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="reprise-grow-"))
        self.folder.chmod(0o755)
        self.started = []
        peers.make_certificate(self.folder)
        peers.make_floor(self.folder)
        self.backends = [peers.free_port() for _ in range(backends)]
        for port in self.backends:
            self.start([str(self.folder / "floor"), "echo", str(port)], run.CLIENT_CPU, port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(0)
        shutil.rmtree(self.folder)

    def start(self, command, cpu, port):
        process = peers.start(command, self.folder, cpu, port)
        if process is None:
            raise SystemExit(f"{command[0]} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
        self.started.append(process)
        return process

    def stop(self, keep):
        """Ends all but the first `keep`."""
        for process in self.started[keep:]:
            process.terminate()
        for process in self.started[keep:]:
            process.wait()
        del self.started[keep:]

    def reprise(self, profiles=1, workers=1, cache=20000, tickets="on", more="", cpu=run.SERVER_CPU):
        """Starts it; returns (process, port)."""
        port = peers.free_port()
        text = HEAD.format(workers=workers, more=more)
        for n in range(profiles):
            name = f"server-names: [s{n}.example.com]" if profiles > 1 else "default: on"
            text += PROFILE.format(n=n, name=name, cache=cache, tickets=tickets)
        members = ", ".join(f'"127.0.0.1:{backend}"' for backend in self.backends)
        names = ", ".join(f"p{n}" for n in range(profiles))
        text += TAIL.format(members=members, profiles=names, port=port)
        file = self.folder / f"reprise-{port}.yaml"
        file.write_text(text)
        return self.start([self.options.reprise, "run", "-c", file.name], cpu, port), port

    def peer(self, name, text):
        """Starts a peer with this configuration; returns (process, port), None when it is not here."""
        port = peers.free_port()
        file, _, command, _ = peers.PEERS[name]
        if not shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return None
        (self.folder / file).write_text(text.format(port=port, backend=self.backends[0], folder=self.folder))
        command = [part.format(folder=self.folder) for part in command]
        return self.start(command, run.SERVER_CPU, port), port


def bench(options, server, *args, cpu=run.CLIENT_CPU):
    """One turn of `reprise bench`: its result."""
    process, port = server
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    command = [*pin, options.reprise, "bench", "--json", "--timeout", "60s", *map(str, args),
               "--server-pid", str(process.pid), f"127.0.0.1:{port}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)["targets"][0]["turns"][0]


def measure(options, server, key, *args, cpu=run.CLIENT_CPU):
    """One figure of a turn in which nothing failed."""
    turn = bench(options, server, *args, cpu=cpu)
    if turn["failed"]:
        raise SystemExit(f"failed: {turn['failures']} {turn['error']}")
    return turn["measures"][key]


def in_turns(options, servers, *args, cpu=run.CLIENT_CPU):
    """name -> median of server CPU a connection, and its ratio to the first's same turn."""
    found = {name: [] for name in servers}
    for turn in range(options.turns):
        for name, server in servers.items():
            run.progress(f"turn {turn + 1} of {options.turns}, {name}")
            extra = args[0](name) if callable(args[0]) else args
            found[name].append(measure(options, server, "server_cpu_us", *extra, cpu=cpu))
    run.progress("")
    first = found[next(iter(servers))]
    return {
        name: (statistics.median(values), statistics.median(a / b for a, b in zip(values, first)))
        for name, values in found.items()
    }


def memory_kb(process):
    pids = [process.pid, *common.children(process.pid)]
    text = "".join(Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


# --- the parts: each returns (title, head, rows) -------------------------------------------------


def store_lines(options, *args, pin=("taskset", "-c", str(run.SERVER_CPU))):
    program = Path(options.reprise).parent / "tests" / "bench-store"
    subprocess.run(["ninja", "-C", program.parents[1], "tests/bench-store"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([*pin, program, *args], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def part_store(options):
    sizes = ["1000", "10000", "100000", "1000000", "4000000"]
    rows = [
        [f"cache of {line['sessions']:,}", f"{line['hit_ns']}", f"{line['miss_ns']}", f"{line['put_ns']}",
         f"{line['region_bytes_a_session']}", f"{100 * line['newest_kept']:.1f} %"]
        for line in store_lines(options, "cache", *sizes)
    ]  # fmt: skip
    ticket = store_lines(options, "ticket")[0]
    rows.append([f"ticket of {ticket['ticket_bytes']} bytes", f"{ticket['open_and_decide_ns']}", "", f"{ticket['seal_ns']}", "0", ""])
    return ("Stores and sealing, without a network",
            ["", "look-up or open, ns", "miss, ns", "insert or seal, ns", "bytes a session", "kept of the newest"], rows)  # fmt: skip


CLIENTS, ARRIVALS = 10000, 30000


def arrivals():
    """Which client comes: the nth most frequent one 1/n as often as the first (Zipf's law)."""
    weights = [1 / n for n in range(1, CLIENTS + 1)]
    return random.Random(1).choices(range(CLIENTS), weights, k=ARRIVALS)


def visit(context, port, session):
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = context.wrap_socket(plain, session=session)
    found = client.session, client.session_reused
    try:
        client.unwrap().close()  # OpenSSL forgets a session whose connection ends without close_notify
    except OSError:
        client.close()
    return found


def part_evict(options):
    """Clients that come again, each with the session it had last, and a cache without room for all."""
    context = common.client_context(ssl.TLSVersion.TLSv1_2)
    context.options |= ssl.OP_NO_TICKET
    nginx = peers.NGINX.replace("shared:bench:20m", "shared:bench:1m")
    come, rows = arrivals(), []
    with Stand(options) as stand:
        servers = {
            "reprise, cache-memory: 1 (MB)": stand.reprise(cache="100000\n    cache-memory: 1"),
            "reprise, cache-size: 2500": stand.reprise(cache=2500),
            "nginx, a shared zone of 1 MB": stand.peer("nginx", nginx),
            "hitch (its library's cache: 20,480)": stand.peer("hitch", peers.HITCH),
        }
        for name, server in servers.items():
            if server is None:
                continue
            sessions, offered, resumed = {}, 0, 0
            for number, client in enumerate(come):
                if number % 1000 == 0:
                    run.progress(f"{name}: {number} of {ARRIVALS}")
                offered += client in sessions
                sessions[client], again = visit(context, server[1], sessions.get(client))
                resumed += again
            rows.append([name, f"{offered:,}", f"{100 * resumed / offered:.1f} %"])
    run.progress("")
    return (f"More sessions than room: {ARRIVALS:,} visits of {len(set(come)):,} clients (Zipf), by session ID",
            ["server", "offers", "resumed"], rows)  # fmt: skip


def ask(context, port, session):
    """Milliseconds from the end of the handshake to the answer, without TCP_NODELAY; the session."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5), session=session) as client:
        resumed, begin = client.session_reused, time.monotonic()
        client.sendall(b"x" * 100)
        client.recv(100)
        took_ms, session = (time.monotonic() - begin) * 1000, client.session
        try:
            client.unwrap()
        except OSError:
            pass
        return took_ms, session, resumed


def part_nagle(options):
    """Clients that leave Nagle's algorithm on, as sockets have it unless told otherwise."""
    rows, versions = [], (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    with Stand(options) as stand:
        texts = {"hitch": peers.HITCH, "haproxy": peers.HAPROXY, "nginx": peers.NGINX, "stunnel": peers.STUNNEL}
        servers = {"reprise": stand.reprise(), **{name: stand.peer(name, text) for name, text in texts.items()}}
        for name, server in servers.items():
            cells = [name]
            for version in versions if server else ():
                for again in (False, True):
                    context, session, took = common.client_context(version), None, []
                    for _ in range(21):
                        ms, session, resumed = ask(context, server[1], session if again else None)
                        took += [ms] if resumed == again else []
                    cells.append(f"{statistics.median(took):.2f}" if len(took) > 9 else "-")
            rows.append(cells)
    return ("The answer to a client with Nagle's algorithm, ms after its handshake",
            ["", "TLS 1.2 full", "TLS 1.2 resumed", "TLS 1.3 full", "TLS 1.3 resumed"], rows)  # fmt: skip


def part_profiles(options):
    rows = []
    counts = (1, 100, 1000, 10000)
    with Stand(options) as stand:
        servers, about = {}, {}
        for count in counts:
            run.progress(f"start with {count} profiles")
            begin = time.monotonic()
            servers[count] = stand.reprise(profiles=count, cache=100)
            seconds = time.monotonic() - begin
            about[count] = (seconds, memory_kb(servers[count][0]))

        def args(count):
            step = max(1, count // 16)
            names = ",".join(f"s{n}.example.com" for n in range(0, count, step)) if count > 1 else "s0.example.com"
            return [*BY_ID, "-s", names, "--sessions", "16", "-n", "4000"]

        found = in_turns(options, servers, args)
        for count in counts:
            seconds, kb = about[count]
            us, ratio = found[count]
            rows.append([f"{count:,}", f"{us:.1f}", f"{ratio:.2f}", f"{seconds:.2f}", f"{kb / 1024:.1f}"])
    return ("Profiles and names (by session ID)",
            ["profiles", "server CPU, us", "ratio to one", "seconds to start", "MB, all processes"], rows)  # fmt: skip


def part_idle(options):
    """As many workers, clients and backends as the limit of open files of a process asks for."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 1000
    rows = []
    for count in (1000, 10000, 100000):
        workers = math.ceil(2.2 * count / files)  # two descriptors each, and chance spreads them
        with Stand(options, backends=max(4, math.ceil(1.1 * count / files))) as stand:
            run.progress(f"{count} idle connections")
            server = stand.reprise(workers=workers)
            args = ["--payload", "100", "--groups", "X25519:P-256", *run.TLS13, "--tls", "1.3", "-d", "1s",
                    "--source", SOURCES, "--idle", count, "-w", math.ceil(1.1 * count / files)]  # fmt: skip
            rows.append([f"{count:,}", f"{workers}", f"{measure(options, server, 'server_kb', *args):.2f}"])
    run.progress("")
    return ("Idle connections, after traffic (TLS 1.3)",
            ["connections", "workers", "kB a connection, all processes"], rows)  # fmt: skip


def part_contention(options):
    turns = [store_lines(options, "shared", "100000", pin=()) for _ in range(options.turns)]
    rows = []
    for lines in zip(*turns):
        row = [f"{lines[0]['processes']}"]
        for what in ("get_ns", "put_ns"):
            ratios = [line[what] / turn[0][what] for line, turn in zip(lines, turns)]
            row += [f"{statistics.median(line[what] for line in lines):.0f}", f"{statistics.median(ratios):.2f}"]
        rows.append(row)
    return ("One cache of 100,000 sessions, a process a core, without a network",
            ["processes", "look-up, ns", "ratio to one", "insert that evicts, ns", "ratio to one"], rows)  # fmt: skip


def part_cores(options):
    rows = []
    counts = sorted({1, 2, *(n for n in (4, 8, 16, 32) if n <= (os.cpu_count() or 1)), os.cpu_count() or 1})
    cpus = f"0-{(os.cpu_count() or 1) - 1}"
    with Stand(options) as stand:
        servers = {count: stand.reprise(workers=count, cpu=cpus) for count in counts if count <= (os.cpu_count() or 1)}
        for kind, args in (("by session ID", BY_ID), ("TLS 1.3 PSK", [*run.SMALL, *run.TLS13, "-k", "psk"])):
            for count, (us, ratio) in in_turns(options, servers, *args, "-n", "6000", cpu=cpus).items():
                rows.append([kind, f"{count}", f"{us:.1f}", f"{ratio:.2f}"])
    return "Workers (clients and backend on the same cores)", ["", "workers", "server CPU, us", "ratio to one"], rows


def part_log(options):
    rows = []
    with Stand(options) as stand:
        servers = {
            "one line a second": stand.reprise(more="log: { rate: 1 }\n"),
            "every line (rate: 0)": stand.reprise(more="log: { rate: 0 }\n"),
        }
        for kind, args in (("by session ID", BY_ID), ("TLS 1.3 PSK", [*run.SMALL, *run.TLS13, "-k", "psk"])):
            for name, (us, ratio) in in_turns(options, servers, *args, "-n", "6000").items():
                rows.append([kind, name, f"{us:.1f}", f"{ratio:.2f}"])
    return "The log", ["", "log", "server CPU, us", "ratio to the first"], rows


PARTS = {name[5:]: part for name, part in list(globals().items()) if name.startswith("part_")}


def table(title, head, rows):
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=TOP / "build" / "bench")
    parser.add_argument("--reprise", default=str(TOP / "build" / "reprise"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    texts, results = [run.machine(options, ["hitch", "haproxy", "nginx", "stunnel"]) + "\n"], {}
    print(texts[0])
    for name in options.parts or PARTS:
        title, head, rows = PARTS[name](options)
        results[name] = {"head": head, "rows": rows}
        texts.append(table(title, head, rows))
        print(texts[-1], flush=True)
    (options.out / "grow.md").write_text("\n".join(texts))
    (options.out / "grow.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
