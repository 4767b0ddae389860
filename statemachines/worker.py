"""The machine of a worker process, as its supervisor sees it. Its descriptor is the supervisor's end of their channel.

    BACKING_OFF -> STARTING -> READY -> AWAITING_SUCCESSOR -> RETIRING -> LEAVING -> ENDED

A worker is executed, says by the channel that it is ready, and serves. One that is to be replaced serves on until its
successor is ready; then it retires: it finishes what is in flight. One that does not do so in time is killed. A worker
whose loop stands still is killed after its own watchdog has told where it stands; one whose watchdog is silent, too, is
sent SIGABRT first, at which the interpreter writes its stack into the channel.

The end of the channel and the exit of the process are two facts that may come in any order. Only the exit ends the
machine: until then the process may hold what others need.
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
    BACKING_OFF = auto()
    STARTING = auto()
    READY = auto()
    AWAITING_SUCCESSOR = auto()
    RETIRING = auto()
    STOPPING = auto()
    ABORTING = auto()
    KILLED = auto()
    LEAVING = auto()
    ENDED = auto()


class Trigger(Name):
    START_ORDERED = auto()
    """It need not be put off."""
    EXECUTION_FAILED = auto()
    """The process could not be made."""
    READY_TOLD = auto()
    """It serves."""
    RECYCLING_WANTED = auto()
    """It has answered as many requests, or takes as much memory, as it may."""
    DRAIN_TOLD = auto()
    """It has been sent a signal by somebody else, and asks to be told to drain."""
    BLOCKED_TOLD = auto()
    """Its watchdog tells that its loop stands still, and where."""
    RETIRE_ORDERED = auto()
    """It is to finish what is in flight, and to end."""
    STOP_ORDERED = auto()
    """It is to end at once."""
    CHANNEL_CLOSED = auto()
    """Its end of the channel is closed."""
    EXITED = auto()
    """wait(2) has told its exit status."""
    DEADLINE_PASSED = auto()


class Model(Protocol):
    """What the shell of a worker does."""

    def read_messages(self, ready: int) -> Name | None:
        """Read what the worker says, and have each message told to this machine; CHANNEL_CLOSED at the end."""

    def execute(self) -> Name | None:
        """Execute the process; EXECUTION_FAILED if there is none."""

    def tell_ready(self) -> Name | None:
        """Tell the supervisor that it serves."""

    def ask_for_successor(self) -> Name | None:
        """Ask the supervisor for another worker in its place."""

    def order_drain(self) -> Name | None:
        """Tell the worker to finish what is in flight, and to end."""

    def order_stop(self) -> Name | None:
        """Tell the worker to end at once."""

    def abort(self) -> Name | None:
        """Send SIGABRT, at which the interpreter tells where it stands."""

    def kill(self) -> Name | None:
        """Send SIGKILL; the channel is not waited for any more."""

    def await_exit(self) -> Name | None:
        """The channel is not waited for any more."""


S, T = State, Trigger

BACK_OFF = Deadline(
    "back-off",
    "worker_back_off",
    1.0,
    "until a worker is started again after its start has failed; it doubles each time, up to 30",
)
START = Deadline(
    "start", "worker_start_timeout", 60.0, "for a worker to import its application and to say that it is ready"
)
SILENCE = Deadline(
    "blocked",
    "blocked_timeout",
    60.0,
    "that a worker's loop may stand still, in a handler that blocks it, until the worker is replaced; 0 for ever",
)
RETIREMENT = Deadline(
    "retirement",
    "worker_retire_timeout",
    10.0,
    "for a worker to end beyond the time that its own drain may take, then it is killed",
)
STOP = Deadline("stop", "worker_stop_timeout", 5.0, "for a worker that was told to end at once, then it is killed")
ABORT = Deadline("abort", "worker_abort_timeout", 2.0, "for a blocked worker to write its stack, then it is killed")
LEAVE = Deadline(
    "leave", "worker_leave_timeout", 10.0, "for a worker's interpreter to end after its last word, then it is killed"
)

SPECS = (
    Spec(
        S.BACKING_OFF,
        Interest.NOTHING,
        BACK_OFF,
        "",
        "the start before it has failed, and it is put off",
        awaits="the time of the next attempt",
    ),
    Spec(S.STARTING, Interest.READABLE, START, "read_messages", "the process has been executed, and is not ready"),
    Spec(S.READY, Interest.READABLE, SILENCE, "read_messages", "it serves, and says so once a second"),
    Spec(
        S.AWAITING_SUCCESSOR,
        Interest.READABLE,
        SILENCE,
        "read_messages",
        "it is to be replaced, and serves until its successor is ready",
    ),
    Spec(S.RETIRING, Interest.READABLE, RETIREMENT, "read_messages", "it finishes what is in flight"),
    Spec(S.STOPPING, Interest.READABLE, STOP, "read_messages", "it was told to end at once"),
    Spec(S.ABORTING, Interest.READABLE, ABORT, "read_messages", "it is blocked, and was asked for its stack"),
    Spec(
        S.KILLED,
        Interest.NOTHING,
        Unbounded("a process cannot refuse SIGKILL"),
        "",
        "it was sent SIGKILL",
        awaits="its exit status",
    ),
    Spec(S.LEAVING, Interest.NOTHING, LEAVE, "", "it has closed its channel", awaits="its exit status"),
    Spec(S.ENDED, Interest.NOTHING, Unbounded("it is final"), "", "there is no such process any more", final=True),
)

ROWS = (
    # --- until it is executed
    Row(S.BACKING_OFF, T.START_ORDERED, S.STARTING, action="execute", way=Way.HAPPY),
    Row(S.BACKING_OFF, T.DEADLINE_PASSED, S.STARTING, action="execute"),
    Row(S.BACKING_OFF, T.RETIRE_ORDERED, S.ENDED, ends=Cause.OPERATOR),
    Row(S.BACKING_OFF, T.STOP_ORDERED, S.ENDED, ends=Cause.OPERATOR),
    # --- until it is ready
    Row(S.STARTING, T.READY_TOLD, S.READY, action="tell_ready", way=Way.HAPPY),
    Row(S.STARTING, T.EXECUTION_FAILED, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.STARTING, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.STARTING, T.EXITED, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.STARTING, T.RETIRE_ORDERED, S.STOPPING, action="order_stop", ends=Cause.OPERATOR),
    Row(S.STARTING, T.STOP_ORDERED, S.STOPPING, action="order_stop", ends=Cause.OPERATOR),
    Row(S.STARTING, T.DEADLINE_PASSED, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- it serves
    Row(S.READY, T.RECYCLING_WANTED, S.AWAITING_SUCCESSOR, action="ask_for_successor", way=Way.HAPPY),
    Row(S.READY, T.RETIRE_ORDERED, S.RETIRING, action="order_drain", ends=Cause.OPERATOR),
    Row(S.READY, T.DRAIN_TOLD, S.RETIRING, action="order_drain", ends=Cause.OPERATOR),
    Row(S.READY, T.STOP_ORDERED, S.STOPPING, action="order_stop", ends=Cause.OPERATOR),
    Row(S.READY, T.BLOCKED_TOLD, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.READY, T.DEADLINE_PASSED, S.ABORTING, action="abort", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.READY, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.READY, T.EXITED, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    # --- it serves until another one does
    Row(S.AWAITING_SUCCESSOR, T.RETIRE_ORDERED, S.RETIRING, action="order_drain", way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.AWAITING_SUCCESSOR, T.DRAIN_TOLD, S.RETIRING, action="order_drain", ends=Cause.OPERATOR),
    Row(S.AWAITING_SUCCESSOR, T.STOP_ORDERED, S.STOPPING, action="order_stop", ends=Cause.OPERATOR),
    Row(S.AWAITING_SUCCESSOR, T.BLOCKED_TOLD, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.AWAITING_SUCCESSOR, T.DEADLINE_PASSED, S.ABORTING, action="abort", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.AWAITING_SUCCESSOR, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.AWAITING_SUCCESSOR, T.EXITED, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    # --- it finishes what is in flight
    Row(S.RETIRING, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", way=Way.HAPPY, ends=Cause.OPERATOR),
    Row(S.RETIRING, T.EXITED, S.ENDED, ends=Cause.OPERATOR),
    Row(S.RETIRING, T.STOP_ORDERED, S.STOPPING, action="order_stop", ends=Cause.OPERATOR),
    Row(S.RETIRING, T.BLOCKED_TOLD, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.RETIRING, T.DEADLINE_PASSED, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- it ends at once
    Row(S.STOPPING, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", ends=Cause.OPERATOR),
    Row(S.STOPPING, T.EXITED, S.ENDED, ends=Cause.OPERATOR),
    Row(S.STOPPING, T.DEADLINE_PASSED, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- it is blocked
    Row(S.ABORTING, T.CHANNEL_CLOSED, S.LEAVING, action="await_exit", way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.ABORTING, T.EXITED, S.ENDED, way=Way.FAULT, ends=Cause.DEADLINE),
    Row(S.ABORTING, T.DEADLINE_PASSED, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- its exit status is awaited
    Row(S.KILLED, T.EXITED, S.ENDED, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.LEAVING, T.EXITED, S.ENDED, way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.LEAVING, T.DEADLINE_PASSED, S.KILLED, action="kill", way=Way.FAULT, ends=Cause.DEADLINE),
)

HANDS_BACK: HandsBack = {"read_messages": (T.CHANNEL_CLOSED,), "execute": (T.EXECUTION_FAILED,)}

TABLE = Table(
    name="worker",
    states=State,
    triggers=Trigger,
    initial=S.BACKING_OFF,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
    hands_back=HANDS_BACK,
)
