"""The machine of whoever waits for a slot of a pool, since all of them are taken: a session with PostgreSQL, a
connection to an upstream.

    WAITING -> DONE

is all of it, for whoever comes first is served first. Nobody waits who has not to: who finds a free slot, or room for
one more, has no such machine. It has no descriptor; the peer is twofold: whoever asked, and what the pool is of.

The pools differ in what they are of and in how long one waits for it: each kind has a table, of the same rows.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WAITING = auto()
    DONE = auto()


class Trigger(Name):
    SLOT_FREE = auto()
    """A slot is there for it, or room to make one."""
    ASKER_LEFT = auto()
    """Whoever asked does not want the result any more."""
    BACKEND_LOST = auto()
    """What the pool is of can not be reached, and there is no slot that could become free."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants nobody to wait for it any longer."""


class Model(Protocol):
    """What the shell of one who waits does."""

    def withdraw(self) -> Name | None:
        """Leave the queue."""

    def refuse(self) -> Name | None:
        """Leave the queue, and tell whoever asked why."""


S, T = State, Trigger

SESSION = Deadline(
    "slot", "postgres_slot_timeout", 5.0, "for a session to become free, then 503; a pool that keeps up is fast"
)
CONNECTION = Deadline(
    "slot",
    "upstream_slot_timeout",
    10.0,
    "for a connection to the upstream to become free, then 503; its answers take longer than a query",
)

ROWS = (
    Row(S.WAITING, T.SLOT_FREE, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.WAITING, T.ASKER_LEFT, S.DONE, action="withdraw", ends=Cause.CLIENT),
    Row(S.WAITING, T.BACKEND_LOST, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.WAITING, T.DEADLINE_PASSED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.WAITING, T.CLOSE_ORDERED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
)


def _table(name: str, slot: str, deadline: Deadline) -> Table:
    """The table of those who wait for a `slot` of a pool, no longer than `deadline`."""
    return Table(
        name=name,
        states=State,
        triggers=Trigger,
        initial=S.WAITING,
        specs=(
            Spec(
                S.WAITING,
                Interest.NOTHING,
                deadline,
                "",
                f"every {slot} is busy, or being made",
                awaits=f"a free {slot}",
            ),
            Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "it waits no longer", final=True),
        ),
        rows=ROWS,
        departures=frozenset({T.ASKER_LEFT, T.BACKEND_LOST}),
    )


POSTGRES = _table("postgres_slot", "session", SESSION)
UPSTREAM = _table("upstream_slot", "connection", CONNECTION)
