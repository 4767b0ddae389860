"""What `start_response` is given, checked: a status line's end, and fields.

Status and fields are `str` of latin-1, "bytes in strings" (PEP 3333). What frames a message is ours: a transfer coding,
and whatever else belongs to one connection only, is dropped; the length is kept apart, to be held against the body. An
application sends the same few heads again and again: well-formed ones are remembered.
"""

from typing import Any

from clerestory.handlers.api.messages import REASONS, Field, Fields
from clerestory.handlers.asgi.events import OURS
from clerestory.handlers.wire.grammar import is_length, is_token, is_value

KEPT = 512
"""Heads that are remembered."""
LONGEST_KEPT = 20
"""Fields of a head that is remembered."""

Head = tuple[int, str | None, Fields, int | None]
"""The status, its reason phrase where that is not the usual one, the fields, and the length that is promised."""


class HeadError(Exception):
    """The application has begun an answer that cannot be sent, or not in that way; the message says what is wrong."""


class Heads:
    """Checks heads, on any thread."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Any, Head] = {}

    def check(self, status: Any, headers: Any) -> Head:
        """What `status` and `headers` say. Raises HeadError."""
        if not isinstance(headers, list):
            raise HeadError(f"headers are a list, not {type(headers).__name__}")
        try:
            key = (status, *headers)
            found = self._known.get(key)
        except TypeError:
            raise HeadError(f"a header is a tuple of a name and a value, both str: {headers!r}") from None
        if found is None:
            found = _parse(status, headers)
            if len(headers) <= LONGEST_KEPT:
                if len(self._known) >= KEPT:
                    self._known.clear()
                self._known[key] = found
        return found


def _parse(status: Any, headers: list[Any]) -> Head:
    number, reason = _parse_status(status)
    fields: list[Field] = []
    length: int | None = None
    for header in headers:
        name, value = _parse_field(header)
        if name == b"content-length":
            if length is not None or is_length(value) is None:
                raise HeadError(f"Content-Length {header[1]!r} is repeated or not a number")
            length = int(value)
        elif name not in OURS:
            fields.append((name, value))
    return number, reason, tuple(fields), length


def _parse_status(status: Any) -> tuple[int, str | None]:
    if not isinstance(status, str):
        raise HeadError(f"a status is a str such as '200 OK', not {type(status).__name__}")
    number, _, reason = status.partition(" ")
    if len(number) != 3 or not (number.isascii() and number.isdigit()) or not 200 <= int(number) <= 599:
        raise HeadError(f"status {status!r} does not begin with a number from 200 to 599")
    if any(character < " " or character == "\x7f" for character in reason):
        raise HeadError(f"status {status!r} has a control character")
    reason = reason.strip()
    usual = not reason or not reason.isascii() or reason == REASONS.get(int(number))
    return int(number), None if usual else reason


def _parse_field(header: Any) -> Field:
    if not isinstance(header, tuple) or len(header) != 2:
        raise HeadError(f"a header is a tuple of a name and a value, not {header!r}")
    name, value = header
    if not isinstance(name, str) or not isinstance(value, str):
        raise HeadError(f"a header's name and value are str, not {name!r} and {value!r}")
    try:
        field = name.encode("latin-1").lower(), value.encode("latin-1").strip(b" \t")
    except UnicodeEncodeError:
        raise HeadError(f"header {name!r} has a character that is not latin-1: {value!r}") from None
    if is_token(field[0]) is None:
        raise HeadError(f"header name {name!r} is not a token")
    if is_value(field[1]) is None:
        raise HeadError(f"the value of header {name} has a control character")
    return field
