"""The machine that watches an application's source files, with --reload. It has no descriptor: files are looked at a
few times a second, which works on every file system, also on those of a container or over a network."""

from enum import auto
from typing import Protocol

from clerestory.statemachines.contract import Cause, Deadline, Interest, Name, Row, Spec, Table, Unbounded, Way


class State(Name):
    WATCHING = auto()
    CLOSED = auto()


class Trigger(Name):
    DEADLINE_PASSED = auto()
    CLOSE_ORDERED = auto()
    """The files cannot be looked at."""


class Model(Protocol):
    """What the shell of a watch does."""

    def look(self) -> Name | None:
        """Look at the files; tell of a change."""


S, T = State, Trigger

LOOK = Deadline("look", "reload_interval", 0.25, "between two looks at an application's source files, with --reload")

SPECS = (
    Spec(S.WATCHING, Interest.NOTHING, LOOK, "", "no file has changed", awaits="the time of the next look"),
    Spec(S.CLOSED, Interest.NOTHING, Unbounded("it is final"), "", "it no longer looks", final=True),
)

ROWS = (
    Row(S.WATCHING, T.DEADLINE_PASSED, S.WATCHING, action="look", way=Way.HAPPY),
    Row(S.WATCHING, T.CLOSE_ORDERED, S.CLOSED, ends=Cause.OPERATOR),
)

TABLE = Table(
    name="sources",
    states=State,
    triggers=Trigger,
    initial=S.WATCHING,
    specs=SPECS,
    rows=ROWS,
    departures=frozenset(),
)
