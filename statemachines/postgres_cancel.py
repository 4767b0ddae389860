"""The machine of a request to PostgreSQL to stop a query: a connection of its own, over which nothing else is said.

The server takes the request, signals the session's process and closes the connection, without a word on whether there
was anything to stop (PostgreSQL's manual, section "Canceling Requests in Progress"). That close is what we wait for:
from then on the request can not hit a later query of the session.
"""

from enum import auto
from typing import Protocol

from statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    SENDING = auto()
    AWAITING_CLOSE = auto()
    DONE = auto()


class Trigger(Name):
    WRITING_AWAITED = auto()
    """The next step is ours, as soon as the socket takes it: it may be another socket."""
    CLOSE_AWAITED = auto()
    """What there was to say is said: the next step is the server's."""
    REQUEST_TAKEN = auto()
    """The server has closed the connection, as it does when it has taken the request."""
    CONNECTION_LOST = auto()
    """The server can not be reached, or refuses."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()


class Model(Protocol):
    """What the shell of a request to cancel does."""

    def poll_request(self, ready: int) -> Name | None:
        """One step; WRITING_AWAITED, CLOSE_AWAITED, REQUEST_TAKEN or CONNECTION_LOST."""


S, T = State, Trigger

SEND = Deadline("send", "postgres_cancel_send_timeout", 2.0, "for the server to accept: somebody has left already")
CLOSE = Deadline("close", "postgres_cancel_close_timeout", 2.0, "for the server to take the request and close")

SPECS = (
    Spec(S.SENDING, Interest.WRITABLE, SEND, "poll_request", "the server has not taken the request"),
    Spec(S.AWAITING_CLOSE, Interest.READABLE, CLOSE, "poll_request", "the request is sent; the server has not closed"),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is given back", final=True),
)

ROWS = (
    # --- the request goes out
    Row(S.SENDING, T.CLOSE_AWAITED, S.AWAITING_CLOSE, way=Way.HAPPY),
    Row(S.SENDING, T.REQUEST_TAKEN, S.DONE, ends=Cause.UPSTREAM),
    Row(S.SENDING, T.CONNECTION_LOST, S.DONE, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.SENDING, T.DEADLINE_PASSED, S.DONE, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.SENDING, T.CLOSE_ORDERED, S.DONE, way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the server closes
    Row(S.AWAITING_CLOSE, T.REQUEST_TAKEN, S.DONE, way=Way.HAPPY, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CLOSE, T.WRITING_AWAITED, S.SENDING),
    Row(S.AWAITING_CLOSE, T.CONNECTION_LOST, S.DONE, way=Way.FAULT, ends=Cause.UPSTREAM),
    Row(S.AWAITING_CLOSE, T.DEADLINE_PASSED, S.DONE, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_CLOSE, T.CLOSE_ORDERED, S.DONE, way=Way.FAULT, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="postgres_cancel",
    states=State,
    triggers=Trigger,
    initial=S.SENDING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.REQUEST_TAKEN, T.CONNECTION_LOST}),
)
