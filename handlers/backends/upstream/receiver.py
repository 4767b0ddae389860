"""The receiving half of a connection to an upstream.

- One bounded read a readiness event; of a body it is made only while there is room for a piece.
- `input` holds what was received of an answer's head and not yet read.
- What is read is noted in the call, and told by the sending half's actions; a fault is noted in `failure`.
"""

import socket

from clerestory.handlers.backends.upstream.call import Carrier, Connections
from clerestory.handlers.backends.upstream.framing import Body, body_of
from clerestory.handlers.backends.upstream.gate import UNTIL_CLOSE, Garbage, Head
from clerestory.handlers.backends.upstream.tls import TLS
from clerestory.handlers.wire.grammar import members
from clerestory.statemachines.contract import EXCERPT, HUNG_UP
from clerestory.statemachines.upstream import Trigger as T

READ_SIZE = 64 * 1024
"""Bytes read at one readiness event: what keeps a fire-hose from starving the others."""

MAX_EARLY = 128 * 1024
"""Bytes read of an answer whose connection is gone; and bytes behind a 101 that comes before its request was sent."""

_ANSWER_ENDED = T.ANSWER_ENDED


class Receiver(Carrier):
    """A machine that receives answers.

    `received` counts this exchange, `bytes_in` the whole connection.
    """

    __slots__ = (
        "at_end",
        "body",
        "bytes_in",
        "continued",
        "failure",
        "head",
        "input",
        "interim",
        "is_exact",
        "last_in",
        "last_out",
        "received",
        "socket",
    )

    def __init__(self, pool: Connections, connected: socket.socket) -> None:
        super().__init__(pool, connected.fileno())
        self.socket: socket.socket | TLS = connected
        self.bytes_in = 0
        self.last_in = self.last_out = b""
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Nothing has come yet."""
        self.head: Head | None = None
        self.body: Body | None = None
        self.failure: tuple[int, str, str] | None = None
        """Status, cause and detail of what went wrong."""
        self.input = b""
        self.received = self.interim = 0
        self.at_end = self.continued = False
        self.is_exact = True
        """Whether every interim answer left no doubt of where it ended."""

    # --- when ready

    def notice_hang_up(self, ready: int) -> T | None:
        """Nothing is read; only the end of the connection is noticed."""
        return self._reset() if ready & HUNG_UP else None

    def read_continue(self, ready: int) -> T | None:  # noqa: ARG002
        """Has 100 come, or the final answer already?"""
        fact = self._read_answer()
        return T.CONTINUE_RECEIVED if fact is None and self.continued else fact

    def read_head(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once: has a head come, or even the whole answer?"""
        return self._read_answer()

    def read_body(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once: a piece of the body, its end, or what is wrong with it."""
        body, call = self.body, self.call
        assert body is not None
        assert call is not None
        try:
            data = self._receive()
            if data is None:
                return None
            if not data:
                self.at_end = True
                body.close()
                return T.ANSWER_ENDED
            piece = body.feed(data)
        except ConnectionError:
            return self._reset()
        except Garbage as garbage:
            return self._refuse(garbage)
        if piece:
            call.take_in(piece)
        if body.ended:
            return T.ANSWER_ENDED
        return T.PIECE_RECEIVED if piece else None

    def notice_end(self, ready: int) -> T | None:  # noqa: ARG002
        """In the pool nothing is to come but the end."""
        try:
            data = self._receive()
        except ConnectionError:
            return T.UPSTREAM_RESET
        if data is None:
            return None
        self.pool.trust.note(data)
        return T.UNEXPECTED_BYTES_RECEIVED if data else T.UPSTREAM_CLOSED

    # --- reading

    def _receive(self) -> bytes | None:
        """What has come, b"" at the end, None when there is nothing. Raises ConnectionError when it is gone."""
        try:
            data = self.socket.recv(READ_SIZE) if self.received else self.receive_first()
        except BlockingIOError:
            return None
        except OSError as error:  # also ETIMEDOUT, EHOSTUNREACH: the kernel has given the peer up
            raise ConnectionError from error
        self.bytes_in += len(data)
        self.received += len(data)
        return data

    def receive_first(self) -> bytes:
        """The first bytes that come. Raises OSError, and ConnectionError where they cannot be an answer to what was
        sent."""
        return self.socket.recv(READ_SIZE)

    def _read_answer(self) -> T | None:
        """Read once, and see what has come of the answer."""
        try:
            data = self._receive()
        except ConnectionError:
            return self._reset()
        if data is None:
            return None
        if not data:
            return self._end_of_input()
        self.input = self.input + data if self.input else data
        self.last_in = self.input[:EXCERPT]
        return self.look()

    def look(self) -> T | None:
        """See what `input` holds of the answer."""
        try:
            head = self._parse()
            return None if head is None else self._begin_answer(head)
        except Garbage as garbage:
            return self._refuse(garbage)

    def _parse(self) -> Head | None:
        """The final head in `input`, once it is whole. Interim ones before it are passed over."""
        while self.input:
            found = self.pool.reader.read(self.input)
            if found is None:
                return None
            head, end = found
            self.input = self.input[end:]
            if head.status >= 200 or self._is_asked_for(head):
                return head
            self.interim += 1
            self.is_exact = self.is_exact and head.keep_alive
            if head.status == 101:
                raise Garbage("The upstream switched to a protocol that the request did not name.")
            if self.interim > self.pool.bounds.max_interim:
                raise Garbage("The upstream sent too many interim responses.")
            if head.status == 100:
                self.continued = True
            elif self.call is not None:
                self.call.pass_interim(head)
        return None

    def _is_asked_for(self, head: Head) -> bool:
        """Whether `head` switches to the protocol that was asked for (RFC 9110 section 7.8), and to no other."""
        call = self.call
        assert call is not None
        return (
            head.status == 101
            and call.upgrade != b""
            and head.keep_alive
            and head.length == UNTIL_CLOSE
            and (head.get(b"upgrade") or b"").lower() == call.upgrade
            and b"upgrade" in members(head.get(b"connection") or b"")
        )

    def _begin_answer(self, head: Head) -> T | None:
        """Take what `input` holds of the body behind `head`."""
        call = self.call
        assert call is not None
        if head.status == 101:
            self.head = call.answer = head
            self.pool.health.succeeded()
            return T.UPGRADED
        body = body_of(head.body_length(call.method))
        data, self.input = self.input, b""
        if body.ended:
            body.spare = data
            piece = b""
        else:
            piece = body.feed(data) if data else b""
            if self.at_end and not body.ended:
                body.close()
        self.head, self.body = head, body
        self.pool.minor = head.minor
        call.answer = head
        self.pool.health.succeeded()
        if piece:
            call.take_in(piece)
        return _ANSWER_ENDED if body.ended else T.HEAD_RECEIVED

    def _end_of_input(self) -> T | None:
        self.at_end = True
        if self.input:
            fact = self.look()
            if fact is not None:
                return fact
        inside = "inside its answer's head" if self.input else "without an answer"
        self.failure = (502, "closed", f"The upstream closed the connection {inside}.")
        return T.UPSTREAM_CLOSED

    def read_early(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once while the request has not ended: an answer may begin, or come whole, before that."""
        try:
            data = self._receive()
        except ConnectionError:
            return self.salvage()
        if data is None:
            return None
        if not data:
            return self._end_of_input()
        self.input = self.input + data if self.input else data
        self.last_in = self.input[:EXCERPT]
        whole = self.input
        try:
            head = self._parse()
            if head is None:
                return None
            if head.status != 101:
                return self._begin_answer(head)
            if len(whole) > MAX_EARLY:
                raise Garbage("The upstream switched protocols before it had read the request.")
        except Garbage as garbage:
            return self._refuse(garbage)
        self.input = whole  # to be looked at again when the request is sent
        return None

    def salvage(self) -> T | None:
        """The connection is gone while we send: what came before may still be an answer, such as a 413."""
        self.at_end = True
        while len(self.input) <= MAX_EARLY:
            try:
                data = self._receive()
            except ConnectionError:
                break
            if not data:
                break
            self.input += data
        if self.input:
            try:
                head = self._parse()
                if head is not None and head.length != UNTIL_CLOSE:
                    return self._begin_answer(head)
            except Garbage:
                pass
        return self._reset()

    def refuse_unasked(self, data: bytes) -> T:
        """What has come, and begins with `data`, is older than the request: it answers nothing."""
        self.pool.trust.note(data)
        self.failure = (502, "unasked", "The upstream sent an answer before it had the request.")
        return T.UPSTREAM_RESET

    def _reset(self) -> T:
        if self.failure is None:
            self.failure = (502, "reset", "The upstream reset the connection.")
        return T.UPSTREAM_RESET

    def _refuse(self, garbage: Garbage) -> T:
        self.failure = (502, "closed early" if self.at_end else "garbage", garbage.reason)
        return T.UPSTREAM_CLOSED if self.at_end else T.ANSWER_REFUSED
