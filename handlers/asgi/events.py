"""What an application says and is told: the events of the ASGI HTTP specification (version 2.5), checked.

Fields are checked when `send()` is given them, so that an application learns of its mistake where it made it; nothing
of a refused event is sent. What frames a message is ours: a transfer coding, and whatever else belongs to one
connection only, is dropped; a length is kept apart, to be held against the body.
"""

import os
from asyncio import CancelledError
from collections.abc import Iterable
from typing import Any

from clerestory.handlers.api.messages import Field, Fields, File
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError
from clerestory.handlers.wire.grammar import is_length, is_token, is_value

OURS = frozenset({b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"te", b"trailer"})
"""Fields that the server sends, and an application does not."""

KNOWN = 1024
"""Fields that are remembered as checked: an application sends the same few again and again."""
LONGEST_KNOWN = 256
"""Bytes of a value that is remembered."""

_DISCONNECT = "http.disconnect"


def status_of(event: Any) -> int:
    """The status of an answer that is started. Raises EventError."""
    status = event["status"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise EventError(f"status {status!r} is not a number from 200 to 599")
    return status


def bytes_of(event: Any) -> bytes:
    """The piece of a body that an event brings. Raises EventError."""
    body = event.get("body", b"")
    if isinstance(body, bytes):
        return body
    if not isinstance(body, bytearray | memoryview):
        raise EventError(f"a body is bytes, not {type(body).__name__}")
    return bytes(body)


class FieldChecker:
    """Checks fields for one loop, and remembers those that were well-formed."""

    __slots__ = ("_known", "_last", "_last_fields", "_last_length")

    def __init__(self) -> None:
        self._known: set[Field] = set()
        self._last: Any = None
        self._last_fields: Fields = ()
        self._last_length: int | None = None

    def check(self, headers: Iterable[Any]) -> tuple[Fields, int | None]:
        """The fields that may be sent, and the content length among `headers`. Raises EventError."""
        if headers == self._last and isinstance(headers, list):
            return self._last_fields, self._last_length
        fields: list[Field] = []
        length: int | None = None
        known = self._known
        constant = True
        given = headers if isinstance(headers, list | tuple) else list(headers)
        for header in given:
            try:
                if not isinstance(header, tuple):
                    header, constant = tuple(header), False
                field = header if header in known else self._check(header)
            except TypeError as error:
                raise EventError(f"a header's name and value are bytes, not {header!r}") from error
            name = field[0]
            if name == b"content-length":
                if length is not None or is_length(field[1]) is None:
                    raise EventError(f"content-length {field[1]!r} is repeated or not a number")
                length = int(field[1])
            elif name not in OURS:
                fields.append(field)
        checked = tuple(fields)
        if checked == self._last_fields:
            checked = self._last_fields
        self._last_fields, self._last_length = checked, length
        self._last = list(given) if constant else None
        return checked, length

    def _check(self, field: Any) -> Field:
        try:
            name, value = field
        except ValueError as error:
            raise EventError(f"a header is a name and a value, not {field!r}") from error
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise EventError(f"a header's name and value are bytes, not {name!r} and {value!r}")
        name, value = name.lower(), value.strip(b" \t")
        if is_token(name) is None:
            raise EventError(f"header name {name!r} is not a token")
        if is_value(value) is None:
            raise EventError(f"the value of header {name.decode('ascii')} has a control character")
        checked = (name, value)
        if len(name) + len(value) <= LONGEST_KNOWN and name != b"content-length":
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known.add(checked)
        return checked


def disconnect() -> dict[str, Any]:
    """What `receive()` says when the client has left, or the answer has ended."""
    return {"type": _DISCONNECT}


def body_event(piece: bytes, more: bool) -> dict[str, Any]:
    """What `receive()` says of a piece of the request's body."""
    return {"type": "http.request", "body": piece, "more_body": more}


def is_departure(error: BaseException, depth: int = 8) -> bool:
    """Whether an exception says no more than that the client had gone: itself, or what it was raised from; or that the
    task was cancelled for it."""
    if isinstance(error, ClientDisconnected | CancelledError):
        return True
    if depth == 0:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(is_departure(one, depth - 1) for one in error.exceptions)
    before = error.__cause__ or error.__context__
    return before is not None and is_departure(before, depth - 1)


def size_of(piece: bytes | File) -> int:
    """Bytes of a piece of an answer."""
    return piece.count if isinstance(piece, File) else len(piece)


def file_of_path(event: Any) -> File:
    """The file that `http.response.pathsend` names, whole. Raises OSError."""
    descriptor = os.open(event["path"], os.O_RDONLY | os.O_CLOEXEC)
    return File(descriptor, 0, os.fstat(descriptor).st_size)


def file_of_descriptor(event: Any) -> File:
    """What `http.response.zerocopysend` names of an open file, which stays the application's. Raises OSError."""
    source = event["file"]
    descriptor = os.dup(source if isinstance(source, int) else source.fileno())
    offset, count = event.get("offset"), event.get("count")
    if offset is None:
        offset = os.lseek(descriptor, 0, os.SEEK_CUR)
    if count is None:
        count = max(0, os.fstat(descriptor).st_size - offset)
    return File(descriptor, offset, count)
