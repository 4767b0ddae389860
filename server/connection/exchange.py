"""One exchange: a request, the handler that answers it, and the pieces of its response.

The handler is a program; the machine of what carries it (server.connection.channel) is its place in it. This module
steps the program, once for each fact that the machine reports, and says with a trigger where it has come to. It touches
no socket: what is to be sent is handed to the carrier's `outgoing`.

- A plain function, or a coroutine that waits for nothing, is done in the first step.
- A coroutine waits for an operation (rest, until `finished`), or for the request's body (BODY_REQUESTED).
- Where an operation sends the request's body on, its pieces are given to that (the *feed*) as they come, and not to the
  coroutine, which waits for the operation meanwhile. So a request and its response go on at the same time.
- A response with an iterable body is produced piece by piece; an async iterable's `__anext__` is stepped like the
  handler itself, so it may wait for the same things.

Nothing that a handler raises or hands out can end the process: before the response has begun it is a 500, after that
RESPONSE_BROKEN, and one line in the log.
"""

from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from typing import Any

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.answers import response_of
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.foreign import as_operation
from clerestory.handlers.api.messages import WHOLE, Application, Fields, File, Request, Response
from clerestory.handlers.api.operations import NEXT_PIECE, Feed, HalfClose, NextPiece, Operation
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.server.connection.channel import Channel
from clerestory.server.connection.closing import Steps, close_body, unwind
from clerestory.server.connection.faults import answer_to, id_of, tell_cause, tell_failure
from clerestory.server.connection.feeding import Feeding
from clerestory.server.connection.holding import Holding
from clerestory.server.connection.stream import END, Stream, trailer_lines
from clerestory.server.connection.waiting import Waits, noted
from clerestory.server.http.responses import Head, ResponseError
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import EXCERPT

_BACKEND_ANSWERED, _OUTPUT_READY = T.BACKEND_ANSWERED, T.OUTPUT_READY


@mypyc_attr(free_list_len=1)
class Exchange:
    """A request being answered. It is the executor of its handler (handlers.api.operations.Executor, Relay)."""

    __slots__ = (
        "_channel",
        "_ended",
        "_error",
        "_result",
        "_steps",
        "feeding",
        "half_close",
        "has_outcome",
        "head",
        "holding",
        "operation",
        "pieces",
        "request",
        "response",
        "stream",
        "waits",
    )

    def __init__(self, channel: Channel, request: Request | None) -> None:
        self._channel = channel
        self.request = request
        self.response: Response | None = None
        self.head: Head | None = None
        """The response's head, once it has been composed: from then on the response has begun."""
        self.operation: Operation | None = None  # what the handler waits for, while it does
        self.waits: Waits | None = None  # what it has waited for so far
        self.half_close = HalfClose.ANSWER
        """How long the answer is still waited for, when the client has shut its side."""
        self.holding: Holding | None = None  # what its operations have taken, and may not have given back
        self.stream: Stream | None = None  # of a streamed response: how far it is
        self.pieces: Any = None  # what produces the rest of a streamed response, while there is more
        self.has_outcome = False
        """Whether an operation, which is then `_ended`, has ended with which the handler has not gone on yet."""
        self._ended: Operation | None = None
        self._result: object = None
        self._error: BaseException | None = None
        self._steps: Steps | None = None
        self.feeding: Feeding | None = None  # the request's body on its way to an operation, which is awaited meanwhile

    # --- the handler

    def call(self, application: Application) -> T | None:
        """Give the request to the application; OUTPUT_READY, BODY_REQUESTED, or None to wait for an operation."""
        hosted = self._channel.service.hosted
        try:
            answer = application(self.request) if hosted is None else hosted.begin(self.request, self)  # type: ignore[arg-type]
            if isinstance(answer, Response) or not hasattr(answer, "send"):
                return self._answered(answer, self.request.handler)  # type: ignore[union-attr]
        except BaseException as error:  # noqa: BLE001 - not even SystemExit of a handler ends the process
            return self._failed(error)
        self._steps = answer
        return self._step()

    @property
    def loop(self) -> Any:
        """The loop, for operations with a descriptor of their own."""
        return self._channel.service.loop

    def finished(self, operation: Operation, result: object = None, error: BaseException | None = None) -> None:
        """As Executor.finished: resume the handler through the machine."""
        if operation is not self.operation:
            return
        self.operation, self._ended = None, operation
        self._result, self._error, self.has_outcome = result, error, True
        channel, feeding = self._channel, self.feeding
        if feeding is None or (not feeding.is_giving and channel.accepts(_BACKEND_ANSWERED)):
            channel.service.loop.tell(channel, _BACKEND_ANSWERED)

    def feed_from_body(self, feed: Feed) -> None:
        """As Relay.feed_from_body."""
        if self.request is not None and not self.request.body_ended:
            self.feeding = Feeding(feed, self.request)

    def feed_wants(self, feed: Feed) -> None:
        """As Relay.feed_wants: have the machine read the body, unless it does so already, or does so as soon as the
        rest of a 100 (Continue) has been sent."""
        feeding, channel = self.feeding, self._channel
        if feeding is None or not feeding.is_idle(feed) or not channel.accepts(T.BODY_REQUESTED):
            return
        if self.head is not None or channel.state != S.SENDING_RESPONSE:
            channel.service.loop.tell(channel, T.BODY_REQUESTED)

    def interim(self, status: int, reason: str, fields: Fields) -> None:
        """As Relay.interim: not once the response has begun, nor to a client of HTTP/1.0."""
        if self.head is None and self.request is not None and self.request.minor:
            channel = self._channel
            with suppress(ResponseError):  # what cannot be said exactly is not said: it is a hint
                channel.say(channel.service.heads.interim(status, reason, fields))

    def client_closed(self) -> None:
        """The client has shut down its sending side: ask for how long what is awaited is still worth an answer."""
        limits = self.request.limits if self.request is not None else None
        wish = self.operation.client_closed() if self.operation is not None else HalfClose.ANSWER
        if limits is not None and limits.half_close is not None:
            wish = limits.half_close
        elif wish is HalfClose.ANSWER and self.head is not None:
            wish = HalfClose.BRIEFLY  # a stream that may be silent for as long as it likes
        if self.stream is not None:
            self.stream.shut_at = self.stream.shut_at or self._channel.service.loop.now
        self.half_close = wish

    # --- what an application that is hosted asks of its carrier (handlers.asgi.application.Carrier)

    def request_id(self) -> str:
        """Names the request in the log."""
        return self._channel.request_id()

    def ends(self) -> tuple[str, Any]:
        """The peer's name, and our own end's."""
        return self._channel.ends()

    def has_input(self) -> bool:
        """Whether bytes of the request's body have come already."""
        return bool(self._channel.input)

    # --- the handler goes on

    def resume(self) -> T | None:
        """Go on with what the operation brought."""
        if not self.has_outcome:
            return None  # the walk that was under way when the operation ended has gone on already
        self.has_outcome = False
        if self._ended is not None:
            self.waits = noted(self.waits, self._ended, self._channel.times())
        self._ended = None
        result, error = self._result, self._error
        self._result = self._error = None
        return self._step(result, error) if self._steps is not None else self.produce()

    def give(self, piece: bytes) -> T | None:
        """Go on with a piece of the request's body; b"" at its end. One for the feed lets the handler go on only where
        it brought what that waits for."""
        feeding, operation = self.feeding, self.operation
        if feeding is None:
            return self._step(piece)
        feeding.give(piece)
        if operation is not None and self.operation is None:
            return _BACKEND_ANSWERED
        return T.BODY_REQUESTED if feeding.wants else None

    def give_aside(self, piece: bytes) -> T | None:
        """Give the feed a piece while the response is sent; BODY_REQUESTED where there is a use for more."""
        assert self.feeding is not None
        self.feeding.give(piece)
        return T.BODY_REQUESTED if self.feeding.takes else None

    def _step(self, result: object = None, error: BaseException | None = None) -> T | None:
        """Step the handler, or the production of a piece, until it waits or ends."""
        steps = self._steps
        assert steps is not None
        while True:
            try:
                awaited = steps.send(result) if error is None else steps.throw(error)
            except StopIteration as stop:
                self._steps = None
                if self.response is not None:
                    return self._produced(stop.value)
                return self._answered(stop.value, steps)
            except BaseException as raised:  # noqa: BLE001 - as in `call`
                self._steps = None
                if isinstance(raised, StopAsyncIteration) and self.pieces is not None:
                    return self._hand_out(b"", last=True)
                return self._failed(raised)
            result = error = None
            if isinstance(awaited, NextPiece):
                self.feeding = None
                if (awaited is NEXT_PIECE or self._channel.input) and not self.request.body_ended:  # type: ignore[union-attr]
                    return T.BODY_REQUESTED
                result = b""
                continue
            operation = awaited if isinstance(awaited, Operation) else as_operation(awaited)
            if operation is None:
                error = TypeError(f"a handler awaits operations, not {type(awaited).__name__}")
                continue
            self.operation = operation
            try:
                operation.start(self)
                held = operation.holds()
            except BaseException as refused:  # noqa: BLE001 - it is the handler's to deal with
                self.operation = None
                error = refused
            else:
                if held is not None:
                    self.holding = Holding(held) if self.holding is None else self.holding.keep(held)
                if self.request.limits is not None:  # type: ignore[union-attr]
                    self._channel.heed_limits(self.request.limits)  # type: ignore[union-attr]
                return T.BODY_REQUESTED if self.feeding is not None and self.feeding.wants else None

    def _answered(self, answer: object, handler: object) -> T | None:
        try:
            return self.begin(answer if isinstance(answer, Response) else response_of(answer, handler))
        except BaseException as error:  # noqa: BLE001 - as in `call`
            return self._failed(error)

    def _failed(self, error: BaseException) -> T | None:
        """The handler raised: answer, or break off the response that has begun."""
        if self.head is not None:
            if isinstance(error, HTTPError) and error.cause:
                tell_cause(self._channel, self.request, error, begun=True)
                return T.BACKEND_FAILED
            tell_failure(self._channel, self.request, error)
            return T.RESPONSE_BROKEN
        answer = answer_to(self._channel, self.request, error)
        if self.pieces is not None:
            self._end_pieces()
        return self.begin(answer)

    # --- the response

    def begin(self, response: Response, *, close: bool = False) -> T | None:
        """Answer with `response`. The head of a streamed one goes out with its first piece: until that is there, an
        error is still an answer, and a client that expects 100 (Continue) has not been told otherwise."""
        if self.request is not None and self.request.edge is not None:
            response = self.request.edge.dress(self.request, response)
        self.response = response
        body = response.body
        streamed = not isinstance(body, WHOLE)
        try:
            if streamed and isinstance(body, Upgrade):
                return self._switch(body)
            if streamed and (self.request is None or self.request.method != "HEAD"):
                waits = isinstance(body, AsyncIterable)
                self.pieces = body.__aiter__() if isinstance(body, AsyncIterable) else iter(body)  # type: ignore[arg-type]
                self.stream = Stream(waits, self._channel.service.loop.now)
                return self.produce()
            head = self._compose(close=close)
            if streamed or not head.has_body:
                self._discard(body)
                body = b""
            assert isinstance(body, WHOLE)
            self._channel.outgoing(head.data, body)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            self.head = None  # it has not been sent
            self._discard(body)
            return self._failed(error)
        channel = self._channel
        channel.service.statuses[response.status] += 1
        channel.last_out = head.data[:EXCERPT]
        return _OUTPUT_READY

    def _switch(self, upgrade: Upgrade) -> T:
        """Answer 101: what the client waits for from here on is the tunnel, or the WebSocket."""
        assert self.response is not None
        service = self._channel.service
        self.head = service.heads.switching(self.response.fields, upgrade.protocol_name())
        service.statuses[101] += 1
        self.operation = upgrade
        self._channel.outgoing(self.head.data)
        return _OUTPUT_READY

    def _compose(self, *, close: bool = False) -> Head:
        """The head of the response. From here on the response has begun, unless handing it over fails."""
        request, response, channel = self.request, self.response, self._channel
        assert response is not None
        method, minor = (request.method, request.minor) if request is not None else ("", 1)
        keep_alive = not close and channel.wants_next_request(response)
        service = channel.service
        named = id_of(channel, request) if response.status >= service.names.told_from else ""
        self.head = head = service.heads.head(response, method, minor, keep_alive, service.loop.now, named)
        return head

    def produce(self) -> T | None:
        """Get the next piece; OUTPUT_READY, BODY_REQUESTED, RESPONSE_BROKEN, or None to wait for an operation."""
        stream = self.stream
        assert stream is not None
        try:
            if stream.waits:
                self._steps = self.pieces.__anext__().__await__()
                return self._step()
            piece = stream.gather(self.pieces, self._channel.service.limits.max_output)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            return self._failed(error)
        return self._hand_out(b"", last=True) if piece is END else self._produced(piece)

    def _produced(self, piece: object) -> T | None:
        if isinstance(piece, WHOLE):
            return self._hand_out(piece)
        return self._failed(TypeError(f"a body's pieces are bytes or File, not {type(piece).__name__}"))

    def _hand_out(self, piece: bytes | File, *, last: bool = False) -> T | None:
        """Hand out a piece of a streamed body in the frame that the head promises; the head with the first."""
        before, after, first = b"", b"", self.head is None
        if not (first or last or self.feeding is not None) and piece == b"":
            self.has_outcome = True
            return self._channel.go_on_later()
        try:
            head = self._compose() if first else self.head
            assert head is not None
            if first:
                before = head.data
            size = piece.count if isinstance(piece, File) else len(piece)
            self.stream.count(size, head.length if head.has_body else None, last)  # type: ignore[union-attr]
            if not head.has_body:
                self._discard(piece)
                piece, last = b"", True
            elif head.chunked:
                trailers = trailer_lines(self.pieces) if last else b""
                before, after = self._channel.framed(before, size, last, trailers)
            self._channel.outgoing(before, piece, after)
        except BaseException as error:  # noqa: BLE001 - as in `call`
            self._discard(piece)
            if first:
                self.head = None  # it has not been sent
            return self._failed(error)
        if first:
            self._channel.service.statuses[self.response.status] += 1  # type: ignore[union-attr]
            self._channel.last_out = head.data[:EXCERPT]
        if last:
            self._end_pieces()
        return _OUTPUT_READY

    # --- the end

    def abandon(self) -> None:
        """Give up what is under way: the operation, the handler, the body's producer. Called at the end in any case."""
        self.feeding = None
        operation, self.operation = self.operation, None
        waited = operation or self._ended
        if waited is not None:
            self.waits = noted(self.waits, waited, self._channel.times())
        if operation is not None:
            self._guarded(operation.cancel)
        steps, self._steps = self._steps, None
        if steps is not None:
            self._guarded(lambda: unwind(steps))
        if self.pieces is not None:
            self._end_pieces()
        holding, self.holding = self.holding, None
        if holding is not None:
            holding.leave(self._guarded)

    def _end_pieces(self) -> None:
        pieces, self.pieces = self.pieces, None
        if self.stream is not None:
            held, self.stream.held = self.stream.held, END
            self._discard(held)
        self._discard(pieces)
        body = self.response.body if self.response is not None else None
        if body is not pieces:
            self._discard(body)

    def _discard(self, body: object) -> None:
        """Close a body, or a piece of one, that is not wanted any more."""
        if not isinstance(body, bytes):
            self._guarded(lambda: close_body(body))

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - as in `call`
            tell_failure(self._channel, self.request, error)
