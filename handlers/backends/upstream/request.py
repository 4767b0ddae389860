"""A request's head, as it is written to an upstream: made anew from its parts, exact, and checked as a whole.

Framing is ours: Content-Length and Transfer-Encoding are written here and nowhere else. Nothing that a handler hands in
can add a line: the finished head is held against the grammar, and its lines are counted.
"""

import re

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.wire.grammar import field_block, is_token, is_value

NO_BODY = -1
CHUNKED = -2
"""What stands for a length where there is no body, or where only its chunks tell it."""

_TARGET = re.compile(rb"[\x21-\x7e]++").fullmatch
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

_METHODS = {method: method.encode() for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}

KEPT, MAX_KEPT = 1024, 4096
"""Blocks that are kept, one for each client's connection that repeats its own; and bytes of the longest."""

LAST_CHUNK = b"0\r\n\r\n"


class HeadWriter:
    """Writes the heads of requests. What is asked with the very same fields again and again is written once: the last
    blocks are kept by the tuple that they were made of, few and short ones."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Fields, bytes, int, bytes]] = {}

    def head(self, method: str, target: str, fields: Fields, host: bytes, length: int, tags: Fields = ()) -> bytes:
        """As write_head. `tags` are fields that differ from request to request: they come first, and are not kept."""
        line = _write_line(method, target)
        if tags:
            line += _write_tags(tags)
        kept = self._kept.get(id(fields))
        if kept is not None and kept[0] is fields and kept[1] == host and kept[2] == length:
            return line + kept[3]
        block = _write_block(fields, host, length)
        if len(block) <= MAX_KEPT:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[id(fields)] = (fields, host, length, block)
        return line + block


def write_head(method: str, target: str, fields: Fields, host: bytes, length: int) -> bytes:
    """The head of a request with a body of `length` bytes. `host` is taken where `fields` has no Host.

    Raises ValueError for a method, target or field that is not well-formed, or that frames the message.
    """
    block = _write_block(fields, host, length)
    return _write_line(method, target) + block


def _write_line(method: str, target: str) -> bytes:
    line = _METHODS.get(method) or method.encode("ascii"), target.encode("ascii")
    if (method not in _METHODS and is_token(line[0]) is None) or _TARGET(line[1]) is None:
        raise ValueError(f"the method {method!r} or the target {target!r} is not well-formed")
    return b"%b %b HTTP/1.1\r\n" % line


def _write_tags(tags: Fields) -> bytes:
    lines = b""
    for name, value in tags:
        if is_token(name) is None or is_value(value) is None or name in _FRAMING or name == b"host":
            raise ValueError(f"the field {name!r} is not well-formed, or is not one that may be added")
        lines += b"%b: %b\r\n" % (name, value)
    return lines


def _write_block(fields: Fields, host: bytes, length: int) -> bytes:
    names = [name.lower() for name, _ in fields]
    if not _FRAMING.isdisjoint(names):
        raise ValueError("content-length and transfer-encoding are not a handler's to send: they follow from the body")
    hosts = names.count(b"host")
    if hosts > 1:
        raise ValueError("the request has more than one Host")
    parts = [] if hosts else [b"host: ", host, b"\r\n"]
    for name, value in fields:
        parts += (name, b": ", value, b"\r\n")
    if length >= 0:
        parts.append(b"content-length: %d\r\n" % length)
    elif length == CHUNKED:
        parts.append(b"transfer-encoding: chunked\r\n")
    parts.append(b"\r\n")
    block = b"".join(parts)
    found = field_block(block)
    lines = len(fields) + (not hosts) + (length >= 0 or length == CHUNKED) + 1
    if found is None or found.end() != len(block) or block.count(b"\n") != lines:
        raise ValueError("a field's name or value is not well-formed")
    return block


def write_chunk(piece: bytes) -> bytes:
    """`piece` as a chunk; it may not be empty, which would be the last one."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
