"""`reprise inspect` on messages that this file writes byte by byte: what real libraries seldom
send, and what a capture does not show. Nothing may be guessed from it."""

import fcntl
import gzip
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from lab.deadline import wait_until
from lab.pcap import ACK, FIN, PSH, SYN, Capture, Packet, ethernet, ip_packet
from lab.terminator import binary
from test_inspect import capturing, inspect, streams

TICKET = bytes(range(16)) + bytes(160)
CCS, FINISHED = b"\x14\x03\x03\0\1\1", b"\x16\x03\x03\0\x28" + b"\xf3" * 40


def sized(width, data):
    return len(data).to_bytes(width, "big") + data


def message(kind, body):
    return bytes([kind]) + sized(3, body)


def record(*messages, kind=22):
    return bytes([kind]) + b"\3\3" + sized(2, b"".join(messages))


def extension(kind, data=b""):
    return kind.to_bytes(2, "big") + sized(2, data)


def client_body(*extensions, session_id=b"", version=b"\3\3", cookie=b"", random=bytes(32)):
    return (version + random + sized(1, session_id) + cookie + sized(2, b"\xc0\x2f") + b"\1\0"
            + sized(2, b"".join(extensions)))


def server_body(*extensions, session_id=b"", version=b"\3\3"):
    return (version + bytes([7] * 32) + sized(1, session_id) + b"\xc0\x2f\0"
            + sized(2, b"".join(extensions)))


CERTIFICATE = message(11, sized(3, sized(3, bytes(600))))
KEY_EXCHANGE, DONE, CLIENT_KEY = message(12, bytes(200)), message(14, b""), message(16, bytes(66))
OFFER = message(1, client_body(extension(35, TICKET)))
EMPTY_OFFER = message(1, client_body(extension(35)))
ANSWER = message(2, server_body(extension(35)))
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 443)


class Flow:
    """A TCP connection, packet by packet."""

    def __init__(self, client=CLIENT, server=SERVER, start_s=0):
        self.ends, self.seq = {"c": client, "s": server}, {"c": 1000, "s": 9000}
        self.time_ns = (1_700_000_000 + start_s) * 10**9
        self.packets = []
        self.send("c", SYN).send("s", SYN | ACK).send("c", ACK)

    def send(self, who, flags, data=b"", drop=False):
        other = "s" if who == "c" else "c"
        self.time_ns += 100_000
        if not drop:
            ack = self.seq[other] if flags & ACK else 0
            self.packets.append(Packet(self.ends[who], self.ends[other], self.seq[who], ack, flags,
                                       data, self.time_ns))
        self.seq[who] += len(data) + (1 if flags & (SYN | FIN) else 0)
        return self

    def data(self, who, *parts, drop=False):
        return self.send(who, PSH | ACK, b"".join(parts), drop)

    def close(self):
        return self.send("c", FIN | ACK).send("s", FIN | ACK).send("c", ACK)


def full(flow, ticket=TICKET):
    flow.data("c", record(EMPTY_OFFER)).data("s", record(ANSWER, CERTIFICATE, KEY_EXCHANGE, DONE))
    issued = record(message(4, struct.pack("!I", 300) + sized(2, ticket)))
    return flow.data("c", record(CLIENT_KEY), CCS, FINISHED).data("s", issued, CCS, FINISHED)


def abbreviated(flow):
    flow.data("c", record(OFFER)).data("s", record(ANSWER), CCS, FINISHED)
    return flow.data("c", CCS, FINISHED)


def save(folder, *packets, cuts=(), form="pcap"):
    """Writes a capture; `cuts` is {frame: bytes of it that are captured}."""
    capture = Capture()
    for part in packets:
        capture.add(part)
    for frame, length in dict(cuts).items():
        time_ns, data, wire = capture.frames[frame - 1]
        capture.frames[frame - 1] = (time_ns, data[:length], wire)
    return capture.write(folder / f"made.{form}", form)


def only_stream(path):
    return streams(path)[0]


# --- DTLS ---


class Datagrams:
    """Of DTLS; a record number is used once in each direction."""

    def __init__(self):
        self.capture, self.time_ns = Capture(), 1_700_000_000 * 10**9

    def send(self, who, *records, drop=False):
        src, dst = (CLIENT, SERVER) if who == "c" else (SERVER, CLIENT)
        data = b"".join(records)
        header = struct.pack("!HHHH", src[1], dst[1], 8 + len(data), 0)
        self.time_ns += 100_000
        if not drop:
            frame = ethernet(ip_packet(src[0], dst[0], 17, header + data))
            self.capture.add_frame(frame, self.time_ns)
        return self


def dtls_record(number, body, kind=22, epoch=0):
    return bytes([kind]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + number.to_bytes(6, "big") + sized(2, body)


def dtls_message(kind, sequence, body, start=0, end=None):
    part = body[start:end]
    return (bytes([kind]) + len(body).to_bytes(3, "big") + sequence.to_bytes(2, "big")
            + start.to_bytes(3, "big") + sized(3, part))


def dtls_ccs(number):
    return dtls_record(number, b"\1", 20)


DTLS_FINISHED = dtls_record(0, b"f" * 48, epoch=1)
DTLS_ANSWER = dtls_record(0, dtls_message(2, 0, server_body(extension(35), version=b"\xfe\xfd")))


def dtls_offer(ticket=TICKET, random=bytes(32)):
    body = client_body(extension(35, ticket), version=b"\xfe\xfd", cookie=b"\0", random=random)
    return dtls_record(0, dtls_message(1, 0, body))


def dtls_refusal(lost):
    """A ticket that is refused; the datagrams of the numbers in `lost` are not captured."""
    made = Datagrams().send("c", dtls_offer()).send("s", DTLS_ANSWER)
    flight = [
        ("s", dtls_record(1, dtls_message(11, 1, CERTIFICATE[4:]))),
        ("s", dtls_record(2, dtls_message(12, 2, bytes(200))), dtls_record(3, dtls_message(14, 3, b""))),
        ("c", dtls_record(1, dtls_message(16, 1, bytes(66)))),
    ]
    for number, (who, *records) in enumerate(flight):
        made.send(who, *records, drop=number in lost)
    made.send("c", dtls_ccs(2), DTLS_FINISHED)
    return made.send("s", dtls_ccs(4), DTLS_FINISHED)


def test_dtls_with_datagrams_missing_is_not_guessed(tmp_path):
    assert only_stream(dtls_refusal({}).capture.write(tmp_path / "a"))["verdict"] == "refused-ticket"
    got = only_stream(dtls_refusal({0, 1, 2}).capture.write(tmp_path / "b"))
    assert (got["verdict"], got["missing"]) == ("cannot-tell", ["after-server-hello"])
    assert only_stream(dtls_refusal({1, 2}).capture.write(tmp_path / "c"))["verdict"] == "refused-ticket"


def test_dtls_with_cut_datagrams_is_not_guessed(tmp_path):
    made = Datagrams().send("c", dtls_offer(bytes(40)))
    made.send("s", DTLS_ANSWER, dtls_record(1, dtls_message(11, 1, CERTIFICATE[4:])))
    made.send("s", dtls_ccs(2), DTLS_FINISHED).send("c", dtls_ccs(2), DTLS_FINISHED)
    made.capture.cut(200)
    got = only_stream(made.capture.write(tmp_path / "cut"))
    assert got["verdict"] == "cannot-tell" and got["bytes_lost"] > 400


def test_a_fragment_shows_the_message_that_it_is_of(tmp_path):
    made = Datagrams().send("c", dtls_offer()).send("s", DTLS_ANSWER)
    made.send("s", dtls_record(1, dtls_message(11, 1, CERTIFICATE[4:], 0, 100)))
    made.send("s", dtls_ccs(2), DTLS_FINISHED)
    assert only_stream(made.capture.write(tmp_path / "part"))["verdict"] == "refused-ticket"


def test_dtls_resumes_with_its_datagrams_in_another_order(tmp_path):
    made = Datagrams().send("c", dtls_offer()).send("s", DTLS_ANSWER)
    made.send("s", dtls_record(2, dtls_message(4, 2, bytes(6))))
    made.send("s", dtls_record(1, dtls_message(22, 1, bytes(4))))
    made.send("s", dtls_ccs(3), DTLS_FINISHED).send("c", dtls_ccs(1), DTLS_FINISHED)
    assert only_stream(made.capture.write(tmp_path / "order"))["verdict"] == "resumed-by-ticket"


def test_a_second_dtls_association_on_the_same_ports(tmp_path):
    made = dtls_refusal({})
    made.send("c", dtls_offer(random=bytes([9] * 32)))
    made.send("s", DTLS_ANSWER, dtls_ccs(1), DTLS_FINISHED).send("c", dtls_ccs(1), DTLS_FINISHED)
    got = only_stream(made.capture.write(tmp_path / "two"))
    assert [h["verdict"] for h in got["handshakes"]] == ["refused-ticket", "resumed-by-ticket"]


# --- memory ---


# A process that is larger than the program would be counted, too: until the exec it is its child.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss * 1024, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def memory_of(path):
    """The program's largest resident memory in bytes, while it reads the capture."""
    run = subprocess.run([sys.executable, "-c", MEASURE, binary(), "inspect", "--summary", path],
                         capture_output=True, text=True, check=True)
    return int(run.stderr)


@pytest.mark.skipif("REPRISE_SANITIZED" in os.environ, reason="a sanitizer takes memory itself")
def test_records_take_no_memory_before_they_come(tmp_path):
    """8,000 connections with an alert, or the beginning of a long SSL 2.0 hello, each way."""
    starts = [record(b"\1\0", kind=21), b"\xbf\xff\1\0\2\x3f\xc0\0\0\0\x10"]
    packets = [
        Packet(*ends, 1000, 1, PSH | ACK, data, 1_700_000_000 * 10**9)
        for port in range(4000)
        for data in starts
        for client in [(f"10.0.1.{starts.index(data)}", 1 + port)]
        for ends in ((client, SERVER), (SERVER, client))
    ]
    assert memory_of(save(tmp_path, packets)) < 32 << 20


# --- clocks ---


def test_an_odd_clock_ends_no_stream(tmp_path):
    """Packets of another connection an hour ahead, between those of a handshake."""
    flow, other = abbreviated(Flow()), Flow(("10.0.0.9", 1), start_s=3600).data("c", b"hi")
    mixed = [p for pair in zip(flow.packets, other.packets) for p in pair]
    got = streams(save(tmp_path, mixed, flow.packets[len(other.packets):]))
    assert got[0]["verdict"] == "resumed-by-ticket"


# --- messages that are not known, or not captured ---


def test_a_record_that_cannot_be_read_leaves_it_open(tmp_path):
    """In clear, between the server's hello and its Change Cipher Spec."""
    flow = Flow().data("c", record(OFFER))
    flow.data("s", record(ANSWER), record(message(200, bytes(9)), CERTIFICATE, DONE))
    flow.data("s", CCS, FINISHED)
    got = only_stream(save(tmp_path, flow.packets))
    assert (got["verdict"], got["missing"]) == ("cannot-tell", ["after-server-hello"])


def test_what_is_no_renegotiation(tmp_path):
    """An encrypted message before Finished that was negotiated, and cut records in clear."""
    for number in (13172, 30032):
        answer = message(2, server_body(extension(number)))
        flow = Flow().data("c", record(EMPTY_OFFER)).data("s", record(answer, CERTIFICATE, DONE))
        flow.data("c", record(CLIENT_KEY), CCS, FINISHED, FINISHED).data("s", CCS, FINISHED)
        assert not only_stream(save(tmp_path, flow.packets))["renegotiation_asked"]
        flow.data("c", FINISHED)
        assert only_stream(save(tmp_path, flow.packets))["renegotiation_asked"]
    flow = Flow().data("c", record(EMPTY_OFFER)).data("s", record(ANSWER))
    flow.data("s", record(CERTIFICATE)).data("s", record(KEY_EXCHANGE)).data("s", record(DONE))
    flow.data("c", record(CLIENT_KEY), CCS, FINISHED).data("s", CCS, FINISHED)
    got = only_stream(save(tmp_path, flow.packets, cuts={6: 100, 7: 100}))
    assert not got["renegotiation_asked"] and got["verdict"] == "new"


# --- TLS that begins later ---


@pytest.mark.parametrize("end", [b"\x16", b"\x16\3", b"\x16\3\1", b"\x16\x16\3", b"\x80", b"\x17"])
def test_bytes_in_clear_that_end_like_a_hello(tmp_path, end):
    """The port at the end of a SOCKS server's reply, for instance."""
    flow = Flow().data("c", b"\5\1\0").data("s", b"\5\0").data("c", b"\5\1\0\1\x0a\0\0\3\1\xbb")
    flow.data("s", b"\5\0\0\1\x0a\0\0\2" + end)
    assert only_stream(save(tmp_path, abbreviated(flow).packets))["verdict"] == "resumed-by-ticket"


@pytest.mark.parametrize("syn", [True, False])
def test_a_capture_in_a_download_is_no_tls(tmp_path, syn):
    """A download of the hellos of both sides, in one direction."""
    inner = save(tmp_path, full(Flow()).packets, abbreviated(Flow()).packets).read_bytes()
    flow = Flow(server=("10.0.0.2", 80)).data("c", b"GET /x.pcap HTTP/1.1\r\n\r\n")
    body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    for at in range(0, len(body), 500):
        flow.data("s", body[at : at + 500])
    [stream] = streams("--all", save(tmp_path, flow.packets if syn else flow.packets[3:])).values()
    assert stream["verdict"] == "not-tls"


def test_a_client_uploads_no_handshake(tmp_path):
    inner = save(tmp_path, full(Flow()).packets, abbreviated(Flow()).packets).read_bytes()
    flow = Flow().data("c", b"PUT /x HTTP/1.1\r\n\r\n" + inner[:1400]).data("c", inner[1400:])
    assert only_stream(save(tmp_path, flow.packets))["verdict"] == "cannot-tell"


def test_a_hello_behind_a_proxy_header(tmp_path):
    """In its segment."""
    flow = Flow().data("c", b"PROXY TCP4 10.0.0.3 10.0.0.2 1 443\r\n", record(OFFER))
    flow.data("s", record(ANSWER), CCS, FINISHED).data("c", CCS, FINISHED)
    assert only_stream(save(tmp_path, flow.packets))["verdict"] == "resumed-by-ticket"


# --- sources ---


def bulk(folder, form):
    """More than the readers' buffers, which do not shrink."""
    flow = full(Flow())
    for _ in range(400):
        flow.data("s", record(os.urandom(1000), kind=23))
    return save(folder, flow.packets, form=form), len(flow.packets)


@pytest.mark.parametrize("form", ["pcap.gz", "pcapng.gz"])
def test_gzip_that_is_damaged_is_told(tmp_path, form):
    path, packets = bulk(tmp_path, form)
    good = path.read_bytes()
    middle = len(good) // 2
    for name, data, all_there in (
        ("trailer", good[:-8] + b"abcd" + good[-4:], True),
        ("no trailer", good[:-8], True),
        ("middle", good[:middle] + b"\xff" * 2000 + good[middle + 2000 :], False),
    ):
        path.write_bytes(data)
        document = json.loads(inspect("--json", path, ok=1))
        assert document["incomplete"], name
        assert (document["packets"] == packets) == all_there, name
        assert document["streams"][0]["verdict"] == "new"
    path.write_bytes(good + good[:0] + gzip.compress(b""))
    assert json.loads(inspect("--json", path))["packets"] == packets


@pytest.mark.parametrize("form", ["pcap", "pcapng", "pcap.gz"])
@pytest.mark.parametrize("late", [True, False])
def test_an_interrupt_ends_a_pipe(tmp_path, form, late):
    """What was written is read; what the writer still has when it is interrupted as well, too."""
    path, packets = bulk(tmp_path, form)
    data = path.read_bytes()
    half = len(data) // 2 if late or form == "pcap.gz" else len(data)
    process = subprocess.Popen([binary(), "inspect", "--json", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        os.write(process.stdin.fileno(), data[:1])
        process.stdin.write(data[1:half])
        process.stdin.flush()
        wait_until(lambda: "all is taken from the pipe", lambda: unread(process.stdin) == 0)
        time.sleep(0.05)  # where it is read, not where it is waited for
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(data[half:] if late else None, timeout=20)
    finally:
        process.kill()
        process.wait()
    document = json.loads(out)
    assert process.returncode == 0 and not err and "incomplete" not in document
    if half == len(data) or late:
        assert document["packets"] == packets
    else:
        assert 0 < document["packets"] < packets


def unread(pipe):
    count = bytearray(4)
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return int.from_bytes(count, "little")


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_filter_on_a_file_hides_packets_and_counts_them(tmp_path, form):
    one, two = full(Flow()), abbreviated(Flow(("10.0.0.1", 40001), start_s=5))
    path = save(tmp_path, one.packets, two.packets, form=form)
    text = inspect("--filter", "port 40001", path)
    assert "not known" not in text and "1 TCP stream," in text
    [stream] = streams("--filter", "port 40001", path).values()
    assert stream["first_frame"] == len(one.packets) + 1


def test_frames_count_as_wireshark_counts_them(tmp_path):
    """Blocks of pcapng that are no packets, and that have a frame number there."""
    flow = full(Flow())
    capture = Capture()
    capture.add(flow.packets)
    data = capture.pcapng()
    first = data.index(struct.pack("<I", 6) + struct.pack("<I", 32 + len(capture.frames[0][1]) + 2))
    for kind, frames in ((9, 1), (0x204, 1), (0x216, 1), (0x221, 1), (0xBAD, 1), (0x40000BAD, 1),
                         (4, 0), (5, 0), (0x777, 0)):
        block = struct.pack("<II", kind, 52) + bytes(40) + struct.pack("<I", 52)
        path = tmp_path / "blocks.pcapng"
        path.write_bytes(data[:first] + block + data[first:])
        assert only_stream(path)["first_frame"] == 1 + frames, hex(kind)


def test_a_ticket_behind_a_hole_is_known_once_all_is_acknowledged(tmp_path):
    """The next connection offers it."""
    one = Flow().data("c", record(EMPTY_OFFER)).data("s", record(ANSWER), drop=True)
    one.data("s", record(CERTIFICATE, DONE)).data("c", record(CLIENT_KEY), CCS, FINISHED)
    issued = record(message(4, struct.pack("!I", 300) + sized(2, TICKET)))
    one.data("s", issued, CCS, FINISHED).close()
    two = abbreviated(Flow(("10.0.0.1", 40001), start_s=5))
    got = streams(save(tmp_path, one.packets, two.packets))
    assert got[1]["handshakes"][0]["client_hello"]["ticket"]["issued"]["stream"] == 0


def test_names_of_files_are_shown_and_not_obeyed(tmp_path):
    path = save(tmp_path, full(Flow()).packets)
    name = os.fsencode(tmp_path) + b"/a\xff\x1b[2J\xc2\x9bm\xc3\xa9.pcap"
    os.rename(path, name)

    def run(*args, code=0):
        done = subprocess.run([binary(), "inspect", *args], capture_output=True, timeout=60)
        assert done.returncode == code
        return done.stdout, done.stderr

    assert json.loads(run("--json", name)[0])["source"].endswith("/a\ufffd\x1b[2J\x9bm\xe9.pcap")
    out, _ = run(name, name)
    assert b"\x1b" not in out and b"/a\\xff\\x1b[2J\\xc2\\x9bm\xc3\xa9.pcap" in out
    _, err = run(name + b"\x1b", code=1)
    assert b"\x1b" not in err and b"pcap\\x1b: " in err


def test_an_interface_that_is_not_there_is_named_once():
    done = subprocess.run([binary(), "inspect", "-i", "nosuch0"], capture_output=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count(b"nosuch0") == 1


def told_after_a_connection(listener, out):
    """Whether it is told without another one; what came before the filter stood is not seen."""
    with socket.create_connection(listener.getsockname()), listener.accept()[0]:
        pass
    try:
        return wait_until("the stream is told", lambda: "stream 0 " in out.read_text(), timeout_s=6)
    except AssertionError:
        return False


def test_an_interface_tells_a_stream_without_waiting_for_packets(tmp_path):
    out = tmp_path / "out"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with capturing(out, "--brief", "--all", "-f", f"tcp port {port}"):
            assert any(told_after_a_connection(listener, out) for _ in range(4))
