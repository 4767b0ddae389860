"""The receiving half of a connection to an upstream.

- One bounded read a readiness event; of a body it is made only while the asker wants a piece.
- `input` holds what was received of an answer's head and not yet read, and of an early answer what waits for its turn.
- What is read is noted in the call, and told by the sending half's actions; a fault is noted in `failure`.
"""

import socket
from typing import TYPE_CHECKING

from handlers.backends.upstream_call import Call
from handlers.backends.upstream_framing import Body, body_of
from handlers.backends.upstream_gate import UNTIL_CLOSE, Garbage, Head
from handlers.backends.upstream_tls import TLS
from handlers.grammar import members
from statemachines.contract import EXCERPT, HUNG_UP
from statemachines.engine import Machine
from statemachines.upstream import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.upstream_pool import Pool

READ_SIZE = 64 * 1024
"""Bytes read at one readiness event: what keeps a fire-hose from starving the others."""

MAX_EARLY = 128 * 1024
"""Bytes of an answer that are kept while its request is still being sent: two reads, and then it is out of step."""

_ANSWER_ENDED = T.ANSWER_ENDED


class Receiver(Machine):
    """A machine that receives answers.

    `call` is what the connection is used for; `received` counts this exchange, `bytes_in` the whole connection.
    """

    __slots__ = (
        "at_end",
        "body",
        "bytes_in",
        "call",
        "continued",
        "failure",
        "head",
        "input",
        "interim",
        "last_in",
        "last_out",
        "pool",
        "received",
        "socket",
    )

    def __init__(self, pool: "Pool", connected: socket.socket) -> None:
        super().__init__(pool.engine, connected.fileno())
        self.pool = pool
        self.socket: socket.socket | TLS = connected
        self.call: Call | None = None
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

    # --- when ready

    def look_behind(self, ready: int) -> T | None:
        """The connection is gone while the request's body is awaited: a refusal of that body may have come before."""
        return self.salvage() if ready & HUNG_UP else None

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
            call.pieces.append(piece)
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
        return T.BYTES_UNASKED if data else T.UPSTREAM_CLOSED

    # --- reading

    def _receive(self) -> bytes | None:
        """What has come, b"" at the end, None when there is nothing. Raises ConnectionError when it is gone."""
        try:
            data = self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError as error:  # also ETIMEDOUT, EHOSTUNREACH: the kernel has given the peer up
            raise ConnectionError from error
        self.bytes_in += len(data)
        self.received += len(data)
        return data

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
            if head.status == 101:
                raise Garbage("The upstream switches to a protocol that was not asked for.")
            if self.interim > self.pool.bounds.max_interim:
                raise Garbage("The upstream sends interim answers without end.")
            if head.status == 100:
                self.continued = True
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
        call.answer = head
        self.pool.health.succeeded()
        if piece:
            call.pieces.append(piece)
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

    def look_early(self) -> T | None:
        """Read once while the request is being sent. An answer that goes on (a success, on a connection that is kept)
        waits for the request's end; any other ends it (RFC 9112 section 9.5)."""
        try:
            data = self._receive()
        except ConnectionError:
            return self.salvage()
        if data is None:
            return None
        if not data:
            return self._end_of_input()
        self.input = self.input + data if self.input else data
        if len(self.input) > MAX_EARLY:
            return self._refuse(Garbage("The upstream answers faster than it takes the request."))
        return self._judge_early()

    def _judge_early(self) -> T | None:
        whole, interim = self.input, self.interim
        try:
            head = self._parse()
            if head is None:
                return None
            if head.status >= 300 or not head.keep_alive:
                return self._begin_answer(head)
        except Garbage as garbage:
            return self._refuse(garbage)
        self.input, self.interim = whole, interim  # to be looked at again when the request is sent
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

    def _reset(self) -> T:
        self.failure = (502, "reset", "The upstream broke the connection off.")
        return T.UPSTREAM_RESET

    def _refuse(self, garbage: Garbage) -> T:
        self.failure = (502, "closed early" if self.at_end else "garbage", garbage.reason)
        return T.UPSTREAM_CLOSED if self.at_end else T.ANSWER_REFUSED
