"""A directory of files: `StaticFiles("public")` is an application.

What is served is decided by `static_paths`; a file's type and compressed variants by `static_variants`; what the client
has already by `static_conditions`; which part of it is sent by `static_ranges`; a directory without `index.html` is
shown by `static_listing`, when that was asked for; `static_known` remembers for a moment what was found. This module
puts them in the order of RFC 9110 section 13.2.2.

The laws:

- every field of the answer comes from fstat of the descriptor that is sent, so they cannot disagree;
- a descriptor is either in the response, which owns it, or closed;
- the body is a File: the server sends it by sendfile(2), and but for a small one not a byte passes through Python.
"""

import os
import time
from collections.abc import Callable, Coroutine
from http import HTTPMethod
from typing import Any
from urllib.parse import quote_from_bytes

from handlers.backends.threads import in_thread
from handlers.errors import HTTPError
from handlers.messages import Answer, File, Request, Response, html_response
from handlers.static_conditions import judge, range_applies, validators
from handlers.static_known import Known, Memory, Version, identity
from handlers.static_listing import LISTING_FIELDS, listing_page
from handlers.static_paths import Walk, Way, http_error, locate, missing
from handlers.static_ranges import Parts, parse_range
from handlers.static_variants import acceptable, available, content_type

INDEX = b"index.html"

_ALLOW = (b"allow", b"GET, HEAD, OPTIONS")
_ACCEPT_RANGES = (b"accept-ranges", b"bytes")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_VARY = (b"vary", b"accept-encoding")


class StaticFiles:
    """The files beneath `root`. Raises OSError when `root` is no directory.

    `listing` shows directories that have no `index.html`; otherwise they are 404. `cache_control` is by default
    `no-cache`: a cache may keep the file, but asks each time whether it is still the same, which a 304 answers; a
    directory whose files never change (their names have a digest) may say `public, max-age=31536000, immutable`.
    `max_known` files are remembered for a moment where they were found; 0 searches for each anew. `now` is the wall
    clock.
    """

    methods = frozenset({"GET", "HEAD"})

    def __init__(
        self,
        root: str | os.PathLike[str],
        listing: bool = False,
        max_ranges: int = 16,
        max_known: int = 1024,
        *,
        cache_control: bytes = b"no-cache",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.root = os.path.abspath(root)
        self.listing = listing
        self.max_ranges = max_ranges
        self._cache_control = (b"cache-control", cache_control)
        self._now = now
        self.memory = Memory(max_known)
        with Walk(self.root):
            pass

    def __call__(self, request: Request) -> Answer:
        """Answer `request`. Raises HTTPError 400, 404, 405, 412, 416, 501 or 503."""
        if request.method not in self.methods:
            return _other_method(request.method)
        known = self.memory.recall(request.path, self._now())
        if known is not None:
            try:
                return self._send(request, known, known.way)
            except OSError:
                self.memory.forget(request.path)  # something is there that was not: it is to be looked at
        segments, is_directory = locate(request.path)
        try:
            with Walk(self.root) as walk:
                return self._answer(request, walk, segments, is_directory)
        except OSError as error:
            failure = http_error(error)
            if failure is None:
                raise
            raise failure from None

    def _answer(self, request: Request, walk: Walk, segments: list[bytes], is_directory: bool) -> Answer:
        if not walk.descend(segments):
            if is_directory:
                raise missing()
            return self._found(request, walk, segments)
        if not is_directory:
            return _redirect(request, segments)
        try:
            has_index = not walk.descend([INDEX])
        except FileNotFoundError:
            has_index = False
        if has_index:
            return self._found(request, walk, [*segments, INDEX])
        if self.listing:
            return self._list(request, segments)
        raise missing()

    def _found(self, request: Request, walk: Walk, segments: list[bytes]) -> Response:
        """The file that `walk` came to by `segments`."""
        looked, name = self._now(), walk.name
        way = Way(os.fsencode(self.root), segments[:-1])
        known = Known(way, name, content_type(segments[-1]), available(walk, name), looked)
        response = self._send(request, known, walk)
        if not walk.links:
            self.memory.keep(request.path, known)
        return response

    def _send(self, request: Request, known: Known, way: Walk | Way) -> Response:
        """What is known, opened by `way`."""
        accepted = acceptable(known.codings, request.get(b"accept-encoding")) if known.codings else []
        descriptor, status, coding = _open(way, known.name, accepted)
        try:
            version = known.versions.get(coding)
            if version is None or version.identity != identity(status):
                version = known.versions[coding] = self._version(known, status, coding)
            verdict = judge(request, version.current, self._now)
            if verdict == 412:
                raise HTTPError(412, "The file is not the one your condition names.")
            if verdict == 304:
                # RFC 9110 section 15.4.5
                os.close(descriptor)
                return Response(status=304, fields=version.unchanged)
            return self._content(request, version, descriptor, status.st_size)
        except BaseException:
            os.close(descriptor)
            raise

    def _version(self, known: Known, status: os.stat_result, coding: bytes) -> Version:
        """The file that `status` describes, as it is told to clients."""
        current = validators(status, self._now(), coding)
        unchanged = [(b"etag", current.etag), self._cache_control]
        if known.codings:
            # RFC 9110 section 12.5.5: on the plain file too, and on every answer about it.
            unchanged.append(_VARY)
        fields = [*unchanged, (b"last-modified", current.last_modified), _ACCEPT_RANGES, _NO_SNIFF]
        if coding:
            fields.append((b"content-encoding", coding))
        fields.append((b"content-type", known.media_type))
        return Version(identity(status), current, tuple(fields), tuple(unchanged))

    def _content(self, request: Request, version: Version, descriptor: int, size: int) -> Response:
        """All of the file, or the ranges asked for. The caller closes the descriptor when this raises."""
        stretches = None
        # RFC 9110 section 14.2: Range is about GET only.
        value = request.get(b"range") if request.method == "GET" else None
        if value is not None and range_applies(request, version.current, self._now):
            stretches = parse_range(value, size, self.max_ranges)
        if stretches == []:
            # RFC 9110 section 15.5.17
            content_range = (b"content-range", b"bytes */%d" % size)
            raise HTTPError(416, f"The file has {size} bytes.", (content_range, _ACCEPT_RANGES))
        if stretches is not None and len(stretches) == 1:
            # RFC 9110 section 15.3.7.1
            content_range = (b"content-range", stretches[0].content_range(size))
            return Response(File(descriptor, *stretches[0]), 206, (*version.fields, content_range))
        if stretches is not None and not any(name == b"content-encoding" for name, _ in version.fields):
            # RFC 9110 section 15.3.7.2. Parts of a coded file are left out: clients disagree on where its coding is
            # said, and nobody asks for them.
            *others, (_, media_type) = version.fields
            parts = Parts(descriptor, stretches, size, media_type)
            content_type = (b"content-type", b"multipart/byteranges; boundary=" + parts.boundary)
            return Response(parts, 206, (*others, content_type, (b"content-length", b"%d" % parts.length)))
        return Response(File(descriptor, 0, size), 200, version.fields)

    def _list(self, request: Request, segments: list[bytes]) -> Coroutine[Any, Any, Response]:
        async def show() -> Response:
            # Ten thousand entries take their time.
            try:
                page = await in_thread(listing_page, self.root, segments, request.base)
            except OSError as error:
                raise http_error(error) or error from None
            return html_response(page, 200, LISTING_FIELDS)

        return show()


def _open(way: Walk | Way, name: bytes, variants: list[tuple[bytes, bytes]]) -> tuple[int, os.stat_result, bytes]:
    """The file, or the first of its variants that can be had; and the coding that it has."""
    descriptor, status = way.open(name)
    for coding, beside in variants:
        try:
            variant, variant_status = way.open(beside)
        except OSError:
            continue  # it is only a convenience: a directory, a link, or gone
        if int(variant_status.st_mtime) >= int(status.st_mtime):
            os.close(descriptor)
            return variant, variant_status, coding
        os.close(variant)
    return descriptor, status, b""


def _redirect(request: Request, segments: list[bytes]) -> Response:
    """To the directory with its slash, so that relative references in its index work (RFC 9110 section 15.4.2).

    The Location is made from the names, not from what was asked: a path only, that never begins with two slashes.
    """
    path = "".join("/" + quote_from_bytes(segment, safe="") for segment in segments)
    query = f"?{request.query}" if request.query else ""
    location = f"{request.base}{path}/{query}".encode("ascii", "replace")
    return Response(status=301, fields=((b"location", location),))


def _other_method(method: str) -> Response:
    if method == "OPTIONS":
        # RFC 9110 section 9.3.7
        return Response(status=204, fields=(_ALLOW,))
    if method not in HTTPMethod.__members__:
        # RFC 9110 section 15.6.2
        raise HTTPError(501, f"No file here knows the method {method}.")
    # RFC 9110 section 15.5.6
    raise HTTPError(405, f"Files do not take {method}.", (_ALLOW,))
