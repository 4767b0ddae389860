"""A loop and an executor small enough to read: they run handlers in tests, with real threads and no clock."""

import inspect
import queue
from collections import deque
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from clerestory.handlers.api.messages import Answer, Application, File, Piece, Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE, Operation
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.poller import open_poller
from clerestory.statemachines.contract import Name
from clerestory.statemachines.engine import Dispatch, Machine

PATIENCE = 30.0
"""Seconds until a test that waits for a thread is given up; nothing that works waits this long."""


class FakeLoop:
    """Runs, on the thread that calls `turn`, what other threads hand over. `machines` have no descriptor here, and time
    passes when a test sets `now`."""

    def __init__(self, **limits: float) -> None:
        self.callbacks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.limits: Mapping[str, float] = limits
        self.dispatch = Dispatch.COMPILED
        self.machines: dict[int, Machine] = {}
        self.registry: dict[object, Any] = {}
        self.told: deque[tuple[Machine, Name, Any]] = deque()
        self.is_telling = False
        self.now = 1024.0

    def clock(self) -> float:
        return self.now

    def add(self, machine: Machine) -> None:
        assert machine.descriptor < 0, "no descriptor is waited for here"
        self.machines[machine.descriptor] = machine

    def tell(self, machine: Machine, trigger: Name, payload: Any = None) -> None:
        self.told.append((machine, trigger, payload))
        if self.is_telling:
            return
        self.is_telling = True
        try:
            while self.told:
                machine, trigger, machine.payload = self.told.popleft()
                if machine.accepts(trigger):
                    self.fire(machine, trigger)
                machine.payload = None
        finally:
            self.is_telling = False

    def fire(self, machine: Machine, trigger: Name) -> None:
        machine.engine.fire(machine, trigger)
        if machine.node.final and self.machines.pop(machine.descriptor, None) is not None:
            machine.ended()
            machine.close()

    def schedule_read(self, machine: Machine) -> None:
        raise AssertionError("no machine here")

    def defer_write(self, machine: Machine) -> None:
        raise AssertionError("no machine here")

    def call_from_thread(self, callback: Callable[[], None]) -> None:
        self.callbacks.put(callback)

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        raise AssertionError("no handler reads the clock")

    def turn(self) -> None:
        """Wait for one callback and run it."""
        self.callbacks.get(timeout=PATIENCE)()


class TurningLoop(Loop):
    """A real loop, for operations that have descriptors, turned as the fake one is."""

    def __init__(self) -> None:
        super().__init__(open_poller(), self._crash)

    def _crash(self, machine: Machine, error: BaseException) -> None:
        raise AssertionError(f"{machine} has crashed") from error

    def turn(self, timeout: float | None = PATIENCE) -> None:
        """Wait for something and let it run."""
        super().turn(timeout)


class FakeExecutor:
    """Carries out one coroutine after the other, as a connection does."""

    def __init__(self, loop: FakeLoop | TurningLoop | None = None, pieces: Iterable[bytes] = ()) -> None:
        self.loop: Any = loop or FakeLoop()
        self.pieces = iter(pieces)
        self.descriptions: list[str] = []
        self.ended: dict[Operation, tuple[object, BaseException | None]] = {}

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        assert operation not in self.ended, "an operation ends once"
        self.ended[operation] = (result, error)

    def wait(self, operation: Operation) -> tuple[object, BaseException | None]:
        """Turn the loop until `operation` has ended."""
        while operation not in self.ended:
            self.loop.turn()
        return self.ended.pop(operation)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Step `coroutine` to its end; hand back what it returned, raise what it raised."""
        result: object = None
        error: BaseException | None = None
        try:
            while True:
                asked = coroutine.send(result) if error is None else coroutine.throw(error)
                if asked is NEXT_PIECE:
                    result, error = next(self.pieces, b""), None
                    continue
                assert isinstance(asked, Operation)
                asked.start(self)
                self.descriptions.append(asked.describe())
                result, error = self.wait(asked)
        except StopIteration as stopped:
            return stopped.value

    def answer(self, application: Application, request: Request) -> Response:
        """The application's answer, its body not yet taken."""
        answer: Answer = application(request)
        if inspect.iscoroutine(answer):
            answer = self.run(answer)
        assert isinstance(answer, Response)
        return answer

    def pieces_of(self, response: Response) -> list[Piece]:
        """The body's pieces, as handed over."""
        body = response.body
        if isinstance(body, bytes | File):
            return [body]
        assert not isinstance(body, Upgrade)
        if not isinstance(body, AsyncIterable):
            return list(body)
        iterator, pieces = aiter(body), []
        while True:
            try:
                pieces.append(self.run(iterator.__anext__()))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return pieces
