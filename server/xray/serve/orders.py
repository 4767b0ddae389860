"""Orders: the only thing that the x-ray does to what it looks at. `CLOSE_ORDERED`, on the main loop's own thread.

A loop that is blocked takes the order when it goes on; who has asked is told so after ANSWER_TIMEOUT seconds.
"""

from collections.abc import Callable

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.xray.observe.seen import Seen
from clerestory.server.xray.observe.snapshot import identity_of
from clerestory.statemachines.engine import Machine

ANSWER_TIMEOUT = 1.0
"""Seconds that we wait to be told what came of an order: a loop that takes longer is blocked."""

CLOSE = "CLOSE_ORDERED"


def closable(machine: Machine) -> bool:
    """Whether an operator may close it: a connection of whatever kind, and no part of the server itself."""
    table = machine.engine.table
    return CLOSE in table.triggers.__members__ and bool(table.departures)


def anyway(seen: Seen, now: float) -> bool:  # noqa: ARG001
    """Whether one that was named is still to be closed: whatever it does by now."""
    return True


class Close(Operation):
    """`closed = await Close(loop, ours, wanted)`: the ids of those that were closed; the others had gone before, or
    the loop is blocked. `still` is asked once more, when it comes to it: who was idle may have a request by now."""

    __slots__ = ("_closed", "_executor", "_loop", "_ours", "_still", "_wanted")

    def __init__(
        self, loop: Loop, ours: Loop, wanted: list[Seen], still: Callable[[Seen, float], bool] = anyway
    ) -> None:
        self._loop = loop
        self._ours = ours
        self._wanted = [(seen[0], identity_of(seen)) for seen in wanted]
        self._still = still
        self._closed: list[str] = []
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        self._executor = executor
        self._loop.call_from_thread(self._fire)
        self._ours.call_at(self._ours.clock() + ANSWER_TIMEOUT, self._deliver)

    def cancel(self) -> None:
        """The order stands: it cannot be taken back. Nobody is told of it."""
        self._executor = None

    def describe(self) -> str:
        return "the main loop's next turn"

    def _fire(self) -> None:
        """On the thread of the loop that the machines run on."""
        loop = self._loop
        for machine, identity in self._wanted:
            # It may have ended since it was seen, and its descriptor be another's.
            if loop.machines.get(machine.descriptor) is not machine:
                continue
            order = machine.engine.table.triggers[CLOSE]
            seen = machine, machine.node, machine.since, machine.facts()
            if machine.accepts(order) and self._still(seen, loop.clock()):
                loop.tell(machine, order)
                self._closed.append(identity)
        self._ours.call_from_thread(self._deliver)

    def _deliver(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, list(self._closed))
