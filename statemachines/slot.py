"""The machine of a request that waits for a slot of a pool: a session with PostgreSQL, a connection to an upstream.

    WAITING -> DONE

is all of it. It is created only if no slot is free and the pool is full. It has no descriptor, and two peers: the
caller and the pool's backend.

The pools differ in what they contain and in how long a request waits for it: each kind has a table, with the same rows.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WAITING = auto()
    DONE = auto()


class Trigger(Name):
    SLOT_FREED = auto()
    """A slot is free for it, or there is room to make one."""
    CALLER_LEFT = auto()
    """The caller no longer wants the result."""
    BACKEND_LOST = auto()
    """The backend cannot be reached, and there is no slot that could become free."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator ends the waiting."""


class Model(Protocol):
    """What the shell of a waiting request does."""

    def withdraw(self) -> Name | None:
        """Leave the queue."""

    def refuse(self) -> Name | None:
        """Leave the queue, and tell the caller why."""


S, T = State, Trigger

SESSION = Deadline(
    "slot", "postgres_slot_timeout", 5.0, "for a session to become free, then 503; a pool that keeps up is fast"
)
CONNECTION = Deadline(
    "slot",
    "upstream_slot_timeout",
    10.0,
    "for a connection to the upstream to become free, then 503; its responses take longer than a query",
)

ROWS = (
    Row(S.WAITING, T.SLOT_FREED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.WAITING, T.CALLER_LEFT, S.DONE, action="withdraw", ends=Cause.CLIENT),
    Row(S.WAITING, T.BACKEND_LOST, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.WAITING, T.DEADLINE_PASSED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.WAITING, T.CLOSE_ORDERED, S.DONE, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
)


def _table(name: str, slot: str, deadline: Deadline) -> Table:
    """The table of requests that wait for a `slot` of a pool, no longer than `deadline`."""
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
            Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "it no longer waits", final=True),
        ),
        rows=ROWS,
        departures=frozenset({T.CALLER_LEFT, T.BACKEND_LOST}),
    )


POSTGRES = _table("postgres_slot", "session", SESSION)
UPSTREAM = _table("upstream_slot", "connection", CONNECTION)
