"""The machine of the loop's wake-up descriptor, with which other threads wake the loop.

It waits in one state only. It is a machine all the same: everything that has a descriptor is one, so that the loop
needs no special cases.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WATCHING = auto()
    CLOSED = auto()


class Trigger(Name):
    CLOSE_ORDERED = auto()
    """The loop ends."""


class Model(Protocol):
    """What the shell of the wake-up descriptor does."""

    def run_callbacks(self, ready: int) -> Name | None:
        """Take the wake-ups, and run the callbacks that other threads have queued."""


S, T = State, Trigger

SPECS = (
    Spec(
        S.WATCHING,
        Interest.READABLE,
        Unbounded("other threads call at any time"),
        "run_callbacks",
        "no other thread has called",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is closed", final=True),
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
