"""A stream that was upgraded (RFC 8441): what a WebSocket, or a tunnel, knows as the client's end of it.

It has no socket: bytes that have come are taken from what the stream holds, and what is to be sent goes to the codec
when it is the stream's turn, a bounded piece at a time and no more than the client's windows admit. So a WebSocket
keeps no other stream waiting, and is held up by its own client alone, as it is on a connection of its own.
"""

from typing import ClassVar

from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.proxy.tunnel import READABLE, WRITABLE, GoneError
from clerestory.server.connection.channel import Channel
from clerestory.server.connection.exchange import Exchange
from clerestory.server.http.gate import Refusal
from clerestory.server.http2.codec import Codec
from clerestory.server.http2.frames import PROTOCOL_ERROR
from clerestory.server.http2.inbox import UNBOUNDED, Inbox
from clerestory.server.http2.shared import Carrying, Shared, pseudo_descriptor
from clerestory.statemachines.h2_stream import Trigger as T


class NearEnd(Channel):
    """A stream that may become a tunnel's near end (handlers.proxy.tunnel.End)."""

    __slots__ = (
        "_carrier",
        "_has_finished",
        "_has_taken_end",
        "_has_turn",
        "_inbox",
        "_room",
        "_wants",
        "exchange",
        "id",
        "progressed",
    )

    gone: ClassVar[T] = T.PEER_RESET
    over: ClassVar[T] = T.TUNNEL_ENDED
    broken: ClassVar[T] = T.TUNNEL_BROKEN

    def __init__(self, shared: Shared, carrier: Carrying, number: int, peer: str, id: int) -> None:  # noqa: A002
        super().__init__(shared.service, shared.streams, pseudo_descriptor(), number, peer)
        self._carrier = carrier
        self.id = id
        self.requests = (id + 1) // 2  # a client's streams have the odd numbers
        self.exchange: Exchange | None = None
        self._inbox = Inbox()
        self.progressed = self.since
        self._wants = self._room = 0
        """What the upgrade waits for; how many bytes it may send in this turn."""
        self._has_turn = self._has_finished = self._has_taken_end = False
        """Whether it waits for its turn, or has it; whether we have ended our side, and know that the client has."""

    def identity(self) -> str:
        """As Channel.identity."""
        return f"{self.number}/{self.id}"

    # --- the machine's

    def has_switched(self) -> bool:
        """Whether the response was one that upgrades."""
        return self.exchange is not None and isinstance(self.exchange.operation, Upgrade)

    @property
    def upgrade(self) -> Upgrade:
        """What the exchange has become."""
        assert self.exchange is not None
        upgrade = self.exchange.operation
        assert isinstance(upgrade, Upgrade)
        return upgrade

    def peer_ended_first(self) -> bool:
        """Whether the client sent its last before the other side did."""
        return self.upgrade.client_ended_first()

    def has_ended_first(self) -> bool:
        """Whether we have ended our side: a client that then resets the stream takes nothing away."""
        return self._has_finished

    def is_hosted(self) -> bool:
        """Whether the other side is an application in this process."""
        return self.upgrade.is_hosted()

    def begin_tunnel(self) -> T | None:
        """Join the tunnel, with what has come already."""
        self.progressed = self.service.loop.now
        return self.upgrade.join(self, b"")  # type: ignore[return-value]

    def pass_in(self) -> T | None:
        """Pass on what has come; then its end, where that came with it."""
        if not self._wants & READABLE:
            return None
        fact = self.upgrade.pass_on(self, READABLE)
        if fact is None and self._has_news():
            self.service.loop.tell(self, T.BODY_RECEIVED)
        return fact  # type: ignore[return-value]

    def _has_news(self) -> bool:
        """Whether there is something that is waited for, and was not taken."""
        inbox = self._inbox
        return bool(self._wants & READABLE and (inbox or (inbox.has_ended and not self._has_taken_end)))

    def end_tunnel(self) -> None:
        """End our side, unless that is done."""
        if not self._has_finished:
            self.finish()

    # --- its turn

    def pass_out(self, codec: Codec, most: int) -> T | None:
        """Let the upgrade send a piece: as Stream.emit."""
        self._has_turn = True
        self._room = min(codec.window(self.id), most, codec.longest())
        fact = self.upgrade.pass_on(self, WRITABLE)
        self._room = 0
        if fact is not None:
            return fact  # type: ignore[return-value]
        if not self._wants & WRITABLE:
            self._has_turn = False
            return T.OUTPUT_FLUSHED
        return T.WINDOW_EXHAUSTED if codec.window(self.id) <= 0 else None

    # --- from the loop, which has no descriptor to ask the poller about

    def want(self, interest: int | None) -> None:
        """As Machine.want: what the upgrade waits for."""
        before, self._wants = self._wants, interest or 0
        if self._wants & WRITABLE:
            self.write_soon()
        if not before & READABLE and self._has_news():
            self.service.loop.tell(self, T.BODY_RECEIVED)

    def write_soon(self) -> None:
        """As Machine.write_soon."""
        if not self._has_turn:
            self._has_turn = True
            self._carrier.wants_turn(self)

    # --- as an end

    def title(self) -> str:
        """As End.title."""
        return f"stream#{self.identity()} {self.peer}"

    def take(self) -> bytes | None:
        """As End.take: all that has come, which is no more than a window of it."""
        inbox = self._inbox
        try:
            data = inbox.take(UNBOUNDED)
        except Refusal as refusal:
            self._carrier.codec.reset(self.id, PROTOCOL_ERROR)
            self._carrier.wants_send()
            raise GoneError(self) from refusal
        self._has_taken_end = data == b""
        self.was_taken()
        return data

    def was_taken(self) -> None:
        """What had come has been taken: the client's window is opened by it."""
        inbox = self._inbox
        self.input = b""
        if inbox.unread:
            self._carrier.was_taken(self, *inbox.taken())

    def put(self, data: bytes | memoryview) -> int:
        """As End.put: in its turn, as much as there is room for."""
        count = min(self._room, len(data))
        if count > 0:
            self._carrier.codec.send_data(self.id, bytes(data[:count]), False)
            self._room -= count
            self.sent += count
            self.progressed = self.service.loop.now
        return max(0, count)

    def finish(self) -> None:
        """As End.finish."""
        self._has_finished = True
        self._carrier.codec.send_data(self.id, b"", True)
        self._carrier.wants_send()

    # --- what is told

    def times_itself(self) -> bool:
        """Whether it was upgraded to something that has deadlines of its own."""
        return self.has_switched() and self.upgrade.keeps_time()
