"""`reprise bench`: what it claims is what the server saw, and what fails is counted."""

import json
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lab import config as conf
from lab.backends import Backend, DeadBackend, echo
from lab.deadline import wait_until
from lab.terminator import run

COUNT = 60
BY = {"id": "session-id", "ticket": "ticket", "psk": "psk"}


def bench(*args, **more):
    """Runs it with --json; returns its exit status and the one turn's result."""
    done = run("bench", "--json", *args, **more)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["targets"][0]["turns"][0]


@pytest.fixture
def server(terminator, certs, backends):
    """A terminator with both boxes ticked, in front of an echo; and its HOST:PORT."""
    backend = backends(Backend(echo))
    service = terminator(conf.service(conf.profile(certs.ecdsa, tickets=True), conf.pool(backend)))
    service.bench_address = "%s:%d" % service.address()
    return service


@pytest.fixture
def stalled():
    """Accepts connections and says nothing. Its HOST:PORT."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    yield "%s:%d" % listener.getsockname()
    listener.close()


def logged(service, count, **fields):
    return len(service.connections(count, **fields))


@pytest.mark.parametrize("kind", BY)
def test_what_it_says_was_resumed_was_resumed(server, kind):
    status, result = bench("-k", kind, "-n", COUNT, "-c", 4, "--payload", 100, server.bench_address)
    assert status == 0 and result["failed"] == 0
    assert result["resumed"][kind] == result["done"] == result["started"] == COUNT
    assert result["bytes_sent"] == result["bytes_received"] >= 100 * COUNT
    assert logged(server, COUNT, handshake="resumed", by=BY[kind]) == COUNT
    assert logged(server, result["primed"], handshake="new") == result["primed"]


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_full_handshakes_are_full(server, tls):
    status, result = bench("-n", COUNT, "--tls", tls, "--payload", 1, server.bench_address)
    assert status == 0
    assert result["full"]["full"] == COUNT and sum(result["resumed"].values()) == 0
    assert logged(server, COUNT, handshake="new", protocol="TLSv" + tls) == COUNT


def test_a_mix_adds_up_with_the_log(server):
    status, result = bench(
        "-k", "id,ticket,psk", "--resume", 0.5, "-n", 200, "-w", 2, "--payload", 10, server.bench_address
    )
    assert status == 0 and result["done"] == 200
    resumed, full = result["resumed"], result["full"]
    assert sum(resumed.values()) + sum(full.values()) == 200 and full["full"] == 0
    assert all(count > 0 for count in [*resumed.values(), full["id"], full["ticket"], full["psk"]])
    server.connections(200 + result["primed"])
    for kind, by in BY.items():
        assert len(server.find("connection", handshake="resumed", by=by)) == resumed[kind]


def test_without_a_request_sessions_are_had_all_the_same(server):
    for kind in BY:
        status, result = bench("-k", kind, "-n", COUNT, "--no-request", server.bench_address)
        assert status == 0 and result["resumed"][kind] == COUNT


def test_a_bulk_payload_comes_back_whole(server):
    status, result = bench("-n", 2, "-c", 2, "--payload", "8M", server.bench_address)
    assert status == 0 and result["bytes_received"] == result["bytes_sent"] == 16 << 20


def test_plain_tcp_is_measured_the_same_way(backends):
    backend = backends(Backend(echo))
    status, result = bench("-k", "plain", "-n", COUNT, "--payload", 100, backend.address)
    assert status == 0 and result["full"]["plain"] == COUNT
    status, result = bench("-k", "plain", "-n", 2, "-c", 2, "--payload", "4M", backend.address)
    assert status == 0 and result["bytes_received"] == 8 << 20


def test_http_is_the_default(terminator, certs):
    service = terminator(
        conf.service(conf.profile(certs.ecdsa, tickets=True), conf.demonstration())
    )
    status, result = bench("-n", COUNT, "-k", "psk", "%s:%d" % service.address())
    assert status == 0 and result["resumed"]["psk"] == COUNT


@pytest.mark.parametrize("how", ["wait", "fin", "reset"])
def test_every_way_to_close(server, how):
    status, result = bench(
        "-n", COUNT, "-k", "ticket", "--payload", 1, "--close", how, server.bench_address
    )
    assert status == 0 and result["done"] == COUNT


# --- aborts ---


@pytest.mark.parametrize("where", ["hello", "handshake"])
def test_aborts_are_counted_apart(server, where):
    status, result = bench("-n", COUNT, "--abort", where, server.bench_address)
    assert status == 0
    assert result["aborted"][where] == COUNT and result["done"] == result["failed"] == 0
    server.connections(COUNT if where == "handshake" else 1)
    # and the server is none the worse for it
    assert bench("-n", 1, "--payload", 1, server.bench_address)[0] == 0


def test_a_soak_of_clean_and_aborted_handshakes(server):
    status, result = bench(
        "-n", 200, "--abort", "hello:0.3", "--abort", "handshake:0.3", "--no-request",
        server.bench_address,
    )  # fmt: skip
    assert status == 0
    assert result["done"] + sum(result["aborted"].values()) == 200
    assert min(result["done"], *result["aborted"].values()) > 0


# --- failures ---


def test_a_server_that_is_gone(backends):
    status, result = bench("-n", 3, "-c", 1, backends(DeadBackend()).address)
    assert status == 1
    assert result["failures"] == {"connect": 3} and result["error"] == "Connection refused"


def test_a_name_that_is_refused(terminator, certs, backends):
    pool = conf.pool(backends(Backend(echo)))
    service = terminator(conf.service(conf.profile(certs.ecdsa, default=False), pool))
    status, result = bench("-n", 3, "-s", "www.other.example", "%s:%d" % service.address())
    assert status == 1
    assert result["failures"] == {"alert": 3} and result["alerts"] == {"unrecognized_name": 3}
    assert bench("-n", 3, "-s", "www.example.com", "--payload", 1, "%s:%d" % service.address())[0] == 0


def test_a_server_that_stalls(stalled):
    status, result = bench("-n", 3, "--timeout", "200ms", stalled)
    assert status == 1 and result["failures"] == {"timeout": 3}


def test_a_server_that_does_not_resume(terminator, certs, backends):
    pool = conf.pool(backends(Backend(echo)))
    profile = conf.profile(certs.ecdsa, cache=False, tickets=False)
    service = terminator(conf.service(profile, pool))
    address = "%s:%d" % service.address()
    for kind in ("id", "ticket"):
        status, result = bench("-k", kind, "-n", 4, "-c", 2, "--payload", 1, address)
        assert status == 1 and result["done"] == 0
        assert set(result["failures"]) == {"no-session"}


def test_a_session_that_is_not_resumed_any_more(server):
    """The tick box is taken away in the midst of it."""
    client = []
    thread = threading.Thread(
        target=lambda: client.append(
            bench("-k", "id", "-d", "1500ms", "-c", 2, "--payload", 1, server.bench_address)
        )
    )
    thread.start()
    server.wait_events("connection", 10, handshake="resumed")
    assert server.ctl("profile", "web", "session-cache", "off").returncode == 0
    thread.join()
    status, result = client[0]
    assert status == 1 and result["done"] > 0
    assert result["failures"]["not-resumed"] >= 1 and result["failures"]["no-session"] >= 1


def test_a_wrong_answer(server):
    status, result = bench("-n", 3, "--payload", "10:5", server.bench_address)
    assert status == 1 and result["failures"] == {"wrong-answer": 3}
    status, result = bench("-n", 3, server.bench_address)  # HTTP of an echo
    assert status == 1 and result["failures"] == {"wrong-answer": 3}


def test_a_server_that_speaks_no_tls(backends):
    def banner(peer):
        peer.send(b"220 mail.example.com ESMTP\r\n")
        peer.recv_all()

    status, result = bench("-n", 3, backends(Backend(banner)).address)
    assert status == 1 and result["failures"] == {"protocol": 3}


def test_a_server_that_resets_or_closes(backends):
    def resets(peer):
        peer.recv()
        peer.reset()

    status, result = bench("-n", 3, backends(Backend(resets)).address)
    assert status == 1 and result["failures"] == {"reset": 3}
    status, result = bench("-n", 3, backends(Backend(lambda peer: peer.recv())).address)
    assert status == 1 and result["failures"] == {"closed": 3}


def test_a_server_that_does_not_end_after_close_notify(backends):
    def never_ends(peer):
        peer.send(peer.recv())
        while peer.recv():
            pass
        ended.wait()

    ended = threading.Event()
    backend = backends(Backend(never_ends))
    status, result = bench(
        "-k", "plain", "-n", 2, "--payload", 5, "--timeout", "300ms", backend.address
    )
    ended.set()
    assert status == 1 and result["done"] == 2 and result["failures"] == {"not-closed": 2}


def test_certificates_are_verified_when_asked_for(server, certs, tmp_path):
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", tmp_path / "key", "-out", other, "-subj", "/CN=other"],
        check=True, stderr=subprocess.DEVNULL)  # fmt: skip
    name = ("-s", "www.example.com", "--payload", 1)
    status, result = bench("-n", 2, "--ca", other, *name, server.bench_address)
    assert status == 1 and result["failures"] == {"certificate": 2}
    authority = certs.authority.file
    status, result = bench("-n", 2, "--ca", authority, *name, server.bench_address)
    assert status == 0 and result["done"] == 2
    name = ("-s", "www.other.example", "--payload", 1)
    status, result = bench("-n", 2, "--ca", authority, *name, server.bench_address)
    assert status == 1 and result["failures"] == {"certificate": 2}


# --- open loop ---


def test_an_open_loop_is_not_held_back_by_a_stalled_server(stalled):
    begun = time.monotonic()
    status, result = bench("-r", 100, "-n", 50, "--timeout", "400ms", stalled)
    # one after the other they would take 50 times as long
    assert time.monotonic() - begun < 15
    assert status == 1 and result["failures"] == {"timeout": 50}
    assert result["elapsed_s"] >= 49 / 100


def test_an_open_loop_counts_latency_from_the_intended_start(server):
    status, result = bench(
        "-r", 200, "-n", 100, "-w", 2, "-k", "ticket", "--payload", 1, server.bench_address
    )
    assert status == 0 and result["done"] == 100
    latency = result["latency_us"]
    assert latency["answer_resumed"]["count"] == latency["handshake_resumed"]["count"] == 100
    assert latency["answer_resumed"]["p50"] >= latency["handshake_resumed"]["p50"] > 0


def test_arrivals_past_max_open_are_failures_and_not_put_off(stalled):
    status, result = bench("-r", 500, "-n", 100, "--max-open", 10, "--timeout", "2s", stalled)
    assert status == 1
    assert result["failures"] == {"timeout": 10, "local": 90}


# --- idle ---


def test_idle_connections_are_held_and_let_go(server):
    status, result = bench(
        "--idle", 40, "-d", "300ms", "--payload", 1, "--server-pid", server.pid,
        server.bench_address,
    )  # fmt: skip
    assert status == 0 and result["done"] == 40
    assert max(sample["held"] for sample in result["samples"]) == 40
    assert result["samples"][-1]["held"] == 0
    # Not which is more: other tests' processes share the program's pages, and count in its share.
    assert result["server"]["memory_before_kb"] > 0 and result["server"]["memory_after_kb"] > 0


def test_a_held_connection_that_the_server_ends_is_a_failure(terminator, certs, backends):
    profile = conf.profile(certs.ecdsa, idle_timeout="1s")
    service = terminator(conf.service(profile, conf.pool(backends(Backend(echo)))))
    status, result = bench(
        "--idle", 5, "-d", "4s", "--payload", 1, "%s:%d" % service.address()
    )
    assert status == 1 and result["failures"] == {"closed": 5}


# --- other servers ---


@pytest.fixture
def s_server(certs):
    """`openssl s_server -WWW`-like, with an HTTP answer to every request."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pair = certs.ecdsa.config()
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pair["chain"], "-key",
         pair["key"], "-www", "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False

    wait_until("openssl s_server listens", answers)
    yield f"127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", ["full", "id", "ticket", "psk"])
def test_against_openssl(s_server, kind):
    status, result = bench("-k", kind, "-n", 20, "-c", 1, "--http", "/", s_server)
    assert status == 0, result
    assert result["done"] == 20
    assert kind == "full" or result["resumed"][kind] == 20


def test_alpn_ciphers_and_groups_are_offered(certs):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = certs.ecdsa.config()
    context.load_cert_chain(pair["chain"], pair["key"])
    context.set_alpn_protocols(["spdy", "http/1.1"])
    seen = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        with context.wrap_socket(sock, server_side=True) as peer:
            peer.sendall(peer.recv(100))
            seen.append((peer.selected_alpn_protocol(), peer.cipher()[0], peer.version()))
            peer.recv(100)

    thread = threading.Thread(target=serve)
    thread.start()
    cipher = "ECDHE-ECDSA-AES256-GCM-SHA384"
    status, _ = bench(
        "-n", 1, "--tls", "1.2", "--alpn", "h2,http/1.1", "--ciphers",
        cipher + ":TLS_AES_128_GCM_SHA256", "--groups", "P-256", "--payload", 5, "--close", "fin",
        "%s:%d" % listener.getsockname(),
    )  # fmt: skip
    thread.join()
    listener.close()
    assert status == 0 and seen == [("http/1.1", cipher, "TLSv1.2")]


# --- what it prints ---


def test_the_json_schema(server, tmp_path):
    plots = tmp_path / "plots.html"
    done = run(
        "bench", "-n", 20, "-k", "ticket", "--payload", 1, "--json", "--html", plots, "--compare",
        "--turns", 3, f"a={server.bench_address},pid={server.pid}", f"b={server.bench_address}",
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    told = json.loads(done.stdout)
    assert told["schema"] == 1 and told["options"]["kinds"] == ["ticket"]
    assert [target["name"] for target in told["targets"]] == ["a", "b"]
    for target in told["targets"]:
        assert [turn["done"] for turn in target["turns"]] == [20, 20, 20]
        assert set(target["spread"]) == set(target["ratio"]) == set(target["turns"][0]["measures"])
        assert target["spread"]["rate_per_s"]["median"] > 0
        for turn in target["turns"]:
            times = [sample["at_ms"] for sample in turn["samples"]]
            assert times == sorted(times) and turn["samples"][-1]["done"] == 20
    first, second = told["targets"]
    assert first["ratio"]["rate_per_s"] == {"median": 1, "min": 1, "max": 1}
    assert first["turns"][0]["server"]["cpu_s"] > 0 and "server" not in second["turns"][0]
    html = plots.read_text()
    assert html.count("<svg") >= 2 and "http" not in html and "<script" not in html


def test_the_text_is_plain_when_it_is_no_terminal(server):
    done = run("bench", "-n", 20, "-k", "psk", "--payload", 1, server.bench_address)
    assert done.returncode == 0 and done.stderr == ""
    assert "\033" not in done.stdout and "\r" not in done.stdout
    assert "resumed, psk" in done.stdout and "TLS 1.3 PSK" in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["127.0.0.1"],
        ["-k", "tickets", "127.0.0.1:1"],
        ["--resume", "2", "127.0.0.1:1"],
        ["-c", "0", "127.0.0.1:1"],
        ["-d", "0s", "127.0.0.1:1"],
        ["-k", "psk", "--tls", "1.2", "127.0.0.1:1"],
        ["--idle", "5", "-r", "5", "127.0.0.1:1"],
        ["-k", "plain", "--no-request", "127.0.0.1:1"],
        ["--abort", "hello", "--abort", "handshake", "127.0.0.1:1"],
        ["--compare", "127.0.0.1:1"],
        ["--compare", "a=127.0.0.1:1,pid=x"],
        ["--no-such-option", "127.0.0.1:1"],
    ],
)
def test_wrong_usage(args):
    done = run("bench", *args)
    assert done.returncode == 2 and done.stdout == ""
    assert "reprise bench --help" in done.stderr


def test_names_that_the_library_does_not_know():
    for option in ("--groups", "--ciphers", "--ca"):
        done = run("bench", "-n", 1, option, "no-such-thing", "127.0.0.1:1")
        assert done.returncode == 1 and "no-such-thing" in done.stderr


def test_a_process_that_is_not_there():
    done = run("bench", "-n", 1, "--server-pid", 2**22 + 1, "127.0.0.1:1")
    assert done.returncode == 1 and "there is no process" in done.stderr
