"""`wsgi.input` and `wsgi.errors`."""

from collections.abc import Callable, Iterator
from typing import Any


class Input:
    """The request's body, as it comes. `take` waits for the next piece, b"" at the end; it raises when the body is cut
    short. For one thread."""

    __slots__ = ("_at", "_ended", "_held", "_take")

    def __init__(self, take: Callable[[], bytes]) -> None:
        self._take = take
        self._held = b""
        self._at = 0
        """How much of the held piece has been read."""
        self._ended = False

    def _has_more(self) -> bool:
        """Whether there is something to be read: waits for the next piece; False at the end."""
        if self._at < len(self._held):
            return True
        self._held, self._at = b"" if self._ended else self._take(), 0
        self._ended = not self._held
        return not self._ended

    def _read_held(self, most: int) -> bytes:
        """What is left of the held piece, `most` bytes of it at most, where that is not negative."""
        at, held = self._at, self._held
        end = len(held) if most < 0 else min(at + most, len(held))
        self._at = end
        return held if at == 0 and end == len(held) else held[at:end]

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end; without a size all that is left."""
        left = -1 if size is None or size < 0 else size
        parts: list[bytes] = []
        while left and self._has_more():
            piece = self._read_held(left)
            parts.append(piece)
            if left > 0:
                left -= len(piece)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        """What is there, or the next piece; `size` bytes of it at most."""
        return self._read_held(size) if size and self._has_more() else b""

    def readinto(self, buffer: Any) -> int:
        """As io.RawIOBase.readinto."""
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def readline(self, size: int | None = -1) -> bytes:
        """A line with its end, `size` bytes of it at most."""
        left = -1 if size is None or size < 0 else size
        parts: list[bytes] = []
        while left and self._has_more():
            end = self._held.find(b"\n", self._at) + 1
            length = (end or len(self._held)) - self._at
            piece = self._read_held(length if left < 0 else min(length, left))
            parts.append(piece)
            if piece.endswith(b"\n"):
                break
            if left > 0:
                left -= len(piece)
        return b"".join(parts)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """The lines that are left; with a hint no more than are needed for so many bytes."""
        lines: list[bytes] = []
        have = 0
        for line in self:
            lines.append(line)
            have += len(line)
            if hint is not None and 0 < hint <= have:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def close(self) -> None:
        """The body is the server's: nothing is closed."""


class Errors:
    """`tell` is told of each line that is written, on the thread that writes it."""

    __slots__ = ("_held", "_tell")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._held = ""

    def write(self, text: str) -> int:
        """Write text."""
        *lines, self._held = (self._held + text).split("\n")
        for line in lines:
            if line:
                self._tell(line)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Tell what has no end yet."""
        if self._held:
            line, self._held = self._held, ""
            self._tell(line)
