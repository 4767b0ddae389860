"""A request's head, as it is written to an upstream: made anew from its parts, exact, and checked as a whole.

Framing is ours: Content-Length and Transfer-Encoding are written here and nowhere else. Nothing that a handler hands in
can add a line: the finished head is held against the grammar, and its lines are counted.
"""

import re

from handlers.grammar import field_block, is_token
from handlers.messages import Fields

NO_BODY = -1
CHUNKED = -2
"""What stands for a length where there is no body, or where only its chunks tell it."""

_TARGET = re.compile(rb"[\x21-\x7e]++").fullmatch
_FRAMING = (b"content-length", b"transfer-encoding")

LAST_CHUNK = b"0\r\n\r\n"


def write_head(method: str, target: str, fields: Fields, host: bytes, length: int) -> bytes:
    """The head of a request with a body of `length` bytes. `host` is taken where `fields` has no Host.

    Raises ValueError for a method, target or field that is not well-formed, or that frames the message.
    """
    lines, hosts = [b""], 0
    for name, value in fields:
        lower = name.lower()
        if lower in _FRAMING:
            raise ValueError(f"{lower.decode()} is not a handler's to send: it follows from the body")
        hosts += lower == b"host"
        lines.append(b"%b: %b\r\n" % (name, value))
    if not hosts:
        hosts, lines[0] = 1, b"host: %b\r\n" % host
    if hosts != 1:
        raise ValueError("the request has more than one Host")
    if length >= 0:
        lines.append(b"content-length: %d\r\n" % length)
    elif length == CHUNKED:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    block = b"".join(lines)
    found = field_block(block)
    if found is None or found.end() != len(block) or block.count(b"\n") != len(lines) - (not lines[0]):
        raise ValueError("a field's name or value is not well-formed")
    line = (method.encode("ascii"), target.encode("ascii"))
    if is_token(line[0]) is None or _TARGET(line[1]) is None:
        raise ValueError(f"the method {method!r} or the target {target!r} is not well-formed")
    return b"%b %b HTTP/1.1\r\n%b" % (*line, block)


def write_chunk(piece: bytes) -> bytes:
    """`piece` as a chunk; it may not be empty, which would be the last one."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
