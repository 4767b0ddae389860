"""What an application awaits from us when it has to wait: coroutines of Python's own kind, which tasks step fastest."""

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

from clerestory.handlers.asgi.errors import ClientDisconnected

_NOTHING: Any = iter(())


class Waiting(Protocol):
    """A call, as what waits for its events and for room knows it (handlers.asgi.run)."""

    @property
    def gone(self) -> bool:
        """Whether the client has gone."""

    def has_event(self) -> bool:
        """Whether there is an event to be told."""

    def listen(self) -> "asyncio.Future[None]":
        """A future that is done when there is an event to be told."""

    def next_event(self) -> dict[str, Any]:
        """What `receive()` says now."""

    def room(self) -> "asyncio.Future[None] | None":
        """A future that is done when there is room; None when there is."""


class Sent:
    """What `send()` returns when it does not wait: it is awaited without a step, or made a task of."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return _NOTHING  # type: ignore[no-any-return]

    def send(self, value: object) -> None:  # noqa: ARG002
        """As a coroutine that is at its end."""
        raise StopIteration

    def throw(self, error: BaseException) -> None:
        """As a coroutine that is at its end."""
        raise error

    def close(self) -> None:
        """Nothing is held."""


SENT = Sent()


async def given(event: dict[str, Any]) -> dict[str, Any]:
    """An event that is there."""
    return event


async def wait_for_event(run: Waiting) -> dict[str, Any]:
    """The next event, when it comes. Of several who wait, one is told a piece of the body; the others wait on."""
    while not run.has_event():
        await run.listen()
    return run.next_event()


async def pause() -> None:
    """Let others have their turn."""
    await asyncio.sleep(0)


async def wait_for_room(run: Waiting) -> None:
    """Return when the connection has taken what was given; raise where it has gone."""
    while (room := run.room()) is not None:
        await room
    if run.gone:
        raise ClientDisconnected("the client has gone")
