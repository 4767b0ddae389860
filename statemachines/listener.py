"""The machine of a listening socket: it accepts, or pauses because there is nothing to accept with.

A listening socket that can not accept stays readable: a loop that asks for it would spin. So pausing is a state that
waits for nothing but its deadline, or for a connection to end and give its descriptor back.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    ACCEPTING = auto()
    PAUSED = auto()
    CLOSED = auto()


class Trigger(Name):
    CAPACITY_REACHED = auto()
    """As many connections are open as there may be."""
    DESCRIPTORS_EXHAUSTED = auto()
    """accept(2) failed with EMFILE, ENFILE, ENOBUFS or ENOMEM."""
    SOCKET_LOST = auto()
    """The listening socket itself is of no use any more: somebody has shut it down."""
    CONNECTION_ENDED = auto()
    """A descriptor was given back."""
    DEADLINE_PASSED = auto()
    DRAIN_STARTED = auto()
    """The process takes no new connections."""


class Model(Protocol):
    """What the shell of a listener does."""

    def accept(self, ready: int) -> Name | None:
        """Accept a bounded number; CAPACITY_REACHED, DESCRIPTORS_EXHAUSTED or SOCKET_LOST when it can not go on."""

    def notice_loss(self, ready: int) -> Name | None:
        """Nothing is looked at while paused; SOCKET_LOST when the socket has hung up."""

    def take_backlog(self) -> None:
        """Accept once more: closing would reset those who have come before."""

    def has_room(self) -> bool:
        """Whether a further connection may be opened."""

    def turn_away(self) -> Name | None:
        """Answer those who have waited too long with 503, on the reserve descriptor."""


S, T = State, Trigger

PAUSE = Deadline("pause", "pause_timeout", 1.0, "that clients wait for a free connection before they get 503")

SPECS = (
    Spec(
        S.ACCEPTING,
        Interest.READABLE,
        Unbounded("clients come when they like"),
        "accept",
        "new connections are taken as they come",
    ),
    Spec(
        S.PAUSED,
        Interest.NOTHING,
        PAUSE,
        "notice_loss",
        "there is no descriptor, or no room, for a further connection",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the socket is given back", final=True),
)

ROWS = (
    # --- taking connections
    Row(S.ACCEPTING, T.CAPACITY_REACHED, S.PAUSED),
    Row(S.ACCEPTING, T.DESCRIPTORS_EXHAUSTED, S.PAUSED, way=Way.FAULT),
    Row(S.ACCEPTING, T.SOCKET_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.ACCEPTING, T.DRAIN_STARTED, S.CLOSED, action="take_backlog", ends=Cause.OPERATOR),
    # --- out of room
    Row(S.PAUSED, T.CONNECTION_ENDED, S.ACCEPTING),
    Row(S.PAUSED, T.DEADLINE_PASSED, S.ACCEPTING, "has_room"),
    Row(S.PAUSED, T.DEADLINE_PASSED, S.PAUSED, "", "turn_away", Way.FAULT),
    Row(S.PAUSED, T.SOCKET_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.PAUSED, T.DRAIN_STARTED, S.CLOSED, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="listener",
    states=State,
    triggers=Trigger,
    initial=S.ACCEPTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
