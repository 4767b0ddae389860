"""The machine of a WSGI application's call: a thread that runs the application, beside the connection that carries it.

    QUEUED -> RUNNING -> DONE

is the usual path: the application returns its whole answer. What the table settles:

- *A thread moves nothing.* It notes facts in the call, and has the loop told of them; the loop moves the machine. Facts
  that are noted before the loop looks are seen at once: an answer that is whole by then was never PRODUCING.
- *A thread blocks in three ways, and each is a state*: on the request's body (AWAITING_BODY), on a client that takes
  its answer slowly (AWAITING_ROOM), and on itself (RUNNING, PRODUCING), where the thread's own stack says more.
- *An answer that has begun is another state* (PRODUCING): what goes wrong from here on cannot be a 500 any more.
- *Nothing can stop a thread.* When the client leaves, a deadline passes or a drain runs out, the call is LEAVING: it is
  told at its next piece, its next write() or its next read, and its iterable is closed. A call is LEAVING, too, when
  its whole answer was given and it has not returned: its close() runs, and the client does not wait for that.
- *What no thread has taken is taken back*, as in statemachines.work: LEAVING first, and DONE at once when it was still
  in the queue (WITHDRAWN).

It has no descriptor. The peers are two: the client behind the connection, and the application's thread.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines import application, work
from clerestory.statemachines.contract import Cause, HandsBack, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    QUEUED = auto()
    RUNNING = auto()
    AWAITING_BODY = auto()
    PRODUCING = auto()
    AWAITING_ROOM = auto()
    LEAVING = auto()
    DONE = auto()


class Trigger(Name):
    THREAD_GIVEN = auto()
    """A thread has it."""
    BODY_REQUESTED = auto()
    """The thread waits for a piece of the request's body."""
    BODY_GIVEN = auto()
    """A piece of the body, or its end, has been handed over."""
    PIECE_GIVEN = auto()
    """The answer has begun, and there is more to come."""
    ROOM_WANTED = auto()
    """The thread waits until the connection has taken what was given."""
    ROOM_MADE = auto()
    """The connection has taken it."""
    ANSWER_ENDED = auto()
    """The answer is whole, and the call goes on."""
    CALL_ENDED = auto()
    """The application has returned or raised, and its iterable was closed."""
    CLIENT_LEFT = auto()
    """The connection does not want the answer any more."""
    WITHDRAWN = auto()
    """It was still in the queue, and is not any more."""
    DRAIN_STARTED = auto()
    """The server ends: an answer that still goes on is ended."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator wants nobody to wait for it any longer."""


class Model(Protocol):
    """What the shell of a call does."""

    def has_begun(self) -> bool:
        """Whether a part of the answer was given."""

    def withdraw(self) -> Name | None:
        """Take it out of the queue; WITHDRAWN, or None when a thread was faster."""

    def tell_leaving(self) -> Name | None:
        """Let the thread's next piece, write() or read raise."""

    def refuse(self) -> Name | None:
        """Have the request answered with 503 or 504, or cut when the answer has begun; then as tell_leaving."""

    def refuse_queued(self) -> Name | None:
        """Have the request answered with 503; then as withdraw."""


S, T = State, Trigger

QUEUE, APPLICATION, STREAM = work.QUEUE, application.APPLICATION, application.STREAM
_CLIENTS = Unbounded("the client has a deadline for it, in the connection's own state")
_UNSTOPPABLE = Unbounded("a thread cannot be stopped; nothing waits for it, and the end of a drain leaves it behind")

SPECS = (
    Spec(S.QUEUED, Interest.NOTHING, QUEUE, "", "every thread is busy with another request", awaits="a free thread"),
    Spec(
        S.RUNNING,
        Interest.NOTHING,
        APPLICATION,
        "",
        "the application runs, or waits for something of its own; it has not answered",
        awaits="the application",
    ),
    Spec(
        S.AWAITING_BODY,
        Interest.NOTHING,
        _CLIENTS,
        "",
        "the thread waits for the request's body",
        awaits="the body of the request",
    ),
    Spec(
        S.PRODUCING,
        Interest.NOTHING,
        STREAM,
        "",
        "the answer has begun; its next piece has not been given",
        awaits="the next piece of the answer",
    ),
    Spec(
        S.AWAITING_ROOM,
        Interest.NOTHING,
        _CLIENTS,
        "",
        "the thread waits for the client to take what was given",
        awaits="room to send",
    ),
    Spec(
        S.LEAVING,
        Interest.NOTHING,
        _UNSTOPPABLE,
        "",
        "the answer was given, or is not wanted any more; the thread has not ended",
        awaits="the end of the application",
    ),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "the thread is free again", final=True),
)

ROWS = (
    # --- in the queue
    Row(S.QUEUED, T.THREAD_GIVEN, S.RUNNING, way=Way.HAPPY),
    Row(S.QUEUED, T.CLIENT_LEFT, S.LEAVING, action="withdraw", ends=Cause.CLIENT),
    Row(S.QUEUED, T.DEADLINE_PASSED, S.LEAVING, action="refuse_queued", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.QUEUED, T.CLOSE_ORDERED, S.LEAVING, action="refuse_queued", ends=Cause.OPERATOR),
    # --- it has not answered
    Row(S.RUNNING, T.CALL_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.RUNNING, T.PIECE_GIVEN, S.PRODUCING, way=Way.HAPPY),
    Row(S.RUNNING, T.BODY_REQUESTED, S.AWAITING_BODY),
    Row(S.RUNNING, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.RUNNING, T.ANSWER_ENDED, S.LEAVING, ends=Cause.SERVER),
    Row(S.RUNNING, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.RUNNING, T.DEADLINE_PASSED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.RUNNING, T.CLOSE_ORDERED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it waits for the request's body
    Row(S.AWAITING_BODY, T.BODY_GIVEN, S.PRODUCING, "has_begun"),
    Row(S.AWAITING_BODY, T.BODY_GIVEN, S.RUNNING, way=Way.HAPPY),
    Row(S.AWAITING_BODY, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.AWAITING_BODY, T.CLOSE_ORDERED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer has begun
    Row(S.PRODUCING, T.PIECE_GIVEN, S.PRODUCING, way=Way.HAPPY),
    Row(S.PRODUCING, T.CALL_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.PRODUCING, T.BODY_REQUESTED, S.AWAITING_BODY),
    Row(S.PRODUCING, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.PRODUCING, T.ANSWER_ENDED, S.LEAVING, ends=Cause.SERVER),
    Row(S.PRODUCING, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.PRODUCING, T.DRAIN_STARTED, S.LEAVING, action="refuse", ends=Cause.OPERATOR),
    Row(S.PRODUCING, T.DEADLINE_PASSED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.PRODUCING, T.CLOSE_ORDERED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it waits for room to send
    Row(S.AWAITING_ROOM, T.ROOM_MADE, S.PRODUCING, way=Way.HAPPY),
    Row(S.AWAITING_ROOM, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.AWAITING_ROOM, T.DRAIN_STARTED, S.LEAVING, action="refuse", ends=Cause.OPERATOR),
    Row(S.AWAITING_ROOM, T.CLOSE_ORDERED, S.LEAVING, action="refuse", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- nobody waits any more
    Row(S.LEAVING, T.CALL_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.LEAVING, T.WITHDRAWN, S.DONE, ends=Cause.SERVER),
)

HANDS_BACK: HandsBack = {"withdraw": (T.WITHDRAWN,), "refuse_queued": (T.WITHDRAWN,)}

TABLE = Table(
    name="wsgi",
    states=State,
    triggers=Trigger,
    initial=S.QUEUED,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CLIENT_LEFT, T.CALL_ENDED}),
    hands_back=HANDS_BACK,
)
