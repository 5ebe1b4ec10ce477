"""The relay: no byte lost or moved, ends and resets passed on, memory bounded, backends
that are slow, dead or rude."""

import os
import socket
import ssl
import threading

import pytest

from lab import config as conf
from lab import hello, proxyv2
from lab.backends import (
    AnswersAfterEnd,
    AnswersEarly,
    Backend,
    ClosesFirst,
    DeadBackend,
    DeafBackend,
    Digest,
    Duplex,
    NeverReads,
    ResetsAfter,
    Sink,
    SlowReader,
    Source,
    blocks,
    echo,
    http,
)
from lab.deadline import wait_until, wait_until_still
from lab.pyclient import TlsClient, make_context
from lab.recorder import reset
from lab.terminator import children, is_sanitized, memory_kb, open_files, worker_of

FULL = os.environ.get("REPRISE_FULL") == "1"
BULK_BYTES = (1 << 30) if FULL else (32 << 20)  # each way
WWW = "www.example.com"
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])

# What a worker may grow by for one connection whose peer does not read: what is kept for
# it is bounded by one turn's reading, the rest is the C library's and the TLS library's.
GROWTH_KB = 2048


class Site:
    """A terminator with some backends, and a Python client's context to visit it."""

    def __init__(
        self, terminator, backends, certs, *handlers, profile=None, pool=None, service=None
    ):
        self.backends = [
            backends(handler if hasattr(handler, "address") else Backend(handler))
            for handler in handlers
        ]
        self.certs = certs
        self.terminator = terminator(
            conf.service(
                conf.profile(certs.ecdsa, **{"tickets": True, **(profile or {})}),
                conf.pool(*self.backends, **(pool or {})),
                **(service or {}),
            )
        )
        self.address = self.terminator.address()

    def connect(self, version="1.3", session=None, context=None, **more):
        context = context or self.context(version)
        return TlsClient(context, more.pop("address", self.address), WWW, session, **more)

    def context(self, version="1.3", **more):
        return make_context(self.certs.authority.file, version, self.terminator.key_log, **more)

    def line(self, client):
        return self.terminator.connection(client)

    def wait_idle(self):
        """Waits until no connection is open at any backend."""
        wait_until("the backends are idle", lambda: not any(b.open for b in self.backends))


@pytest.fixture
def site(terminator, backends, certs):
    return lambda *handlers, **more: Site(terminator, backends, certs, *handlers, **more)


# --- bytes ---


@pytest.mark.slow
@VERSIONS
def test_many_bytes_both_ways_at_once(version, site):
    """Every byte, in its place; 1 GB each way with REPRISE_FULL=1."""
    duplex = Duplex(BULK_BYTES, seed=1)
    here = site(duplex)
    received = Digest()
    with here.connect(version) as client:
        client.exchange(blocks(BULK_BYTES, seed=2), received.add)
        assert client.closed_by_peer == "close_notify"
        assert duplex.done.wait(60)
    assert received.result == Digest.of_stream(BULK_BYTES, seed=1)
    assert duplex.received.result == Digest.of_stream(BULK_BYTES, seed=2)
    line = here.line(client)
    assert int(line["bytes-in"]) == int(line["bytes-out"]) == BULK_BYTES
    assert line["close"] == "done"
    print(f"TLS {version}: {BULK_BYTES >> 20} MB each way at once, hashes equal")


@VERSIONS
@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65536, 65537, 1_000_003])
def test_answers_of_awkward_sizes(version, size, site):
    here = site(Source(size))
    with here.connect(version) as client:
        digest = Digest()
        digest.add(client.recv_all())
        assert digest.result == Digest.of_stream(size)
        assert client.closed_by_peer == "close_notify"
        client.close()
    assert int(here.line(client)["bytes-out"]) == size


@VERSIONS
def test_small_pieces_come_through_one_by_one(version, site):
    """Neither waits for more: a byte is echoed before the next one is sent."""
    here = site(echo)
    with here.connect(version) as client:
        for number in range(200):
            piece = b"%d " % number
            client.send(piece)
            assert client.recv_exact(len(piece)) == piece
        client.close()


@VERSIONS
def test_data_in_the_same_segment_as_the_finished(version, site, recorder):
    """A client's first request comes with its last handshake message."""
    here = site(http)
    tape = recorder(here.terminator)
    with here.connect(version, address=tape.address) as client:
        assert client.request().endswith(b"hello from the backend\n")


@VERSIONS
def test_many_connections_at_once(version, site):
    here = site(echo)
    clients = [here.connect(version) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(b"%d\n" % number)
    for number, client in enumerate(clients):
        assert client.recv_exact(len(b"%d\n" % number)) == b"%d\n" % number
        client.close()
    assert len(here.terminator.connections(100, close="done")) == 100
    here.wait_idle()


def test_more_than_max_connections_wait(site):
    """They are served once there is room, and not refused."""
    here = site(echo, service={"workers": 1, "max-connections": 2})
    first, second = here.connect(), here.connect()
    with connect_bare(here.address) as third:
        third.sendall(hello.records(hello.client_hello(server_name=WWW)))
        third.settimeout(0.3)
        with pytest.raises(TimeoutError):
            third.recv(1)
        first.close()
        third.settimeout(30)
        assert third.recv(1) == b"\x16"
    second.close()


# --- ends ---


def test_the_backend_ends_first_and_the_client_goes_on(site):
    """Half-close: close_notify to the client, and the rest of what it sends arrives."""
    handler = ClosesFirst()
    here = site(handler)
    with here.connect("1.3") as client:
        assert client.recv_all() == handler.greeting
        assert client.closed_by_peer == "close_notify"
        sent = b"".join(blocks(300_000, seed=5))
        client.send(sent)
        client.close_notify()
        assert handler.done.wait(30)
    assert handler.received == sent
    line = here.line(client)
    assert line["close"] == "done" and int(line["bytes-in"]) == len(sent)


@VERSIONS
@pytest.mark.parametrize("tcp", [False, True], ids=["close_notify", "and-fin"])
def test_the_client_ends_first_and_the_backend_answers(version, tcp, site):
    """The other way: the backend sees the end and still answers in full."""
    size = 1 << 20
    here = site(AnswersAfterEnd(size))
    with here.connect(version) as client:
        client.send(b"x" * 1000)
        if tcp:
            client.half_close()
        else:
            client.close_notify()
        answer = client.recv_all()
        assert client.closed_by_peer == "close_notify"
    head, rest = answer[:5], answer[5:]
    digest = Digest()
    digest.add(rest)
    assert head == b"1000\n" and digest.result == Digest.of_stream(size)
    assert here.line(client)["close"] == "done"


@VERSIONS
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_client_that_ends_without_close_notify_is_still_answered(version, size, site):
    """Many clients do: only the TCP stream's end. All that came before it arrives."""
    sink = Sink()
    here = site(sink)
    with here.connect(version) as client:
        for block in blocks(size):
            client.send(block)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.recv_all().split()[0] == b"%d" % size
        assert client.closed_by_peer == "close_notify"
    assert sink.digest.result == Digest.of_stream(size)


@VERSIONS
def test_close_notify_comes_before_the_end(version, site, recorder):
    """A client can tell that the answer is whole."""
    here = site(http)
    tape = recorder(here.terminator)
    with here.connect(version, address=tape.address) as client:
        client.request()
        assert client.closed_by_peer == "close_notify"
        client.close()
    seen = tape.wait(1)[0].transcript(here.terminator.key_log.read_text())
    names = [alert.name for alert in seen.server.alerts]
    assert names == (["close_notify"] if version == "1.3" else ["encrypted"])
    assert seen.server.complete


def test_a_client_that_says_nothing_after_the_handshake(site):
    here = site(echo)
    with here.connect() as client:
        client.close()
    line = here.line(client)
    assert line["handshake"] == "new" and line["close"] == "done" and line["bytes-in"] == "0"
    here.wait_idle()


# --- backpressure ---


def still_sending(source):
    return wait_until_still("the backend is held back", lambda: source.sent)


@VERSIONS
def test_a_client_that_stops_reading_holds_the_backend_back(version, site):
    """Bounded memory, and every byte once it reads again."""
    size = 64 << 20
    source = Source(size, wait_for_byte=True)
    here = site(source)
    with here.connect(version, rcvbuf=65536) as client:
        worker = worker_of(here.terminator, client)
        before = memory_kb(worker)
        client.send(b"x")
        wait_until("the backend sends", lambda: source.sent > 0)
        taken = still_sending(source)
        growth = memory_kb(worker) - before
        assert taken < size, "the backend was not held back"
        assert growth < GROWTH_KB or is_sanitized(), f"{growth} kB for {taken} bytes"
        digest = Digest()
        while part := client.recv():
            digest.add(part)
        assert digest.result == Digest.of_stream(size)
        client.close()


@VERSIONS
def test_a_backend_that_stops_reading_holds_the_client_back(version, site):
    size = 48 << 20
    gate = threading.Event()
    sink = Sink(gate)
    here = site(sink)
    with here.connect(version) as client:
        worker = worker_of(here.terminator, client)
        before = memory_kb(worker)
        sent = [0]

        def send():
            for block in blocks(size, seed=4):
                client.send(block)
                sent[0] += len(block)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        wait_until("the client sends", lambda: sent[0] > 0)
        taken = wait_until_still("the client is held back", lambda: sent[0])
        growth = memory_kb(worker) - before
        assert taken < size, "the client was not held back"
        assert growth < GROWTH_KB or is_sanitized(), f"{growth} kB for {taken} bytes"
        gate.set()
        sender.join(60)
        client.close_notify()
        assert client.recv_all().split()[0] == str(size).encode()
    assert sink.digest.result == Digest.of_stream(size, seed=4)


def test_both_stop_reading(site):
    """Neither direction's stop takes the other's memory, nor the rest of the service."""
    handler = NeverReads()
    here = site(handler)
    with here.connect() as client:
        client.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for block in blocks(64 << 20):
                client.send(block)
        with here.connect() as other:
            assert here.terminator.process.poll() is None
            other.reset()
        handler.release.set()
        client.reset()
    assert here.line(client)["handshake"] == "new"
    here.wait_idle()


def test_a_slow_backend_gets_every_byte(site):
    size = 2 << 20
    slow = SlowReader(16384)
    here = site(slow)
    with here.connect() as client:
        for block in blocks(size, seed=6):
            client.send(block)
        client.close_notify()
        assert client.recv_all().split()[0] == str(size).encode()
    assert slow.digest.result == Digest.of_stream(size, seed=6)


def test_a_slow_client_does_not_slow_others(site):
    source = Source(32 << 20)
    here = site(source, service={"workers": 1})
    with here.connect(rcvbuf=4096) as slow:
        slow.recv(1)
        for _ in range(3):
            with here.connect() as quick:
                digest = Digest()
                while part := quick.recv():
                    digest.add(part)
                assert digest.size == 32 << 20
                quick.close()
        slow.reset()
    assert here.line(slow)["close"] == "client-reset"


# --- resets at any moment ---


def connect_bare(address):
    return socket.create_connection(address, timeout=30)


def leave_before_hello(here):
    reset(connect_bare(here.address))


def leave_in_hello(here):
    sock = connect_bare(here.address)
    sock.sendall(hello.records(hello.client_hello(server_name=WWW))[:30])
    reset(sock)


def leave_after_hello(here):
    sock = connect_bare(here.address)
    sock.sendall(hello.records(hello.client_hello(server_name=WWW)))
    sock.recv(1)
    reset(sock)


def leave_after_handshake(here):
    here.connect().reset()


def leave_in_answer(here):
    client = here.connect()
    client.send(b"x")
    client.recv(100)
    client.reset()


def leave_without_close_notify(here):
    client = here.connect()
    client.send(b"x")
    client.recv(100)
    client.sock.close()


def leave_while_sending(here):
    client = here.connect("1.2")
    client.send(b"y" * 300_000)
    client.reset()


LEAVING = {
    leave_before_hello: "client-gone",
    leave_in_hello: "client-gone",
    leave_after_hello: "client-gone",
    leave_after_handshake: None,  # it depends on whether the service has noticed yet
    leave_in_answer: "client-reset",
    leave_without_close_notify: "client-reset",
    leave_while_sending: None,
}


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_clients_that_leave_at_any_moment(leave, site):
    """Nothing is left behind: no connection at the backend, no open file in the worker."""
    times = 20
    here = site(Source(8 << 20, wait_for_byte=True), service={"workers": 1})
    with here.connect() as client:  # the first one opens what is opened once
        worker = worker_of(here.terminator, client)
        client.reset()
    here.terminator.connections(1)
    here.wait_idle()
    files = open_files(worker)
    for _ in range(times):
        leave(here)
    lines = here.terminator.connections(times + 1)[1:]
    assert len(lines) == times
    if LEAVING[leave]:
        assert {line["close"] for line in lines} == {LEAVING[leave]}
    here.wait_idle()
    wait_until("the worker's files are closed", lambda: open_files(worker) == files)
    with here.connect() as client:
        client.send(b"x")
        assert len(client.recv_exact(1000)) == 1000


@VERSIONS
@pytest.mark.parametrize(
    "count, answer",
    [(0, b""), (1, b""), (1, b"half of an answer"), (1, b"z" * 200_000)],
    ids=["at-once", "after-request", "in-answer", "in-long-answer"],
)
def test_backends_that_reset_at_any_moment(version, count, answer, site):
    """The client is not told that all is well: no close_notify after a broken answer."""
    here = site(ResetsAfter(count, answer))
    for _ in range(5):
        with here.connect(version) as client:
            try:
                client.send(b"x")
                received = client.recv_all()
            except OSError:
                received = b""
            assert answer.startswith(received)
        close = here.line(client)["close"]
        if not count and close == "backend-unreachable":
            continue  # the reset came while the connection was being made
        assert client.closed_by_peer != "close_notify"
        assert close == "backend-reset"
    here.wait_idle()


def test_a_client_reset_reaches_the_backend_as_one(site):
    """A backend must not take half a request for a whole one."""
    seen = []

    def handler(peer):
        try:
            seen.append(peer.recv_all())
        except ConnectionResetError:
            seen.append("reset")

    here = site(handler)
    with here.connect() as client:
        client.send(b"half of a request")
        wait_until("the backend has it", lambda: here.backends[0].accepted == 1)
        client.reset()
    wait_until("the backend sees the end", lambda: seen)
    assert seen == ["reset"]


# --- backends that are not there ---


def test_a_dead_backend_is_passed_over(site, backends):
    """Every connection is served; the dead one costs retries only."""
    here = site(DeadBackend(), http, DeadBackend(), pool={"connect_retries": 2})
    alive = here.backends[1]
    for _ in range(12):
        with here.connect() as client:
            assert client.request().endswith(b"hello from the backend\n")
            client.close()
        assert here.line(client)["backend"] == alive.address


@VERSIONS
def test_a_hasty_request_goes_to_the_member_that_lives_and_once(version, site):
    """It comes with the end of the handshake, so that it is sent while connecting."""
    here = site(DeadBackend(), echo, DeadBackend(), pool={"connect_retries": 2})
    context = here.context(version)
    with here.connect(context=context) as client:
        client.send(b"first")
        assert client.recv_exact(5) == b"first"
        session = client.session
        client.close()
    for size in (1, 1000, 16384):
        data = os.urandom(size)
        with here.connect(session=session, context=context, first=data) as client:
            assert client.reused
            client.half_close()
            assert client.recv_all() == data
        assert here.line(client)["bytes-in"] == str(size)


@VERSIONS
def test_what_comes_while_a_member_is_given_up_is_passed_on(version, site):
    """The next one is connected at once: no event tells again of what the client has sent."""
    here = site(DeafBackend(), AnswersAfterEnd(1000), pool={"connect_timeout": "200ms"})
    context, session = here.context(version), None
    for _ in range(6):
        with here.connect(session=session, context=context, first=b"a" * 1000) as client:
            client.send(b"b" * 500)
            client.half_close()
            assert client.recv_exact(5) == b"1500\n"
            assert len(client.recv_all()) >= 1000
            session = client.session


@VERSIONS
def test_an_answer_that_comes_early_is_not_lost(version, site):
    """The backend answers amid the request and closes: the reset follows the answer."""
    here = site(AnswersEarly(1000, b"no\n" * 40))
    for _ in range(10):
        received = b""
        with here.connect(version) as client:
            client.sock.setblocking(False)
            try:
                while True:
                    client.send(b"x" * 65536)
            except OSError:  # it takes no more, or is reset
                pass
            client.sock.settimeout(10)
            try:
                while part := client.recv():
                    received += part
            except OSError:
                pass
        assert received == b"no\n" * 40


def test_tickets_come_though_nobody_speaks(site):
    """They wait for the backend's first bytes, but not for ever."""
    here = site(Sink())
    context = here.context()
    with here.connect(context=context) as client:
        client.take_ticket()
        session = client.session
        client.close()
    with here.connect(session=session, context=context) as client:
        assert client.reused
        client.close()


@VERSIONS
def test_when_all_are_dead_the_connection_is_ended_in_order(version, site):
    here = site(DeadBackend(), DeadBackend())
    with here.connect(version) as client:
        assert client.recv_all() == b""
        assert client.closed_by_peer == "close_notify"
    line = here.line(client)
    assert line["handshake"] == "new" and line["close"] == "backend-unreachable"
    assert line["error"] and "backend" not in line


def test_when_all_are_dead_what_the_client_sent_changes_nothing(site):
    here = site(DeadBackend(), pool={"connect_retries": 0})
    for _ in range(10):
        with here.connect() as client:
            try:
                client.send(b"x" * 100_000)
                client.recv_all()
            except OSError:
                pass
        assert here.line(client)["close"] == "backend-unreachable"


def test_a_backend_that_does_not_accept_is_passed_over(site):
    """connect-timeout, then another member."""
    here = site(DeafBackend(), http, pool={"connect_timeout": "200ms"})
    for _ in range(4):
        with here.connect() as client:
            assert client.request().endswith(b"hello from the backend\n")
            client.close()


def test_when_none_accepts_it_ends_after_the_timeouts(site):
    here = site(DeafBackend(), pool={"connect_timeout": "100ms", "connect_retries": 1})
    with here.connect() as client:
        assert client.recv_all() == b""
    assert here.line(client)["close"] == "backend-unreachable"


def test_round_robin_serves_all_members(site):
    here = site(http, http, http, service={"workers": 1})
    for _ in range(9):
        with here.connect() as client:
            client.request()
            client.close()
    assert [backend.accepted for backend in here.backends] == [3, 3, 3]


def test_least_connections_prefers_the_idle_member(site):
    here = site(echo, echo, pool={"balance": "least-connections"})
    held = [here.connect() for _ in range(6)]
    for client in held:
        client.send(b"x")
        client.recv_exact(1)
    assert [backend.accepted for backend in here.backends] == [3, 3]
    for client in held:
        client.close()
    here.terminator.connections(6, close="done")


def test_health_checks_take_members_out_and_back(site, backends):
    here = site(
        http,
        DeadBackend(),
        pool={"health_check": "tcp", "health_interval": "20ms", "health_fall": 2},
    )
    dead = here.backends[1]
    here.terminator.wait_event("member-down", member=dead.address)
    for _ in range(6):
        with here.connect() as client:
            client.request()
            client.close()
        assert here.line(client)["backend"] == here.backends[0].address
    # The port comes alive.
    dead.sock.listen(16)
    here.terminator.wait_event("member-up", member=dead.address)


# --- the PROXY protocol ---


@pytest.fixture
def proxy_site(terminator, backends, certs):
    def make(**profile):
        backend = Backend(http, proxy=True)
        return Site(
            terminator,
            backends,
            certs,
            backend,
            profile=profile,
            pool={"proxy_protocol": "v2"},
            service={"listen": ["127.0.0.1:0", "[::1]:0"] if has_ipv6() else "127.0.0.1:0"},
        )

    return make


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@VERSIONS
@pytest.mark.parametrize("box", ["cache", "tickets"])
def test_the_backend_is_told_who_and_how(version, box, proxy_site):
    here = proxy_site(cache=box == "cache", tickets=box == "tickets", alpn=["http/1.1"])
    context = here.context(version, alpn=["http/1.1"])
    session = None
    by = {
        ("1.2", "cache"): "session-id",
        ("1.2", "tickets"): "ticket",
        ("1.3", "cache"): "psk-stateful",
        ("1.3", "tickets"): "psk",
    }[version, box]
    for resumed in (False, True):
        with here.connect(context=context, session=session) as client:
            assert client.request().endswith(b"hello from the backend\n")
            session = client.session
            cipher = client.tls.cipher()[0]
            client.close()
        line = here.line(client)
        header = here.backends[0].headers[-1]
        assert not header.local
        assert "%s:%d" % header.client == client.name
        assert header.server == here.address
        assert header.text(proxyv2.ALPN) == "http/1.1"
        assert header.text(proxyv2.AUTHORITY) == WWW
        assert header.ssl_client == proxyv2.CLIENT_SSL
        assert header.ssl_verify == 0
        assert header.ssl_text(proxyv2.SSL_VERSION) == "TLSv" + version
        assert header.ssl_text(proxyv2.SSL_CIPHER) == cipher
        assert header.ssl_text(proxyv2.SSL_CN) is None
        assert header.ssl_text(proxyv2.SSL_KEY_ALG) == "EC256"
        assert header.ssl_text(proxyv2.SSL_SIG_ALG) == "SHA256"
        assert header.text(proxyv2.HANDSHAKE) == ("resumed" if resumed else "new")
        assert header.text(proxyv2.RESUMED_BY) == (by if resumed else None)
        assert header.text(proxyv2.REASON) == (None if resumed else "not-offered")
        assert header.text(proxyv2.PROFILE) == "web"
        assert header.text(proxyv2.SESSION_ID) == line.get("session-id")
        assert header.text(proxyv2.TICKET_KEY) == line.get("ticket-key")
        assert (header.text(proxyv2.TICKET_KEY) is not None) == (box == "tickets")


@VERSIONS
def test_the_backend_is_told_of_the_client_certificate(version, proxy_site, certs):
    """The bits tell "over this connection" from "over the session" (R12)."""
    here = proxy_site(client_certificate="request", client_ca=certs.client_ca.file)
    context = here.context(version, cert=certs.alice)
    session = None
    for resumed in (False, True):
        with here.connect(context=context, session=session) as client:
            client.request()
            session = client.session
            assert client.reused == resumed
            client.close()
        header = here.backends[0].headers[-1]
        shown = 0 if resumed else proxyv2.CLIENT_CERT_CONN
        assert header.ssl_client == proxyv2.CLIENT_SSL | proxyv2.CLIENT_CERT_SESS | shown
        assert header.ssl_verify == 0
        assert header.ssl_text(proxyv2.SSL_CN) == "alice"
    with here.connect(version) as client:
        client.request()
    header = here.backends[0].headers[-1]
    assert header.ssl_client == proxyv2.CLIENT_SSL and header.ssl_text(proxyv2.SSL_CN) is None


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_clients(proxy_site):
    here = proxy_site()
    address = here.terminator.address(index=1)
    with here.connect(address=address) as client:
        client.request()
        port = client.sock.getsockname()[1]
        client.close()
    header = here.backends[0].headers[-1]
    assert header.client == ("::1", port) and header.server == address
    line = here.terminator.connection(f"[::1]:{port}")
    assert line["local"] == f"[::1]:{address[1]}"


@pytest.mark.parametrize("listen, host", [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "::1")])
def test_a_service_on_any_address_tells_the_real_one(listen, host, terminator, backends, certs):
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")
    here = Site(
        terminator,
        backends,
        certs,
        Backend(http, proxy=True),
        pool={"proxy_protocol": "v2"},
        service={"listen": listen},
    )
    address = (host, here.address[1])
    with here.connect(address=address) as client:
        client.request()
        client.close()
    line = here.terminator.wait_event("connection")
    assert line["local"] == (f"[{host}]:%d" if ":" in host else f"{host}:%d") % address[1]
    assert here.backends[0].headers[0].server == address


def test_the_header_goes_before_a_hasty_client_and_once(proxy_site):
    """A request that came before the backend was connected stays behind the header."""
    here = proxy_site()
    for _ in range(20):
        with here.connect("1.2") as client:
            assert b"200 OK" in client.request()
            client.close()
    assert len(here.backends[0].headers) == 20


def test_the_demonstration_backend_tells_what_the_proxy_knows(terminator, certs):
    service = terminator(conf.service(conf.profile(certs.ecdsa), conf.demonstration()))
    context = make_context(certs.authority.file, "1.2", service.key_log)
    session, answers = None, []
    for _ in range(2):
        with TlsClient(context, service.address(), WWW, session) as client:
            answers.append(client.request().decode())
            session = client.session
            client.close()
    assert "200 OK" in answers[0] and "new" in answers[0]
    assert "resumed" in answers[1] and "session-id" in answers[1]
    line = service.connections(2)[1]
    assert line["session-id"] in answers[1] and line["cipher"] in answers[1]


# --- time-outs ---


@VERSIONS
def test_an_idle_connection_is_ended(version, site):
    here = site(echo, profile={"idle_timeout": "200ms"})
    with here.connect(version) as client:
        client.send(b"x")
        assert client.recv_exact(1) == b"x"
        assert client.recv_all() == b""
        assert client.closed_by_peer == "close_notify"
    line = here.line(client)
    assert line["close"] == "idle-timeout"
    assert float(line["duration-ms"]) >= 200
    here.wait_idle()


def test_a_busy_connection_is_not_idle(site):
    """Bytes in one direction only keep it open, past the idle time in all."""
    here = site(Sink(), profile={"idle_timeout": "400ms"})
    with here.connect() as client:
        for _ in range(40):
            client.send(b"x")
            # Not a synchroniser: the pace of a client that is slow, but not idle.
            threading.Event().wait(0.025)
        client.close_notify()
        assert client.recv_all().startswith(b"40 ")
    assert float(here.line(client)["duration-ms"]) > 800


def test_a_silent_client_is_ended(site):
    here = site(http, profile={"handshake_timeout": "200ms"})
    with connect_bare(here.address) as sock:
        try:
            assert sock.recv(100) == b""
        except ConnectionResetError:
            pass
    line = here.terminator.wait_event("connection")
    assert line["handshake"] == "failed" and line["close"] == "handshake-timeout"
    assert 200 <= float(line["duration-ms"]) < 10_000
    assert here.backends[0].accepted == 0


def test_a_silent_client_after_its_hello_is_ended(site):
    here = site(http, profile={"handshake_timeout": "200ms"})
    with connect_bare(here.address) as sock:
        sock.sendall(hello.records(hello.client_hello(server_name=WWW)))
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert here.terminator.wait_event("connection")["close"] == "handshake-timeout"


def test_a_dribbling_client_is_ended(site):
    """A byte now and then does not put the end off."""
    here = site(http, profile={"handshake_timeout": "300ms"})
    message = hello.records(hello.client_hello(server_name=WWW, session_id=b"\1" * 32))
    with connect_bare(here.address) as sock:
        sock.settimeout(0.02)  # the pace of the dribble
        sent = 0
        with pytest.raises((OSError, EOFError)):
            for at in range(len(message) - 1):
                try:
                    sock.sendall(message[at : at + 1])
                    sent += 1
                    if sock.recv(1) == b"":
                        raise EOFError
                except TimeoutError:
                    pass
        assert sent < len(message) - 1
    line = here.terminator.wait_event("connection")
    assert line["close"] == "handshake-timeout"
    assert 300 <= float(line["duration-ms"]) < 10_000


# --- certificates that do not fit ---


def test_a_client_that_does_not_trust_us_is_logged(site, tmp_path):
    """The alert that a client sends tells why."""
    here = site(http)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(context, here.address, WWW)
    line = here.terminator.wait_event("connection", handshake="failed")
    assert line["close"] in ("handshake-failed", "client-gone")


def test_nothing_outlives_the_service(site):
    here = site(http)
    pids = children(here.terminator.pid)
    assert pids
    here.terminator.stop()
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(
    "suite, key",
    [("ECDHE-RSA-AES128-GCM-SHA256", "RSA2048"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "EC256")],
)
def test_of_several_certificates_the_one_used_is_told(suite, key, certs, backends, terminator):
    """In TLS 1.2 the cipher tells which; TLS 1.3 does not, and then nothing is claimed."""
    backend = backends(Backend(http, proxy=True))
    profile = conf.profile(certs.ecdsa, certs.rsa)
    service = terminator(conf.service(profile, conf.pool(backend, proxy_protocol="v2")))
    for version, expected in (("1.2", key), ("1.3", None)):
        context = make_context(certs.authority.file, version)
        if version == "1.2":
            context.set_ciphers(suite)
        with TlsClient(context, service.address(), WWW) as client:
            client.request()
            client.close()
        assert backend.headers[-1].ssl_text(proxyv2.SSL_KEY_ALG) == expected
