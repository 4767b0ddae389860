"""An ASGI application, hosted: called with a request, it answers at once or through its task.

An answer that is whole after the task's first step costs no more than that: no operation, no waiting.
"""

from collections.abc import Callable, Iterable
from typing import Any

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.asgi.answering import Answering, answer_of, is_whole
from clerestory.handlers.asgi.hosting import Callable3, Carrier, Hosting
from clerestory.handlers.asgi.run import Run
from clerestory.handlers.asgi.scope import Scopes, address
from clerestory.handlers.asgi.tasks import Starter
from clerestory.handlers.asgi.websocket.opening import converse, websockets_of
from clerestory.handlers.asgi.websocket.sockets import WebSockets
from clerestory.handlers.proxy.forwarding import Network
from clerestory.handlers.websocket.opening import asks_for_websocket, is_installed
from clerestory.statemachines.loop import Loop


class ASGI:
    """An application, by what it is called with: `application(scope, receive, send)`.

    `hosting` is there once it is bound to a loop. `spec_version` is what it is told that we keep.
    """

    def __init__(
        self,
        called: Callable3,
        *,
        root_path: str = "",
        trusted: Iterable[Network] = (),
        spec_version: str = "2.4",
        lifespan: str = "auto",
    ) -> None:
        self.called = called
        self.lifespan = lifespan
        self.scopes = Scopes(root_path, trusted, spec_version)
        self.hosting: Hosting | None = None
        self._websockets: WebSockets | None = None
        self._has_asked = False
        self.front: Any = None
        """What requests are begun with, where this is one of several (handlers.sites)."""

    @property
    def takes_websockets(self) -> bool:
        """Whether a client may ask for a WebSocket: the library is there."""
        return is_installed()

    def bind(self, loop: Loop, starter: Starter, tell: Callable[..., None], max_output: int) -> Hosting:
        """From now on its calls run on `loop`."""
        self.hosting = Hosting(self.called, loop, starter, self.scopes, tell, max_output, Run)
        self._websockets, self._has_asked = None, False
        return self.hosting

    def __call__(self, _: Request) -> Response:
        """It is no function of a request alone."""
        raise TypeError("an ASGI application is begun by the exchange that carries the request")

    def begin(self, request: Request, carrier: Carrier) -> Response | Answering:
        """Call the application for `request`: its answer, or what the exchange is to step until there is one."""
        hosting = self.hosting
        assert hosting is not None
        peer, here = carrier.ends()
        scope = self.scopes.make(request, address(peer), _server(here))
        run = Run(hosting.engine, hosting, request, carrier.request_id())
        run.carrier = carrier
        if request.protocol or (_names_upgrade(request) and asks_for_websocket(request)):
            websockets = self._shared_by_websockets(hosting)
            if websockets is not None:
                return self._open(websockets, run, scope)
        if not request.body_ended and carrier.has_input():
            return Answering(run, scope)
        run.begin(scope)
        if is_whole(run):
            return answer_of(run, None)
        return Answering(run)

    def _shared_by_websockets(self, hosting: Hosting) -> WebSockets | None:
        """What its WebSockets share, once there are any; None where the library is not installed."""
        if not self._has_asked:
            self._has_asked = True
            self._websockets = websockets_of(hosting)
        return self._websockets

    def _open(self, websockets: WebSockets, run: Run, scope: dict[str, Any]) -> Response | Answering:
        """Call the application for a WebSocket."""
        handshake = converse(websockets, run)
        if handshake.refusal is not None:
            refusal: Response = handshake.refusal
            return refusal
        self.scopes.make_websocket(scope, handshake.offered)
        run.begin(scope)
        return Answering(run)


def _names_upgrade(request: Request) -> bool:
    """Whether there is a field Upgrade: most requests have none, and need no further look."""
    for field in request.fields:  # noqa: SIM110 - a generator takes three times as long
        if field[0] == b"upgrade":
            return True
    return False


def _server(here: Any) -> tuple[str, int | None] | None:
    """Our end of a connection, as a scope has it."""
    if isinstance(here, tuple):
        return here[0], here[1]
    return (str(here), None) if here else None
