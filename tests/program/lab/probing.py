"""What the conformance tests share: a terminator to be probed, and how answers are judged."""

import random
import shutil
import tempfile

from . import config as conf
from . import rawtls as raw
from .backends import Backend, echo
from .certs import Certificates
from .hello import NO_RENEGOTIATION_SCSV, numbers, vector
from .rawtls import Client, End, hello12
from .terminator import Terminator
from .tlswire import HANDSHAKE

WWW = b"www.example.com"
CACHED = b"other.example.com"  # only session-cache is ticked
GUARDED = b"localhost"  # asks for a client certificate
SCSV = (NO_RENEGOTIATION_SCSV,)
ECDHE = (raw.ECDHE_ECDSA_128, raw.ECDHE_RSA_128)
HEARTBEAT = 24


class Service:
    """A terminator for all tests of this file, in front of a backend that echoes."""

    def __init__(self, folder):
        certs = Certificates(folder)
        self.sockets = tempfile.mkdtemp(prefix="reprise-")
        self.backend = Backend(echo)
        pairs = (certs.ecdsa, certs.rsa)
        profiles = [
            conf.profile(*pairs, tickets=True, alpn=["h2", "http/1.1"]),
            conf.profile(
                *pairs, name="cached", server_names=[CACHED.decode()], default=False, tickets=False
            ),
            conf.profile(
                certs.ecdsa,
                name="guarded",
                server_names=["localhost"],
                default=False,
                tickets=True,
                client_certificate="require",
                client_ca=certs.client_ca.file,
            ),
        ]
        config = conf.service(profiles, conf.pool(self.backend))
        self.terminator = Terminator(folder, self.sockets, config)
        self.terminator.start()
        self.address = self.terminator.address()

    def client(self):
        return Client(self.address)

    def ask(self, hello):
        """What a ClientHello gets: a message's name, or how the connection ended."""
        message = hello if isinstance(hello, bytes) else hello.message()
        parts = [message[at : at + 16384] for at in range(0, len(message), 16384)]
        return self.probe(b"".join(raw.record(HANDSHAKE, part, 0x0301) for part in parts))

    def probe(self, data):
        return raw.probe(self.address, data)

    def visit12(self, hello=None, session=None):
        """A whole connection of TLS 1.2; the client, closed."""
        with self.client() as client:
            client.handshake12(hello, session).echo().close()
            return client

    def visit13(self, hello=None, psk=None):
        with self.client() as client:
            client.handshake13(hello, psk).echo().close()
            return client

    def stop(self):
        try:
            self.terminator.stop()
        finally:
            self.terminator.destroy()
            self.backend.stop()
            shutil.rmtree(self.sockets)
        assert not self.backend.errors


def fatal(name):
    return End(name, True, "closed")


def check(rows):
    """Rows of (what, found, expected); all that are wrong are told at once."""
    rows = list(rows)
    wrong = [f"{what}: {found}, not {wanted}" for what, found, wanted in rows if found != wanted]
    assert rows
    assert not wrong, f"{len(wrong)} of {len(rows)} answered wrongly:\n" + "\n".join(wrong[:40])


# --- parts of hellos ---


def lists(*versions):
    return vector(1, numbers(versions))


def share(*entries):
    return raw.key_shares(entries)


def psk(identities=((b"x" * 40, 0),), binders=(bytes(32),)):
    names = b"".join(vector(2, name) + age.to_bytes(4, "big") for name, age in identities)
    return vector(2, names) + vector(2, b"".join(vector(1, binder) for binder in binders))


def twice(kind, value, base=hello12):
    def make():
        hello = base()
        hello.drop(kind)
        hello.extensions = [(kind, value), *hello.extensions, (kind, value)]
        return hello

    return make


# --- steps: what a client may do next ---


def clear(kind, payload):
    return lambda client: client.send(raw.record(kind, payload))


def sealed(kind, payload):
    return lambda client: client.send_record(kind, payload)


def handshake(kind, body=b""):
    return lambda client: client.send_message(raw.message(kind, body))


def renegotiate(hello):
    return lambda client: client.send_message(hello().message(), keep=False)


# --- tickets ---


def damage(ticket):
    """What an attacker may make of a ticket. (name, ticket)"""
    size = len(ticket)
    rng = random.Random(27)
    yield "empty", b""
    for count in (1, 2, 15, 16, 17, 20, 28, 32, 33):
        yield f"only {count} bytes", ticket[:count]
    for count in (1, 2, 12, 16, 17, 32):
        yield f"{count} bytes short", ticket[:-count]
        yield f"{count} bytes short in front", ticket[count:]
        yield f"{count} more", ticket + bytes(count)
        yield f"{count} more in front", bytes(count) + ticket
    for count in (1024, 16384, 65000):
        yield f"{count} bytes of zeros", bytes(count)
        yield f"{count} random bytes", rng.randbytes(count)
        yield f"{count} more bytes", ticket + rng.randbytes(count)
    yield "twice", ticket + ticket
    yield "in halves, swapped", ticket[size // 2 :] + ticket[: size // 2]
    yield "backwards", ticket[::-1]
    yield "all bits turned", bytes(b ^ 0xFF for b in ticket)
    yield "zeros", bytes(size)
    yield "random", rng.randbytes(size)
    yield "key name only", ticket[:16] + bytes(size - 16)
    yield "key name, random rest", ticket[:16] + rng.randbytes(size - 16)
    yield "other key name", rng.randbytes(16) + ticket[16:]
    yield "key name of zeros", bytes(16) + ticket[16:]
    yield "tag of zeros", ticket[:-16] + bytes(16)
    yield "tag swapped", ticket[:-16] + ticket[-8:] + ticket[-16:-8]
    yield "tag in front", ticket[-16:] + ticket[:-16]
    for at in range(16, size - 32, 16):
        blocks = ticket[:at] + ticket[at + 16 : at + 32] + ticket[at : at + 16] + ticket[at + 32 :]
        yield f"blocks swapped at {at}", blocks
        yield f"a block taken out at {at}", ticket[:at] + ticket[at + 16 :]
        yield f"a block doubled at {at}", ticket[: at + 16] + ticket[at:]
    for place in range(size):
        turned = bytes([ticket[place] ^ 1 << place % 8])
        yield f"bit of byte {place}", ticket[:place] + turned + ticket[place + 1 :]
