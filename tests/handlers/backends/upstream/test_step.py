"""What a call to an upstream waits for, in the profile of waiting."""

from types import SimpleNamespace
from typing import Any

from clerestory.handlers.backends.upstream.call import Call
from clerestory.handlers.backends.upstream.step import Step, name_of, queue_of


def called(pool: Any = None) -> Call:
    call = Call("GET", b"")
    call.pool = pool
    return call


POOL: Any = SimpleNamespace(where="127.0.0.1:9000")


def test_a_call_is_known_by_its_upstream() -> None:
    assert name_of(called()) == "upstream"
    assert name_of(called(POOL)) == Step(called(POOL)).subject() == "upstream 127.0.0.1:9000"


def test_the_seconds_in_the_queue_are_told_once() -> None:
    call = called(POOL)
    call.in_queue = 1.5
    queue = "a connection to upstream 127.0.0.1:9000"
    assert Step(call).queued() == (queue, 1.5)
    assert queue_of(call) == (queue, 0.0)


def test_one_that_still_waits_there_has_waited_for_nothing_else() -> None:
    call = called(POOL)
    call.slot = SimpleNamespace(queued=lambda: float("inf"))  # type: ignore[assignment]
    assert queue_of(call)[1] == float("inf")
