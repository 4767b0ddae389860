"""The wake-up: calls of other threads are made on the loop's thread, each once and in order."""

import os
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.server.yard import Yard, done

pytestmark = pytest.mark.usefixtures("every_descriptor_back")


# --- the wake-up


@pytest.fixture(params=["eventfd", "pipe"])
def woken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    if request.param == "pipe":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif not hasattr(os, "eventfd"):
        pytest.skip("there is no eventfd(2) here")
    yard = Yard()
    yield yard
    yard.loop.close()


def test_calls_from_threads_are_made_on_the_loops_thread_each_once_and_in_order(woken: Yard) -> None:
    made: list[tuple[int, int]] = []

    def call(name: int) -> None:
        for number in range(200):
            woken.loop.call_from_thread(lambda number=number: made.append((name, number)))  # type: ignore[misc]

    threads = [threading.Thread(target=call, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == []
    woken.turn()
    assert len(made) == 800
    for name in range(4):
        assert [number for who, number in made if who == name] == list(range(200))


def test_calls_that_come_while_one_is_pending_wake_the_loop_once(woken: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        written.append(descriptor)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    for _ in range(10):
        woken.loop.call_from_thread(lambda: None)
    assert len(written) == 1
    woken.turn()
    woken.turn()
    assert woken.poller.events == []
    woken.loop.call_from_thread(lambda: None)
    assert len(written) == 2


def test_a_call_made_in_a_call_waits_for_the_next_turn(woken: Yard) -> None:
    made: list[str] = []

    def first() -> None:
        made.append("first")
        woken.loop.call_from_thread(lambda: made.append("second"))

    woken.loop.call_from_thread(first)
    woken.turn()
    assert made == ["first"]
    woken.turn()
    assert made == ["first", "second"]


def test_a_call_from_a_thread_that_raises_is_reported_and_the_others_are_made(woken: Yard) -> None:
    made: list[str] = []
    fault = ValueError()
    woken.loop.call_from_thread(lambda: cast("Any", done(fault)))
    woken.loop.call_from_thread(lambda: made.append("second"))
    woken.turn()
    assert (made, woken.crashes) == (["second"], [(woken.loop.wake_up, fault)])
    woken.loop.call_from_thread(lambda: made.append("third"))
    woken.turn()
    assert made == ["second", "third"]


def test_a_call_after_the_loops_end_writes_to_nobodys_descriptor(woken: Yard) -> None:
    woken.loop.close()
    pipes = [os.pipe() for _ in range(4)]
    woken.loop.call_from_thread(lambda: None)
    for reading, writing in pipes:
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 8)
        os.close(reading)
        os.close(writing)
    woken.loop.close = lambda: None  # type: ignore[method-assign]


def test_the_wake_up_closes_when_it_is_ordered_to() -> None:
    yard = Yard()
    wake_up = yard.loop.wake_up
    yard.loop.fire(wake_up, wake_up.engine.table.triggers["CLOSE_ORDERED"])
    yard.turn()
    assert yard.loop.machines == {}
    yard.loop.close()
