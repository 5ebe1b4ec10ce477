"""Writes packet captures: TCP connections as packets, with what can go wrong on the way.

    capture = Capture()
    capture.connection(client_bytes, server_bytes, events)
    capture.write(path)

A connection's packets can be taken apart before they are written: `packets` is a list of
Packet, which tests reorder, drop, repeat, cut.
"""

import gzip
import ipaddress
import socket
import struct
from dataclasses import dataclass, replace

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ETHERNET, RAW, NULL, LINUX_SLL, LINUX_SLL2 = 1, 101, 0, 113, 276
MSS = 1448


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass
class Packet:
    """A TCP segment on its way; `encode` makes the frame."""

    src: tuple  # (address, port)
    dst: tuple
    seq: int
    ack: int
    flags: int
    data: bytes = b""
    time_ns: int = 0

    def tcp(self):
        seq, ack = self.seq & 0xFFFFFFFF, self.ack & 0xFFFFFFFF
        header = struct.pack(
            "!HHIIBBHHH", self.src[1], self.dst[1], seq, ack, 5 << 4, self.flags, 65535, 0, 0
        )
        src, dst = (ipaddress.ip_address(a).packed for a in (self.src[0], self.dst[0]))
        length = len(header) + len(self.data)
        if len(src) == 4:
            pseudo = src + dst + struct.pack("!BBH", 0, socket.IPPROTO_TCP, length)
        else:
            pseudo = src + dst + struct.pack("!IHBB", length, 0, 0, socket.IPPROTO_TCP)
        total = checksum(pseudo + header + self.data)
        return header[:16] + struct.pack("!H", total) + header[18:] + self.data

    def ip(self):
        return ip_packet(self.src[0], self.dst[0], socket.IPPROTO_TCP, self.tcp())


def ip_packet(src, dst, protocol, payload, fragment=0, identification=1):
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if src.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + src.packed + dst.packed + payload
    header = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0
    )
    header += src.packed + dst.packed
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ethertype(ip):
    return 0x86DD if ip[0] >> 4 == 6 else 0x0800


def ethernet(ip, tags=()):
    """An Ethernet frame around an IP packet; tags are (EtherType, VLAN) from outside in."""
    frame = bytes.fromhex("020000000002020000000001")
    for kind, vlan in tags:
        frame += struct.pack("!HH", kind, vlan)
    return frame + struct.pack("!H", ethertype(ip)) + ip


class Connection:
    """One TCP connection's packets.

    client, server   the bytes that each side sent
    events           [(who, number of bytes)]: their order, as a Recorder keeps it
    """

    def __init__(self, client, server, events, **more):
        self.client_end = more.get("client_end", ("10.0.0.1", 40000))
        self.server_end = more.get("server_end", ("10.0.0.2", 443))
        self.time_ns = int(more.get("start_s", 1_700_000_000.0) * 1e9)
        self.mss = more.get("mss", MSS)
        self.seq = {"client": more.get("client_isn", 1000), "server": more.get("server_isn", 9000)}
        self.packets = []
        self._send("client", SYN)
        self._send("server", SYN | ACK)
        self._send("client", ACK)
        sent = {"client": 0, "server": 0}
        data = {"client": bytes(client), "server": bytes(server)}
        for who, count in events:
            part = data[who][sent[who] : sent[who] + count]
            sent[who] += count
            for at in range(0, len(part), self.mss):
                self._send(who, PSH | ACK, part[at : at + self.mss])
            self._send("server" if who == "client" else "client", ACK)
        if more.get("close", True):
            self._send("client", FIN | ACK)
            self._send("server", FIN | ACK)
            self._send("client", ACK)

    def _send(self, who, flags, data=b""):
        other = "server" if who == "client" else "client"
        ends = {"client": self.client_end, "server": self.server_end}
        self.time_ns += 100_000
        ack = self.seq[other] if flags & ACK else 0
        self.packets.append(
            Packet(ends[who], ends[other], self.seq[who], ack, flags, data, self.time_ns)
        )
        self.seq[who] += len(data) + (1 if flags & (SYN | FIN) else 0)


class Capture:
    """Frames in order; written as pcap, or as pcapng with an embedded key log."""

    def __init__(self, link_type=ETHERNET, encode=None):
        self.link_type = link_type
        self.encode = encode or ethernet
        self.frames = []  # (time_ns, bytes, length on the wire)

    def add(self, packets):
        """Adds Packets. Returns the numbers of their frames."""
        first = len(self.frames) + 1
        for packet in packets:
            frame = self.encode(packet.ip())
            self.frames.append((packet.time_ns, frame, len(frame)))
        return list(range(first, len(self.frames) + 1))

    def add_frame(self, frame, time_ns=1_700_000_000_000_000_000):
        self.frames.append((time_ns, frame, len(frame)))

    def cut(self, snap_len):
        self.frames = [(t, frame[:snap_len], length) for t, frame, length in self.frames]

    def pcap(self):
        out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, self.link_type)]
        for time_ns, frame, length in self.frames:
            seconds, ns = divmod(time_ns, 1_000_000_000)
            out += [struct.pack("<IIII", seconds, ns, len(frame), length), frame]
        return b"".join(out)

    def pcapng(self, key_log=None, order="<"):
        def block(kind, body):
            body += b"\0" * (-len(body) % 4)
            total = struct.pack(order + "I", len(body) + 12)
            return struct.pack(order + "I", kind) + total + body + total

        out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        # Two interfaces of different link types: common, and more than libpcap takes.
        out += block(1, struct.pack(order + "HHI", 105, 0, 96))
        nanoseconds = struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0)
        out += block(1, struct.pack(order + "HHI", self.link_type, 0, 0) + nanoseconds)
        if key_log is not None:
            text = key_log.encode()
            out += block(10, struct.pack(order + "II", 0x544C534B, len(text)) + text)
        for time_ns, frame, length in self.frames:
            head = struct.pack(
                order + "IIIII", 1, time_ns >> 32, time_ns & 0xFFFFFFFF, len(frame), length
            )
            out += block(6, head + frame)
        return out

    def write(self, path, form="pcap", **more):
        data = self.pcapng(**more) if "pcapng" in form else self.pcap()
        path.write_bytes(gzip.compress(data) if form.endswith(".gz") else data)
        return path


def swap(packets, i, k):
    packets = list(packets)
    packets[i], packets[k] = packets[k], packets[i]
    return packets


def shift(packets, by):
    """The same with other sequence numbers: to let them wrap around."""
    return [replace(p, seq=p.seq + by, ack=p.ack + by if p.flags & ACK else 0) for p in packets]
