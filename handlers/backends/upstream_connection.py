"""The shell of a connection to an upstream: bytes in, triggers out; actions in, bytes out.

The table (statemachines.upstream) says what happens when; here is how. What the methods share:

- what is received, and how, is the receiving half's (upstream_receiver.py);
- an action that tells the asker does so as its last step: the asker goes on at once, and may fire this machine again;
- a fault is noted in `failure` by whoever sees it, and told by `give_up`, which knows what may be tried again.
"""

import errno
import os
import socket
from typing import TYPE_CHECKING

from handlers.backends.upstream_call import Call, UpstreamError
from handlers.backends.upstream_framing import UntilClose
from handlers.backends.upstream_tls import TLS, Untrusted
from handlers.backends.upstream_tunnel import FarEnd
from statemachines.contract import EXCERPT, HUNG_UP, Interest
from statemachines.upstream import State as S
from statemachines.upstream import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.upstream_pool import Pool

_READABLE, _WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)
_OUTPUT_FLUSHED = T.OUTPUT_FLUSHED


class UpstreamConnection(FarEnd):
    """One connection to an upstream.

    `sent` are the bytes of this exchange, `served` is how many exchanges were begun on it.
    """

    __slots__ = ("born", "output", "sent", "served")

    def __init__(self, pool: "Pool", connecting: socket.socket, address: str) -> None:
        super().__init__(pool, connecting, address)
        self.output: bytes | memoryview = b""
        self.sent = self.served = 0
        self.born = self.since

    def describe(self) -> str:
        """For an operator: `upstream#3 127.0.0.1:9000 AWAITING_RESPONSE <- fd 19 readable`."""
        if self.tunnel is not None:
            return self.tunnel.far.describe()
        waits = self.node.spec.waits_for.phrase()
        return f"upstream#{self.number} {self.address} {self.node.state} <- fd {self.descriptor} {waits}"

    def glance(self) -> tuple[object, ...]:
        """As Machine.glance: contract.Facts."""
        status = self.head.status if self.head is not None else None
        tunnel, node = self.tunnel, self.node
        near = tunnel.near if tunnel is not None else None
        facts = (self.number, self.address, self.born, self.bytes_in, self.bytes_out, self.served, None, near, status)
        if near is not None:  # whose deadline counts for both
            return *facts, (near.machine.node.patience, 0, 0.0), self.progressed
        if node.patience:
            return facts
        return *facts, self.pool.send_pace, self.progressed, self.spent[self.node.index], self.sent

    def excerpts(self) -> tuple[bytes, bytes]:
        """How the last head began that came, and the last that was sent (contract.EXCERPT)."""
        return self.last_in, self.last_out

    def is_overdue(self, now: float) -> bool:
        """Whether the state has lasted too long, or the upstream takes the request too slowly."""
        if self.node.patience:
            return super().is_overdue(now)
        idle, rate, grace = self.pool.send_pace
        if now - max(self.since, self.progressed) >= idle:
            return True
        waited = self.spent[self.node.index] + now - self.since - grace
        return waited > 0 and self.sent < rate * waited

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
        self.failure = (502, cause, f"The upstream could not be connected to: {os.strerror(number)}.")

    def shake_hands(self, ready: int) -> T | None:  # noqa: ARG002
        """Read once, and answer what TLS asks."""
        assert isinstance(self.socket, TLS)
        try:
            return T.HANDSHAKE_ENDED if self.socket.go_on() else None
        except EOFError:
            self.failure = (
                502,
                "handshake: closed",
                "The upstream closed the connection instead of agreeing upon TLS.",
            )
            return T.UPSTREAM_CLOSED
        except ConnectionError:
            return self._broken_handshake()
        except Untrusted as error:
            self.failure = (502, error.cause, error.detail)
            return T.HANDSHAKE_FAILED

    def _broken_handshake(self) -> T:
        self.failure = (502, "handshake: reset", "The upstream broke the connection off instead of agreeing upon TLS.")
        return T.UPSTREAM_RESET

    def write(self, ready: int) -> T | None:
        """Look for an early answer, then write."""
        if ready & (_READABLE | HUNG_UP):
            fact = self.look_early()
            if fact is not None:
                return fact
        return self._send() if ready & _WRITABLE else None

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
            and not body.spare
            and not self.at_end
            and not isinstance(body, UntilClose)
            and not self.output
            and not call.more
            and self.pool.keeps(self)
        )

    def awaits_continue(self) -> bool:
        """Whether 100 is still to come, or to be waited for in vain."""
        call = self.call
        return call is not None and call.expects and not call.given and not self.continued

    def has_more_request(self) -> bool:
        """Whether the request's body has further pieces."""
        return self.call is not None and self.call.more

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

    def send_request(self) -> None:
        """Begin the exchange. The requests of a turn leave together, as its answers do."""
        call = self.call
        assert call is not None
        self.begin_exchange()
        self.sent = 0
        self.served += 1
        self.spent = self.pool.unspent[:]
        self.output = call.data
        self.last_out = call.data[:EXCERPT]
        self.loop.presume_writable(self)

    def send_piece(self) -> T | None:
        """Write the piece that was handed over, unless it has become pointless."""
        self.progressed = self.since
        return self.look_early() or self._send()

    def _send(self) -> T | None:
        output = self.output
        if output:
            try:
                sent = self.socket.send(output)
            except BlockingIOError:
                return None
            except OSError:
                return self.salvage()
            self.sent += sent
            self.bytes_out += sent
            if sent < len(output):
                self.output = memoryview(output)[sent:]
                self.progressed = self.loop.clock()
                return None
            self.output = b""
        return _OUTPUT_FLUSHED

    def look_at_input(self) -> T | None:
        """The request is sent; part of its answer may have come while it was."""
        return self.look() if self.input else None

    # --- actions: telling

    def ask_for_piece(self) -> None:
        """Tell the asker that its body is wanted."""
        call = self.call
        assert call is not None
        call.wanted, call.expects = True, False
        call.tell()

    def deliver_head(self) -> None:
        """Tell the asker that the answer has begun."""
        assert self.call is not None
        self.call.tell()

    def deliver_piece(self) -> None:
        """Hand over the piece that came."""
        assert self.call is not None
        self.call.tell()

    def deliver_end(self) -> None:
        """Tell the asker that the answer is complete."""
        call = self._release()
        call.ended = True
        call.tell()

    def return_to_pool(self) -> T | None:
        """Tell the asker that the answer is complete; then go to whoever waits for a connection, or to the pool."""
        call = self._release()
        call.ended = True
        pool = self.pool
        if not pool.queue.slots:
            pool.idle.append(self)
            call.tell()
            return None
        call.tell()
        return T.REQUEST_GIVEN if pool.next_for(self) else None

    def give_up(self) -> None:
        """Tell the asker why there is no answer, unless the next address may have one."""
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
            status, cause, detail = 502, "closed by order", "The connection to the upstream was closed by an operator."
        else:
            status, cause, detail = self.failure
        willed = edge.trigger is T.CLOSE_ORDERED or (edge.trigger is T.DEADLINE_PASSED and bool(self.served))
        safe = not willed and call.may_be_repeated(sent=self.sent, received=self.received)
        return UpstreamError(status, cause, detail, self.address, safe=safe, reached=bool(self.served))

    # --- the end

    def ended(self) -> None:
        """The slot is free."""
        self.input = self.output = b""
        self.pool.gone(self)

    def close(self) -> None:
        """Give the descriptor back."""
        self.socket.close()


_LATE = {
    S.CONNECTING: "The upstream did not accept the connection in time.",
    S.HANDSHAKING: "The upstream did not agree upon TLS in time.",
    S.SENDING_REQUEST: "The upstream did not take the request in time.",
    S.AWAITING_PIECE: "The request's body was not handed over in time.",
    S.AWAITING_RESPONSE: "The upstream did not answer in time.",
    S.HOLDING_BODY: "The upstream's answer was not taken in time.",
    S.READING_BODY: "The upstream did not go on with its answer in time.",
}
"""What a deadline's passing says to the client."""
