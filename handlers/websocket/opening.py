"""Which requests ask for a WebSocket, and whether the library is there that speaks it.

The library `websockets` is imported when the first client asks.
"""

from importlib.util import find_spec
from typing import Any

from clerestory.handlers.api.messages import Request
from clerestory.handlers.wire.grammar import members

COMMAND = "pip install websockets"


def asks_for_websocket(request: Request) -> bool:
    """RFC 6455 section 4.1, RFC 9110 section 7.8: the protocol in Upgrade, and Upgrade in Connection; RFC 8441."""
    return request.protocol == "websocket" or (
        request.method == "GET"
        and request.minor == 1
        and b"websocket" in members(request.get(b"upgrade") or b"")
        and b"upgrade" in members(request.get(b"connection") or b"")
    )


def is_installed() -> bool:
    """Whether the library is installed."""
    return find_spec("websockets") is not None


def takes_websockets(application: Any) -> bool:
    """Whether `application` takes WebSockets at some path: as `takes_websockets` of it says, or of what it holds
    (handlers.edge, handlers.api.route_limits), or of one of these (handlers.sites, what a router mounts)."""
    if getattr(application, "takes_websockets", False):
        return True
    inner = getattr(application, "inner", None) or getattr(application, "application", None)
    if inner is not None:
        return takes_websockets(inner)
    return any(map(takes_websockets, getattr(application, "applications", ())))
