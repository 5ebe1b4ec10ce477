"""The laboratory itself: its judge, its recorder and its clients tell the truth of servers
that are not the one under test."""

import socket
import subprocess
import threading

import pytest

from lab import hello
from lab.backends import Backend, DeadBackend, Digest, Duplex, blocks, echo, http
from lab.clients import CLIENTS, WITH_TICKETS, WITHOUT_TICKETS, gnutls
from lab.deadline import wait_until
from lab.loglines import LogError, parse_line
from lab.pyclient import TlsClient, make_context
from lab.tlswire import Transcript, WireError

FULL_12 = ["ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone"]


@pytest.fixture
def s_server(certs, tmp_path):
    """Starts `openssl s_server -www` on a free port with these options; its address."""
    running = []

    def start(*more):
        pair = certs.ecdsa
        process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", pair.chain_file]
            + ["-key", pair.key_file, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        for line in process.stdout:
            if line.startswith(b"ACCEPT"):
                host, port = line.split()[1].decode().rsplit(":", 1)
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return host, int(port)
        raise AssertionError("s_server did not start")

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "client, version", [(c, "1.2") for c in WITH_TICKETS] + [(c, "1.3") for c in CLIENTS]
)
def test_a_client_resumes_from_a_ticket(client, version, s_server, recorder, target):
    tape = recorder(s_server())
    where = target(tape)
    visits = CLIENTS[client](where, version)
    assert [visit.reused for visit in visits] == [False, True]
    first, second = [r.transcript(where.key_log.read_text()) for r in tape.wait(2)[:2]]
    if version == "1.2":
        assert first.server.names[:4] == FULL_12
        assert first.server.names[4:7] == ["NewSessionTicket", "ChangeCipherSpec", "Finished"]
        assert first.hello.ticket == b"" and first.answer.ticket == b""
        assert not first.abbreviated
        assert second.hello.ticket == first.tickets[0].ticket
        assert second.answer.session_id == second.hello.session_id != b""
        assert second.abbreviated
    else:
        assert first.decrypted and second.decrypted
        assert first.server.names[:5] == [
            "ServerHello",
            "EncryptedExtensions",
            "Certificate",
            "CertificateVerify",
            "Finished",
        ]
        assert len(first.tickets) == 2
        assert first.hello.psk_identities == [] and first.answer.psk_selected is None
        assert second.hello.psk_identities[0] in [t.ticket for t in first.tickets]
        assert second.answer.psk_selected == 0
        assert second.server.names[:3] == ["ServerHello", "EncryptedExtensions", "Finished"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_resumes_by_session_id(client, s_server, recorder, target):
    tape = recorder(s_server("-no_ticket"))
    where = target(tape)
    visits = CLIENTS[client](where, "1.2")
    assert [visit.reused for visit in visits] == [False, True]
    first, second = [r.transcript() for r in tape.wait(2)[:2]]
    assert first.answer.ticket is None and first.tickets == []
    assert len(first.answer.session_id) == 32
    assert second.hello.session_id == first.answer.session_id == second.answer.session_id
    assert second.abbreviated


@pytest.mark.parametrize("client", WITHOUT_TICKETS)
def test_a_client_can_be_told_not_to_offer_tickets(client, s_server, recorder, target):
    tape = recorder(s_server())
    visits = CLIENTS[client](target(tape), "1.2", tickets=False)
    assert [visit.reused for visit in visits] == [False, True]
    assert [r.transcript().hello.ticket for r in tape.wait(2)[:2]] == [None, None]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_gets_nothing_offers_nothing(client, version, s_server, recorder, target):
    options = ["-no_ticket", "-no_cache"] + (["-num_tickets", "0"] if version == "1.3" else [])
    tape = recorder(s_server(*options))
    where = target(tape)
    more = {"wait": False} if client == "gnutls" else {}
    visits = CLIENTS[client](where, version, **more)
    assert [visit.reused for visit in visits] == [False, False]
    for transcript in [r.transcript(where.key_log.read_text()) for r in tape.wait(2)[:2]]:
        assert transcript.tickets == []
        assert transcript.hello.psk_identities == []
        assert version == "1.3" or transcript.answer.session_id == b""


def test_gnutls_serv_is_read_as_well(certs, recorder, target):
    process = None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    args = ["gnutls-serv", "--echo", "--port", str(port), "--x509certfile"]
    args += [certs.ecdsa.chain_file, "--x509keyfile", certs.ecdsa.key_file]
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        wait_until("gnutls-serv listens", lambda: _connects(("127.0.0.1", port)))
        tape = recorder(("127.0.0.1", port))
        where = target(tape)
        visits = gnutls(where, "1.3")
        assert [visit.reused for visit in visits] == [False, True]
        second = tape.wait(2)[1].transcript(where.key_log.read_text())
        assert second.answer.psk_selected == 0 and second.decrypted
    finally:
        process.kill()
        process.wait()


def _connects(address):
    try:
        socket.create_connection(address).close()
    except OSError:
        return False
    return True


def test_a_fragmented_client_hello_shakes_hands(s_server, recorder, target, certs):
    tape = recorder(s_server(), fragment_bytes=40, chunk_bytes=7)
    with TlsClient(make_context(certs.authority.file), tape.address) as client:
        assert b"200" in client.request()
    recorded = tape.wait(1)[0]
    assert len(recorded.client) > 0 and recorded.transcript().hello.server_name == "www.example.com"


def test_a_hand_made_hello_is_answered_with_an_abbreviated_handshake(s_server, recorder, certs):
    address = s_server("-tls1_2")
    tape = recorder(address)
    context = make_context(certs.authority.file, "1.2")
    with TlsClient(context, tape.address) as client:
        client.request()
    ticket = tape.wait(1)[0].transcript().tickets[0].ticket
    message = hello.client_hello(b"\x55" * 32, ticket, "www.example.com")
    seen = hello.exchange(address, hello.records(message, fragment_bytes=50))
    assert seen.answer.session_id == b"\x55" * 32
    assert seen.server.names[0] == "ServerHello" and "Certificate" not in seen.server.names
    message = hello.client_hello(b"\x55" * 33, ticket, "www.example.com")
    assert hello.exchange(address, hello.records(message)).server.alerts[0].name == "decode_error"


def test_the_judge_refuses_what_is_not_tls():
    for broken in (b"\x16\3\1\0\5\1\0\0\1\0", b"\x16\3\1\0\4\2\0\0\0"):
        with pytest.raises(WireError):
            Transcript(broken, b"")


def test_streams_differ_by_a_single_block():
    whole = b"".join(blocks(200_000, seed=3))
    assert len(whole) == 200_000
    moved = whole[65536:131072] + whole[:65536] + whole[131072:]
    digest = Digest()
    digest.add(moved)
    assert digest.result != Digest.of_stream(200_000, seed=3)
    digest = Digest()
    digest.add(whole)
    assert digest.result == Digest.of_stream(200_000, seed=3)


def test_backends_answer(backends):
    duplex = Duplex(100_000)
    for handler, sent, expected in (
        (echo, b"abc", b"abc"),
        (http, b"GET / HTTP/1.0\r\n\r\n", b"hello from the backend\n"),
        (duplex, b"xyz", b""),
    ):
        backend = backends(Backend(handler))
        host, port = backend.address.split(":")
        with socket.create_connection((host, int(port))) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            received = b""
            while part := sock.recv(65536):
                received += part
        assert received.endswith(expected)
    assert len(received) == 100_000
    assert duplex.done.wait(30) and duplex.received.size == 3


def test_a_dead_backend_refuses(backends):
    host, port = backends(DeadBackend()).address.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


@pytest.mark.parametrize(
    "line, fields",
    [
        ("a=1 b=x-y", {"a": "1", "b": "x-y"}),
        ('a="x \\"y\\" \\u0001=" b=2', {"a": 'x "y" \1=', "b": "2"}),
        ('{"a":"x","b":7,"c":1.250}', {"a": "x", "b": "7", "c": "1.25"}),
    ],
)
def test_log_lines_are_read(line, fields):
    assert parse_line(line) == fields


@pytest.mark.parametrize("line", ["word", "a=1 a=2", 'a="x', "a=1  b=2", '{"a":', "=1"])
def test_what_is_no_log_line_is_refused(line):
    with pytest.raises(LogError):
        parse_line(line)
