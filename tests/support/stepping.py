"""A machine that stands for a connection in tests: it steps what awaits operations, never inside another's walk."""

from collections.abc import Callable
from enum import auto
from typing import Any

from clerestory.handlers.api.operations import pseudo_descriptor
from clerestory.statemachines.contract import Interest, Name, Row, Spec, Table, Unbounded
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop


class State(Name):
    WAITING = auto()
    OVER = auto()


class Trigger(Name):
    OPERATION_ENDED = auto()
    LEFT = auto()


TABLE = Table(
    "stepping",
    State,
    Trigger,
    State.WAITING,
    (
        Spec(State.WAITING, Interest.NOTHING, Unbounded("a test has its own"), "", "an operation is awaited"),
        Spec(State.OVER, Interest.NOTHING, Unbounded("it is final"), "", "it has ended", final=True),
    ),
    (
        Row(State.WAITING, Trigger.OPERATION_ENDED, State.WAITING, action="resume"),
        Row(State.WAITING, Trigger.LEFT, State.OVER),
    ),
    frozenset(),
)


class Stepping(Machine):
    """Calls `step(result, error)` when it has been told of the end of an operation."""

    def __init__(self, loop: Loop, step: Callable[[Any, BaseException | None], object]) -> None:
        super().__init__(Engine(TABLE, Stepping, loop.clock), pseudo_descriptor())
        self.loop = loop
        self.step = step
        loop.add(self)

    def ended_with(self, result: object, error: BaseException | None) -> None:
        self.loop.tell(self, Trigger.OPERATION_ENDED, (result, error))

    def resume(self) -> None:
        self.step(*self.payload)

    def leave(self) -> None:
        self.loop.tell(self, Trigger.LEFT)
