"""Ticket keys: how they live and die, what `reprise ctl keys` says of them, keys from files, the
sealed state file, and that a wiped key is nowhere in memory."""

import json
import time
from datetime import datetime

import pytest

from lab import config as conf
from lab.backends import Backend, http
from lab.deadline import wait_until
from lab.pyclient import TlsClient, make_context

WWW = "www.example.com"


@pytest.fixture
def house(terminator, backends, certs):
    """A terminator with session tickets in front of an HTTP backend: `house(encrypt_for="1s")`,
    the keywords being those of ticket-keys."""

    def build(profile=None, wait=True, **ticket_keys):
        pool = conf.pool(backends(Backend(http)))
        profile = conf.profile(certs.ecdsa, **{"tickets": True, "cache": False, **(profile or {})})
        more = {"ticket_keys": conf.directives(**ticket_keys)} if ticket_keys else {}
        return terminator(conf.service(profile, pool, **more), wait)

    return build


class Guest:
    """A client that offers what it was given last."""

    def __init__(self, service, certs, version="1.2"):
        self.service = service
        self.context = make_context(certs.authority.file, version, service.key_log)
        self.session = None

    def visit(self, keep=True, service=None):
        """One request; the connection's log line."""
        service = service or self.service
        with TlsClient(self.context, service.address(), WWW, self.session) as client:
            assert client.request().endswith(b"hello from the backend\n")
            if keep:
                self.session = client.session
            client.close()
            return service.connection(client.name)


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
    # No key is older than the ring.
    assert figure["kind"] == "bound" and figure["before"] == current["seals-from"]
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
