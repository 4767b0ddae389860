"""Range requests (RFC 9110 section 14): what is asked for, and the answer in several parts.

The laws:

- a Range that is not well-formed, is of another unit, asks for more than `max_ranges` stretches or for more bytes in
  all than the file has, is ignored: the whole file is sent (section 14.2 allows to ignore any);
- stretches are sent in the order asked for, neither sorted nor merged: so reading them is linear in their number;
- nothing of the file is held: a part is a File on the one descriptor.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from handlers.messages import File, Piece

# RFC 9110 section 14.1.1; and section 5.6.1 for the list, whose empty elements are read too.
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
    """What of a file of `size` bytes is asked for: None is all of it; an empty list cannot be satisfied (416)."""
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
            # RFC 9110 section 14.1.2: the last bytes; of a shorter file all.
            offset = max(size - _number(last), 0)
            end = size
            if size == 0 and _number(last):
                return None  # satisfiable, says the RFC, but there is no Content-Range for nothing
        else:
            return None
        if offset < end:
            stretches.append(Stretch(offset, end - offset))
            total += end - offset
    if asked == 0 or total > size:
        return None
    return stretches


def _number(digits: bytes) -> int:
    """The value, or something beyond any file: thousands of digits are well-formed, too."""
    if len(digits) > 19:
        digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= 19 else _BEYOND


class Parts:
    """The body of a multipart/byteranges answer (RFC 9110 section 14.6): it owns the descriptor."""

    __slots__ = ("_file", "_pieces", "boundary", "length")

    def __init__(self, descriptor: int, stretches: list[Stretch], size: int, content_type: bytes) -> None:
        self.boundary = os.urandom(15).hex().encode()  # long enough never to be in a file by chance
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
