"""Server-sent events (HTML standard, section 9.2): `return event_stream(events())`.

Events come from an asynchronous iterable, which may await operations. While it waits, a comment is sent now and then,
so that the stream is not silent for longer than our own deadline and those of proxies, and a client that has gone is
noticed. A comment is also sent at once: a browser's EventSource is open then, and not only at the first event.
"""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

from clerestory.handlers.api.foreign import as_operation
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.api.operations import Executor, HalfClose, Held, NextPiece, Operation

_LINES = re.compile("\r\n|\r|\n")
_FIELDS: Fields = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would gather events before it sends them
)
COMMENT = b":\n\n"
KEEP_ALIVE = 15.0
"""Seconds of silence before a comment, as the standard advises."""


class Event(NamedTuple):
    """One event. `data` is text, or a value that is sent as JSON. `event` is its type, `id` what a client that has lost
    the connection sends as Last-Event-ID, `retry` after how many milliseconds it comes back."""

    data: Any = ""
    event: str = ""
    id: str = ""
    retry: int | None = None


def encoded(item: object) -> bytes:
    """An event as it is sent: an Event, text, bytes of UTF-8, or a value for JSON. Raises ValueError, TypeError."""
    event = item if isinstance(item, Event) else Event(item)
    lines = []
    for name, value in (("event", event.event), ("id", event.id)):
        if _LINES.search(value) or "\0" in value:
            raise ValueError(f"the {name} of an event is one line, without NUL: {value!r}")
        lines += [f"{name}: {value}"] if value else []
    if event.retry is not None:
        lines.append(f"retry: {event.retry:d}")
    data = event.data.decode() if isinstance(event.data, bytes) else event.data
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, allow_nan=False)
    lines += [f"data: {line}" for line in _LINES.split(text)]
    return ("\n".join(lines) + "\n\n").encode()


def last_event_id(request: Request) -> str:
    """The id of the last event that the client has seen; empty where it has seen none."""
    return (request.get(b"last-event-id") or b"").decode("utf-8", "replace")


def event_stream(events: AsyncIterable[object], keep_alive: float = KEEP_ALIVE, fields: Fields = ()) -> Response:
    """A response that sends each item of `events` as an event: text, a value for JSON, or an Event. After `keep_alive`
    seconds of silence it sends a comment; that must be less than the server's --backend-timeout.

    Raises ValueError.
    """
    if not keep_alive > 0:
        raise ValueError(f"keep_alive is {keep_alive}, not a number of seconds above 0")
    return Response(_Stream(aiter(events), keep_alive), 200, _FIELDS + fields)


class _Wait(Operation):
    """Waits for `operation`, and for no longer than `seconds` at a time; it goes on meanwhile. Awaiting this tells
    whether it has ended; `result` and `error` are then what it has brought."""

    __slots__ = ("_executor", "_loop", "_round", "_seconds", "ended", "error", "operation", "result")

    def __init__(self, operation: Operation, seconds: float) -> None:
        self.operation = operation
        self.ended = False
        self.result: object = None
        self.error: BaseException | None = None
        self._seconds = seconds
        self._executor: Executor | None = None
        self._loop: Any = None
        self._round = 0

    @property
    def loop(self) -> Any:
        """As Executor.loop."""
        return self._loop

    def start(self, executor: Executor) -> None:
        """As Operation.start: begin, or wait again."""
        self._executor = executor
        self._round += 1
        if self._loop is None:
            self._loop = executor.loop
            self.operation.start(self)
        loop, now = self._loop, self._round
        if self.ended:
            loop.call_from_thread(lambda: self._tell(now))
        else:
            loop.call_at(loop.clock() + self._seconds, lambda: self._tell(now))

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        """As Executor.finished."""
        if operation is self.operation and not self.ended:
            self.ended, self.result, self.error = True, result, error
            self._tell(self._round)

    def _tell(self, of: int) -> None:
        executor = self._executor
        if of == self._round and executor is not None:
            self._executor = None
            executor.finished(self, self.ended)

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None
        if not self.ended:
            self.ended = True
            self.operation.cancel()

    def holds(self) -> Held | None:
        """As Operation.holds."""
        return self.operation.holds() if self._round == 1 else None

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed."""
        return self.operation.client_closed()

    def subject(self) -> str:
        """As Operation.subject."""
        return self.operation.subject()

    def describe(self) -> str:
        """As Operation.describe."""
        return self.operation.describe()


class _Stream:
    """The pieces of an event stream. `_steps` is the source's step that has not ended, `_wait` what it awaits."""

    def __init__(self, source: AsyncIterator[object], keep_alive: float) -> None:
        self._source = source
        self._keep_alive = keep_alive
        self._open = False
        self._steps: Any = None
        self._wait: _Wait | None = None

    def __aiter__(self) -> "_Stream":
        return self

    async def __anext__(self) -> bytes:
        if not self._open:
            self._open = True
            return COMMENT
        result: object = None
        error: BaseException | None = None
        if self._steps is None:
            self._steps = self._source.__anext__().__await__()
        while True:
            if self._wait is not None:
                if not await self._wait:
                    return COMMENT
                result, error, self._wait = self._wait.result, self._wait.error, None
            try:
                awaited = self._steps.send(result) if error is None else self._steps.throw(error)
            except StopIteration as stop:
                self._steps = None
                return encoded(stop.value)
            except BaseException:
                self._steps = None
                raise
            result = error = None
            if isinstance(awaited, NextPiece):
                result = await awaited
                continue
            operation = awaited if isinstance(awaited, Operation) else as_operation(awaited)
            if operation is None:
                error = TypeError(f"events await operations, not {type(awaited).__name__}")
            else:
                self._wait = _Wait(operation, self._keep_alive)

    async def aclose(self) -> None:
        """End the source, wherever it is."""
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.cancel()
        steps, self._steps = self._steps, None
        if steps is not None:
            with suppress(GeneratorExit, StopIteration, StopAsyncIteration):
                steps.throw(GeneratorExit())
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
