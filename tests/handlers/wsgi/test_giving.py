"""What a call has given, and what its thread waits for: room, the body, and the client."""

import threading
from collections.abc import Iterator
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


def test_a_thread_waits_while_more_than_the_bound_is_not_taken() -> None:
    given: list[int] = []

    def called(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        for number in range(5):
            yield b"x" * 100
            given.append(number)

    with bench_of(called, max_output=150) as bench:
        carrier = bench.ask()
        bench.until(lambda: carrier.call.state is S.AWAITING_ROOM)
        assert given == [0]
        assert carrier.whole() == b"x" * 500
        bench.rest()
        assert {T.ROOM_WANTED, T.ROOM_MADE} <= set(passed(carrier))


def test_a_thread_waits_for_the_body_and_is_given_it_piece_by_piece() -> None:
    def called(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return [environ["wsgi.input"].read()]

    with bench_of(called) as bench:
        carrier = bench.ask("POST", None)
        bench.until(lambda: carrier.reading)
        assert carrier.call.node.state == S.AWAITING_BODY
        carrier.give(b"one ", last=False)
        assert passed(carrier)[-1] == T.BODY_GIVEN
        bench.until(lambda: carrier.reading)
        carrier.give(b"two", last=True)
        assert carrier.whole() == b"one two"
        bench.rest()


def test_a_body_that_is_read_behind_the_whole_answer_does_not_come() -> None:
    """Nobody reads it from the client any more: the thread would wait for ever."""
    errors = []

    class Draining(list[bytes]):
        def __init__(self, source: Any) -> None:
            super().__init__([b"hello"])
            self.source = source

        def close(self) -> None:
            try:
                self.source.read()
            except OSError as error:
                errors.append(type(error).__name__)
                raise

    def called(environ: Any, start: Any) -> Any:
        start("200 OK", [])
        return Draining(environ["wsgi.input"])

    with bench_of(called) as bench:
        carrier = bench.ask("POST", None)
        assert carrier.whole() == b"hello"
        bench.rest()
        assert (errors, bench.log.names()) == (["ClientDisconnected"], [])


def test_a_call_that_is_left_raises_at_its_next_piece_and_that_is_no_failure() -> None:
    go, errors = threading.Event(), []

    def called(environ: Any, start: Any) -> Any:
        say = start("200 OK", [])
        say(b"one")
        assert go.wait(PATIENCE)
        try:
            say(b"two")
        except OSError as error:
            errors.append(type(error).__name__)
            raise
        return []

    with bench_of(called) as bench:
        carrier = bench.ask()
        bench.until(lambda: carrier.answer is not None)
        carrier.steps.close()
        assert carrier.call.state is S.LEAVING
        go.set()
        bench.rest()
        assert (errors, bench.log.names()) == (["ClientDisconnected"], [])


def test_a_thread_that_waits_for_room_ends_when_its_client_leaves() -> None:
    closed = threading.Event()

    def called(environ: Any, start: Any) -> Iterator[bytes]:
        try:
            start("200 OK", [])
            while True:
                yield b"x" * 100
        finally:
            closed.set()

    with bench_of(called, max_output=150) as bench:
        carrier = bench.ask()
        bench.until(lambda: carrier.call.state is S.AWAITING_ROOM)
        carrier.steps.close()
        bench.rest()
        assert (closed.is_set(), bench.log.names()) == (True, [])
