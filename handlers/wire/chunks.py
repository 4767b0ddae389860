"""The chunked coding of requests and responses (RFC 9112 section 7.1): strictly checked and decoded in one pass.

Parsers are lenient exactly where messages are smuggled: white space after a size, bare LF and control bytes in a chunk
line, bytes after a chunk's data. So this decoder alone decides, and no parser reads the body after it: it passes on the
data between framings that it has matched byte for byte, by an unambiguous grammar. A parser after it could only agree,
or read something that is not there. The tests let h11 and llhttp read everything that is accepted here and compare the
bodies. Laws:

- The first wrong byte decides, in whatever pieces the body arrives.
- It never takes a byte after the last chunk's line: the trailer section belongs to the caller.
- It stores at most one unfinished chunk line.
- Every limit of a chunk line is checked on its bytes, every limit of the body when a chunk's size is read.
"""

import re

from clerestory.handlers.wire.grammar import TEXT, begins_extensions, is_extensions

_LF, _CR = b"\n\r"
_CRLF = b"\r\n"
_PADDING = re.compile(rb"[ \t]*+")
_DIGITS = re.compile(rb"[0-9A-Fa-f]*+")
_TEXT = re.compile(b"[" + TEXT + b"]*+")
# The usual chunk line. 16 digits fill 64 bits; h11 reads no more than 20.
_PLAIN_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)\r\n").match

_NO_EXTENSION = "A chunk size is followed by something that is not a chunk extension."


class ChunkError(Exception):
    """The chunks are not acceptable. `reason` is one sentence and safe to print."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooLong(ChunkError):
    """The body is, or will be, longer than it may be."""


class Chunks:
    """The chunks of one body. `size` is how many bytes of it have been received; `ended` is set when the last chunk's
    line has been read, after which the trailer section begins.

    With `padded`, white space may follow a size. A chunk line has at most `max_line` bytes; the framing has at most
    `max_overhead` bytes more than the body: that stops one-byte chunks, and huge extensions.
    """

    __slots__ = ("_carry", "_closing", "_left", "_max_line", "_max_overhead", "_overhead", "_padded", "ended", "size")

    def __init__(self, max_line: int, max_overhead: int, *, padded: bool = False) -> None:
        self._padded = padded
        self._max_line = max_line
        self._max_overhead = max_overhead
        self._carry = b""  # an unfinished chunk line, or half a CRLF
        self._left = 0  # data still to come of this chunk
        self._closing = False  # this chunk's CRLF is still to come
        self._overhead = 0
        self.size = 0
        self.ended = False

    def decode(self, data: bytes, limit: int) -> tuple[bytes, int]:
        """Decode `data`, all of it new: the body's bytes in it, and how many of its bytes were consumed.

        `limit` is the longest body. Raises ChunkError, TooLong.
        """
        carried = len(self._carry)
        if carried:
            data = self._carry + data
            self._carry = b""
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self.size += len(piece)
                self._left -= len(piece)
                continue
            if not self._closing:
                at = self._take_whole(data, at, limit, pieces)
                if at == size:
                    break
            end = self._close_chunk(data, at) if self._closing else self._open_chunk(data, at, limit)
            if end < 0:
                self._carry = data[at:]
                at = size
            else:
                self._overhead += end - at
                at = end
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), at - carried

    def _take_whole(self, data: bytes, at: int, limit: int, pieces: list[bytes]) -> int:
        """Decode complete chunks of the usual form, one after the other; return where they end. Everything else is left
        to the slower methods below. Small chunks are many."""
        size, overhead = self.size, self._overhead
        while (match := _PLAIN_LINE(data, at)) is not None:
            begin, length = match.end(), int(match[1], 16)
            end = begin + length
            if (
                not length
                or begin - 2 - at > self._max_line
                or size + length > limit
                or overhead + begin - at - size > self._max_overhead
                or not data.startswith(_CRLF, end)
            ):
                break
            pieces.append(data[begin:end])
            size += length
            overhead += begin - at + 2
            at = end + 2
        self.size, self._overhead = size, overhead
        return at

    def _open_chunk(self, data: bytes, at: int, limit: int) -> int:
        """Read the chunk line at `at`: where it ends, or -1 if it is incomplete."""
        end, digits = self._read_line(data, at)
        if end < 0:
            return end
        left = int(digits, 16)
        if left + self.size > limit:
            raise TooLong(f"The body is longer than {limit} bytes.")
        if self._overhead + end - at - self.size > self._max_overhead:
            raise ChunkError(f"The chunk framing is larger than the body by more than {self._max_overhead} bytes.")
        self._left = left
        self._closing = left > 0
        self.ended = not left
        return end

    def _read_line(self, data: bytes, at: int) -> tuple[int, bytes]:
        """A chunk line: its end (-1: incomplete) and the digits of its size."""
        longest = at + self._max_line
        size = len(data)
        stop = _end(_TEXT, data, at, min(size, longest))
        after = _end(_DIGITS, data, at, stop)
        if after == at and (stop > at or data[at] == _CR):
            raise ChunkError("A chunk size is not hexadecimal.")
        if after - at > 16:
            raise ChunkError("A chunk size has more than 16 digits.")
        # RFC 9112 section 7.1.1, with the "bad" white space that it allows.
        digits = data[at:after]
        if self._padded:
            after = _end(_PADDING, data, after, stop)
        if after < stop and begins_extensions(data, after, stop) is None:
            raise ChunkError(_NO_EXTENSION)
        if stop < size and data[stop] != _CR:
            if stop == longest:
                raise ChunkError(f"A chunk line is longer than {self._max_line} bytes.")
            raise ChunkError(_offence(data[stop]))
        if stop + 1 >= size:
            return -1, b""
        if data[stop + 1] != _LF:
            raise ChunkError(_offence(_CR))
        if is_extensions(data, after, stop) is None:
            raise ChunkError(_NO_EXTENSION)
        return stop + 2, digits

    def _close_chunk(self, data: bytes, at: int) -> int:
        """Read the CRLF that closes a chunk's data: h11's CVE-2025-43859 accepted any two bytes."""
        if data.startswith(_CRLF, at):
            self._closing = False
            return at + 2
        if data[at:] == b"\r":
            return -1
        raise ChunkError("A chunk's data is not followed by CRLF.")


def _end(run: re.Pattern[bytes], data: bytes, at: int, end: int) -> int:
    """Where `run`, which may be empty, ends."""
    match = run.match(data, at, end)
    return match.end() if match is not None else at


def _offence(byte: int) -> str:
    """RFC 9112 section 7.1: Go's CVE-2025-22871 and Kestrel's CVE-2025-55315 were lenient in this line."""
    if byte == _CR:
        return "A bare CR in a chunk line: lines end in CRLF."
    if byte == _LF:
        return "A bare LF in a chunk line: lines end in CRLF."
    return f"Control byte 0x{byte:02x} in a chunk line."
