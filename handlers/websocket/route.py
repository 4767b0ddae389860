"""A route whose handler has a WebSocket, and what is at its path for who asks for none.

The library `websockets` is imported with the first route of this kind.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from clerestory.handlers.api.errors import HTTPError
from clerestory.handlers.api.messages import Answer, Request, Response
from clerestory.handlers.websocket.opening import COMMAND, asks_for_websocket, is_installed


class Conversing:
    """A handler of WebSockets as an application. `__wrapped__` is for inspect.signature."""

    __slots__ = ("__wrapped__", "_opening")

    def __init__(self, path: str, handler: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        name = getattr(handler, "__name__", repr(handler))
        if not inspect.iscoroutinefunction(handler):
            raise TypeError(f"websocket {path!r}: {name} is not a coroutine function: write async def {name}(socket)")
        if not is_installed():
            raise ImportError(f"websocket {path!r}: websockets is not installed: {COMMAND}")
        from clerestory.handlers.websocket.calls import Opening

        self._opening = Opening
        self.__wrapped__ = handler

    def __call__(self, request: Request, **parameters: Any) -> Coroutine[Any, Any, Response]:
        return self._answer(request, parameters)

    async def _answer(self, request: Request, parameters: dict[str, Any]) -> Response:
        answer: Response = await self._opening(self.__wrapped__, request, parameters)
        return answer


class Fork:
    """What GET has at a path with WebSockets: `talks` for a request that asks for one, `plain` for others, if there is
    such a handler; else they are answered 426."""

    __slots__ = ("plain", "talks")

    def __init__(self, talks: Callable[..., Answer] | None = None, plain: Callable[..., Answer] | None = None) -> None:
        self.talks = talks
        self.plain = plain

    def __call__(self, request: Request, **parameters: Any) -> Answer:
        """Raises HTTPError 426 (RFC 9110 section 15.5.22), or 400 in HTTP/1.0 and HTTP/2, which have no Upgrade."""
        if self.talks is not None and asks_for_websocket(request):
            return self.talks(request, **parameters)
        if self.plain is not None:
            return self.plain(request, **parameters)
        if request.minor == 1:
            raise HTTPError(426, "There is a WebSocket at this path.", ((b"upgrade", b"websocket"),))
        raise HTTPError(400, "There is a WebSocket at this path, which is asked for by Upgrade or CONNECT.")
