"""Work on a real loop: who moves it, what is seen of it, and how it ends when it does not end well."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.backends.threads import work
from clerestory.handlers.backends.threads.threads import ThreadPool
from clerestory.handlers.backends.threads.work import Work
from clerestory.server.xray.observe.cut import take
from clerestory.server.xray.observe.snapshot import counts, row
from clerestory.statemachines.contract import Table
from clerestory.statemachines.engine import Dispatch, Edge, Engine, Machine
from clerestory.statemachines.work import State as S
from clerestory.statemachines.work import Trigger as T
from tests.handlers.backends.threads.test_threads import Gate
from tests.handlers.running import PATIENCE
from tests.statemachines.recording import BOTH
from tests.support.postgres import Runner, Task


@pytest.fixture(params=BOTH)
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    runner = Runner(request.param)
    yield runner
    runner.close()


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(size=1, backlog=3)
    yield pool
    assert pool.close(PATIENCE) == []


@pytest.fixture
def gate() -> Gate:
    return Gate()


def ask(runner: Runner, pool: ThreadPool, gate: Gate) -> Task:
    async def handler() -> object:
        return await pool.call(gate.wait_here, "done")

    return runner.start(handler())


def works(runner: Runner) -> list[Work]:
    return [machine for machine in runner.loop.machines.values() if isinstance(machine, Work)]


def states(runner: Runner) -> list[str]:
    return [machine.state for machine in works(runner)]


def passed(machine: Machine) -> list[str]:
    return [edge.trigger for _, edge in machine.history]


def refused(task: Task) -> tuple[int, str]:
    assert isinstance(task.error, HTTPError)
    assert task.error.fields == ((b"retry-after", b"1"),)
    return task.error.status, task.error.detail


def test_it_is_in_the_map_while_it_lasts_and_not_a_moment_longer(runner: Runner, pool: ThreadPool, gate: Gate) -> None:
    first, second = ask(runner, pool, gate), ask(runner, pool, gate)
    gate.await_begun()
    assert states(runner) == [S.RUNNING, S.QUEUED]
    running, queued = works(runner)
    assert counts(take(runner.loop))["work"] == {"QUEUED": 1, "RUNNING": 1, "ABANDONED": 0, "DONE": 0}
    gate.opened.set()
    runner.until(lambda: first.done and second.done)
    assert (first.result, second.result) == ("done", "done")
    assert states(runner) == []
    assert passed(running) == passed(queued) == [T.THREAD_GIVEN, T.WORK_ENDED]


def test_one_in_the_queue_is_running_as_soon_as_the_loop_hears_that_a_thread_has_it(
    runner: Runner, pool: ThreadPool
) -> None:
    one, other = Gate(), Gate()
    first, second = ask(runner, pool, one), ask(runner, pool, other)
    one.await_begun()
    one.opened.set()
    other.await_begun()
    assert states(runner) == [S.RUNNING, S.QUEUED], "a thread moves nothing"
    runner.until(lambda: first.done)
    assert states(runner) == [S.RUNNING], "the same message has told of both"
    other.opened.set()
    assert runner.outcome(second) == "done"


def test_only_the_loops_thread_moves_it(pool: ThreadPool, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    movers: set[int] = set()

    def watched(machine: Machine, edge: Edge) -> None:
        movers.add(threading.get_ident())

    def engine(table: Table, model: type, clock: Any, limits: Any, dispatch: Dispatch) -> Engine:
        return Engine(table, model, clock, limits, dispatch, watched)

    monkeypatch.setattr(work, "Engine", engine)
    runner = Runner(Dispatch.COMPILED)
    tasks = [ask(runner, pool, gate) for _ in range(4)]
    gate.opened.set()
    runner.until(lambda: all(task.done for task in tasks))
    runner.close()
    assert movers == {threading.get_ident()}


def test_who_waits_for_it_says_which_and_for_how_long(runner: Runner, pool: ThreadPool, gate: Gate) -> None:
    first, second = ask(runner, pool, gate), ask(runner, pool, gate)
    gate.await_begun()
    runner.ahead += 2
    running, queued = works(runner)
    assert re.fullmatch(rf"work#{running.number} RUNNING Gate\.wait_here 2\.\d s", first.describe())
    expected = rf"work#{queued.number} QUEUED Gate\.wait_here 2\.\d s <- 1 thread, 1 waiting"
    assert re.fullmatch(expected, second.describe())
    seen = row(next(one for one in take(runner.loop).seen if one[0] is running), runner.loop.clock())
    assert (seen.id, seen.peer, seen.state) == (f"work:{running.number}", "Gate.wait_here", "RUNNING")
    assert re.fullmatch(r"RUNNING 2\.\d s <- the end of the function", seen.why)
    gate.opened.set()
    runner.outcome(second)


def test_who_leaves_while_it_runs_leaves_it_abandoned_until_its_end(
    runner: Runner, pool: ThreadPool, gate: Gate
) -> None:
    task = ask(runner, pool, gate)
    gate.await_begun()
    [abandoned] = works(runner)
    task.leave()
    assert abandoned.state is S.ABANDONED
    assert "ABANDONED" in abandoned.describe()
    next_one = ask(runner, pool, gate)
    assert states(runner) == [S.ABANDONED, S.QUEUED], "its thread is nobody else's"
    gate.opened.set()
    assert runner.outcome(next_one) == "done"
    assert passed(abandoned) == [T.THREAD_GIVEN, T.CALLER_LEFT, T.WORK_ENDED]


def test_who_leaves_when_a_thread_has_just_taken_it_is_not_told_that_it_never_ran(
    runner: Runner, pool: ThreadPool
) -> None:
    one, other = Gate(), Gate()
    first, second = ask(runner, pool, one), ask(runner, pool, other)
    one.await_begun()
    one.opened.set()
    other.await_begun()
    queued = works(runner)[1]
    second.leave()
    assert queued.state is S.ABANDONED
    other.opened.set()
    runner.until(lambda: first.done and not works(runner))
    assert passed(queued) == [T.CALLER_LEFT, T.WORK_ENDED]


def test_no_thread_in_time_is_503_and_what_was_queued_never_runs(pool: ThreadPool, gate: Gate) -> None:
    runner, late = Runner(Dispatch.COMPILED), Gate()
    first, second = ask(runner, pool, gate), ask(runner, pool, late)
    gate.await_begun()
    runner.advance(9.5)
    assert not second.done
    runner.advance(1)
    runner.until(lambda: second.done)
    assert refused(second) == (503, "No thread became free in time.")
    gate.opened.set()
    assert runner.outcome(first) == "done"
    runner.close()
    assert not late.begun.acquire(blocking=False)


def test_the_time_in_the_queue_is_the_loops_limit(pool: ThreadPool, gate: Gate) -> None:
    runner = Runner(Dispatch.COMPILED)
    runner.loop.limits = {"thread_queue_timeout": 2.0}
    ask(runner, pool, gate)
    second = ask(runner, pool, gate)
    runner.advance(2.5)
    runner.until(lambda: second.done)
    assert refused(second) == (503, "No thread became free in time.")
    gate.opened.set()
    runner.until(lambda: not works(runner))
    runner.close()


def test_an_operator_may_end_the_waiting_but_not_the_thread(runner: Runner, pool: ThreadPool, gate: Gate) -> None:
    first, second = ask(runner, pool, gate), ask(runner, pool, gate)
    gate.await_begun()
    for machine in works(runner):
        runner.loop.fire(machine, T.CLOSE_ORDERED)
    runner.until(lambda: first.done and second.done)
    assert refused(first) == refused(second) == (503, "The operation was cancelled by an operator.")
    assert states(runner) == [S.ABANDONED]
    gate.opened.set()
    runner.until(lambda: not works(runner))


def test_what_is_queued_when_its_loop_ends_never_runs(pool: ThreadPool, gate: Gate) -> None:
    runner, never = Runner(Dispatch.COMPILED), Gate()
    ask(runner, pool, gate)
    ask(runner, pool, never)
    gate.await_begun()
    runner.close()
    gate.opened.set()
    assert pool.close(PATIENCE) == []
    assert not never.begun.acquire(blocking=False)


def test_a_pool_may_serve_one_loop_after_the_other_and_both_at_once(pool: ThreadPool) -> None:
    one, other = Runner(Dispatch.COMPILED), Runner(Dispatch.COMPILED)
    first_gate, second_gate = Gate(), Gate()
    first, second = ask(one, pool, first_gate), ask(other, pool, second_gate)
    first_gate.opened.set()
    second_gate.opened.set()
    assert other.outcome(second) == "done"
    assert one.outcome(first) == "done"
    assert states(one) == states(other) == []
    one.close()
    other.close()


def test_what_short_work_has_done_counts_though_nobody_has_seen_it(
    runner: Runner, pool: ThreadPool, gate: Gate
) -> None:
    gate.opened.set()
    for _ in range(3):
        assert runner.outcome(ask(runner, pool, gate)) == "done"
    [engine] = [engine for engine in runner.loop.engines if engine.table.name == "work"]
    assert engine.ended() == 3
