"""Every reason of src/reason/reason.def, made to happen by a client, and told in the log."""

import json
import os
import re
import signal
import ssl
import struct
import threading
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from lab import config as conf
from lab import hello, sealed
from lab import rawtls as raw
from lab.backends import Backend, http
from lab.certs import Authority
from lab.clients import change_ticket, s_client, s_client_reused
from lab.deadline import wait_until
from lab.memory import region
from lab.pyclient import TlsClient, make_context
from lab.terminator import Terminator, list_files, worker_of
from lab.tlswire import APPLICATION_DATA, PRE_SHARED_KEY
from lab.visitors import Visitor

TOP = Path(__file__).resolve().parents[2]
WWW = "www.example.com"
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
KINDS = pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])
PSK_MODES = 45


def words():
    table = (TOP / "src/reason/reason.def").read_text()
    return re.findall(r'^REASON\(\w+,\s*"([a-z-]+)"', table, re.M)


def test_every_reason_is_made_to_happen_somewhere():
    """A word that no test of a whole connection expects is one that nobody has seen."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [word for word in words() if f'"{word}"' not in tests] == []


@pytest.fixture
def serve(terminator, backends, certs):
    """`serve(tickets=.., single_use_tickets=..)`: a terminator with one profile."""
    backend = backends(Backend(http))

    def start(service=None, **profile):
        profile = conf.profile(certs.ecdsa, **profile)
        return terminator(conf.service(profile, conf.pool(backend), **(service or {})))

    return start


@pytest.fixture
def visitor(certs):
    return lambda service, version, **more: Visitor(service, version, certs, **more)


def line_of(service, guest):
    return service.connection(guest.last)


def refused(service, guest, version=None):
    """The line of a visit that must not resume."""
    assert not guest.visit(keep=False)
    line = line_of(service, guest)
    assert line["handshake"] == "new"
    return line


# --- the cache's ---


def test_evicted(serve, visitor):
    """R42: the oldest made place, and its client is told so."""
    service = serve(cache_size=10)
    first = visitor(service, "1.2")
    first.visit()
    for _ in range(10):
        visitor(service, "1.2").visit()
    assert refused(service, first)["reason"] == "evicted"
    assert re.search(r"cache web: 10 of 10 sessions.* 2 evicted at an age of \d+ s",
                     service.ctl("status").stdout)


def test_bytes_bound_the_cache_too(serve):
    """cache-memory: what is laid out, whatever the count. That it evicts is the unit tests'."""
    service = serve(cache_size=262144, cache_memory=1)
    cache = json.loads(service.ctl("status", "--json").stdout)["caches"][0]
    assert cache["capacity"] == 262144 and cache["capacity_bytes"] == 1 << 20


@VERSIONS
def test_what_has_expired_is_swept_out(version, serve, visitor):
    """A session past its time leaves the cache, and is still told as expired. The clients'
    own clocks are passed over by offering the ID in a hello of our own."""
    service = serve(cache_timeout="1s")
    guest = visitor(service, version)
    guest.visit()
    wait_until("it is swept out", lambda: "0 of 262144 sessions" in service.ctl("status").stdout)
    if version == "1.2":
        seen = hello.exchange(service.address(),
                              hello.records(hello.client_hello(guest.session.id, None, WWW)))
        assert "Certificate" in seen.server.names
        assert service.connection(offered="session-id")["reason"] == "expired"


def end_in_an_alert(service, guest, lock=False):
    """A record that does not decrypt ends the connection, while the cache is locked or not."""
    with guest.connect() as client:
        guest.session = client.session
        with lock_held(service) if lock else nullcontext():
            client.sock.sendall(b"\x17\3\3\0\x20" + b"\0" * 32)
            with pytest.raises(Exception):
                client.recv_exact(1)
            service.connection(client)


def test_fatal_alert(serve, visitor):
    """R18 (RFC 5246 7.2.2): what ended in a fatal alert does not resume by ID."""
    service = serve()
    guest = visitor(service, "1.2")
    end_in_an_alert(service, guest)
    assert refused(service, guest)["reason"] == "fatal-alert"


def worker_of_line(service):
    """The PID of the one worker: the process that is not the master's keeper."""
    pids = service.processes()
    with_sockets = [pid for pid in pids if any(
        os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:")
        for number in list_files(pid))]
    return with_sockets[0]


@contextmanager
def lock_held(service):
    """A process stands still with the cache's lock: the test writes its own thread into it, as
    if it were the owner."""
    with region(service, "reprise-cache") as memory:
        assert memory[64:68] == bytes(4)  # see struct cache: its head, then the first shard's lock
        memory[64:68] = struct.pack("<I", threading.get_native_id())
        yield
        memory[64:68] = bytes(4)


@VERSIONS
def test_store_too_slow(version, serve, visitor):
    """Nobody waits for a lock that is held."""
    service = serve(cache_size=100)
    guest = visitor(service, version)
    guest.visit()
    assert guest.visit()
    with lock_held(service):
        assert refused(service, guest)["reason"] == "store-too-slow"
        assert int(re.search(r"(\d+) times not to be had", service.ctl("status").stdout)[1]) > 0
    assert guest.visit()


def test_fatal_alert_while_the_cache_is_locked(serve, visitor):
    """R18: the session is taken away once that can be done."""
    service = serve(cache_size=100)
    guest = visitor(service, "1.2")
    end_in_an_alert(service, guest, lock=True)
    wait_until("it does not resume", lambda: not guest.visit(keep=False))
    assert line_of(service, guest)["reason"] == "fatal-alert"


# --- single use (R29) ---


@VERSIONS
@KINDS
def test_already_used(version, tickets, serve, visitor):
    """R29: a ticket opens once, on whatever worker; the next visit has a new one. TLS 1.2's
    session IDs are no tickets."""
    service = serve(tickets=tickets, single_use_tickets=True, service={"workers": 4})
    guest = visitor(service, version)
    guest.visit()
    old = guest.session
    for _ in range(3):
        assert guest.visit(), "each resumption brings a new ticket"
    guest.session = old
    if version == "1.2" and not tickets:
        assert guest.visit()
        return
    for _ in range(4):
        assert refused(service, guest)["reason"] == "already-used"
    assert line_of(service, guest)["issued"] != "none"


def test_tickets_may_be_used_again_by_default(serve, visitor):
    service = serve(tickets=True)
    guest = visitor(service, "1.3")
    guest.visit()
    assert guest.visit(keep=False) and guest.visit(keep=False)


@VERSIONS
def test_one_of_many_at_once_uses_a_ticket(version, serve, visitor):
    """R29: the same ticket over many connections at the same moment: at most one resumes."""
    service = serve(tickets=True, single_use_tickets=True, service={"workers": 4})
    for _ in range(5):
        guest = visitor(service, version)
        guest.visit()
        results = []
        start = threading.Barrier(6)

        def race(guest=guest, results=results, start=start):
            start.wait()
            with guest.connect() as client:
                client.request()
                results.append(client.reused)
                client.close()

        threads = [threading.Thread(target=race) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 6 and sum(results) <= 1


@VERSIONS
def test_a_refused_offer_burns_nothing(version, serve, visitor):
    """R29: whoever offers it under another name does not use it up."""
    service = serve(tickets=True, single_use_tickets=True,
                    server_names=[WWW, "other.example.com"])
    guest = visitor(service, version)
    guest.visit()
    thief = visitor(service, version)
    thief.session, thief.name, thief.context = guest.session, "other.example.com", guest.context
    assert refused(service, thief)["reason"] == "other-server-name"
    assert guest.visit()


def test_use_uncertain(serve, visitor):
    """R29: tickets from before single-use-tickets was on may have been used: not again."""
    service = serve(tickets=True)
    guest = visitor(service, "1.3")
    guest.visit()
    service.config["client-ssl-profiles"][0]["single-use-tickets"] = True
    assert service.reload().returncode == 0
    assert refused(service, guest)["reason"] == "use-uncertain"
    guest.visit(offer=False)
    assert guest.visit()
    assert service.reload().returncode == 0  # the register goes on over reloads
    old = guest.session
    assert guest.visit()
    guest.session = old
    assert refused(service, guest)["reason"] == "already-used"


def test_a_full_register_refuses(serve, visitor):
    """R29: what can't be remembered is not accepted, and nothing is forgotten."""
    service = serve(tickets=True, single_use_tickets=True,
                    service={"replay-register": 1024, "log": {"rate": 0}})
    guest = visitor(service, "1.3")
    guest.visit()
    with region(service, "reprise-replay") as memory:
        for at in range(len(memory) - 2048 * 8, len(memory), 8):
            memory[at : at + 8] = struct.pack("<II", at & 0xFFFF | 0xABCD0000, 0xFFFFFFFF)
        assert refused(service, guest)["reason"] == "use-uncertain"


# --- the operator's ---


@VERSIONS
@KINDS
def test_invalidated(version, tickets, serve, visitor):
    """`invalidate`: all sessions of a profile, or those of a name, kept here or by clients."""
    service = serve(tickets=tickets, server_names=[WWW, "other.example.com"])
    guest = visitor(service, version)
    other = visitor(service, version, name="other.example.com")
    guest.visit(), other.visit()
    assert service.ctl("profile", "web", "invalidate", "WWW.example.com").returncode == 0
    assert refused(service, guest)["reason"] == "invalidated"
    assert other.visit()
    guest.visit(offer=False)
    assert guest.visit(), "a session made since then counts"
    assert service.ctl("profile", "web", "invalidate", "all").returncode == 0
    assert refused(service, guest)["reason"] == "invalidated"
    assert refused(service, other)["reason"] == "invalidated"
    assert service.reload().returncode == 0
    assert refused(service, guest)["reason"] == "invalidated", "also after a reload"
    guest.visit(offer=False)
    assert guest.visit()


def test_invalidated_while_out_of_the_configuration(terminator, backends, certs, visitor):
    """A profile that leaves the configuration and comes back has forgotten nothing."""
    web = conf.profile(certs.ecdsa, tickets=True, server_names=[WWW], default=False)
    other = conf.profile(certs.ecdsa, name="other", server_names=["other.example.com"])
    service = terminator(conf.service([web, other], conf.pool(backends(Backend(http)))))
    guest = visitor(service, "1.3")
    guest.visit()
    assert service.ctl("profile", "web", "invalidate", "all").returncode == 0
    for profiles in ([other], [web, other]):
        service.config["client-ssl-profiles"] = profiles
        service.config["virtual-servers"][0]["profiles"] = [one["name"] for one in profiles]
        done = service.reload(service.config)
        assert done.returncode == 0, done.stderr
    assert refused(service, guest)["reason"] == "invalidated"


@pytest.mark.parametrize("change", [Terminator.reload, Terminator.upgrade])
@pytest.mark.parametrize(
    "words, reason",
    [(["invalidate", "all"], "invalidated"), (["session-tickets", "off"], "tickets-off")],
)
def test_a_change_reaches_workers_that_drain(words, reason, change, serve):
    """The hello comes to an old worker, after what was said to the new ones."""
    service = serve(tickets=True)
    with raw.Client(service.address()) as first:
        first.handshake13()
        first.send_record(raw.APPLICATION_DATA, b"GET / HTTP/1.0\r\n\r\n")
        first.read_data(1)
        session = first.session
    with raw.Client(service.address()) as late:
        worker_of(service, late)
        assert change(service).returncode == 0
        assert service.ctl("profile", "web", *words).returncode == 0
        late.handshake13(raw.offer(raw.hello13(), session), session)
        assert not late.resumed
    assert service.wait_event("connection", offered="psk")["reason"] == reason


def test_workers_can_not_change_the_switches(serve):
    service = serve()
    ways = [
        line.split()[1]
        for pid in [service.pid, *service.processes()]
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if "reprise-switches" in line
    ]
    assert ways[0] == "rw-s" and "r--s" in ways[1:]


def test_one_session_is_invalidated_by_its_id(serve, visitor):
    service = serve()
    guest, other = visitor(service, "1.2"), visitor(service, "1.2")
    guest.visit(), other.visit()
    done = service.ctl("profile", "web", "invalidate", guest.session.id.hex().upper())
    assert done.returncode == 0
    assert refused(service, guest)["reason"] == "invalidated"
    assert other.visit()
    done = service.ctl("profile", "web", "invalidate", 64 * "0")
    assert done.returncode == 1 and "no session with this ID" in done.stderr


@VERSIONS
def test_tick_boxes_at_run_time(version, serve, visitor):
    """Both boxes, on and off, from the next handshake on in every worker; connections,
    cache and keys stay."""
    service = serve(cache=False, tickets=False, service={"workers": 4})
    guest = visitor(service, version)
    kinds = {("1.2", "session-cache"): "session-id", ("1.2", "session-tickets"): "ticket",
             ("1.3", "session-cache"): "psk-stateful", ("1.3", "session-tickets"): "psk"}
    off = {"session-cache": "cache-off", "session-tickets": "tickets-off"}
    with visitor(service, version).connect() as steady:
        guest.visit()
        assert line_of(service, guest)["issued"] == "none"
        for box in ("session-cache", "session-tickets"):
            done = service.ctl("profile", "web", box, "on")
            assert done.returncode == 0 and f"{box} on" in done.stdout
            guest.visit(offer=False)
            assert line_of(service, guest)["issued"] == kinds[version, box]
            for _ in range(4):
                assert guest.visit(keep=False)
                assert line_of(service, guest)["by"] == kinds[version, box]
            assert service.ctl("profile", "web", box, "off").returncode == 0
            for _ in range(4):
                assert refused(service, guest)["reason"] == off[box]
            assert service.ctl("profile", "web", box, "on").returncode == 0
            assert guest.visit(), "nothing was lost meanwhile"
            assert service.ctl("profile", "web", box, "off").returncode == 0
        assert steady.request().endswith(b"hello from the backend\n")
    assert service.reload().returncode == 0
    assert "session-cache off, session-tickets off" in service.ctl("profile", "web").stdout


@pytest.mark.parametrize(
    "args, told",
    [
        (["nobody"], "there is no profile 'nobody'"),
        (["web", "session-cache"], "expected one word more"),
        (["web", "session-cache", "maybe"], "'maybe' is not a switch"),
        (["web", "session-hash", "on"], "there is no 'session-hash'"),
        (["web", "invalidate", "*.example.com"], "is not a server name"),
        (["web", "invalidate", 300 * "a"], "is not a server name"),
        (["small", "session-cache", "on"], "its cache-size is 0"),
        (["small", "session-tickets", "on"], "would outlive their keys"),
    ],
)
def test_ctl_profile_tells_what_is_wrong(args, told, terminator, backends, certs):
    profiles = [
        conf.profile(certs.ecdsa),
        conf.profile(certs.ecdsa, name="small", default=False, cache_size=0,
                     ticket_timeout="2h", server_names=["other.example.com"]),
    ]
    keys = {"decrypt-for": "1h"}
    service = terminator(
        conf.service(profiles, conf.pool(backends(Backend(http))), ticket_keys=keys))
    done = service.ctl("profile", *args)
    assert done.returncode == 1
    assert told in done.stderr


@VERSIONS
@KINDS
def test_client_certificate_required(version, tickets, serve, certs):
    """authenticate: always. Each connection shows its certificate; sessions from before are
    not resumed, and none are kept."""
    service = serve(tickets=tickets, client_certificate="require", client_ca=certs.client_ca.file)
    context = make_context(certs.authority.file, version, service.key_log, cert=certs.alice)

    def visit(session):
        with TlsClient(context, service.address(), WWW, session) as client:
            client.request()
            kept = client.session
            client.close()
        return kept, service.connection(client)

    session, _ = visit(None)
    assert visit(session)[1]["handshake"] == "resumed"
    service.config["client-ssl-profiles"][0]["authenticate"] = "always"
    assert service.reload().returncode == 0
    _, line = visit(session)
    assert line["handshake"] == "new" and line["reason"] == "client-certificate-required"
    assert line["issued"] == "none" and line["client-name"] == "alice"


@pytest.mark.parametrize("ends", ["certificate", "authority"])
@VERSIONS
@KINDS
def test_client_certificate_expired(version, tickets, ends, serve, certs, tmp_path):
    """R7: a certificate of the client's verified chain ends, and with it the session: also that
    of the authority, which the client does not send."""
    soon = timedelta(seconds=4)
    if ends == "certificate":
        authority = certs.client_ca
        short = authority.client("short", life=soon)
    else:
        authority = Authority(tmp_path, "short-ca", life=soon)
        short = authority.client("long")
    service = serve(tickets=tickets, client_certificate="require", client_ca=authority.file)
    context = make_context(certs.authority.file, version, service.key_log, cert=short)
    with TlsClient(context, service.address(), WWW) as client:
        client.request()
        session = client.session
        client.close()
    service.connection(client)
    lines = []

    def expired():
        since = len(service.events)
        try:
            with TlsClient(context, service.address(), WWW, session) as client:
                client.request()
                client.close()
        except ssl.SSLError:  # the full handshake fails: the certificate is not valid any more
            pass
        lines.append(service.wait_event("connection", since=since))
        return lines[-1]["handshake"] == "failed"

    wait_until("the certificate expires", expired)
    assert lines[-1]["reason"] == "client-certificate-expired"
    ends = [line for line in lines if line["handshake"] == "new"]  # in its very last second
    assert {line.get("reason") for line in ends} <= {"client-certificate-expired"}


# --- a key that has leaked, or is not to be had ---


@pytest.fixture
def leaked(serve, tmp_path):
    """A terminator whose ticket key the test has: `leaked()`."""
    key = sealed.file_key()
    path = tmp_path / "ticket.key"
    path.write_bytes(key)
    path.chmod(0o600)

    def start():
        service = serve(tickets=True, service={
            "ticket_keys": {"files": [str(path)], "format": "nginx"}})
        return service, key

    return start


def visit_with_forged(service, target, tmp_path, version, forge):
    """A visit, and another with its ticket changed by forge(ticket); the second's line."""
    where = target(service.address(), service)
    session = tmp_path / "session"
    s_client(where, version, sess_out=session)
    service.connections(1)
    change_ticket(session, forge)
    output = s_client(where, version, sess_in=session, sess_out=session)
    assert not s_client_reused(output)
    line = service.connections(2)[1]
    assert line["handshake"] == "new"
    return line


@VERSIONS
def test_record_version(version, leaked, target, tmp_path):
    """A ticket of another release, whose record has another layout."""
    service, key = leaked()
    forge = lambda ticket: sealed.seal(key, b"\x63" + sealed.unseal(key, ticket)[1:])
    line = visit_with_forged(service, target, tmp_path, version, forge)
    assert line["reason"] == "record-version"


@VERSIONS
def test_library_declined(version, leaked, target, tmp_path):
    """All that is bound to is right, and the library's own bytes are garbage."""
    service, key = leaked()

    def forge(ticket):
        record = sealed.unseal(key, ticket)
        return sealed.seal(key, record[:-100] + os.urandom(100))

    line = visit_with_forged(service, target, tmp_path, version, forge)
    assert line["reason"] == "library-declined"


@VERSIONS
@pytest.mark.parametrize("place", ["kind", "protocol", "length", "purpose", "empty"])
def test_forged_records_crash_nothing(version, place, leaked, target, tmp_path):
    """With the key an attacker writes what it likes: a full handshake, and nothing else."""
    service, key = leaked()

    def forge(ticket):
        record = bytearray(sealed.unseal(key, ticket))
        if place == "kind":
            record[1] ^= 1
        elif place == "protocol":
            record[2:4] = b"\3\3" if version == "1.3" else b"\3\4"
        elif place == "length":
            record = record[:40] + os.urandom(len(record) - 40)
        elif place == "empty":
            record = bytearray(len(record))
        return sealed.seal(key, bytes(record), b"\x21" if place == "purpose" else b"\x11")

    line = visit_with_forged(service, target, tmp_path, version, forge)
    expected = {"protocol": "protocol-mismatch", "empty": "record-version"}
    assert line["reason"] in (expected.get(place, "ticket-damaged"), "other-profile")
    assert len(service.processes()) == 3, "nobody died"


@VERSIONS
def test_store_unavailable(version, serve, visitor):
    """R34: a keeper that is cut short while it writes the ring, and a worker that starts
    then: it has no key, opens no ticket and seals none."""
    service = serve(tickets=True, cache=False, service={"workers": 1})
    guest = visitor(service, version)
    guest.visit()
    worker = worker_of_line(service)
    keeper = next(pid for pid in service.processes() if pid != worker)
    with region(service, "reprise-keyring") as memory:
        os.kill(keeper, signal.SIGSTOP)
        generation = memory[8:16]
        memory[8:16] = struct.pack("<Q", struct.unpack("<Q", generation)[0] | 1)
        os.kill(worker, signal.SIGKILL)
        service.wait_event("worker-started")
        line = refused(service, guest)
        assert line["reason"] == "store-unavailable" and line["issued"] == "none"
        memory[8:16] = generation
        os.kill(keeper, signal.SIGCONT)
    assert guest.visit()


# --- what the hello says: a real one, changed on its way ---


class Resumption:
    """A TLS 1.3 client's resumption hello, as it went over the wire."""

    def __init__(self, service, recorder, guest):
        tape = recorder(service)
        guest.address = tape.address
        guest.visit()
        assert guest.visit(keep=False)
        service.connections(2)  # their lines are there: the next is another's
        self.hello = bytearray(tape.wait(2)[1].client)
        size = int.from_bytes(self.hello[3:5], "big") + 5
        self.hello = self.hello[:size]
        seen = tape.wait(2)[1].transcript()
        assert PRE_SHARED_KEY in seen.hello.extensions
        self.seen = seen
        self.service = service

    def offer(self):
        """Sends it, and returns what the log says of it."""
        since = len(self.service.events)
        seen = hello.exchange(self.service.address(), bytes(self.hello))
        return seen, self.service.wait_event("connection", since=since)


@pytest.fixture
def resumption(serve, visitor, recorder):
    service = serve(tickets=True)
    return Resumption(service, recorder, visitor(service, "1.3"))


def test_binder_failed(resumption):
    """R22: decrypt_error, and the word for it."""
    resumption.hello[-1] ^= 1
    seen, line = resumption.offer()
    assert [alert.name for alert in seen.server.alerts] == ["decrypt_error"]
    assert line["handshake"] == "failed" and line["reason"] == "binder-failed"


@VERSIONS
def test_a_wrong_finished_is_no_binder(version, serve):
    """What is wrong is the resumed handshake's end, and not the offer."""
    service = serve(tickets=True)
    with raw.Client(service.address()) as client:
        if version == "1.3":
            client.handshake13()
            client.send_record(APPLICATION_DATA, b"GET / HTTP/1.0\r\n\r\n")
            client.read_data(1)  # the tickets come before it
        else:
            client.handshake12(raw.hello12(ticket=b""))
        session = client.session
    with raw.Client(service.address()) as client:
        if version == "1.3":
            client.start13(raw.offer(raw.hello13(), session), session)
        else:
            one_off = {"session_id": bytes(32)}
            client.start12(raw.hello12(ticket=session.ticket, **one_off), session)
            client.send_ccs()
            client.write = client.pending[0]
        assert client.resumed
        client.send_message(raw.message(raw.FINISHED, bytes(len(client_finished(client, version)))))
        client.read_end()
    line = service.wait_event("connection", where=lambda one: one["handshake"] == "failed")
    assert "reason" not in line and line["error"] == "DIGEST_CHECK_FAILED"


def client_finished(client, version):
    return (client.finished13() if version == "1.3" else client.finished12())[4:]


def test_psk_mode_not_offered(resumption):
    """R23: only psk_ke is offered: a full handshake."""
    modes = bytes([0, PSK_MODES, 0, 2, 1, 1])
    at = resumption.hello.index(modes)
    resumption.hello[at + 5] = 0
    seen, line = resumption.offer()
    assert seen.answer.psk_selected is None
    assert line["reason"] == "psk-mode-not-offered"


def test_hash_mismatch(resumption):
    """R24: only suites of another hash than the session's."""
    suites = bytes.fromhex("130213031301")
    at = resumption.hello.index(suites)
    used = resumption.seen.answer.cipher_suite
    other = 0x1301 if used == 0x1302 else 0x1302
    resumption.hello[at : at + 6] = struct.pack(">HHH", other, other, other)
    seen, line = resumption.offer()
    assert seen.answer.psk_selected is None and seen.answer.cipher_suite == other
    assert line["reason"] == "hash-mismatch"


# --- each part of the policy (R3) ---


def _set(**directives):
    def change(profile, _certs):
        profile.update(conf.directives(**directives))

    return change


POLICY_PARTS = {
    "server-names": _set(server_names=[WWW, "*.wild.example.com", "new.example.com"]),
    "certificates": lambda profile, certs: profile.update(certificates=[certs.rsa.config()]),
    "client-certificate": _set(client_certificate="request"),
    "client-ca": lambda profile, certs: profile.update({"client-ca": str(certs.both_cas)}),
    "client-crl": lambda profile, certs: profile.update({"client-crl": str(certs.crl_mallory)}),
}
# What a profile may change without a session's being worth less.
NO_POLICY = {
    "nothing": _set(),
    "order of names": _set(server_names=["*.wild.example.com", WWW]),
    "timeouts": _set(handshake_timeout="9s", idle_timeout="4m", cache_timeout="2h"),
    "cache size": _set(cache_size=5000),
    "strict-resume": _set(strict_resume=True),
    "another name for ALPN": _set(alpn=["h2", "http/1.1"]),
}


def test_each_part_of_the_policy_has_a_case():
    table = (TOP / "src/resume/policy_part.def").read_text()
    parts = set(re.findall(r'^POLICY_PART\(\w+, "([a-z-]+)"\)', table, re.M))
    assert parts - {"profile"} == set(POLICY_PARTS)  # another profile has its own reason


@pytest.fixture
def member(serve, certs, tmp_path):
    """A terminator that asks for client certificates, and Alice's sessions of every kind."""
    certs.both_cas = tmp_path / "both.pem"
    certs.both_cas.write_bytes(certs.client_ca.file.read_bytes() + certs.second_ca.file.read_bytes())

    def start(version, tickets):
        service = serve(tickets=tickets, client_certificate="require",
                        client_ca=certs.client_ca.file, client_crl=certs.crl_none)
        context = make_context(certs.authority.file, version, service.key_log, cert=certs.alice)

        def visit(session=None):
            with TlsClient(context, service.address(), WWW, session) as client:
                client.request()
                kept = client.session
                client.close()
            return kept, service.connection(client)

        return service, visit

    return start


@VERSIONS
@KINDS
@pytest.mark.parametrize("part", POLICY_PARTS)
def test_policy_changed(version, tickets, part, member, certs):
    """R3, R4, R6, R9: one part changes, and nothing from before resumes; it is told which."""
    service, visit = member(version, tickets)
    session, _ = visit()
    assert visit(session)[1]["handshake"] == "resumed"
    POLICY_PARTS[part](service.config["client-ssl-profiles"][0], certs)
    assert service.reload().returncode == 0
    session, line = visit(session)
    assert line["handshake"] == "new"
    assert line["reason"] == "policy-changed" and line["policy-part"] == part
    assert visit(session)[1]["handshake"] == "resumed"


@VERSIONS
@KINDS
@pytest.mark.parametrize("what", NO_POLICY)
def test_what_binds_nothing_may_change(version, tickets, what, member, certs):
    """R3: change nothing that counts, and everything resumes over the reload."""
    service, visit = member(version, tickets)
    session, _ = visit()
    NO_POLICY[what](service.config["client-ssl-profiles"][0], certs)
    assert service.reload().returncode == 0
    line = visit(session)[1]
    if what == "cache size" and not tickets:  # it binds nothing, but begins a new cache
        assert line["reason"] == "unknown-session-id"
    else:
        assert line["handshake"] == "resumed"
