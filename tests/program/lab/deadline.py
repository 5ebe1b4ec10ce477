"""Waiting for something to become true, under a deadline, and never for a fixed time."""

import os
import time

# Generous: a deadline only ends a test that has failed already. Raise it for slow machines.
DEADLINE_S = float(os.environ.get("REPRISE_TEST_DEADLINE", "30"))


def wait_until(what, check, timeout_s=None, pause_s=0.01):
    """Calls `check` until it returns something true, and returns that.

    `what` says in the failure what did not happen; it may be a callable, which is
    then asked at the end, so that it can tell the last state.
    """
    timeout_s = DEADLINE_S if timeout_s is None else timeout_s
    end = time.monotonic() + timeout_s
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise AssertionError(f"did not happen within {timeout_s:g} s: {text}")
        time.sleep(pause_s)


def wait_until_still(what, read, quiet_s=0.4, timeout_s=None):
    """Waits until `read()` has returned the same for `quiet_s` seconds; returns it.

    For "it has come to a stop": a sender under backpressure, a table that has drained.
    """
    last = [read(), time.monotonic()]

    def still():
        now = read()
        if now != last[0]:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] >= quiet_s

    wait_until(what, still, timeout_s)
    return last[0]
