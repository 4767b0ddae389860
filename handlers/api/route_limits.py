"""The deadlines that a route sets for itself: `@router.get("/events", backend_timeout=3600)`.

A route without any costs nothing: only a route that has them is called through a `Limited`, which stores them in the
request before the handler runs. handlers.api.messages.RouteLimits explains them.
"""

from collections.abc import Callable
from typing import Any, TypedDict

from clerestory.handlers.api.messages import Answer, Request, RouteLimits
from clerestory.handlers.api.operations import HalfClose


class Terms(TypedDict, total=False):
    """The keyword arguments of a route. `half_close` is `answer`, `briefly` or `cancel`."""

    backend_timeout: float
    handler_total: float
    half_close: str


class Limited:
    """A handler whose route has limits of its own."""

    __slots__ = ("handler", "limits")

    @property
    def application(self) -> Any:
        """The handler, which may be an application that is mounted."""
        return self.handler

    def __init__(self, handler: Callable[..., Any], limits: RouteLimits) -> None:
        self.handler = handler
        self.limits = limits

    def __call__(self, request: Request, **parameters: Any) -> Answer:
        request.limits = self.limits
        answer: Answer = self.handler(request, **parameters)
        return answer


def limits_of(path: str, terms: Terms) -> RouteLimits | None:
    """The limits among the keywords of the route `path`, if there are any. Raises ValueError."""
    if not terms:
        return None
    for name in ("backend_timeout", "handler_total"):
        value = terms.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
            raise ValueError(f"route {path!r}: {name} is {value!r}, not a number of seconds above 0")
    wish = terms.get("half_close")
    if wish is not None and wish not in list(HalfClose):
        raise ValueError(f"route {path!r}: half_close is {wish!r}; there are {', '.join(HalfClose)}")
    half_close = HalfClose(wish) if wish is not None else None
    return RouteLimits(terms.get("backend_timeout"), terms.get("handler_total"), half_close)
