"""The machine of an ASGI application's task: one call of the application, beside the connection that carries it.

    RUNNING -> DONE

is the usual path: the application answers and returns in its first step. What the table settles:

- *The task is the program, the machine is its place in it.* What an application waits for by itself (a database, a
  lock, a sleep) is RUNNING: the task's own stack says more (handlers.asgi.stack). What it waits for from us is a state.
- *An answer that has begun is another state* (PRODUCING): what goes wrong from here on cannot be a 500 any more.
- *A WebSocket is another state* (CONVERSING): who waits for whom there, and until when, is its own machine's
  (statemachines.websocket). Its end is told to the application as a client's leaving is.
- *Back-pressure is a state* (AWAITING_ROOM): `send()` returns when there is room again for what it was given.
- *`receive()` behind the body* waits for the client to leave. Before the answer begins that is AWAITING_DISCONNECT;
  other tasks of the application may run meanwhile. Behind the answer's beginning it waits beside it, and is told.
- *Work after the answer* (RUNNING_ON) belongs to nobody's connection. It has no deadline; the end of a drain ends it.
- *Nobody is cancelled without having been told*: when the client leaves, a deadline passes or the server ends,
  `receive()` says so (LEAVING), and only after a grace the task is cancelled and awaited (CANCELLING).

It has no descriptor. The peers are two: the client behind the connection, and the application's task.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    RUNNING = auto()
    AWAITING_BODY = auto()
    AWAITING_DISCONNECT = auto()
    PRODUCING = auto()
    AWAITING_ROOM = auto()
    CONVERSING = auto()
    RUNNING_ON = auto()
    LEAVING = auto()
    CANCELLING = auto()
    DONE = auto()


class Trigger(Name):
    BODY_REQUESTED = auto()
    """`receive()` waits for the request's body."""
    BODY_GIVEN = auto()
    """A piece of the body, or its end, has been handed over."""
    DISCONNECT_WANTED = auto()
    """`receive()` waits behind the body: only the client's leaving is left to be told."""
    PIECE_GIVEN = auto()
    """The answer has begun, and there is more to come."""
    ROOM_WANTED = auto()
    """`send()` waits until the connection has taken what was given."""
    ROOM_MADE = auto()
    """The connection has taken it."""
    WEBSOCKET_ACCEPTED = auto()
    """The answer is a 101: a WebSocket is open."""
    ANSWER_ENDED = auto()
    """The last piece of the answer has been given, or the WebSocket was closed by the application; the task goes on."""
    TASK_ENDED = auto()
    """The application has returned, raised, or been cancelled."""
    CLIENT_LEFT = auto()
    """The connection does not want the answer any more."""
    DRAIN_STARTED = auto()
    """The server ends: what has not answered by now is told."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator, or the end of a drain, wants this task cancelled."""


class Model(Protocol):
    """What the shell of an application's task does."""

    def tell_leaving(self) -> Name | None:
        """Let `receive()` say http.disconnect, and `send()` go on or raise."""

    def refuse_late(self) -> Name | None:
        """Have the request answered with 504, or cut when the answer has begun; and as tell_leaving."""

    def cancel(self) -> Name | None:
        """Cancel the task."""

    def abandon(self) -> Name | None:
        """Say that the task does not end, and wait for it no longer."""


S, T = State, Trigger

APPLICATION = Deadline(
    "application", "application_timeout", 60.0, "for an application to begin its answer, then 504; as most proxies wait"
)
STREAM = Deadline(
    "stream",
    "application_stream_timeout",
    300.0,
    "between two pieces of an application's answer, then it is cut; event streams ping more often",
)
LEAVE = Deadline(
    "leave",
    "application_leave_timeout",
    3.0,
    "for an application to end by itself once its client has left, then it is cancelled",
)
CANCEL = Deadline(
    "cancel", "application_cancel_timeout", 10.0, "for a cancelled application to end, then it is no longer waited for"
)
_CLIENTS = Unbounded("the client has a deadline for it, in the connection's own state")

SPECS = (
    Spec(
        S.RUNNING,
        Interest.NOTHING,
        APPLICATION,
        "",
        "it runs, or waits for something of its own; it has not answered",
        awaits="the application",
    ),
    Spec(
        S.AWAITING_BODY,
        Interest.NOTHING,
        _CLIENTS,
        "",
        "receive() waits for the request's body",
        awaits="the body of the request",
    ),
    Spec(
        S.AWAITING_DISCONNECT,
        Interest.NOTHING,
        APPLICATION,
        "",
        "receive() waits for the client to leave; it has not answered, and may run meanwhile",
        awaits="the client to leave",
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
        "send() waits for the client to take what was given",
        awaits="room to send",
    ),
    Spec(
        S.CONVERSING,
        Interest.NOTHING,
        Unbounded("the WebSocket's own machine has the deadlines"),
        "",
        "it has accepted a WebSocket",
        awaits="the application, or its WebSocket",
    ),
    Spec(
        S.RUNNING_ON,
        Interest.NOTHING,
        Unbounded("nothing waits for it; the end of a drain ends it"),
        "",
        "the response was given; it continues by itself",
        awaits="the end of the application",
    ),
    Spec(
        S.LEAVING,
        Interest.NOTHING,
        LEAVE,
        "",
        "it has been notified that its client is leaving, or the server is stopping",
        awaits="the end of the application",
    ),
    Spec(
        S.CANCELLING,
        Interest.NOTHING,
        CANCEL,
        "",
        "its task was cancelled, and has not ended",
        awaits="the end of the application",
    ),
    Spec(S.DONE, Interest.NOTHING, Unbounded("it is final"), "", "its task has ended", final=True),
)

ROWS = (
    # --- it has not answered
    Row(S.RUNNING, T.TASK_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.RUNNING, T.PIECE_GIVEN, S.PRODUCING, way=Way.HAPPY),
    Row(S.RUNNING, T.WEBSOCKET_ACCEPTED, S.CONVERSING),
    Row(S.RUNNING, T.BODY_REQUESTED, S.AWAITING_BODY),
    Row(S.RUNNING, T.DISCONNECT_WANTED, S.AWAITING_DISCONNECT),
    Row(S.RUNNING, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.RUNNING, T.ANSWER_ENDED, S.RUNNING_ON),
    Row(S.RUNNING, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.RUNNING, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(S.RUNNING, T.DEADLINE_PASSED, S.LEAVING, action="refuse_late", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.RUNNING, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it waits for the request's body
    Row(S.AWAITING_BODY, T.BODY_GIVEN, S.RUNNING, way=Way.HAPPY),
    Row(S.AWAITING_BODY, T.TASK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.AWAITING_BODY, T.PIECE_GIVEN, S.PRODUCING),
    Row(S.AWAITING_BODY, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.AWAITING_BODY, T.ANSWER_ENDED, S.RUNNING_ON),
    Row(S.AWAITING_BODY, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.AWAITING_BODY, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(S.AWAITING_BODY, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it waits for the client to leave, and may run meanwhile
    Row(S.AWAITING_DISCONNECT, T.PIECE_GIVEN, S.PRODUCING, way=Way.HAPPY),
    Row(S.AWAITING_DISCONNECT, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.AWAITING_DISCONNECT, T.ANSWER_ENDED, S.RUNNING_ON),
    Row(S.AWAITING_DISCONNECT, T.TASK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.AWAITING_DISCONNECT, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.AWAITING_DISCONNECT, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(
        S.AWAITING_DISCONNECT,
        T.DEADLINE_PASSED,
        S.LEAVING,
        action="refuse_late",
        way=Way.FAULT,
        ends=Cause.DEADLINE,
    ),
    Row(S.AWAITING_DISCONNECT, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer has begun
    Row(S.PRODUCING, T.PIECE_GIVEN, S.PRODUCING, way=Way.HAPPY),
    Row(S.PRODUCING, T.ROOM_WANTED, S.AWAITING_ROOM),
    Row(S.PRODUCING, T.ANSWER_ENDED, S.RUNNING_ON, way=Way.HAPPY),
    Row(S.PRODUCING, T.TASK_ENDED, S.DONE, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.PRODUCING, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.PRODUCING, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(S.PRODUCING, T.DEADLINE_PASSED, S.LEAVING, action="refuse_late", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.PRODUCING, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it waits for room to send
    Row(S.AWAITING_ROOM, T.ROOM_MADE, S.PRODUCING, way=Way.HAPPY),
    Row(S.AWAITING_ROOM, T.ANSWER_ENDED, S.RUNNING_ON),
    Row(S.AWAITING_ROOM, T.TASK_ENDED, S.DONE, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.AWAITING_ROOM, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.AWAITING_ROOM, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(S.AWAITING_ROOM, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it has a WebSocket
    Row(S.CONVERSING, T.ANSWER_ENDED, S.RUNNING_ON),
    Row(S.CONVERSING, T.TASK_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.CONVERSING, T.CLIENT_LEFT, S.LEAVING, action="tell_leaving", ends=Cause.CLIENT),
    Row(S.CONVERSING, T.DRAIN_STARTED, S.LEAVING, action="tell_leaving", ends=Cause.OPERATOR),
    Row(S.CONVERSING, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- the answer was given
    Row(S.RUNNING_ON, T.TASK_ENDED, S.DONE, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.RUNNING_ON, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it was told to go
    Row(S.LEAVING, T.TASK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.LEAVING, T.DEADLINE_PASSED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.LEAVING, T.CLOSE_ORDERED, S.CANCELLING, action="cancel", way=Way.FAULT, ends=Cause.OPERATOR),
    # --- it was cancelled
    Row(S.CANCELLING, T.TASK_ENDED, S.DONE, ends=Cause.SERVER),
    Row(S.CANCELLING, T.DEADLINE_PASSED, S.DONE, action="abandon", way=Way.FAULT, ends=Cause.DEADLINE),
)

TABLE = Table(
    name="application",
    states=State,
    triggers=Trigger,
    initial=S.RUNNING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.CLIENT_LEFT, T.TASK_ENDED}),
)
