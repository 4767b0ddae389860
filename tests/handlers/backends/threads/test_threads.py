"""Calls in threads: their ends, their bounds, their cancelling, and the pool's end."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.threads import threads
from clerestory.handlers.backends.threads.threads import ThreadPool, in_thread
from clerestory.handlers.backends.threads.work import ThreadCall
from tests.handlers.running import PATIENCE, FakeExecutor, FakeLoop


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(size=2, backlog=3)
    yield pool
    assert pool.close(PATIENCE) == [], "a test left a thread running"


class Gate:
    """A function that runs until it is opened, and says when it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()

    def wait_here(self, result: object = None) -> object:
        self.begun.release()
        assert self.opened.wait(PATIENCE)
        return result

    def await_begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=PATIENCE)


async def call(pool: ThreadPool, function: Callable[..., object], *args: Any, **kwargs: Any) -> object:
    return await pool.call(function, *args, **kwargs)


def test_the_result_comes_back_on_the_loops_thread(pool: ThreadPool) -> None:
    def add(a: int, b: int) -> tuple[int, int]:
        return a + b, threading.get_ident()

    result, ident = FakeExecutor().run(call(pool, add, 1, b=2))
    assert result == 3
    assert ident != threading.get_ident()


def test_what_the_function_raises_is_raised_at_the_await(pool: ThreadPool) -> None:
    def fail() -> None:
        raise LookupError("gone")

    async def handler() -> str:
        try:
            await pool.call(fail)
        except LookupError as error:
            return str(error)
        return "nothing raised"

    assert FakeExecutor().run(handler()) == "gone"


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_exit_in_a_thread_is_an_ordinary_error(pool: ThreadPool, exception: type[BaseException]) -> None:
    def leave() -> None:
        raise exception

    with pytest.raises(RuntimeError, match=rf"leave raised {exception.__name__} in its thread") as caught:
        FakeExecutor().run(call(pool, leave))
    assert isinstance(caught.value.__cause__, exception)
    assert FakeExecutor().run(call(pool, int, "7")) == 7, "the thread lives on"


def test_no_thread_is_started_before_it_is_needed_and_none_beyond_the_size() -> None:
    pool, gate, executor = ThreadPool(size=2, backlog=3), Gate(), FakeExecutor()
    before = threading.active_count()
    operations = [pool.call(gate.wait_here, number) for number in range(4)]
    assert threading.active_count() == before
    for operation, grown in zip(operations, (1, 2, 2, 2), strict=True):
        operation.start(executor)
        assert threading.active_count() == before + grown
    gate.await_begun(2)
    gate.opened.set()
    assert [executor.wait(operation) for operation in operations] == [(number, None) for number in range(4)]
    assert pool.close(PATIENCE) == []
    assert threading.active_count() == before


def test_idle_threads_are_used_again(pool: ThreadPool) -> None:
    executor = FakeExecutor()
    idents = {executor.run(call(pool, threading.get_ident)) for _ in range(20)}
    assert len(idents) <= 2


def test_the_backlog_passes_and_one_more_is_503(pool: ThreadPool) -> None:
    gate, executor = Gate(), FakeExecutor()
    coroutines = [call(pool, gate.wait_here) for _ in range(2 + 3)]
    operations: list[ThreadCall[Any]] = []
    for coroutine in coroutines:
        operation = coroutine.send(None)
        operation.start(executor)
        operations.append(operation)
    gate.await_begun(2)
    with pytest.raises(HTTPError) as caught:
        executor.run(call(pool, gate.wait_here))
    assert (caught.value.status, caught.value.detail) == (503, "Too many requests are waiting for a thread.")
    assert caught.value.fields == ((b"retry-after", b"1"),)
    assert pool.waiting() == 3

    operations[-1].cancel()  # which gives its place to another
    one_more = call(pool, gate.wait_here)
    operations[-1] = one_more.send(None)
    operations[-1].start(executor)
    gate.opened.set()
    for operation in operations:
        assert executor.wait(operation) == (None, None)
    for coroutine in (*coroutines, one_more):
        coroutine.close()


def test_an_operation_says_whether_it_is_queued_or_running(pool: ThreadPool) -> None:
    gate, executor = Gate(), FakeExecutor()
    operations = [pool.call(gate.wait_here) for _ in range(3)]
    for operation in operations:
        operation.start(executor)
    gate.await_begun(2)
    executor.loop.now += 1.5
    first, second, third = [operation.describe() for operation in operations]
    assert re.fullmatch(r"work#\d+ RUNNING Gate\.wait_here 1\.5 s", first)
    assert re.fullmatch(r"work#\d+ RUNNING Gate\.wait_here 1\.5 s", second)
    assert re.fullmatch(r"work#\d+ QUEUED Gate\.wait_here 1\.5 s <- 2 threads, 1 waiting", third)
    gate.opened.set()
    for operation in operations:
        executor.wait(operation)


def test_a_cancelled_call_that_is_queued_never_runs(pool: ThreadPool) -> None:
    gate, executor, ran = Gate(), FakeExecutor(), threading.Event()
    busy: list[Operation] = [pool.call(gate.wait_here) for _ in range(2)]
    queued, after = pool.call(ran.set), pool.call(str)
    for operation in (*busy, queued, after):
        operation.start(executor)
    gate.await_begun(2)
    queued.cancel()
    assert pool.waiting() == 1
    gate.opened.set()
    for operation in (*busy, after):
        executor.wait(operation)
    assert not ran.is_set()
    assert executor.ended == {}


def test_a_cancelled_call_that_runs_has_its_result_dropped(pool: ThreadPool) -> None:
    gate, executor = Gate(), FakeExecutor()
    running = pool.call(gate.wait_here, "result")
    running.start(executor)
    gate.await_begun()
    running.cancel()
    gate.opened.set()
    executor.loop.turn()
    assert executor.ended == {}


def test_cancelled_between_its_end_and_its_delivery_it_reports_nothing(pool: ThreadPool) -> None:
    executor = FakeExecutor()
    operation = pool.call(str)
    operation.start(executor)
    deliver = executor.loop.callbacks.get(timeout=PATIENCE)
    operation.cancel()
    deliver()
    assert executor.ended == {}


def test_a_loop_that_has_ended_does_not_end_the_thread(pool: ThreadPool) -> None:
    class EndedLoop(FakeLoop):
        def __init__(self) -> None:
            super().__init__()
            self.asked = threading.Event()

        def call_from_thread(self, callback: Callable[[], None]) -> None:
            self.asked.set()
            raise RuntimeError("this loop has ended")

    loop = EndedLoop()
    pool.call(str).start(FakeExecutor(loop))
    assert loop.asked.wait(PATIENCE)
    assert FakeExecutor().run(call(pool, str, 1)) == "1"


def test_close_does_not_wait_for_a_stuck_thread() -> None:
    pool, gate, executor = ThreadPool(size=1, backlog=1), Gate(), FakeExecutor()
    stuck, queued = pool.call(gate.wait_here), pool.call(str)
    stuck.start(executor)
    queued.start(executor)
    gate.await_begun()
    [running] = pool.close()
    assert re.fullmatch(r"work#\d+ RUNNING Gate\.wait_here 0\.0 s", running)
    for operation in (queued, pool.call(str)):
        if operation is not queued:
            operation.start(executor)
        _, error = executor.wait(operation)
        assert isinstance(error, HTTPError)
        assert (error.status, error.detail) == (503, "The server is shutting down.")
    with pytest.raises(HTTPError, match="shutting down"):
        executor.run(call(pool, str))
    gate.opened.set()
    assert executor.wait(stuck) == (None, None), "who still waits gets the result"
    assert pool.close(PATIENCE) == []


def test_its_threads_are_daemons(pool: ThreadPool) -> None:
    assert FakeExecutor().run(call(pool, lambda: threading.current_thread().daemon)) is True


def test_without_any_thread_the_call_is_503(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    executor = FakeExecutor()
    with monkeypatch.context() as patch:
        patch.setattr(threads.threading.Thread, "start", refuse)  # type: ignore[attr-defined]
        with pytest.raises(HTTPError) as caught:
            executor.run(call(pool, str))
    assert (caught.value.status, caught.value.detail) == (503, "No thread can be started.")
    assert executor.run(call(pool, str, 2)) == "2", "and the next one runs"


def test_there_is_a_default_pool() -> None:
    async def handler() -> object:
        return await in_thread(int, "ff", base=16)

    executor = FakeExecutor()
    assert executor.run(handler()) == 255
    assert re.fullmatch(r"work#\d+ RUNNING int 0\.0 s", executor.descriptions[0])
    assert (threads.DEFAULT.size, threads.DEFAULT.backlog) == (8, 4096)


@pytest.mark.parametrize(("size", "backlog"), [(1, 1), (3, 2)])
def test_the_loops_limits_bound_a_pool_that_has_no_bounds_of_its_own(size: int, backlog: int) -> None:
    gate, executor = Gate(), FakeExecutor(FakeLoop(threads=size, thread_backlog=backlog))
    pool = ThreadPool()
    operations = [pool.call(gate.wait_here) for _ in range(size + backlog + 1)]
    for operation in operations:
        operation.start(executor)
    gate.await_begun(size)
    assert pool.waiting() == backlog
    _, error = executor.wait(operations.pop())
    assert isinstance(error, HTTPError)
    assert (error.status, error.detail) == (503, "Too many requests are waiting for a thread.")
    gate.opened.set()
    assert [executor.wait(operation) for operation in operations] == [(None, None)] * (size + backlog)
    assert pool.close(PATIENCE) == []


def test_a_thousand_short_calls_wait_their_turn_by_default() -> None:
    """Many clients at once are ordinary. What bounds the wait is its deadline, not how many there are before it."""
    pool, executor = ThreadPool(size=2), FakeExecutor()
    operations = [pool.call(int, str(number)) for number in range(1000)]
    for operation in operations:
        operation.start(executor)
    assert [executor.wait(operation) for operation in operations] == [(number, None) for number in range(1000)]
    assert pool.close(PATIENCE) == []
