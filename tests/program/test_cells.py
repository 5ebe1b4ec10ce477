"""Every cell of {TLS 1.2, TLS 1.3} x {cache, tickets, both, neither} x {real client}: what
happened on the wire, and what the terminator says of it in its log."""

import pytest

from lab import config as conf
from lab.backends import Backend, http
from lab.clients import CLIENTS, WITH_TICKETS, WITHOUT_TICKETS
from lab.tlswire import TLS12, TLS13

BOXES = {
    "cache": {"cache": True, "tickets": False},
    "tickets": {"cache": False, "tickets": True},
    "both": {"cache": True, "tickets": True},
    "neither": {"cache": False, "tickets": False},
}

# TLS 1.2 full handshakes, as the RFCs draw them (RFC 5246 7.3, RFC 5077 3.1).
FULL_SERVER = ["ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone"]
FULL_CLIENT = ["ClientHello", "ClientKeyExchange", "ChangeCipherSpec", "Finished"]
# TLS 1.3 (RFC 8446 2).
FULL_SERVER_13 = [
    "ServerHello",
    "EncryptedExtensions",
    "Certificate",
    "CertificateVerify",
    "Finished",
]
RESUMED_SERVER_13 = ["ServerHello", "EncryptedExtensions", "Finished"]

HANDLE_BYTES = 32  # a TLS 1.3 ticket that is no more than a cache entry's ID


class Lab:
    """The terminator with certain tick boxes, a recorder in front, a client to visit."""

    def __init__(self, terminator, recorder, target, backends, pairs, **profile):
        backend = backends(Backend(http))
        self.terminator = terminator(
            conf.service(conf.profile(*pairs, **profile), conf.pool(backend))
        )
        self.tape = recorder(self.terminator)
        self.target = target(self.tape, self.terminator)

    def visit(self, client, version, **more):
        """Has the client connect twice. Returns the two transcripts, their log lines and
        whether the client believes that it resumed."""
        visits = CLIENTS[client](self.target, version, **more)
        assert len(visits) == 2
        recorded = self.tape.wait(2)
        assert len(recorded) == 2
        key_log = self.terminator.key_log.read_text()
        seen = [one.transcript(key_log) for one in recorded]
        lines = [self.terminator.connection(one) for one in recorded]
        for transcript in seen:
            for ticket in transcript.tickets:
                self.terminator.add_secret(ticket.ticket)
        return seen, lines, [visit.reused for visit in visits]


@pytest.fixture
def lab(terminator, recorder, target, backends, certs):
    def make(box, pairs=(certs.ecdsa, certs.rsa), **more):
        return Lab(terminator, recorder, target, backends, pairs, **BOXES[box], **more)

    return make


def assert_full_12(seen, with_ticket):
    """A full TLS 1.2 handshake, with or without a ticket at its end."""
    ticket = ["NewSessionTicket"] if with_ticket else []
    assert seen.version == TLS12
    assert seen.server.names == FULL_SERVER + ticket + ["ChangeCipherSpec", "Finished"]
    assert seen.client.names == FULL_CLIENT


def assert_abbreviated_12(seen):
    """No Certificate, no ClientKeyExchange: RFC 5246 7.3, figure 2."""
    assert seen.version == TLS12
    assert seen.server.names == ["ServerHello", "ChangeCipherSpec", "Finished"]
    assert seen.client.names == ["ClientHello", "ChangeCipherSpec", "Finished"]
    assert seen.abbreviated


def assert_no_alert(seen):
    """None before the ones that end a connection in good order."""
    for direction in (seen.client, seen.server):
        names = {alert.name for alert in direction.alerts}
        assert names <= {"close_notify", "encrypted"}


def assert_log(line, handshake, offered, issued, **more):
    """The fields on resumption; `more` has by= or reason=."""
    assert line["handshake"] == handshake
    assert line["offered"] == offered
    assert line.get("issued") == issued
    assert line.get("by") == more.get("by")
    assert line.get("reason") == more.get("reason")


# --- TLS 1.2 ---


def assert_stateful_12(seen, lines, reused):
    """The article's "stateful": a new session ID, then an abbreviated handshake with it."""
    first, second = seen
    assert reused == [False, True]
    assert_full_12(first, with_ticket=False)
    assert first.hello.session_id == b""
    assert first.answer.ticket is None
    assert len(first.answer.session_id) == 32
    assert second.hello.session_id == first.answer.session_id
    assert second.answer.session_id == first.answer.session_id
    assert second.answer.ticket is None
    assert_abbreviated_12(second)
    assert_log(lines[0], "new", "none", "session-id", reason="not-offered")
    assert_log(lines[1], "resumed", "session-id", "none", by="session-id")
    for line in lines:
        assert line["session-id"] == first.answer.session_id.hex()
        assert "ticket-key" not in line


def assert_stateless_12(seen, lines, reused):
    """The article's "stateless": an empty extension and a ticket, no session ID; then the
    ticket with a one-off ID, which is echoed."""
    first, second = seen
    assert reused == [False, True]
    assert_full_12(first, with_ticket=True)
    assert first.hello.ticket == b""
    assert first.answer.ticket == b""
    assert first.answer.session_id == b""
    ticket = first.tickets[0]
    assert len(ticket.ticket) > 100
    assert 0 < ticket.lifetime_s <= 3600
    assert second.hello.ticket == ticket.ticket
    assert second.hello.session_id != b"", "this client was expected to send a one-off ID"
    assert second.answer.session_id == second.hello.session_id
    assert_abbreviated_12(second)
    assert_log(lines[0], "new", "none", "ticket", reason="not-offered")
    assert_log(lines[1], "resumed", "ticket", "none", by="ticket")
    assert lines[0]["ticket-key"] == lines[1]["ticket-key"]
    for line in lines:
        assert "session-id" not in line, "the one-off ID is not the cache's"


def assert_never_12(seen, lines, reused):
    """Neither kind: no ID, no ticket, nothing to offer."""
    assert reused == [False, False]
    for one, line in zip(seen, lines):
        assert_full_12(one, with_ticket=False)
        assert one.answer.session_id == b""
        assert one.answer.ticket is None
        assert_log(line, "new", "none", "none", reason="not-offered")
        assert "session-id" not in line and "ticket-key" not in line


def expected_12(box, offers_tickets):
    if box == "neither" or (box == "tickets" and not offers_tickets):
        return assert_never_12
    if box in ("tickets", "both") and offers_tickets:
        return assert_stateless_12
    return assert_stateful_12


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("box", BOXES)
def test_tls12(box, client, lab):
    seen, lines, reused = lab(box).visit(client, "1.2")
    offers = client in WITH_TICKETS
    assert [one.hello.ticket is not None for one in seen] == [offers, offers]
    expected_12(box, offers)(seen, lines, reused)
    for one, line in zip(seen, lines):
        assert_no_alert(one)
        assert line["protocol"] == "TLSv1.2"
        assert line["sni"] == "www.example.com" and line["profile"] == "web"
        assert line["virtual-server"] == "https"


@pytest.mark.parametrize("client", WITHOUT_TICKETS)
@pytest.mark.parametrize("box", BOXES)
def test_tls12_with_a_client_that_does_not_offer_tickets(box, client, lab):
    seen, lines, reused = lab(box).visit(client, "1.2", tickets=False)
    assert [one.hello.ticket for one in seen] == [None, None]
    expected_12(box, offers_tickets=False)(seen, lines, reused)


# --- TLS 1.3 ---


def assert_resumed_13(seen, lines, reused, by, is_ticket):
    """A PSK of the right kind is issued, offered and accepted, and a new one issued (R27)."""
    first, second = seen
    assert reused == [False, True]
    assert first.server.names[:5] == FULL_SERVER_13
    assert first.hello.psk_identities == [] and first.answer.psk_selected is None
    issued = [ticket.ticket for ticket in first.tickets]
    assert issued and len(set(issued)) == len(issued)
    assert first.server.names[5:] == ["NewSessionTicket"] * len(issued)
    assert all(is_ticket(ticket) for ticket in issued)
    assert all(0 < ticket.lifetime_s <= 3600 for ticket in first.tickets)
    assert len({ticket.age_add for ticket in first.tickets}) == len(issued)  # R26
    assert second.hello.psk_identities[0] in issued
    assert second.answer.psk_selected == 0
    assert second.server.names[:3] == RESUMED_SERVER_13
    renewed = [ticket.ticket for ticket in second.tickets]
    assert renewed and not set(renewed) & set(issued)
    assert all(is_ticket(ticket) for ticket in renewed)
    assert_log(lines[0], "new", "none", by, reason="not-offered")
    assert_log(lines[1], "resumed", by, by, by=by)


def assert_never_13(seen, lines, reused):
    """No useless NewSessionTicket, and no PSK accepted."""
    assert reused == [False, False]
    for one, line in zip(seen, lines):
        assert one.server.names == FULL_SERVER_13
        assert one.hello.psk_identities == []
        assert one.answer.psk_selected is None
        assert_log(line, "new", "none", "none", reason="not-offered")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("box", BOXES)
def test_tls13(box, client, lab):
    more = {"wait": False} if (client, box) == ("gnutls", "neither") else {}
    seen, lines, reused = lab(box).visit(client, "1.3", **more)
    for one, line in zip(seen, lines):
        assert one.version == TLS13
        assert one.decrypted, "the judge could not read the server's messages"
        assert not one.retried
        assert one.answer.session_id == one.hello.session_id  # RFC 8446 4.1.3
        assert_no_alert(one)
        assert line["protocol"] == "TLSv1.3"
        assert "session-id" not in line
    if box == "cache":
        assert_resumed_13(seen, lines, reused, "psk-stateful", lambda t: len(t) == HANDLE_BYTES)
        assert all("ticket-key" not in line for line in lines)
    elif box == "neither":
        assert_never_13(seen, lines, reused)
    else:
        assert_resumed_13(seen, lines, reused, "psk", lambda t: len(t) > 100)
        assert lines[0]["ticket-key"] == lines[1]["ticket-key"]


# --- what holds in each cell ---


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_resumed_session_keeps_its_cipher(kind, version, lab, certs):
    """RSA and ECDSA alone; a resumed TLS 1.2 session goes on with its cipher (R16)."""
    lab = lab("both", pairs=[getattr(certs, kind)])
    seen, lines, reused = lab.visit("openssl", version)
    assert reused == [False, True]
    assert lines[0]["cipher"] == lines[1]["cipher"]
    assert seen[0].answer.cipher_suite == seen[1].answer.cipher_suite
    if version == "1.2":
        assert kind.upper() in lines[0]["cipher"]


@pytest.mark.parametrize("box", ["cache", "tickets"])
@pytest.mark.parametrize("client", ["openssl", "gnutls", "python"])
def test_only_the_protocols_of_the_profile_are_spoken(client, box, lab):
    lab = lab(box, protocols=["tls1.2"])
    with pytest.raises((AssertionError, OSError)):
        CLIENTS[client](lab.target, "1.3")
    line = lab.terminator.connection(lab.tape.wait(1)[0])
    assert line["handshake"] == "failed"
    assert lab.tape.connections[0].transcript().server.alerts[0].name == "protocol_version"
