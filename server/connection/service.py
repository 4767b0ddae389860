"""What the connections of one loop share: the application, the bounds, the writers, and how many there may be.

Counts are derived from the map of machines, never kept beside it.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clerestory.handlers.api.messages import Application
from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.edge.to_https import ToHTTPS
from clerestory.server.config import Limits
from clerestory.server.connection.names import RequestNames
from clerestory.server.connection.waiting import SLOW
from clerestory.server.http import Codec
from clerestory.server.http.responses import HeadWriter
from clerestory.server.logging.logs import Logs
from clerestory.server.loop.loop import Loop
from clerestory.server.observer import ExchangeEnded, Observer, Tracing, Unobserved
from clerestory.server.process.descriptors import limit
from clerestory.statemachines import connection
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as ConnectionTrigger
from clerestory.statemachines.contract import Deadline
from clerestory.statemachines.engine import Edge, Engine, Machine

if TYPE_CHECKING:
    from clerestory.server.net.tls import Secure

RESERVE = 32
"""Descriptors kept for files, databases and logs when the number of connections is taken from the process's limit. What
the application says that it takes (`application.descriptors(limits)`) is kept besides, up to half of all: a client's
connection is never served by more than one to an upstream."""


class Service:
    """One application, served on one loop.

    `on_connection_closed` is called after a connection's descriptor has been given back.
    """

    def __init__(
        self,
        application: Application,
        loop: Loop,
        limits: Limits,
        logs: Logs,
        codec: Codec,
        model: type[Machine],
        observer: Observer | None = None,
    ) -> None:
        self.application = application
        front = getattr(application, "front", None) or application
        self.hosted: Any = front if hasattr(front, "begin") else None
        """The application, where it is begun with the exchange that carries the request (handlers.asgi), or what stands
        before it and others (handlers.sites)."""
        self.loop = loop
        self.limits = limits
        self.logs = logs
        loop.registry[JOURNAL] = logs
        self.codec = codec
        self.heads = HeadWriter()
        self.names = RequestNames()
        """What requests are called."""
        self.engine = Engine(
            connection.TABLE,
            model,
            loop.clock,
            asdict(limits),
            loop.dispatch,
            observer=self._log_transition if logs.debug_enabled else None,
        )
        self.unspent = [0.0] * len(self.engine.nodes)
        self.paces = [self._pace(node.deadline) for node in self.engine.nodes]
        """For each state: seconds without progress, bytes a second, seconds of grace."""
        self.waiting = [node for node in self.engine.nodes if node.state in (S.QUERYING_BACKEND, S.PRODUCING)]
        for node in self.waiting:
            node.least = min(node.limit, limits.handler_total)
        self.max_connections = _bound(limits.max_connections, loop, _wanted(front, limits))
        if limits.max_connections > self.max_connections:
            logs.warning("max_connections_bounded", asked=limits.max_connections, granted=self.max_connections)
        self.debug = False
        """Whether the traceback of an error in a handler is shown to the client: for developers alone."""
        self.secure: Secure | None = None
        """With what the listeners speak TLS, where they do."""
        self.http2: Any = None
        """What takes connections over that speak HTTP/2 (server.http2), where that may be spoken."""
        self.h2c = False
        """Whether it may be spoken without TLS."""
        self.draining = False
        self.accepted = 0
        """Connections ever accepted; the number of the next one."""
        self.preambles = 0
        """Connections ever accepted that begin with the PROXY protocol; each is accepted when its header has come."""
        self.preamble_engine: Engine | None = None
        """What moves those whose header is awaited, once there has been one."""
        self.statuses = [0] * 600
        """Answers begun, by their status."""
        self.observer = observer if observer is not None else Unobserved()
        """Whom ends and failures are reported to."""
        self.tracing: Tracing | None = None
        """What traces requests, where they are traced."""
        self.on_exchange_ended: ExchangeEnded | None = None
        """Told of each exchange at its end, while its connection's `spent` is still that exchange's."""
        self.skips = 0
        """Of quick exchanges only those are told whose number has none of these bits: one in `skips + 1`. To tell of
        one costs as much as a fifth of it."""
        self.slow = SLOW
        """Seconds from which on an exchange is not quick."""
        self.on_connection_closed: Callable[[], None] = lambda: None

    def _pace(self, deadline: Deadline | None) -> tuple[float, int, float]:
        if deadline is None or not deadline.min_rate:
            return (0.0, 0, 0.0)
        prefix = deadline.option.removesuffix("_timeout")
        limits = asdict(self.limits)
        return limits[deadline.option], limits[f"{prefix}_min_rate"], limits[f"{prefix}_grace"]

    def redirect_plain(self, port: Callable[[], int]) -> None:
        """From now on a request that comes without TLS is redirected to https:// on `port`."""
        secure = self.secure
        assert secure is not None
        self.hosted = ToHTTPS(self.hosted or self.application, secure.is_for, port)

    def await_last_request(self, connection: Machine) -> None:
        """A connection has become idle in a drain, after an answer that had not said so: it is closed like those that
        were idle when the drain began, after the same time."""
        loop = self.loop
        loop.call_at(
            loop.clock() + self.limits.last_request_timeout,
            lambda: loop.tell(connection, ConnectionTrigger.DRAIN_STARTED),
        )

    def has_room(self) -> bool:
        """Whether a further connection may be opened."""
        return self.open_connections() < self.max_connections

    def open_connections(self) -> int:
        """How many client connections there are, with those whose PROXY header is awaited."""
        preambles = self.preamble_engine
        awaited = self.preambles - preambles.ended() if preambles is not None else 0
        adopted = self.http2.open() if self.http2 is not None else 0
        return self.accepted - self.engine.ended() + awaited + adopted

    def lingering(self) -> int:
        """How many of them discard what their clients still send."""
        begun = sum(edge.count for edge in self.engine.edges if edge.dest.state is S.LINGERING)
        return begun - sum(edge.count for edge in self.engine.edges if edge.source.state is S.LINGERING)

    def handshaking(self) -> int:
        """How many of them are in the TLS handshake."""
        begun = sum(edge.count for edge in self.engine.edges if edge.dest.state is S.HANDSHAKING)
        return begun - sum(edge.count for edge in self.engine.edges if edge.source.state is S.HANDSHAKING)

    def _log_transition(self, machine: Machine, edge: Edge) -> None:
        self.logs.debug(
            "transition",
            machine=machine.engine.table.name,
            descriptor=machine.descriptor,
            trigger=edge.trigger,
            source=edge.source.state,
            dest=edge.dest.state,
        )


def _bound(asked: int, loop: Loop, wanted: int) -> int:
    """How many connections there may be: as many as was asked for, or as there are descriptors, less the reserve and
    what the application wants; and no more than the poller can hold."""
    most = asked or _less(limit(), wanted)
    return min(most, _less(loop.poller.capacity, wanted)) if loop.poller.capacity else most


def _less(descriptors: int, wanted: int) -> int:
    """How many of `descriptors` are left for clients."""
    left = max(1, descriptors - RESERVE)
    return max(1, left - min(wanted, left // 2))


def _wanted(application: Application, limits: Limits) -> int:
    """How many descriptors the application takes at most, where it says so."""
    tell = getattr(application, "descriptors", None)
    return int(tell(asdict(limits))) if callable(tell) else 0
