"""Awaiting what only an exchange steps."""

from typing import Any

import pytest

from clerestory.handlers.edge.stepped import Stepped


class Steps:
    """Yields `first`, then what comes back, then ends; no iterator."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def send(self, value: Any) -> Any:
        self.seen.append(value)
        if len(self.seen) == 1:
            return "first"
        if len(self.seen) == 2:
            return "second"
        raise StopIteration("result")

    def throw(self, error: BaseException) -> Any:
        self.seen.append(error)
        if isinstance(error, ValueError):
            return "handled"
        raise error


async def awaiting(steps: Any) -> Any:
    return await Stepped(steps)


def test_values_go_both_ways_and_the_result_comes_back() -> None:
    steps = Steps()
    coroutine = awaiting(steps)
    assert coroutine.send(None) == "first"
    assert coroutine.send("a") == "second"
    with pytest.raises(StopIteration) as stop:
        coroutine.send("b")
    assert stop.value.value == "result"
    assert steps.seen == [None, "a", "b"]


def test_errors_go_in_and_what_they_bring_comes_out() -> None:
    steps = Steps()
    coroutine = awaiting(steps)
    coroutine.send(None)
    assert coroutine.throw(ValueError()) == "handled"
    with pytest.raises(KeyError):
        coroutine.throw(KeyError("x"))


def test_giving_it_up_gives_the_steps_up() -> None:
    steps = Steps()
    coroutine = awaiting(steps)
    coroutine.send(None)
    coroutine.close()
    assert isinstance(steps.seen[-1], GeneratorExit)
