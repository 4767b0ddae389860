"""The second opinion: an explicit-state checker of our own, in Python. It interprets a world without Promela or Spin.

A state is a tuple of small numbers: what each machine is in, and the world's variables. From each state every event is
tried, with the whole turn behind it, in all the ways in which guards and actions may go; breadth first, so that a
trace is one of the shortest. What it finds is an assertion that fails, a trigger for which there is no row, a walk that
does not end, or a promise that is not kept (by a cycle in which every fair process has its turn).
"""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from proof.language import Python, trigger_number
from proof.world import LONGEST, QUEUE, UNFAIR, Layout, Passing, World, ends_of, events_of, passings

State = tuple[int, ...]
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


class _Way(NamedTuple):
    guard: Callable[[list[int]], bool]
    step: Step
    dest: int
    row: int
    hands: int
    ends: bool
    ended: Step


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

    def turns(
        self, state: State, event: int, fits: Callable[[tuple[Passed, ...]], bool] | None = None
    ) -> Iterator[tuple[State, tuple[Passed, ...]]]:
        """The states in which all rest after an event, with the rows that were passed. Raises Broken, whose second
        argument are those rows. With `fits` only the ways for which that holds, at every row, and in which nothing is
        broken; machines that are made are listed, too."""
        guard, step, part, trigger = self._events[event]
        s = list(state)
        if not guard(s):
            return
        q: list[Message] = []
        try:
            step(s, q)
        except Broken as broken:
            raise Broken(str(broken), ()) from None
        passed: tuple[Passed, ...] = ()
        if fits is not None:
            passed = self._born(state, s)
            if passed and not fits(passed):
                return
        stack = [(s, q, part, trigger, 0, passed)]
        seen: set[tuple[State, tuple[Message, ...], int, int, int]] = set()
        while stack:
            s, q, part, trigger, optional, passed = stack.pop()
            if not trigger:
                if not q:
                    yield tuple(s), passed
                    continue
                part, trigger, optional = q[0]
                part, q = part - 1, q[1:]
                if not s[part]:
                    trigger = 0
                stack.append((s, q, part, trigger, optional, passed))
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
            if key in seen:
                continue
            seen.add(key)
            found = False
            for way in ways:
                if not way.guard(s):
                    continue
                found = True
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
                stack.append((after, told, part, way.hands, 0, now))
            if not found and fits is None:
                raise Broken(f"{self.world.parts[part].name}: no way to go on", passed)

    def _born(self, before: Sequence[int], after: Sequence[int]) -> tuple[Passed, ...]:
        """The machines that were made between the two."""
        parts = range(len(self.world.parts))
        return tuple(Passed(part, BORN) for part in parts if after[part] and not before[part])

    def _no_row(self, s: list[int], part: int, trigger: int) -> str:
        one = self.world.parts[part]
        state = list(one.table.states.__members__)[s[part] - 1]
        return f"{one.name}: no row for {list(one.table.triggers.__members__)[trigger - 1]} in {state}"

    # --- all of it

    def explore(self, most: int = 10_000_000, *, liveness: bool = True) -> Outcome:
        """Explore the world, up to `most` states. Raises OverflowError behind these."""
        begun = perf_counter()
        initial: State = tuple(self.layout.initial)
        parents: dict[State, tuple[State, int] | None] = {initial: None}
        frontier = [initial]
        transitions = 0
        rows: set[tuple[int, int]] = set()
        edges: dict[State, list[tuple[State, int]]] = {}
        keep = liveness and bool(self.world.eventually)

        def outcome(fault: Fault | None) -> Outcome:
            names = {(self.world.parts[part].table.name, row) for part, row in rows}
            return Outcome(len(parents), transitions, perf_counter() - begun, fault, names)

        while frontier:
            following: list[State] = []
            for state in frontier:
                listed = list(state)
                for name, holds in self._always:
                    if not holds(listed):
                        return outcome(Fault(name, self._trace(parents, state)))
                out: list[tuple[State, int]] = []
                for event in range(len(self._events)):
                    try:
                        for after, passed in self.turns(state, event):
                            transitions += 1
                            rows.update((one.part, one.row) for one in passed)
                            if keep:
                                out.append((after, event))
                            if after not in parents:
                                parents[after] = (state, event)
                                following.append(after)
                    except Broken as broken:
                        what, passed = broken.args
                        trace = [*self._trace(parents, state), (self.events[event].name, list(passed))]
                        return outcome(Fault(what, trace))
                if keep:
                    edges[state] = out
                if len(parents) > most:
                    raise OverflowError(f"{self.world.name} has more than {most} states")
            frontier = following
        for promise in self.world.eventually if keep else ():
            fault = self._unkept(promise.name, promise.given, promise.then, edges, parents)
            if fault is not None:
                return outcome(fault)
        return outcome(None)

    def _trace(self, parents: dict[State, tuple[State, int] | None], state: State) -> list[tuple[str, list[Passed]]]:
        """The events from the beginning to `state`, each with a way through its turn that leads on."""
        path: list[tuple[State, int, State]] = []
        while (before := parents[state]) is not None:
            path.append((before[0], before[1], state))
            state = before[0]
        return [self._told(*one) for one in reversed(path)]

    def _told(self, before: State, event: int, after: State) -> tuple[str, list[Passed]]:
        passed = next(passed for found, passed in self.turns(before, event) if found == after)
        return self.events[event].name, list(passed)

    # --- promises

    def _unkept(
        self,
        name: str,
        given: str,
        then: str,
        edges: dict[State, list[tuple[State, int]]],
        parents: dict[State, tuple[State, int] | None],
    ) -> Fault | None:
        """A way on which `given` comes to hold, and `then` never does although every fair process has its turns."""
        begins, kept = self._guard(given), self._guard(then)
        start = [state for state in edges if begins(list(state)) and not kept(list(state))]
        inside: set[State] = set(start)
        stack = list(start)
        while stack:
            state = stack.pop()
            for after, _ in edges[state]:
                if after not in inside and not kept(list(after)):
                    inside.add(after)
                    stack.append(after)
        processes = {event.process for event in self.events} - UNFAIR
        for component in _components(inside, edges):
            if self._is_fair(component, edges, processes):
                state = next(iter(component))
                what = f"{name}: given {given}, and never {then}"
                cycle: list[tuple[str, list[Passed]]] = [
                    (f"{len(component)} state{'s' * (len(component) > 1)} from which nothing leads on", [])
                ]
                return Fault(what, self._trace(parents, state), cycle)
        return None

    def _is_fair(self, component: set[State], edges: dict[State, list[tuple[State, int]]], processes: set[str]) -> bool:
        """Whether the world may stay in `component` forever: every fair process has a turn in it, or can do nothing in
        one of its states."""
        for process in processes:
            mine = {number for number, event in enumerate(self.events) if event.process == process}
            has_turn = any(event in mine and after in component for state in component for after, event in edges[state])
            if not has_turn and all(any(event in mine for _, event in edges[state]) for state in component):
                return False
        return True


def _components(inside: set[State], edges: dict[State, list[tuple[State, int]]]) -> Iterator[set[State]]:
    """The strongly connected components of a part of the graph (Tarjan's algorithm, without recursion)."""
    index: dict[State, int] = {}
    low: dict[State, int] = {}
    on_stack: set[State] = set()
    stack: list[State] = []
    for root in inside:
        if root in index:
            continue
        work: list[tuple[State, Iterator[tuple[State, int]]]] = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            state, out = work[-1]
            for after, _ in out:
                if after not in inside:
                    continue
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter(edges[after])))
                    break
                if after in on_stack:
                    low[state] = min(low[state], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == index[state]:
                    component: set[State] = set()
                    while state not in component:
                        one = stack.pop()
                        on_stack.discard(one)
                        component.add(one)
                    yield component
