#!/usr/bin/python3
"""make bench: Reprise beside the floor and Debian's terminators, in the same run.

run.py [--turns N] [--scale S] [--only PEER,...] [--works WORK,...] [--out DIR]

Server CPU of one connection (connect, handshake, 100 bytes there and back, end) for each kind of
handshake, of bulk, and memory of idle connections. The servers are pinned to one core, clients
and backend to the other; they take turns A B C A B C. Writes DIR/bench.md, bench.json and
bench.html (build/bench). Ratios are those of one turn, so that what else the machine does at the
time counts for all alike. Memory is measured on servers that have just begun.
"""

import argparse
import html
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import peers

TOP = peers.TOP
SERVER_CPU, CLIENT_CPU = 0, max(0, (os.cpu_count() or 1) - 1)
SMALL = ["--payload", "100", "--groups", "X25519:P-256"]
HTTP = ["--http", "/", "--groups", "X25519:P-256"]
TLS12 = ["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]
TLS13 = ["--ciphers", "TLS_AES_128_GCM_SHA256"]

# name: title, unit, what of the result, arguments, connections at a scale of 1
WORKS = {
    "id": ("TLS 1.2 by session ID", "us", "server_cpu_us", [*SMALL, *TLS12, "-k", "id"], 4000),
    "ticket": ("TLS 1.2 by ticket", "us", "server_cpu_us", [*SMALL, *TLS12, "-k", "ticket"], 4000),
    "psk": ("TLS 1.3 PSK", "us", "server_cpu_us", [*SMALL, *TLS13, "-k", "psk"], 3000),
    "full12": ("TLS 1.2 full", "us", "server_cpu_us", [*SMALL, *TLS12, "--tls", "1.2"], 2000),
    "full13": ("TLS 1.3 full", "us", "server_cpu_us", [*SMALL, *TLS13, "--tls", "1.3"], 2000),
    "bulk": ("bulk, TLS 1.3, each way at once", "ns a KiB", "server_cpu_ns_per_kb",
             ["--payload", "64M", "--groups", "X25519:P-256", *TLS13, "--tls", "1.3", "-c", "2"], 4),
    "idle": ("idle after traffic, TLS 1.3", "kB", "server_kb",
             ["--payload", "100", "--groups", "X25519:P-256", *TLS13, "--tls", "1.3", "-d", "200ms"], 2000),
    "http-id": ("HTTP, TLS 1.2 by session ID", "us", "server_cpu_us", [*HTTP, *TLS12, "-k", "id"], 3000),
    "http-psk": ("HTTP, TLS 1.3 PSK", "us", "server_cpu_us", [*HTTP, *TLS13, "-k", "psk"], 3000),
}  # fmt: skip


def measure(reprise, work, name, server, count):
    """One turn; returns the figure, or None with what failed told."""
    process, port = server
    _, _, key, args, _ = WORKS[work]
    if name == "floor":
        pairs = [args[i : i + 2] for i in range(0, len(args), 2) if args[i] in ("-c", "-d", "--payload", "--http")]
        args = ["-k", "plain", *sum(pairs, [])]
    count_args = ["--idle" if work == "idle" else "-n", str(count)]
    done = subprocess.run(
        ["taskset", "-c", str(CLIENT_CPU), reprise, "bench", "--json", "--timeout", "30s", *args,
         *count_args, "--server-pid", str(process.pid), f"127.0.0.1:{port}"],
        capture_output=True, text=True)  # fmt: skip
    if not done.stdout:
        print(f"\n{name}, {work}: {done.stderr.strip()}", file=sys.stderr)
        return None
    turn = json.loads(done.stdout)["targets"][0]["turns"][0]
    if done.returncode != 0:
        print(f"\n{name}, {work}: failed: {turn['failures']} {turn['error']}", file=sys.stderr)
        return None
    return turn["measures"][key], turn["measures"]["own_cpu_us"]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure_fresh(options, work, name, count, place):
    """As measure, of a server that has carried nothing before: what it had carried it may keep."""
    server = peers.start_peer(name, *place, SERVER_CPU, options.reprise)
    if server is None:
        return None
    try:
        return measure(options.reprise, work, name, server, count)
    finally:
        server[0].terminate()
        server[0].wait()


def run_work(options, work, servers, place, results):
    count = max(2, int(WORKS[work][4] * options.scale))
    broken = set()
    for turn in range(options.turns):
        for name, server in servers.items():
            if name in broken:
                continue
            progress(f"{WORKS[work][0]}: turn {turn + 1} of {options.turns}, {name}")
            if work == "idle":
                found = measure_fresh(options, work, name, count, place)
            else:
                found = measure(options.reprise, work, name, server, count)
            if found is None:
                broken.add(name)
                results[work].pop(name, None)
            else:
                results[work].setdefault(name, []).append(found)
    progress("")


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(mine, others):
    return spread([a[0] / b[0] for a, b in zip(mine, others) if b[0] > 0] or [0])


def summarize(results):
    """work -> peer -> the figure's spread, and the ratio of reprise to it."""
    table = {}
    for work, found in results.items():
        table[work] = {
            name: {
                "figure": spread([value for value, _ in values]),
                "own_cpu_us": statistics.median([own for _, own in values]),
                "reprise_to_it": ratios(found["reprise"], values)
                if "reprise" in found and (name, work) != ("floor", "idle")
                else None,
            }
            for name, values in found.items()
        }
    return table


def machine(options, names):
    cpu = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    versions = ", ".join(f"{name} {peers.version(name)}" for name in names if peers.version(name))
    reprise = subprocess.run([options.reprise, "--version"], capture_output=True, text=True).stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {cpu}, Linux {platform.release()}; {reprise}; {versions}; "
        f"{options.turns} turns; load average of the machine at the end {load:.1f}"
    )


def markdown(table, names, about):
    works = [work for work in WORKS if work in table]
    lines = [about, ""]
    lines.append("| server CPU or memory, median | " + " | ".join(WORKS[w][0] for w in works) + " |")
    lines.append("|---" * (len(works) + 1) + "|")
    lines.append("| | " + " | ".join(WORKS[w][1] for w in works) + " |")
    for name in names:
        cells = [table[w].get(name) for w in works]
        texts = [f"{c['figure']['median']:.1f}" if c else "-" for c in cells]
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    lines += ["", "Reprise's figure as a ratio to theirs in the same turn: median (least to most)", ""]
    lines.append("| reprise to | " + " | ".join(WORKS[w][0] for w in works) + " |")
    lines.append("|---" * (len(works) + 1) + "|")
    for name in names:
        cells = [(table[w].get(name) or {}).get("reprise_to_it") for w in works]
        texts = [f"{c['median']:.2f} ({c['min']:.2f} to {c['max']:.2f})" if c else "-" for c in cells]
        if name != "reprise":
            lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines) + "\n"


def plot(work, row):
    """Bars with the least and the most of the turns."""
    top = max(cell["figure"]["max"] for cell in row.values()) or 1
    bars = []
    for index, (name, cell) in enumerate(row.items()):
        y, figure = 4 + 26 * index, cell["figure"]
        scale = 420 / top
        color = {"reprise": "#1965b0", "floor": "#999"}.get(name, "#d1500f")
        bars.append(
            f'<text x="92" y="{y + 14}" text-anchor="end">{html.escape(name)}</text>'
            f'<rect x="100" y="{y}" width="{figure["median"] * scale:.1f}" height="18" fill="{color}"/>'
            f'<path d="M{100 + figure["min"] * scale:.1f} {y + 9}H{100 + figure["max"] * scale:.1f}"'
            f' stroke="currentColor"/><text x="{106 + figure["max"] * scale:.1f}" y="{y + 14}">'
            f'{figure["median"]:.1f}</text>'
        )
    title = f"{WORKS[work][0]}, {WORKS[work][1]}"
    return (
        f'<h2>{title}</h2><svg viewBox="0 0 620 {26 * len(row) + 8}" width="620" role="img">'
        f"<title>{title}</title>{''.join(bars)}</svg>"
    )


def page(table, about):
    plots = "\n".join(plot(work, row) for work, row in table.items() if row)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>make bench</title><style>'
        ":root{color-scheme:light dark}body{font:16px sans-serif;max-width:60rem;margin:2rem auto}"
        "svg{max-width:100%}svg text{font-size:12px;fill:currentColor}</style>"
        f"<h1>Server CPU and memory of a connection</h1><p>{html.escape(about)}</p>{plots}</html>\n"
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of connections")
    parser.add_argument("--only", help="peers, with commas between; all that are here by default")
    parser.add_argument("--works", default=",".join(WORKS), help="works, with commas between")
    parser.add_argument("--out", type=Path, default=TOP / "build" / "bench")
    parser.add_argument("--reprise", default=str(TOP / "build" / "release" / "reprise"))
    options = parser.parse_args()
    if not os.access(options.reprise, os.X_OK):
        parser.error(f"{options.reprise} is not there, expected what `make release` builds")
    return options


def start_all(options, names, folder, backend):
    servers = {}
    for name in names:
        server = peers.start_peer(name, folder, backend, SERVER_CPU, options.reprise)
        if server:
            servers[name] = server
        else:
            print(f"{name} is not here, or did not start: left out", file=sys.stderr)
    return servers


def write(options, results, names):
    table = summarize(results)
    about = machine(options, names)
    options.out.mkdir(parents=True, exist_ok=True)
    text = markdown(table, names, about)
    (options.out / "bench.md").write_text(text)
    (options.out / "bench.html").write_text(page(table, about))
    (options.out / "bench.json").write_text(
        json.dumps({"about": about, "turns": results, "summary": table}, indent=1) + "\n"
    )
    print(text)
    print(f"written: {options.out}/bench.md, bench.json, bench.html")


def run_group(options, speaks, works, known, folder, results):
    """The works of a protocol, with the peers that speak it. Returns the peers' names."""
    names = [name for name in known if options.only is None or name in options.only.split(",")]
    running = []
    try:
        port = peers.free_port()
        running.append(peers.start([str(folder / "floor"), speaks, str(port)], folder, CLIENT_CPU, port))
        servers = start_all(options, names, folder, port)
        running += [process for process, _ in servers.values()]
        for work in works:
            run_work(options, work, servers, (folder, port), results)
        return list(servers)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def main():
    options = arguments()
    folder = Path(tempfile.mkdtemp(prefix="reprise-bench-"))
    folder.chmod(0o755)
    results = {work: {} for work in options.works.split(",")}
    names = []
    try:
        peers.make_certificate(folder)
        peers.make_floor(folder)
        for speaks, known in (("echo", peers.PEERS), ("http", peers.HTTP_PEERS)):
            works = [work for work in results if work.startswith("http") == (speaks == "http")]
            if works:
                found = run_group(options, speaks, works, known, folder, results)
                names += [name for name in found if name not in names]
        write(options, results, names)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
