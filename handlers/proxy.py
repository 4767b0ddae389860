"""A reverse proxy: each request is asked anew of an upstream, and its answer is handed on.

Messages are rebuilt, never forwarded as bytes: what goes to the upstream is written from the request that our gate has
admitted, what goes to the client from the answer that the other gate has. So nothing that is read in two ways can pass.

- A small body of known length is read before the upstream is asked, so that a slow client keeps no connection of it
  busy, and the request may be sent again; a larger one, or one in chunks, is streamed, with backpressure.
- An answer's body is streamed. One that breaks off breaks the client's off: it is never ended as if it were whole.
- `Expect: 100-continue` is asked of the upstream where the client asks it of us.

- An upgrade to WebSocket goes on, and with the upstream's 101 the connection is a tunnel. To nothing else: behind
  `h2c`, say, whoever asks would be past everything that is looked at here.

Deliberately not here: caching, rewriting of bodies, cookies or locations; 1xx answers other than 100 are not handed on.
"""

import secrets
from collections.abc import Iterable

from handlers.backends.upstream import Answer, Upstream
from handlers.errors import HTTPError
from handlers.forwarding import Forwarder, Network
from handlers.grammar import members
from handlers.messages import Body, Field, Request, Response

BUFFERED = 64 * 1024
"""Bytes of a request's body that are read before the upstream is asked: what one readiness event brings."""

WEBSOCKET = b"websocket"

_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
"""RFC 9110 section 8.6: their Content-Length is said even when it is 0."""


class Proxy:
    """The application that asks `upstream`. With `keep_host` the upstream is told the Host that the client asked for,
    else its own. What a peer in `trusted` says of its client is believed."""

    def __init__(self, upstream: Upstream, *, trusted: Iterable[Network] = (), keep_host: bool = True) -> None:
        self.upstream = upstream
        self._forwarder = Forwarder(f"clerestory-{secrets.token_hex(4)}", trusted, keep_host=keep_host)

    async def __call__(self, request: Request) -> Response:
        """Answer `request` with what the upstream answers. Raises HTTPError 413, 502, 503, 504, 508."""
        if self._forwarder.has_passed(request):
            raise HTTPError(508, "The request has come through here before.")
        fields = self._forwarder.request_fields(request)
        if request.method in ("OPTIONS", "TRACE"):
            fields, is_last = _count_down(fields)
            if is_last:
                return _answer_here(request)
        target = _target(request)
        length = request.content_length
        if length is not None and length > request.body_limit:
            raise HTTPError(413, f"The body is longer than {request.body_limit} bytes.")
        if length == 0 and _asks_for_websocket(request):
            answer = await self.upstream.request(request.method, target, tuple(fields), upgrade=WEBSOCKET)
        elif length == 0:
            explicit = request.method in _WITH_CONTENT or request.get(b"content-length") is not None
            answer = await self.upstream.request(request.method, target, tuple(fields), length=0 if explicit else None)
        elif length is not None and length <= BUFFERED and not request.expects_continue:
            body = await request.read()
            answer = await self.upstream.request(request.method, target, tuple(fields), body)
        else:
            expects = request.expects_continue
            if expects:
                fields.append((b"expect", b"100-continue"))
            answer = await self.upstream.request(
                request.method, target, tuple(fields), request, length=length, expects=expects
            )
        return self._hand_on(request, answer)

    def _hand_on(self, request: Request, answer: Answer) -> Response:
        fields = self._forwarder.answer_fields(answer.fields, answer.head.minor)
        if answer.tunnel is not None:
            return Response(answer.tunnel, 101, tuple(fields))
        body: Body = answer.body if answer.complete is None else answer.complete
        length = answer.get(b"content-length")
        if request.method == "HEAD" or answer.status == 304:
            # RFC 9110 sections 8.6 and 9.3.2: the length is that of the body which a GET would have got.
            if length is not None and answer.status != 204:
                fields.append((b"content-length", length))
            elif request.method == "HEAD":
                body = iter(())
        elif length is not None and answer.complete is None:
            fields.append((b"content-length", length))
        reason = answer.head.reason
        return Response(body, answer.status, tuple(fields), reason=reason if reason.isascii() else None)


def _asks_for_websocket(request: Request) -> bool:
    """RFC 6455 section 4.1, RFC 9110 section 7.8: the protocol in Upgrade, and Upgrade in Connection."""
    upgrade = request.get(b"upgrade")
    return (
        upgrade is not None
        and upgrade.lower() == WEBSOCKET
        and request.method == "GET"
        and request.minor == 1
        and b"upgrade" in members(request.get(b"connection") or b"")
    )


def _target(request: Request) -> str:
    """The target in origin-form, or `*` (RFC 9112 section 3.2): what a mount has taken off is not the upstream's."""
    if request.target == "*":
        return "*"
    if not request.base and request.target.startswith("/"):
        return request.target
    return f"{request.path}?{request.query}" if "?" in request.target else request.path


def _count_down(fields: list[Field]) -> tuple[list[Field], bool]:
    """RFC 9110 section 7.6.2: Max-Forwards one less, and whether it was 0 and the request is for us."""
    found = [value for name, value in fields if name == b"max-forwards"]
    if len(found) != 1 or not found[0].isdigit() or len(found[0]) > 9:
        return fields, False
    left = int(found[0]) - 1
    rest = [field for field in fields if field[0] != b"max-forwards"]
    return [*rest, (b"max-forwards", b"%d" % max(left, 0))], left < 0


def _answer_here(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status=204)
    raise HTTPError(405, "TRACE ends here, and nothing is told of it.", ((b"allow", b"OPTIONS"),))
