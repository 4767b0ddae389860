"""What there is to be drawn of one machine, whatever it is drawn with.

The states and transitions are read from the library's machine (`statemachines.engine.define`), the same that the engine
compiles; the table adds what the library does not know: interest, deadlines, which rows are the usual path. Rows of
one look between the same two states become one arrow with several lines.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import transitions

from clerestory.statemachines.contract import Deadline, Name, Row, Spec, Table, Unbounded, Way
from clerestory.statemachines.definition import define


class Line(NamedTuple):
    """One transition's text."""

    trigger: str
    guard: str
    action: str

    def condition(self) -> str:
        """`[guard] / action`, or what there is of it."""
        return " ".join(part for part in (self.guard and f"[{self.guard}]", self.action and f"/ {self.action}") if part)


class Look(enum.Enum):
    """How an arrow is drawn: by the kind of its rows, and whether it is time that passed."""

    HAPPY = "the usual path"
    NORMAL = "other normal paths"
    LATE = "a deadline passed"
    FAULT = "something went wrong"
    FAULT_LATE = "a deadline passed, and something is lost"


class Arrow(NamedTuple):
    """What leads from one state to another and looks alike."""

    source: Name
    dest: Name
    look: Look
    lines: tuple[Line, ...]


class Lane(NamedTuple):
    """States that are known by one phrase."""

    phrase: str
    states: tuple[str, ...]


LANES = {
    "connection": (
        Lane("reading request", ("AWAITING_REQUEST", "READING_HEAD", "READING_BODY")),
        Lane("querying backend", ("QUERYING_BACKEND", "HALF_CLOSED")),
        Lane("sending response", ("PRODUCING", "SENDING_RESPONSE", "EXCHANGING")),
    )
}
"""The phrases by which a machine is known in every conversation."""


@dataclass(frozen=True)
class Picture:
    """One machine as it is drawn. Arrows are in the order of the table's rows."""

    name: str
    initial: Name
    specs: tuple[Spec, ...]
    arrows: tuple[Arrow, ...]
    lanes: tuple[Lane, ...]

    @property
    def finals(self) -> list[Name]:
        """The final states."""
        return [spec.state for spec in self.specs if spec.final]

    def looks(self) -> list[Look]:
        """The looks that occur, the usual path first."""
        return [look for look in Look if any(arrow.look is look for arrow in self.arrows)]


def picture_of(table: Table) -> Picture:
    """The picture of `table`, by way of its library's machine. Raises ValueError where the two disagree."""
    definition = define(table)
    found = [(row, _line(row, transition)) for row, transition in _joined(definition, table)]
    found.sort(key=lambda pair: _place(pair[0], table))
    arrows = []
    for (source, dest, look), rows in groupby(found, key=lambda pair: (pair[0].source, pair[0].dest, look_of(pair[0]))):
        arrows.append(Arrow(source, dest, look, tuple(line for _, line in rows)))
    specs = tuple(table.spec(state) for state in table.states if state.name in definition.states)
    initial = next(state for state in table.states if state.name == definition.initial)
    return Picture(table.name, initial, specs, tuple(arrows), LANES.get(table.name, ()))


def _joined(definition: transitions.Machine, table: Table) -> Iterable[tuple[Row, transitions.Transition]]:
    """Each row with the library's transition that it became."""
    waiting = {
        (state.name, trigger.name): iter(definition.get_transitions(trigger.name, state.name))
        for state in table.states
        for trigger in table.triggers
    }
    pairs = [(row, next(waiting[row.source.name, row.trigger.name], None)) for row in table.rows]
    if len(pairs) != len(definition.get_transitions()):
        raise ValueError(f"{table.name}: its machine has other transitions than its table has rows")
    return [(row, transition) for row, transition in pairs if transition is not None]


def _line(row: Row, transition: transitions.Transition) -> Line:
    guards = [str(condition.func) for condition in transition.conditions]
    actions = [str(action) for action in transition.after]
    if (transition.dest, guards, actions) != (
        row.dest.name,
        [row.guard][: bool(row.guard)],
        [row.action][: bool(row.action)],
    ):
        raise ValueError(f"{row.source} on {row.trigger}: its transition is not the row's")
    return Line(row.trigger.name, "".join(guards), "".join(actions))


def _place(row: Row, table: Table) -> tuple[int, int, int]:
    """Arrows of one state stand together, in the order of the first row of each."""
    alike = (row.source, row.dest, look_of(row))
    first = next(index for index, other in enumerate(table.rows) if (other.source, other.dest, look_of(other)) == alike)
    return (list(table.states).index(row.source), first, table.rows.index(row))


def look_of(row: Row) -> Look:
    """How a row is drawn."""
    late = row.trigger.name == "DEADLINE_PASSED"
    if row.way is Way.HAPPY:
        return Look.HAPPY
    if row.way is Way.FAULT:
        return Look.FAULT_LATE if late else Look.FAULT
    return Look.LATE if late else Look.NORMAL


def limit_of(spec: Spec) -> str:
    """`keep-alive 15 s`, `body 30 s idle, or under 240 bytes/s`, or `no deadline`; nothing for a final state."""
    if spec.final:
        return ""
    if isinstance(spec.deadline, Unbounded):
        return "no deadline"
    return _duration(spec.deadline)


def _duration(deadline: Deadline) -> str:
    pace = f" idle, or under {deadline.min_rate} bytes/s" if deadline.min_rate else " idle" * deadline.idle
    return f"{deadline.name} {deadline.seconds:g} s{pace}"


def waits_of(spec: Spec) -> str:
    """`waits for readable`; a final state waits no more."""
    return "final" if spec.final else f"waits for {spec.phrase()}"
