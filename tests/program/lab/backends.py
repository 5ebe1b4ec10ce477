"""Backends: TCP servers of a few lines, each on a free port of 127.0.0.1.

A backend is `Backend(handler)`; `handler(peer)` runs in a thread of its own for each
connection, and the connection is closed when it returns. The handlers stand below.
"""

import hashlib
import socket
import threading

from . import proxyv2
from .deadline import DEADLINE_S
from .recorder import reset

BLOCK_BYTES = 1 << 16


class Ended(Exception):
    """The other side ended the connection before all that was wanted had come."""


class Peer:
    """A connection to a backend, as its handler sees it."""

    def __init__(self, sock):
        self.sock = sock
        self.proxy = None  # the PROXY header, where the backend reads one

    def recv(self, count=65536):
        return self.sock.recv(count)

    def recv_exact(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise Ended(f"{len(data)} of {count} bytes")
            data += part
        return data

    def recv_until(self, mark):
        data = b""
        while mark not in data:
            part = self.sock.recv(65536)
            if not part:
                raise Ended(f"no {mark!r} in {data!r}")
            data += part
        return data

    def recv_all(self):
        parts = []
        while data := self.sock.recv(65536):
            parts.append(data)
        return b"".join(parts)

    def send(self, data):
        self.sock.sendall(data)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.sock)


class Backend:
    """See the head of this file.

    proxy=True reads a PROXY v2 header first; the headers are kept in `headers`.
    errors     what handlers raised, but for connections that the proxy ended
    accepted   how many connections came
    """

    def __init__(self, handler, proxy=False, listen_backlog=128):
        self.handler = handler
        self.proxy = proxy
        self.accepted = 0
        self.headers = []
        self.errors = []
        self.open = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=listen_backlog)
        self.address = "%s:%d" % self.listener.getsockname()[:2]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                self.open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        peer = Peer(sock)
        try:
            if self.proxy:
                peer.proxy = proxyv2.read_header(peer.recv_exact)
                with self.lock:
                    self.headers.append(peer.proxy)
            self.handler(peer)
        except (OSError, Ended):
            pass  # the proxy may end a connection at any time
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            with self.lock:
                self.open.discard(sock)
            sock.close()

    def stop(self):
        """Ends it: from now on connections are refused, and open ones are reset."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join()
        with self.lock:
            left = list(self.open)
        for sock in left:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class DeadBackend:
    """A port that refuses connections, and that nobody else can take meanwhile."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.address = "%s:%d" % self.sock.getsockname()

    def stop(self):
        self.sock.close()


class DeafBackend:
    """A port whose queue is full: connections to it are neither accepted nor refused."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self.address = "%s:%d" % self.listener.getsockname()
        self.fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)

    def stop(self):
        for sock in [*self.fillers, self.listener]:
            sock.close()


# --- streams of bytes that tell when a part is lost, doubled or out of place ---

_NOISE = hashlib.shake_256(b"reprise").digest(BLOCK_BYTES - 8)


def blocks(size, seed=0):
    """`size` bytes in blocks, each with its number in front."""
    for number in range((size + BLOCK_BYTES - 1) // BLOCK_BYTES):
        block = (seed << 48 | number).to_bytes(8, "big") + _NOISE
        yield block[: size - number * BLOCK_BYTES]


class Digest:
    """Counts and hashes bytes."""

    def __init__(self):
        self.size = 0
        self.hash = hashlib.blake2b(digest_size=16)

    def add(self, data):
        self.size += len(data)
        self.hash.update(data)

    @property
    def result(self):
        return self.size, self.hash.hexdigest()

    @classmethod
    def of_stream(cls, size, seed=0):
        digest = cls()
        for block in blocks(size, seed):
            digest.add(block)
        return digest.result


# --- handlers ---


def echo(peer):
    """Sends back what comes, and ends when the other side does."""
    while data := peer.recv():
        peer.send(data)


def http(peer, body=b"hello from the backend\n"):
    """Answers one request, then closes."""
    peer.recv_until(b"\r\n\r\n")
    peer.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


class Source:
    """Sends `size` bytes, then closes. `sent` counts them as the kernel takes them."""

    def __init__(self, size, seed=0, wait_for_byte=False):
        self.size, self.seed, self.wait_for_byte = size, seed, wait_for_byte
        self.sent = 0

    def __call__(self, peer):
        if self.wait_for_byte:
            peer.recv_exact(1)
        for block in blocks(self.size, self.seed):
            view = memoryview(block)
            while view:
                count = peer.sock.send(view)
                self.sent += count
                view = view[count:]


class Sink:
    """Reads to the end, hashes, and answers with count and hash in text.

    With `gate` (a threading.Event) it reads nothing before that is set.
    """

    def __init__(self, gate=None):
        self.gate = gate
        self.digest = Digest()

    def __call__(self, peer):
        if self.gate:
            self.gate.wait(DEADLINE_S)
        while data := peer.recv(1 << 18):
            self.digest.add(data)
        peer.send(b"%d %s\n" % (self.digest.size, self.digest.result[1].encode()))


class Duplex:
    """Sends `size` bytes and reads to the end, both at once; `received` is what came."""

    def __init__(self, size, seed=1):
        self.source = Source(size, seed)
        self.received = Digest()
        self.done = threading.Event()

    def __call__(self, peer):
        sender = threading.Thread(target=self._send, args=(peer,), daemon=True)
        sender.start()
        while data := peer.recv(1 << 18):
            self.received.add(data)
        sender.join()
        self.done.set()

    def _send(self, peer):
        try:
            self.source(peer)
            peer.half_close()
        except OSError:
            pass


class SlowReader:
    """Reads a few bytes at a time through a small buffer, then answers as a Sink does."""

    def __init__(self, step_bytes=4096):
        self.step_bytes = step_bytes
        self.digest = Digest()

    def __call__(self, peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        while data := peer.recv(self.step_bytes):
            self.digest.add(data)
        peer.send(b"%d %s\n" % (self.digest.size, self.digest.result[1].encode()))


class NeverReads:
    """Takes the connection and reads nothing until it is let go."""

    def __init__(self):
        self.release = threading.Event()

    def __call__(self, peer):
        self.release.wait(DEADLINE_S * 2)


class ResetsAfter:
    """Reads `count` bytes (0: none), sends `answer`, and resets the connection."""

    def __init__(self, count=0, answer=b""):
        self.count, self.answer = count, answer

    def __call__(self, peer):
        if self.count:
            peer.recv_exact(self.count)
        if self.answer:
            peer.send(self.answer)
        peer.reset()


class AnswersEarly:
    """Answers after `count` bytes and closes, with what else has come unread: a reset."""

    def __init__(self, count, answer):
        self.count, self.answer = count, answer

    def __call__(self, peer):
        peer.recv_exact(self.count)
        peer.send(self.answer)


class ClosesFirst:
    """Sends `greeting`, ends its direction, and goes on reading; `received` is what came."""

    def __init__(self, greeting=b"that is all from me\n"):
        self.greeting = greeting
        self.received = b""
        self.done = threading.Event()

    def __call__(self, peer):
        peer.send(self.greeting)
        peer.half_close()
        self.received = peer.recv_all()
        self.done.set()


class AnswersAfterEnd:
    """Reads to the end of what the client sends, and only then answers."""

    def __init__(self, size=1 << 20):
        self.size = size

    def __call__(self, peer):
        received = peer.recv_all()
        peer.send(b"%d\n" % len(received))
        for block in blocks(self.size):
            peer.send(block)
