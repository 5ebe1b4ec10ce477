"""Processes: workers that share cache and keys, that die and are replaced; reload, drain,
key rotation, privileges, and what a wrong start says."""

import contextlib
import copy
import os
import pwd
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import config as conf
from lab import hello
from lab.backends import Backend, Digest, Duplex, echo, http
from lab.deadline import wait_until
from lab.memory import region
from lab.terminator import (
    binary,
    is_running,
    is_sanitized,
    list_files,
    process_field,
    run,
    worker_of,
)
from lab.visitors import WWW, Crowd, Visitor

FULL = os.environ.get("REPRISE_FULL") == "1"
RESUMPTIONS = 10_000 if FULL else 400
GUESTS = 8
VERSIONS = pytest.mark.parametrize("version", ["1.2", "1.3"])
KINDS = pytest.mark.parametrize("tickets", [True, False], ids=["tickets", "cache"])


@pytest.fixture
def house(terminator, backends, certs):
    """A terminator in front of an HTTP backend (or another handler): `house(tickets=..)`."""

    def build(handler=http, pool=None, service=None, **profile):
        backend = backends(Backend(handler))
        profile = conf.profile(certs.ecdsa, **profile)
        pool = conf.pool(backend, **(pool or {}))
        service = terminator(conf.service(profile, pool, **(service or {})))
        service.backend = backend
        return service

    return build


@pytest.fixture
def visitor(certs):
    """Makes Visitors: `visitor(service, version)`."""
    return lambda service, version="1.3", **more: Visitor(service, version, certs, **more)


# --- one cache and one key ring for all workers ---


@VERSIONS
@KINDS
def test_resumptions_on_any_worker(version, tickets, house, visitor):
    """Clients land on random workers: all resume. 10,000 of them with REPRISE_FULL=1."""
    service = house(tickets=tickets, service={"workers": 4, "log": {"rate": 0}})
    crowd = [visitor(service, version) for _ in range(GUESTS)]
    missed = []

    def come(one):
        for number in range(RESUMPTIONS // GUESTS // (1 if FULL else 4)):
            if not one.visit():
                missed.append(number)

    for one in crowd:
        assert not one.visit()
    threads = [threading.Thread(target=come, args=(one,), daemon=True) for one in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert missed == []
    by = {("1.2", True): "ticket", ("1.2", False): "session-id",
          ("1.3", True): "psk", ("1.3", False): "psk-stateful"}[version, tickets]
    count = GUESTS * (RESUMPTIONS // GUESTS // (1 if FULL else 4))
    lines = service.connections(count, handshake="resumed", by=by)
    workers = {line["worker"] for line in lines}
    assert len(workers) > 1, "all landed on one worker"


@KINDS
def test_one_session_is_resumed_by_many_at_once(tickets, house, visitor):
    """The same session, offered by all at the same time (TLS 1.2: no single use)."""
    service = house(tickets=tickets)
    first = visitor(service, "1.2")
    first.visit()
    reused = []

    def come():
        with first.connect() as client:
            client.request()
            reused.append(client.reused)

    threads = [threading.Thread(target=come, daemon=True) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reused == [True] * 24


def test_a_full_cache_gives_up_the_oldest(house, visitor):
    """Bounded: cache-size sessions, the oldest evicted first."""
    service = house(cache_size=16)
    visitors = [visitor(service, "1.2") for _ in range(40)]
    for one in visitors:
        one.visit()
    reused = [one.visit(keep=False) for one in reversed(visitors)]
    assert reused[:8] == [True] * 8, "the newest are there"
    assert not any(reused[-16:]), "the oldest are gone"


def test_stateless_tickets_take_no_place_in_the_cache(house, visitor):
    """R45"""
    service = house(tickets=True)
    for version in ("1.2", "1.3"):
        guest = visitor(service, version)
        for _ in range(5):
            guest.visit()
    assert " 0 of 262144 sessions" in service.ctl("status").stdout


# --- workers that die ---


@VERSIONS
@KINDS
def test_a_killed_worker_is_replaced_and_nothing_else_is_lost(version, tickets, house, visitor):
    """kill -9 under load: sessions from before resume, the other connections go on, and only
    what the worker had in hand fails."""
    service = house(tickets=tickets, service={"workers": 2})
    early = [visitor(service, version) for _ in range(4)]
    for one in early:
        one.visit()
    with Crowd([visitor(service, version) for _ in range(4)]) as crowd:
        with early[0].connect() as client:
            victim = worker_of(service, client)
            processes = set(service.processes())
            os.kill(victim, signal.SIGKILL)
            with pytest.raises((OSError, AssertionError)):
                assert client.request() != b""
        line = service.wait_event("worker-exit", pid=victim)
        assert line["signal"] == "9" and line["level"] == "error"
        wait_until("another worker", lambda: len(service.processes()) == len(processes))
        crowd.wait_for(40)
    assert victim not in service.processes()
    assert len(crowd.failures) <= len(crowd.visitors), crowd.failures[:5]
    assert crowd.resumed == crowd.visits
    for one in early:
        assert one.visit(), "a session from before the death"
    workers = {line["worker"] for line in service.find("connection")[-40:]}
    assert len(workers) == 2, "the new worker serves too"


def test_every_process_may_die_and_the_service_goes_on(house, visitor):
    """Each child in turn, whatever it does: afterwards sessions still resume."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    for victim in service.processes():
        count = len(service.processes())
        os.kill(victim, signal.SIGKILL)
        wait_until("it is gone", lambda: victim not in service.processes())
        wait_until("another one", lambda: len(service.processes()) == count)
    wait_until("it serves", lambda: _serves(guest))
    assert guest.visit()


def _serves(guest):
    try:
        return guest.visit() is not None
    except OSError:
        return False


def test_children_do_not_outlive_a_killed_master(house, visitor):
    service = house()
    visitor(service).visit()
    pids = service.processes()
    os.kill(service.pid, signal.SIGKILL)
    service.wait_exit()
    try:
        wait_until("all have ended", lambda: not any(map(is_running, pids)))
    finally:
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)


# --- reload ---


@pytest.fixture(params=["ctl", "hup"])
def reload(request):
    """Reloads with another configuration (or the same), by `reprise ctl` or SIGHUP; waits
    until it is in force."""

    def by_ctl(service, config=None):
        done = service.reload(config)
        assert done.returncode == 0, done.stderr

    def by_hup(service, config=None):
        since = len(service.events)
        service.write_config(config)
        service.signal(signal.SIGHUP)
        line = service.wait_event("reload", since=since)
        assert line["level"] == "info"

    return {"ctl": by_ctl, "hup": by_hup}[request.param]


@VERSIONS
@KINDS
def test_sessions_survive_a_reload(version, tickets, house, visitor, reload):
    """Cache and ticket keys stay; twice, and with a change of what does not matter to them."""
    service = house(tickets=tickets)
    one, two = visitor(service, version), visitor(service, version)
    one.visit()
    two.visit()
    reload(service)
    assert one.visit()
    config = service.config
    config["client-ssl-profiles"][0]["idle-timeout"] = "7m"
    config["workers"] = 3
    reload(service, config)
    assert one.visit() and two.visit()


@pytest.mark.parametrize("size", [300_000, 1000])
def test_a_cache_of_another_size_begins_empty(size, house, visitor):
    """Those of other profiles keep what they have, also when profiles come and go."""
    service = house(cache_size=2000)
    guest = visitor(service, "1.2")
    guest.visit()
    config = service.config
    more = copy.deepcopy(config["client-ssl-profiles"][0])
    more.update({"name": "more", "server-names": ["more.example.com"], "default": False})
    config["client-ssl-profiles"].insert(0, more)
    config["virtual-servers"][0]["profiles"].insert(0, "more")
    assert service.reload(config).returncode == 0
    assert guest.visit()
    config["client-ssl-profiles"][0]["cache-size"] = size
    assert service.reload(config).returncode == 0
    assert guest.visit()
    config["client-ssl-profiles"][1]["cache-size"] = size
    assert service.reload(config).returncode == 0
    assert not guest.visit()
    assert service.connection(guest.last)["reason"] == "unknown-session-id"
    assert guest.visit()


def test_what_ends_at_an_old_worker_has_ended(house, visitor):
    """R18: a fatal alert after a reload that changes the cache's size ends the session, too."""
    service = house(cache_size=2000)
    guest = visitor(service, "1.2")
    with guest.connect() as client:
        guest.session = client.session
        service.config["client-ssl-profiles"][0]["cache-size"] = 5000
        assert service.reload(service.config).returncode == 0
        client.sock.sendall(b"\x17\3\3\0\x20" + b"\0" * 32)
        with pytest.raises(Exception):
            client.recv_exact(1)
        service.connection(client)
    assert not guest.visit(keep=False)


def test_a_spoilt_cache_costs_no_more_than_its_sessions(house, visitor):
    """A worker that was taken over writes what it likes into the cache: the master, with more
    rights, and the keeper go on."""
    service = house(cache_size=100)
    guest = visitor(service, "1.2")
    guest.visit()
    with region(service, "reprise-cache") as memory:
        for value in (0, 1, 0x7fffffff, 0xffffffff):
            # What is behind the first shard's lock: its tail, its head; and the ring.
            for at in [*range(64 + 40, 64 + 64, 4), *range(256, len(memory) - 4, 4)]:
                memory[at:at + 4] = value.to_bytes(4, "little")
            for command in (["status"], ["keys"], ["profile", "web"]):
                assert service.ctl(*command).returncode == 0
            service.ctl("profile", "web", "invalidate", "00" * 32)
    assert service.reload().returncode == 0
    guest.visit()
    assert guest.visit()


@VERSIONS
def test_tick_boxes_change_while_running(version, house, visitor):
    """Tickets ticked, then not, then again: what was issued before is good again."""
    service = house(tickets=True)
    profile = service.config["client-ssl-profiles"][0]
    guest = visitor(service, version)
    guest.visit()
    profile["session-tickets"] = False
    assert service.reload(service.config).returncode == 0
    assert not guest.visit(keep=False)
    profile["session-tickets"] = True
    assert service.reload(service.config).returncode == 0
    assert guest.visit()


def test_another_certificate_ends_the_sessions(house, visitor, certs, reload):
    """R3: the leaf certificate is part of what a session is bound to."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    service.config["client-ssl-profiles"][0]["certificates"] = [certs.rsa.config()]
    reload(service, service.config)
    assert not guest.visit()
    line = service.connection(guest.last)
    assert line["reason"] == "policy-changed" and line["policy-part"] == "certificates"
    assert guest.visit()


def test_open_connections_go_on_during_a_reload(house, visitor, reload):
    service = house(echo)
    guest = visitor(service)
    with guest.connect() as client:
        client.send(b"before")
        assert client.recv_exact(6) == b"before"
        old = worker_of(service, client)
        for _ in range(3):
            reload(service)
            client.send(b"after")
            assert client.recv_exact(5) == b"after"
        assert worker_of(service, client) == old
        with guest.connect() as other:
            assert worker_of(service, other) != old, "a new worker serves new connections"
            other.close()
        client.close()
    assert service.connection(client)["close"] == "done"
    wait_until("the old worker has ended", lambda: not is_running(old))


def test_reloads_under_load_lose_nothing(house, visitor, reload):
    """Not one connection fails, not one resumption is missed."""
    service = house(tickets=True, service={"log": {"rate": 0}})
    with Crowd([visitor(service, version) for version in ("1.2", "1.3") * 3]) as crowd:
        for _ in range(5):
            reload(service)
            crowd.wait_for(10)
    assert crowd.failures == []
    assert crowd.resumed == crowd.visits


def test_files_are_read_once(house, certs, tmp_path):
    """What policy and contexts are made from is the same, also when a file is replaced
    meanwhile: a pipe tells its content to the first reader only."""
    service = house(client_certificate="require", client_ca=certs.client_ca.file)
    profile = service.config["client-ssl-profiles"][0]
    for place, key in ((profile["certificates"][0], "chain"), (profile, "client-ca")):
        pipe = tmp_path / key
        os.mkfifo(pipe)
        content = Path(place[key]).read_bytes()
        threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True).start()
        place[key] = str(pipe)
    service.write_config()
    done = run("check", service.file)
    assert done.returncode == 0, done.stderr


def break_certificate(service, folder):
    """A file that a profile names is not what it should be (R11)."""
    bad = folder / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    service.config["client-ssl-profiles"][0]["certificates"][0]["chain"] = str(bad)
    service.write_config()


def break_missing_key(service, folder):
    service.config["client-ssl-profiles"][0]["certificates"][0]["key"] = str(folder / "none")
    service.write_config()


def break_wrong_key(service, folder):
    """The key of another certificate."""
    certs = service.config["client-ssl-profiles"][0]["certificates"]
    certs[0]["key"] = str(Path(certs[0]["key"]).with_name("other.key"))
    service.write_config()


def break_directive(service, folder):
    service.file.write_text(service.file.read_text() + "no-such-directive: 1\n")


def break_syntax(service, folder):
    service.file.write_text(service.file.read_text() + "  : [\n")


def break_file(service, folder):
    service.file.unlink()


def break_reference(service, folder):
    service.config["virtual-servers"][0]["pool"] = "nowhere"
    service.write_config()


def break_empty(service, folder):
    service.file.write_text("")


def break_value(service, folder):
    service.config["client-ssl-profiles"][0]["cache-timeout"] = "soon"
    service.write_config()


WITHOUT_LINE = {break_file, break_empty}
BREAKS = [
    break_certificate,
    break_missing_key,
    break_wrong_key,
    break_directive,
    break_syntax,
    break_file,
    break_reference,
    break_empty,
    break_value,
]
EACH_BREAK = pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__[6:])


def assert_told(text, damage, file):
    """`file:line: what is wrong`."""
    assert str(file) in text
    if damage not in WITHOUT_LINE:
        place = text.split(f"{file}:", 1)[1]
        assert place.split(":")[0].isdigit(), text


@EACH_BREAK
def test_a_wrong_file_changes_nothing(damage, house, visitor, tmp_path):
    """R11: `ctl reload` says what is wrong, with its line, and the old configuration stays."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    processes = service.processes()
    good = service.file.read_text()
    damage(service, tmp_path)
    done = service.ctl("reload")
    assert done.returncode == 1
    assert_told(done.stderr + done.stdout, damage, service.file)
    line = service.wait_event("reload", level="error")
    assert str(service.file) in line["message"]
    assert guest.visit()
    assert service.processes() == processes
    service.file.write_text(good)
    assert service.ctl("reload").returncode == 0
    assert guest.visit()


def test_a_wrong_file_and_sighup(house, visitor, tmp_path):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    break_value(service, tmp_path)
    service.signal(signal.SIGHUP)
    line = service.wait_event("reload", level="error")
    assert f"{service.file}:" in line["message"]
    assert guest.visit()


def test_a_reload_that_fails_late_cuts_no_connection(house, visitor):
    """One of the new workers dies at its start, when another one has clients already: these
    finish, and the old configuration stays."""
    service = house(tickets=True, service={"log": {"rate": 0}})
    before = set(service.processes())
    reload = threading.Thread(target=service.ctl, args=("reload",), daemon=True)
    guest = visitor(service)
    guest.visit()
    reload.start()
    new = _stop_the_second(service, before)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(guest.connect()) for _ in range(16)]
        os.kill(new, signal.SIGKILL)
        assert "did not start" in service.wait_event("reload", level="error")["message"]
        for client in clients:
            assert client.request().endswith(b"hello from the backend\n")
            client.close()
    reload.join(60)
    assert guest.visit()
    wait_until("only the old ones are left", lambda: set(service.processes()) == before)


def _stop_the_second(service, before):
    """Stops the second process that is new, before it has got anywhere; its pid."""
    first = wait_until("a worker", lambda: set(service.processes()) - before, pause_s=0.0005)
    second = wait_until(
        "another one", lambda: set(service.processes()) - before - first, pause_s=0.0005
    ).pop()
    os.kill(second, signal.SIGSTOP)
    return second


def test_addresses_come_and_go_with_a_reload(house, visitor, certs):
    """A rewritten port: the new address is served, the old one is not, sessions stay."""
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    old = guest.address
    with socket.create_server(("127.0.0.1", 0)) as free:
        new = free.getsockname()
    config = service.config
    config["virtual-servers"][0]["listen"] = ["%s:%d" % new]
    assert service.reload(config).returncode == 0
    guest.address = new
    assert guest.visit()
    wait_until("the old address refuses", lambda: _refuses(old))


def _refuses(address):
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_an_address_in_use_refuses_the_reload(house, visitor):
    """All or nothing: the old addresses are still served."""
    service = house()
    guest = visitor(service)
    guest.visit()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = service.config
        address = "%s:%d" % taken.getsockname()
        config["virtual-servers"][0]["listen"].append(address)
        done = service.reload(config)
        assert done.returncode == 1 and address in done.stderr
    assert guest.visit()


def test_a_backend_comes_with_a_reload(house, visitor, backends):
    service = house()
    second = backends(Backend(http))
    guest = visitor(service)
    guest.visit()
    config = service.config
    config["pools"][0]["members"] = [second.address]
    assert service.reload(config).returncode == 0
    guest.visit()
    assert second.accepted == 1 and service.backend.accepted == 1


# --- status ---


def test_ctl_status(house, visitor):
    service = house(tickets=True)
    guest = visitor(service)
    guest.visit()
    guest.visit()
    service.connections(2)
    status = service.ctl("status")
    assert status.returncode == 0
    assert "workers" in status.stdout and "resumed_psk 1" in status.stdout


@pytest.mark.parametrize("args", [["ctl"], ["ctl", "dance"], ["run", "-x"], ["dance"], ["check"]])
def test_wrong_usage_is_status_2(args):
    done = run(*args)
    assert done.returncode == 2 and done.stderr


def test_ctl_without_a_service(tmp_path):
    done = run("ctl", "-s", tmp_path / "none.sock", "reload")
    assert done.returncode == 1 and "none.sock" in done.stderr


# --- the end ---


def test_sigterm_lets_transfers_finish(house, visitor):
    """Drains: new connections are refused, an open transfer completes, status 0."""
    size = 24 << 20
    duplex = Duplex(size)
    service = house(duplex)
    guest = visitor(service)
    with guest.connect() as client:
        digest = Digest()
        digest.add(client.recv(1000))
        service.signal(signal.SIGTERM)
        wait_until("new connections are refused", lambda: _refuses(guest.address))
        assert service.process.poll() is None, "it ended with a transfer open"
        while part := client.recv():
            digest.add(part)
        assert digest.result == Digest.of_stream(size, seed=1)
        client.close_notify()
    assert service.wait_exit() == 0
    assert service.connection(client)["close"] == "done"
    assert not os.path.exists(service.socket), "the control socket is left behind"


def test_drain_timeout_ends_what_does_not_end(house, visitor):
    service = house(echo, service={"drain-timeout": "300ms"})
    guest = visitor(service)
    with guest.connect() as client:
        client.send(b"x")
        client.recv_exact(1)
        service.signal(signal.SIGTERM)
        try:
            client.recv_all()
        except OSError:
            pass
    assert service.wait_exit() == 0
    assert service.connection(client)["close"] == "drain-timeout"


def test_sigint_ends_it_too(house):
    service = house()
    service.signal(signal.SIGINT)
    assert service.wait_exit() == 0


def test_sigterm_in_the_middle_of_a_handshake(house):
    service = house(handshake_timeout="300ms")
    with socket.create_connection(service.address(), timeout=30) as sock:
        sock.sendall(hello.records(hello.client_hello(server_name=WWW)))
        assert sock.recv(1)
        service.signal(signal.SIGTERM)
        assert service.wait_exit() == 0


# --- the start ---


@EACH_BREAK
def test_a_wrong_file_is_not_started(damage, house, tmp_path):
    """`run` and `check` both end with 1 and say file and line."""
    service = house()
    service.stop()
    damage(service, tmp_path)
    for command in (["check", service.file], ["run", "-c", service.file]):
        done = run(*command)
        assert done.returncode == 1, done
        assert_told(done.stderr + done.stdout, damage, service.file)


def test_check_accepts_what_runs(house):
    service = house()
    done = run("check", service.file)
    assert done.returncode == 0, done.stderr


def test_a_port_in_use_is_told(house, tmp_path):
    """By a stranger's socket."""
    service = house()
    service.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "%s:%d" % taken.getsockname()
        service.config["virtual-servers"][0]["listen"] = [address]
        service.write_config()
        done = run("run", "-c", service.file)
    assert done.returncode == 1
    assert address in done.stderr and "in use" in done.stderr


def test_a_second_instance_on_the_same_port_is_refused(house, visitor, terminator, tmp_path):
    """Two services must not share a port by accident, each with half of the connections."""
    service = house(tickets=True)
    other = tmp_path / "second.yaml"
    config = dict(service.config)
    config["control-socket"] = service.socket + "2"
    config["virtual-servers"] = [
        {**config["virtual-servers"][0], "listen": ["%s:%d" % service.address()]}
    ]
    other.write_text(conf.to_yaml(config))
    with open(tmp_path / "second.log", "wb") as log:
        second = subprocess.Popen([binary(), "run", "-c", other], stderr=log, stdout=log)
        try:
            assert second.wait(30) == 1
        except subprocess.TimeoutExpired:
            pytest.fail("a second instance listens there too: " + Path(log.name).read_text())
        finally:
            second.terminate()
            second.wait()
    assert "in use" in Path(log.name).read_text()
    guest = visitor(service)
    guest.visit()
    assert guest.visit()


def test_a_second_instance_on_the_same_control_socket_is_refused(house, visitor, tmp_path):
    service = house()
    other = tmp_path / "second.yaml"
    other.write_text(service.file.read_text())
    done = run("run", "-c", other)
    assert done.returncode == 1 and "control" in done.stderr
    assert service.ctl("status").returncode == 0
    visitor(service).visit()


def test_other_users_do_not_reach_the_control_socket(house):
    """Its mode keeps them out; and where that were wrong, the peer's user is looked at."""
    service = house()
    assert os.stat(service.socket).st_mode & 0o777 == 0o600
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    ask = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); s.sendall(b'text status\\n'); print(s.recv(100))"
    )
    for mode in (0o600, 0o666):
        os.chmod(service.socket, mode)
        for folder in Path(service.socket).parents:
            if folder.stat().st_mode & 0o001 == 0:
                folder.chmod(0o711)  # the test's own folders
        done = subprocess.run(
            [sys.executable, "-c", ask, service.socket], capture_output=True, text=True, check=False
        )
        assert "ok" not in done.stdout
        assert ("PermissionError" in done.stderr) == (mode == 0o600)


def test_a_stale_control_socket_is_no_obstacle(house, terminator):
    service = house()
    os.kill(service.pid, signal.SIGKILL)
    service.wait_exit()
    assert os.path.exists(service.socket)
    second = terminator(service.config)
    assert second.ctl("status").returncode == 0


# --- privileges ---


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.parametrize("tickets", [True, False])
def test_workers_are_unprivileged(tickets, house, visitor):
    nobody = pwd.getpwnam("nobody")
    service = house(tickets=tickets, service={"user": "nobody"})
    guest = visitor(service)
    with guest.connect() as client:
        worker = worker_of(service, client)
        for pid in service.processes():
            # A worker is waited for; the keeper, which sees no peer, may still be starting.
            wait_until(
                "it has given up its privileges",
                lambda pid=pid: process_field(pid, "NoNewPrivs") == "1",
            )
            assert process_field(pid, "Uid").split() == [str(nobody.pw_uid)] * 4
            assert process_field(pid, "Gid").split() == [str(nobody.pw_gid)] * 4
            assert process_field(pid, "Groups").split() in ([], [str(nobody.pw_gid)])
            assert int(process_field(pid, "CapEff"), 16) == 0
            assert int(process_field(pid, "CapPrm"), 16) == 0
        assert worker in service.processes()
        client.request()
    guest.visit()
    assert guest.visit(), "unprivileged workers use cache and keys"
    assert service.reload().returncode == 0
    assert guest.visit()


def test_no_process_leaves_a_core(house):
    """Secrets are kept out of core dumps."""
    service = house()
    for pid in [service.pid, *service.processes()]:
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], (pid, core)


def test_keys_are_locked_in_memory(house, visitor):
    """R39: the key ring, and each worker's own copies of keys and sessions."""
    if is_sanitized():
        pytest.skip("AddressSanitizer makes mlock do nothing")
    service = house(tickets=True)
    with visitor(service).connect() as client:
        worker = worker_of(service, client)
        assert int(process_field(worker, "VmLck").split()[0]) > 0
        client.request()


def test_an_unknown_user_is_told(house):
    if os.getuid() != 0:
        pytest.skip("needs root")
    service = house()
    service.stop()
    service.config["user"] = "no-such-user"
    service.write_config()
    done = run("run", "-c", service.file)
    assert done.returncode == 1 and "no-such-user" in done.stderr


# --- ticket keys ---


def ticket_key(service, client):
    return service.connection(client).get("ticket-key")


@VERSIONS
def test_tickets_live_through_key_rotations(version, house, visitor, recorder):
    """R37: the previous key opens, the ticket is renewed under the new one, and so on."""
    service = house(tickets=True, service={"ticket-keys": {"encrypt-for": "1s"}})
    guest = visitor(service, version)
    tape = recorder(service)
    guest.address = tape.address
    guest.visit()
    first = guest.session
    seen_keys = []
    for number in range(1, 5):
        service.wait_events("ticket-key-rotated", number)
        # The client's ticket is from a key that no longer seals: it resumes, and is renewed.
        wait_until("the workers seal under the new key", lambda: _renewed(guest, tape, service))
        line = service.connection(tape.connections[-1])
        assert line["handshake"] == "resumed"
        seen_keys.append(line["ticket-key"])
    assert len(set(seen_keys)) > 1
    guest.session = first
    assert guest.visit(), "the very first ticket, four keys later"


def _renewed(guest, tape, service):
    """One visit, which must resume. True when it brought a ticket under another key."""
    count = len(tape.connections)
    assert guest.visit()
    recorded = tape.wait(count + 1)[count]
    seen = recorded.transcript(service.key_log.read_text())
    line = service.connection(recorded)
    if guest.version == "1.3":
        assert line["issued"] == "psk" and len(seen.tickets) >= 1
    elif seen.tickets:
        assert line["issued"] == "ticket"
        assert seen.server.names == [
            "ServerHello",
            "NewSessionTicket",
            "ChangeCipherSpec",
            "Finished",
        ]
        assert seen.answer.ticket == b""
    else:
        assert line["issued"] == "none"
    return bool(seen.tickets)


def test_a_retired_key_is_forgotten(house, visitor):
    """A key opens tickets for as long as the last one under it may live, then no more; its name
    is remembered, to say so."""
    service = house(
        tickets=True, ticket_timeout="1s", service={"ticket-keys": {"encrypt-for": "1s"}}
    )
    guest = visitor(service, "1.2")
    guest.visit()
    line = [None]

    def forgotten():
        guest.visit(keep=False)
        line[0] = service.connection(guest.last)
        return line[0].get("reason") == "retired-ticket-key"

    wait_until("the key is forgotten", forgotten)


def test_rotation_under_load_loses_no_resumption(house, visitor):
    service = house(
        tickets=True, service={"ticket-keys": {"encrypt-for": "1s"}, "log": {"rate": 0}}
    )
    with Crowd([visitor(service, version) for version in ("1.2", "1.3") * 2]) as crowd:
        service.wait_events("ticket-key-rotated", 3)
        crowd.wait_for(10)
    assert crowd.failures == []
    assert crowd.resumed == crowd.visits


def test_new_workers_wait_for_keys_that_are_being_written(house, visitor):
    """A worker that starts in the middle of a rotation resumes from its first connection on.
    The ring is left as by a keeper that was stopped there; within a second it is repaired."""
    service = house(tickets=True, service={"log": {"rate": 0}})
    with Crowd([visitor(service, version) for version in ("1.2", "1.3") * 2]) as crowd:
        for _ in range(3):
            _begin_to_write_the_ring(service)
            assert service.reload().returncode == 0
            crowd.wait_for(20)
    assert crowd.failures == []
    assert crowd.resumed == crowd.visits


def _begin_to_write_the_ring(service):
    """Makes the ring's generation odd (store/keyring.c: the second number)."""
    for number in list_files(service.pid):
        path = f"/proc/{service.pid}/fd/{number}"
        if "reprise-keyring" in os.readlink(path):
            with open(path, "r+b", buffering=0) as ring:
                generation = struct.unpack("QQ", ring.read(16))[1]
                ring.seek(8)
                ring.write(struct.pack("Q", generation | 1))
            return
    raise AssertionError("the master has no key ring")


def test_rotation_goes_on_after_a_reload(house, visitor):
    service = house(tickets=True, service={"ticket-keys": {"encrypt-for": "1s"}})
    guest = visitor(service)
    guest.visit()
    service.wait_event("ticket-key-rotated")
    assert service.reload().returncode == 0
    since = len(service.events)
    service.wait_event("ticket-key-rotated", since=since)
    assert guest.visit()
    keys = [line["ticket-key"] for line in service.find("ticket-key-rotated")]
    assert len(set(keys)) == len(keys)
