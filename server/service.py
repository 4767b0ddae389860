"""What the connections of one loop share: the application, the bounds, the writers, and how many there may be.

Counts are derived from the map of machines, never kept beside it.
"""

import resource
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from server.config import Limits
from server.exchange import Application
from server.http import Codec
from server.http.responses import HeadWriter
from server.logs import Logs
from server.loop import Loop
from server.xray.recorder import Recorder
from statemachines import connection
from statemachines.contract import Deadline
from statemachines.engine import Edge, Engine, Machine

if TYPE_CHECKING:
    from server.connection import Connection

RESERVE = 32
"""Descriptors kept for files, databases and logs when the number of connections is taken from the process's limit."""

UNLIMITED = 1024 * 1024
"""Descriptors that a process without a limit is taken to have: what Linux gives at most, unless told otherwise."""


class Service:
    """One application, served on one loop.

    `on_connection_closed` is called after a connection's descriptor has been given back.
    """

    def __init__(
        self, application: Application, loop: Loop, limits: Limits, logs: Logs, codec: Codec, model: type[Machine]
    ) -> None:
        self.application = application
        self.loop = loop
        self.limits = limits
        self.logs = logs
        self.codec = codec
        self.heads = HeadWriter()
        self.engine = Engine(
            connection.TABLE,
            model,
            loop.clock,
            asdict(limits),
            loop.dispatch,
            observer=self._log_passage if logs.debug_enabled else None,
        )
        self.unspent = [0.0] * len(self.engine.nodes)
        self.paces = [self._pace(node.deadline) for node in self.engine.nodes]
        """For each state: seconds without progress, bytes a second, seconds of grace."""
        self.max_connections = _bound(limits.max_connections, loop)
        if limits.max_connections > self.max_connections:
            logs.warning("max_connections_bounded", asked=limits.max_connections, granted=self.max_connections)
        self.draining = False
        self.accepted = 0
        """Connections ever accepted; the number of the next one."""
        self.statuses = [0] * 600
        """Answers begun, by their status."""
        self.recorder = Recorder()
        """How connections ended."""
        self.on_connection_closed: Callable[[], None] = lambda: None

    def _pace(self, deadline: Deadline | None) -> tuple[float, int, float]:
        if deadline is None or not deadline.min_rate:
            return (0.0, 0, 0.0)
        prefix = deadline.option.removesuffix("_timeout")
        limits = asdict(self.limits)
        return limits[deadline.option], limits[f"{prefix}_min_rate"], limits[f"{prefix}_grace"]

    def connections(self) -> "list[Connection]":
        """The client connections that are open."""
        return [machine for machine in self.loop.machines.values() if machine.engine is self.engine]  # type: ignore[misc]

    def has_room(self) -> bool:
        """Whether a further connection may be opened."""
        return self.open_connections() < self.max_connections

    def open_connections(self) -> int:
        """How many client connections there are."""
        return self.accepted - self.engine.ended()

    def _log_passage(self, machine: Machine, edge: Edge) -> None:
        self.logs.debug(
            "passage",
            machine=machine.engine.table.name,
            descriptor=machine.descriptor,
            trigger=edge.trigger,
            source=edge.source.state,
            dest=edge.dest.state,
        )


def _bound(asked: int, loop: Loop) -> int:
    """How many connections there may be: as many as was asked for, or as there are descriptors, less the reserve; and
    no more than the poller can hold."""
    most = asked or max(1, _descriptors() - RESERVE)
    return min(most, loop.poller.capacity - RESERVE) if loop.poller.capacity else most


def _descriptors() -> int:
    """How many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = UNLIMITED
    return soft
