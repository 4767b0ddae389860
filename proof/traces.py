"""What machines have really done together, held against a world: is there a way through it that shows the same?

A trace is the rows that all machines of one loop have passed, in their order. Of what a world knows besides (what peers
do, what lies in which buffer) it says nothing: so all the states are followed in which the world may be. Which machine
is which of the world's is not said either: it is bound to one when it first moves.

A trace that no way leads through shows that something does to others what its world does not say, or not in that order:
a wake-up that is lost, a slot that is given back twice. Each machine by itself may well agree with its table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from clerestory.statemachines.tables import TABLES
from proof.explorer import BORN, Broken, Explorer, Passed
from proof.graph import State
from proof.language import state_number, trigger_number
from proof.world import World

MOST = 20_000
"""States in which the world may be at once: with more of them nothing is decided."""


LONGEST, QUEUE = 4096, 1024
"""Rows that are passed in a turn, and messages that wait at once: a trace may have more machines than other worlds."""


class Step(NamedTuple):
    """A machine has passed the row of that number of its table, or was made (BORN). `machine` is any name that no other
    one has."""

    machine: str
    table: str
    row: int
    hands: str | None = None
    """The trigger that the row's action has handed back, or ""; None where that is not known."""


class Undecided(Exception):
    """The world may be in more states than are followed."""


class Followed(NamedTuple):
    """How far a trace could be followed. `refused` is the step that does not fit, in words; empty where all do."""

    steps: int
    most: int
    """In how many states the world may have been at once."""
    refused: str


class _Belief(NamedTuple):
    state: State
    bound: tuple[str, ...]
    """For each machine of the world the one of the trace that it stands for; empty where it has not moved."""


def steps_of(recordings: Mapping[str, Mapping[str, Any]]) -> list[Step]:
    """A trace, of the recordings of single machines by their names (`clerestory replay`); their times say in which
    order. Raises ValueError for a transition that its table does not have."""
    found: list[tuple[float, Step]] = []
    for name, recording in recordings.items():
        table = TABLES[recording["machine"]]
        rows = {(str(row.source), str(row.trigger), str(row.dest), row.guard): at for at, row in enumerate(table.rows)}
        for one in recording["passages"]:
            key = one["source"], one["trigger"], one["dest"], one.get("guard") or ""
            if key not in rows:
                raise ValueError(f"{table.name}: no row {key}")
            found.append((one["at"], Step(name, table.name, rows[key])))
    return [step for _, step in sorted(found, key=lambda one: one[0])]


def in_words(step: Step) -> str:
    """The step, for people."""
    if step.row == BORN:
        return f"{step.table} {step.machine} is made"
    row = TABLES[step.table].rows[step.row]
    guard = f" [{row.guard}]" if row.guard else ""
    return f"{step.table} {step.machine}: {row.source} {row.trigger}{guard} -> {row.dest}"


class Follower:
    """Follows traces through one world. Machines of the tables `born` are bound when they are made, others when they
    first move."""

    def __init__(self, world: World, born: Sequence[str] = ()) -> None:
        self._explorer = Explorer(world, LONGEST, QUEUE)
        self._tables = [part.table for part in world.parts]
        self._is_bound_early = [part.table.name in born for part in world.parts]
        self._born = set(born)
        self._finals = [{str(spec.state) for spec in part.table.specs if spec.final} for part in world.parts]
        self._begins: dict[tuple[str, int], list[tuple[int, int]]] = {}
        """The events that begin with a trigger, and whose, by table and trigger."""
        self._others: list[int] = []
        """Those that only have others told."""
        for number, event in enumerate(self._explorer.events):
            if not event.trigger:
                self._others.append(number)
                continue
            part = self._explorer.layout.index[event.part]
            key = self._tables[part].name, trigger_number(self._tables[part], event.trigger)
            self._begins.setdefault(key, []).append((number, part))

    def follow(self, trace: Sequence[Step]) -> Followed:
        """Follow `trace`, of which only the machines count that the world knows. Raises Undecided."""
        known = {table.name for table in self._tables}
        steps = [step for step in trace if step.table in known and (step.row != BORN or step.table in self._born)]
        start = _Belief(tuple(self._explorer.layout.initial), ("",) * len(self._tables))
        waiting: dict[int, set[_Belief]] = {0: {start}}
        furthest = most = 0
        while waiting:
            furthest = min(waiting)
            if furthest == len(steps):
                return Followed(furthest, most, "")
            beliefs = waiting.pop(furthest)
            self._spread(beliefs, steps, furthest, waiting)
            most = max(most, len(beliefs))
        return Followed(furthest, most, f"step {furthest + 1} of {len(steps)}: {in_words(steps[furthest])}")

    def _spread(self, beliefs: set[_Belief], steps: Sequence[Step], at: int, waiting: dict[int, set[_Belief]]) -> None:
        """Find all that may be believed at a place of the trace, and what may be behind it."""
        stack = list(beliefs)
        while stack:
            for length, after in self._turns(stack.pop(), steps, at):
                if length:
                    waiting.setdefault(at + length, set()).add(after)
                elif after not in beliefs:
                    beliefs.add(after)
                    stack.append(after)
            if len(beliefs) > MOST:
                raise Undecided(f"more than {MOST} states at step {at + 1} of {len(steps)}")

    def _turns(self, belief: _Belief, steps: Sequence[Step], at: int) -> Iterator[tuple[int, _Belief]]:
        """The turns from `belief` on that show what comes in the trace from `at` on: how many steps each has, and what
        is believed behind it."""

        def fits(passed: tuple[Passed, ...]) -> bool:
            shown = self._shown(passed)
            return at + len(shown) <= len(steps) and self._bound(belief.bound, shown, steps, at) is not None

        for event in self._possible(belief, steps[at]):
            try:
                for after, passed in self._explorer.turns(belief.state, event, fits):
                    shown = self._shown(passed)
                    bound = self._bound(belief.bound, shown, steps, at)
                    assert bound is not None
                    there = tuple(name if after[one] else "" for one, name in enumerate(bound))
                    yield len(shown), _Belief(after, there)
            except Broken:
                pass  # what the world does not allow was not shown

    def _possible(self, belief: _Belief, step: Step) -> list[int]:
        """The events with which a turn may begin that shows `step` first, or nothing."""
        if step.row == BORN:
            return self._others
        table = TABLES[step.table]
        row = table.rows[step.row]
        source = state_number(table, row.source)
        begins = self._begins.get((step.table, trigger_number(table, row.trigger)), ())
        mine = (step.machine, "")
        return [
            *(event for event, part in begins if belief.state[part] == source and belief.bound[part] in mine),
            *self._others,
        ]

    def _shown(self, passed: Sequence[Passed]) -> list[Passed]:
        """What of a turn a trace shows."""
        return [one for one in passed if one.row != BORN or self._is_bound_early[one.part]]

    def _bound(
        self, bound: tuple[str, ...], shown: Sequence[Passed], steps: Sequence[Step], at: int
    ) -> list[str] | None:
        """Which machine stands for which behind what was shown; None where that is not what the trace shows."""
        names = list(bound)
        for one, step in zip(shown, steps[at:], strict=False):
            table = self._tables[one.part]
            if table.name != step.table or one.row != step.row:
                return None
            if step.hands is not None and one.hands != (trigger_number(table, step.hands) if step.hands else 0):
                return None
            if names[one.part] != step.machine:
                if names[one.part] or step.machine in names or (self._is_bound_early[one.part] and one.row != BORN):
                    return None
                names[one.part] = step.machine
            if one.row != BORN and str(table.rows[one.row].dest) in self._finals[one.part]:
                names[one.part] = ""
        return names
