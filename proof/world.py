"""A world: machines together, each of its table, and what surrounds them.

What a table does not say is described here by its methods: in which ways an action may go, what each does to the
world, and what it returns. A method that is not described may return whatever its table declares, and does
nothing; a guard that is not described may answer either way. So a new row costs a world nothing.

Everything that happens begins with an *event* of one of the processes that surround the machines:

- `peers`: clients, upstreams, databases and the kernel do anything, or nothing forever;
- `operator`: orders anything at any moment, or nothing;
- `clock NAME`: passes the deadline of the machine NAME in any state that has one. The clock is weakly fair: a machine
  that stays in states with deadlines is found late at some time;
- others that a world names, such as a thread; they are fair as well.

An event is followed by the whole turn: the walk that it begins, and what is told by it, until all have come to rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clerestory.statemachines.contract import Deadline, Name, Table
from proof.language import WorldError, rows_of, state_number, trigger_number

MAYBE = "maybe "
"""Before a guard's expression: where it holds the guard may still say no."""

QUEUE = 12
"""Messages that may wait at once: more is a fault."""

LONGEST = 64
"""Rows passed in one turn at most: more is a walk that does not end."""

UNFAIR = frozenset({"peers", "operator"})
"""Processes that may do nothing forever."""


class Way(NamedTuple):
    """One way in which a method may go: where `when` holds it does `do`, and returns `hands`, or None."""

    hands: str = ""
    do: str = ""
    when: str = "True"


Ways = Mapping[str | tuple[str, str], Sequence[Way]]
"""The ways of methods, by name, or by state and name."""


class Event(NamedTuple):
    """Something that happens: where `when` holds, `do`; then `trigger` is fired at `part`, if it is named."""

    process: str
    when: str
    do: str
    part: str = ""
    trigger: str = ""
    name: str = ""


class Eventually(NamedTuple):
    """A promise of the world: whenever `given` holds, `then` holds at some later time."""

    name: str
    given: str
    then: str


class Always(NamedTuple):
    """What holds whenever all machines rest."""

    name: str
    holds: str


@dataclass(frozen=True)
class Part:
    """One machine. `born` when it is there from the beginning. `ways` are those of its methods, by name, or by state
    and name; `guards` the expressions of its guards. `ended` is what happens when it has reached its end, as in
    Machine.ended: by the final state, or by the last trigger, where these differ. `late` says when a deadline may
    pass; `outside` lists what others may fire at it."""

    name: str
    table: Table
    born: bool = True
    ways: Ways = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)
    ended: str | Mapping[str, str] = ""
    late: str = "True"
    ready_process: str = "peers"
    outside: Sequence[Event] = ()

    def ways_of(self, state: Name, method: str) -> list[Way]:
        """How `method` may go in `state`: only ways that return what the table declares there."""
        declared = self.table.handed_back(state, method)
        described = self.ways.get((str(state), method), self.ways.get(method))
        if described is None:
            return [Way(), *(Way(str(trigger)) for trigger in declared)]
        return [way for way in described if not way.hands or way.hands in declared]

    def ended_in(self, state: str, trigger: str) -> str:
        """What happens when it has come to its end in `state`, by `trigger`."""
        if isinstance(self.ended, str):
            return self.ended
        return self.ended.get(trigger) or self.ended.get(state) or ""


@dataclass(frozen=True)
class World:
    """Machines together. `variables` maps each name to its initial value; `bounds` says in words what is bounded, for
    the report."""

    name: str
    about: str
    parts: Sequence[Part]
    variables: Mapping[str, int]
    events: Sequence[Event] = ()
    always: Sequence[Always] = ()
    eventually: Sequence[Eventually] = ()
    bounds: Sequence[str] = ()

    def part(self, name: str) -> Part:
        """The machine called `name`. Raises KeyError."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def with_table(self, table: Table) -> "World":
        """The same world, where every machine of the table of that name has this one."""
        parts = [replace(part, table=table) if part.table.name == table.name else part for part in self.parts]
        return replace(self, parts=parts)


class Layout:
    """Where a world's variables are, and what its machines are called: the Names of the language. The first variables
    are the states of the machines."""

    def __init__(self, world: World, pattern: str) -> None:
        self.world = world
        self._pattern = pattern
        self.names = [*(part.name for part in world.parts), *world.variables]
        if len(set(self.names)) != len(self.names):
            raise WorldError(f"{world.name}: a name is used twice")
        self.index = {name: number for number, name in enumerate(self.names)}
        self.parts = {part.name: part for part in world.parts}
        self.initial = [initial_of(part) for part in world.parts] + list(world.variables.values())

    def variable(self, name: str) -> str:
        """As Names.variable."""
        return self._pattern.format(index=self.index[name], name=name)

    def table(self, part: str) -> Table:
        """As Names.table."""
        return self.parts[part].table

    def number(self, part: str) -> int:
        """As Names.number."""
        return self.index[part] + 1


def initial_of(part: Part) -> int:
    """The number of the state in which the world begins with `part`."""
    return state_number(part.table, part.table.initial) if part.born else 0


class Passing(NamedTuple):
    """One way through one row: from `source` on `trigger` where `guard` holds, to `dest`; do `do`; return `hands`, a
    trigger's number or 0. `row` is the row's number in the table."""

    source: int
    trigger: int
    guard: str
    dest: int
    row: int
    do: str
    hands: int
    ends: bool
    ended: str


def passings(part: Part) -> list[Passing]:
    """Every way through every row of a machine's table."""
    table = part.table
    finals = {spec.state for spec in table.specs if spec.final}
    numbers = {id(row): number for number, row in enumerate(table.rows)}
    found = []
    for state in table.states:
        for trigger in table.triggers:
            denied: list[str] = []
            for row in rows_of(table, state, trigger):
                known = part.guards.get(row.guard, "")
                is_free = known.startswith(MAYBE)
                asked = [*denied, known.removeprefix(MAYBE)] if known else denied
                condition = " and ".join(f"({one})" for one in asked) or "True"
                if known and not is_free:
                    denied = [*denied, f"not ({known})"]
                for way in part.ways_of(row.dest, row.action) if row.action else [Way()]:
                    hands = trigger_number(table, way.hands) if way.hands else 0
                    when = condition if way.when == "True" else f"({condition}) and ({way.when})"
                    source, dest = state_number(table, state), state_number(table, row.dest)
                    ends = row.dest in finals
                    number = trigger_number(table, trigger)
                    ended = part.ended_in(str(row.dest), str(trigger)) if ends else ""
                    found.append(Passing(source, number, when, dest, numbers[id(row)], way.do, hands, ends, ended))
    return found


def events_of(world: World) -> list[Event]:
    """Everything that may happen: what is seen when ready, deadlines that pass, what the world and its parts say."""
    found: list[Event] = []
    for part in world.parts:
        found += _readiness(part) + _deadline(part) + list(part.outside)
    return found + list(world.events)


def _readiness(part: Part) -> list[Event]:
    found = []
    for spec in part.table.specs:
        if spec.when_ready:
            for way in part.ways_of(spec.state, spec.when_ready):
                if way.hands or way.do:
                    when = f"at({part.name}, {spec.state}) and ({way.when})"
                    name = f"{part.name}: {spec.when_ready}: {way.hands or 'nothing'}"
                    found.append(Event(part.ready_process, when, way.do, part.name * bool(way.hands), way.hands, name))
    return found


def _deadline(part: Part) -> list[Event]:
    timed = [str(spec.state) for spec in part.table.specs if isinstance(spec.deadline, Deadline)]
    if not timed:
        return []
    when = f"at({part.name}, {', '.join(timed)}) and ({part.late})"
    name = f"{part.name}: its deadline passes"
    return [Event(f"clock {part.name}", when, "", part.name, "DEADLINE_PASSED", name)]


def orders(part: str) -> Event:
    """The operator orders `part` closed, where it can be."""
    return Event("operator", f"heeds({part}, CLOSE_ORDERED)", "", part, "CLOSE_ORDERED", f"{part}: closed by order")


def closable(*parts: str, unless: str = "") -> list[Always]:
    """The operator can close each of them in every state, but where that is on its way already."""
    also = f" or {unless}" if unless else ""
    return [
        Always(f"it can be closed by order ({part})", f"not alive({part}) or heeds({part}, CLOSE_ORDERED){also}")
        for part in parts
    ]


def ends_of(part: Part) -> list[int]:
    """The numbers of the final states of a machine."""
    return [state_number(part.table, str(spec.state)) for spec in part.table.specs if spec.final]
