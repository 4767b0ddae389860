"""The machine of a query that waits for a session with PostgreSQL, since all of them are busy.

    WAITING -> DONE

is all of it, for whoever comes first is served first. Nobody waits who has not to: a query that finds an idle session
has no such machine. It has no descriptor; the peer is whoever asked.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WAITING = auto()
    DONE = auto()


class Trigger(Name):
    SESSION_FREE = auto()
    """A session is there for it."""
    ASKER_LEFT = auto()
    """Whoever asked does not want the result any more."""
    DATABASE_LOST = auto()
    """The database can not be reached, and there is no session that could become free."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants the query to wait no longer."""


class Model(Protocol):
    """What the shell of one who waits does."""

    def withdraw(self) -> Name | None:
        """Leave the queue."""

    def refuse(self) -> Name | None:
        """Leave the queue, and tell whoever asked why."""


S, T = State, Trigger

SLOT = Deadline(
    "slot", "postgres_slot_timeout", 5.0, "for a session to become free, then 503; a pool that keeps up is fast"
)

SPECS = (
    Spec(S.WAITING, Interest.NOTHING, SLOT, "", "every session is busy, or being made", awaits="a free session"),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "it waits no longer", final=True),
)

ROWS = (
    Row(S.WAITING, T.SESSION_FREE, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.WAITING, T.ASKER_LEFT, S.DONE, action="withdraw", ends=Cause.CLIENT),
    Row(S.WAITING, T.DATABASE_LOST, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.WAITING, T.DEADLINE_PASSED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.WAITING, T.CLOSE_ORDERED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="postgres_slot",
    states=State,
    triggers=Trigger,
    initial=S.WAITING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.ASKER_LEFT, T.DATABASE_LOST}),
)
