"""What an application's task has come to: by its first step, which nobody was told of while it ran; and by its end."""

import asyncio
from typing import Any, Protocol

from clerestory.handlers.api.messages import File
from clerestory.statemachines.application import Trigger as T


class Stepped(Protocol):
    """A call whose task has taken its first step (handlers.asgi.run)."""

    @property
    def link(self) -> Any:
        """What the connection becomes, where a WebSocket was accepted."""

    @property
    def complete(self) -> bool:
        """Whether the last piece of the answer was given."""

    @property
    def output(self) -> list[bytes | File]:
        """Pieces of the answer."""

    @property
    def wants_body(self) -> bool:
        """Whether a `receive()` waits for the request's body."""


def first_step_of(run: Stepped, *, room_wanted: bool, listens: bool) -> tuple[T, ...]:
    """What the machine is told of the first step of a task that goes on: where it waits, or how far its answer is."""
    if run.link is not None:
        return (T.WEBSOCKET_ACCEPTED,) if run.link.goes_on else (T.WEBSOCKET_ACCEPTED, T.ANSWER_ENDED)
    if run.complete:
        return (T.ANSWER_ENDED,)
    if room_wanted:
        return (T.ROOM_WANTED,)
    if run.output:
        return (T.PIECE_GIVEN,)
    if run.wants_body:
        return (T.BODY_REQUESTED,)
    return (T.DISCONNECT_WANTED,) if listens else ()


def outcome_of(task: "asyncio.Task[Any]", *, expected: bool) -> BaseException | None:
    """What a task that has ended has raised; that it was cancelled is an error only where that was not `expected`."""
    if not task.cancelled():
        return task.exception()
    return None if expected else asyncio.CancelledError("the application was cancelled")
