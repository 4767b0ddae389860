"""Requests and responses: what a handler is given and what it hands back.

Both are slotted objects. Field names are lower-case bytes and field values are bytes, as on the wire, without the
white space around them. A request is made only by the server's reading side, after the gate has found its head
well-formed; a response is checked by the server's writing side before a byte of it is sent.

Deliberately not here: cookies, forms, sessions, content negotiation beyond errors. They belong to frameworks.
"""

import json
import os
import re
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any

from mypy_extensions import mypyc_attr

from handlers.errors import HTTPError
from handlers.operations import NEXT_PIECE
from handlers.tunnel import Tunnel

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

REASONS: dict[int, str] = {status.value: status.phrase for status in HTTPStatus} | {
    # RFC 9110 renamed these; Python before 3.13 still has the older phrases.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """One request, as the gate admitted it.

    `target` is the request-target as received; `path` and `query` are its two halves, still percent-encoded
    (`query` is without its `?`). `authority` is the host, and port if any, that the client asked for: of an
    absolute-form target, else of Host (RFC 9112 section 3.3); empty in an HTTP/1.0 request without either.
    `base` is what a router's mounts have taken off the front of the path, for whoever has to write a Location.
    `content_length` is None where the body is chunked; 0 where there is none.
    """

    __slots__ = (
        "authority",
        "base",
        "body_ended",
        "body_limit",
        "content_length",
        "expects_continue",
        "fields",
        "keep_alive",
        "method",
        "minor",
        "path",
        "peer",
        "query",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        fields: Fields,
        minor: int = 1,
        authority: bytes = b"",
        content_length: int | None = 0,
        keep_alive: bool = True,
        expects_continue: bool = False,
        body_limit: int = 1024 * 1024,
        peer: str = "",
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.minor = minor
        self.authority = authority
        self.content_length = content_length
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.body_limit = body_limit
        self.peer = peer
        self.body_ended = content_length == 0
        self.base = ""
        origin = target if target[:1] == "/" else _origin_form(target)
        self.path, _, self.query = origin.partition("?")

    @property
    def chunked(self) -> bool:
        """Whether only the body's chunks tell its length."""
        return self.content_length is None

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case); several are joined by `, ` (RFC 9110 section 5.3)."""
        values = [value for key, value in self.fields if key == name]
        return b", ".join(values) if values else None

    async def read(self) -> bytes:
        """The whole body. Raises HTTPError 413 beyond `body_limit`; is cancelled when the client leaves.

        It is gathered in one buffer: kept as pieces, a body of 1 MiB that trickles in would take thirty.
        """
        body = bytearray()
        async for piece in self:
            body += piece
        return bytes(body)

    def __aiter__(self) -> "Pieces":
        """The body piece by piece, as it comes: each at most what one readiness event read."""
        return Pieces(self)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class Pieces:
    """The pieces of a request's body; as many iterators as there are, each piece comes once."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._request.body_ended:
            piece = await NEXT_PIECE
            if piece:
                return piece
            self._request.body_ended = True
        raise StopAsyncIteration


def _origin_form(target: str) -> str:
    """The path and query of an absolute-form target: `http://host` alone means `/` (RFC 9112 section 3.2.2). `*` has
    neither; it stands for itself."""
    if target == "*":
        return target
    rest = target.partition("://")[2]
    at = min((found for mark in "/?" if (found := rest.find(mark)) >= 0), default=len(rest))
    origin = rest[at:]
    return origin if origin.startswith("/") else "/" + origin


@mypyc_attr(allow_interpreted_subclasses=True)
class File:
    """A stretch of an open, regular file, sent by `sendfile(2)`: `count` bytes from `offset`.

    The response that holds it owns the descriptor: it is closed when the response has been sent or given up.
    """

    __slots__ = ("count", "descriptor", "offset", "owned")

    def __init__(self, descriptor: int, offset: int, count: int, *, owned: bool = True) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
        self.owned = owned

    def read(self) -> bytes:
        """All of it, for a small one; less where the file has become shorter than it was. Raises OSError."""
        return os.pread(self.descriptor, self.count, self.offset)

    def close(self) -> None:
        """Close the descriptor, once; a part of a file that another part owns closes nothing."""
        if self.owned:
            self.owned = False
            os.close(self.descriptor)

    def __repr__(self) -> str:
        return f"<File {self.descriptor}: {self.count} bytes from {self.offset}>"


Piece = bytes | File
WHOLE = (bytes, File)
"""What a body that is there as a whole is an instance of; a tuple, for isinstance with a union takes thrice as long."""
Body = bytes | File | Iterable[Piece] | AsyncIterable[Piece] | Tunnel


@mypyc_attr(allow_interpreted_subclasses=True)
class Response:
    """An answer: status, fields, and a body of bytes, a File, or an iterable or async iterable of these.

    Bytes and a File get their Content-Length from their size. An iterable's is the Content-Length among `fields`;
    without one it is sent chunked (to an HTTP/1.0 client: ended by the close). The server adds Date and Connection.
    A Tunnel, which only an upstream gives, makes it a 101, behind which the connection passes bytes both ways.
    An iterable with a `close()` (`aclose()`) has it called when the response ends, whichever way.
    """

    __slots__ = ("body", "fields", "reason", "status")

    def __init__(self, body: Body = b"", status: int = 200, fields: Fields = (), *, reason: str | None = None) -> None:
        self.body = body
        self.status = status
        self.fields = fields
        self.reason = reason

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


Answer = Response | Coroutine[Any, Any, Response]
Application = Callable[[Request], Answer]
"""What the server runs: called with a request, it answers at once, or by a coroutine that awaits operations."""


_JSON: Fields = ((b"content-type", b"application/json"),)
_TEXT: Fields = ((b"content-type", b"text/plain; charset=utf-8"),)
_HTML: Fields = ((b"content-type", b"text/html; charset=utf-8"),)
_QUALITY = re.compile(rb";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|\Z)").search
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def json_response(value: object, status: int = 200, fields: Fields = ()) -> Response:
    """`value` as JSON (RFC 8259, UTF-8). Raises ValueError for NaN, TypeError for what JSON cannot hold."""
    return Response(_encode_json(value).encode(), status, _JSON + fields if fields else _JSON)


def text_response(text: str, status: int = 200, fields: Fields = ()) -> Response:
    """`text` as plain text in UTF-8."""
    return Response(text.encode(), status, _TEXT + fields if fields else _TEXT)


def html_response(text: str, status: int = 200, fields: Fields = ()) -> Response:
    """`text` as HTML in UTF-8."""
    return Response(text.encode(), status, _HTML + fields if fields else _HTML)


def error_response(error: HTTPError, accept: bytes | None = None) -> Response:
    """The answer for `error`: JSON where `accept` (the Accept field) prefers it, else one line of plain text."""
    reason = REASONS.get(error.status, "Error")
    if accept is not None and b"json" in accept.lower() and _prefers_json(accept):
        problem = {"status": error.status, "error": reason, "detail": error.detail}
        return json_response(problem, error.status, error.fields)
    line = f"{error.status} {reason}: {error.detail}" if error.detail else f"{error.status} {reason}"
    return text_response(line + "\n", error.status, error.fields)


def _prefers_json(accept: bytes) -> bool:
    """Whether the list `accept` names JSON, and nothing that is text more gladly (RFC 9110 section 12.5.1)."""
    as_json = as_text = 0.0
    for element in accept.lower().split(b","):
        found = _QUALITY(element)
        quality = float(found[1]) if found is not None else 1.0
        if b"json" in element.partition(b";")[0]:
            as_json = max(as_json, quality)
        elif element.lstrip(b" \t").startswith(b"text/"):
            as_text = max(as_text, quality)
    return as_json > 0 and as_json >= as_text
