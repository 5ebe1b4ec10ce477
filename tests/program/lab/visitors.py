"""Clients that keep a session and come again, alone or as a crowd."""

import threading

from .deadline import wait_until
from .pyclient import TlsClient, make_context

WWW = "www.example.com"


class Visitor:
    """A client with a session of its own, which it offers each time."""

    def __init__(self, service, version, certs, name=WWW):
        self.address = service.address()
        self.context = make_context(certs.authority.file, version, service.key_log)
        self.name = name
        self.session = None
        self.version = version
        self.last = None  # the name of the last connection, as the log has it

    def connect(self, offer=True):
        return TlsClient(
            self.context, self.address, self.name, self.session if offer else None
        )

    def visit(self, offer=True, keep=True):
        """One request. Returns whether the session was resumed."""
        with self.connect(offer) as client:
            assert client.request().endswith(b"hello from the backend\n")
            if keep:
                self.session = client.session
            reused = client.reused
            self.last = client.name
            client.close()
            return reused


class Crowd:
    """Visitors in threads of their own that come again and again until told to stop.

    visits, resumed   how often they came, and how often they resumed (the first visit of
                      each is made before the crowd starts, and is not counted)
    failures          what went wrong, as exceptions
    """

    def __init__(self, visitors):
        self.visitors = visitors
        self.visits = self.resumed = 0
        self.failures = []
        self.ended = threading.Event()
        self.lock = threading.Lock()
        for one in visitors:
            one.visit()
        self.threads = [
            threading.Thread(target=self._come, args=(one,), daemon=True) for one in visitors
        ]

    def _come(self, visitor):
        while not self.ended.is_set():
            try:
                reused = visitor.visit()
            except Exception as error:  # pylint: disable=broad-except
                with self.lock:
                    self.failures.append(error)
            else:
                with self.lock:
                    self.visits += 1
                    self.resumed += reused

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait_for(len(self.visitors))
        return self

    def wait_for(self, more):
        """Waits until they have come `more` times from now on."""
        start = self.visits
        wait_until(lambda: f"{more} visits more, failed: {self.failures[:3]}",
                   lambda: self.visits >= start + more)

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
