"""The queue for the slots of a pool, and the shell of each request that waits in it.

The table (statemachines.slot) says what ends the waiting; which slots there are, and what is told to a request that got
none, is the pool's to say. A waiting request is in the loop's map under a negative number, since it has no descriptor.

Requests of one client stand in one line, in the order in which they came, and the lines take turns: a client that sends
a thousand requests makes the next client wait for one of them, not for all. Where the pool names no clients there is
one line.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from clerestory.handlers.api.operations import pseudo_descriptor, span
from clerestory.statemachines.contract import Table
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.slot import Trigger as T


class Caller(Protocol):
    """What needs a slot. `slot` is set while it waits for one."""

    slot: "Slot[Any] | None"
    in_queue: float
    """Seconds that it has waited for slots."""


A = TypeVar("A", bound=Caller)
B = TypeVar("B", bound=Caller, contravariant=True)


class Pool(Protocol[B]):
    """What slots are of."""

    def supply(self) -> str:
        """What there is to wait for, for an operator: `10 sessions`."""

    def refuse(self, caller: B, reason: T) -> None:
        """Have `caller` end by an error."""


class Queue(Generic[A]):
    """The requests that wait for a slot of `pool`, which is called `name`. `held` is the memory that they hold."""

    def __init__(self, pool: Pool[A], name: str, table: Table, loop: Loop, limits: Mapping[str, float]) -> None:
        self.pool = pool
        self.name = name
        self.loop = loop
        self.engine = Engine(table, Slot, loop.clock, limits, loop.dispatch)
        self.slots: deque[Slot[A]] = deque()
        """All of them, in the order in which they came."""
        self.lines: dict[str, deque[Slot[A]]] = {}
        """The same by client; the client whose turn is next comes first."""
        self.held = 0

    def join(self, caller: A, client: str = "", held: int = 0) -> None:
        """Let `caller`, which holds so many bytes, wait behind the others of `client`."""
        slot = caller.slot = Slot(self, caller, client, held)
        self.slots.append(slot)
        line = self.lines.get(client)
        if line is None:
            line = self.lines[client] = deque()
        line.append(slot)
        self.held += held
        self.loop.add(slot)

    def next(self, may_have: Callable[[str], bool] | None = None) -> A | None:
        """The request that has waited longest of the client whose turn it is, and waits no longer; None where there is
        none. `may_have` says of a client whether it may have a slot."""
        for client, line in self.lines.items():
            if may_have is None or may_have(client):
                slot = line[0]
                self.forget(slot)
                if line:  # its next turn comes after that of the others
                    del self.lines[client]
                    self.lines[client] = line
                slot.caller.slot = None
                self.loop.tell(slot, T.SLOT_FREED)
                return slot.caller
        return None

    def lose(self) -> None:
        """No slot will ever become free: tell all."""
        for slot in list(self.slots):
            self.loop.tell(slot, T.BACKEND_LOST)

    def forget(self, slot: "Slot[A]") -> None:
        """`slot` waits no longer."""
        line = self.lines.get(slot.client)
        if line is None or slot not in line:
            return
        line.remove(slot)
        if not line:
            del self.lines[slot.client]
        with suppress(ValueError):
            self.slots.remove(slot)
        self.held -= slot.held

    def place(self, slot: "Slot[A]") -> str:
        """Where `slot` stands, for an operator: `place 2 of 3`. Other threads may ask, and it may just have left."""
        slots = list(self.slots)
        return f"place {slots.index(slot) + 1} of {len(slots)}" if slot in slots else "no place"


class Slot(Machine, Generic[A]):
    """The place of `caller`, a request of `client`, in a queue."""

    __slots__ = ("born", "caller", "client", "held", "queue")

    def __init__(self, queue: Queue[A], caller: A, client: str, held: int) -> None:
        super().__init__(queue.engine, pseudo_descriptor())
        self.born = self.since
        self.queue = queue
        self.caller = caller
        self.client = client
        self.held = held

    def describe(self) -> str:
        """For an operator: `upstream_slot#12 WAITING 0.3 s of 10 s <- place 2 of 3 for 64 connections to ...`."""
        queue, engine = self.queue, self.engine
        stay = f"{span(queue.loop.clock() - self.since)} of {engine.initial.limit:g} s"
        title = f"{engine.table.name}#{-self.descriptor} {self.node.state} {stay}"
        return f"{title} <- {queue.place(self)} for {queue.pool.supply()}"

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts. Its peer is what the pool is of."""
        return (-self.descriptor, self.queue.name, self.born)

    def leave(self) -> None:
        """The caller has gone, and is not served any more."""
        self.queue.forget(self)
        self.queue.loop.tell(self, T.CALLER_LEFT)

    def withdraw(self) -> None:
        """Leave the queue, where those who are served have left it already."""
        self.queue.forget(self)

    def refuse(self) -> None:
        """Leave the queue, and have the pool say why; unless the caller was served in the meantime."""
        self.queue.forget(self)
        if self.caller.slot is self:
            self.queue.pool.refuse(self.caller, T(self.history[-1][1].trigger))

    def ended(self) -> None:
        """The loop has let it go."""
        self.caller.in_queue += self.queued()
        if self.caller.slot is self:
            self.caller.slot = None

    def queued(self) -> float:
        """Seconds that it waits, or has waited; infinite while it does."""
        initial = self.engine.initial
        return math.inf if self.node is initial else self.spent[initial.index]
