"""What every test of a handler is held to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> dict[str, str]:
    """Open descriptors and what they are; nothing where the system does not tell."""
    found = {}
    for name in os.listdir(DESCRIPTORS) if DESCRIPTORS.exists() else ():
        try:
            found[name] = os.readlink(DESCRIPTORS / name)
        except OSError:
            continue  # the one that listed them
    return found


@pytest.fixture
def no_descriptor_left() -> Iterator[None]:
    """Fails a test that ends with more open descriptors than it began with."""
    before = open_descriptors()
    yield
    left = {name: target for name, target in open_descriptors().items() if name not in before}
    assert not left
