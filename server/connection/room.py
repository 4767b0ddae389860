"""Room for further connections: which are open, and which are closed for others that wait.

Counts that need no look at each connection are the service's (server.connection.service).
"""

import heapq
from typing import Any

from clerestory.server.connection.service import RESERVE, Service
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.connection import Trigger as T

IDLE_ENOUGH = 0.25
"""Seconds for which a connection has been idle at least that makes room for another: one that is between two requests
of a busy client is not idle."""


def connections(service: Service) -> list[Any]:
    """The client connections of `service` that are open, those of HTTP/2 (server.http2.connection) among them."""
    engines = (service.engine, service.http2.connections if service.http2 is not None else service.engine)
    return [machine for machine in service.loop.machines.values() if machine.engine in engines]


def _idle(service: Service) -> list[Any]:
    latest = service.loop.now - IDLE_ENOUGH
    return [one for one in connections(service) if one.since <= latest and not one.input and one.accepts(T.ROOM_WANTED)]


def can_make_room(service: Service) -> bool:
    """Whether there are connections that `make_room` may close."""
    return bool(_idle(service))


def make_room(service: Service, wanted: int = RESERVE) -> int:
    """Close at most `wanted` idle connections, those first that have been idle longest; how many. One whose next
    request has come is not idle, though it has not been read. There is room when the turn has ended."""
    closed = 0
    for one in heapq.nsmallest(wanted, _idle(service), key=lambda one: one.since):
        if not one.transport.has_unread():
            service.loop.tell(one, T.ROOM_WANTED)
            closed += 1
    return closed


def bound_handshakes(service: Service) -> int:
    """Make room for one more handshake: where there are as many as there may be, close an eighth of them, those
    first that have taken longest; how many. A client that goes on has ended its own long before that."""
    most = service.limits.max_handshakes
    if service.handshaking() < most:
        return 0
    shaking = [one for one in connections(service) if one.node.state is S.HANDSHAKING]
    slowest = heapq.nsmallest(max(1, most // 8), shaking, key=lambda one: one.since)
    for one in slowest:
        service.loop.tell(one, T.ROOM_WANTED)
    return len(slowest)
