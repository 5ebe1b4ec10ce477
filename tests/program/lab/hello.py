"""Hand-made ClientHellos of TLS 1.2, for what no library lets a client say."""

import os
import socket

from .tlswire import ALPN, EXTENDED_MASTER_SECRET, SERVER_NAME, SESSION_TICKET, Transcript

# ECDHE with AES-GCM and ChaCha20-Poly1305, for ECDSA and for RSA.
SUITES = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
NO_RENEGOTIATION_SCSV = 0x00FF
SUPPORTED_GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS = 10, 11, 13
RENEGOTIATION_INFO = 0xFF01


def vector(size_of_length, data):
    return len(data).to_bytes(size_of_length, "big") + data


def numbers(values):
    return b"".join(value.to_bytes(2, "big") for value in values)


def client_hello(
    session_id=b"",
    ticket=None,
    server_name=None,
    suites=SUITES,
    extended_master_secret=True,
    renegotiation_info=b"",
    alpn=(),
    version=0x0303,
    extra=(),
):
    """The handshake message of a TLS 1.2 ClientHello.

    ticket              None: no SessionTicket extension; b"": an empty one
    renegotiation_info  the renegotiated_connection; None: no extension
    extra               further extensions, (type, value)
    """
    extensions = []
    if server_name is not None:
        name = vector(2, b"\0" + vector(2, server_name.encode()))
        extensions.append((SERVER_NAME, name))
    extensions += [
        (SUPPORTED_GROUPS, vector(2, numbers([0x001D, 0x0017, 0x0018]))),
        (POINT_FORMATS, b"\1\0"),
        (SIGNATURE_ALGORITHMS, vector(2, numbers([0x0403, 0x0804, 0x0401, 0x0503, 0x0501]))),
    ]
    if extended_master_secret:
        extensions.append((EXTENDED_MASTER_SECRET, b""))
    if renegotiation_info is not None:
        extensions.append((RENEGOTIATION_INFO, vector(1, renegotiation_info)))
    if ticket is not None:
        extensions.append((SESSION_TICKET, ticket))
    if alpn:
        names = b"".join(vector(1, name.encode()) for name in alpn)
        extensions.append((ALPN, vector(2, names)))
    extensions += extra
    block = b"".join(kind.to_bytes(2, "big") + vector(2, value) for kind, value in extensions)
    body = (
        version.to_bytes(2, "big")
        + os.urandom(32)
        + vector(1, session_id)
        + vector(2, numbers(suites))
        + b"\1\0"  # no compression
        + vector(2, block)
    )
    return b"\1" + vector(3, body)


def records(message, fragment_bytes=16384, kind=22):
    """The message in as many records as it needs."""
    parts = [message[at : at + fragment_bytes] for at in range(0, len(message), fragment_bytes)]
    return b"".join(bytes([kind, 3, 1]) + vector(2, part) for part in parts)


def exchange(address, sent, timeout_s=30):
    """Sends bytes and reads until the server's flight is there: a ServerHelloDone, a
    Finished, an alert, or the end. Returns the Transcript."""
    with socket.create_connection(address, timeout=timeout_s) as sock:
        sock.sendall(sent)
        received = b""
        while True:
            part = sock.recv(65536)
            received += part
            seen = Transcript(sent, received)
            if not part or seen.server.alerts:
                return seen
            if {"ServerHelloDone", "Finished"} & set(seen.server.names):
                return seen
