"""A relay between a client and the terminator that keeps what each of them sent."""

import socket
import struct
import threading

from .deadline import wait_until
from .tlswire import Transcript

RECORD_HEADER = 5


def reset(sock):
    """Closes a socket with a reset instead of an orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A thread that waits for bytes holds the socket open: wake it. This sends nothing.
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    sock.close()


class Recorded:
    """One connection that went through a Recorder.

    client, server   the bytes that each side sent, as they arrived
    events           [(who, number of bytes)]: the order in which they arrived
    peer             the terminator's name for this client: "127.0.0.1:40000"
    """

    def __init__(self, downstream, upstream):
        self.downstream = downstream
        self.upstream = upstream
        self.client = bytearray()
        self.server = bytearray()
        self.events = []
        self.peer = "%s:%d" % upstream.getsockname()[:2]
        self.ended = {"client": None, "server": None}  # then "end" or "reset"
        self.closing = threading.Lock()

    @property
    def done(self):
        return all(self.ended.values())

    def transcript(self, key_log=""):
        """The connection so far, read by tlswire. `key_log` is the text of a key log."""
        return Transcript(bytes(self.client), bytes(self.server), key_log)

    def finish(self, who, how):
        """Called as one side's bytes end: hands the end on to the other side."""
        other = self.upstream if who == "client" else self.downstream
        with self.closing:
            if self.ended[who]:
                return
            self.ended[who] = how
            if how == "reset":
                self.ended = {side: self.ended[side] or "reset" for side in self.ended}
                reset(self.upstream)
                reset(self.downstream)
            elif self.done:
                self.upstream.close()
                self.downstream.close()
            else:
                try:
                    other.shutdown(socket.SHUT_WR)
                except OSError:
                    pass


class Recorder:
    """Listens on a free port of 127.0.0.1 and relays to `target`, (host, port).

    chunk_bytes      the client's bytes go on in pieces of this size, each a segment of
                     its own as far as TCP lets it
    fragment_bytes   the client's first TLS record (its ClientHello) goes on as several
                     records with this many bytes of payload each; no party's hash of the
                     handshake is changed by that
    """

    def __init__(self, target, chunk_bytes=None, fragment_bytes=None):
        self.target = target
        self.chunk_bytes = chunk_bytes
        self.fragment_bytes = fragment_bytes
        self.connections = []
        self.refused = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = self.listener.getsockname()[:2]
        self.host, self.port = self.address
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                downstream, _ = self.listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(self.target)
            except OSError:
                self.refused += 1
                reset(downstream)
                continue
            for sock in (downstream, upstream):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            recorded = Recorded(downstream, upstream)
            self.connections.append(recorded)
            for who in ("client", "server"):
                threading.Thread(target=self._relay, args=(recorded, who), daemon=True).start()

    def _relay(self, recorded, who):
        source = recorded.downstream if who == "client" else recorded.upstream
        sink = recorded.upstream if who == "client" else recorded.downstream
        kept = recorded.client if who == "client" else recorded.server
        hello = bytearray() if who == "client" and self.fragment_bytes else None
        deaf = False
        try:
            while data := source.recv(65536):
                kept += data
                recorded.events.append((who, len(data)))
                if hello is not None:
                    hello += data
                    data = self._fragment(hello)
                    if data is None:
                        continue
                    hello = None
                step = self.chunk_bytes if who == "client" and self.chunk_bytes else len(data)
                try:
                    for at in range(0, len(data), step):
                        if not deaf:
                            sink.sendall(data[at : at + step])
                except OSError:
                    deaf = True  # go on recording; its own direction tells how it ended
        except OSError:
            recorded.finish(who, "reset")
        else:
            recorded.finish(who, "end")

    def _fragment(self, hello):
        """The first record cut into several, followed by what came after it; None: the
        record is not complete yet."""
        if len(hello) < RECORD_HEADER:
            return None
        end = RECORD_HEADER + int.from_bytes(hello[3:5], "big")
        if len(hello) < end:
            return None
        out = b""
        for at in range(RECORD_HEADER, end, self.fragment_bytes):
            part = bytes(hello[at : min(at + self.fragment_bytes, end)])
            out += bytes(hello[:3]) + len(part).to_bytes(2, "big") + part
        return out + bytes(hello[end:])

    def wait(self, count):
        """Waits until `count` connections have come and ended; returns all so far."""
        wait_until(
            lambda: f"{count} connections through the recorder, have "
            + str([recorded.ended for recorded in self.connections]),
            lambda: len(self.connections) >= count and all(c.done for c in self.connections),
        )
        return self.connections

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for recorded in self.connections:
            if not recorded.done:
                recorded.finish("client", "reset")
        self.thread.join()
