"""The statements that are prepared on one session: their names, and which one is replaced.

A statement is prepared when it is frequent (FREQUENT). Their number is limited. When all places are taken, the least
recently used one is closed, if it is stale: if there are more frequent statements than places, they must not replace
each other all the time, which would cost two more round trips each time.

Closing one needs libpq 17. With older versions, those prepared first stay.
"""

from typing import NamedTuple

from psycopg import pq

from clerestory.handlers.backends.postgres.statement import Key, Mark

FREQUENT = 5
"""Uses after which a statement is worth preparing; preparing costs one more round trip."""

STALE = 10
"""A statement is stale if the session has served this many queries per place since its last use."""

CAN_CLOSE = pq.version() >= 170000


class Entry:
    """A prepared statement: its name, what a session may remember of it, and when it was last used."""

    __slots__ = ("mark", "name", "used")

    def __init__(self, name: bytes, mark: Mark, used: int) -> None:
        self.name = name
        self.mark = mark
        self.used = used


class Step(NamedTuple):
    """A step before a query: prepare its statement as `name`, or close the statement `name`."""

    name: bytes
    key: Key | None
    mark: Mark = Mark.NOTHING


class Prepared:
    """At most `most` statements. Times are counts of the queries that the session has served."""

    __slots__ = ("_closing", "_made", "_not_before", "entries", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.entries: dict[Key, Entry] = {}
        self._closing: list[bytes] = []
        """Names that the server may still know, and that are no longer used."""
        self._made = 0
        self._not_before = 0

    def next_step(self, key: Key, mark: Mark, now: int) -> Step | None:
        """The next step to prepare the statement; None if it is not worth it."""
        if self._closing and CAN_CLOSE:
            return Step(self._closing[-1], None)
        if len(self.entries) + len(self._closing) < self.most:
            self._made += 1
            return Step(b"c%d" % self._made, key, mark)
        if not self.entries or not CAN_CLOSE or now < self._not_before:
            return None
        oldest = min(self.entries, key=lambda known: self.entries[known].used)
        if now - self.entries[oldest].used < STALE * self.most:
            self._not_before = now + self.most  # the search is linear in the number of places
            return None
        self.forget(oldest)
        return Step(self._closing[-1], None)

    def done(self, step: Step, now: int) -> None:
        """The server has done `step`."""
        if step.key is not None:
            self.entries[step.key] = Entry(step.name, step.mark, now)
        elif step.name in self._closing:
            self._closing.remove(step.name)

    def given_up(self, step: Step) -> None:
        """It is not known whether the server has done `step`."""
        if step.key is not None:
            self._closing.append(step.name)

    def forget(self, key: Key) -> None:
        """Stop using the statement, and close it later: the server may no longer know it, or know an older version."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self._closing.append(entry.name)

    def clear(self) -> None:
        """The server has dropped all statements. Names are not used twice."""
        self.entries.clear()
        self._closing.clear()
