"""Asking other HTTP servers: `answer = await upstream.request("GET", "/emails/7")`.

    upstream = Upstream("http://127.0.0.1:9000", "http://127.0.0.1:9001")

    async def show(request: Request) -> Response:
        answer = await upstream.request("GET", "/emails/7")
        return Response(answer.body, answer.status)

An `Upstream` is one service, at one or several origins; which one is asked is chosen anew for each request: the one
with the fewest calls under way, among those that are up. Laws:

- Each wait is an operation that describes itself: `upstream#3 127.0.0.1:9000 AWAITING_RESPONSE <- fd 19 readable`.
- What can not be answered is an UpstreamError (an HTTPError 502, 503 or 504), which names the cause.
- A request is sent again only where that is safe: it was not sent, or it is idempotent and nothing of it was answered;
  and only within a budget, so that an upstream that is ill is not killed by its own clients.
- An answer's body is streamed, and left unread it holds its connection: read it, hand it on as a Response's body, or
  `await answer.body.aclose()`.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from handlers.backends.upstream_bounds import Bounds
from handlers.backends.upstream_call import Call, Step, UpstreamError
from handlers.backends.upstream_gate import Head
from handlers.backends.upstream_pool import Pool
from handlers.backends.upstream_probe import Prober, Probing
from handlers.backends.upstream_request import CHUNKED, NO_BODY, HeadWriter
from handlers.backends.upstream_tls import client_context
from handlers.messages import Fields
from statemachines.contract import Loop

BUDGET, EARNED = 10.0, 0.2
"""Requests that may be sent again: so many at once, and in the long run one for five that were sent."""

_is_host = re.compile(r"[A-Za-z0-9\-._~]+|[0-9A-Fa-f:.]+").fullmatch

ATTEMPTS = 3
"""Times that one request is sent, at most."""


class Origin(NamedTuple):
    """Where an upstream is, and whether TLS is spoken with it."""

    host: str
    port: int
    secret: bool


def parse_origin(url: str) -> Origin:
    """What `http://host[:port]` or `https://host[:port]` names. Raises ValueError for anything else."""
    if not url.isprintable():  # urlsplit drops line ends
        raise ValueError(f"{url!r} is no URL")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url}: only http:// and https:// upstreams are asked")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url}: an upstream is http://host:port, and nothing else")
    host = parts.hostname
    if host is None or not _is_host(host):
        raise ValueError(f"{url}: there is no host in it")
    secret = parts.scheme == "https"
    port = parts.port if parts.port is not None else 443 if secret else 80
    return Origin(host, port, secret)


class AnswerBody:
    """The body of an answer, piece by piece as it comes; read once. A reader that is slow slows the upstream."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        call = self._call
        while not call.pieces:
            if call.ended:
                raise StopAsyncIteration
            if call.failure is None:
                call.want()
                if not call.has_more:
                    await Step(call)
            if call.failure is not None and not call.pieces:
                raise call.failure
        return call.pieces.pop(0)

    async def aclose(self) -> None:
        """Nothing more of it is wanted: unless it has ended, its connection is closed."""
        if not self._call.ended:
            self._call.leave()


class Answer:
    """An answer whose head has come. `complete` is its whole body where that is here already, else None. `tunnel` is
    there where the upstream has agreed to the upgrade that was asked for: then there is no body."""

    __slots__ = ("_call", "complete", "fields", "head", "status", "tunnel")

    def __init__(self, call: Call) -> None:
        head = call.answer
        assert head is not None
        self.head: Head = head
        self.status = head.status
        self.fields: Fields = head.fields
        self._call = call
        self.tunnel = call.tunnel
        self.complete: bytes | None = None
        if call.ended:
            self.complete = call.pieces[0] if len(call.pieces) == 1 else b"".join(call.pieces)

    @property
    def body(self) -> AnswerBody:
        """The body, to be read once."""
        return AnswerBody(self._call)

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case)."""
        return self.head.get(name)

    async def read(self) -> bytes:
        """The whole body. It is not bounded here: what is asked should be known."""
        return b"".join([piece async for piece in self.body])


class Site:
    """An upstream's origins as seen from one loop."""

    def __init__(self, upstream: "Upstream", loop: Loop) -> None:
        self.pools = [
            Pool(host, port, loop, upstream.bounds, tls=upstream.tls if secret else None)
            for host, port, secret in upstream.origins
        ]
        if upstream.probing is not None:
            for pool, host in zip(self.pools, upstream.hosts, strict=True):
                Prober(pool, host, upstream.probing).begin()
        self._turn = 0

    def choose(self, tried: tuple[int, ...]) -> tuple[int, Pool]:
        """The pool with the fewest calls among those that are up and were not tried; equal ones take turns."""
        count = len(self.pools)
        if count == 1:
            return 0, self.pools[0]
        self._turn += 1
        order = [(self._turn + step) % count for step in range(count)]
        fresh = [index for index in order if index not in tried] or order
        up = [index for index in fresh if self.pools[index].health.is_up]
        if up:
            index = min(up, key=lambda one: self.pools[one].load)
        else:
            index = min(fresh, key=lambda one: self.pools[one].health.until)
        return index, self.pools[index]


class Upstream:
    """One service, at the origins `urls`; its connections are each loop's own. With `probing` it is asked for its
    health by ourselves.

    `bounds` are the loop's, where they are not given. The certificates of https:// origins are verified: by the
    authorities in the file `authorities`, else by those that the system trusts. Raises ValueError for a URL that is no
    origin, OSError for a file without certificates.
    """

    def __init__(
        self,
        *urls: str,
        bounds: Bounds | None = None,
        probing: Probing | None = None,
        authorities: str | None = None,
    ) -> None:
        if not urls:
            raise ValueError("an upstream has at least one origin")
        self.origins = [parse_origin(url) for url in urls]
        self.hosts = [url.partition("://")[2].rstrip("/").encode("ascii") for url in urls]
        has_tls = any(origin.secret for origin in self.origins)
        self.tls = client_context(authorities) if has_tls else None
        self.bounds = bounds
        self.probing = probing
        self._sites: list[Site] = []
        self._last: tuple[Loop | None, Any] = (None, None)
        self._budget = BUDGET
        self.heads = HeadWriter()

    def site(self, loop: Loop) -> Site:
        """The pools of `loop`."""
        if self._last[0] is loop:
            return self._last[1]  # type: ignore[no-any-return]
        site: Site | None = loop.kept.get(self)
        if site is None:
            site = loop.kept[self] = Site(self, loop)
            self._sites.append(site)
        self._last = (loop, site)
        return site

    async def request(
        self,
        method: str,
        target: str = "/",
        fields: Fields = (),
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        length: int | None = None,
        expects: bool = False,
        upgrade: bytes = b"",
    ) -> Answer:
        """Send a request, wait for the head of its answer.

        A `body` that is iterated over has `length` bytes, or is sent in chunks. With `expects` the upstream is asked
        for 100 before it is sent, with `upgrade` to go on in that protocol. Host is taken from `fields`, else from the
        origin. Raises UpstreamError, and ValueError for a request that is not well-formed.
        """
        if upgrade:
            fields = (*fields, (b"connection", b"upgrade"), (b"upgrade", upgrade))
        attempt = _Attempt(self, method, target, fields, body, length, expects=expects, upgrade=upgrade)
        self._budget = min(BUDGET, self._budget + EARNED)
        pieces = None if isinstance(body, bytes) else body.__aiter__()
        while True:
            call = attempt.call()
            try:
                await Step(call, attempt.begin)
                if call.answer is None:
                    await _go_on(call, pieces)
                return Answer(call)
            except UpstreamError as error:
                if not error.safe or not attempt.has_another(error) or self._budget < 1:
                    raise
                self._budget -= 1
            finally:
                if call.answer is None:
                    call.leave()

    def close(self) -> None:
        """Keep no connection any more."""
        for site in self._sites:
            for pool in site.pools:
                pool.close()


class _Attempt:
    """One request, as often as it is sent."""

    __slots__ = ("_body", "_expects", "_framing", "_left", "_length", "_parts", "_tried", "_upgrade", "_upstream")

    def __init__(
        self,
        upstream: Upstream,
        method: str,
        target: str,
        fields: Fields,
        body: bytes | AsyncIterable[bytes],
        length: int | None,
        *,
        expects: bool,
        upgrade: bytes,
    ) -> None:
        self._upstream = upstream
        self._parts = (method, target, fields)
        self._body = body if isinstance(body, bytes) else b""
        self._framing: int | None = None
        if isinstance(body, bytes):
            self._length = length if length is not None else len(body) or NO_BODY
        else:
            self._length = self._framing = CHUNKED if length is None else length
        self._expects = expects
        self._upgrade = upgrade
        self._tried: tuple[int, ...] = ()
        self._left = ATTEMPTS

    def has_another(self, error: UpstreamError) -> bool:
        """Whether it may be sent once more: elsewhere, or where a connection that was reused had gone stale."""
        return self._left > 0 and (error.reached or len(set(self._tried)) < len(self._upstream.origins))

    def call(self) -> Call:
        """The next attempt; its head is written when it is known whom it goes to."""
        self._left -= 1
        return Call(self._parts[0], b"", self._framing, expects=self._expects, upgrade=self._upgrade)

    def begin(self, call: Call, loop: Loop) -> None:
        """Choose an origin and give it the call."""
        site = self._upstream.site(loop)
        index, pool = site.choose(self._tried)
        self._tried += (index,)
        upstream = self._upstream
        call.data = upstream.heads.head(*self._parts, upstream.hosts[index], self._length) + self._body
        pool.begin(call)


async def _go_on(call: Call, pieces: AsyncIterator[bytes] | None) -> None:
    """Carry a call on that has begun until its answer has."""
    while call.answer is None:
        if call.failure is not None:
            raise call.failure
        if call.wanted:
            assert pieces is not None
            call.give(await anext(pieces, b""))
        if not call.has_news:
            await Step(call)


__all__ = ["Answer", "AnswerBody", "Bounds", "Probing", "Upstream", "UpstreamError", "parse_origin"]
