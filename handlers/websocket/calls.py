"""The call of a handler that has a WebSocket: a task beside the connection, from the handshake to the end.

The connection waits for the handshake's answer as for any operation (`Opening`), with the same deadline. The handler
runs as a task (statemachines.task), which continues behind the 101. When the WebSocket is over the handler learns of it
at its next `receive()` or `send()`, and has `application_leave_timeout` to end by itself.
"""

from collections.abc import Callable
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.api.operations import Executor, HalfClose, Held, Operation
from clerestory.handlers.api.tasks import Task
from clerestory.handlers.backends.journal import journal_of
from clerestory.handlers.websocket.bounds import Bounds, bounds_of
from clerestory.handlers.websocket.codes import INTERNAL_ERROR, NORMAL, SERVICE_RESTART
from clerestory.handlers.websocket.handshake import Handshake
from clerestory.handlers.websocket.link import Link
from clerestory.handlers.websocket.session import Session
from clerestory.handlers.websocket.socket import Line, WebSocket, WebSocketClosed
from clerestory.handlers.websocket.under_way import conversations_on
from clerestory.statemachines import websocket
from clerestory.statemachines.engine import Edge, Engine
from clerestory.statemachines.loop import Loop

Handler = Callable[..., Any]


def engine_on(loop: Loop) -> Engine:
    """The engine of all WebSockets of handlers on `loop`."""
    engine: Engine | None = loop.registry.get(Call)
    if engine is None:
        engine = loop.registry[Call] = Engine(websocket.TABLE, Session, loop.clock, loop.limits, loop.dispatch)
    return engine


class Call(Task):
    """One handler and its WebSocket. `link` is what the connection becomes, once it was accepted."""

    __slots__ = ("_bounds", "_handshake", "_opening", "line", "link", "request")

    def __init__(self, loop: Loop, bounds: Bounds, opening: "Opening", handshake: Handshake) -> None:
        request = self.request = opening.request
        line = self.line = Line(handshake.offered, self._open)
        super().__init__(
            loop,
            opening.handler(WebSocket(request, line), **opening.parameters),
            getattr(opening.handler, "__qualname__", ""),
        )
        self.link: Link | None = None
        self._bounds = bounds
        self._handshake = handshake
        self._opening: Opening | None = opening
        self.ended_by = self._note_end

    def begin(self) -> None:
        """As Task.begin."""
        conversations_on(self.loop).runs.add(self)
        super().begin()

    def _open(self, subprotocol: str | None, fields: Fields) -> None:
        """The handler accepts. Raises WebSocketClosed where the client has gone."""
        opening, self._opening = self._opening, None
        if opening is None:
            self.line.left()
            raise WebSocketClosed(*(self.line.closed or (NORMAL, "")))
        session = Session(engine_on(self.loop), self.loop, self._bounds, self._handshake.open(), self)
        self.loop.add(session)
        self.line.session = session
        self.link = Link(session, self, self.loop)
        opening.end(Response(self.link, 101, (*self._handshake.accept(subprotocol), *fields)))

    # --- its end

    def _note_end(self, _: Task) -> None:
        session, error = self.line.session, self.error
        if session is None:
            self._refuse(error)
        else:
            departed = isinstance(error, WebSocketClosed) and self.line.closed is not None
            if error is not None and not departed:
                asked = {"id": self.request.id, "method": self.request.method, "target": self.request.path}
                journal_of(self.loop).error("handler_failed", exc_info=error, **asked)
            session.say_close(NORMAL if (error is None and not self.is_given_up) or departed else INTERNAL_ERROR, "")
            session.application_ended()
        conversations_on(self.loop).ended(self)

    def _refuse(self, error: BaseException | None) -> None:
        """The handler has ended without accepting: what it has returned or raised is the answer."""
        self.line.left()
        opening, self._opening = self._opening, None
        if opening is None:
            return
        if error is None and self.result is None:
            error = HTTPError(503, "The handler was ended.") if self.is_given_up else HTTPError(403)
        opening.end(self.result, error)

    # --- from the connection, before the accept

    def client_left(self) -> None:
        """The client has gone, or the handler has not accepted in time."""
        self._opening = None
        self.line.left()
        if self.link is None:
            self.end()
        else:
            self.link.cancel()

    def drain(self) -> None:
        """The server ends."""
        if self.line.session is None:
            self.end()
        else:
            self.line.session.say_close(SERVICE_RESTART, "")
            self.leave()

    # --- from the session (handlers.websocket.session.Talker)

    @property
    def request_id(self) -> str:
        """As Talker.request_id."""
        return self.request.id

    @property
    def goes_on(self) -> bool:
        """As Talker.goes_on."""
        return not self.node.final

    @property
    def waits_for_room(self) -> bool:
        """As Talker.waits_for_room."""
        return self.line.waits_for_room

    def wake(self) -> None:
        """As Talker.wake."""
        self.line.wake()

    def make_room(self) -> None:
        """As Talker.make_room."""
        self.line.make_room()

    def tell_fault(self, edge: Edge, end: tuple[int, str] | None) -> None:
        """As Talker.tell_fault."""
        code, reason = end or (None, None)
        fields = {"cause": edge.row.ends, "state": edge.source.state, "code": code, "reason": reason or None}
        asked = {"id": self.request.id, "method": self.request.method, "target": self.request.path}
        journal_of(self.loop).warning("websocket_ended", **asked, **fields)

    def over(self) -> None:
        """As Talker.over."""
        self.leave()

    # --- from the link (handlers.websocket.link.Caller)

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack: where what the handler awaits says so."""
        return self.operation.stack() if self.operation is not None else []

    def describe(self) -> str:
        """As Task.describe, and what it awaits."""
        if self.node.final:
            return ""
        said, operation = super().describe(), self.operation
        return f"{said} <- {operation.describe()}" if operation is not None else said


class Opening(Operation):
    """The answer to a handshake: a 101, or what refuses it."""

    __slots__ = ("_executor", "call", "handler", "parameters", "request")

    def __init__(self, handler: Handler, request: Request, parameters: dict[str, Any]) -> None:
        self.handler = handler
        self.request = request
        self.parameters = parameters
        self.call: Call | None = None
        self._executor: Executor | None = None

    def start(self, executor: Executor) -> None:
        """As Operation.start."""
        loop = executor.loop
        bounds = bounds_of(loop.limits)
        handshake = Handshake(self.request, bounds)
        self._executor = executor
        if handshake.refusal is not None:
            refusal = handshake.refusal
            loop.call_from_thread(lambda: self.end(refusal))
            return
        self.call = Call(loop, bounds, self, handshake)
        self.call.begin()

    def end(self, answer: object, error: BaseException | None = None) -> None:
        """It is answered."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.finished(self, answer, error)

    def cancel(self) -> None:
        """As Operation.cancel."""
        self._executor = None
        if self.call is not None:
            self.call.client_left()

    def holds(self) -> Held | None:
        """As Operation.holds: an answer that does not reach the connection is taken back by the exchange's end."""
        return _Unanswered(self.call) if self.call is not None else None

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed: a client that has shut down its side cannot answer a close."""
        return HalfClose.CANCEL

    def subject(self) -> str:
        """As Operation.subject."""
        return "the handshake of a WebSocket"

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack."""
        return self.call.stack() if self.call is not None else []

    def describe(self) -> str:
        """As Operation.describe."""
        return self.call.describe() if self.call is not None else "websocket handshake"


class _Unanswered:
    """A call, as long as its exchange has not ended."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def is_over(self) -> bool:
        """As Held.is_over."""
        return self._call.node.final

    def leave(self) -> None:
        """As Held.leave."""
        self._call.client_left()
