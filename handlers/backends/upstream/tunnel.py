"""The far end of a tunnel: a connection to an upstream that has said 101.

What passes is the tunnel's (handlers.proxy.tunnel); here is how this end's socket is read and written, and what
becomes of the connection's place in the pool: a tunnel takes none, for it may last for hours. How many there are has a
bound of its own.
"""

import socket
import struct
from contextlib import suppress
from itertools import count
from typing import ClassVar

from clerestory.handlers.backends.upstream.call import Connections
from clerestory.handlers.backends.upstream.receiver import Receiver
from clerestory.handlers.proxy.tunnel import GoneError, Tunnel
from clerestory.statemachines.upstream import State as S
from clerestory.statemachines.upstream import Trigger as T

_NUMBERS = count(1)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FarEnd(Receiver):
    """A connection that may become a tunnel's far end. `number` and `address` say which it is."""

    __slots__ = ("address", "bytes_out", "number", "progressed", "tunnel")

    gone: ClassVar[T] = T.UPSTREAM_RESET
    over: ClassVar[T] = T.TUNNEL_ENDED
    broken: ClassVar[T] = T.CALLER_LEFT

    def __init__(self, pool: Connections, connecting: socket.socket, address: str) -> None:
        super().__init__(pool, connecting)
        self.address = address
        self.number = next(_NUMBERS)
        self.bytes_out = 0
        self.progressed = self.since
        self.tunnel: Tunnel | None = None

    def title(self) -> str:
        """Who it is, for an operator."""
        return f"upstream#{self.number} {self.address}"

    # --- the machine's

    def pass_on(self, ready: int) -> T | None:
        """Pass bytes on."""
        assert self.tunnel is not None
        return self.tunnel.pass_on(self, ready)  # type: ignore[return-value]

    def caller_ended_first(self) -> bool:
        """Whether the client sent its last before the upstream did."""
        return self.tunnel is not None and self.tunnel.client_ended_first()

    def deliver_tunnel(self) -> None:
        """Tell the caller that there is a tunnel."""
        call = self.call
        assert call is not None
        late, self.input = self.input, b""
        call.tunnel = self.tunnel = Tunnel(self, self.loop, call.upgrade, late, call.leave)
        call.tell()
        self.pool.lend(self)

    def break_tunnel(self) -> None:
        """Break the other end off, too."""
        self.cut()
        call, self.call = self.call, None
        if call is not None:
            call.connection = None
        # The tunnel is told when this connection has ended.

    def cut(self) -> None:
        """Let the close be a reset: an upstream that allows half-closes would work on for nobody."""
        with suppress(OSError):  # it has been reset already
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def is_overdue(self, now: float) -> bool:
        """In a tunnel the near end keeps the deadline for both, once it is there."""
        if self.node.state is S.TUNNELLING and self.tunnel is not None and self.tunnel.near is not None:
            return False
        return super().is_overdue(now)

    # --- as an end

    def take(self) -> bytes | None:
        """As End.take."""
        try:
            data = self._receive()
        except ConnectionError as error:
            raise GoneError(self) from error
        if data:
            self.progressed = self.loop.clock()
        return data

    def put(self, data: bytes | memoryview) -> int:
        """As End.put."""
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise GoneError(self) from error
        self.bytes_out += sent
        self.progressed = self.loop.clock()
        return sent

    def finish(self) -> None:
        """As End.finish."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise GoneError(self) from error
