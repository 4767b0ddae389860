"""The body of an answer: where it ends, and that what frames it is well-formed.

Three framings (RFC 9112 section 6.3), one face: `feed` new bytes, get the body's, until `ended`; `spare` is what came
behind the end, and belongs to nothing. Laws:

- Chunk framing is as strict as for requests, and read by the same code (handlers.wire.chunks); there are bounds on
  lines, on framing beyond the body, on trailers. White space behind a chunk's size is read over: several servers pad
  the size to a fixed width, and nothing else can be meant by it.
- Of a body that was cut short nobody learns a clean end: `close` raises, except where the close is the end.
"""

from clerestory.handlers.backends.upstream.gate import CHUNKED, MAX_FIELDS, MAX_HEAD, MAX_LINE, UNTIL_CLOSE, Garbage
from clerestory.handlers.wire.chunks import ChunkError, Chunks
from clerestory.handlers.wire.grammar import field_block

MAX_CHUNK_LINE = 256
MAX_OVERHEAD = 16 * 1024
"""Bytes of framing more than the body itself has: stops one-byte chunks."""

UNLIMITED = 1 << 63
"""A body's length has no bound here: it is not held, but handed on as it comes."""

# RFC 9110 section 6.5.1: what frames a message comes before its body or not at all.
_FORBIDDEN = (b"\r\ncontent-length:", b"\r\ntransfer-encoding:")


class Sized:
    """A body of a length that the head tells."""

    __slots__ = ("_left", "ended", "spare")

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = not length
        self.spare = b""

    def feed(self, data: bytes) -> bytes:
        """The body's part of `data`."""
        piece = data[: self._left]
        self.spare = data[self._left :]
        self._left -= len(piece)
        self.ended = not self._left
        return piece

    def close(self) -> None:
        """The upstream has closed. Raises Garbage."""
        raise Garbage(f"The upstream closed the connection {self._left} bytes before the answer's end.")


class UntilClose:
    """A body that the close ends: an orderly one, not a reset."""

    __slots__ = ("ended", "spare")

    def __init__(self) -> None:
        self.ended = False
        self.spare = b""

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data

    def close(self) -> None:
        """That was all."""
        self.ended = True


class Chunked:
    """A chunked body (RFC 9112 section 7.1). Its trailers are checked and dropped."""

    __slots__ = ("_chunks", "_trailers", "ended", "spare")

    def __init__(self) -> None:
        self._chunks = Chunks(MAX_CHUNK_LINE, MAX_OVERHEAD, padded=True)
        self._trailers = b""  # an unfinished trailer section
        self.ended = False
        self.spare = b""

    def feed(self, data: bytes) -> bytes:
        """The body's part of `data`. Raises Garbage at what cannot be chunks."""
        try:
            body, taken = self._chunks.decode(data, UNLIMITED)
        except ChunkError as error:
            raise Garbage(f"The response body is not validly chunked: {error.reason}") from error
        if self._chunks.ended:
            self._read_trailers(self._trailers + data[taken:])
        return body

    def close(self) -> None:
        """The upstream has closed. Raises Garbage."""
        raise Garbage("The upstream closed the connection before the answer's last chunk.")

    def _read_trailers(self, data: bytes) -> None:
        """Read the trailer section that `data` begins with, or keep it until there is more."""
        end = 2 if data.startswith(b"\r\n") else data.find(b"\r\n\r\n") + 4
        if end == 3:
            if len(data) >= MAX_HEAD:
                raise Garbage(f"The answer's trailer section is longer than {MAX_HEAD} bytes.")
            self._trailers = data
            return
        section = data[:end]
        lines = section.split(b"\r\n")
        low = b"\r\n" + section.lower()
        if len(section) > MAX_HEAD or len(lines) - 2 > MAX_FIELDS or max(map(len, lines)) > MAX_LINE:
            raise Garbage("The answer's trailer section is too large.")
        if field_block(section) is None or any(name in low for name in _FORBIDDEN):
            raise Garbage("The answer's trailer section is malformed, or holds what frames a message.")
        self.ended = True
        self.spare = data[end:]


Body = Sized | UntilClose | Chunked


def body_of(length: int) -> Body:
    """The reader of a body of that length, or framing (upstream_gate.Head.body_length)."""
    if length == CHUNKED:
        return Chunked()
    return UntilClose() if length == UNTIL_CLOSE else Sized(length)
