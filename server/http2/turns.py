"""Whose turn it is: which streams of a connection have something to be sent, and in which order they are asked for it.

One piece of each, one after the other, so that a stream keeps the others waiting for no longer than a piece of each
takes. Those come first that have not begun their response: a short answer does not wait behind long ones.
"""

from collections import deque

from clerestory.server.http2.bounds import Bounds
from clerestory.server.http2.codec import Codec
from clerestory.server.http2.stream import Stream
from clerestory.statemachines.h2_stream import Trigger as T

PIECE = 16 * 1024
"""Bytes of a stream in one turn."""


class Turns:
    """Those of one connection."""

    __slots__ = ("_blocked", "_fresh", "_others")

    def __init__(self) -> None:
        self._fresh: deque[Stream] = deque()
        self._others: deque[Stream] = deque()
        self._blocked: dict[int, Stream] = {}
        """Those whose window is used up, by their numbers."""

    def __bool__(self) -> bool:
        """Whether there is one that has its turn."""
        return bool(self._fresh or self._others)

    def add(self, stream: Stream) -> None:
        """`stream` has something to be sent."""
        (self._fresh if stream.is_fresh() else self._others).append(stream)

    def remove(self, stream: Stream) -> None:
        """`stream` has ended; where it waits for its turn, it is passed over."""
        self._blocked.pop(stream.id, None)

    def next(self, codec: Codec, bounds: Bounds) -> tuple[Stream, T | None] | None:
        """Have the next stream hand a piece on: which it was, and what that is for it. None where there is none."""
        while self._fresh or self._others:
            stream = (self._fresh or self._others).popleft()
            if stream.node.final:
                continue
            before = stream.sent
            fact = stream.emit(codec, PIECE)
            bounds.sent(stream.sent - before)
            if fact is None:
                self._others.append(stream)
            elif fact is T.WINDOW_EXHAUSTED:
                self._blocked[stream.id] = stream
            return stream, fact
        return None

    def opened(self, codec: Codec) -> list[Stream]:
        """The client has opened windows: those that go on by it, no more of them than the connection's has room for."""
        found: list[Stream] = []
        room = codec.connection_window()
        for stream in list(self._blocked.values()):
            if room <= 0:
                break
            if codec.window(stream.id) > 0:
                room -= PIECE
                del self._blocked[stream.id]
                found.append(stream)
        return found
