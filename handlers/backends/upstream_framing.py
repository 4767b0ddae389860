"""The body of an answer: where it ends, and that what frames it is well-formed.

Three framings (RFC 9112 section 6.3), one face: `feed` new bytes, get the body's, until `ended`; `spare` is what came
behind the end, and belongs to nothing. Laws:

- Chunk framing is as strict as for requests: CRLF only, sizes of at most 16 digits, no white space, extensions of
  the grammar, data followed by CRLF; bounds on lines, on framing beyond the body, on trailers.
- Of a body that was cut short nobody learns a clean end: `close` raises, except where the close is the end.
"""

import re

from handlers.backends.upstream_gate import CHUNKED, MAX_FIELDS, MAX_HEAD, MAX_LINE, UNTIL_CLOSE, Garbage
from handlers.grammar import TEXT, field_block, is_extensions

MAX_CHUNK_LINE = 256
MAX_OVERHEAD = 16 * 1024
"""Bytes of framing more than the body itself has: stops one-byte chunks."""

_plain_line = re.compile(rb"([0-9A-Fa-f]{1,16}+)\r\n").match
_line = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?![0-9A-Fa-f])([" + TEXT + b"]*+)\r\n").match
# What can still become a chunk line.
_unfinished = re.compile(rb"[0-9A-Fa-f]{0,16}+(?![0-9A-Fa-f])[" + TEXT + b"]*+\r?").fullmatch
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

    __slots__ = ("_carry", "_closing", "_left", "_overhead", "_size", "_trailing", "ended", "spare")

    def __init__(self) -> None:
        self._carry = b""  # an unfinished line, or an unfinished trailer section
        self._left = 0  # data still to come of this chunk
        self._closing = False  # this chunk's CRLF is still to come
        self._trailing = False  # the last chunk has come
        self._overhead = self._size = 0
        self.ended = False
        self.spare = b""

    def feed(self, data: bytes) -> bytes:
        """The body's part of `data`. Raises Garbage at what cannot be chunks."""
        if self._carry:
            data, self._carry = self._carry + data, b""
        pieces, at, end = [], 0, len(data)
        while at < end and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._size += len(piece)
                continue
            after = self._read_trailers(data, at) if self._trailing else self._read_framing(data, at)
            if after < 0:
                self._carry = data[at:]
                break
            at = after
        if self.ended:
            self.spare = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """The upstream has closed. Raises Garbage."""
        raise Garbage("The upstream closed the connection before the answer's last chunk.")

    def _read_framing(self, data: bytes, at: int) -> int:
        """Where the CRLF after a chunk's data, or the chunk line, at `at` ends; -1 when it is not whole."""
        if self._closing:
            if not data.startswith(b"\r\n", at):
                if data[at:] == b"\r":
                    return -1
                raise Garbage("A chunk's data is not followed by CRLF.")
            self._closing = False
            return at + 2
        match = _plain_line(data, at)
        if match is None:
            match = _line(data, at)
            if match is None:
                if len(data) - at >= MAX_CHUNK_LINE or _unfinished(data, at) is None:
                    raise Garbage("A chunk line of the answer is malformed, or too long.")
                return -1
            if match.end() - at > MAX_CHUNK_LINE or is_extensions(match[2]) is None:
                raise Garbage("A chunk line of the answer is malformed, or too long.")
        self._overhead += match.end() - at + 2
        self._left = int(match[1], 16)
        if self._overhead - self._size - self._left > MAX_OVERHEAD:
            raise Garbage(f"The answer's chunk framing outweighs its body by more than {MAX_OVERHEAD} bytes.")
        self._closing = bool(self._left)
        self._trailing = not self._left
        return match.end()

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Where the trailer section at `at` ends; -1 when it is not whole."""
        if data.startswith(b"\r\n", at):
            self.ended = True
            return at + 2
        end = data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            if len(data) - at >= MAX_HEAD:
                raise Garbage(f"The answer's trailer section is longer than {MAX_HEAD} bytes.")
            return -1
        section = data[at:end]
        lines = section.split(b"\r\n")
        low = b"\r\n" + section.lower()
        if len(section) > MAX_HEAD or len(lines) - 2 > MAX_FIELDS or max(map(len, lines)) > MAX_LINE:
            raise Garbage("The answer's trailer section is too large.")
        if field_block(section) is None or any(name in low for name in _FORBIDDEN):
            raise Garbage("The answer's trailer section is malformed, or holds what frames a message.")
        self.ended = True
        return end


Body = Sized | UntilClose | Chunked


def body_of(length: int) -> Body:
    """The reader of a body of that length, or framing (upstream_gate.Head.body_length)."""
    if length == CHUNKED:
        return Chunked()
    return UntilClose() if length == UNTIL_CLOSE else Sized(length)
