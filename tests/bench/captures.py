#!/usr/bin/python3
"""captures.py [MEGABYTES [FILE]]: how fast `reprise inspect` reads, and how much memory it needs.

Writes a capture (1000 MB unless told) of TLS connections that move much data: full
handshakes and resumptions between Python's TLS objects, the data as records of 16 KB in
segments of 1448 bytes, several connections at a time. Reads it three times with
`reprise inspect --summary` and prints the best time; then, where tshark is installed, takes
the same fields out of the first part of it with tshark and compares.

REPRISE_BIN   the program, build/reprise unless set
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "program"))

from lab.certs import Certificates  # noqa: E402
from lab.pcap import ACK, PSH, Capture, Packet  # noqa: E402
from test_inspect import World, twice  # noqa: E402

PROGRAM = os.environ.get("REPRISE_BIN", TOP / "build" / "reprise")
RECORD = b"\x17\x03\x03\x40\x18" + os.urandom(16 + 8 + 16384)
FIELDS = ["tcp.stream", "tls.handshake.type", "tls.handshake.session_id",
          "tls.handshake.session_ticket_length", "tls.handshake.extension.type"]
TSHARK_MB = 200
GROUP_MB = 24  # six connections at the same time; then the same from another client


def bulk(packets, megabytes):
    """The connection with so much data from its server before it is closed."""
    head, tail = packets[:-3], packets[-3:]
    server = next(p for p in head if p.src[1] == 443 and p.data)
    last = [p for p in head if p.src[1] == 443][-1]
    seq, ack = last.seq + len(last.data), [p for p in head if p.src[1] != 443][-1].seq
    stream = RECORD * (megabytes * 1_000_000 // len(RECORD))
    out = list(head)
    for at in range(0, len(stream), 1448):
        part = stream[at : at + 1448]
        out.append(Packet(server.src, server.dst, seq, ack, PSH | ACK, part, last.time_ns + at))
        seq += len(part)
        if at % (2 * 1448) == 0:
            out.append(Packet(server.dst, server.src, ack, seq, ACK, b"", last.time_ns + at))
    moved = len(stream)
    for packet in tail:
        packet.time_ns += moved
        if packet.src[1] == 443:
            packet.seq += moved
        else:
            packet.ack += moved
    return out + tail


def write_capture(path, megabytes):
    with tempfile.TemporaryDirectory() as folder:
        world = World(Certificates(Path(folder)), Path(folder))
        talks = [t for v, k in (("1.2", False), ("1.2", True), ("1.3", True))
                 for t in twice(world, v, k)]
    connections = [
        bulk(t.packets(client_end=("10.0.0.1", 40000 + n)), GROUP_MB // len(talks))
        for n, t in enumerate(talks)
    ]
    capture = Capture()
    for row in zip(*connections):
        capture.add(row)
    for connection in connections:
        capture.add(connection[min(map(len, connections)) :])
    head, group = capture.pcap()[:24], capture.pcap()[24:]
    client = bytes((10, 0, 0, 1))
    with open(path, "wb") as file:
        file.write(head)
        for number in range(megabytes // GROUP_MB + 1):
            file.write(group.replace(client, bytes((10, 1, number >> 8, number & 255))))


def timed(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, done.stdout


def peak_mb(*command):
    """The peak of its resident memory. A process of its own asks, because what is started
    from here begins with the size of this one."""
    done = subprocess.run(["/usr/bin/time", "-f", "%M", *command], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    return int(done.stderr.split()[-1]) / 1024


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    path = Path(sys.argv[2] if len(sys.argv) > 2 else Path(tempfile.gettempdir()) / "inspect.pcap")
    if not path.exists():
        write_capture(path, megabytes)
    size = path.stat().st_size
    with open(path, "rb") as file:  # into the page cache
        while file.read(1 << 20):
            pass
    runs = [timed(PROGRAM, "inspect", "--summary", path) for _ in range(3)]
    wall, cpu, text = min(runs)
    print(text.splitlines()[-1])
    print(f"{size / 1e6:.0f} MB in {wall:.3f} s: {size / 1e9 / wall:.2f} GB/s ({cpu:.3f} s of CPU); "
          f"peak {peak_mb(PROGRAM, 'inspect', '--summary', path):.1f} MB")
    tshark = shutil.which("tshark")
    if tshark:
        part = path.with_suffix(".part.pcap")
        with open(path, "rb") as whole:
            data = whole.read(TSHARK_MB * 1_000_000)
        part.write_bytes(data)
        fields = [word for field in FIELDS for word in ("-e", field)]
        slow = timed(tshark, "-r", part, "-T", "fields", *fields, "-Y", "tls.handshake.type")
        fast = min(timed(PROGRAM, "inspect", "--json", part) for _ in range(5))
        print(f"first {TSHARK_MB} MB: tshark {slow[0]:.2f} s ({slow[1]:.2f} of CPU), inspect --json "
              f"{fast[0]:.3f} s ({fast[1]:.3f} of CPU): {slow[0] / fast[0]:.0f} times faster, "
              f"{slow[1] / fast[1]:.0f} by CPU")


if __name__ == "__main__":
    main()
