"""What an application may send besides a start and bodies in bytes: files, trailers, and early hints.

- `http.response.pathsend` and `http.response.zerocopysend` are pieces of the body, sent by sendfile(2).
- `http.response.trailers` goes behind the last chunk, where the client has said `TE: trailers` (RFC 9110 section
  6.5.1: they may be sent to such a client alone). Elsewhere they are checked and dropped, and the answer ends with its
  body.
- `http.response.early_hint` is a 103 (RFC 8297) before the answer; a client of HTTP/1.0 gets none.
"""

from typing import Any, Protocol

from clerestory.handlers.api.messages import Field, Fields, File, Request
from clerestory.handlers.asgi.errors import ClientDisconnected, EventError
from clerestory.handlers.asgi.events import file_of_descriptor, file_of_path
from clerestory.handlers.asgi.waits import SENT
from clerestory.handlers.wire.grammar import is_value

FILES = ("http.response.pathsend", "http.response.zerocopysend")
TRAILERS = "http.response.trailers"
EARLY_HINT = "http.response.early_hint"

MAX_TRAILERS = 64 * 1024
"""Bytes of one answer's trailers: as much as a head of a request may have by default."""
MAX_LINKS = 100
"""Links of one early hint: more than a browser follows."""

NOT_TRAILERS = frozenset(
    {
        b"content-length",
        b"host",
        b"authorization",
        b"www-authenticate",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"set-cookie",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"date",
        b"location",
        b"vary",
    }
)
"""Fields that are needed before the body, or would change what was sent (RFC 9110 section 6.5.1)."""


def takes_trailers(request: Request) -> bool:
    """Whether the client has said that it takes trailers (RFC 9110 section 10.1.4)."""
    for name, value in request.fields:
        if name == b"te":
            for coding in value.lower().split(b","):
                if coding.partition(b";")[0].strip() == b"trailers":
                    return request.minor > 0
    return False


class Trailers:
    """The trailers that `http.response.start` has announced. They are `kept` where the client takes them; `due` once
    the body has ended."""

    __slots__ = ("due", "fields", "kept", "size")

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self.due = False
        self.fields: list[Field] = []
        self.size = 0

    def follow(self, more: bool) -> bool:
        """Whether the answer goes on behind a piece of the body, of which there is `more`. Raises EventError."""
        if self.due:
            raise EventError("a body was sent behind the answer's end")
        self.due = not more
        return more or self.kept

    def add(self, fields: tuple[Field, ...]) -> None:
        """Keep fields for the end. Raises EventError."""
        for name, value in fields:
            if name in NOT_TRAILERS:
                raise EventError(f"{name.decode()} is no trailer: it belongs into http.response.start")
            self.size += len(name) + len(value) + 4
        if self.size > MAX_TRAILERS:
            raise EventError(f"the trailers have more than {MAX_TRAILERS} bytes")
        if self.kept:
            self.fields.extend(fields)


class Answered(Protocol):
    """A call whose answer is sent, as an event of it knows it (handlers.asgi.run)."""

    @property
    def gone(self) -> bool:
        """Whether the client has gone."""

    @property
    def status(self) -> int:
        """The answer's, once it was started."""

    @property
    def complete(self) -> bool:
        """Whether the last piece of the answer was given."""

    @property
    def trailers(self) -> Trailers | None:
        """Those that the answer's start has announced."""

    def give(self, piece: bytes | File, size: int, more: bool) -> Any:
        """Take a piece of the answer."""

    def end(self) -> None:
        """The last of the answer, behind its body, has been given."""

    def check_fields(self, event: Any) -> tuple[Fields, int | None]:
        """The fields of an event, and the content length among them. Raises EventError."""

    def interim(self, status: int, fields: Fields) -> None:
        """Send an interim response."""


def send_extension(run: Answered, event: Any) -> Any:
    """Send an event that is neither a start nor a body in bytes. Raises EventError."""
    kind = event["type"]
    if kind == "http.response.pathsend":
        return _send_file(run, file_of_path(event), more=False)
    if kind == "http.response.zerocopysend":
        return _send_file(run, file_of_descriptor(event), more=bool(event.get("more_body", False)))
    if kind == TRAILERS:
        return _send_trailers(run, event)
    if kind == EARLY_HINT:
        return _send_early_hint(run, event)
    raise EventError(f"{kind!r} is no event of an answer")


def _send_file(run: Answered, file: File, *, more: bool) -> Any:
    try:
        return run.give(file, file.count, more)
    except BaseException:
        file.close()
        raise


def _send_trailers(run: Answered, event: Any) -> Any:
    if run.gone:
        raise ClientDisconnected("the client has gone")
    trailers = run.trailers
    if trailers is None:
        raise EventError("http.response.start has not announced trailers")
    if not trailers.due or (run.complete and trailers.kept):
        raise EventError("trailers come once, behind the end of the body")
    fields, length = run.check_fields(event)
    if length is not None:
        raise EventError("content-length is no trailer: it belongs into http.response.start")
    trailers.add(fields)
    if trailers.kept and not event.get("more_trailers", False):
        run.end()
    return SENT


def _send_early_hint(run: Answered, event: Any) -> Any:
    if run.gone:
        raise ClientDisconnected("the client has gone")
    if run.status:
        raise EventError("an early hint comes before http.response.start")
    links = list(event.get("links", ()))
    if len(links) > MAX_LINKS:
        raise EventError(f"an early hint has at most {MAX_LINKS} links")
    for link in links:
        if not isinstance(link, bytes) or not link or is_value(link) is None:
            raise EventError(f"a link is bytes without control characters, not {link!r}")
    if links:
        run.interim(103, tuple([(b"link", link) for link in links]))
    return SENT
