"""What the parts of a loop know of it: its map of machines, its time, and how a machine is run.

The loop (server.loop.loop) is made of these parts: messages, the sweep, and the wake-up for other threads.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from clerestory.server.loop.poller import Poller, Readiness
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Dispatch, Machine

Crashed = Callable[[Machine, BaseException], None]


class BaseLoop(ABC):
    """A loop, as its parts see it. `crashed` is told of a machine whose shell raised; that is closed after it."""

    def __init__(
        self,
        poller: Poller,
        crashed: Crashed,
        clock: Callable[[], float],
        limits: Mapping[str, float],
        dispatch: Dispatch,
    ) -> None:
        self.poller = poller
        self.crashed = crashed
        self.clock = clock
        self.limits = limits
        self.dispatch = dispatch
        self.machines: dict[int, Machine] = {}
        self.now = clock()
        """The time at the last wake-up."""
        self.reported: Readiness = []
        """What the last wait has reported."""
        self.has_deadlines = True
        """Whether there is something for a sweep to look at, as far as is known."""

    @abstractmethod
    def fire(self, machine: Machine, trigger: Name) -> None:
        """Run `machine` from `trigger` now."""

    @abstractmethod
    def tell(self, machine: Machine, trigger: Name, payload: Any = None) -> None:
        """As statemachines.loop.Loop.tell."""

    @abstractmethod
    def flush_if_late(self, since: float) -> float:
        """Between two of a step's many parts: what is deferred since `since` does not wait for all of them.
        Returns since when the others wait."""

    @abstractmethod
    def turn(self, timeout: float | None) -> None:
        """One turn: wait at most `timeout` seconds, then let every machine that is ready run to completion."""

    @abstractmethod
    def callback_failed(self, error: Exception) -> None:
        """A callback (statemachines.loop.Loop.call_at) has raised: report it."""
