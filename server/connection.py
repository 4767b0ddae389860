"""The shell of a client connection: bytes in, triggers out; actions in, bytes out.

The table (statemachines.connection) says what happens when; here is how. Each method is one step of it. What the
methods share:

- one bounded read a readiness event, so that no client starves the others (`server.sender` has the writing side);
- `input` holds what was received and not yet consumed; it is empty while the connection is idle;
- `exchange` is there from the head's arrival to the response's end.
"""

from typing import Any

from handlers.errors import HTTPError
from handlers.messages import WHOLE, Response, error_response
from server.exchange import Exchange
from server.http.gate import Refusal
from server.http.reading import BodyReader, HeadReader
from server.service import Service
from server.telling import tell_end, tell_request
from server.transport import PeerGoneError, Transport
from server.tunnel import NearEnd
from server.xray.missed import Missed
from statemachines.connection import State as S
from statemachines.connection import Trigger as T
from statemachines.contract import EXCERPT, HUNG_UP, Way
from statemachines.engine import Edge

EMPTY_LINE = (b"\r", b"\r\n")
"""What some clients send behind a body (RFC 9112 section 2.2). It is no beginning of a request: its 408 would be taken
for the answer to the next one."""

REFUSED = 4 * EXCERPT
"""Bytes kept of what was refused: the connection is about to end, and somebody will ask what was wrong with it."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_HEAD_RECEIVED = T.HEAD_RECEIVED


class Connection(NearEnd):
    """One client's connection."""

    __slots__ = ("accepted_at", "body", "last_in", "last_out", "lingered", "piece", "reader", "refusal")

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor, peer)
        self.reader = HeadReader(service.limits, service.codec, peer)
        self.body: BodyReader | None = None
        self.refusal: Refusal | None = None
        self.piece = self.last_in = self.last_out = b""
        self.lingered = 0
        self.accepted_at = self.since

    def glance(self) -> tuple[Any, ...]:
        """As Machine.glance: contract.Facts."""
        exchange, node = self.exchange, self.node
        request = operation = response = None
        if exchange is not None:
            request, operation, response = exchange.request, exchange.operation, exchange.response
        facts = (
            self.number,
            self.peer,
            self.accepted_at,
            self.bytes_in,
            self.bytes_out,
            self.requests,
            request,
            operation,
            response.status if response is not None else None,
        )
        if node.state is S.TUNNELLING:
            return *facts, (node.patience, 0, 0.0), self.progressed
        if node.patience:
            return facts
        moved = self.taken if node.state is S.READING_BODY else self.sent
        return *facts, self.service.paces[node.index], self.progressed, self.spent[node.index], moved

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
            self.refusal = Refusal(400, "The connection was closed inside the request's body.")
            return T.BODY_REFUSED
        self.bytes_in += len(data)
        self.progressed = self.service.loop.now
        return self._take(data)

    def notice_hang_up(self, ready: int) -> T | None:
        """Nothing is read while a handler waits; only the end of the connection is noticed."""
        return T.PEER_RESET if ready & HUNG_UP else None

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
        if not self.lingered and self.history[-1][1].source.state is S.AWAITING_REQUEST:
            self._tell_missed()
            self.last_in = data[:EXCERPT]
        self.bytes_in += len(data)
        self.lingered += len(data)
        return T.LINGER_EXHAUSTED if self.lingered > self.service.limits.max_linger else None

    def _tell_missed(self) -> None:
        """A request has come after the keep-alive deadline had passed and we had closed: see server.xray.missed."""
        closed_at, edge = self.history[-1]
        idle_from = self.history[-2][0] if len(self.history) > 1 else self.accepted_at
        limit, now = edge.source.patience, self.service.loop.clock()
        missed = Missed(self.number, self.peer, closed_at - idle_from, limit, closed_at, now, self.requests)
        self.service.recorder.missed.add(missed)
        self.service.logs.warning(
            "request_missed",
            id=self.number,
            peer=self.peer,
            idle_seconds=round(missed.idle, 3),
            closed_seconds_ago=round(missed.late, 6),
            requests=self.requests,
            hint=f"the client keeps idle connections longer than our --keep-alive-timeout of {limit:g} s",
        )

    def is_overdue(self, now: float) -> bool:
        """Whether the state has lasted too long, or, where bytes should move, whether they move too slowly."""
        if self.node.patience:
            return super().is_overdue(now)
        idle, rate, grace = self.service.paces[self.node.index]
        if now - max(self.since, self.progressed) >= idle:
            return True
        waited = self.spent[self.node.index] + now - self.since - grace
        moved = self.taken if self.node.state is S.READING_BODY else self.sent
        return waited > 0 and moved < rate * waited

    # --- guards

    def may_keep_alive(self) -> bool:
        """RFC 9112 section 9.3: the head has not said close, the request was read to its end, and we do not drain."""
        exchange = self.exchange
        assert exchange is not None
        request, head = exchange.request, exchange.head
        return (
            request is not None
            and head is not None
            and head.keep_alive
            and request.body_ended
            and not self.service.draining
        )

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
        """Go on with what the operation brought."""
        assert self.exchange is not None
        return self.exchange.resume()

    def give_body(self) -> T | None:
        """Go on with the piece of body that came."""
        assert self.exchange is not None
        piece, self.piece = self.piece, b""
        return self.exchange.give(piece)

    def take_body(self) -> T | None:
        """Take what is there of the body. RFC 9110 section 10.1.1: 100 is said only now that the handler wants it."""
        assert self.exchange is not None
        request = self.exchange.request
        assert request is not None
        if self.body is None:
            self.body = BodyReader(request, self.service.limits)
            self.progressed = self.service.loop.now
        data, self.input = self.input, b""
        fact = self._take(data)
        if fact is None and request.expects_continue and not data and not self.has_begun_response():
            request.expects_continue = False
            return self._say_continue()
        return fact

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

    def _say_continue(self) -> T | None:
        """The socket's buffer is empty here, since every earlier response has been flushed; should it not take these
        25 bytes all the same, the rest goes out before the response."""
        try:
            sent = self.transport.write(CONTINUE)
        except PeerGoneError:
            return T.PEER_RESET
        self.bytes_out += sent
        self.tail = CONTINUE[sent:]
        return None

    # --- actions: refusals

    def refuse(self) -> T | None:
        """Give up the handler, and answer with the refusal's status and reason."""
        assert self.refusal is not None
        return self._answer(HTTPError(self.refusal.status, self.refusal.reason))

    def refuse_late(self) -> T | None:
        """Give up the handler; 408 when the client was too slow, 504 when what the handler awaited was."""
        source = self.history[-1][1].source
        assert source.deadline is not None
        if source.state is S.QUERYING_BACKEND:
            return self._answer(HTTPError(504, "What was asked to answer this did not answer in time."))
        return self._answer(HTTPError(408, f"The {source.deadline.name} did not come in time."))

    def _answer(self, error: HTTPError) -> T | None:
        """Answer instead of the handler; the connection closes after it."""
        exchange = self.exchange
        if exchange is None:
            self.exchange = exchange = Exchange(self, None)
            self.requests += 1
        exchange.abandon()
        accept = exchange.request.get(b"accept") if exchange.request is not None else None
        exchange.begin(error_response(error, accept), close=True)
        return self.write()

    # --- actions: the end of an exchange, and of the connection

    def renew(self) -> None:
        """The exchange is complete. Bytes of the next one are not reported by the kernel: the loop looks again."""
        self._finish(None)
        if self.input:
            self.service.loop.revisit(self)

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
        if exchange.pieces is not None or exchange.operation is not None or end is not None:
            exchange.abandon()
        if self.service.logs.access:
            tell_request(self, exchange, end)
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
                tell_end(self, self.ending())
                if self.exchange is not None:
                    self._finish(self._fault())
            elif self.exchange is not None:  # the loop itself is being closed
                self.exchange.abandon()
        finally:
            if self.file is not None:
                self.file.close()
                self.file = None
            self.input = self.output = self.tail = b""

    def close(self) -> None:
        """Give the descriptor back."""
        try:
            self.transport.close()
        finally:
            self.service.on_connection_closed()
