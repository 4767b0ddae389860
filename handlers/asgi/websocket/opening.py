"""Where a request becomes a WebSocket's: told apart, checked, and given to the application with a scope of its own.

The library `websockets` is imported when the first client asks. Where it is not installed such a request is answered as
any other (RFC 9110 section 7.8: a server may ignore Upgrade), and the log says once what to install.
"""

from typing import Any

from clerestory.handlers.asgi.hosting import Hosting
from clerestory.handlers.asgi.run import Run
from clerestory.handlers.asgi.websocket.sockets import WebSockets
from clerestory.handlers.websocket.opening import COMMAND, is_installed


def converse(sockets: WebSockets, run: Run) -> Any:
    """The handshake of `run`'s request; its `refusal` is the answer, where it is not well-formed."""
    from clerestory.handlers.asgi.websocket.conversation import Conversation
    from clerestory.handlers.websocket.handshake import Handshake

    handshake = Handshake(run.request, sockets.bounds)
    run.conversation = Conversation(sockets, run, handshake)
    return handshake


def websockets_of(hosting: Hosting) -> WebSockets | None:
    """The WebSockets of `hosting`; None, and a line in the log, where the library is not installed."""
    if not is_installed():
        hosting.tell("warning", "websocket_unavailable", hint=f"a client asked for a WebSocket: {COMMAND}")
        return None
    return WebSockets(hosting)
