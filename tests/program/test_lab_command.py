"""`reprise lab`: every act as it should be, what it keeps, and that it leaves nothing behind."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from lab.deadline import wait_until
from lab.terminator import SANITIZER, binary, children, is_running, is_sanitized

LIMIT_S = 600 if is_sanitized() else 150
ARTICLE = ("ssl-sample-session-ticket-disabled.pcap", "ssl-sample-session-ticket-enabled-2.pcap")

# Act: verdict on the wire, and the log's word where it is refused.
VERDICTS = {
    "stateful-new": ("new", None),
    "stateful-reuse": ("resumed-by-session-id", None),
    "stateless-new": ("new", None),
    "stateless-reuse": ("resumed-by-ticket", None),
    "tls13-stateless-new": ("new", None),
    "tls13-stateless-reuse": ("resumed-by-psk", None),
    "tls13-stateful-new": ("new", None),
    "tls13-stateful-reuse": ("resumed-by-psk", None),
    "expired": ("refused-ticket", "expired"),
    "rotated-key": ("refused-ticket", "retired-ticket-key"),
    "other-server-name": ("refused-ticket", "other-server-name"),
    "cache-off": ("refused-session-id", "cache-off"),
    "fallback": ("refused-ticket", "tickets-off"),
    "fallback-reuse": ("resumed-by-session-id", None),
    "invalidated": ("refused-session-id", "invalidated"),
    "renegotiation-legacy": ("new", None),
    "renegotiation-secure": ("new", None),
}


def lab(folder, *args, ok=0, **more):
    """Runs it with its temporary folder in `folder`; nothing may be left there."""
    temporary = folder / "tmp"
    temporary.mkdir(mode=0o777, exist_ok=True)
    temporary.chmod(0o777)
    done = subprocess.run(
        [*more.pop("before", ()), binary(), "lab", *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        env={**os.environ, "TMPDIR": str(temporary), **more.pop("environment", {})},
        **more,
    )
    out, told = done.stdout.decode(), done.stderr.decode()
    assert not SANITIZER.search(done.stdout + done.stderr), told
    assert done.returncode == ok, (done.returncode, told, out[-3000:])
    assert not list(temporary.iterdir()), "a folder is left"
    assert not left_running(temporary)
    return out if ok == 0 else told


def left_running(folder):
    """Command lines of processes that have to do with the folder."""
    lines = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                lines.append((entry / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            pass
    return [line for line in lines if str(folder) in line and "reprise-lab" in line]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """All acts, recorded from the sockets: the document, and the folder with what was kept."""
    folder = tmp_path_factory.mktemp("lab")
    kept = folder / "kept"
    text = lab(folder, "--json", "--record", "sockets", "--repeat", 10, "--keep", kept,
               "--html", folder / "page.html")
    return json.loads(text), kept, (folder / "page.html").read_text()


def inspect(kept, file):
    done = subprocess.run(
        [binary(), "inspect", "--json", "--keylog", kept / f"{file}.keys", kept / file],
        capture_output=True, timeout=60, check=True,
    )
    return {stream["stream"]: stream for stream in json.loads(done.stdout)["streams"]}


def stream_number(act):
    return int(re.fullmatch(r"tcp\.stream eq (\d+)", act["filter"])[1])


# --- all acts ---


def test_every_act_is_as_it_should_be(played):
    document = played[0]
    assert document["schema"] == "reprise-lab" and document["version"] == 1
    assert document["ok"] and document["topology"] == "loopback"
    assert document["played"] == len(document["acts"]) == len(VERDICTS)
    assert [act["act"] for act in document["acts"]] == list(range(1, len(VERDICTS) + 1))
    found = {act["name"]: (act["verdict"], act["expected_reason"] or None)
             for act in document["acts"]}
    assert found == VERDICTS


def test_the_document(played):
    for act in played[0]["acts"]:
        assert act["ok"] and act["title"] and len(act["see"]) > 40 and act["scene"]
        assert act["verdict"] == act["expected_verdict"] == act["stream"]["verdict"]
        assert act["recorded_by"] == "sockets"
        assert act["stream"]["filter"] == act["filter"] and act["stream"]["messages"]
        assert act["stream"]["bytes_lost"] == 0
        assert {check["witness"] for check in act["checks"]} == {"packets", "log"}
        assert all(check["ok"] and check["text"] and check["check"] for check in act["checks"])
        assert "event=connection" in act["log"]
        assert act["stream"]["client"] in act["log"]
        assert act["cpu"]["connections"] == 10
        for side in ("terminator", "client"):
            assert act["cpu"][side]["new_us"] > 0 and act["cpu"][side]["this_us"] > 0


def test_the_articles_session_id(played):
    """Acts 1 and 2: empty, then new; then that one, and the same."""
    first, second = (act["stream"]["handshakes"][0] for act in played[0]["acts"][:2])
    assert first["client_hello"]["session_id"]["length"] == 0
    issued = first["server_hello"]["session_id"]["bytes"]
    assert len(issued) == 64
    assert second["client_hello"]["session_id"]["bytes"] == issued
    assert second["server_hello"]["session_id"]["bytes"] == issued
    assert f"session-id={issued}" in played[0]["acts"][1]["log"]


def test_renegotiation_is_on_the_wire(played):
    """The second hello is encrypted, on the same connection, and refused."""
    for act, line in zip(played[0]["acts"][-2:], ("none (legacy", "12 bytes of verify_data")):
        hello = [m for m in act["stream"]["messages"] if m["message"].startswith("Client Hello")]
        assert [m["decrypted"] for m in hello] == [False, True]
        assert any(line in field for field in hello[1]["fields"])
        assert act["stream"]["messages"][-1]["message"] == "Alert: fatal, no_renegotiation"
        assert "close=renegotiation-refused" in act["log"]


# --- what is kept ---


def test_kept_captures_say_the_same_to_inspect(played):
    document, kept, _ = played
    assert all((kept / name).exists() for name in ARTICLE)
    for act in document["acts"]:
        file = Path(act["capture"])
        assert file.parent == kept
        stream = inspect(kept, file.name)[stream_number(act)]
        assert stream["verdict"] == act["verdict"]


def test_without_secrets_the_verdicts_hold(played):
    """Nothing is told by the key log alone."""
    document, kept, _ = played
    for act in document["acts"]:
        done = subprocess.run([binary(), "inspect", "--json", act["capture"]],
                              capture_output=True, timeout=60, check=True)
        streams = {s["stream"]: s for s in json.loads(done.stdout)["streams"]}
        assert streams[stream_number(act)]["verdict"] == act["verdict"]
        if act["name"].startswith("renegotiation"):
            assert streams[stream_number(act)]["renegotiation_asked"]


def tshark(file, *args):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    done = subprocess.run(
        ["tshark", "-r", file, "-o", f"tls.keylog_file:{file}.keys",
         "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
         # a port that the kernel gave may be that of another protocol
         "-o", "tcp.try_heuristic_first:TRUE", *args],
        capture_output=True, timeout=120, text=True, check=True,
    )
    return done.stdout.split("\n")[:-1]


def test_tshark_finds_no_fault_in_the_packets(played):
    _, kept, _ = played
    for file in sorted(kept.glob("*.pcap")):
        faults = "tcp.checksum.status != 1 or ip.checksum.status != 1 or tcp.analysis.flags " \
                 "or _ws.malformed"
        assert tshark(file, "-Y", faults) == []


def test_tshark_follows_the_printed_filters(played):
    document, _, _ = played
    for act in document["acts"]:
        rows = tshark(act["capture"], "-Y", f"{act['filter']} and tls.handshake.type == 1",
                      "-T", "fields", "-e", "ip.src", "-e", "tcp.srcport",
                      "-e", "tls.handshake.session_id")
        hello = act["stream"]["handshakes"][0]["client_hello"]
        address, port, *session_id = rows[0].split("\t")
        assert f"{address}:{port}" == act["stream"]["client"]
        assert session_id[0].split(",")[0] == hello["session_id"].get("bytes", "")
        assert len(rows) == (2 if act["name"].startswith("renegotiation") else 1)


def test_page(played):
    document, _, page = played
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert not re.search(r"(?:src|href)\s*=|https?://|@import", page)
    for act in document["acts"]:
        assert f"id=act-{act['act']}" in page
    assert page.count("<div class=scene>") == page.count("</div>") == 11
    assert page.count("<details class=") == len(VERDICTS) and "class=bad" not in page


# --- which acts, and how ---


def test_some_acts(tmp_path):
    out = lab(tmp_path, "--act", "2,stateless-reuse", "--act", 5, "--repeat", 0)
    assert re.findall(r"^Act (\d+)", out, re.M) == ["2", "4", "5"]
    assert "3 acts, all as they should be" in out
    assert "CPU a connection" not in out and "\033" not in out
    assert "Client just sends the Session ID it previously learnt" in out.replace("\n  ", " ")
    assert "tcp.stream eq 1" in out and "resumed by session ticket" in out


def test_text_tells_what_it_cost(tmp_path):
    out = lab(tmp_path, "--act", 2, "--repeat", 20, "--brief")
    assert re.search(r"in 20 more of each kind", out)
    for who in ("terminator", "client"):
        assert re.search(rf"{who} +new +[\d.]+ us +this one +[\d.]+ us +[\d.]+ of it", out)
    assert "Server Hello (" not in out


def test_list(tmp_path):
    out = lab(tmp_path, "--list")
    assert [line.split()[1] for line in out.splitlines()] == list(VERDICTS)
    assert all(name in out for name in ARTICLE)


@pytest.mark.parametrize("args, told", [
    (["--act", "0"], "there is no act '0'"),
    (["--act", "18"], "there is no act '18'"),
    (["--act", "stateful"], "there is no act 'stateful'"),
    (["--act", "1,"], "there is no act ''"),
    (["--act", "-1"], "there is no act '-1'"),
    (["--record", "tape"], "--record takes"),
    (["--topology", "ring"], "--topology takes"),
    (["--repeat", "x"], "--repeat takes"),
    (["--repeat", "-1"], "--repeat takes"),
    (["more"], "unexpected 'more'"),
])
def test_wrong_usage(tmp_path, args, told):
    assert told in lab(tmp_path, *args, ok=2)


def test_what_can_not_be_written(tmp_path):
    assert "cannot write" in lab(tmp_path, "--html", tmp_path / "no" / "page", ok=1)
    assert "cannot make the folder" in lab(tmp_path, "--keep", tmp_path / "no" / "no", ok=1)
    told = lab(tmp_path, ok=1, environment={"TMPDIR": str(tmp_path / "no")})
    assert "cannot make a temporary folder" in told


# --- off the wire, namespaces, users ---


def root_only():
    if os.geteuid() != 0:
        pytest.skip("only root may")


def test_off_the_wire(tmp_path):
    root_only()
    args = ["--json", "--act", "1,2,5,6,17", "--repeat", 0]
    document = json.loads(lab(tmp_path, *args, "--record", "capture"))
    assert document["ok"]
    assert {act["recorded_by"] for act in document["acts"]} == {"capture"}


def test_namespaces(tmp_path):
    root_only()
    before = set(os.listdir("/sys/class/net"))
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("namespaces are not allowed here: " + probe.stderr.decode())
    document = json.loads(
        lab(tmp_path, "--json", "--act", "1,2,3,4,13", "--repeat", 5, "--topology", "netns"))
    assert document["ok"] and document["topology"] == "netns"
    for act in document["acts"]:
        assert act["stream"]["client"].startswith("10.199.3.135:")
        assert act["stream"]["server"] == "10.199.3.145:443"
        assert "backend=10.199.4.10:" in act["log"]
    assert set(os.listdir("/sys/class/net")) == before


def as_nobody():
    """Before a command line: as user nobody, whoever runs this."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


@pytest.fixture
def open_folder():
    """A folder that another user gets into."""
    folder = Path(tempfile.mkdtemp(prefix="reprise-open-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_as_nobody(open_folder):
    out = lab(open_folder, "--act", "1,2,4,6,12", "--repeat", 2, "--brief", before=as_nobody())
    assert "tcp.stream eq 1   in ssl-sample-session-ticket-disabled.pcap, which --keep DIR" in out
    assert "framed as TCP (no live capture)" in out and "5 acts, all as they should be" in out


def test_what_nobody_may_not(open_folder):
    args = ["--act", 1, "--repeat", 0]
    told = lab(open_folder, *args, "--topology", "netns", ok=1, before=as_nobody())
    assert "--topology netns: no network namespace to be had" in told
    out = subprocess.run([*as_nobody(), binary(), "lab", "--act", "1", "--record", "capture"],
                         capture_output=True, timeout=60, check=False,
                         env={**os.environ, "TMPDIR": str(open_folder / "tmp")})
    assert out.returncode == 1 and b"CAP_NET_RAW" in out.stdout
    assert not list((open_folder / "tmp").iterdir())


# --- ends ---


def start_waiting(tmp_path):
    """A lab in the middle of a wait, and the processes that it has started."""
    process = subprocess.Popen(
        [binary(), "lab", "--act", "rotated-key", "--repeat", "0"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)})
    wait_until("the terminator runs", lambda: left_running(tmp_path))
    return process, children(process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, number):
    """It ends its processes, removes its folder, says so."""
    process, own = start_waiting(tmp_path)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and b"interrupted" in told
    assert not list(tmp_path.iterdir())
    wait_until("all have ended", lambda: not any(map(is_running, own)))


def test_killed(tmp_path):
    """Even then no process stays."""
    process, own = start_waiting(tmp_path)
    process.kill()
    process.communicate()
    wait_until("all have ended", lambda: not any(map(is_running, own)))
    wait_until("and those that they started", lambda: not left_running(tmp_path))


def test_a_reader_that_leaves(tmp_path):
    """`reprise lab | head -1`: nothing stays."""
    process = subprocess.run(
        f"'{binary()}' lab --act 1,2 --repeat 0 --brief | head -1", shell=True, timeout=LIMIT_S,
        capture_output=True, env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert process.stdout.startswith(b"Packets are recorded")
    wait_until("the folder is gone", lambda: not list(tmp_path.iterdir()))
