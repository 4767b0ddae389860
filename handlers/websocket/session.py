"""The shell of a WebSocket: the machine, between what comes from the client and the application that takes it.

The table (statemachines.websocket) says what happens when. What is decoded and what waits to be sent is kept apart
(`inbox`, `outbox`); bytes come and go by the `link`; the application is told by the `conversation`. Whatever happens in
a step of the connection is told to the machine when that step has ended (Loop.tell): no walk runs inside another.
"""

from typing import Any, Protocol

from websockets.protocol import State as ProtocolState
from websockets.server import ServerProtocol

from clerestory.handlers.api.messages import Request
from clerestory.handlers.api.operations import pseudo_descriptor, span
from clerestory.handlers.websocket.bounds import Bounds
from clerestory.handlers.websocket.codes import ABNORMAL, INTERNAL_ERROR
from clerestory.handlers.websocket.inbox import Inbox
from clerestory.handlers.websocket.outbox import Outbox
from clerestory.statemachines.contract import Cause, Way
from clerestory.statemachines.engine import Edge, Engine, Machine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.websocket import State as S
from clerestory.statemachines.websocket import Trigger as T

_BY_BYTES_OUT = frozenset({S.AWAITING_ROOM, S.CLOSING, S.PEER_CLOSING, S.DISCONNECTING})


class Talker(Protocol):
    """The application's side of a WebSocket, as its session knows it (conversation.py)."""

    @property
    def request_id(self) -> str:
        """Names the request in the log."""

    @property
    def request(self) -> Request:
        """The handshake's request."""

    @property
    def goes_on(self) -> bool:
        """Whether there is a task that may take messages."""

    @property
    def waits_for_room(self) -> bool:
        """Whether a `send()` waits."""

    def wake(self) -> None:
        """There is an event for `receive()`."""

    def make_room(self) -> None:
        """Let `send()` go on."""

    def tell_fault(self, edge: Edge, end: tuple[int, str] | None) -> None:
        """Say in the log how the WebSocket ended."""

    def over(self) -> None:
        """The WebSocket is over."""


class Wire(Protocol):
    """The connection's side of a WebSocket, as its session knows it (link.py)."""

    def update_interest(self) -> None:
        """Ask the poller for what is wanted now."""

    def write_soon(self) -> None:
        """There is something to be sent."""

    def cut(self) -> None:
        """Have the connection reset."""


class Session(Machine):
    """One WebSocket. `end` is the code and the reason that the application is told, once it is over for it."""

    __slots__ = (
        "_conversation",
        "born",
        "bounds",
        "bytes_in",
        "bytes_out",
        "end",
        "heard_at",
        "inbox",
        "link",
        "loop",
        "message_at",
        "moved_at",
        "outbox",
        "protocol",
        "sent",
    )

    def __init__(
        self, engine: Engine, loop: Loop, bounds: Bounds, protocol: ServerProtocol, conversation: Talker
    ) -> None:
        super().__init__(engine, pseudo_descriptor())
        self.loop = loop
        self.bounds = bounds
        self.protocol = protocol
        self.inbox = Inbox(protocol, bounds)
        self.outbox = Outbox()
        self._conversation = conversation
        self.link: Wire | None = None
        self.end: tuple[int, str] | None = None
        self.born = self.heard_at = self.moved_at = self.message_at = self.since
        self.bytes_in = self.bytes_out = self.sent = 0

    # --- the machine's

    def has_untaken(self) -> bool:
        """As the Model: there are messages, and a task that may take them."""
        return bool(self.inbox.queue) and self._conversation.goes_on

    def is_full(self) -> bool:
        """As the Model."""
        return self.inbox.is_full

    def send_ping(self) -> None:
        """As the Model."""
        if self.protocol.state is ProtocolState.OPEN:
            self.protocol.send_ping(b"")
            self._queue_output()

    def give_up_silent(self) -> None:
        """As the Model."""
        self._give_up("no answer to a ping")

    def give_up_stalled(self) -> None:
        """As the Model."""
        self._give_up("the application does not take its messages")

    def _give_up(self, reason: str) -> None:
        self.inbox.broken = True
        self.protocol.fail(INTERNAL_ERROR, reason)
        self._queue_output()
        self.finish(ABNORMAL, reason)
        if self.link is not None:
            self.link.update_interest()

    def cut(self) -> None:
        """As the Model."""
        self.finish(ABNORMAL, "")
        if self.link is not None:
            self.link.cut()

    def cut_slow(self) -> None:
        """As the Model."""
        self.finish(ABNORMAL, "the client does not read")
        if self.link is not None:
            self.link.cut()

    def is_overdue(self, now: float) -> bool:
        """As Machine.is_overdue: what moves is not late."""
        return now - max(self.since, self._progressed()) >= self.node.limit

    def _progressed(self) -> float:
        """When a byte last moved of those that this state waits for."""
        state = self.node.state
        if state is S.OPEN:
            return self.heard_at
        return self.moved_at if state in _BY_BYTES_OUT else self.since

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        number, name = -self.descriptor, self._conversation.request_id
        request, limit = self._conversation.request, (self.node.limit, 0, 0.0)
        said = (number, name, self.born, self.bytes_in, self.bytes_out, self.inbox.messages, request, None, 101)
        return (*said, limit, self._progressed()) if self.node.deadline is not None else said

    def describe(self) -> str:
        """For an operator: `websocket OPEN 40.2 s, last message 12.0 s ago, 3 unsent`."""
        now = self.loop.clock()
        said = f"websocket {self.node.state} {span(now - self.since)}"
        if self.inbox.messages or self.sent:
            said += f", last message {span(now - self.message_at)} ago"
        if self.outbox.frames:
            said += f", {len(self.outbox.frames)} unsent"
        return f"{said}, {len(self.inbox.queue)} untaken" if self.inbox.queue else said

    def ended(self) -> None:
        """As Machine.ended: nothing moves any more, and the application is told."""
        self.finish(ABNORMAL, "")
        self.outbox.discard()
        for _, edge in self.history:
            row = edge.row
            broken = row.trigger is T.PROTOCOL_BROKEN
            if row.way is Way.FAULT and row.ends is not None and (broken or row.ends is not Cause.CLIENT):
                self._conversation.tell_fault(edge, self.end)
                break
        self._conversation.over()

    # --- from the link

    @property
    def wants_input(self) -> bool:
        """Whether bytes of the client are read."""
        return self.inbox.is_over or not self.inbox.is_full

    def opened(self, early: bytes) -> None:
        """The 101 has been sent; `early` has come already."""
        self.loop.tell(self, T.SWITCHED)
        if early:
            self.feed(early)

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        now = self.loop.clock()
        self.bytes_in += len(data)
        self.heard_at = now
        if self.node.state is S.AWAITING_PONG:
            self.loop.tell(self, T.CLIENT_HEARD)
        self._decode(data, now)

    def _decode(self, data: bytes, now: float) -> None:
        inbox, protocol = self.inbox, self.protocol
        messages, over = inbox.messages, inbox.is_over
        inbox.feed(data, now)
        self._queue_output()
        if inbox.messages != messages:
            self.message_at = now
            self._conversation.wake()
        if inbox.is_over and not over:
            close = protocol.close_rcvd if inbox.closed else protocol.close_sent
            self.finish(*((close.code, close.reason) if close is not None else (ABNORMAL, "")))
            self.loop.tell(self, T.CLOSE_RECEIVED if inbox.closed else T.PROTOCOL_BROKEN)
        elif inbox.is_full:
            self.loop.tell(self, T.QUEUE_FILLED)

    def feed_end(self) -> None:
        """The client has ended its side: what is still to be sent to it is sent."""
        self.inbox.feed_end()
        self._queue_output()
        if not self.inbox.is_over:
            self.inbox.broken = True
            self.finish(ABNORMAL, "")
            if self.outbox.frames:
                self.loop.tell(self, T.PROTOCOL_BROKEN)

    def moved(self, count: int) -> None:
        """The socket has taken so much."""
        if count:
            self.bytes_out += count
            self.moved_at = self.loop.clock()
        if self._conversation.waits_for_room:
            if self.has_room():
                self.loop.tell(self, T.ROOM_MADE)
                self._conversation.make_room()
            else:
                self.loop.tell(self, T.ROOM_WANTED)

    def lost(self) -> None:
        """The connection is over."""
        self.inbox.broken = True
        self.finish(ABNORMAL, "")
        self.loop.tell(self, T.CONNECTION_ENDED)

    def finish(self, code: int, reason: str) -> None:
        """From now on nothing is sent, and the application is told so behind the messages that it has not taken."""
        if self.end is None:
            self.end = code, reason
        self._conversation.wake()
        self._conversation.make_room()

    # --- from the application

    def take(self) -> str | bytes:
        """The next message. Where there is room for another, bytes are decoded, and read, again."""
        inbox = self.inbox
        full = inbox.is_full
        message = inbox.take()
        if full and not inbox.is_full:
            self.loop.tell(self, T.QUEUE_TAKEN)
            self._decode(b"", self.loop.clock())
            if self.link is not None:
                self.link.update_interest()
        if not inbox.queue:
            self.loop.tell(self, T.ALL_TAKEN)
        return message

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.sent += 1
        self.message_at = self.loop.clock()
        self._queue_output()

    def has_room(self) -> bool:
        """Whether `send()` goes on."""
        return self.outbox.size <= self.bounds.unsent or self.end is not None

    def want_room(self) -> None:
        """`send()` waits."""
        self.loop.tell(self, T.ROOM_WANTED)

    def say_close(self, code: int, reason: str) -> None:
        """Say close, unless that has been said. What has come, and was not taken, is not wanted any more."""
        if self.protocol.state is not ProtocolState.OPEN:
            return
        self.protocol.send_close(code, reason)
        self._queue_output()
        self.inbox.discard()
        self.inbox.feed(b"", self.loop.clock())
        self.finish(code, reason)
        self.loop.tell(self, T.CLOSE_SENT)
        if self.link is not None:
            self.link.update_interest()

    def application_ended(self) -> None:
        """Nobody takes what has come."""
        self.inbox.discard()
        self.loop.tell(self, T.APPLICATION_ENDED)

    def _queue_output(self) -> None:
        self.outbox.add(self.protocol.data_to_send())
        if self.link is not None:
            self.link.write_soon()
