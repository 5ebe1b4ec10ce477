"""What may not be resumed leads to a full handshake, and the log says why."""

import copy
import socket

import pytest

from lab import config as conf
from lab import hello
from lab.backends import Backend, http
from lab.clients import change_ticket, execute, s_client, s_client_reused
from lab.deadline import wait_until
from lab.pyclient import TlsClient, make_context
from lab.tlswire import TLS12, Transcript

WWW = "www.example.com"


@pytest.fixture
def serve(terminator, backends, certs):
    """Starts a terminator with an HTTP backend: `serve(profile, ...)`, or with the tick
    boxes alone: `serve(cache=.., tickets=..)`."""
    backend = backends(Backend(http))

    def start(*profiles, service=None, **more):
        profiles = profiles or [conf.profile(certs.ecdsa, **more)]
        return terminator(conf.service(list(profiles), conf.pool(backend), **(service or {})))

    return start


class Guest:
    """An openssl s_client that keeps its session in a file from visit to visit."""

    def __init__(self, recorder, target, terminator, version, name=WWW):
        self.version = version
        self.terminator = terminator
        self.tape = recorder(terminator)
        self.target = target(self.tape, terminator, name)
        self.session = self.target.folder / f"session-{id(self)}"
        self.count = 0

    def move_to(self, recorder, terminator):
        """Goes on with another terminator."""
        self.terminator = terminator
        self.tape = recorder(terminator)
        self.target.address = self.tape.address
        self.target.key_log = terminator.key_log
        self.count = 0

    def visit(self, *more, name=None, offer=None, ok=(0,)):
        """Connects, offering the session it has (or not); returns whether it was resumed
        by the client's account, the transcript and the log line."""
        offer = self.session.exists() if offer is None else offer
        output = s_client(
            self.target,
            self.version,
            *more,
            sess_in=self.session if offer else None,
            sess_out=self.session,
            name=name,
            ok=ok,
        )
        recorded = self.tape.wait(self.count + 1)[self.count]
        self.count += 1
        seen = recorded.transcript(self.target.key_log.read_text())
        return s_client_reused(output), seen, self.terminator.connection(recorded)


@pytest.fixture
def guest(recorder, target):
    return lambda terminator, version, **more: Guest(recorder, target, terminator, version, **more)


def damage_ticket(session_file, at):
    """Turns a bit of the ticket within a session file of OpenSSL."""

    def turn(ticket):
        broken = bytearray(ticket)
        broken[at] ^= 1
        return bytes(broken)

    return change_ticket(session_file, turn)


def assert_full(seen, version, issued):
    """A full handshake without any alert of the terminator (R15), issuing what it should."""
    errors = [a.name for a in seen.server.alerts if a.name not in ("close_notify", "encrypted")]
    assert errors == []
    assert "Certificate" in seen.server.names
    if version == "1.3":
        assert seen.answer.psk_selected is None
        lengths = {len(t.ticket) for t in seen.tickets}
        if issued == "psk-stateful":
            assert lengths == {32}
        elif issued == "psk":
            assert min(lengths) > 100
        else:
            assert lengths == set()
        return
    assert not seen.abbreviated
    assert len(seen.answer.session_id) == (32 if issued == "session-id" else 0)
    assert (seen.answer.ticket == b"") == (issued == "ticket")
    assert len(seen.tickets) == (1 if issued == "ticket" else 0)


ISSUED = {
    ("1.2", True): "ticket",
    ("1.2", False): "session-id",
    ("1.3", True): "psk",
    ("1.3", False): "psk-stateful",
}
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
KINDS = pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])


# --- refused tickets (R15) ---


@VERSIONS
def test_a_ticket_of_before_a_restart_gets_a_new_one(version, serve, guest, recorder):
    """R38: without shared keys another process opens no ticket."""
    one, other = serve(tickets=True), serve(tickets=True)
    visitor = guest(one, version)
    visitor.visit()
    visitor.move_to(recorder, other)
    reused, seen, line = visitor.visit()
    assert not reused
    assert_full(seen, version, ISSUED[version, True])
    assert line["handshake"] == "new" and line["reason"] == "unknown-ticket-key"
    reused, _, line = visitor.visit()
    assert reused and line["handshake"] == "resumed"


@VERSIONS
@pytest.mark.parametrize("place", [0, 20, -1], ids=["key-name", "body", "tag"])
def test_a_damaged_ticket_gets_a_new_one(version, place, serve, guest):
    """R15: never an alert."""
    service = serve(tickets=True)
    visitor = guest(service, version)
    visitor.visit()
    damage_ticket(visitor.session, place)
    reused, seen, line = visitor.visit()
    assert not reused
    assert_full(seen, version, ISSUED[version, True])
    expected = {"unknown-ticket-key", "ticket-damaged"} if place == 0 else {"ticket-damaged"}
    assert line["reason"] in expected
    assert visitor.visit()[0]


@VERSIONS
def test_a_ticket_where_only_the_cache_is_ticked_leads_into_the_cache(
    version, serve, guest, recorder, certs
):
    """A refused ticket, only session-cache ticked: a fresh ID into the cache; the one-off
    ID is not echoed."""
    one, other = serve(tickets=True), serve(tickets=False)
    visitor = guest(one, version)
    visitor.visit()
    visitor.move_to(recorder, other)
    reused, seen, line = visitor.visit()
    assert not reused
    assert_full(seen, version, ISSUED[version, False])
    assert line["reason"] == "tickets-off"
    assert line["issued"] == ISSUED[version, False]
    if version == "1.2":
        one_off = seen.hello.session_id
        assert one_off != b"" and seen.answer.session_id != one_off
        assert line["session-id"] == seen.answer.session_id.hex()
    reused, seen, line = visitor.visit()
    assert reused and line["by"] == ISSUED[version, False]


def ask_with_id(service, session_id, ticket=None, name=WWW, **more):
    """A hand-made hello with this ID; the transcript of the answer."""
    message = hello.client_hello(session_id, ticket, name, **more)
    return hello.exchange(service.address(), hello.records(message))


@pytest.mark.parametrize("cache", [True, False], ids=["both", "tickets"])
def test_the_one_off_id_is_never_stored(cache, serve, guest):
    """The ID that comes with a ticket and is echoed can't be used without the ticket."""
    service = serve(cache=cache, tickets=True)
    visitor = guest(service, "1.2")
    visitor.visit()
    _, seen, _ = visitor.visit()
    one_off = seen.hello.session_id
    assert seen.abbreviated and seen.answer.session_id == one_off
    for ticket in (None, b""):
        answer = ask_with_id(service, one_off, ticket)
        assert "Certificate" in answer.server.names
        assert answer.answer.session_id != one_off
    reason = "unknown-session-id" if cache else "cache-off"
    service.connections(2, offered="session-id", reason=reason)


def test_the_one_off_id_of_a_refused_ticket_is_not_stored_either(serve, guest, recorder):
    one, other = serve(tickets=True), serve(tickets=False)
    visitor = guest(one, "1.2")
    visitor.visit()
    visitor.move_to(recorder, other)
    _, seen, _ = visitor.visit()
    answer = ask_with_id(other, seen.hello.session_id)
    assert "Certificate" in answer.server.names
    assert answer.answer.session_id not in (seen.hello.session_id, b"")


@VERSIONS
@KINDS
def test_an_expired_session_is_refused(version, tickets, serve, guest):
    service = serve(tickets=tickets, ticket_timeout="1s", cache_timeout="1s", max_lineage="1h")
    visitor = guest(service, version)
    visitor.visit()
    # The client's library drops a session by its lifetime hint; make it forget that.
    line = None

    def refused():
        nonlocal line
        before = visitor.session.read_bytes()
        reused, _, line = visitor.visit()
        visitor.session.write_bytes(before)
        return not reused

    wait_until("the session expires", refused)
    assert line["reason"] in ("expired", "not-offered")


@VERSIONS
@KINDS
def test_a_lineage_ends(version, tickets, serve, guest):
    """R21: the lifetime counts from the first full handshake, however often it is renewed."""
    service = serve(tickets=tickets, max_lineage="2s")
    visitor = guest(service, version)
    visitor.visit()
    line = None

    def ended():
        nonlocal line
        reused, _, line = visitor.visit()
        return not reused

    wait_until("the lineage ends", ended)
    assert line["reason"] in ("lineage-too-old", "expired", "not-offered")


@KINDS
def test_a_tls13_session_is_none_of_tls12(tickets, serve, guest):
    """R19. No library offers it: a hand-made hello does, as a ticket or as a session ID."""
    service = serve(tickets=tickets)
    _, seen, _ = guest(service, "1.3").visit()
    stolen = seen.tickets[0].ticket
    answer = ask_with_id(service, b"\1" * 32, stolen) if tickets else ask_with_id(service, stolen)
    assert "Certificate" in answer.server.names
    assert answer.answer.session_id != stolen
    offered = "ticket" if tickets else "session-id"
    service.wait_event("connection", offered=offered, reason="protocol-mismatch")


@KINDS
def test_a_tls12_session_is_none_of_tls13(tickets, serve, recorder, certs):
    """R19. A service learns TLS 1.3 while its clients hold TLS 1.2 sessions."""
    service = serve(tickets=tickets, protocols=["tls1.2"])
    tape = recorder(service)
    context = make_context(certs.authority.file, None, service.key_log)
    with TlsClient(context, tape.address, WWW) as client:
        client.request()
        session = client.session
        client.close()
    del service.config["client-ssl-profiles"][0]["protocols"]
    assert service.reload(service.config).returncode == 0
    with TlsClient(context, tape.address, WWW, session) as client:
        client.request()
        assert client.version == "TLSv1.3" and not client.reused
        client.close()
    recorded = tape.wait(2)[1]
    line = service.connection(recorded)
    assert line["protocol"] == "TLSv1.3" and line["handshake"] == "new"


@KINDS
def test_a_psk_survives_a_retry(tickets, serve, recorder, certs):
    """A group that the client did not send a share for: HelloRetryRequest, full and resumed."""
    service = serve(tickets=tickets, groups=["P-384"])
    tape = recorder(service)
    context = make_context(certs.authority.file, "1.3", service.key_log)
    session = None
    for expected in (False, True):
        with TlsClient(context, tape.address, WWW, session) as client:
            client.request()
            assert client.reused == expected
            session = client.session
            client.close()
    for recorded in tape.wait(2):
        assert recorded.transcript(service.key_log.read_text()).retried
        assert service.connection(recorded)["group"] == "P-384"


@VERSIONS
def test_a_cache_of_no_sessions_is_none(version, serve, guest):
    """cache-size: 0 is the tick box unticked."""
    visitor = guest(serve(cache=True, cache_size=0), version)
    _, seen, line = visitor.visit()
    assert line["issued"] == "none" and seen.tickets == []
    reused, _, line = visitor.visit()
    assert not reused and line["issued"] == "none"


# --- session IDs beside tickets (R14) ---


@pytest.fixture
def ticket_of(recorder, certs):
    """A real TLS 1.2 ticket of a service, with the session's cipher suite."""

    def get(service, name=WWW):
        tape = recorder(service)
        context = make_context(certs.authority.file, "1.2", service.key_log)
        with TlsClient(context, tape.address, name) as client:
            client.request()
            client.close()
        seen = tape.wait(1)[0].transcript()
        return seen.tickets[0].ticket, seen.answer.cipher_suite

    return get


def test_session_ids_of_every_length_are_echoed_with_a_ticket(serve, ticket_of):
    """R14, Ticketbleed (CVE-2016-9244): exactly the bytes that came."""
    service = serve(tickets=True)
    ticket, suite = ticket_of(service)
    for length in range(1, 33):
        session_id = bytes((0xA0 + length + i) & 0xFF for i in range(length))
        seen = ask_with_id(service, session_id, ticket)
        assert seen.answer.session_id == session_id, f"{length} bytes"
        assert seen.answer.cipher_suite == suite
        assert seen.server.names[-2:] == ["ChangeCipherSpec", "Finished"]
        assert "Certificate" not in seen.server.names


def test_an_empty_session_id_with_a_ticket_resumes_too(serve, ticket_of):
    """R14, RFC 5077 3.4: a client may leave the ID empty; nothing is made up for it."""
    service = serve(tickets=True, cache=False)
    ticket, _ = ticket_of(service)
    seen = ask_with_id(service, b"", ticket)
    assert "Certificate" not in seen.server.names
    assert len(seen.answer.session_id) in (0, 32)


@pytest.mark.parametrize("box", ["tickets", "cache"])
def test_a_session_id_of_33_bytes_is_refused_with_an_alert(box, serve, ticket_of):
    """R14."""
    service = serve(tickets=box == "tickets")
    ticket = ticket_of(service)[0] if box == "tickets" else None
    message = hello.client_hello(b"\x33" * 33, ticket, WWW)
    with socket.create_connection(service.address(), timeout=30) as sock:
        sock.sendall(hello.records(message))
        received = b""
        while part := sock.recv(4096):
            received += part
    alerts = Transcript(b"", received).server.alerts
    assert [alert.name for alert in alerts] in (["decode_error"], ["illegal_parameter"])


@pytest.mark.parametrize("length", [1, 31, 32])
def test_unknown_session_ids_of_any_length_get_a_full_handshake(length, serve):
    service = serve(cache=True)
    seen = ask_with_id(service, b"\x77" * length)
    assert "Certificate" in seen.server.names
    assert len(seen.answer.session_id) == 32
    # a single byte may be there by chance
    assert length == 1 or b"\x77" * length not in seen.answer.session_id
    assert service.wait_event("connection")["reason"] == "unknown-session-id"


def test_a_session_whose_cipher_is_not_offered_gets_a_full_handshake(serve, ticket_of):
    """R16: never another cipher."""
    service = serve(tickets=True)
    ticket, suite = ticket_of(service)
    others = [s for s in hello.SUITES if s != suite]
    seen = ask_with_id(service, b"\1" * 32, ticket, suites=others)
    assert "Certificate" in seen.server.names
    assert service.wait_event("connection", offered="ticket")["reason"] == "cipher-mismatch"


def test_extended_master_secret_had_and_not_offered_aborts(serve, ticket_of):
    """R17 (RFC 7627 5.3)."""
    service = serve(tickets=True)
    ticket, _ = ticket_of(service)
    seen = ask_with_id(service, b"\1" * 32, ticket, extended_master_secret=False)
    assert [alert.name for alert in seen.server.alerts] == ["handshake_failure"]
    line = service.wait_event("connection", handshake="failed")
    assert line["reason"] == "ems-mismatch"


@pytest.mark.parametrize("box", ["cache", "tickets"])
def test_a_hello_longer_than_any_can_be_is_refused(box, serve):
    """Bounded memory before a ClientHello is there: refused from its length alone."""
    service = serve(tickets=box == "tickets")
    start = b"\1" + (131397).to_bytes(3, "big") + bytes(100)
    seen = hello.exchange(service.address(), hello.records(start))
    assert [alert.name for alert in seen.server.alerts] == ["decode_error"]
    line = service.wait_event("connection", handshake="failed")
    assert line["error"] == "hello too large"


# --- names and policies ---


@pytest.fixture
def two_hosts(serve, certs):
    """www.example.com and other.example.com with profiles of their own, on one listener,
    and no default profile."""

    def start(tickets, **more):
        return serve(
            conf.profile(certs.ecdsa, tickets=tickets, default=False, **more),
            conf.profile(
                certs.other,
                name="other",
                server_names=["other.example.com"],
                tickets=tickets,
                default=False,
            ),
        )

    return start


@VERSIONS
@KINDS
def test_no_resumption_across_profiles(version, tickets, two_hosts, guest):
    """R1, R2, R9: another name, another profile and certificate."""
    service = two_hosts(tickets)
    visitor = guest(service, version)
    visitor.visit()
    reused, seen, line = visitor.visit(name="other.example.com")
    assert not reused
    assert_full(seen, version, ISSUED[version, tickets])
    assert line["profile"] == "other"
    assert line["reason"] == "other-profile"


@VERSIONS
@KINDS
@pytest.mark.parametrize(
    "other", ["b.wild.example.com", "localhost", ""], ids=["name", "unknown", "no-name"]
)
def test_no_resumption_under_another_name_of_the_profile(version, tickets, other, serve, guest):
    """R1, R2: within one profile too; "name -> no name", "name -> unknown name"."""
    service = serve(tickets=tickets)
    visitor = guest(service, version, name="a.wild.example.com")
    visitor.visit()
    kept = visitor.session.read_bytes()
    reused, seen, line = visitor.visit(name=other)
    assert seen.hello.server_name == (other or None)
    assert not reused
    assert_full(seen, version, ISSUED[version, tickets])
    assert line["reason"] == "other-server-name"
    visitor.session.write_bytes(kept)
    assert visitor.visit()[0], "under its own name it still resumes"


@VERSIONS
def test_no_resumption_of_a_nameless_session_under_a_name(version, serve, guest):
    service = serve(tickets=True)
    visitor = guest(service, version)
    visitor.visit(name="")
    reused, _, line = visitor.visit()
    assert not reused and line["reason"] == "other-server-name"


@pytest.mark.parametrize("name", ["unknown.example.com", "a.b.wild.example.com", ""])
@VERSIONS
def test_an_unknown_name_without_a_default_profile_is_refused(version, name, two_hosts, guest):
    """R8: unrecognized_name, alert 112; a wildcard stands for one label."""
    service = two_hosts(True)
    visitor = guest(service, version)
    reused_or_failed = None
    recorded_before = len(visitor.tape.connections)
    with pytest.raises(AssertionError):
        reused_or_failed = visitor.visit(name=name)
    assert reused_or_failed is None
    recorded = visitor.tape.wait(recorded_before + 1)[-1]
    seen = recorded.transcript()
    assert [(alert.level, alert.code) for alert in seen.server.alerts] == [(2, 112)]
    line = service.connection(recorded)
    assert line["handshake"] == "failed" and line["close"] == "unknown-server-name"


@VERSIONS
@pytest.mark.parametrize("name", ["WWW.Example.COM", "www.EXAMPLE.com"])
def test_upper_case_is_the_same_name(version, name, two_hosts, guest):
    """R10: the same policy, and the same session."""
    service = two_hosts(True)
    visitor = guest(service, version)
    visitor.visit()
    reused, seen, line = visitor.visit(name=name)
    assert seen.hello.server_name == name, "the client was to send it as it is"
    assert reused
    assert line["profile"] == "web" and line["sni"] == WWW


@VERSIONS
@pytest.mark.parametrize("name, profile", [(WWW, "web"), ("other.example.com", "other")])
@pytest.mark.parametrize("fragment, chunk", [(40, None), (16, 3), (None, 1)])
def test_a_fragmented_hello_is_the_same_hello(
    version, name, profile, fragment, chunk, two_hosts, recorder, certs
):
    """R10: ClientHello in many records, in many segments: the same policy, and resumption."""
    service = two_hosts(True)
    tape = recorder(service, fragment_bytes=fragment, chunk_bytes=chunk)
    context = make_context(certs.authority.file, version, service.key_log)
    session = None
    for expected in (False, True):
        with TlsClient(context, tape.address, name, session) as client:
            client.request()
            assert client.reused == expected
            session = client.session
            client.close()
    for recorded in tape.wait(2):
        assert service.connection(recorded)["profile"] == profile


# --- client certificates ---


@pytest.fixture
def cert_hosts(serve, certs):
    """One listener, three hosts: open, for client-ca, for second-ca."""

    def start(tickets, **more):
        def host(name, **directives):
            return conf.profile(
                certs.ecdsa,
                name=name.split(".")[0],
                server_names=[name],
                default=False,
                tickets=tickets,
                **directives,
            )

        return serve(
            host(WWW),
            host(
                "other.example.com",
                client_certificate="require",
                client_ca=certs.client_ca.file,
                **more,
            ),
            host("localhost", client_certificate="require", client_ca=certs.second_ca.file),
        )

    return start


@VERSIONS
@KINDS
def test_an_open_session_opens_no_certificate_host(version, tickets, cert_hosts, guest):
    """R4: the certificate is asked for again, and without one there is no way in."""
    service = cert_hosts(tickets)
    visitor = guest(service, version)
    visitor.visit()
    count = visitor.count
    with pytest.raises(AssertionError):
        visitor.visit(name="other.example.com")
    recorded = visitor.tape.wait(count + 1)[count]
    seen = recorded.transcript(service.key_log.read_text())
    assert "CertificateRequest" in seen.server.names
    line = service.connection(recorded)
    assert line["handshake"] == "failed" and line["reason"] == "other-profile"


@VERSIONS
@KINDS
def test_a_session_of_one_authority_is_none_of_the_other(
    version, tickets, cert_hosts, guest, certs
):
    """R4: CA-1 session to a CA-2 host."""
    service = cert_hosts(tickets)
    visitor = guest(service, version)
    alice = ["-cert", certs.alice.chain_file, "-key", certs.alice.key_file]
    bob = ["-cert", certs.bob.chain_file, "-key", certs.bob.key_file]
    _, _, line = visitor.visit(*alice, name="other.example.com")
    assert line["client-name"] == "alice"
    reused, _, line = visitor.visit(*alice, name="other.example.com")
    assert reused
    assert line["client-name"] == "alice", "R12: a resumed session keeps who it is"
    reused, seen, line = visitor.visit(*bob, name="localhost")
    assert not reused and "CertificateRequest" in seen.server.names
    assert line["client-name"] == "bob"


@VERSIONS
def test_a_wrong_client_certificate_is_refused(version, cert_hosts, guest, certs):
    service = cert_hosts(True, client_crl=certs.crl_mallory)
    visitor = guest(service, version)
    for pair, name in ((certs.bob, "other.example.com"), (certs.mallory, "other.example.com")):
        count = len(visitor.tape.connections)
        pem = ["-cert", pair.chain_file, "-key", pair.key_file]
        with pytest.raises(AssertionError):
            visitor.visit(*pem, name=name, offer=False)
        line = service.connection(visitor.tape.wait(count + 1)[count])
        assert line["handshake"] == "failed"


@VERSIONS
@KINDS
def test_a_reload_with_another_revocation_list_ends_sessions(
    version, tickets, serve, guest, certs
):
    """R6: sessions that the change touches do not resume, and the log says which part."""
    profile = conf.profile(
        certs.ecdsa,
        tickets=tickets,
        client_certificate="require",
        client_ca=certs.client_ca.file,
        client_crl=certs.crl_none,
    )
    service = serve(profile)
    visitor = guest(service, version)
    alice = ["-cert", certs.alice.chain_file, "-key", certs.alice.key_file]
    visitor.visit(*alice)
    assert visitor.visit(*alice)[0]
    config = service.config
    config["client-ssl-profiles"][0]["client-crl"] = str(certs.crl_mallory)
    assert service.reload(config).returncode == 0
    reused, _, line = visitor.visit(*alice)
    assert not reused
    assert line["reason"] == "policy-changed" and line["policy-part"] == "client-crl"


@VERSIONS
@KINDS
def test_a_session_too_large_to_keep_is_counted(version, tickets, serve, recorder, certs, tmp_path):
    """R44: a long client chain. A full handshake each time, counted, and nothing breaks."""
    service = serve(
        tickets=tickets, client_certificate="require", client_ca=certs.client_ca.file
    )
    alice = copy.copy(certs.alice)
    alice.chain_file = tmp_path / "long.pem"
    issuer = certs.client_ca.file.read_bytes()
    for issuers, kept in ((5, True), (60, False)):
        alice.chain_file.write_bytes(certs.alice.chain_file.read_bytes() + issuer * issuers)
        context = make_context(certs.authority.file, version, service.key_log, cert=alice)
        session = None
        for again in (False, True):
            with TlsClient(context, service.address(), WWW, session) as client:
                client.request()
                assert client.reused == (again and kept)
                session = client.session
                client.close()
            line = service.connection(client)
            assert kept or line["issued"] == "none"
            if again and not kept:  # TLS 1.2 has an empty ticket for none
                told = "not-offered" if (version, tickets) == ("1.2", True) else "session-too-large"
                assert line["reason"] == told
    assert "sessions_not_kept 2" in service.ctl("status").stdout


# --- ends of connections, ALPN ---


@VERSIONS
def test_another_application_protocol_is_refused(version, serve, guest):
    """R5: ALPN is part of what a session is bound to."""
    service = serve(tickets=True, alpn=["http/1.1", "http/1.0"])
    visitor = guest(service, version)
    _, _, line = visitor.visit("-alpn", "http/1.1")
    assert line["alpn"] == "http/1.1"
    reused, _, line = visitor.visit("-alpn", "http/1.0")
    assert not reused and line["reason"] == "alpn-mismatch"


def test_a_session_that_ended_in_a_fatal_alert_does_not_resume_by_id(serve, recorder, certs):
    """R18 (RFC 5246 7.2.2)."""
    service = serve(cache=True)
    tape = recorder(service)
    context = make_context(certs.authority.file, "1.2", service.key_log)
    with TlsClient(context, tape.address, WWW) as client:
        session = client.session
        client.sock.sendall(b"\x17\3\3\0\x20" + b"\0" * 32)  # a record that does not decrypt
        with pytest.raises(Exception):
            client.recv_exact(1)
    assert service.connection(tape.wait(1)[0])["close"] == "tls-error"
    with TlsClient(context, tape.address, WWW, session) as client:
        client.request()
        assert not client.reused
        client.close()
    assert service.connection(tape.wait(2)[1])["handshake"] == "new"


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lax"])
def test_strict_resume(strict, serve, recorder, certs):
    """strict-resume: a session whose connection ended without close_notify is given up."""
    service = serve(cache=True, strict_resume=strict)
    tape = recorder(service)
    context = make_context(certs.authority.file, "1.2", service.key_log)
    with TlsClient(context, tape.address, WWW) as client:
        client.send(b"GET / ")
        session = client.session
        client.reset()
    service.connection(tape.wait(1)[0])
    with TlsClient(context, tape.address, WWW, session) as client:
        client.request()
        assert client.reused != strict
        client.close()
    if strict:
        line = service.connection(tape.wait(2)[1])
        assert line["reason"] == "unclean-shutdown"


# --- renegotiation (R20) ---


@pytest.mark.parametrize("value", ["require", "require-strict"])
def test_renegotiation_is_refused(value, serve, target, recorder):
    """R20: a no_renegotiation alert, never a silent close; told in the log, counted, and
    never taken for a resumption."""
    service = serve(cache=True, secure_renegotiation=value)
    tape = recorder(service)
    where = target(tape, service)
    args = ["openssl", "s_client", "-connect", f"{where.host}:{where.port}", "-tls1_2"]
    args += ["-servername", WWW, "-CAfile", where.ca_file, "-msg"]
    output = execute(args, stdin=b"R\n", ok=(0, 1))
    assert "no_renegotiation" in output or "no renegotiation" in output
    line = service.connection(tape.wait(1)[0])
    assert line["close"] == "renegotiation-refused"
    assert line["handshake"] == "new" and line["offered"] == "none"
    status = service.ctl("status").stdout
    assert "renegotiations_refused 1\n" in status
    assert "handshakes_new 1\n" in status and "resumed_session_id 0\n" in status


def test_a_first_hello_with_renegotiation_info_is_refused(serve):
    """R20 (RFC 5746 3.6): handshake_failure."""
    service = serve(cache=True)
    seen = ask_with_id(service, b"", renegotiation_info=b"\1" * 12)
    assert [alert.name for alert in seen.server.alerts] == ["handshake_failure"]


@pytest.mark.parametrize("strict", [True, False], ids=["require-strict", "require"])
def test_clients_without_rfc_5746(strict, serve):
    service = serve(cache=True, secure_renegotiation="require-strict" if strict else "require")
    seen = ask_with_id(service, b"", renegotiation_info=None)
    if strict:
        assert [alert.name for alert in seen.server.alerts] == ["handshake_failure"]
    else:
        assert seen.version == TLS12 and "Certificate" in seen.server.names
    service.connections(1)
    assert f"insecure_handshakes_rejected {int(strict)}\n" in service.ctl("status").stdout
    scsv = [*hello.SUITES, hello.NO_RENEGOTIATION_SCSV]
    seen = ask_with_id(service, b"", renegotiation_info=None, suites=scsv)
    assert "Certificate" in seen.server.names
    service.connections(2)
    assert f"insecure_handshakes_rejected {int(strict)}\n" in service.ctl("status").stdout


# --- garbage ---


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 100,
        b"\x16\3\1\0\5\1\0\0\1\0",
        b"\x16\3\1\xff\xff" + b"A" * 100,
        b"\x80\x2e\1\0\2",
        b"\x15\3\1\0\2\2\x28",
    ],
    ids=["http", "zeros", "empty-hello", "oversized-record", "sslv2", "alert"],
)
def test_what_is_no_hello_is_refused(garbage, serve):
    """Closed with or without an alert, told in the log, and the service goes on."""
    service = serve(cache=True)
    with socket.create_connection(service.address(), timeout=30) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert service.wait_event("connection")["handshake"] == "failed"
    seen = ask_with_id(service, b"")
    assert "Certificate" in seen.server.names
