"""One call: what a thread notes, what the loop sees of it, and who is woken."""

import threading
from typing import Any

from clerestory.statemachines.wsgi import State as S
from clerestory.statemachines.wsgi import Trigger as T
from tests.handlers.running import PATIENCE
from tests.handlers.wsgi.bench import bench_of


def hello(environ: Any, start: Any) -> Any:
    start("200 OK", [])
    return [b"hello"]


def passed(carrier: Any) -> list[Any]:
    return [edge.trigger for _, edge in carrier.call.history]


def test_a_whole_answer_needs_no_state_between_running_and_its_end() -> None:
    with bench_of(hello) as bench:
        carrier = bench.ask()
        assert carrier.whole() == b"hello"
        bench.rest()
        assert passed(carrier) in ([T.THREAD_GIVEN, T.CALL_ENDED], [T.THREAD_GIVEN, T.ANSWER_ENDED, T.CALL_ENDED])
        assert bench.loop.callbacks.empty()
        assert bench.loop.machines == {}


def test_what_an_operator_ends_is_a_503() -> None:
    go = threading.Event()

    def called(environ: Any, start: Any) -> Any:
        assert go.wait(PATIENCE)
        return hello(environ, start)

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.loop.fire(carrier.call, T.CLOSE_ORDERED)
        bench.until(lambda: carrier.error is not None)
        assert str(getattr(carrier.error, "status", 0)) == "503"
        go.set()
        bench.rest()


def test_what_fails_behind_a_departure_is_logged() -> None:
    go = threading.Event()

    def called(environ: Any, start: Any) -> Any:
        assert go.wait(PATIENCE)
        raise RuntimeError("its own")

    with bench_of(called) as bench:
        carrier = bench.ask()
        carrier.steps.cancel()
        go.set()
        bench.rest()
        assert bench.log.names() == ["application_failed"]


def test_a_call_in_the_queue_that_is_left_never_runs() -> None:
    go, runs = threading.Event(), []

    def called(environ: Any, start: Any) -> Any:
        runs.append(1)
        assert go.wait(PATIENCE)
        return hello(environ, start)

    with bench_of(called, threads=1) as bench:
        first, second = bench.ask(), bench.ask()
        assert second.call.state is S.QUEUED
        second.steps.cancel()
        assert (second.call.state, passed(second)) == (S.DONE, [T.CLIENT_LEFT, T.WITHDRAWN])
        go.set()
        assert first.whole() == b"hello"
        bench.rest()
        assert runs == [1]


def test_a_late_application_is_refused_and_left() -> None:
    go = threading.Event()

    def called(environ: Any, start: Any) -> Any:
        assert go.wait(PATIENCE)
        return hello(environ, start)

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.loop.fire(carrier.call, T.DEADLINE_PASSED)
        bench.until(lambda: carrier.error is not None)
        assert getattr(carrier.error, "status", 0) == 504
        assert carrier.call.state is S.LEAVING
        go.set()
        bench.rest()
        assert bench.log.names() == []
