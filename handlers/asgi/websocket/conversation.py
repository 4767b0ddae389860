"""The application's side of a WebSocket: `receive` and `send`, from the handshake to the end.

- `receive()` says websocket.connect; behind the accept, messages in their order; then websocket.disconnect, always.
- Before the accept, `send()` takes an accept, a close (403), or a response of its own (`websocket.http.response.*`).
- Behind it, `send()` returns at once while fewer bytes wait than `websocket_max_unsent`; beyond that it waits.
- It raises for an ill-formed event, and ClientDisconnected, an OSError, when there is nobody to send to any more.
"""

import asyncio
from typing import Any

from clerestory.handlers.api.messages import Request
from clerestory.handlers.asgi.answering import describe
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError
from clerestory.handlers.asgi.routes import route_of
from clerestory.handlers.asgi.run import Run
from clerestory.handlers.asgi.waits import SENT, given
from clerestory.handlers.asgi.websocket.events import (
    CONNECT,
    accepted,
    closing_of,
    disconnect_event,
    message_event,
    message_of,
)
from clerestory.handlers.asgi.websocket.sockets import WebSockets
from clerestory.handlers.websocket.codes import ABNORMAL, INTERNAL_ERROR, NORMAL, SERVICE_RESTART
from clerestory.handlers.websocket.handshake import Handshake
from clerestory.handlers.websocket.link import Link
from clerestory.handlers.websocket.session import Session
from clerestory.statemachines.application import Trigger as T
from clerestory.statemachines.engine import Edge


class Conversation:
    """One call's. `session` is there from the accept on."""

    __slots__ = ("_connected", "_has_closed", "_listeners", "_run", "_sockets", "_writers", "handshake", "session")

    def __init__(self, sockets: WebSockets, run: Run, handshake: Handshake) -> None:
        self._sockets = sockets
        self._run = run
        self.handshake = handshake
        self.session: Session | None = None
        self._connected = False
        self._has_closed = False
        """Whether the application has closed it."""
        self._listeners: list[asyncio.Future[None]] = []
        """Those of `receive()` that wait, each with a future of its own: one may be cancelled, and others wait on."""
        self._writers: list[asyncio.Future[None]] = []
        """Those of `send()`."""

    # --- the application's

    def receive(self) -> Any:
        """The next event."""
        if not self._connected:
            self._connected = True
            return given(dict(CONNECT))
        return given(self._next_event()) if self._has_event() else self._wait_for_event()

    def send(self, event: Any) -> Any:
        """An event of the handshake, or a message."""
        kind = event["type"]
        if self.session is None:
            return self._answer(kind, event)
        if self._has_closed:
            raise EventError(f"{kind!r} was sent behind websocket.close")
        if kind == "websocket.send":
            return self._send(self.session, message_of(event))
        if kind == "websocket.close":
            self._close(self.session, *closing_of(event))
            return SENT
        raise EventError(f"{kind!r} is no event of a WebSocket that is open")

    def _answer(self, kind: str, event: Any) -> Any:
        """An event of the handshake."""
        run = self._run
        if run.gone:
            raise ClientDisconnected("the client has gone")
        if kind == "websocket.http.response.start":
            return run.send_start(event)
        if kind == "websocket.http.response.body":
            return run.send_body(event)
        if run.status:
            raise EventError(f"{kind!r} was sent behind the beginning of a response")
        if kind == "websocket.accept":
            self._accept(event)
            return SENT
        if kind == "websocket.close":
            closing_of(event)
            run.send_start({"status": 403})
            return run.send_body({})
        raise EventError(f"{kind!r} is no event of a WebSocket that is not yet accepted")

    def _accept(self, event: Any) -> None:
        run, sockets = self._run, self._sockets
        subprotocol, fields = accepted(event, self.handshake.offered, sockets.checker)
        run.fields = (*self.handshake.accept(subprotocol), *fields)
        self.session = session = Session(sockets.engine, sockets.loop, sockets.bounds, self.handshake.open(), self)
        sockets.loop.add(session)
        run.link = Link(session, self, sockets.loop)
        run.status, run.complete = 101, True
        if run.scope is not None:
            run.request.route, run.scope = route_of(run.scope), None
        run.note(T.WEBSOCKET_ACCEPTED)
        if run.answering is not None:
            run.answering.tell()

    def _send(self, session: Session, message: str | bytes) -> Any:
        if session.end is not None:
            self._run.gone = True
            raise ClientDisconnected("the WebSocket is closed")
        session.send(message)
        if session.has_room():
            return SENT
        return self._wait_for_room(session)

    def _close(self, session: Session, code: int, reason: str) -> None:
        """A client that has said close already has been answered."""
        self._has_closed = True
        session.say_close(code, reason)
        self._run.note(T.ANSWER_ENDED)

    def _has_event(self) -> bool:
        session = self.session
        if session is None:
            return self._run.told or self._run.gone or self._run.complete
        return bool(session.inbox.queue) or session.end is not None

    def _next_event(self) -> dict[str, Any]:
        session = self.session
        if session is None:
            return disconnect_event(ABNORMAL, "")
        if session.inbox.queue:
            return message_event(session.take())
        return disconnect_event(*(session.end or (ABNORMAL, "")))

    async def _wait_for_event(self) -> dict[str, Any]:
        while not self._has_event():
            await _wait(self._listeners)
        return self._next_event()

    async def _wait_for_room(self, session: Session) -> None:
        while not session.has_room():
            session.want_room()
            await _wait(self._writers)
        if session.end is not None and not self._has_closed:
            self._run.gone = True
            raise ClientDisconnected("the WebSocket was closed while a message waited for room")

    # --- from the session

    @property
    def request_id(self) -> str:
        """Names the request in the log."""
        return self._run.name

    @property
    def request(self) -> Request:
        """The handshake's request."""
        return self._run.request

    @property
    def goes_on(self) -> bool:
        """Whether there is a task that may take messages."""
        return self._run.task is not None

    @property
    def waits_for_room(self) -> bool:
        """Whether a `send()` waits."""
        return bool(self._writers)

    def stack(self) -> list[tuple[str, int, str]]:
        """Where the application's task waits."""
        return self._run.stack()

    def describe(self) -> str:
        """Where the application is; empty once it has ended."""
        return describe(self._run) if self._run.task is not None else ""

    def wake(self) -> None:
        """There is an event for `receive()`."""
        waiting, self._listeners = self._listeners, []
        _release(waiting)

    def make_room(self) -> None:
        """Let `send()` go on."""
        waiting, self._writers = self._writers, []
        _release(waiting)

    def tell_fault(self, edge: Edge, end: tuple[int, str] | None) -> None:
        """Say in the log how the WebSocket ended."""
        self._sockets.tell_fault(self._run, edge, end)

    def over(self) -> None:
        """The WebSocket is over: the call is given its grace."""
        self._run.leave()

    # --- from the call

    def tell_leaving(self) -> None:
        """The client has left, or the server ends."""
        if self.session is not None:
            self.session.say_close(SERVICE_RESTART, "")
        self.wake()

    def ended(self, error: BaseException | None) -> None:
        """The application has returned, or raised."""
        session = self.session
        if session is not None:
            session.say_close(NORMAL if error is None else INTERNAL_ERROR, "")
            session.application_ended()


async def _wait(waiting: "list[asyncio.Future[None]]") -> None:
    """Be one of those who wait, until they are released."""
    future = asyncio.get_running_loop().create_future()
    waiting.append(future)
    try:
        await future
    finally:
        if future in waiting:
            waiting.remove(future)


def _release(waiting: "list[asyncio.Future[None]]") -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
