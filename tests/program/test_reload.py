"""What a reload takes up and what it lets go of: sockets, files, health of backends."""

import os
import resource
import socket
import time

import pytest

from lab import config as conf
from lab import hello
from lab.backends import Backend, echo, http
from lab.deadline import wait_until
from lab.pyclient import TlsClient, make_context
from lab.visitors import Crowd, Visitor


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def refuses(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture
def house(certs, backends, terminator):
    def build(listen="127.0.0.1:0", handler=echo, **more):
        backend = backends(Backend(handler))
        profile = conf.profile(certs.ecdsa, **more.pop("profile", {}))
        return terminator(conf.service(profile, conf.pool(backend), listen=listen, **more))

    return build


@pytest.fixture
def talks(certs):
    """Whether the service at a port answers over TLS."""

    def talk(port):
        context = make_context(certs.authority.file)
        with TlsClient(context, ("127.0.0.1", port), "www.example.com") as client:
            client.send(b"hello")
            return client.recv_exact(5) == b"hello"

    return talk


def listen_at(service, *addresses):
    service.config["virtual-servers"][0]["listen"] = list(addresses)
    done = service.reload(service.config)
    assert done.returncode == 0, done.stderr


def test_a_rewritten_port_and_back(house, talks):
    """Nobody goes on listening on the old one: not the new workers, not the keeper."""
    one, two = free_port(), free_port()
    service = house(f"127.0.0.1:{one}")
    assert talks(one)
    for old, new in ((one, two), (two, one), (one, two)):
        listen_at(service, f"127.0.0.1:{new}")
        assert talks(new)
        wait_until("the old port is closed", lambda port=old: refuses(port))


def test_an_address_may_become_narrower_and_wider(house, talks):
    port = free_port()
    service = house(f"0.0.0.0:{port}")
    listen_at(service, f"127.0.0.1:{port}")
    assert talks(port)
    wait_until("no other address is served", lambda: refuses(port, "127.0.0.2"))
    listen_at(service, f"0.0.0.0:{port}")
    assert talks(port)


def test_several_sockets_on_any_port(house, talks):
    service = house(["127.0.0.1:0", "127.0.0.1:0"])
    ports = [service.address(index=index)[1] for index in (0, 1)]
    assert ports[0] != ports[1]
    for _ in range(3):
        assert service.reload(service.config).returncode == 0
    assert [talks(port) for port in ports] == [True, True]


def test_another_number_of_workers(house, talks):
    service = house(workers=1)
    port = service.address()[1]
    for workers in (4, 2, 1, 3):
        service.config["workers"] = workers
        assert service.reload(service.config).returncode == 0
        assert all(talks(port) for _ in range(12))


def test_a_file_that_is_no_longer_written_is_let_go(house, tmp_path):
    """Of key-log above all: no process may hold it open after the reload."""
    log = tmp_path / "keys"
    service = house(key_log=log)
    del service.config["key-log"]
    assert service.reload(service.config).returncode == 0

    def holders():
        found = []
        for pid in [service.pid, *service.processes()]:
            try:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            except OSError:
                continue
            found += [pid for link in links if link == str(log)]
        return found

    wait_until("nobody has it open", lambda: not holders())


def test_a_member_that_is_down_stays_down(house):
    dead = f"127.0.0.1:{free_port()}"
    service = house()
    pool = service.config["pools"][0]
    pool["members"].append(dead)
    pool.update({"health-check": "tcp", "health-interval": "50ms", "health-fall": 2})
    assert service.reload(service.config).returncode == 0
    service.wait_event("member-down", member=dead)
    seen = len(service.events)
    pool["health-interval"] = "1h"
    assert service.reload(service.config).returncode == 0
    assert not service.find("member-down", since=seen), "it was still known to be down"


def test_a_hello_that_fails_leaves_nothing_behind(house, certs):
    """A hello in two pieces that is refused, and then a connection that ends by its
    time-out: what the first one left must not be read."""
    service = house(profile={"default": False, "idle_timeout": "1s"})
    address = service.address()
    records = hello.records(hello.client_hello(server_name="no.such.name"))
    context = make_context(certs.authority.file)
    for _ in range(20):
        with socket.create_connection(address, timeout=30) as sock:
            sock.sendall(records[:40])
            # the pieces are to arrive by themselves: a full round trip of another hello lies between
            with socket.create_connection(address, timeout=30) as other:
                other.sendall(records)
                while other.recv(4096):
                    pass
            sock.sendall(records[40:])
            while sock.recv(4096):
                pass
    with TlsClient(context, address, "www.example.com") as client:
        client.send(b"x")
        assert client.recv_exact(1) == b"x"
        started = time.monotonic()
        assert client.recv() == b""
        assert time.monotonic() - started < 60
    assert service.connection(client)["close"] == "idle-timeout"


@pytest.mark.skipif("REPRISE_SANITIZED" in os.environ,
                    reason="AddressSanitizer makes mlock do nothing")
def test_more_workers_that_fail_to_start_cut_nobody(house, certs):
    """A reload to more workers, none of which gets the memory to lock its keys in: the kernel
    has no client wait at a socket that is closed again."""
    service = house(handler=http, workers=1, log={"rate": 0})
    resource.prlimit(service.pid, resource.RLIMIT_MEMLOCK, (4096, 4096))
    service.config["workers"] = 8
    with Crowd([Visitor(service, version, certs) for version in ("1.2", "1.3") * 3]) as crowd:
        for _ in range(10):
            done = service.reload(service.config)
            assert done.returncode == 1 and "did not start" in done.stderr
            crowd.wait_for(10)
    assert crowd.failures == []
