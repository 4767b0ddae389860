"""Waiting for something to become true: polled, with a deadline. No test sleeps until something has surely happened."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds until we believe that something hangs. It is never what a passing test waits for."""

PAUSE = 0.005


def eventually(condition: Callable[[], T], patience: float = PATIENCE, what: str = "") -> T:
    """What `condition` hands back, once that is true. Raises AssertionError after `patience` seconds."""
    limit = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > limit:
            raise AssertionError(f"{what or 'what was waited for'} did not come within {patience} s: {found!r}")
        time.sleep(PAUSE)


def outlast(seconds: float) -> None:
    """Let a deadline of so many seconds pass: there is nothing else to be seen of it from outside."""
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > seconds)
