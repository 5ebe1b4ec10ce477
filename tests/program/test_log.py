"""The log: one line a connection, the same in both forms, limited in rate, without secrets."""

import base64
import json
import re
import subprocess

import pytest

from lab import config as conf
from lab import hello
from lab.backends import Backend, http
from lab.clients import execute, s_client
from lab.deadline import wait_until
from lab.loglines import parse_line
from lab.pyclient import TlsClient, make_context
from lab.terminator import binary
from lab.tlswire import parse_key_log

WWW = "www.example.com"

# What every line has, and what every line of a finished handshake has.
ALWAYS = {
    "time", "event", "client", "local", "virtual-server", "handshake", "bytes-in", "bytes-out",
    "duration-ms", "close",
}  # fmt: skip
AFTER_HANDSHAKE = ALWAYS | {
    "profile", "sni", "protocol", "cipher", "group", "offered", "issued", "backend",
    "handshake-ms", "connect-ms",
}  # fmt: skip


@pytest.fixture
def serve(terminator, backends, certs):
    def start(service=None, **profile):
        backend = backends(Backend(http))
        profile = conf.profile(certs.ecdsa, **profile)
        return terminator(conf.service(profile, conf.pool(backend), **(service or {})))

    return start


def visit(service, certs, version="1.3", session=None, context=None):
    context = context or make_context(certs.authority.file, version, service.key_log)
    with TlsClient(context, service.address(), WWW, session) as client:
        client.request()
        session = client.session
        client.close()
    return client, session, context


def play(service, certs):
    """One of each: new, resumed, refused in the hello, not TLS. Their lines."""
    _, session, context = visit(service, certs)
    service.connections(1)
    visit(service, certs, session=session, context=context)
    service.connections(2)
    hello.exchange(service.address(), hello.records(hello.client_hello(b"\1" * 32, b"\2" * 50)))
    service.connections(3)
    hello.exchange(service.address(), b"GET / HTTP/1.0\r\n\r\n")
    return service.connections(4)


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_the_fields_of_a_line(format, serve, certs):
    service = serve({"log": {"format": format}}, tickets=True, alpn=["http/1.1"])
    context = make_context(certs.authority.file, "1.3", service.key_log, alpn=["http/1.1"])
    client, _, _ = visit(service, certs, context=context)
    line = service.connection(client)
    assert AFTER_HANDSHAKE | {"alpn", "reason", "ticket-key"} <= set(line)
    assert line["client"] == client.name and line["local"] == "%s:%d" % service.address()
    assert line["virtual-server"] == "https" and line["profile"] == "web"
    assert line["sni"] == WWW and line["alpn"] == "http/1.1"
    assert line["protocol"] == "TLSv1.3" and line["cipher"].startswith("TLS_")
    assert line["group"] == "X25519"
    assert line["bytes-in"] == str(len(b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n"))
    assert int(line["bytes-out"]) > 23
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert re.fullmatch(r"[0-9a-f]{32}", line["ticket-key"])
    for key in ("handshake-ms", "connect-ms", "duration-ms"):
        assert float(line[key]) >= 0
    assert float(line["duration-ms"]) >= float(line["handshake-ms"])


def test_both_forms_have_the_same_keys(serve, certs):
    logfmt = play(serve({"log": {"format": "logfmt"}}, tickets=True), certs)
    others = play(serve({"log": {"format": "json"}}, tickets=True), certs)
    for one, other in zip(logfmt, others):
        assert list(one) == list(other)
        assert one["handshake"] == other["handshake"]
    assert {"failed", "new", "resumed"} == {line["handshake"] for line in logfmt}
    assert all(ALWAYS <= set(line) for line in logfmt)


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_every_line_is_of_the_form(format, serve, certs):
    """Service events too, from the first line to the last."""
    service = serve({"log": {"format": format}})
    play(service, certs)
    service.stop()
    lines = service.text().splitlines()
    assert len(lines) >= 6
    for line in lines:
        assert line.startswith("{") == (format == "json"), line
        assert {"time", "event"} <= set(parse_line(line))


def test_json_numbers_are_numbers(serve, certs):
    service = serve({"log": {"format": "json"}})
    visit(service, certs)
    service.connections(1)
    raw = next(
        json.loads(line) for line in service.text().splitlines() if '"event":"connection"' in line
    )
    for key in ("bytes-in", "bytes-out", "duration-ms", "handshake-ms"):
        assert isinstance(raw[key], (int, float)), key


@pytest.mark.parametrize("format", ["logfmt", "json"])
@pytest.mark.parametrize(
    "name",
    ['a"b', "a\\b", "a b=c", "a\nevent=connection", "\x1b[31mred", "\x7f", "é", "=", "a" * 255],
)
def test_what_clients_send_does_not_forge_lines(format, name, serve):
    """A server name with quotes, newlines and control characters."""
    service = serve({"log": {"format": format}})
    message = hello.client_hello(server_name=name)
    hello.exchange(service.address(), hello.records(message))
    service.wait_event("connection")
    service.stop()
    assert len(service.find("connection")) == 1
    assert not service.find("unreadable")
    raw = service.log_file.read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)


def test_the_log_goes_to_a_file(terminator, backends, certs, tmp_path):
    """All lines of the service, connections and events, go where log: file: says; and a
    reload opens the file anew, so that it can be moved away."""
    path = tmp_path / "service.log"
    backend = backends(Backend(http))
    service = terminator(
        conf.service(conf.profile(certs.ecdsa), conf.pool(backend), log={"file": str(path)}),
        wait=False,
    )
    path.touch()
    service.read_log(path)
    service.wait_event("ready")
    visit(service, certs)
    service.connections(1)
    moved = tmp_path / "service.log.1"
    path.rename(moved)
    service.ctl("reload")
    service.read_log(path)
    visit(service, certs)
    wait_until("the new file", lambda: path.exists() and "event=connection" in path.read_text())
    assert moved.read_text().count("event=connection") == 1


def test_the_rate_is_limited_and_drops_are_counted(serve, certs):
    """Every connection is either a line or a count in a log-dropped line."""
    service = serve({"workers": 1, "log": {"rate": 5}})
    address = service.address()
    done = 0

    def burst(count):
        nonlocal done
        for _ in range(count):
            hello.exchange(address, b"no TLS\r\n")
            done += 1

    burst(40)

    def accounted():
        lines = len(service.find("connection"))
        dropped = sum(int(line["lines"]) for line in service.find("log-dropped"))
        if lines + dropped == done and dropped > 0:
            return True
        assert lines + dropped <= done
        burst(1)
        return False

    wait_until("all connections are accounted for", accounted, pause_s=0.25)
    assert len(service.find("connection")) < done
    assert service.find("log-dropped")[0]["level"] == "warning"


def test_without_a_rate_nothing_is_dropped(serve):
    service = serve({"log": {"rate": 0}})
    for _ in range(300):
        hello.exchange(service.address(), b"no TLS\r\n")
    assert len(service.connections(300)) == 300
    assert not service.find("log-dropped")


def test_a_log_that_nobody_reads_stops_nothing(terminator, backends, certs):
    """Standard error is a full pipe: connections are served, lines are dropped whole."""
    backend = backends(Backend(http))
    config = conf.service(conf.profile(certs.ecdsa), conf.pool(backend), log={"rate": 0})
    service = terminator(config)
    service.stop()
    with subprocess.Popen([binary(), "run", "-c", service.file], stderr=subprocess.PIPE) as process:
        try:
            lines = []
            while not lines or lines[-1]["event"] != "ready":
                lines.append(parse_line(process.stderr.readline().decode().rstrip()))
            host, port = lines[0]["address"].split(":")
            for _ in range(1000):
                hello.exchange((host, int(port)), b"no TLS\r\n")
            context = make_context(certs.authority.file, "1.3", service.key_log)
            with TlsClient(context, (host, int(port)), WWW) as client:
                assert client.request().endswith(b"hello from the backend\n")
            assert service.ctl("status").returncode == 0
            assert service.reload().returncode == 0
        finally:
            process.terminate()
            rest = process.stderr.read().decode()
    assert process.returncode == 0
    lines = [parse_line(line) for line in rest.splitlines()]
    assert 0 < len([line for line in lines if line["event"] == "connection"]) < 1000


# --- secrets ---


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])
@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_no_secrets(version, tickets, format, serve, recorder, target):
    """Neither master secrets nor tickets, however they may be written."""
    service = serve({"log": {"format": format}}, tickets=tickets)
    tape = recorder(service)
    where = target(tape, service)
    session = where.folder / "session"
    s_client(where, version, sess_out=session)
    s_client(where, version, sess_in=session)
    text = execute(["openssl", "sess_id", "-in", session, "-noout", "-text"])
    master = bytes.fromhex(re.search(r"(?:Master-Key|Resumption PSK): ([0-9A-F]+)", text).group(1))
    secrets = [master]
    for recorded in tape.wait(2):
        seen = recorded.transcript(where.key_log.read_text())
        secrets += [ticket.ticket for ticket in seen.tickets]
    known = parse_key_log(where.key_log.read_text())
    assert len(known) == 2
    secrets += [secret for labels in known.values() for secret in labels.values()]
    service.connections(2)
    service.stop()
    raw = service.log_file.read_bytes()
    for secret in secrets:
        assert len(secret) >= 32
        assert secret not in raw
        assert secret.hex() not in raw.decode().lower()
        assert base64.b64encode(secret).rstrip(b"=")[:-1] not in raw
        assert secret[8:24].hex() not in raw.decode().lower()


def test_no_key_log_without_the_directive(serve, certs, tmp_path, monkeypatch):
    """The environment alone does not open it."""
    path = tmp_path / "from-environment"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    service = serve()
    monkeypatch.delenv("SSLKEYLOGFILE")
    visit(service, certs)
    service.connections(1)
    assert not path.exists()
    assert not service.find("key-log")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_key_log_directive(version, serve, certs, tmp_path):
    """It warns, and writes what the clients know themselves, readable by the owner alone."""
    path = tmp_path / "keys"
    service = serve({"key-log": str(path)}, tickets=True)
    assert service.wait_event("key-log")["level"] == "warning"
    _, session, context = visit(service, certs, version)
    visit(service, certs, version, session, context)
    service.connections(2)
    ours, theirs = parse_key_log(path.read_text()), parse_key_log(service.key_log.read_text())
    assert len(theirs) == 2 and set(ours) == set(theirs)
    for random, labels in theirs.items():
        assert labels.items() <= ours[random].items()
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]+", line)
    assert path.stat().st_mode & 0o777 == 0o600
