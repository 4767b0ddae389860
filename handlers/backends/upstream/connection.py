"""The shell of a connection to an upstream: bytes in, triggers out; actions in, bytes out.

The table (statemachines.upstream) says what happens when; here is how. What the methods share:

- what is received, and how, is the receiving half's (receiver.py); what is sent, the sending half's (sender.py);
- who is told of a fact goes on when this machine's walk has ended (`Loop.tell`);
- a fault is noted in `failure` where it is seen, and told by `give_up`, which knows what may be tried again.
"""

import errno
import os
import socket

from clerestory.handlers.backends.upstream.call import Call, Connections
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.framing import UntilClose
from clerestory.handlers.backends.upstream.gate import Head
from clerestory.handlers.backends.upstream.look import may_bring_more
from clerestory.handlers.backends.upstream.sender import Sender
from clerestory.handlers.backends.upstream.tls import TLS, Untrusted
from clerestory.statemachines.contract import HUNG_UP, Interest
from clerestory.statemachines.upstream import State as S
from clerestory.statemachines.upstream import Trigger as T

LONG = 5.0
"""Seconds that an answer, once it has begun, may keep its reader waiting before it counts as a stream."""

_READABLE, _WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)


class UpstreamConnection(Sender):
    """One connection to an upstream."""

    __slots__ = ("born", "interest_set")

    def __init__(self, pool: Connections, connecting: socket.socket, address: str) -> None:
        super().__init__(pool, connecting, address)
        self.interest_set = 0
        """Of what EXCHANGING waits for, what the poller was asked for."""
        self.born = self.since

    def describe(self) -> str:
        """As Carrier.describe."""
        if self.tunnel is not None:
            return self.tunnel.far.describe()
        waits = self.node.spec.waits_for.phrase()
        return f"upstream#{self.number} {self.address} {self.node.state} <- fd {self.descriptor} {waits}"

    def facts(self) -> tuple[object, ...]:
        """As Machine.facts: contract.Facts."""
        status = self.head.status if self.head is not None else None
        tunnel, node = self.tunnel, self.node
        near = tunnel.near if tunnel is not None else None
        facts = (self.number, self.address, self.born, self.bytes_in, self.bytes_out, self.served, None, near, status)
        if near is not None:  # whose deadline counts for both
            return *facts, (near.machine.node.limit, 0, 0.0), self.progressed
        if node.limit:
            return facts
        return *facts, self._pace(), max(self.since, self.progressed), self.spent[node.index], self._moved()

    def has_ended_input(self) -> bool:
        """As Carrier.has_ended_input."""
        return isinstance(self.socket, TLS) and self.socket.ended

    def excerpts(self) -> tuple[bytes, bytes]:
        """How the last head began that came, and the last that was sent (contract.EXCERPT)."""
        return self.last_in, self.last_out

    def is_about(self, payload: object) -> bool:
        """As Machine.is_about: messages name a call."""
        return payload is self.call

    def is_overdue(self, now: float) -> bool:
        """Whether the state has lasted too long, or bytes move too slowly."""
        if self.node.state is S.EXCHANGING:
            return now - max(self.since, self.progressed) >= self.node.limit
        if self.node.limit:
            return super().is_overdue(now)
        idle, rate, grace = self._pace()
        if now - max(self.since, self.progressed) >= idle:
            return True
        waited = self.spent[self.node.index] + now - self.since - grace
        return waited > 0 and self._moved() < rate * waited

    def _pace(self) -> tuple[float, int, float]:
        """Seconds without progress, bytes a second, seconds of grace. What the client does has no rate as long as
        nobody waits for the connection."""
        pool, node = self.pool, self.node
        idle, rate, grace = pool.paces[node.index]
        return (idle, rate, grace) if node is pool.sending or pool.is_wanted() else (idle, 0, grace)

    def _moved(self) -> int:
        """Bytes of the request that the upstream has taken; where the answer waits, bytes of it that the caller has."""
        if self.node is not self.pool.holding or self.call is None:
            return self.sent
        return self.received - self.call.held

    # --- when ready

    def finish_connect(self, ready: int) -> T | None:
        """What has come of connect(2)."""
        assert isinstance(self.socket, socket.socket)
        number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.note_unreachable(number)
            return T.CONNECT_FAILED
        return T.CONNECTED if ready & (_WRITABLE | HUNG_UP) else None

    def note_unreachable(self, number: int) -> None:
        """Note why connect(2) failed."""
        cause = "refused" if number == errno.ECONNREFUSED else "unreachable"
        self.failure = (502, cause, f"The connection to the upstream failed: {os.strerror(number)}.")

    def shake_hands(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once, and answer what TLS asks."""
        assert isinstance(self.socket, TLS)
        try:
            return T.HANDSHAKE_ENDED if self.socket.go_on() else None
        except EOFError:
            self.failure = (
                502,
                "handshake: closed",
                "The upstream closed the connection during the TLS handshake.",
            )
            return T.UPSTREAM_CLOSED
        except ConnectionError:
            return self._broken_handshake()
        except Untrusted as error:
            self.failure = (502, error.cause, error.detail)
            return T.HANDSHAKE_FAILED

    def _broken_handshake(self) -> T:
        self.failure = (502, "handshake: reset", "The upstream reset the connection during the TLS handshake.")
        return T.UPSTREAM_RESET

    def exchange(self, ready: int) -> T | None:
        """Read once, where there is room; else write. What could be done as well is looked at again this turn."""
        assert self.call is not None
        if ready & (_READABLE | HUNG_UP):
            if self.call.has_room:
                fact = self.read_body(ready)
                if fact is not None:
                    if self.output and ready & _WRITABLE:
                        self.loop.defer_write(self)
                    return fact
            elif ready & HUNG_UP:
                return self.notice_hang_up(ready)
        return self._send_beside() if self.output and ready & _WRITABLE else None

    # --- guards

    def is_secret(self) -> bool:
        """Whether TLS is spoken with this upstream."""
        return self.pool.tls is not None

    def may_be_pooled(self) -> bool:
        """Whether the exchange was complete and exact: the request sent whole, the answer read whole, nothing more."""
        head, body, call = self.head, self.body, self.call
        assert head is not None
        assert body is not None
        assert call is not None
        return (
            head.keep_alive
            and self.is_exact
            and not body.spare
            and not may_bring_more(head, call.method)
            and not self.at_end
            and not isinstance(body, UntilClose)
            and not self.output
            and not call.more
            and not call.stopped
            and self.pool.keeps(self)
        )

    def awaits_continue(self) -> bool:
        """Whether 100 is still to come, or not to be waited for any longer."""
        call = self.call
        return call is not None and call.expects and not call.given and not self.continued

    def has_more_request(self) -> bool:
        """Whether the request's body has further pieces."""
        return self.call is not None and self.call.more

    def goes_on_sending(self) -> bool:
        """Whether the answer leaves a reason to send the rest of its request. An error does not (RFC 9112 section 9.5),
        nor does a redirect."""
        return self.head is not None and self.head.status < 300

    def is_full(self) -> bool:
        """Whether there is no room for more of the answer's body."""
        return self.call is not None and not self.call.has_room

    # --- actions: sending

    def begin_handshake(self) -> T | None:
        """Put TLS between us and the socket."""
        assert isinstance(self.socket, socket.socket)
        assert self.pool.tls is not None
        self.socket = TLS(self.socket, self.pool.tls, self.pool.host)
        try:
            self.socket.begin_handshake()
        except ConnectionError:
            return self._broken_handshake()
        return None

    def hand_back(self) -> None:
        """Give the request, of which nothing was sent, back to the pool."""
        self.pool.take_back(self._release())

    # --- actions: both at once

    def send_beside(self) -> T | None:
        """Write the piece that was handed over while the answer comes."""
        self.progressed = self.since
        fact = self._send_beside()
        if fact is None:
            self._update_interest()
        return fact

    def _send_beside(self) -> T | None:
        try:
            return self.push()
        except OSError:
            return T.SENDING_FAILED

    def make_room(self) -> None:
        """Ask the poller for what there is a use for: a socket is writable nearly always, and is readable for as long
        as nobody reads."""
        self._update_interest()

    def _update_interest(self) -> None:
        assert self.call is not None
        wanted = (_WRITABLE if self.output else 0) | (_READABLE if self.call.has_room else 0)
        if wanted != self.interest_set:
            self.interest_set = wanted
            self.loop.set_interest(self, wanted)

    def read_on(self) -> None:
        """The request is over. What the poller was asked for is no more what the state says."""
        self.registered = self.interest_set
        if self.output:
            assert self.call is not None
            self.call.stopped = True

    def note_taken(self) -> None:
        """As Carrier.note_taken."""
        state = self.node.state
        if state is S.HOLDING_BODY or (state is S.EXCHANGING and not self.interest_set & _READABLE):
            self.progressed = self.loop.clock()
            if not self.is_full():
                self.loop.tell(self, T.PIECE_REQUESTED, self.call)

    def ask_beside(self) -> None:
        """Tell the caller that the next piece of its body is wanted, while the answer comes."""
        self._update_interest()
        self.ask_for_piece()

    def deliver_early(self) -> None:
        """Tell the caller that the answer has begun."""
        self.interest_set = -1
        self._update_interest()
        self.deliver_head()

    def deliver_beside(self) -> None:
        """Tell the caller that a piece has come."""
        self._update_interest()
        self.deliver_piece()

    # --- actions: telling

    def ask_for_piece(self) -> None:
        """Tell the caller that its body is wanted."""
        assert self.call is not None
        self.call.ask()

    def deliver_head(self) -> None:
        """Tell the caller that the answer has begun."""
        assert self.call is not None
        assert self.head is not None
        if is_event_stream(self.head):
            self.pool.set_aside(self)
        self.call.tell()

    def stop_sending(self) -> None:
        """Tell the caller that the answer has begun, and that no more of the request is sent."""
        call = self.call
        assert call is not None
        call.stopped, call.wanted = True, False
        call.tell()

    def deliver_piece(self) -> None:
        """Tell the caller that a piece has come. An answer that has kept its reader waiting for long is a stream."""
        assert self.call is not None
        if self.spent[self.pool.reading.index] > LONG:
            self.pool.set_aside(self)
        self.call.tell()

    def deliver_end(self) -> None:
        """Tell the caller that the answer is complete."""
        call, head, body = self._release(), self.head, self.body
        assert head is not None
        assert body is not None
        if body.spare and not may_bring_more(head, call.method):
            self.pool.trust.note(body.spare)
        call.ended = True
        call.tell()

    def return_to_pool(self) -> T | None:
        """Tell the caller that the answer is complete; then serve the next call, or go to the pool."""
        call = self._release()
        call.ended = True
        call.tell()
        return T.REQUEST_GIVEN if self.pool.next_for(self, call.client) else None

    def give_up(self) -> None:
        """Tell the caller why there is no answer, unless the next address may have one."""
        self.cut()
        call = self._release()
        error = self._error(call)
        if self.served or not self.pool.try_next(call, error):
            self.pool.note_failure(error)
            call.fail(error)

    def _release(self) -> Call:
        call = self.call
        assert call is not None
        self.call = call.connection = None
        return call

    def _error(self, call: Call) -> UpstreamError:
        edge = self.history[-1][1]
        if edge.trigger is T.DEADLINE_PASSED:
            name = edge.source.spec.deadline.name  # type: ignore[union-attr]
            status, cause, detail = 504, f"{name} timeout", _LATE[S(edge.source.state)]
        elif edge.trigger is T.CLOSE_ORDERED or self.failure is None:
            status, cause, detail = (
                502,
                "closed by an operator",
                "The connection to the upstream was closed by an operator.",
            )
        else:
            status, cause, detail = self.failure
        willed = edge.trigger is T.CLOSE_ORDERED or (edge.trigger is T.DEADLINE_PASSED and bool(self.served))
        safe = not willed and call.may_be_repeated(sent=self.sent, received=self.received)
        stale = self.served > 1 and not self.received and not willed
        return UpstreamError(
            status, cause, detail, self.address, safe=safe, reached=bool(self.served), sent=bool(self.sent), stale=stale
        )

    # --- the end

    def ended(self) -> None:
        """The slot is free. A request that it was given while it was being closed goes to another connection."""
        call = self.call
        if call is not None and call.connection is self and self._was_closed_idle():
            self.pool.take_back(self._release())
        if self.tunnel is not None:
            self.tunnel.broke()  # unless it has ended already
        self.input = self.output = b""
        self.pool.gone(self)

    def _was_closed_idle(self) -> bool:
        return self.node.final and self.history[-1][1].source.state is S.IDLE

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


def is_event_stream(head: Head) -> bool:
    """Whether the answer that `head` begins is made to go on and on."""
    return (head.get(b"content-type") or b"")[:17].lower() == b"text/event-stream"


_LATE = {
    S.CONNECTING: "The upstream did not accept the connection in time.",
    S.HANDSHAKING: "The TLS handshake with the upstream timed out.",
    S.SENDING_REQUEST: "Sending the request to the upstream timed out.",
    S.AWAITING_PIECE: "The request body did not arrive in time.",
    S.AWAITING_RESPONSE: "The upstream did not answer in time.",
    S.EXCHANGING: "Neither the request nor its response made progress in time.",
    S.HOLDING_BODY: "The response was not read in time.",
    S.READING_BODY: "The upstream stopped sending its response.",
}
"""What a deadline's passing says to the client."""
