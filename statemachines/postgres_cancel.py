"""The machine of a cancel request to PostgreSQL: a connection of its own, on which nothing else is sent.

The server takes the request, signals the session's process and closes the connection, without saying whether there
was anything to cancel (PostgreSQL's manual, section "Canceling Requests in Progress"). The machine waits for that
close: after it the request cannot hit a later query of the session.
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
    SENDING = auto()
    AWAITING_CLOSE = auto()
    DONE = auto()


class Trigger(Name):
    WRITING_AWAITED = auto()
    """The next step is ours, as soon as the socket is writable; it may be another socket."""
    CLOSE_AWAITED = auto()
    """The request is sent: the next step is the server's."""
    REQUEST_TAKEN = auto()
    """The server has closed the connection, as it does when it has taken the request."""
    CONNECTION_LOST = auto()
    """The server cannot be reached, or refuses the connection."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()


class Model(Protocol):
    """What the shell of a cancel request does."""

    def poll_request(self, ready: int) -> Name | None:
        """One step; WRITING_AWAITED, CLOSE_AWAITED, REQUEST_TAKEN or CONNECTION_LOST."""


S, T = State, Trigger

SEND = Deadline(
    "send", "postgres_cancel_send_timeout", 2.0, "for the server to accept; short, since the caller has already left"
)
CLOSE = Deadline("close", "postgres_cancel_close_timeout", 2.0, "for the server to take the request and close")

SPECS = (
    Spec(S.SENDING, Interest.WRITABLE, SEND, "poll_request", "the server has not taken the request"),
    Spec(S.AWAITING_CLOSE, Interest.READABLE, CLOSE, "poll_request", "the request is sent; the server has not closed"),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the descriptor is closed", final=True),
)

ROWS = (
    # --- the request is sent
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

HANDS_BACK: HandsBack = {
    "poll_request": (T.REQUEST_TAKEN, T.CONNECTION_LOST),
    (S.SENDING, "poll_request"): (T.CLOSE_AWAITED, T.REQUEST_TAKEN, T.CONNECTION_LOST),
    (S.AWAITING_CLOSE, "poll_request"): (T.WRITING_AWAITED, T.REQUEST_TAKEN, T.CONNECTION_LOST),
}

TABLE = Table(
    name="postgres_cancel",
    states=State,
    triggers=Trigger,
    initial=S.SENDING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.REQUEST_TAKEN, T.CONNECTION_LOST}),
    hands_back=HANDS_BACK,
)
