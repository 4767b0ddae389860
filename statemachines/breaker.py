"""The machine of a circuit breaker: whether a backend is worth asking.

    UP -> DOWN -> TRYING -> UP

A backend that fails as often in a row as is not forgiven is left alone for a while (DOWN), so that requests do not wait
for it, nor it for them. Then one request tries it (TRYING): an answer brings it back, a failure takes it out again, for
longer. A backend whose own health checks fail is left alone until one succeeds (UNHEALTHY), whatever else it answers:
that is how it asks to be left alone.

It has no descriptor, and waits for facts that others bring: those that ask the backend, and a probe. How many failures
are forgiven, and how long the pauses are, is the shell's to say.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    UP = auto()
    DOWN = auto()
    TRYING = auto()
    UNHEALTHY = auto()
    CLOSED = auto()


class Trigger(Name):
    TRIPPED = auto()
    """It has failed as often in a row as is not forgiven; while it is tried, once."""
    RECOVERED = auto()
    """It has answered a request."""
    CHECK_FAILED = auto()
    """It has failed as many health checks in a row as are not forgiven."""
    CHECK_PASSED = auto()
    """It has passed a health check."""
    DEADLINE_PASSED = auto()
    RETIRED = auto()
    """Nobody asks the backend any more."""


class Model(Protocol):
    """What the shell of a breaker does."""

    def open(self) -> Name | None:
        """Begin the first pause, and tell that the backend is down."""

    def lengthen(self) -> Name | None:
        """Begin a longer pause."""

    def shun(self) -> Name | None:
        """Tell that the backend is down."""

    def restore(self) -> Name | None:
        """Forget the failures, and tell that the backend is up."""


S, T = State, Trigger

DOWN = Deadline(
    "down",
    "upstream_down_timeout",
    1.0,
    "that an upstream is not used after three failures in a row; it doubles each time, up to 30",
)

SPECS = (
    Spec(
        S.UP, Interest.NOTHING, Unbounded("a backend may stay healthy for ever"), "", "it is asked", awaits="a failure"
    ),
    Spec(S.DOWN, Interest.NOTHING, DOWN, "", "it has failed, and is not used", awaits="the end of its pause"),
    Spec(
        S.TRYING,
        Interest.NOTHING,
        Unbounded("the request that tests it has a deadline, and no request is lost without one"),
        "",
        "one request may test it",
        awaits="an answer",
    ),
    Spec(
        S.UNHEALTHY,
        Interest.NOTHING,
        Unbounded("the probe has deadlines, and continues"),
        "",
        "its health checks fail, and it is not used",
        awaits="a health check that succeeds",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "it is no longer used", final=True),
)

ROWS = (
    # --- it is asked
    Row(S.UP, T.TRIPPED, S.DOWN, action="open", way=Way.HAPPY),
    Row(S.UP, T.CHECK_FAILED, S.UNHEALTHY, action="shun", way=Way.FAULT),
    Row(S.UP, T.RETIRED, S.CLOSED, ends=Cause.SERVER),
    # --- it is left alone for a while
    Row(S.DOWN, T.DEADLINE_PASSED, S.TRYING, way=Way.HAPPY),
    Row(S.DOWN, T.RECOVERED, S.UP, action="restore"),
    Row(S.DOWN, T.CHECK_PASSED, S.UP, action="restore"),
    Row(S.DOWN, T.CHECK_FAILED, S.UNHEALTHY, way=Way.FAULT),
    Row(S.DOWN, T.RETIRED, S.CLOSED, ends=Cause.SERVER),
    # --- one request tries it
    Row(S.TRYING, T.RECOVERED, S.UP, action="restore", way=Way.HAPPY),
    Row(S.TRYING, T.CHECK_PASSED, S.UP, action="restore"),
    Row(S.TRYING, T.TRIPPED, S.DOWN, action="lengthen", way=Way.FAULT),
    Row(S.TRYING, T.CHECK_FAILED, S.UNHEALTHY, way=Way.FAULT),
    Row(S.TRYING, T.RETIRED, S.CLOSED, ends=Cause.SERVER),
    # --- it asks to be left alone
    Row(S.UNHEALTHY, T.CHECK_PASSED, S.UP, action="restore"),
    Row(S.UNHEALTHY, T.RETIRED, S.CLOSED, ends=Cause.SERVER),
)

TABLE = Table(
    name="breaker",
    states=State,
    triggers=Trigger,
    initial=S.UP,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
