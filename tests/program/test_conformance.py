"""What TLS says that a server must do with clients that break its rules, or use them to
the last: hellos, by the thousand, and the bounds of what a client may cost.

A row says what is sent, what must come back, and where that is written. The messages and
records after the hello are in test_conformance_tls12.py and test_conformance_tls13.py;
docs/CONFORMANCE.md tells what is covered and where the answer differs from what some
clients expect.
"""

import os
import random

import pytest

from lab import config as conf
from lab import rawtls as raw
from lab.clients import execute
from lab.backends import Backend, echo
from lab.deadline import wait_until
from lab.hello import numbers, vector
from lab.probing import CACHED, ECDHE, SCSV, WWW, check, fatal, lists, share, psk, twice
from lab.rawtls import Client, Hello, hello12, hello13, offer
from lab.terminator import open_files, worker_of
from lab.tlswire import HANDSHAKE, RETRY_RANDOM, TLS12, ClientHello, WireError


def well_formed(body):
    """Whether an independent reader can read the outer form of a hello's body."""
    try:
        hello = ClientHello.parse(body)
    except WireError:
        return False
    size = 2 + 32 + 1 + len(hello.session_id)
    suites = int.from_bytes(body[size : size + 2], "big")
    return len(hello.session_id) <= 32 and suites >= 2 and body[size + 2 + suites] >= 1


# --- hellos that cannot be read (RFC 5246 7.4.1.2, RFC 8446 4.1.2: decode_error) ---

FORMS = {
    "tls12": lambda: hello12(ticket=b"", suites=(*ECDHE, *SCSV)).put(16, raw.alpn(b"h2")),
    "tls13": hello13,
    "bare": lambda: Hello(block=False),
    "empty-block": Hello,
}
form = pytest.mark.parametrize("form", FORMS)


@form
def test_every_truncation_of_a_hello(form, service):
    """Each shorter body under an honest length."""
    body = FORMS[form]().body()

    def rows():
        for size in range(len(body)):
            cut = body[:size]
            if not well_formed(cut):
                yield f"{size} bytes", service.ask(raw.message(1, cut)), fatal("decode_error")

    check(rows())


@form
@pytest.mark.parametrize("byte", [0, 0xFF])
def test_every_padding_of_a_hello(form, byte, service):
    """Bytes behind the last field, up to more than a hello can have."""
    body = FORMS[form]().body()

    def rows():
        for count in (*range(1, 40), 255, 256, 4096, 16384, 65536, 131072, 140000):
            padded = body + bytes([byte]) * count
            if not well_formed(padded):
                yield f"{count} bytes", service.ask(raw.message(1, padded)), fatal("decode_error")

    check(rows())


def length_fields(body):
    """The places of all lengths in a hello's body: those of its fields, of its extensions,
    and what begins each extension's value."""
    at = 34
    places = [at]
    at += 1 + body[at]
    places += [at, at + 1]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    places.append(at)
    at += 1 + body[at]
    if at == len(body):
        return places
    places += [at, at + 1]
    at += 2
    while at < len(body):
        places += [at + 2, at + 3]
        at += 4 + int.from_bytes(body[at + 2 : at + 4], "big")
    return places


@form
def test_every_lie_about_a_length(form, service):
    """Each length byte with each other value: where that cannot be read, decode_error."""
    body = FORMS[form]().body()

    def rows():
        for place in length_fields(body):
            for value in range(256):
                lie = body[:place] + bytes([value]) + body[place + 1 :]
                if not well_formed(lie):
                    what = f"byte {place}: {value}"
                    yield what, service.ask(raw.message(1, lie)), fatal("decode_error")

    check(rows())


@pytest.mark.parametrize("form", ["tls12", "tls13"])
def test_every_byte_of_a_hello_turned(form, service):
    """Whatever it then says, there is an answer: a ServerHello or a fatal alert."""
    body = FORMS[form]().body()
    answers = set()
    for place in range(len(body)):
        for mask in (0x01, 0x80, 0xFF):
            turned = body[:place] + bytes([body[place] ^ mask]) + body[place + 1 :]
            answers.add(service.ask(raw.message(1, turned)))
    for answer in answers:
        assert answer == "ServerHello" or (answer.fatal and answer.how == "closed"), str(answer)
    assert "ServerHello" in answers and fatal("decode_error") in answers


def test_a_random_of_every_kind(service):
    """A random is no message: also the one that stands for HelloRetryRequest."""
    for value in (bytes(32), b"\xff" * 32, RETRY_RANDOM, b"DOWNGRD\1" * 4):
        assert service.ask(hello12(random=value)) == "ServerHello"
        assert service.ask(hello13(random=value)) == "ServerHello"


def test_lies_about_the_messages_length(service):
    """The handshake header says more than comes: the server waits. Less: the rest is no
    message of a client."""
    message = hello12().message()
    with service.client() as client:
        client.send(raw.record(HANDSHAKE, b"\1" + len(message).to_bytes(3, "big") + message[4:]))
        client.sock.settimeout(0.2)
        assert client.read_end().how == "silent"
        client.sock.settimeout(raw.WAIT_S)
        client.send(raw.record(HANDSHAKE, bytes(4)))
        assert client.read_end() == fatal("decode_error")
    for size in (131397, 1 << 20, (1 << 24) - 1):
        start = b"\1" + size.to_bytes(3, "big") + message[4:]
        assert service.ask(start) == fatal("decode_error"), size


# --- hellos that say what is not allowed ---

R14_IDS = [b"\x40" * size for size in range(33, 256)]


def test_session_ids_longer_than_32_bytes(service):
    """R14 (RFC 5246 7.4.1.2): decode_error."""
    check((len(i), service.ask(hello12(session_id=i)), fatal("decode_error")) for i in R14_IDS)
    check((len(i), service.ask(hello13(session_id=i)), fatal("decode_error")) for i in R14_IDS)


def test_message_types_that_are_no_hello(service):
    """RFC 8446 6.2: unexpected_message, for every type."""
    rest = hello12().message()[1:]
    kinds = [kind for kind in range(256) if kind != 1]
    check((k, service.ask(bytes([k]) + rest), fatal("unexpected_message")) for k in kinds)


def test_content_types_that_are_no_handshake(service):
    """RFC 8446 5: unexpected_message, for every type."""
    message = hello12().message()
    kinds = [kind for kind in range(256) if kind != HANDSHAKE]
    rows = [(k, service.probe(raw.record(k, message)), fatal("unexpected_message")) for k in kinds]
    check(rows)


def test_content_types_between_two_records_of_a_hello(service):
    """RFC 8446 5.1: no other records between the fragments of a message."""
    message = hello13().message()
    start = raw.record(HANDSHAKE, message[:2])
    kinds = [kind for kind in range(256) if kind != HANDSHAKE]

    def rows():
        for kind in kinds:
            for payload in (b"", b"\1", b"\1\0", bytes(64)):
                found = service.probe(start + raw.record(kind, payload))
                yield (kind, payload), found, fatal("unexpected_message")

    check(rows())


def test_record_versions(service):
    """RFC 8446 5.1: what the record says is ignored, but for the 3 that makes it TLS."""
    message = hello12().message()
    minors = [0x0300 + minor for minor in range(256)]
    check((v, service.probe(raw.record(HANDSHAKE, message, v)), "ServerHello") for v in minors)
    majors = [major << 8 | 1 for major in range(256) if major != 3]

    def rows():
        for version in majors:
            found = service.probe(raw.record(HANDSHAKE, message, version))
            yield version, found, fatal("unexpected_message")

    check(rows())


def test_client_versions_below_ours(service):
    """RFC 5246 E.1: protocol_version."""
    versions = [*range(0, 0x0303, 7), 0x0300, 0x0301, 0x0302, 0x0002, 0x0200]
    check((v, service.ask(hello12(version=v)), fatal("protocol_version")) for v in versions)


ABOVE = [0x0304, 0x0305, 0x0309, 0x03FF, 0x0401, 0x0603, 0xFEFE, 0xFFFF]


@pytest.mark.parametrize("version", ABOVE)
def test_client_versions_above_ours(version, service):
    """RFC 5246 E.1: the highest that the server has; RFC 8446 4.2.1: never TLS 1.3."""
    client = service.visit12(hello12(version=version))
    assert client.answer.version == TLS12


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("version", [0x0301, 0x0302, 0x0303, 0x0304])
def test_fallback_scsv(version, place, service):
    """RFC 7507 3: inappropriate_fallback, as TLS 1.3 could be had."""
    suites = [*ECDHE]
    suites.insert(place, 0x5600)
    found = service.ask(hello12(version=version, suites=tuple(suites)))
    assert found == fatal("inappropriate_fallback")


def test_fallback_scsv_with_tls13_means_nothing(service):
    """RFC 7507 3: the highest version is offered."""
    service.visit13(hello13(suites=(raw.AES_128_13, 0x5600)))


def sni(value):
    return lambda: hello12().put(0, value)


def with_psk(*args, **more):
    def make():
        hello = hello13(**more)
        hello.extensions.append((raw.PRE_SHARED_KEY, psk(*args)))
        return hello

    return make


def psk_then(kind, value):
    def make():
        hello = with_psk()()
        hello.extensions.append((kind, value))
        return hello

    return make


def put12(kind, value):
    return lambda: hello12().put(kind, value)


def put13(kind, value):
    return lambda: hello13().put(kind, value)


def only_p256(point):
    return lambda: hello13(groups=(raw.P256,)).put(51, share((raw.P256, point)))


NOT_NULL = bytes(range(1, 256))
NO_SHARE = (0x001E, os.urandom(56))  # x448, which nobody has here

# What is sent, what comes back (an alert, or a message), where it is written.
HELLOS = [
    # fields
    ("no suites", lambda: hello12(suites=()), "decode_error", "RFC 5246 7.4.1.2"),
    ("no known suite", lambda: hello12(suites=(0x0000, 0x5A5A)), "handshake_failure", "8446 4.1.1"),
    ("only the SCSV", lambda: hello12(suites=SCSV), "handshake_failure", "RFC 5246 7.4.1.3"),
    ("TLS 1.2 suites in TLS 1.3", lambda: hello13(suites=ECDHE), "handshake_failure", "8446 4.1.1"),
    ("no TLS 1.3 suite", lambda: hello13(suites=(0x13FF,)), "handshake_failure", "8446 4.1.1"),
    ("no compression", lambda: hello12(compression=b""), "decode_error", "RFC 5246 7.4.1.2"),
    ("only deflate", lambda: hello12(compression=b"\1"), "illegal_parameter", "RFC 5246 7.4.1.2"),
    ("all but null", lambda: hello12(compression=NOT_NULL), "illegal_parameter", "same"),
    ("null last", lambda: hello12(compression=NOT_NULL[1:] + b"\0"), "ServerHello", "same"),
    ("deflate in TLS 1.3", lambda: hello13(compression=b"\1\0"), "illegal_parameter", "8446 4.1.2"),
    ("deflate alone in TLS 1.3", lambda: hello13(compression=b"\1"), "illegal_parameter", "same"),
    # server_name
    ("SNI: empty value", sni(b""), "decode_error", "RFC 6066 3"),
    ("SNI: empty list", sni(b"\0\0"), "decode_error", "RFC 6066 3"),
    ("SNI: empty name", sni(raw.server_name(b"")), "decode_error", "RFC 6066 3"),
    ("SNI: list too long", sni(b"\xff" * 4), "decode_error", "RFC 6066 3"),
    ("SNI: trailing byte", sni(raw.server_name(b"e") + b"x"), "decode_error", "RFC 6066 3"),
    ("SNI: NUL", sni(raw.server_name(b"www.example\0.com")), "illegal_parameter", "RFC 6066 3"),
    ("SNI: NUL at the end", sni(raw.server_name(WWW + b"\0")), "illegal_parameter", "RFC 6066 3"),
    ("SNI: BEL", sni(raw.server_name(b"www.example\7.com")), "illegal_parameter", "RFC 6066 3"),
    ("SNI: line feed", sni(raw.server_name(b"www.example\n.com")), "illegal_parameter", "same"),
    ("SNI: UTF-8", sni(raw.server_name("w\u0105.example".encode())), "illegal_parameter", "same"),
    ("SNI: escape", sni(raw.server_name(WWW + b"\x1b[31m")), "illegal_parameter", "RFC 6066 3"),
    ("SNI: 255 bytes", sni(raw.server_name(b"a" * 255)), "ServerHello", "RFC 6066 3"),
    ("SNI: 256 bytes", sni(raw.server_name(b"a" * 256)), "unrecognized_name", "RFC 1035 2.3.4"),
    ("SNI: 60000 bytes", sni(raw.server_name(b"a" * 60000)), "unrecognized_name", "same"),
    (
        "SNI: two names",
        sni(vector(2, b"\0" + vector(2, WWW) + b"\0" + vector(2, CACHED))),
        "illegal_parameter",
        "RFC 6066 3",
    ),
    ("SNI: twice", twice(0, raw.server_name(WWW)), "illegal_parameter", "RFC 5246 7.4.1.4"),
    # RFC 6066 would have other types passed over; AWS-LC knows none (docs/CONFORMANCE.md)
    ("SNI: another type", sni(raw.server_name(WWW, kind=1)), "decode_error", "RFC 6066 3"),
    ("SNI: none", lambda: hello12(name=None), "ServerHello", "RFC 6066 3: the default profile"),
    # any extension
    ("extension twice", twice(0x7777, b""), "illegal_parameter", "RFC 5246 7.4.1.4"),
    ("extension twice, TLS 1.3", twice(0xFFFE, b"", hello13), "illegal_parameter", "8446 4.2"),
    ("known one twice", twice(35, b""), "illegal_parameter", "RFC 5246 7.4.1.4"),
    ("unknown ones", lambda: put13(0x0A0A, b"\0" * 300)().put(0xFFFF, b""), "ServerHello", "4.2"),
    ("ticket request: empty", put13(58, b""), "decode_error", "RFC 9149 3"),
    ("ticket request: of three", put13(58, b"\1\1\1"), "decode_error", "RFC 9149 3"),
    ("ticket request: empty, TLS 1.2", put12(58, b""), "ServerHello", "RFC 9149 1: TLS 1.3's"),
    # supported_groups and shares
    ("groups: empty value", put12(10, b""), "decode_error", "RFC 8422 5.1.1"),
    ("groups: empty list", put12(10, b"\0\0"), "decode_error", "RFC 8422 5.1.1"),
    ("groups: odd", put12(10, b"\0\3\0\x1d\0"), "decode_error", "RFC 8422 5.1.1"),
    ("groups: trailing", put12(10, b"\0\2\0\x1d\0"), "decode_error", "RFC 8422 5.1.1"),
    ("groups: none known", put12(10, vector(2, b"\x5a\x5a")), "handshake_failure", "8422 4"),
    ("groups: none in TLS 1.3", lambda: hello13().drop(10), "missing_extension", "8446 9.2"),
    ("shares: none in TLS 1.3", lambda: hello13().drop(51), "missing_extension", "8446 9.2"),
    ("shares: empty value", put13(51, b""), "decode_error", "8446 4.2.8"),
    ("shares: empty list", put13(51, b"\0\0"), "HelloRetryRequest", "8446 4.2.8"),
    ("shares: unknown group", put13(51, share(NO_SHARE)), "HelloRetryRequest", "8446 4.1.4"),
    ("shares: trailing", put13(51, share(NO_SHARE) + b"\0"), "decode_error", "8446 4.2.8"),
    ("shares: cut", put13(51, b"\0\5\0\x1d\0\x20a"), "decode_error", "8446 4.2.8"),
    ("shares: empty x25519", put13(51, b"\0\4\0\x1d\0\0"), "decode_error", "8446 4.2.8"),
    ("shares: x25519 of 31", put13(51, share((29, bytes(31)))), "illegal_parameter", "4.2.8.2"),
    ("shares: x25519 of 33", put13(51, share((29, bytes(33)))), "illegal_parameter", "4.2.8.2"),
    ("shares: x25519 of zeros", put13(51, share((29, bytes(32)))), "illegal_parameter", "7.4.2"),
    ("shares: no point", only_p256(b"\4" + b"a" * 64), "illegal_parameter", "4.2.8.2"),
    ("shares: infinity", only_p256(b"\0"), "illegal_parameter", "8446 4.2.8.2"),
    ("shares: compressed", only_p256(b"\2" + b"a" * 32), "illegal_parameter", "same"),
    (
        "shares: one group twice",
        put13(51, share((29, os.urandom(32)), (29, os.urandom(32)))),
        "illegal_parameter",
        "8446 4.2.8",
    ),
    # signature_algorithms
    ("signatures: none in TLS 1.3", lambda: hello13().drop(13), "missing_extension", "8446 4.2.3"),
    ("signatures: empty value", put13(13, b""), "decode_error", "8446 4.2.3"),
    ("signatures: empty list", put13(13, b"\0\0"), "decode_error", "8446 4.2.3"),
    ("signatures: odd", put13(13, b"\0\3\4\3\4"), "decode_error", "8446 4.2.3"),
    ("signatures: trailing", put13(13, b"\0\2\4\3\0"), "decode_error", "8446 4.2.3"),
    ("signatures: none known", put13(13, b"\0\2\xfe\xfe"), "handshake_failure", "8446 4.4.2.2"),
    ("signatures: empty, TLS 1.2", put12(13, b"\0\0"), "decode_error", "RFC 5246 7.4.1.4.1"),
    ("signatures: odd, TLS 1.2", put12(13, b"\0\3\4\3\4"), "decode_error", "same"),
    ("point formats: empty", put12(11, b"\0"), "decode_error", "RFC 8422 5.1.2"),
    ("point formats: no list", put12(11, b""), "decode_error", "RFC 8422 5.1.2"),
    ("point formats: empty, TLS 1.3", put13(11, b"\0"), "ServerHello", "8446 4.2: not its own"),
    ("point formats: no uncompressed", put12(11, b"\1\1"), "illegal_parameter", "RFC 8422 5.1.2"),
    # supported_versions
    ("versions: empty value", put13(43, b""), "decode_error", "8446 4.2.1"),
    ("versions: empty list", put13(43, b"\0"), "decode_error", "8446 4.2.1"),
    ("versions: odd", put13(43, b"\3\3\4\3"), "decode_error", "8446 4.2.1"),
    ("versions: trailing", put13(43, lists(0x0304) + b"\0"), "decode_error", "8446 4.2.1"),
    ("versions: only TLS 1.8", put13(43, lists(0x0309)), "protocol_version", "8446 4.2.1"),
    ("versions: only SSL 3.0", put13(43, lists(0x0300)), "protocol_version", "8446 4.2.1"),
    ("versions: TLS 1.8 and 1.1", put13(43, lists(0x0309, 0x0302)), "protocol_version", "4.2.1"),
    ("versions: 127 of them", put13(43, lists(*range(0x6000, 0x607E), 0x0304)), "ServerHello", "1"),
    ("versions: a draft", put13(43, lists(0x7F1C)), "protocol_version", "8446 4.2.1"),
    # ALPN
    ("ALPN: empty value", put12(16, b""), "decode_error", "RFC 7301 3.1"),
    ("ALPN: empty list", put12(16, b"\0\0"), "decode_error", "RFC 7301 3.1"),
    ("ALPN: empty name", put12(16, raw.alpn(b"")), "decode_error", "RFC 7301 3.1"),
    ("ALPN: empty name last", put12(16, raw.alpn(b"h2", b"")), "decode_error", "RFC 7301 3.1"),
    ("ALPN: empty name first", put12(16, raw.alpn(b"", b"h2")), "decode_error", "RFC 7301 3.1"),
    ("ALPN: list too short", put12(16, b"\0\3\2h2\2h2"), "decode_error", "RFC 7301 3.1"),
    ("ALPN: list too long", put12(16, b"\0\x09\2h2"), "decode_error", "RFC 7301 3.1"),
    ("ALPN: a prefix", put12(16, raw.alpn(b"http/1.")), "no_application_protocol", "RFC 7301 3.2"),
    ("ALPN: longer", put12(16, raw.alpn(b"http/1.1 ")), "no_application_protocol", "RFC 7301 3.2"),
    ("ALPN: case", put12(16, raw.alpn(b"H2")), "no_application_protocol", "RFC 7301 3.2"),
    ("ALPN: TLS 1.3", put13(16, raw.alpn(b"spdy")), "no_application_protocol", "RFC 7301 3.2"),
    ("ALPN: one of many", put12(16, raw.alpn(b"x", b"http/1.", b"http/1.1")), "ServerHello", "3.2"),
    ("ALPN: 255 bytes", put12(16, raw.alpn(b"A" * 255, b"h2")), "ServerHello", "RFC 7301 3.1"),
    # others of TLS 1.2
    ("EMS: not empty", put12(23, b"\0"), "decode_error", "RFC 7627 5.1"),
    ("renegotiation: no length", put12(0xFF01, b""), "decode_error", "RFC 5746 3.2"),
    ("renegotiation: not empty (R20)", put12(0xFF01, b"\1a"), "handshake_failure", "RFC 5746 3.6"),
    ("renegotiation: trailing", put12(0xFF01, b"\0\0"), "decode_error", "RFC 5746 3.2"),
    ("status_request: empty", put12(5, b""), "decode_error", "RFC 6066 8"),
    # TLS 1.3's, malformed, in a hello of TLS 1.2: they mean nothing there, but for those
    # that are read before a version is known
    ("TLS 1.2 with a bad share", put12(51, b"\0"), "ServerHello", "8446 4.2: of no meaning"),
    ("TLS 1.2 with modes of nothing", put12(45, b"\0"), "decode_error", "8446 4.2.9"),
    ("TLS 1.2 with early_data", put12(42, b""), "ServerHello", "8446 4.2"),
    ("TLS 1.2 with a long early_data", put12(42, bytes(4)), "decode_error", "8446 4.2.10"),
    # psk_key_exchange_modes, pre_shared_key
    ("modes: empty value", put13(45, b""), "decode_error", "8446 4.2.9"),
    ("modes: empty list", put13(45, b"\0"), "decode_error", "8446 4.2.9"),
    ("modes: trailing", put13(45, b"\1\1\1"), "decode_error", "8446 4.2.9"),
    ("modes: unknown ones", put13(45, b"\3\5\6\7"), "ServerHello", "8446 4.2.9"),
    ("PSK without modes (R23)", with_psk(modes=None), "missing_extension", "8446 4.2.9"),
    ("PSK: no identity (R22)", with_psk((), (bytes(32),)), "decode_error", "8446 4.2.11"),
    ("PSK: no binder (R22)", with_psk(((b"a", 0),), ()), "decode_error", "8446 4.2.11"),
    ("PSK: empty identity", with_psk(((b"", 0),)), "decode_error", "8446 4.2.11"),
    ("PSK: binder of 31 (R22)", with_psk(((b"a", 0),), (bytes(31),)), "decode_error", "4.2.11"),
    ("PSK: binder of 0 (R22)", with_psk(((b"a", 0),), (b"",)), "decode_error", "8446 4.2.11"),
    (
        "PSK: a binder too many (R22)",
        with_psk(((b"a", 0),), (bytes(32), bytes(32))),
        "illegal_parameter",
        "8446 4.2.11",
    ),
    (
        "PSK: a binder too few (R22)",
        with_psk(((b"a", 0), (b"b", 0)), (bytes(32),)),
        "illegal_parameter",
        "8446 4.2.11",
    ),
    ("PSK not last (R22)", psk_then(0x7777, b""), "illegal_parameter", "8446 4.2.11"),
    ("PSK not last: padding (R22)", psk_then(21, bytes(9)), "illegal_parameter", "8446 4.2.11"),
    ("PSK twice (R22)", psk_then(41, psk()), "illegal_parameter", "8446 4.2.11"),
    ("PSK of nobody", with_psk(), "ServerHello", "8446 4.2.11: a full handshake"),
    ("PSK of nobody, binder of 255", with_psk(((b"a", 0),), (bytes(255),)), "ServerHello", "same"),
    ("cookie unasked for", put13(44, vector(2, b"crumbs")), "ServerHello", "8446 4.2.2"),
]


@pytest.mark.parametrize(
    "make, expected", [row[1:3] for row in HELLOS], ids=[row[0] for row in HELLOS]
)
def test_a_hello(make, expected, service):
    hello = make()
    if expected == "HelloRetryRequest":
        with service.client() as client:
            client.send_hello(hello)
            assert client.read_hello13().is_retry
        return
    found = service.ask(hello)
    assert found == (expected if expected == "ServerHello" else fatal(expected)), str(found)


# --- SSL 2.0, and what is no TLS ---


def sslv2_hello(version=0x0303, suites=(0xC02F, 0x00FF), session_id=b"", challenge=bytes(32)):
    specs = b"".join(b"\0" + suite.to_bytes(2, "big") for suite in suites)
    body = b"\1" + version.to_bytes(2, "big")
    body += b"".join(len(part).to_bytes(2, "big") for part in (specs, session_id, challenge))
    body += specs + session_id + challenge
    return (0x8000 | len(body)).to_bytes(2, "big") + body


NOT_TLS = {
    "sslv2": sslv2_hello(),
    "sslv2, version 2": sslv2_hello(version=2),
    "sslv2, TLS 1.3": sslv2_hello(version=0x0304, suites=(0x1301,)),
    "sslv2, many suites": sslv2_hello(suites=tuple(range(0x0A00, 0x0B00))),
    "sslv2, empty record": b"\x80\0" + b"\4\1\0\0\0" + b"\xff" * 251,
    "sslv2, one byte": b"\x80\1\1",
    "http": b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(1000),
    "dtls": b"\x16\xfe\xfd" + bytes(10),
    "noise": b"\xf0" + random.Random(1).randbytes(100000),
}


@pytest.mark.parametrize("data", NOT_TLS.values(), ids=NOT_TLS.keys())
def test_what_is_no_tls_is_told_so(data, service):
    """An alert that arrives, and the end of the stream: no reset, however much was sent."""
    assert service.probe(data) == fatal("unexpected_message")


# --- how a hello may come ---


@pytest.mark.parametrize("form", ["tls12", "tls13"])
def test_a_hello_in_records_of_every_size(form, service):
    """RFC 8446 5.1: a message may be fragmented anywhere."""
    make = FORMS[form]
    sizes = range(1, len(make().message()) + 1)

    def rows():
        for size in sizes:
            with service.client() as client:
                client.send_hello(make(), size)
                yield size, client.read_message()[0], raw.SERVER_HELLO

    check(rows())


@pytest.mark.parametrize(
    "padding, size", [(1024, 1), (1800, 1), (4096, 20), (1024, 127), (40000, 100), (65000, 16384)]
)
def test_a_long_hello_in_small_records(padding, size, service):
    """In both versions, to application data and back."""
    with service.client() as client:
        client.start12(hello12().put(21, bytes(padding)), size=size).finish12().echo().close()
    with service.client() as client:
        client.start13(hello13().put(21, bytes(padding)), size=size).finish13().echo().close()


def test_a_hello_in_more_records_than_we_take(service):
    """2048 records hold it, a bound of ours (wire/limits.h): told by an alert."""
    hello = hello12().put(21, bytes(2500))
    with service.client() as client:
        client.send_hello(hello, 1)
        assert client.read_end() == fatal("decode_error")


LONG = [
    *range(10),
    *range(0x1FF0, 0x2010, 3),
    *range(16384 - 180, 16384 - 100),
    *range(0x3FF0, 0x4010),
    *range(0x8FF0, 0x9010, 3),
    *range(0xFF00, 0xFF40),
]


@pytest.mark.parametrize("kind", [21, 0x7777], ids=["padding", "unknown"])
def test_long_hellos(kind, service):
    """RFC 8446 4.2: an extension may be as long as the block; hellos around each bound."""
    check((n, service.ask(hello12().put(kind, bytes(n))), "ServerHello") for n in LONG)
    check((n, service.ask(hello13().put(kind, bytes(n))), "ServerHello") for n in LONG)


def test_hellos_with_many_suites(service):
    """Up to all 32767 that the field holds (RFC 5246 7.4.1.2)."""
    known = (*ECDHE, *SCSV)
    counts = [*range(1, 6), 2045, 8000, 8191, 8192, 16384, 32000, 32767 - len(known)]
    unknown = [suite for suite in range(0x0D00, 0x8E00) if suite != 0x5600]

    def rows():
        for count in counts:
            suites = (*unknown[:count], *known)
            yield count, service.ask(hello12(suites=suites)), "ServerHello"
            odd = hello12(suites=suites).put(21, b"\0")
            yield f"{count}, odd", service.ask(odd), "ServerHello"

    check(rows())


@pytest.mark.parametrize("count", [31, 32, 64, 65, 127, 128, 129, 130, 256, 1024, 4086, 16000])
def test_hellos_with_many_extensions(count, service):
    """What counts is recognised behind as many others as the block holds; none of them is
    answered (RFC 8446 4.2)."""
    many = [(kind, b"") for kind in range(90, 90 + count)]
    hello = hello12(suites=ECDHE)
    hello.extensions = many + hello.extensions + [(0xFF01, b"\0")]
    client = service.visit12(hello)
    assert set(client.answer.extensions) <= {0, 11, 23, 0xFF01}
    assert 0xFF01 in client.answer.extensions
    hello = hello13()
    hello.extensions = many + hello.extensions
    client = service.visit13(hello)
    assert set(client.answer.extensions) == {43, 51}


# Types that are read, by us or by AWS-LC, in one version or both.
READ = {0, 5, 10, 11, 13, 16, 18, 23, 35, *range(41, 52), 58, 0xFE0D, 0xFF01}


@pytest.mark.parametrize("make", [hello12, hello13])
def test_every_type_of_extension(make, service):
    """RFC 8446 4.2: what is not known is passed over, empty or not. docs/CONFORMANCE.md
    names those that are read."""
    kinds = [kind for kind in range(65536) if kind not in READ]
    rng = random.Random(4)

    def rows():
        for at in range(0, len(kinds), 1024):
            chunk = kinds[at : at + 1024]
            for most in (0, 40):
                hello = make()
                values = [(kind, rng.randbytes(rng.randint(0, most))) for kind in chunk]
                hello.extensions = values + hello.extensions
                yield f"{chunk[0]} to {chunk[-1]}", service.ask(hello), "ServerHello"

    check(rows())


@pytest.mark.parametrize("kind", [27, 34, 57, 13172, 17513, 17613])
def test_extensions_that_we_do_not_do(kind, service):
    """RFC 8446 4.1.2: passed over, whatever is in them, and both versions go on to the end."""
    for value in (b"", b"\0", b"\1", b"\2\0\2", os.urandom(200)):
        client = service.visit12(hello12(ticket=b"").put(kind, value))
        assert kind not in client.answer.extensions
        session = service.visit13(hello13().put(kind, value)).session
        again = offer(hello13().put(kind, value), session)
        assert service.visit13(again, session).resumed


def test_the_longest_hello(service):
    """Every field as long as it can be: 131,396 bytes."""
    hello = hello12(session_id=bytes(32), compression=bytes(range(255)))
    unknown = [suite for suite in range(0x0D00, 0x8E00) if suite != 0x5600]
    known = (*ECDHE, *SCSV)
    hello.suites = (*unknown[: 32767 - len(known)], *known)
    names = [b"A" * 255] * 200 + [b"http/1.1"]
    hello.put(16, raw.alpn(*names))
    hello.put(21, b"")
    hello.put(21, bytes(65535 - len(raw.pack(hello.extensions))))
    assert len(hello.body()) == 131396
    client = service.visit12(hello)
    assert client.answer.extensions[16] == raw.alpn(b"http/1.1")


def test_a_long_hello_gets_no_further_than_others(service):
    """What lets the library read it (it takes long messages where it awaits client
    certificates) leaves no trace: none is asked for, and where one is required, it is."""
    for padding in (0, 40000):
        client = service.visit12(hello12().put(21, bytes(padding)))
        assert "CertificateRequest" not in client.messages
        client = service.visit13(hello13().put(21, bytes(padding)))
        assert "CertificateRequest" not in client.messages
        with service.client() as client:
            client.start12(hello12(name=b"localhost").put(21, bytes(padding)))
            assert "CertificateRequest" in client.messages
            client.send_message(raw.message(raw.CERTIFICATE, vector(3, b"")))
            assert client.read_end().alert in ("handshake_failure", "certificate_required")
        with service.client() as client:
            client.start13(hello13(name=b"localhost").put(21, bytes(padding)))
            assert "CertificateRequest" in client.messages
            client.send_message(raw.message(raw.CERTIFICATE, b"\0" + vector(3, b"")))
            assert client.read_end() == fatal("certificate_required")


def test_groups_and_signatures_that_nobody_knows(service):
    """RFC 8446 4.2.7, 8701: as many as fit, ours among them."""
    unknown = [n for n in range(0x5000, 0xD000) if n not in raw.SIGNATURES][:30000]
    groups = vector(2, numbers([*unknown, raw.X25519]))
    signatures = vector(2, numbers([*unknown, *raw.SIGNATURES]))
    service.visit13(hello13().put(10, groups))
    service.visit13(hello13().put(13, signatures))
    service.visit12(hello12().put(13, signatures))
    service.visit12(hello12().put(10, vector(2, numbers([*unknown[:20000], raw.P256]))))


def test_extensions_in_any_order(service):
    """RFC 8446 4.2: but for pre_shared_key, which is last."""
    rng = random.Random(7)
    session = service.visit13().session
    for _ in range(40):
        hello = hello13()
        rng.shuffle(hello.extensions)
        client = service.visit13(offer(hello, session), session)
        assert client.resumed
        hello = hello12(ticket=b"")
        rng.shuffle(hello.extensions)
        service.visit12(hello)


# --- bounds ---


def test_a_client_that_stays_after_its_alert(terminator, backends, certs):
    """The socket is kept for a while, so that the alert arrives; not for ever, and not for
    ever more of them (proxy/linger.h)."""
    config = conf.service(conf.profile(certs.ecdsa), conf.pool(backends(Backend(echo))), workers=1)
    service = terminator(config)
    other = Client(service.address())
    worker = worker_of(service, other)
    before = open_files(worker)
    clients = [other]
    for _ in range(400):
        client = Client(service.address())
        client.send(b"\x16\3\1\0\4\2\0\0\0")
        clients.append(client)
    answers = {client.read_end() for client in clients[1:]}
    assert answers == {fatal("unexpected_message")}
    held = open_files(worker) - before
    assert 0 < held <= 256
    wait_until("the sockets are closed", lambda: open_files(worker) <= before)
    for client in clients:
        client.sock.close()


def test_a_client_that_goes_on_sending_after_its_alert(service):
    """A megabyte is taken in, then the socket is closed."""
    with service.client() as client:
        client.send(b"\x16\3\1\0\4\2\0\0\0" + bytes(900000))
        assert client.read_end() == fatal("unexpected_message")

        def ended():
            try:
                client.sock.sendall(bytes(65536))
            except OSError:
                return True
            return False

        wait_until("the socket is closed", ended)


def test_many_large_hellos_at_once(terminator, backends, certs):
    """A worker holds 32 MB of incomplete large hellos: what is more is refused with an
    alert, small hellos go on, and when they are gone large ones are taken again."""
    config = conf.service(conf.profile(certs.ecdsa), conf.pool(backends(Backend(echo))), workers=1)
    service = terminator(config)
    large = hello12().put(21, bytes(65000))
    large.suites = (*range(0x0D00, 0x0D00 + 16000), *ECDHE)
    message = large.message()
    data = b"".join(
        raw.record(HANDSHAKE, message[at : at + 16384]) for at in range(0, len(message), 16384)
    )
    waiting = {}
    for _ in range(450):
        client = Client(service.address())
        client.send(data[:90000])
        waiting["%s:%d" % client.sock.getsockname()] = client

    def refused():
        return service.find("connection", close="no-memory")

    wait_until("some are refused", lambda: len(refused()) >= 150)
    for line in refused():
        assert waiting[line["client"]].read_end() == fatal("internal_error")
    assert len(refused()) < 250, "32 MB have room for more than 200 of them"
    with Client(service.address()) as client:
        client.handshake12().echo().close()
    for client in waiting.values():
        client.sock.close()
    wait_until("they are gone", lambda: len(service.find("connection")) > len(waiting))
    with Client(service.address()) as client:
        client.handshake12(large).echo().close()


# --- suites that are off unless they are asked for ---


@pytest.mark.parametrize(
    "suite", ["AES128-SHA", "AES256-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"]
)
def test_older_suites_can_be_turned_on(suite, terminator, backends, certs):
    """`ciphers` turns RSA key exchange and CBC on; without it they are refused."""
    ask = ["openssl", "s_client", "-tls1_2", "-cipher", suite + ":@SECLEVEL=0", "-brief"]
    for ciphers, status in ((f"ECDHE-RSA-AES128-GCM-SHA256:{suite}", 0), (None, 1)):
        profile = conf.profile(certs.rsa, ciphers=ciphers)
        service = terminator(conf.service(profile, conf.pool(backends(Backend(echo)))))
        where = "%s:%d" % service.address()
        output = execute([*ask, "-connect", where], stdin=b"", ok=(status,))
        assert (f"Ciphersuite: {suite}" in output) == (status == 0)
