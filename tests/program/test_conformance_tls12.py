"""TLS 1.2 after the hello: messages and records out of place, damaged, in small pieces;
and what resumes. See test_conformance.py."""

import os

import pytest

from lab import rawtls as raw
from lab.probing import (
    CACHED,
    HEARTBEAT,
    SCSV,
    WWW,
    check,
    clear,
    damage,
    fatal,
    handshake,
    renegotiate,
    sealed,
)
from lab.rawtls import Ended, hello12, hello13
from lab.tlswire import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE


# --- TLS 1.2: messages out of place (RFC 5246 7.3, 7.4) ---


def after_hello(step):
    def run(client):
        client.start12()
        step(client)

    return run


def after_key(step):
    def run(client):
        client.start12()
        client.send_message(client.key_exchange12())
        step(client)

    return run


def after_ccs(step):
    def run(client):
        client.start12()
        client.send_message(client.key_exchange12())
        client.send_ccs()
        client.write = client.pending[0]
        step(client)

    return run


def opened(step):
    def run(client):
        client.handshake12(hello12(ticket=b""))
        step(client)

    return run


def finished(change):
    """A Finished with its bytes changed."""
    return lambda client: client.send_message(change(client.finished12()))


def damaged_record(place, mask=1):
    def step(client):
        sealed_record = bytearray(client.seal(APPLICATION_DATA, b"ping"))
        sealed_record[place] ^= mask
        client.send(bytes(sealed_record))

    return step


def plain_finished(client):
    client.send_message(client.key_exchange12())
    client.send_message(client.finished12())


def early_finished(client):
    client.send_message(client.finished12())


def twice_key(client):
    client.send_message(client.key_exchange12())


def interleaved_finished(client):
    data = client.finished12()
    client.send_record(HANDSHAKE, data[:4])
    client.send_record(APPLICATION_DATA, b"x")


def split_key_around_ccs(client):
    data = client.key_exchange12()
    client.send(raw.record(HANDSHAKE, data[:10]))
    client.send_ccs()


def shorter(data):
    return raw.message(raw.FINISHED, data[4:-1])


def longer(data):
    return raw.message(raw.FINISHED, data[4:] + b"\0")


TLS12_STEPS = [
    # instead of ClientKeyExchange
    ("CCS first", after_hello(lambda c: c.send_ccs()), "unexpected_message"),
    ("Finished first", after_hello(handshake(20, bytes(12))), "unexpected_message"),
    ("no CCS", after_hello(plain_finished), "unexpected_message"),
    ("second hello", after_hello(renegotiate(hello12)), "unexpected_message"),
    ("ServerHello", after_hello(handshake(2, bytes(38))), "unexpected_message"),
    ("HelloRequest", after_hello(handshake(0)), "unexpected_message"),
    ("Certificate unasked", after_hello(handshake(11, bytes(3))), "unexpected_message"),
    ("CertificateVerify unasked", after_hello(handshake(15, bytes(6))), "unexpected_message"),
    ("NewSessionTicket", after_hello(handshake(4, bytes(6))), "unexpected_message"),
    ("unknown message", after_hello(handshake(99)), "unexpected_message"),
    ("application data", after_hello(clear(APPLICATION_DATA, b"GET /")), "unexpected_message"),
    ("no application data", after_hello(clear(APPLICATION_DATA, b"")), "unexpected_message"),
    ("heartbeat", after_hello(clear(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("record of an unknown type", after_hello(clear(99, b"hello")), "unexpected_message"),
    ("record too long", after_hello(clear(HANDSHAKE, bytes(16385))), "record_overflow"),
    ("message too long", after_hello(clear(HANDSHAKE, b"\x10\xff\xff\xff")), "illegal_parameter"),
    ("empty ClientKeyExchange", after_hello(handshake(16)), "decode_error"),
    ("ClientKeyExchange of zero", after_hello(handshake(16, b"\0")), "illegal_parameter"),
    ("ClientKeyExchange too short", after_hello(handshake(16, b"\x1f" + bytes(31))), None),
    ("ClientKeyExchange cut", after_hello(handshake(16, b"\x20" + bytes(31))), "decode_error"),
    ("ClientKeyExchange trailing", after_hello(handshake(16, b"\x20" + bytes(33))), "decode_error"),
    ("ClientKeyExchange of zeros", after_hello(handshake(16, b"\x20" + bytes(32))), None),
    # instead of ChangeCipherSpec
    ("key exchange twice", after_key(twice_key), "unexpected_message"),
    ("Finished in the clear", after_key(early_finished), "unexpected_message"),
    ("empty CCS", after_key(clear(CHANGE_CIPHER_SPEC, b"")), None),
    ("CCS of 0", after_key(clear(CHANGE_CIPHER_SPEC, b"\0")), "illegal_parameter"),
    ("CCS of 2", after_key(clear(CHANGE_CIPHER_SPEC, b"\2")), "illegal_parameter"),
    ("CCS of two bytes", after_key(clear(CHANGE_CIPHER_SPEC, b"\1\1")), "illegal_parameter"),
    ("CCS within a message", after_hello(split_key_around_ccs), "unexpected_message"),
    ("heartbeat before CCS", after_key(clear(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("data before CCS", after_key(clear(APPLICATION_DATA, b"GET /")), "unexpected_message"),
    # instead of Finished
    ("CCS twice", after_ccs(sealed(CHANGE_CIPHER_SPEC, b"\1")), "unexpected_message"),
    ("CCS twice, in the clear", after_ccs(clear(CHANGE_CIPHER_SPEC, b"\1")), "bad_record_mac"),
    ("data before Finished", after_ccs(sealed(APPLICATION_DATA, b"GET /")), "unexpected_message"),
    ("no data before Finished", after_ccs(sealed(APPLICATION_DATA, b"")), "unexpected_message"),
    ("heartbeat before Finished", after_ccs(sealed(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("clear Finished", after_ccs(clear(HANDSHAKE, b"\x14\0\0\x0c" + bytes(12))), "bad_record_mac"),
    ("data within Finished", after_ccs(interleaved_finished), "unexpected_message"),
    ("Finished empty", after_ccs(handshake(20)), "decode_error"),
    ("Finished of 11", after_ccs(finished(shorter)), "decode_error"),
    ("Finished of 13", after_ccs(finished(longer)), "decode_error"),
    ("Finished of zeros", after_ccs(handshake(20, bytes(12))), "decrypt_error"),
    ("hello instead of Finished", after_ccs(renegotiate(hello12)), "unexpected_message"),
    # in an open connection
    ("record that does not decrypt", opened(clear(APPLICATION_DATA, bytes(40))), "bad_record_mac"),
    ("record too short", opened(clear(APPLICATION_DATA, bytes(23))), "bad_record_mac"),
    ("empty record in the clear", opened(clear(APPLICATION_DATA, b"")), "bad_record_mac"),
    ("alert in the clear", opened(clear(ALERT, b"\1\0")), "bad_record_mac"),
    ("tag damaged", opened(damaged_record(-1)), "bad_record_mac"),
    ("nonce damaged", opened(damaged_record(5)), "bad_record_mac"),
    ("type damaged", opened(damaged_record(0)), "bad_record_mac"),
    ("length damaged", opened(damaged_record(4, 4)), "bad_record_mac"),
    ("version damaged", opened(damaged_record(2)), "protocol_version"),
    ("record of 2^14+1", opened(sealed(APPLICATION_DATA, bytes(16385))), "record_overflow"),
    ("record of 2^14+2049", opened(clear(APPLICATION_DATA, bytes(18433))), "record_overflow"),
    ("heartbeat", opened(sealed(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("record of an unknown type", opened(sealed(99, b"hello")), "unexpected_message"),
    ("CCS", opened(sealed(CHANGE_CIPHER_SPEC, b"\1")), "unexpected_message"),
    ("alert of one byte", opened(sealed(ALERT, b"\1")), "decode_error"),
    ("alert of three bytes", opened(sealed(ALERT, b"\1\0\0")), "decode_error"),
    ("empty alert", opened(sealed(ALERT, b"")), "decode_error"),
    ("alert of level 3", opened(sealed(ALERT, b"\3\0")), "illegal_parameter"),
    # R20
    ("renegotiation", opened(renegotiate(hello12)), "no_renegotiation"),
    ("renegotiation to TLS 1.3", opened(renegotiate(hello13)), "no_renegotiation"),
    # what else comes as a handshake message then, the library does not look at
    ("HelloRequest, opened", opened(handshake(0)), "no_renegotiation"),
    ("ClientKeyExchange", opened(handshake(16, b"\x20" + bytes(32))), "no_renegotiation"),
    ("Finished again", opened(handshake(20, bytes(12))), "no_renegotiation"),
]


@pytest.mark.parametrize(
    "run, expected", [row[1:] for row in TLS12_STEPS], ids=[row[0] for row in TLS12_STEPS]
)
def test_tls12_step(run, expected, service):
    """A fatal alert that arrives; `None`: some alert."""
    with service.client() as client:
        run(client)
        found = client.read_end()
    assert found.fatal and found.how == "closed", str(found)
    assert expected in (None, found.alert), str(found)


def test_every_bit_of_a_finished(service):
    """RFC 5246 7.4.9: decrypt_error, whichever bit is wrong."""

    def rows():
        for bit in range(12 * 8):
            with service.client() as client:
                client.start12()
                client.send_message(client.key_exchange12())
                client.send_ccs()
                client.write = client.pending[0]
                data = bytearray(client.finished12())
                data[4 + bit // 8] ^= 1 << bit % 8
                client.send_message(bytes(data))
                yield bit, client.read_end(), fatal("decrypt_error")

    check(rows())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_tls12_handshake_in_small_records(size, service):
    """RFC 5246 6.2.1: each message fragmented, under the null cipher and sealed."""
    with service.client() as client:
        client.start12(size=size)
        client.send_message(client.key_exchange12(), size)
        client.send_ccs()
        client.write = client.pending[0]
        client.send_message(client.finished12(), size)
        while client.read_message()[0] != raw.FINISHED:
            pass
        client.echo().close()


def test_tls12_empty_records(service):
    """RFC 5246 6.2.1: empty records of application data mean nothing; a flood of them ends."""
    with service.client() as client:
        client.handshake12()
        for part in (b"", b"GET /", b"", b"", b" HTTP/1.0", b""):
            client.send_record(APPLICATION_DATA, part)
        assert client.read_data(14) == b"GET / HTTP/1.0"
        for _ in range(40):
            client.send_record(APPLICATION_DATA, b"")
        assert client.read_end() == fatal("unexpected_message")


def test_tls12_largest_records(service):
    """RFC 5246 6.2.1: 2^14 bytes."""
    with service.client() as client:
        client.handshake12().echo(os.urandom(16384)).close()


def test_tls12_warning_alerts(service):
    """RFC 5246 7.2: a warning may be passed over; a flood of them ends."""
    with service.client() as client:
        client.handshake12()
        client.send_alert(1, 90)  # user_canceled
        client.send_alert(1, 100)  # no_renegotiation
        client.echo()
        for _ in range(6):
            client.send_alert(1, 100)
        assert client.read_end() == fatal("unexpected_message")


@pytest.mark.parametrize("when", ["hello", "key", "open"])
def test_tls12_ends_of_the_client(when, service):
    """RFC 5246 7.2.1, 7.2.2: after a fatal alert or the end of the stream nothing more."""
    for code in (None, 20, 40, 80):
        with service.client() as client:
            client.start12()
            if when != "hello":
                client.send_message(client.key_exchange12())
            if when == "open":
                client.send_ccs()
                client.write = client.pending[0]
                client.send_message(client.finished12())
                client.session = None
                while client.read_message()[0] != raw.FINISHED:
                    pass
            if code is None:
                client.sock.shutdown(1)
            else:
                client.send_alert(2, code)
            end = client.read_end()
            assert not end.fatal and end.how in ("closed", "reset"), str(end)


# --- TLS 1.2: resumption ---


def test_every_session_id_is_echoed_with_a_ticket(service):
    """R14 (RFC 5077 3.4): exactly the bytes that came, 1 to 32 of them."""
    session = service.visit12(hello12(ticket=b"")).session
    for size in range(1, 33):
        name = os.urandom(size)
        client = service.visit12(hello12(ticket=session.ticket, session_id=name), session)
        assert client.resumed and client.answer.session_id == name
    client = service.visit12(hello12(ticket=session.ticket), session)
    assert client.resumed and client.answer.session_id == b""


def full12(service, hello):
    """The hello gets a full handshake without any alert, and the connection works."""
    client = service.visit12(hello)
    assert not client.resumed and "Certificate" in client.messages
    return client


def test_session_ids_that_nobody_knows(service):
    """RFC 5246 7.4.1.2: a full handshake and another ID."""
    for name in (WWW, CACHED):
        for size in range(1, 33):
            offered = os.urandom(size)
            client = full12(service, hello12(name=name, session_id=offered))
            assert client.answer.session_id != offered


def test_a_session_id_resumes(service):
    """RFC 5246 7.3; each damaged ID gets a full handshake."""
    session = service.visit12(hello12(name=CACHED)).session
    name = session.session_id
    assert len(name) == 32
    client = service.visit12(hello12(name=CACHED, session_id=name), session)
    assert client.resumed and client.answer.session_id == name
    for place in range(32):
        turned = bytes(b ^ (i == place) for i, b in enumerate(name))
        full12(service, hello12(name=CACHED, session_id=turned))
    for size in range(1, 32):
        full12(service, hello12(name=CACHED, session_id=name[:size]))


def test_every_damaged_ticket_gets_a_full_handshake(service):
    """R15 (RFC 5077 3.4): never an alert, and a new ticket, which works."""
    session = service.visit12(hello12(ticket=b"")).session
    kinds = list(damage(session.ticket))
    assert len(kinds) > 27

    def rows():
        for what, ticket in kinds:
            with service.client() as client:
                client.send_hello(hello12(ticket=ticket, session_id=b"s" * 32))
                try:
                    client.read_flight12()
                    found = "ServerHelloDone" if "ServerHelloDone" in client.messages else "short"
                except Ended as ended:
                    found = str(ended.end)
                yield what, found, "ServerHelloDone"

    check(rows())
    client = full12(service, hello12(ticket=session.ticket[:-1]))
    again = service.visit12(hello12(ticket=client.session.ticket), client.session)
    assert again.resumed


def test_extended_master_secret(service):
    """R17 (RFC 7627 5.3), by ticket and by ID."""
    session = service.visit12(hello12(ticket=b"")).session
    answer = service.ask(hello12(ticket=session.ticket, ems=False))
    assert answer == fatal("handshake_failure")
    session = service.visit12(hello12(name=CACHED)).session
    answer = service.ask(hello12(name=CACHED, session_id=session.session_id, ems=False))
    assert answer == fatal("handshake_failure")
    session = service.visit12(hello12(ticket=b"", ems=False)).session
    assert service.visit12(hello12(ticket=session.ticket, ems=False), session).resumed
    full12(service, hello12(ticket=session.ticket))
    session = service.visit12(hello12(name=CACHED, ems=False)).session
    full12(service, hello12(name=CACHED, session_id=session.session_id))


def test_resumption_without_the_sessions_cipher(service):
    """R16 (RFC 5246 7.4.1.2): never under another one."""
    session = service.visit12(hello12(ticket=b"", suites=(raw.ECDHE_ECDSA_128,))).session
    client = full12(service, hello12(ticket=session.ticket, suites=(raw.ECDHE_RSA_128,)))
    assert client.answer.cipher_suite == raw.ECDHE_RSA_128
    session = service.visit12(hello12(name=CACHED, suites=(raw.ECDHE_ECDSA_128,))).session
    hello = hello12(name=CACHED, session_id=session.session_id, suites=(raw.ECDHE_ECDSA_256,))
    assert full12(service, hello).answer.cipher_suite == raw.ECDHE_ECDSA_256


@pytest.mark.parametrize("suites", [(raw.ECDHE_ECDSA_128,), (raw.ECDHE_ECDSA_256,)])
def test_resumption_with_other_ciphers_in_front(suites, service):
    """R16: the session's cipher is somewhere in the list."""
    session = service.visit12(hello12(ticket=b"", suites=suites)).session
    hello = hello12(ticket=session.ticket, suites=(0x5A5A, *suites, *SCSV))
    assert service.visit12(hello, session).resumed


def test_resumption_under_other_names(service):
    """R1 (RFC 6066 3): a full handshake; and a malformed name is refused as without a session."""
    session = service.visit12(hello12(ticket=b"")).session
    for name in (CACHED, b"a.wild.example.com", b"unknown.example.com", None):
        full12(service, hello12(name=name, ticket=session.ticket))
    answer = service.ask(hello12(name=WWW + b"\0", ticket=session.ticket))
    assert answer == fatal("illegal_parameter")
    assert service.visit12(hello12(ticket=session.ticket), session).resumed
    assert service.visit12(hello12(name=WWW.upper(), ticket=session.ticket), session).resumed


RESUMING_STEPS = [
    ("Finished without CCS", lambda c: c.send_message(c.finished12()), "unexpected_message"),
    ("key exchange", handshake(16, b"\x20" + bytes(32)), "unexpected_message"),
    ("data", clear(APPLICATION_DATA, b"GET /"), "unexpected_message"),
    ("hello", renegotiate(hello12), "unexpected_message"),
]


@pytest.mark.parametrize(
    "step, expected", [row[1:] for row in RESUMING_STEPS], ids=[row[0] for row in RESUMING_STEPS]
)
def test_tls12_step_of_an_abbreviated_handshake(step, expected, service):
    session = service.visit12(hello12(ticket=b"")).session
    with service.client() as client:
        client.start12(hello12(ticket=session.ticket), session)
        assert client.resumed
        step(client)
        assert client.read_end() == fatal(expected)
