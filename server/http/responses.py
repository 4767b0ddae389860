"""Response heads: checked, assembled once from bytes, and exact.

What an application hands out is not trusted: a status, a reason phrase or a field that is not well-formed raises
ResponseError before a byte is sent, and the client gets 500. Framing is ours: Content-Length is checked against the
body, Transfer-Encoding is never taken from the application.

The checked field lines of a response are kept under (status, reason, fields), since applications send the same few
again and again: a known combination costs one look-up. Kept are small ones that have come twice, and so many: fields
that vary with each answer (a cookie, an id) are neither gathered nor kept in memory.
"""

import re
import time
from collections.abc import Callable
from email.utils import formatdate

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.messages import REASONS, WHOLE, Fields, File, Response
from clerestory.handlers.wire.grammar import is_length, is_token, is_value

_REASON = re.compile(r"[\t\x20-\x7e]*+")

_STATUSES = frozenset(range(200, 600))

KEPT, MAX_KEPT = 1024, 1024
"""Combinations of status and fields whose lines are kept, and their bytes at most: 2 MiB with their keys. Each file has
its own, and as many files are remembered where they were found."""


def _is(grammar: Callable[[bytes], object], value: object) -> bool:
    """Whether an application's value is bytes of that grammar; str is a mistake that typing does not always catch."""
    return isinstance(value, bytes) and grammar(value) is not None


class ResponseError(Exception):
    """The application handed out a response that cannot be sent; the message says what is wrong with it."""


class Lines:
    """The checked status line and field lines of one (status, reason, fields), and what they say about framing.

    `plain` when they say nothing about it: the body decides, and the server adds what is to be added. A `date` and an
    `x-request-id` that are said (by an upstream, whose answer is handed on) are left.
    """

    __slots__ = ("close", "content_length", "data", "has_date", "has_id", "plain", "upgrade")

    def __init__(self, status: int, reason: str | None, fields: Fields) -> None:
        self.content_length: int | None = None
        self.has_date = self.has_id = False
        self.close = False
        self.upgrade = False
        lines = [_status_line(status, reason)]
        for name, value in fields:
            self._check(name, value)
            lower = name.lower()
            if lower == b"connection":
                continue  # ours to send: taken as the wish it is
            lines.append(b"%b: %b\r\n" % (lower, value))
        self.data = b"".join(lines)
        said = {name.lower() for name, _ in fields}
        self.plain = status not in (204, 205, 304) and said.isdisjoint((b"content-length", b"connection", b"upgrade"))

    def _check(self, name: bytes, value: bytes) -> None:
        if not _is(is_token, name):
            raise ResponseError(f"field name {name!r} is not a token in bytes")
        if not _is(is_value, value):
            raise ResponseError(
                f"the value of {name.decode()} has a control character, or white space at an end, or is not bytes"
            )
        match name.lower():
            case b"content-length":
                if self.content_length is not None or not is_length(value):
                    raise ResponseError(f"content-length {value!r} is repeated or not a number")
                self.content_length = int(value)
            case b"upgrade":
                # RFC 9110 section 7.8: which protocols there are, as a 426 must say; to switch is the server's.
                self.upgrade = True
            case b"transfer-encoding" | b"keep-alive" | b"te" | b"trailer":
                raise ResponseError(f"{name.decode()} is the server's to send")
            case b"connection":
                self.close = value.lower() == b"close"
            case b"date":
                self.has_date = True
            case b"x-request-id":
                self.has_id = True


def field_lines(fields: Fields) -> bytes:
    """Fields without a status: of an interim response, or of trailers. Raises ResponseError."""
    return Lines(200, None, fields).data.partition(b"\r\n")[2]


def _status_line(status: int, reason: str | None) -> bytes:
    """`HTTP/1.1 200 OK` (RFC 9112 section 4). 1xx are interim: not for an application to answer with."""
    if status not in _STATUSES:
        raise ResponseError(f"status {status!r} is not a number from 200 to 599")
    phrase = REASONS.get(status, "") if reason is None else reason
    if not _REASON.fullmatch(phrase):
        raise ResponseError(f"reason phrase {phrase!r} has a control or non-ASCII character")
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode("ascii"))


@mypyc_attr(free_list_len=1)
class Head:
    """A response head for the wire, and how its body is framed.

    `length` is the number of body bytes promised, None when there is no promise; `chunked` when each piece is a chunk;
    `has_body` is False for HEAD, 204, 205 and 304; `keep_alive` is False when the head says close, or only the close
    can end the body.
    """

    __slots__ = ("chunked", "data", "has_body", "keep_alive", "length")

    def __init__(self, data: bytes, length: int | None, chunked: bool, has_body: bool, keep_alive: bool) -> None:
        self.data = data
        self.length = length
        self.chunked = chunked
        self.has_body = has_body
        self.keep_alive = keep_alive


class HeadWriter:
    """Writes response heads for one loop: keeps the `date` line for a second, and checked lines while they are used.

    `wall_clock` gives seconds since the epoch: it may jump, `date` follows it, and nothing else depends on it.
    """

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._date = b""
        self._date_until = float("-inf")
        self._lines: dict[tuple[int, str | None, Fields], Lines] = {}
        self._seen: set[int] = set()
        """The hashes of combinations that have come once."""
        self._last_status = 200
        self._last_reason: str | None = None
        self._last_fields: Fields = ()
        self._last: Lines | None = None

    def date(self, now: float) -> bytes:
        """The `date` line; `now` is the loop's monotonic time: the wall clock is asked once a second of it."""
        if now >= self._date_until:
            wall = self._wall_clock()
            self._date = b"date: %b\r\n" % formatdate(int(wall), usegmt=True).encode("ascii")
            self._date_until = now + 1.0 - wall % 1.0
        return self._date

    def head(
        self, response: Response, method: str, minor: int, keep_alive: bool, now: float, request_id: str = ""
    ) -> Head:
        """The head of `response` to a request of that method and minor version. `request_id` goes into x-request-id,
        unless the response has one. Raises ResponseError."""
        if not isinstance(response.status, int):
            raise ResponseError(f"status {response.status!r} is not an integer")
        status, fields = response.status, response.fields
        lines = self._last  # the same tuple again needs no look-up, which would hash all of it
        if (
            lines is None
            or fields is not self._last_fields
            or status != self._last_status
            or response.reason != self._last_reason
        ):
            lines = self._look_up(status, response.reason, fields)
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.count if isinstance(body, File) else -1
        if length >= 0 and lines.plain and keep_alive and minor and method != "HEAD":
            # The usual response, for which none of what follows makes a difference.
            date = b"" if lines.has_date else self.date(now)
            if request_id and not lines.has_id:
                date = _id_line(request_id) + date
            data = b"%b%bcontent-length: %d\r\n\r\n" % (lines.data, date, length)
            return Head(data, length, False, True, True)
        return self._unusual_head(response, lines, method, minor, keep_alive, now, request_id)

    def _look_up(self, status: int, reason: str | None, fields: Fields) -> Lines:
        key = (status, reason, fields)
        try:
            lines = self._lines.get(key) or self._keep(key)
        except (AttributeError, TypeError, ValueError) as error:
            raise ResponseError(f"status, reason or fields are of the wrong kind: {error}") from error
        self._last_status, self._last_reason, self._last_fields, self._last = status, reason, fields, lines
        return lines

    def switching(self, fields: Fields, protocol: bytes) -> Head:
        """The head of a 101 (RFC 9110 section 15.2.2), behind which `protocol` is spoken. Raises ResponseError."""
        checked = Lines(200, None, fields)  # what is checked is the same for every status
        if checked.upgrade:
            raise ResponseError("upgrade is the server's to send where it switches")
        lines = checked.data.partition(b"\r\n")[2]
        first = b"HTTP/1.1 101 Switching Protocols\r\n"
        data = b"%b%bconnection: upgrade\r\nupgrade: %b\r\n\r\n" % (first, lines, protocol)
        return Head(data, 0, False, False, False)

    def interim(self, status: int, reason: str, fields: Fields) -> bytes:
        """The head of an interim response (RFC 9110 section 15.2) but 101. Raises ResponseError."""
        if not _REASON.fullmatch(reason):
            raise ResponseError(f"reason phrase {reason!r} has a control or non-ASCII character")
        lines = field_lines(fields)
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason.encode("ascii"), lines)

    def _unusual_head(
        self, response: Response, lines: Lines, method: str, minor: int, keep_alive: bool, now: float, request_id: str
    ) -> Head:
        length, chunked = _framing(response, lines, method, minor)
        has_body = method != "HEAD"
        data = lines.data + _id_line(request_id) if request_id and not lines.has_id else lines.data
        if not lines.has_date:
            data += self.date(now)
        if response.status == 204 or response.status == 304:
            # RFC 9110 sections 15.3.5 and 15.4.5: no content; RFC 9110 section 8.6: no Content-Length in a 204.
            has_body = chunked = False
        elif response.status == 205:
            has_body = False
            data += b"content-length: 0\r\n" if lines.content_length is None else b""
        elif chunked:
            data += b"transfer-encoding: chunked\r\n"
        elif length is None:
            keep_alive = False  # only the close ends this body (RFC 9112 section 6.3, rule 8)
        elif lines.content_length is None:
            data += b"content-length: %d\r\n" % length
        if lines.close or not keep_alive:
            keep_alive = False
            data += b"connection: close, upgrade\r\n" if lines.upgrade else b"connection: close\r\n"
        elif minor == 0:
            data += b"connection: keep-alive\r\n"
        elif lines.upgrade:
            data += b"connection: upgrade\r\n"
        return Head(data + b"\r\n", length, chunked, has_body, keep_alive)

    def _keep(self, key: tuple[int, str | None, Fields]) -> Lines:
        lines = Lines(*key)
        if len(lines.data) > MAX_KEPT:
            return lines
        mark = hash(key)
        if mark not in self._seen:
            if len(self._seen) >= KEPT:
                self._seen.clear()
            self._seen.add(mark)
            return lines
        if len(self._lines) >= KEPT:
            self._lines.clear()
        self._lines[key] = lines
        return lines


def _id_line(request_id: str) -> bytes:
    return b"x-request-id: %b\r\n" % request_id.encode("ascii")


def _framing(response: Response, lines: Lines, method: str, minor: int) -> tuple[int | None, bool]:
    """The length of the body, None where it is not known; and whether it goes out in chunks."""
    body = response.body
    promised = lines.content_length
    if response.status in (204, 304):
        if response.status == 204 and promised is not None:
            raise ResponseError("a 204 has no content-length")
        return 0, False
    if response.status == 205:
        # RFC 9110 section 15.3.6: no content, and a length that says so.
        if promised:
            raise ResponseError(f"a 205 has no content, its content-length is {promised}")
        return 0, False
    if isinstance(body, WHOLE):
        length = len(body) if isinstance(body, bytes) else body.count
        if length < 0:
            raise ResponseError(f"the body has {length} bytes")
        if method == "HEAD" and not length and promised is not None:
            return promised, False  # what GET would have sent (RFC 9110 section 9.3.2)
        if promised is not None and promised != length:
            raise ResponseError(f"content-length is {promised}, the body has {length} bytes")
        return length, False
    return promised, promised is None and minor >= 1
