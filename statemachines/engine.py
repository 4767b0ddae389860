"""The engine: rows -> one shared `transitions.Machine` -> compiled edges; `fire` runs to completion.

`transitions` is the definition (statemachines.definition). A connection is that definition's model, a slotted object
(`Machine`) that knows the node it stands on.

The library's own dispatch takes many microseconds a trigger, so the definition is compiled once into nodes and edges,
and `fire` walks those. `Dispatch.TRANSITIONS` runs every trigger through the library instead; a property test shows
that both do the same.

The one door: `Engine.enter` and the same few lines written out in `Engine.walk` are the only places that move a
machine. History, dwell times and counts are kept there, so they cannot disagree with the state.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from statemachines.contract import HUNG_UP, Deadline, Interest, Name, Row, Spec, Table
from statemachines.definition import Compiled, TableError, define, passages

Action = Callable[[Any], Name | None]
Guard = Callable[[Any], bool]

HISTORY = 32
"""Edges a machine remembers: ten exchanges of the usual kind, or the whole of an odd one; 1.3 KiB when full."""

_EMPTY: list[Any] = [None] * 2 * HISTORY

BUCKETS = 64
"""Dwell buckets: bucket b counts stays of less than 2**b microseconds that no bucket before it counts."""


class Dispatch(enum.StrEnum):
    """Who walks the table: our compiled edges, or the library itself."""

    COMPILED = "compiled"
    TRANSITIONS = "transitions"


class UnexpectedTrigger(Exception):
    """A trigger for which the machine's state has no row. The state is left alone."""

    def __init__(self, machine: str, state: Name, trigger: Name) -> None:
        super().__init__(f"{machine}: nothing is to be done on {trigger} in {state}")
        self.machine = machine
        self.state = state
        self.trigger = trigger


def _nothing(machine: object, ready: int) -> None:
    """What a final state does with readiness."""


def _no_action(machine: object) -> None:
    """What a row without an action does."""


class Node:
    """A compiled state: its spec, where it leads, and how long machines have stayed in it."""

    __slots__ = (
        "deadline",
        "dwell",
        "edges",
        "final",
        "heeds",
        "index",
        "mask",
        "patience",
        "spec",
        "state",
        "when_ready",
    )

    def __init__(self, spec: Spec, index: int, model: type, limits: Mapping[str, float]) -> None:
        self.spec = spec
        self.state = spec.state
        self.index = index
        self.mask = int(spec.waits_for & (Interest.READABLE | Interest.WRITABLE))
        self.heeds = self.mask | HUNG_UP
        self.final = spec.final
        self.edges: dict[Name, Edge] = {}
        self.dwell = [0] * BUCKETS
        self.when_ready: Callable[[Any, int], Name | None] = _method(model, spec.when_ready) or _nothing
        self.deadline = spec.deadline if isinstance(spec.deadline, Deadline) else None
        if self.deadline is None:
            self.patience = float("inf")
        elif self.deadline.min_rate:
            self.patience = 0.0  # every sweep asks the machine itself whether bytes move fast enough
        else:
            self.patience = limits.get(self.deadline.option, self.deadline.seconds)


class Edge:
    """A compiled row. `otherwise` is the row below it, to be tried when the guard says no; `count` its passages."""

    __slots__ = ("action", "count", "dest", "guard", "otherwise", "row", "source", "trigger")

    def __init__(self, row: Row, source: Node, dest: Node, guard: Guard | None, action: Action | None) -> None:
        self.row = row
        self.trigger = row.trigger
        self.source = source
        self.dest = dest
        self.guard = guard
        self.action: Action = action or _no_action
        self.otherwise: Edge = self
        self.count = 0

    def __repr__(self) -> str:
        return f"{self.source.state} --{self.trigger}--> {self.dest.state}"


@mypyc_attr(allow_interpreted_subclasses=True)
class Machine:
    """A machine that runs: the model of its table's definition. Shells derive from it and add their actions.

    `since` is when it entered its state; `spent` the seconds it stayed in each state (by `Node.index`) since the list
    was last renewed.
    """

    __slots__ = ("descriptor", "engine", "node", "registered", "since", "spent", "trail", "trail_end")

    def __init__(self, engine: "Engine", descriptor: int) -> None:
        self.engine = engine
        self.descriptor = descriptor
        self.registered = 0
        """The interest that the poller has been told of; kept by the loop."""
        self.trail = _EMPTY[:]
        """The history as the engine keeps it: a ring of time, edge, time, edge. A pair each would cost twice the
        memory."""
        self.trail_end = 0
        """Where the next passage is written, over the oldest."""
        self.since = engine.clock()
        self.spent = [0.0] * len(engine.nodes)
        self.node = engine.initial

    @property
    def state(self) -> Name:
        """Where it stands. Only the engine moves it."""
        return self.node.state

    @property
    def history(self) -> list[tuple[float, Edge]]:
        """Its last passages, oldest first: the time of each, and the edge."""
        return unrolled(self.trail, self.trail_end)

    def accepts(self, trigger: Name) -> bool:
        """Whether there is a row for `trigger` in this state."""
        return trigger in self.node.edges

    def is_overdue(self, now: float) -> bool:
        """Whether the state's deadline has passed. Paced states are overridden by the model that moves the bytes."""
        return now - self.since >= self.node.patience

    def glance(self) -> tuple[Any, ...]:
        """The fields of contract.Facts in their order, as many as there is something to say of."""
        return ()

    def ended(self) -> None:
        """Called once by the loop when the machine has left the map: give back what it holds but the descriptor."""

    def close(self) -> None:
        """Called once by the loop, after `ended` and between two batches of events: close the descriptor."""

    def __repr__(self) -> str:
        return f"<{self.engine.table.name} fd {self.descriptor} {self.node.state}>"


def unrolled(trail: list[Any], end: int) -> list[tuple[float, Edge]]:
    """The passages of a trail that ends at `end`, oldest first."""
    whole = trail[end:] + trail[:end]
    return [(whole[at], whole[at + 1]) for at in range(0, len(whole), 2) if whole[at + 1] is not None]


class Engine:
    """One table, compiled for one class of models and one clock.

    `limits` maps a deadline's option to seconds; what is missing has the table's default. `observer` is told of each
    passage: for state changes in a debugging log. Raises TableError when the table is not sound, or when `model` lacks
    a method that it names.

    `fire` runs a machine from a trigger until an action hands back None. It raises UnexpectedTrigger, or what an action
    raises (the state is then the one the row led to).
    """

    fire: Callable[[Machine, Name | None], None]

    def __init__(
        self,
        table: Table,
        model: type,
        clock: Callable[[], float],
        limits: Mapping[str, float] | None = None,
        dispatch: Dispatch = Dispatch.COMPILED,
        observer: Callable[[Machine, Edge], None] | None = None,
    ) -> None:
        self.table = table
        self.clock = clock
        self._observer = observer
        self.definition = define(table)
        self.nodes = [Node(spec, index, model, limits or {}) for index, spec in enumerate(table.specs)]
        rows = passages(self.definition, table)
        self.edges = _compile(rows, table, self.nodes, model)
        self._passages = {row.transition: edge for row, edge in zip(rows, self.edges, strict=True)}
        self.initial = next(node for node in self.nodes if node.state is table.initial)
        self.fire = self.walk
        if dispatch is Dispatch.TRANSITIONS:
            self.definition.enter = self._enter_by_library
            self.fire = self._walk_by_library
        elif observer is not None:
            self.fire = self._walk_observed

    def walk(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, by the compiled edges."""
        clock = self.clock
        while trigger is not None:
            node = machine.node
            try:
                edge = node.edges[trigger]
            except KeyError:
                raise UnexpectedTrigger(self.table.name, node.state, trigger) from None
            while edge.guard is not None and not edge.guard(machine):
                edge = edge.otherwise
            now = clock()
            stay = now - machine.since
            dwell = node.dwell
            bucket = int(stay * 1e6).bit_length()
            dwell[bucket] = dwell[bucket] + 1
            spent = machine.spent
            spent[node.index] = spent[node.index] + stay
            machine.since = now
            trail = machine.trail
            end = machine.trail_end
            trail[end] = now
            trail[end + 1] = edge
            end += 2
            machine.trail_end = end if end < len(trail) else 0
            edge.count += 1
            machine.node = edge.dest
            trigger = edge.action(machine)

    def enter(self, machine: Machine, edge: Edge) -> None:
        """The one door, for those who have time; `walk` has it written out, a call costs a quarter of a passage."""
        now = self.clock()
        stay = now - machine.since
        edge.source.dwell[int(stay * 1e6).bit_length()] += 1
        machine.spent[edge.source.index] += stay
        machine.since = now
        end = machine.trail_end
        machine.trail[end : end + 2] = (now, edge)
        machine.trail_end = (end + 2) % len(machine.trail)
        edge.count += 1
        machine.node = edge.dest
        if self._observer is not None:
            self._observer(machine, edge)

    def _walk_observed(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, telling the observer of each passage before its action runs."""
        while trigger is not None:
            edge = machine.node.edges.get(trigger)
            if edge is None:
                raise UnexpectedTrigger(self.table.name, machine.node.state, trigger)
            while edge.guard is not None and not edge.guard(machine):
                edge = edge.otherwise
            self.enter(machine, edge)
            trigger = edge.action(machine)

    def _walk_by_library(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, with the library's own dispatch choosing the row and calling guard and action."""
        while trigger is not None:
            if not machine.accepts(trigger):
                raise UnexpectedTrigger(self.table.name, machine.node.state, trigger)
            self.definition.handed_back = None
            self.definition.events[trigger].trigger(machine)
            trigger = self.definition.handed_back

    def _enter_by_library(self, machine: Machine, passage: Any) -> None:
        self.enter(machine, self._passages[passage])

    def ended(self) -> int:
        """How many machines have reached a final state."""
        return sum(edge.count for edge in self.edges if edge.dest.final)


def _compile(rows: list[Compiled], table: Table, nodes: list[Node], model: type) -> list[Edge]:
    """Nodes linked by edges, made from the definition's passages; in the order of the table's rows."""
    by_name = {node.state.name: node for node in nodes}
    edges: list[Edge] = []
    for row, found in zip(table.rows, rows, strict=True):
        source, dest = by_name[found.source], by_name[found.dest]
        edge = Edge(row, source, dest, _method(model, found.guard), _method(model, found.action))
        above = source.edges.setdefault(row.trigger, edge)
        if above is not edge:
            while above.otherwise is not above:
                above = above.otherwise
            above.otherwise = edge
        edges.append(edge)
    for edge in edges:
        if (edge.guard is None) != (edge.otherwise is edge):
            raise TableError(f"{table.name}: {edge!r}: guarded rows stand above exactly one unguarded default")
    return edges


def _method(model: type, name: str) -> Callable[..., Any] | None:
    """The model's method of that name; None where no name is given."""
    if not name:
        return None
    found = getattr(model, name, None)
    if found is None:
        raise TableError(f"{model.__name__} has no method {name}, which its table names")
    return found  # type: ignore[no-any-return]
