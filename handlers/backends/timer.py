"""`await sleep(seconds)`: nothing for a while, without a thread and without asyncio.

The loop's sweep ends it, which is brought forward for it: it is exact to a turn of the loop. The connection's own
deadline (`--backend-timeout`) holds meanwhile.
"""

from clerestory.handlers.api.operations import Executor, Operation, span


class Sleep(Operation):
    """Ends after so many seconds."""

    __slots__ = ("_executor", "_until", "seconds")

    def __init__(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"a time to sleep is not negative: {seconds}")
        self.seconds = seconds
        self._until = 0.0
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._executor = executor
        self._until = executor.loop.clock() + self.seconds
        executor.loop.call_at(self._until, self._awake)

    def _awake(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self)

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None

    def subject(self) -> str:
        """As Operation.subject."""
        return "a timer"

    def describe(self) -> str:
        """As Operation.describe."""
        executor = self._executor
        if executor is None:
            return f"sleep {span(self.seconds)}"
        return f"sleep of {span(self.seconds)}, {span(max(0.0, self._until - executor.loop.clock()))} left"


def sleep(seconds: float) -> Sleep:
    """An operation that ends after so many seconds."""
    return Sleep(seconds)
