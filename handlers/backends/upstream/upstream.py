"""Asking other HTTP servers: `answer = await upstream.request("GET", "/emails/7")`.

    upstream = Upstream("http://127.0.0.1:9000", "http://127.0.0.1:9001")

    async def show(request: Request) -> Response:
        answer = await upstream.request("GET", "/emails/7")
        return Response(answer.body, answer.status)

An `Upstream` is one service, at one or several origins; which one is asked is chosen anew for each request: the one
with the fewest calls under way, among those that are up. Laws:

- Each wait is an operation that describes itself: `upstream#3 127.0.0.1:9000 AWAITING_RESPONSE <- fd 19 readable`.
- What cannot be answered is an UpstreamError (an HTTPError 502, 503 or 504), which names the cause.
- A request is sent again only where that is safe: nothing of it was sent, or it is idempotent and nothing of it was
  answered; and once at most (RFC 9110 section 9.2.2: a failed automatic retry is not retried).
- Sending again has a budget, so that an upstream that is ill is not killed by its own clients. Where a connection that
  was reused brought not one byte it costs nothing: the upstream had closed it, and has had no work.
- An answer's body is streamed, and left unread it holds its connection: read it, hand it on as a Response's body, or
  `await answer.body.aclose()`.
"""

from collections.abc import AsyncIterable
from typing import Self

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.backends.upstream.attempts import Attempt
from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.call import Call, InterimFields
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.gate import Head
from clerestory.handlers.backends.upstream.origins import Origins, parse_origin
from clerestory.handlers.backends.upstream.probe import Probing
from clerestory.handlers.backends.upstream.step import Step

BUDGET, EARNED = 10.0, 0.2
"""Requests that may be sent again: so many at once, and in the long run one for five that were sent."""


class AnswerBody:
    """The body of an answer, piece by piece as it comes; read once. A reader that is slow slows the upstream."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        call = self._call
        while not (piece := call.take()):
            if call.failure is not None:
                raise call.failure
            if call.ended:
                raise StopAsyncIteration
            if call.wants_source:
                assert call.source is not None
                call.give(await anext(call.source, b""))
            elif not call.has_more:
                await Step(call)
        return piece

    async def aclose(self) -> None:
        """Nothing more of it is wanted: unless it has ended, its connection is closed."""
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
            self.complete = call.whole()

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


class Upstream(Origins):
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
        super().__init__(urls, bounds, probing, authorities)
        self._budget = BUDGET

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
        begun: bytes = b"",
        interim: InterimFields | None = None,
        client: str = "",
        tags: Fields = (),
    ) -> Answer:
        """Send a request, wait for the head of its answer.

        A `body` that is iterated over has `length` bytes, or is sent in chunks; `begun` has been taken from it already.
        Where it is the request that is being answered, its pieces are sent on while the answer comes. With `expects`
        the upstream is asked for 100 before it is sent, with `upgrade` to continue in that protocol. Interim responses
        are passed on where `interim` makes their fields. Host is taken from `fields`, else from the origin. `client` is
        the address of the client for which it is asked: each has a share of the connections, and no more. `tags` are
        further fields, which differ from request to request while `fields` may be the same tuple.
        Raises UpstreamError, and ValueError for a request that is not well-formed.
        """
        if upgrade:
            fields = (*fields, (b"connection", b"upgrade"), (b"upgrade", upgrade))
        attempt = Attempt(
            self, method, target, fields, body, length, client, expects=expects, upgrade=upgrade, begun=begun, tags=tags
        )
        self._budget = min(BUDGET, self._budget + EARNED)
        is_fed = isinstance(body, Request) and not body.body_ended
        source = None if isinstance(body, bytes) else body.__aiter__()
        while True:
            call = attempt.call()
            call.is_fed, call.source, call.interim_fields = is_fed, source, interim
            try:
                await Step(call, attempt.begin)
                if call.answer is None:
                    await _go_on(call)
                return Answer(call)
            except UpstreamError as error:
                if not error.safe or not attempt.has_another(error):
                    raise
                if not error.stale:
                    if self._budget < 1:
                        raise
                    self._budget -= 1
                attempt.keep(call)
            finally:
                if call.answer is None:
                    call.leave()


async def _go_on(call: Call) -> None:
    """Carry a call on that has begun until its answer has."""
    while call.answer is None:
        if call.failure is not None:
            raise call.failure
        if call.wants_source:
            assert call.source is not None
            call.give(await anext(call.source, b""))
        if not call.has_news:
            await Step(call)


__all__ = ["Answer", "AnswerBody", "Bounds", "Probing", "Upstream", "UpstreamError", "parse_origin"]
