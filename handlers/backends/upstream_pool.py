"""The connections to one upstream, on one loop: how many there may be, who waits for one, and which are idle.

Laws:

- At most `max_connections` are open, and at most `max_waiting` calls wait for one; each of these is a machine with a
  deadline (statemachines.slot), which a call that finds an idle connection, or room for one, does not have.
- The connection that was used last is used first, so that those that are not needed grow old and are closed.
- A connection that has become a tunnel has left the pool; at most `max_tunnels` are there.
- An idle connection is looked at before it is used: whatever has come on it, a byte or its end, rules it out.
- How many are open is counted from the connections themselves.
"""

import errno
import socket
import ssl
from contextlib import suppress

from handlers.backends.resolver import Address, Resolver
from handlers.backends.slot import Queue
from handlers.backends.upstream_bounds import Bounds
from handlers.backends.upstream_call import Call, UpstreamError
from handlers.backends.upstream_connection import UpstreamConnection
from handlers.backends.upstream_gate import Reader
from handlers.backends.upstream_health import Health
from handlers.backends.upstream_tls import TLS
from handlers.backends.upstream_tunnel import FarEnd
from statemachines import slot, upstream
from statemachines.contract import Loop
from statemachines.engine import Engine
from statemachines.slot import Trigger as SlotTrigger
from statemachines.upstream import Trigger as T

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REQUEST_GIVEN = T.REQUEST_GIVEN


class Pool:
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
        self.host = host
        self.tls = tls
        self.where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.engine = Engine(upstream.TABLE, UpstreamConnection, loop.clock, loop.limits, loop.dispatch)
        self.unspent = [0.0] * len(self.engine.nodes)
        limits, pace = {**loop.limits, slot.CONNECTION.option: self.bounds.slot_timeout}, upstream.SEND
        self.send_pace = (
            limits.get(pace.option, pace.seconds),
            int(limits.get("upstream_send_min_rate", pace.min_rate)),
            limits.get("upstream_send_grace", pace.grace),
        )
        self.reader = Reader()
        self.health = Health(loop.clock)
        self.resolver = resolver or Resolver(host, port, loop)
        self.connections: set[UpstreamConnection] = set()
        self.idle: list[UpstreamConnection] = []
        self.tunnels: set[FarEnd] = set()
        self.queue: Queue[Call] = Queue(self, self.where, slot.UPSTREAM, loop, limits)
        self._lost: UpstreamError | None = None
        self.is_closed = False

    @property
    def load(self) -> int:
        """How many calls are under way or wait."""
        return len(self.connections) - len(self.idle) + len(self.queue.slots) + len(self.tunnels)

    def describe(self) -> str:
        """What a call waits for that has neither a connection nor to wait for a free one."""
        return f"upstream {self.where}: {self.resolver.describe()}"

    # --- a call comes

    def begin(self, call: Call) -> None:
        """Send `call` on an idle connection, or a new one, or let it wait for one."""
        call.pool = self
        if call.upgrade and not self._has_room_for_a_tunnel():
            call.fail(self._busy("Too many connections to the upstream are tunnels already."))
            return
        while self.idle:
            connection = self.idle.pop()
            if not _is_quiet(connection):
                self.loop.fire(connection, connection.notice_end(0) or T.UPSTREAM_RESET)
                continue
            self._use(connection, call)
            self.loop.fire(connection, _REQUEST_GIVEN)
            return
        self._fill()  # a slot that a tunnel has just given back is for whoever waits first
        if self._has_room():
            self._connect(call)
        elif len(self.queue.slots) < self.bounds.max_waiting:
            self.queue.join(call)
        else:
            call.fail(self._busy("Too many requests wait for the upstream."))

    def next_for(self, connection: UpstreamConnection) -> bool:
        """Give `connection`, which is idle, to the call that waits first; else keep it. Whether there was one."""
        call = self.queue.next()
        if call is None:
            self.idle.append(connection)
            return False
        self._use(connection, call)
        return True

    def _use(self, connection: UpstreamConnection, call: Call) -> None:
        connection.call = call
        call.connection = connection

    def _has_room(self) -> bool:
        return len(self.connections) < self.bounds.max_connections

    def _has_room_for_a_tunnel(self) -> bool:
        """Whether a further one may be asked for: those that are being asked for count, too."""
        asked = sum(one.call is not None and bool(one.call.upgrade) for one in self.connections)
        waiting = sum(bool(one.asker.upgrade) for one in self.queue.slots)
        return len(self.tunnels) + asked + waiting < self.bounds.max_tunnels

    def _busy(self, detail: str) -> UpstreamError:
        return UpstreamError(503, "busy", detail, self.where, safe=True, reached=False)

    # --- waiting for a connection

    def supply(self) -> str:
        """As slot.Pool: `64 connections to 127.0.0.1:9000`."""
        most = self.bounds.max_connections
        return f"{most} connection{'s' if most != 1 else ''} to {self.where}"

    def refuse(self, call: Call, reason: SlotTrigger) -> None:
        """As slot.Pool: it has waited in vain."""
        if reason is SlotTrigger.DEADLINE_PASSED:
            error = self._busy("No connection to the upstream became free in time.")
        elif reason is SlotTrigger.CLOSE_ORDERED:
            detail = "What was asked to answer this was ended."
            error = UpstreamError(503, "closed by order", detail, self.where, reached=False)
        else:
            lost = self._lost
            assert lost is not None
            error = UpstreamError(lost.status, lost.cause, lost.detail, self.where, safe=lost.safe, reached=False)
        call.failure = error
        self.loop.call_from_thread(call.tell)

    def _fill(self) -> None:
        """Connect for whoever waits first, if there is room."""
        if self._has_room():
            call = self.queue.next()
            if call is not None:
                self._connect(call)

    def _fail(self, call: Call, error: UpstreamError) -> None:
        """`call` can not be connected. Where there is no connection that could become free, nobody who waits can."""
        if not self.connections:
            self._lost = error
            self.queue.lose()
        call.fail(error)

    # --- connecting

    def _connect(self, call: Call) -> None:
        addresses = self.resolver.known()
        if addresses:
            call.addresses = addresses[:]
            self._open(call)
        else:
            self.resolver.ask(lambda found, reason: self._resolved(call, found, reason))

    def _resolved(self, call: Call, addresses: list[Address], reason: str) -> None:
        if call.left:
            self._fill()
        elif not addresses:
            detail = "The upstream's name could not be resolved."
            error = UpstreamError(502, f"name: {reason}", detail, self.where, safe=True, reached=False)
            self.note_failure(error)
            self._fail(call, error)
        elif self._has_room():
            call.addresses = addresses[:]
            self._open(call)
        else:
            self.begin(call)

    def try_next(self, call: Call, error: UpstreamError) -> bool:
        """Try the next address of `call` after one did not connect; False when there is none left."""
        if not call.addresses or error.cause == "closed by order":
            return False
        self._open(call)
        return True

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
        except (OSError, ValueError) as error:  # ENOSPC of epoll_ctl(2), or a number select(2) can not hold
            connecting.close()
            self._fail(call, self._unopened(error))
            return
        self.connections.add(connection)
        self._use(connection, call)
        if number == 0:
            self.loop.fire(connection, T.CONNECTED)
        elif number not in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            connection.note_unreachable(number)
            self.loop.fire(connection, T.CONNECT_FAILED)

    def _unopened(self, error: Exception) -> UpstreamError:
        if isinstance(error, OSError) and error.errno not in EXHAUSTED:
            detail = "The upstream's address is of a kind that this system has not."
            return UpstreamError(502, "unreachable", detail, self.where, safe=True, reached=False)
        return UpstreamError(503, "no descriptors", "There is no descriptor left for the upstream.", self.where)

    # --- connections end

    def keeps(self, connection: UpstreamConnection) -> bool:
        """Whether a connection whose exchange was exact may be used again."""
        has_ended = isinstance(connection.socket, TLS) and connection.socket.ended
        return not self.is_closed and not has_ended and connection.served < self.bounds.max_served

    def note_failure(self, error: UpstreamError) -> None:
        """An upstream that was not reached, or gave no answer, is less well than it was."""
        if error.cause not in ("closed by order", "piece timeout", "take timeout"):
            self.health.failed()

    def lend(self, connection: FarEnd) -> None:
        """A connection has become a tunnel: it gives its slot back."""
        self.connections.discard(connection)
        self.tunnels.add(connection)
        self.loop.call_from_thread(self._fill)  # the tunnel is to be told of first

    def gone(self, connection: UpstreamConnection) -> None:
        """A connection has ended: it gives its slot to whoever waits first."""
        self.tunnels.discard(connection)
        self.connections.discard(connection)
        with suppress(ValueError):
            self.idle.remove(connection)
        if connection.node.final:
            self._fill()

    def close(self) -> None:
        """Keep no connection any more, and close those that are idle."""
        self.is_closed = True
        for connection in self.idle[:]:
            self.loop.fire(connection, T.CLOSE_ORDERED)


def _is_quiet(connection: UpstreamConnection) -> bool:
    """Whether nothing has come on an idle connection: what is there now would be taken for the next answer."""
    channel = connection.socket
    if isinstance(channel, TLS):
        return channel.is_quiet()
    try:
        channel.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _name(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
