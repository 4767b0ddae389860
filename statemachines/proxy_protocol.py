"""The machine of a connection that begins with the PROXY protocol: a proxy in front says first who its client is.

    AWAITING_HEADER -> HANDED_ON

Then another machine goes on with the socket, as if the client had connected to us itself: TLS and HTTP come after the
header. Nothing is read beyond the header's end, so that whatever goes on finds the connection's first byte.
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
    AWAITING_HEADER = auto()
    HANDED_ON = auto()
    CLOSED = auto()


class Trigger(Name):
    HEADER_RECEIVED = auto()
    """The whole header has come, and is well-formed."""
    HEADER_REFUSED = auto()
    """What has come is not a header."""
    PEER_CLOSED = auto()
    """The peer has shut down its sending side before the header's end."""
    PEER_RESET = auto()
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator closes the connection, or a fault of ours does."""


class Model(Protocol):
    """What the shell of such a connection does."""

    def read_header(self, ready: int) -> Name | None:
        """Read once, at most to the header's end."""

    def tell_refused(self) -> None:
        """Log what was wrong with the header."""

    def tell_late(self) -> None:
        """Log that no header has come in time."""


S, T = State, Trigger

HEADER = Deadline(
    "PROXY header",
    "proxy_protocol_timeout",
    5.0,
    "for the header of the PROXY protocol; a proxy sends it as soon as it is connected",
)

SPECS = (
    Spec(
        S.AWAITING_HEADER,
        Interest.READABLE,
        HEADER,
        "read_header",
        "the proxy has not said yet who its client is",
    ),
    Spec(S.HANDED_ON, Interest.NOTHING, Unbounded("it is final"), "", "another machine has the connection", final=True),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the socket is given back", final=True),
)

ROWS = (
    Row(S.AWAITING_HEADER, T.HEADER_RECEIVED, S.HANDED_ON, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.AWAITING_HEADER, T.HEADER_REFUSED, S.CLOSED, "", "tell_refused", Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_HEADER, T.PEER_CLOSED, S.CLOSED, ends=Cause.CLIENT),
    Row(S.AWAITING_HEADER, T.PEER_RESET, S.CLOSED, way=Way.FAULT, ends=Cause.CLIENT),
    Row(S.AWAITING_HEADER, T.DEADLINE_PASSED, S.CLOSED, "", "tell_late", Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_HEADER, T.CLOSE_ORDERED, S.CLOSED, way=Way.FAULT, ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {
    "read_header": (T.HEADER_RECEIVED, T.HEADER_REFUSED, T.PEER_CLOSED, T.PEER_RESET),
}

TABLE = Table(
    name="proxy_protocol",
    states=State,
    triggers=Trigger,
    initial=S.AWAITING_HEADER,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.PEER_CLOSED, T.PEER_RESET}),
    hands_back=HANDS_BACK,
)
