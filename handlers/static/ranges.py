"""Range requests (RFC 9110 section 14): which ranges are requested, and the response in several parts.

The laws:

- a Range that is malformed, has another unit, or asks for more than `max_ranges` ranges or for more bytes in total than
  the file has, is ignored: the whole file is sent (section 14.2 allows a server to ignore any Range);
- ranges are sent in the requested order, neither sorted nor merged: the work is linear in their number;
- the file is not read into memory: each part is a File on the same descriptor.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from clerestory.handlers.api.messages import File, Piece

# RFC 9110 section 14.1.1; and section 5.6.1 for the list, in which empty elements are accepted.
_STRETCH = re.compile(rb"([0-9]*)-([0-9]*)[ \t]*(?:,[ \t,]*|\Z)")
_UNIT = re.compile(rb"(?i:bytes)=[ \t,]*")
_BEYOND = 1 << 63


class Stretch(NamedTuple):
    """`length` bytes of a file from `offset`."""

    offset: int
    length: int

    def content_range(self, size: int) -> bytes:
        return b"bytes %d-%d/%d" % (self.offset, self.offset + self.length - 1, size)


def parse_range(value: bytes, size: int, max_ranges: int) -> list[Stretch] | None:
    """The requested ranges of a file of `size` bytes: None is the whole file; an empty list cannot be satisfied
    (416)."""
    unit = _UNIT.match(value)
    if unit is None:
        return None
    stretches: list[Stretch] = []
    position, asked, total = unit.end(), 0, 0
    while position < len(value):
        found = _STRETCH.match(value, position)
        asked += 1
        if found is None or asked > max_ranges:
            return None
        first, last = found[1], found[2]
        position = found.end()
        if first and last and _number(last) < _number(first):
            return None
        if first:
            offset = _number(first)
            end = min(_number(last) + 1, size) if last else size
        elif last:
            # RFC 9110 section 14.1.2: the last bytes; all of a shorter file.
            offset = max(size - _number(last), 0)
            end = size
            if size == 0 and _number(last):
                return None  # satisfiable by the RFC, but Content-Range cannot express zero bytes
        else:
            return None
        if offset < end:
            stretches.append(Stretch(offset, end - offset))
            total += end - offset
    if asked == 0 or total > size:
        return None
    return stretches


def _number(digits: bytes) -> int:
    """The value, or a number larger than any file: thousands of digits are well-formed, too."""
    if len(digits) > 19:
        digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= 19 else _BEYOND


class Parts:
    """The body of a multipart/byteranges response (RFC 9110 section 14.6): it owns the descriptor."""

    __slots__ = ("_file", "_pieces", "boundary", "length")

    def __init__(self, descriptor: int, stretches: list[Stretch], size: int, content_type: bytes) -> None:
        self.boundary = os.urandom(15).hex().encode()  # long enough not to occur in a file by chance
        self._file = File(descriptor, 0, size)
        self._pieces: list[Piece] = []
        self.length = 0
        start = b"--"
        for stretch in stretches:
            head = b"%b%b\r\ncontent-type: %b\r\ncontent-range: %b\r\n\r\n" % (
                start,
                self.boundary,
                content_type,
                stretch.content_range(size),
            )
            self._pieces += (head, File(descriptor, stretch.offset, stretch.length, owned=False))
            self.length += len(head) + stretch.length
            start = b"\r\n--"
        tail = b"\r\n--%b--\r\n" % self.boundary
        self._pieces.append(tail)
        self.length += len(tail)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    def close(self) -> None:
        self._file.close()
