"""What of a request's body has come on a stream, and was not taken yet: at most one window of it.

Content-Length is held against the data (RFC 9113 section 8.1.1), and both against the limit on bodies.
"""

from clerestory.server.http.gate import Refusal

PART = 16 * 1024
"""Bytes by which a window is opened at least, a quarter of the smallest. Were it opened by whatever is taken, a client
that sends as much as it may would send ever smaller pieces (RFC 9113 section 6.9.1 leaves that to the receiver)."""

UNBOUNDED = 1 << 62
"""Of what has no length: a tunnel."""


class Inbox:
    """One stream's. `received` counts the body's bytes, `unread` those of the window that were not taken: with padding.
    `has_ended` says that the client has ended its side; `unopened` are bytes that were taken, and by which the window
    was not opened yet."""

    __slots__ = ("_offence", "_pieces", "expected", "has_ended", "received", "unopened", "unread")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._offence: Refusal | None = None
        self.expected: int | None = None
        """How long the body says that it is."""
        self.received = self.unread = self.unopened = 0
        self.has_ended = False

    def __bool__(self) -> bool:
        """Whether there is something to be taken."""
        return bool(self._pieces)

    def add(self, data: bytes, size: int) -> None:
        """DATA has come, of `size` bytes of the window."""
        self.received += len(data)
        self.unread += size
        if self.expected is not None and self.received > self.expected:
            self._offence = Refusal(400, f"The body is longer than its Content-Length of {self.expected}.")
        elif data:
            self._pieces.append(data)

    def end(self, offence: Refusal | None = None) -> None:
        """END_STREAM has come; `offence` is what is wrong with the trailers before it."""
        self.has_ended = True
        if offence is not None:
            self._offence = offence
        elif self.expected is not None and self.received < self.expected:
            self._offence = Refusal(400, f"The body is shorter than its Content-Length of {self.expected}.")

    def taken(self) -> tuple[int, int]:
        """All that had come has been taken: how many bytes of the window that was, and by how many to open it."""
        size, self.unread = self.unread, 0
        self.unopened += size
        if self.has_ended or self.unopened < PART:
            return size, 0
        opens, self.unopened = self.unopened, 0
        return size, opens

    def take(self, limit: int) -> bytes | None:
        """All that there is; b"" at the end, None where there is nothing yet. Raises Refusal: 413 where the body is, or
        says that it is, longer than `limit`, 400 where it is not as long as it says."""
        if max(self.received, self.expected or 0) > limit:
            raise Refusal(413, f"The body is longer than {limit} bytes.")
        if self._offence is not None:
            raise self._offence
        pieces = self._pieces
        if not pieces:
            return b"" if self.has_ended else None
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return piece

    def clear(self) -> None:
        """Nobody will take it any more."""
        self._pieces.clear()
