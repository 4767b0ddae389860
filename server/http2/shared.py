"""What the connections of HTTP/2 of one service share: the engines of the two tables, and how streams are paced.

Also the faces by which a stream knows its connection, and the service knows all this: neither imports the other.
"""

from dataclasses import asdict
from typing import Any, Protocol

from clerestory.handlers.api.operations import pseudo_descriptor as pseudo_descriptor
from clerestory.handlers.websocket.opening import takes_websockets
from clerestory.server.connection.service import Service
from clerestory.server.http2.codec import Codec
from clerestory.server.http2.deadlines import WAITING
from clerestory.statemachines import connection, h2_connection, h2_stream
from clerestory.statemachines.contract import Deadline
from clerestory.statemachines.engine import Engine

_PLACES = {spec.state: place for place, spec in enumerate(connection.TABLE.specs)}
PLACES = [_PLACES.get(connection.State.__members__.get(spec.state.name), 0) for spec in h2_stream.TABLE.specs]  # type: ignore[arg-type]
"""For each state of a stream, the place of the state that means the same on a connection of HTTP/1.1."""
PLACES[list(h2_stream.State).index(h2_stream.State.AWAITING_WINDOW)] = _PLACES[connection.State.SENDING_RESPONSE]


class Carrying(Protocol):
    """The connection, as a stream knows it."""

    codec: Codec

    def ends(self) -> tuple[str, Any]:
        """The peer's name, and our own end's."""

    def wants_turn(self, stream: Any) -> None:
        """The stream has something to be sent."""

    def wants_send(self) -> None:
        """A frame is there to be sent."""

    def was_taken(self, stream: Any, size: int, opens: int) -> None:
        """So much of what came on a stream has been taken; its window is opened by `opens`."""

    def stream_ended(self, stream: Any) -> None:
        """It has left the loop."""


class Shared:
    """Of one service."""

    def __init__(self, service: Service, of_connections: type, of_streams: type) -> None:
        loop, limits = service.loop, asdict(service.limits)
        self.service = service
        self.connects = takes_websockets(getattr(service.application, "front", None) or service.application)
        """Whether a client may ask for a WebSocket."""
        self.adopted = 0
        """Connections ever taken over."""
        self.connections = Engine(h2_connection.TABLE, of_connections, loop.clock, limits, loop.dispatch)
        self.streams = Engine(h2_stream.TABLE, of_streams, loop.clock, limits, loop.dispatch)
        self.paces = [_pace(node.deadline, limits) for node in self.streams.nodes]
        """For each state of a stream: seconds without progress, bytes a second, seconds of grace."""
        self.waiting = [node for node in self.streams.nodes if node.state in WAITING]
        for node in self.waiting:
            node.least = min(node.limit, service.limits.handler_total)

    def open(self) -> int:
        """How many connections there are."""
        return self.adopted - self.connections.ended()


def _pace(deadline: Deadline | None, limits: dict[str, Any]) -> tuple[float, int, float]:
    if deadline is None or not deadline.min_rate:
        return (0.0, 0, 0.0)
    prefix = deadline.option.removesuffix("_timeout")
    return limits[deadline.option], limits[f"{prefix}_min_rate"], limits[f"{prefix}_grace"]
