"""The machine of an inquiry: what the supervisor's x-ray asks a worker's x-ray, on a connection that is made for it.

    ASKING -> AWAITING_ANSWER -> ENDED

A worker that does not answer in time is told as such: it may be stopped, or hold the interpreter's lock.
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
    ASKING = auto()
    AWAITING_ANSWER = auto()
    ENDED = auto()


class Trigger(Name):
    REQUEST_SENT = auto()
    ANSWER_RECEIVED = auto()
    CONNECTION_LOST = auto()
    """The worker has ended, or refuses the connection, before it has answered."""
    CLOSE_ORDERED = auto()
    """Nobody waits for the answer any more."""
    DEADLINE_PASSED = auto()


class Model(Protocol):
    """What the shell of an inquiry does."""

    def send(self, ready: int) -> Name | None:
        """Send the request, or more of it; REQUEST_SENT, CONNECTION_LOST."""

    def receive(self, ready: int) -> Name | None:
        """Receive a part of the answer; ANSWER_RECEIVED at its end, CONNECTION_LOST."""


S, T = State, Trigger

ANSWER = Deadline(
    "answer",
    "inquiry_timeout",
    2.0,
    "for a worker's x-ray to answer the supervisor's; a healthy one takes a tenth of it",
)

SPECS = (
    Spec(S.ASKING, Interest.WRITABLE, ANSWER, "send", "the request is being sent"),
    Spec(S.AWAITING_ANSWER, Interest.READABLE, ANSWER, "receive", "the worker's x-ray is about to answer"),
    Spec(S.ENDED, Interest.NOTHING, Unbounded("it is final"), "", "the connection is closed", final=True),
)

ROWS = (
    Row(S.ASKING, T.REQUEST_SENT, S.AWAITING_ANSWER, way=Way.HAPPY),
    Row(S.ASKING, T.CONNECTION_LOST, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.ASKING, T.CLOSE_ORDERED, S.ENDED, ends=Cause.CLIENT),
    Row(S.ASKING, T.DEADLINE_PASSED, S.ENDED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_ANSWER, T.ANSWER_RECEIVED, S.ENDED, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.AWAITING_ANSWER, T.CONNECTION_LOST, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.AWAITING_ANSWER, T.CLOSE_ORDERED, S.ENDED, ends=Cause.CLIENT),
    Row(S.AWAITING_ANSWER, T.DEADLINE_PASSED, S.ENDED, way=Way.FAULT, ends=Cause.DEADLINE),
)

HANDS_BACK: HandsBack = {
    "send": (T.REQUEST_SENT, T.CONNECTION_LOST),
    "receive": (T.ANSWER_RECEIVED, T.CONNECTION_LOST),
}

TABLE = Table(
    name="inquiry",
    states=State,
    triggers=Trigger,
    initial=S.ASKING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
