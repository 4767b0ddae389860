"""How long a stream is waited for: its deadlines, where they are more than seconds in a state.

They are those of an exchange on a connection of HTTP/1.1 (server.connection.deadlines), held against the same numbers.
Waiting for the client's window and for the stream's turn count as one: either of them goes on by bytes.
"""

import math
from typing import Any, Protocol

from clerestory.handlers.api.messages import RouteLimits
from clerestory.server.connection.service import Service
from clerestory.statemachines.engine import Node
from clerestory.statemachines.h2_stream import TABLE
from clerestory.statemachines.h2_stream import State as S

WAITING = (S.QUERYING_BACKEND, S.PRODUCING)
SENDING = (S.SENDING_RESPONSE, S.AWAITING_WINDOW)
_STATES = [spec.state for spec in TABLE.specs]
_QUERYING, _READING = _STATES.index(S.QUERYING_BACKEND), _STATES.index(S.READING_BODY)
_SENDING = [_STATES.index(state) for state in SENDING]


class Stream(Protocol):
    """What is looked at of a stream (server.http2.stream)."""

    service: Service
    http2: Any
    exchange: Any
    node: Node
    since: float
    spent: list[float]
    progressed: float
    sent: int

    @property
    def received(self) -> int: ...

    def times_itself(self) -> bool: ...


def is_overdue(stream: Stream, now: float) -> bool:
    """Whether the state has lasted too long, or, where bytes should move, whether they move too slowly."""
    node = stream.node
    exchange = stream.exchange
    if node.state in WAITING:
        if exchange is not None and exchange.operation is not None and exchange.operation.keeps_time():
            return False
        return now - _waits_since(stream) >= backend_timeout(stream) or has_waited_out(stream, now)
    if node.state in (S.EXCHANGING, S.TUNNELLING):
        return now - max(stream.since, stream.progressed) >= node.limit and not stream.times_itself()
    idle, rate, grace = stream.http2.paces[node.index]
    if now - max(stream.since if node.state is S.READING_BODY else 0.0, stream.progressed) >= idle:
        return True
    if node.state is S.READING_BODY and exchange is not None and exchange.head is not None:
        return False  # both go on: the client may wait for more of the response before it sends more
    waited = _spent(stream, node) + now - stream.since - grace
    return bool(waited > 0 and _moved(stream, node) < rate * waited)


def pace(stream: Stream, node: Node) -> tuple[Any, ...]:
    """The last of contract.Facts, as server.connection.deadlines has them. May be called from another thread."""
    if node.state in WAITING:
        limit = backend_timeout(stream)
        return () if limit == node.limit else ((limit, 0, 0.0), _waits_since(stream))
    if node.state in (S.EXCHANGING, S.TUNNELLING):
        return () if stream.times_itself() else ((node.limit, 0, 0.0), stream.progressed)
    if node.limit:
        return ()
    return stream.http2.paces[node.index], stream.progressed, _spent(stream, node), _moved(stream, node)


def _spent(stream: Stream, node: Node) -> float:
    """Seconds before, of the same wait."""
    if node.state in SENDING:
        return sum(stream.spent[index] for index in _SENDING)
    return stream.spent[_READING]


def _moved(stream: Stream, node: Node) -> int:
    return stream.received if node.state is S.READING_BODY else stream.sent


def _waits_since(stream: Stream) -> float:
    """When the wait of a handler, or for its response's next bytes, began."""
    exchange = stream.exchange
    body = exchange.stream if exchange is not None and stream.node.state is S.PRODUCING else None
    return body.moved_at if body is not None else stream.since


def has_waited_out(stream: Stream, now: float) -> bool:
    """Whether there is no time left to go on: for a response to begin, or for the bytes of one that has begun."""
    exchange, limit = stream.exchange, stream.service.limits.handler_total
    if exchange is None:
        return False
    timeout = backend_timeout(stream)
    if exchange.head is not None:
        return stream.node.state is S.PRODUCING and now - _waits_since(stream) >= timeout
    limits = limits_of(stream)
    if limits is not None and limits.handler_total is not None:
        limit = limits.handler_total
    return stream.spent[_QUERYING] + now - stream.since >= max(limit, timeout)


def limits_of(stream: Stream) -> RouteLimits | None:
    """Those of the request's route."""
    request = stream.exchange.request if stream.exchange is not None else None
    return request.limits if request is not None else None


def backend_timeout(stream: Stream) -> float:
    """For how many seconds what the handler waits for, or the next bytes of its response, are waited for."""
    limits = limits_of(stream)
    if limits is not None and limits.backend_timeout is not None:
        return limits.backend_timeout
    return stream.service.limits.backend_timeout


def heed(nodes: list[Node], limits: RouteLimits) -> None:
    """Let the sweep look at what waits before any deadline that a route has set."""
    least = min(limits.backend_timeout or math.inf, limits.handler_total or math.inf)
    for node in nodes:
        node.least = min(node.least, least)
