"""The face of what carries an exchange: a connection of HTTP/1.1, or a stream of HTTP/2.

An exchange (server.connection.exchange) knows its carrier by this face alone, and so do those who tell of exchanges:
the log, the profile of waiting. A channel is a machine. Its table may be another one, but it has triggers of these
names: BACKEND_ANSWERED and BODY_REQUESTED, which the exchange has told to it, and what the exchange returns.
"""

from abc import ABC, abstractmethod
from typing import Any

from mypy_extensions import mypyc_attr

from clerestory.handlers.api.messages import File, Response, RouteLimits
from clerestory.server.connection.service import Service
from clerestory.statemachines.connection import Trigger as T
from clerestory.statemachines.engine import Engine, Machine


@mypyc_attr(allow_interpreted_subclasses=True)
class Channel(Machine, ABC):
    """What carries an exchange.

    `number` is the connection's, `requests` how many heads were received or refused. `input` is what of the request's
    body has come and was not taken yet. `taken` are the bytes of this exchange's request, `sent` those of its response.
    `last_out` is how the last head that was sent begins (contract.EXCERPT).
    """

    __slots__ = ("input", "last_out", "number", "peer", "requests", "sent", "service", "taken")

    def __init__(self, service: Service, engine: Engine, descriptor: int, number: int, peer: str = "") -> None:
        super().__init__(engine, descriptor)
        self.service = service
        self.number = number
        self.peer = peer
        self.input = self.last_out = b""
        self.requests = self.sent = self.taken = 0

    def identity(self) -> int | str:
        """By what it is known to those who look at it: a connection's number; of a stream, `41/7`."""
        return self.number

    def request_id(self) -> str:
        """Names the exchange in the log; that of a request is its own (Request.id)."""
        return self.service.names.name(self.number, self.requests, None)

    def times(self) -> list[float]:
        """The seconds that this exchange has spent in each state, in the order of the states of
        statemachines.connection."""
        return self.spent

    @abstractmethod
    def ends(self) -> tuple[str, Any]:
        """The peer's name, and what getsockname(2) says of our own end."""

    @abstractmethod
    def outgoing(self, output: bytes, body: bytes | File = b"", tail: bytes = b"") -> None:
        """Take what is to be sent next: a head, then a body or a piece of one, then its end. Raises
        FileUnreadableError, and has then taken nothing."""

    @abstractmethod
    def framed(self, before: bytes, size: int, last: bool, trailers: bytes) -> tuple[bytes, bytes]:
        """What stands before and behind a piece of `size` bytes of a body whose length the head does not tell, behind
        `before`; the `last` is followed by the field lines `trailers`."""

    @abstractmethod
    def say(self, interim: bytes) -> bool:
        """Send an interim response; False when the connection is gone."""

    @abstractmethod
    def wants_next_request(self, response: Response) -> bool:
        """Whether `response` may leave the connection open, as far as is known when its head is written."""

    @abstractmethod
    def heed_limits(self, limits: RouteLimits) -> None:
        """Let the sweep look at what waits before any deadline that a route has set."""

    def go_on_later(self) -> T | None:
        """A piece was empty, so there is nothing to send: ask for the next in the next turn."""
        self.service.loop.tell_later(self, T.BACKEND_ANSWERED)
        return None
