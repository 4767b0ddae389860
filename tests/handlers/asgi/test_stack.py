"""Where a task waits: the application's line, and what is awaited, for each of asyncio's and anyio's ways to wait."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from clerestory.handlers.asgi.stack import DEEPEST, is_library, short, stack_of, thread_at, waits_at

HERE = r"at asgi/test_stack.py:\d+ "


async def settled(waiting: Awaitable[Any], begun: threading.Event | None = None) -> str:
    """What is said of a task that waits so, once it rests, and what it waits for has `begun`."""
    task = asyncio.ensure_future(waiting)
    for _ in range(20):
        await asyncio.sleep(0)
    if begun is not None:
        await asyncio.to_thread(begun.wait, 20)
    said = waits_at(task)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return said


async def fetch(something: Awaitable[Any]) -> Any:
    return await something


async def lock() -> None:
    held = asyncio.Lock()
    await held.acquire()
    await fetch(held.acquire())


async def semaphore() -> None:
    await fetch(asyncio.Semaphore(0).acquire())


async def event() -> None:
    await fetch(asyncio.Event().wait())


async def condition() -> None:
    one = asyncio.Condition()
    async with one:
        await fetch(one.wait())


async def queue() -> None:
    await fetch(asyncio.Queue[int]().get())


async def full_queue() -> None:
    full = asyncio.Queue[int](1)
    full.put_nowait(1)
    await fetch(full.put(2))


async def sleep() -> None:
    await fetch(asyncio.sleep(60))


async def gather() -> None:
    await asyncio.gather(sleep(), sleep())


async def group() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep())


async def timed() -> None:
    async with asyncio.timeout(60):
        await sleep()


async def waited_for() -> None:
    await asyncio.wait_for(sleep(), 60)


async def shielded() -> None:
    await asyncio.shield(asyncio.ensure_future(sleep()))


async def future() -> None:
    await asyncio.get_running_loop().create_future()


async def generator() -> None:
    async def pieces() -> AsyncIterator[int]:
        await sleep()
        yield 1

    async for _ in pieces():
        pass


async def managed() -> None:
    @asynccontextmanager
    async def manager() -> AsyncIterator[None]:
        await sleep()
        yield

    async with manager():
        pass


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (sleep, HERE + r"fetch <- sleep, (60.0|5\d\.\d) s left"),
        (lock, HERE + "fetch <- Lock, 1 waiting"),
        (semaphore, HERE + "fetch <- Semaphore, 1 waiting"),
        (event, HERE + "fetch <- Event, 1 waiting"),
        (condition, HERE + "fetch <- Condition, 1 waiting"),
        (queue, HERE + "fetch <- an item of Queue, 0 in it"),
        (full_queue, HERE + "fetch <- room in Queue, 1 in it"),
        (gather, HERE + rf"gather <- gather of 2 <- task Task-\d+ {HERE}fetch <- sleep, .*"),
        (group, HERE + rf"group <- TaskGroup of 1 <- task Task-\d+ {HERE}fetch <- sleep, .*"),
        (timed, HERE + "fetch <- sleep, .*"),
        (shielded, HERE + rf"shielded <- shield <- task Task-\d+ {HERE}fetch <- sleep, .*"),
        (future, HERE + "future <- Future"),
        (generator, HERE + "fetch <- sleep, .*"),
        (managed, HERE + "fetch <- sleep, .*"),
    ],
)
def test_the_line_of_the_application_and_what_is_awaited(waiting: Callable[[], Awaitable[Any]], said: str) -> None:
    found = asyncio.run(settled(waiting()))
    assert re.fullmatch(said, found), found


def test_what_is_waited_for_within_a_time_is_followed() -> None:
    assert " <- sleep, " in asyncio.run(settled(waited_for()))


def test_anyios_ways_to_wait() -> None:
    anyio = pytest.importorskip("anyio")
    begun, freed = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        freed.wait(20)

    async def threaded() -> None:
        await anyio.to_thread.run_sync(block, abandon_on_cancel=True)

    async def grouped() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sleep)

    async def slept() -> None:
        await anyio.sleep(60)

    try:
        assert "threaded <- thread at asgi/test_stack.py" in asyncio.run(settled(threaded(), begun))
    finally:
        freed.set()
    assert "grouped <- task group of 1 <- task " in asyncio.run(settled(grouped()))
    assert "slept <- sleep, " in asyncio.run(settled(slept()))


def test_a_stream_says_who_is_on_its_other_end() -> None:
    async def story() -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        said = await settled(fetch(reader.readline()))
        writer.close()
        await writer.wait_closed()
        await ended.wait()
        server.close()
        assert said.endswith(f" <- bytes from {host}:{port}"), said
        return said

    assert "fetch" in asyncio.run(story())


def test_the_whole_stack_is_the_tasks_own() -> None:
    async def story() -> list[str]:
        task = asyncio.ensure_future(sleep())
        await asyncio.sleep(0)
        names = [name for _, _, name in stack_of(task)]
        task.cancel()
        return names

    assert asyncio.run(story()) == ["sleep", "fetch", "sleep"]


def test_what_is_not_the_applications_is_told_by_its_place() -> None:
    assert is_library(asyncio.__file__)
    assert is_library(pytest.__file__)
    assert is_library("<frozen runpy>")
    assert is_library("/anywhere/lib/python3/site-packages/x/y.py")
    assert not is_library(__file__)
    assert not is_library("/home/me/shop/db.py")
    assert short("/home/me/shop/db.py") == "shop/db.py"


def test_what_cannot_be_read_is_left_out() -> None:
    """A task goes on while it is read: nothing is said then, and nothing is raised."""
    broken: Any = SimpleNamespace(get_coro=lambda: SimpleNamespace(cr_frame=SimpleNamespace()))
    assert waits_at(broken) == ""
    assert waits_at(SimpleNamespace(get_coro=lambda: None)) == ""  # type: ignore[arg-type]
    assert thread_at(-1) == ""


def test_how_far_is_followed_is_bounded() -> None:
    ring = SimpleNamespace(cr_frame=None)
    ring.cr_await = ring
    task: Any = SimpleNamespace(get_coro=lambda: ring)
    assert stack_of(task) == []

    async def deep(left: int) -> None:
        await (deep(left - 1) if left else asyncio.sleep(60))

    assert "deep" in asyncio.run(settled(deep(DEEPEST + 50)))
