"""The WebSocket of a router's handler: `async for message in socket: await socket.send(message)`.

    @router.websocket("/echo")
    async def echo(socket: WebSocket) -> None: ...

- It is accepted by `accept()`, or by the first `receive()` or `send()`. Before that the handler may refuse it: raise an
  HTTPError, or return a Response. One that returns without either refuses it with 403.
- `receive()` is an operation: the next message, in its order. `async for` ends when the WebSocket does.
- `send()` is an operation: it is over at once while fewer bytes wait than `websocket_max_unsent`; beyond that it waits.
- Both raise WebSocketClosed once it is over, whichever side has ended it.

The machine is `session` (statemachines.websocket); what runs the handler is its `call` (handlers.websocket.calls).
"""

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.api.operations import Executor, Operation
from clerestory.handlers.websocket.codes import ABNORMAL, INVALID, NORMAL, check_close

OURS = frozenset((b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"content-length"))
"""Fields of a 101 that the server sends, and an application does not."""


class WebSocketClosed(Exception):
    """The WebSocket is over. `code` and `reason` are what it was closed with; 1006 where nothing was said, 1005 where
    the client gave no code (RFC 6455 section 7.4.1)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Line:
    """A handler's side of a WebSocket: what its operations, and its call (handlers.websocket.calls), share. `opens`
    accepts it, and sets `session` (handlers.websocket.session)."""

    __slots__ = ("_open", "_readers", "_writers", "closed", "offered", "session")

    def __init__(self, offered: list[str], opens: Callable[[str | None, Fields], Any]) -> None:
        self.offered = tuple(offered)
        self.closed: tuple[int, str] | None = None
        self.session: Any = None
        self._open = opens
        self._readers: deque[_Receive] = deque()
        self._writers: list[_Send] = []

    # --- its operations'

    def ensure_open(self, subprotocol: str | None = None, fields: Fields = ()) -> None:
        """Accept it, unless it has been accepted. Raises WebSocketClosed."""
        if self.session is None:
            if self.closed is not None:
                raise WebSocketClosed(*self.closed)
            self._open(subprotocol, fields)

    def has_event(self) -> bool:
        """Whether `receive()` need not wait."""
        return self.closed is not None or bool(self.session.inbox.queue)

    def next_message(self) -> str | bytes:
        """The next message. Raises WebSocketClosed."""
        session = self.session
        if session is not None and session.inbox.queue:
            return session.take()  # type: ignore[no-any-return]
        assert self.closed is not None
        raise WebSocketClosed(*self.closed)

    def read_later(self, reader: "_Receive") -> None:
        """Tell `reader` when there is an event."""
        self._readers.append(reader)

    def write_later(self, writer: "_Send") -> None:
        """Tell `writer` when there is room."""
        self._writers.append(writer)
        self.session.want_room()

    def forget(self, operation: "_Receive | _Send") -> None:
        """It is not waited for any more."""
        if operation in self._readers:
            self._readers.remove(operation)  # type: ignore[arg-type]
        if operation in self._writers:
            self._writers.remove(operation)

    # --- the call's

    @property
    def waits_for_room(self) -> bool:
        """Whether a `send()` waits."""
        return bool(self._writers)

    def wake(self) -> None:
        """There is an event for `receive()`: those who wait are told in their order, as far as there are events."""
        session = self.session
        if session is not None and self.closed is None:
            self.closed = session.end
        while self._readers and self.has_event():
            self._readers.popleft().wake()

    def make_room(self) -> None:
        """There is room for what waits in `send()`, or it is over."""
        waiting, self._writers = self._writers, []
        for writer in waiting:
            writer.wake()

    def left(self) -> None:
        """It was never accepted, and cannot be any more."""
        if self.session is None and self.closed is None:
            self.closed = ABNORMAL, ""


class WebSocket:
    """One WebSocket, for its handler. `request` is the request that has asked for it."""

    __slots__ = ("_line", "request")

    def __init__(self, request: Request, line: Line) -> None:
        self.request = request
        self._line = line

    @property
    def offered(self) -> tuple[str, ...]:
        """The subprotocols that the client offers, in its order."""
        return self._line.offered

    @property
    def closed(self) -> tuple[int, str] | None:
        """The code and the reason that it was closed with, by whichever side; None while it is open."""
        return self._line.closed

    async def accept(self, subprotocol: str | None = None, fields: Fields = ()) -> None:
        """Accept it; `fields` are added to the 101. Raises ValueError for a subprotocol that was not offered,
        RuntimeError where it has been accepted, WebSocketClosed where the client has gone."""
        if self._line.session is not None:
            raise RuntimeError("the WebSocket has been accepted before")
        if subprotocol is not None and subprotocol not in self.offered:
            those = ", ".join(self.offered) or "none"
            raise ValueError(f"subprotocol {subprotocol!r} was not offered by the client; it offers: {those}")
        wrong = [name.decode("latin-1") for name, _ in fields if name in OURS]
        if wrong:
            raise ValueError(f"the server sends {wrong[0]} itself")
        self._line.ensure_open(subprotocol, fields)

    def receive(self) -> Operation:
        """An operation: the next message, `str` or `bytes`. Raises WebSocketClosed."""
        return _Receive(self._line)

    async def receive_json(self) -> Any:
        """The next message as JSON. One that is not JSON closes the WebSocket with 1007. Raises WebSocketClosed."""
        message = await self.receive()
        try:
            return json.loads(message)
        except (ValueError, RecursionError) as error:
            await self.close(INVALID, "the message is not JSON")
            raise WebSocketClosed(INVALID, "the message is not JSON") from error

    def send(self, message: str | bytes | dict[str, Any] | list[Any]) -> Operation:
        """An operation: send text, bytes, or a dict or list as JSON. Raises TypeError and ValueError for what cannot be
        sent, WebSocketClosed."""
        return _Send(self._line, _encoded(message))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it: what the client has sent and was not received is dropped. Raises ValueError for a code or a reason
        that may not be sent. Does nothing where it is over."""
        check_close(code, reason)
        line = self._line
        if line.closed is None:
            line.ensure_open()
            line.session.say_close(code, reason)

    def __aiter__(self) -> "WebSocket":
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()  # type: ignore[no-any-return]
        except WebSocketClosed:
            raise StopAsyncIteration from None


class _Receive(Operation):
    """The next message."""

    __slots__ = ("_executor", "_line")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._executor: Executor | None = None

    def __await__(self) -> Any:
        """As Operation.__await__, but without a step of the executor where a message has come."""
        self._line.ensure_open()
        return self._line.next_message() if self._line.has_event() else (yield self)

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._line.ensure_open()
        self._executor = executor
        self._line.read_later(self)
        if self._line.has_event():
            executor.loop.call_from_thread(self._line.wake)

    def wake(self) -> None:
        """There is an event."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        try:
            message = self._line.next_message()
        except WebSocketClosed as closed:
            executor.finished(self, error=closed)
        else:
            executor.finished(self, message)

    def cancel(self) -> None:
        """As Operation.cancel: a message that has come stays for the next to ask."""
        self._executor = None
        self._line.forget(self)

    def subject(self) -> str:
        """As Operation.subject."""
        return "a message"

    def describe(self) -> str:
        """As Operation.describe."""
        return "receive"


class _Send(Operation):
    """A message on its way out."""

    __slots__ = ("_executor", "_is_sent", "_line", "_message")

    def __init__(self, line: Line, message: str | bytes) -> None:
        self._line = line
        self._message = message
        self._is_sent = False
        self._executor: Executor | None = None

    def __await__(self) -> Any:
        """As Operation.__await__, but without a step of the executor where there is room."""
        self._give()
        return None if self._line.session.has_room() else (yield self)

    def _give(self) -> None:
        """Give the message to the session, once. Raises WebSocketClosed."""
        if self._is_sent:
            return
        self._is_sent = True
        line = self._line
        line.ensure_open()
        if line.closed is not None:
            raise WebSocketClosed(*line.closed)
        line.session.send(self._message)

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        self._give()
        self._executor = executor
        if self._line.session.has_room():
            executor.loop.call_from_thread(self.wake)
        else:
            self._line.write_later(self)

    def wake(self) -> None:
        """There is room, or the WebSocket is over."""
        executor, self._executor = self._executor, None
        if executor is not None:
            closed = self._line.closed
            executor.finished(self, error=WebSocketClosed(*closed) if closed is not None else None)

    def cancel(self) -> None:
        """As Operation.cancel: what was given goes out."""
        self._executor = None
        self._line.forget(self)

    def subject(self) -> str:
        """As Operation.subject."""
        return "room to send"

    def describe(self) -> str:
        """As Operation.describe."""
        return "send"


def _encoded(message: object) -> str | bytes:
    if isinstance(message, str | bytes):
        return message
    if isinstance(message, dict | list):
        return json.dumps(message, ensure_ascii=False, allow_nan=False)
    if isinstance(message, bytearray | memoryview):
        return bytes(message)
    raise TypeError(f"a message is str, bytes, or a dict or list for JSON, not {type(message).__name__}")
