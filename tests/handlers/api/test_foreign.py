"""What a handler awaits of asyncio's: its end resumes the handler, and giving it up cancels it."""

import asyncio
from typing import Any

import pytest

from clerestory.handlers.api.foreign import as_operation
from clerestory.handlers.api.operations import Operation


class Steps:
    """A handler, stepped as an exchange does."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.loop: Any = None
        self.operation: Operation | None = None
        self.result: Any = None
        self.step()

    def step(self) -> None:
        try:
            awaited = self.handler.send(None)
        except StopIteration as stop:
            self.result = stop.value
            return
        self.operation = as_operation(awaited)
        assert self.operation is not None
        self.operation.start(self)

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        self.step()


def test_a_handler_awaits_futures_tasks_and_a_turn_of_the_loop() -> None:
    async def handler() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        first = await asyncio.gather(asyncio.sleep(0, "gathered"))
        with pytest.raises(ZeroDivisionError):
            await asyncio.get_running_loop().run_in_executor(None, lambda: 1 // 0)
        return first[0]

    async def story() -> None:
        steps = Steps(handler())
        assert steps.operation is not None
        assert steps.operation.describe() == "asyncio Future"
        async with asyncio.timeout(20):
            while steps.result is None:  # noqa: ASYNC110 - there is nothing else to be told by
                await asyncio.sleep(0.001)
        assert steps.result == "gathered"

    asyncio.run(story())


def test_what_is_given_up_is_cancelled_and_says_nothing_more() -> None:
    async def story() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def handler() -> None:
            await future

        steps = Steps(handler())
        assert steps.operation is not None
        steps.operation.cancel()
        await asyncio.sleep(0)
        assert (future.cancelled(), steps.result) == (True, None)
        steps.handler.close()

    asyncio.run(story())


def test_what_is_no_future_or_has_no_loop_is_no_operation() -> None:
    assert as_operation("text") is None
    assert as_operation(None) is None
