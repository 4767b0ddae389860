"""asyncio's awaitables as operations: `await asyncio.sleep(1)` in a handler, if our loop runs inside asyncio's.

A future is awaited by yielding itself to the code that runs the coroutine, marked by `_asyncio_future_blocking`: the
protocol between asyncio's futures and its tasks. A bare `yield`, as in `asyncio.sleep(0)`, asks to be resumed a little
later. Code that needs a task of its own (`asyncio.timeout`, anyio) does not work in a handler; in an ASGI application
it does.
"""

import asyncio
from typing import Any

from clerestory.handlers.api.operations import Executor, Operation


class FutureResult(Operation):
    """The end of an asyncio future. The handler gets the result from the future itself."""

    __slots__ = ("_executor", "_future")

    def __init__(self, future: "asyncio.Future[Any]") -> None:
        self._future = future
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._executor = executor
        future: Any = self._future
        future._asyncio_future_blocking = False  # noqa: SLF001 - asyncio's protocol: it is being waited for
        future.add_done_callback(self._done)

    def _done(self, _: object) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self)

    def cancel(self) -> None:
        """As Operation.cancel. The future is cancelled, too, as asyncio would do for a task."""
        self._executor = None
        self._future.cancel()

    def subject(self) -> str:
        """As Operation.subject."""
        return "a future"

    def describe(self) -> str:
        """As Operation.describe."""
        return f"asyncio {type(self._future).__name__.lstrip('_')}"


def as_operation(awaited: object) -> Operation | None:
    """An object that one of asyncio's awaitables yielded, as an operation; None for others, or without a running
    loop."""
    if awaited is None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        future: asyncio.Future[None] = loop.create_future()
        loop.call_soon(_finish, future)
        return FutureResult(future)
    return FutureResult(awaited) if isinstance(awaited, asyncio.Future) else None


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
