"""`reprise inspect`: captures that this file makes, of handshakes between real TLS libraries,
and the verdicts, reasons and forms of print that they must give."""

import contextlib
import csv
import gzip
import json
import os
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

from lab.deadline import wait_until
from lab.pcap import (
    ACK,
    FIN,
    LINUX_SLL,
    LINUX_SLL2,
    NULL,
    RAW,
    RST,
    SYN,
    Capture,
    Connection,
    Packet,
    ethernet,
    ethertype,
    ip_packet,
    shift,
    swap,
)
from lab.terminator import binary

TOP = Path(__file__).resolve().parent.parent.parent
CAPTURES = Path(os.environ.get("REPRISE_CAPTURES", TOP.parent / "shared" / "captures"))
NAME = "www.example.com"


def inspect(*args, ok=0, stdin=None, **environment):
    done = subprocess.run(
        [binary(), "inspect", *map(str, args)],
        input=stdin,
        capture_output=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == ok, (done.returncode, done.stderr.decode())
    assert b"Sanitizer" not in done.stderr, done.stderr.decode()
    return done.stdout.decode()


def streams(*args, **more):
    """The streams of --json, by their number."""
    document = json.loads(inspect("--json", *args, **more))
    assert document["schema"] == "reprise-inspect" and document["version"] == 1
    return {stream["stream"]: stream for stream in document["streams"]}


class Talk:
    """A connection between two of Python's TLS objects, in memory, with its bytes."""

    def __init__(self, client_context, server_context, name=NAME, session=None, data=True):
        self.client, self.server, self.events = bytearray(), bytearray(), []
        ends = {}
        for who in ("client", "server"):
            ends[who] = (ssl.MemoryBIO(), ssl.MemoryBIO())
        client = client_context.wrap_bio(*ends["client"], server_hostname=name, session=session)
        server = server_context.wrap_bio(*ends["server"], server_side=True)
        self.ends, self.tls = ends, {"client": client, "server": server}
        done = {"client": False, "server": False}
        for _ in range(20):
            for who in ("client", "server"):
                if not done[who]:
                    try:
                        self.tls[who].do_handshake()
                        done[who] = True
                    except ssl.SSLWantReadError:
                        pass
                self.flush(who)
        assert all(done.values())
        if data:
            self.say("client", b"GET / HTTP/1.0\r\n\r\n")
            self.say("server", b"HTTP/1.0 200 OK\r\n\r\nhello")
        self.session, self.reused = client.session, client.session_reused

    def flush(self, who):
        other = "server" if who == "client" else "client"
        data = self.ends[who][1].read()
        if data:
            getattr(self, who).extend(data)
            self.events.append((who, len(data)))
            self.ends[other][0].write(data)

    def say(self, who, data):
        other = "server" if who == "client" else "client"
        self.tls[who].write(data)
        self.flush(who)
        self.tls[other].read(65536)

    def packets(self, **more):
        return Connection(self.client, self.server, self.events, **more).packets


class World:
    """Contexts for clients and servers of one test."""

    def __init__(self, certs, folder):
        self.certs, self.key_log = certs, folder / "keys.log"

    def server(self, version="1.2", tickets=True, ciphers=None, number=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certs.ecdsa.chain_file, self.certs.ecdsa.key_file)
        self.limit(context, version)
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
        if ciphers:
            context.set_ciphers(ciphers)
        if number is not None:
            context.num_tickets = number
        return context

    def client(self, version="1.2", tickets=True, ciphers=None, log=False):
        context = ssl.create_default_context(cafile=str(self.certs.authority.file))
        self.limit(context, version)
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
        if ciphers:
            context.set_ciphers(ciphers)
        if log:
            context.keylog_filename = str(self.key_log)
        return context

    @staticmethod
    def limit(context, version):
        first, last = version if isinstance(version, tuple) else (version, version)
        versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        context.minimum_version, context.maximum_version = versions[first], versions[last]


@pytest.fixture
def world(certs, tmp_path):
    return World(certs, tmp_path)


@pytest.fixture
def capture_file(tmp_path):
    """Writes connections, each a list of Packets or a Talk, and inspects them."""

    def make(*connections, form="pcap", link=None, name="capture", **more):
        capture = link or Capture()
        for number, connection in enumerate(connections):
            if isinstance(connection, Talk):
                connection = connection.packets(
                    client_end=("10.0.0.1", 40000 + number), start_s=1_700_000_000 + 10 * number
                )
            capture.add(connection)
        return capture.write(tmp_path / f"{name}.{form}", form, **more)

    return make


def twice(world, version="1.2", tickets=True, **more):
    """A new session and one that resumes it."""
    client, server = world.client(version, tickets, **more), world.server(version, tickets)
    first = Talk(client, server)
    second = Talk(client, server, session=first.session)
    assert second.reused
    return first, second


def reasons(stream):
    return {(finding["reason"], finding["certainty"]) for finding in stream["why"]}


# --- verdicts ---


def test_a_session_resumed_by_its_id(world, capture_file):
    got = streams(capture_file(*twice(world, tickets=False)))
    assert [got[0]["verdict"], got[1]["verdict"]] == ["new", "resumed-by-session-id"]
    offer = got[1]["handshakes"][0]["client_hello"]["session_id"]
    assert offer["issued"]["stream"] == 0
    assert offer["bytes"] == got[0]["handshakes"][0]["server_hello"]["session_id"]["bytes"]
    assert got[1]["filter"] == "tcp.stream eq 1"


def test_a_session_resumed_by_its_ticket(world, capture_file):
    got = streams(capture_file(*twice(world)))
    assert [got[0]["verdict"], got[1]["verdict"]] == ["new", "resumed-by-ticket"]
    issued = got[0]["handshakes"][0]["ticket_issued"]
    offered = got[1]["handshakes"][0]["client_hello"]["ticket"]
    assert offered["key_name"] == issued["key_name"]
    assert offered["issued"]["frame"] == issued["frame"]
    assert 9 < offered["issued"]["age_s"] < 11


def test_a_session_resumed_by_its_psk(world, capture_file):
    got = streams(capture_file(*twice(world, "1.3")))
    assert [got[0]["verdict"], got[1]["verdict"]] == ["new", "resumed-by-psk"]
    assert got[0]["compatibility_session_id"] and got[0]["offered"] == "none"
    assert "issued" not in got[1]["handshakes"][0]["client_hello"]["psk"]


def test_a_key_log_shows_where_a_psk_was_issued(world, capture_file):
    path = capture_file(*twice(world, "1.3", log=True))
    got = streams("--keylog", world.key_log, path)
    issued = got[1]["handshakes"][0]["client_hello"]["psk"]["issued"]
    assert issued["stream"] == 0 and issued["lifetime_s"] == 7200
    assert got[0]["handshakes"][0]["tickets_issued"] == 2
    messages = [m["message"].split(" (")[0] for m in got[0]["messages"] if m["decrypted"]]
    assert messages[:4] == ["Encrypted Extensions", "Certificate", "Certificate Verify", "Finished"]
    assert "New Session Ticket" in messages and "Application Data" in messages


@pytest.mark.parametrize("order", "<>")
def test_an_embedded_key_log_needs_no_option(world, capture_file, order):
    talks = twice(world, "1.3", log=True)
    path = capture_file(*talks, form="pcapng", key_log=world.key_log.read_text(), order=order)
    assert streams(path)[1]["handshakes"][0]["client_hello"]["psk"]["issued"]["stream"] == 0


@pytest.mark.parametrize(
    "ciphers", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
                "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA"]
)
def test_a_key_log_opens_tls_1_2(world, capture_file, ciphers):
    talk = Talk(world.client(ciphers=ciphers, log=True), world.server(ciphers=ciphers))
    got = streams("--keylog", world.key_log, capture_file(talk))
    names = [m["message"].split(" (")[0] for m in got[0]["messages"]]
    assert names.count("Finished") == 2
    assert all(m["decrypted"] for m in got[0]["messages"] if "Application Data" in m["message"])


def test_a_compatibility_session_id_is_no_offer(world, capture_file):
    talk = Talk(world.client(("1.2", "1.3")), world.server("1.2"))
    got = streams(capture_file(talk))
    assert got[0]["verdict"] == "new" and got[0]["compatibility_session_id"]


def test_early_data_is_told(capture_file, world, tmp_path):
    first, second = twice(world, "1.3")
    # Python has no early data: the extension is put into the hello by hand.
    hello = bytearray(second.client[: second.events[0][1]])
    record = int.from_bytes(hello[3:5], "big")
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    hello[at : at + 2] = (int.from_bytes(hello[at : at + 2], "big") + 4).to_bytes(2, "big")
    hello[at + 2 : at + 2] = bytes.fromhex("002a0000")
    hello[3:5] = (record + 4).to_bytes(2, "big")
    hello[6:9] = (record).to_bytes(3, "big")
    early = b"\x17\x03\x03\x00\x20" + bytes(32)
    second.client[: second.events[0][1]] = hello + early
    second.events[0] = ("client", len(hello + early))
    got = streams(capture_file(first, second))
    assert got[1]["early_data"] == {"offered": True, "sent": True}
    assert got[1]["verdict"] == "resumed-by-psk"


# --- why not ---


def test_a_ticket_under_another_key(world, capture_file):
    client = world.client()
    old, new = world.server(), world.server()
    first = Talk(client, old)
    others = [Talk(client, new) for _ in range(2)]
    refused = Talk(client, new, session=first.session)
    assert not refused.reused
    got = streams(capture_file(first, *others, refused))
    assert got[3]["verdict"] == "refused-ticket"
    assert ("unknown-ticket-key", "likely") in reasons(got[3])
    text = " ".join(f["text"] for f in got[3]["why"])
    assert got[0]["handshakes"][0]["ticket_issued"]["key_name"] in text
    assert got[3]["handshakes"][0]["ticket_issued"]["key_name"] in text
    assert all(f["frames"] for f in got[3]["why"])


def test_a_ticket_that_has_expired(world, capture_file):
    client = world.client()
    first = Talk(client, world.server())
    refused = Talk(client, world.server(), session=first.session)
    later = refused.packets(client_end=("10.0.0.1", 40001), start_s=1_700_000_000 + 8000)
    got = streams(capture_file(first, later))
    assert ("expired", "likely") in reasons(got[1])
    text = next(f["text"] for f in got[1]["why"] if f["reason"] == "expired")
    assert "8000 seconds" in text and "lifetime of 7200 seconds" in text


def test_a_session_offered_under_another_name(world, capture_file):
    client = world.client()
    first = Talk(client, world.server())
    refused = Talk(client, world.server(), name="other.example.com", session=first.session)
    got = streams(capture_file(first, refused))
    assert ("other-server-name", "likely") in reasons(got[1])


def test_a_session_offered_to_another_address(world, capture_file):
    client = world.client(tickets=False)
    first = Talk(client, world.server(tickets=False))
    refused = Talk(client, world.server(tickets=False), session=first.session)
    elsewhere = refused.packets(client_end=("10.0.0.1", 40001), server_end=("10.0.0.3", 443))
    got = streams(capture_file(first, elsewhere))
    assert got[1]["verdict"] == "refused-session-id"
    assert ("other-address", "likely") in reasons(got[1])


def test_a_session_id_that_was_never_seen(world, capture_file):
    client = world.client(tickets=False)
    first = Talk(client, world.server(tickets=False))
    refused = Talk(client, world.server(tickets=False), session=first.session)
    got = streams(capture_file(refused))
    assert got[0]["verdict"] == "refused-session-id"
    assert reasons(got[0]) == {("unknown-session-id", "possible")}


def test_a_ticket_of_an_older_protocol(world, capture_file):
    client = world.client(("1.2", "1.3"))
    first = Talk(client, world.server("1.2"))
    refused = Talk(client, world.server("1.3"), session=first.session)
    got = streams(capture_file(first, refused))
    assert got[1]["verdict"] == "refused-ticket"
    assert ("protocol-mismatch", "certain") in reasons(got[1])


def test_a_server_that_issues_no_tickets(world, capture_file):
    client = world.client()
    first = Talk(client, world.server())
    refused = Talk(client, world.server(tickets=False), session=first.session)
    got = streams(capture_file(first, refused))
    assert ("tickets-off", "likely") in reasons(got[1])


def test_a_psk_refused(world, capture_file):
    client = world.client("1.3", log=True)
    first = Talk(client, world.server("1.3"))
    refused = Talk(client, world.server("1.3"), session=first.session)
    path = capture_file(first, refused)
    got = streams(path)
    assert got[1]["verdict"] == "refused-psk"
    assert ("unknown-ticket-key", "possible") in reasons(got[1])
    got = streams("--keylog", world.key_log, path)
    assert any(r == "unknown-ticket-key" for r, _ in reasons(got[1]))
    assert "key name" in got[1]["why"][0]["text"]


# --- what happens on the way ---


def verdicts(path):
    return [stream["verdict"] for _, stream in sorted(streams(path).items())]


def both(world):
    """Connections that resume by ID, by ticket, by PSK, each with its packets."""
    found = []
    for version, tickets in (("1.2", False), ("1.2", True), ("1.3", True)):
        found += twice(world, version, tickets)
    return found


RIGHT = ["new", "resumed-by-session-id", "new", "resumed-by-ticket", "new", "resumed-by-psk"]


@pytest.mark.parametrize("mss", [1, 7, 100, 1448])
def test_segments_of_any_size(world, capture_file, mss):
    packets = [
        talk.packets(mss=mss, client_end=("10.0.0.1", 40000 + n), start_s=1_700_000_000 + 10 * n)
        for n, talk in enumerate(both(world))
    ]
    assert verdicts(capture_file(*packets)) == RIGHT


def test_sequence_numbers_wrap_around(world, capture_file):
    packets = [
        shift(talk.packets(client_end=("10.0.0.1", 40000 + n), mss=300), 0xFFFFFFFF - 9300)
        for n, talk in enumerate(both(world))
    ]
    assert verdicts(capture_file(*packets)) == RIGHT


def test_segments_in_any_order_and_more_than_once(world, capture_file):
    connections = []
    for n, talk in enumerate(both(world)):
        packets = talk.packets(client_end=("10.0.0.1", 40000 + n), mss=100)
        for at in range(4, len(packets) - 8, 3):
            packets = swap(packets, at, at + 2)
        connections.append([p for packet in packets for p in (packet, packet)])
    assert verdicts(capture_file(*connections)) == RIGHT


def test_overlapping_segments(world, capture_file):
    packets = twice(world)[1].packets(mss=100)
    wider = []
    for packet in packets:
        wider.append(packet)
        if len(packet.data) == 100:
            wider.append(Packet(packet.src, packet.dst, packet.seq + 50, packet.ack, packet.flags,
                                packet.data[50:], packet.time_ns))
    assert verdicts(capture_file(wider)) == ["resumed-by-ticket"]


def only(packets, port_of_sender):
    return [p for p in packets if p.src[1] == port_of_sender]


def test_one_direction_only(world, capture_file):
    full, short = (talk.packets() for talk in twice(world))
    _, psk = (talk.packets() for talk in twice(world, "1.3"))

    def one(packets, port, name):
        return streams(capture_file(only(packets, port), name=name))[0]

    got = one(full, 443, "a")
    assert (got["verdict"], got["offered"]) == ("new", "unknown")
    got = one(short, 443, "b")
    assert (got["verdict"], got["handshake"]) == ("cannot-tell", "abbreviated")
    assert got["missing"] == ["client-hello"]
    got = one(short, 40000, "c")
    assert (got["verdict"], got["missing"]) == ("cannot-tell", ["server-hello"])
    assert got["handshake"] == "abbreviated"
    got = one(psk, 443, "d")
    assert got["verdict"] == "resumed-by-psk"
    got = one(psk, 40000, "e")
    assert (got["verdict"], got["missing"]) == ("cannot-tell", ["server-hello"])


def test_what_is_lost_is_told_and_never_guessed(world, capture_file):
    """Each data packet of an abbreviated handshake lost, one after the other: the verdict is
    the right one, or it can't be told."""
    packets = twice(world)[1].packets(mss=60)
    seen = set()
    for n, packet in enumerate(packets):
        if packet.data:
            left = packets[:n] + packets[n + 1 :]
            got = streams(capture_file(left, name=f"lost{n}"))[0]
            assert got["verdict"] in ("resumed-by-ticket", "cannot-tell"), n
            if got["verdict"] == "cannot-tell":
                assert got["missing"]
            seen.add(got["verdict"])
    assert seen == {"resumed-by-ticket", "cannot-tell"}


def test_any_cut_length_is_read_as_far_as_it_goes(world, tmp_path):
    packets = twice(world)[0].packets()
    for snap_len in [14, 34, 54, 58, 60, 70, 96, 120, 200, 300, 600]:
        capture = Capture()
        capture.add(packets)
        capture.cut(snap_len)
        got = streams("--all", capture.write(tmp_path / f"cut{snap_len}.pcap"))
        assert all(s["verdict"] in ("new", "cannot-tell", "not-tls") for s in got.values())


def test_a_capture_that_begins_late(world, capture_file):
    packets = twice(world)[1].packets()
    data = [n for n, p in enumerate(packets) if p.data]
    got = streams(capture_file(packets[data[-1] :], name="late"))[0]
    assert got["verdict"] == "cannot-tell"
    assert got["missing"] == ["client-hello", "server-hello"]


def test_ports_used_again_are_another_stream(world, capture_file):
    first, second = (
        talk.packets(client_isn=isn, start_s=start)
        for talk, isn, start in zip(twice(world), (1000, 5_000_000), (1_700_000_000, 1_700_000_100))
    )
    got = streams(capture_file(first, second))
    assert [got[n]["verdict"] for n in (0, 1)] == ["new", "resumed-by-ticket"]


def test_a_keepalive_is_no_data(world, capture_file):
    packets = twice(world)[1].packets()
    out = []
    for packet in packets:
        out.append(packet)
        if not packet.data and packet.flags == ACK:
            out.append(Packet(packet.src, packet.dst, packet.seq - 1, packet.ack, ACK, b"\0",
                              packet.time_ns))
    assert verdicts(capture_file(out)) == ["resumed-by-ticket"]


# --- handshakes made by hand ---


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def message(kind, body):
    return bytes([kind]) + vector(3, body)


def record(kind, body):
    return bytes([kind]) + b"\3\3" + vector(2, body)


def extension(kind, body=b""):
    return struct.pack("!H", kind) + vector(2, body)


def client_hello(*extensions, session_id=b""):
    body = b"\3\3" + bytes(32) + vector(1, session_id) + b"\0\2\xc0\x2f\1\0"
    return record(22, message(1, body + vector(2, b"".join(extensions))))


def server_hello(*extensions, session_id=b""):
    body = b"\3\3" + bytes(32) + vector(1, session_id) + b"\xc0\x2f\0"
    return record(22, message(2, body + vector(2, b"".join(extensions))))


def new_ticket(ticket, lifetime_s=300):
    return record(22, message(4, struct.pack("!I", lifetime_s) + vector(2, ticket)))


def by_hand(*parts, port=40000, start_s=1_700_000_000, **more):
    """The packets of a connection: each part is who sends it, and the bytes."""
    data = {who: b"".join(part for by, part in parts if by == who) for who in ("client", "server")}
    events = [(who, len(part)) for who, part in parts]
    return Connection(data["client"], data["server"], events, client_end=("10.0.0.1", port),
                      start_s=start_s, **more).packets


EMS, TICKET = extension(23), bytes(range(176))
SERVER_FLIGHT = record(22, message(11, bytes(600)) + message(14, b""))
KEY_EXCHANGE = record(22, message(16, bytes(66)))
FINISHED = record(20, b"\1") + record(22, b"\xf3" * 40)
TLS_1_3_OFFERED = extension(43, b"\2\3\4")
# A connection in which TICKET is issued, and one in which it is offered and refused.
ISSUING = [("client", client_hello(EMS, extension(35))), ("server", server_hello(EMS, extension(35))),
           ("server", SERVER_FLIGHT), ("client", KEY_EXCHANGE + FINISHED),
           ("server", new_ticket(TICKET) + FINISHED)]
REFUSED = [("client", client_hello(EMS, extension(35, TICKET))),
           ("server", server_hello(EMS, extension(35)) + SERVER_FLIGHT),
           ("client", KEY_EXCHANGE + FINISHED), ("server", FINISHED)]
RESUMED = [REFUSED[0], ("server", server_hello(EMS, extension(35)) + FINISHED), ("client", FINISHED)]


def psk_offer(identity):
    binder = bytes(32)
    return extension(41, vector(2, vector(2, identity) + bytes(4)) + vector(2, vector(1, binder)))


TLS_1_3_CHOSEN = extension(43, b"\3\4")
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@pytest.mark.parametrize("identity, word", [(b"alice", "external-psk"), (TICKET, None)])
def test_a_short_psk_may_be_external(identity, word, capture_file):
    offer = client_hello(TLS_1_3_OFFERED, psk_offer(identity))
    packets = by_hand(("client", offer), ("server", server_hello(TLS_1_3_CHOSEN)),
                      ("server", record(23, bytes(900))), ("client", record(23, bytes(60))))
    got = streams(capture_file(packets))[0]
    assert got["verdict"] == "refused-psk"
    words = [finding["reason"] for finding in got["why"]]
    assert words.count("external-psk") == (word is not None), got["why"]


def test_a_psk_that_a_second_hello_offers_no_more(capture_file):
    retry = server_hello(TLS_1_3_CHOSEN).replace(bytes(32), RETRY_RANDOM)
    packets = by_hand(("client", client_hello(TLS_1_3_OFFERED, psk_offer(TICKET))), ("server", retry),
                      ("client", client_hello(TLS_1_3_OFFERED)),
                      ("server", server_hello(TLS_1_3_CHOSEN)), ("server", record(23, bytes(900))),
                      ("client", record(23, bytes(60))))
    got = streams(capture_file(packets))[0]
    assert got["verdict"] == "refused-psk"
    found = {finding["reason"]: finding["certainty"] for finding in got["why"]}
    assert found["hello-retry-request"] == "certain"


def test_a_ticket_whose_issuing_server_hello_is_lost(capture_file):
    issuing = by_hand(*ISSUING)
    lost = next(n for n, p in enumerate(issuing) if p.data == ISSUING[1][1])
    got = streams(capture_file(issuing[:lost] + issuing[lost + 1 :],
                               by_hand(*REFUSED, port=40001, start_s=1_700_000_060)))
    assert got[1]["verdict"] == "refused-ticket"
    assert got[1]["handshakes"][0]["client_hello"]["ticket"]["issued"]["stream"] == 0
    assert reasons(got[1]) == {("unknown-ticket-key", "possible")}


def test_a_ticket_issued_again_lives_longer(capture_file):
    again = [REFUSED[0], ("server", server_hello(EMS, extension(35)) + new_ticket(TICKET) + FINISHED),
             ("client", FINISHED)]
    start = 1_700_000_000
    got = streams(capture_file(by_hand(*ISSUING, start_s=start),
                               by_hand(*again, port=40001, start_s=start + 290),
                               by_hand(*REFUSED, port=40002, start_s=start + 310)))
    assert got[1]["verdict"] == "resumed-by-ticket"
    assert got[2]["handshakes"][0]["client_hello"]["ticket"]["issued"]["stream"] == 1
    assert not any(reason == "expired" for reason, _ in reasons(got[2]))


def test_a_ticket_beside_a_psk_is_traced(capture_file):
    psk = vector(2, vector(2, bytes(150)) + bytes(4)) + vector(2, vector(1, bytes(32)))
    offer = client_hello(EMS, TLS_1_3_OFFERED, extension(35, TICKET), extension(45, b"\1\1"),
                         extension(41, psk))
    got = streams(capture_file(by_hand(*ISSUING), by_hand(("client", offer), *REFUSED[1:], port=40001,
                                                          start_s=1_700_000_400)))[1]
    assert got["verdict"] == "refused-ticket"
    hello = got["handshakes"][0]["client_hello"]
    assert hello["ticket"]["issued"]["stream"] == 0 and "issued" not in hello["psk"]
    assert ("expired", "likely") in reasons(got)


@pytest.mark.parametrize("parts, verdict", [(REFUSED, "refused-ticket"),
                                            (RESUMED, "resumed-by-ticket")])
def test_a_server_hello_ahead_of_the_hello_that_it_answers(capture_file, parts, verdict):
    """As captures of several queues, or of two taps, have it."""
    packets = by_hand(*parts)
    hellos = [n for n, p in enumerate(packets) if p.data][:2]
    got = streams(capture_file(swap(packets, *hellos)))[0]
    assert (got["verdict"], len(got["handshakes"])) == (verdict, 1)


def test_an_early_change_cipher_spec_means_nothing(capture_file):
    """A client that offers TLS 1.3 may send one behind its hello; the server's flight is lost."""
    packets = by_hand(("client", client_hello(TLS_1_3_OFFERED, extension(35, TICKET))
                       + record(20, b"\1")), ("server", server_hello(extension(35))), close=False)
    got = streams(capture_file(packets))[0]
    assert (got["verdict"], got["missing"]) == ("cannot-tell", ["after-server-hello"])


def test_what_json_says_of_each_handshake(capture_file):
    alpn = extension(16, vector(2, vector(1, b"Acme/1")))
    packets = by_hand(*REFUSED, ("client", client_hello(alpn, TLS_1_3_OFFERED, extension(35, TICKET))),
                      ("server", server_hello(extension(43, b"\3\4"))))
    got = streams(capture_file(packets))[0]["handshakes"]
    assert [handshake["verdict"] for handshake in got] == ["refused-ticket", "refused-ticket"]
    assert reasons(got[0]) == {("unknown-ticket-key", "possible")}
    assert ("protocol-mismatch", "certain") in reasons(got[1])
    assert got[1]["client_hello"]["alpn"] == "Acme/1"  # RFC 7301 3.1: bytes, not letters


# --- link layers and formats ---


def vlan(ip):
    return ethernet(ip, [(0x8100, 5)])


def qinq(ip):
    return ethernet(ip, [(0x88A8, 7), (0x8100, 5)])


def pppoe(ip):
    kind = 0x0057 if ip[0] >> 4 == 6 else 0x0021
    session = struct.pack("!BBHHH", 0x11, 0, 1, len(ip) + 2, kind) + ip
    return bytes.fromhex("020000000002020000000001") + b"\x88\x64" + session


def trailer(ip):
    """A BIG-IP's, behind the datagram."""
    return ethernet(ip) + bytes.fromhex("0102030405060708") * 4


def gre(ip):
    return ethernet(ip_packet("192.0.2.1", "192.0.2.2", 47, b"\0\0" + struct.pack("!H", ethertype(ip)) + ip))


def udp_tunnel(port, header):
    def encode(ip):
        inner = header(ip)
        datagram = struct.pack("!HHHH", 1234, port, 8 + len(inner), 0) + inner
        return ethernet(ip_packet("192.0.2.1", "192.0.2.2", 17, datagram))

    return encode


ENCODINGS = {
    "vlan": (1, vlan),
    "qinq": (1, qinq),
    "pppoe": (1, pppoe),
    "big-ip trailer": (1, trailer),
    "gre": (1, gre),
    "vxlan": (1, udp_tunnel(4789, lambda ip: bytes.fromhex("0800000000002a00") + ethernet(ip))),
    "geneve": (1, udp_tunnel(6081, lambda ip: b"\0\0" + b"\x65\x58" + bytes(4) + ethernet(ip))),
    "gtp": (1, udp_tunnel(2152, lambda ip: b"\x30\xff" + struct.pack("!HI", len(ip), 9) + ip)),
    "ip in ip": (1, lambda ip: ethernet(ip_packet("192.0.2.1", "192.0.2.2", 4, ip))),
    "mpls": (1, lambda ip: bytes(12) + b"\x88\x47" + bytes.fromhex("0001e1ff") + ip),
    "raw": (RAW, lambda ip: ip),
    "null": (NULL, lambda ip: struct.pack("<I", 30 if ip[0] >> 4 == 6 else 2) + ip),
    "sll": (LINUX_SLL, lambda ip: bytes(14) + struct.pack("!H", ethertype(ip)) + ip),
    "sll2": (LINUX_SLL2, lambda ip: struct.pack("!H", ethertype(ip)) + bytes(18) + ip),
    "wifi": (105, lambda ip: b"\x08\x02" + bytes(22) + bytes.fromhex("aaaa03000000")
             + struct.pack("!H", ethertype(ip)) + ip),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_link_layers(world, capture_file, name):
    link = Capture(*ENCODINGS[name])
    assert verdicts(capture_file(*twice(world), link=link)) == ["new", "resumed-by-ticket"]


def test_ipv6(world, capture_file):
    ends = {"client_end": ("2001:db8::1", 40000), "server_end": ("2001:db8::2", 443)}
    got = streams(capture_file(twice(world)[1].packets(**ends)))
    assert got[0]["verdict"] == "resumed-by-ticket"
    assert got[0]["server"] == "[2001:db8::2]:443"


def fragments(ip, size=256):
    """An IPv4 packet in pieces, the last one first."""
    src, dst = (".".join(map(str, ip[at : at + 4])) for at in (12, 16))
    payload, out = ip[20:], []
    for at in range(0, len(payload), size):
        more = 0x2000 if at + size < len(payload) else 0
        out.append(ip_packet(src, dst, 6, payload[at : at + size], more | at // 8, id(ip) & 0xFFFF))
    return out[::-1]


def test_ip_fragments(world, tmp_path):
    capture = Capture()
    for packet in twice(world)[1].packets():
        for fragment in fragments(packet.ip()):
            capture.add_frame(ethernet(fragment), packet.time_ns)
    assert verdicts(capture.write(tmp_path / "fragments.pcap")) == ["resumed-by-ticket"]


@pytest.mark.parametrize("form", ["pcap", "pcapng", "pcap.gz", "pcapng.gz"])
def test_formats_from_a_file_and_a_pipe(world, capture_file, form):
    path = capture_file(*twice(world), form=form)
    assert verdicts(path) == ["new", "resumed-by-ticket"]
    document = json.loads(inspect("--json", "-", stdin=path.read_bytes()))
    assert [s["verdict"] for s in document["streams"]] == ["new", "resumed-by-ticket"]


def test_starttls(world, capture_file):
    talk = Talk(world.client(), world.server())
    hello = b"EHLO x\r\nSTARTTLS\r\n"
    greeting = b"220 mail\r\n250-x\r\n250 STARTTLS\r\n220 go ahead\r\n"
    talk.client, talk.server = hello + talk.client, greeting + talk.server
    talk.events = [("server", len(greeting)), ("client", len(hello)), *talk.events]
    got = streams(capture_file(talk))[0]
    assert got["verdict"] == "new"
    assert any("in clear" in note for note in got["notes"])


def test_records_that_split_messages(world, capture_file):
    """The handshake messages of each flight, in records of 30 bytes."""
    talk = twice(world)[0]

    def split(data):
        out, at = b"", 0
        encrypted = False
        while at < len(data):
            kind, length = data[at], int.from_bytes(data[at + 3 : at + 5], "big")
            body = data[at + 5 : at + 5 + length]
            step = 30 if kind == 22 and not encrypted else max(length, 1)
            for part in range(0, length, step):
                piece = body[part : part + step]
                out += bytes(data[at : at + 3]) + len(piece).to_bytes(2, "big") + piece
            encrypted = encrypted or kind == 20
            at += 5 + length
        return out

    flights, sent = [], {"client": 0, "server": 0}
    data = {"client": bytes(talk.client), "server": bytes(talk.server)}
    out = {"client": split(data["client"]), "server": split(data["server"])}
    for who in ("client", "server", "client", "server"):
        half = len(out[who]) // 2
        count = half if not sent[who] else len(out[who]) - half
        sent[who] = count
        flights.append((who, count))
    talk.client, talk.server, talk.events = out["client"], out["server"], flights
    assert verdicts(capture_file(talk)) == ["new"]


def test_ssl_2(capture_file):
    def connection(hit, session_id):
        hello = bytes.fromhex("0100020003") + struct.pack("!HH", len(session_id), 16)
        hello += bytes.fromhex("010080") + session_id + bytes(16)
        answer = b"\x04" + bytes([hit, 1]) + struct.pack("!HHHH", 2, 40, 3, 16) + bytes(59)
        packets = [struct.pack("!H", 0x8000 | len(m)) + m for m in (hello, answer)]
        events = [("client", len(packets[0])), ("server", len(packets[1]))]
        return Connection(*packets, events, client_end=("10.0.0.1", 1000 + hit)).packets

    got = streams(capture_file(connection(0, b""), connection(1, bytes(range(16)))))
    assert [got[n]["verdict"] for n in (0, 1)] == ["new", "resumed-by-session-id"]
    assert got[0]["version"] == "SSLv2"


def test_an_ssl_2_hello_offers_a_session_and_its_cipher_suite(capture_file):
    issued = server_hello(session_id=bytes(range(16))) + SERVER_FLIGHT
    offer = b"\1\3\3" + struct.pack("!HHH", 6, 16, 16) + b"\7\0\xc0" + b"\0\xc0\x2f"
    offer += bytes(range(16)) + bytes(16)
    first = by_hand(("client", client_hello()), ("server", issued),
                    ("client", KEY_EXCHANGE + FINISHED), ("server", FINISHED))
    second = by_hand(("client", struct.pack("!H", 0x8000 | len(offer)) + offer),
                     ("server", server_hello(session_id=bytes(32)) + SERVER_FLIGHT),
                     ("client", KEY_EXCHANGE + FINISHED), ("server", FINISHED), port=40001,
                     start_s=1_700_000_005)
    got = streams(capture_file(first, second))[1]
    assert got["verdict"] == "refused-session-id"
    assert reasons(got) == {("unknown-session-id", "possible")}


# --- numbering ---


def test_streams_are_numbered_as_wireshark_does(tmp_path):
    """All TCP streams count, those without data or TLS too; a SYN with another sequence number
    begins a new one."""
    a, b = ("10.0.0.1", 1), ("10.0.0.2", 2)
    capture = Capture()
    capture.add([
        Packet(a, b, 100, 0, SYN), Packet(b, a, 500, 101, SYN | ACK), Packet(a, b, 100, 0, SYN),
        Packet(a, ("10.0.0.3", 2), 7, 0, SYN), Packet(("10.0.0.3", 2), a, 0, 8, RST | ACK),
        Packet(a, b, 101, 501, FIN | ACK), Packet(b, a, 501, 102, FIN | ACK),
        Packet(a, b, 9000, 0, SYN), Packet(b, a, 70000, 9001, SYN | ACK),
    ])
    got = streams("--all", capture.write(tmp_path / "numbers.pcap"))
    assert [(n, s["client"], s["server"]) for n, s in sorted(got.items())] == [
        (0, "10.0.0.1:1", "10.0.0.2:2"),
        (1, "10.0.0.1:1", "10.0.0.3:2"),
        (2, "10.0.0.1:1", "10.0.0.2:2"),
    ]


# --- forms of print ---


def has_packet_socket(pid):
    """Whether the process has mapped a packet socket's ring: it is past its start."""
    try:
        return "socket:" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


@contextlib.contextmanager
def capturing(out, *options):
    """`inspect -i lo OPTIONS...` once it waits for packets; what it prints goes to `out`. Where
    it may not capture the test is skipped."""
    with open(out, "wb") as file:
        process = subprocess.Popen(
            [binary(), "inspect", "-i", "lo", *options], stdout=file, stderr=subprocess.STDOUT
        )
    try:
        wait_until(
            lambda: "it waits for packets",
            lambda: process.poll() is not None or has_packet_socket(process.pid),
        )
        if process.poll() is not None:
            pytest.skip(f"may not capture: {out.read_text()}")
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_ladder(world, capture_file):
    text = inspect(capture_file(*twice(world)))
    assert "resumed by session ticket (stateless), abbreviated handshake" in text
    assert "tcp.stream eq 1" in text
    assert "SessionTicket extension: empty (a New Session Ticket will follow)" in text
    assert "Session ID: the client's" in text
    assert "issued in stream 0" in text
    assert "\033" not in text


def test_one_stream_brief_and_filter(world, capture_file):
    path = capture_file(*twice(world))
    assert inspect("--stream", 1, path).count("\nstream") == 0
    assert "Client Hello" not in inspect("--brief", path)
    assert "0 with TLS" in inspect("--filter", "port 1", path)
    assert inspect("-f", "tcp port 443", path) == inspect(path)


def test_the_summary(world, capture_file):
    path = capture_file(*both(world))
    text = inspect("--summary", path)
    assert "10.0.0.2:443" in text and NAME in text
    document = json.loads(inspect("--json", path))
    row = document["summary"]["all"]
    assert row["streams"] == 6 and row["offered"] == 3
    assert row["verdicts"]["resumed-by-psk"] == 1
    assert row["cpu_saved_us"] > 0


def test_the_page_needs_nothing_else(world, capture_file, tmp_path):
    page = tmp_path / "report.html"
    inspect("--html", page, capture_file(*both(world)))
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    assert "http" not in text.replace("HTTP", "") and "<script" not in text
    assert "<svg" in text and "tcp.stream eq 5" in text
    assert text.count("<details") == text.count("</details>") == 6


def test_a_damaged_file_is_read_as_far_as_it_goes(world, capture_file, tmp_path):
    path = capture_file(*twice(world))
    for form, data in (("pcap", path.read_bytes()),
                       ("gz", gzip.compress(path.read_bytes()))):
        cut = tmp_path / f"cut.{form}"
        cut.write_bytes(data[:-30])
        document = json.loads(inspect("--json", cut, ok=1))
        assert document["streams"][0]["verdict"] == "new"
        assert document["incomplete"]


@pytest.mark.parametrize("signal", [2, 15])
def test_an_interface_until_interrupted(signal, tmp_path):
    """Where nothing comes, too. The filter takes no packet of anyone's."""
    out = tmp_path / "out"
    with capturing(out, "-f", "ip proto 253") as process:
        process.send_signal(signal)
        assert process.wait(timeout=20) == 0
    assert out.read_text() == "0 packets, 0 TCP streams, 0 with TLS or DTLS\n"


def test_wrong_usage(tmp_path):
    inspect(ok=2)
    inspect("--stream", "x", "file", ok=2)
    inspect("--nonsense", "file", ok=2)
    inspect(tmp_path / "none", ok=1)
    (tmp_path / "text").write_text("this is no capture\n" * 10)
    inspect(tmp_path / "text", ok=1)


# --- captures of others ---

WORDS = {
    "new": {"new-full", "new-tls13", "dtls:new-full"},
    "resumed-by-session-id": {"sid-resumed", "dtls:sid-resumed"},
    "resumed-by-ticket": {"ticket-resumed"},
    "resumed-by-psk": {"tls13-psk-resumed"},
    "refused-session-id": {"sid-refused-full"},
    "refused-ticket": {"ticket-refused-full"},
    "refused-psk": {"tls13-psk-refused-full"},
    "cannot-tell": {"no-serverhello", "incomplete-after-SH", "no-hello", "abbrev-unexplained"},
    "not-tls": {"no-hello"},
}
# Rows that the packets contradict; docs/INSPECT.md says how.
CONTRADICTED = {
    ("nDPI__default_KakaoTalk_chat.pcap", "t2"): "new",
    ("nDPI__default_KakaoTalk_chat.pcap", "t18"): "new",
    ("zeek__tls_hrr.pcap", "t0"): "new",
}
# Here the table has the number of the tunnel's UDP stream; the one within has the next.
TUNNELLED = "mercury__unit_tests_pcaps_geneve.pcap"


def test_the_captures_of_others():
    table = CAPTURES / "INDEX.tsv"
    if not table.exists():
        pytest.skip("there is no folder with captures of others (REPRISE_CAPTURES)")
    with open(table, encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    read, wrong = {}, []
    for row in rows:
        file, stream = row["file"], row["stream"]
        if file not in read:
            document = json.loads(inspect("--json", "--all", CAPTURES / file))
            read[file] = {
                ("t" if s["transport"] == "tcp" else "u") + str(s["stream"]): s["verdict"]
                for s in document["streams"]
            }
        if file == TUNNELLED and stream[0] == "u":
            stream = f"u{int(stream[1:]) + 1}"
        got = read[file].get(stream)
        expected = CONTRADICTED.get((file, stream))
        if got != expected if expected else row["verdict"] not in WORDS.get(got, ()):
            wrong.append((file, stream, row["verdict"], got))
    assert len(rows) >= 332 and not wrong
