"""What the log is told of a connection: one line for each exchange, and one for an end that was not in order. And what
is reported to the observer (server.observer)."""

from typing import Any

from clerestory.handlers.api.messages import Request
from clerestory.handlers.wire.tls import TLS
from clerestory.server.connection.channel import Channel
from clerestory.server.connection.exchange import Exchange
from clerestory.server.connection.faults import id_of
from clerestory.server.connection.handshake import ShakingEnd
from clerestory.server.connection.waiting import PLACES, upstream_of
from clerestory.server.logging.history import history_lines
from clerestory.server.logging.redaction import without_query
from clerestory.server.observer import Missed
from clerestory.statemachines.connection import TABLE
from clerestory.statemachines.connection import State as S
from clerestory.statemachines.contract import Cause, Way
from clerestory.statemachines.engine import Edge

_QUERYING = PLACES[0]
_IDLE = next(place for place, spec in enumerate(TABLE.specs) if spec.state is S.AWAITING_REQUEST)


def facts_of(connection: ShakingEnd) -> tuple[Any, ...]:
    """What there is to say of a connection for the x-ray: the fields of contract.Facts up to the pace."""
    exchange = connection.exchange
    request = operation = response = None
    if exchange is not None:
        request, operation, response = exchange.request, exchange.operation, exchange.response
    return (
        connection.number,
        connection.peer,
        connection.accepted_at,
        connection.bytes_in,
        connection.bytes_out,
        connection.requests,
        request,
        operation,
        response.status if response is not None else None,
    )


def begin_exchange(connection: Channel, request: Request) -> None:
    """A request has come: name it, and begin its trace."""
    service = connection.service
    request.id = service.names.given(request) or connection.request_id()
    if service.tracing is not None:
        now = service.loop.clock()
        begun = connection.since if connection.node.state is S.READING_HEAD else now
        service.tracing.begin(request, begun, now)


def tell_exchange(connection: Channel, exchange: Exchange, end: str | None) -> None:
    """An exchange has ended: for the profile, the trace and the log. `end` as in `tell_request`."""
    service = connection.service
    if service.on_exchange_ended is not None:
        spent = connection.times()
        seconds = spent[_QUERYING] if exchange.waits is None else sum(spent) - spent[_IDLE]
        told = seconds > service.slow
        if told or not (connection.number + connection.requests) & service.skips:
            service.on_exchange_ended(connection, exchange, 0 if told else service.skips)
    if service.tracing is not None:
        service.tracing.end(connection, exchange, end, service.loop.clock())
    if service.logs.access:
        tell_request(connection, exchange, end)


def tell_request(connection: Channel, exchange: Exchange, end: str | None) -> None:
    """The canonical `request` line of `exchange`; `end` as in `server.logging.events.RequestLine`."""
    request, response = exchange.request, exchange.response if exchange.head is not None else None
    service = connection.service
    logs = service.logs
    target = ""
    if request is not None:
        target = request.target
        if request.query and not logs.queries:
            target = without_query(target)
    logs.request(
        id_of(connection, request),
        connection.peer,
        request.method if request is not None else "",
        target,
        response.status if response is not None else None,
        connection.taken,
        connection.sent,
        connection.times(),
        end,
        upstream_of(exchange.waits),
    )


def tell_missed(connection: ShakingEnd) -> None:
    """A request has come after the keep-alive deadline had passed and we had closed: see server.observer.Missed."""
    service = connection.service
    closed_at, edge = connection.history[-1]
    idle_from = connection.history[-2][0] if len(connection.history) > 1 else connection.accepted_at
    limit, now = edge.source.limit, service.loop.clock()
    missed = Missed(
        connection.number, connection.peer, closed_at - idle_from, limit, closed_at, now, connection.requests
    )
    service.observer.request_missed(missed)
    service.logs.warning(
        "request_missed",
        id=connection.number,
        peer=connection.peer,
        idle_seconds=round(missed.idle, 3),
        closed_seconds_ago=round(missed.late, 6),
        requests=connection.requests,
        hint=f"the client keeps idle connections longer than our --keep-alive-timeout of {limit:g} s",
    )


def _reason(connection: Any) -> str | None:
    """What was wrong with what came."""
    if connection.refusal is not None:
        return str(connection.refusal.reason)
    if isinstance(connection.transport, TLS) and connection.transport.is_truncated:
        return "The connection ended without TLS's close_notify: anybody on the way may have cut it."
    return None


def tell_end(connection: Any, edge: Edge) -> None:
    """Keep how `connection`, of whichever version of HTTP, ended, by `edge`; and say so, if something went wrong: with
    its history, if it was late."""
    service = connection.service
    service.observer.connection_ended(connection, edge)
    if edge.row.way is not Way.FAULT:
        return
    fields = {"history": history_lines(connection.history)} if edge.row.ends is Cause.DEADLINE else {}
    service.logs.warning(
        "connection_ended",
        id=connection.number,
        peer=connection.peer,
        cause=edge.row.ends,
        state=edge.source.state,
        trigger=edge.trigger,
        reason=_reason(connection),
        requests=connection.requests,
        bytes_in=connection.bytes_in,
        bytes_out=connection.bytes_out,
        **fields,
    )
