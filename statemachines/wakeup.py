"""The machine of the loop's wake-up descriptor, by which other threads get the loop's attention.

It has one state to rest in. It is a machine all the same: whatever has a descriptor is one; the loop knows no kinds.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WATCHING = auto()
    CLOSED = auto()


class Trigger(Name):
    CLOSE_ORDERED = auto()
    """The loop ends."""


class Model(Protocol):
    """What the shell of the wake-up descriptor does."""

    def run_callbacks(self, ready: int) -> Name | None:
        """Take the wake-ups, and run what other threads have left for this one."""


S, T = State, Trigger

SPECS = (
    Spec(
        S.WATCHING,
        Interest.READABLE,
        Unbounded("other threads call when they have something"),
        "run_callbacks",
        "no other thread has called",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (Row(S.WATCHING, T.CLOSE_ORDERED, S.CLOSED, way=Way.HAPPY, ends=Cause.OPERATOR),)

TABLE = Table(
    name="wakeup",
    states=State,
    triggers=Trigger,
    initial=S.WATCHING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
