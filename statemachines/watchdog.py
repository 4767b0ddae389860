"""The machine of the x-ray's watchdog: does the main loop still turn?

    RESTING -> ASKING -> RESTING -> ...

It is on the x-ray's loop, on a thread of its own: a loop that stands still cannot notice that it does. It leaves a call
with the main loop. One that is not run in time while the loop is in a step of a machine is told to the log, with where
the step stands; and again when the loop turns. A loop that waits, and has been woken, only gets no processor: the
process was stopped, or the machine is too busy.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    RESTING = auto()
    ASKING = auto()
    BLOCKED = auto()
    CLOSED = auto()


class Trigger(Name):
    ANSWERED = auto()
    """The main loop has run the call."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """The x-ray ends, or a fault of ours ends the watchdog."""


class Model(Protocol):
    """What the shell of the watchdog does."""

    def is_in_step(self) -> bool:
        """Whether the main loop is in a step of a machine, and does not wait for readiness."""

    def ask(self) -> Name | None:
        """Leave a call with the main loop."""

    def report_blocked(self) -> Name | None:
        """Tell the log where the main loop stands."""

    def report_unblocked(self) -> Name | None:
        """Tell the log that the main loop turns again, and for how long it did not."""


S, T = State, Trigger

REST = Deadline("rest", "watchdog_interval", 1.0, "between an answer of the main loop and the next question")
ANSWER = Deadline("answer", "watchdog_timeout", 1.0, "for the main loop to answer the watchdog, else it is looked at")

SPECS = (
    Spec(S.RESTING, Interest.NOTHING, REST, "", "the main loop has answered", awaits="the time of the next question"),
    Spec(S.ASKING, Interest.NOTHING, ANSWER, "", "the main loop is asked", awaits="the main loop's answer"),
    Spec(
        S.BLOCKED,
        Interest.NOTHING,
        Unbounded("the code that blocks the loop ends when it ends; nothing can stop it"),
        "",
        "the main loop stands in a step, and the log was told",
        awaits="the main loop's answer",
    ),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the x-ray has ended", final=True),
)

ROWS = (
    Row(S.RESTING, T.DEADLINE_PASSED, S.ASKING, action="ask", way=Way.HAPPY),
    Row(S.RESTING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.SERVER),
    # --- the main loop is asked
    Row(S.ASKING, T.ANSWERED, S.RESTING, way=Way.HAPPY),
    Row(S.ASKING, T.DEADLINE_PASSED, S.BLOCKED, "is_in_step", "report_blocked", way=Way.FAULT),
    Row(S.ASKING, T.DEADLINE_PASSED, S.ASKING),
    Row(S.ASKING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.SERVER),
    # --- it stands still
    Row(S.BLOCKED, T.ANSWERED, S.RESTING, action="report_unblocked"),
    Row(S.BLOCKED, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.SERVER),
)

TABLE = Table(
    name="watchdog",
    states=State,
    triggers=Trigger,
    initial=S.RESTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
