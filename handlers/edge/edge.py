"""What stands between the clients and an application, whatever kind of application that is.

`Guarded` is an application that holds another one. A request passes the checks of its edge on the way in; every
response to it is dressed on the way out. The exchange dresses (`Request.edge`): so answers of the server itself (a 413,
a 504, a 500) are dressed like those of the application.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from clerestory.handlers.api.messages import Fields, Request, Response
from clerestory.handlers.edge.stepped import Stepped


class Check(Protocol):
    """Looks at a request before the application does."""

    def admit(self, request: Request, now: float) -> Response | None:
        """None to let it pass, or what is answered instead; `now` is the loop's time. Raises HTTPError."""


class SlowCheck(Protocol):
    """A check that may take a while."""

    def knows(self, request: Request, now: float) -> bool:
        """Whether the request passes; False where that takes `admit` to say. Raises HTTPError."""

    async def admit(self, request: Request, loop: Any) -> None:
        """Let it pass, or raise HTTPError."""


class Dresser(Protocol):
    """Changes responses on their way out."""

    def apply(self, request: Request, response: Response) -> Response:
        """What is sent instead of `response`, which is not changed itself: an application may keep it."""


class Edge:
    """The checks and dressers of one site, in their order; `gate` comes behind the checks."""

    def __init__(
        self, checks: Sequence[Check] = (), dressers: Sequence[Dresser] = (), gate: SlowCheck | None = None
    ) -> None:
        self.checks = tuple(checks)
        self.dressers = tuple(dressers)
        self.gate = gate

    @property
    def is_empty(self) -> bool:
        """Whether it does nothing at all."""
        return not (self.checks or self.dressers or self.gate)

    def dress(self, request: Request, response: Response) -> Response:
        """What is sent to the client instead of `response`. One that is not well-formed, or whose file cannot be read,
        is left as it is: the server refuses it."""
        try:
            for dresser in self.dressers:
                response = dresser.apply(request, response)
        except Exception:  # noqa: BLE001, S110 - an application may put anything into a response
            pass
        return response


class Guarded:
    """The application `inner`, with `edge` around it."""

    def __init__(self, inner: Any, edge: Edge) -> None:
        self.inner = inner
        self.edge = edge
        self._begin = getattr(inner, "begin", None)

    def __call__(self, _: Request) -> Any:
        """It may hold a hosted application, which is begun by the exchange that carries the request."""
        raise TypeError("what has an edge is begun by the exchange that carries the request")

    def begin(self, request: Request, carrier: Any) -> Any:
        """Hand `request` to the application, if it passes the checks; its response is dressed in any case. Raises
        HTTPError."""
        edge = self.edge
        request.edge = edge
        for check in edge.checks:
            answer = check.admit(request, carrier.loop.now)
            if answer is not None:
                return answer
        if edge.gate is not None and not edge.gate.knows(request, carrier.loop.now):
            return self._begin_later(request, carrier, edge.gate)
        return self._go_on(request, carrier)

    async def _begin_later(self, request: Request, carrier: Any, gate: SlowCheck) -> Any:
        """What the application answers; what is no response is the exchange's to refuse."""
        await gate.admit(request, carrier.loop)
        answer = self._go_on(request, carrier)
        if isinstance(answer, Response) or not hasattr(answer, "send"):
            return answer
        return await Stepped(answer)

    def _go_on(self, request: Request, carrier: Any) -> Any:
        return self.inner(request) if self._begin is None else self._begin(request, carrier)

    def descriptors(self, limits: Mapping[str, float]) -> int:
        """How many descriptors the application takes at most, where it says so."""
        tell = getattr(self.inner, "descriptors", None)
        return int(tell(limits)) if callable(tell) else 0


def replaced(fields: Fields, more: Fields) -> Fields:
    """`fields` with `more`, which take the place of those with the same names."""
    names = {name for name, _ in more}
    return (*(field for field in fields if field[0].lower() not in names), *more)


def with_fields(response: Response, fields: Fields) -> Response:
    """The same response with other fields."""
    return Response(response.body, response.status, fields, reason=response.reason)
