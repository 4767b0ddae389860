"""The second opinion: an explicit-state checker of our own, in Python. It interprets a world without Promela or Spin.

A state is a tuple of small numbers: what each machine is in, and the world's variables. From each state every event is
tried, with the whole turn behind it, in all the ways in which guards and actions may go; breadth first, so that a
trace is one of the shortest. What it finds is an assertion that fails, a trigger for which there is no row, a walk that
does not end, or a promise that is not kept (by a cycle in which every fair process has its turn).
"""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from proof.graph import Graph, State
from proof.language import Python, trigger_number
from proof.world import LONGEST, QUEUE, UNFAIR, Layout, Passing, World, ends_of, events_of, passings

Message = tuple[int, int, int]
Step = Callable[[list[int], list[Message]], None]


class Broken(Exception):
    """An assertion of a world has failed; the message is the assertion."""


BORN = -1
"""Instead of a row: the machine was made."""


class Passed(NamedTuple):
    """A row that was passed: which machine's, the row's number, and the number of the trigger that its action handed
    back, or 0."""

    part: int
    row: int
    hands: int = 0


class Fault(NamedTuple):
    """What is wrong, and the way to it: for each event its name and the rows that were passed in its turn. `cycle` is
    what goes on forever, where a promise is not kept."""

    what: str
    trace: list[tuple[str, list[Passed]]]
    cycle: list[tuple[str, list[Passed]]] = []


class Outcome(NamedTuple):
    """What an exploration has found."""

    states: int
    transitions: int
    seconds: float
    fault: Fault | None
    rows: set[tuple[str, int]]
    """Table and number of the rows that were passed."""
    is_whole: bool = True
    """Whether all was explored; else the promises were not looked at."""


class _Way(NamedTuple):
    guard: Callable[[list[int]], bool]
    step: Step
    dest: int
    row: int
    hands: int
    ends: bool
    ended: Step


_Moment = tuple[list[int], list[Message], int, int, int, tuple[Passed, ...]]
"""In a turn: the variables, the messages that wait, whose walk it is, by which trigger it goes on (0: it has come to
rest), whether that may be dropped, and the rows that were passed."""

Fits = Callable[[tuple[Passed, ...]], bool]


class Explorer:
    """Explores one world. A turn may pass `longest` rows, and `queue` messages may wait at once: more is a fault."""

    def __init__(self, world: World, longest: int = LONGEST, queue: int = QUEUE) -> None:
        self.world = world
        self._longest, self._queue = longest, queue
        self.layout = Layout(world, "s[{index}]")
        self._printer = Python(self.layout)
        self._walks: list[dict[tuple[int, int], list[_Way]]] = []
        self._finals = [set(ends_of(part)) for part in world.parts]
        for part in world.parts:
            walk: dict[tuple[int, int], list[_Way]] = {}
            for one in passings(part):
                walk.setdefault((one.source, one.trigger), []).append(self._way(one))
            self._walks.append(walk)
        self.events = events_of(world)
        self._events: list[tuple[Callable[[list[int]], bool], Step, int, int]] = []
        for event in self.events:
            number, trigger = -1, 0
            if event.trigger:
                number = self.layout.index[event.part]
                trigger = trigger_number(self.layout.table(event.part), event.trigger)
            self._events.append((self._guard(event.when), self._step(event.do), number, trigger))
        self._always = [(one.name, self._guard(one.holds)) for one in world.always]

    # --- compiling

    def _guard(self, text: str) -> Callable[[list[int]], bool]:
        return eval(f"lambda s: {self._printer.expression(text)}")  # type: ignore[no-any-return]

    def _step(self, text: str) -> Step:
        lines = ["def step(s, q):", *(self._printer.block(text, 1) if text.strip() else []), "    return"]
        space: dict[str, Any] = {"Broken": Broken}
        exec("\n".join(lines), space)
        return space["step"]  # type: ignore[no-any-return]

    def _way(self, one: Passing) -> _Way:
        return _Way(
            self._guard(one.guard), self._step(one.do), one.dest, one.row, one.hands, one.ends, self._step(one.ended)
        )

    # --- one turn

    def turns(self, state: State, event: int, fits: Fits | None = None) -> Iterator[tuple[State, tuple[Passed, ...]]]:
        """The states in which all rest after an event, with the rows that were passed. Raises Broken, whose second
        argument are those rows. With `fits` only the ways for which that holds, at every row, and in which nothing is
        broken; machines that are made are listed, too."""
        begun = self._begun(state, event, fits)
        stack = [] if begun is None else [begun]
        seen: set[tuple[State, tuple[Message, ...], int, int, int]] = set()
        while stack:
            s, q, part, trigger, optional, passed = stack.pop()
            if not trigger:
                if q:
                    stack.append(self._delivered(s, q, passed))
                else:
                    yield tuple(s), passed
                continue
            ways = self._walks[part].get((s[part], trigger))
            if ways is None:
                if optional:
                    stack.append((s, q, part, 0, 0, passed))
                elif fits is None:
                    raise Broken(self._no_row(s, part, trigger), passed)
                continue
            if len(passed) > self._longest:
                raise Broken("a turn does not end", passed)
            key = (tuple(s), tuple(q), part, trigger, len(passed) if fits is not None else 0)
            if key not in seen:
                seen.add(key)
                stack += self._walked(s, q, part, ways, passed, fits)

    def _begun(self, state: State, event: int, fits: Fits | None) -> _Moment | None:
        """A turn begins with the event; None where that cannot happen, or does not fit."""
        guard, step, part, trigger = self._events[event]
        s, q = list(state), list[Message]()
        if not guard(s):
            return None
        try:
            step(s, q)
        except Broken as broken:
            raise Broken(str(broken), ()) from None
        passed = self._born(state, s) if fits is not None else ()
        if fits is not None and passed and not fits(passed):
            return None
        return s, q, part, trigger, 0, passed

    def _delivered(self, s: list[int], q: list[Message], passed: tuple[Passed, ...]) -> _Moment:
        """The walk has come to rest: the next message is told. One that has ended is not told."""
        number, trigger, optional = q[0]
        return s, q[1:], number - 1, trigger if s[number - 1] else 0, optional, passed

    def _walked(
        self,
        s: list[int],
        q: list[Message],
        part: int,
        ways: Sequence[_Way],
        passed: tuple[Passed, ...],
        fits: Fits | None,
    ) -> list[_Moment]:
        """The machine passes a row, in each of its ways. Raises Broken, without `fits`."""
        found, is_possible = [], False
        for way in ways:
            if not way.guard(s):
                continue
            is_possible = True
            after, told, now = s[:], q[:], (*passed, Passed(part, way.row, way.hands))
            after[part] = way.dest
            try:
                way.step(after, told)
                if not way.hands and way.ends:
                    after[part] = 0
                    way.ended(after, told)
            except Broken as broken:
                if fits is None:
                    raise Broken(str(broken), now) from None
                continue
            if len(told) > self._queue:
                raise Broken("more messages wait than may", now)
            if fits is not None:
                now += self._born(s, after)
                if not fits(now):
                    continue
            found.append((after, told, part, way.hands, 0, now))
        if not is_possible and fits is None:
            raise Broken(f"{self.world.parts[part].name}: no way to go on", passed)
        return found

    def _born(self, before: Sequence[int], after: Sequence[int]) -> tuple[Passed, ...]:
        """The machines that were made between the two."""
        parts = range(len(self.world.parts))
        return tuple(Passed(part, BORN) for part in parts if after[part] and not before[part])

    def _no_row(self, s: list[int], part: int, trigger: int) -> str:
        one = self.world.parts[part]
        state = list(one.table.states.__members__)[s[part] - 1]
        return f"{one.name}: no row for {list(one.table.triggers.__members__)[trigger - 1]} in {state}"

    # --- all of it

    def explore(self, most: int = 10_000_000, *, liveness: bool = True, seconds: float = math.inf) -> Outcome:
        """Explore the world, up to `most` states, for about so many `seconds`: then what was seen is told as such.
        Raises OverflowError behind `most`."""
        begun = perf_counter()
        seen = Graph(tuple(self.layout.initial), keeps_edges=liveness and bool(self.world.eventually))
        fault, is_whole = None, True
        collects = gc.isenabled()
        gc.disable()  # there are millions of small tuples, and no cycles among them
        try:
            for number, state in enumerate(seen):
                if not number % 100 and perf_counter() - begun > seconds:
                    is_whole = False
                    break
                fault = self._looked_at(seen, number, state)
                if fault is not None:
                    break
                if len(seen.states) > most:
                    raise OverflowError(f"{self.world.name} has more than {most} states")
            if fault is None and is_whole and seen.keeps_edges:
                fault = self._broken_promise(seen)
        finally:
            if collects:
                gc.enable()
        rows = {(self.world.parts[part].table.name, row) for part, row in seen.rows}
        return Outcome(len(seen.states), seen.turns, perf_counter() - begun, fault, rows, is_whole)

    def _looked_at(self, seen: Graph, number: int, state: State) -> Fault | None:
        """See whether all holds in a state, and all that may happen in it."""
        listed = list(state)
        for name, holds in self._always:
            if not holds(listed):
                return Fault(name, self._trace(seen, number))
        for event in range(len(self._events)):
            try:
                for after, passed in self.turns(state, event):
                    seen.add(number, event, after)
                    seen.rows.update((one.part, one.row) for one in passed)
            except Broken as broken:
                what, passed = broken.args
                return Fault(what, [*self._trace(seen, number), (self.events[event].name, list(passed))])
        return None

    def _broken_promise(self, seen: Graph) -> Fault | None:
        processes = [
            {number for number, event in enumerate(self.events) if event.process == process}
            for process in sorted({event.process for event in self.events} - UNFAIR)
        ]
        for name, given, then in self.world.eventually:
            begins, kept = self._guard(given), self._guard(then)
            component = seen.stays(begins, kept, processes)
            if component:
                many = f"{len(component)} state{'s' * (len(component) > 1)} from which nothing leads on"
                what = f"{name}: given {given}, and never {then}"
                return Fault(what, self._trace(seen, min(component)), [(many, [])])
        return None

    def _trace(self, seen: Graph, number: int) -> list[tuple[str, list[Passed]]]:
        """The events from the beginning to a state, each with a way through its turn that leads on."""
        return [self._told(*one) for one in seen.path(number)]

    def _told(self, before: State, event: int, after: State) -> tuple[str, list[Passed]]:
        passed = next(passed for found, passed in self.turns(before, event) if found == after)
        return self.events[event].name, list(passed)
