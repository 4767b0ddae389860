"""The machine of a tunnel: which of its two ends has sent its last.

    AGREED -> OPEN -> CLIENT_ENDED -> OVER

After an upgrade bytes pass both ways between two connections, each of which is a machine of its own (TUNNELLING) with
its own descriptor. This is what they have in common. The table says:

- A half-close goes through: the other direction goes on until its own end.
- When both ends have sent their last, both connections end, in order; it is known which was the first.
- What breaks on one side is broken on the other: never a clean end.

It has no descriptor. It has two peers.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    AGREED = auto()
    OPEN = auto()
    CLIENT_ENDED = auto()
    UPSTREAM_ENDED = auto()
    OVER = auto()


class Trigger(Name):
    CLIENT_JOINED = auto()
    """The client has been told: bytes pass from here on."""
    CLIENT_SENT_LAST = auto()
    """The client has half-closed, and the upstream has been told so, behind all that the client has sent."""
    UPSTREAM_SENT_LAST = auto()
    """The same the other way."""
    CLIENT_LEFT = auto()
    """The client's connection has ended, or the response that would have begun the tunnel is given up."""
    UPSTREAM_LOST = auto()
    """The upstream's connection has ended, and not in order."""


class Model(Protocol):
    """What the shell of a tunnel does."""

    def end_both(self) -> Name | None:
        """Tell both ends that the tunnel has ended in order."""

    def leave_upstream(self) -> Name | None:
        """Let the upstream's connection go."""

    def break_client(self) -> Name | None:
        """Break the client's connection off, if it has joined."""


S, T = State, Trigger

_NO_DEADLINE = Unbounded("the deadlines are those of its two ends")
_ENDS = "an end of one of the two connections"

SPECS = (
    Spec(S.AGREED, Interest.NOTHING, _NO_DEADLINE, "", "the upstream has said 101, the client has not", awaits="101"),
    Spec(S.OPEN, Interest.NOTHING, _NO_DEADLINE, "", "bytes pass both ways", awaits=_ENDS),
    Spec(S.CLIENT_ENDED, Interest.NOTHING, _NO_DEADLINE, "", "bytes pass to the client only", awaits=_ENDS),
    Spec(S.UPSTREAM_ENDED, Interest.NOTHING, _NO_DEADLINE, "", "bytes pass to the upstream only", awaits=_ENDS),
    Spec(S.OVER, Interest.NOTHING, Unbounded("it is final"), "", "nothing passes any more", final=True),
)

ROWS = (
    # --- the client has not joined
    Row(S.AGREED, T.CLIENT_JOINED, S.OPEN, way=Way.HAPPY),
    Row(S.AGREED, T.CLIENT_LEFT, S.OVER, action="leave_upstream", ends=Cause.CLIENT),
    Row(S.AGREED, T.UPSTREAM_LOST, S.OVER, action="break_client", way=Way.FAULT, ends=Cause.UPSTREAM),
    # --- both ways
    Row(S.OPEN, T.CLIENT_SENT_LAST, S.CLIENT_ENDED, way=Way.HAPPY),
    Row(S.OPEN, T.UPSTREAM_SENT_LAST, S.UPSTREAM_ENDED),
    Row(S.OPEN, T.CLIENT_LEFT, S.OVER, action="leave_upstream", ends=Cause.CLIENT),
    Row(S.OPEN, T.UPSTREAM_LOST, S.OVER, action="break_client", way=Way.FAULT, ends=Cause.UPSTREAM),
    # --- the client has sent its last
    Row(S.CLIENT_ENDED, T.UPSTREAM_SENT_LAST, S.OVER, action="end_both", way=Way.HAPPY, ends=Cause.CLIENT),
    Row(S.CLIENT_ENDED, T.CLIENT_LEFT, S.OVER, action="leave_upstream", ends=Cause.CLIENT),
    Row(S.CLIENT_ENDED, T.UPSTREAM_LOST, S.OVER, action="break_client", way=Way.FAULT, ends=Cause.UPSTREAM),
    # --- the upstream has sent its last
    Row(S.UPSTREAM_ENDED, T.CLIENT_SENT_LAST, S.OVER, action="end_both", ends=Cause.UPSTREAM),
    Row(S.UPSTREAM_ENDED, T.CLIENT_LEFT, S.OVER, action="leave_upstream", ends=Cause.CLIENT),
    Row(S.UPSTREAM_ENDED, T.UPSTREAM_LOST, S.OVER, action="break_client", way=Way.FAULT, ends=Cause.UPSTREAM),
)

TABLE = Table(
    name="tunnel",
    states=State,
    triggers=Trigger,
    initial=S.AGREED,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CLIENT_LEFT, T.UPSTREAM_LOST}),
)
