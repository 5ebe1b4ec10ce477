#!/usr/bin/python3
"""System calls of a connection: calls.py [CONNECTIONS], 200 by default. Needs strace.

Makes TLS connections one after the other through a terminator with one worker, 100 bytes there and
back on each, and prints how many of each system call the worker made for one.
"""

import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

import common


def connect(context, port, session):
    conn = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), session=session)
    conn.sendall(b"x" * 100)
    if len(conn.recv(1000)) == 0:
        raise SystemExit("no answer")
    session, reused = conn.session, conn.session_reused
    try:
        conn.unwrap()
    except (OSError, ValueError):
        pass
    conn.close()
    return session, reused


def attached(worker):
    with open(f"/proc/{worker}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("TracerPid:")) != 0


def count_calls(worker, work):
    with tempfile.NamedTemporaryFile("r") as out:
        tracer = subprocess.Popen(["strace", "-c", "-p", str(worker), "-o", out.name], stderr=subprocess.DEVNULL)
        while tracer.poll() is None and not attached(worker):
            time.sleep(0.01)
        work()
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        rows = [line.split() for line in out.read().splitlines()]
        return {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with common.terminator(workers=1) as (pid, port):
        # the worker is the first child
        worker = common.children(pid)[0]
        for name, version, resume in (
            ("TLS 1.2 full", ssl.TLSVersion.TLSv1_2, False),
            ("TLS 1.2 by ticket", ssl.TLSVersion.TLSv1_2, True),
            ("TLS 1.3 full", ssl.TLSVersion.TLSv1_3, False),
            ("TLS 1.3 PSK", ssl.TLSVersion.TLSv1_3, True),
        ):
            context = common.client_context(version)
            state = {"session": connect(context, port, None)[0], "reused": 0}

            def work():
                for _ in range(count):
                    session, reused = connect(context, port, state["session"] if resume else None)
                    state["session"] = session
                    state["reused"] += reused

            calls = count_calls(worker, work)
            if state["reused"] != (count if resume else 0):
                raise SystemExit(f"{name}: {state['reused']} of {count} resumed")
            each = ", ".join(f"{call} {n / count:.1f}" for call, n in sorted(calls.items(), key=lambda c: -c[1]))
            print(f"{name}: {sum(calls.values()) / count:.1f} calls: {each}")


if __name__ == "__main__":
    main()
