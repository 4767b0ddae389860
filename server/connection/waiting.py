"""What one exchange has waited for: by state of its connection and by what the handler's operations waited for.

No clock is read for it. The engine notes how long the connection stays in each state; when an operation has ended, what
has been added since the last one ended was waiting for it, in its queue first (Operation.queued). The little that the
handler itself takes between two operations counts with the later one.
"""

from clerestory.handlers.api.operations import Operation
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import State as S

PLACES = tuple(
    place
    for place, spec in enumerate(TABLE.specs)
    if spec.state in (S.QUERYING_BACKEND, S.PRODUCING, S.HALF_CLOSED, S.TUNNELLING)
)
"""The states, by their place in the table, in which an operation is waited for."""

SLOW = 0.005
"""Seconds from which on each exchange is told, where not so many take as long (Service.slow); of quicker ones, where
there are many, only some are (Service.skips)."""

MOST = 24
"""Things told apart in one exchange; the others are counted together."""

OTHERS = "other operations"

UPSTREAM = "upstream "
"""How what is waited for begins, where it is an upstream."""


class Waits:
    """`of` has seconds by state (its place in the table) and what was waited for."""

    __slots__ = ("_noted", "of")

    def __init__(self) -> None:
        self.of: dict[tuple[int, str], float] = {}
        self._noted = [0.0] * len(PLACES)

    def note(self, subject: str, queue: str, queued: float, spent: list[float]) -> None:
        """An operation has ended: its share of `spent`, the seconds that the connection has spent in each state."""
        noted = self._noted
        for number, place in enumerate(PLACES):
            seconds = spent[place] - noted[number]
            if seconds <= 0.0:
                continue
            noted[number] = spent[place]
            if queued > 0.0:
                first = min(queued, seconds)
                queued -= first
                seconds -= first
                self._add(place, queue, first)
            if seconds > 0.0:
                self._add(place, subject, seconds)

    def _add(self, place: int, subject: str, seconds: float) -> None:
        key = place, subject
        if key not in self.of and len(self.of) >= MOST:
            key = place, OTHERS
        self.of[key] = self.of.get(key, 0.0) + seconds


def upstream_of(waits: Waits | None) -> str:
    """The upstream that was asked last: `127.0.0.1:9000`; empty where none was."""
    if waits is None:
        return ""
    names = [subject for _, subject in waits.of if subject.startswith(UPSTREAM)]
    return names[-1].removeprefix(UPSTREAM) if names else ""


def noted(waits: Waits | None, operation: Operation, spent: list[float]) -> Waits:
    """`waits` with `operation`, which has ended or is given up."""
    if waits is None:
        waits = Waits()
    try:
        subject, (queue, queued) = operation.subject(), operation.queued()
    except Exception:  # noqa: BLE001 - an application's own operation must not end the exchange that waits for it
        subject, queue, queued = type(operation).__name__, "", 0.0
    waits.note(subject, queue, queued, spent)
    return waits
