"""The observer's interface: what a server reports while it runs.

The server does not import the x-ray. It reports through these protocols, and the x-ray implements them
(server.xray.observe.recorder). server.cli, which composes the process, is the only place that imports both.
"""

from dataclasses import dataclass
from typing import Protocol

from clerestory.handlers.api.messages import Request, Response
from clerestory.server.connection.waiting import Waits
from clerestory.server.http.responses import Head
from clerestory.statemachines.engine import Edge, Machine


@dataclass(frozen=True, slots=True)
class Missed:
    """Connection `number` of `peer` was idle for `idle` seconds and closed by a deadline of `limit`; then bytes came.

    `closed_at` is our side's time, `came_at` that of the request; `requests` are those answered before.
    """

    number: int
    peer: str
    idle: float
    limit: float
    closed_at: float
    came_at: float
    requests: int

    @property
    def late(self) -> float:
        """Seconds between our close and the request."""
        return max(0.0, self.came_at - self.closed_at)


class Observer(Protocol):
    """Takes the reports of one service. It is called on the loop's thread, and must neither wait nor raise."""

    def connection_ended(self, machine: Machine, edge: Edge) -> None:
        """`edge` has decided the end of a connection, which has not yet forgotten what it was doing."""

    def stream_ended(self, machine: Machine, edge: Edge) -> None:
        """`edge` has decided the end of a stream of HTTP/2, which has not yet forgotten what it was doing. Of those
        that end as they should, and are many, only some are told."""

    def request_missed(self, missed: Missed) -> None:
        """A request came after the keep-alive deadline had passed and we had closed."""

    def request_failed(self, number: int | str, what: str) -> None:
        """A backend failed a request of the connection, or the stream, `number`; `what` happened to the request."""


class Answered(Protocol):
    """An exchange that has ended, as an observer sees it."""

    @property
    def request(self) -> Request | None:
        """What was asked; None where it was refused before it was a request."""

    @property
    def response(self) -> Response | None:
        """What was answered, if anything was."""

    @property
    def head(self) -> Head | None:
        """The head of the response, where it had begun."""

    @property
    def waits(self) -> Waits | None:
        """What it has waited for."""


class Carrier(Protocol):
    """What carried the exchange, as an observer sees it: a machine (statemachines.engine.Machine) with a name."""

    @property
    def number(self) -> int:
        """The connection's number."""

    @property
    def requests(self) -> int:
        """The exchange's number on it."""

    @property
    def peer(self) -> str:
        """The client."""

    @property
    def since(self) -> float:
        """When it ended."""

    def times(self) -> list[float]:
        """Seconds of the exchange by the states of statemachines.connection."""

    @property
    def history(self) -> list[tuple[float, Edge]]:
        """The last transitions."""

    def request_id(self) -> str:
        """Names the exchange in the log."""


class ExchangeEnded(Protocol):
    """Told of an exchange at its end, while the `times` of `carrier` are still that exchange's. It stands for itself
    and `skipped` others like it, which are not told."""

    def __call__(self, carrier: Carrier, exchange: Answered, skipped: int, /) -> None: ...


class Tracing(Protocol):
    """Traces the requests of one service. It is called on the loop's thread, and must neither wait nor raise."""

    def begin(self, request: Request, begun: float, now: float) -> None:
        """The head of `request` has come by `now`; its first byte had when it was `begun`. Its fields may be changed:
        to those that tell of the trace."""

    def end(self, carrier: Carrier, exchange: Answered, end: str | None, now: float) -> None:
        """`exchange` has ended; `end` says who ended the connection, and in which state, if something went wrong."""

    def close(self) -> None:
        """Trace no more, and hand over what is left; it may take a moment."""


class Unobserved:
    """The observer of a server that nobody observes: it keeps nothing."""

    def connection_ended(self, machine: Machine, edge: Edge) -> None:
        """As Observer.connection_ended."""

    def stream_ended(self, machine: Machine, edge: Edge) -> None:
        """As Observer.stream_ended."""

    def request_missed(self, missed: Missed) -> None:
        """As Observer.request_missed."""

    def request_failed(self, number: int | str, what: str) -> None:
        """As Observer.request_failed."""
