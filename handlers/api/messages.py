"""Requests and responses: what a handler gets and what it returns.

Field names are lower-case bytes and field values are bytes, as on the wire, without surrounding white space. A request
is made by the server's reading side, once its head is valid; a response is checked before a byte of it is sent.
"""

import json
import os
import re
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, Unpack
from urllib.parse import quote

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.content import Fields as FormFields
from clerestory.handlers.api.content import check_form, parse_form, parse_json, parse_text
from clerestory.handlers.api.cookies import CookieAttributes, cookie_field, parse_cookies
from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.operations import NEXT_PIECE, HalfClose
from clerestory.handlers.api.pages import error_page
from clerestory.handlers.api.security import Security
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.api.uploads import is_multipart, read_multipart

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

REQUEST_ID = b"x-request-id"
"""The field that names a request, for all that have to do with it."""

WITHOUT_BODY = (204, 205, 304)
"""Statuses of responses that have no content (RFC 9110 sections 15.3.5, 15.3.6, 15.4.5)."""

REASONS: dict[int, str] = {status.value: status.phrase for status in HTTPStatus} | {
    # RFC 9110 renamed these; Python before 3.13 still has the older phrases.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


class RouteLimits(NamedTuple):
    """What a route sets instead of the server's own limits; None means the server's.

    `backend_timeout`: seconds for an operation, or for the next bytes of a streamed response. `handler_total`:
    seconds of waiting in total until the response begins. `half_close`: what happens if the client shuts down its
    sending side during any operation.
    """

    backend_timeout: float | None = None
    handler_total: float | None = None
    half_close: HalfClose | None = None


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """One validated request.

    `target` is the request-target as received, except that bytes which a URI does not allow have been percent-encoded
    (server.http.gate.normalise_target); `path` and `query` are its two parts, still percent-encoded
    (`query` is without its `?`). `authority` is the host, and port if any, of the request: from an
    absolute-form target, else from Host (RFC 9112 section 3.3); empty in an HTTP/1.0 request without either.
    `minor` is the minor version of HTTP/1; 2 stands for HTTP/2, which has none.
    `base` is the prefix that mounts have removed from the path: put it in front of the path in a Location.
    `content_length` is None if the body is chunked, and 0 if there is no body. `limits` are those of its route, if it
    has any of its own; an application may set them before its first await. `route` is the pattern that its path has
    matched (`/orders/{id}`), where that is known: requests of one route are counted together. `security` is there where
    the request came over TLS. `id` names the request in the log, in errors and for upstreams (server.connection.names).
    `edge` dresses every response to it (handlers.edge), where its site has one. `protocol` is what a CONNECT of HTTP/2
    asks to be spoken behind it (RFC 8441), which is a WebSocket; empty in any other request.
    """

    __slots__ = (
        "_state",
        "authority",
        "base",
        "body_ended",
        "body_limit",
        "content_length",
        "edge",
        "expects_continue",
        "fields",
        "handler",
        "id",
        "keep_alive",
        "limits",
        "method",
        "minor",
        "path",
        "peer",
        "protocol",
        "query",
        "route",
        "security",
        "span",
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
        security: Security | None = None,
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
        self.security = security
        self.body_ended = content_length == 0
        self.base = self.route = self.id = self.protocol = ""
        self.limits: RouteLimits | None = None
        self.edge: Any = None
        self.handler: Any = None  # what a router has found
        self._state: dict[str, Any] | None = None
        self.span: Any = None  # what traces it, where it is traced (server.observer.Tracing)
        origin = target if target[:1] == "/" else _origin_form(target)
        self.path, _, self.query = origin.partition("?")

    @property
    def scheme(self) -> str:
        """`https` where the request came over TLS, else `http`."""
        return "http" if self.security is None else "https"

    @property
    def state(self) -> dict[str, Any]:
        """What functions around the handler leave for it (Router.around)."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def chunked(self) -> bool:
        """Whether the body is chunked: its length is not known in advance."""
        return self.content_length is None

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case); several are joined by `, ` (RFC 9110 section 5.3)."""
        values = [value for key, value in self.fields if key == name]
        return b", ".join(values) if values else None

    async def read(self) -> bytes:
        """The whole body. Raises HTTPError 413 beyond `body_limit`; is cancelled if the client disconnects.

        It is collected in one buffer: stored as pieces, a body of 1 MiB that trickles in would take 30 MiB.
        """
        body = bytearray()
        async for piece in self:
            body += piece
        return bytes(body)

    async def json(self) -> Any:
        """The body as JSON. Raises HTTPError 400, with the place, if it is not; and as `read`."""
        return parse_json(await self.read())

    async def text(self) -> str:
        """The body as text, UTF-8 unless its Content-Type names another charset. Raises HTTPError 400 or 415; and as
        `read`."""
        return parse_text(await self.read(), self.get(b"content-type"))

    async def form(self) -> FormFields:
        """The fields of a form, and its files (multipart/form-data, extra `forms`). Raises HTTPError 400, 413 or 415,
        ImportError where the extra is needed and not installed; and as `read`."""
        kind = self.get(b"content-type")
        if kind is not None and is_multipart(kind):
            return await read_multipart(kind, self)
        check_form(kind)
        return parse_form(await self.read())

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name; parsed at each call."""
        field = b"; ".join([value for name, value in self.fields if name == b"cookie"])
        return parse_cookies(field) if field else {}

    def __aiter__(self) -> "Pieces":
        """The body piece by piece, as it arrives: a piece is at most what one readiness event has read."""
        return Pieces(self)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class Pieces:
    """The pieces of a request's body. Each piece comes once, however many iterators there are."""

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
    """A part of an open, regular file, sent by `sendfile(2)`: `count` bytes from `offset`.

    The response that holds it owns the descriptor: it is closed when the response has been sent or abandoned.
    """

    __slots__ = ("count", "descriptor", "offset", "owned")

    def __init__(self, descriptor: int, offset: int, count: int, *, owned: bool = True) -> None:
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
        self.owned = owned

    def read(self) -> bytes:
        """All of it, for a small part; less if the file has become shorter. Raises OSError."""
        return os.pread(self.descriptor, self.count, self.offset)

    def close(self) -> None:
        """Close the descriptor, once; does nothing if another part owns it."""
        if self.owned:
            self.owned = False
            os.close(self.descriptor)

    def __repr__(self) -> str:
        return f"<File {self.descriptor}: {self.count} bytes from {self.offset}>"


Piece = bytes | File
WHOLE = (bytes, File)
"""The types of a body that is not streamed. A tuple: isinstance with a union is three times slower."""
Body = bytes | File | Iterable[Piece] | AsyncIterable[Piece] | Upgrade
_NO_BODY: Any = (str, dict)
"""Both can be iterated over, and would fail only when they are sent, far from the handler's line."""


def _wrong_body(body: object) -> TypeError:
    makes = "text_response(text)" if isinstance(body, str) else "json_response(value)"
    return TypeError(f"a body is bytes, not {type(body).__name__}: use {makes}, or encode it")


@mypyc_attr(allow_interpreted_subclasses=True)
class Response:
    """An answer: status, fields, and a body of bytes, a File, or an iterable or async iterable of these.

    Bytes and a File get their Content-Length from their size. An iterable's is the Content-Length among `fields`;
    without one it is sent chunked (to an HTTP/1.0 client: ended by the close). The server adds Date and Connection.
    An Upgrade, which an upstream or a WebSocket returns, makes it a 101, after which bytes pass in both directions.
    If an iterable has a `close()` or `aclose()`, it is called when the response ends, in any way.

    Raises TypeError for a body that is a string or a dict.
    """

    __slots__ = ("body", "fields", "reason", "status")

    def __init__(self, body: Body = b"", status: int = 200, fields: Fields = (), *, reason: str | None = None) -> None:
        if isinstance(body, _NO_BODY):
            raise _wrong_body(body)
        self.body = body
        self.status = status
        self.fields = fields
        self.reason = reason

    def set_cookie(self, name: str, value: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Add a cookie, for the whole site and not for scripts unless `attributes` say otherwise. Raises ValueError for
        what a browser would refuse."""
        self.fields += ((b"set-cookie", cookie_field(name, value, **attributes)),)

    def delete_cookie(self, name: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Have the browser forget a cookie; path and domain must be those that it was set with."""
        attributes["max_age"] = 0
        self.set_cookie(name, "", **attributes)

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


@mypyc_attr(allow_interpreted_subclasses=True)
class ErrorResponse(Response):
    """The response for an HTTPError, where nobody has made another."""

    __slots__ = ()


Plain = Response | dict[str, Any] | list[Any] | str | bytes
"""What a route's handler may return: handlers.api.answers makes a response of what is none."""
Answer = Response | Coroutine[Any, Any, Response]
Application = Callable[[Request], Answer]
"""What the server calls with a request. It returns a response, or a coroutine that awaits operations and returns
one."""


_JSON: Fields = ((b"content-type", b"application/json"),)
_TEXT: Fields = ((b"content-type", b"text/plain; charset=utf-8"),)
_HTML: Fields = ((b"content-type", b"text/html; charset=utf-8"),)
_QUALITY = re.compile(rb";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|\Z)").search
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def json_response(value: object, status: int = 200, fields: Fields = ()) -> Response:
    """`value` as JSON (RFC 8259, UTF-8). Raises ValueError for NaN, TypeError for values that JSON does not have."""
    return Response(_encode_json(value).encode(), status, _JSON + fields if fields else _JSON)


def text_response(text: str, status: int = 200, fields: Fields = ()) -> Response:
    """`text` as plain text in UTF-8."""
    return Response(text.encode(), status, _TEXT + fields if fields else _TEXT)


def html_response(text: str, status: int = 200, fields: Fields = ()) -> Response:
    """`text` as HTML in UTF-8."""
    return Response(text.encode(), status, _HTML + fields if fields else _HTML)


_LOCATION = "%/:=&?~#+!$,;'@()*[]"
_CONTROL = re.compile(r"[\x00-\x20\x7f]").search
REDIRECTS = (301, 302, 303, 307, 308)


def redirect(location: str, status: int = 303) -> Response:
    """Send the client to `location`: with 303 by GET, with 307 and 308 by the same method; 301 and 308 are for good.
    What a URI does not allow is percent-encoded. Raises ValueError for another status, white space and controls."""
    if status not in REDIRECTS:
        raise ValueError(f"a redirect is {', '.join(map(str, REDIRECTS))}, not {status}")
    if not location or _CONTROL(location):
        raise ValueError(f"not a location: {location!r}")
    return Response(status=status, fields=((b"location", quote(location, safe=_LOCATION).encode()),))


def error_response(error: HTTPError, accept: bytes | None = None, request_id: str = "", sent: bytes = b"") -> Response:
    """The response for `error`: JSON, a small page or plain text, as `preferred` by a client that sends these fields:
    `accept`, and `sent`, its Content-Type. It names the request, where its id is given."""
    reason, kind = REASONS.get(error.status, "Error"), preferred(accept, sent)
    named = f"Request {request_id}" if request_id else ""
    if kind == "html":
        text = error_page(error.status, reason, error.detail, named)
        return ErrorResponse(text.encode(), error.status, _HTML + error.fields)
    if kind == "json":
        problem = {"status": error.status, "error": reason, "detail": error.detail}
        if request_id:
            problem["request_id"] = request_id
        return ErrorResponse(_encode_json(problem).encode(), error.status, _JSON + error.fields)
    line = f"{error.status} {reason}: {error.detail}" if error.detail else f"{error.status} {reason}"
    return ErrorResponse((f"{line}\n{named}\n" if named else f"{line}\n").encode(), error.status, _TEXT + error.fields)


def preferred(accept: bytes | None, sent: bytes = b"") -> str:
    """`json`, `html` or `text`: what a client wants that sends `accept` (RFC 9110 section 12.5.1).

    JSON if it names that with at least the quality of every text type; HTML if it names that with at least the quality
    of other text; else text. Where it names none of them, JSON if it has `sent` JSON itself.
    """
    as_json = as_html = as_text = -1.0
    for element in accept.lower().split(b",") if accept is not None else ():
        found = _QUALITY(element)
        quality = float(found[1]) if found is not None else 1.0
        kind = element.partition(b";")[0].strip(b" \t")
        if b"json" in kind:
            as_json = max(as_json, quality)
        elif kind == b"text/html":
            as_html = max(as_html, quality)
        elif kind.startswith(b"text/"):
            as_text = max(as_text, quality)
    if max(as_json, as_html, as_text) < 0 and b"json" in sent.partition(b";")[0].lower():
        return "json"
    if as_json > 0 and as_json >= max(as_html, as_text):
        return "json"
    return "html" if as_html > 0 and as_html >= as_text else "text"
