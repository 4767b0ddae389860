"""Requests that crossed our close: the keep-alive deadline passed, we closed, and then the next request came.

Neither side did wrong. The client had sent it before it could know; nobody answers it, and a proxy in front says 502.
From outside that is a request that fails now and then, after a pause, and leaves no trace. Our side of the connection
lingers after the deadline anyway, so we see the bytes come: here is what is kept of that, and in what words it is told.

The cure is on the other side: who sends must give a connection up sooner than we do.
"""

from collections import deque
from collections.abc import Iterable

from clerestory.server.observer import Missed

KEPT = 64
"""The latest ones kept: enough to see whose they are."""

TOLD = 600.0
"""Seconds that a banner tells of the last one: until somebody who was called has come to look."""


def note(missed: Missed) -> str:
    """What is to be said of the connection."""
    return (
        f"its next request came {missed.late * 1000:.1f} ms after we had closed it, idle for {missed.idle:.1f} s: "
        "it was not answered"
    )


class MissedRequests:
    """Those of one server: the latest, and how many there were. Written by the loop's thread, read by any."""

    __slots__ = ("count", "latest")

    def __init__(self) -> None:
        self.latest: deque[Missed] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, one: Missed) -> None:
        """Keep one."""
        self.latest.append(one)
        self.count += 1

    def note_of(self, number: int | str) -> str:
        """What is to be said of the connection of that number; empty for nearly all."""
        if not self.latest:
            return ""
        return next((note(one) for one in reversed(list(self.latest)) if one.number == number), "")

    def recent(self, now: float) -> list[Missed]:
        """Those that a banner tells of."""
        return [one for one in list(self.latest) if now - one.came_at < TOLD]


def words(missed: Iterable[Missed]) -> str:
    """The banner's words; `missed` are at least one, the latest last."""
    found = list(missed)
    last = found[-1]
    many = f"{len(found)} requests came just after their connections were" if len(found) > 1 else ""
    first = many or "A request came just after its connection was"
    which = f"the last of them {last.late * 1000:.1f} ms after" if many else f"{last.late * 1000:.1f} ms after"
    return (
        f"{first} closed as idle, {which}, on connection {last.number} from {last.peer}, idle for "
        f"{last.idle:.1f} s. Such a request is not answered: a proxy in front reports 502. Let the client close idle "
        f"connections sooner than our --keep-alive-timeout of {last.limit:g} s, or raise that."
    )
