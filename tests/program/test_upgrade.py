"""Upgrades: a new program takes the service over from the running one, with its sockets,
keys, sessions and counters; or it does not, and nothing has changed."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from lab import config as conf
from lab.backends import Backend, Digest, Duplex, echo, http
from lab.deadline import wait_until, wait_until_still
from lab.terminator import (
    binary,
    children,
    is_running,
    is_sanitized,
    list_files,
    process_field,
    run,
)
from lab.visitors import Crowd, Visitor

VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
KINDS = pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])
BY = {
    ("1.2", True): "ticket",
    ("1.2", False): "session-id",
    ("1.3", True): "psk",
    ("1.3", False): "psk-stateful",
}
FAST_KEYS = {"ticket-keys": {"encrypt-for": "1s"}}


class Program:
    """The file that the service is started from."""

    def __init__(self, folder):
        self.path = folder / "bin" / "reprise"
        self.path.parent.mkdir()
        self.replace()

    def replace(self, text=None):
        """Puts another file in its place, at once: the program, or a script. Its inode."""
        fresh = self.path.with_suffix(".new")
        if text is None:
            shutil.copy2(binary(), fresh)
        else:
            fresh.write_text(text)
            fresh.chmod(0o755)
        fresh.rename(self.path)
        return self.path.stat().st_ino


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


@pytest.fixture
def house(terminator, backends, certs, program):
    """A terminator that runs from `program`, in front of an HTTP backend or another one."""

    def build(handler=http, service=None, **profile):
        backend = backends(Backend(handler))
        profile = conf.profile(certs.ecdsa, **profile)
        config = conf.service(profile, conf.pool(backend), **(service or {}))
        return terminator(config, program=program.path)

    return build


@pytest.fixture
def visitor(certs):
    return lambda service, version="1.3": Visitor(service, version, certs)


def status(service):
    return json.loads(service.ctl("--json", "status").stdout)


def upgrade(service):
    """An upgrade that must work. The pid of the master before."""
    before = service.pid
    done = service.upgrade()
    assert done.returncode == 0, done.stderr + service.text()[-4000:]
    assert str(service.pid) in done.stdout and service.pid != before
    return before


def wait_gone(pid):
    wait_until(f"process {pid} has ended", lambda: not is_running(pid))


def assert_untouched(service, guest, processes, done=None):
    """The service is as it was: the same processes, keeper included, and its sessions."""
    assert done is None or done.returncode == 1
    assert service.running
    assert sorted(service.processes()) == sorted(processes)
    assert guest.visit()
    assert status(service)["generation"] == 1


# --- what survives ---


def test_what_was_invalidated_stays_so(house, visitor, program):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    assert service.ctl("profile", "web", "invalidate", "all").returncode == 0
    program.replace()
    upgrade(service)
    assert not guest.visit()
    assert service.connection(guest.last)["reason"] == "invalidated"
    assert guest.visit()


@VERSIONS
def test_used_tickets_stay_used(version, house, visitor, program):
    """R29: the replay register goes along."""
    service = house(tickets=True, single_use_tickets=True)
    guest = visitor(service, version)
    guest.visit()
    old = guest.session
    assert guest.visit()
    program.replace()
    upgrade(service)
    assert guest.visit(), "the ticket that was not used"
    guest.session = old
    assert not guest.visit()
    assert service.connection(guest.last)["reason"] == "already-used"


@VERSIONS
@KINDS
def test_sessions_survive_an_upgrade(version, tickets, house, visitor, program):
    """Twice, with another file each time; the new process runs that file."""
    service = house(tickets=tickets)
    early = visitor(service, version)
    early.visit()
    for number in (2, 3):
        inode = program.replace()
        before = upgrade(service)
        assert os.stat(f"/proc/{service.pid}/exe").st_ino == inode
        assert status(service)["generation"] == number
        late = visitor(service, version)
        late.visit()
        for guest in (early, late):
            assert guest.visit()
            line = service.connection(guest.last)
            assert line["by"] == BY[version, tickets], line
        wait_gone(before)
    assert not service.find("upgrade", level="warning"), "all of it was taken over"


@pytest.mark.parametrize("size", [60_000, 500])
def test_another_cache_size_with_the_upgrade(size, house, visitor):
    service = house(cache_size=2000)
    guests = [visitor(service, "1.2") for _ in range(20)]
    for one in guests:
        one.visit()
    service.config["client-ssl-profiles"][0]["cache-size"] = size
    service.write_config()
    upgrade(service)
    assert not any(one.visit() for one in guests)
    assert all(one.visit() for one in guests)
    assert status(service)["caches"][0]["capacity"] == size


def test_open_connections_go_on(house, visitor):
    """Those of the old program: it stays until they have ended, and ends with status 0."""
    size = 16 << 20
    service = house(Duplex(size))
    with visitor(service).connect() as client:
        digest = Digest()
        digest.add(client.recv(1000))
        before = upgrade(service)
        assert is_running(before), "it ended with a transfer open"
        while part := client.recv():
            digest.add(part)
        assert digest.result == Digest.of_stream(size, seed=1)
        client.close_notify()
    assert service.process.wait(30) == 0
    assert service.connection(client)["close"] == "done"


def test_no_connection_is_refused_and_no_resumption_lost(house, visitor, program):
    """Under load, in two upgrades one after the other, with a rotation of keys between."""
    service = house(tickets=True, service={"log": {"rate": 0}, **FAST_KEYS})
    with Crowd([visitor(service, version) for version in ("1.2", "1.3") * 2]) as crowd:
        crowd.wait_for(20)
        for _ in range(2):
            program.replace()
            upgrade(service)
            crowd.wait_for(20)
        service.wait_event("ticket-key-rotated", since=len(service.events))
        crowd.wait_for(20)
    assert crowd.failures == []
    assert crowd.resumed == crowd.visits


def test_counters_go_on(house, visitor):
    service = house(tickets=True)
    guest = visitor(service)
    for _ in range(3):
        guest.visit()
    service.connections(3)
    before = status(service)["counters"]
    assert before["connections"] == 3 and before["resumed_psk"] == 2
    upgrade(service)
    guest.visit()
    service.connections(4)
    after = status(service)["counters"]
    assert after["connections"] == 4 and after["resumed_psk"] == 3
    assert after["bytes_out"] > before["bytes_out"]


def test_the_control_socket_stays(house, visitor):
    """Status and reload work afterwards, and there is no moment without the socket."""
    service = house(tickets=True)
    ended = threading.Event()
    failures = []

    def ask():
        while not ended.is_set():
            done = service.ctl("status")
            if done.returncode != 0:
                failures.append(done.stderr)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    guest = visitor(service)
    guest.visit()
    inode = os.stat(service.socket).st_ino
    for _ in range(3):
        upgrade(service)
    ended.set()
    asking.join(60)
    assert failures == []
    assert os.stat(service.socket).st_ino == inode
    assert service.reload().returncode == 0
    assert guest.visit()
    assert status(service)["generation"] == 5


def test_another_configuration_with_the_upgrade(house, visitor, tmp_path):
    """Other address, other control socket, other number of workers."""
    service = house(tickets=True, service={"workers": 3})
    guest = visitor(service)
    guest.visit()
    old_socket, old_address = service.socket, guest.address
    with socket.create_server(("127.0.0.1", 0)) as free:
        guest.address = free.getsockname()
    service.config["virtual-servers"][0]["listen"] = ["%s:%d" % guest.address]
    service.config["control-socket"] = old_socket + "2"
    service.config["workers"] = 1
    service.write_config()
    upgrade(service)
    service.socket = old_socket + "2"
    assert guest.visit()
    assert status(service)["workers"] == 1
    assert not os.path.exists(old_socket)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(old_address, timeout=5)


def test_the_demonstration_goes_on(terminator, program, visitor, certs):
    profile = conf.profile(certs.ecdsa, tickets=True)
    service = terminator(conf.service(profile, conf.demonstration()), program=program.path)
    guest = visitor(service)

    def request(client):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return client.recv_exact(12)

    with guest.connect() as client:
        assert request(client) == b"HTTP/1.1 200"
        before = upgrade(service)
        with guest.connect() as other:
            assert request(other) == b"HTTP/1.1 200"
        while client.recv(65536).find(b"\n\n") < 0:
            pass
        assert request(client) == b"HTTP/1.1 200", "the old one, for the old connection"
    wait_gone(before)


# --- keys and their keeper ---


def test_keys_rotate_on_and_never_by_two(house, visitor):
    """The old master keeps no keeper, the new one has one; each rotation is one."""
    service = house(echo, tickets=True, service={"workers": 2, **FAST_KEYS})
    with visitor(service).connect() as client:
        client.send(b"x")
        assert client.recv_exact(1) == b"x"
        service.wait_event("ticket-key-rotated")
        before = upgrade(service)
        old = set(children(before)) - {service.pid}
        assert len(old) <= 2, "the old keeper has ended"
        assert len(service.processes()) == 3, "two workers and a keeper"
        service.wait_events("ticket-key-rotated", 3, since=len(service.events))
        wait_until("one worker is left", lambda: len(set(children(before)) - {service.pid}) == 1)
    wait_gone(before)
    lines = service.find("ticket-key-rotated")
    assert len({line["ticket-key"] for line in lines}) == len(lines)
    seconds = [line["time"][:19] for line in lines]
    assert len(set(seconds)) >= len(seconds) - 1, seconds


def test_a_key_is_not_wiped_by_a_program_that_ends(house, visitor, program):
    """Neither by the old one at its end nor by a new one that fails after it took the ring."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    good = service.file.read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service.config["virtual-servers"][0]["listen"].append("%s:%d" % taken.getsockname())
        service.write_config()
        done = service.ctl("upgrade")
        assert done.returncode == 1 and "in use" in done.stderr
    assert guest.visit()
    service.file.write_text(good)
    wait_gone(upgrade(service))
    assert guest.visit()


# --- new programs that do not start ---

PREAMBLE = """#!/usr/bin/python3
import os, socket, struct, sys, time
channel = socket.socket(fileno=int(os.environ["REPRISE_HANDOVER"]))
def say(kind, first=0, second=0):
    channel.send(struct.pack("!BHQQBB", kind, 0, first, second, 0, 0))
def take():
    while channel.recv(4096)[0] != 6:
        pass
"""
BROKEN = {
    "ends": ("#!/bin/sh\nexit 7\n", "status 7"),
    "dies": ("#!/bin/sh\nkill -KILL $$\n", "signal 9"),
    "no-program": ("text\n", ""),
    "silent": ("#!/bin/sh\nexec sleep 1000\n", "said nothing"),
    "garbage": (PREAMBLE + "channel.send(b'hello')\n", "does not understand"),
    "too-soon": (PREAMBLE + "say(7)\ntime.sleep(1000)\n", "something else"),
    "other-version": (PREAMBLE + "say(0, 1000, 1001)\ntime.sleep(1000)\n", "other versions"),
    "takes-and-ends": (PREAMBLE + "say(0, 1, 1)\ntake()\nsys.exit(9)\n", "status 9"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_program_changes_nothing(kind, house, visitor, program):
    text, word = BROKEN[kind]
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    processes = service.processes()
    program.replace(text)
    done = service.ctl("upgrade")
    assert word in done.stderr, done.stderr
    assert_untouched(service, guest, processes, done)
    assert word in service.wait_event("upgrade", level="error")["message"]
    program.replace()
    upgrade(service)
    assert guest.visit()


def test_a_program_that_is_gone_changes_nothing(house, visitor, program):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    processes = service.processes()
    program.path.unlink()
    done = service.ctl("upgrade")
    assert str(program.path) in done.stderr and "No such file" in done.stderr
    assert_untouched(service, guest, processes, done)


def test_a_wrong_configuration_changes_nothing(house, visitor):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    processes = service.processes()
    service.config["client-ssl-profiles"][0]["cache-timeout"] = "soon"
    service.write_config()
    done = service.ctl("upgrade")
    assert f"{service.file}:" in done.stderr and "cache-timeout" in done.stderr
    assert_untouched(service, guest, processes, done)


# A program that lays one region out otherwise: the program under test, with a relay before
# it that changes the number of the region's layout.
OTHER_LAYOUT = """#!/usr/bin/python3
import os, select, socket, struct
service = socket.socket(fileno=int(os.environ["REPRISE_HANDOVER"]))
mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.fork() > 0:
    os.set_inheritable(its.fileno(), True)
    os.environ["REPRISE_HANDOVER"] = str(its.fileno())
    os.closerange(service.fileno(), service.fileno() + 1)
    os.execv("{program}", ["reprise", "run", "-c", "{file}"])
its.close()
name = b"{name}"
while True:
    for end in select.select([service, mine], [], [])[0]:
        packet, fds, _, _ = socket.recv_fds(end, 4096, 64)
        if not packet:
            os._exit(0)
        if packet[:3 + len(name)] == bytes([{kind}, 0, len(name)]) + name:
            packet = packet[:11 + len(name)] + os.urandom(8) + packet[19 + len(name):]
        socket.send_fds(mine if end is service else service, [packet], fds)
        for fd in fds:
            os.close(fd)
"""


@pytest.mark.parametrize(
    "region, anew, resumes",
    [
        ("keyring", "keyring", []),
        ("cache", "cache", ["tickets"]),
        ("counters", "counters", ["cache", "tickets"]),
        ("switches", "switches", []),
        ("replay", "replay", ["cache"]),
        ("", None, ["cache", "tickets"]),
    ],
)
def test_another_layout(region, anew, resumes, house, visitor, program):
    """What the new program can't read it makes anew, says so, and serves."""
    service = house(tickets=True, single_use_tickets=region == "replay")
    guest, other = visitor(service, "1.2"), visitor(service, "1.2")
    other.context.options |= ssl.OP_NO_TICKET
    guests = {"tickets": guest, "cache": other}
    for one in guests.values():
        one.visit()
    kind, name = (3, "web") if region == "cache" else (2, region)  # see handover.def
    text = OTHER_LAYOUT.format(program=binary().resolve(), file=service.file, kind=kind, name=name)
    program.replace(text)
    upgrade(service)
    told = service.find("upgrade", level="warning")
    assert [line["message"].rsplit(": ", 1)[1] for line in told] == ([anew] if anew else [])
    assert sorted(name for name, one in guests.items() if one.visit()) == resumes
    assert all(one.visit() for one in guests.values()), "and goes on from there"
    service.connections(6 if region != "counters" else 4)
    assert status(service)["counters"]["connections"] == (4 if region == "counters" else 6)


# --- in the middle of one ---


@contextlib.contextmanager
def halfway(service, certs, tmp_path):
    """An upgrade whose new program has taken everything, and reads a certificate that
    does not come. Gives the `reprise ctl upgrade`, the new program's pid, and what lets
    it go on."""
    chain = tmp_path / "chain.pem"
    os.mkfifo(chain)
    pair = service.config["client-ssl-profiles"][0]["certificates"][0]
    service.config["client-ssl-profiles"][0]["certificates"] = [{**pair, "chain": str(chain)}]
    service.write_config()
    processes = set(service.processes())
    with subprocess.Popen(
        [binary(), "ctl", "-s", service.socket, "upgrade"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ctl:
        pid = wait_until("it starts", lambda: set(service.processes()) - processes).pop()
        wait_until("it opens the certificate", lambda: wants_to_open(pid))

        def go_on():
            with open(os.open(chain, os.O_RDWR), "wb") as pipe:
                # A second look at the file finds it as it should be.
                shutil.copy(pair["chain"], tmp_path / "whole.pem")
                (tmp_path / "whole.pem").rename(chain)
                pipe.write(Path(pair["chain"]).read_bytes())

        yield ctl, pid, go_on
        ctl.wait(60)


def wants_to_open(pid):
    """Whether a process waits in open() for the other end of a FIFO."""
    with contextlib.suppress(OSError):
        return "fifo" in Path(f"/proc/{pid}/wchan").read_text() or \
            Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("2", "257")
    return False


def test_the_new_master_is_killed_halfway(house, visitor, certs, tmp_path):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    processes = service.processes()
    with halfway(service, certs, tmp_path) as (ctl, pid, _):
        os.kill(pid, signal.SIGKILL)
        assert "signal 9" in ctl.communicate(timeout=60)[1]
    assert ctl.returncode == 1
    assert_untouched(service, guest, processes)


def test_the_service_goes_on_while_the_new_program_starts(house, visitor, certs, tmp_path):
    """It serves, replaces a worker that dies, takes no second upgrade and no reload."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    worker = service.processes()[0]
    with halfway(service, certs, tmp_path) as (ctl, pid, go_on):
        os.kill(worker, signal.SIGKILL)
        service.wait_event("worker-exit", pid=worker)
        wait_until("another worker", lambda: len(service.processes()) == 4)
        service.signal(signal.SIGHUP)
        assert "under way" in service.wait_event("reload", level="error")["message"]
        service.signal(signal.SIGUSR2)
        assert "under way" in service.wait_event("upgrade", level="error")["message"]
        assert guest.visit()
        since = len(service.events)
        go_on()
        assert ctl.wait(60) == 0
    service.follow(since)
    assert service.pid == pid
    assert guest.visit()


def test_the_service_is_stopped_halfway(house, visitor, certs, tmp_path):
    """The new program ends with it."""
    service = house(tickets=True)
    visitor(service).visit()
    with halfway(service, certs, tmp_path) as (ctl, pid, _):
        service.signal(signal.SIGTERM)
        assert "is ending" in ctl.communicate(timeout=60)[1]
    assert service.wait_exit() == 0
    wait_gone(pid)
    assert not os.path.exists(service.socket)


def test_the_old_master_is_killed_halfway(house, visitor, certs, tmp_path):
    """The new one has all that it needs, and becomes the service."""
    service = house(tickets=True, service=FAST_KEYS)
    guest = visitor(service)
    guest.visit()
    with halfway(service, certs, tmp_path) as (_, pid, go_on):
        since = len(service.events)
        service.signal(signal.SIGKILL)
        service.process.wait(30)
        go_on()
        service.follow(since)
    assert service.pid == pid
    assert "without a word" in service.wait_event("upgrade", level="warning")["message"]
    assert guest.visit()
    service.wait_event("ticket-key-rotated", since=len(service.events))
    assert service.ctl("status").returncode == 0
    # The first master's status is that of the kill, which the fixture would not like.
    service.signal(signal.SIGTERM)
    assert service.wait_exit() == -signal.SIGKILL


# --- the rest of a service's life ---


def test_sigusr2_upgrades_as_well(house, visitor, program):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    inode = program.replace()
    since = len(service.events)
    service.signal(signal.SIGUSR2)
    service.follow(since)
    assert os.stat(f"/proc/{service.pid}/exe").st_ino == inode
    assert guest.visit()


def test_a_symbolic_link_may_lead_elsewhere(terminator, backends, certs, visitor, program, tmp_path):
    """The usual way to keep several versions: what is started is where it leads now."""
    link = tmp_path / "current"
    link.symlink_to(program.path)
    pool = conf.pool(backends(Backend(http)))
    service = terminator(conf.service(conf.profile(certs.ecdsa), pool), program=link)
    other = tmp_path / "other"
    shutil.copy2(binary(), other)
    link.unlink()
    link.symlink_to(other)
    upgrade(service)
    assert os.readlink(f"/proc/{service.pid}/exe") == str(other)
    visitor(service).visit()


def test_a_second_upgrade_while_old_workers_drain(house, visitor):
    """Each old master stays for its own; the service may be stopped meanwhile."""
    service = house(echo, service={"drain-timeout": "1m"})

    def connect():
        client = visitor(service).connect()
        assert says(client)
        return client

    def says(client):
        client.send(b"x")
        return client.recv_exact(1) == b"x"

    clients, masters = [], []
    for _ in range(3):
        clients.append(connect())
        masters.append(upgrade(service))
    assert all(map(says, clients)) and all(map(is_running, masters))
    assert service.reload().returncode == 0
    service.signal(signal.SIGTERM)
    wait_until("the service has ended", lambda: not service.running)
    assert all(map(says, clients)) and all(map(is_running, masters))
    for client, master in zip(clients, masters):
        client.close_notify()
        client.close()
        wait_gone(master)
    assert service.wait_exit() == 0


def test_an_old_master_can_be_ended(house, visitor):
    """Its drain-timeout holds, and a second SIGTERM ends at once."""
    service = house(echo, service={"drain-timeout": "1h"})
    with visitor(service).connect() as client:
        client.send(b"x")
        client.recv_exact(1)
        before = upgrade(service)
        os.kill(before, signal.SIGTERM)
        service.wait_event("stop", message="draining")
        client.send(b"y")
        assert client.recv_exact(1) == b"y"
        os.kill(before, signal.SIGTERM)
        wait_gone(before)
    with visitor(service).connect() as client:
        client.send(b"z")
        assert client.recv_exact(1) == b"z"


def test_nothing_leaks_over_five_upgrades(house, visitor):
    """Descriptors of all processes, and processes. The very first master is the measure."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()

    def counts():
        found = [len(list_files(pid)) for pid in [service.pid, *sorted(service.processes())]]
        return found[0], sorted(found[1:])

    assert len(service.processes()) == 3
    first = wait_until_still("the first connection is gone", counts)
    for _ in range(5):
        wait_gone(upgrade(service))
        assert len(service.processes()) == 3
        assert guest.visit()
    wait_until(lambda: f"{counts()} is {first}", lambda: counts() == first)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_workers_are_unprivileged_after_an_upgrade(house, visitor):
    service = house(tickets=True, service={"user": "nobody"})
    guest = visitor(service)
    guest.visit()
    upgrade(service)
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    for pid in service.processes():
        wait_until(
            "it has given up its privileges",
            lambda pid=pid: process_field(pid, "NoNewPrivs") == "1",
        )
        assert process_field(pid, "Uid").split() == [nobody] * 4
    assert guest.visit()


def test_keys_are_locked_in_the_new_program_too(house, visitor):
    """R39, in the master, which maps the ring that was handed over, and in a worker."""
    if is_sanitized():
        pytest.skip("AddressSanitizer makes mlock do nothing")
    service = house(tickets=True)
    before = int(process_field(service.pid, "VmLck").split()[0])
    assert before > 0
    upgrade(service)
    assert int(process_field(service.pid, "VmLck").split()[0]) == before
    assert all(int(process_field(pid, "VmLck").split()[0]) > 0 for pid in service.processes()[:2])
    limits = Path(f"/proc/{service.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_the_handover_variable_is_checked(house):
    """It is no way to start the program with."""
    service = house()
    service.stop()
    for value in ("", "x", "0", "77", "99999999999999"):
        done = run("run", "-c", service.file, env={**os.environ, "REPRISE_HANDOVER": value})
        assert done.returncode == 1 and "REPRISE_HANDOVER" in done.stderr, (value, done)


# --- the supervisor ---


@pytest.mark.parametrize("abstract", [False, True])
def test_the_supervisor_is_told(abstract, house, visitor, monkeypatch, tmp_path):
    """sd_notify(3): ready, reloading, another main process, stopping."""
    ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"reprise-test-{os.getpid()}" if abstract else os.path.relpath(tmp_path / "notify")
    ears.bind("\0" + name if abstract else name)
    ears.settimeout(30)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else str(tmp_path / "notify"))

    def heard():
        return dict(line.split("=") for line in ears.recv(4096).decode().splitlines())

    with ears:
        service = house()
        assert heard() == {"READY": "1"}
        assert service.reload().returncode == 0
        assert "RELOADING" in heard() and heard() == {"READY": "1"}
        upgrade(service)
        assert int(heard().pop("MONOTONIC_USEC")) > 0
        assert heard() == {"READY": "1", "MAINPID": str(service.pid)}
        assert heard() == {"READY": "1"}, "from the new one"
        service.signal(signal.SIGTERM)
        assert heard() == {"STOPPING": "1"}
        assert service.wait_exit() == 0
