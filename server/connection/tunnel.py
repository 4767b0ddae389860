"""The near end of a tunnel: a client's connection that was upgraded.

What passes is the tunnel's (handlers.proxy.tunnel), or the WebSocket's (handlers.websocket.link); here is how this
end's socket is read and written. A drain does not end a tunnel, which has no request that could be its last: it goes on
until the drain's deadline, and is cut then. A WebSocket is closed by its own machine.
"""

from typing import ClassVar

from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.proxy.tunnel import GoneError
from clerestory.handlers.wire.transport import PeerGoneError, Transport
from clerestory.server.connection.sender import Sender
from clerestory.server.connection.service import Service
from clerestory.statemachines.connection import Trigger as T


class NearEnd(Sender):
    """A connection that may become a tunnel's near end.

    `bytes_in` counts the whole connection, `taken` this exchange's request and what the client has sent into a tunnel.
    """

    __slots__ = ("accepted_at", "bytes_in")

    gone: ClassVar[T] = T.PEER_RESET
    over: ClassVar[T] = T.TUNNEL_ENDED
    broken: ClassVar[T] = T.TUNNEL_BROKEN

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor)
        self.peer = peer
        self.bytes_in = 0
        self.accepted_at = self.since

    def title(self) -> str:
        """Who it is, for an operator."""
        return f"connection#{self.number} {self.peer}"

    @property
    def upgrade(self) -> Upgrade:
        """What the exchange has become."""
        assert self.exchange is not None
        upgrade = self.exchange.operation
        assert isinstance(upgrade, Upgrade)
        return upgrade

    # --- the machine's

    def pass_on(self, ready: int) -> T | None:
        """Pass bytes on."""
        return self.upgrade.pass_on(self, ready)  # type: ignore[return-value]

    def has_switched(self) -> bool:
        """Whether the response was a 101, behind which there is a tunnel."""
        return self.exchange is not None and isinstance(self.exchange.operation, Upgrade)

    def peer_ended_first(self) -> bool:
        """Whether the client sent its last before the other side did."""
        return self.upgrade.client_ended_first()

    def is_hosted(self) -> bool:
        """Whether the other side is an application in this process."""
        return self.upgrade.is_hosted()

    def begin_tunnel(self) -> T | None:
        """Join the tunnel, and pass on what has come already."""
        self.progressed = self.service.loop.now
        early, self.input = self.input, b""
        self.taken += len(early)
        return self.upgrade.join(self, early)  # type: ignore[return-value]

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
