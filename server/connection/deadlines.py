"""How long a client's connection is waited for: its deadlines, where they are more than seconds in a state.

A deadline's seconds stand in the machine's table. Here is what the table's numbers are held against:

- bytes that should move (a body, a response): seconds without one, and a minimum rate, which counts bytes of the body
  alone, not those of the head before it;
- what a handler waits for: its own deadline, or its route's; and a budget for all of it until the response begins,
  which is looked at when an operation ends: that spares each sweep a look at everyone who waits;
- a streamed response: seconds since its last byte, or since its client has shut its side, whatever has gone on
  between; looked at likewise;
- a tunnel and a farewell: seconds since the last byte, the farewell's bounded in all.
"""

from typing import Any

from clerestory.handlers.api.operations import HalfClose
from clerestory.handlers.wire.transport import Transport
from clerestory.server.connection.service import Service
from clerestory.server.connection.tunnel import NearEnd
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.engine import Node

_WAITING = frozenset({S.QUERYING_BACKEND, S.PRODUCING, S.HALF_CLOSED})
_IDLE = frozenset({S.EXCHANGING, S.TUNNELLING, S.LINGERING})
_QUERYING, _PRODUCING, _HALF_CLOSED, _READING_BODY = S.QUERYING_BACKEND, S.PRODUCING, S.HALF_CLOSED, S.READING_BODY
_LINGERING, _TUNNELLING = S.LINGERING, S.TUNNELLING
_STATES = [spec.state for spec in TABLE.specs]
_QUERYING_PLACE, _HALF_CLOSED_PLACE = map(_STATES.index, (S.QUERYING_BACKEND, S.HALF_CLOSED))
"""Where `spent` has the seconds that a handler has waited."""


class TimedEnd(NearEnd):
    """A connection that knows when it is overdue. `head_size` is that of the request's head, once its body is read."""

    __slots__ = ("head_size",)

    def __init__(self, service: Service, transport: Transport, descriptor: int, peer: str) -> None:
        super().__init__(service, transport, descriptor, peer)
        self.head_size = 0

    def is_overdue(self, now: float) -> bool:
        """Whether the state has lasted too long, or, where bytes should move, whether they move too slowly."""
        node = self.node
        if node.state in _WAITING:
            exchange = self.exchange
            if exchange is not None and exchange.operation is not None and exchange.operation.keeps_time():
                brief = node.state is _HALF_CLOSED and exchange.half_close is HalfClose.BRIEFLY
                return brief and now - self._waits_since(node) >= self._waits_for(node)
            return now - self._waits_since(node) >= self._waits_for(node) or self.has_waited_out(now)
        if node.state in _IDLE:
            if self._times_itself(node):
                return False
            if now - max(self.since, self.progressed) >= node.limit:
                return True
            # A process that drains waits for no upload that nobody wants.
            total = node.limit if self.service.draining else self.service.limits.linger_total
            return node.state is _LINGERING and now - self.since >= total
        if node.limit:
            return now - self.since >= node.limit
        idle, rate, grace = self.service.paces[node.index]
        if now - max(self.since, self.progressed) >= idle:
            return True
        if node.state is _READING_BODY and self.exchange is not None and self.exchange.head is not None:
            return False  # both go on: the client may wait for more of the response before it sends more
        waited = self.spent[node.index] + now - self.since - grace
        return waited > 0 and self._moved(node) < rate * waited

    def pace(self, node: Node) -> tuple[Any, ...]:
        """The last of contract.Facts: what the deadline of `node` is held against, where that is not the seconds in it.
        May be called from another thread."""
        if node.state in _WAITING:
            limit = self._waits_for(node)
            if limit == node.limit and node.state is _QUERYING:
                return ()
            return (limit, 0, 0.0), self._waits_since(node)
        if node.state in _IDLE and not self._times_itself(node):
            return (node.limit, 0, 0.0), self.progressed
        if node.limit:
            return ()
        return self.service.paces[node.index], self.progressed, self.spent[node.index], self._moved(node)

    def _times_itself(self, node: Node) -> bool:
        """Whether the connection was upgraded to something that has deadlines of its own."""
        exchange = self.exchange
        operation = exchange.operation if node.state is _TUNNELLING and exchange is not None else None
        return operation is not None and operation.keeps_time()

    def has_waited_out(self, now: float) -> bool:
        """Whether there is no time left to go on: for a response to begin, or for the bytes of one that has begun."""
        exchange, limit = self.exchange, self.service.limits.handler_total
        if exchange is None:
            return False
        timeout = self.backend_timeout()
        if exchange.head is not None:
            return self.node.state is _PRODUCING and now - self._waits_since(self.node) >= timeout
        limits = exchange.request.limits if exchange.request is not None else None
        if limits is not None and limits.handler_total is not None:
            limit = limits.handler_total
        spent = self.spent[_QUERYING_PLACE] + self.spent[_HALF_CLOSED_PLACE]
        return spent + now - self.since >= max(limit, timeout)

    def _waits_since(self, node: Node) -> float:
        """When the wait of a handler, or for its response's next bytes, began."""
        exchange = self.exchange
        stream = exchange.stream if exchange is not None and node.state is not _QUERYING else None
        if stream is None:
            return self.since
        return max(stream.moved_at, stream.shut_at) if node.state is _HALF_CLOSED else stream.moved_at

    def has_brief_time(self) -> bool:
        """Whether what is awaited briefly for a client that has shut its side has time left. Transitions without a byte
        put that off no more than any other deadline of a stream."""
        stream = self.exchange.stream if self.exchange is not None else None
        limit = self.service.limits.half_close_timeout
        since = max(stream.moved_at, stream.shut_at) if stream is not None else self.service.loop.now
        return limit > 0 and self.service.loop.now - since < limit

    def _waits_for(self, node: Node) -> float:
        """For how long it may last."""
        exchange = self.exchange
        if node.state is _HALF_CLOSED and exchange is not None and exchange.half_close is HalfClose.BRIEFLY:
            return self.service.limits.half_close_timeout
        return self.backend_timeout()

    def _moved(self, node: Node) -> int:
        """The bytes that count for the rate."""
        return self.taken - self.head_size if node.state is _READING_BODY else self.sent
