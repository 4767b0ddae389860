"""What machines have to tell each other, in the order in which it was said.

An action that ran another machine would walk inside a walk: the other one could run the first again, which stands
between two rows. So what one has to tell another is kept here, and told when the step that is under way has ended
(Loop.tell).
"""

from collections import deque
from typing import Any

from clerestory.server.loop.base import BaseLoop
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Machine


class Messages:
    """The queue of one loop. `waiting` is empty most of the time, which is what the loop looks at."""

    __slots__ = ("_delivering", "later", "waiting")

    def __init__(self) -> None:
        self._delivering = False
        self.waiting: deque[tuple[Machine, Name, Any]] = deque()
        self.later: list[tuple[Machine, Name, Any]] = []
        """Those for the next turn."""

    def add(self, machine: Machine, trigger: Name, payload: Any) -> None:
        """Keep a message for `machine`."""
        self.waiting.append((machine, trigger, payload))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.waiting or self.later)

    def deliver(self, loop: BaseLoop, *, later: bool = False) -> None:
        """Tell each to whom it is for; what these have to tell in turn is told after it. A machine that is no longer
        among the loop's, has no row for it by now, or is at something else, is not told. What is to be sent meanwhile
        does not wait for all of them. With `later` those that were kept for the next turn are told, too."""
        if self._delivering:
            return
        self._delivering = True
        waiting, since = self.waiting, loop.now
        if later:
            waiting.extend(self.later)
            self.later.clear()
        try:
            while waiting:
                machine, trigger, payload = waiting.popleft()
                if trigger not in machine.node.edges or loop.machines.get(machine.descriptor) is not machine:
                    continue
                if payload is None or machine.is_about(payload):
                    machine.payload = payload
                    loop.fire(machine, trigger)
                    machine.payload = None
                    if waiting:
                        since = loop.flush_if_late(since)
        finally:
            self._delivering = False
