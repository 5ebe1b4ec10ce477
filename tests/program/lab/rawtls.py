"""A TLS 1.2 and TLS 1.3 client of which the test decides every byte.

It is as obedient as no library is: the caller says what is sent, in which order, in which
records, and is told what came back. What the caller does not say is done as the RFCs want
it. Certificates are not verified; the server's Finished is.

    with Client(address) as client:
        client.send_message(hello12().message())
        client.expect(ALERT, "illegal_parameter")
"""

import hashlib
import hmac
import os
import socket
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .hello import NO_RENEGOTIATION_SCSV, numbers, vector
from .tlswire import (
    ALERT,
    ALERTS,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    EXTENDED_MASTER_SECRET,
    HANDSHAKE,
    KEY_SHARE,
    MESSAGES,
    PRE_SHARED_KEY,
    SERVER_NAME,
    SESSION_TICKET,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    TLS12,
    TLS13,
    NewSessionTicket,
    Reader,
    ServerHello,
    Tls13Keys,
)

WAIT_S = 20  # for an answer; only a failed test waits as long

RECORD_MAX = 16384
SIGNATURE_ALGORITHMS, POINT_FORMATS, COOKIE, PSK_MODES = 13, 11, 44, 45
RENEGOTIATION_INFO = 0xFF01
P256, X25519 = 0x0017, 0x001D
SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501)

CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, END_OF_EARLY_DATA = 1, 2, 4, 5
CERTIFICATE, SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE = 11, 12, 14
CLIENT_KEY_EXCHANGE, FINISHED, KEY_UPDATE, MESSAGE_HASH = 16, 20, 24, 254

CODES = {name: code for code, name in ALERTS.items()} | {
    "record_overflow": 22,
    "inappropriate_fallback": 86,
    "unsupported_extension": 110,
}
NAMES = {code: name for name, code in CODES.items()}

ECDHE_ECDSA_128, ECDHE_RSA_128, ECDHE_ECDSA_256 = 0xC02B, 0xC02F, 0xC02C
AES_128_13, AES_256_13 = 0x1301, 0x1302


def message(kind, body):
    """A handshake message."""
    return bytes([kind]) + vector(3, body)


def record(kind, payload, version=TLS12):
    return bytes([kind]) + version.to_bytes(2, "big") + vector(2, payload)


# --- hellos ---


@dataclass
class Hello:
    """A ClientHello in parts. `extensions` is a list of (type, value)."""

    version: int = TLS12
    random: bytes = field(default_factory=lambda: os.urandom(32))
    session_id: bytes = b""
    suites: tuple = (ECDHE_ECDSA_128, ECDHE_RSA_128, NO_RENEGOTIATION_SCSV)
    compression: bytes = b"\0"
    extensions: list = field(default_factory=list)
    shares: dict = field(default_factory=dict)  # TLS 1.3: private keys by group
    block: bool = True  # whether there is a block of extensions

    def body(self):
        head = self.version.to_bytes(2, "big") + self.random + vector(1, self.session_id)
        head += vector(2, numbers(self.suites)) + vector(1, self.compression)
        return head + (vector(2, pack(self.extensions)) if self.block else b"")

    def message(self):
        return message(CLIENT_HELLO, self.body())

    def value(self, kind):
        return next(value for number, value in self.extensions if number == kind)

    def put(self, kind, value):
        """Replaces an extension, where it stands, or adds it before pre_shared_key."""
        place = next((i for i, (n, _) in enumerate(self.extensions) if n == kind), None)
        if place is not None:
            self.extensions[place] = (kind, value)
        elif self.extensions and self.extensions[-1][0] == PRE_SHARED_KEY:
            self.extensions.insert(-1, (kind, value))
        else:
            self.extensions.append((kind, value))
        return self

    def drop(self, kind):
        self.extensions = [entry for entry in self.extensions if entry[0] != kind]
        return self


def pack(extensions):
    return b"".join(kind.to_bytes(2, "big") + vector(2, value) for kind, value in extensions)


def server_name(name, kind=0):
    return vector(2, bytes([kind]) + vector(2, name))


def alpn(*protocols):
    return vector(2, b"".join(vector(1, protocol) for protocol in protocols))


def hello12(name=b"www.example.com", ticket=None, ems=True, groups=(X25519, P256), **more):
    """A ClientHello of TLS 1.2. ticket: None: no extension; b"": an empty one."""
    extensions = [(SERVER_NAME, server_name(name))] if name is not None else []
    extensions += [
        (SUPPORTED_GROUPS, vector(2, numbers(groups))),
        (POINT_FORMATS, b"\1\0"),
        (SIGNATURE_ALGORITHMS, vector(2, numbers(SIGNATURES))),
    ]
    if ems:
        extensions.append((EXTENDED_MASTER_SECRET, b""))
    if ticket is not None:
        extensions.append((SESSION_TICKET, ticket))
    return Hello(extensions=extensions, **more)


def new_share(group):
    """A private key and what the other side is shown of it."""
    if group == X25519:
        key = x25519.X25519PrivateKey.generate()
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return key, key.public_key().public_bytes(*raw)
    key = ec.generate_private_key(ec.SECP256R1())
    point = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return key, key.public_key().public_bytes(*point)


def exchange_share(key, theirs):
    if isinstance(key, x25519.X25519PrivateKey):
        return key.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
    return key.exchange(ec.ECDH(), public)


def key_shares(entries):
    return vector(2, b"".join(g.to_bytes(2, "big") + vector(2, share) for g, share in entries))


def hello13(name=b"www.example.com", shares=(X25519,), groups=(X25519, P256), modes=b"\1", **more):
    """A ClientHello of TLS 1.3 with a share of each of `shares`. modes None: no extension."""
    more.setdefault("suites", (AES_128_13, AES_256_13))
    more.setdefault("session_id", os.urandom(32))
    hello = Hello(**more)
    entries = []
    for group in shares:
        hello.shares[group], share = new_share(group)
        entries.append((group, share))
    hello.extensions = [(SERVER_NAME, server_name(name))] if name is not None else []
    hello.extensions += [
        (SUPPORTED_GROUPS, vector(2, numbers(groups))),
        (SIGNATURE_ALGORITHMS, vector(2, numbers(SIGNATURES))),
        (SUPPORTED_VERSIONS, vector(1, numbers([TLS13]))),
    ]
    if modes is not None:
        hello.extensions.append((PSK_MODES, vector(1, modes)))
    hello.extensions.append((KEY_SHARE, key_shares(entries)))
    return hello


# --- secrets ---


class Schedule:
    """RFC 8446 7.1, for one hash."""

    def __init__(self, suite, psk=None):
        self.suite = suite
        self.name = "sha384" if suite == AES_256_13 else "sha256"
        self.size = hashlib.new(self.name).digest_size
        self.early = self.extract(bytes(self.size), psk or bytes(self.size))

    def hash(self, data):
        return hashlib.new(self.name, data).digest()

    def extract(self, salt, secret):
        return hmac.new(salt, secret, self.name).digest()

    def mac(self, key, data):
        return hmac.new(key, data, self.name).digest()

    def expand(self, secret, label, context, size=None):
        size = self.size if size is None else size
        info = size.to_bytes(2, "big") + vector(1, b"tls13 " + label) + vector(1, context)
        out, block, count = b"", b"", 0
        while len(out) < size:
            count += 1
            block = self.mac(secret, block + info + bytes([count]))
            out += block
        return out[:size]

    def derive(self, secret, label, transcript=b""):
        return self.expand(secret, label, self.hash(transcript))

    def handshake(self, shared):
        self.secret = self.extract(self.derive(self.early, b"derived"), shared)
        self.master = self.extract(self.derive(self.secret, b"derived"), bytes(self.size))

    def finished(self, base, transcript):
        return self.mac(self.expand(base, b"finished", b""), self.hash(transcript))

    def binder(self, transcript):
        return self.finished(self.derive(self.early, b"res binder"), transcript)


class Keys13(Tls13Keys):
    """One direction's, which can seal as well."""

    def seal(self, kind, payload, padding=0, header=None):
        inner = payload + bytes([kind]) + bytes(padding)
        return self.seal_inner(inner, header)

    def seal_inner(self, inner, header=None):
        header = header or bytes([APPLICATION_DATA, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.sequence.to_bytes(12, "big")))
        self.sequence += 1
        return header + self.aead(self.key).encrypt(nonce, inner, header)


class Keys12:
    """AES-GCM of TLS 1.2 (RFC 5288), one direction."""

    def __init__(self, key, salt):
        self.aead, self.salt, self.sequence = AESGCM(key), salt, 0

    def more(self, kind, size):
        return self.sequence.to_bytes(8, "big") + bytes([kind, 3, 3]) + size.to_bytes(2, "big")

    def seal(self, kind, payload):
        nonce = self.sequence.to_bytes(8, "big")
        sealed = self.aead.encrypt(self.salt + nonce, payload, self.more(kind, len(payload)))
        self.sequence += 1
        return record(kind, nonce + sealed)

    def open(self, header, payload):
        more = self.more(header[0], len(payload) - 24)
        plain = self.aead.decrypt(self.salt + payload[:8], payload[8:], more)
        self.sequence += 1
        return header[0], plain


def prf(name, secret, label, seed, size):
    """RFC 5246 5."""
    out, a = b"", label + seed
    while len(out) < size:
        a = hmac.new(secret, a, name).digest()
        out += hmac.new(secret, a + label + seed, name).digest()
    return out[:size]


@dataclass
class Session:
    """What resumes: of TLS 1.2 the master secret, of TLS 1.3 the PSK."""

    version: int
    suite: int
    secret: bytes
    session_id: bytes = b""
    ticket: bytes = None
    age_add: int = 0
    lifetime_s: int = 0

    def identity(self, age_ms=10, ticket=None):
        shown = (age_ms + self.age_add) % (1 << 32)
        return (self.ticket if ticket is None else ticket), shown


def offer(hello, session, identities=None, binders=None, before=b""):
    """Adds pre_shared_key: by default the session's ticket with its right binder.

    identities   (ticket, obfuscated age) of each
    binders      None: right ones of `session` for each; a list: these (None: the right one)
    before       the transcript before this hello (after a HelloRetryRequest)
    """
    identities = [session.identity()] if identities is None else identities
    schedule = Schedule(session.suite, session.secret)
    wanted = [None] * len(identities) if binders is None else binders
    lengths = [schedule.size if binder is None else len(binder) for binder in wanted]
    names = b"".join(vector(2, name) + age.to_bytes(4, "big") for name, age in identities)
    empty = b"".join(bytes([length]) + bytes(length) for length in lengths)
    hello.drop(PRE_SHARED_KEY)
    hello.extensions.append((PRE_SHARED_KEY, vector(2, names) + vector(2, empty)))
    truncated = hello.message()[: -(len(empty) + 2)]
    right = schedule.binder(before + truncated)
    filled = b"".join(vector(1, right if binder is None else binder) for binder in wanted)
    hello.extensions[-1] = (PRE_SHARED_KEY, vector(2, names) + vector(2, filled))
    return hello


# --- the connection ---


class Ended(Exception):
    """The server sent an alert or ended the connection: `end` says which."""

    def __init__(self, end):
        super().__init__(str(end))
        self.end = end


@dataclass(frozen=True)
class End:
    """How a connection ended. `alert` is a name, or None without one; `how`: "closed" (a
    FIN, after the alert if there is one), "reset"."""

    alert: str = None
    fatal: bool = None
    how: str = "closed"

    def __str__(self):
        return f"{self.alert} ({'fatal' if self.fatal else 'warning'}), {self.how}"


class Client:
    """See the head of this file.

    sent, received    the handshake messages of this client, of the server, in order
    transcript        the messages that count for Finished
    """

    def __init__(self, address, wait_s=WAIT_S):
        self.sock = socket.create_connection(address, timeout=wait_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.joined = b""
        self.write = self.read = None  # keys, once they are in use
        self.transcript = b""
        self.messages = []  # names of the server's
        self.tickets = []
        self.answer = None
        self.schedule = None
        self.session = None
        self.resumed = False
        self.hello = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    # --- sending ---

    def send(self, data):
        """Bytes as they are. An error is left for what reads next to find."""
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def seal(self, kind, payload, **more):
        return self.write.seal(kind, payload, **more) if self.write else record(kind, payload)

    def send_record(self, kind, payload, **more):
        self.send(self.seal(kind, payload, **more))

    def send_message(self, data, size=RECORD_MAX, keep=True):
        """A handshake message in records of `size` bytes; `keep` puts it into the
        transcript."""
        if keep:
            self.transcript += data
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        self.send(b"".join(self.seal(HANDSHAKE, part) for part in parts))

    def send_hello(self, hello, size=RECORD_MAX, version=0x0301):
        self.hello = hello
        data = hello.message()
        self.transcript += data
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        self.send(b"".join(record(HANDSHAKE, part, version) for part in parts))

    def send_ccs(self, payload=b"\1"):
        self.send(record(CHANGE_CIPHER_SPEC, payload))

    def send_alert(self, level, code):
        self.send_record(ALERT, bytes([level, code]))

    # --- receiving ---

    def _fill(self, count):
        while len(self.buffer) < count:
            try:
                part = self.sock.recv(65536)
            except ConnectionResetError:
                raise Ended(End(how="reset")) from None
            except TimeoutError:
                raise Ended(End(how="silent")) from None
            if not part:
                raise Ended(End(how="closed" if not self.buffer else "cut"))
            self.buffer += part

    def read_record(self):
        """The next record's type and content, decrypted. Raises Ended at an alert."""
        self._fill(5)
        header = self.buffer[:5]
        size = int.from_bytes(header[3:], "big")
        self._fill(5 + size)
        payload, self.buffer = self.buffer[5 : 5 + size], self.buffer[5 + size :]
        kind = header[0]
        if self.read and not (kind == CHANGE_CIPHER_SPEC and isinstance(self.read, Keys13)):
            kind, payload = self.read.open(header, payload)
        if kind == ALERT:
            name = NAMES.get(payload[1], str(payload[1]))
            raise Ended(End(name, payload[0] == 2, self._how()))
        return kind, payload

    def _how(self):
        """How it ends after an alert: nothing else may follow."""
        try:
            self._fill(len(self.buffer) + 1)
        except Ended as ended:
            return ended.end.how
        return "more"

    def read_message(self):
        """The next handshake message's type and body; change_cipher_spec is passed over
        where TLS 1.3 allows it, and turns reading on in TLS 1.2."""
        while len(self.joined) < 4 or len(self.joined) < 4 + int.from_bytes(
            self.joined[1:4], "big"
        ):
            kind, payload = self.read_record()
            if kind == CHANGE_CIPHER_SPEC and self.read is None and self.answer:
                if self.answer.version == TLS12:
                    self.read = self.pending[1]
                continue
            if kind == CHANGE_CIPHER_SPEC:
                continue
            assert kind == HANDSHAKE, f"a record of type {kind} where a message should be"
            self.joined += payload
        size = 4 + int.from_bytes(self.joined[1:4], "big")
        whole, self.joined = self.joined[:size], self.joined[size:]
        self.messages.append(MESSAGES.get(whole[0], str(whole[0])))
        if whole[0] not in (NEW_SESSION_TICKET, KEY_UPDATE) or self.answer.version == TLS12:
            self.before = self.transcript
            self.transcript += whole
        return whole[0], whole[4:]

    def expect_message(self, kind):
        found, body = self.read_message()
        assert found == kind, f"{MESSAGES.get(found, found)}, not {MESSAGES[kind]}"
        return body

    def read_end(self):
        """Reads to the end, past everything; how it ended."""
        try:
            while True:
                self.read_record()
        except Ended as ended:
            return ended.end

    def read_data(self, count):
        """Application data; NewSessionTickets and KeyUpdates on the way are taken in."""
        data = b""
        while len(data) < count:
            kind, payload = self.read_record()
            if kind == APPLICATION_DATA:
                data += payload
            elif kind == HANDSHAKE:
                self._post_handshake(payload)
            else:
                raise AssertionError(f"a record of type {kind}")
        return data

    def _post_handshake(self, payload):
        self.joined += payload
        while self.joined:
            reader = Reader(self.joined)
            kind, body = reader.number(1), reader.vector(3)
            self.joined = self.joined[reader.at :]
            self.messages.append(MESSAGES[kind])
            if kind == NEW_SESSION_TICKET:
                self._take_ticket13(body)
            elif kind == KEY_UPDATE:
                self.read.update()

    # --- TLS 1.2 ---

    def start12(self, hello=None, session=None, size=RECORD_MAX):
        """Sends a hello and reads the server's first flight, to ServerHelloDone or, when it
        resumes, to its Finished."""
        self.send_hello(hello or hello12(), size)
        return self.read_flight12(session)

    def read_flight12(self, session=None):
        self.answer = ServerHello.parse(self.expect_message(SERVER_HELLO))
        assert self.answer.version == TLS12
        suite = self.answer.cipher_suite
        self.hash = "sha384" if suite in (ECDHE_ECDSA_256, 0xC030) else "sha256"
        self.key_len = 32 if self.hash == "sha384" else 16
        self.ems = EXTENDED_MASTER_SECRET in self.answer.extensions
        if session:
            self.master = session.secret
            self._make_keys12()
        while True:
            kind, body = self.read_message()
            if kind == SERVER_KEY_EXCHANGE:
                reader = Reader(body)
                assert reader.number(1) == 3, "a named curve"
                self.group, self.point = reader.number(2), reader.vector(1)
            elif kind == NEW_SESSION_TICKET:
                self.tickets.append(NewSessionTicket.parse(body, TLS12))
            elif kind == FINISHED:
                self.resumed = True
                self._check_finished12(body)
                return self
            elif kind == SERVER_HELLO_DONE:
                return self

    def _make_keys12(self):
        seed = self.answer.random + self.hello.random
        block = prf(self.hash, self.master, b"key expansion", seed, 2 * self.key_len + 8)
        ours, theirs = block[: self.key_len], block[self.key_len : 2 * self.key_len]
        salts = block[2 * self.key_len :]
        self.pending = Keys12(ours, salts[:4]), Keys12(theirs, salts[4:])

    def key_exchange12(self):
        """Makes the secrets; the ClientKeyExchange to send."""
        key, share = new_share(self.group)
        premaster = exchange_share(key, self.point)
        data = message(CLIENT_KEY_EXCHANGE, vector(1, share))
        if self.ems:
            digest = hashlib.new(self.hash, self.transcript + data).digest()
            self.master = prf(self.hash, premaster, b"extended master secret", digest, 48)
        else:
            seed = self.hello.random + self.answer.random
            self.master = prf(self.hash, premaster, b"master secret", seed, 48)
        self._make_keys12()
        return data

    def verify_data12(self, label, transcript):
        digest = hashlib.new(self.hash, transcript).digest()
        return prf(self.hash, self.master, label, digest, 12)

    def finished12(self):
        return message(FINISHED, self.verify_data12(b"client finished", self.transcript))

    def _check_finished12(self, body):
        assert body == self.verify_data12(b"server finished", self.before), "Finished"

    def send_ccs_finished12(self):
        self.send_ccs()
        self.write = self.pending[0]
        self.send_message(self.finished12())

    def finish12(self):
        """The rest of a handshake after the server's first flight."""
        if not self.resumed:
            self.send_message(self.key_exchange12())
        self.send_ccs_finished12()
        while not self.resumed:
            kind, body = self.read_message()
            if kind == NEW_SESSION_TICKET:
                self.tickets.append(NewSessionTicket.parse(body, TLS12))
            else:
                assert kind == FINISHED
                self._check_finished12(body)
                break
        ticket = self.tickets[-1].ticket if self.tickets else None
        self.session = Session(
            TLS12, self.answer.cipher_suite, self.master, self.answer.session_id, ticket
        )
        return self

    def handshake12(self, hello=None, session=None):
        return self.start12(hello, session).finish12()

    # --- TLS 1.3 ---

    def start13(self, hello=None, psk=None, size=RECORD_MAX, read=True):
        self.send_hello(hello or hello13(), size)
        return self.read_flight13(psk) if read else self

    def read_hello13(self):
        self.answer = ServerHello.parse(self.expect_message(SERVER_HELLO))
        assert self.answer.version == TLS13
        return self.answer

    def retry(self):
        """After a HelloRetryRequest: the transcript begins anew (RFC 8446 4.4.1)."""
        first = self.hello.message()
        rest = self.transcript[len(first) :]
        digest = Schedule(self.answer.cipher_suite).hash(first)
        self.transcript = message(MESSAGE_HASH, digest) + rest
        return self.transcript

    def read_flight13(self, psk=None):
        """ServerHello to Finished. psk: the Session whose PSK was offered."""
        answer = self.read_hello13()
        assert not answer.is_retry, "HelloRetryRequest"
        self.resumed = answer.psk_selected is not None
        self.schedule = Schedule(answer.cipher_suite, psk.secret if self.resumed else None)
        share = Reader(answer.extensions[KEY_SHARE])
        key = self.hello.shares[share.number(2)]
        self.schedule.handshake(exchange_share(key, share.vector(2)))
        s = self.schedule
        self.secrets = [
            s.derive(s.secret, label + b" hs traffic", self.transcript) for label in (b"c", b"s")
        ]
        self.read = Keys13(answer.cipher_suite, self.secrets[1])
        while True:
            kind, body = self.read_message()
            if kind == FINISHED:
                assert body == s.finished(self.secrets[1], self.before), "Finished"
                break
        self.application = [
            s.derive(s.master, label + b" ap traffic", self.transcript) for label in (b"c", b"s")
        ]
        self.handshake_keys = Keys13(answer.cipher_suite, self.secrets[0])
        self.write = self.handshake_keys
        self.read = Keys13(answer.cipher_suite, self.application[1])
        return self

    def finished13(self):
        return message(FINISHED, self.schedule.finished(self.secrets[0], self.transcript))

    def finish13(self):
        self.send_message(self.finished13())
        return self.open13()

    def open13(self):
        """From here on the application's keys."""
        s = self.schedule
        self.write = Keys13(self.answer.cipher_suite, self.application[0])
        self.resumption = s.derive(s.master, b"res master", self.transcript)
        return self

    def _take_ticket13(self, body):
        ticket = NewSessionTicket.parse(body, TLS13)
        self.tickets.append(ticket)
        secret = self.schedule.expand(self.resumption, b"resumption", ticket.nonce)
        self.session = Session(
            TLS13,
            self.answer.cipher_suite,
            secret,
            ticket=ticket.ticket,
            age_add=ticket.age_add,
            lifetime_s=ticket.lifetime_s,
        )

    def handshake13(self, hello=None, psk=None):
        return self.start13(hello, psk).finish13()

    # --- after the handshake ---

    def echo(self, data=b"ping"):
        """Application data to the echoing backend and back."""
        self.send_record(APPLICATION_DATA, data)
        found = self.read_data(len(data))
        assert found == data, found
        return self

    def close(self):
        """close_notify, answered by one."""
        self.send_alert(1, 0)
        end = self.read_end()
        assert end == End("close_notify", False, "closed"), str(end)


def probe(address, data, wait_s=WAIT_S):
    """Sends bytes; how the connection ended, or the name of the message that came first."""
    with Client(address, wait_s) as client:
        client.send(data)
        try:
            kind, _ = client.read_message()
        except Ended as ended:
            return ended.end
        return MESSAGES[kind]
