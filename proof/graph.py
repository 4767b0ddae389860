"""The states of a world that were seen, and what leads from one to another.

States are numbered in the order in which they were found, and edges are kept as numbers: a state is a tuple of dozens,
and there are millions of edges.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence

State = tuple[int, ...]
"""What each machine is in, and the world's variables."""


class Graph:
    """All that was seen from `initial` on. Iterating over it gives the states in the order in which they were found,
    and goes on while some are added. With `keeps_edges` it knows what leads where."""

    def __init__(self, initial: State, *, keeps_edges: bool) -> None:
        self.keeps_edges = keeps_edges
        self.states: list[State] = [initial]
        self.turns = 0
        self.rows: set[tuple[int, int]] = set()
        """Part and number of the rows that were passed."""
        self._numbers = {initial: 0}
        self._parents: list[tuple[int, int] | None] = [None]
        self._edges: dict[int, array[int]] = {}
        """For each state the numbers of those behind it, and of the events that lead there, in turn."""

    def __iter__(self) -> Iterator[State]:
        yield from self.states

    def add(self, before: int, event: int, after: State) -> None:
        """A turn has led from the state `before` to `after`."""
        self.turns += 1
        number = self._numbers.setdefault(after, len(self.states))
        if number == len(self.states):
            self.states.append(after)
            self._parents.append((before, event))
        if self.keeps_edges:
            edges = self._edges.get(before)
            if edges is None:
                edges = self._edges[before] = array("L")
            if not (edges and edges[-1] == event and edges[-2] == number):
                edges.extend((number, event))

    def path(self, number: int) -> list[tuple[State, int, State]]:
        """A shortest way to a state: each step as the state before, the event, and the state behind it."""
        found: list[tuple[State, int, State]] = []
        while (parent := self._parents[number]) is not None:
            before, event = parent
            found.append((self.states[before], event, self.states[number]))
            number = before
        return found[::-1]

    # --- what may go on for ever

    def stays(
        self,
        begins: Callable[[list[int]], bool],
        kept: Callable[[list[int]], bool],
        processes: Sequence[set[int]],
    ) -> set[int]:
        """Where the world may stay for ever once `begins` has held, without `kept` ever holding, although each of the
        fair `processes`, which are sets of events, has its turns; empty where it cannot."""
        is_kept = [kept(list(state)) for state in self.states]
        stack = [at for at, state in enumerate(self.states) if not is_kept[at] and begins(list(state))]
        inside = set(stack)
        while stack:
            for after in self._behind(stack.pop()):
                if after not in inside and not is_kept[after]:
                    inside.add(after)
                    stack.append(after)
        for component in self._components(inside):
            if all(self._is_fair(component, mine) for mine in processes):
                return component
        return set()

    def _behind(self, number: int) -> Sequence[int]:
        return self._edges.get(number, _NONE)[::2]

    def _is_fair(self, component: set[int], mine: set[int]) -> bool:
        """Whether the process of the events `mine` has a turn in `component`, or can do nothing in one of its
        states."""
        may_do_nothing = False
        for number in component:
            edges = self._edges.get(number, _NONE)
            events = [(after, event) for after, event in zip(edges[::2], edges[1::2], strict=True) if event in mine]
            if any(after in component for after, _ in events):
                return True
            may_do_nothing = may_do_nothing or not events
        return may_do_nothing

    def _components(self, inside: set[int]) -> Iterator[set[int]]:
        """The strongly connected components of a part of it (Tarjan's algorithm, without recursion)."""
        index: dict[int, int] = {}
        low: dict[int, int] = {}
        on_stack: set[int] = set()
        stack: list[int] = []
        for root in inside:
            if root in index:
                continue
            work = [(root, iter(self._behind(root)))]
            index[root] = low[root] = len(index)
            stack.append(root)
            on_stack.add(root)
            while work:
                state, out = work[-1]
                for after in out:
                    if after not in inside:
                        continue
                    if after not in index:
                        index[after] = low[after] = len(index)
                        stack.append(after)
                        on_stack.add(after)
                        work.append((after, iter(self._behind(after))))
                        break
                    if after in on_stack:
                        low[state] = min(low[state], index[after])
                else:
                    work.pop()
                    if work:
                        low[work[-1][0]] = min(low[work[-1][0]], low[state])
                    if low[state] == index[state]:
                        yield _taken(stack, on_stack, state)


def _taken(stack: list[int], on_stack: set[int], until: int) -> set[int]:
    """What lies on the stack down to `until`."""
    found: set[int] = set()
    while until not in found:
        found.add(stack.pop())
    on_stack -= found
    return found


_NONE: "array[int]" = array("L")
