"""A directory of files: `StaticFiles("public")` is an application.

`paths` decides what is served; `types` the media type; `variants` which compressed variant; `conditions` whether the
client already has it; `ranges` which part of it is sent; `listing` shows a directory without `index.html`, if that is
switched on; `known` caches for a moment what was found. This module applies them in the order of RFC 9110 section
13.2.2.

The laws:

- every field of the response comes from fstat of the descriptor that is sent, so fields and content always agree;
- a descriptor is either in the response, which owns it, or closed;
- the body is a File: the server sends it by sendfile(2), and only small ones pass through Python.
"""

import os
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote_from_bytes

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, File, Request, Response
from clerestory.handlers.api.methods import REGISTERED, allow, not_allowed, not_supported
from clerestory.handlers.static.conditions import judge, range_applies, validators
from clerestory.handlers.static.known import Known, Memory, Version, identity
from clerestory.handlers.static.listing import LISTING_FIELDS, Listings, page_number
from clerestory.handlers.static.paths import Walk, Way, http_error, locate, missing
from clerestory.handlers.static.ranges import Parts, parse_range
from clerestory.handlers.static.types import DEFAULT, Types, own_coding
from clerestory.handlers.static.variants import acceptable, available

INDEX = b"index.html"

_METHODS = frozenset({"GET", "HEAD"})
_ACCEPT_RANGES = (b"accept-ranges", b"bytes")
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
_VARY = (b"vary", b"accept-encoding")


class StaticFiles:
    """The files beneath `root`. Raises OSError if `root` is not a directory.

    `listing` shows directories that have no `index.html`; otherwise they are 404. `cache_control` is by default
    `no-cache`: a cache may store the file, but asks each time whether it is still current, and gets a 304; a directory
    whose files never change (their names contain a digest) may use `public, max-age=31536000, immutable`. `types` has
    the media types. The locations of `max_known` files are cached for a moment; 0 searches for each file again. `now`
    is the wall clock.
    """

    methods = _METHODS

    def __init__(
        self,
        root: str | os.PathLike[str],
        listing: bool = False,
        max_ranges: int = 16,
        max_known: int = 1024,
        *,
        cache_control: bytes = b"no-cache",
        types: Types = DEFAULT,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.root = os.path.abspath(root)
        self.listing = listing
        self.max_ranges = max_ranges
        self._cache_control = (b"cache-control", cache_control)
        self.types = types
        self._now = now
        self.memory = Memory(max_known)
        self._listings = Listings(self.root, now)
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
                self.memory.forget(request.path)  # it has changed: search for it again
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
        unlisted = missing()
        unlisted.hint = "the directory has no index.html: --listing shows what is in it"
        raise unlisted

    def _found(self, request: Request, walk: Walk, segments: list[bytes]) -> Response:
        """The file that `walk` found at `segments`."""
        looked, name = self._now(), walk.name
        way = Way(os.fsencode(self.root), segments[:-1])
        known = Known(way, name, self.types.of(segments[-1]), available(walk, name), looked)
        response = self._send(request, known, walk)
        if not walk.links:
            self.memory.keep(request.path, known)
        return response

    def _send(self, request: Request, known: Known, way: Walk | Way) -> Response:
        """The response with a known file, opened by `way`."""
        accepted = acceptable(known.codings, request.get(b"accept-encoding")) if known.codings else []
        descriptor, status, coding = _open(way, known.name, accepted)
        try:
            version = known.versions.get(coding)
            if version is None or version.identity != identity(status):
                version = known.versions[coding] = self._version(known, status, coding)
            verdict = judge(request, version.current, self._now)
            if verdict == 412:
                raise HTTPError(412, "The file does not meet the request's condition.")
            if verdict == 304:
                # RFC 9110 section 15.4.5
                os.close(descriptor)
                return Response(status=304, fields=version.unchanged)
            return self._content(request, version, descriptor, status.st_size)
        except BaseException:
            os.close(descriptor)
            raise

    def _version(self, known: Known, status: os.stat_result, coding: bytes) -> Version:
        """The response fields of the file that `status` describes."""
        current = validators(status, self._now(), coding)
        unchanged = [(b"etag", current.etag), self._cache_control]
        if known.codings:
            # RFC 9110 section 12.5.5: on the plain file too, and on every response about it.
            unchanged.append(_VARY)
        fields = [*unchanged, (b"last-modified", current.last_modified), _ACCEPT_RANGES, _NO_SNIFF]
        if coding or (coding := own_coding(known.name)):
            fields.append((b"content-encoding", coding))
        fields.append((b"content-type", known.media_type))
        return Version(identity(status), current, tuple(fields), tuple(unchanged))

    def _content(self, request: Request, version: Version, descriptor: int, size: int) -> Response:
        """All of the file, or the requested ranges. The caller closes the descriptor if this raises."""
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
            # RFC 9110 section 15.3.7.2. Not for a coded file: clients disagree on where its coding belongs, and
            # do not ask for this.
            *others, (_, media_type) = version.fields
            parts = Parts(descriptor, stretches, size, media_type)
            content_type = (b"content-type", b"multipart/byteranges; boundary=" + parts.boundary)
            return Response(parts, 206, (*others, content_type, (b"content-length", b"%d" % parts.length)))
        return Response(File(descriptor, 0, size), 200, version.fields)

    def _list(self, request: Request, segments: list[bytes]) -> Coroutine[Any, Any, Response]:
        async def show() -> Response:
            # Ten thousand entries take a while.
            try:
                page = await self._listings.page(segments, request.base, page_number(request.query))
            except OSError as error:
                raise http_error(error) or error from None
            return Response(page, 200, LISTING_FIELDS)

        return show()


def _open(way: Walk | Way, name: bytes, variants: list[tuple[bytes, bytes]]) -> tuple[int, os.stat_result, bytes]:
    """The file, or the first of its variants that can be opened; and its coding."""
    descriptor, status = way.open(name)
    for coding, beside in variants:
        try:
            variant, variant_status = way.open(beside)
        except OSError:
            continue  # the variant is optional: it is a directory, a link, or gone
        if int(variant_status.st_mtime) >= int(status.st_mtime):
            os.close(descriptor)
            return variant, variant_status, coding
        os.close(variant)
    return descriptor, status, b""


def _redirect(request: Request, segments: list[bytes]) -> Response:
    """To the directory with its slash, so that relative references in its index work (RFC 9110 section 15.4.2).

    The Location is made from the names, not from the request: a path only, which never begins with two slashes.
    """
    path = "".join("/" + quote_from_bytes(segment, safe="") for segment in segments)
    query = f"?{request.query}" if request.query else ""
    location = f"{request.base}{path}/{query}".encode("ascii", "replace")
    return Response(status=301, fields=((b"location", location),))


def _other_method(method: str) -> Response:
    if method == "OPTIONS":
        # RFC 9110 section 9.3.7
        return Response(status=204, fields=(allow(_METHODS),))
    raise not_allowed(method, _METHODS) if method in REGISTERED else not_supported(method)
