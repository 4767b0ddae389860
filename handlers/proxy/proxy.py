"""A reverse proxy: each request is asked anew of an upstream, and its answer is handed on.

Messages are rebuilt, never forwarded as bytes: what goes to the upstream is written from the request that our gate has
admitted, what goes to the client from the answer that the other gate has. So nothing that is read in two ways can pass.

- A body of known length, up to a bound, is gathered before the upstream is asked, so that a slow client occupies no
  connection to it, and the request may be sent again; a longer one, or one in chunks, is streamed, with backpressure.
  What has come of a body is looked at before its head is sent: an upstream never acts on what is refused here.
- An answer's body is streamed, and what a slow client has not taken is buffered. A request and its answer go on at the
  same time, where the upstream answers early. One that breaks off breaks the client's off: it is never ended as if it
  were whole.
- `Expect: 100-continue` is asked of the upstream where the client asks it of us.

- An upgrade to WebSocket goes on, and with the upstream's 101 the connection, or the stream of HTTP/2 that has asked by
  CONNECT, is a tunnel. To nothing else: behind `h2c`, say, the client would be past all that is looked at here.

- The request's id goes to the upstream in `x-request-id`, in the place of what the client has sent there; where that is
  believed, it is the same (server.connection.names).

- Interim responses (1xx) are handed on to clients of HTTP/1.1; 100 is said by the server when it begins to read a body.

Deliberately not here: caching, rewriting of bodies, cookies or locations.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import ClassVar

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import REQUEST_ID, Body, Fields, Request, Response
from clerestory.handlers.api.operations import PIECE_AT_HAND
from clerestory.handlers.backends.upstream.upstream import Answer, Upstream
from clerestory.handlers.proxy.forwarding import Forwarder, Network
from clerestory.handlers.proxy.websocket import ACCEPT, WEBSOCKET, asks_by_upgrade, check, new_key, with_key, without

_PLAIN = frozenset({"GET", "HEAD", "DELETE"})
"""What is asked most, of which nothing but the fields decides how it goes on."""

KEPT, MAX_KEPT = 1024, 4096
"""Tuples of fields that are known, one for each connection that repeats its own; and their bytes at most."""

SECRET = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key", b"x-auth-token"})
"""Fields that are not sent with a TRACE, whose answer shows them to its reader."""

_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""RFC 9110 section 8.6: their Content-Length is said even when it is 0."""


class Known:
    """What is known of requests with the very tuple of fields `given`, from a peer: the fields that go on, whether they
    have come through here before, whether they ask for WebSocket, and whether they tell a length."""

    __slots__ = (
        "authority",
        "client",
        "fields",
        "given",
        "has_length",
        "has_passed",
        "is_plain",
        "minor",
        "peer",
        "upgrades",
    )

    def __init__(self, request: Request, forwarder: Forwarder) -> None:
        self.given = request.fields
        self.peer = request.peer
        self.client = forwarder.client(request)
        self.authority = request.authority
        self.minor = request.minor
        names = {name for name, _ in request.fields}
        self.has_passed = b"via" in names and forwarder.has_passed(request)
        self.fields: Fields = tuple(forwarder.request_fields(request))
        self.upgrades = b"upgrade" in names and asks_by_upgrade(request)
        self.has_length = b"content-length" in names
        self.is_plain = not (self.has_passed or self.upgrades or self.has_length)

    def is_of(self, request: Request) -> bool:
        """Whether `request` is one of them."""
        return (
            self.given is request.fields
            and self.peer == request.peer
            and self.authority == request.authority
            and self.minor == request.minor
        )


class Proxy:
    """The application that asks `upstream`. With `keep_host` the upstream is told the Host that the client asked for,
    else its own. What a peer in `trusted` says of its client is believed. `takes_websockets` as handlers.websocket
    asks: the upstream may."""

    takes_websockets: ClassVar[bool] = True

    def __init__(self, upstream: Upstream, *, trusted: Iterable[Network] = (), keep_host: bool = True) -> None:
        self.upstream = upstream
        self._forwarder = Forwarder(f"clerestory-{secrets.token_hex(4)}", trusted, keep_host=keep_host)
        self._known: dict[int, Known] = {}

    def descriptors(self, limits: Mapping[str, float]) -> int:
        """How many descriptors it may take at most, besides those of its clients."""
        return self.upstream.descriptors(limits)

    async def __call__(self, request: Request) -> Response:
        """Answer `request` with what the upstream answers. Raises HTTPError 413, 502, 503, 504, 508."""
        known = self._known.get(id(request.fields))
        if known is None or not known.is_of(request):
            known = self._learn(request)
        if request.content_length == 0 and known.is_plain and request.method in _PLAIN:
            answer = await self.upstream.request(
                request.method,
                _target(request),
                known.fields,
                interim=self._interim_fields,
                client=known.client,
                tags=_tags(request),
            )
        else:
            asked = await self._ask(request, known)
            if isinstance(asked, Response):
                return asked
            answer = asked
        return self._hand_on(request, answer)

    def _learn(self, request: Request) -> Known:
        """What is to be known of `request`. A connection's next request has the same tuple of fields, if it is the same
        block (server.http.reading): then it is not found out again."""
        known = Known(request, self._forwarder)
        if sum([len(name) + len(value) for name, value in known.given]) <= MAX_KEPT:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[id(known.given)] = known
        return known

    async def _ask(self, request: Request, known: Known) -> Answer | Response:
        """Ask what is not plain, or answer it here."""
        if known.has_passed:
            raise HTTPError(508, "The request has come through here before.")
        fields = known.fields
        if request.method in ("OPTIONS", "TRACE"):
            fields, is_last = _count_down(fields)
            if is_last:
                return _answer_here(request)
        if request.method == "TRACE":
            fields = _for_trace(request, fields)
        target = _target(request)
        length = request.content_length
        if length is not None and length > request.body_limit:
            raise HTTPError(413, f"The body is longer than {request.body_limit} bytes.")
        if request.protocol:
            return await self._connect(request, fields, known.client)
        if length == 0 and known.upgrades and request.method == "GET":
            return await self.upstream.request(
                request.method, target, fields, upgrade=WEBSOCKET, client=known.client, tags=_tags(request)
            )
        if length == 0:
            explicit = request.method in _WITH_CONTENT or known.has_length
            return await self.upstream.request(
                request.method, target, fields, length=0 if explicit else None, client=known.client, tags=_tags(request)
            )
        expects = request.expects_continue
        begun = b"" if expects else await PIECE_AT_HAND
        if request.body_ended:
            return await self.upstream.request(
                request.method,
                target,
                fields,
                begun,
                interim=self._interim_fields,
                client=known.client,
                tags=_tags(request),
            )
        return await self.upstream.request(
            request.method,
            target,
            fields,
            request,
            length=length,
            expects=expects,
            begun=begun,
            client=known.client,
            tags=_tags(request),
            interim=self._interim_fields,
        )

    async def _connect(self, request: Request, fields: Fields, client: str) -> Answer:
        """Ask for the WebSocket that a client of HTTP/2 has asked for (RFC 8441)."""
        key = new_key()
        given = with_key(fields, key)
        answer = await self.upstream.request(
            "GET", _target(request), given, upgrade=WEBSOCKET, client=client, tags=_tags(request)
        )
        await check(answer, key)
        return answer

    def _interim_fields(self, fields: Fields, minor: int) -> Fields:
        return tuple(self._forwarder.answer_fields(fields, minor))

    def _hand_on(self, request: Request, answer: Answer) -> Response:
        head = answer.head
        reason = head.reason if head.reason.isascii() else None
        if answer.complete is not None and request.method != "HEAD" and head.status not in (101, 304):
            kept = head.handed_on
            if kept is None or kept[0] is not self:
                kept = head.handed_on = (self, tuple(self._forwarder.answer_fields(head.fields, head.minor)))
            return Response(answer.complete, head.status, kept[1], reason=reason)
        fields = self._forwarder.answer_fields(answer.fields, head.minor)
        if answer.tunnel is not None:
            return Response(answer.tunnel, 101, without(tuple(fields), ACCEPT) if request.protocol else tuple(fields))
        body: Body = answer.body if answer.complete is None else answer.complete
        length = answer.get(b"content-length")
        if request.method == "HEAD" or answer.status == 304:
            # RFC 9110 sections 8.6 and 9.3.2: the length is that of the body which a GET would have got.
            if length is not None and answer.status != 204:
                fields.append((b"content-length", length))
            elif request.method == "HEAD":
                body = iter(())
        elif length is not None:
            fields.append((b"content-length", length))
        return Response(body, answer.status, tuple(fields), reason=reason)


def _tags(request: Request) -> Fields:
    """The fields that are this request's only: its id."""
    return ((REQUEST_ID, request.id.encode("ascii")),) if request.id else ()


def _target(request: Request) -> str:
    """The target in origin-form, or `*` (RFC 9112 section 3.2): what a mount has taken off is not the upstream's."""
    if request.target == "*" or (request.method == "OPTIONS" and _names_no_path(request)):
        return "*"
    if not request.base and request.target.startswith("/"):
        return request.target
    return f"{request.path}?{request.query}" if "?" in request.target else request.path


def _names_no_path(request: Request) -> bool:
    """RFC 9112 section 3.2.4: `OPTIONS http://a.example` is about the server as a whole."""
    scheme, _, rest = request.target.partition("://")
    return not request.base and bool(rest) and scheme.isalpha() and "/" not in rest and "?" not in rest


def _count_down(fields: Fields) -> tuple[Fields, bool]:
    """RFC 9110 section 7.6.2: Max-Forwards one less, and whether it was 0 and the request is for us."""
    found = [value for name, value in fields if name == b"max-forwards"]
    if len(found) != 1 or not found[0].isdigit() or len(found[0]) > 9:
        return fields, False
    left = int(found[0]) - 1
    rest = [field for field in fields if field[0] != b"max-forwards"]
    return (*rest, (b"max-forwards", b"%d" % max(left, 0))), left < 0


def _for_trace(request: Request, fields: Fields) -> Fields:
    """RFC 9110 section 9.3.8: a TRACE is sent back as it came, so it has no content, and takes no secrets along."""
    if request.content_length != 0:
        raise HTTPError(400, "A TRACE request has no content.")
    return tuple(field for field in fields if field[0] not in SECRET)


def _answer_here(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status=204)
    raise HTTPError(405, "TRACE is not supported here.", ((b"allow", b"OPTIONS"),))
