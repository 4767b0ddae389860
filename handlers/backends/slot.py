"""Who waits for a slot of a pool: a queue, and the shell of each who stands in it.

The table (statemachines.slot) says what ends the waiting; which slots there are, and what is told to whoever waits in
vain, is the pool's to say. One who waits is in the loop's map under a negative number, for he has no descriptor.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from handlers.operations import placeless, span
from statemachines.contract import Loop, Table
from statemachines.engine import Engine, Machine
from statemachines.slot import Trigger as T


class Asker(Protocol):
    """Whoever needs a slot. `slot` is set while it waits for one."""

    slot: "Slot[Any] | None"


A = TypeVar("A", bound=Asker)
B = TypeVar("B", bound=Asker, contravariant=True)


class Pool(Protocol[B]):
    """What slots are of."""

    def supply(self) -> str:
        """What there is to wait for, for an operator: `10 sessions`."""

    def refuse(self, asker: B, reason: T) -> None:
        """Have `asker` end by an error, and tell it later: in a turn of the loop of its own."""


class Queue(Generic[A]):
    """Those who wait for a slot of `pool`, which is called `name`: whoever comes first is served first."""

    def __init__(self, pool: Pool[A], name: str, table: Table, loop: Loop, limits: Mapping[str, float]) -> None:
        self.pool = pool
        self.name = name
        self.loop = loop
        self.engine = Engine(table, Slot, loop.clock, limits, loop.dispatch)
        self.slots: deque[Slot[A]] = deque()

    def join(self, asker: A) -> None:
        """Let `asker` wait, behind the others."""
        slot = asker.slot = Slot(self, asker)
        self.slots.append(slot)
        self.loop.add(slot)

    def next(self) -> A | None:
        """Whoever has waited longest, and waits no longer; None where nobody does."""
        if not self.slots:
            return None
        slot = self.slots.popleft()
        self.loop.fire(slot, T.SLOT_FREE)
        return slot.asker

    def lose(self) -> None:
        """No slot will ever become free: tell all."""
        for slot in list(self.slots):
            self.loop.fire(slot, T.BACKEND_LOST)

    def forget(self, slot: "Slot[A]") -> None:
        """`slot` waits no longer."""
        with suppress(ValueError):
            self.slots.remove(slot)

    def place(self, slot: "Slot[A]") -> str:
        """Where `slot` stands, for an operator: `place 2 of 3`. Other threads may ask, and it may just have left."""
        slots = list(self.slots)
        return f"place {slots.index(slot) + 1} of {len(slots)}" if slot in slots else "no place"


class Slot(Machine, Generic[A]):
    """The place of `asker` in a queue."""

    __slots__ = ("asker", "born", "queue")

    def __init__(self, queue: Queue[A], asker: A) -> None:
        super().__init__(queue.engine, placeless())
        self.born = self.since
        self.queue = queue
        self.asker = asker

    def describe(self) -> str:
        """For an operator: `upstream_slot#12 WAITING 0.3 s of 10 s <- place 2 of 3 for 64 connections to ...`."""
        queue, engine = self.queue, self.engine
        stay = f"{span(queue.loop.clock() - self.since)} of {engine.initial.patience:g} s"
        title = f"{engine.table.name}#{-self.descriptor} {self.node.state} {stay}"
        return f"{title} <- {queue.place(self)} for {queue.pool.supply()}"

    def glance(self) -> tuple[Any, ...]:
        """As Machine.glance: contract.Facts. Its peer is what the pool is of."""
        return (-self.descriptor, self.queue.name, self.born)

    def leave(self) -> None:
        """Whoever asked has gone."""
        if self.accepts(T.ASKER_LEFT):
            self.queue.loop.fire(self, T.ASKER_LEFT)

    def withdraw(self) -> None:
        """Leave the queue, where those who are served have left it already."""
        self.queue.forget(self)

    def refuse(self) -> None:
        """Leave the queue, and have the pool say why."""
        self.queue.forget(self)
        self.queue.pool.refuse(self.asker, T(self.history[-1][1].trigger))

    def ended(self) -> None:
        """The loop has let it go."""
        self.asker.slot = None
