"""What the calls of an application share: each is counted until its end, and a drain ends what still streams."""

import threading
from collections.abc import Iterator
from typing import Any

from tests.handlers.running import PATIENCE
from tests.handlers.wsgi.bench import bench_of


def test_each_end_is_told_and_a_call_is_counted_until_then() -> None:
    ends: list[int] = []

    def called(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return [b"x"]

    with bench_of(called) as bench:
        bench.hosting.on_run_ended = lambda: ends.append(len(bench.hosting.runs))
        bench.ask()
        assert len(bench.hosting.runs) == 1
        bench.rest()
        assert ends == [0]


def test_a_drain_ends_what_streams_and_lets_what_has_not_answered_go_on() -> None:
    go, closed = threading.Event(), threading.Event()

    def called(environ: Any, start: Any) -> Iterator[bytes]:
        try:
            if environ["REQUEST_METHOD"] == "POST":
                assert go.wait(PATIENCE)
            start("200 OK", [])
            yield b"one"
            while environ["REQUEST_METHOD"] == "GET":
                yield b"more"
        finally:
            closed.set()

    with bench_of(called, max_output=100) as bench:
        stream, slow = bench.ask(), bench.ask("POST")
        bench.until(lambda: stream.call.state == "AWAITING_ROOM")
        bench.hosting.drain()
        assert closed.wait(PATIENCE)
        assert slow.call.state == "RUNNING"
        go.set()
        assert slow.whole() == b"one"
        stream.steps.close()
        bench.rest()
