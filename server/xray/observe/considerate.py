"""Making words beside a loop that serves: let it have the interpreter when it wants it.

A thread that wants the interpreter lock asks the one that has it after the switch interval, 5 ms by default
(`sys.setswitchinterval`). The loop waits for the lock after every wait for readiness, so while 10,000 rows are made it
would lose 5 ms a turn. So the interval is short while they are: of half a millisecond, in which some hundred rows are
made. A switch costs some microseconds, and happens only while both threads want to run.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

SHORT = 0.0005
"""Seconds that the loop waits for us at a time."""


ROUNDING = 5e-7
"""Seconds are cut to whole microseconds when they are set: without this the interval would lose one now and then."""


@contextmanager
def considerate() -> Iterator[None]:
    """Hold the interpreter lock for a short time only while the block runs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SHORT))
    try:
        yield
    finally:
        sys.setswitchinterval(before + ROUNDING)
