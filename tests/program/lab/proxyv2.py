"""A reader of PROXY protocol version 2 headers, after HAProxy's proxy-protocol.txt, 2.2."""

import ipaddress
import struct
from dataclasses import dataclass

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, SSL = 0x01, 0x02, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER, SSL_SIG_ALG, SSL_KEY_ALG = 0x21, 0x22, 0x23, 0x24, 0x25
HANDSHAKE, RESUMED_BY, REASON, SESSION_ID, TICKET_KEY, PROFILE = range(0xE0, 0xE6)

CLIENT_SSL, CLIENT_CERT_CONN, CLIENT_CERT_SESS = 1, 2, 4


@dataclass
class Header:
    local: bool  # the LOCAL command: a connection of the proxy's own
    client: tuple  # (host, port), None for LOCAL
    server: tuple
    tlvs: dict
    ssl_client: int = None  # the bits of the SSL TLV, None without one
    ssl_verify: int = None
    ssl: dict = None  # its sub-TLVs

    def text(self, kind):
        return self.tlvs[kind].decode() if kind in self.tlvs else None

    def ssl_text(self, kind):
        return self.ssl[kind].decode() if self.ssl and kind in self.ssl else None


def read_tlvs(data):
    found, at = {}, 0
    while at < len(data):
        kind, length = struct.unpack_from("!BH", data, at)
        if at + 3 + length > len(data):
            raise ValueError(f"TLV {kind:#x} is longer than the header")
        if kind in found:
            raise ValueError(f"TLV {kind:#x} twice")
        found[kind] = data[at + 3 : at + 3 + length]
        at += 3 + length
    return found


def read_header(recv_exact):
    """Reads a header with `recv_exact(count)`; ValueError when there is none."""
    start = recv_exact(16)
    if start[:12] != SIGNATURE or start[12] >> 4 != 2:
        raise ValueError(f"no PROXY v2 header: {start!r}")
    command, family, length = start[12] & 15, start[13], int.from_bytes(start[14:], "big")
    if command not in (0, 1):
        raise ValueError(f"command {command}")
    body = recv_exact(length)
    size, address = {0x11: (4, ipaddress.IPv4Address), 0x21: (16, ipaddress.IPv6Address)}.get(
        family, (0, None)
    )
    client = server = None
    at = 0
    if size:
        ports = struct.unpack_from("!HH", body, 2 * size)
        client = (str(address(body[:size])), ports[0])
        server = (str(address(body[size : 2 * size])), ports[1])
        at = 2 * size + 4
    header = Header(command == 0, client, server, read_tlvs(body[at:]))
    if SSL in header.tlvs:
        value = header.tlvs[SSL]
        header.ssl_client, header.ssl_verify = struct.unpack_from("!BI", value)
        header.ssl = read_tlvs(value[5:])
    return header
