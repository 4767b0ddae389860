"""A call: one request to one upstream, from the side of whoever asks.

The connection's machine notes facts in the call and *tells* it; the asker's coroutine looks at the facts, and awaits a
`Step` when there are none yet. Laws:

- Facts first: `wanted`, `answer`, `pieces`, `ended`, `failure` are set before anybody is told.
- Whoever tells does so as the last thing it does, for the asker goes on at once, and may use the same connection again.
- A call is left once, in whatever state it is; then its connection, if it has one, is closed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from handlers.backends.resolver import Address
from handlers.backends.upstream_gate import Head
from handlers.backends.upstream_request import CHUNKED, LAST_CHUNK, write_chunk
from handlers.errors import HTTPError
from handlers.operations import Executor, Operation
from handlers.tunnel import Tunnel
from statemachines.contract import Loop
from statemachines.upstream import Trigger as T

if TYPE_CHECKING:
    from handlers.backends.slot import Slot
    from handlers.backends.upstream_connection import UpstreamConnection
    from handlers.backends.upstream_pool import Pool

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2: what may be sent again when nobody knows whether it was done."""

RETRY_AFTER = (b"retry-after", b"1")


class UpstreamError(HTTPError):
    """There is no answer, or no more of it: 502, 503 or 504.

    `cause` is one word or two for operators, `where` the upstream; `safe` says that the same request may be sent again,
    and `reached` whether the upstream had been connected to.
    """

    def __init__(
        self, status: int, cause: str, detail: str, where: str = "", *, safe: bool = False, reached: bool = True
    ) -> None:
        super().__init__(status, detail, (RETRY_AFTER,) if status == 503 else ())
        self.cause = cause
        self.where = where
        self.safe = safe
        self.reached = reached

    def __str__(self) -> str:
        return f"{self.status} {self.where} {self.cause}: {self.detail}"


class Call:
    """One request to one upstream. `data` is its head, and its body where that is there as a whole.

    `framing` is the length of a body that is handed over piece by piece, CHUNKED, or None where there is none; `more`
    says that pieces of it are still to come. `upgrade` is the protocol that is asked for, if one is; `tunnel` is there
    when the upstream has agreed to it.
    """

    __slots__ = (
        "addresses",
        "answer",
        "connection",
        "data",
        "ended",
        "executor",
        "expects",
        "failure",
        "framing",
        "given",
        "left",
        "method",
        "more",
        "pieces",
        "pool",
        "slot",
        "step",
        "tunnel",
        "upgrade",
        "wanted",
    )

    def __init__(
        self, method: str, data: bytes, framing: int | None = None, *, expects: bool = False, upgrade: bytes = b""
    ) -> None:
        self.method = method
        self.data = data
        self.framing = framing
        self.more = framing is not None
        self.expects = expects and self.more
        self.upgrade = upgrade
        self.tunnel: Tunnel | None = None
        self.given = 0
        """Bytes of the body handed over so far."""
        self.wanted = False
        """The upstream takes the next piece of the body."""
        self.answer: Head | None = None
        self.pieces: list[bytes] = []
        self.ended = False
        self.failure: UpstreamError | None = None
        self.left = False
        self.pool: Pool | None = None
        self.connection: UpstreamConnection | None = None
        self.addresses: list[Address] = []
        """Where it has not been tried yet."""
        self.slot: Slot[Call] | None = None
        """Where it waits for a connection."""
        self.step: Step | None = None
        self.executor: Executor | None = None

    # --- from the side of the connection

    def tell(self) -> None:
        """Let the asker, if it waits, go on with the facts. The last thing that is done in a passage."""
        step, self.step = self.step, None
        if step is not None:
            assert self.executor is not None
            self.executor.finished(step)

    def fail(self, error: UpstreamError) -> None:
        """Note why there will be no answer, and tell."""
        self.connection = None
        self.failure = error
        self.tell()

    def may_be_repeated(self, *, sent: int, received: int) -> bool:
        """Whether the request may be sent again, when `sent` bytes of it and `received` of its answer have passed."""
        if self.given or received:
            return False
        return not sent or self.method in IDEMPOTENT

    # --- from the side of the asker

    @property
    def has_news(self) -> bool:
        """Whether there is a fact that the asker can go on with."""
        return self.wanted or self.failure is not None or self.answer is not None

    @property
    def has_more(self) -> bool:
        """Whether there is a fact that the reader of the answer's body can go on with."""
        return bool(self.pieces) or self.ended or self.failure is not None

    def give(self, piece: bytes) -> None:
        """Hand over the next piece of the body, b"" for its end. Raises ValueError when its length is not as said."""
        self.wanted = False
        self.given += len(piece)
        length = self.framing
        assert length is not None
        if length == CHUNKED:
            data = write_chunk(piece) if piece else LAST_CHUNK
        else:
            data = piece
            if self.given > length or (not piece and self.given < length):
                self.leave()
                raise ValueError(f"the body has {self.given} bytes so far, its length was to be {length}")
        self.more = bool(piece) and self.given != length
        connection = self.connection
        if connection is not None and connection.accepts(T.PIECE_GIVEN):
            connection.output = data
            connection.loop.fire(connection, T.PIECE_GIVEN)

    def want(self) -> None:
        """Ask for the next piece of the answer's body."""
        connection = self.connection
        if connection is not None and connection.accepts(T.PIECE_WANTED):
            connection.loop.fire(connection, T.PIECE_WANTED)

    def leave(self) -> None:
        """Give up: nobody wants the answer any more."""
        if self.left:
            return
        self.left = True
        self.step = None
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.loop.fire(connection, T.ASKER_LEFT)
        elif self.slot is not None:
            self.slot.leave()

    def describe(self) -> str:
        """On what this call waits."""
        waits_on = self.connection or self.slot or self.pool
        return waits_on.describe() if waits_on is not None else "upstream"


class Step(Operation):
    """Waiting until there is news of a call. The first one begins it, by `begin`, on the executor's loop."""

    __slots__ = ("_begin", "_call")

    def __init__(self, call: Call, begin: Callable[[Call, Loop], None] | None = None) -> None:
        self._call = call
        self._begin = begin

    def start(self, executor: Executor) -> None:
        call = self._call
        call.executor = executor
        if self._begin is not None:
            self._begin(call, executor.loop)
        call.step = self
        if self._begin is not None and call.has_news:
            executor.loop.call_from_thread(self._tell)  # an operation never ends before `start` has returned

    def _tell(self) -> None:
        if self._call.step is self:
            self._call.tell()

    def cancel(self) -> None:
        self._call.leave()

    def describe(self) -> str:
        return self._call.describe()
