"""The machine of the whole process: it starts, serves, drains and stops. Its descriptor is the one signals come by.

The first SIGINT or SIGTERM drains: no new connections, idle ones closed, what is in flight finished. A second signal,
or the drain's deadline, cuts what is left.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    STARTING = auto()
    SERVING = auto()
    DRAINING = auto()
    STOPPED = auto()


class Trigger(Name):
    LISTENING = auto()
    """Every listening socket is bound and in the loop."""
    SIGNAL_RECEIVED = auto()
    """SIGINT or SIGTERM."""
    CONNECTIONS_ENDED = auto()
    """The last client connection has gone."""
    DEADLINE_PASSED = auto()


class Model(Protocol):
    """What the shell of the process does."""

    def read_signals(self, ready: int) -> Name | None:
        """Take the signals that have come; SIGNAL_RECEIVED for one that wants us to end."""

    def announce(self) -> Name | None:
        """Say where we listen: now that it is true."""

    def drain(self) -> Name | None:
        """Close the listeners and the idle connections; CONNECTIONS_ENDED when that was all of them."""

    def cut_off(self) -> Name | None:
        """Close every connection that is left, and log each with its state and age."""

    def stop(self) -> Name | None:
        """End the loop."""


S, T = State, Trigger

DRAIN = Deadline("drain", "drain_timeout", 30.0, "to finish what is in flight at shutdown, then it is cut")

SPECS = (
    Spec(
        S.STARTING,
        Interest.READABLE,
        Unbounded("binding a socket does not wait"),
        "read_signals",
        "sockets are being bound",
    ),
    Spec(
        S.SERVING,
        Interest.READABLE,
        Unbounded("it serves until it is told to stop"),
        "read_signals",
        "connections are taken and served",
    ),
    Spec(S.DRAINING, Interest.READABLE, DRAIN, "read_signals", "what is in flight is being finished"),
    Spec(S.STOPPED, Interest.NOTHING, Unbounded("it is final"), "", "the loop has ended", final=True),
)

ROWS = (
    # --- from the start to the first connection
    Row(S.STARTING, T.LISTENING, S.SERVING, action="announce", way=Way.HAPPY),
    Row(S.STARTING, T.SIGNAL_RECEIVED, S.STOPPED, action="stop", ends=Cause.OPERATOR),
    # --- the long middle
    Row(S.SERVING, T.SIGNAL_RECEIVED, S.DRAINING, action="drain", way=Way.HAPPY),
    # --- the end
    Row(S.DRAINING, T.CONNECTIONS_ENDED, S.STOPPED, action="stop", way=Way.HAPPY, ends=Cause.OPERATOR),
    Row(S.DRAINING, T.SIGNAL_RECEIVED, S.STOPPED, action="cut_off", way=Way.FAULT, ends=Cause.OPERATOR),
    Row(S.DRAINING, T.DEADLINE_PASSED, S.STOPPED, action="cut_off", way=Way.FAULT, ends=Cause.DEADLINE),
)

TABLE = Table(
    name="process",
    states=State,
    triggers=Trigger,
    initial=S.STARTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
