"""The shell of one stream of HTTP/2: what carries an exchange there (server.connection.channel).

The table (statemachines.h2_stream) says what happens when; each method is one step of it. The stream touches no socket.
Its connection gives it what came (`arrived`, `request_ended`), and asks it for frames when it is its turn (`emit`).
"""

from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import File, Request, Response, RouteLimits
from clerestory.handlers.wire.transport import FileUnreadableError
from clerestory.server.connection.exchange import Exchange
from clerestory.server.connection.faults import error_of, id_of
from clerestory.server.connection.telling import begin_exchange, tell_exchange
from clerestory.server.http.gate import Refusal
from clerestory.server.http2 import deadlines
from clerestory.server.http2.codec import Codec
from clerestory.server.http2.frames import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from clerestory.server.http2.heads import response_fields
from clerestory.server.http2.outbox import Left, Outbox
from clerestory.server.http2.shared import PLACES, Carrying, Shared
from clerestory.server.http2.tunnel import NearEnd
from clerestory.statemachines.contract import EXCERPT, Name, Way
from clerestory.statemachines.engine import Edge, Node
from clerestory.statemachines.h2_stream import State as S
from clerestory.statemachines.h2_stream import Trigger as T

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CODES = {T.RESPONSE_BROKEN: INTERNAL_ERROR, T.BACKEND_FAILED: INTERNAL_ERROR, T.BODY_REFUSED: PROTOCOL_ERROR}
"""What RST_STREAM says where a response is cut, by what has cut it; else CANCEL."""


FACTS = {Left.NOTHING: T.OUTPUT_FLUSHED, Left.MORE: None, Left.NO_WINDOW: T.WINDOW_EXHAUSTED}


class Stream(NearEnd):
    """One stream. `id` is its number on its connection (RFC 9113 section 5.1.1)."""

    __slots__ = ("_outbox", "accepted_at", "http2", "last_in", "piece", "refusal")

    def __init__(self, shared: Shared, carrier: Carrying, number: int, peer: str, id: int) -> None:  # noqa: A002
        super().__init__(shared, carrier, number, peer, id)
        self.http2 = shared
        self.refusal: Refusal | None = None
        self._outbox = Outbox()
        self.piece = self.last_in = b""
        self.accepted_at = self.since

    # --- what came, from the connection

    def begin(self, request: Request, ended: bool, size: int) -> None:
        """Its head has come, of so many bytes; with `ended`, there is no body."""
        begin_exchange(self, request)
        self.exchange = Exchange(self, request)
        self._inbox.has_ended = ended
        if not request.protocol:
            self._inbox.expected = request.content_length
        self.taken = size
        self.last_in = f"{request.method} {request.target} HTTP/2".encode()[:EXCERPT]

    def refused(self, refusal: Refusal, ended: bool) -> None:
        """Its head has come, and is none that we accept."""
        self.refusal = refusal
        self._inbox.has_ended = ended

    def takes_data(self) -> bool:
        """Whether there is somebody who may take a body."""
        return self.exchange is not None and self.exchange.request is not None

    def arrived(self, data: bytes, size: int) -> None:
        """DATA, of `size` bytes of the window."""
        self.taken += size
        self.progressed = self.service.loop.now
        self._inbox.add(data, size)
        self.input = data or self.input

    def request_ended(self, offence: Refusal | None = None) -> None:
        """END_STREAM; `offence` is what is wrong with the trailers before it."""
        if not self._inbox.has_ended:
            self._inbox.end(offence)

    @property
    def received(self) -> int:
        """Bytes of the body that have come."""
        return self._inbox.received

    def unread(self) -> int:
        """How much of what came was not taken, in bytes of the window."""
        return self._inbox.unread

    def look(self) -> T | None:
        """After something has come: what it is for the machine, where that waits for it."""
        state = self.node.state
        if state is S.READING_BODY or (state is S.EXCHANGING and self.awaits_body()):
            return self._take()
        return T.BODY_RECEIVED if state is S.TUNNELLING else None

    def _take(self) -> T | None:
        exchange, inbox = self.exchange, self._inbox
        assert exchange is not None
        request = exchange.request
        assert request is not None
        try:
            piece = inbox.take(request.body_limit)
        except Refusal as refusal:
            self.refusal = refusal
            return T.BODY_REFUSED
        self.was_taken()
        if inbox.has_ended:
            request.body_ended = True
        if piece is None:
            return None
        self.piece = piece
        return T.BODY_RECEIVED

    # --- as a channel

    def request_id(self) -> str:
        """As Channel.request_id: the connection's number and the stream's."""
        return f"{self.service.names.prefix}{self.identity()}"

    def times(self) -> list[float]:
        """As Channel.times."""
        found = [0.0] * len(self.service.unspent)
        for place, seconds in zip(PLACES, self.spent, strict=True):
            found[place] += seconds
        return found

    def ends(self) -> tuple[str, Any]:
        """As Channel.ends."""
        return self._carrier.ends()

    def framed(self, before: bytes, size: int, last: bool, trailers: bytes) -> tuple[bytes, bytes]:  # noqa: ARG002
        """As Channel.framed: DATA frames have their lengths, and END_STREAM."""
        return before, trailers

    def outgoing(self, output: bytes, body: bytes | File = b"", tail: bytes = b"") -> None:
        """As Channel.outgoing: a head or nothing, a body or a piece of one, trailers. A 2xx would say that a WebSocket
        is open that was asked for (RFC 8441 section 5). Raises HTTPError."""
        if output[9:10] == b"2" and self.exchange.request is not None and self.exchange.request.protocol:  # type: ignore[union-attr]
            raise HTTPError(400, "There is no WebSocket at this path.")
        self._outbox.put(output, body, tail)

    def say(self, interim: bytes) -> bool:
        """As Channel.say."""
        self._carrier.codec.send_head(self.id, response_fields(interim), False)
        self._carrier.wants_send()
        return True

    def wants_next_request(self, response: Response) -> bool:  # noqa: ARG002
        """As Channel.wants_next_request: a stream has one request, and the connection does not hang on it."""
        return True

    def heed_limits(self, limits: RouteLimits) -> None:
        """As Channel.heed_limits."""
        deadlines.heed(self.http2.waiting, limits)

    # --- guards

    def has_more_output(self) -> bool:
        """Whether the response has further pieces to be produced."""
        return self.exchange is not None and self.exchange.pieces is not None

    def awaits_body(self) -> bool:
        """Whether a feed has a use for the request's body while the response is sent."""
        exchange = self.exchange
        return exchange is not None and exchange.feeding is not None and exchange.feeding.takes

    def has_begun_response(self) -> bool:
        """Whether a head has been composed."""
        return self.exchange is not None and self.exchange.head is not None

    def is_refused(self) -> bool:
        """Whether the response says what was wrong with the request."""
        return self.refusal is not None

    def is_late(self) -> bool:
        """Whether the response says that a deadline has passed."""
        return any(edge.trigger is T.DEADLINE_PASSED for _, edge in self.history)

    # --- actions

    def call_handler(self) -> Name | None:
        """Give the request to the application."""
        assert self.exchange is not None
        return self.exchange.call(self.service.application)

    def resume_handler(self) -> Name | None:
        """Go on with what the operation brought, unless the handler has used up its time."""
        assert self.exchange is not None
        return T.DEADLINE_PASSED if deadlines.has_waited_out(self, self.since) else self.exchange.resume()

    def take_body(self) -> Name | None:
        """Take what is there of the body; 100 is said only now that the handler wants it."""
        assert self.exchange is not None
        request = self.exchange.request
        assert request is not None
        fact = self._take()
        if fact is None and request.expects_continue and not self._inbox.received and not self.has_begun_response():
            request.expects_continue = False
            self.say(CONTINUE)
        return fact

    def give_body(self) -> Name | None:
        """Go on with the piece of body that came."""
        assert self.exchange is not None
        piece, self.piece = self.piece, b""
        if self.exchange.stream is not None:
            self.exchange.stream.moved_at = self.since
        return self.exchange.give(piece)

    def take_aside(self) -> Name | None:
        """Take what is there of the body, where there is a use for it."""
        return self._take() if self.awaits_body() else None

    def give_aside(self) -> Name | None:
        """Give what takes the request's body the piece that came, and take the next."""
        assert self.exchange is not None
        piece, self.piece = self.piece, b""
        self.exchange.give_aside(piece)
        return self.take_aside()

    def queue_output(self) -> Name | None:
        """Wait for the stream's turn."""
        self._carrier.wants_turn(self)
        return None

    def produce_output(self) -> Name | None:
        """Get the response's next piece, unless none of its pieces has had a byte for too long."""
        exchange = self.exchange
        assert exchange is not None
        body = exchange.stream
        assert body is not None
        if self.sent != body.sent:
            body.sent = self.sent
            body.moved_at = self.since
        elif self.since - body.moved_at >= deadlines.backend_timeout(self):
            return T.DEADLINE_PASSED
        return exchange.produce()

    def refuse(self) -> Name | None:
        """Give up the handler, and answer with the refusal's status and reason."""
        assert self.refusal is not None
        return self._answer(HTTPError(self.refusal.status, self.refusal.reason))

    def refuse_late(self) -> Name | None:
        """Give up the handler; 408 when the client was too slow, 504 when what the handler awaited was."""
        if self.history[-1][1].source.state is S.READING_BODY:
            return self._answer(HTTPError(408, "The body did not come in time."))
        return self._answer(HTTPError(504, "The application did not answer in time."))

    def _answer(self, error: HTTPError) -> Name | None:
        exchange = self.exchange
        if exchange is None:
            self.exchange = exchange = Exchange(self, None)
        exchange.abandon()
        exchange.begin(error_of(self, exchange.request, error))
        return self.queue_output()

    def complete(self) -> None:
        """The response is complete. RFC 9113 section 8.1: what of the request is still to come is not wanted."""
        self._finish(self.history[-1][1])
        if not self._inbox.has_ended:
            self._reset(NO_ERROR)

    def cut(self) -> None:
        """Reset the stream, so that the client cannot take what it has for the whole."""
        self._reset(CODES.get(self.history[-1][1].trigger, CANCEL))  # type: ignore[call-overload]

    def _reset(self, code: int) -> None:
        self._carrier.codec.reset(self.id, code)
        self._carrier.wants_send()

    # --- its turn

    def is_fresh(self) -> bool:
        """Whether its response has not begun."""
        return self._outbox.is_fresh

    def emit(self, codec: Codec, most: int) -> T | None:
        """Hand a bounded piece to the codec: OUTPUT_FLUSHED when that was all, WINDOW_EXHAUSTED, RESPONSE_BROKEN, or
        None for another turn."""
        if self.node.state is S.TUNNELLING:
            return self.pass_out(codec, most)
        before = self.sent
        last = not (self.has_more_output() or self.has_switched())
        try:
            left = self._outbox.emit(codec, self.id, most, last=last)
        except FileUnreadableError as error:
            request = self.exchange.request if self.exchange is not None else None
            self.service.logs.warning("file_unreadable", id=id_of(self, request), reason=str(error))
            return T.RESPONSE_BROKEN
        self.sent = self._outbox.sent
        if self.sent != before:
            self.progressed = self.service.loop.now
        return FACTS[left]

    # --- the end

    def _finish(self, edge: Edge) -> None:
        """Log the exchange, which `edge` has ended, and forget it."""
        end = f"{edge.row.ends} in {edge.source.state}" if edge.row.way is Way.FAULT else None
        exchange = self.exchange
        assert exchange is not None
        if end is not None or not (self.number + self.requests) & self.service.skips:
            self.service.observer.stream_ended(self, edge)
        self.exchange = None
        exchange.abandon()
        tell_exchange(self, exchange, end)

    def ended(self) -> None:
        """Give everything back."""
        try:
            if self.exchange is not None:
                if self.node.final:
                    self._finish(self.history[-1][1])
                else:  # the loop itself is being closed
                    self.exchange.abandon()
        finally:
            self.input = b""
            self._inbox.clear()
            self._outbox.clear()
            self._carrier.stream_ended(self)

    # --- what is told

    def is_overdue(self, now: float) -> bool:
        """As Machine.is_overdue."""
        return deadlines.is_overdue(self, now)

    def pace(self, node: Node) -> tuple[Any, ...]:
        """The last of contract.Facts."""
        return deadlines.pace(self, node)

    def details(self) -> str:
        """The windows, where one of them is waited for. May be called from another thread."""
        codec = self._carrier.codec
        if self.node.state is S.READING_BODY:
            return f"its window is {codec.received_window(self.id):,}"
        if self.node.state in (S.AWAITING_WINDOW, S.SENDING_RESPONSE, S.EXCHANGING, S.TUNNELLING):
            own, all_of_it = codec.window_of(self.id), codec.connection_window()
            return f"the client's window is {own:,} of the stream, {all_of_it:,} of the connection"
        return ""

    def excerpts(self) -> tuple[bytes, bytes]:
        """How its head began, and its response's (contract.EXCERPT)."""
        return self.last_in, self.last_out

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        exchange = self.exchange
        request = operation = response = None
        if exchange is not None:
            request, operation, response = exchange.request, exchange.operation, exchange.response
        return (
            self.identity(),
            self.peer,
            self.accepted_at,
            self.taken,
            self.sent,
            1,
            request,
            operation,
            response.status if response is not None else None,
            *self.pace(self.node),
        )
