"""A TLS client over a plain socket whose every step the test decides.

Python's ssl over memory BIOs: close_notify can be sent while reading goes on, reading can
stop, the connection can be reset, and close_notify is told from a bare end of the stream.
"""

import select
import socket
import ssl

from .recorder import reset

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def make_context(ca_file, version=None, key_log=None, tickets=True, cert=None, alpn=()):
    """A client's SSLContext.

    version  "1.2" or "1.3": only that; None: both
    tickets  False: does not offer the SessionTicket extension of TLS 1.2
    cert     a certs.Pair to show when asked
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    # Python sets it: an end without close_notify would look like one with it.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if key_log:
        context.keylog_filename = str(key_log)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    if cert:
        context.load_cert_chain(cert.chain_file, cert.key_file)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def is_bare_end(error):
    """Whether the stream ended without close_notify. Python has two exceptions for that."""
    return isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


class TlsClient:
    """One connection. Connects and shakes hands in the constructor.

    first           bytes that go out in one piece with the client's last message of the
                    handshake; of a full one of TLS 1.2, behind the server's
    closed_by_peer  None while open, then "close_notify", "end" (of the stream, without
                    close_notify) or "reset"
    """

    def __init__(
        self,
        context,
        address,
        server_name="www.example.com",
        session=None,
        timeout_s=60,
        rcvbuf=None,
        first=b"",
    ):
        self.timeout_s = timeout_s
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            if rcvbuf:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            self.sock.settimeout(timeout_s)
            self.sock.connect(address)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.name = "%s:%d" % self.sock.getsockname()[:2]
            self.closed_by_peer = None
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            if server_name is None:
                context.check_hostname = False
            self.tls = context.wrap_bio(
                self.incoming, self.outgoing, server_hostname=server_name, session=session
            )
            self._drive(self._shake_hands, first)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _shake_hands(self, first):
        self.tls.do_handshake()
        if first:
            self.tls.write(first)

    def _flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def _feed(self):
        """Reads from the network. False at its end."""
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            self.closed_by_peer = "reset"
            raise
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        return bool(data)

    def _drive(self, step, *args):
        while True:
            try:
                result = step(*args)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                try:
                    self._flush()  # the alert that it wants to send
                except OSError:
                    pass
                raise
            else:
                self._flush()
                return result

    @property
    def reused(self):
        return self.tls.session_reused

    @property
    def session(self):
        """The session to offer next time. In TLS 1.3 read something first."""
        return self.tls.session

    @property
    def version(self):
        return self.tls.version()

    def send(self, data):
        view = memoryview(data)
        while view:
            count = self._drive(self.tls.write, view[: 1 << 16])
            view = view[count:]

    def recv(self, count=1 << 18):
        """Up to `count` bytes; b"" when the peer has ended (see closed_by_peer)."""
        if self.closed_by_peer:
            return b""
        try:
            data = self._drive(self.tls.read, count)
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLError as error:
            if not is_bare_end(error):
                raise
            self.closed_by_peer = "end"
            return b""
        if not data:
            self.closed_by_peer = "close_notify"
        return data

    def recv_exact(self, count):
        parts = b""
        while len(parts) < count:
            part = self.recv(count - len(parts))
            if not part:
                raise AssertionError(
                    f"{len(parts)} of {count} bytes, then {self.closed_by_peer}"
                )
            parts += part
        return parts

    def recv_all(self):
        parts = []
        while part := self.recv():
            parts.append(part)
        return b"".join(parts)

    def take_ticket(self):
        """Waits for what TLS 1.3 has behind the handshake, where nothing else is to come."""
        while not self.session.has_ticket:
            assert self._feed(), "the server has ended"
            try:
                self.tls.read(1)
            except ssl.SSLWantReadError:
                pass

    def tls_shutdown(self):
        # All that has come must have been read: unwrap would throw it away.
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass

    def close_notify(self):
        """Sends close_notify and does not wait for the other one: reading goes on."""
        self.tls_shutdown()
        self._flush()

    def half_close(self):
        """close_notify and the end of the TCP stream in our direction."""
        self.close_notify()
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        """An orderly end: close_notify, then waits for the peer's."""
        self.close_notify()
        left = self.recv_all()
        self.sock.close()
        return left

    def exchange(self, parts, take):
        """Sends all of `parts` (an iterable of bytes) and hands what comes to take(bytes),
        both at once; sends close_notify after the last part. Returns when it has sent all
        and the peer has ended."""
        parts = iter(parts)
        self.sock.setblocking(False)
        waiting, sending = memoryview(b""), True
        while sending or waiting or not self.closed_by_peer:
            if sending and not waiting:
                part = next(parts, None)
                if part is None:
                    sending = False
                    self.tls_shutdown()
                else:
                    self.tls.write(part)
                waiting = memoryview(self.outgoing.read())
            readable, writable, _ = select.select(
                [] if self.closed_by_peer else [self.sock],
                [self.sock] if waiting else [],
                [],
                self.timeout_s,
            )
            if not readable and not writable:
                raise AssertionError("neither direction moves any more")
            if writable:
                try:
                    waiting = waiting[self.sock.send(waiting) :]
                except BlockingIOError:
                    pass
            if readable:
                self._feed()
                self._take_all(take)
        self.sock.settimeout(self.timeout_s)

    def _take_all(self, take):
        """Decrypts all that has come."""
        while not self.closed_by_peer:
            try:
                data = self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                if not is_bare_end(error):
                    raise
                self.closed_by_peer = "end"
                return
            if data:
                take(data)
            else:
                self.closed_by_peer = "close_notify"

    def reset(self):
        reset(self.sock)

    def request(self, path="/"):
        """An HTTP/1.0 request and the whole answer."""
        self.send(f"GET {path} HTTP/1.0\r\nHost: www.example.com\r\n\r\n".encode())
        return self.recv_all()
