"""The machine of a worker's end of the channel to its supervisor: orders come by it, and its end says that the
supervisor has gone."""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, HandsBack, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    ATTACHED = auto()
    CLOSED = auto()


class Trigger(Name):
    SUPERVISOR_GONE = auto()
    """The other end is closed."""
    CLOSE_ORDERED = auto()
    """The worker ends, or the channel cannot be read."""


class Model(Protocol):
    """What the shell of a lifeline does."""

    def read_orders(self, ready: int) -> Name | None:
        """Read what the supervisor orders, and do it; SUPERVISOR_GONE at the end."""

    def end_alone(self) -> Name | None:
        """Drain: nobody would ever tell this worker to end, or replace it."""


S, T = State, Trigger

SPECS = (
    Spec(
        S.ATTACHED,
        Interest.READABLE,
        Unbounded("the supervisor orders when it has reason to"),
        "read_orders",
        "the supervisor is there",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the channel is closed", final=True),
)

ROWS = (
    Row(S.ATTACHED, T.SUPERVISOR_GONE, S.CLOSED, action="end_alone", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.ATTACHED, T.CLOSE_ORDERED, S.CLOSED, way=Way.HAPPY, ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {"read_orders": (T.SUPERVISOR_GONE,)}

TABLE = Table(
    name="lifeline",
    states=State,
    triggers=Trigger,
    initial=S.ATTACHED,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
