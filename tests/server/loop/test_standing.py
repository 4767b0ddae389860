"""For whom a loop's thread runs: a step's machine; without a step, the one whose request the running task answers."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from clerestory.handlers.api.operations import Executor, Operation
from clerestory.server.loop.loop import Loop
from clerestory.server.loop.standing import standing, stepping
from clerestory.statemachines.contract import Facts


class Waiting(Operation):
    """What a machine waits for: a task, or nothing of the kind."""

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self.run = SimpleNamespace(task=task)

    def timed_by(self) -> Any:
        return self.run

    def start(self, executor: Executor) -> None: ...

    def cancel(self) -> None: ...

    def describe(self) -> str:
        return "waiting"


def machine(operation: Any = None) -> Any:
    return SimpleNamespace(facts=lambda: Facts(operation=operation))


def loop_of(*machines: Any, in_step_of: Any = None) -> Loop:
    wake_up = object()
    step = wake_up if in_step_of == "wake-up" else in_step_of
    return cast("Loop", SimpleNamespace(stepping=step, wake_up=wake_up, machines=dict(enumerate(machines))))


def test_a_step_is_its_machines() -> None:
    one = machine()
    assert standing(loop_of(one, in_step_of=one)) is stepping(loop_of(one, in_step_of=one)) is one


def test_what_other_threads_have_called_is_nobodys_step() -> None:
    assert stepping(loop_of(machine(), in_step_of="wake-up")) is None
    assert standing(loop_of(machine(), in_step_of="wake-up")) is None


def test_without_a_step_it_is_the_machine_whose_request_the_running_task_answers() -> None:
    async def story() -> None:
        rests = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        mine, others = machine(Waiting(asyncio.current_task())), machine(Waiting(rests))
        loop = loop_of(machine(), machine(object()), machine(Waiting(None)), others, mine)
        assert standing(loop) is mine
        assert stepping(loop) is None
        assert standing(loop_of(others)) is None
        rests.cancel()

    asyncio.run(story())


def test_a_task_that_has_ended_runs_for_nobody() -> None:
    async def story() -> None:
        ended = asyncio.ensure_future(asyncio.sleep(0))
        await ended
        assert standing(loop_of(machine(Waiting(ended)))) is None

    asyncio.run(story())
