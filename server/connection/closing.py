"""How what a handler leaves behind is closed: suspended coroutines, and bodies of any kind.

Closing may run code of the application, which may raise: the caller guards against it (server.connection.exchange).
"""

from contextlib import suppress
from typing import Any, Protocol

from clerestory.handlers.api.bodies import close_body as close_body


class Steps(Protocol):
    """A coroutine, or what `__await__` of an asynchronous generator's next piece gives: something to be stepped."""

    def send(self, value: Any, /) -> Any: ...

    def throw(self, error: BaseException, /) -> Any: ...


def unwind(steps: Steps) -> None:
    """Let a suspended coroutine's `finally` run, as its `close()` would; an asynchronous generator's step has, before
    Python 3.13, a `close()` that does not."""
    with suppress(GeneratorExit, StopIteration, StopAsyncIteration):
        steps.throw(GeneratorExit())
        raise RuntimeError("the handler awaited something while it was being given up")
