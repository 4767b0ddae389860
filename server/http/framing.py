"""The chunk walker: where a chunked body's parts begin and end, and that they are well-formed.

It walks before a parser decodes, since parsers are lenient exactly where requests are smuggled: white space, bare LF
and control bytes in a chunk line, bytes after a chunk's data, forbidden trailers. Laws:

- It hands on only what it has walked: whole lines, data, a whole trailer section. Never a byte of the next message.
- The first offending byte decides, however the body was cut on its way.
- It keeps at most one unfinished chunk line, or one trailer section.
- Every bound of a chunk line is checked on its bytes, every bound of the body when its size is announced.
"""

import re

from server.config import Limits
from server.http.gate import EXTENSIONS, TEXT_RUN, Refusal
from server.http.scanner import FIELD, Scanner

_LF, _CR = b"\n\r"
_CRLF = b"\r\n"
_DIGITS = re.compile(rb"[0-9A-Fa-f]*+")
# The usual chunk line. 16 digits fill 64 bits; h11 reads no more than 20.
_PLAIN_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)\r\n").match
# RFC 9110 section 6.5.1, RFC 9112 section 7.1.2: what frames or routes a message comes before its body or not at all.
_FORBIDDEN = (
    (b"\r\ncontent-length:", "Content-Length"),
    (b"\r\ntransfer-encoding:", "Transfer-Encoding"),
    (b"\r\nhost:", "Host"),
)


class ChunkWalker:
    """One chunked body (RFC 9112 section 7.1). `size` is how many bytes of data have been walked."""

    __slots__ = ("_carry", "_closing", "_left", "_limits", "_overhead", "_scanner", "_trailers", "ended", "size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._carry = b""  # an unfinished chunk line, or half a CRLF
        self._left = 0  # data still to come of this chunk
        self._closing = False  # this chunk's CRLF is still to come
        self._overhead = 0
        self._scanner: Scanner | None = None
        self._trailers = bytearray()
        self.size = 0
        self.ended = False

    def walk(self, data: bytes, limit: int) -> tuple[bytes, int]:
        """Go on in `data`, all of it new: the bytes that are framed and may be decoded, and how many were taken.

        `limit` bounds the body. Raises Refusal.
        """
        carried = len(self._carry)
        if carried:
            data = self._carry + data
            self._carry = b""
        at, size = 0, len(data)
        while self._scanner is None and at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                self.size += step
                at += step
                continue
            end = self._close_chunk(data, at) if self._closing else self._open_chunk(data, at, limit)
            if end < 0:
                self._carry = data[at:]
                return data[:at], size - carried
            self._overhead += end - at
            at = end
        if self._scanner is None:
            return data, size - carried
        framed, taken = self._walk_trailers(self._scanner, data[at:])
        return data[:at] + framed, at + taken - carried

    def _open_chunk(self, data: bytes, at: int, limit: int) -> int:
        """Read the chunk line at `at`: where it ends, or -1 if not yet in there."""
        match = _PLAIN_LINE(data, at)
        if match is not None and match.end() - 2 - at <= self._limits.max_chunk_line:
            end, digits = match.end(), match[1]
        else:
            end, digits = self._read_line(data, at)
            if end < 0:
                return end
        self._left = int(digits, 16)
        if self._left + self.size > limit:
            raise Refusal(413, f"The body is longer than {limit} bytes.")
        if self._overhead + end - at - self.size > self._limits.max_chunk_overhead:
            excess = self._limits.max_chunk_overhead
            raise Refusal(400, f"The chunk framing outweighs the body by more than {excess} bytes.")
        if self._left:
            self._closing = True
        else:
            self._scanner = Scanner(self._limits, FIELD)
        return end

    def _read_line(self, data: bytes, at: int) -> tuple[int, bytes]:
        """An unusual chunk line: its end (-1: not yet in there) and its size's digits."""
        longest = at + self._limits.max_chunk_line
        size = len(data)
        stop = _end(TEXT_RUN, data, at, min(size, longest))
        after = _end(_DIGITS, data, at, stop)
        if after == at and (stop > at or data[at] == _CR):
            raise Refusal(400, "A chunk size is not hexadecimal.")
        if after - at > 16:
            raise Refusal(400, "A chunk size has more than 16 digits.")
        if stop < size and data[stop] != _CR:
            if stop == longest:
                raise Refusal(400, f"A chunk line is longer than {self._limits.max_chunk_line} bytes.")
            raise Refusal(400, _offence(data[stop]))
        if stop + 1 >= size:
            return -1, b""
        if data[stop + 1] != _LF:
            raise Refusal(400, _offence(_CR))
        # RFC 9112 section 7.1.1, without the white space it calls bad.
        if EXTENSIONS(data, after, stop) is None:
            raise Refusal(400, "A chunk size is followed by something that is no chunk extension.")
        return stop + 2, data[at:after]

    def _close_chunk(self, data: bytes, at: int) -> int:
        """Read the CRLF that closes a chunk's data: h11's CVE-2025-43859 took any two bytes for it."""
        if data.startswith(_CRLF, at):
            self._closing = False
            return at + 2
        if data[at:] == b"\r":
            return -1
        raise Refusal(400, "A chunk's data is not followed by CRLF.")

    def _walk_trailers(self, scanner: Scanner, data: bytes) -> tuple[bytes, int]:
        """Go on in the trailer section: all of it when it has ended, else nothing; and how much of `data` it took.

        Its fields are discarded (RFC 9110 section 6.5.1 lets a recipient do so).
        """
        before = len(self._trailers)
        self._trailers += data
        end = scanner.scan(self._trailers)
        if end < 0:
            return b"", len(data)
        framed = bytes(self._trailers[:end])
        low = _CRLF + framed.lower()
        for name, called in _FORBIDDEN:
            if name in low:
                raise Refusal(400, f"{called} is not allowed in a trailer section.")
        self.ended = True
        self._trailers.clear()
        return framed, end - before


def _end(run: re.Pattern[bytes], data: bytes, at: int, end: int) -> int:
    """Where `run`, which may be empty, stops."""
    match = run.match(data, at, end)
    return match.end() if match is not None else at


def _offence(byte: int) -> str:
    """RFC 9112 section 7.1: Go's CVE-2025-22871 and Kestrel's CVE-2025-55315 were lenient in this line."""
    if byte == _CR:
        return "A bare CR in a chunk line: lines end in CRLF."
    if byte == _LF:
        return "A bare LF in a chunk line: lines end in CRLF."
    return f"Control byte 0x{byte:02x} in a chunk line."
