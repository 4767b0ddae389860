"""What requests of one route, one class of status and one class of durations have waited for; and these classes."""

from math import frexp, ldexp
from typing import Any

from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import State as S

STATES = tuple(spec.state for spec in TABLE.specs)
IDLE = STATES.index(S.AWAITING_REQUEST)
QUERYING, SENDING = STATES.index(S.QUERYING_BACKEND), STATES.index(S.SENDING_RESPONSE)
_USUAL = (IDLE, QUERYING, SENDING)
LEAST = 1e-9
"""Seconds below which there is nothing but what adding up floats leaves."""
_NOTHING = [0.0] * len(STATES)

Waited = tuple[int, str]
"""A state, by its place in STATES, and what was waited for there."""

Line = tuple[int, str, str]
"""The same, and the line of the application that was seen there."""

ELSEWHERE = "other things"


class Counts(dict[int, int]):
    """Requests by `key_of`."""


def quantile_of(counts: Counts, share: float) -> float | None:
    """Seconds that so many of the requests did not exceed, up to a quarter; None where there are none."""
    seen, found = 0, sorted(counts.copy().items())
    wanted = share * sum(count for _, count in found)
    for key, count in found:
        seen += count
        if seen >= wanted:
            return longest_of(key)
    return None


class Share:
    """The requests of one route, one class of status and one class of durations."""

    __slots__ = ("count", "lines", "other", "querying", "sending", "total", "waits")

    def __init__(self) -> None:
        self.count = 0
        self.total = self.querying = self.sending = 0.0
        """Seconds in all, in QUERYING_BACKEND and in SENDING_RESPONSE: most requests have no other."""
        self.other: dict[int, float] = {}
        """Seconds in the other states."""
        self.waits: dict[Waited, float] = {}
        self.lines: dict[Line, int] = {}
        """How often a line of the application was seen to wait."""

    def spent(self) -> list[float]:
        """Seconds in each state."""
        found = _NOTHING[:]
        found[QUERYING], found[SENDING] = self.querying, self.sending
        for place, seconds in self.other.copy().items():
            found[place] = seconds
        return found

    def merge(self, other: "Share") -> None:
        """Add another's requests, which may be added to meanwhile by another thread."""
        self.count += other.count
        self.total += other.total
        self.querying += other.querying
        self.sending += other.sending
        kept: tuple[tuple[dict[Any, Any], dict[Any, Any]], ...] = (
            (self.other, other.other),
            (self.waits, other.waits),
            (self.lines, other.lines),
        )
        for mine, theirs in kept:
            for key, amount in theirs.copy().items():
                mine[key] = mine.get(key, 0) + amount


def key_of(seconds: float, status: int) -> int:
    """Where a request counts: four classes of duration to an octave of seconds, and eight of status to each."""
    mantissa, exponent = frexp(seconds)
    return (4 * exponent + int(8.0 * mantissa)) << 3 | status // 100


def longest_of(key: int) -> float:
    """Seconds that the requests that count there do not reach."""
    exponent, quarter = divmod((key >> 3) - 4, 4)
    return ldexp((quarter + 5) / 8, exponent)


def add_others(into: dict[int, float], spent: list[float], weight: int) -> None:
    for place, seconds in enumerate(spent):
        if seconds and place not in _USUAL:
            into[place] = into.get(place, 0.0) + seconds * weight
