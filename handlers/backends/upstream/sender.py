"""The sending half of a connection to an upstream: the request's bytes, and the look before and after the first one.

What comes before the request has reached the upstream is no answer to it. When that is looked at, and how it is told,
is in look.py; here is what becomes of it:

- before the first byte was sent the request is given back, and goes to another connection (CONNECTION_STALE);
- after it the connection has failed without an answer: an idempotent request is sent again, on another one; one that is
  not is answered with 502 ("unasked"), for nobody knows whether the upstream has acted on it.
"""

import socket

from clerestory.handlers.backends.upstream.call import Connections
from clerestory.handlers.backends.upstream.look import first_bytes, has_crossed, is_quiet, is_unheard, refuses
from clerestory.handlers.backends.upstream.receiver import READ_SIZE
from clerestory.handlers.backends.upstream.tunnel import FarEnd
from clerestory.statemachines.contract import EXCERPT, HUNG_UP, Interest
from clerestory.statemachines.upstream import Trigger as T

_READABLE, _WRITABLE = int(Interest.READABLE), int(Interest.WRITABLE)
_OUTPUT_FLUSHED = T.OUTPUT_FLUSHED


class Sender(FarEnd):
    """A connection that sends requests. `sent` are the bytes of this exchange that the socket has taken."""

    __slots__ = ("sent",)

    def __init__(self, pool: Connections, connecting: socket.socket, address: str) -> None:
        super().__init__(pool, connecting, address)
        self.sent = 0

    # --- when ready

    def write(self, ready: int) -> T | None:
        """Look for an early answer, then write. Before the first byte is sent there is no answer to look for."""
        if self.sent and ready & (_READABLE | HUNG_UP):
            fact = self.read_early(ready)
            if fact is not None:
                return fact
        return self._send() if ready & _WRITABLE or not self.sent else None

    # --- actions

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
        self.loop.defer_write(self)

    def send_piece(self) -> T | None:
        """Write the piece that was handed over, unless it has become pointless."""
        self.progressed = self.since
        return self.read_early(0) or self._send()

    def look_at_input(self) -> T | None:
        """The request is sent; part of its answer may have come while it was."""
        return self.look() if self.input else None

    # --- sending

    def _send(self) -> T | None:
        try:
            return self.push()
        except OSError:
            return self.salvage()

    def push(self) -> T | None:
        """Write once. Raises OSError when the connection takes no more."""
        output = self.output
        if output:
            if not self.sent and not is_quiet(self.socket):
                fact = self._find()
                if fact is not None:
                    return fact
            try:
                sent = self.socket.send(output)
            except BlockingIOError:
                return None
            if not self.sent and self.served > 1 and has_crossed(self.descriptor, sent):
                self.sent = sent
                return self.refuse_unasked(first_bytes(self.socket))
            self.sent += sent
            self.bytes_out += sent
            if sent < len(output):
                self.output = memoryview(output)[sent:]
                self.progressed = self.loop.clock()
                return None
            self.output = b""
        return _OUTPUT_FLUSHED

    def _find(self) -> T | None:
        """Something has come before the first byte of the request was sent: it answers nothing. On a connection that
        was used before it is left over from then; on a new one only a refusal may be said so early."""
        first = first_bytes(self.socket)
        if self.served > 1:
            self.pool.trust.note(first)
            return T.CONNECTION_STALE
        if not first:  # the end; or, over TLS, what cannot be looked at twice
            return self._reset()
        if refuses(first):
            return None
        self.failure = (502, "unasked", "The upstream sent data before it had a request.")
        return T.ANSWER_REFUSED

    def receive_first(self) -> bytes:
        """The first bytes that come, where they may be an answer. Raises OSError, and ConnectionError where they are
        older than the request: on a connection that was used before they are left over from then; on a new one only a
        refusal may be said so early."""
        data = self.socket.recv(READ_SIZE)
        if data and is_unheard(self.descriptor, self.sent) and not (self.served == 1 and refuses(data)):
            self.refuse_unasked(data)
            raise ConnectionError
        return data
