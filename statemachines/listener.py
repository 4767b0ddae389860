"""The machine of a listening socket: it accepts, or pauses because there is nothing to accept with.

A listening socket that cannot accept stays readable: a loop that asks for it would spin. So pausing is a state that
waits for nothing but its deadline, or for a connection to end and give its descriptor back. Clients that have waited
through a pause are refused, and so are those that come after them, at once, until a connection ends.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import (
    Cause,
    Deadline,
    HandsBack,
    Interest,
    Name,
    Row,
    Spec,
    Table,
    Unbounded,
    Way,
)


class State(Name):
    ACCEPTING = auto()
    PAUSED = auto()
    REFUSING = auto()
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
    ROOM_FOUND = auto()
    """Connections have become idle that can make room for those who come."""
    DEADLINE_PASSED = auto()
    DRAIN_STARTED = auto()
    """The process takes no new connections."""


class Model(Protocol):
    """What the shell of a listener does."""

    def accept(self, ready: int) -> Name | None:
        """Accept for a bounded time; CAPACITY_REACHED, DESCRIPTORS_EXHAUSTED or SOCKET_LOST when it cannot go on."""

    def notice_loss(self, ready: int) -> Name | None:
        """Nothing is looked at while paused; SOCKET_LOST when the socket has hung up."""

    def refuse(self, ready: int) -> Name | None:
        """Answer with 503 for a bounded time; ROOM_FOUND when there is no need to, DESCRIPTORS_EXHAUSTED or SOCKET_LOST
        when it cannot go on."""

    def accept_backlog(self) -> None:
        """Accept once more: closing would reset those who have come before. Then nobody can connect any more."""

    def refuse_backlog(self) -> None:
        """Refuse once more, likewise."""

    def is_overrun(self) -> bool:
        """Whether clients have waited for longer than a pause."""

    def has_room(self) -> bool:
        """Whether a further connection may be opened, or an idle one can make room for it."""

    def tell_refused(self) -> None:
        """Say how many have been refused since that was last said."""

    def refuse_waiting(self) -> Name | None:
        """Answer those who have waited too long with 503, on the reserve descriptor; as refuse."""


S, T = State, Trigger

PAUSE = Deadline("pause", "pause_timeout", 1.0, "that clients wait for a free connection before they get a 503")
REFUSAL = Deadline("refusal", "refuse_timeout", 1.0, "of answering 503, before checking for a free connection again")

SPECS = (
    Spec(
        S.ACCEPTING,
        Interest.READABLE,
        Unbounded("clients connect at any time"),
        "accept",
        "new connections are accepted",
    ),
    Spec(
        S.PAUSED,
        Interest.NOTHING,
        PAUSE,
        "notice_loss",
        "no descriptor is free for another connection, or the limit is reached",
    ),
    Spec(
        S.REFUSING,
        Interest.READABLE,
        REFUSAL,
        "refuse",
        "the limit is reached and clients have waited: each gets a 503",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the socket is given back", final=True),
)

ROWS = (
    # --- taking connections
    Row(S.ACCEPTING, T.CAPACITY_REACHED, S.REFUSING, "is_overrun", "refuse_waiting"),
    Row(S.ACCEPTING, T.CAPACITY_REACHED, S.PAUSED),
    Row(S.ACCEPTING, T.DESCRIPTORS_EXHAUSTED, S.PAUSED, way=Way.FAULT),
    Row(S.ACCEPTING, T.SOCKET_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.ACCEPTING, T.DRAIN_STARTED, S.CLOSED, action="accept_backlog", ends=Cause.OPERATOR),
    # --- out of room
    Row(S.PAUSED, T.CONNECTION_ENDED, S.ACCEPTING),
    Row(S.PAUSED, T.DEADLINE_PASSED, S.ACCEPTING, "has_room"),
    Row(S.PAUSED, T.DEADLINE_PASSED, S.REFUSING, "", "refuse_waiting", Way.FAULT),
    Row(S.PAUSED, T.SOCKET_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.PAUSED, T.DRAIN_STARTED, S.CLOSED, action="refuse_backlog", ends=Cause.OPERATOR),
    # --- refusing
    Row(S.REFUSING, T.CONNECTION_ENDED, S.ACCEPTING),
    Row(S.REFUSING, T.ROOM_FOUND, S.ACCEPTING),
    Row(S.REFUSING, T.DEADLINE_PASSED, S.ACCEPTING, "has_room"),
    Row(S.REFUSING, T.DEADLINE_PASSED, S.REFUSING, "", "tell_refused"),
    Row(S.REFUSING, T.DESCRIPTORS_EXHAUSTED, S.PAUSED, way=Way.FAULT),
    Row(S.REFUSING, T.SOCKET_LOST, S.CLOSED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.REFUSING, T.DRAIN_STARTED, S.CLOSED, action="refuse_backlog", ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {
    "accept": (T.CAPACITY_REACHED, T.DESCRIPTORS_EXHAUSTED, T.SOCKET_LOST),
    "notice_loss": (T.SOCKET_LOST,),
    "refuse": (T.ROOM_FOUND, T.DESCRIPTORS_EXHAUSTED, T.SOCKET_LOST),
    "refuse_waiting": (T.DESCRIPTORS_EXHAUSTED, T.SOCKET_LOST),
}

TABLE = Table(
    name="listener",
    states=State,
    triggers=Trigger,
    initial=S.ACCEPTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
