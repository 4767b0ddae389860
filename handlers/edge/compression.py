"""Compression of responses: which are, and what their fields say then.

Not compressed is what would gain nothing or come to harm: what has a coding already, or says `no-transform` (as its
request may); what is not of a type that is text, or shorter than the bound; a part of a file (206), since ranges are
ranges of the coded content (RFC 9110 section 8.4); and what carries a digest of its content.

- `Vary: Accept-Encoding` stands on every response that would have been compressed for another client (section 12.5.5).
- A strong entity tag becomes weak (section 8.8.1): the bytes are others. `Accept-Ranges` is dropped with it.
- HEAD has the fields that GET would have, but for the length, which only compressing it would tell (section 9.3.2).
- So many responses are compressed at once; beyond that they are sent as they are, which is always right.

BREACH: where a response has a secret, and something that its requester chose, its compressed length tells of the secret
to those who can send requests and see lengths. Such responses say `Cache-Control: no-transform`, or their site does not
compress.
"""

import re
from collections.abc import Iterable
from typing import Any

from clerestory.handlers.api.bodies import close_body
from clerestory.handlers.api.messages import WITHOUT_BODY, Field, File, Request, Response
from clerestory.handlers.api.upgrade import Upgrade
from clerestory.handlers.edge.coded import PIECE, Coded
from clerestory.handlers.edge.coders import coder_for, installed
from clerestory.handlers.edge.negotiation import choose
from clerestory.handlers.wire.grammar import members

TYPES = (
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/*+xml",
    "application/x-ndjson",
    "application/graphql-response+json",
    "application/wasm",
    "image/svg+xml",
    "image/bmp",
    "font/otf",
    "font/ttf",
)
"""Media types that gain by it. Pictures, films, fonts in WOFF and archives are compressed already."""

MIN_SIZE = 1024
"""Bytes: what fits one packet arrives no sooner when it is shorter."""

MAX_STREAMS = 256
"""Responses that are compressed while they are sent: a coder takes 0.3 to 1 MiB."""

VARY = b"accept-encoding"

_DIGESTS = frozenset({b"content-digest", b"repr-digest", b"digest", b"content-md5"})


class Compression:
    """Compresses responses of `types`, from `min_size` bytes, with one of `codings`, as the client wishes. `streams`
    counts those that are compressed while they are sent: at most `max_streams`."""

    def __init__(
        self,
        *,
        min_size: int = MIN_SIZE,
        types: Iterable[str] = TYPES,
        max_streams: int = MAX_STREAMS,
        codings: tuple[bytes, ...] | None = None,
    ) -> None:
        self.codings = installed() if codings is None else codings
        self.streams = 0
        self._min_size = min_size
        self._max_streams = max_streams
        patterns = [re.escape(one.lower()).replace(r"\*", "[^;/]*") for one in types]
        self._is_of_type = re.compile("|".join(patterns).encode("ascii")).fullmatch

    def apply(self, request: Request, response: Response) -> Response:
        """`response`, compressed if that is what the client prefers. It is not changed: an application may keep it."""
        if response.status == 304:
            return _not_modified(request, response)
        size = self._size(request, response)
        if size is None:
            return response
        coding, identity_refused = choose(request.get(b"accept-encoding"), self.codings)
        # A client that refuses identity gets a coding even where that gains nothing.
        if size < 0 and not (coding and identity_refused):
            return response
        if coding:
            coded = self._code(request, response, coding, must=identity_refused)
            if coded is not None:
                return coded
        fields = with_vary(response.fields, VARY)
        return Response(response.body, response.status, tuple(fields), reason=response.reason)

    def _size(self, request: Request, response: Response) -> int | None:
        """0 where it is worth compressing, -1 where it only may be, None where it may not."""
        body, fields = response.body, response.fields
        if response.status in WITHOUT_BODY or response.status == 206 or isinstance(body, Upgrade):
            return None
        length: int | None = None
        if isinstance(body, bytes):
            length = len(body)
        elif isinstance(body, File):
            length = body.count
        fits = False
        for name, value in fields:
            match name.lower():
                case b"content-encoding" | b"content-range":
                    return None
                case b"cache-control" if b"no-transform" in members(value.lower()):
                    return None
                case b"content-length" if not length and value.isdigit():
                    length = int(value)
                case b"content-type":
                    fits = self._is_of_type(value.partition(b";")[0].strip().lower()) is not None
                case lower if lower in _DIGESTS:
                    return None
        if b"no-transform" in members((request.get(b"cache-control") or b"").lower()) or length == 0:
            return None
        return 0 if fits and (length is None or length >= self._min_size) else -1

    def _code(self, request: Request, response: Response, coding: bytes, *, must: bool) -> Response | None:
        """The response in its coding; None where that gains nothing, or there are too many."""
        body: Any = response.body
        fields = _coded_fields(response.fields, coding)
        if request.method == "HEAD":
            close_body(body)
            return Response(iter(()), response.status, fields, reason=response.reason)
        if isinstance(body, File) and body.count <= PIECE:
            content = body.read()
            if len(content) != body.count:
                return None  # the server finds that, too
            short = self._short(content, coding)
            if len(short) >= len(content) and not must:
                return None
            body.close()
            return Response(short, response.status, fields, reason=response.reason)
        if isinstance(body, bytes) and len(body) <= PIECE:
            short = self._short(body, coding)
            if len(short) >= len(body) and not must:
                return None
            return Response(short, response.status, fields, reason=response.reason)
        if self.streams >= self._max_streams:
            return None
        whole = isinstance(body, bytes | File)
        has_length = whole or any(name.lower() == b"content-length" for name, _ in response.fields)
        self.streams += 1
        coded = Coded(body, coder_for(coding), self._released, has_length=has_length)
        return Response(coded, response.status, fields, reason=response.reason)

    @staticmethod
    def _short(content: bytes, coding: bytes) -> bytes:
        coder = coder_for(coding)
        return coder.code(content) + coder.finish()

    def _released(self) -> None:
        self.streams -= 1


def _not_modified(request: Request, response: Response) -> Response:
    """A 304 has the fields that its 200 would have (RFC 9110 section 15.4.5): a client that names the weak tag has the
    compressed response."""
    fields = with_vary(response.fields, VARY)
    named = request.get(b"if-none-match") or b""
    fields = [
        (name, b"W/" + value if name.lower() == b"etag" and b"W/" + value in named else value) for name, value in fields
    ]
    return Response(response.body, 304, tuple(fields), reason=response.reason)


def _coded_fields(fields: Iterable[Field], coding: bytes) -> tuple[Field, ...]:
    kept: list[Field] = []
    for name, value in with_vary(fields, VARY):
        match name.lower():
            case b"content-length" | b"accept-ranges":
                continue
            case b"etag" if value.startswith(b'"'):
                kept.append((name, b"W/" + value))
            case _:
                kept.append((name, value))
    return (*kept, (b"content-encoding", coding))


def with_vary(fields: Iterable[Field], name: bytes) -> list[Field]:
    """The fields, with `name` (lower case) among what Vary lists."""
    kept = list(fields)
    listed = [one for key, value in kept if key.lower() == b"vary" for one in members(value.lower())]
    if name not in listed and b"*" not in listed:
        kept.append((b"vary", name))
    return kept
