"""Hosting: an answer that is whole at once costs one step; others are machines on the loop, and the log is told."""

from typing import Any

import pytest

from clerestory.handlers.api.messages import Request
from tests.handlers.asgi.bench import bench_of, give, start


async def whole(scope: Any, receive: Any, send: Any) -> None:
    await start(send, 201, (b"content-length", b"2"), (b"x-a", b"b"))
    await give(send, b"ok")


def test_an_answer_that_is_whole_after_the_first_step_needs_no_machine_on_the_loop() -> None:
    with bench_of(whole) as bench:
        answer = bench.ask().answer
        assert answer is not None
        assert (answer.status, answer.body, answer.fields) == (201, b"ok", ((b"x-a", b"b"),))
        assert bench.runs == []
        assert [edge.count for edge in bench.hosting.engine.edges if edge.count] == [1]


def test_what_is_not_a_function_of_a_request_says_so() -> None:
    with bench_of(whole) as bench, pytest.raises(TypeError, match="begun by the exchange"):
        bench.asgi(Request("GET", "/", ()))


def test_a_call_that_raises_at_once_raises_to_the_exchange() -> None:
    def called(scope: Any, receive: Any, send: Any) -> Any:
        raise ZeroDivisionError

    with bench_of(called) as bench, pytest.raises(ZeroDivisionError):
        bench.ask()
