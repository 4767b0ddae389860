"""A chunked request body: its chunks, under our limits, and the trailer section behind them.

`handlers.wire.chunks` walks and decodes the chunks; the scanner walks the trailers, whose fields are discarded. No
codec is asked, and why none need be is said there. Laws:

- Never a byte of the next message is taken.
- The first offending byte decides, however the body was cut on its way.
- At most one unfinished chunk line is kept, or one trailer section.
"""

from clerestory.handlers.wire.chunks import ChunkError, Chunks, TooLong
from clerestory.server.config import Limits
from clerestory.server.http.gate import Refusal
from clerestory.server.http.scanner import FIELD, Scanner

_CRLF = b"\r\n"
# RFC 9110 section 6.5.1, RFC 9112 section 7.1.2: what frames or routes a message comes before its body or not at all.
_FORBIDDEN = (
    (b"\r\ncontent-length:", "Content-Length"),
    (b"\r\ntransfer-encoding:", "Transfer-Encoding"),
    (b"\r\nhost:", "Host"),
)


class ChunkedBody:
    """One chunked body (RFC 9112 section 7.1), with its trailers. `size` is how many bytes of it have come."""

    __slots__ = ("_chunks", "_limits", "_scanner", "_trailers", "ended")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._chunks = Chunks(limits.max_chunk_line, limits.max_chunk_overhead)
        self._scanner: Scanner | None = None
        self._trailers = bytearray()
        self.ended = False

    @property
    def size(self) -> int:
        return self._chunks.size

    def decode(self, data: bytes, limit: int) -> tuple[bytes, int]:
        """Go on in `data`, all of it new: the body's bytes in it, and how many of its bytes were taken.

        `limit` bounds the body. Raises Refusal.
        """
        if self._scanner is not None:
            return b"", self._walk_trailers(self._scanner, data)
        try:
            body, taken = self._chunks.decode(data, limit)
        except ChunkError as error:
            raise Refusal(413 if isinstance(error, TooLong) else 400, error.reason) from error
        if self._chunks.ended:
            self._scanner = Scanner(self._limits, FIELD)
            taken += self._walk_trailers(self._scanner, data[taken:])
        return body, taken

    def _walk_trailers(self, scanner: Scanner, data: bytes) -> int:
        """Go on in the trailer section: how much of `data` it took.

        Its fields are discarded (RFC 9110 section 6.5.1 lets a recipient do so).
        """
        before = len(self._trailers)
        self._trailers += data
        end = scanner.scan(self._trailers)
        if end < 0:
            return len(data)
        low = _CRLF + self._trailers[:end].lower()
        for name, called in _FORBIDDEN:
            if name in low:
                raise Refusal(400, f"{called} is not allowed in a trailer section.")
        self.ended = True
        self._trailers.clear()
        return end - before
