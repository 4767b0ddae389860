"""Operations made of operations: `await gather(a, b)` waits for several at once, `await wait_for(a, 2.0)` for a time.

Each is the executor of what it waits for. What is left is cancelled at the first error, at the time-out, and when the
client leaves; so nothing of it outlives the wait. In the x-ray both say what is still waited for.
"""

from abc import abstractmethod
from collections.abc import Sequence

from clerestory.handlers.api.operations import Executor, HalfClose, Held, Operation, span
from clerestory.statemachines.loop import Loop

SHOWN = 3
"""Operations that a gather names, of those that have not ended."""


class _AllHeld:
    """What several operations hold."""

    def __init__(self, held: list[Held]) -> None:
        self._held = held

    @property
    def is_over(self) -> bool:
        """As Held.is_over."""
        return all(one.is_over for one in self._held)

    def leave(self) -> None:
        """As Held.leave."""
        for one in self._held:
            if not one.is_over:
                one.leave()


def _check(operation: object) -> None:
    if not isinstance(operation, Operation):
        raise TypeError(f"gather and wait_for take operations, such as in_thread(...), not {type(operation).__name__}")


class Together(Operation):
    """The executor of `operations`, which it starts at once."""

    __slots__ = ("_executor", "_left", "_operations", "_outer")

    def __init__(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            _check(operation)
        if len(set(map(id, operations))) < len(operations):
            raise TypeError("an operation is awaited once")
        self._operations = list(operations)
        self._left: list[Operation] = []
        self._executor: Executor | None = None
        self._outer: Executor | None = None

    @property
    def loop(self) -> Loop:
        """As Executor.loop."""
        assert self._outer is not None
        return self._outer.loop

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._executor = self._outer = executor
        self._left = list(self._operations)
        try:
            for operation in self._operations:
                operation.start(self)
        except BaseException:
            self.cancel()
            raise

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        """As Executor.finished."""
        if operation not in self._left:
            return
        self._left.remove(operation)
        self._ended(operation, result, error)

    @abstractmethod
    def _ended(self, operation: Operation, result: object, error: BaseException | None) -> None:
        """One of those that were left has ended."""

    def _finish(self, result: object = None, error: BaseException | None = None) -> None:
        """Be over: what is left is cancelled."""
        executor = self._executor
        self.cancel()
        if executor is not None:
            executor.finished(self, result, error)

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None
        left, self._left = self._left, []
        for operation in left:
            operation.cancel()

    def holds(self) -> Held | None:
        """As Operation.holds."""
        held = [one for one in (operation.holds() for operation in self._operations) if one is not None]
        return _AllHeld(held) if held else None

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed: of several, the one that is waited for least long."""
        wishes = [operation.client_closed() for operation in self._left]
        return next((wish for wish in (HalfClose.CANCEL, HalfClose.BRIEFLY) if wish in wishes), HalfClose.ANSWER)

    def keeps_time(self) -> bool:
        """As Operation.keeps_time."""
        return bool(self._left) and all(operation.keeps_time() for operation in self._left)


class Gather(Together):
    """All of them: a list of their results, in their order."""

    __slots__ = ("_results",)

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__(operations)
        self._results: dict[int, object] = {}

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        super().start(executor)
        if not self._operations:
            executor.loop.call_from_thread(lambda: self._finish([]))

    def _ended(self, operation: Operation, result: object, error: BaseException | None) -> None:
        if error is not None:
            self._finish(error=error)
            return
        self._results[id(operation)] = result
        if not self._left:
            self._finish([self._results[id(one)] for one in self._operations])

    def subject(self) -> str:
        """As Operation.subject."""
        return "gather"

    def describe(self) -> str:
        """As Operation.describe: `2 of 3: work#1 RUNNING find 0.6 s; sleep of 1.0 s, 0.4 s left`."""
        left = self._left
        named = "; ".join(operation.describe() for operation in left[:SHOWN])
        more = f"; {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        return f"gather, {len(left)} of {len(self._operations)} left: {named}{more}"


class WaitFor(Together):
    """One of them, for so many seconds."""

    __slots__ = ("_seconds", "_until")

    def __init__(self, operation: Operation, seconds: float) -> None:
        super().__init__([operation])
        if not seconds >= 0:
            raise ValueError(f"a time to wait is not negative: {seconds}")
        self._seconds = seconds
        self._until = 0.0

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        super().start(executor)
        self._until = executor.loop.clock() + self._seconds
        executor.loop.call_at(self._until, self._late)

    def _late(self) -> None:
        if self._executor is not None:
            self._finish(error=TimeoutError(f"it has taken longer than {span(self._seconds)}"))

    def _ended(self, operation: Operation, result: object, error: BaseException | None) -> None:  # noqa: ARG002
        self._finish(result, error)

    def subject(self) -> str:
        """As Operation.subject."""
        return self._operations[0].subject()

    def queued(self) -> tuple[str, float]:
        """As Operation.queued."""
        return self._operations[0].queued()

    def describe(self) -> str:
        """As Operation.describe: `work#1 RUNNING find 0.6 s (for at most 2.0 s)`."""
        return f"{self._operations[0].describe()} (for at most {span(self._seconds)})"


def gather(*operations: Operation) -> Gather:
    """An operation that carries out `operations` at once: their results, in their order. The first error is raised, and
    cancels the others. Raises TypeError for what is no operation."""
    return Gather(operations)


def wait_for(operation: Operation, seconds: float) -> WaitFor:
    """`operation`, cancelled after so many seconds: then TimeoutError is raised."""
    return WaitFor(operation, seconds)
