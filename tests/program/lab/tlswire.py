"""What two parties said on the wire: an independent reader of TLS 1.2 and TLS 1.3.

This is the judge of the tests, so it shares nothing with the program that it judges. It
reads the bytes of a connection's two directions into the messages in their order. What is
encrypted in TLS 1.3 it decrypts when it is given the client's key log (NSS format).
"""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

TLS12 = 0x0303
TLS13 = 0x0304

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23

MESSAGES = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    5: "EndOfEarlyData",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    24: "KeyUpdate",
}

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    40: "handshake_failure",
    42: "bad_certificate",
    44: "certificate_revoked",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    80: "internal_error",
    100: "no_renegotiation",
    109: "missing_extension",
    112: "unrecognized_name",
    116: "certificate_required",
    120: "no_application_protocol",
}

SERVER_NAME, SUPPORTED_GROUPS, ALPN = 0, 10, 16
EXTENDED_MASTER_SECRET, SESSION_TICKET = 23, 35
PRE_SHARED_KEY, EARLY_DATA, SUPPORTED_VERSIONS, KEY_SHARE = 41, 42, 43, 51

# RFC 8446 4.1.3: the random of a ServerHello that is a HelloRetryRequest.
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


class WireError(Exception):
    """The bytes are not what TLS says they must be."""


class Reader:
    """A cursor over bytes that refuses to read past their end."""

    def __init__(self, data):
        self.data = bytes(data)
        self.at = 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, count):
        if count > len(self.data) - self.at:
            raise WireError(f"{count} bytes wanted, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vector(self, size_of_length):
        return self.take(self.number(size_of_length))

    def end(self):
        if self:
            raise WireError(f"{len(self.data) - self.at} bytes too many")


def read_numbers(data, size=2):
    """A list of numbers of `size` bytes each."""
    reader = Reader(data)
    found = []
    while reader:
        found.append(reader.number(size))
    return found


def read_extensions(reader):
    """The extensions at the end of a message, in their order: {type: value}."""
    found = {}
    if not reader:
        return found  # TLS 1.2 may leave the whole block out
    block = Reader(reader.vector(2))
    while block:
        kind = block.number(2)
        if kind in found:
            raise WireError(f"extension {kind} twice")
        found[kind] = block.vector(2)
    return found


@dataclass
class ClientHello:
    version: int
    random: bytes
    session_id: bytes
    cipher_suites: list
    extensions: dict

    @classmethod
    def parse(cls, body):
        reader = Reader(body)
        version, random = reader.number(2), reader.take(32)
        session_id = reader.vector(1)
        suites = read_numbers(reader.vector(2))
        reader.vector(1)  # compression methods
        extensions = read_extensions(reader)
        reader.end()
        return cls(version, random, session_id, suites, extensions)

    @property
    def server_name(self):
        if SERVER_NAME not in self.extensions:
            return None
        entries = Reader(Reader(self.extensions[SERVER_NAME]).vector(2))
        entries.number(1)
        return entries.vector(2).decode()

    @property
    def ticket(self):
        """The SessionTicket extension's content; b"" says "I can", None: not there."""
        return self.extensions.get(SESSION_TICKET)

    @property
    def versions(self):
        if SUPPORTED_VERSIONS not in self.extensions:
            return [self.version]
        return read_numbers(Reader(self.extensions[SUPPORTED_VERSIONS]).vector(1))

    @property
    def psk_identities(self):
        """The identities of the pre_shared_key extension; an empty list: none."""
        if PRE_SHARED_KEY not in self.extensions:
            return []
        identities = Reader(Reader(self.extensions[PRE_SHARED_KEY]).vector(2))
        found = []
        while identities:
            found.append(identities.vector(2))
            identities.number(4)  # obfuscated age
        return found


@dataclass
class ServerHello:
    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    extensions: dict

    @classmethod
    def parse(cls, body):
        reader = Reader(body)
        version, random = reader.number(2), reader.take(32)
        session_id = reader.vector(1)
        suite = reader.number(2)
        reader.number(1)  # compression method
        extensions = read_extensions(reader)
        reader.end()
        return cls(version, random, session_id, suite, extensions)

    @property
    def version(self):
        chosen = self.extensions.get(SUPPORTED_VERSIONS)
        return int.from_bytes(chosen, "big") if chosen else self.legacy_version

    @property
    def is_retry(self):
        return self.random == RETRY_RANDOM

    @property
    def ticket(self):
        """The SessionTicket extension's content (to be empty), or None: not there."""
        return self.extensions.get(SESSION_TICKET)

    @property
    def psk_selected(self):
        """The index of the identity that was accepted, or None."""
        chosen = self.extensions.get(PRE_SHARED_KEY)
        return None if chosen is None else int.from_bytes(chosen, "big")


@dataclass
class NewSessionTicket:
    lifetime_s: int
    ticket: bytes
    age_add: int = None
    nonce: bytes = None
    extensions: dict = field(default_factory=dict)

    @classmethod
    def parse(cls, body, version):
        reader = Reader(body)
        lifetime_s = reader.number(4)
        if version != TLS13:
            ticket = reader.vector(2)
            reader.end()
            return cls(lifetime_s, ticket)
        age_add, nonce = reader.number(4), reader.vector(1)
        ticket = reader.vector(2)
        extensions = read_extensions(reader)
        reader.end()
        return cls(lifetime_s, ticket, age_add, nonce, extensions)


def parse_key_log(text):
    """An NSS key log: {client random: {label: secret}}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and not line.startswith("#"):
            label, random, secret = words
            found.setdefault(bytes.fromhex(random), {})[label] = bytes.fromhex(secret)
    return found


class Tls13Keys:
    """Opens one direction's records of TLS 1.3 (RFC 8446 5.2, 7.1, 7.3)."""

    SUITES = {
        0x1301: (AESGCM, 16, hashes.SHA256),
        0x1302: (AESGCM, 32, hashes.SHA384),
        0x1303: (ChaCha20Poly1305, 32, hashes.SHA256),
    }

    def __init__(self, suite, secret):
        self.aead, self.key_len, self.hash = self.SUITES[suite]
        self.start(secret)

    def start(self, secret):
        self.secret = secret
        self.key = self.expand(b"key", self.key_len)
        self.iv = self.expand(b"iv", 12)
        self.sequence = 0

    def update(self):
        """After a KeyUpdate."""
        self.start(self.expand(b"traffic upd", len(self.secret)))

    def expand(self, label, length):
        label = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(self.hash(), length, info).derive(self.secret)

    def open(self, header, payload):
        """Returns the content type and the content."""
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.sequence.to_bytes(12, "big")))
        plain = self.aead(self.key).decrypt(nonce, payload, header).rstrip(b"\0")
        self.sequence += 1
        return plain[-1], plain[:-1]


@dataclass
class Message:
    """A handshake message, or "ChangeCipherSpec". `body` is parsed where this file knows
    how (the hellos and NewSessionTicket), None where it could not be read."""

    name: str
    body: object = None

    def __repr__(self):
        return self.name


@dataclass
class Alert:
    level: int  # None when it could not be read
    code: int

    @property
    def name(self):
        return "encrypted" if self.code is None else ALERTS.get(self.code, str(self.code))


class Direction:
    """What one party sent: its handshake messages, alerts and count of data records."""

    def __init__(self, data):
        self.messages = []
        self.alerts = []
        self.data_records = 0
        self.records = []
        self.complete = True  # no part of a record is left over at the end
        reader = Reader(data)
        while reader:
            try:
                header = reader.take(5)
                self.records.append((header, reader.take(int.from_bytes(header[3:], "big"))))
            except WireError:
                self.complete = False
                break

    @property
    def names(self):
        return [message.name for message in self.messages]

    def all(self, name):
        return [message.body for message in self.messages if message.name == name]

    def first(self, name):
        return next(iter(self.all(name)), None)


class Transcript:
    """A connection, read from the bytes of both directions.

    client, server   the two directions
    hello            the (first) ClientHello
    answer           the ServerHello that counts (not a HelloRetryRequest), or None
    retried          whether there was a HelloRetryRequest
    """

    def __init__(self, client_bytes, server_bytes, key_log=""):
        self.client = Direction(client_bytes)
        self.server = Direction(server_bytes)
        self.hello = None
        self.answer = None
        self.retried = False
        secrets = parse_key_log(key_log)
        # The server's side first: what the client's bytes mean depends on the ServerHello.
        self._peek_client_hello()
        self.secrets = secrets.get(self.hello.random, {}) if self.hello else {}
        self._walk(self.server, "SERVER")
        self._walk(self.client, "CLIENT")

    def _peek_client_hello(self):
        joined = b""
        for header, payload in self.client.records:
            if header[0] != HANDSHAKE:
                break
            joined += payload
            if len(joined) >= 4 and len(joined) >= 4 + int.from_bytes(joined[1:4], "big"):
                reader = Reader(joined)
                if reader.number(1) != 1:
                    raise WireError("the client does not begin with a ClientHello")
                self.hello = ClientHello.parse(reader.vector(3))
                break

    @property
    def version(self):
        return self.answer.version if self.answer else None

    def _keys(self, who, label):
        secret = self.secrets.get(f"{who}_{label}")
        return Tls13Keys(self.answer.cipher_suite, secret) if secret and self.answer else None

    def _parse(self, name, body):
        if name == "ClientHello":
            return ClientHello.parse(body)
        if name == "ServerHello":
            return ServerHello.parse(body)
        if name == "NewSessionTicket":
            return NewSessionTicket.parse(body, self.version)
        return body

    def _walk(self, direction, who):
        walk = _Walk(self, direction, who)
        for header, payload in direction.records:
            walk.record(header, payload)

    # --- what the tests ask ---

    @property
    def abbreviated(self):
        """TLS 1.2: the server went on without a Certificate, the client without keys."""
        return (
            "Certificate" not in self.server.names
            and "ServerKeyExchange" not in self.server.names
            and "ClientKeyExchange" not in self.client.names
        )

    @property
    def tickets(self):
        return self.server.all("NewSessionTicket")

    @property
    def decrypted(self):
        """TLS 1.3: all of the server's records could be read."""
        return "Encrypted" not in self.server.names


class _Walk:
    """Goes through one direction's records, with the state that this needs."""

    def __init__(self, transcript, direction, who):
        self.t = transcript
        self.direction = direction
        self.who = who
        self.joined = b""
        self.encrypted = False
        self.keys = None

    @property
    def is_13(self):
        return self.t.version == TLS13

    def record(self, header, payload):
        kind = header[0]
        if kind == APPLICATION_DATA and self.is_13:
            kind, payload = self.open(header, payload)
            if kind is None:
                return
            self.content(kind, payload)
        elif self.encrypted and kind in (ALERT, HANDSHAKE):
            self.encrypted_tls12(kind)
        else:
            self.content(kind, payload)

    def open(self, header, payload):
        if self.keys is None:
            self.keys = self.t._keys(self.who, "HANDSHAKE_TRAFFIC_SECRET")
        if self.keys is None:
            self.direction.messages.append(Message("Encrypted"))
            return None, b""
        try:
            return self.keys.open(header, payload)
        except InvalidTag as error:
            raise WireError(f"a record of the {self.who} does not decrypt") from error

    def encrypted_tls12(self, kind):
        if kind == ALERT:
            self.direction.alerts.append(Alert(None, None))
        else:
            finished = "Finished" in self.direction.names
            self.direction.messages.append(Message("Encrypted" if finished else "Finished"))

    def content(self, kind, payload):
        if kind == CHANGE_CIPHER_SPEC:
            # In TLS 1.3 it means nothing (RFC 8446 D.4) and is left out.
            if not self.is_13:
                self.direction.messages.append(Message("ChangeCipherSpec"))
                self.encrypted = True
        elif kind == ALERT:
            self.direction.alerts.append(Alert(*payload))
        elif kind == APPLICATION_DATA:
            self.direction.data_records += 1
        elif kind == HANDSHAKE:
            self.joined += payload
            self.split()
        else:
            raise WireError(f"record type {kind}")

    def split(self):
        while len(self.joined) >= 4:
            length = int.from_bytes(self.joined[1:4], "big")
            if len(self.joined) < 4 + length:
                return
            name = MESSAGES.get(self.joined[0], str(self.joined[0]))
            body, self.joined = self.joined[4 : 4 + length], self.joined[4 + length :]
            self.message(name, body)

    def message(self, name, body):
        parsed = self.t._parse(name, body)
        if name == "ServerHello" and parsed.is_retry:
            self.t.retried = True
            name = "HelloRetryRequest"
        elif name == "ServerHello":
            self.t.answer = parsed
        self.direction.messages.append(Message(name, parsed))
        if self.is_13 and name == "Finished":
            self.keys = self.t._keys(self.who, "TRAFFIC_SECRET_0")
        elif self.is_13 and name == "KeyUpdate":
            self.keys.update()
