"""What a thread of a pool can be given: a machine that does its part in the thread, and is moved by the loop alone."""

import math
from abc import ABC, abstractmethod
from typing import Any

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop


class JobQueue(ABC):
    """What a job waits in for a thread: a pool, as its jobs know it. `label` is what an operator reads of it, `prefix`
    what stands before the names of its jobs."""

    def __init__(self, label: str, prefix: str) -> None:
        self.label = label
        self.prefix = prefix

    @abstractmethod
    def engine_on(self, loop: Loop) -> Engine:
        """The engine of work (statemachines.work) for `loop`, whose limits are then those of the pool."""

    @abstractmethod
    def submit(self, work: "Job") -> tuple[str, bool]:
        """Give `work` to a thread, or let it wait for one: why not, or an empty reason and whether a thread has it."""

    @abstractmethod
    def withdraw(self, work: "Job") -> bool:
        """Take `work` out of the queue; whether it was there."""

    @abstractmethod
    def describe(self) -> str:
        """For an operator, on whom those in the queue wait: `8 threads, 12 waiting`."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Job(Machine, ABC):
    """A machine without a descriptor, for one of the threads of `pool`.

    `run` and `tell_end` are called on the thread. All else is called on the loop's, `loop`.
    """

    __slots__ = ("born", "loop", "pool")

    def __init__(self, engine: Engine, pool: JobQueue, loop: Loop) -> None:
        super().__init__(engine, pseudo_descriptor())
        self.born = self.since
        self.pool = pool
        self.loop = loop

    def queued(self) -> float:
        """Seconds that it has waited for a thread; infinite while it still does."""
        initial = self.engine.initial
        return math.inf if self.node is initial else self.spent[initial.index]

    @abstractmethod
    def run(self) -> None:
        """Do it, on the thread. Raises nothing."""

    @abstractmethod
    def tell_end(self, following: Any) -> None:
        """On the thread, after `run`: have the loop told that it has ended, and that the thread has taken the job
        `following` from the queue, if it has. Raises nothing, though the loop may have ended."""

    @abstractmethod
    def taken(self) -> None:
        """A thread has taken it from the queue."""

    @abstractmethod
    def shut_out(self, detail: str) -> None:
        """It was in the queue of a pool that closes: it never runs."""

    @abstractmethod
    def describe(self) -> str:
        """For an operator."""
