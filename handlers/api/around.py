"""What surrounds the handlers of a router: functions that see each request before, and each response after.

    @router.around
    async def timed(request: Request, handle: Handle) -> Response:
        began = perf_counter()
        response = await handle()
        response.fields += ((b"server-timing", b"app;dur=%.1f" % ((perf_counter() - began) * 1000)),)
        return response

The laws:

- the first one registered is the outermost; each calls `handle` once, to go inwards, or not at all, to answer itself;
- `handle` returns a Response, whatever the handler has returned, and raises what the handler raises: an HTTPError, too;
- the route has been found already, and the limit of the body is set; what is wrong with the request (404, 405, 413) is
  raised by `handle`;
- all of it is one coroutine, which is the handler: what is awaited here is an operation of the request, has a deadline
  (the server's; those of the route hold further in), is shown by the x-ray, and is cancelled when the client leaves.

A router without any costs nothing more.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from clerestory.handlers.api.answers import response_of
from clerestory.handlers.api.messages import Plain, Request, Response


class Handle(Protocol):
    """What a function around the handlers (`Router.around`) is given: the way to the handler. `await handle()` returns
    the response, and raises what the handler raises."""

    async def __call__(self) -> Response:
        """The response. It is called once."""
        ...


Around = Callable[[Request, Handle], Coroutine[Any, Any, Plain]]


def check(around: Around) -> None:
    """Raise TypeError for a function that cannot stand around a handler."""
    name = getattr(around, "__name__", repr(around))
    if not inspect.iscoroutinefunction(around):
        raise TypeError(f"around: {name} is not a coroutine function: write async def {name}(request, handle)")
    try:
        inspect.signature(around).bind(None, None)
    except TypeError as error:
        raise TypeError(f"around: {name} cannot be called with (request, handle): {error}") from None


class Inner:
    """The way inwards of one request: the functions from `place` on, and then what `begin` returns."""

    __slots__ = ("_arounds", "_begin", "_called", "_place", "_request")

    def __init__(self, request: Request, arounds: list[Around], place: int, begin: Callable[[], Any]) -> None:
        self._request = request
        self._arounds = arounds
        self._place = place
        self._begin = begin
        self._called = False

    async def __call__(self) -> Response:
        """The response. Raises what is raised further in, and RuntimeError when called again."""
        if self._called:
            raise RuntimeError("handle() was called twice: a request is handled once")
        self._called = True
        answer: Any
        if self._place < len(self._arounds):
            inner = Inner(self._request, self._arounds, self._place + 1, self._begin)
            called: Any = self._arounds[self._place](self._request, inner)
            answer = await called
        else:
            called = self._begin
            answer = called()
            if not isinstance(answer, Response) and hasattr(answer, "__await__"):
                answer = await answer
        return _own(answer if isinstance(answer, Response) else response_of(answer, called))


def _own(response: Response) -> Response:
    """A response that may be changed: a handler may return the same one each time."""
    if type(response) is not Response:
        return response
    return Response(response.body, response.status, response.fields, reason=response.reason)
