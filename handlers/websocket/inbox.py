"""What comes from a WebSocket client: bytes, frame by frame, into messages that wait for the application.

The library checks and decodes frames; it is given one frame at a time, so that a bound holds to the frame however many
of them one read has brought: what follows a message that fills the queue is kept as bytes, and not decoded.

- A queue is full when `queue` messages wait, or as many bytes as the longest message may have.
- A message is put together in one buffer; its fragments are counted.
- Pings and pongs are counted by the second of the loop's clock.
"""

from collections import deque

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from clerestory.handlers.websocket.bounds import Bounds
from clerestory.handlers.websocket.codes import INVALID, POLICY

LONGEST_HEADER = 14
_LENGTH_SIZES = {126: 2, 127: 8}


def header_of(head: bytes) -> tuple[int, int] | None:
    """Bytes of a frame's header, and of its payload (RFC 6455 section 5.2); None while that cannot be told."""
    if len(head) < 2:
        return None
    short = head[1] & 0x7F
    extended = _LENGTH_SIZES.get(short, 0)
    size = 2 + extended + (4 if head[1] & 0x80 else 0)
    if len(head) < size:
        return None
    return size, int.from_bytes(head[2 : 2 + extended], "big") if extended else short


class Cutter:
    """Finds where frames end, in bytes that come in any pieces."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    def cut(self, data: bytes, at: int) -> tuple[int, bool]:
        """Where the frame ends that `data[at:]` goes on with, and whether it does end there."""
        if not self._left:
            known = len(self._head)
            head = self._head + data[at : at + LONGEST_HEADER - known]
            header = header_of(head)
            if header is None:
                self._head = head
                return len(data), False
            size, self._left = header
            self._head = b""
            at += size - known
        step = min(self._left, len(data) - at)
        self._left -= step
        return at + step, not self._left


class Inbox:
    """The messages of one WebSocket. `broken` once the client has broken the protocol, `closed` once it has said close.

    `messages` counts those that have come in all, `size` the bytes that wait.
    """

    __slots__ = (
        "_bounds",
        "_controls",
        "_cutter",
        "_fragments",
        "_is_text",
        "_parts",
        "_rest",
        "_second",
        "broken",
        "closed",
        "messages",
        "protocol",
        "queue",
        "size",
    )

    def __init__(self, protocol: ServerProtocol, bounds: Bounds) -> None:
        self.protocol = protocol
        self._bounds = bounds
        self._cutter = Cutter()
        self._rest = b""
        self._parts = bytearray()
        self._is_text = False
        self._fragments = 0
        self._second = 0
        self._controls = 0
        self.queue: deque[str | bytes] = deque()
        self.size = 0
        self.messages = 0
        self.broken = self.closed = False

    @property
    def is_full(self) -> bool:
        """Whether nothing more is decoded until the application has taken a message."""
        return len(self.queue) >= self._bounds.queue or self.size >= self._bounds.message

    @property
    def is_over(self) -> bool:
        """Whether what comes from now on is thrown away."""
        return self.broken or self.closed

    def take(self) -> str | bytes:
        """The next message, for the application."""
        message = self.queue.popleft()
        self.size -= len(message)
        return message

    def discard(self) -> None:
        """The application wants no more."""
        self.queue.clear()
        self.size = 0

    def feed(self, data: bytes, now: float) -> None:
        """Decode `data`, behind what was kept, until the queue is full."""
        if self.is_over:
            self._rest = b""
            return
        data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            if self.is_full:
                self._rest = data[at:]
                return
            start = at
            at, whole = self._cutter.cut(data, at)
            self.protocol.receive_data(data[start:at] if start or at < len(data) else data)
            if self.protocol.parser_exc is not None:
                self.broken = True
                break
            if whole:
                for event in self.protocol.events_received():
                    if isinstance(event, Frame):
                        self._frame(event, now)
                if self.broken or self.closed:
                    break

    def feed_end(self) -> None:
        """The client has ended its side."""
        if not self.protocol.reader.eof:
            self.protocol.receive_eof()

    def _frame(self, frame: Frame, now: float) -> None:
        opcode = frame.opcode
        if opcode is Opcode.CLOSE:
            self.closed = True
        elif opcode is Opcode.PING or opcode is Opcode.PONG:
            self._count_control(now)
        elif self.protocol.state is State.OPEN:  # behind our own close nothing is wanted
            self._data(frame)

    def _count_control(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second, self._controls = second, 0
        self._controls += 1
        if self._controls > self._bounds.controls:
            self._break(POLICY, f"more than {self._bounds.controls} control frames in a second")

    def _data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
            self._fragments = 0
            if frame.fin:
                self._give(bytes(frame.data))
                return
        self._fragments += 1
        if self._fragments > self._bounds.fragments:
            self._break(POLICY, f"more than {self._bounds.fragments} frames in a message")
            return
        self._parts += frame.data
        if frame.fin:
            whole, self._parts = bytes(self._parts), bytearray()
            self._give(whole)

    def _give(self, data: bytes) -> None:
        """A message is whole."""
        message: str | bytes = data
        if self._is_text:
            try:
                message = data.decode("utf-8")
            except UnicodeDecodeError as error:
                self._break(INVALID, f"{error.reason} at position {error.start}")
                return
        self.messages += 1
        self.size += len(message)
        self.queue.append(message)

    def _break(self, code: int, reason: str) -> None:
        self.protocol.fail(code, reason)
        self.broken = True
