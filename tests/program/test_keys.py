"""Ticket keys: how they live and die, what `reprise ctl keys` says of them, keys from files, the
sealed state file, and that a wiped key is nowhere in memory."""

import base64
import hmac
import json
import os
import re
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from lab import config as conf
from lab import hello
from lab.backends import Backend, http
from lab.deadline import wait_until
from lab.pyclient import TlsClient, make_context
from lab.terminator import is_running, is_sanitized, list_files, run

WWW = "www.example.com"
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def house(terminator, backends, certs):
    """A terminator with session tickets in front of an HTTP backend: `house(encrypt_for="1s")`,
    the keywords being those of ticket-keys."""

    def build(profile=None, wait=True, service=None, demonstration=False, **ticket_keys):
        pools = [conf.pool(backends(Backend(http)))]
        if demonstration:
            pools.append(conf.demonstration())
        profile = conf.profile(certs.ecdsa, **{"tickets": True, "cache": False, **(profile or {})})
        more = service or {}
        if ticket_keys:
            more["ticket_keys"] = conf.directives(**ticket_keys)
        return terminator(conf.service(profile, pools, **more), wait)

    return build


class Guest:
    """A client that offers what it was given last."""

    def __init__(self, service, certs, version="1.2"):
        self.service = service
        self.context = make_context(certs.authority.file, version, service.key_log)
        self.session = None

    def visit(self, keep=True, service=None, tape=None):
        """One request, through a recorder or not; the connection's log line."""
        service = service or self.service
        address = tape.address if tape else service.address()
        with TlsClient(self.context, address, WWW, self.session) as client:
            assert client.request().endswith(b"hello from the backend\n")
            if keep:
                self.session = client.session
            client.close()
            return service.connection(tape.connections[-1] if tape else client.name)


@pytest.fixture
def guest(certs):
    return lambda service, version="1.2": Guest(service, certs, version)


def keys_of(service, state=None):
    """The answer of `reprise ctl keys`: the keys (in one state), and the figure."""
    done = service.ctl("--json", "keys")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    keys = [key for key in answer["keys"] if state in (None, key["state"])]
    return keys, answer["forward-secrecy"]


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# --- what is told of them ---


def test_ctl_keys(house, guest):
    """R41: names, states, times and the figure; the name is that of the log."""
    started = time.time()
    service = house()
    visitor = guest(service)
    visitor.visit()
    used = visitor.visit()["ticket-key"]
    keys, figure = keys_of(service)
    assert [key["state"] for key in keys] == ["next", "current"]
    following, current = keys
    assert current["name"] == used and following["name"] != used
    assert int(started) <= seconds(current["seals-from"]) <= time.time()
    assert seconds(current["only-opens-from"]) - seconds(current["seals-from"]) == 3600
    assert seconds(current["wiped"]) - seconds(current["only-opens-from"]) == 3600
    assert following["seals-from"] == current["only-opens-from"]
    # No session is older than the ring, which is a moment older than its first key.
    assert figure["kind"] == "bound" and seconds(figure["before"]) == figure["before-s"]
    assert int(started) <= figure["before-s"] <= seconds(current["seals-from"])
    text = service.ctl("keys").stdout
    assert used in text and f"recorded before {figure['before']} can no longer" in text


def test_the_figure_moves_on(house):
    """R41: with every key that is wiped, less what a renewed ticket may carry along; the log
    tells it at each rotation."""
    service = house(profile={"ticket_timeout": "2s", "cache_timeout": "2s"}, encrypt_for="1s")
    first = keys_of(service)[1]["before-s"]
    wait_until("three keys are wiped", lambda: len(keys_of(service, "wiped")[0]) >= 3)
    moved = []

    def caught():
        """Both in one state: no rotation between the question and its answer."""
        keys, figure = keys_of(service)
        held = [seconds(key["seals-from"]) for key in keys if key["state"] in ("current", "retired")]
        moved[:] = [figure["before-s"], min(held) - 2]
        return figure["before-s"] > first

    wait_until("it has moved", caught)
    assert moved[0] == max(moved[1], first)
    told = [seconds(line["not-decryptable-before"])
            for line in service.find("ticket-key-rotated")]
    assert told == sorted(told) and told[-1] > told[0]
    assert time.time() - told[-1] < 3600


def test_no_byte_of_a_key_is_told(house, guest):
    """Names have 16 bytes: nothing longer is in the answer."""
    service = house()
    guest(service).visit()
    for words in (("keys",), ("--json", "keys")):
        text = service.ctl(*words).stdout
        assert max(len(word.strip('",')) for word in text.replace(":", " ").split()) <= 40


# --- keys from files ---


def key_file(folder, name, size=80, key=None, mode=0o600):
    """A file as nginx has them; its path and the key."""
    path = folder / name
    key = key or os.urandom(size)
    path.write_bytes(key)
    path.chmod(mode)
    return str(path), key


def haproxy_file(folder, keys, mode=0o600):
    path = folder / "haproxy.keys"
    path.write_bytes(b"".join(base64.b64encode(key) + b"\n" for key in keys))
    path.chmod(mode)
    return str(path)


@VERSIONS
def test_hosts_with_the_same_files_open_each_other_s_tickets(version, house, guest, tmp_path):
    """The first file seals, all open; and the warning of what that costs (R38)."""
    (first, one), (second, other) = [
        key_file(tmp_path, name, size) for name, size in (("a", 80), ("b", 48))
    ]
    left = house(files=[first, second])
    right = house(files=[second, first])
    third = house()
    visitor = guest(left, version)
    visitor.visit()
    line = visitor.visit(service=right)
    assert line["handshake"] == "resumed" and line["ticket-key"] == one[:16].hex()
    line = visitor.visit(service=left)
    assert line["handshake"] == "resumed"
    line = visitor.visit(service=third)
    assert line["reason"] == "unknown-ticket-key"
    for service in (left, right):
        assert "any time" in service.find("ticket-keys", level="warning")[0]["message"]
        keys, figure = keys_of(service)
        assert {key["name"] for key in keys} == {one[:16].hex(), other[:16].hex()}
        assert {key["from"] for key in keys} == {"file"}
        assert figure["kind"] == "none"
    assert not third.find("ticket-keys")


def test_haproxy_s_last_but_one_seals(house, guest, tmp_path):
    keys = [os.urandom(48), os.urandom(80), os.urandom(48), os.urandom(80)]
    service = house(files=[haproxy_file(tmp_path, keys)], format="haproxy")
    visitor = guest(service)
    visitor.visit()
    assert visitor.visit()["ticket-key"] == keys[2][:16].hex()
    states = {key["name"]: key["state"] for key in keys_of(service)[0]}
    assert states == {
        keys[1][:16].hex(): "retired",
        keys[2][:16].hex(): "current",
        keys[3][:16].hex(): "next",
    }


def test_the_first_ticket_is_sealed_under_a_file_s_key(house, guest, tmp_path):
    """R34: no key of the service's own was ever in the ring."""
    path, key = key_file(tmp_path, "a")
    service = house(files=[path])
    visitor = guest(service)
    visitor.visit()
    assert visitor.visit()["ticket-key"] == key[:16].hex()
    assert [one["name"] for one in keys_of(service)[0]] == [key[:16].hex()]


@VERSIONS
def test_to_files_and_back_nothing_is_lost(version, house, guest, tmp_path):
    """R37: a reload that changes where keys come from loses no ticket."""
    path, key = key_file(tmp_path, "a")
    service = house()
    old, middle = guest(service, version), guest(service, version)
    old.visit()
    own = old.visit(keep=False)["ticket-key"]
    service.config["ticket-keys"] = {"files": [path]}
    assert service.reload(service.config).returncode == 0
    assert old.visit(keep=False)["handshake"] == "resumed"
    middle.visit()
    assert middle.visit()["ticket-key"] == key[:16].hex()
    del service.config["ticket-keys"]
    assert service.reload(service.config).returncode == 0
    assert old.visit(keep=False)["handshake"] == "resumed"
    assert middle.visit(keep=False)["handshake"] == "resumed"
    states = {one["name"]: one["state"] for one in keys_of(service)[0]}
    assert states[own] == states[key[:16].hex()] == "retired"
    assert sorted(states.values()) == ["current", "next", "retired", "retired"]
    assert keys_of(service)[1]["kind"] == "none", "as long as the file's key opens"


def test_files_are_read_again_at_a_reload(house, guest, tmp_path):
    """The operator's way to rotate; what is taken out opens nothing more."""
    (first, one), (second, other) = key_file(tmp_path, "a"), key_file(tmp_path, "b")
    service = house(files=[first, second])
    visitor = guest(service)
    visitor.visit()
    (tmp_path / "a").write_bytes(other)
    (tmp_path / "b").write_bytes(one)
    assert service.ctl("reload").returncode == 0
    line = visitor.visit()
    assert line["handshake"] == "resumed" and line["ticket-key"] == one[:16].hex()
    assert visitor.visit(keep=False)["ticket-key"] == other[:16].hex()
    (tmp_path / "a").write_bytes(os.urandom(80))
    assert service.ctl("reload").returncode == 0
    assert visitor.visit(keep=False)["reason"] == "retired-ticket-key"


def spoil_readable(path):
    path.chmod(0o640)
    return "has mode 0640: others may read or write it"


def spoil_short(path):
    path.write_bytes(os.urandom(47))
    return "a key of neither 48 nor 80 bytes"


def spoil_zero(path):
    path.write_bytes(bytes(80))
    return "a key that is zero, wholly or in part"


def spoil_half(path):
    path.write_bytes(os.urandom(48) + bytes(32))
    return "a key that is zero, wholly or in part"


def spoil_twice(path):
    path.write_bytes(path.with_name("b").read_bytes())
    return "a key with the name of another one"


def spoil_pipe(path):
    path.unlink()
    os.mkfifo(path, 0o600)
    return "is not a regular file"


def spoil_gone(path):
    path.unlink()
    return "cannot be opened: No such file or directory"


SPOILS = [spoil_readable, spoil_short, spoil_zero, spoil_half, spoil_twice, spoil_pipe, spoil_gone]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__[6:])
def test_a_bad_key_file_is_refused(spoil, house, guest, tmp_path):
    """R39: at a reload the old configuration stays, at the start there is none; `check` says the
    same. With file and line."""
    (first, one), (second, _) = key_file(tmp_path, "a"), key_file(tmp_path, "b")
    service = house(files=[second, first])
    visitor = guest(service)
    visitor.visit()
    told = spoil(tmp_path / "a")
    line = service.file.read_text().split("ticket-keys:")[0].count("\n") + 2
    expected = f"{service.file}:{line}: ticket-keys: '{first}'"
    for done in (service.ctl("reload"), run("check", service.file), run("run", "-c", service.file)):
        assert done.returncode == 1
        assert expected in done.stderr and told in done.stderr
    assert visitor.visit()["handshake"] == "resumed"
    assert {key["name"] for key in keys_of(service)[0]} >= {one[:16].hex()}
    assert one[16:].hex() not in service.text()


def test_a_ticket_that_nginx_sealed_does_not_open(house, tmp_path):
    """Its name is known, its form is another: it does not authenticate, and that is told."""
    path, key = key_file(tmp_path, "a")
    service = house(files=[path])
    # name, IV, ciphertext, HMAC: RFC 5077 4
    ticket = key[:16] + os.urandom(16 + 160 + 32)
    message = hello.client_hello(os.urandom(32), ticket, WWW)
    seen = hello.exchange(service.address(), hello.records(message))
    assert "Certificate" in seen.server.names
    line = service.connection(reason="ticket-damaged")
    assert line["offered"] == "ticket"


# --- a restart, with and without the state file ---


def state_paths(folder):
    key = folder / "state.key"
    if not key.exists():
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
    return {"state_file": str(folder / "state"), "state_key": str(key)}


def kill_all(service):
    """As if the power had gone: no process gets to do anything."""
    pids = [service.pid, *service.processes()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    service.wait_exit()
    wait_until("all are gone", lambda: not any(map(is_running, pids)))


@pytest.mark.parametrize("end", ["kill", "stop"])
@VERSIONS
def test_tickets_open_after_a_restart_with_the_state_file(end, version, house, guest, tmp_path):
    """A ring that rotated before, too."""
    places = state_paths(tmp_path)
    service = house(profile={"ticket_timeout": "10m"}, encrypt_for="1s", **places)
    early, late = guest(service, version), guest(service, version)
    early.visit()
    service.wait_event("ticket-key-rotated")
    wait_until("under the new key", lambda: _seals_anew(late, keys_of(service)))
    known = {key["name"] for key in keys_of(service)[0]}
    if end == "kill":
        kill_all(service)
    else:
        service.stop()
    again = house(profile={"ticket_timeout": "10m"}, encrypt_for="1s", **places)
    assert again.find("ticket-keys", where=lambda line: "were taken" in line["message"])
    assert again.find("ticket-keys", where=lambda line: "has it and its key" in line["message"])
    assert early.visit(keep=False, service=again)["handshake"] == "resumed"
    assert late.visit(keep=False, service=again)["handshake"] == "resumed"
    assert known <= {key["name"] for key in keys_of(again)[0]}
    assert os.stat(places["state_file"]).st_mode & 0o777 == 0o600


def _seals_anew(visitor, told):
    """Visits without a session. Whether the ticket is under a key that is not the first."""
    visitor.session = None
    visitor.visit()
    first = min(told[0], key=lambda key: key["seals-from"])["name"]
    return visitor.visit(keep=False)["ticket-key"] != first


@VERSIONS
def test_tickets_do_not_open_after_a_restart_without_it(version, house, guest):
    """R38"""
    service = house()
    visitor = guest(service, version)
    visitor.visit()
    assert visitor.visit()["handshake"] == "resumed"
    kill_all(service)
    again = house()
    line = visitor.visit(service=again)
    assert line["handshake"] == "new" and line["reason"] == "unknown-ticket-key"


def test_the_keeper_may_die_and_the_file_is_written_on(house, guest, tmp_path):
    service = house(encrypt_for="1s", **state_paths(tmp_path))
    service.wait_event("ticket-key-rotated")
    keeper = [pid for pid in service.processes() if _has_open(pid, tmp_path / "state")]
    assert len(keeper) == 1, "only the keeper has it"
    os.kill(keeper[0], signal.SIGKILL)
    service.wait_event("keeper-exit")
    since = len(service.events)
    service.wait_event("ticket-key-rotated", since=since)
    assert service.ctl("reload").returncode == 0
    visitor = guest(service)
    visitor.visit()
    kill_all(service)
    again = house(encrypt_for="1s", **state_paths(tmp_path))
    assert visitor.visit(service=again)["handshake"] == "resumed"


def _has_open(pid, path):
    return any(
        os.path.realpath(f"/proc/{pid}/fd/{number}") == str(path) for number in list_files(pid)
    )


def wrong_key(folder):
    (folder / "state.key").write_bytes(os.urandom(32))
    return "does not open"


def wrong_bytes(folder):
    (folder / "state").write_bytes(os.urandom(49152))
    return "does not open"


def wrong_mode(folder):
    (folder / "state").chmod(0o644)
    return "has mode 0644"


def wrong_key_mode(folder):
    (folder / "state.key").chmod(0o440)
    return "has mode 0440"


def test_a_reload_with_a_wrong_state_file_changes_nothing(house, guest, tmp_path):
    """And taking it out warns that it is still there."""
    service = house(**state_paths(tmp_path))
    visitor = guest(service)
    visitor.visit()
    wait_until("it is written", lambda: (tmp_path / "state").stat().st_size == 49152)
    (tmp_path / "state").chmod(0o640)
    done = service.ctl("reload")
    assert done.returncode == 1 and "has mode 0640" in done.stderr
    assert visitor.visit()["handshake"] == "resumed"
    (tmp_path / "state").chmod(0o600)
    assert service.ctl("reload").returncode == 0
    del service.config["ticket-keys"]
    assert service.reload(service.config).returncode == 0
    assert visitor.visit()["handshake"] == "resumed"
    assert service.find("ticket-keys", where=lambda line: "remove it" in line["message"])


@pytest.mark.parametrize(
    "wrong", [wrong_key, wrong_bytes, wrong_mode, wrong_key_mode], ids=lambda wrong: wrong.__name__
)
def test_a_state_file_that_does_not_open_is_refused(wrong, house, tmp_path):
    """Nothing begins anew by itself; the operator removes the file."""
    service = house(**state_paths(tmp_path))
    wait_until("it is written", lambda: (tmp_path / "state").stat().st_size == 49152)
    service.stop()
    before = (tmp_path / "state").read_bytes()
    told = wrong(tmp_path)
    line = service.file.read_text().split("state-file:")[0].count("\n") + 1
    for done in (run("check", service.file), run("run", "-c", service.file)):
        assert done.returncode == 1
        assert f"{service.file}:{line}: ticket-keys: '" in done.stderr and told in done.stderr
    assert wrong is wrong_bytes or (tmp_path / "state").read_bytes() == before
    (tmp_path / "state").unlink()
    (tmp_path / "state.key").chmod(0o600)
    assert run("check", service.file).returncode == 0
    assert not (tmp_path / "state").exists()


# --- wiped, and proved wiped ---


def ring_secret(service, name):
    """The secret of the ring's key with this name, read as root can: the ring is a memfd in which
    a key's 16 bytes of name are followed by its 32 bytes of secret."""
    for number in list_files(service.pid):
        path = f"/proc/{service.pid}/fd/{number}"
        if "memfd:reprise-keyring" in os.readlink(path):
            ring = Path(path).read_bytes()
            place = ring.index(name) + len(name)
            return ring[place : place + 32]
    raise AssertionError("the master has no ring")


def count_in_process(pid, needles):
    """How often each of these bytes is in what the process could read itself."""
    found = [0] * len(needles)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights[0] != "r" or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(place, 16) for place in span.split("-"))
            for at in range(start, end, CHUNK):
                part = read_memory(memory, at, min(at + CHUNK + 31, end))
                for number, needle in enumerate(needles):
                    found[number] += part.count(needle)
    return found


def read_memory(memory, at, end):
    """All of it; what is not there (any more) is left out by the page."""
    parts = []
    while at < end:
        try:
            memory.seek(at)
            part = memory.read(end - at)
        except OSError:
            part = b""
        parts.append(part)
        at = at + len(part) if part else (at // PAGE + 1) * PAGE
    return b"".join(parts)


CHUNK = 1 << 24
PAGE = 4096


def has_aes():
    """Whether the processor has AES: the library then has keys in memory as they are."""
    return " aes " in Path("/proc/cpuinfo").read_text()


def count_in_memory(service, needles):
    """How often each is in each of its processes; those that end meanwhile, as workers do after
    a reload, are left out."""
    found = []
    for pid in [service.pid, *service.processes()]:
        try:
            found.append(count_in_process(pid, needles))
        except (FileNotFoundError, ProcessLookupError):
            assert not is_running(pid)
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the processes' memory")
@pytest.mark.parametrize("kept", [False, True], ids=["memory", "state-file"])
def test_a_wiped_key_is_in_no_process(kept, house, guest, recorder, tmp_path):
    """R39: neither the ring's key nor the one that a worker derived from it is left anywhere: in
    master, workers that seal, workers that idle, keeper, demonstration; nor in the state file's
    ring. Before, both are found."""
    if is_sanitized():
        pytest.skip("a sanitizer holds memory back")
    service = house(
        profile={"ticket_timeout": "8s"},
        service={"workers": 3},
        demonstration=True,
        encrypt_for="2s",
        **(state_paths(tmp_path) if kept else {}),
    )
    # Two reloads: what a generation before had is gone as well, and its workers idle.
    for _ in range(2):
        assert service.ctl("reload").returncode == 0
    wait_until("the old workers have ended", lambda: len(service.processes()) == 5)
    visitor, tape = guest(service), recorder(service)
    aes = has_aes()
    # Under another name each time, until it is looked for soon enough: a worker gives up what it
    # derived at the next change of the ring.
    for _ in range(8):
        visitor.session = None
        visitor.visit(tape=tape)
        ticket = tape.connections[-1].transcript().tickets[0].ticket
        name = ticket[:16].hex()
        secret = ring_secret(service, ticket[:16])
        derived = hmac.digest(secret, b"reprise sealed record v1" + ticket[16:26], "sha256")
        before = count_in_memory(service, [secret, derived])
        seen = [sum(counts[which] > 0 for counts in before) for which in (0, 1)]
        if seen[0] == 5 and (seen[1] > 0 or not aes):
            break
    assert len(before) == 6, "master, three workers, keeper, demonstration"
    assert seen[0] == 5, "all but the demonstration have the ring"
    assert seen[1] == 1 or not aes, "the worker that sealed has its key"
    wait_until("it is wiped", lambda: name in [key["name"] for key in keys_of(service, "wiped")[0]])
    wait_until(
        lambda: f"nothing of it is left: {count_in_memory(service, [secret, derived])}",
        lambda: sum(map(sum, count_in_memory(service, [secret, derived]))) == 0,
    )
    assert visitor.visit(keep=False)["reason"] == "retired-ticket-key"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the processes' memory")
@pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])
def test_no_session_is_left_behind(tickets, house, guest):
    """R41: once the connections are over no process has the master secret: what `reprise ctl
    keys` says of forward secrecy holds for workers that idle, too."""
    if is_sanitized():
        pytest.skip("a sanitizer holds memory back")
    service = house(profile={"tickets": tickets, "cache": not tickets}, service={"workers": 1})
    visitor = guest(service)
    visitor.visit()
    assert visitor.visit(keep=False)["handshake"] == "resumed"
    text = Path(service.key_log).read_text()
    secrets = {bytes.fromhex(one) for one in re.findall(r"CLIENT_RANDOM \w+ (\w+)", text)}
    assert len(secrets) == 1, "one session"
    wait_until(
        lambda: f"no secret is left: {count_in_memory(service, [*secrets])}",
        lambda: sum(map(sum, count_in_memory(service, [*secrets]))) == 0,
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the processes' memory")
def test_a_file_s_key_that_was_taken_out_is_in_no_process(house, guest, tmp_path):
    """R39: its own bytes never stay, and ours that are derived from them go with it."""
    if is_sanitized():
        pytest.skip("a sanitizer holds memory back")
    (first, one), (second, other) = key_file(tmp_path, "a"), key_file(tmp_path, "b", 48)
    service = house(files=[first], demonstration=True)
    guest(service).visit()

    def needles(key):
        ours = hmac.digest(b"reprise ticket key file v1", key[16:], "sha256")
        return [key[16:48], key[-32:], ours]

    def count(key):
        return [sum(counts) for counts in zip(*count_in_memory(service, needles(key)))]

    assert count(one)[:2] == [0, 0] and count(one)[2] >= 4
    assert needles(one)[2] == ring_secret(service, one[:16])
    service.config["ticket-keys"]["files"] = [second]
    assert service.reload(service.config).returncode == 0
    assert count(other)[:2] == [0, 0] and count(other)[2] >= 4
    wait_until(lambda: f"nothing is left: {count(one)}", lambda: count(one) == [0, 0, 0])
    # The new workers were started before the new key was in the ring: they have it from there
    # alone, once it is taken out again.
    service.config["ticket-keys"]["files"] = [first]
    assert service.reload(service.config).returncode == 0
    wait_until(lambda: f"nothing is left: {count(other)}", lambda: count(other) == [0, 0, 0])


@pytest.mark.skipif(os.getuid() != 0, reason="only root may read the processes' memory")
def test_the_state_key_is_where_it_is_needed_only(house, tmp_path):
    """Its bytes nowhere; what is derived from them with the master, who starts keepers, and the
    keeper; and not in the workers, of a reload either."""
    if is_sanitized():
        pytest.skip("a sanitizer holds memory back")
    service = house(demonstration=True, **state_paths(tmp_path))
    key = (tmp_path / "state.key").read_bytes()
    ours = hmac.digest(b"reprise state file v1", key, "sha256")
    aes = has_aes()
    for _ in range(2):
        wait_until("none is left of before", lambda: len(service.processes()) == 4)
        pids = [service.pid, *service.processes()]
        found = {pid: count_in_process(pid, [key, ours]) for pid in pids}
        assert sum(counts[0] for counts in found.values()) == 0
        holders = {pid for pid, counts in found.items() if counts[1]}
        allowed = {pid for pid in pids if _has_open(pid, tmp_path / "state")}
        assert len(allowed) == 2 and service.pid in allowed
        assert holders == allowed if aes else holders <= allowed
        assert service.ctl("reload").returncode == 0
