"""Awaiting what only an exchange steps: a handler's coroutine, or the calls of hosted applications, which are no
iterators (handlers.asgi.answering)."""

from collections.abc import Generator
from typing import Any


class Stepped:
    """`steps`, which have `send` and `throw`, as something that a coroutine can await: what they yield goes on to the
    exchange, and what it brings comes back to them."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Any) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, result = self._steps, None
        error: BaseException | None = None
        while True:
            try:
                awaited = steps.send(result) if error is None else steps.throw(error)
            except StopIteration as stop:
                return stop.value
            result = error = None
            try:
                result = yield awaited
            except BaseException as raised:  # noqa: BLE001 - also GeneratorExit: the exchange gives it up
                error = raised
