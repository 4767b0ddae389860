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
    """Whether every request that asks for a WebSocket may be left to `application`: as `takes_websockets` of it says,
    of what it holds (handlers.edge), or of all of these (handlers.sites)."""
    several = getattr(application, "applications", None)
    if several is not None:
        return bool(several) and all(map(takes_websockets, several))
    inner = getattr(application, "inner", None)
    return takes_websockets(inner) if inner is not None else bool(getattr(application, "takes_websockets", False))
