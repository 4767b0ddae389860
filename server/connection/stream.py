"""A response's body that is produced piece by piece: what is known of it while it goes on.

A whole response has none of this, so it is not in the exchange itself. Nothing here steps anything but a plain
iterator; a body that waits is stepped by the exchange, as its handler is.
"""

from collections.abc import Iterator

from clerestory.server.http.responses import ResponseError, field_lines

END = object()
"""Stands behind the last piece of a body."""

GATHERED = 256
"""Pieces put together at most, however small they are: others are to have their turn."""


def trailer_lines(pieces: object) -> bytes:
    """The field lines that a body has behind its end (RFC 9112 section 7.1.2), where its iterator has `trailers()`.
    Raises ResponseError."""
    trailers = getattr(pieces, "trailers", None)
    return field_lines(trailers()) if trailers is not None else b""


def chunk_frame(before: bytes, size: int, last: bool, trailers: bytes = b"") -> tuple[bytes, bytes]:
    """What stands around a piece of `size` bytes in the chunked coding (RFC 9112 section 7.1), behind `before`; no
    chunk for an empty piece, which would end the body."""
    after = b""
    if size:
        before, after = b"%b%x\r\n" % (before, size), b"\r\n"
    return before, b"%b0\r\n%b\r\n" % (after, trailers) if last else after


class Stream:
    """A streamed body. `waits` when its pieces come from an asynchronous iterator.

    `produced` counts the bytes handed to the connection. `moved_at` is when it last went on, by bytes; `sent` how many
    of the response had been sent by then. `shut_at` is when its client was seen to have shut its side, 0.0 before.
    """

    __slots__ = ("held", "moved_at", "produced", "sent", "shut_at", "waits")

    def __init__(self, waits: bool, now: float) -> None:
        self.waits = waits
        self.moved_at = now
        self.shut_at = 0.0
        self.produced = self.sent = 0
        self.held: object = END
        """A piece that could not be put together with those before it."""

    def gather(self, pieces: Iterator[object], bound: int) -> object:
        """The next piece of a body that never waits: small ones are put together up to `bound` bytes, so that they
        share a system call. END when there are no more."""
        held, self.held = self.held, END
        piece = next(pieces, END) if held is END else held
        if not isinstance(piece, bytes):
            return piece
        gathered, size = [piece], len(piece)
        while size < bound and len(gathered) < GATHERED:
            piece = next(pieces, END)
            if not isinstance(piece, bytes):
                self.held = piece
                break
            gathered.append(piece)
            size += len(piece)
        return b"".join(gathered)

    def count(self, size: int, length: int | None, last: bool) -> None:
        """Count a piece of `size` bytes, and hold the sum against the promised `length`. Raises ResponseError."""
        if size < 0:
            raise ResponseError(f"a piece has {size} bytes")
        self.produced += size
        if length is not None and (self.produced > length or (last and self.produced < length)):
            extent = "at least" if self.produced > length else "only"
            raise ResponseError(f"the body has {extent} {self.produced} bytes, its content-length is {length}")
