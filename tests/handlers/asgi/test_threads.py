"""Who waits for a thread: of anyio's and of an executor's, on asyncio's loop and on uvloop's."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from clerestory.handlers.asgi.stack import waits_at

HERE = r"at asgi/test_threads\.py:\d+"


class Gate:
    """A function that blocks in its thread until it is opened."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self.opened.wait(20)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    if request.param == "asyncio":
        return asyncio.run
    return pytest.importorskip("uvloop").run  # type: ignore[no-any-return]


async def said_of(gate: Gate, *calls: Callable[[], Any]) -> list[str]:
    """What is said of each, once the first has begun in its thread and the others wait."""
    tasks = [asyncio.ensure_future(call()) for call in calls]
    while not gate.begun.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0.001)
    for _ in range(20):
        await asyncio.sleep(0)
    said = [waits_at(task) for task in tasks]
    gate.opened.set()
    await asyncio.gather(*tasks)
    return said


def test_a_thread_of_anyios_is_waited_for_by_name(gate: Gate, run: Callable[[Any], Any]) -> None:
    anyio = pytest.importorskip("anyio")

    async def call() -> None:
        await anyio.to_thread.run_sync(gate)

    async def all_of_them() -> list[str]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        return await said_of(gate, call, call, call)

    runs, *waiting = run(all_of_them())
    assert re.fullmatch(rf"{HERE} call <- thread {HERE} __call__", runs)
    for said in waiting:
        assert re.fullmatch(rf"{HERE} call <- a thread of anyio's, 1 of 1 in use, 2 waiting", said)


def test_a_limiter_of_the_applications_own_is_told_too(gate: Gate) -> None:
    anyio = pytest.importorskip("anyio")
    gate.begun.set()

    async def all_of_them() -> list[str]:
        limiter = anyio.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of(gate)

        async def call() -> None:
            async with limiter:
                pass

        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.01)
        said = [waits_at(task)]
        limiter.release_on_behalf_of(gate)
        await task
        return said

    [said] = asyncio.run(all_of_them())
    assert re.fullmatch(rf"{HERE} call <- CapacityLimiter, 1 of 1 in use, 1 waiting", said)


@pytest.mark.parametrize("way", ["to_thread", "run_in_executor"])
def test_a_thread_of_the_default_executor_is_waited_for(gate: Gate, run: Callable[[Any], Any], way: str) -> None:
    async def call() -> None:
        if way == "to_thread":
            await asyncio.to_thread(gate)
        else:
            await asyncio.get_running_loop().run_in_executor(None, partial(gate))

    async def all_of_them() -> list[str]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        return await said_of(gate, call, call, call)

    runs, *waiting = run(all_of_them())
    assert re.fullmatch(rf"{HERE} call <- thread {HERE} __call__", runs)
    for said in waiting:
        assert re.fullmatch(rf"{HERE} call <- a thread of an executor, 1 of 1 in use, 2 waiting", said)


def test_of_several_executors_with_a_queue_none_is_named(gate: Gate) -> None:
    async def all_of_them() -> list[str]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:

            async def call(executor: ThreadPoolExecutor) -> None:
                await loop.run_in_executor(executor, gate)

            calls = [partial(call, executor) for executor in (one, one, other, other)]
            return await said_of(gate, *calls)

    said = asyncio.run(all_of_them())
    assert {words.partition(" <- ")[2] for words in said[1::2]} == {"a thread of an executor"}
