"""What the measurements share: an echo backend, and a terminator in front of it, on loopback."""

import asyncio
import contextlib
import multiprocessing
import resource
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path

import peers

TOP = peers.TOP

CONFIG = """
workers: {workers}
control-socket: none
client-ssl-profiles:
  - name: bench
    default: on
    certificates: [{{ chain: chain.pem, key: key.pem }}]
    session-tickets: on
    idle-timeout: 1h
pools:
  - name: echo
    members: ["127.0.0.1:{port}"]
virtual-servers:
  - name: bench
    listen: ["127.0.0.1:0"]
    profiles: [bench]
    pool: echo
"""


async def echo(reader, writer):
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


def serve(listener):
    async def main():
        server = await asyncio.start_server(echo, sock=listener, backlog=4096)
        await server.serve_forever()

    asyncio.run(main())


def start(folder, workers, port):
    """Starts the terminator; returns its process and its port."""
    peers.self_sign(folder)
    (folder / "reprise.conf").write_text(CONFIG.format(workers=workers, port=port))
    log = open(folder / "log", "w+")
    program = subprocess.Popen([TOP / "build" / "reprise", "run", "-c", folder / "reprise.conf"], stderr=log)
    while program.poll() is None:
        lines = (folder / "log").read_text().splitlines()
        if any("event=ready" in line for line in lines):
            address = next(line.split("address=")[1].split()[0] for line in lines if "event=listen" in line)
            return program, int(address.rsplit(":", 1)[1])
    raise SystemExit("the terminator did not start:\n" + (folder / "log").read_text())


@contextlib.contextmanager
def terminator(workers):
    """Runs backend and terminator; gives the terminator's pid and port."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    backend = multiprocessing.Process(target=serve, args=(listener,), daemon=True)
    backend.start()
    with tempfile.TemporaryDirectory() as folder:
        program, port = start(Path(folder), workers, listener.getsockname()[1])
        try:
            yield program.pid, port
        finally:
            program.terminate()
            program.wait()
            backend.terminate()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def client_context(version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    return context
