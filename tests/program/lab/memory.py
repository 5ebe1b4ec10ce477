"""The shared memory of a service."""

import mmap
import os

import pytest


def region(service, name):
    """A region of the service's shared memory, mapped by the test. Root only."""
    try:
        for number in os.listdir(f"/proc/{service.pid}/fd"):
            path = f"/proc/{service.pid}/fd/{number}"
            if os.readlink(path).startswith(f"/memfd:{name} "):
                with open(path, "r+b") as file:
                    return mmap.mmap(file.fileno(), 0)
    except PermissionError:
        pytest.skip("only root may look into the processes")
    raise AssertionError(f"no region {name}")
