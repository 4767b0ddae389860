"""Coroutines that run beside the requests: `await in_background(send_mail(order))`, and the hooks of start and stop.

Each is a machine (statemachines.task), seen in the x-ray, and the executor of what it awaits. There are at most so many
at a time; a drain waits for them as for requests, and cancels what is left then. What one raises is logged.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.foreign import as_operation
from clerestory.handlers.api.operations import Executor, Held, NextPiece, Operation, pseudo_descriptor, span
from clerestory.handlers.backends.journal import journal_of
from clerestory.statemachines import task
from clerestory.statemachines.engine import Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.task import State as S
from clerestory.statemachines.task import Trigger as T

MOST = 1000
"""Tasks at a time: work behind answers that comes faster than it is done must be refused at some point."""


class Task(Machine):
    """One coroutine; `name` is what an operator reads. `ended_by` is told of its result or error once it is over."""

    __slots__ = (
        "_coroutine",
        "_error",
        "_held",
        "_result",
        "_tell",
        "born",
        "ended_by",
        "error",
        "is_given_up",
        "left_at",
        "loop",
        "name",
        "operation",
        "result",
    )

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, Any], name: str = "") -> None:
        super().__init__(engine_on(loop), pseudo_descriptor())
        self.loop = loop
        self.name = name or getattr(coroutine, "__qualname__", type(coroutine).__name__)
        self.operation: Operation | None = None
        self.result: object = None
        self.error: BaseException | None = None
        self.is_given_up = False
        self.ended_by: Callable[[Task], object] = lambda _: None
        self.born = self.left_at = self.since
        self._coroutine = coroutine
        self._held: list[Held] = []
        self._result: object = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Run it, as soon as the step that is under way has ended."""
        self.loop.add(self)
        self.loop.tell(self, T.STARTED)

    def end(self) -> None:
        """Give it up."""
        self.loop.tell(self, T.CLOSE_ORDERED)

    def leave(self) -> None:
        """Its client has left: it has a grace to end by itself."""
        if self.accepts(T.CLIENT_LEFT):
            self.left_at = self.loop.clock()
            self.loop.tell(self, T.CLIENT_LEFT)

    # --- the executor of its operations

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        """As Executor.finished."""
        if operation is self.operation:
            self.operation = None
            self._result, self._error = result, error
            self.loop.tell(self, T.OPERATION_ENDED)

    # --- the machine's

    def is_in_time(self) -> bool:
        """As the Model."""
        return self.loop.clock() - self.left_at < self.node.limit

    def step(self) -> T | None:
        """As the Model."""
        result, error = self._result, self._error
        self._result = self._error = None
        while True:
            try:
                awaited = self._coroutine.send(result) if error is None else self._coroutine.throw(error)
            except StopIteration as stop:
                self.result = stop.value
                return T.RETURNED
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it must not end the process
                self.error = raised
                return T.FAILED
            result = error = None
            operation = awaited if isinstance(awaited, Operation) else as_operation(awaited)
            if operation is None:
                what = "a request's body" if isinstance(awaited, NextPiece) else type(awaited).__name__
                error = TypeError(f"a task awaits operations, not {what}")
                continue
            self.operation = operation
            try:
                operation.start(self)
                held = operation.holds()
            except BaseException as refused:  # noqa: BLE001 - it is the coroutine's to deal with
                self.operation, error = None, refused
                continue
            if held is not None:
                self._held = [*(one for one in self._held if not one.is_over), held]
            return None

    def give_up(self) -> None:
        """As the Model."""
        self.is_given_up = True
        operation, self.operation = self.operation, None
        if operation is not None:
            operation.cancel()
        with suppress(Exception):
            self._coroutine.close()

    def ended(self) -> None:
        """As Machine.ended."""
        if self.node.state is S.READY:
            self._coroutine.close()  # the loop has been closed before its turn came
        for held in self._held:
            if not held.is_over:
                held.leave()
        self.ended_by(self)

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return (-self.descriptor, self.name, self.born, 0, 0, 0, None, self.operation)

    def describe(self) -> str:
        """For an operator: `task#7 AWAITING_OPERATION send_mail 0.6 s`."""
        return f"task#{-self.descriptor} {self.node.state} {self.name} {span(self.loop.clock() - self.born)}"


def engine_on(loop: Loop) -> Engine:
    """The engine of all tasks of `loop`."""
    engine: Engine | None = loop.registry.get(Task)
    if engine is None:
        engine = loop.registry[Task] = Engine(task.TABLE, Task, loop.clock, loop.limits, loop.dispatch)
    return engine


class Background:
    """The tasks behind answers on one loop: `runs` are those that have not ended. The process waits for them when it
    drains (server.process.process)."""

    def __init__(self, loop: Loop, most: int = MOST) -> None:
        self._loop = loop
        self.most = most
        self.runs: set[Task] = set()
        self.on_run_ended: Callable[[], object] = lambda: None

    def add(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run `coroutine`. Raises HTTPError 503 where there are too many."""
        if len(self.runs) >= self.most:
            coroutine.close()
            raise HTTPError(503, "Too much work is waiting in the background.", ((b"retry-after", b"1"),))
        made = Task(self._loop, coroutine)
        made.ended_by = self._ended
        self.runs.add(made)
        made.begin()

    def _ended(self, made: Task) -> None:
        self.runs.discard(made)
        if made.error is not None:
            journal_of(self._loop).warning("background_failed", task=made.name, exc_info=made.error)
        self.on_run_ended()

    def drain(self) -> None:
        """End those that are left: the time for it is over."""
        for made in list(self.runs):
            journal_of(self._loop).warning("background_cancelled", task=made.name)
            made.end()


def background_of(loop: Loop) -> Background:
    """The background of `loop`."""
    found: Background | None = loop.registry.get(Background)
    if found is None:
        found = loop.registry[Background] = Background(loop)
    return found


class _Begin(Operation):
    """Puts a coroutine into the background, and is over."""

    __slots__ = ("_coroutine", "_executor")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        if not hasattr(coroutine, "send"):
            raise TypeError(
                f"in_background takes a coroutine, such as send_mail(order), not {type(coroutine).__name__}"
            )
        self._coroutine = coroutine
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        """As Operation.start. Raises HTTPError 503."""
        self._executor = executor
        background_of(executor.loop).add(self._coroutine)
        executor.loop.call_from_thread(self._over)

    def _over(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self)

    def cancel(self) -> None:
        """As Operation.cancel: what has been put into the background stays there."""
        self._executor = None

    def subject(self) -> str:
        """As Operation.subject."""
        return "the background"

    def describe(self) -> str:
        """As Operation.describe."""
        return "the background"


def in_background(coroutine: Coroutine[Any, Any, Any]) -> Operation:
    """An operation that lets `coroutine` run beside the requests, also behind this one's answer, and is over at once.

    It may await operations. Awaiting this raises HTTPError 503 where there are too many. When the process drains it has
    as long as the requests have, and is then cancelled. What it raises is logged. Raises TypeError for what is no
    coroutine.
    """
    return _Begin(coroutine)
