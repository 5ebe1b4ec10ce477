"""Fixtures of the whole-program tests. What they are made of is in lab/."""

import shutil
import tempfile

import pytest

from lab.certs import Certificates
from lab.clients import Target
from lab.probing import Service
from lab.recorder import Recorder
from lab.terminator import Terminator

TEST_LIMIT_S = 300  # of one test; it only ends what hangs


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: moves much data; all of it with REPRISE_FULL=1")


def pytest_collection_modifyitems(config, items):
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """Server and client certificates, their authorities and revocation lists."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def backends():
    """Keeps what has a stop() until the end of the test: `keep(Backend(echo))`."""
    kept = []

    def keep(backend):
        kept.append(backend)
        return backend

    yield keep
    for backend in reversed(kept):
        backend.stop()
    errors = [error for backend in kept for error in getattr(backend, "errors", ())]
    assert not errors, f"a backend failed: {errors}"


@pytest.fixture
def terminator(request, tmp_path):
    """Starts the terminator with a configuration (see lab/config.py); at the end of the
    test it must stop with status 0 and a clean log, unless the test has ended it."""
    started = []
    # Not below tmp_path: the name of a Unix socket may have 107 bytes.
    socket_folder = tempfile.mkdtemp(prefix="reprise-")

    def start(config, wait=True, program=None):
        number = len(started)
        folder = tmp_path / f"terminator{number}"
        folder.mkdir()
        sockets = tempfile.mkdtemp(dir=socket_folder)
        started.append(Terminator(folder, sockets, config, program))
        return started[-1].start(wait)

    yield start
    failed = getattr(request.node, "report_call", None) is None or request.node.report_call.failed
    try:
        for one in started:
            if failed:
                print(f"--- log of {one.folder.name} ---\n{one.text()[-8000:]}")
            elif one.running:
                one.stop()
            else:
                one.check_log()
    finally:
        for one in started:
            one.destroy()
        shutil.rmtree(socket_folder)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The terminator that the conformance tests of a file share: see lab/probing.py."""
    one = Service(tmp_path_factory.mktemp("conformance"))
    yield one
    one.stop()


@pytest.fixture
def recorder():
    """Makes Recorders: `recorder(terminator)` or `recorder(("127.0.0.1", port))`."""
    made = []

    def record(target, **more):
        made.append(Recorder(target.address() if hasattr(target, "address") else target, **more))
        return made[-1]

    yield record
    for one in made:
        one.stop()


@pytest.fixture
def target(certs, tmp_path):
    """Makes clients' Targets: `target(recorder_or_address, terminator)`; with a terminator
    the clients' key logs go where its log is checked against them."""

    def make(where, terminator=None, name="www.example.com"):
        key_log = terminator.key_log if terminator else tmp_path / "clients.keylog"
        return Target(
            address=getattr(where, "address", where),
            name=name,
            ca_file=certs.authority.file,
            key_log=key_log,
            folder=tmp_path,
        )

    return make
