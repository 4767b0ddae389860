"""The engine: rows -> one shared `transitions.Machine` -> compiled edges; `fire` runs to completion.

`transitions` is the definition (statemachines.definition). A connection is that definition's model, a slotted object
(`Machine`) that refers to its current node.

The library's own dispatch takes many microseconds for each trigger, so the definition is compiled once into nodes and
edges, and `fire` follows those. `Dispatch.TRANSITIONS` runs every trigger through the library instead; a property test
shows that both do the same.

`Engine.enter`, and the same few lines inlined in `Engine.walk`, are the only places that change a machine's state.
History, dwell times and counts are updated there, so they always agree with the state.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from clerestory.statemachines.contract import HUNG_UP, Deadline, Interest, Name, Row, Spec, Table
from clerestory.statemachines.definition import Compiled, TableError, define, rows_of

Action = Callable[[Any], Name | None]
Guard = Callable[[Any], bool]

HISTORY = 32
"""Transitions a machine remembers: ten usual exchanges, or all of an unusual one; 1.3 KiB when full."""

_EMPTY: list[Any] = [None] * 2 * HISTORY

BUCKETS = 64
"""Dwell buckets: bucket b counts stays of at least 2**(b - 1) and less than 2**b microseconds."""


class Dispatch(enum.StrEnum):
    """How a table is run: by compiled edges, or by the library itself."""

    COMPILED = "compiled"
    TRANSITIONS = "transitions"


class UnexpectedTrigger(Exception):
    """A trigger for which the machine's state has no row. The state does not change."""

    def __init__(self, machine: str, state: Name, trigger: Name) -> None:
        super().__init__(f"{machine}: no row for {trigger} in {state}")
        self.machine = machine
        self.state = state
        self.trigger = trigger


def _nothing(machine: object, ready: int) -> None:
    """The readiness handler of a final state: does nothing."""


def _no_action(machine: object) -> None:
    """The action of a row without one: does nothing."""


class Node:
    """A compiled state: its spec, where it leads, and how long machines have stayed in it."""

    __slots__ = (
        "accepted_events",
        "deadline",
        "dwell",
        "edges",
        "final",
        "index",
        "least",
        "limit",
        "mask",
        "spec",
        "state",
        "when_ready",
    )

    def __init__(self, spec: Spec, index: int, model: type, limits: Mapping[str, float], half_close: int = 0) -> None:
        self.spec = spec
        self.state = spec.state
        self.index = index
        self.mask = int(spec.waits_for & (Interest.READABLE | Interest.WRITABLE | Interest.HALF_CLOSE))
        if spec.waits_for & Interest.READABLE:
            # If the table has a state that waits for HALF_CLOSE, the states that read register it, too: it tells them
            # nothing new, and entering that state then costs no epoll_ctl.
            self.mask |= half_close
        self.accepted_events = self.mask | HUNG_UP
        self.final = spec.final
        self.edges: dict[Name, Edge] = {}
        self.dwell = [0] * BUCKETS
        self.when_ready: Callable[[Any, int], Name | None] = _method(model, spec.when_ready) or _nothing
        self.deadline = spec.deadline if isinstance(spec.deadline, Deadline) else None
        if self.deadline is None:
            self.limit = float("inf")
        elif self.deadline.min_rate:
            self.limit = 0.0  # every sweep asks the machine whether bytes move fast enough
        else:
            self.limit = limits.get(self.deadline.option, self.deadline.seconds)
        self.least = self.limit
        """Seconds in the state before a sweep calls `is_overdue` of the machine: no machine has a shorter deadline of
        its own."""


class Edge:
    """A compiled row. `otherwise` is the next row to try if the guard says no; `count` how often it was taken."""

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
    """A running machine: the model of its table's definition. Shells derive from it and add their actions.

    `since` is when it entered its state; `spent` the seconds it has stayed in each state (by `Node.index`) since the
    list was last replaced.
    """

    __slots__ = ("descriptor", "engine", "node", "payload", "registered", "ring", "ring_end", "since", "spent")

    def __init__(self, engine: "Engine", descriptor: int) -> None:
        self.engine = engine
        self.descriptor = descriptor
        self.registered = 0
        """The interest that is registered with the poller; set by the loop."""
        self.payload: Any = None
        """What came with the current trigger (`Loop.tell`); otherwise None."""
        self.ring = _EMPTY[:]
        """The history: a ring of time, edge, time, edge. A list of pairs would take twice the memory."""
        self.ring_end = 0
        """Where the next transition is written, over the oldest."""
        self.since = engine.clock()
        self.spent = [0.0] * len(engine.nodes)
        self.node = engine.initial

    @property
    def state(self) -> Name:
        """The current state. Only the engine changes it."""
        return self.node.state

    @property
    def history(self) -> list[tuple[float, Edge]]:
        """Its last transitions, oldest first: the time of each, and the edge."""
        return unrolled(self.ring, self.ring_end)

    def accepts(self, trigger: Name) -> bool:
        """Whether this state has a row for `trigger`."""
        return trigger in self.node.edges

    def is_about(self, payload: Any) -> bool:  # noqa: ARG002
        """Whether what came with a message (`Loop.tell`) is what the machine is at; else the message is dropped. A
        model that does one thing after another overrides this."""
        return True

    def is_overdue(self, now: float) -> bool:
        """Whether the state's deadline has passed. A model with paced states overrides this."""
        return now - self.since >= self.node.limit

    def facts(self) -> tuple[Any, ...]:
        """The fields of contract.Facts in their order; those at the end may be left out."""
        return ()

    def counts(self) -> tuple[Any, ...]:
        """The first six of these: who it is, and what it has counted. Called from another thread while the machine goes
        on: attributes that hold references to what comes and goes are not read there."""
        return self.facts()[:6]

    def want(self, interest: int | None) -> None:
        """Of a machine without a descriptor: what the poller would be asked for, were there one (Loop.set_interest)."""

    def write_soon(self) -> None:
        """The same, for Loop.defer_write."""

    def ended(self) -> None:
        """Called once by the loop when the machine has left the map: release everything except the descriptor."""

    def close(self) -> None:
        """Called once by the loop, after `ended` and between two batches of events: close the descriptor."""

    def __repr__(self) -> str:
        return f"<{self.engine.table.name} fd {self.descriptor} {self.node.state}>"


def unrolled(ring: list[Any], end: int) -> list[tuple[float, Edge]]:
    """The transitions of a ring that ends at `end`, oldest first."""
    whole = ring[end:] + ring[:end]
    return [(whole[at], whole[at + 1]) for at in range(0, len(whole), 2) if whole[at + 1] is not None]


class Engine:
    """One table, compiled for one class of models and one clock.

    `limits` maps a deadline's option to seconds; the table has the defaults. `observer` is called for each transition:
    for state changes in a debugging log. Raises TableError if the table is not sound, or if `model` lacks a method that
    the table names.

    `fire` runs a machine from a trigger until an action returns None. It raises UnexpectedTrigger, or what an action
    raises (the state is then the one that the row leads to).
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
        waits = [spec.waits_for for spec in table.specs]
        half_close = int(Interest.HALF_CLOSE) if any(wait & Interest.HALF_CLOSE for wait in waits) else 0
        self.nodes = [Node(spec, index, model, limits or {}, half_close) for index, spec in enumerate(table.specs)]
        rows = rows_of(self.definition, table)
        self.edges = _compile(rows, table, self.nodes, model)
        self._edges_by_transition = {row.transition: edge for row, edge in zip(rows, self.edges, strict=True)}
        self.initial = next(node for node in self.nodes if node.state is table.initial)
        self.fire = self.walk
        if dispatch is Dispatch.TRANSITIONS:
            self.definition.enter = self._enter_by_library
            self.fire = self._walk_by_library
        elif observer is not None:
            self.fire = self._walk_observed

    def walk(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, with the compiled edges."""
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
            ring = machine.ring
            end = machine.ring_end
            ring[end] = now
            ring[end + 1] = edge
            end += 2
            machine.ring_end = end if end < len(ring) else 0
            edge.count += 1
            machine.node = edge.dest
            trigger = edge.action(machine)

    def enter(self, machine: Machine, edge: Edge) -> None:
        """Record one transition. `walk` inlines this: the call would make a transition 25 % slower."""
        now = self.clock()
        stay = now - machine.since
        edge.source.dwell[int(stay * 1e6).bit_length()] += 1
        machine.spent[edge.source.index] += stay
        machine.since = now
        end = machine.ring_end
        machine.ring[end : end + 2] = (now, edge)
        machine.ring_end = (end + 2) % len(machine.ring)
        edge.count += 1
        machine.node = edge.dest
        if self._observer is not None:
            self._observer(machine, edge)

    def _walk_observed(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, calling the observer for each transition before its action runs."""
        while trigger is not None:
            edge = machine.node.edges.get(trigger)
            if edge is None:
                raise UnexpectedTrigger(self.table.name, machine.node.state, trigger)
            while edge.guard is not None and not edge.guard(machine):
                edge = edge.otherwise
            self.enter(machine, edge)
            trigger = edge.action(machine)

    def _walk_by_library(self, machine: Machine, trigger: Name | None) -> None:
        """`fire`, with the library choosing the row and calling guard and action."""
        while trigger is not None:
            if not machine.accepts(trigger):
                raise UnexpectedTrigger(self.table.name, machine.node.state, trigger)
            self.definition.handed_back = None
            self.definition.events[trigger].trigger(machine)
            trigger = self.definition.handed_back

    def _enter_by_library(self, machine: Machine, transition: Any) -> None:
        self.enter(machine, self._edges_by_transition[transition])

    def ended(self) -> int:
        """How many machines have reached a final state."""
        return sum(edge.count for edge in self.edges if edge.dest.final)


def _compile(rows: list[Compiled], table: Table, nodes: list[Node], model: type) -> list[Edge]:
    """Nodes linked by edges, made from the definition's transitions; in the order of the table's rows."""
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
            raise TableError(f"{table.name}: {edge!r}: guarded rows must be above exactly one unguarded default")
    return edges


def _method(model: type, name: str) -> Callable[..., Any] | None:
    """The model's method of that name; None if the name is empty."""
    if not name:
        return None
    found = getattr(model, name, None)
    if found is None:
        raise TableError(f"{model.__name__} has no method {name}, which its table names")
    return found  # type: ignore[no-any-return]
