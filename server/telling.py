"""What the log is told of a connection: one line for each exchange, one for an end that was not in order, and one for
an answer that what was asked is to blame for."""

from typing import TYPE_CHECKING

from handlers.errors import HTTPError
from handlers.messages import Request
from server.xray.recorder import told
from statemachines.contract import Cause, Way
from statemachines.engine import Edge

if TYPE_CHECKING:
    from server.connection import Connection
    from server.exchange import Exchange


def tell_request(connection: "Connection", exchange: "Exchange", end: str | None) -> None:
    """The canonical `request` line of `exchange`; `end` as in `server.log_events.RequestLine`."""
    request, response = exchange.request, exchange.response if exchange.head is not None else None
    service = connection.service
    service.logs.request(
        connection.request_id(),
        connection.peer,
        request.method if request is not None else "",
        request.target if request is not None else "",
        response.status if response is not None else None,
        connection.taken,
        connection.sent,
        connection.spent,
        end,
    )


def tell_cause(connection: "Connection", request: Request | None, error: HTTPError) -> None:
    """Why a request is answered with `error`: to the log, and to whoever looks at the connection in the x-ray."""
    service = connection.service
    service.recorder.blamed.append((connection.number, f"request {connection.requests} was answered {error}"))
    service.logs.warning(
        "backend_failed",
        id=connection.request_id(),
        method=request.method if request is not None else "-",
        target=request.target if request is not None else "-",
        status=error.status,
        backend=getattr(error, "where", None) or None,
        cause=error.cause,
        detail=error.detail,
    )


def tell_end(connection: "Connection", edge: Edge) -> None:
    """Keep how `connection` ended, by `edge`; and say so, if something went wrong: with its history, if it was late."""
    service = connection.service
    service.recorder.record(connection, edge)
    if edge.row.way is not Way.FAULT:
        return
    fields = {"history": told(connection.history)} if edge.row.ends is Cause.DEADLINE else {}
    service.logs.warning(
        "connection_ended",
        id=connection.number,
        peer=connection.peer,
        cause=edge.row.ends,
        state=edge.source.state,
        trigger=edge.trigger,
        reason=connection.refusal.reason if connection.refusal is not None else None,
        requests=connection.requests,
        bytes_in=connection.bytes_in,
        bytes_out=connection.bytes_out,
        **fields,
    )
