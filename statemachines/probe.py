"""The machine of an upstream's health checks: it is asked every few seconds, so that no client has to find out.

    RESTING -> ASKING -> RESTING -> ...

It has no descriptor: the connection on which it asks is a machine of its own (statemachines.upstream), beside those of
the pool, so that a probe does not wait behind the requests whose fate it is to foretell. What ends without having asked
says nothing of the upstream.
"""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    RESTING = auto()
    ASKING = auto()
    CLOSED = auto()


class Trigger(Name):
    ANSWERED = auto()
    """The head of an answer has come."""
    REFUSED = auto()
    """The upstream was not reached, or gave no answer."""
    NOT_ASKED = auto()
    """The upstream was not asked: there was no descriptor for it, or its name is being looked up."""
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """An operator ends the probe that is under way, or a fault of ours does. The next one comes in its turn."""
    POOL_CLOSED = auto()
    """Nobody asks the upstream any more."""


class Model(Protocol):
    """What the shell of a probe does."""

    def ask(self) -> Name | None:
        """Ask the upstream, on a connection of its own."""

    def judge(self) -> Name | None:
        """An answer below 500 is a health check that was passed, another one is not."""

    def count_failure(self) -> Name | None:
        """A health check has failed."""

    def leave(self) -> Name | None:
        """Give the probe up that is under way. It says nothing of the upstream."""

    def leave_failed(self) -> Name | None:
        """Give the probe up that is under way. It has failed."""


S, T = State, Trigger

INTERVAL = Deadline(
    "interval", "upstream_probe_interval", 5.0, "between two probes of an upstream, up to a quarter more at random"
)
ANSWER = Deadline("probe", "upstream_probe_timeout", 2.0, "for an upstream to answer a probe, else it has failed")

SPECS = (
    Spec(S.RESTING, Interest.NOTHING, INTERVAL, "", "the next probe is not due", awaits="the next probe's time"),
    Spec(S.ASKING, Interest.NOTHING, ANSWER, "", "the upstream is asked", awaits="an answer"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "the upstream is no longer used", final=True),
)

ROWS = (
    # --- until the next one is due
    Row(S.RESTING, T.DEADLINE_PASSED, S.ASKING, action="ask", way=Way.HAPPY),
    Row(S.RESTING, T.CLOSE_ORDERED, S.RESTING),
    Row(S.RESTING, T.POOL_CLOSED, S.CLOSED, ends=Cause.SERVER),
    # --- the upstream is asked
    Row(S.ASKING, T.ANSWERED, S.RESTING, action="judge", way=Way.HAPPY),
    Row(S.ASKING, T.REFUSED, S.RESTING, action="count_failure", way=Way.FAULT),
    Row(S.ASKING, T.NOT_ASKED, S.RESTING),
    Row(S.ASKING, T.DEADLINE_PASSED, S.RESTING, action="leave_failed", way=Way.FAULT),
    Row(S.ASKING, T.CLOSE_ORDERED, S.RESTING, action="leave", way=Way.FAULT),
    Row(S.ASKING, T.POOL_CLOSED, S.CLOSED, action="leave", ends=Cause.SERVER),
)

TABLE = Table(
    name="probe",
    states=State,
    triggers=Trigger,
    initial=S.RESTING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
