"""The machine of an ASGI application's lifespan: start-up before the first connection, shutdown after the last.

    STARTING -> UP -> STOPPING -> ENDED

The table says:

- *An application without a lifespan* raises, or returns, at lifespan.startup: its machine is ENDED, and that is not an
  error.
- *Start-up and shutdown have deadlines*: an application that waits for an unreachable database is reported, and the
  process ends.
- *Shutdown comes after the last request*, so that it cannot end a request.

There is one for a process, however many listeners it has. It has no descriptor; its peer is the application's task.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    STARTING = auto()
    UP = auto()
    STOPPING = auto()
    ENDING = auto()
    ENDED = auto()


class Trigger(Name):
    STARTUP_COMPLETE = auto()
    STARTUP_FAILED = auto()
    """The application has said that it cannot start."""
    TASK_ENDED = auto()
    """The application's lifespan call has returned, or raised."""
    SHUTDOWN_ORDERED = auto()
    """The last request has ended."""
    SHUTDOWN_COMPLETE = auto()
    SHUTDOWN_FAILED = auto()
    DEADLINE_PASSED = auto()


class Model(Protocol):
    """What the shell of a lifespan does."""

    def tell_started(self) -> Name | None:
        """Continue the start of the process."""

    def tell_failed(self) -> Name | None:
        """Report why the process cannot start."""

    def tell_ended(self) -> Name | None:
        """Continue the end of the process."""

    def order_shutdown(self) -> Name | None:
        """Let the application's receive() return lifespan.shutdown."""

    def cancel(self) -> Name | None:
        """Cancel the call."""


S, T = State, Trigger

STARTUP = Deadline(
    "startup", "lifespan_startup_timeout", 60.0, "for an application's lifespan.startup, then the process ends"
)
SHUTDOWN = Deadline(
    "shutdown", "lifespan_shutdown_timeout", 30.0, "for an application's lifespan.shutdown, then it is cancelled"
)
CANCEL = Deadline(
    "cancel",
    "lifespan_cancel_timeout",
    10.0,
    "for a lifespan call to return, then the server stops waiting for it",
)

_END = "the end of the lifespan call"

SPECS = (
    Spec(
        S.STARTING, Interest.NOTHING, STARTUP, "", "lifespan.startup has not been answered", awaits="lifespan.startup"
    ),
    Spec(
        S.UP,
        Interest.NOTHING,
        Unbounded("it lasts as long as the process serves"),
        "",
        "it has started up",
        awaits="the end of the process",
    ),
    Spec(
        S.STOPPING,
        Interest.NOTHING,
        SHUTDOWN,
        "",
        "lifespan.shutdown has not been answered",
        awaits="lifespan.shutdown",
    ),
    Spec(S.ENDING, Interest.NOTHING, CANCEL, "", "its call is ending, or was cancelled", awaits=_END),
    Spec(
        S.ENDED,
        Interest.NOTHING,
        Unbounded("it is final"),
        "",
        "its call has ended, or the application has no lifespan",
        final=True,
    ),
)

ROWS = (
    # --- the application starts up
    Row(S.STARTING, T.STARTUP_COMPLETE, S.UP, action="tell_started", way=Way.HAPPY),
    Row(S.STARTING, T.STARTUP_FAILED, S.ENDING, action="tell_failed", way=Way.FAULT, ends=Cause.SERVER),
    Row(S.STARTING, T.TASK_ENDED, S.ENDED, action="tell_started", ends=Cause.SERVER),
    Row(S.STARTING, T.SHUTDOWN_ORDERED, S.ENDING, action="cancel", ends=Cause.OPERATOR),
    Row(S.STARTING, T.DEADLINE_PASSED, S.ENDING, action="tell_failed", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- requests are served
    Row(S.UP, T.SHUTDOWN_ORDERED, S.STOPPING, action="order_shutdown", way=Way.HAPPY),
    Row(S.UP, T.TASK_ENDED, S.ENDED, action="tell_ended", way=Way.FAULT, ends=Cause.SERVER),
    # --- the application shuts down
    Row(S.STOPPING, T.SHUTDOWN_COMPLETE, S.ENDING, way=Way.HAPPY, ends=Cause.OPERATOR),
    Row(S.STOPPING, T.SHUTDOWN_FAILED, S.ENDING, way=Way.FAULT, ends=Cause.SERVER),
    Row(S.STOPPING, T.TASK_ENDED, S.ENDED, action="tell_ended", ends=Cause.SERVER),
    Row(S.STOPPING, T.DEADLINE_PASSED, S.ENDING, action="cancel", way=Way.FAULT, ends=Cause.DEADLINE),
    # --- its call ends
    Row(S.ENDING, T.TASK_ENDED, S.ENDED, action="tell_ended", way=Way.HAPPY, ends=Cause.SERVER),
    Row(S.ENDING, T.DEADLINE_PASSED, S.ENDED, action="tell_ended", way=Way.FAULT, ends=Cause.DEADLINE),
)

TABLE = Table(
    name="lifespan",
    states=State,
    triggers=Trigger,
    initial=S.STARTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset({T.TASK_ENDED}),
)
