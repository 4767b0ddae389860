"""Tasks that are started eagerly: real ones, each in a context of its own."""

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from clerestory.handlers.asgi.tasks import Starter
from tests.handlers.asgi.bench import outer_loop

VALUE: ContextVar[str] = ContextVar("value", default="unset")


def test_the_first_step_runs_at_once_as_the_current_task() -> None:
    seen: list[Any] = []

    async def step() -> str:
        seen.append(asyncio.current_task())
        return "result"

    async def main() -> None:
        task = Starter(asyncio.get_running_loop()).start(step(), "7-1")
        assert (task.done(), task.result(), task.get_name()) == (True, "result", "7-1")

    with outer_loop() as outer:
        outer.call_soon(lambda: seen.append(Starter(outer).start(step(), "7-1")))
        outer.call_soon(outer.stop)
        outer.run_forever()
        task = seen[1]
        assert seen[0] is task
        assert (task.done(), task.result(), task.get_name()) == (True, "result", "7-1")


def test_what_waits_goes_on_as_any_task_does() -> None:
    async def step() -> str:
        await asyncio.sleep(0)
        return VALUE.get()

    with outer_loop() as outer:
        task = Starter(outer).start(step(), "x")
        assert not task.done()
        assert outer.run_until_complete(task) == "unset"


def test_within_another_tasks_step_it_is_started_a_little_later() -> None:
    async def main() -> str:
        task = Starter(asyncio.get_running_loop()).start(asyncio.sleep(0, "slept"), "x")
        return str(await task)

    with outer_loop() as outer:
        assert outer.run_until_complete(main()) == "slept"


def test_each_has_a_fresh_copy_of_the_context_in_which_the_starter_was_made() -> None:
    seen: list[str] = []

    async def step() -> None:
        seen.append(VALUE.get())
        VALUE.set("left behind")

    with outer_loop() as outer:
        starter = Starter(outer)
        token = VALUE.set("set later")
        outer.call_soon(lambda: [starter.start(step(), name) for name in "ab"])
        outer.call_soon(outer.stop)
        outer.run_forever()
        VALUE.reset(token)
    assert seen == ["unset", "unset"]


def test_the_loop_is_as_before_whatever_the_step_does() -> None:
    async def step() -> None:
        asyncio.get_running_loop().call_soon(calls.append, "called")
        raise ValueError("raised")

    calls: list[str] = []
    with outer_loop() as outer:
        outer.call_soon(lambda: tasks.append(Starter(outer).start(step(), "x")))
        outer.call_soon(outer.stop)
        tasks: list[Any] = []
        outer.run_forever()
        assert "call_soon" not in vars(outer)
        outer.call_soon(outer.stop)
        outer.run_forever()
    assert calls == ["called"]
    with pytest.raises(ValueError, match="raised"):
        tasks[0].result()


def test_any_awaitable_will_do() -> None:
    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    with outer_loop() as outer:
        assert outer.run_until_complete(Starter(outer).start(Awaitable(), "x")) == "awaited"
