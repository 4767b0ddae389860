"""For the tests of whatever holds descriptors."""

import gc
import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def every_descriptor_back() -> Iterator[None]:
    """No test may leave a descriptor behind."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    if len(os.listdir("/proc/self/fd")) > before:
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= before
