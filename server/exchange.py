"""One exchange: a request, the handler that answers it, and the pieces of its response.

The handler is a program; the connection's machine is its place in it. This module steps the program, once for each
fact that the machine reports, and says with a trigger where it has come to. It touches no socket: what is to be sent
is handed to the connection's `outgoing`.

- A plain function, or a coroutine that waits for nothing, is done in the first step.
- A coroutine waits for an operation (rest, until `finished`), or for the request's body (BODY_WANTED).
- A response with an iterable body is produced piece by piece; an async iterable's `__anext__` is stepped like the
  handler itself, so it may wait for the same things.

Nothing that a handler raises or hands out can end the process: before the response has begun it is a 500, after that
RESPONSE_BROKEN, and one line in the log.
"""

from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from mypy_extensions import mypyc_attr

from handlers.errors import HTTPError
from handlers.messages import WHOLE, File, Request, Response, error_response
from handlers.operations import NEXT_PIECE, Operation
from handlers.tunnel import Tunnel
from server.http.responses import Head, ResponseError
from server.telling import tell_cause
from statemachines.connection import Trigger as T
from statemachines.contract import EXCERPT

if TYPE_CHECKING:
    from server.connection import Connection

_END = object()
"""Stands behind the last piece of a body."""

GATHERED = 256
"""Pieces put together at most, however small they are: others are to have their turn."""

_BACKEND_ANSWERED, _OUTPUT_READY = T.BACKEND_ANSWERED, T.OUTPUT_READY

Application = Callable[[Request], Any]
"""Takes a request; hands back a Response, or a coroutine that does."""


class _Steps(Protocol):
    """A coroutine, or what `__await__` of an asynchronous generator's next piece gives: something to be stepped."""

    def send(self, value: Any, /) -> Any: ...

    def throw(self, error: BaseException, /) -> Any: ...


@mypyc_attr(free_list_len=1)
class Exchange:
    """A request being answered. It is the executor of its handler (handlers.operations.Executor)."""

    __slots__ = (
        "_connection",
        "_error",
        "_held",
        "_result",
        "_steps",
        "_waits",
        "head",
        "operation",
        "pieces",
        "produced",
        "request",
        "response",
    )

    def __init__(self, connection: "Connection", request: Request | None) -> None:
        self._connection = connection
        self.request = request
        self.response: Response | None = None
        self.head: Head | None = None
        """The response's head, once it has been composed: from then on the response has begun."""
        self.operation: Operation | None = None
        """What the handler waits for, while it does."""
        self.produced = 0
        """Bytes of a streamed body handed to the connection."""
        self.pieces: Any = None
        """What produces the rest of a streamed response, while there is more."""
        self._result: object = None
        self._error: BaseException | None = None
        self._steps: _Steps | None = None
        self._held: object = _END
        """A piece that could not be put together with those before it."""
        self._waits = False
        """Whether the pieces come from an asynchronous iterator."""

    # --- the handler

    def call(self, application: Application) -> T | None:
        """Give the request to the application; OUTPUT_READY, BODY_WANTED, or None to wait for an operation."""
        try:
            answer = application(self.request)  # type: ignore[arg-type]
            if isinstance(answer, Response):
                return self.begin(answer)
            if not hasattr(answer, "send"):
                raise TypeError(f"the handler handed back {type(answer).__name__}, not a Response")
        except BaseException as error:  # noqa: BLE001 - not even SystemExit of a handler ends the process
            return self._failed(error)
        self._steps = answer
        return self._step()

    @property
    def loop(self) -> Any:
        """The loop, for operations with a descriptor of their own."""
        return self._connection.service.loop

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        """As Executor.finished: resume the handler through the machine."""
        if operation is not self.operation:
            return
        self.operation = None
        self._result, self._error = result, error
        self._connection.service.loop.fire(self._connection, _BACKEND_ANSWERED)

    def resume(self) -> T | None:
        """Go on with what the operation brought."""
        result, error = self._result, self._error
        self._result = self._error = None
        return self._step(result, error)

    def give(self, piece: bytes) -> T | None:
        """Go on with a piece of the request's body; b"" at its end."""
        return self._step(piece)

    def _step(self, result: object = None, error: BaseException | None = None) -> T | None:
        """Step the handler, or the production of a piece, until it waits or ends."""
        steps = self._steps
        assert steps is not None
        while True:
            try:
                awaited = steps.send(result) if error is None else steps.throw(error)
            except StopIteration as stop:
                self._steps = None
                return self._produced(stop.value) if self.response is not None else self._answered(stop.value)
            except BaseException as raised:  # noqa: BLE001 - as in `call`
                self._steps = None
                if isinstance(raised, StopAsyncIteration) and self.pieces is not None:
                    return self._hand_out(b"", last=True)
                return self._failed(raised)
            result = error = None
            if awaited is NEXT_PIECE:
                if not self.request.body_ended:  # type: ignore[union-attr]
                    return T.BODY_WANTED
                result = b""
            elif isinstance(awaited, Operation):
                self.operation = awaited
                try:
                    awaited.start(self)
                except BaseException as refused:  # noqa: BLE001 - it is the handler's to deal with
                    self.operation = None
                    error = refused
                else:
                    return None
            else:
                error = TypeError(f"a handler awaits operations, not {type(awaited).__name__}")

    def _answered(self, answer: object) -> T | None:
        if isinstance(answer, Response):
            return self.begin(answer)
        return self._failed(TypeError(f"the handler handed back {type(answer).__name__}, not a Response"))

    def _failed(self, error: BaseException) -> T | None:
        """The handler raised. An HTTPError is an answer; anything else is ours to log and nobody's to read."""
        if self.head is not None:
            self._log_failure(error)
            return T.RESPONSE_BROKEN
        if not isinstance(error, HTTPError):
            self._log_failure(error)
            error = HTTPError(500)
        elif error.cause:
            tell_cause(self._connection, self.request, error)
        if self.pieces is not None:
            self._end_pieces()
        return self.begin(self._error_response(error))

    def _error_response(self, error: HTTPError) -> Response:
        try:
            return error_response(error, self.request.get(b"accept") if self.request is not None else None)
        except Exception as fault:  # noqa: BLE001 - an application may put anything into an HTTPError
            self._log_failure(fault)
            return error_response(HTTPError(500))

    def _log_failure(self, error: BaseException) -> None:
        request = self.request
        self._connection.service.logs.error(
            "handler_failed",
            exc_info=error,
            id=self._connection.request_id(),
            method=request.method if request is not None else "-",
            target=request.target if request is not None else "-",
        )

    # --- the response

    def begin(self, response: Response, *, close: bool = False) -> T | None:
        """Answer with `response`. The head of a streamed one goes out with its first piece: until that is there, an
        error is still an answer, and a client that expects 100 (Continue) has not been told otherwise."""
        self.response = response
        body = response.body
        streamed = not isinstance(body, WHOLE)
        try:
            if streamed and isinstance(body, Tunnel):
                return self._switch(body)
            if streamed and (self.request is None or self.request.method != "HEAD"):
                self.pieces = body.__aiter__() if isinstance(body, AsyncIterable) else iter(body)  # type: ignore[arg-type]
                self._waits = isinstance(body, AsyncIterable)
                return self.produce()
            head = self._compose(close=close)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            self._discard(body)
            return self._failed(error)
        if streamed or not head.has_body:
            self._discard(body)
            body = b""
        assert isinstance(body, WHOLE)
        self._connection.outgoing(head.data, body)
        return _OUTPUT_READY

    def _switch(self, tunnel: Tunnel) -> T:
        """Answer 101: what the client waits for from here on is the tunnel."""
        assert self.response is not None
        service = self._connection.service
        self.head = service.heads.switching(self.response.fields, tunnel.protocol)
        service.statuses[101] += 1
        self.operation = tunnel
        self._connection.outgoing(self.head.data)
        return _OUTPUT_READY

    def _compose(self, *, close: bool = False) -> Head:
        """The head of the response. From here on the response has begun."""
        request, response, connection = self.request, self.response, self._connection
        assert response is not None
        method, minor = (request.method, request.minor) if request is not None else ("", 1)
        keep_alive = not close and connection.wants_next_request(response)
        service = connection.service
        self.head = head = service.heads.head(response, method, minor, keep_alive, service.loop.now)
        service.statuses[response.status] += 1
        connection.last_out = head.data[:EXCERPT]
        return head

    def produce(self) -> T | None:
        """Get the next piece; OUTPUT_READY, BODY_WANTED, RESPONSE_BROKEN, or None to wait for an operation."""
        try:
            if self._waits:
                self._steps = self.pieces.__anext__().__await__()
                return self._step()
            piece = self._gather(self.pieces)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            return self._failed(error)
        return self._hand_out(b"", last=True) if piece is _END else self._produced(piece)

    def _gather(self, pieces: Iterator[object]) -> object:
        """The next piece of a body that never waits: small ones are put together, so that they share a system call.
        _END when there are no more."""
        held, self._held = self._held, _END
        piece = next(pieces, _END) if held is _END else held
        if not isinstance(piece, bytes):
            return piece
        gathered, size, bound = [piece], len(piece), self._connection.service.limits.max_output
        while size < bound and len(gathered) < GATHERED:
            piece = next(pieces, _END)
            if not isinstance(piece, bytes):
                self._held = piece
                break
            gathered.append(piece)
            size += len(piece)
        return b"".join(gathered)

    def _produced(self, piece: object) -> T | None:
        if isinstance(piece, WHOLE):
            return self._hand_out(piece)
        return self._failed(TypeError(f"a body's pieces are bytes or File, not {type(piece).__name__}"))

    def _hand_out(self, piece: bytes | File, *, last: bool = False) -> T | None:
        """Hand out a piece of a streamed body in the frame that the head promises; the head with the first."""
        before = after = b""
        try:
            if self.head is None:
                before = self._compose().data
            size = self._count(piece, last=last)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            self._discard(piece)
            if before:
                self.head = None  # it has not been sent
                self._connection.service.statuses[self.response.status] -= 1  # type: ignore[union-attr]
            return self._failed(error)
        head = self.head
        assert head is not None
        if not head.has_body:
            self._discard(piece)
            piece, last = b"", True
        elif head.chunked:
            if size:
                before, after = b"%b%x\r\n" % (before, size), b"\r\n"
            if last:
                after += b"0\r\n\r\n"
        if last:
            self._end_pieces()
        self._connection.outgoing(before, piece, after)
        return _OUTPUT_READY

    def _count(self, piece: bytes | File, *, last: bool) -> int:
        """Count `piece`, and hold the sum against the promised length. Raises ResponseError."""
        size = _size(piece)
        if size < 0:
            raise ResponseError(f"a piece has {size} bytes")
        self.produced += size
        length = self.head.length if self.head is not None and self.head.has_body else None
        if length is not None and (self.produced > length or (last and self.produced < length)):
            extent = "at least" if self.produced > length else "only"
            raise ResponseError(f"the body has {extent} {self.produced} bytes, its content-length is {length}")
        return size

    # --- the end

    def abandon(self) -> None:
        """Give up what is under way: the operation, the handler, the body's producer. Called at the end in any case."""
        operation, self.operation = self.operation, None
        if operation is not None:
            self._guarded(operation.cancel)
        steps, self._steps = self._steps, None
        if steps is not None:
            self._guarded(lambda: _unwind(steps))
        if self.pieces is not None:
            self._end_pieces()

    def _end_pieces(self) -> None:
        pieces, self.pieces = self.pieces, None
        held, self._held = self._held, _END
        self._discard(held)
        self._discard(pieces)
        body = self.response.body if self.response is not None else None
        if body is not pieces:
            self._discard(body)

    def _discard(self, body: object) -> None:
        """Close a body, or a piece of one, that is not wanted any more."""
        if not isinstance(body, bytes):
            self._guarded(lambda: _close(body))

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - as in `call`
            self._log_failure(error)


def _unwind(steps: _Steps) -> None:
    """Let a suspended coroutine's `finally` run, as its `close()` would; an asynchronous generator's step has, before
    Python 3.13, a `close()` that does not."""
    with suppress(GeneratorExit, StopIteration, StopAsyncIteration):
        steps.throw(GeneratorExit())
        raise RuntimeError("the handler awaited something while it was being given up")


def _size(piece: bytes | File) -> int:
    return piece.count if isinstance(piece, File) else len(piece)


def _close(body: object) -> None:
    if hasattr(body, "aclose"):
        _unwind_aclose(body.aclose())
    elif hasattr(body, "close"):
        body.close()
    elif isinstance(body, list | tuple):  # has no close() of its own, and may hold what has not been reached
        for piece in body:
            if isinstance(piece, File):
                piece.close()


def _unwind_aclose(closing: Any) -> None:
    with suppress(StopIteration, StopAsyncIteration, GeneratorExit):
        closing.__await__().send(None)
        raise RuntimeError("the body's producer awaited something while it was being closed")
