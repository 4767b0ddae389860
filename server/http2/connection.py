"""The shell of a client's connection that speaks HTTP/2: it reads and writes for its streams.

The table (statemachines.h2_connection) says what happens when. What its methods share:

- *One bounded read* a readiness event; what it says is told to the streams when it has been taken whole
  (server.http2.intake).
- *One bounded write* a turn: each stream that has something is asked for a piece, one after the other
  (server.http2.turns).
"""

from typing import Any

from clerestory.handlers.wire.transport import PeerGoneError, Transport
from clerestory.server.connection.farewell import Farewell
from clerestory.server.connection.telling import tell_end
from clerestory.server.http.gate import Refusal
from clerestory.server.http.reading import HeadReader
from clerestory.server.http2.frames import NO_ERROR, SETTINGS_TIMEOUT
from clerestory.server.http2.intake import Intake
from clerestory.server.http2.shared import Shared
from clerestory.server.http2.stream import Stream
from clerestory.server.http2.turns import Turns
from clerestory.statemachines.contract import HUNG_UP, Interest, Name
from clerestory.statemachines.engine import Edge, Machine
from clerestory.statemachines.h2_connection import State as S
from clerestory.statemachines.h2_connection import Trigger as T
from clerestory.statemachines.h2_stream import Trigger as StreamTrigger

WRITABLE, READABLE = int(Interest.WRITABLE), int(Interest.READABLE)

GATHERED = 64 * 1024
"""Bytes of frames that are put together for one system call."""

TURN = 256 * 1024
"""Bytes written in one turn of the loop: then other connections have theirs. Where several streams are open it is what
is put together once: a request that comes meanwhile waits for no more than that before it is read."""


class Connection(Machine):
    """One client's connection. `streams` are those that are open, by their numbers."""

    __slots__ = (
        "_farewell",
        "_has_read",
        "_intake",
        "_turns",
        "accepted_at",
        "bytes_in",
        "bytes_out",
        "codec",
        "http2",
        "input",
        "number",
        "output",
        "peer",
        "progressed",
        "reader",
        "refusal",
        "service",
        "streams",
        "transport",
    )

    def __init__(self, shared: Shared, transport: Transport, descriptor: int, peer: str, number: int) -> None:
        super().__init__(shared.connections, descriptor)
        self.http2 = shared
        self.service = service = shared.service
        self.transport = transport
        self.peer = peer
        self.number = number
        self.accepted_at = self.progressed = self.since
        self.bytes_in = self.bytes_out = 0
        self.input = b""
        """What had come before this machine took the descriptor over."""
        self.output: bytes | memoryview = b""
        self.refusal: Refusal | None = None
        self.reader = HeadReader(service.limits, service.codec, peer)
        self._intake = intake = Intake(service.limits, self.reader, self._open, connects=shared.connects)
        self.streams, self.codec = intake.streams, intake.codec
        self._turns = Turns()
        self._farewell: Farewell | None = None
        self._has_read = False
        """Whether it was read the last time that it could be read and written."""

    @property
    def requests(self) -> int:
        """How many requests have come."""
        return self._intake.requests

    def begin(self) -> None:
        """Say our settings: the socket's buffer is empty, or nearly so."""
        self.codec.begin(self.service.limits)
        try:
            self._write_once(self.codec.take())
        except PeerGoneError:
            self.service.loop.tell(self, T.PEER_RESET)

    # --- reading

    def read(self, ready: int) -> Name | None:
        """Read once, and give streams what is theirs."""
        if self.input:
            data: bytes | None = self.input
            self.input = b""
        elif not ready:
            return None
        else:
            try:
                data = self.transport.read()
            except PeerGoneError:
                return T.PEER_RESET
            if data is None:
                return None
            if not data:
                return T.PEER_CLOSED
            self.bytes_in += len(data)
        assert data is not None
        self._take(data)
        return self.go_on()

    def read_and_write(self, ready: int) -> Name | None:
        """Read once, or write: in turns, when both are possible, and first what may be a request."""
        if ready & HUNG_UP:
            return T.PEER_RESET
        self._has_read = bool(ready & READABLE) and not (ready & WRITABLE and self._has_read)
        if self._has_read:
            return self.read(ready)
        return self._write() if ready & WRITABLE else None

    def _take(self, data: bytes) -> None:
        """Take what came, and tell the streams."""
        intake, loop = self._intake, self.service.loop
        for stream, fact in intake.take(data, loop.now):
            loop.tell(stream, fact)
        if intake.violation is not None:
            self.refusal = Refusal(400, intake.violation.reason)
        if intake.window_moved:
            intake.window_moved = False
            for stream in self._turns.opened(self.codec):
                loop.tell(stream, StreamTrigger.WINDOW_OPENED)

    def _open(self, number: int) -> Stream:
        """A stream for a request that has come."""
        stream = Stream(self.http2, self, self.number, self.peer, number)
        self.service.loop.add(stream)
        return stream

    def go_on(self) -> Name | None:
        """The next trigger, by what has become true."""
        state, intake = self.node.state, self._intake
        if intake.violation is not None:
            return T.PROTOCOL_VIOLATED
        if state is S.AWAITING_PREFACE:
            return T.PREFACE_RECEIVED if intake.has_begun else None
        if state is S.AWAITING_REQUEST and self.streams:
            return T.STREAM_OPENED
        if state in (S.NEGOTIATING, S.SERVING, S.SENDING) and self._is_exhausted():
            return T.STREAMS_EXHAUSTED
        if state is S.SENDING:
            return None
        if self.codec.output or self._turns:
            return T.OUTPUT_READY
        if state is S.NEGOTIATING and intake.is_acknowledged:
            return T.SETTINGS_ACKNOWLEDGED
        if state is not S.DRAINING and intake.client_leaves:
            return T.GOAWAY_RECEIVED
        if state in (S.SERVING, S.DRAINING) and not self.streams:
            return T.STREAMS_ENDED
        return None

    def _is_exhausted(self) -> bool:
        intake = self._intake
        return not intake.has_said_last and intake.requests >= self.service.limits.max_requests

    # --- as the streams know it

    def ends(self) -> tuple[str, Any]:
        """As Carrying.ends."""
        return self.peer, self.transport.own_address()

    def wants_turn(self, stream: Stream) -> None:
        """As Carrying.wants_turn."""
        self._turns.add(stream)
        self.wants_send()

    def wants_send(self) -> None:
        """As Carrying.wants_send."""
        if self.accepts(T.OUTPUT_READY):
            self.service.loop.tell(self, T.OUTPUT_READY)

    def was_taken(self, stream: Stream, size: int, opens: int) -> None:
        """As Carrying.was_taken."""
        self._intake.was_taken(stream, size, opens)
        if self.codec.output:
            self.wants_send()

    def stream_ended(self, stream: Stream) -> None:
        """As Carrying.stream_ended."""
        self._turns.remove(stream)
        self._intake.forget(stream)
        if self.codec.output:
            self.wants_send()
        if not self.streams and self.accepts(T.STREAMS_ENDED):
            self.service.loop.tell(self, T.STREAMS_ENDED)

    # --- writing

    def send_later(self) -> Name | None:
        """Let the frames go out at the turn's end."""
        self.progressed = self.service.loop.now
        self.service.loop.defer_write(self)
        return None

    def _write(self) -> Name | None:
        """Write until all is sent, the socket takes no more, or other connections are to have their turn."""
        budget = TURN if len(self.streams) <= 1 else GATHERED
        try:
            while budget > 0:
                if not self.output:
                    self.output = self._compose()
                    if not self.output:
                        return T.OUTPUT_FLUSHED
                if not self._write_once(self.output):
                    return None
                budget -= GATHERED
        except PeerGoneError:
            return T.PEER_RESET
        return None

    def _write_once(self, data: bytes | memoryview) -> bool:
        """Write; whether that was all of it."""
        sent = self.transport.write(data)
        self.bytes_out += sent
        if sent:
            self.progressed = self.service.loop.now
        self.output = memoryview(data)[sent:] if sent < len(data) else b""
        return sent == len(data)

    def _compose(self) -> bytes:
        """The next frames: what the codec has to say, and of each stream a piece."""
        codec, loop = self.codec, self.service.loop
        while len(codec.output) < GATHERED:
            had = self._turns.next(codec, self._intake.bounds)
            if had is None:
                break
            stream, fact = had
            if fact is not None:
                loop.tell(stream, fact)
        return codec.take()

    # --- guards

    def awaits_settings(self) -> bool:
        """Whether the client has not acknowledged our SETTINGS."""
        return not self._intake.is_acknowledged

    def is_draining(self) -> bool:
        """Whether one of the two has sent GOAWAY."""
        return self._intake.has_said_last or self._intake.client_leaves

    def has_streams(self) -> bool:
        """Whether streams are open."""
        return bool(self.streams)

    def client_leaves(self) -> bool:
        """Whether it was the client that has sent GOAWAY."""
        return self._intake.client_leaves

    def is_ordered(self) -> bool:
        """Whether the process drains."""
        return self.service.draining

    # --- the end

    def send_goaway(self) -> Name | None:
        """Say which is the last stream that is served."""
        if not self._intake.has_said_last:
            self._intake.say_last()
        return self.go_on()

    def say_goodbye(self) -> Name | None:
        """End the streams, say GOAWAY with the reason, and shut down our sending side."""
        loop, violation = self.service.loop, self._intake.violation
        for stream in self.streams.values():
            loop.tell(stream, StreamTrigger.PEER_RESET)
        edge = self.history[-1][1]
        if violation is not None:
            self._intake.say_last(violation.code, violation.reason)
        elif edge.trigger is T.DEADLINE_PASSED and edge.source.state is not S.AWAITING_REQUEST:
            self._intake.say_last(SETTINGS_TIMEOUT)
        else:
            self._intake.say_last(NO_ERROR)
        try:
            self._write_once(b"".join((self.output, self.codec.take())))
        except PeerGoneError:
            return T.PEER_RESET if self.node.state is S.LINGERING else None
        return self.half_close()

    def half_close(self) -> Name | None:
        """Shut down our sending side."""
        try:
            self.transport.shut_down()
        except PeerGoneError:
            return T.PEER_RESET if self.node.state is S.LINGERING else None
        return None

    def cut(self) -> Name | None:
        """Make the close a reset."""
        self.transport.reset_on_close()
        return None

    def discard(self, ready: int) -> Name | None:  # noqa: ARG002
        """Read once and forget."""
        try:
            data = self.transport.read()
        except PeerGoneError:
            return T.PEER_RESET
        if data is None:
            return None
        if not data:
            return T.PEER_CLOSED
        if self._farewell is None:
            self._farewell = Farewell(self.service)
        self.bytes_in += len(data)
        self.progressed = self.service.loop.now
        return T.LINGER_EXHAUSTED if self._farewell.is_too_long(len(data)) else None

    def ended(self) -> None:
        """Say how it ended, if not well; the streams end with it."""
        for stream in list(self.streams.values()):
            self.service.loop.tell(stream, StreamTrigger.PEER_RESET)
        if self.node.final:
            tell_end(self, self.ending())
        self.output = b""

    def ending(self) -> Edge:
        """The edge that decided the end."""
        return next(edge for _, edge in self.history if edge.row.ends is not None)

    def close(self) -> None:
        """Give the descriptor back."""
        try:
            self.transport.close()
        finally:
            self.service.on_connection_closed()

    # --- what is told

    def is_overdue(self, now: float) -> bool:
        """As Machine.is_overdue: by bytes, where they should move."""
        node = self.node
        if node.state is S.SENDING:
            return now - max(self.since, self.progressed) >= node.limit
        if node.state is S.NEGOTIATING:
            return now - self.accepted_at >= node.limit
        if node.state is S.LINGERING:
            if now - max(self.since, self.progressed) >= node.limit:
                return True
            total = node.limit if self.service.draining else self.service.limits.linger_total
            return now - self.since >= total
        return now - self.since >= node.limit

    def protection(self) -> str:
        """What TLS has negotiated, for an operator; empty without TLS."""
        security = self.reader.security
        return f"{security.version}, {security.cipher}" if security is not None else ""

    def details(self) -> str:
        """Its streams, and the client's window. May be called from another thread."""
        count = len(self.streams)
        streams = "1 stream" if count == 1 else f"{count} streams"
        return f"{streams}, the client's window is {self.codec.connection_window():,}"

    def excerpts(self) -> tuple[bytes, bytes]:
        """Heads are the streams' to show."""
        return b"", b""

    def facts(self) -> tuple[Any, ...]:
        """As Machine.facts: contract.Facts."""
        base = (self.number, self.peer, self.accepted_at, self.bytes_in, self.bytes_out, self.requests)
        if self.node.state not in (S.SENDING, S.LINGERING):
            return base
        return (*base, None, None, None, (self.node.limit, 0, 0.0), self.progressed)

    def counts(self) -> tuple[Any, ...]:
        """As Machine.counts."""
        return (self.number, self.peer, self.accepted_at, self.bytes_in, self.bytes_out, self.requests)
