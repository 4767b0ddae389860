"""Whether an upstream is worth asking: what its connections have met lately, and what a probe finds.

Passive: `FAILURES` in a row (not reached, broken off, silent) take it out for a second, then two, then four... with
jitter, so that many servers do not come back to it in one breath. When its time is over it is asked again; the next
failure takes it out for longer, the first answer brings it back for good. Active: a probe asks by itself, so that no
client has to be the one who finds out; who fails `PROBES` in a row is out until a probe succeeds, whatever else it
answers, for that is how an upstream asks to be left alone.

An upstream is never the last one to be given up: who chooses among several takes one that is down when all are.
"""

import random
from collections.abc import Callable

FAILURES = 3
"""In a row: one or two happen when an upstream restarts."""

PROBES = 2
"""Failed probes in a row: one may meet a restart."""

FIRST, LONGEST = 1.0, 30.0
"""Seconds out of use: at first, and at most."""


class Health:
    """One upstream's health. `clock` is the loop's; `dice` gives numbers from 0 to 1."""

    __slots__ = ("_clock", "_dice", "_out", "failures", "missed", "until")

    def __init__(self, clock: Callable[[], float], dice: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._dice = dice
        self.failures = 0
        self.missed = 0
        """Probes failed in a row."""
        self.until = float("-inf")
        self._out = 0
        """How many times in a row it was taken out."""

    @property
    def is_up(self) -> bool:
        """Whether it may be asked now."""
        return self.missed < PROBES and self.until <= self._clock()

    def probed(self, *, well: bool) -> None:
        """A probe has ended."""
        self.missed = 0 if well else self.missed + 1
        if well:
            self.succeeded()

    def succeeded(self) -> None:
        """It has answered."""
        if self.failures:
            self.failures = self._out = 0
            self.until = float("-inf")

    def failed(self) -> None:
        """It could not be reached, or gave no answer."""
        self.failures += 1
        if self.failures >= FAILURES and self.until <= self._clock():
            pause = min(LONGEST, FIRST * 2**self._out)
            self._out = min(self._out + 1, 10)
            self.until = self._clock() + pause * (0.5 + self._dice() / 2)
