"""TLS 1.3 after the hello: messages and records out of place, damaged, in small pieces;
HelloRetryRequest, PSKs, early data. See test_conformance.py."""

import os

import pytest

from lab import rawtls as raw
from lab.hello import numbers, vector
from lab.probing import (
    CACHED,
    ECDHE,
    HEARTBEAT,
    check,
    clear,
    damage,
    fatal,
    handshake,
    lists,
    renegotiate,
    sealed,
    share,
    psk,
)
from lab.rawtls import Ended, hello12, hello13, offer
from lab.tlswire import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE


# --- TLS 1.3: messages and records out of place (RFC 8446 4, 5) ---


def before_finished(step):
    def run(client):
        client.start13()
        step(client)

    return run


def opened13(step):
    def run(client):
        client.handshake13()
        step(client)

    return run


def retried(step):
    """After a HelloRetryRequest."""

    def run(client):
        hello = hello13().put(51, b"\0\0")
        client.send_hello(hello)
        assert client.read_hello13().is_retry
        step(client)

    return run


def inner(data):
    return lambda client: client.send(client.write.seal_inner(data))


def padded(kind, data, padding):
    return lambda client: client.send_record(kind, data, padding=padding)


def second_hello(change=lambda hello: hello):
    def step(client):
        first = client.hello
        again = hello13(session_id=first.session_id, random=first.random)
        client.send_message(change(again).message())

    return step


def two(*steps):
    def step(client):
        for one in steps:
            one(client)

    return step


def spliced_finished(client):
    data = client.finished13()
    client.send_record(HANDSHAKE, data[:10])
    client.send_record(APPLICATION_DATA, b"x")


def ccs_within_finished(client):
    data = client.finished13()
    client.send_record(HANDSHAKE, data[:10])
    client.send_ccs()
    client.send_record(HANDSHAKE, data[10:])


def finished_and_more(client):
    """Finished with the next message behind it in one record, across a change of keys."""
    client.send_record(HANDSHAKE, client.finished13() + raw.message(24, b"\0"))


def sized(size):
    """A Finished of that many bytes, its first ones right."""

    def step(client):
        data = client.finished13()[4:]
        client.send_message(raw.message(20, (data + bytes(size))[:size]))

    return step


def damaged13(place):
    def step(client):
        data = bytearray(client.seal(APPLICATION_DATA, b"ping"))
        data[place] ^= 4
        client.send(bytes(data))

    return step


def clear_finished(client):
    client.send(raw.record(HANDSHAKE, client.finished13()))


def repeat(hello):
    hello.extensions = [(9, b""), *hello.extensions, (9, b"")]
    return hello


def other_share(hello):
    return hello.put(51, share((raw.P256, b"\4" * 65)))


KEY_UPDATE = b"\x18\0\0\1\0"

TLS13_STEPS = [
    # instead of Finished
    ("data", before_finished(sealed(APPLICATION_DATA, b"GET /")), "unexpected_message"),
    ("no data", before_finished(sealed(APPLICATION_DATA, b"")), "unexpected_message"),
    ("padding only", before_finished(padded(APPLICATION_DATA, b"", 30)), "unexpected_message"),
    ("all padding", before_finished(padded(APPLICATION_DATA, b"", 16384)), "unexpected_message"),
    ("clear data", before_finished(clear(APPLICATION_DATA, os.urandom(64))), "bad_record_mac"),
    ("hello", before_finished(renegotiate(hello13)), "unexpected_message"),
    ("Certificate unasked", before_finished(handshake(11, b"\0\0\0\0")), "unexpected_message"),
    ("CertificateVerify", before_finished(handshake(15, bytes(6))), "unexpected_message"),
    ("KeyUpdate early", before_finished(handshake(24, b"\0")), "unexpected_message"),
    ("EndOfEarlyData", before_finished(handshake(5)), "unexpected_message"),
    ("unknown message", before_finished(handshake(99)), "unexpected_message"),
    ("heartbeat", before_finished(sealed(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("sealed CCS", before_finished(sealed(CHANGE_CIPHER_SPEC, b"\1")), "unexpected_message"),
    ("CCS of 2", before_finished(clear(CHANGE_CIPHER_SPEC, b"\2")), None),
    ("CCS of two bytes", before_finished(clear(CHANGE_CIPHER_SPEC, b"\1\1")), None),
    ("empty CCS", before_finished(clear(CHANGE_CIPHER_SPEC, b"")), None),
    ("CCS flood", before_finished(two(*[lambda c: c.send_ccs()] * 40)), "unexpected_message"),
    ("data in Finished", before_finished(spliced_finished), "unexpected_message"),
    ("Finished and more", before_finished(finished_and_more), "unexpected_message"),
    ("Finished in the clear", before_finished(clear_finished), None),
    *[
        (f"Finished of {size}", before_finished(sized(size)), "decode_error")
        for size in (0, 1, 12, 16, 20, 31, 33, 36, 40, 48, 64, 80, 1000, 16380)
    ],
    ("Finished of 2^17", before_finished(sized(1 << 17)), "illegal_parameter"),
    # in an open connection
    ("CCS", opened13(lambda c: c.send_ccs()), "unexpected_message"),
    ("hello, opened", opened13(renegotiate(hello13)), "unexpected_message"),
    ("hello of TLS 1.2", opened13(renegotiate(hello12)), "unexpected_message"),
    ("Finished again", opened13(handshake(20, bytes(32))), "unexpected_message"),
    ("NewSessionTicket", opened13(handshake(4, bytes(13))), "unexpected_message"),
    ("Certificate, opened", opened13(handshake(11, b"\0\0\0\0")), "unexpected_message"),
    ("HelloRequest, opened", opened13(handshake(0)), "unexpected_message"),
    ("EndOfEarlyData, opened", opened13(handshake(5)), "unexpected_message"),
    ("empty KeyUpdate", opened13(handshake(24)), "decode_error"),
    ("KeyUpdate and more", opened13(sealed(HANDSHAKE, 2 * KEY_UPDATE)), "unexpected_message"),
    ("alert of one byte", opened13(sealed(ALERT, b"\2")), "decode_error"),
    ("alert of three bytes", opened13(sealed(ALERT, b"\2\x28\0")), "decode_error"),
    ("two alerts", opened13(sealed(ALERT, b"\1\0\1\0")), "decode_error"),
    # RFC 8446 5.4 has unexpected_message for it: the library (docs/CONFORMANCE.md)
    ("empty alert", opened13(sealed(ALERT, b"")), "decode_error"),
    ("alert in the clear", opened13(clear(ALERT, b"\1\0")), "unexpected_message"),
    ("fatal alert in the clear", opened13(clear(ALERT, b"\2\x28")), "unexpected_message"),
    ("message in the clear", opened13(clear(HANDSHAKE, b"\x18\0\0\1\0")), "unexpected_message"),
    ("KeyUpdate too long", opened13(handshake(24, b"\0\0")), "decode_error"),
    ("heartbeat, opened", opened13(sealed(HEARTBEAT, b"\1\0\0")), "unexpected_message"),
    ("unknown type", opened13(sealed(99, b"hello")), "unexpected_message"),
    ("record too short", opened13(clear(APPLICATION_DATA, bytes(16))), "bad_record_mac"),
    ("empty record", opened13(clear(APPLICATION_DATA, b"")), "bad_record_mac"),
    ("2^14+1", opened13(sealed(APPLICATION_DATA, bytes(16385))), "record_overflow"),
    ("2^14+1 padded", opened13(padded(APPLICATION_DATA, b"x" * 16000, 385)), "record_overflow"),
    ("2^14+256 sealed", opened13(padded(APPLICATION_DATA, b"x", 16622)), "record_overflow"),
    ("2^14+256+1 sealed", opened13(clear(APPLICATION_DATA, bytes(16641))), None),
    ("2^14+2048+1 sealed", opened13(clear(APPLICATION_DATA, bytes(18433))), "record_overflow"),
    *[(f"byte {at} damaged", opened13(damaged13(at)), "bad_record_mac") for at in (5, 8, -16, -1)],
    ("version damaged", opened13(damaged13(2)), "protocol_version"),
    # after a HelloRetryRequest (RFC 8446 4.1.2, 4.1.4)
    ("retry: no share", retried(second_hello(lambda h: h.put(51, b"\0\0"))), "illegal_parameter"),
    ("retry: other share", retried(second_hello(other_share)), None),
    ("retry: no shares", retried(second_hello(lambda h: h.drop(51))), "missing_extension"),
    ("retry: bad share", retried(second_hello(lambda h: h.put(51, share((29, bytes(32)))))), None),
    ("retry: no hello", retried(handshake(20, bytes(32))), "unexpected_message"),
    ("retry: data", retried(clear(APPLICATION_DATA, b"GET /")), "unexpected_message"),
    ("retry: alert of one byte", retried(clear(ALERT, b"\2")), "decode_error"),
    ("retry: cut", retried(handshake(1, bytes(40))), "decode_error"),
    ("retry: extension twice", retried(second_hello(repeat)), "decode_error"),
]


@pytest.mark.parametrize(
    "run, expected", [row[1:] for row in TLS13_STEPS], ids=[row[0] for row in TLS13_STEPS]
)
def test_tls13_step(run, expected, service):
    """A fatal alert that arrives; `None`: some alert."""
    with service.client() as client:
        run(client)
        found = client.read_end()
    assert found.fatal and found.how == "closed", str(found)
    assert expected in (None, found.alert), str(found)


@pytest.mark.parametrize("suite", [raw.AES_128_13, raw.AES_256_13])
def test_every_bit_of_a_finished_of_tls13(suite, service):
    """RFC 8446 4.4.4: decrypt_error."""

    def rows():
        for bit in range(0, 8 * (48 if suite == raw.AES_256_13 else 32), 3):
            with service.client() as client:
                client.start13(hello13(suites=(suite,)))
                data = bytearray(client.finished13())
                data[4 + bit // 8] ^= 1 << bit % 8
                client.send_message(bytes(data))
                yield bit, client.read_end(), fatal("decrypt_error")

    check(rows())


def test_every_kind_of_key_update(service):
    """RFC 8446 4.6.3: illegal_parameter for all values but 0 and 1."""

    def rows():
        for value in range(2, 256):
            with service.client() as client:
                client.handshake13()
                client.send_message(raw.message(24, bytes([value])))
                yield value, client.read_end(), fatal("illegal_parameter")

    check(rows())


def test_empty_handshake_records(service):
    """RFC 8446 5.1 forbids them, RFC 5246 6.2.1 too; AWS-LC passes over 32 in a row."""
    with service.client() as client:
        client.start13()
        client.send_record(HANDSHAKE, b"")
        client.finish13().echo()
        for _ in range(40):
            client.send_record(HANDSHAKE, b"")
        assert client.read_end() == fatal("unexpected_message")
    with service.client() as client:
        client.start12()
        client.send_record(HANDSHAKE, b"")
        client.finish12().echo().close()


def test_key_updates(service):
    """RFC 8446 4.6.3, 7.2: asked for or not, both ways, many."""
    with service.client() as client:
        client.handshake13().echo()
        for asked in (0, 1, 1, 0, 1):
            client.send_message(raw.message(24, bytes([asked])))
            client.write.update()
            client.echo()
        assert client.messages.count("KeyUpdate") == 3
        client.close()
    with service.client() as client:
        client.handshake13()
        for _ in range(32):
            client.send_message(raw.message(24, b"\1"))
            client.write.update()
        client.echo()  # RFC 8446 4.6.3 lets one answer stand for all of them
        assert 1 <= client.messages.count("KeyUpdate") <= 32
        client.close()
    with service.client() as client:
        client.handshake13().echo()
        for _ in range(200):
            client.send_message(raw.message(24, b"\0"))
            client.write.update()
        client.echo().close()


def test_records_without_a_type(service):
    """RFC 8446 5.4: no inner type is fatal. AWS-LC says decrypt_error where the RFC has
    unexpected_message (docs/CONFORMANCE.md)."""

    def rows():
        for size in (0, 1, 42, 16384):
            with service.client() as client:
                client.handshake13().echo()
                client.send(client.write.seal_inner(bytes(size)))
                yield size, client.read_end(), fatal("decrypt_error")

    check(rows())


def test_tls13_empty_and_padded_records(service):
    """RFC 8446 5.1, 5.4: empty application data and padding mean nothing."""
    for padding in (0, 30, 16000):
        with service.client() as client:
            client.handshake13()
            for part in (b"", b"GET /", b"", b" HTTP/1.0", b""):
                client.send_record(APPLICATION_DATA, part, padding=padding)
            assert client.read_data(14) == b"GET / HTTP/1.0"
            client.close()
    with service.client() as client:
        client.handshake13().echo(os.urandom(16384))
        client.send_record(APPLICATION_DATA, b"x" * 16000, padding=384)
        assert len(client.read_data(16000)) == 16000
        for _ in range(40):
            client.send_record(APPLICATION_DATA, b"")
        assert client.read_end() == fatal("unexpected_message")


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_tls13_handshake_in_small_records(size, service):
    """RFC 8446 5.1."""
    with service.client() as client:
        client.start13(size=size)
        client.send_message(client.finished13(), size)
        client.open13().echo().close()


@pytest.mark.parametrize("count", [0, 1, 2, 5, 20])
def test_change_cipher_specs_before_finished(count, service):
    """RFC 8446 5, D.4: to be dropped, wherever they stand before the client's Finished."""
    with service.client() as client:
        client.send_hello(hello13())
        for _ in range(count):
            client.send_ccs()
        client.read_flight13()
        for _ in range(count // 2):
            client.send_ccs()
        client.finish13().echo().close()


def test_a_change_cipher_spec_before_the_hello(service):
    """RFC 8446 5: unexpected_message."""
    assert service.probe(raw.record(CHANGE_CIPHER_SPEC, b"\1")) == fatal("unexpected_message")


def test_a_message_around_a_change_cipher_spec(service):
    """RFC 8446 5.1 forbids it; D.4 says that it is dropped. Both ends are sound: an alert,
    or a connection that works."""
    with service.client() as client:
        client.start13()
        ccs_within_finished(client)
        try:
            client.open13().echo().close()
        except Ended as ended:
            assert ended.end == fatal("unexpected_message")


# --- TLS 1.3: HelloRetryRequest, groups, versions ---


def retry(service, first, second, session=None):
    """Two hellos; the client after a whole connection."""
    with service.client() as client:
        client.send_hello(first)
        assert client.read_hello13().is_retry
        before = client.retry()
        if session:
            offer(second, session, before=before)
        client.hello = second
        client.send_message(second.message())
        client.read_flight13(session)
        client.finish13().echo().close()
        return client


@pytest.mark.parametrize("session_id", [b"", b"s", b"s" * 32])
def test_a_retry(session_id, service):
    """RFC 8446 4.1.4: with the same session ID echoed in both answers, of any length."""
    first = hello13(shares=(), session_id=session_id)
    second = hello13(session_id=session_id, random=first.random)
    client = retry(service, first, second)
    assert client.answer.session_id == session_id


def test_a_retry_with_a_psk(service):
    """RFC 8446 4.2.11, R25: kept, it resumes; dropped in the second hello, no crash."""
    session = service.visit13().session
    first = offer(hello13(shares=()), session)
    second = hello13(session_id=first.session_id, random=first.random)
    assert retry(service, first, second, session).resumed
    with service.client() as client:
        client.send_hello(first)
        assert client.read_hello13().is_retry
        client.send_message(hello13(session_id=first.session_id, random=first.random).message())
        end = client.read_end()
        assert end.fatal and end.how == "closed", str(end)
    bad = hello13(session_id=first.session_id, random=first.random)
    offer(bad, session, binders=[bytes(32)])
    with service.client() as client:
        client.send_hello(first)
        assert client.read_hello13().is_retry
        client.send_message(bad.message())
        assert client.read_end() == fatal("decrypt_error")
    assert service.visit13().answer


def test_a_long_second_hello(service):
    """docs/CONFORMANCE.md: 16 KB, the library's bound; the first may be longer."""
    first = hello13(shares=()).put(21, bytes(40000))
    second = hello13(session_id=first.session_id, random=first.random)
    room = 16384 - len(second.put(21, b"").body())
    retry(service, first, second.put(21, bytes(room)))
    with service.client() as client:
        client.send_hello(first)
        assert client.read_hello13().is_retry
        client.send_message(second.put(21, bytes(room + 1)).message())
        assert client.read_end() == fatal("illegal_parameter")


def test_groups(service):
    """RFC 8446 4.2.7: ours among unknown ones; each that is ours; none."""
    for group in (raw.X25519, raw.P256):
        service.visit13(hello13(shares=(group,), groups=(group,)))
        service.visit12(hello12(groups=(group,)))
    unknown = hello13(shares=(raw.P256,), groups=(0x1234, 0x0100, raw.P256))
    service.visit13(unknown)
    hello = hello13(groups=(0x1234, 0x0100)).put(51, share((0x1234, os.urandom(40))))
    assert service.ask(hello) == fatal("handshake_failure")
    many = hello13()
    mine = many.value(51)[2:]
    others = b"".join(raw.key_shares([(0x4000 + i, os.urandom(20))])[2:] for i in range(1000))
    many.put(10, vector(2, numbers([*range(0x4000, 0x4000 + 1000), raw.X25519])))
    many.put(51, vector(2, others + mine))
    service.visit13(many)


def test_versions(service):
    """RFC 8446 4.2.1: the list counts, not what the hello or its record says."""
    for legacy in (0x0303, 0x0304, 0x0301, 0xFEFE):
        for record_version in (0x0300, 0x0301, 0x0303, 0x0304):
            with service.client() as client:
                client.send_hello(hello13(version=legacy), version=record_version)
                client.read_flight13().finish13().echo().close()
    for versions in ([0x0309, 0x0303], [0x0302, 0x0303], [0x7F1C, 0x0A0A, 0x0303]):
        hello = hello12().put(43, lists(*versions))
        client = service.visit12(hello)
        assert 43 not in client.answer.extensions
    both = hello13(suites=(raw.AES_128_13, *ECDHE)).put(43, lists(0x0303, 0x0304))
    service.visit13(both)


@pytest.mark.parametrize("legacy", [0x0300, 0, 0x0200, 0x0002, 0x0100, 0x0103, 0x0102, 0x0001])
def test_tls13_in_a_hello_of_ssl(legacy, service):
    """RFC 8446 D.5: protocol_version, whatever supported_versions says."""
    hello = hello13(version=legacy).put(43, lists(0x0304, legacy))
    assert service.ask(hello) == fatal("protocol_version")


def test_downgrade_protection(service):
    """RFC 8446 4.1.3: a TLS 1.3 server says in its random that it was made to speak 1.2."""
    client = service.visit12()
    assert client.answer.random[-8:] == b"DOWNGRD\1"
    assert b"DOWNGRD" not in service.visit13().answer.random


def test_server_randoms_differ(service):
    """RFC 8446 4.1.3."""
    randoms = {service.visit13().answer.random for _ in range(20)}
    randoms |= {service.visit12().answer.random[:24] for _ in range(20)}
    assert len(randoms) == 40


# --- TLS 1.3: resumption ---


def test_a_ticket_resumes_and_is_renewed(service):
    """R27 (RFC 8446 4.6.1); each session once more by the ticket of the last."""
    session = service.visit13().session
    assert 0 < session.lifetime_s <= 604800  # R21
    seen = {session.ticket}
    for _ in range(5):
        client = service.visit13(offer(hello13(), session), session)
        assert client.resumed
        session = client.session
        assert session.ticket not in seen
        seen.add(session.ticket)


TICKET_REQUEST = 58


@pytest.mark.parametrize("wanted, issued", [(0, 0), (1, 1), (2, 2), (255, 2)])
def test_as_many_tickets_as_are_asked_for(wanted, issued, service):
    """R28 (RFC 9149): none, one, and up to our bound; after a resumption as well. Where a
    ticket takes a place in the cache, one at the most."""
    ask = (TICKET_REQUEST, bytes([wanted, wanted]))  # after full handshakes, after resumptions
    client = service.visit13(hello13().put(*ask))
    assert len(client.tickets) == issued
    session = client.session or service.visit13().session
    again = service.visit13(offer(hello13().put(*ask), session), session)
    assert again.resumed and len(again.tickets) == issued
    handle = service.visit13(hello13(name=CACHED).put(*ask))
    assert len(handle.tickets) == min(issued, 1)


def test_without_asking_there_are_two_tickets_and_one_after_resuming(service):
    """R27"""
    client = service.visit13()
    assert len(client.tickets) == 2
    assert len(service.visit13(offer(hello13(), client.session), client.session).tickets) == 1


def full13(service, hello):
    client = service.visit13(hello)
    assert not client.resumed and "Certificate" in client.messages
    return client


def test_every_damaged_psk_gets_a_full_handshake(service):
    """R15, R22: an identity that opens to nothing is passed over with its binder, whatever
    that is."""
    session = service.visit13().session
    kinds = [(what, ticket) for what, ticket in damage(session.ticket) if ticket]

    def rows():
        for what, ticket in kinds:
            if len(ticket) > 65000:
                continue
            with service.client() as client:
                identities = [session.identity(ticket=ticket)]
                hello = offer(hello13(), session, identities)
                client.send_hello(hello)
                try:
                    client.read_flight13()
                    found = "full" if "Certificate" in client.messages else "resumed"
                except Ended as ended:
                    found = str(ended.end)
                yield what, found, "full"

    check(rows())


def test_wrong_binders(service):
    """R22 (RFC 8446 4.2.11.2): decrypt_error, whichever bit is wrong; another length is
    refused too."""
    session = service.visit13().session
    right = offer(hello13(), session)
    binder = right.value(raw.PRE_SHARED_KEY)[-32:]

    def rows():
        for bit in range(0, 256, 5):
            turned = bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(binder))
            hello = hello13()
            hello.extensions, hello.random = list(right.extensions), right.random
            hello.session_id = right.session_id
            value = right.value(raw.PRE_SHARED_KEY)[:-32] + turned
            hello.put(raw.PRE_SHARED_KEY, value)
            yield bit, service.ask(hello), fatal("decrypt_error")
        for size in (33, 48, 64, 255):
            hello = offer(hello13(), session, binders=[bytes(size)])
            yield f"{size} bytes", service.ask(hello), fatal("decrypt_error")
        for size in (0, 1, 31):
            hello = offer(hello13(), session, binders=[bytes(size)])
            yield f"{size} bytes", service.ask(hello), fatal("decode_error")

    check(rows())
    assert service.ask(right) == "ServerHello"


def test_several_identities(service):
    """RFC 8446 4.2.11: the server chooses one, or none. The first counts here."""
    session = service.visit13().session
    other = b"n" * 100, 0
    hello = offer(hello13(), session, [session.identity(), other], [None, bytes(32)])
    client = service.visit13(hello, session)
    assert client.resumed and client.answer.psk_selected == 0
    hello = offer(hello13(), session, [other, session.identity()], [bytes(32), None])
    client = service.visit13(hello, session)
    assert client.answer.psk_selected in (None, 1)
    twice = offer(hello13(), session, [session.identity()] * 2)
    assert service.visit13(twice, session).resumed
    binders = [os.urandom(32)] * 60
    hello = offer(hello13(), session, [(b"n%d" % i, 0) for i in range(60)], binders)
    full13(service, hello)


@pytest.mark.parametrize("age_ms", [0, 1, 1 << 31, (1 << 32) - 1])
def test_a_far_off_ticket_age(age_ms, service):
    """RFC 8446 4.2.11.1: it matters for early data only."""
    session = service.visit13().session
    hello = offer(hello13(), session, [session.identity(age_ms=age_ms)])
    assert service.visit13(hello, session) is not None


def test_psk_modes(service):
    """R23 (RFC 8446 4.2.9): psk_ke only, or modes that nobody knows: a full handshake and
    no ticket; both modes: with a key exchange."""
    session = service.visit13().session
    for modes in (b"\0", b"\5", b"\5\6\7"):
        client = full13(service, offer(hello13(modes=modes), session))
        assert client.tickets == []
    for modes in (b"\1", b"\0\1", b"\1\0", b"\7\1"):
        assert service.visit13(offer(hello13(modes=modes), session), session).resumed
    assert service.visit13(hello13(modes=None)).tickets == []
    hello = offer(hello13(modes=None), session)
    assert service.ask(hello) == fatal("missing_extension")
    # without a key exchange there is nothing that we could agree on
    hello = offer(hello13(modes=b"\0").drop(51).drop(10), session)
    assert service.ask(hello).fatal


def test_resumption_with_another_hash_or_cipher(service):
    """R24 (RFC 8446 4.2.11): the hash must be the same."""
    session = service.visit13(hello13(suites=(raw.AES_128_13,))).session
    client = full13(service, offer(hello13(suites=(raw.AES_256_13,)), session))
    assert client.answer.cipher_suite == raw.AES_256_13


def test_resumption_across_versions(service):
    """R19: a ticket of one version means nothing in the other."""
    old = service.visit12(hello12(ticket=b"")).session
    new = service.visit13().session
    client = service.visit12(hello12(ticket=new.ticket))
    assert not client.resumed and "Certificate" in client.messages
    hello = hello13()
    names = vector(2, old.ticket) + bytes(4)
    binders = vector(2, vector(1, bytes(32)))
    hello.extensions.append((raw.PRE_SHARED_KEY, vector(2, names) + binders))
    full13(service, hello)


def test_tls13_resumption_under_other_names(service):
    """R2."""
    session = service.visit13().session
    for name in (CACHED, b"a.wild.example.com", b"unknown.example.com", None):
        full13(service, offer(hello13(name=name), session))
    assert service.visit13(offer(hello13(), session), session).resumed


def test_stateful_tickets_of_every_length(service):
    """Where only the cache is ticked a ticket is a handle: others of any length find nothing."""
    session = service.visit13(hello13(name=CACHED)).session
    assert len(session.ticket) == 32
    assert service.visit13(offer(hello13(name=CACHED), session), session).resumed
    for size in (*range(1, 65), 255, 256, 16384, 60000):
        identity = [(os.urandom(size), 0)]
        assert service.ask(offer(hello13(name=CACHED), session, identity)) == "ServerHello"


# --- TLS 1.3: early data that is refused (RFC 8446 4.2.10) ---


def early(service, data, session=None, hello=None):
    """A hello that offers early data, `data` behind it; a client whose handshake is over."""
    client = service.client()
    hello = hello or hello13()
    hello.put(42, b"")
    if session:
        offer(hello, session)
    else:
        hello.extensions.append((raw.PRE_SHARED_KEY, psk(((b"x" * 320, 1 << 30),))))
    client.hello = hello
    client.transcript = hello.message()
    client.send(raw.record(HANDSHAKE, hello.message(), 0x0301) + data)
    client.read_flight13(session)
    return client


def garbage(*sizes):
    return b"".join(raw.record(APPLICATION_DATA, os.urandom(size)) for size in sizes)


CCS = raw.record(CHANGE_CIPHER_SPEC, b"\1")
EARLY = {
    "none": b"",
    "little": garbage(64),
    "most of a record": garbage(16384),
    "a sealed record": garbage(16384 + 17),
    "two halves": garbage(8192, 8192),
    "many": garbage(*[100] * 100),
    "CCS first": CCS + garbage(16384),
    "CCS between": garbage(8192) + CCS + garbage(8192),
    "three records": garbage(16384, 16384, 16384),
}


@pytest.mark.parametrize("resume", [False, True], ids=["garbage", "session"])
@pytest.mark.parametrize("data", EARLY.values(), ids=EARLY.keys())
def test_early_data_is_passed_over(data, resume, service):
    """The handshake goes on as if it had not come; with a good PSK it resumes. What the kernel
    hands over only after the server has answered is the library's to skip, and it skips 16 KB
    at most: then, but not each time, more than that is refused."""
    for last in (False, False, False, False, True):
        session = service.visit13().session if resume else None
        try:
            with early(service, data, session) as client:
                assert client.resumed == resume
                client.finish13().echo().close()
                return
        except Ended as end:
            if last or len(data) <= 16384 or "unexpected_message" not in str(end):
                raise


def test_early_data_in_pieces(service):
    """A record of it that is cut between two segments is dropped to its end."""
    hello = hello13().put(42, b"")
    hello.extensions.append((raw.PRE_SHARED_KEY, psk()))
    start = raw.record(HANDSHAKE, hello.message(), 0x0301)
    for cut in (1, 4, 5, 6, 100, 15999):
        data = garbage(16000)
        with service.client() as client:
            client.hello, client.transcript = hello, hello.message()
            client.send(start + data[:cut])
            client.read_flight13()
            client.send(data[cut:])
            client.finish13().echo().close()


def test_early_data_before_a_retry(service):
    """RFC 8446 4.2.10: all up to the second hello is skipped."""
    first = hello13(shares=()).put(42, b"")
    first.extensions.append((raw.PRE_SHARED_KEY, psk()))
    with service.client() as client:
        client.hello, client.transcript = first, first.message()
        client.send(raw.record(HANDSHAKE, first.message(), 0x0301) + garbage(16384))
        assert client.read_hello13().is_retry
        client.retry()
        client.hello = hello13(session_id=first.session_id, random=first.random)
        client.send_message(client.hello.message())
        client.read_flight13()
        client.finish13().echo().close()


def test_early_data_after_a_retry(service):
    """RFC 8446 4.1.2: the second hello has no early data; what comes does not decrypt."""
    first = hello13(shares=()).put(42, b"")
    first.extensions.append((raw.PRE_SHARED_KEY, psk()))
    with service.client() as client:
        client.hello, client.transcript = first, first.message()
        client.send(raw.record(HANDSHAKE, first.message(), 0x0301) + garbage(16384))
        assert client.read_hello13().is_retry
        client.retry()
        client.hello = hello13(session_id=first.session_id, random=first.random)
        client.send_message(client.hello.message())
        client.read_flight13()
        client.send(garbage(64))
        assert client.read_end() == fatal("bad_record_mac")


def test_early_data_where_none_may_be(service):
    """Not offered, after the second hello, within Finished, in TLS 1.2, endless."""
    hello = hello13()
    start = raw.record(HANDSHAKE, hello.message(), 0x0301)
    with service.client() as client:
        client.hello, client.transcript = hello, hello.message()
        client.send(start + garbage(64))
        client.read_flight13()
        assert client.read_end() == fatal("bad_record_mac")
    with early(service, garbage(1000)) as client:
        data = client.finished13()
        client.send_record(HANDSHAKE, data[:16])
        client.send(garbage(64))
        assert client.read_end() == fatal("bad_record_mac")
    old = hello12().put(42, b"")
    answer = raw.record(HANDSHAKE, old.message(), 0x0301) + garbage(64)
    with service.client() as client:
        client.hello, client.transcript = old, old.message()
        client.send(answer)
        client.read_flight12()
        assert client.read_end() == fatal("unexpected_message")
    with early(service, garbage(64)) as client:
        for _ in range(20):
            client.send(garbage(16384))
        end = client.read_end()
        assert end.fatal and end.how == "closed", str(end)
