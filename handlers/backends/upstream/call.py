"""A call: one request to one upstream, from the side of the caller.

The connection's machine notes facts in the call and *tells* it; the caller's coroutine looks at the facts, and awaits a
`Step` when there are none yet. Laws:

- Facts first: `wanted`, `answer`, `pieces`, `ended`, `failure` are set before anybody is told.
- The request is handed over and the answer is taken independently of each other: neither waits for the other here.
- Who is told goes on when the walk that is under way has ended (`Loop.tell`), and may use the same connection again.
- A call is left once, in whatever state it is; then its connection, if it has one, is closed.
"""

import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable

from clerestory.handlers.api.messages import Fields
from clerestory.handlers.api.operations import Executor, Operation, Relay, relay_of
from clerestory.handlers.backends.pool.resolver import Address
from clerestory.handlers.backends.pool.slot import Slot
from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.errors import IDEMPOTENT, UpstreamError
from clerestory.handlers.backends.upstream.gate import Head, Reader
from clerestory.handlers.backends.upstream.health import Health
from clerestory.handlers.backends.upstream.intake import Intake
from clerestory.handlers.backends.upstream.request import CHUNKED, LAST_CHUNK, write_chunk
from clerestory.handlers.backends.upstream.spool import Spool, Store
from clerestory.handlers.backends.upstream.trust import Trust
from clerestory.handlers.proxy.tunnel import Tunnel
from clerestory.statemachines.engine import Engine, Machine, Node
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.upstream import Trigger as T

InterimFields = Callable[[Fields, int], Fields]
"""Makes of the fields of an interim response, and its minor version, those that are handed on."""


class Connections(ABC):
    """The connections to the upstream `where`, as their calls and each of them know them: the pool.

    `minor` is the minor version of HTTP of the upstream's last answer; None before that. `unspent` and `paces` are by
    state: no seconds; seconds without progress, bytes a second and seconds of grace.
    """

    loop: Loop
    bounds: Bounds
    host: str
    where: str
    tls: ssl.SSLContext | None
    engine: Engine
    unspent: list[float]
    paces: list[tuple[float, int, float]]
    sending: Node
    holding: Node
    reading: Node
    reader: Reader
    minor: int | None
    health: Health
    trust: Trust

    @abstractmethod
    def describe(self) -> str:
        """What a call waits for that has neither a connection nor a place in the queue."""

    @abstractmethod
    def is_wanted(self) -> bool:
        """Whether somebody waits for a connection."""

    @abstractmethod
    def keeps(self, connection: "Carrier") -> bool:
        """Whether a connection whose exchange was exact may be used again."""

    @abstractmethod
    def next_for(self, connection: "Carrier", client: str) -> bool:
        """Give the idle `connection`, which `client` had, to the next call, or keep it. Whether there was one."""

    @abstractmethod
    def take_back(self, call: "Call") -> None:
        """`call` was given a connection that is not usable: it is the first to have the next one."""

    @abstractmethod
    def try_next(self, call: "Call", error: UpstreamError) -> bool:
        """Try the next address of `call` after one did not connect. False when there is nothing to try."""

    @abstractmethod
    def note_failure(self, error: UpstreamError) -> None:
        """The upstream was not reached, or gave no answer."""

    @abstractmethod
    def lend(self, connection: "Carrier") -> None:
        """A connection has become a tunnel: it gives its slot back."""

    @abstractmethod
    def set_aside(self, connection: "Carrier") -> None:
        """The answer on `connection` is a stream: it gives its slot back, if there may be one more of that client."""

    @abstractmethod
    def gone(self, connection: "Carrier") -> None:
        """A connection has ended: it gives its slot to the first call that waits."""


class Carrier(Machine, ABC):
    """A connection to an upstream, as its call and its pool know it: `call` is what it is used for, `served` how many
    exchanges were begun on it, `output` what is sent next."""

    __slots__ = ("call", "loop", "output", "pool", "served")

    def __init__(self, pool: Connections, descriptor: int) -> None:
        super().__init__(pool.engine, descriptor)
        self.pool = pool
        self.loop = pool.loop
        self.call: Call | None = None
        self.output: bytes | memoryview = b""
        self.served = 0

    @abstractmethod
    def describe(self) -> str:
        """For an operator: `upstream#3 127.0.0.1:9000 AWAITING_RESPONSE <- fd 19 readable`."""

    @abstractmethod
    def note_taken(self) -> None:
        """The caller has taken a piece of the answer's body: that is progress, and makes room."""

    @abstractmethod
    def has_ended_input(self) -> bool:
        """Whether the upstream has said its last, as TLS does within a connection."""


class Call:
    """One request to one upstream. `data` is its head, and its body where that is there as a whole.

    `framing` is the length of a body that is handed over piece by piece, CHUNKED, or None where there is none; `more`
    says that pieces of it are still to come. Where `is_fed`, they are those of the request which the executor answers,
    and which it reads for this call (its Feed); else the caller gives them. `upgrade` is the protocol that is asked
    for, if one is; `tunnel` is there when the upstream has agreed to it. `client` is the address of its client, "" for
    our own; `apart` says that it has a connection beside those of the pool, `fresh` a new one where there is room.
    """

    __slots__ = (
        "addresses",
        "answer",
        "apart",
        "begun",
        "client",
        "connection",
        "data",
        "doubted",
        "ended",
        "executor",
        "expects",
        "failure",
        "framing",
        "fresh",
        "given",
        "in_queue",
        "intake",
        "interim_fields",
        "is_fed",
        "left",
        "method",
        "more",
        "pieces",
        "pool",
        "relay",
        "slot",
        "source",
        "spool",
        "step",
        "stopped",
        "tunnel",
        "upgrade",
        "wanted",
    )

    def __init__(
        self,
        method: str,
        data: bytes,
        framing: int | None = None,
        *,
        expects: bool = False,
        upgrade: bytes = b"",
        client: str = "",
        apart: bool = False,
        fresh: bool = False,
    ) -> None:
        self.method = method
        self.data = data
        self.framing = framing
        self.more = framing is not None
        self.expects = expects and self.more
        self.upgrade = upgrade
        self.client = client
        self.apart = apart
        self.fresh = fresh
        self.tunnel: Tunnel | None = None
        self.begun = self.given = 0  # bytes of the body that are in `data`, and that are handed over, with these
        self.intake: Intake | None = None
        """What is gathered of the body, before the upstream is asked and until it has been sent."""
        self.wanted = False  # the upstream takes the next piece of the body, or the intake does
        self.stopped = False  # the upstream takes no more of it, though there was more
        self.is_fed = False
        self.source: AsyncIterator[bytes] | None = None  # of the body's pieces, if the caller gives them
        self.interim_fields: InterimFields | None = None
        """What makes of an interim response's fields those that are handed on; None where it is not handed on."""
        self.answer: Head | None = None
        self.pieces: list[bytes] = []
        """The pieces of the answer's body that came first, and were not taken."""
        self.spool: Spool | None = None
        """What came behind them."""
        self.ended = False
        self.failure: UpstreamError | None = None
        self.left = False
        self.pool: Connections | None = None
        self.connection: Carrier | None = None
        self.addresses: list[Address] = []
        """Where it has not been tried yet."""
        self.doubted = False  # none of them was reached, and the name was looked up again for it
        self.slot: Slot[Call] | None = None
        """Where it waits for a connection."""
        self.in_queue = 0.0  # seconds that it has waited there, and that nobody has been told of
        self.step: Operation | None = None
        self.executor: Executor | None = None
        self.relay: Relay | None = None  # the executor, where it feeds the call

    # --- from the side of the connection

    def tell(self) -> None:
        """Let the caller, if it waits, go on with the facts."""
        step, self.step = self.step, None
        if step is not None:
            assert self.executor is not None
            self.executor.finished(step)

    def ask(self) -> None:
        """The upstream takes the next piece of the request's body."""
        self.expects = False
        pool, intake = self.pool, self.intake
        if intake is not None and intake.spool:
            assert pool is not None
            pool.loop.call_from_thread(self._give_gathered)  # others have their turn between two pieces
            return
        self.wanted = True
        if self.is_fed and self.relay is not None:
            self.relay.feed_wants(self)
        else:
            self.tell()

    def fail(self, error: UpstreamError) -> None:
        """Note why there will be no answer, and tell."""
        self.connection = None
        self.failure = error
        self.tell()

    def take_in(self, piece: bytes) -> None:
        """Keep a piece of the answer's body until the caller takes it. The first is one read, and is not counted."""
        if self.spool is None:
            if not self.pieces or self.pool is None:
                self.pieces.append(piece)
                return
            self.spool = Spool(Store.of(self.pool.loop))
        self.spool.put(piece)

    @property
    def has_room(self) -> bool:
        """Whether there is room for a further piece."""
        if self.spool is not None:
            return self.spool.has_room
        return not self.pieces or (self.pool is not None and Store.of(self.pool.loop).has_room(0, 0))

    @property
    def held(self) -> int:
        """Bytes of the answer's body that were not taken."""
        spool = self.spool
        return sum(map(len, self.pieces)) + (spool.in_memory + spool.in_file if spool is not None else 0)

    def pass_interim(self, head: Head) -> None:
        """Hand an interim response on."""
        relay = relay_of(self.executor)
        if self.interim_fields is not None and relay is not None:
            reason = head.reason if head.reason.isascii() else ""
            relay.interim(head.status, reason, self.interim_fields(head.fields, head.minor))

    def may_be_repeated(self, *, sent: int, received: int) -> bool:
        """Whether the request may be sent again, when `sent` bytes of it and `received` of its answer have passed."""
        return self.given <= self.begun and not received and (not sent or self.method in IDEMPOTENT)

    # --- from the side of the caller

    @property
    def has_news(self) -> bool:
        """Whether there is a fact that the caller can go on with."""
        return self.failure is not None or self.answer is not None or (self.wanted and not self.is_fed)

    @property
    def is_over(self) -> bool:
        """Whether it holds no connection any more, and waits for none; that of a tunnel is the tunnel's, once a client
        has joined it."""
        joined = self.tunnel is not None and self.tunnel.near is not None
        return self.ended or self.left or joined or self.failure is not None

    @property
    def has_more(self) -> bool:
        """Whether there is a fact that the reader of the answer's body can go on with."""
        return bool(self.pieces) or self.ended or self.failure is not None or bool(self.spool) or self.wants_source

    @property
    def wants_source(self) -> bool:
        """Whether the caller can give the next piece of the request's body."""
        return self.wanted and not self.is_fed and self.source is not None

    @property
    def wants(self) -> bool:
        """As Feed.wants."""
        return self.wanted and not self.has_stopped

    @property
    def has_stopped(self) -> bool:
        """As Feed.has_stopped: no more of the request is sent."""
        return self.stopped or self.ended or self.left or self.failure is not None

    def give(self, piece: bytes, *, last: bool = False) -> None:
        """Hand over the next piece of the body, which ends with `last`, or with b"". Raises ValueError when its length
        is not as said."""
        self.wanted = False
        intake = self.intake
        if self.has_stopped:
            return
        if intake is not None and intake.is_open:
            intake.put(piece, last=last or not piece)
            self.wanted = self.intake is not None and self.intake.is_open
        else:
            self._hand_over(piece, last=last or not piece)

    def _hand_over(self, piece: bytes, *, last: bool) -> None:
        self.given += len(piece)
        length = self.framing
        assert length is not None
        if length == CHUNKED:
            data = (write_chunk(piece) if piece else b"") + (LAST_CHUNK if last else b"")
        else:
            data = piece
            if self.given > length or (last and self.given < length):
                self.leave()
                raise ValueError(f"the body has {self.given} bytes so far, its length was to be {length}")
        self.more = not last and self.given != length
        connection = self.connection
        if connection is not None and connection.accepts(T.PIECE_GIVEN):
            connection.output = data
            connection.loop.tell(connection, T.PIECE_GIVEN, self)

    def gather(self, intake: Intake) -> None:
        """Gather the body before the upstream is asked."""
        self.intake = intake
        self.wanted = True

    def _give_gathered(self) -> None:
        """Hand over what was gathered, a piece at a time."""
        intake = self.intake
        if intake is not None and not self.has_stopped:
            piece = intake.spool.take()
            self._hand_over(piece, last=intake.is_whole and not intake.spool)

    def take(self) -> bytes:
        """The next piece of the answer's body that is there; b"" where there is none."""
        piece = self.pieces.pop(0) if self.pieces else self.spool.take() if self.spool is not None else b""
        if piece and self.connection is not None:
            self.connection.note_taken()
        return piece

    def whole(self) -> bytes | None:
        """All of the answer's body, where it has ended and is in memory."""
        if not self.ended:
            return None
        if self.spool is not None:
            rest = self.spool.whole()
            return None if rest is None else b"".join((*self.pieces, rest))
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def leave(self) -> None:
        """Give up: nobody wants the answer any more."""
        if self.spool is not None:
            self.spool.close()
        if self.intake is not None:
            self.intake.spool.close()
        if self.left:
            return
        self.left = True
        self.step = None
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.loop.tell(connection, T.CALLER_LEFT, self)
        elif self.slot is not None:
            self.slot.leave()

    def describe(self) -> str:
        """On what this call waits."""
        if self.intake is not None and self.intake.is_open:
            return self.intake.describe()
        waits_on = self.connection or self.slot or self.pool
        return waits_on.describe() if waits_on is not None else "upstream"
