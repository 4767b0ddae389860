"""One request, as often as it is sent: to which origin, on what connection, and with how much of its body.

Laws:

- It is tried a few times at most, and part of it is sent twice at most. Whether an error allows another attempt at all
  is the error's to say (UpstreamError.safe).
- Another attempt goes to an origin that was not tried, where there is one; behind a stale connection, on a new one.
- A body that may be too slow for a connection is gathered before the origin is asked (intake.py), and what was gathered
  is kept for the next attempt.
"""

from collections.abc import AsyncIterable, Iterable

from clerestory.handlers.api.messages import Fields, Request
from clerestory.handlers.backends.upstream.call import Call
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.intake import Intake
from clerestory.handlers.backends.upstream.origins import Origins, Site
from clerestory.handlers.backends.upstream.pool import Pool
from clerestory.handlers.backends.upstream.request import CHUNKED, NO_BODY, write_chunk
from clerestory.handlers.backends.upstream.spool import Store
from clerestory.statemachines.loop import Loop

ATTEMPTS = 3
"""Times that it is tried to send one request, at most."""

SENDS = 2
"""Times that part of it is sent, at most."""


class Attempt:
    """One request, as often as it is sent."""

    __slots__ = (
        "_begun",
        "_body",
        "_client",
        "_expects",
        "_framing",
        "_fresh",
        "_intake",
        "_is_clients",
        "_left",
        "_length",
        "_origins",
        "_parts",
        "_sends",
        "_tags",
        "_tried",
        "_upgrade",
    )

    def __init__(
        self,
        origins: Origins,
        method: str,
        target: str,
        fields: Fields,
        body: bytes | AsyncIterable[bytes],
        length: int | None,
        client: str,
        *,
        expects: bool,
        upgrade: bytes,
        begun: bytes,
        tags: Fields,
    ) -> None:
        self._origins = origins
        self._client = client
        self._parts = (method, target, fields)
        self._tags = tags
        self._body = body if isinstance(body, bytes) else b""
        self._framing: int | None = None
        if isinstance(body, bytes):
            self._length = length if length is not None else len(body) or NO_BODY
        else:
            self._length = self._framing = CHUNKED if length is None else length
        self._begun = begun
        self._intake: Intake | None = None
        self._is_clients = isinstance(body, Request)
        self._expects = expects
        self._upgrade = upgrade
        self._tried: tuple[int, ...] = ()
        self._left = ATTEMPTS
        self._sends = SENDS
        self._fresh = False
        """Whether it is to have a new connection: the last one had been closed by the upstream, and others may be."""

    def has_another(self, error: UpstreamError) -> bool:
        """Whether it may be sent once more: elsewhere, or where a connection that was reused had gone stale."""
        self._fresh = error.stale
        if error.sent:
            self._sends -= 1
            if not self._sends:
                return False
        return self._left > 0 and (error.reached or len(set(self._tried)) < len(self._origins.origins))

    def call(self) -> Call:
        """The next attempt; its head is written when it is known whom it goes to."""
        self._left -= 1
        call = Call(
            self._parts[0],
            b"",
            self._framing,
            expects=self._expects,
            upgrade=self._upgrade,
            client=self._client,
            fresh=self._fresh,
        )
        call.intake, self._intake = self._intake, None
        return call

    def keep(self, call: Call) -> None:
        """What was gathered for `call`, and could not be sent, is the next attempt's."""
        self._intake, call.intake = call.intake, None

    def begin(self, call: Call, loop: Loop) -> None:
        """Choose an origin and give it the call, at once or when its body has been gathered."""
        site = self._origins.site(loop)
        if self._framing is not None and call.intake is None:
            store = Store.of(loop)
            most = gathered(self._framing, site.pools, store, is_clients=self._is_clients, expects=self._expects)
            if most:
                self._head(0)  # what is wrong with it is said before anything is gathered
                call.gather(Intake(store, most, lambda: self._send(call, site)))
                if self._begun:
                    call.give(self._begun)
                return
        self._send(call, site)

    def _head(self, index: int) -> bytes:
        method, target, fields = self._parts
        if self._expects and self._framing is not None:
            fields = (*fields, (b"expect", b"100-continue"))
        return self._origins.heads.head(method, target, fields, self._origins.hosts[index], self._length, self._tags)

    def _send(self, call: Call, site: Site) -> None:
        index, pool = site.choose(self._tried)
        self._tried += (index,)
        if call.intake is not None:
            self._take_gathered(call, call.intake)
        if call.framing == CHUNKED and pool.minor == 0:
            detail = "The upstream speaks HTTP/1.0, and takes no body without a Content-Length."
            call.fail(UpstreamError(411, "HTTP/1.0", detail, pool.where, reached=False))
            return
        begun = self._begun
        if begun and call.framing is not None:
            call.begun = call.given = len(begun)
            call.more = call.given != call.framing
            begun = write_chunk(begun) if call.framing == CHUNKED else begun
        call.data = self._head(index) + self._body + begun
        pool.begin(call)

    def _take_gathered(self, call: Call, intake: Intake) -> None:
        """Send what was gathered with the head, where it is in memory; else piece by piece."""
        call.expects = self._expects = False  # the client has been told to send it
        data = intake.spool.whole()
        self._begun = b""
        if intake.is_whole:
            self._length = intake.size
            self._framing = call.framing = None if data is not None else intake.size
            call.more = data is None
        if data is not None:
            call.intake = None
            intake.spool.close()
            if intake.is_whole:
                self._body = data
            else:
                self._begun = data


def gathered(framing: int, pools: Iterable[Pool], store: Store, *, is_clients: bool, expects: bool) -> int:
    """How many bytes of a body are gathered before one of `pools` is asked; 0 where it is streamed.

    A client's short body of known length is gathered, and one in chunks where the upstream is not known to understand
    them (RFC 9112 section 6.1); any, where half of the connections are occupied by bodies that are streamed. With
    `expects` the upstream says first whether it wants the body, unless it would not understand it. What a handler
    produces comes as fast as it likes, and is gathered only where the upstream is known not to understand chunks.
    """
    pools = list(pools)
    if not is_clients:
        return store.most_in_memory if framing == CHUNKED and any(pool.minor == 0 for pool in pools) else 0
    if any(_streamed(pool) * 2 >= pool.bounds.max_connections for pool in pools):
        return store.most_in_memory + store.most_in_file
    if framing == CHUNKED:
        return store.most_in_memory if any(pool.minor != 1 for pool in pools) else 0
    return store.most_in_memory if framing <= store.most_in_memory and not expects else 0


def _streamed(pool: Pool) -> int:
    """How many connections are occupied, or waited for, by a request whose body comes from its client as it is sent."""
    sent = sum(one.call is not None and one.call.framing is not None for one in pool.connections)
    return sent + sum(slot.caller.framing is not None for slot in pool.queue.slots)
