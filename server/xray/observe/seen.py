"""What every machine of a loop was doing at one moment: a copy, made in as little time as possible.

It is a few flat lists. A tuple for each machine would be 10,000 more objects for the collector of cycles, which looks
through everything that lives when that many are new, and the whole interpreter stands still for it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import Any

from clerestory.statemachines.contract import Facts, Interest
from clerestory.statemachines.engine import Machine, Node

Seen = tuple[Machine, Node, float, tuple[Any, ...]]
"""A machine, where it stood, since when, and the fields of its contract.Facts."""

_NODE, _SINCE = attrgetter("node"), attrgetter("since")

BYTES_IN, BYTES_OUT, SERVED = map(Facts._fields.index, ("bytes_in", "bytes_out", "served"))
_FACTS, _COUNTS = methodcaller("facts"), methodcaller("counts")


class Seens:
    """What was seen: a sequence of Seen, each made when it is asked for.

    Where every machine stands, and since when, is copied at once; and what each is doing, but for those that do
    nothing: they are many, and they have nothing to tell but who they are and what they have counted. That is asked for
    a moment later, when the loop goes on (`complete`).
    """

    __slots__ = ("_begins", "_crowds", "_ends", "_facts", "_machines", "_nodes", "_quiet", "_sinces")

    def __init__(self, machines: Iterable[Machine]) -> None:
        """Copy: the one step that a loop stands still for."""
        self._machines = machines = list(machines)
        self._nodes = nodes = list(map(_NODE, machines))
        self._sinces: list[float] = list(map(_SINCE, machines))
        one_of_each = dict(zip(nodes, machines, strict=True))
        quiet = {node for node, machine in one_of_each.items() if _is_quiet(node, machine)}
        self._facts: list[Any] = []
        self._begins, self._ends = [0] * len(machines), [0] * len(machines)
        self._tell(position for position, node in enumerate(nodes) if node not in quiet)
        self._quiet = quiet
        self._crowds: dict[Node, Crowd] | None = None

    def complete(self) -> None:
        """Ask the machines that do nothing, too; what is known by now of any that has begun to do something since is
        left out. For the thread that looks."""
        quiet, self._quiet = self._quiet, set()
        if quiet:
            self._tell((position for position, node in enumerate(self._nodes) if node in quiet), _COUNTS)

    def _tell(self, positions: Iterable[int], told: Callable[[Machine], tuple[Any, ...]] = _FACTS) -> None:
        facts, machines, begins, ends = self._facts, self._machines, self._begins, self._ends
        for position in positions:
            begins[position] = len(facts)
            facts += told(machines[position])
            ends[position] = len(facts)

    def __len__(self) -> int:
        return len(self._machines)

    def __getitem__(self, position: int) -> Seen:
        if self._quiet:
            self.complete()
        facts = tuple(self._facts[self._begins[position] : self._ends[position]])
        return self._machines[position], self._nodes[position], self._sinces[position], facts

    def __iter__(self) -> Iterator[Seen]:
        return map(self.__getitem__, range(len(self)))

    # --- all at once: what would take a Seen for each otherwise

    def crowds(self) -> "dict[Node, Crowd]":
        """The machines that stand on each node: how many, and since when the first of them; counted once."""
        if self._crowds is None:
            found: dict[Node, Crowd] = {}
            for machine, node, since in zip(self._machines, self._nodes, self._sinces, strict=True):
                here = found.get(node)
                if here is None:
                    found[node] = Crowd(machine, 1, since)
                else:
                    here.count += 1
                    if since < here.since:
                        here.since = since
            self._crowds = found
        return self._crowds

    def at(self, wanted: Callable[[Machine, Node], bool]) -> list[int]:
        """The positions of the machines on such nodes: `wanted` is asked once for each, with one of its machines."""
        nodes = {node for node, crowd in self.crowds().items() if wanted(crowd.machine, node)}
        return [position for position, node in enumerate(self._nodes) if node in nodes]

    def since(self, position: int) -> float:
        """Since when that machine is in its state."""
        return self._sinces[position]

    def sums(self, positions: Iterable[int]) -> tuple[int, int, int]:
        """Bytes in and out, and requests, of these; each of them has to be one that tells them."""
        if self._quiet:
            self.complete()
        facts, bytes_in, bytes_out, served = self._facts, 0, 0, 0
        for begin in map(self._begins.__getitem__, positions):
            bytes_in += facts[begin + BYTES_IN]
            bytes_out += facts[begin + BYTES_OUT]
            served += facts[begin + SERVED]
        return bytes_in, bytes_out, served

    def fact(self, position: int, number: int) -> Any:
        """One of that machine's facts, by its place in contract.Facts; None where it tells none."""
        if self._quiet:
            self.complete()
        begin = self._begins[position] + number
        return self._facts[begin] if begin < self._ends[position] else None


@dataclass(slots=True)
class Crowd:
    """Those who stand on one node: one of them, how many there are, and since when the first of them is there."""

    machine: Machine
    count: int
    since: float


def _is_quiet(node: Node, machine: Machine) -> bool:
    """Whether a machine of that kind does nothing there: where it begins and waits to be asked, without a pace."""
    asked = node.spec.waits_for & Interest.READABLE
    return bool(asked) and node is machine.engine.initial and node.limit > 0
