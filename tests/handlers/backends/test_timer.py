"""Sleeping without asyncio: until its time, or until it is given up."""

from typing import Any

import pytest

from clerestory.handlers.api.operations import Operation
from clerestory.handlers.backends.timer import sleep


class Executor:
    """An executor on a clock that the test sets; calls that are due are made by `at`."""

    def __init__(self) -> None:
        self.loop: Any = self
        self.now = 100.0
        self.calls: list[tuple[float, Any]] = []
        self.ended: list[Operation] = []

    def clock(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> None:
        self.calls.append((when, callback))

    def at(self, now: float) -> None:
        self.now = now
        for when, callback in self.calls:
            if when <= now:
                callback()

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        self.ended.append(operation)


def test_it_ends_when_its_time_has_come_and_once() -> None:
    executor, operation = Executor(), sleep(1.5)
    assert operation.describe() == "sleep 1.5 s"
    operation.start(executor)
    executor.at(101.0)
    assert (executor.ended, operation.describe()) == ([], "sleep of 1.5 s, 0.5 s left")
    executor.at(101.5)
    executor.at(102.0)
    assert executor.ended == [operation]


def test_one_that_is_given_up_says_nothing_more() -> None:
    executor, operation = Executor(), sleep(1)
    operation.start(executor)
    operation.cancel()
    executor.at(200.0)
    assert executor.ended == []


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="not negative"):
        sleep(-1)
