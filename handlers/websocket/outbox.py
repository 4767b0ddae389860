"""What goes to a WebSocket client: frames that wait for the socket, in order, and the end behind them.

Small frames go out together, in one system call; a large one goes as it is, and is not copied.
"""

from collections import deque
from typing import Protocol

JOIN_SIZE = 64 * 1024
"""Frames that wait are put together up to this size."""

PONG = b"\x8a"
"""The first byte of a pong that is whole."""


class Socket(Protocol):
    """Where they go: handlers.proxy.tunnel.End."""

    def put(self, data: bytes | memoryview) -> int: ...

    def finish(self) -> None: ...


class Outbox:
    """`size` bytes wait, in `frames`; `ends` when the end of our side follows, `finished` when that has been sent."""

    __slots__ = ("ends", "finished", "frames", "size")

    def __init__(self) -> None:
        self.frames: deque[bytes | memoryview] = deque()
        self.size = 0
        self.ends = self.finished = False

    def add(self, frames: list[bytes]) -> None:
        """Take what the library wants to be sent: frames, and b"" for the end of our side."""
        for frame in frames:
            if frame[:1] == PONG and self._replaces_pong(frame):
                continue
            if frame:
                self.frames.append(frame)
                self.size += len(frame)
            else:
                self.ends = True

    def _replaces_pong(self, frame: bytes) -> bool:
        """RFC 6455 section 5.5.3: of pings that were not answered yet, the last may be answered for all. So a client
        that sends pings and reads nothing costs no memory."""
        last = self.frames[-1] if self.frames else b""
        if not isinstance(last, bytes) or last[:1] != PONG:
            return False
        self.frames[-1] = frame
        self.size += len(frame) - len(last)
        return True

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something for the socket."""
        return bool(self.frames) or (self.ends and not self.finished)

    def push(self, socket: Socket) -> int:
        """Send what the socket takes, in one piece; how many bytes that was. Raises what `put` raises."""
        moved = 0
        frames = self.frames
        if frames:
            first = self._joined() if len(frames) > 1 else frames.popleft()
            moved = socket.put(first)
            self.size -= moved
            if moved < len(first):
                frames.appendleft(memoryview(first)[moved:])
        if self.ends and not frames and not self.finished:
            self.finished = True
            socket.finish()
        return moved

    def _joined(self) -> bytes | memoryview:
        """The frames that go out in one system call."""
        frames = self.frames
        joined = [frames.popleft()]
        size = len(joined[0])
        while frames and size + len(frames[0]) <= JOIN_SIZE:
            size += len(frames[0])
            joined.append(frames.popleft())
        return b"".join(joined) if len(joined) > 1 else joined[0]

    def discard(self) -> None:
        """There is no socket any more."""
        self.frames.clear()
        self.size = 0
