"""Between a WebSocket and its connection: bytes, and what is asked of the poller.

The connection rests in TUNNELLING. It is read while there is room in the queue of messages, and written while something
waits for its socket; a hang-up that cannot be acted on is not waited for (handlers.proxy.tunnel).
"""

from typing import Any, Protocol

from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.proxy.tunnel import BROKEN, READABLE, WRITABLE, GoneError
from clerestory.handlers.websocket.session import Session
from clerestory.statemachines.contract import HUNG_UP, Name
from clerestory.statemachines.loop import Loop


class Caller(Protocol):
    """What the application runs in, as it is told to an operator."""

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack."""

    def describe(self) -> str:
        """Where the application is; empty once it has ended."""


class Link(Upgrade):
    """What the connection has become: `session`, of `caller`."""

    __slots__ = ("_caller", "_deferred", "_ended", "_gone", "_interest", "_loop", "_near", "session")

    def __init__(self, session: Session, caller: Caller, loop: Loop) -> None:
        self.session = session
        self._caller = caller
        self._loop = loop
        self._near: Any = None
        self._interest: int | None = -1
        self._deferred = False
        self._ended = False
        """Whether the client has ended its side."""
        self._gone = False
        """Whether the connection is over."""
        session.link = self

    # --- as an upgrade

    def protocol_name(self) -> bytes:
        """As Upgrade.protocol_name."""
        return b"websocket"

    def client_ended_first(self) -> bool:
        """As Upgrade.client_ended_first: whether the client has said close before we did."""
        protocol = self.session.protocol
        return protocol.close_sent is None or bool(protocol.close_rcvd_then_sent)

    def is_hosted(self) -> bool:
        """As Upgrade.is_hosted."""
        return True

    def join(self, near: Any, early: bytes) -> Name | None:
        """As Upgrade.join."""
        if self._gone or self.session.node.final:
            return near.broken  # type: ignore[no-any-return]
        self._near = near
        self.session.opened(early)
        return self._go_on(near, WRITABLE)

    def pass_on(self, end: Any, ready: int) -> Name | None:
        """As Upgrade.pass_on."""
        if ready & BROKEN:
            return end.gone  # type: ignore[no-any-return]
        session = self.session
        try:
            if ready & (READABLE | HUNG_UP) and not self._ended and session.wants_input:
                data = end.take()
                if data:
                    session.feed(data)
                elif data is not None:
                    self._ended = True
                    session.feed_end()
        except GoneError:
            return end.gone  # type: ignore[no-any-return]
        return self._go_on(end, ready)

    def _go_on(self, end: Any, ready: int) -> Name | None:
        """Send what waits; the trigger for the connection, when it is over."""
        self._deferred = False
        outbox = self.session.outbox
        blocked = bool((self._interest or 0) > 0 and (self._interest or 0) & WRITABLE)
        moved = 0
        try:
            if outbox.wants_to_write and (ready & WRITABLE or not blocked):
                moved = outbox.push(end)
        except GoneError:
            return end.gone  # type: ignore[no-any-return]
        self.session.moved(moved)
        self._deferred = False
        if self._ended and not outbox.wants_to_write:
            return end.over  # type: ignore[no-any-return]
        self.update_interest(quiet=bool(ready & HUNG_UP))
        return None

    @property
    def goes_on(self) -> bool:
        """Whether the application has not closed it."""
        return self.session.end is None

    # --- from the session

    def update_interest(self, *, quiet: bool = False) -> None:
        """Ask the poller for what is wanted, if that is news. `quiet`: it is known to report a hang-up by itself."""
        if self._near is None or self._gone:
            return
        session = self.session
        wanted = READABLE if session.wants_input and not self._ended else 0
        if session.outbox.wants_to_write and not self._deferred:
            wanted |= WRITABLE
        asked = None if (quiet or self._interest is None) and not wanted else wanted
        if asked != self._interest:
            self._interest = asked
            self._loop.set_interest(self._near, asked)

    def write_soon(self) -> None:
        """There is something to be sent: it leaves at the turn's end, unless the socket has no room."""
        if self._near is None or self._gone or self._deferred or not self.session.outbox.wants_to_write:
            return
        if self._interest is not None and self._interest > 0 and self._interest & WRITABLE:
            return
        self._deferred = True
        self._loop.defer_write(self._near)

    def cut(self) -> None:
        """Have the connection reset."""
        if self._near is not None and not self._gone:
            self._loop.tell(self._near, self._near.broken)

    # --- as an operation

    def cancel(self) -> None:
        """As Operation.cancel: the connection is over."""
        if not self._gone:
            self._gone = True
            self.session.lost()

    def keeps_time(self) -> bool:
        """As Operation.keeps_time."""
        return True

    def timed_by(self) -> Session:
        """As Operation.timed_by."""
        return self.session

    def client_closed(self) -> HalfClose:
        """As Operation.client_closed: the 101 is still to be sent."""
        return HalfClose.ANSWER

    def stack(self) -> list[tuple[str, int, str]]:
        """As Operation.stack."""
        return self._caller.stack()

    def describe(self) -> str:
        """For an operator: the WebSocket, and where the application is."""
        said, caller = self.session.describe(), self._caller.describe()
        return f"{said} <- {caller}" if caller else said
