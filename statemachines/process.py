"""The machine of the whole process: it starts, serves, drains and stops. Its descriptor is the one signals come by.

The first SIGINT or SIGTERM drains: who waits in the backlog is accepted, and the listeners close. Connections without a
request may send one more for a short while, since it may be on its way, and it is answered; then they are closed. What
is in flight is finished. A second signal, or the drain's deadline, closes what is left.
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
    STARTING = auto()
    SERVING = auto()
    AWAITING_LAST_REQUESTS = auto()
    DRAINING = auto()
    STOPPED = auto()


class Trigger(Name):
    LISTENING = auto()
    """Every listening socket is bound and in the loop."""
    SIGNAL_RECEIVED = auto()
    """SIGINT or SIGTERM."""
    RETIRE_ORDERED = auto()
    """The supervisor has no need of this worker any more."""
    LISTENERS_CLOSED = auto()
    """The backlog has been taken, and nobody listens any more."""
    CONNECTIONS_ENDED = auto()
    """The last client connection has gone."""
    DEADLINE_PASSED = auto()


class Model(Protocol):
    """What the shell of the process does."""

    def read_signals(self, ready: int) -> Name | None:
        """Take the signals that have come; SIGNAL_RECEIVED for one that wants us to end."""

    def announce(self) -> Name | None:
        """Say where we listen: now that it is true."""

    def close_listeners(self) -> Name | None:
        """Let the listeners take the backlog and close, and have it told to this machine behind that."""

    def has_nothing_under_way(self) -> bool:
        """Whether no client connection is open."""

    def stop_idle(self) -> Name | None:
        """Say that nothing is waited for, and end the loop."""

    def announce_drain(self) -> Name | None:
        """Say how many connections the drain waits for."""

    def close_idle(self) -> Name | None:
        """Close the connections that have no request under way."""

    def cut_off(self) -> Name | None:
        """Close every connection that is left, and log each with its state and age."""

    def stop(self) -> Name | None:
        """End the loop."""


S, T = State, Trigger

LAST = Deadline(
    "last request",
    "last_request_timeout",
    1.0,
    "at shutdown for a client to send one more request, which may be on its way; it is answered, then we close",
)
DRAIN = Deadline(
    "drain", "drain_timeout", 30.0, "for requests in progress at shutdown, then their connections are closed"
)

SPECS = (
    Spec(
        S.STARTING,
        Interest.READABLE,
        Unbounded("binding a socket does not block"),
        "read_signals",
        "sockets are being bound",
    ),
    Spec(
        S.SERVING,
        Interest.READABLE,
        Unbounded("it serves until a signal stops it"),
        "read_signals",
        "connections are taken and served",
    ),
    Spec(
        S.AWAITING_LAST_REQUESTS,
        Interest.READABLE,
        LAST,
        "read_signals",
        "it no longer listens; idle connections may send one more request",
    ),
    Spec(S.DRAINING, Interest.READABLE, DRAIN, "read_signals", "requests in progress are being finished"),
    Spec(S.STOPPED, Interest.NOTHING, Unbounded("it is final"), "", "the loop has ended", final=True),
)

ROWS = (
    # --- from the start to the first connection
    Row(S.STARTING, T.LISTENING, S.SERVING, action="announce", way=Way.HAPPY),
    Row(S.STARTING, T.SIGNAL_RECEIVED, S.STOPPED, action="stop", ends=Cause.OPERATOR),
    Row(S.STARTING, T.RETIRE_ORDERED, S.STOPPED, action="stop", ends=Cause.OPERATOR),
    # --- the long middle
    Row(S.SERVING, T.SIGNAL_RECEIVED, S.AWAITING_LAST_REQUESTS, action="close_listeners", way=Way.HAPPY),
    Row(S.SERVING, T.RETIRE_ORDERED, S.AWAITING_LAST_REQUESTS, action="close_listeners"),
    # --- the end: what may be on its way
    Row(S.AWAITING_LAST_REQUESTS, T.DEADLINE_PASSED, S.DRAINING, action="close_idle", way=Way.HAPPY),
    Row(
        S.AWAITING_LAST_REQUESTS,
        T.LISTENERS_CLOSED,
        S.STOPPED,
        "has_nothing_under_way",
        "stop_idle",
        ends=Cause.OPERATOR,
    ),
    Row(S.AWAITING_LAST_REQUESTS, T.LISTENERS_CLOSED, S.AWAITING_LAST_REQUESTS, "", "announce_drain"),
    Row(S.AWAITING_LAST_REQUESTS, T.CONNECTIONS_ENDED, S.STOPPED, action="stop", ends=Cause.OPERATOR),
    Row(
        S.AWAITING_LAST_REQUESTS,
        T.SIGNAL_RECEIVED,
        S.STOPPED,
        action="cut_off",
        way=Way.FAULT,
        ends=Cause.OPERATOR,
    ),
    # --- the end: what is in flight
    Row(S.DRAINING, T.CONNECTIONS_ENDED, S.STOPPED, action="stop", way=Way.HAPPY, ends=Cause.OPERATOR),
    Row(S.DRAINING, T.SIGNAL_RECEIVED, S.STOPPED, action="cut_off", way=Way.FAULT, ends=Cause.OPERATOR),
    Row(S.DRAINING, T.DEADLINE_PASSED, S.STOPPED, action="cut_off", way=Way.FAULT, ends=Cause.DEADLINE),
)

HANDS_BACK: HandsBack = {"read_signals": (T.SIGNAL_RECEIVED,)}

TABLE = Table(
    name="process",
    states=State,
    triggers=Trigger,
    initial=S.STARTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
