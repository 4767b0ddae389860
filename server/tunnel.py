"""The near end of a tunnel: a client's connection that was upgraded.

What passes is the tunnel's (handlers.tunnel); here is how this end's socket is read and written. A drain does not end a
tunnel, which has no request that could be its last: it goes on until the drain's deadline, and is cut then.
"""

from typing import ClassVar

from handlers.tunnel import GoneError, Tunnel
from server.sender import Sender
from server.service import Service
from server.transport import PeerGoneError, Transport
from statemachines.connection import State as S
from statemachines.connection import Trigger as T


class NearEnd(Sender):
    """A connection that may become a tunnel's near end.

    `bytes_in` counts the whole connection, `taken` this exchange's request and what the client has sent into a tunnel.
    """

    __slots__ = ("bytes_in", "input", "peer", "taken")

    gone: ClassVar[T] = T.PEER_RESET
    over: ClassVar[T] = T.TUNNEL_ENDED
    broken: ClassVar[T] = T.TUNNEL_BROKEN

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor)
        self.peer = peer
        self.input = b""
        self.bytes_in = self.taken = 0

    def title(self) -> str:
        """Who it is, for an operator."""
        return f"connection#{self.number} {self.peer}"

    @property
    def tunnel(self) -> Tunnel:
        """The tunnel that the exchange has become."""
        assert self.exchange is not None
        tunnel = self.exchange.operation
        assert isinstance(tunnel, Tunnel)
        return tunnel

    # --- the machine's

    def pass_on(self, ready: int) -> T | None:
        """Pass bytes on."""
        return self.tunnel.pass_on(self, ready)  # type: ignore[return-value]

    def has_switched(self) -> bool:
        """Whether the response was a 101, behind which there is a tunnel."""
        return self.exchange is not None and isinstance(self.exchange.operation, Tunnel)

    def peer_ended_first(self) -> bool:
        """Whether the client sent its last before the upstream did."""
        tunnel = self.tunnel
        return tunnel.first is tunnel.near

    def begin_tunnel(self) -> T | None:
        """Join the tunnel, and pass on what has come already."""
        self.progressed = self.service.loop.now
        early, self.input = self.input, b""
        self.taken += len(early)
        return self.tunnel.join(self, early)  # type: ignore[return-value]

    def is_overdue(self, now: float) -> bool:
        """A tunnel's time counts from the last byte that passed, either way."""
        since = max(self.since, self.progressed) if self.node.state is S.TUNNELLING else self.since
        return now - since >= self.node.patience

    # --- as an end

    def take(self) -> bytes | None:
        """As End.take."""
        try:
            data = self.transport.read()
        except PeerGoneError as error:
            raise GoneError(self) from error
        if data:
            self.bytes_in += len(data)
            self.taken += len(data)
            self.progressed = self.service.loop.now
        return data

    def put(self, data: bytes | memoryview) -> int:
        """As End.put."""
        try:
            sent = self.transport.write(data)
        except PeerGoneError as error:
            raise GoneError(self) from error
        if sent:
            self.sent += sent
            self.bytes_out += sent
            self.progressed = self.service.loop.now
        return sent

    def finish(self) -> None:
        """As End.finish."""
        try:
            self.transport.shut_down()
        except PeerGoneError as error:
            raise GoneError(self) from error
