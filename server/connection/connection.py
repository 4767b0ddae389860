"""The shell of a client connection: bytes in, triggers out; actions in, bytes out.

The table (statemachines.connection) says what happens when; each method is one step of it. What they share:

- one bounded read a readiness event, so that no client starves the others (`server.connection.sender` writes);
- `input` holds what was received and not yet consumed; it is empty while the connection is idle;
- `exchange` is there from the head's arrival to the response's end.
"""

from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import WHOLE, Response
from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.wire.transport import PeerGoneError, Transport
from clerestory.server.connection.exchange import Exchange
from clerestory.server.connection.farewell import Farewell
from clerestory.server.connection.faults import error_of
from clerestory.server.connection.handshake import ShakingEnd
from clerestory.server.connection.service import Service
from clerestory.server.connection.telling import begin_exchange, facts_of, tell_end, tell_exchange, tell_missed
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import BodyReader
from clerestory.server.http.scanner import MAX_EMPTY_LINES
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.contract import EXCERPT, HUNG_UP, Interest, Way
from clerestory.statemachines.engine import Edge

EMPTY_LINE = tuple((b"\r\n" * MAX_EMPTY_LINES)[:size] for size in range(1, 2 * MAX_EMPTY_LINES + 1))
"""What some clients send behind a body (RFC 9112 section 2.2): a 408 to it would be taken for the next answer."""

REFUSED = 4 * EXCERPT
"""Bytes kept of what was refused: the connection is about to end, and somebody will ask what was wrong with it."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

HALF_CLOSE = int(Interest.HALF_CLOSE)
READABLE, WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)
_HEAD_RECEIVED = T.HEAD_RECEIVED


class Connection(ShakingEnd):
    """One client's connection."""

    __slots__ = ("_ends", "body", "farewell", "last_in", "piece")

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor, peer)
        self.body: BodyReader | None = None
        self.piece = self.last_in = b""
        self.farewell: Farewell | None = None
        self._ends: tuple[str, Any] | None = None

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        return facts_of(self) + self.pace(self.node)

    def ends(self) -> tuple[str, Any]:
        """The peer's name, and what getsockname(2) says of our own end; asked once."""
        if self._ends is None:
            self._ends = self.peer, self.transport.own_address()
        return self._ends

    def excerpts(self) -> tuple[bytes, bytes]:
        """How the last head began that came, and the last that was sent (contract.EXCERPT). Of a head that was
        refused more is kept; and of a body that was, behind its head."""
        return self.last_in, self.last_out

    # --- when ready

    def read_head(self, ready: int) -> T | None:
        """Read once, or look at what is there already (`ready` 0): has a head come?"""
        if ready and (not self.input or self.input in EMPTY_LINE or self.node.state is not S.AWAITING_REQUEST):
            try:
                data = self.transport.read()
            except PeerGoneError:
                return T.PEER_RESET
            if data is None:
                return None
            if not data:
                return T.PEER_CLOSED
            self.bytes_in += len(data)
            if self.input:
                data = self.input + data
        elif not self.input:
            return None  # another event of this batch has had it
        else:
            data = self.input
        self.last_in = data[:EXCERPT]
        reader = self.reader
        try:
            request = reader.read(data)
        except Refusal as refusal:
            if self.begins_http2(data):
                return T.HTTP2_CHOSEN
            self.refusal = refusal
            self.last_in = data[:REFUSED]
            self.input = b""
            return T.HEAD_REFUSED
        if request is None:
            self.input = data
            begun = self.node.state is S.AWAITING_REQUEST and data not in EMPTY_LINE
            return T.HEAD_STARTED if begun else None
        self.taken = reader.consumed
        self.input = data[self.taken :]
        self.requests += 1
        begin_exchange(self, request)
        self.exchange = Exchange(self, request)
        return _HEAD_RECEIVED

    def read_body(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once: a piece of the body, its end, or an offence."""
        try:
            data = self.transport.read()
        except PeerGoneError:
            return T.PEER_RESET
        if data is None:
            return None
        if not data:
            # RFC 9112 section 8: a body that ended early is incomplete, and no handler runs on it.
            self.refusal = Refusal(400, "The connection was closed before the whole request body had arrived.")
            return T.BODY_REFUSED
        self.bytes_in += len(data)
        self.progressed = self.service.loop.now
        return self._take(data)

    def send_and_read(self, ready: int) -> T | None:
        """Write, and read once: in turns, when both are possible, so that neither waits for the other."""
        if ready & HUNG_UP:
            return T.PEER_RESET
        if ready & WRITABLE and (not ready & READABLE or self.service.loop.turns & 1):
            return self.write()
        return self.read_body(ready) if ready & READABLE else None

    def notice_hang_up(self, ready: int) -> T | None:
        """Nothing is read while a handler waits; only the end of the connection, or of its sending side, is noticed."""
        if ready & HUNG_UP:
            return T.PEER_RESET
        if ready & HALF_CLOSE and self.exchange is not None:
            self.exchange.client_closed()
            return T.PEER_CLOSED
        return None

    def discard(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once and forget, so that the peer gets to read our answer instead of a reset."""
        try:
            data = self.transport.read()
        except PeerGoneError:
            return T.PEER_RESET
        if data is None:
            return None
        if not data:
            return T.PEER_CLOSED
        if self.farewell is None:
            self.farewell = Farewell(self.service)
            last = self.history[-1][1]
            if last.source.state is S.AWAITING_REQUEST:
                if last.trigger is T.DEADLINE_PASSED:
                    tell_missed(self)
                self.last_in = data[:EXCERPT]
        self.bytes_in += len(data)
        self.progressed = self.service.loop.now
        return T.LINGER_EXHAUSTED if self.farewell.is_too_long(len(data)) else None

    # --- guards

    def may_keep_alive(self) -> bool:
        """RFC 9112 section 9.3: the head has not said close, and the request was read to its end. What the head said
        holds, though a drain has begun since: the client may have sent its next request already."""
        exchange = self.exchange
        assert exchange is not None
        request, head = exchange.request, exchange.head
        return request is not None and head is not None and head.keep_alive and request.body_ended

    def awaits_body(self) -> bool:
        """Whether no response has begun: what was sent is 100 (Continue), and the handler waits for the body."""
        return self.exchange is not None and self.exchange.head is None

    def is_worth_answering(self) -> bool:
        """Whether what is waited for goes on for a client that has shut its side."""
        exchange = self.exchange
        assert exchange is not None
        if exchange.half_close is HalfClose.BRIEFLY:
            return self.has_brief_time()
        return exchange.half_close is not HalfClose.CANCEL

    def peer_is_done(self) -> bool:
        """Whether the client itself asked for the close, and everything it sent has been read. Some send an empty line
        behind a body, or a request behind their last: closing on that would reset what they have not yet read."""
        assert self.exchange is not None
        request = self.exchange.request
        return (
            request is not None
            and not request.keep_alive
            and request.body_ended
            and not self.input
            and not self.transport.has_unread()
        )

    def has_begun_response(self) -> bool:
        """Whether a head has been composed: then no other answer can be given."""
        return self.exchange is not None and self.exchange.head is not None

    def body_is_taken(self) -> bool:
        """Whether there is something that takes the request's body while the response is sent."""
        exchange = self.exchange
        return exchange is not None and exchange.feeding is not None and exchange.feeding.takes

    def wants_next_request(self, response: Response) -> bool:
        """Whether a response may leave the connection open, as far as is known when its head is written. A streamed
        one may still read the request's body; what it leaves unread shows at its end."""
        exchange = self.exchange
        assert exchange is not None
        request = exchange.request
        return (
            request is not None
            and request.keep_alive
            and (request.body_ended or not isinstance(response.body, WHOLE))
            and self.requests < self.service.limits.max_requests
            and not self.service.draining
        )

    # --- actions: the handler

    def call_handler(self) -> T | None:
        """Give the request to the application."""
        assert self.exchange is not None
        return self.exchange.call(self.service.application)

    def resume_handler(self) -> T | None:
        """Go on with what the operation brought, unless the handler has used up its time."""
        assert self.exchange is not None
        return T.DEADLINE_PASSED if self.has_waited_out(self.since) else self.exchange.resume()

    def give_body(self) -> T | None:
        """Go on with the piece of body that came."""
        assert self.exchange is not None
        piece, self.piece = self.piece, b""
        if self.exchange.stream is not None:
            self.exchange.stream.moved_at = self.since
        return self.exchange.give(piece)

    def give_aside(self) -> T | None:
        """Give the piece of body that came to what takes it while the response is sent."""
        assert self.exchange is not None
        piece, self.piece = self.piece, b""
        return self.exchange.give_aside(piece)

    def take_body(self) -> T | None:
        """Take what is there of the body. RFC 9110 section 10.1.1: 100 is said only now that the handler wants it."""
        assert self.exchange is not None
        request = self.exchange.request
        assert request is not None
        nothing = not self.input
        fact = self.take_aside()
        if fact is not None or self.has_begun_response():
            return fact
        if request.expects_continue and nothing:
            request.expects_continue = False
            if not self.say(CONTINUE):
                return T.PEER_RESET
        return T.CONTINUE_HELD_UP if self.output else None

    def take_aside(self) -> T | None:
        """Take what is there of the body, and say nothing: it may be that the response is being sent."""
        if self.body is None:
            assert self.exchange is not None
            assert self.exchange.request is not None
            self.body = BodyReader(self.exchange.request, self.service.limits)
            self.head_size = self.taken
            self.progressed = self.service.loop.now
        data, self.input = self.input, b""
        return self._take(data)

    def await_body(self) -> T | None:
        """The client has been told to send the body; it is waited for unless what it is for has ended."""
        return T.BACKEND_ANSWERED if self.exchange is not None and self.exchange.has_outcome else None

    def _take(self, data: bytes) -> T | None:
        assert self.body is not None
        assert self.exchange is not None
        try:
            piece, consumed = self.body.feed(data)
        except Refusal as refusal:
            self.refusal = refusal
            self.last_in = b"%b\r\n\r\n%b" % (self.last_in.partition(b"\r\n\r\n")[0], data[:EXCERPT])
            return T.BODY_REFUSED
        self.taken += consumed
        self.input = data[consumed:]
        if self.body.ended:
            request = self.exchange.request
            assert request is not None
            request.body_ended = True
        elif not piece:
            return None
        self.piece = piece
        return T.BODY_RECEIVED

    # --- actions: refusals

    def refuse(self) -> T | None:
        """Give up the handler, and answer with the refusal's status and reason."""
        assert self.refusal is not None
        return self._answer(HTTPError(self.refusal.status, self.refusal.reason))

    def refuse_late(self) -> T | None:
        """Give up the handler; 408 when the client was too slow, 504 when what the handler awaited was."""
        source = self.history[-1][1].source
        assert source.deadline is not None
        if source.state is S.QUERYING_BACKEND or source.state is S.HALF_CLOSED:
            return self._answer(HTTPError(504, "The application did not answer in time."))
        return self._answer(HTTPError(408, f"The {source.deadline.name} did not come in time."))

    def _answer(self, error: HTTPError) -> T | None:
        """Answer instead of the handler; the connection closes after it."""
        exchange = self.exchange
        if exchange is None:
            self.exchange = exchange = Exchange(self, None)
            self.requests += 1
        exchange.abandon()
        exchange.begin(error_of(self, exchange.request, error), close=True)
        return self.write()

    # --- actions: the end of an exchange, and of the connection

    def renew(self) -> None:
        """The exchange is complete. Bytes of the next one are not reported by the kernel: the loop looks again."""
        self._finish(None)
        if self.input:
            self.service.loop.schedule_read(self)
        if self.service.draining:
            self.service.await_last_request(self)

    def half_close(self) -> T | None:
        """RFC 9112 section 9.6: shut our side, and let the peer read what we sent before we close."""
        if self.exchange is not None:
            self._finish(self._fault())
        self.input = b""
        try:
            self.transport.shut_down()
        except PeerGoneError:
            return T.PEER_RESET
        return None

    def cut(self) -> None:
        """Close with a reset."""
        self.transport.reset_on_close()

    def _finish(self, end: str | None) -> None:
        """Log the exchange and forget it. `end` says who ended it, if it was not complete."""
        exchange = self.exchange
        assert exchange is not None
        self.exchange = self.body = None
        if exchange.pieces is not None or exchange.operation is not None or exchange.holding or end is not None:
            exchange.abandon()
        tell_exchange(self, exchange, end)
        self.spent = self.service.unspent[:]
        self.taken = self.sent = 0

    def ending(self) -> Edge:
        """The edge that decided the end: the first from which there was no way back."""
        return next(edge for _, edge in self.history if edge.row.ends is not None)

    def _fault(self) -> str | None:
        """Who ended the connection and in which state, if something went wrong."""
        edge = self.ending()
        return f"{edge.row.ends} in {edge.source.state}" if edge.row.way is Way.FAULT else None

    def ended(self) -> None:
        """Say how it ended, if not well, and give everything back."""
        try:
            if self.node.final:
                edge = self.ending()
                if edge.trigger is T.HTTP2_CHOSEN:
                    return self.hand_on()
                tell_end(self, edge)
                if self.exchange is not None:
                    self._finish(self._fault())
            elif self.exchange is not None:  # the loop itself is being closed
                self.exchange.abandon()
        finally:
            if self.file is not None:
                self.file.close()
                self.file = None
            self.input = self.output = self.tail = self.end = b""

    def close(self) -> None:
        """Give the descriptor back, unless another machine has it."""
        if not self.is_handed_on:
            try:
                self.transport.close()
            finally:
                self.service.on_connection_closed()
