"""The connections to one upstream, on one loop: how many there may be, who waits for one, and which are idle.

Laws:

- At most `max_connections` are open. Calls that find none wait: bounded in number, in bytes and in time. Each of these
  is a machine with a deadline (statemachines.slot); a call that finds an idle connection, or room for one, has none.
- One client has a share of the connections and no more, and clients that wait take turns (handlers.backends.pool.slot).
- An answer that goes on and on leaves the pool as a tunnel does: `max_streams` of them do not keep the others waiting.
- The connection that was used last is used first, so that those that are not needed grow old and are closed.
- A connection that has become a tunnel has left the pool; at most `max_tunnels` are there.
- A connection is used again while the upstream is trusted (trust.py). It is looked at directly before a request is sent
  on it: whatever has come by then rules it out (look.py), and another one has the request.
- How many are open is counted from the connections themselves.
"""

import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress

from clerestory.handlers.backends.pool.resolver import Resolver
from clerestory.handlers.backends.pool.slot import Queue
from clerestory.handlers.backends.upstream.bounds import Bounds
from clerestory.handlers.backends.upstream.call import Call, Carrier, Connections
from clerestory.handlers.backends.upstream.connection import LONG, UpstreamConnection
from clerestory.handlers.backends.upstream.errors import UpstreamError
from clerestory.handlers.backends.upstream.gate import Reader
from clerestory.handlers.backends.upstream.health import Health
from clerestory.handlers.backends.upstream.trust import Trust
from clerestory.statemachines import slot, upstream
from clerestory.statemachines.contract import Deadline
from clerestory.statemachines.engine import Engine
from clerestory.statemachines.loop import Loop
from clerestory.statemachines.slot import Trigger as SlotTrigger
from clerestory.statemachines.upstream import State as S
from clerestory.statemachines.upstream import Trigger as T

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

LOOK_AGAIN = 0.1
"""Seconds after which streams are looked for again; each look goes through all connections."""

_REQUEST_GIVEN = T.REQUEST_GIVEN


class Pool(Connections):
    """The connections to the upstream at `host` and `port`; by TLS where it is given what verifies it."""

    def __init__(
        self,
        host: str,
        port: int,
        loop: Loop,
        bounds: Bounds | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.loop = loop
        self.bounds = bounds or Bounds.of(loop.limits)
        self.share = self.bounds.share_of(self.bounds.max_connections)  # of one client
        self.host = host
        self.tls = tls
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.engine = Engine(upstream.TABLE, UpstreamConnection, loop.clock, loop.limits, loop.dispatch)
        self.unspent = [0.0] * len(self.engine.nodes)
        limits = {**loop.limits, slot.CONNECTION.option: self.bounds.slot_timeout}
        self.paces = [_pace(node.deadline, limits) for node in self.engine.nodes]
        """For each state: seconds without progress, bytes a second, seconds of grace."""
        nodes = {node.state: node for node in self.engine.nodes}
        self.sending, self.holding, self.reading = (
            nodes[state] for state in (S.SENDING_REQUEST, S.HOLDING_BODY, S.READING_BODY)
        )
        self.trust = Trust(self.where, loop, self.bounds, self._close_idle)
        self.reader = Reader()
        self.minor: int | None = None
        """The minor version of HTTP that the upstream's last answer was in; None before that."""
        self.health = Health(self.where, loop)
        self.resolver = resolver or Resolver(host, port, loop)
        self.connections: set[Carrier] = set()
        self.idle: list[Carrier] = []
        self.tunnels: set[Carrier] = set()
        self.streams: set[Carrier] = set()
        self.probes: set[Carrier] = set()
        self.returned: list[Call] = []
        """Calls whose connection could not be used; empty between two steps of the loop."""
        self.queue: Queue[Call] = Queue(self, self.where, slot.UPSTREAM, loop, limits)
        self._lost: UpstreamError | None = None
        self._looked = float("-inf")  # when streams were looked for
        self.is_closed = False
        self.on_close: list[Callable[[], None]] = []

    @property
    def is_up(self) -> bool:
        """Whether it may be asked now: by one request only where that is to find out."""
        health = self.health
        return health.is_up and not (health.is_tried and len(self.connections) - len(self.idle) + len(self.queue.slots))

    @property
    def load(self) -> int:
        """How many calls are under way or wait."""
        busy = len(self.connections) - len(self.idle) + len(self.tunnels) + len(self.streams)
        return busy + len(self.queue.slots)

    def describe(self) -> str:
        """As Connections.describe."""
        return f"upstream {self.where}"

    # --- a call comes

    def begin(self, call: Call) -> None:
        """Send `call` on an idle connection, or a new one, or let it wait for one."""
        call.pool = self
        if call.upgrade and not self._has_room_for_a_tunnel():
            call.fail(self._busy("Too many connections to the upstream are already tunnels."))
            return
        if self.queue.slots:
            self._fill()  # a slot that a tunnel has just given back is for the call that waits first
        if call.client in self.queue.lines:
            self._make_room()
        elif self._may_have(call.client):
            if self._reuse(call):
                return
            if (self._has_room() or self._make_room()) and self._connect(call):
                return
        self._let_wait(call)

    def probe(self, call: Call) -> None:
        """Ask on a connection of its own. Fails where the name is not known yet: it is being looked up."""
        call.pool = self
        if not self._connect(call):
            call.fail(UpstreamError(502, "name", "The upstream's name is being looked up.", self.where, reached=False))

    def _let_wait(self, call: Call) -> None:
        queue, bounds, size = self.queue, self.bounds, len(call.data)
        if len(queue.slots) < bounds.max_waiting and queue.held + size <= bounds.max_waiting_bytes:
            queue.join(call, call.client, size)
        else:
            call.fail(self._busy("Too many requests wait for the upstream."))

    def _reuse(self, call: Call) -> bool:
        """Send `call` on the connection that was used last; whether there is one that is idle."""
        if not self.idle or (call.fresh and self._has_room()):
            return False
        connection = self.idle.pop()
        self._use(connection, call)
        self.loop.tell(connection, _REQUEST_GIVEN, call)
        return True

    def take_back(self, call: Call) -> None:
        """As Connections.take_back."""
        self.returned.append(call)

    def next_for(self, connection: Carrier, client: str) -> bool:
        """As Connections.next_for."""
        call = self._next(client)
        if call is None:
            self.idle.append(connection)
            return False
        self._use(connection, call)
        return True

    def _use(self, connection: Carrier, call: Call) -> None:
        connection.call, call.connection = call, connection

    def _next(self, giver: str = "") -> Call | None:
        """The call that is to have what has become free: what `giver` has given back it may have again."""
        if len(self.connections) - len(self.idle) < self.share:
            return self.queue.next()
        return self.queue.next(lambda client: client == giver or self._may_have(client))

    def _may_have(self, client: str) -> bool:
        """Whether a call of `client` may have a connection: it has not its share yet. Our own have no client."""
        if len(self.connections) - len(self.idle) < self.share or not client:
            return True
        return self.share >= self.bounds.max_connections or _held_by(client, self.connections) < self.share

    def _has_room(self) -> bool:
        return len(self.connections) < self.bounds.max_connections

    def _make_room(self) -> bool:
        """Set silent streams aside that are not known as such; whether there is room now. Not for each call."""
        now = self.loop.clock()
        if now - self._looked < LOOK_AGAIN:
            return False
        self._looked = now
        for connection in list(self.connections):
            if connection.node is self.reading and now - connection.since > LONG:
                self.set_aside(connection)
        return self._has_room()

    def _has_room_for_a_tunnel(self) -> bool:
        """Whether a further one may be asked for: those that are being asked for count, too."""
        calls = [*(one.call for one in self.connections), *(one.caller for one in self.queue.slots)]
        asked = sum(call is not None and bool(call.upgrade) for call in calls)
        return len(self.tunnels) + asked < self.bounds.max_tunnels

    def _busy(self, detail: str) -> UpstreamError:
        return UpstreamError(503, "busy", detail, self.where, safe=True, reached=False)

    # --- waiting for a connection

    def supply(self) -> str:
        """As slot.Pool: `64 connections to a.example:9000 <- resolution#7 ASKING 0.3 s of 5 s for a.example <- ...`."""
        most, resolving = self.bounds.max_connections, self.resolver.describe()
        text = f"{most} connection{'s' if most != 1 else ''} to {self.where}"
        return f"{text} <- {resolving}" if resolving else text

    def refuse(self, call: Call, reason: SlotTrigger) -> None:
        """As slot.Pool: it has not got a connection."""
        if reason is SlotTrigger.DEADLINE_PASSED:
            error = self._busy("No connection to the upstream became free in time.")
        elif reason is SlotTrigger.CLOSE_ORDERED:
            detail = "The operation was cancelled by an operator."
            error = UpstreamError(503, "closed by an operator", detail, self.where, reached=False)
        else:
            lost = self._lost
            assert lost is not None
            error = UpstreamError(lost.status, lost.cause, lost.detail, self.where, safe=lost.safe, reached=False)
        call.fail(error)

    def _fill(self) -> bool:
        """Connect for the call that is next, if there is room; whether that could be begun."""
        if not (self.queue.slots and self._has_room() and self._knows_addresses()):
            return False
        call = self._next()
        return call is not None and (self._reuse(call) or (self._connect(call) and call.connection is not None))

    def _fail(self, call: Call, error: UpstreamError) -> None:
        """`call` cannot be connected. Where there is no connection that could become free, nobody who waits can."""
        if not self.connections and not call.apart:
            self._lost = error
            self.queue.lose()
        call.fail(error)

    # --- connecting

    def _knows_addresses(self) -> bool:
        """Whether they are known; else they are being looked up."""
        if self.resolver.known():
            return True
        self.resolver.ask(self._resolved)
        return False

    def _connect(self, call: Call) -> bool:
        """Begin to connect for `call`; False where the name is being looked up: then it is to wait."""
        if not self._knows_addresses():
            return False
        call.addresses = self.resolver.known()[:]
        self._open(call)
        return True

    def _resolved(self, reason: str) -> None:
        """The name has been looked up. Where it has no addresses, a connection that is open may still become free."""
        if not reason:
            while self._fill():
                pass
            return
        detail = "The upstream's name could not be resolved."
        error = UpstreamError(502, f"name: {reason}", detail, self.where, safe=True, reached=False)
        self.note_failure(error)
        if not self.connections:
            self._lost = error
            self.queue.lose()

    def try_next(self, call: Call, error: UpstreamError) -> bool:
        """As Connections.try_next. When none is left the name may have moved: it is looked up once for a call."""
        if error.cause == "closed by an operator":
            return False
        if call.addresses:
            self._open(call)
            return True
        if not call.doubted and self.resolver.doubt():
            call.doubted = True
            self.returned.append(call)
            return True
        return False

    def _open(self, call: Call) -> None:
        """Begin to connect to the first of the addresses that are left."""
        family, address = call.addresses.pop(0)
        try:
            connecting = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self._fail(call, self._unopened(error))
            return
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = connecting.connect_ex(address)
        connection = UpstreamConnection(self, connecting, _name(address))
        try:
            self.loop.add(connection)
        except (OSError, ValueError) as error:  # ENOSPC of epoll_ctl(2), or a number select(2) cannot hold
            connecting.close()
            self._fail(call, self._unopened(error))
            return
        (self.probes if call.apart else self.connections).add(connection)
        self._use(connection, call)
        if number == 0:
            self.loop.tell(connection, T.CONNECTED, call)
        elif number not in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            connection.note_unreachable(number)
            self.loop.tell(connection, T.CONNECT_FAILED, call)

    def _unopened(self, error: Exception) -> UpstreamError:
        if isinstance(error, OSError) and error.errno not in EXHAUSTED:
            detail = "This system does not support the upstream's kind of address."
            return UpstreamError(502, "unreachable", detail, self.where, safe=True, reached=False)
        return UpstreamError(503, "no descriptors", "No descriptor is left for the upstream.", self.where)

    # --- connections end

    def is_wanted(self) -> bool:
        """As Connections.is_wanted."""
        return bool(self.queue.slots)

    def keeps(self, connection: Carrier) -> bool:
        """As Connections.keeps."""
        return (
            not self.is_closed
            and not connection.has_ended_input()
            and connection.served < self.trust.max_served
            and connection in self.connections
        )

    def note_failure(self, error: UpstreamError) -> None:
        """As Connections.note_failure."""
        if error.cause not in ("closed by an operator", "piece timeout", "take timeout"):
            self.health.failed(error.cause)

    def lend(self, connection: Carrier) -> None:
        """As Connections.lend."""
        self.connections.discard(connection)
        self.tunnels.add(connection)
        self._fill()

    def set_aside(self, connection: Carrier) -> None:
        """As Connections.set_aside."""
        streams, bounds, call = self.streams, self.bounds, connection.call
        if connection not in self.connections or call is None or len(streams) >= bounds.max_streams:
            return
        if call.client and _held_by(call.client, streams) >= bounds.share_of(bounds.max_streams):
            return
        self.connections.discard(connection)
        streams.add(connection)
        self._fill()

    def gone(self, connection: Carrier) -> None:
        """As Connections.gone."""
        self.tunnels.discard(connection)
        self.streams.discard(connection)
        self.probes.discard(connection)
        self.connections.discard(connection)
        with suppress(ValueError):
            self.idle.remove(connection)
        if connection.node.final:
            while self.returned:
                call = self.returned.pop(0)
                if not self._reuse(call) and not self._connect(call):
                    self._let_wait(call)
            self._fill()

    def close(self) -> None:
        """Keep no connection any more, and close those that are idle."""
        self.is_closed = True
        self.health.retire()
        for tell in self.on_close:
            tell()
        self._close_idle()

    def _close_idle(self) -> None:
        idle, self.idle = self.idle, []
        for connection in idle:
            self.loop.tell(connection, T.CLOSE_ORDERED)


def _held_by(client: str, connections: set[Carrier]) -> int:
    """How many of `connections` are used for `client`."""
    return sum([one.call is not None and one.call.client == client for one in connections])


def _pace(deadline: Deadline | None, limits: Mapping[str, float]) -> tuple[float, int, float]:
    if deadline is None or not deadline.min_rate:
        return (0.0, 0, 0.0)
    prefix = deadline.option.removesuffix("_timeout")
    return (
        limits.get(deadline.option, deadline.seconds),
        int(limits.get(f"{prefix}_min_rate", deadline.min_rate)),
        limits.get(f"{prefix}_grace", deadline.grace),
    )


def _name(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
