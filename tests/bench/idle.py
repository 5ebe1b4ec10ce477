#!/usr/bin/python3
"""Memory of idle connections: idle.py [CONNECTIONS], 10000 by default.

Opens TLS 1.3 connections through a terminator with two workers, sends a byte through each and back,
and prints what one connection more costs in all processes of the service: the difference of their
proportional set sizes between 100 and all connections.
"""

import resource
import socket
import sys
from pathlib import Path

import common

FIRST = 100


def set_size_kb(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def measure(count, pids, port):
    context = common.client_context()
    held = []
    for number in range(1, count + 1):
        conn = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
        conn.sendall(b"x")
        if conn.recv(1) != b"x":
            raise SystemExit(f"connection {number} did not answer")
        held.append(conn)
        if number == FIRST:
            first_kb = set_size_kb(pids)
        if sys.stderr.isatty() and number % 500 == 0:
            print(f"\r{number} of {count} ", end="", file=sys.stderr)
    last_kb = set_size_kb(pids)
    each_kb = (last_kb - first_kb) / (count - FIRST)
    print(f"{count} connections, all processes {last_kb} kB, a connection {each_kb:.2f} kB")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not FIRST < count < hard - 100:
        raise SystemExit(f"{count} connections, expected {FIRST + 1} to {hard - 101} (see ulimit -n)")
    with common.terminator(workers=2) as (pid, port):
        measure(count, [pid, *common.children(pid)], port)


if __name__ == "__main__":
    main()
