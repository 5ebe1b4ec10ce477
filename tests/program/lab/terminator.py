"""A running `reprise run`: started, waited for, read and ended by a test."""

import copy
import mmap
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from . import config as conf
from .deadline import DEADLINE_S, wait_until
from .loglines import LogError, parse_line
from .tlswire import parse_key_log

TOP = Path(__file__).resolve().parents[3]

# What a sanitizer writes; it ends the process as well, but perhaps only a worker.
SANITIZER = re.compile(rb"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def binary():
    """The program under test."""
    path = Path(
        os.environ.get("REPRISE_BIN") or os.environ.get("REPRISE") or TOP / "build" / "reprise"
    )
    if not path.exists():
        raise AssertionError(f"{path} is not there: build it with make, or set REPRISE_BIN")
    return path


def run(*args, timeout_s=None, **more):
    """Runs `reprise ARGS...` to its end; output as text."""
    return subprocess.run(
        [binary(), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s or DEADLINE_S,
        **more,
    )


def process_field(pid, name):
    """A field of /proc/PID/status as text, None when the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    return None


def is_running(pid):
    return process_field(pid, "State") not in (None, "Z (zombie)")


def children(pid):
    """PIDs of the processes that `pid` started and that are running."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in found if is_running(int(child))]


def is_sanitized():
    """Whether the program was built with AddressSanitizer, which holds freed memory back:
    figures of memory then mean nothing."""
    with open(binary(), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"__asan_init") >= 0


def list_files(pid):
    """The numbers of a process's open descriptors. Workers keep even their own user from
    looking (PR_SET_DUMPABLE), so that this is for root: for others the test is skipped."""
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except PermissionError:
        pytest.skip("only root may look into the processes")


def open_files(pid):
    """How many descriptors a process holds."""
    return len(list_files(pid))


def socket_inode(local_port, remote_port):
    """The inode of the TCP socket between these two ports, seen from the first."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            ports = [int(field.rsplit(":", 1)[1], 16) for field in fields[1:3]]
            if ports == [local_port, remote_port]:
                return fields[9]
    return None


def worker_of(terminator, client):
    """The PID of the worker that serves a client (a connected socket, or what has one)."""
    sock = getattr(client, "sock", client)

    def look():
        # Not before it is accepted has it a number of its own.
        inode = socket_inode(sock.getpeername()[1], sock.getsockname()[1])
        for pid in children(terminator.pid):
            try:
                for number in list_files(pid):
                    if os.readlink(f"/proc/{pid}/fd/{number}") == f"socket:[{inode}]":
                        return pid
            except OSError:
                pass  # it was closed, or has ended, meanwhile
        return None

    return wait_until("a worker has the connection", look)


def memory_kb(pid):
    """Resident memory of a process."""
    return int(process_field(pid, "VmRSS").split()[0])


class Terminator:
    """See the head of this file. Made by the fixture `terminator`.

    folder      its own folder: configuration, log, key log of the clients
    key_log     a file for the clients' key logs; what is in there must not be in the log
    program     what is started: the program under test, unless told
    process     the master that was started here; pid is that of the service, which is
                another one after an upgrade
    """

    def __init__(self, folder, socket_folder, config, program=None):
        self.folder = folder
        self.config = copy.deepcopy(config)
        self.config.setdefault("control-socket", str(Path(socket_folder) / "control.sock"))
        self.socket = self.config["control-socket"]
        self.file = folder / "reprise.yaml"
        self.log_file = folder / "log"
        self.key_log = folder / "clients.keylog"
        self.key_log.touch()
        self.program = program or binary()
        self.process = None
        self._heir = None  # the master after an upgrade: no child of ours
        self._events = []
        self._read_to = 0
        self._secrets = []

    # --- life ---

    def write_config(self, config=None):
        """Writes the configuration file: the given one, or the present one."""
        if config is not None:
            self.config = config
            self.config.setdefault("control-socket", self.socket)
        self.file.write_text(conf.to_yaml(self.config))

    def start(self, wait=True):
        self.write_config()
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "-c", self.file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_event("ready")
        return self

    @property
    def pid(self):
        return self._heir or self.process.pid

    @property
    def running(self):
        return is_running(self._heir) if self._heir else self.process.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_exit(self, timeout_s=None):
        """Waits for the end of the service, and of the master that was started here; its
        exit status. That of a master after an upgrade is nobody's to know."""
        wait_until(
            lambda: f"it ends:\n{self.text()[-4000:]}", lambda: not self.running, timeout_s
        )
        try:
            return self.process.wait(timeout_s or DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.text()[-4000:]}") from None

    def stop(self):
        """SIGTERM; it must end with status 0 and leave a clean log."""
        self.signal(signal.SIGTERM)
        status = self.wait_exit()
        self.check_log()
        assert status == 0, f"exit status {status}:\n{self.text()[-4000:]}"
        if self._heir:
            assert self.find("end")[-1]["message"] == "all processes have ended"

    def destroy(self):
        """Ends whatever of it still runs."""
        if self.process is None:
            return
        ready = {int(line["pid"]) for line in self.find("ready") if "pid" in line}
        masters = [pid for pid in {self.process.pid, *ready} if self._is_mine(pid)]
        for pid in [*masters, *(child for pid in masters for child in children(pid))]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def _is_mine(self, pid):
        """A number in the log may be another process's by now."""
        try:
            return str(self.file).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    # --- its log ---

    def read_log(self, log_file):
        """The log is this file from here on, read from its start."""
        self.log_file = log_file
        self._read_to = 0

    def text(self):
        """The log as it is now."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def events(self):
        """All log lines so far, as dicts."""
        with open(self.log_file, "rb") as log:
            log.seek(self._read_to)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            try:
                self._events.append(parse_line(line))
            except LogError:
                self._events.append({"event": "unreadable", "line": line})
        return self._events

    def find(self, event=None, where=None, since=0, **fields):
        """The log lines with this event and these fields (keywords with "_" for "-") for
        which where(line) is true, from the one with index `since` on."""
        fields = {key.replace("_", "-"): str(value) for key, value in fields.items()}
        return [
            line
            for line in self.events[since:]
            if (event is None or line.get("event") == event)
            and all(line.get(key) == value for key, value in fields.items())
            and (where is None or where(line))
        ]

    def wait_events(self, event, count=1, where=None, since=0, timeout_s=None, **fields):
        """Waits until there are `count` such lines; returns them all."""

        def look():
            found = self.find(event, where, since, **fields)
            if len(found) < count and not self.running:
                raise AssertionError(
                    f"no {event} {fields}; it ended with {self.process.poll()}:\n"
                    + self.text()[-4000:]
                )
            return found if len(found) >= count else None

        return wait_until(
            lambda: f"{count} log lines {event} {fields}:\n{self.text()[-4000:]}", look, timeout_s
        )

    def wait_event(self, event, where=None, since=0, timeout_s=None, **fields):
        """Waits for such a line; returns the first."""
        return self.wait_events(event, 1, where, since, timeout_s, **fields)[0]

    def connection(self, client=None, **fields):
        """Waits for the line of a connection: of the client with this name (anything with
        a `peer` or `name`, or a text), or with these fields."""
        if client is not None:
            fields["client"] = getattr(client, "peer", None) or getattr(client, "name", client)
        return self.wait_event("connection", **fields)

    def connections(self, count, **fields):
        """Waits for the lines of `count` connections."""
        return self.wait_events("connection", count, **fields)

    def add_secret(self, secret):
        """Bytes that must not be in the log, in any form."""
        self._secrets.append(secret)

    def check_log(self):
        """No sanitizer report, no line that is not one, no secret."""
        raw = self.log_file.read_bytes()
        report = SANITIZER.search(raw)
        assert not report, "a sanitizer reports:\n" + raw[report.start() :][:6000].decode(
            errors="replace"
        )
        broken = self.find("unreadable")
        assert not broken, f"lines of the log that do not parse: {broken[:5]}"
        known = parse_key_log(self.key_log.read_text())
        secrets = self._secrets + [s for labels in known.values() for s in labels.values()]
        # All that looks like hexadecimal, each once: it is not much, however long the log.
        hexadecimal = b" ".join(set(re.findall(rb"[0-9a-f]{32,}", raw.lower()))).decode()
        for secret in secrets:
            assert raw.isascii() or secret not in raw, "a secret is in the log, as it is"
            assert secret.hex() not in hexadecimal, "a secret is in the log, as hexadecimal"

    # --- where it listens ---

    def address(self, virtual_server="https", index=0):
        """(host, port) of an address of a virtual server."""
        found = self.find("listen", virtual_server=virtual_server)
        host, port = found[index]["address"].rsplit(":", 1)
        return host.strip("[]"), int(port)

    # --- processes ---

    def processes(self):
        """PIDs of what the master has started."""
        return children(self.pid)

    # --- control ---

    def ctl(self, *args):
        return run("ctl", "-s", self.socket, *args)

    def reload(self, config=None):
        """Writes a configuration and has it loaded with `reprise ctl reload`."""
        self.write_config(config)
        return self.ctl("reload")

    def upgrade(self):
        """`reprise ctl upgrade`; when that is done the new master is `pid`."""
        since = len(self.events)
        done = self.ctl("upgrade")
        if done.returncode == 0:
            self.follow(since)
        return done

    def follow(self, since):
        """Waits for the master of an upgrade that began after log line `since`."""

        def look():
            return [line for line in self.find("ready", since=since) if line["pid"] != str(self.pid)]

        wait_until(lambda: f"another master:\n{self.text()[-4000:]}", look)
        self._heir = int(look()[0]["pid"])
