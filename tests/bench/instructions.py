#!/usr/bin/python3
"""Instructions of a connection in the worker, under callgrind: instructions.py [--record].

The kernel's are not among them. They repeat to a hundredth whatever else the machine does, so that a
change of the program shows: each kind is compared with the last row of instructions.tsv, and --record
adds a row there. What is counted is the difference between two runs that differ in nothing but the
number of connections. valgrind has no SHA and no wide-AES instructions: hashing counts for more here
than it takes. The program is built apart, in build/profile, without the filter of system calls, since
callgrind writes its file from within the worker.
"""

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import peers
import run

TOP = peers.TOP
BUILD = TOP / "build" / "profile"
HISTORY = TOP / "tests" / "bench" / "instructions.tsv"
KINDS = ["id", "ticket", "psk", "full12", "full13"]
FEW, MANY = 100, 1100
ALLOCATE = {"malloc", "calloc", "realloc", "posix_memalign"}


def build():
    subprocess.run([TOP / "tools/configure.sh", BUILD, "-Dsandbox=false"], check=True)
    subprocess.run(["ninja", "-C", BUILD, "reprise"], check=True, stdout=subprocess.DEVNULL)
    return str(BUILD / "reprise")


def read_profile(path):
    """Instructions in all, and calls of functions that allocate."""
    names, callee, total, allocations = {}, "", 0, 0
    for line in path.read_text(errors="replace").splitlines():
        if match := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line):
            called, number, name = match.groups()
            if name:
                names[number] = name
            if called:
                callee = names[number]
        elif line.startswith("calls=") and callee in ALLOCATE:
            allocations += int(line[6:].split()[0])
        elif match := re.match(r"(?:totals|summary): (\d+)", line):
            total = int(match.group(1))
    return total, allocations


def count(reprise, kind, connections):
    """One run under callgrind: what the worker did."""
    with tempfile.TemporaryDirectory(prefix="reprise-instructions-") as name:
        folder = Path(name)
        folder.chmod(0o777)  # the worker is another user
        peers.make_certificate(folder)
        peers.make_floor(folder)
        backend_port, port = peers.free_port(), peers.free_port()
        backend = peers.start([str(folder / "floor"), "echo", str(backend_port)], folder, run.CLIENT_CPU, backend_port)
        (folder / "reprise.conf").write_text(peers.REPRISE.format(port=port, backend=backend_port))
        log = open(folder / "log", "w")
        server = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out.%p", reprise, "run", "-c", "reprise.conf"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
        try:
            if not peers.wait_for_port(server, port, 60):
                raise SystemExit(f"it did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(1)  # the look for the port is a connection as well, and over by now
            worker = common.children(server.pid)[0]  # the first child
            done = subprocess.run(
                [reprise, "bench", *run.WORKS[kind][3], "-c", "1", "-n", str(connections), f"127.0.0.1:{port}"],
                capture_output=True, text=True)  # fmt: skip
            if done.returncode != 0:
                raise SystemExit(f"{kind}: {done.stdout}{done.stderr}")
        finally:
            server.terminate()
            server.wait()
            backend.terminate()
            backend.wait()
        return read_profile(folder / f"out.{worker}")


def history():
    """The last row: kind -> instructions."""
    lines = HISTORY.read_text().splitlines() if HISTORY.exists() else []
    if len(lines) < 2:
        return {}
    return {kind: int(text) for kind, text in zip(lines[0].split("\t"), lines[-1].split("\t")) if kind in KINDS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--record", action="store_true", help="add a row to instructions.tsv")
    parser.add_argument("--reprise", help="instead of build/profile/reprise")
    options = parser.parse_args()
    reprise = options.reprise or build()
    before, now = history(), {}
    print("| worker, a connection | instructions | to the last row | allocations |\n|---|---|---|---|")
    for kind in KINDS:
        run.progress(f"{kind} under callgrind")
        few, many = count(reprise, kind, FEW), count(reprise, kind, MANY)
        run.progress("")
        now[kind] = round((many[0] - few[0]) / (MANY - FEW))
        change = f"{now[kind] / before[kind]:.3f}" if kind in before else ""
        print(f"| {run.WORKS[kind][0]} | {now[kind]:,} | {change} | {(many[1] - few[1]) / (MANY - FEW):.0f} |", flush=True)
    if options.record:
        version = subprocess.run([reprise, "--version"], capture_output=True, text=True).stdout.strip()
        row = [str(datetime.date.today()), version, *(str(now[kind]) for kind in KINDS)]
        if not HISTORY.exists():
            HISTORY.write_text("\t".join(["date", "version", *KINDS]) + "\n")
        with open(HISTORY, "a") as file:
            file.write("\t".join(row) + "\n")


if __name__ == "__main__":
    sys.exit(main())
