"""What the tests of this package share: a clock that is set by hand, and a model that records instead of acting."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from clerestory.statemachines.checks import methods
from clerestory.statemachines.contract import Cause, Name, Row, Table
from clerestory.statemachines.engine import Dispatch, Edge, Engine, Machine

BOTH = tuple(Dispatch)


class Clock:
    """Seconds, set by the test. With `tick`, each reading takes that long."""

    def __init__(self, now: float = 1000.0, tick: float = 0.0) -> None:
        self.now = now
        self.tick = tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Recording(Machine):
    """A model whose guards and actions are noted in `calls`, in order.

    A guard answers from `yes`; an action hands back the next of its `hands_back`, or raises it when it is an error.
    """

    def __init__(self, engine: Engine, descriptor: int = 7) -> None:
        super().__init__(engine, descriptor)
        self.calls: list[str] = []
        self.yes: set[str] = set()
        self.hands_back: dict[str, deque[Name | Exception | None]] = {}

    def script(self, **handed: Name | Exception | Iterable[Name | Exception | None] | None) -> None:
        """What actions hand back from now on: one outcome, or several in order."""
        for action, outcome in handed.items():
            several = not isinstance(outcome, str | Exception | None)
            self.hands_back[action] = deque(cast("Iterable[Name]", outcome) if several else [cast("Name", outcome)])

    def asked(self, guard: str) -> bool:
        self.calls.append(guard + "?")
        return guard in self.yes

    def acted(self, action: str) -> Name | None:
        self.calls.append(action)
        outcomes = self.hands_back.get(action)
        outcome = outcomes.popleft() if outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @property
    def passed(self) -> list[Row]:
        """The rows in its history."""
        return [edge.row for _, edge in self.history]

    @property
    def cause(self) -> Cause | None:
        """Who ended it: as the first row that says so."""
        return next((row.ends for row in self.passed if row.ends), None)


def _guard(name: str) -> Callable[[Recording], bool]:
    return lambda model: model.asked(name)


def _action(name: str) -> Callable[[Recording], Name | None]:
    return lambda model: model.acted(name)


def _looker(name: str) -> Callable[[Recording, int], Name | None]:
    return lambda model, ready: model.acted(name)


def recording_model(table: Table) -> type[Recording]:
    """A Recording with every method that `table` names."""
    guards = {row.guard for row in table.rows} - {""}
    lookers = {spec.when_ready for spec in table.specs} - {""}
    made: dict[str, object] = {name: _guard(name) for name in guards}
    made |= {name: _looker(name) for name in lookers}
    made |= {name: _action(name) for name in methods(table) - guards - lookers}
    return type("Model", (Recording,), made)


def machine_of(
    table: Table,
    dispatch: Dispatch = Dispatch.COMPILED,
    clock: Callable[[], float] | None = None,
    limits: Mapping[str, float] | None = None,
    observer: Callable[[Machine, Edge], None] | None = None,
) -> Recording:
    """A recording machine of `table` in its initial state, with an engine of its own."""
    model = recording_model(table)
    return model(Engine(table, model, clock or Clock(), limits, dispatch, observer))


def machine_in(table: Table, state: Name, dispatch: Dispatch = Dispatch.COMPILED) -> Recording:
    """A recording machine of `table` that begins in `state`."""
    model = recording_model(table)
    engine = Engine(table, model, Clock(), None, dispatch)
    engine.initial = next(node for node in engine.nodes if node.state is state)
    return model(engine)
