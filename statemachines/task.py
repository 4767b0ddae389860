"""The machine of a task: a coroutine that runs beside the requests, such as work behind an answer, or a start hook.

    READY -> AWAITING_OPERATION -> DONE

is the usual path. The table says:

- *It runs between the other machines*, as a handler does: from one awaited operation to the next.
- *It has no deadline of its own*: each operation that takes long has one, and a sleep says how long it lasts. What a
  task is part of may end it sooner: the end of a drain, the time for a start.
- *One whose client has left is told, and may finish* (LEAVING): the handler of a WebSocket, which learns of the end at
  its next message. Only after a grace it is ended.
- *To end it is to cancel the operation that it awaits*, and to let its `finally` run.

It has no descriptor; its peer is the operation that it awaits.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.application import LEAVE
from clerestory.statemachines.contract import Cause, HandsBack, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    READY = auto()
    AWAITING_OPERATION = auto()
    LEAVING = auto()
    DONE = auto()


class Trigger(Name):
    STARTED = auto()
    """The loop has come to it."""
    OPERATION_ENDED = auto()
    """What it awaits has brought a result, or an error."""
    RETURNED = auto()
    """The coroutine has returned."""
    FAILED = auto()
    """The coroutine has raised."""
    CLIENT_LEFT = auto()
    """The client that it talks with has left."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of what it is part of, ends it."""


class Model(Protocol):
    """What the shell of a task does."""

    def is_in_time(self) -> bool:
        """Whether the grace has not passed, over however many operations."""

    def step(self) -> Name | None:
        """Run the coroutine until it awaits an operation, returns or raises: then RETURNED or FAILED."""

    def give_up(self) -> Name | None:
        """Cancel the operation, and let the coroutine's `finally` run."""


S, T = State, Trigger

SPECS = (
    Spec(
        S.READY,
        Interest.NOTHING,
        Unbounded("the loop comes to it in this turn"),
        "",
        "it has been made, and not yet run",
        awaits="its turn",
    ),
    Spec(
        S.AWAITING_OPERATION,
        Interest.NOTHING,
        Unbounded("what it awaits has a deadline, and so has what it is part of"),
        "",
        "its coroutine awaits an operation",
        awaits="an operation",
    ),
    Spec(
        S.LEAVING,
        Interest.NOTHING,
        LEAVE,
        "",
        "its client has left, and it has been told; its coroutine has not ended",
        awaits="the end of the coroutine",
    ),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "its coroutine has ended", final=True),
)

ROWS = (
    # --- it has been made
    Row(S.READY, T.STARTED, S.AWAITING_OPERATION, action="step", way=Way.HAPPY),
    Row(S.READY, T.CLOSE_ORDERED, S.DONE, action="give_up", ends=Cause.OPERATOR),
    # --- it runs, from one operation to the next
    Row(S.AWAITING_OPERATION, T.OPERATION_ENDED, S.AWAITING_OPERATION, action="step", way=Way.HAPPY),
    Row(S.AWAITING_OPERATION, T.RETURNED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.AWAITING_OPERATION, T.FAILED, S.DONE, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.AWAITING_OPERATION, T.CLIENT_LEFT, S.LEAVING),
    Row(S.AWAITING_OPERATION, T.CLOSE_ORDERED, S.DONE, action="give_up", ends=Cause.OPERATOR),
    # --- its client has left
    Row(S.LEAVING, T.OPERATION_ENDED, S.LEAVING, "is_in_time", "step"),
    Row(S.LEAVING, T.OPERATION_ENDED, S.DONE, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.LEAVING, T.RETURNED, S.DONE, ends=Cause.CLIENT),
    Row(S.LEAVING, T.FAILED, S.DONE, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.LEAVING, T.DEADLINE_PASSED, S.DONE, action="give_up", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.LEAVING, T.CLOSE_ORDERED, S.DONE, action="give_up", ends=Cause.OPERATOR),
)

HANDS_BACK: HandsBack = {"step": (T.RETURNED, T.FAILED)}

TABLE = Table(
    name="task",
    states=State,
    triggers=Trigger,
    initial=S.READY,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.OPERATION_ENDED, T.CLOSE_ORDERED}),
    hands_back=HANDS_BACK,
)
