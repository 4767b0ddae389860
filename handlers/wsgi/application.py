"""A WSGI application, hosted: each request is a call of it in a thread."""

from collections.abc import Iterable
from typing import Any

from clerestory.handlers.api.messages import Request, Response
from clerestory.handlers.asgi.hosting import Carrier
from clerestory.handlers.backends.journal import JOURNAL
from clerestory.handlers.proxy.forwarding import Network
from clerestory.handlers.wsgi.answering import Answering
from clerestory.handlers.wsgi.call import Call
from clerestory.handlers.wsgi.environ import Environs
from clerestory.handlers.wsgi.hosting import Called, Hosting, nothing
from clerestory.statemachines.loop import Loop

SMALL_BODY = 64 * 1024
"""Bytes of a request's body that are read before a thread is taken: what a slow client sends occupies none."""


class WSGI:
    """An application, by what it is called with: `application(environ, start_response)`.

    `hosting` is there once it is bound to a loop.
    """

    def __init__(self, called: Called, *, root_path: str = "", trusted: Iterable[Network] = ()) -> None:
        self.called = called
        self.environs = Environs(root_path, trusted)
        self.hosting: Hosting | None = None
        self.front: Any = None
        """What requests are begun with, where this is one of several (handlers.sites)."""

    def bind(self, loop: Loop) -> Hosting:
        """From now on its calls are moved by `loop`, and told of in the loop's log."""
        tell = getattr(loop.registry.get(JOURNAL), "event", nothing)
        self.hosting = Hosting(self.called, self.environs, loop, tell, Call)
        return self.hosting

    def __call__(self, _: Request) -> Response:
        """It is no function of a request alone."""
        raise TypeError("a WSGI application is begun by the exchange that carries the request")

    def begin(self, request: Request, carrier: Carrier) -> Answering:
        """What the exchange is to step until there is an answer."""
        hosting = self.hosting
        assert hosting is not None
        call = Call(hosting, request, carrier.request_id(), carrier.ends())
        length = request.content_length
        reads_first = length is not None and 0 < length <= SMALL_BODY and not request.expects_continue
        return Answering(call, reads_first=reads_first)
