"""The command line: help, wrong usage, `reprise check`, and `reprise ctl` against a service
of a few lines."""

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from lab import config as conf
from lab.deadline import DEADLINE_S
from lab.terminator import binary, run

COMMANDS = ["run", "check", "ctl", "inspect", "bench", "lab"]


# --- the program ---


def test_without_a_command_it_tells_how():
    done = run()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: reprise COMMAND")


@pytest.mark.parametrize("args", [["help"], ["--help"], ["-h"]])
def test_help_lists_the_commands_of_users(args):
    done = run(*args)
    assert done.returncode == 0
    assert done.stderr == ""
    listed = re.findall(r"^  ([a-z]+) +\S", done.stdout, re.M)
    assert listed == COMMANDS


@pytest.mark.parametrize("command", COMMANDS + ["docs"])
def test_each_command_has_help(command):
    asked = [
        run(*args)
        for args in [[command, "--help"], [command, "-h"], ["help", command], ["--help", command]]
    ]
    assert {done.returncode for done in asked} == {0}
    assert len({done.stdout for done in asked}) == 1
    text = asked[0].stdout
    assert text.startswith(f"usage: reprise {command} ")
    assert "\nexamples:\n" in text
    assert "\nexit status: 0 done; 1 " in text


def test_help_wins_over_what_is_wrong():
    assert run("check", "--nonsense", "--help").returncode == 0


def test_no_line_of_help_is_long_and_none_has_colours():
    for command in COMMANDS:
        text = run("help", command).stdout
        assert "\x1b" not in text
        body = text[: text.index("\nexit status")]
        assert max(map(len, body.splitlines())) <= 80


@pytest.mark.parametrize("args", [["--version"], ["-V"]])
def test_version_names_the_program_and_the_tls_library(args):
    done = run(*args)
    assert done.returncode == 0
    assert re.fullmatch(r"Reprise \d+\.\d+\.\d+\S*, with AWS-LC \d.*\n", done.stdout)


@pytest.mark.parametrize(
    "args, told",
    [
        (["chekc"], "reprise: there is no command 'chekc', did you mean 'check'?"),
        (["frobnicate"], "reprise: there is no command 'frobnicate'\n"),
        (["help", "chekc"], "reprise: there is no command 'chekc', did you mean 'check'?"),
        (["--nonsense"], "reprise: there is no option '--nonsense'"),
        (["check"], "reprise check: expected one file"),
        (["check", "a", "b"], "reprise check: expected one file"),
        (["check", "--nonsense", "a"], "reprise check: unrecognized option '--nonsense'"),
        (["run", "--nonsense"], "reprise run: unrecognized option '--nonsense'"),
        (["run", "-c"], "reprise run: option requires an argument -- 'c'"),
        (["ctl"], "reprise ctl: expected a command"),
        (["ctl", "reload", "status"], "reprise ctl: expected 'reload'"),
        (["ctl", "restart"], "there is no command 'restart'"),
        (["ctl", "-s"], "reprise ctl: option requires an argument -- 's'"),
    ],
)
def test_wrong_usage(args, told):
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert "Try 'reprise" in done.stderr


def test_output_that_can_not_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [binary(), "--version"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "standard output: No space left on device" in done.stderr


# --- reprise check ---


@pytest.fixture
def good(certs, tmp_path):
    """A configuration file that loads."""
    file = tmp_path / "reprise.conf"
    file.write_text(conf.to_yaml(conf.service(conf.profile(certs.ecdsa), conf.demonstration())))
    return file


def test_check_tells_what_a_good_file_holds(good):
    done = run("check", good)
    assert done.stderr == ""
    assert done.stdout == f"{good}: ok, 1 virtual server, 1 profile, 1 pool\n"
    assert done.returncode == 0


def test_check_tells_the_line_of_what_is_wrong(good):
    text = good.read_text() + "worker: 2\n"
    good.write_text(text)
    done = run("check", good)
    assert done.returncode == 1
    assert done.stdout == ""
    line = len(text.splitlines())
    assert done.stderr == (
        f"{good}:{line}: unknown directive 'worker' in the file, did you mean 'workers'?\n"
    )


def test_check_tells_of_a_file_that_is_not_there(tmp_path):
    done = run("check", tmp_path / "none.conf")
    assert done.returncode == 1
    assert done.stderr == (
        f"{tmp_path}/none.conf: cannot open the configuration: No such file or directory\n"
    )


def test_check_reads_the_certificates_too(good, tmp_path):
    """R11: a key that is not there is told before the service is reloaded."""
    config = yaml.safe_load(good.read_text())
    config["client-ssl-profiles"][0]["certificates"][0]["key"] = "missing.key"
    good.write_text(conf.to_yaml(config))
    done = run("check", good)
    assert done.returncode == 1
    assert "missing.key" in done.stderr
    assert re.match(re.escape(str(good)) + r":\d+: ", done.stderr)


def test_check_prints_what_is_in_force(good, tmp_path):
    done = run("check", "--print", good)
    assert done.returncode == 0
    config = yaml.safe_load(done.stdout)
    profile = config["client-ssl-profiles"][0]
    assert profile["cache-size"] == 262144
    assert profile["protocols"] == ["tls1.2", "tls1.3"]
    again = tmp_path / "again.conf"
    again.write_text(done.stdout)
    assert run("check", "-p", again).stdout == done.stdout


# --- reprise ctl ---


class Service:
    """Takes one connection on a Unix socket, keeps what comes, and answers."""

    def __init__(self, path, answer):
        self.path = path
        self.got = b""
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.settimeout(DEADLINE_S)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        try:
            peer, _ = self.listener.accept()
        except OSError:  # nobody came, and the test has ended
            return
        with peer:
            peer.settimeout(DEADLINE_S)
            while part := peer.recv(4096):
                self.got += part
            peer.sendall(self.answer)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@pytest.fixture
def service(tmp_path):
    started = []

    def start(answer):
        started.append(Service(tmp_path / "control.sock", answer))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.mark.parametrize(
    "args, sent",
    [
        (["reload"], b"text reload\n"),
        (["status"], b"text status\n"),
        (["status", "--json"], b"json status\n"),
        (["--json", "status"], b"json status\n"),
    ],
)
def test_ctl_sends_the_command_and_prints_the_answer(service, args, sent):
    one = service(b"ok\nworkers 2\nconnections 0\n")
    done = run("ctl", "-s", one.path, *args)
    assert done.stderr == ""
    assert done.stdout == "workers 2\nconnections 0\n"
    assert done.returncode == 0
    one.thread.join()
    assert one.got == sent


def test_ctl_prints_what_stands_beside_ok(service):
    one = service(b"ok configuration 2 is in force\n")
    assert run("ctl", "-s", one.path, "reload").stdout == "configuration 2 is in force\n"


def test_ctl_prints_a_long_answer_whole(service):
    lines = b"".join(b"counter%d 0\n" % i for i in range(100000))
    one = service(b"ok\n" + lines)
    assert run("ctl", "-s", one.path, "status").stdout.encode() == lines


def test_ctl_tells_an_error(service):
    one = service(b"error: /etc/reprise.conf:3: 'pools' has no value\n")
    done = run("ctl", "-s", one.path, "reload")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "reprise ctl: /etc/reprise.conf:3: 'pools' has no value\n"


@pytest.mark.parametrize("answer", [b"", b"\n", b"okay\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_ctl_takes_no_other_answer(service, answer):
    one = service(answer)
    done = run("ctl", "-s", one.path, "status")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "ended the connection without an answer" in done.stderr


def test_ctl_tells_that_nobody_listens(tmp_path):
    path = tmp_path / "none.sock"
    done = run("ctl", "-s", path, "status")
    assert done.returncode == 1
    assert done.stderr == f"reprise ctl: no service listens on {path}\n"


def test_ctl_tells_that_a_service_is_gone(tmp_path):
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    done = run("ctl", "-s", path, "status")
    assert done.returncode == 1
    assert done.stderr == f"reprise ctl: no service listens on {path}\n"


def test_ctl_refuses_a_path_that_no_socket_has(tmp_path):
    done = run("ctl", "-s", "/" + 120 * "a", "status")
    assert done.returncode == 1
    assert "too long for a socket's path" in done.stderr


def test_ctl_takes_the_socket_from_a_configuration(service, certs, tmp_path):
    service(b"ok\nfound\n")
    file = tmp_path / "reprise.conf"
    profile = conf.profile(certs.ecdsa)
    file.write_text(
        conf.to_yaml(conf.service(profile, conf.demonstration(), control_socket="control.sock"))
    )
    done = run("ctl", "-c", file, "status")
    assert done.stdout == "found\n", done.stderr


def test_ctl_tells_of_a_configuration_without_a_socket(certs, tmp_path):
    file = tmp_path / "reprise.conf"
    profile = conf.profile(certs.ecdsa)
    file.write_text(
        conf.to_yaml(conf.service(profile, conf.demonstration(), control_socket="none"))
    )
    done = run("ctl", "-c", file, "status")
    assert done.returncode == 1
    assert done.stderr == f"reprise ctl: {file}: has no control socket\n"


def test_ctl_finds_the_user_s_socket(tmp_path):
    folder = Path("/run") if os.geteuid() == 0 else tmp_path
    path = folder / "reprise/control.sock"
    if path.exists():
        pytest.skip("a service of this machine runs")
    done = run("ctl", "status", env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr == f"reprise ctl: no service listens on {path}\n"
