"""Who holds a shutdown: the connections that it waits for, in words for the log."""

from collections.abc import Iterable
from typing import Any

from clerestory.server.logging.redaction import target_of
from clerestory.statemachines.connection import State as S

NAMED = 5
"""Connections that are named; the others are counted."""

IDLE = (S.AWAITING_REQUEST, S.LINGERING)
"""What a connection is in that has nothing to lose."""


def held_by(connections: Iterable[Any], *, queries: bool) -> list[str]:
    """`3-1 GET /export of 127.0.0.1:5000 SENDING_RESPONSE`, for those that have a request under way; the one first
    that has been in its state longest. Of a connection of HTTP/2 these are its streams, `3/1`."""
    carriers = [carrier for one in connections for carrier in carriers_of(one)]
    busy = sorted((one for one in carriers if one.node.state not in IDLE), key=lambda one: one.since)
    told = [_words(one, queries=queries) for one in busy[:NAMED]]
    return [*told, f"and {len(busy) - NAMED} more"] if len(busy) > NAMED else told


def carriers_of(connection: Any) -> list[Any]:
    """What carries the exchanges of a connection: itself, or its streams."""
    streams = getattr(connection, "streams", None)
    return [connection] if streams is None else list(streams.values())


def _words(connection: Any, *, queries: bool) -> str:
    exchange = connection.exchange
    request = exchange.request if exchange is not None else None
    line = f" {request.method} {target_of(request, queries=queries)}" if request is not None else ""
    return f"{connection.request_id()}{line} of {connection.peer} {connection.node.state}"
